/*
 * Chunks stay until the end: their number is bounded by the most secrets ever alive. Built without pools
 * (FZ_NO_POOL) each item is an allocation of its own, so that the address sanitizer sees a use after its end.
 */
#include "wg/slab.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/secret.h"

#define CHUNK_LEN  (UINT32_C(16) * 1024)
#define ITEM_ALIGN 16u

struct wg_slab_chunk {
	struct wg_slab_chunk *next;
	uint64_t unused;
};

void wg_slab_init(struct wg_slab *s, size_t item_len)
{
	fz_assert(item_len > 0 && item_len <= 2048);
	size_t rounded = (item_len + ITEM_ALIGN - 1) / ITEM_ALIGN * ITEM_ALIGN;
	*s = (struct wg_slab){ .item_len = rounded };
}

#if defined(FZ_NO_POOL)

void wg_slab_done(struct wg_slab *s)
{
	fz_assert(s->n_used == 0);
}

void *wg_slab_take_maybe(struct wg_slab *s)
{
	void *item = fz_alloc(1, s->item_len);
	if (item)
		s->n_used++;
	return item;
}

void wg_slab_give(struct wg_slab *s, void *item)
{
	if (!item)
		return;
	fz_wipe(item, s->item_len);
	free(item);
	s->n_used--;
}

#else

void wg_slab_done(struct wg_slab *s)
{
	fz_assert(s->n_used == 0);
	while (s->chunks) {
		struct wg_slab_chunk *chunk = s->chunks;
		s->chunks = chunk->next;
		fz_secret_free(chunk, CHUNK_LEN);
	}
	s->free = NULL;
}

/* An unused item holds the pointer to the next one in its first bytes. */
static void push(struct wg_slab *s, void *item)
{
	memcpy(item, &s->free, sizeof(s->free));
	s->free = item;
}

static bool grow(struct wg_slab *s)
{
	struct wg_slab_chunk *chunk = fz_secret_new(CHUNK_LEN);
	if (!chunk)
		return false;
	chunk->next = s->chunks;
	s->chunks = chunk;
	uint8_t *at = (uint8_t *)(chunk + 1), *end = (uint8_t *)chunk + CHUNK_LEN;
	for (; (size_t)(end - at) >= s->item_len; at += s->item_len)
		push(s, at);
	return true;
}

void *wg_slab_take_maybe(struct wg_slab *s)
{
	if (!s->free && !grow(s))
		return NULL;
	void *item = s->free;
	fz_assert_slow(item != NULL); /* a chunk holds at least one */
	memcpy(&s->free, item, sizeof(s->free));
	memset(item, 0, sizeof(s->free));
	s->n_used++;
	return item;
}

void wg_slab_give(struct wg_slab *s, void *item)
{
	if (!item)
		return;
	fz_wipe(item, s->item_len);
	push(s, item);
	s->n_used--;
}

#endif
