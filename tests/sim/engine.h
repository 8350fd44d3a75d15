/*
 * One WireGuard device in virtual time, with the AEAD around it as a shell would have it: what it sends goes to a
 * callback, what comes out of its tunnel to another. For unit tests, the simulation and the fuzzers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "support/test.h"
#include "wg/device.h"

#define SIM_DATAGRAM_MAX 2048

struct sim_datagram {
	struct fz_addr from, to;
	uint8_t tos;
	size_t len;
	uint8_t bytes[SIM_DATAGRAM_MAX];
};

struct sim_engine;

struct sim_hooks {
	/* A datagram leaves; longer ones than SIM_DATAGRAM_MAX fail the test. */
	void (*sent)(void *user, struct sim_engine *from, const struct sim_datagram *d);
	/* An inner packet comes out of the tunnel. */
	void (*delivered)(
		void *user, struct sim_engine *to, struct wg_peer *p, struct fz_bytes inner);
	void *user;
};

struct sim_engine {
	struct wg_device *device;
	struct fz_aead *aead;
	struct test_rng rng; /* the device's randomness */
	struct fz_key private;
	uint8_t public[32];
	struct fz_addr addr; /* where its datagrams come from */
	struct sim_hooks hooks;
	uint32_t budget; /* handshakes per poll */
	bool is_refused; /* by its socket: what it polls goes nowhere */
};

/* Made, keyed from the seed, and up. */
void sim_engine_init(struct sim_engine *e, uint64_t seed, struct fz_addr addr,
	struct sim_hooks hooks, struct fz_now now);
void sim_engine_done(struct sim_engine *e);
/* Adds `other` as a peer with a host route for 10.0.0.<host>/32 and fd00::<host>/128. `at` may be NULL. */
struct wg_peer *sim_engine_add(struct sim_engine *e, const struct sim_engine *other, uint8_t host,
	const struct fz_addr *at);

/* An inner packet from the TUN: claimed, sealed and sent, or staged. Does not poll. */
enum wg_drop sim_engine_send(struct sim_engine *e, struct fz_now now, struct fz_bytes inner);
/* A datagram from the network. Does not poll. Returns its verdict. */
enum wg_drop sim_engine_receive(
	struct sim_engine *e, struct fz_now now, const struct sim_datagram *d);
/* Sends everything the device has to say. Returns how many datagrams that were. */
uint32_t sim_engine_poll(struct sim_engine *e, struct fz_now now);

/* A minimal IP packet with `len` bytes after its header: 10.0.0.<from> to 10.0.0.<to>, or fd00::. Returns its length. */
size_t sim_write_ip4(struct fz_span out, uint8_t from, uint8_t to, size_t len, uint64_t mark);
size_t sim_write_ip6(struct fz_span out, uint8_t from, uint8_t to, size_t len, uint64_t mark);
/* The mark of such a packet, 0 if it is too short to hold one. */
uint64_t sim_mark_of(struct fz_bytes inner);

struct fz_addr sim_addr(uint8_t host, uint16_t port); /* 192.0.2.<host> */
struct fz_now sim_time(uint64_t ms); /* both clocks; the wall clock starts in 2026 */

/* Two engines that know each other and a wire between them that holds datagrams until it is pumped. */
#define SIM_WIRE_MAX 1024

struct sim_pair {
	struct sim_engine a, b;
	struct wg_peer *peer_b, *peer_a; /* as a and b know them */
	struct fz_now now;
	uint32_t n;
	struct sim_datagram wire[SIM_WIRE_MAX];
	uint32_t n_sent_a, n_sent_b; /* datagrams so far */
	uint32_t n_got_a, n_got_b; /* inner packets so far */
	uint8_t last_inner[SIM_DATAGRAM_MAX];
	size_t last_inner_len;
	struct wg_peer *last_owner;
};

/* a is host 1 at 192.0.2.1, b is host 2 at 192.0.2.2; both know where the other is. */
struct sim_pair *sim_pair_new(uint64_t seed);
void sim_pair_free(struct sim_pair *p);
void sim_pair_poll(struct sim_pair *p);
/* Delivers and polls until nothing moves. */
void sim_pair_pump(struct sim_pair *p);
/* Virtual time passes; every deadline on the way is kept and the wire pumped at each. */
void sim_pair_wait(struct sim_pair *p, fz_dur d);
/* As above, but what is sent stays on the wire, in order, unless that is full. */
void sim_pair_wait_unplugged(struct sim_pair *p, fz_dur d);
/* a sends one packet of `len` payload bytes to b, or b to a; pumped. */
enum wg_drop sim_pair_ping(struct sim_pair *p, bool from_a, size_t len);
/* Takes the i-th datagram off the wire. */
struct sim_datagram sim_pair_take(struct sim_pair *p, uint32_t i);
uint32_t sim_type_of(const struct sim_datagram *d);
