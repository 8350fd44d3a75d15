/*
 * A session: two keys, a send counter, a replay window. Referenced by the peer's slots and, while its key is lent to
 * a train, by that train; freed and wiped with the last reference. One thread (the keys are read by the train's AEAD
 * meanwhile, which is why they never change).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"
#include "base/secret.h"
#include "base/time.h"
#include "wg/replay.h"
#include "wg/slab.h"

struct wg_peer;

/* On locked pages. */
struct wg_keys {
	struct fz_key send, receive;
};

struct wg_keypair {
	struct wg_keys *keys;
	struct wg_peer *
		peer; /* NULL once the peer is gone or has wiped its keys: nothing of this session counts then */
	struct fz_node of_peer; /* in the peer's list of all its keypairs, lent ones too */
	struct wg_slab *slab;
	uint64_t send_counter; /* the next one; never goes back */
	fz_time born;
	uint32_t local_index, remote_index;
	uint32_t n_refs;
	bool is_initiator; /* we sent the initiation it came from */
	bool may_send, may_receive;
	struct wg_replay replay;
};

/* One reference, keys zero. NULL: no memory. `slab` holds struct wg_keys. */
struct wg_keypair *wg_keypair_new_maybe(struct wg_slab *slab) FZ_NONNULL(1) FZ_MUST_CHECK;
struct wg_keypair *wg_keypair_ref(struct wg_keypair *k) FZ_NONNULL(1);
/* Accepts NULL. */
void wg_keypair_unref(struct wg_keypair *k);

bool wg_keypair_can_send(const struct wg_keypair *k, fz_time now) FZ_NONNULL(1) FZ_MUST_CHECK;
bool wg_keypair_can_receive(const struct wg_keypair *k, fz_time now) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Reserves n counters in a row. False, and sending is over, if that would reach the limit. */
bool wg_keypair_reserve(struct wg_keypair *k, uint32_t n, uint64_t *ret_first)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
