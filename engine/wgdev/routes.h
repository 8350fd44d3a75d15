/*
 * Sticky sources: a peer is answered from the address and interface it was last heard on, as long as the route to it
 * still leaves there. Watches routes and addresses of the namespace with the UDP sockets and has peers forget a source
 * that the routing table contradicts. Control thread.
 */
#pragma once

#include "base/attr.h"
#include "io/plane.h"

struct wgdev_routes;

void wgdev_routes_free(struct wgdev_routes *r);
int wgdev_routes_new(struct fz_plane *plane, struct wg_device *device,
	struct wgdev_routes **ret_routes) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
int wgdev_routes_fd(const struct wgdev_routes *r) FZ_NONNULL(1);
/* Something changed: checks every peer that has a source. `mark` is that of the sockets. */
void wgdev_routes_read(struct wgdev_routes *r, uint32_t mark) FZ_NONNULL(1);
