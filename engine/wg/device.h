/*
 * A WireGuard device as a pure state machine: peers, handshakes, sessions, timers, allowed-IPs. No system call, clock,
 * lock or thread in here: every call is given the present, randomness comes from a callback, and what is to be sent is
 * given back. One caller at a time (the shell holds one lock around a whole train, never per packet). The AEAD of
 * transport data runs outside, between *_begin/_claim and *_finish/_sent, so that no lock is held while it does.
 *
 * Protocol: WireGuard whitepaper (Donenfeld 2017/2020) sections 5 and 6, Noise_IKpsk2.
 *
 * Life of a received train:  wg_rx_begin -> fz_aead_open_many -> wg_rx_finish -> shell writes survivors to the TUN.
 * Life of a sent train:      wg_tx_claim -> wg_tx_header each, fz_aead_seal_many -> shell sends -> wg_tx_sent.
 * Everything else the device wants to say (handshakes, keepalives, cookie replies, packets that waited for a
 * session) comes out of wg_device_poll; wg_device_deadline says when to call it at the latest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "wg/drop.h"

struct wg_device;
struct wg_peer;
struct wg_keypair;

/* Where a peer is and from which of our addresses we reach it ("sticky source"). local.family 0: let the kernel choose. */
struct wg_endpoint {
	struct fz_addr remote;
	struct fz_ip local;
	uint32_t ifindex; /* with local; 0 if none */
	/* TURN channel through the relay `remote`; 0: none. The device hands it on, the shell writes the header. */
	uint16_t channel;
};

struct wg_device_params {
	void (*random)(void *user, struct fz_span out); /* never fails */
	void *user;
	uint32_t max_peers; /* 0: 2^20 */
};

/* ---- device ------------------------------------------------------------------------------------------------- */

struct wg_device *wg_device_new(const struct wg_device_params *params) FZ_NONNULL(1) FZ_MUST_CHECK;
void wg_device_free(struct wg_device *d);

/* Up: sessions may form; staged packets and persistent keepalives go out. Down: handshakes, keys and staged packets are wiped. */
void wg_device_up(struct wg_device *d, struct fz_now now) FZ_NONNULL(1);
void wg_device_down(struct wg_device *d) FZ_NONNULL(1);
bool wg_device_is_up(const struct wg_device *d) FZ_NONNULL(1);

/* All-zero removes the identity. Clamped as stored; a peer with the same public key is removed. Same key: no effect. */
void wg_device_set_private_key(struct wg_device *d, const struct fz_key *key, struct fz_now now)
	FZ_NONNULL(1, 2);
/* False: none set. */
bool wg_device_private_key(const struct wg_device *d, struct fz_key *ret_key) FZ_NONNULL(1, 2);
bool wg_device_public_key(const struct wg_device *d, uint8_t ret_pub[static 32]) FZ_NONNULL(1);
/* Inner MTU: padding never exceeds it. 0: plain rounding to 16. */
void wg_device_set_mtu(struct wg_device *d, uint32_t mtu) FZ_NONNULL(1);
/*
 * The UDP port our datagrams leave from; 0 (at first): unknown. With it, a datagram of ours that a route leads back into the
 * tunnel is dropped (WG_DROP_LOOP) if it would go to the very peer it is addressed to.
 */
void wg_device_set_port(struct wg_device *d, uint16_t port) FZ_NONNULL(1);
/* Listen port or mark changed: forget every sticky source. */
void wg_device_clear_sources(struct wg_device *d) FZ_NONNULL(1);
/* Drops since the start by reason, indexed by enum wg_drop; borrowed for the device's life. */
const uint64_t *wg_device_drops(const struct wg_device *d) FZ_NONNULL(1);
/* For drops that the shell decides (TUN full, checksum, truncation). */
void wg_device_count_drop(struct wg_device *d, enum wg_drop why, uint64_t n) FZ_NONNULL(1);

/* ---- peers --------------------------------------------------------------------------------------------------- */

struct wg_peer *wg_device_find_peer(struct wg_device *d, const uint8_t pub[static 32])
	FZ_NONNULL(1);
