/*
 * Addresses, routes and rules of a gateway, for fz_host_apply. Forwarded packets, the gateway's own and answers carry
 * its mark (nft.h, fz_host_gateway): answers find the tunnel in the gateway's own table, all else looks at the main one
 * before a client's rules on the same host are asked.
 */
#pragma once

#include <stddef.h>

#include "base/addr.h"
#include "base/attr.h"
#include "daemon/host.h"

#define GW_HOST_ITEMS 10

/* Fills `ret_items`; an address without family is left out. Returns how many. */
size_t gw_host_items(const struct fz_ip *ipv4, const struct fz_ip *ipv6,
	struct fz_host_item ret_items[static GW_HOST_ITEMS]) FZ_NONNULL(1, 2);
