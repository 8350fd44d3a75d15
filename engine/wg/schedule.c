/* A textbook binary heap; slots hold the instants themselves, so that sifting does not touch the items' owners. */
#include "wg/schedule.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

int wg_schedule_reserve(struct wg_schedule *s, uint32_t n)
{
	if (n <= s->capacity)
		return 0;
	uint32_t capacity = s->capacity < 16 ? 16 : s->capacity;
	while (capacity < n)
		capacity *= 2;
	struct wg_schedule_slot *slots = fz_realloc(s->slots, capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	s->slots = slots;
	s->capacity = capacity;
	return 0;
}

void wg_schedule_done(struct wg_schedule *s)
{
	free(s->slots);
	*s = (struct wg_schedule){ 0 };
}

static void put(struct wg_schedule *s, uint32_t at, struct wg_schedule_slot slot)
{
	s->slots[at] = slot;
	slot.item->place = at + 1;
}

static void sift_up(struct wg_schedule *s, uint32_t at, struct wg_schedule_slot slot)
{
	while (at > 0 && slot.due.ns < s->slots[(at - 1) / 2].due.ns) {
		put(s, at, s->slots[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(s, at, slot);
}

static void sift_down(struct wg_schedule *s, uint32_t at, struct wg_schedule_slot slot)
{
	for (uint32_t child = 2 * at + 1; child < s->n; child = 2 * at + 1) {
		if (child + 1 < s->n && s->slots[child + 1].due.ns < s->slots[child].due.ns)
			child++;
		if (slot.due.ns <= s->slots[child].due.ns)
			break;
		put(s, at, s->slots[child]);
		at = child;
	}
	put(s, at, slot);
}

static void settle(struct wg_schedule *s, uint32_t at, struct wg_schedule_slot slot)
{
	if (at > 0 && slot.due.ns < s->slots[(at - 1) / 2].due.ns)
		sift_up(s, at, slot);
	else
		sift_down(s, at, slot);
}

static void take_out(struct wg_schedule *s, struct wg_schedule_item *item)
{
	uint32_t at = item->place - 1;
	item->place = 0;
	s->n--;
	if (at < s->n)
		settle(s, at, s->slots[s->n]);
}

void wg_schedule_set(struct wg_schedule *s, struct wg_schedule_item *item, fz_time due)
{
	if (fz_time_is_never(due)) {
		if (item->place > 0)
			take_out(s, item);
		return;
	}
	struct wg_schedule_slot slot = { .due = due, .item = item };
	if (item->place > 0) {
		settle(s, item->place - 1, slot);
		return;
	}
	fz_assert(s->n < s->capacity);
	sift_up(s, s->n++, slot);
}

struct wg_schedule_item *wg_schedule_first_maybe(const struct wg_schedule *s)
{
	return s->n > 0 ? s->slots[0].item : NULL;
}
