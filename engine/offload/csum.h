/*
 * The internet checksum (RFC 1071). A running sum is a uint64_t of native-endian words: its folded form, stored
 * natively, is in network order on every machine. Ranges are summed from an even offset of what they are part of;
 * all but the last have even lengths. Any thread; nothing allocates.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/endian.h"

#define FZ_PROTO_ICMP   1
#define FZ_PROTO_TCP    6
#define FZ_PROTO_UDP    17
#define FZ_PROTO_ICMPV6 58

/* Sum plus the words of b. */
uint64_t fz_csum_add(uint64_t sum, struct fz_bytes b) FZ_MUST_CHECK;
/* The same, and copies them to dst, which has room for b.n bytes and does not overlap: one pass over the data. */
uint64_t fz_csum_copy(uint64_t sum, uint8_t *dst, struct fz_bytes b) FZ_MUST_CHECK;

/* What a value of a header field, in host order, adds to a sum. */
static inline uint64_t fz_csum_word(uint16_t v)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap16(v) : v;
}

/* One's complement addition of running sums. */
static inline uint64_t fz_csum_plus(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;
	return sum + (sum < b);
}

/* To 16 bits, not complemented: what a partial checksum field holds. Store with fz_native16_store. */
static inline uint16_t fz_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* What a finished checksum field holds. Over data that includes a right checksum this is 0. */
static inline uint16_t fz_csum_finish(uint64_t sum)
{
	return (uint16_t)~fz_csum_fold(sum);
}

/* The same for UDP, where 0 means "none" and is sent as 0xffff (RFC 768). */
static inline uint16_t fz_csum_finish_udp(uint64_t sum)
{
	uint16_t c = fz_csum_finish(sum);
	return c ? c : 0xffff;
}

/* Pseudo-headers (RFC 793 3.1, RFC 8200 8.1): `addrs` is source and destination as they stand in the IP header. */
static inline uint64_t fz_csum_pseudo4(const uint8_t addrs[static 8], uint8_t proto, uint32_t len)
{
	return (uint64_t)fz_native32_load(addrs) + fz_native32_load(addrs + 4) +
	       fz_csum_word(proto) + fz_csum_word((uint16_t)len) +
	       fz_csum_word((uint16_t)(len >> 16));
}

static inline uint64_t fz_csum_pseudo6(const uint8_t addrs[static 32], uint8_t proto, uint32_t len)
{
	uint64_t sum = fz_csum_word(proto) + fz_csum_word((uint16_t)len) +
		       fz_csum_word((uint16_t)(len >> 16));
	for (size_t i = 0; i < 32; i += 4)
		sum += fz_native32_load(addrs + i);
	return sum;
}
