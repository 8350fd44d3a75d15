/* Peers by public key. Keyed hash: names of peers may be chosen by somebody else. One thread. */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/hash.h"

struct wg_peer;

/* A value; _init first. */
struct wg_peer_table {
	struct fz_hash_key key;
	struct wg_peer **slots; /* NULL while empty */
	uint32_t mask, n;
};

void wg_peer_table_init(struct wg_peer_table *t, struct fz_hash_key key) FZ_NONNULL(1);
void wg_peer_table_done(struct wg_peer_table *t) FZ_NONNULL(1);
/* 0 or -ENOMEM; the peer is not in it yet. */
int wg_peer_table_add(struct wg_peer_table *t, struct wg_peer *p) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void wg_peer_table_remove(struct wg_peer_table *t, const struct wg_peer *p) FZ_NONNULL(1, 2);
struct wg_peer *wg_peer_table_find_maybe(
	const struct wg_peer_table *t, const uint8_t pub[static 32]) FZ_NONNULL(1) FZ_MUST_CHECK;
