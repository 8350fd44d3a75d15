/*
 * Watches the TUN's link through rtnetlink: up or down, MTU, gone, moved to another network namespace. There the watch
 * follows it by namespace id (NETLINK_LISTEN_ALL_NSID, IFLA_TARGET_NETNSID), which needs no privilege beyond those a
 * tunnel has anyway, where setns would need CAP_SYS_ADMIN. Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "io/tun.h"

struct wgdev_link;

struct wgdev_link_state {
	bool is_gone;
	bool is_up;
	uint32_t mtu; /* 0: unknown */
};

void wgdev_link_free(struct wgdev_link *l);
/* Before capabilities are dropped (following into another namespace needs CAP_NET_BROADCAST once, here). */
int wgdev_link_new(const struct fz_tun *tun, struct wgdev_link **ret_link)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int wgdev_link_fd(const struct wgdev_link *l) FZ_NONNULL(1);
/* Reads what is there and says how the link is now. */
struct wgdev_link_state wgdev_link_read(struct wgdev_link *l) FZ_NONNULL(1);
