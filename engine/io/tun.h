/* TUN devices (linux/if_tun.h): made or adopted, their offloads probed, MTU and queue length. Control thread. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "offload/coalesce.h"

struct fz_tun {
	int fd; /* the caller's: fz_closep */
	uint32_t ifindex;
	char name[IFNAMSIZ];
	unsigned
		caps; /* enum fz_coalesce_caps: what may be written merged, and whether frames have vnet headers */
};

/* Makes the device. -EBUSY: another process has it (never shared); -EINVAL: bad name; -EPERM, -ENOENT (no /dev/net/tun). */
int fz_tun_open(const char *name, struct fz_tun *ret_tun) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Takes over a descriptor that is a TUN device already, as it is (virtio header or not). */
int fz_tun_adopt(int fd, struct fz_tun *ret_tun) FZ_NONNULL(2) FZ_MUST_CHECK;

/* By name, in the caller's network namespace. */
int fz_tun_mtu(const struct fz_tun *t, uint32_t *ret_mtu) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_tun_set_mtu(const struct fz_tun *t, uint32_t mtu) FZ_NONNULL(1) FZ_MUST_CHECK;
/*
 * As many packets as come while somebody else has the processor for a scheduler's slice, 3 ms; a TUN's own 500 drop in bursts. For
 * fz_tun_set_queue_len.
 */
#define FZ_TUN_QUEUE_LEN 2000
int fz_tun_set_queue_len(const struct fz_tun *t, uint32_t packets) FZ_NONNULL(1) FZ_MUST_CHECK;
int fz_tun_is_up(const struct fz_tun *t, bool *ret_is_up) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The current name (it may be renamed); -EBADFD once the device is gone. */
int fz_tun_refresh(struct fz_tun *t) FZ_NONNULL(1) FZ_MUST_CHECK;
/* A descriptor of the network namespace the device is in now; -EINVAL on kernels that cannot tell. */
int fz_tun_netns(const struct fz_tun *t, int *ret_fd) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
