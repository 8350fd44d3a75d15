/*
 * Which peer owns an inner address: longest prefix first, both families, one table per device ("cryptokey routing").
 * An owner lists its prefixes in the order they were given to it. Adding, moving, removing and finding take at most
 * one step per prefix bit, whatever the table holds. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/list.h"

struct wg_allowed_node;

/* Inside the peer; must be initialised with wg_allowed_owner_init. */
struct wg_allowed_owner {
	struct fz_list prefixes;
};

#define WG_ALLOWED_CACHE 256u /* a power of two */

struct wg_allowedips {
	struct wg_allowed_node *root4, *root6;
	uint32_t generation; /* of the cache below: any change of the table makes all of it stale */

	struct wg_allowed_cached {
		uint64_t hi, lo;
		struct wg_allowed_owner *owner;
		uint32_t generation;
		uint32_t family;
	} cache[WG_ALLOWED_CACHE];
};

void wg_allowed_owner_init(struct wg_allowed_owner *o) FZ_NONNULL(1);
/* Zeroed memory is a valid empty table except for the generation, which this sets. */
void wg_allowedips_init(struct wg_allowedips *t) FZ_NONNULL(1);

/* Host bits are ignored. A prefix that is there already moves to the end of its new owner's list. 0, -EINVAL or -ENOMEM. */
int wg_allowedips_add(struct wg_allowedips *t, const struct fz_prefix *p,
	struct wg_allowed_owner *o) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* No effect unless the prefix is this owner's. */
void wg_allowedips_remove(struct wg_allowedips *t, const struct fz_prefix *p,
	const struct wg_allowed_owner *o) FZ_NONNULL(1, 2, 3);
/* Removes all of the owner's prefixes. A table of which every owner was cleared holds no memory. */
void wg_allowedips_clear(struct wg_allowedips *t, struct wg_allowed_owner *o) FZ_NONNULL(1, 2);

/* NULL if no prefix covers the address of 4 or 16 bytes. The table itself changes only in its cache. */
struct wg_allowed_owner *wg_allowedips_find_maybe(struct wg_allowedips *t, enum fz_family family,
	const uint8_t *addr) FZ_NONNULL(1, 3) FZ_MUST_CHECK;

/* Walks the owner's list: *cursor starts as NULL; false at the end. */
bool wg_allowed_owner_next(const struct wg_allowed_owner *o, const void **cursor,
	struct fz_prefix *ret_prefix) FZ_NONNULL(1, 2, 3);
