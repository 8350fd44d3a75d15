/*
 * One data thread's work: what a turn brought in is opened or sealed, and becomes the next turn's output. Private to
 * engine/io. Memory is all taken in fz_lane_new; a packet never allocates.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/endian.h"
#include "io/backend.h"
#include "io/crew.h"
#include "io/plane.h"
#include "offload/coalesce.h"
#include "offload/split.h"

#define FZ_LANE_SLABS   16 /* outgoing trains of one turn */
#define FZ_LANE_JOBS    64 /* packets sealed at once, while they are still in the cache */
#define FZ_LANE_NO_SEND UINT32_MAX

/* What lanes of one plane share. */
struct fz_lane_shared {
	pthread_mutex_t lock; /* guards device */
	struct wg_device *device;
	struct fz_plane_hooks hooks;
	struct fz_crew *crew; /* NULL: no helpers */
	unsigned tun_caps;
	_Atomic bool
		coalesce_is_refused; /* the kernel rejected a merged write: write singly from now on */
	_Atomic bool gso_is_refused; /* the kernel rejected GSO: send singly from now on */
	/*
	 * Who reads the TUN, and therefore polls the device: `tun_lane` does, until it sees that another is wanted; it then sends
	 * what it has, leaves the TUN, and only then names the other one here (lane_load.c).
	 */
	_Atomic uint32_t tun_lane, tun_wanted;
	bool splits_by_load; /* two lanes, the second one used only while the first has too much to do */
	int wake_fds[FZ_CREW_OWNERS]; /* eventfds of the lanes */
	_Atomic clockid_t clocks[FZ_CREW_OWNERS]; /* their threads' processor time */
	fz_time polled_until; /* the deadline that lane knows; under the lock */
	_Atomic bool
		poller_waits; /* and would not notice an earlier deadline by itself; set under the lock */
	fz_time unsent_news_from; /* when failing sends may be spoken of again; under the lock */
	uint64_t n_data; /* packets carried so far, both ways; under the lock */
};

/* An outgoing train and the claims in it. */
struct fz_lane_claim {
	struct wg_tx_claim claim;
	uint64_t bytes;
	uint32_t send; /* index into the turn's sends; FZ_LANE_NO_SEND */
	bool is_sent; /* known once the send has been flushed */
};

/* A destination whose path refused a train: for a while its datagrams go singly and may be fragmented. */
struct fz_lane_narrow {
	struct fz_addr remote;
	fz_time until;
};

#define FZ_LANE_NARROW_MAX 8

/* What a lane did since `from`, to tell whether it has too much to do. */
struct fz_lane_window {
	fz_time from, until;
	uint64_t busy_ns[FZ_CREW_OWNERS]; /* of each lane's thread, at `from` */
	uint64_t rx, tx; /* packets carried, at `from` */
};

struct fz_lane {
	struct fz_lane_shared *shared;
	const struct fz_backend_ops *ops;
	struct fz_backend *backend;
	struct fz_aead *aead;
	struct fz_coalesce *coalesce;
	uint32_t
		n_item_writes; /* the turn's first writes are the coalescer's items, in its order */
	unsigned number; /* of the lane in its plane */
	/* Reads the TUN and polls the device: what waited for a session is not overtaken by what did not have to. */
	bool has_tun;
	bool has_udp_gso;
	fz_time deadline; /* when to poll the device; lane that polls */
	fz_time handshakes_from; /* while data flows: not before, so that they take but a part of the time */
	uint64_t n_data_seen; /* at the last poll */
	struct fz_lane_window window;
	fz_time data_until; /* data counts as flowing until then */
	struct fz_plane_counters counters;
	struct fz_plane_counters published; /* under the lock */