/* 0 and the new peer; -EEXIST, -ENOMEM, FZ_ERR_LIMIT, or -EADDRINUSE if it is our own key. */
int wg_device_add_peer(struct wg_device *d, const uint8_t pub[static 32], struct wg_peer **ret_peer)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* The peer is gone for the caller; keypairs still lent to a train are freed when it ends. */
void wg_device_remove_peer(struct wg_device *d, struct wg_peer *p) FZ_NONNULL(1, 2);
void wg_device_remove_all_peers(struct wg_device *d) FZ_NONNULL(1);
uint32_t wg_device_n_peers(const struct wg_device *d) FZ_NONNULL(1);
/* In order of addition; NULL starts, NULL ends. */
struct wg_peer *wg_device_next_peer(const struct wg_device *d, const struct wg_peer *after)
	FZ_NONNULL(1);

const uint8_t *wg_peer_public_key(const struct wg_peer *p) FZ_NONNULL(1);
/* Zeros: none. */
void wg_peer_set_psk(struct wg_peer *p, const struct fz_key *psk) FZ_NONNULL(1, 2);
void wg_peer_psk(const struct wg_peer *p, struct fz_key *ret_psk) FZ_NONNULL(1, 2);
/* Configured endpoint: resets the sticky source. */
void wg_peer_set_endpoint(struct wg_peer *p, const struct fz_addr *remote) FZ_NONNULL(1, 2);
/* False: unknown. */
bool wg_peer_endpoint(const struct wg_peer *p, struct wg_endpoint *ret_ep) FZ_NONNULL(1, 2);
/* Off to on sends one at once if the device is up. */
void wg_peer_set_keepalive(struct wg_peer *p, uint16_t seconds, struct fz_now now) FZ_NONNULL(1);
uint16_t wg_peer_keepalive(const struct wg_peer *p) FZ_NONNULL(1);
/* A route or address change made this peer's sticky source doubtful. */
void wg_peer_clear_source(struct wg_peer *p) FZ_NONNULL(1);
/* Owner's cookie (firezoned keeps its connection there); NULL at first. */
void wg_peer_set_user(struct wg_peer *p, void *user) FZ_NONNULL(1);
void *wg_peer_user(const struct wg_peer *p) FZ_NONNULL(1);
/*
 * Its owner decides (Firezone's connections): any inner source is accepted, datagrams never move the endpoint while there
 * is a way, and a handshake is given up after `initiations` of them (at least 2; 20 by default). For good.
 */
void wg_peer_set_managed(struct wg_peer *p, uint32_t initiations) FZ_NONNULL(1);
/*
 * Of a managed peer: everything goes there from now on, with that source. NULL: no way; the last endpoint stays until the
 * next proven handshake message shows another one.
 */
void wg_peer_set_way(struct wg_peer *p, const struct wg_endpoint *way) FZ_NONNULL(1);
/* Wants a session now, whether or not there is traffic (Firezone: after nomination). */
void wg_peer_start_handshake(struct wg_peer *p, struct fz_now now) FZ_NONNULL(1);
/* Wipes sessions and handshake; the peer stays. */
void wg_peer_expire(struct wg_peer *p) FZ_NONNULL(1);

/* Host bits are masked; a prefix that another peer holds moves silently. -ENOMEM or -EINVAL (bits too large). */
int wg_peer_add_allowed_ip(struct wg_peer *p, const struct fz_prefix *prefix)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Removes it only if it is this peer's. */
void wg_peer_remove_allowed_ip(struct wg_peer *p, const struct fz_prefix *prefix) FZ_NONNULL(1, 2);
void wg_peer_clear_allowed_ips(struct wg_peer *p) FZ_NONNULL(1);
/* In order of insertion. `*cursor` starts as NULL; false at the end. Any change of the list ends the iteration. */
bool wg_peer_next_allowed_ip(const struct wg_peer *p, const void **cursor,
	struct fz_prefix *ret_prefix) FZ_NONNULL(1, 2, 3);

