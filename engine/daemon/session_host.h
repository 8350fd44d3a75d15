/*
 * What a client's session wants of the host: its addresses, routes into the tunnel, the policy rules around them, copies of
 * directly attached networks so that they stay reachable with the Internet Resource on. Internal to the session; control
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "daemon/host.h"

struct fz_wanted {
	const struct fz_host_names *names;
	struct fz_ip ipv4, ipv6; /* family 0: none */
	size_t n;
	const struct fz_prefix
		*prefixes; /* into the tunnel; a prefix of length 0 is a default route */
	size_t n_attached;
	const struct fz_route
		*attached; /* of the main table; used while there is a default route */
};

/* The items for fz_host_apply, to be freed; 0 or -ENOMEM. */
int fz_wanted_items(const struct fz_wanted *w, struct fz_host_item **ret_items, size_t *ret_n)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
