/* What turn.c (requests, allocation) and turn_channel.c (channels) share; nobody else includes it. */
#pragma once

#include "path/turn.h"

#define TURN_REQUESTS_MAX 32
#define TURN_TRIES_MAX    6
#define TURN_NONCE_MAX    256

struct turn_try {
	struct fz_stun_id id;
	fz_time at;
};

/* One request until it is answered or given up. */
struct turn_request {
	bool in_use;
	bool had_nonce; /* the last try was sent with one */
	bool is_delete; /* REFRESH with LIFETIME 0 */
	uint8_t n_tries, n_nonces;
	uint16_t method;
	uint16_t channel; /* index, for CHANNEL-BIND */
	struct fz_addr server;
	struct turn_try tries[TURN_TRIES_MAX]; /* round */
	fz_time next_try, gives_up;
	fz_dur delay;
};

enum turn_channel_state {
	TURN_CHANNEL_WANTED,
	TURN_CHANNEL_BINDING,
	TURN_CHANNEL_BOUND,
	TURN_CHANNEL_REFUSED
};

struct turn_channel {
	struct fz_addr peer; /* family 0: the slot is free */
	enum turn_channel_state state;
	fz_time bound_at; /* or asked for, or refused */
	bool has_received; /* since it was bound */
};

struct fz_turn {
	void (*random)(void *user, struct fz_span out);
	void *user;
	struct fz_addr server4, server6, active, local;
	char username[FZ_TURN_CREDENTIAL_MAX];
	uint8_t key[16];
	size_t nonce_len;
	uint8_t nonce[TURN_NONCE_MAX];
	enum fz_turn_state state;
	enum fz_turn_failure failure;
	bool has_rtt;
	bool starts_bare; /* credentials go along only once there is a nonce */
	uint8_t n_mismatches;
	fz_dur rtt;
	struct fz_addr host4, host6, srflx4, srflx6, relayed4, relayed6;
	fz_time refresh_at, last_sent, last_heard;
	struct turn_request requests[TURN_REQUESTS_MAX];
	struct turn_channel *channels; /* by number - FZ_TURN_CHANNEL_FIRST */
	uint32_t n_channels, cap_channels;
	fz_time channels_due;
};

/* NULL: too many in flight; whoever asks tries again at the next poll. */
struct turn_request *turn_request_start_maybe(
	struct fz_turn *t, uint16_t method, const struct fz_addr *server, fz_time now);

/* Starts the bindings that are wanted or due for refreshing. */
void turn_channels_schedule(struct fz_turn *t, fz_time now);
void turn_channel_bound(struct fz_turn *t, uint16_t index, fz_time now);
/* The server refused this binding. */
void turn_channel_refused(struct fz_turn *t, uint16_t index, fz_time now);
/* A new allocation knows no channels: those still in use are bound again on demand. */
void turn_channels_forget(struct fz_turn *t);