struct wg_peer_stats {
	/* As `wg show` counts: UDP payload of every message accepted or sent. */
	uint64_t rx_bytes, tx_bytes;
	fz_wall last_handshake; /* 0: never */
	fz_time last_rx, last_tx; /* authenticated packets; FZ_NEVER: none */
	bool has_session; /* a key to send with */
};

void wg_peer_stats(const struct wg_peer *p, fz_time now, struct wg_peer_stats *ret_stats)
	FZ_NONNULL(1, 3);

/* ---- receiving ----------------------------------------------------------------------------------------------- */

#define WG_TRAIN_MAX 128 /* UDP_MAX_SEGMENTS of recent kernels */

/*
 * A received train: datagrams of one UDP_GRO buffer (same source, same ECN). The caller owns the memory, fills `pkt`,
 * `n`, `from` and `ecn`. After wg_rx_begin, jobs[0..n_jobs) are to be opened (in place); job_seg[j] is its segment.
 * After wg_rx_finish, inner[i] is the plaintext IP packet of segment i (trimmed to its IP length, ECN applied) with
 * owner[i] the peer it came from, or {NULL, 0} if verdict[i] is not WG_KEEP. Do not touch the rest.
 */
struct wg_rx_train {
	struct wg_endpoint from;
	uint8_t ecn; /* of the outer header, 0..3 */
	uint16_t n;
	struct fz_span pkt[WG_TRAIN_MAX];

	uint16_t n_jobs;
	uint8_t job_seg[WG_TRAIN_MAX];
	struct fz_aead_job jobs[WG_TRAIN_MAX];

	enum wg_drop verdict[WG_TRAIN_MAX];
	struct fz_span inner[WG_TRAIN_MAX];
	struct wg_peer *owner[WG_TRAIN_MAX]; /* borrowed until the caller's lock is released */

	struct wg_keypair *keypair[WG_TRAIN_MAX]; /* lent: referenced until wg_rx_finish */
};

/*
 * Classifies each datagram. Transport data with a live key becomes a job. Handshake messages (types 1 to 3) with a
 * valid mac1 are copied to the bounded queue that wg_device_poll works off (WG_DROP_QUEUED). Everything else gets a verdict
 * and is counted.
 */
void wg_rx_begin(struct wg_device *d, struct fz_now now, struct wg_rx_train *t) FZ_NONNULL(1, 3);
/* Replay window, key rotation, endpoint, timers, source check: in this order, for authentic segments, in train order. */
void wg_rx_finish(struct wg_device *d, struct fz_now now, struct wg_rx_train *t) FZ_NONNULL(1, 3);

/* ---- sending ------------------------------------------------------------------------------------------------- */

/* What a train of n equal-sized-but-the-last packets to one inner destination needs. Filled by wg_tx_claim. */
struct wg_tx_claim {
	/* Borrowed until the caller's lock is released, also on WG_DROP_STAGE. */
	struct wg_peer *peer;
	struct wg_keypair *keypair; /* lent: referenced until wg_tx_sent */
	const struct fz_key *key;
	uint64_t counter; /* of the first packet; the others follow */
	uint32_t receiver; /* index in every header */
	struct wg_endpoint to;
	fz_time at; /* when it was claimed */
	uint8_t tos; /* outer TOS or traffic class: DSCP 0, ECN of the inner packet (RFC 6040) */
};

/*
 * Looks up the peer of an inner packet's destination and reserves n counters. `inner` needs its IP header only.
 * WG_KEEP: claim filled. WG_DROP_STAGE: no session yet; call wg_tx_stage for each packet (a handshake has been asked
 * for). Any other verdict: drop, already counted (n times); WG_DROP_NO_PEER and WG_DROP_NO_ENDPOINT deserve
 * wg_icmp_unreachable.
 */
enum wg_drop wg_tx_claim(struct wg_device *d, struct fz_now now, struct fz_bytes inner, uint32_t n,
	struct wg_tx_claim *ret_claim) FZ_NONNULL(1, 5) FZ_MUST_CHECK;
