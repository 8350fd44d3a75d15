/*
 * All ways from this device to its remotes: the relays the portal named, the connections, and what arrives on the UDP
 * sockets for either. The shell hands in datagrams with the local address they came to, sends what poll gives it, and
 * carries out events: signal a candidate, point WireGuard at a way, start a handshake, take down a connection.
 *
 *   receive -> TAKEN: poll and take_event afterwards;  WIREGUARD: feed payload to the WireGuard device
 *   poll until false, take_event until false, then sleep until deadline
 *
 * Pure; one owner; any thread. Firezone's protocol, sections 3 and 4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"
#include "path/candidate.h"
#include "path/conn.h"
#include "path/turn.h"

#define FZ_PATHS_RELAYS_MAX 16
#define FZ_PATHS_HOSTS_MAX  8
#define FZ_PATHS_CONNS_MAX  65'536

struct fz_paths;

struct fz_paths_params {
	void (*random)(void *user, struct fz_span out); /* never fails */
	void *user;
	bool is_gateway; /* a gateway checks its pairs more slowly */
	uint32_t max_conns; /* 0: 4096 */
};

struct fz_paths *fz_paths_new(const struct fz_paths_params *params) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Frees every connection with it; accepts NULL. */
void fz_paths_free(struct fz_paths *p);

/* ---- relays and sockets -------------------------------------------------------------------------------------- */

struct fz_paths_relay {
	const char *id; /* below FZ_CONN_ID_LEN */
	struct fz_addr v4, v6; /* family 0: none */
	const char *username, *password;
};

