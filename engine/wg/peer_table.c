/* Open addressing with linear probing, at most half full, no tombstones: as in index.c. */
#include "wg/peer_table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "wg/peer.h"

#define FIRST_SIZE 16u

void wg_peer_table_init(struct wg_peer_table *t, struct fz_hash_key key)
{
	*t = (struct wg_peer_table){ .key = key };
}

void wg_peer_table_done(struct wg_peer_table *t)
{
	free(t->slots);
	t->slots = NULL;
}

static uint32_t home_of(const struct wg_peer_table *t, const uint8_t pub[static 32])
{
	return (uint32_t)fz_siphash(t->key, fz_bytes_of(pub, 32)) & t->mask;
}

static uint32_t slot_of(const struct wg_peer_table *t, const uint8_t pub[static 32])
{
	uint32_t at = home_of(t, pub);
	while (t->slots[at] && memcmp(wg_peer_public_key(t->slots[at]), pub, 32) != 0)
		at = (at + 1) & t->mask;
	return at;
}

static int grow(struct wg_peer_table *t)
{
	struct wg_peer_table bigger = *t;
	uint32_t size = t->slots ? (t->mask + 1) * 2 : FIRST_SIZE;
	bigger.mask = size - 1;
	bigger.slots = fz_new_array(struct wg_peer *, size);
	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; t->slots && i <= t->mask; i++)
		if (t->slots[i])
			bigger.slots[slot_of(&bigger, wg_peer_public_key(t->slots[i]))] =
				t->slots[i];
	free(t->slots);
	*t = bigger;
	return 0;
}

int wg_peer_table_add(struct wg_peer_table *t, struct wg_peer *p)
{
	if (!t->slots || t->n >= (t->mask + 1) / 2) {
		int r = grow(t);
		if (r < 0)
			return r;
	}
	/* NOLINTNEXTLINE(clang-analyzer-*): grow() has replaced the slots, the analyzer looks at the old ones */
	t->slots[slot_of(t, wg_peer_public_key(p))] = p;
	t->n++;
	return 0;
}

void wg_peer_table_remove(struct wg_peer_table *t, const struct wg_peer *p)
{
	uint32_t hole = slot_of(t, wg_peer_public_key(p)), at = hole;
	t->n--;
	for (;;) {
		at = (at + 1) & t->mask;
		if (!t->slots[at])
			break;
		uint32_t home = home_of(t, wg_peer_public_key(t->slots[at]));
		if (((at - home) & t->mask) < ((at - hole) & t->mask))
			continue;
		t->slots[hole] = t->slots[at];
		hole = at;
	}
	t->slots[hole] = NULL;
}

struct wg_peer *wg_peer_table_find_maybe(
	const struct wg_peer_table *t, const uint8_t pub[static 32])
{
	return t->slots ? t->slots[slot_of(t, pub)] : NULL;
}
