/*
 * Packets on their way to the TUN, gathered into TSO and USO super-packets: consecutive segments of one TCP connection
 * and datagrams of one UDP flow become one write with a vnet header, without a copy of any payload. Packets of a
 * connection never change order, a packet that cannot be merged exactly as Linux' GRO would is left alone, and inner
 * checksums are verified before a merge hides them. One per receiving thread; nothing allocates after _new.
 *
 *	fz_coalesce_begin(c, caps);
 *	for each inner packet: if (!fz_coalesce_add(c, pkt)) { write out as below; begin again; add }
 *	n = fz_coalesce_end(c);
 *	for (i = 0; i < n; i++) writev(tun, fz_coalesce_item(c, i)->iov, ...);
 *
 * With FZ_COALESCE_HEADROOM the vnet header of a packet that stays alone is written in front of it, and its item is one piece.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZ_COALESCE_PACKETS_MAX  512 /* per flush: four full trains */
#define FZ_COALESCE_SEGMENTS_MAX 64 /* per item: UDP_MAX_SEGMENTS of older kernels */
#define FZ_COALESCE_IOV_MAX      66

/* What the TUN takes; TUNSETOFFLOAD accepted it. Without FZ_COALESCE_VNET the TUN has no vnet headers and nothing merges. */
enum fz_coalesce_caps {
	FZ_COALESCE_VNET = 1,
	FZ_COALESCE_TCP4 = 2,
	FZ_COALESCE_TCP6 = 4,
	FZ_COALESCE_USO = 8,
	FZ_COALESCE_ALL = 15,
	/* Not of the TUN but of the packets: FZ_VNET_HDR_LEN bytes before each are for us to write. */
	FZ_COALESCE_HEADROOM = 16
};

struct fz_coalesce;

struct fz_coalesce *fz_coalesce_new(void) FZ_MUST_CHECK; /* or NULL: no memory */
void fz_coalesce_free(struct fz_coalesce *c);

/* `caps` is a set of enum fz_coalesce_caps. Forgets everything before it. */
void fz_coalesce_begin(struct fz_coalesce *c, unsigned caps) FZ_NONNULL(1);
/* The packet is borrowed until the next begin and never changed. False: full, not taken. */
bool fz_coalesce_add(struct fz_coalesce *c, struct fz_span packet) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Lays out the items; how many there are. After it only item, packet and begin are legal. */
size_t fz_coalesce_end(struct fz_coalesce *c) FZ_NONNULL(1);

/* One write to the TUN. */
struct fz_coalesce_item {
	struct iovec *iov; /* vnet header (if any), headers, payloads; the caller may consume it */
	uint32_t n_iov; /* at most FZ_COALESCE_IOV_MAX */
	uint32_t n_packets;
	uint32_t len; /* bytes in all of iov */
};

/* i < what end returned; in the order in which each item's first packet came. Borrowed until the next begin. */
const struct fz_coalesce_item *fz_coalesce_item(const struct fz_coalesce *c, size_t i)
	FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/*
 * The k-th packet of item i as it came (k < n_packets), to write one by one what the kernel refused merged. A plain
 * write needs fz_coalesce_no_offload before it where the TUN has vnet headers.
 */
struct fz_bytes fz_coalesce_packet(const struct fz_coalesce *c, size_t i, size_t k) FZ_NONNULL(1);
/* Ten zero bytes; static. */
struct fz_bytes fz_coalesce_no_offload(void);