/* New, changed (then started anew) or known (then asked whether it still lives). 0, -EINVAL, -ENOMEM, FZ_ERR_LIMIT. */
int fz_paths_set_relay(struct fz_paths *p, const struct fz_paths_relay *relay, fz_time now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The portal took it away: its relayed candidates are invalidated. No FZ_PATHS_NO_RELAYS follows. */
void fz_paths_remove_relay(struct fz_paths *p, const char *id, fz_time now) FZ_NONNULL(1, 2);
/* True if a relay answered: the precondition of every connection. */
bool fz_paths_has_relay(const struct fz_paths *p) FZ_NONNULL(1);

/* The i-th relay, for people; false behind the last. id is borrowed until a relay changes. */
struct fz_paths_relay_info {
	const char *id;
	struct fz_addr server; /* family 0: no answer yet */
	fz_dur rtt;
	enum fz_turn_state state;
};

bool fz_paths_relay_info(const struct fz_paths *p, size_t i, struct fz_paths_relay_info *ret_info)
	FZ_NONNULL(1, 3);

/*
 * A socket address of ours that remotes may reach, beside those that talking to relays teaches; 0 or FZ_ERR_LIMIT. A
 * device with one may have connections without any relay.
 */
int fz_paths_add_host(struct fz_paths *p, const struct fz_addr *local, fz_time now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/*
 * All of them, as they are now: remotes hear of those that are new and of those that are gone, whose pairs are dropped; relays
 * are asked what they see of us. More than FZ_PATHS_HOSTS_MAX: the rest is left out. Connections stay.
 */
void fz_paths_set_hosts(struct fz_paths *p, const struct fz_addr *hosts, size_t n, fz_time now)
	FZ_NONNULL(1);

/*
 * The network changed, and with it our WireGuard key: every connection is gone (without an event), hosts too, and relays
 * start anew.
 */
void fz_paths_reset(struct fz_paths *p, fz_time now) FZ_NONNULL(1);
/* Gives allocations back to the relays; poll until false once more before the sockets close. */
void fz_paths_release(struct fz_paths *p, fz_time now) FZ_NONNULL(1);

/* ---- connections --------------------------------------------------------------------------------------------- */

enum fz_paths_upsert { FZ_PATHS_CREATED, FZ_PATHS_KEPT, FZ_PATHS_REPLACED };

/*
 * What an authorization asks for. Same keys, credentials and role as before: kept, our candidates are signalled again and
 * the controlling side is told to shake hands anew. Else what was there is replaced: the caller drops the old session.
 * Returns an enum fz_paths_upsert; -ENOTCONN (no relay answered: ask the portal for relays), -ENOMEM, -EINVAL (unusable
 * credentials or id) or FZ_ERR_LIMIT.
 */
int fz_paths_upsert(struct fz_paths *p, const struct fz_conn_params *params, fz_time now,
	struct fz_conn **ret_conn) FZ_NONNULL(1, 2, 4) FZ_MUST_CHECK;
struct fz_conn *fz_paths_find_maybe(const struct fz_paths *p, const char *id) FZ_NONNULL(1, 2);
/* Failed, closed, goodbye said or heard. The pointer is dead afterwards. */
void fz_paths_remove(struct fz_paths *p, struct fz_conn *c) FZ_NONNULL(1, 2);
uint32_t fz_paths_n_conns(const struct fz_paths *p) FZ_NONNULL(1);

/* ---- datagrams ----------------------------------------------------------------------------------------------- */

enum fz_paths_verdict {
	FZ_PATHS_TAKEN,
	FZ_PATHS_WIREGUARD,
	FZ_PATHS_DROP_PROTOCOL, /* none of ours */
	FZ_PATHS_DROP_STUN, /* malformed */
	FZ_PATHS_DROP_RELAY, /* from a relay: unasked, unsigned, or on no channel of ours */
	FZ_PATHS_DROP_UNKNOWN, /* a check for no connection of ours */
	FZ_PATHS_DROP_CHECK, /* refused by the connection it names: unsigned, unasked, wrong address */
	FZ_PATHS_VERDICT_COUNT_
};

/*
 * A WireGuard message, borrowed from the datagram, and the way it came. way.peer and `local` (our relayed address where a
 * relay brought it) are the endpoint to tell WireGuard: fz_paths_way_back makes a way of the two again.
 */
struct fz_paths_rx {
	struct fz_bytes payload;
	struct fz_way way;
	struct fz_ip local;
};

/* `local`: the socket's port and the destination address of the datagram. *ret_rx is set for WIREGUARD alone. */
enum fz_paths_verdict fz_paths_receive(struct fz_paths *p, fz_time now, const struct fz_addr *local,
	const struct fz_addr *remote, struct fz_bytes pkt, struct fz_paths_rx *ret_rx)
	FZ_NONNULL(1, 3, 4, 6) FZ_MUST_CHECK;
/*
 * For an answer on a connection that has no way yet, as happens when a handshake overtakes the check that nominates: back
 * where it came from. False: its relay is gone.
 */
bool fz_paths_way_back(struct fz_paths *p, fz_time now, const struct fz_ip *local,
	const struct fz_addr *peer, struct fz_way *ret_way) FZ_NONNULL(1, 3, 4, 5) FZ_MUST_CHECK;
const uint64_t *fz_paths_counts(const struct fz_paths *p) FZ_NONNULL(1); /* by verdict */

struct fz_paths_datagram {
	struct fz_addr local; /* family 0: any source of that family */
	struct fz_addr remote;
	struct fz_bytes pkt; /* borrowed until the next call on p */
};

/* Runs what is due and hands out one datagram per call; call until false. */
bool fz_paths_poll(struct fz_paths *p, fz_time now, struct fz_paths_datagram *ret_out)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* When poll or take_event has something to do even if nothing arrives. */
fz_time fz_paths_deadline(const struct fz_paths *p) FZ_NONNULL(1);

/* ---- events -------------------------------------------------------------------------------------------------- */

enum fz_paths_event_kind {
	FZ_PATHS_CANDIDATE, /* signal `text` to the remote */
	FZ_PATHS_CANDIDATE_GONE, /* invalidate `text` at the remote */
	FZ_PATHS_WAY, /* fz_conn_way changed */
	FZ_PATHS_HANDSHAKE, /* start a WireGuard handshake; comes after the WAY it goes by */
	FZ_PATHS_FAILED, /* fz_conn_failure says why; nothing else happens on it: remove it */
	FZ_PATHS_NO_RELAYS /* the last relay failed: tell the portal. conn is NULL */
};

struct fz_paths_event {
	enum fz_paths_event_kind kind;
	struct fz_conn *conn;
	char text[FZ_CANDIDATE_TEXT_LEN];
};

/* False: nothing (more) to say. */
bool fz_paths_take_event(struct fz_paths *p, struct fz_paths_event *ret_event)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
