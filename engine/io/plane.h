/*
 * The data plane of one tunnel: threads that carry trains between a TUN and UDP sockets through a struct wg_device. The
 * device is guarded by one lock, held once per train and never during a system call or bulk encryption. One thread
 * does both directions; two split them (receiving, sending), so that nothing within a flow changes order; further ones
 * help these two with the AEAD, a batch at a time (io/crew.h). Where the number is ours to choose, the second thread takes part
 * only while the first has too much to do.
 *
 * Made and configured by the control thread; threads and rings exist between start and stop (after any fork).
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "crypto/aead.h"
#include "io/backend.h"
#include "io/tun.h"
#include "io/udp.h"
#include "wg/device.h"

struct fz_plane;

enum fz_plane_outbound {
	FZ_PLANE_CARRY, /* claimed */
	FZ_PLANE_STAGE, /* wg_tx_stage for claim.peer */
	FZ_PLANE_HELD, /* kept by the hook: further packets of the frame go to `hold` */
	FZ_PLANE_ANSWER, /* *ret_len bytes of `out` go to the TUN */
	FZ_PLANE_REFUSE,
};

/*
 * What a node adds (daemon/node.h); firezone-wg has none. Each may be NULL; all are called with the device locked, from a
 * data thread, and must not block.
 */
struct fz_plane_hooks {
	void *user;
	/*
	 * A datagram whose first bytes are not a WireGuard message (STUN, TURN channel data). True: *datagram is now the
	 * WireGuard message that was in it, to be received with the others of its train.
	 */
	bool (*other)(void *user, struct fz_now now, const struct wg_endpoint *from,
		struct fz_span *datagram);
	/* Instead of wg_tx_claim: for n packets of one flow, given the first one, complete. */
	enum fz_plane_outbound (*outbound)(void *user, struct fz_now now, struct fz_bytes packet,
		uint32_t n, struct fz_span out, struct wg_tx_claim *ret_claim, size_t *ret_len);
	void (*hold)(void *user, struct fz_now now, struct fz_bytes packet);
	/* After wg_rx_finish: may turn kept packets into drops by setting inner[i].n = 0. */
	void (*filter)(void *user, struct fz_now now, struct wg_rx_train *t);
	/* What is to be sent beside the device's own datagrams, like wg_device_poll and wg_device_deadline. */
	bool (*poll)(void *user, struct fz_now now, struct wg_output *ret_out);
	fz_time (*deadline)(void *user);
};

struct fz_plane_params {
	struct wg_device *device;
	struct fz_tun tun; /* the descriptor stays the caller's */
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads; /* 0: from the number of CPUs */
	const struct fz_plane_hooks *hooks; /* NULL: none */
};

void fz_plane_free(struct fz_plane *p);
/* 0 or negative errno or enum fz_err. */
int fz_plane_new(const struct fz_plane_params *params, struct fz_plane **ret_plane)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Makes backends and threads; what cannot be had is logged and returned, and nothing is running then. */
int fz_plane_start(struct fz_plane *p) FZ_NONNULL(1) FZ_MUST_CHECK;
void fz_plane_stop(struct fz_plane *p) FZ_NONNULL(1);

/* Any thread but a data thread; not recursive. */
void fz_plane_lock(struct fz_plane *p) FZ_NONNULL(1);
/* Unlocks and has the device looked at again: its deadline may have moved, it may have something to say. */
void fz_plane_unlock(struct fz_plane *p) FZ_NONNULL(1);
/* Has lane `number` read the TUN from its next turn on. For tests; the load decides where threads is 0. */
void fz_plane_move_tun(struct fz_plane *p, unsigned number) FZ_NONNULL(1);
/* Replaces the sockets of all threads; when it returns, the old descriptors are no longer used. {-1, -1}: none. */
void fz_plane_set_udp(struct fz_plane *p, const struct fz_udp *udp) FZ_NONNULL(1, 2);
/* Readable once the data plane cannot go on (the TUN is gone); the cause from fz_plane_fatal. */
int fz_plane_fatal_fd(const struct fz_plane *p) FZ_NONNULL(1);
int fz_plane_fatal(const struct fz_plane *p) FZ_NONNULL(1);

/* Sums over all threads; approximate while they run. */
struct fz_plane_counters {
	uint64_t rx_trains, rx_packets, tx_frames, tx_packets, tx_trains, tun_writes;
	uint64_t gso_refused, coalesce_refused;
	uint64_t
		overflows; /* completion queues that ran over: nothing is lost, but they are too small */
};

void fz_plane_counters(struct fz_plane *p, struct fz_plane_counters *ret) FZ_NONNULL(1, 2);
/* "uring" or "epoll", and the AEAD's name; after start. */
const char *fz_plane_io_name(const struct fz_plane *p) FZ_NONNULL(1);
const char *fz_plane_aead_name(const struct fz_plane *p) FZ_NONNULL(1);
unsigned fz_plane_threads(const struct fz_plane *p) FZ_NONNULL(1);