	struct fz_io_turn turn;
	struct wg_rx_train trains[FZ_IO_DATAGRAMS];
	uint32_t n_jobs; /* not yet sealed */
	struct fz_aead_job jobs[FZ_LANE_JOBS];
	uint32_t n_claims;
	struct fz_lane_claim claims[FZ_IO_FRAMES + 1];
	struct fz_split splits
		[FZ_IO_FRAMES]; /* of the turn's frames; n is 0 for those that are not carried */
	uint32_t padding[FZ_IO_FRAMES][2]; /* of all packets but the last, and of the last */
	uint32_t n_said; /* data of the device's own among the sends: it is told how they went */

	struct {
		uint32_t send, session;
		fz_time at;
	} said[FZ_IO_SENDS];

	uint32_t n_narrow;
	struct fz_lane_narrow narrow[FZ_LANE_NARROW_MAX];
	uint32_t n_slabs;
	uint8_t *slabs[FZ_LANE_SLABS];
	uint8_t *scratch; /* packets on their way into the staging queue */
	struct fz_span resting
		[FZ_IO_DATAGRAMS]; /* the other set of receive buffers: what is being written is not received into */
	uint8_t *memory;
	size_t memory_len;
	struct iovec icmp_iov[2];
	uint8_t icmp[10 + WG_ICMP_MAX]; /* behind an empty virtio header */
};

void fz_lane_free(struct fz_lane *l);
int fz_lane_new(struct fz_lane_shared *shared, const struct fz_backend_ops *ops,
	const struct fz_io_params *params, enum fz_aead_kind aead, unsigned number,
	struct fz_lane **ret_lane) FZ_NONNULL(1, 2, 3, 6) FZ_MUST_CHECK;
void fz_lane_set_udp(struct fz_lane *l, const struct fz_udp *udp) FZ_NONNULL(1, 2);
/* One turn: waits, carries, and answers. Returns 0, or negative errno once the TUN is gone. */
int fz_lane_run(struct fz_lane *l) FZ_NONNULL(1) FZ_MUST_CHECK;

/* lane_load.c: before a turn, takes over the TUN or hands it to the lane that is wanted; judges whether that should change. */
void fz_lane_place_tun(struct fz_lane *l) FZ_NONNULL(1);
void fz_lane_judge_load(struct fz_lane *l, fz_time now) FZ_NONNULL(1);

/* lane_rx.c, lane_tx.c: fill the turn's outputs from its inputs. */
void fz_lane_receive(struct fz_lane *l, struct fz_now now) FZ_NONNULL(1);
void fz_lane_transmit(struct fz_lane *l, struct fz_now now) FZ_NONNULL(1);
/* Lets the device speak: handshakes, keepalives, what waited. */
void fz_lane_poll_device(struct fz_lane *l, struct fz_now now) FZ_NONNULL(1);
/* Sends out what is queued without reading, ends the claims, and frees the slabs. */
void fz_lane_flush(struct fz_lane *l) FZ_NONNULL(1);
/* After outputs were carried out: claims end, refused merges and trains are repeated singly. */
void fz_lane_settle(struct fz_lane *l, struct fz_now now) FZ_NONNULL(1);
/* May datagrams go to `remote` as a train? */
bool fz_lane_may_train(const struct fz_lane *l, const struct fz_addr *remote)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* What goes in front of a datagram that a relay is to pass on (RFC 8656, 12.4). */
static inline uint32_t fz_lane_channel_header_len(const struct wg_endpoint *to)
{
	return to->channel == 0 ? 0 : 4;
}

static inline void fz_lane_write_channel_header(
	const struct wg_endpoint *to, size_t len, uint8_t out[static 4])
{
	uint16_t n = (uint16_t)len;
	fz_be16_store(out, to->channel);
	fz_be16_store(out + 2, n);
}

/* Writes an eventfd of wake_fds, or another. */
void fz_lane_wake(int fd);

/* Would a slab more send what is queued first? */
static inline bool fz_lane_has_to_flush(const struct fz_lane *l)
{
	return l->n_slabs == FZ_LANE_SLABS || l->turn.n_sends == FZ_IO_SENDS;
}

/* A slab, flushing first if all are in use. */
uint8_t *fz_lane_slab(struct fz_lane *l) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