/* The same for a peer the caller already knows (firezoned routes by Resource, not by allowed-IPs). */
enum wg_drop wg_tx_claim_peer(struct wg_peer *p, struct fz_now now, struct fz_bytes inner,
	uint32_t n, struct wg_tx_claim *ret_claim) FZ_NONNULL(1, 5) FZ_MUST_CHECK;
/* Copies one finished packet (checksums complete) into the peer's staging queue: 128, the oldest is dropped. */
void wg_tx_stage(struct wg_device *d, struct wg_peer *p, struct fz_bytes inner, struct fz_now now)
	FZ_NONNULL(1, 2);
/* Zeros to append to an inner packet of len bytes: to a multiple of 16 but never beyond the MTU. */
uint32_t wg_tx_padding(const struct wg_device *d, uint32_t len) FZ_NONNULL(1);
/* Writes the 16-byte header of packet i of a claim. */
void wg_tx_header(const struct wg_tx_claim *c, uint32_t i, uint8_t out[static 16]) FZ_NONNULL(1);
/*
 * Ends the claim: drops the reference, counts `bytes` of UDP payload, drives timers. `sent` false: nothing left the
 * machine (the new-handshake timer is then not armed). `had_data`: at least one packet was not a keepalive.
 */
void wg_tx_sent(struct wg_device *d, struct fz_now now, struct wg_tx_claim *c, uint64_t bytes,
	bool sent, bool had_data) FZ_NONNULL(1, 3);
/* A send to this endpoint failed with EINVAL/EADDRNOTAVAIL/ENETUNREACH while a local source was set. */
void wg_tx_source_failed(struct wg_device *d, const struct wg_tx_claim *c) FZ_NONNULL(1, 2);

/*
 * ICMPv4 type 3 code 1 or ICMPv6 type 1 code 3 for an inner packet no peer takes, to be written to the TUN (RFC 792,
 * RFC 4443: never about ICMP errors, multicast or fragments but the first; rate-limited). The answer's source is the
 * packet's destination. Length of the answer in `out`, or 0 if none is due.
 */
#define WG_ICMP_MAX 1280
size_t wg_icmp_unreachable(struct wg_device *d, fz_time now, struct fz_bytes inner,
	struct fz_span out) FZ_NONNULL(1) FZ_MUST_CHECK;

/* ---- what the device itself has to say ----------------------------------------------------------------------- */

#define WG_OUTPUT_MAX (65535 + 64)

enum wg_event_kind {
	WG_EVENT_NONE,
	WG_EVENT_SESSION_UP,
	WG_EVENT_HANDSHAKE_GAVE_UP,
	WG_EVENT_ENDPOINT_MOVED
};

/* One datagram to send. pkt is borrowed until the next call on the device. */
struct wg_output {
	struct fz_bytes pkt;
	struct wg_endpoint to;
	struct wg_peer *peer; /* borrowed; NULL for cookie replies */
	uint8_t tos; /* 0x88 (AF41) for handshakes */
	bool has_data; /* not only a keepalive: wg_output_sent wants to hear of it */
	uint32_t session; /* our index of it, if so */
};

/*
 * Runs due timers, then up to `budget` queued handshake messages (each costs up to four X25519;
 * 16 that are turned away without one count as one), then hands out one
 * datagram per call; call until false. Thread: as the device.
 */
bool wg_device_poll(struct wg_device *d, struct fz_now now, uint32_t *budget,
	struct wg_output *ret_out) FZ_NONNULL(1, 3, 4) FZ_MUST_CHECK;
/*
 * An output with data has left the machine: only then is an answer waited for, and a new handshake due if none comes. No
 * effect if the session is gone meanwhile.
 */
void wg_output_sent(struct wg_device *d, struct fz_now now, fz_time since, uint32_t session)
	FZ_NONNULL(1);
/* When wg_device_poll has something to do even if nothing arrives: `now` or the past if work is queued already. */
fz_time wg_device_deadline(const struct wg_device *d) FZ_NONNULL(1);
/* The oldest event not yet taken; false: none. Bounded: the oldest are lost first. */
bool wg_device_take_event(struct wg_device *d, enum wg_event_kind *ret_kind,
	struct wg_peer **ret_peer) FZ_NONNULL(1, 2, 3);
