/*
 * Where an inner packet's transport header begins, past IPv4's options and IPv6's extension headers (RFC 791, RFC 8200 4):
 * what filters look at must not be hidden by a header in front of it. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"

/* More than any sender chains; a packet with more of them is none. */
#define WG_TRANSPORT_EXTENSIONS_MAX 8

struct wg_transport {
	uint8_t protocol; /* IPPROTO_* behind the extension headers */
	bool is_later_fragment; /* shows no header of its transport */
	struct fz_reader at; /* of the transport's header; empty for a later fragment */
};

/* `packet` has its fixed header. False: cut off before the transport's header, or a chain that is too long. */
bool wg_transport_find(struct fz_bytes packet, enum fz_family family, struct wg_transport *ret)
	FZ_NONNULL(3) FZ_MUST_CHECK;
