/*
 * Channels of a TURN allocation: RFC 8656 12, with Firezone's numbers: ascending from 0x4000, bound again every 5 minutes
 * while data arrives, given to another peer only 5 minutes after a binding of 10 has lapsed.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/endian.h"
#include "path/turn_internal.h"

#define REFRESH_AFTER  FZ_SECONDS(5 * 60)
#define LAPSES_AFTER   FZ_SECONDS(10 * 60)
#define REUSABLE_AFTER FZ_SECONDS(15 * 60)
#define ASK_AGAIN_AFTER                                                                            \
	FZ_SECONDS(60) /* servers refuse some peers for good, private addresses mostly */

static bool has_lapsed(const struct turn_channel *c, fz_time now)
{
	return c->state == TURN_CHANNEL_BOUND &&
	       fz_time_reached(now, fz_time_add(c->bound_at, LAPSES_AFTER));
}

static bool is_refused(const struct turn_channel *c, fz_time now)
{
	return c->state == TURN_CHANNEL_REFUSED &&
	       !fz_time_reached(now, fz_time_add(c->bound_at, ASK_AGAIN_AFTER));
}

static bool is_reusable(const struct turn_channel *c, fz_time now)
{
	return c->peer.ip.family == FZ_NO_FAMILY ||
	       fz_time_reached(now, fz_time_add(c->bound_at, REUSABLE_AFTER));
}

static struct turn_channel *find_maybe(struct fz_turn *t, const struct fz_addr *peer)
{
	for (uint32_t i = 0; i < t->n_channels; i++) {
		if (fz_addr_equal(&t->channels[i].peer, peer))
			return &t->channels[i];
	}
	return NULL;
}

static struct turn_channel *room_maybe(struct fz_turn *t, fz_time now)
{
	if (t->n_channels < t->cap_channels)
		return &t->channels[t->n_channels++];
	if (t->cap_channels < FZ_TURN_CHANNELS_MAX) {
		uint32_t cap = t->cap_channels == 0 ? 16 : t->cap_channels * 2;
		struct turn_channel *more = fz_realloc(t->channels, cap, sizeof(*more));
		if (more) {
			memset(more + t->cap_channels, 0, (cap - t->cap_channels) * sizeof(*more));
			t->channels = more;
			t->cap_channels = cap;
			return &t->channels[t->n_channels++];
		}
	}
	for (uint32_t i = 0; i < t->n_channels; i++) {
		if (is_reusable(&t->channels[i], now))
			return &t->channels[i];
	}
	return NULL;
}

static void want(struct fz_turn *t, struct turn_channel *c, fz_time now)
{
	c->state = TURN_CHANNEL_WANTED;
	c->bound_at = now;
	c->has_received = false;
	t->channels_due = fz_time_min(t->channels_due, now);
}

uint16_t fz_turn_channel(struct fz_turn *t, const struct fz_addr *peer, fz_time now)
{
	const struct fz_addr *relayed = fz_turn_relayed(t, (enum fz_family)peer->ip.family);
	if (relayed->ip.family == FZ_NO_FAMILY)
		return 0;
	struct turn_channel *c = find_maybe(t, peer);
	if (!c) {
		c = room_maybe(t, now);
		if (!c)
			return 0;
		*c = (struct turn_channel){ .peer = *peer };
		want(t, c, now);
	} else if (is_refused(c, now)) {
		return 0;
	} else if (has_lapsed(c, now) || c->state == TURN_CHANNEL_REFUSED) {
		want(t, c, now);
	}
	return (uint16_t)(FZ_TURN_CHANNEL_FIRST + (c - t->channels));
}

static fz_time due_at(const struct turn_channel *c)
{
	if (c->peer.ip.family == FZ_NO_FAMILY)
		return FZ_NEVER;
	switch (c->state) {
	case TURN_CHANNEL_WANTED: return c->bound_at;
	case TURN_CHANNEL_BINDING:
	case TURN_CHANNEL_REFUSED: return FZ_NEVER;
	case TURN_CHANNEL_BOUND: break;
	}
	return c->has_received ? fz_time_add(c->bound_at, REFRESH_AFTER) : FZ_NEVER;
}

void turn_channels_schedule(struct fz_turn *t, fz_time now)
{
	if (t->state != FZ_TURN_ALLOCATED || !fz_time_reached(now, t->channels_due))
		return;
	fz_time next = FZ_NEVER;
	for (uint32_t i = 0; i < t->n_channels; i++) {
		struct turn_channel *c = &t->channels[i];
		if (!fz_time_reached(now, due_at(c))) {
			next = fz_time_min(next, due_at(c));
			continue;
		}
		struct turn_request *r =
			turn_request_start_maybe(t, FZ_STUN_CHANNEL_BIND, &t->active, now);
		if (!r) {
			next = FZ_NEVER; /* an answer makes room, and looks here again */
			break;
		}
		r->channel = (uint16_t)i;
		c->state = TURN_CHANNEL_BINDING;
	}
	t->channels_due = next;
}

void turn_channel_bound(struct fz_turn *t, uint16_t index, fz_time now)
{
	fz_assert(index < t->n_channels);
	struct turn_channel *c = &t->channels[index];
	c->state = TURN_CHANNEL_BOUND;
	c->bound_at = now;
	c->has_received = false;
	t->channels_due = now;
}

void turn_channel_refused(struct fz_turn *t, uint16_t index, fz_time now)
{
	fz_assert(index < t->n_channels);
	t->channels[index].state = TURN_CHANNEL_REFUSED;
	t->channels[index].bound_at = now;
	t->channels_due = now;
}

void turn_channels_forget(struct fz_turn *t)
{
	t->n_channels = 0;
	t->channels_due = FZ_NEVER;
	if (t->channels)
		memset(t->channels, 0, t->cap_channels * sizeof(*t->channels));
}

enum fz_turn_verdict fz_turn_unwrap(struct fz_turn *t, fz_time now, struct fz_bytes pkt,
	struct fz_addr *ret_peer, struct fz_addr *ret_relayed, struct fz_bytes *ret_payload)
{
	struct fz_reader r = fz_reader_of(pkt);
	uint16_t number = fz_reader_be16(&r), len = fz_reader_be16(&r);
	struct fz_bytes payload = fz_reader_take(&r, len);
	if (r.bad || r.left > 3) /* a server may pad to four bytes */
		return FZ_TURN_DROP_MALFORMED;
	uint32_t index = (uint32_t)number - FZ_TURN_CHANNEL_FIRST;
	if (index >= t->n_channels || t->channels[index].peer.ip.family == FZ_NO_FAMILY)
		return FZ_TURN_DROP_CHANNEL;
	struct turn_channel *c = &t->channels[index];
	const struct fz_addr *relayed = fz_turn_relayed(t, (enum fz_family)c->peer.ip.family);
	if (relayed->ip.family == FZ_NO_FAMILY)
		return FZ_TURN_DROP_CHANNEL;
	t->last_heard = now;
	if (!c->has_received) {
		c->has_received = true;
		fz_time due = fz_time_add(c->bound_at, REFRESH_AFTER);
		t->channels_due = fz_time_min(t->channels_due, due.ns > now.ns ? due : now);
	}
	*ret_peer = c->peer;
	*ret_relayed = *relayed;
	*ret_payload = payload;
	return FZ_TURN_TAKEN;
}
