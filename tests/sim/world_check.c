/*
 * The bound of recovery: data without an answer asks for a new session after 15 s and a third (the peer restarted);
 * that first initiation may fall into the 5 s after a handshake message that was lost before the good times began, or
 * be lost itself in the very moment they begin, so one retransmit (5 s and a third) more, and one for a crossing.
 */
#include "sim/world_check.h"

#include "base/endian.h"
#include "wg/constants.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

#define S        UINT64_C(1000000000)
#define BOUND_NS (15334 * S / 1000 + 2 * 5334 * S / 1000 + S)

#define HOLDS(w, cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			TEST_FAIL("SIM_SEED=%" PRIu64 ", at %" PRIu64 " ns, step %" PRIu64 ": %s", \
				(w)->seed, (w)->now_ns, (w)->n_steps, #cond);                      \
	} while (0)

static struct world_counter *counter_slot(struct world *w, uint64_t key)
{
	size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & w->counter_mask;
	while (w->counters[at].key != 0 && w->counters[at].key != key)
		at = (at + 1) & w->counter_mask;
	return &w->counters[at];
}

static void grow_counters(struct world *w)
{
	struct world_counter *old = w->counters;
	size_t n = w->counter_mask + 1;
	w->counter_mask = 2 * n - 1;
	w->counters = calloc(2 * n, sizeof(*old));
	CHECK(w->counters != NULL);
	for (size_t i = 0; i < n; i++)
		if (old[i].key != 0)
			*counter_slot(w, old[i].key) = old[i];
	free(old);
}

static void check_counter(struct world *w, size_t engine, uint32_t receiver, uint64_t counter)
{
	uint64_t key = ((uint64_t)engine << 32 | receiver) + 1;
	struct world_counter *c = counter_slot(w, key);
	HOLDS(w, counter >= c->next);
	HOLDS(w, counter < WG_REJECT_AFTER_MESSAGES);
	c->next = counter + 1;
	if (c->key != 0)
		return;
	c->key = key;
	if (++w->n_counters > w->counter_mask / 2)
		grow_counters(w);
}

/* The session a data message was sealed with must be somebody's current one, and alive. */
static void check_session(struct world *w, size_t engine, uint32_t receiver)
{
	const struct wg_device *d = w->engine[engine].device;
	for (struct wg_peer *p = wg_device_next_peer(d, NULL); p; p = wg_device_next_peer(d, p)) {
		if (!p->current || p->current->remote_index != receiver)
			continue;
		HOLDS(w, w->now_ns - p->current->born.ns < 180 * S);
		return;
	}
	bool was_sealed_with_a_current_session = false;
	HOLDS(w, was_sealed_with_a_current_session);
}

void world_check_sent(struct world *w, size_t engine, const struct sim_datagram *d)
{
	uint32_t type = sim_type_of(d);
	HOLDS(w, type >= 1 && type <= 4);
	w->n_handshakes += type == 1;
	w->n_cookies += type == 3;
	if (type != 4)
		return;
	HOLDS(w, d->len >= 32 && d->len % 16 == 0);
	uint32_t receiver = fz_le32_load(d->bytes + 4);
	check_counter(w, engine, receiver, fz_le64_load(d->bytes + 8));
	check_session(w, engine, receiver);
}

static void mark_delivered(struct world *w, struct world_flow *f, uint64_t number)
{
	if (number / 8 >= f->capacity) {
		size_t capacity = f->capacity ? 2 * f->capacity : 4096;
		f->delivered = realloc(f->delivered, capacity);
		CHECK(f->delivered != NULL);
		memset(f->delivered + f->capacity, 0, capacity - f->capacity);
		f->capacity = capacity;
	}
	uint8_t bit = (uint8_t)(1u << number % 8);
	HOLDS(w, !(f->delivered[number / 8] & bit)); /* a replay was accepted */
	f->delivered[number / 8] |= bit;
}

void world_check_delivered(struct world *w, size_t engine, struct wg_peer *p, struct fz_bytes inner)
{
	uint64_t mark = sim_mark_of(inner), number = mark & UINT64_C(0xffffffffffff);
	size_t from = (size_t)(mark >> 56) - 1, to = (size_t)(mark >> 48 & 0xff) - 1;
	HOLDS(w, to == engine && from < WORLD_ENGINES);
	HOLDS(w, memcmp(wg_peer_public_key(p), w->public[from], 32) == 0);
	struct world_flow *f = &w->flow[from][to];
	HOLDS(w, number <= f->n_sent);
	mark_delivered(w, f, number);
	f->n_delivered++;
	w->n_delivered++;
	if (w->phase == WORLD_GOOD) {
		f->has_recovered = true;
		f->n_good += number >= f->good_from;
	}
}

static void check_peer(struct world *w, const struct wg_peer *p)
{
	const struct wg_keypair *slots[] = { p->current, p->previous, p->next };
	for (size_t i = 0; i < 3; i++) {
		if (!slots[i])
			continue;
		HOLDS(w, w->now_ns - slots[i]->born.ns < 540 * S);
		HOLDS(w, slots[i]->peer == p && slots[i]->n_refs == 1);
		for (size_t j = 0; j < i; j++)
			HOLDS(w, slots[i] != slots[j]);
	}
	HOLDS(w, p->staged.n <= WG_MAX_STAGED);
}

void world_check_engine(struct world *w, size_t engine)
{
	const struct wg_device *d = w->engine[engine].device;
	uint32_t n_keys = 0, n_peers = wg_device_n_peers(d);
	for (struct wg_peer *p = wg_device_next_peer(d, NULL); p; p = wg_device_next_peer(d, p)) {
		check_peer(w, p);
		n_keys += p->current ? 1 : 0;
		n_keys += p->previous ? 1 : 0;
		n_keys += p->next ? 1 : 0;
	}
	HOLDS(w, d->keys_slab.n_used == n_keys);
	HOLDS(w, d->indices.n >= n_keys && d->indices.n <= n_keys + n_peers);
	HOLDS(w, d->handshakes.n > 0 || wg_device_deadline(d).ns > w->now_ns);
}

void world_check_phase_begins(struct world *w)
{
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		for (size_t j = 0; j < WORLD_ENGINES; j++) {
			struct world_flow *f = &w->flow[i][j];
			/* In good times one packet is sent per second. */
			f->good_from = f->n_sent + BOUND_NS / S + 1;
			f->n_good = 0;
			f->has_recovered = false;
		}
}

void world_check_phase_ends(struct world *w)
{
	for (size_t i = 0; i < WORLD_ENGINES && w->phase == WORLD_GOOD; i++)
		for (size_t j = 0; j < WORLD_ENGINES; j++) {
			const struct world_flow *f = &w->flow[i][j];
			if (f->n_sent == 0)
				continue;
			HOLDS(w, f->has_recovered);
			/* The last one was sent just now. */
			HOLDS(w, f->n_good + 1 >= f->n_sent - f->good_from);
		}
}
