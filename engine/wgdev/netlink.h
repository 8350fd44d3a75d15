/* Questions to rtnetlink(7), one at a time, and sockets for its events. Blocking, local to the kernel; control thread. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "base/attr.h"

#define WGDEV_NETLINK_LEN 16'384

struct wgdev_netlink {
	int fd;
	uint32_t seq;
	char buf[WGDEV_NETLINK_LEN];
};

/* A socket of the caller's namespace; `groups` as RTMGRP_*, `flags` as socket(2). The descriptor or negative errno. */
int wgdev_netlink_open(unsigned groups, int flags) FZ_MUST_CHECK;
/* Sends a request and gives each message of the answer to fn (may be NULL). 0 or negative errno, the kernel's too. */
int wgdev_netlink_ask(struct wgdev_netlink *n, struct nlmsghdr *request, mnl_cb_t fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Reads events until there are none; that some were lost (ENOBUFS) is like any other: ask. */
void wgdev_netlink_drain(struct wgdev_netlink *n, int events_fd) FZ_NONNULL(1);
