/* What paths.c, paths_relay.c and conn.c share; nobody else includes it. */
#pragma once

#include "base/hash.h"
#include "base/list.h"
#include "path/paths.h"

#define PATHS_REPLIES_MAX 64
#define PATHS_BUCKETS     1024 /* of connections, by our ufrag */
#define PATHS_ID_BUCKETS  256

struct paths_relay {
	char id[FZ_CONN_ID_LEN];
	uint8_t identity[32]; /* digest of addresses and credentials: is it still the same? */
	struct fz_turn *turn;
	struct fz_candidate known[FZ_TURN_SLOT_COUNT_]; /* what connections were told */
};

enum conn_news { CONN_TO_SIGNAL, CONN_SIGNALLED, CONN_TO_WITHDRAW };

struct conn_candidate {
	struct fz_candidate c;
	enum conn_news news;
};

struct fz_conn {
	struct fz_paths *paths;
	uint32_t slot;
	struct fz_node dirty; /* linked while there are events to take */
	struct fz_node in_bucket, in_ids;
	char id[FZ_CONN_ID_LEN];
	char ufrag[FZ_ICE_UFRAG_MAX];
	uint8_t identity[32]; /* digest of what must not change for the connection to be kept */
	void *user;
	bool is_controlling;
	struct fz_ice *ice;
	uint32_t tag;
	struct paths_relay *relay; /* NULL: none */
	struct conn_candidate announced[FZ_ICE_CANDIDATES_MAX];
	uint32_t n_announced, n_optimistic;
	struct fz_ice_path path;
	struct fz_way way;
	bool has_way, has_remotes, is_idle, was_connected;
	bool is_way_news, is_handshake_news, is_failure_news;
	enum fz_conn_failure failure;
	fz_time created, last_packet, disconnected, last_handshake;
};

struct paths_reply {
	struct fz_addr local, remote;
	size_t len;
	uint8_t bytes[FZ_TURN_CHANNEL_HEADER + FZ_ICE_MESSAGE_MAX];
};

struct fz_paths {
	void (*random)(void *user, struct fz_span out);
	void *user;
	bool is_gateway, has_no_relay_news;
	uint32_t max_conns, n_conns, n_slots, cap_slots, cursor, tag_mask;
	uint16_t next_generation;
	struct fz_conn **slots; /* NULL: free */
	fz_time *
		dues; /* of each slot, side by side: looked through whenever anything happened. FZ_NEVER if free */
	struct fz_hash_key hash_key;
	struct fz_list buckets[PATHS_BUCKETS], ids[PATHS_ID_BUCKETS];
	struct fz_list dirty;
	struct paths_relay *relays[FZ_PATHS_RELAYS_MAX]; /* dense */
	size_t n_relays;
	struct fz_addr hosts[FZ_PATHS_HOSTS_MAX];
	size_t n_hosts;
	struct paths_reply replies[PATHS_REPLIES_MAX]; /* ring */
	size_t first_reply, n_replies;
	uint64_t counts[FZ_PATHS_VERDICT_COUNT_];
	uint8_t out[FZ_TURN_CHANNEL_HEADER + FZ_TURN_MESSAGE_MAX];
};

/* ---- paths_relay.c ---- */

/* A relay for a new connection: near, and random among the near ones. NULL: none answered. */
struct paths_relay *paths_relay_sample_maybe(struct fz_paths *p);
struct paths_relay *paths_relay_of_server_maybe(struct fz_paths *p, const struct fz_addr *server);
struct paths_relay *paths_relay_of_address_maybe(struct fz_paths *p, const struct fz_addr *relayed);
/* Tells the connections what the relay learned or lost. True if the relay failed and is gone. */
bool paths_relay_sync(struct fz_paths *p, struct paths_relay *r, fz_time now);
void paths_relays_free(struct fz_paths *p);

/* ---- conn.c ---- */

bool conn_is_valid(const struct fz_conn_params *params);
void conn_identity(const struct fz_conn_params *params, uint8_t ret[static 32]);
/* Starts (again) in place; false: no memory, and then the connection holds nothing. */
bool conn_start(struct fz_conn *c, const struct fz_conn_params *params, fz_time now);
void conn_stop(struct fz_conn *c);
/* The same authorization again. */
void conn_keep(struct fz_conn *c, fz_time now);
void conn_add_local(struct fz_conn *c, const struct fz_candidate *local, fz_time now);
void conn_remove_local(struct fz_conn *c, const struct fz_candidate *local, fz_time now);
void conn_use_relay(struct fz_conn *c, struct paths_relay *r, fz_time now);
/* After anything that may have changed the agent: way, state, next due time. */
void conn_update(struct fz_conn *c, fz_time now);
/* The way a pair stands for; false: its relay has no channel for it. */
bool conn_way_of(
	struct fz_paths *p, const struct fz_ice_path *path, fz_time now, struct fz_way *ret);
bool conn_take_event(struct fz_conn *c, struct fz_paths_event *ret_event);
