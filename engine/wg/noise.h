/*
 * Noise_IKpsk2 as WireGuard uses it (whitepaper 5.4): the four cryptographic steps of a handshake, for both roles,
 * and nothing of when they happen. All of a peer's handshake secrets sit in one struct wg_noise_peer, which belongs on
 * locked pages. Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "wg/keypair.h"
#include "wg/messages.h"

/* We. On locked pages. */
struct wg_noise_self {
	struct fz_key private;
	uint8_t public[WG_PUBLIC_LEN];
	bool is_set;
};

enum wg_handshake_state {
	WG_HANDSHAKE_NONE,
	WG_HANDSHAKE_SENT_INITIATION,
	WG_HANDSHAKE_GOT_INITIATION,
	WG_HANDSHAKE_ANSWERED
};

struct wg_handshake {
	enum wg_handshake_state state;
	uint32_t local_index; /* in the index table while has_index */
	bool has_index;
	uint32_t remote_index;
	struct fz_key ephemeral; /* ours, private */
	struct fz_key chain, hash;
	uint8_t remote_ephemeral[WG_PUBLIC_LEN];
};

/* The other side. On locked pages. */
struct wg_noise_peer {
	uint8_t public[WG_PUBLIC_LEN];
	struct fz_key psk; /* zeros: none */
	struct fz_key static_static; /* kept: one X25519 less per handshake */
	bool has_static_static;
	uint8_t newest_timestamp[WG_TIMESTAMP_LEN]; /* of the initiations accepted so far */
	struct wg_handshake handshake;
};

/* An initiation being read; nothing of it is believed until the last step. Wipe with wg_noise_incoming_wipep. */
struct wg_noise_incoming {
	uint8_t public[WG_PUBLIC_LEN]; /* who claims to send it */
	uint8_t ephemeral[WG_PUBLIC_LEN];
	uint8_t timestamp[WG_TIMESTAMP_LEN];
	uint32_t sender;
	struct fz_key chain, hash;
};

void wg_noise_incoming_wipep(struct wg_noise_incoming *in) FZ_NONNULL(1);

/* All-zero removes the identity; else stored clamped. */
void wg_noise_self_set(struct wg_noise_self *self, const struct fz_key *private) FZ_NONNULL(1, 2);

/* TAI64N with the nanoseconds rounded down to a multiple of 2^24, so that precise clocks do not show. */
void wg_noise_timestamp(fz_wall now, uint8_t ret_stamp[static WG_TIMESTAMP_LEN]);

/*
 * Writes all of an initiation but sender and macs, and leaves the handshake in SENT_INITIATION. `ephemeral` is 32
 * random bytes. False: a low-order key, the handshake is unusable.
 */
bool wg_noise_write_initiation(const struct wg_noise_self *self, struct wg_noise_peer *p,
	const struct fz_key *ephemeral, fz_wall now, struct wg_msg_initiation *ret_msg)
	FZ_NONNULL(1, 2, 3, 5) FZ_MUST_CHECK;
/* First half of reading: who says he sent it. False: not for us, or a low-order key. */
bool wg_noise_open_static(const struct wg_noise_self *self, const struct wg_msg_initiation *msg,
	struct wg_noise_incoming *ret_in) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* Second half, with that peer: proves it. Changes nothing of the handshake. */
bool wg_noise_open_timestamp(const struct wg_noise_self *self, struct wg_noise_peer *p,
	const struct wg_msg_initiation *msg, struct wg_noise_incoming *in)
	FZ_NONNULL(1, 2, 3, 4) FZ_MUST_CHECK;
/* Believes it: GOT_INITIATION. */
void wg_noise_accept(struct wg_noise_peer *p, const struct wg_noise_incoming *in) FZ_NONNULL(1, 2);
/* Writes all of a response but sender and macs: ANSWERED. False as above. */
bool wg_noise_write_response(struct wg_noise_peer *p, const struct fz_key *ephemeral,
	struct wg_msg_response *ret_msg) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* Reads the answer to our initiation: ANSWERED, or false and nothing has changed. */
bool wg_noise_read_response(const struct wg_noise_self *self, struct wg_noise_peer *p,
	const struct wg_msg_response *msg) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* The two transport keys out of an ANSWERED handshake; its secrets are wiped, state NONE, the index stays. */
void wg_noise_derive(struct wg_noise_peer *p, bool is_initiator, struct wg_keys *ret_keys)
	FZ_NONNULL(1, 3);
/* Wipes the secrets; index fields stay for the caller to release. */
void wg_noise_forget(struct wg_handshake *h) FZ_NONNULL(1);
