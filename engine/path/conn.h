/*
 * A connection: everything that ties one remote (a gateway, or a client of a gateway) to us: an ICE agent under the
 * portal's credentials, the relay chosen for it, the way datagrams go now, and when it counts as idle or failed. It says
 * what should happen; WireGuard and the portal are driven by whoever takes the events (path/paths.h). Made, replaced and
 * removed by fz_paths_*; borrowed everywhere else, until it is removed. Firezone's protocol, sections 3.2, 3.3, 3.6.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "path/ice.h"

#define FZ_CONN_ID_LEN        37 /* a UUID's text with NUL */
/* WireGuard gives up a handshake after this long on a connection that ICE keeps (instead of 90 s). */
#define FZ_CONN_REKEY_ATTEMPT FZ_SECONDS(20)
/* WireGuard messages kept while there is no way yet. */
#define FZ_CONN_STAGED_MAX    128

struct fz_conn;

struct fz_conn_params {
	const char *id; /* of the remote; below FZ_CONN_ID_LEN */
	bool is_controlling; /* a client towards its gateway; the initiator between clients */
	const struct fz_ice_credentials *local, *remote;
	const uint8_t *public_key; /* the remote's, FZ_KEY_LEN bytes */
	const struct fz_key *preshared_key;
};

enum fz_conn_failure {
	FZ_CONN_FAILURE_NONE,
	FZ_CONN_FAILURE_NO_CANDIDATES, /* the remote signalled none in time */
	FZ_CONN_FAILURE_UNREACHABLE, /* no pair answers, or none does any more */
	FZ_CONN_FAILURE_COUNT_
};

/*
 * How to send: a datagram from socket address `local` to `remote`; with channel != 0 `remote` is a relay and the payload
 * goes behind a channel header (fz_turn_channel_header). `peer` is the remote's address as the last hop sees it.
 */
struct fz_way {
	struct fz_addr local, remote, peer;
	uint16_t channel;
};

const char *fz_conn_id(const struct fz_conn *c) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* The caller's own pointer; survives a replacement. */
void fz_conn_set_user(struct fz_conn *c, void *user) FZ_NONNULL(1);
void *fz_conn_user(const struct fz_conn *c) FZ_NONNULL(1);

bool fz_conn_is_controlling(const struct fz_conn *c) FZ_NONNULL(1);
/* False: none (yet). */
bool fz_conn_way(const struct fz_conn *c, struct fz_way *ret_way) FZ_NONNULL(1, 2);
/* Of the pair in use; zero: not measured. */
fz_dur fz_conn_rtt(const struct fz_conn *c) FZ_NONNULL(1);
bool fz_conn_is_idle(const struct fz_conn *c) FZ_NONNULL(1);
/* The candidate that datagrams go to, for people; NULL: none. Borrowed until the next call on the connection. */
const struct fz_candidate *fz_conn_remote_maybe(const struct fz_conn *c) FZ_NONNULL(1);
enum fz_conn_failure fz_conn_failure(const struct fz_conn *c) FZ_NONNULL(1);
/* Text for people. */
const char *fz_conn_failure_name(enum fz_conn_failure why) FZ_RETURNS_NONNULL;

/* An application packet went either way: the connection is not idle. Cheap; once per train will do. */
void fz_conn_packet(struct fz_conn *c, fz_time now) FZ_NONNULL(1);
/* Something was sent by fz_conn_way: a relay in it needs no keepalive for a while. */
void fz_conn_sent(struct fz_conn *c, fz_time now) FZ_NONNULL(1);

/* A candidate the remote signalled. Malformed text is ignored: -EINVAL; else as fz_ice_add_remote. */
int fz_conn_add_candidate(struct fz_conn *c, const char *text, fz_time now) FZ_NONNULL(1, 2);
/* Found by address and kind, for the announced text may differ. */
int fz_conn_remove_candidate(struct fz_conn *c, const char *text, fz_time now) FZ_NONNULL(1, 2);
