/*
 * The process around the session: host changes, health endpoint, signals, what the service manager is told. Shell;
 * control thread.
 */
#pragma once

#include "base/attr.h"
#include "base/secret.h"
#include "gateway/options.h"

/* Exit codes; sysexits(3) where they fit. The unit does not restart after the last two. */
enum gw_exit {
	GW_EXIT_OK = 0,
	GW_EXIT_FAILURE = 1,
	GW_EXIT_USAGE = 2,
	GW_EXIT_UNAVAILABLE = 69, /* TUN, packet filter or forwarding cannot be had */
	GW_EXIT_NO_PERMISSION = 77, /* token refused, or privileges missing */
	GW_EXIT_CONFIG = 78, /* no token, bad id or settings */
};

/* Runs until told to stop; takes the token. */
enum gw_exit gw_service_run(const struct gw_options *o, const char *external_id,
	struct fz_token *token) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
