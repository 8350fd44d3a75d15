/*
 * The health endpoint: a TCP listener on the daemon's event loop. Bounded: so many connections at a time, so many
 * bytes and so many seconds each; what comes beyond waits in the kernel's queue. Shell; control thread.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "gateway/health_http.h"

struct gw_health;

struct gw_health_params {
	struct fz_addr listen;
	void (*state)(void *user, struct gw_health_state *ret); /* asked once per answer */
	void *user;
};

void gw_health_free(struct gw_health *h);
/* 0 or a negative errno (-EADDRINUSE: somebody else listens there). `event` is referenced. */
int gw_health_new(sd_event *event, const struct gw_health_params *params,
	struct gw_health **ret_health) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* The port it got, for a `listen` with port 0. */
uint16_t gw_health_port(const struct gw_health *h) FZ_NONNULL(1);
