/* The network and the weather. What must hold is in world_check.c. */
#include "sim/world.h"

#include "base/endian.h"
#include "sim/world_check.h"
#include "wg/cookie.h"
#include "wg/messages.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static uint64_t below(struct world *w, uint64_t n)
{
	return test_rng_below(&w->rng, n);
}

static struct fz_now now_of(const struct world *w, size_t i)
{
	struct fz_now now = sim_time(0);
	now.at.ns = w->now_ns;
	now.wall.ns += (int64_t)(w->now_ns + w->wall_offset_ns[i]);
	return now;
}

/* ---- the network ---- */

static void flight_swap(struct world *w, size_t a, size_t b)
{
	struct world_flight *f = w->flights[a];
	w->flights[a] = w->flights[b];
	w->flights[b] = f;
}

static void launch(struct world *w, const struct sim_datagram *d, uint64_t delay_ns)
{
	if (w->n_flights == w->flight_capacity) {
		w->flight_capacity = w->flight_capacity ? 2 * w->flight_capacity : 256;
		w->flights =
			realloc(w->flights, w->flight_capacity * sizeof(struct world_flight *));
		CHECK(w->flights != NULL);
	}
	struct world_flight *f = malloc(sizeof(*f));
	CHECK(f != NULL);
	f->at_ns = w->now_ns + delay_ns;
	f->d = *d;
	size_t at = w->n_flights++;
	w->flights[at] = f;
	for (; at > 0 && w->flights[at]->at_ns < w->flights[(at - 1) / 2]->at_ns; at = (at - 1) / 2)
		flight_swap(w, at, (at - 1) / 2);
}

static struct world_flight *land(struct world *w)
{
	struct world_flight *f = w->flights[0];
	w->flights[0] = w->flights[--w->n_flights];
	for (size_t at = 0;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < w->n_flights;
			child++)
			if (w->flights[child]->at_ns < w->flights[least]->at_ns)
				least = child;
		if (least == at)
			return f;
		flight_swap(w, at, least);
		at = least;
	}
}

static uint64_t random_delay(struct world *w)
{
	return w->delay_ns + (w->jitter_ns ? below(w, w->jitter_ns) : 0);
}

static void engine_sent(void *user, struct sim_engine *from, const struct sim_datagram *d)
{
	struct world *w = user;
	world_check_sent(w, (size_t)(from - w->engine), d);
	w->n_datagrams++;
	if (w->is_cut || below(w, 1000) < w->loss)
		return;
	struct sim_datagram copy = *d;
	if (below(w, 1000) < w->garble)
		copy.bytes[below(w, copy.len)] ^= (uint8_t)(1 << below(w, 8));
	launch(w, &copy, random_delay(w));
	while (below(w, 1000) < w->copies)
		launch(w, d, random_delay(w) * (1 + below(w, 20)));
}

static void engine_delivered(
	void *user, struct sim_engine *to, struct wg_peer *p, struct fz_bytes inner)
{
	struct world *w = user;
	world_check_delivered(w, (size_t)(to - w->engine), p, inner);
}

/* ---- engines ---- */

static void start_engine(struct world *w, size_t i, bool is_first)
{
	struct sim_hooks hooks = { .sent = engine_sent, .delivered = engine_delivered, .user = w };
	struct sim_engine *e = &w->engine[i];
	struct fz_addr at = is_first ? sim_addr((uint8_t)(i + 1), 51820) : e->addr;
	sim_engine_init(e, w->seed * 1000003 + ++w->incarnation, at, hooks, now_of(w, i));
	if (is_first) {
		w->private[i] = e->private;
		memcpy(w->public[i], e -> public, 32);
		return;
	}
	e->private = w->private[i];
	wg_device_set_private_key(e->device, &e->private, now_of(w, i));
	memcpy(e->public, w->public[i], 32);
}

static bool are_peers(size_t i, size_t j)
{
	return i != j && (i < WORLD_FIXED || j < WORLD_FIXED);
}

