/*
 * An ICE agent for one remote (RFC 8445, one component, full implementation on both sides, trickled candidates): finds
 * the best pair of candidates over which authenticated checks are answered, and keeps asking, because the checks are
 * also the consent and the keepalive. Nomination follows what Firezone's devices do: the controlling side nominates the best
 * pair that answered and a better one again when it comes; the controlled side takes a nomination at once. Beyond them it
 * leaves a pair that lost several checks in a row when another one answers.
 *
 * Pure: given datagrams and the present, it gives back datagrams. One owner; any thread.
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
#include "path/stun.h"

#define FZ_ICE_UFRAG_MAX      64 /* with NUL */
#define FZ_ICE_PASSWORD_MAX   128 /* with NUL */
#define FZ_ICE_CANDIDATES_MAX 32 /* of ours, and as many of the remote's */
#define FZ_ICE_PAIRS_MAX      100

struct fz_ice;

struct fz_ice_credentials {
	char ufrag[FZ_ICE_UFRAG_MAX];
	char password[FZ_ICE_PASSWORD_MAX];
};

/*
 * Checks of a pair start `initial_rto` apart, double to `max_rto` and stay there; `timeout` unanswered fails the pair. Three
 * more follow the very first one before `initial_rto` is over, for NATs that drop what comes first.
 */
struct fz_ice_timing {
	fz_dur initial_rto, max_rto, timeout;
	fz_dur consent; /* how long the other side's last nomination of a pair counts */
};

struct fz_ice_params {
	void (*random)(void *user, struct fz_span out);
	void *user;
	bool is_controlling;
	const struct fz_ice_credentials *local, *remote; /* copied */
	uint32_t tag; /* first four bytes of every transaction id, to find the agent by */
	const struct fz_ice_timing *timing; /* borrowed for good: a constant */
};

/* Where to send, and from where: `local` is a socket's address, or with is_relayed the address a relay gave us. */
struct fz_ice_path {
	struct fz_addr local, remote;
	bool is_relayed;
};

enum fz_ice_verdict {
	FZ_ICE_TAKEN,
	FZ_ICE_DROP_LOCAL, /* came to an address that is no candidate of ours */
	FZ_ICE_DROP_USERNAME,
	FZ_ICE_DROP_UNSIGNED,
	FZ_ICE_DROP_MALFORMED,
	FZ_ICE_DROP_UNASKED, /* answers no check of ours, or from elsewhere */
	FZ_ICE_DROP_LIMIT,
	FZ_ICE_VERDICT_COUNT_
};

enum fz_ice_state { FZ_ICE_NEW, FZ_ICE_CHECKING, FZ_ICE_CONNECTED, FZ_ICE_DISCONNECTED };

struct fz_ice *fz_ice_new(const struct fz_ice_params *params) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Wipes the passwords; accepts NULL. */
void fz_ice_free(struct fz_ice *a);

void fz_ice_set_timing(struct fz_ice *a, const struct fz_ice_timing *timing, fz_time now)
	FZ_NONNULL(1, 2);

/*
 * Adds a candidate of ours; its priority is set here. Server-reflexive ones are only remembered: their base does the
 * checks. 1: added, 0: known or useless, FZ_ERR_LIMIT.
 */
int fz_ice_add_local(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* By address and kind. Pairs of it are gone at once. */
void fz_ice_remove_local(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
	FZ_NONNULL(1, 2);
/* The i-th candidate of ours, NULL behind the last; borrowed until the next call that changes candidates. */
const struct fz_candidate *fz_ice_local_maybe(const struct fz_ice *a, size_t i) FZ_NONNULL(1);

/* 1: added, 0: known, FZ_ERR_LIMIT. */
int fz_ice_add_remote(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void fz_ice_remove_remote(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
	FZ_NONNULL(1, 2);
size_t fz_ice_n_remotes(const struct fz_ice *a) FZ_NONNULL(1);
const struct fz_candidate *fz_ice_remote_maybe(const struct fz_ice *a, size_t i) FZ_NONNULL(1);

/* True if the message's USERNAME (a request) or transaction id (a response) is for this agent. */
bool fz_ice_is_for(const struct fz_ice *a, const struct fz_stun *m) FZ_NONNULL(1, 2);
/*
 * A STUN message that came from `remote` to `local`. *ret_reply_len is the length of the answer written to `reply` (at
 * least FZ_ICE_MESSAGE_MAX bytes of room), to go back the same way; 0: none.
 */
#define FZ_ICE_MESSAGE_MAX 320
enum fz_ice_verdict fz_ice_receive(struct fz_ice *a, fz_time now, const struct fz_addr *local,
	const struct fz_addr *remote, const struct fz_stun *m, struct fz_span reply,
	size_t *ret_reply_len) FZ_NONNULL(1, 3, 4, 5, 7) FZ_MUST_CHECK;

/* The next due check, written to `out` (FZ_ICE_MESSAGE_MAX bytes of room); its length, or 0 when none is due. */
size_t fz_ice_poll(struct fz_ice *a, fz_time now, struct fz_span out, struct fz_ice_path *ret_path)
	FZ_NONNULL(1, 4) FZ_MUST_CHECK;
fz_time fz_ice_deadline(const struct fz_ice *a) FZ_NONNULL(1);

enum fz_ice_state fz_ice_state(const struct fz_ice *a) FZ_NONNULL(1);
bool fz_ice_is_controlling(const struct fz_ice *a) FZ_NONNULL(1);
/* The nominated pair; false: none. */
bool fz_ice_selected(const struct fz_ice *a, struct fz_ice_path *ret_path) FZ_NONNULL(1, 2);
/* Of the selected pair's last answered check; zero: none yet. */
fz_dur fz_ice_rtt(const struct fz_ice *a) FZ_NONNULL(1);
