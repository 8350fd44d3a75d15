/*
 * What the tunnel has to know of the IP packets inside it: addresses, length, and the ECN bits that are carried over
 * in both directions (RFC 6040, RFC 3168). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/endian.h"

/* RFC 791 3.1 */
struct wg_ip4_header {
	uint8_t version_ihl, tos;
	fz_be16 total_len, id, fragment;
	uint8_t ttl, protocol;
	fz_be16 checksum;
	uint8_t src[4], dst[4];
};

/* RFC 8200 3 */
struct wg_ip6_header {
	fz_be32 version_class_flow;
	fz_be16 payload_len;
	uint8_t next_header, hop_limit;
	uint8_t src[16], dst[16];
};

#define WG_ECN_MASK 3u
#define WG_ECN_ECT1 1u
#define WG_ECN_ECT0 2u
#define WG_ECN_CE   3u

/* Borrowed from the packet. */
struct wg_inner {
	enum fz_family family;
	const uint8_t *src, *dst;
	uint32_t len; /* as the header claims, header included */
	uint8_t ecn;
};

/* False unless a whole fixed IPv4 or IPv6 header is there. The claimed length is not compared with the packet's. */
bool wg_inner_parse(struct fz_bytes packet, struct wg_inner *ret_inner) FZ_NONNULL(2) FZ_MUST_CHECK;

/*
 * Ports of a UDP packet, also of a first fragment. False if it is something else, or cut off before them. IPv6 extension
 * headers but the fragment's are not walked.
 */
bool wg_inner_udp_ports(struct fz_bytes packet, uint16_t *ret_src, uint16_t *ret_dst)
	FZ_NONNULL(2, 3) FZ_MUST_CHECK;

/* Outer ECN for an inner one: congestion seen inside stays inside. */
static inline uint8_t wg_ecn_encapsulate(uint8_t inner)
{
	return inner == WG_ECN_CE ? WG_ECN_ECT0 : inner;
}

/* Carries the outer header's ECN over into a packet that wg_inner_parse accepted. */
void wg_ecn_decapsulate(struct fz_span packet, uint8_t outer);

/* The Internet checksum (RFC 1071) of a buffer, on top of an unfolded sum. */
uint32_t wg_checksum_add(uint32_t sum, struct fz_bytes in);
uint16_t wg_checksum_finish(uint32_t sum);
