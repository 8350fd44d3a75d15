/*
 * What this machine's data plane can do without a network: two WireGuard devices in one thread, one seals trains of
 * full packets, the other opens them. A thread of its own does it; the control thread starts it, waits for a
 * descriptor, and takes the result.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"

#define FZD_LOOPBACK_MTU  1280
#define FZD_LOOPBACK_TIME FZ_SECONDS(60) /* longest */

struct fzd_loopback_result {
	int error; /* 0, or negative: nothing was measured */
	uint64_t packets, bytes; /* that came out as they went in */
	fz_dur elapsed, cpu;
	char aead[32];
};

struct fzd_loopback;

void fzd_loopback_free(
	struct fzd_loopback *l); /* ends it early if it still runs, and waits for that */
/* 0 or negative errno. */
int fzd_loopback_start(fz_dur time, struct fzd_loopback **ret_loopback) FZ_NONNULL(2) FZ_MUST_CHECK;
/* Readable once the result is there. */
int fzd_loopback_fd(const struct fzd_loopback *l) FZ_NONNULL(1);
void fzd_loopback_result(const struct fzd_loopback *l, struct fzd_loopback_result *ret_result)
	FZ_NONNULL(1, 2);
