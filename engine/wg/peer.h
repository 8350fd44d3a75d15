/*
 * A peer as the device's files see it; users of the device know the pointer only (wg/device.h). Fields of the data
 * path come first. One thread: the device's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"
#include "wg/allowedips.h"
#include "wg/cookie.h"
#include "wg/device.h"
#include "wg/keypair.h"
#include "wg/noise.h"
#include "wg/staging.h"
#include "wg/timers.h"

/* On locked pages. */
struct wg_peer_secret {
	struct wg_noise_peer noise;
	struct wg_cookie_maker cookie;
};

struct wg_peer {
	struct wg_device *device;
	struct wg_keypair *current, *previous, *next;
	struct wg_endpoint endpoint; /* remote.ip.family 0: unknown */
	uint64_t rx_bytes, tx_bytes;
	fz_time last_rx, last_tx;
	struct wg_timers timers;

	/* What wg_device_poll has to do for it. */
	struct fz_node in_output; /* linked while any of these may hold */
	bool wants_initiation, wants_keepalive, wants_flush;
	bool keepalive_waits; /* for a session, like a staged packet without content */

	uint16_t keepalive_seconds;
	bool is_managed, has_way; /* wg_peer_set_managed */
	uint32_t max_retransmits;
	fz_time initiation_allowed; /* 5 s after the last handshake message of ours */
	fz_time consumption_allowed; /* 20 ms after the last initiation of theirs */
	fz_wall last_handshake;

	struct wg_staging_queue staged;
	struct wg_allowed_owner allowed;
	struct wg_peer_secret *secret;
	struct fz_list keypairs; /* all that point here, lent ones too */
	struct fz_node in_device;
	void *user;
};

/* NULL: no memory. Allocation only: the device links it. */
struct wg_peer *wg_peer_new_maybe(struct wg_device *d, const uint8_t pub[static 32])
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* Ends sessions, timers, staging, allowed-IPs; then frees. */
void wg_peer_free(struct wg_peer *p) FZ_NONNULL(1);

/* Puts the peer on the list of those wg_device_poll asks for a datagram. */
void wg_peer_has_output(struct wg_peer *p) FZ_NONNULL(1);
/* Asks for an initiation unless one went out under 5 s ago. A retry keeps the count of attempts. */
void wg_peer_want_initiation(struct wg_peer *p, fz_time now, bool is_retry) FZ_NONNULL(1);
/* Sends the staged packets, or an empty one if there are none. Without a session, asks for one first. */
void wg_peer_want_keepalive(struct wg_peer *p) FZ_NONNULL(1);
/* Sends what waits, if anything does. */
void wg_peer_want_flush(struct wg_peer *p) FZ_NONNULL(1);
void wg_peer_purge_staged(struct wg_peer *p) FZ_NONNULL(1);
/* The authentic source of a message becomes the endpoint, unless there is a way. */
void wg_peer_move_endpoint(struct wg_peer *p, const struct wg_endpoint *from) FZ_NONNULL(1, 2);

/* Makes a session of an answered handshake and puts it into its slot. False: no memory, the handshake is wiped. */
bool wg_peer_begin_session(struct wg_peer *p, bool is_initiator, fz_time now)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* An authentic packet came with this keypair. True if it confirmed the waiting one, which is current from now on. */
bool wg_peer_confirm_session(struct wg_peer *p, struct wg_keypair *k) FZ_NONNULL(1, 2);
/* Asks for a new session if the current one is old enough: whitepaper 6.2, after sending and after receiving. */
void wg_peer_keep_key_fresh_sent(struct wg_peer *p, fz_time now) FZ_NONNULL(1);
void wg_peer_keep_key_fresh_received(struct wg_peer *p, fz_time now) FZ_NONNULL(1);
/* The private key changed: nothing is sent with these keys any more; what is under way may still arrive. */
void wg_peer_stop_sending(struct wg_peer *p) FZ_NONNULL(1);
/* Retires every session that is WG_ZERO_KEYS_AFTER old; when the next one will be, FZ_NEVER if there is none. */
fz_time wg_peer_retire_sessions(struct wg_peer *p, fz_time now) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Wipes handshake and keypairs. */
void wg_peer_wipe_sessions(struct wg_peer *p) FZ_NONNULL(1);
void wg_peer_forget_handshake(struct wg_peer *p) FZ_NONNULL(1);