/* The fixed ones are known by address; the others have to call first. */
static void introduce(struct world *w, size_t i)
{
	for (size_t j = 0; j < WORLD_ENGINES; j++) {
		if (!are_peers(i, j))
			continue;
		struct wg_peer *p = sim_engine_add(&w->engine[i], &w->engine[j], (uint8_t)(j + 1),
			j < WORLD_FIXED ? &w->engine[j].addr : NULL);
		if (i >= WORLD_FIXED && j == 0)
			wg_peer_set_keepalive(p, 25, now_of(w, i));
	}
}

static void poll_engine(struct world *w, size_t i)
{
	(void)sim_engine_poll(&w->engine[i], now_of(w, i));
	world_check_engine(w, i);
}

static void restart(struct world *w, size_t i)
{
	sim_engine_done(&w->engine[i]);
	start_engine(w, i, false);
	introduce(w, i);
	w->n_restarts++;
	poll_engine(w, i);
}

/* ---- what happens ---- */

static void talk_to(struct world *w, size_t i, size_t j)
{
	struct world_flow *f = &w->flow[i][j];
	uint8_t inner[1500];
	uint64_t mark = (i + 1) << 56 | (j + 1) << 48 | f->n_sent;
	size_t len = 8 + below(w, 1300);
	bool v6 = below(w, 2);
	size_t n = v6 ? sim_write_ip6(fz_span_of(inner, sizeof(inner)), (uint8_t)(i + 1),
				(uint8_t)(j + 1), len, mark)
		      : sim_write_ip4(fz_span_of(inner, sizeof(inner)), (uint8_t)(i + 1),
				(uint8_t)(j + 1), len, mark);
	enum wg_drop why = sim_engine_send(&w->engine[i], now_of(w, i), fz_bytes_of(inner, n));
	CHECK(why == WG_KEEP || why == WG_DROP_STAGE || why == WG_DROP_NO_ENDPOINT);
	f->n_sent++;
	poll_engine(w, i);
}

static void talk(struct world *w)
{
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		for (size_t j = 0; j < WORLD_ENGINES; j++)
			if (are_peers(i, j) && (w->phase == WORLD_GOOD || below(w, 3) == 0))
				talk_to(w, i, j);
	w->next_talk_ns = w->now_ns + (w->phase == WORLD_GOOD ? S : 1 + below(w, 20 * S));
}

/* Somebody who knows the public key only: right mac1, nonsense inside. */
static void flood(struct world *w, size_t i)
{
	struct wg_cookie_maker maker = { 0 };
	wg_cookie_maker_set(&maker, w->public[i]);
	for (int k = 0; k < 600; k++) {
		struct sim_datagram d = { .to = w->engine[i].addr,
			.len = sizeof(struct wg_msg_initiation) };
		test_rng_fill(&w->rng, d.bytes, d.len);
		fz_le32_store(d.bytes, WG_MESSAGE_INITIATION);
		d.from = sim_addr((uint8_t)(100 + below(w, 100)), (uint16_t)(1 + below(w, 60000)));
		wg_cookie_stamp(&maker, (fz_time){ w->now_ns }, fz_span_of(d.bytes, d.len));
		(void)sim_engine_receive(&w->engine[i], now_of(w, i), &d);
	}
	poll_engine(w, i);
}

static void mishap(struct world *w)
{
	size_t i = below(w, WORLD_ENGINES);
	switch (below(w, 12)) {
	case 0: restart(w, i); break;
	case 1: flood(w, i); break;
	case 2: w->is_cut = !w->is_cut; break;
	case 3: w->loss = (uint32_t)below(w, 700); break;
	case 4: w->copies = (uint32_t)below(w, 500); break;
	case 5: w->jitter_ns = below(w, 4 * S); break;
	case 6: w->garble = (uint32_t)below(w, 100); break;
	case 7: /* its clock is set, forwards: backwards would lock it out, which the protocol wants */
		w->wall_offset_ns[i] += below(w, 3600 * S);
		break;
	default:
		if (i >= WORLD_FIXED)
			w->engine[i].addr.port = w->next_port++;
		break;
	}
	w->next_mishap_ns = w->now_ns + below(w, 40 * S);
}

