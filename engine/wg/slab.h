/*
 * Many small secrets of one size on few locked pages (base/secret.h): a page for each key would exhaust the lock
 * limit. Items are zero when handed out and wiped when they come back. Per peer and per handshake, never per packet.
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct wg_slab_chunk;

/* A value; use _init. */
struct wg_slab {
	size_t item_len;
	uint32_t n_used;
	struct wg_slab_chunk *chunks;
	void *free;
};

/* item_len up to 2048. */
void wg_slab_init(struct wg_slab *s, size_t item_len) FZ_NONNULL(1);
/* Every item must be back. */
void wg_slab_done(struct wg_slab *s) FZ_NONNULL(1);
/* NULL: no memory. Aligned for any object. */
void *wg_slab_take_maybe(struct wg_slab *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Accepts NULL. */
void wg_slab_give(struct wg_slab *s, void *item) FZ_NONNULL(1);
