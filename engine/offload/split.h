/*
 * What the TUN gave us, cut into packets that can be sent: a TSO or USO super-packet becomes its segments with whole
 * headers and finished checksums, a packet with a partial checksum becomes itself with a finished one, anything else
 * passes unchanged. The frame is judged once, in fz_split_init; the rest cannot fail. Rules: virtio 1.1 5.1.6.2,
 * and what Linux' own segmentation does. Any thread; nothing allocates; no division per packet.
 *
 *	struct fz_split s;
 *	if (fz_split_init(&s, frame) != FZ_SPLIT_OK) drop and count;
 *	for (i = 0; i < s.n; i++) { room for fz_split_len(&s, i) at dst; fz_split_write(&s, i, dst); }
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum fz_split_verdict {
	FZ_SPLIT_OK,
	FZ_SPLIT_SHORT, /* no room for the vnet header and an IP header */
	FZ_SPLIT_VERSION, /* neither IPv4 nor IPv6, or not what the vnet header says */
	FZ_SPLIT_TRUNCATED, /* the IP length is not the frame's: cut short by our buffer ("BIG TCP"), or lying */
	FZ_SPLIT_TYPE, /* a segmentation type nobody asked for */
	FZ_SPLIT_CSUM, /* checksum position outside the packet or not where this protocol has it */
	FZ_SPLIT_HEADER, /* IP or TCP header length impossible, or no payload behind it */
	FZ_SPLIT_COUNT, /* segment size zero, or more than FZ_SPLIT_N_MAX segments */
	FZ_SPLIT_COUNT_
};

/*
 * 64 KiB at the smallest MSS Linux uses (48) are 1365 segments. Callers work in chunks of their train size and keep no
 * array of this length.
 */
#define FZ_SPLIT_N_MAX      1400
/* Longest IP and TCP/UDP header together, extension headers included. */
#define FZ_SPLIT_HEADER_MAX 512

/* A value placed by the caller; borrows the frame. Read `n`, `first_len` and `packet`; leave the rest alone. */
struct fz_split {
	uint32_t n; /* packets, at least 1 */
	uint32_t first_len, last_len; /* all but the last are first_len bytes long */
	struct fz_bytes
		packet; /* without the vnet header: what it is split from; its IP header serves look-ups */

	uint64_t ip_sum, l4_sum; /* over header fields that all segments share */
	uint32_t seq;
	uint16_t gso_size; /* 0: a single packet */
	uint16_t l4_at, header_len, csum_at; /* csum_at 0: nothing to finish */
	uint16_t id, tcp_flags;
	bool is_tcp, is_v6;
};

/* `frame` starts with a vnet header; `*ret_split` is written with FZ_SPLIT_OK alone. */
enum fz_split_verdict fz_split_init(struct fz_split *ret_split, struct fz_bytes frame)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* For a TUN without vnet headers: `packet` starts with its IP header, n is 1. */
enum fz_split_verdict fz_split_init_plain(struct fz_split *ret_split, struct fz_bytes packet)
	FZ_NONNULL(1) FZ_MUST_CHECK;

/* i < n */
static inline uint32_t fz_split_len(const struct fz_split *s, uint32_t i)
{
	return i + 1 < s->n ? s->first_len : s->last_len;
}

/* True if `packet` is the one packet there is, with its checksum finished. */
static inline bool fz_split_is_whole(const struct fz_split *s)
{
	return s->n == 1 && s->csum_at == 0;
}

/* Writes packet i, complete, to dst: fz_split_len bytes, not overlapping the frame. */
void fz_split_write(const struct fz_split *s, uint32_t i, uint8_t *dst) FZ_NONNULL(1, 3);
