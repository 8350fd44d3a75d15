/*
 * Open addressing with linear probing, at most half full; the low bits of an index are its home since indices are
 * uniform. Removal moves later entries back instead of leaving tombstones.
 */
#include "wg/index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_SIZE 64u

int wg_index_init(struct wg_index_table *t, void (*random)(void *, struct fz_span), void *user)
{
	struct wg_index_entry *entries = fz_new_array(struct wg_index_entry, FIRST_SIZE);
	if (!entries)
		return -ENOMEM;
	*t = (struct wg_index_table){
		.entries = entries, .mask = FIRST_SIZE - 1, .random = random, .user = user
	};
	return 0;
}

void wg_index_done(struct wg_index_table *t)
{
	free(t->entries);
	t->entries = NULL;
}

/* The slot of `index`, or the free slot where it would go. */
static struct wg_index_entry *slot_of(const struct wg_index_table *t, uint32_t index)
{
	uint32_t at = index & t->mask;
	while (t->entries[at].kind != WG_INDEX_FREE && t->entries[at].index != index)
		at = (at + 1) & t->mask;
	return &t->entries[at];
}

static int grow(struct wg_index_table *t)
{
	uint32_t old_size = t->mask + 1;
	struct wg_index_entry *old = t->entries;
	struct wg_index_entry *entries = fz_new_array(struct wg_index_entry, (size_t)old_size * 2);
	if (!entries)
		return -ENOMEM;
	t->entries = entries;
	t->mask = old_size * 2 - 1;
	for (uint32_t i = 0; i < old_size; i++)
		if (old[i].kind != WG_INDEX_FREE)
			*slot_of(t, old[i].index) = old[i];
	free(old);
	return 0;
}

int wg_index_add(
	struct wg_index_table *t, enum wg_index_kind kind, void *owner, uint32_t *ret_index)
{
	fz_assert(kind != WG_INDEX_FREE);
	if (t->n >= (t->mask + 1) / 2) {
		int r = grow(t);
		if (r < 0)
			return r;
	}
	for (;;) {
		uint32_t index = 0;
		t->random(t->user, fz_span_of(&index, sizeof(index)));
		struct wg_index_entry *e = slot_of(t, index);
		if (e->kind != WG_INDEX_FREE)
			continue;
		*e = (struct wg_index_entry){ .index = index, .kind = kind, .owner = owner };
		t->n++;
		*ret_index = index;
		return 0;
	}
}

void wg_index_hand_over(
	struct wg_index_table *t, uint32_t index, enum wg_index_kind kind, void *owner)
{
	struct wg_index_entry *e = slot_of(t, index);
	fz_assert(e->kind != WG_INDEX_FREE && kind != WG_INDEX_FREE);
	e->kind = kind;
	e->owner = owner;
}

void wg_index_remove(struct wg_index_table *t, uint32_t index)
{
	struct wg_index_entry *e = slot_of(t, index);
	if (e->kind == WG_INDEX_FREE)
		return;
	t->n--;
	uint32_t hole = (uint32_t)(e - t->entries), at = hole;
	for (;;) {
		at = (at + 1) & t->mask;
		if (t->entries[at].kind == WG_INDEX_FREE)
			break;
		/* An entry may fill the hole unless its home lies between the hole and itself. */
		uint32_t home = t->entries[at].index & t->mask;
		if (((at - home) & t->mask) < ((at - hole) & t->mask))
			continue;
		t->entries[hole] = t->entries[at];
		hole = at;
	}
	t->entries[hole] = (struct wg_index_entry){ 0 };
}

const struct wg_index_entry *wg_index_find_maybe(const struct wg_index_table *t, uint32_t index)
{
	const struct wg_index_entry *e = slot_of(t, index);
	return e->kind == WG_INDEX_FREE ? NULL : e;
}
