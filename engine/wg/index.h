/*
 * The 32-bit numbers by which peers address our handshakes and keypairs: random, unique among the living, found in
 * O(1). A handshake's number passes to the keypair it becomes. One thread.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum wg_index_kind { WG_INDEX_FREE, WG_INDEX_HANDSHAKE, WG_INDEX_KEYPAIR };

struct wg_index_entry {
	uint32_t index;
	uint32_t kind; /* enum wg_index_kind */
	void *owner; /* struct wg_peer or struct wg_keypair, by kind */
};

/* A value; zeroed is not valid, use _init. */
struct wg_index_table {
	struct wg_index_entry *entries;
	uint32_t mask, n;
	void (*random)(void *user, struct fz_span out);
	void *user;
};

/* 0 or -ENOMEM. */
int wg_index_init(struct wg_index_table *t, void (*random)(void *, struct fz_span), void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void wg_index_done(struct wg_index_table *t) FZ_NONNULL(1);
/* A fresh random index for the owner; 0 or -ENOMEM (the table could not grow). */
int wg_index_add(struct wg_index_table *t, enum wg_index_kind kind, void *owner,
	uint32_t *ret_index) FZ_NONNULL(1, 3, 4) FZ_MUST_CHECK;
/* Gives a living index to another owner. */
void wg_index_hand_over(struct wg_index_table *t, uint32_t index, enum wg_index_kind kind,
	void *owner) FZ_NONNULL(1, 4);
/* No effect if it is not there. */
void wg_index_remove(struct wg_index_table *t, uint32_t index) FZ_NONNULL(1);
/* NULL if unknown; borrowed until the next change. */
const struct wg_index_entry *wg_index_find_maybe(const struct wg_index_table *t, uint32_t index)
	FZ_NONNULL(1) FZ_MUST_CHECK;
