/* What ice.c (messages, candidates) and ice_pair.c (pairs, schedule, nomination) share; nobody else includes it. */
#pragma once

#include "path/ice.h"

#define ICE_PAIRS_AT_FIRST 8
#define ICE_SENT_MAX       8 /* checks of a pair whose answers still count */

struct ice_sent {
	struct fz_stun_id id;
	fz_time at;
	bool is_open, was_controlling;
};

struct ice_pair {
	bool in_use;
	bool is_valid; /* a check of ours was answered, and the pair has not failed since */
	bool is_failed;
	bool is_nominated; /* controlling: our checks carry USE-CANDIDATE; controlled: theirs did */
	uint8_t local, remote; /* slots */
	uint8_t next_sent,
		n_early; /* early: of the first checks that do not wait for the schedule */
	uint32_t n_unanswered;
	uint64_t priority;
	fz_time next_check, unanswered_since, last_request, last_nomination;
	fz_dur delay, rtt;
	struct ice_sent sent[ICE_SENT_MAX];
};

struct ice_slot {
	bool in_use;
	struct fz_candidate c;
};

struct fz_ice {
	void (*random)(void *user, struct fz_span out);
	void *user;
	bool is_controlling;
	uint32_t tag;
	uint64_t tie_breaker;
	struct fz_ice_credentials local_creds, remote_creds;
	const struct fz_ice_timing *timing;
	fz_time timing_since;
	struct ice_slot locals[FZ_ICE_CANDIDATES_MAX], remotes[FZ_ICE_CANDIDATES_MAX];
	uint32_t n_of_kind[FZ_CANDIDATE_KIND_COUNT_]
			  [2]; /* ever added, by IP version: local preferences */
	struct ice_pair *pairs; /* grows; slots of removed ones are used again */
	uint32_t n_pairs;
	int32_t selected; /* index of a pair; -1: none */
};

/* Makes the pairs a new candidate allows. */
void ice_pairs_of_local(struct fz_ice *a, uint8_t local, fz_time now);
void ice_pairs_of_remote(struct fz_ice *a, uint8_t remote, fz_time now);
/* Removes the pairs of a candidate that goes. */
void ice_pairs_drop_local(struct fz_ice *a, uint8_t local, fz_time now);
void ice_pairs_drop_remote(struct fz_ice *a, uint8_t remote, fz_time now);
struct ice_pair *ice_pair_find_maybe(struct fz_ice *a, uint8_t local, uint8_t remote);
struct ice_pair *ice_pair_add_maybe(struct fz_ice *a, uint8_t local, uint8_t remote, fz_time now);
void ice_pairs_rank(struct fz_ice *a); /* after a change of role or of a priority */

struct ice_pair *ice_pair_due_maybe(struct fz_ice *a, fz_time now);
/* A check was written: remembers its id and plans the next one. */
void ice_pair_sent(struct fz_ice *a, struct ice_pair *p, const struct fz_stun_id *id, fz_time now);
/* The open check with this id, and its pair; NULL: none. */
struct ice_sent *ice_pair_sent_find_maybe(
	struct fz_ice *a, const struct fz_stun_id *id, struct ice_pair **ret_pair);
void ice_pair_answered(struct fz_ice *a, struct ice_pair *p, struct ice_sent *sent, fz_time now);
void ice_pair_requested(struct fz_ice *a, struct ice_pair *p, bool nominates, fz_time now);
void ice_pairs_reselect(struct fz_ice *a, fz_time now);
/* Fails the pairs whose time is up. */
void ice_pairs_expire(struct fz_ice *a, fz_time now);
