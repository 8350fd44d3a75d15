/* The answer to an inner packet that no peer takes: "unreachable", for the sender to see at once. Pure; any thread. */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"

/*
 * Writes an ICMPv4 type 3 code 1 or ICMPv6 type 1 code 3 about `packet` to `out`. Returns its length, or 0 if none is
 * due (RFC 1122 3.2.2, RFC 4443 2.4 e: not about ICMP errors, multicast, broadcast, later fragments, senders that are
 * no single host) or `out` is too small. At most 576 bytes for IPv4, 1280 for IPv6.
 */
size_t wg_icmp_write_unreachable(struct fz_bytes packet, struct fz_span out) FZ_MUST_CHECK;
