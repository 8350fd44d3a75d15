/*
 * A TURN server in virtual time, as far as Firezone's relay goes (protocol 4.3): BINDING, ALLOCATE, REFRESH, CHANNEL-BIND
 * and channel data, long-term credentials with a nonce per client, and switches for what other servers, or broken ones, do.
 */
#pragma once

#include "base/addr.h"
#include "base/bytes.h"
#include "base/time.h"
#include "path/stun.h"

#define SIM_RELAY_CLIENTS  16
#define SIM_RELAY_CHANNELS 64

typedef void (*sim_emit)(
	void *user, const struct fz_addr *from, const struct fz_addr *to, struct fz_bytes pkt);

struct sim_relay_channel {
	uint16_t number;
	struct fz_addr peer;
	fz_time until;
};

struct sim_relay_client {
	struct fz_addr addr; /* family 0: free */
	char username[64];
	uint8_t nonce[16];
	uint32_t n_requests; /* with this nonce */
	bool has_nonce, has_allocation;
	struct fz_addr relayed;
	fz_time until;
	struct sim_relay_channel channels[SIM_RELAY_CHANNELS];
};

struct sim_relay {
	struct fz_addr addr;
	const char *password; /* of every user whose name is not "stranger" */
	bool is_dead;
	bool leaves_errors_unsigned;
	bool calls_all_stale; /* every nonce */
	bool is_strict; /* credentials without a nonce are a bad request (coturn) */
	bool lies; /* answers carry a wrong signature */
	uint32_t nonce_lives; /* requests; 0: forever */
	uint16_t refuses_allocate; /* an error code; 0: does not */
	uint16_t refuses_bind; /* likewise */
	uint32_t lifetime; /* seconds; 0: 600 */
	uint16_t next_port;
	uint64_t rng;
	struct sim_relay_client clients[SIM_RELAY_CLIENTS];
	uint32_t n_seen[16]; /* requests by method */
	uint32_t n_relayed;
};

/* A datagram that came to the server's address or to one of its relayed addresses. */
void sim_relay_receive(struct sim_relay *r, fz_time now, const struct fz_addr *from,
	const struct fz_addr *to, struct fz_bytes pkt, sim_emit emit, void *user);
/* Forgets everybody, as a restart does. */
void sim_relay_restart(struct sim_relay *r);
