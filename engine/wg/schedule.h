/*
 * When something has to be looked at: a binary heap of instants. An item knows its own place, so moving and removing
 * it is O(log n) and asking when it is due is O(1). Setting never allocates: room is reserved when items are made.
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"

/* Inside its owner; zeroed: not scheduled. */
struct wg_schedule_item {
	uint32_t place; /* in the heap, counted from 1; 0: not in it */
};

struct wg_schedule {
	struct wg_schedule_slot {
		fz_time due;
		struct wg_schedule_item *item;
	} * slots;

	uint32_t n, capacity;
};

/* Room for n items; 0 or -ENOMEM. */
int wg_schedule_reserve(struct wg_schedule *s, uint32_t n) FZ_NONNULL(1) FZ_MUST_CHECK;
void wg_schedule_done(struct wg_schedule *s) FZ_NONNULL(1);
/* Adds or moves; FZ_NEVER removes. */
void wg_schedule_set(struct wg_schedule *s, struct wg_schedule_item *item, fz_time due)
	FZ_NONNULL(1, 2);
/* The earliest item, NULL if there is none; it stays scheduled. */
struct wg_schedule_item *wg_schedule_first_maybe(const struct wg_schedule *s)
	FZ_NONNULL(1) FZ_MUST_CHECK;

static inline fz_time wg_schedule_next(const struct wg_schedule *s)
{
	return s->n > 0 ? s->slots[0].due : FZ_NEVER;
}

static inline fz_time wg_schedule_due(
	const struct wg_schedule *s, const struct wg_schedule_item *item)
{
	return item->place > 0 ? s->slots[item->place - 1].due : FZ_NEVER;
}
