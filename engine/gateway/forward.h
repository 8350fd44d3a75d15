/*
 * The kernel's settings without which packets do not get from the tunnel to the site and back: read, set where we may,
 * told where we may not. They are left set on exit: others may rely on them by then. Shell; control thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* A setting that is not as it must be and could not be changed. Borrowed for the call. */
struct gw_forward_problem {
	const char *name; /* as sysctl(8) spells it */
	const char *wanted;
	const char *why; /* what does not work without it */
	bool is_fatal; /* nothing works without it */
	int err; /* what writing it said, negative errno */
};

typedef void (*gw_forward_fn)(void *user, const struct gw_forward_problem *p);

/*
 * `root` is /proc/sys outside of tests; `interface` is the gateway's TUN, which must exist. Returns 0, or -EPERM if a
 * fatal problem was told.
 */
int gw_forward_ensure(const char *root, const char *interface, gw_forward_fn fn, void *user)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
