/* The device's own state, shared by its files only: device*.c, peer.c, timers.c. One thread: the device's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/hash.h"
#include "base/list.h"
#include "wg/allowedips.h"
#include "wg/cookie.h"
#include "wg/device.h"
#include "wg/index.h"
#include "wg/noise.h"
#include "wg/peer_table.h"
#include "wg/ratelimit.h"
#include "wg/schedule.h"
#include "wg/slab.h"
#include "wg/staging.h"

/* On locked pages. */
struct wg_device_secret {
	struct wg_noise_self self;
	struct wg_cookie_checker checker;
};

/* A handshake message that passed its first check and waits for wg_device_poll. */
struct wg_queued_handshake {
	struct wg_endpoint from;
	uint8_t len;
	uint8_t msg[148];
};

struct wg_handshake_queue {
	struct wg_queued_handshake *slots; /* WG_MAX_HANDSHAKES */
	uint32_t head, n;
	fz_time load_until; /* under load at least until then */
};

struct wg_event {
	enum wg_event_kind kind;
	struct wg_peer *peer; /* NULL: taken back */
};

struct wg_event_queue {
	struct wg_event *slots; /* WG_MAX_EVENTS */
	uint32_t head, n;
};

struct wg_device {
	struct wg_device_params params;
	struct wg_device_secret *secret;
	bool is_up;
	uint64_t jitter;
	uint32_t mtu;
	uint16_t port; /* our datagrams leave from here; 0: unknown */
	uint64_t drops[WG_DROP_COUNT_];

	struct fz_list peers; /* in order of addition */
	struct wg_peer_table by_key;
	struct wg_allowedips allowed;
	struct wg_index_table indices;
	struct wg_schedule schedule;
	struct fz_list output; /* peers with something to send */
	struct wg_handshake_queue handshakes;
	uint32_t n_cheap; /* messages turned away without an X25519 */
	struct wg_event_queue events;
	struct wg_ratelimit ratelimit;
	struct wg_staging staging;
	struct wg_slab keys_slab, peer_slab;

	fz_time icmp_last;
	uint64_t icmp_tokens;
	uint8_t out[WG_OUTPUT_MAX];
};

void wg_device_random(struct wg_device *d, void *out, size_t n) FZ_NONNULL(1, 2);
/* 0..2^32-1, for timers only: cheap and guessable. */
uint64_t wg_device_jitter32(struct wg_device *d) FZ_NONNULL(1);
void wg_device_tell(struct wg_device *d, enum wg_event_kind kind, struct wg_peer *p)
	FZ_NONNULL(1, 3);

static inline void wg_device_drop(struct wg_device *d, enum wg_drop why, uint64_t n)
{
	d->drops[why] += n;
}

/* device_handshake.c: the queue. _put: false if it is full. */
bool wg_handshakes_put(struct wg_device *d, struct fz_bytes msg, const struct wg_endpoint *from)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/*
 * Handles the oldest message; true if there is an answer to send at once. *ret_dear: it took an X25519, or may have. The
 * queue is not empty.
 */
bool wg_handshakes_handle_one(struct wg_device *d, struct fz_now now, struct wg_output *ret_out,
	bool *ret_dear) FZ_NONNULL(1, 3, 4) FZ_MUST_CHECK;
/* Writes an initiation into d->out; false if none is possible or allowed now. */
bool wg_handshakes_initiate(struct wg_peer *p, struct fz_now now, struct wg_output *ret_out)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;

/* device_tx.c: what went out, for the peer's timers and counters. */
void wg_peer_sent(struct wg_peer *p, fz_time now, fz_time since, uint64_t bytes, bool has_data)
	FZ_NONNULL(1);
