/*
 * firezone-wg itself: a TUN, a WireGuard device, its data plane, sockets that are bound while the link is up, and the
 * service for wg(8). Made after any fork; control thread.
 */
#pragma once

#include "base/attr.h"
#include "wgdev/options.h"

struct wgdev;

void wgdev_free(
	struct wgdev *w); /* removes the socket file; the TUN goes with its last descriptor */
/* Everything up to a working device, then without privileges. 0 or negative errno, which has been logged. */
int wgdev_new(const struct wgdev_options *options, struct wgdev **ret_wgdev)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Serves until a signal, the end of the TUN or of the socket file. 0, or a negative errno that was not asked for. */
int wgdev_run(struct wgdev *w) FZ_NONNULL(1) FZ_MUST_CHECK;