static void begin_phase(struct world *w, enum world_phase phase)
{
	bool is_bad = phase == WORLD_BAD;
	w->phase = phase;
	w->phase_start_ns = w->now_ns;
	w->is_cut = is_bad && below(w, 3) == 0;
	w->loss = is_bad ? (uint32_t)below(w, 300) : 0;
	w->copies = is_bad ? (uint32_t)below(w, 200) : 0;
	w->garble = is_bad ? (uint32_t)below(w, 50) : 0;
	w->delay_ns = is_bad ? below(w, 400 * MS) : 30 * MS;
	w->jitter_ns = is_bad ? below(w, 2 * S) : 0;
	uint64_t length = is_bad ? below(w, 400 * S) : below(w, 1300 * S);
	w->phase_end_ns = w->now_ns + (phase == WORLD_GOOD ? 70 * S : length);
	w->next_talk_ns = phase == WORLD_SILENT ? UINT64_MAX : w->now_ns;
	w->next_mishap_ns = is_bad ? w->now_ns : UINT64_MAX;
	world_check_phase_begins(w);
}

static void next_phase(struct world *w)
{
	world_check_phase_ends(w);
	switch (w->phase) {
	case WORLD_BAD: begin_phase(w, WORLD_GOOD); break;
	case WORLD_GOOD: begin_phase(w, below(w, 2) ? WORLD_SILENT : WORLD_BAD); break;
	case WORLD_SILENT: begin_phase(w, below(w, 4) ? WORLD_BAD : WORLD_GOOD); break;
	}
}

/* A datagram arrives at whoever has that address now. */
static void arrive(struct world *w)
{
	struct world_flight *f = land(w);
	for (size_t i = 0; i < WORLD_ENGINES; i++) {
		if (!fz_addr_equal(&w->engine[i].addr, &f->d.to))
			continue;
		(void)sim_engine_receive(&w->engine[i], now_of(w, i), &f->d);
		poll_engine(w, i);
		break;
	}
	free(f);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The next instant at which anything happens, and all of it. */
static void step(struct world *w)
{
	uint64_t next = least(least(w->phase_end_ns, w->next_talk_ns), w->next_mishap_ns);
	if (w->n_flights > 0)
		next = least(next, w->flights[0]->at_ns);
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		next = least(next, wg_device_deadline(w->engine[i].device).ns);
	w->now_ns = next > w->now_ns ? next : w->now_ns;
	w->n_steps++;
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		if (wg_device_deadline(w->engine[i].device).ns <= w->now_ns)
			poll_engine(w, i);
	while (w->n_flights > 0 && w->flights[0]->at_ns <= w->now_ns)
		arrive(w);
	if (w->next_mishap_ns <= w->now_ns)
		mishap(w);
	if (w->next_talk_ns <= w->now_ns)
		talk(w);
	if (w->phase_end_ns <= w->now_ns)
		next_phase(w);
	/* Whoever had nothing to do in it, too. */
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		world_check_engine(w, i);
}

struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	CHECK(w != NULL);
	w->seed = seed;
	w->rng.s = seed;
	w->now_ns = 1000 * S;
	w->next_port = 1024;
	w->counter_mask = 1023;
	w->counters = calloc(w->counter_mask + 1, sizeof(*w->counters));
	CHECK(w->counters != NULL);
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		start_engine(w, i, true);
	for (size_t i = 0; i < WORLD_ENGINES; i++)
		introduce(w, i);
	begin_phase(w, WORLD_GOOD);
	return w;
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < WORLD_ENGINES; i++) {
		sim_engine_done(&w->engine[i]);
		for (size_t j = 0; j < WORLD_ENGINES; j++)
			free(w->flow[i][j].delivered);
	}
	while (w->n_flights > 0)
		free(land(w));
	free(w->flights);
	free(w->counters);
	free(w);
}

void world_run(struct world *w, uint64_t hours)
{
	uint64_t end = w->now_ns + hours * 3600 * S;
	while (w->now_ns < end)
		step(w);
}
