/* The replay window: a table of sequences, and a model that remembers every counter. */
#include "support/test.h"
#include "wg/replay.h"

#define LIMIT WG_REJECT_AFTER_MESSAGES
#define W     WG_REPLAY_WINDOW

struct step {
	uint64_t counter;
	bool accepted;
};

static void walk(const char *name, const struct step *steps, size_t n)
{
	struct wg_replay r = { 0 };
	for (size_t i = 0; i < n; i++)
		if (wg_replay_accept(&r, steps[i].counter) != steps[i].accepted)
			TEST_FAIL("%s: step %zu, counter %" PRIu64 ", want %d", name, i,
				steps[i].counter, steps[i].accepted);
}

#define WALK(name, ...)                                                                            \
	walk(name, (const struct step[]){ __VA_ARGS__ },                                           \
		sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step))

TEST(replay, a_counter_is_accepted_once)
{
	WALK("in order", { 0, true }, { 0, false }, { 1, true }, { 1, false }, { 2, true });
	WALK("from the middle", { 9, true }, { 8, true }, { 7, true }, { 7, false }, { 9, false },
		{ 6, true });
	WALK("gaps fill later", { 0, true }, { 2, true }, { 4, true }, { 1, true }, { 3, true },
		{ 1, false }, { 3, false });
}

TEST(replay, the_window_reaches_8128_behind_the_newest)
{
	WALK("edge", { W, true }, { 0, true }, { 0, false });
	WALK("one further", { W + 1, true }, { 0, false }, { 1, true }, { 1, false });
	WALK("after a jump", { 15, true }, { 15 + W, true }, { 15, false }, { 14, false },
		{ 16, true });
	WALK("far jump forgets all", { 5, true }, { 6, true }, { 1000000, true }, { 6, false },
		{ 1000000 - W, true }, { 1000000 - W - 1, false }, { 999999, true },
		{ 1000000, false });
	WALK("a jump of exactly the ring", { 3, true }, { 3 + WG_REPLAY_BITS, true },
		{ 3 + WG_REPLAY_BITS, false }, { 3, false }, { 3 + WG_REPLAY_BITS - W, true });
	WALK("word borders", { 63, true }, { 64, true }, { 62, true }, { 65, true }, { 63, false },
		{ 64, false }, { 127, true }, { 128, true }, { 127, false });
}

TEST(replay, counters_end_at_the_limit)
{
	WALK("beyond", { LIMIT, false }, { LIMIT + 1, false }, { UINT64_MAX, false }, { 0, true });
	WALK("the last one", { LIMIT - 1, true }, { LIMIT - 1, false }, { LIMIT, false },
		{ LIMIT - 2, true }, { LIMIT - 1 - W, true }, { LIMIT - 2 - W, false },
		{ 0, false });
	WALK("up to the end and back", { 0, true }, { LIMIT - 2, true }, { LIMIT - 1, true },
		{ 0, false }, { LIMIT - 2, false });
	struct wg_replay r = { 0 };
	CHECK(wg_replay_accept(&r, LIMIT - 2));
	CHECK(!wg_replay_is_used_up(&r));
	CHECK(wg_replay_accept(&r, LIMIT - 1));
	CHECK(wg_replay_is_used_up(&r));
}

TEST(replay, a_whole_window_is_accepted_in_any_order)
{
	struct wg_replay up = { 0 }, down = { 0 };
	for (uint64_t i = 0; i <= W; i++) {
		CHECK(wg_replay_accept(&up, i));
		CHECK(wg_replay_accept(&down, W - i));
	}
	for (uint64_t i = 0; i <= W; i++) {
		CHECK(!wg_replay_accept(&up, i));
		CHECK(!wg_replay_accept(&down, i));
	}
	/* One place too many: downwards from W + 1, the last one has left the window. */
	struct wg_replay r = { 0 };
	for (uint64_t i = W + 1; i > 0; i--)
		CHECK(wg_replay_accept(&r, i));
	CHECK(!wg_replay_accept(&r, 0));
}

/* Random walks against a ring of booleans twice as large, cleared one by one. */
#define MODEL (2 * WG_REPLAY_BITS)

struct model {
	bool seen[MODEL];
	uint64_t top; /* highest + 1 */
};

static bool model_accept(struct model *m, uint64_t c)
{
	if (c >= LIMIT || (m->top > 0 && c < m->top - 1 && m->top - 1 - c > W))
		return false;
	if (c >= m->top) {
		uint64_t n = c + 1 - m->top < MODEL ? c + 1 - m->top : MODEL;
		for (uint64_t i = 0; i < n; i++)
			m->seen[(c - i) % MODEL] = false;
		m->top = c + 1;
	}
	bool fresh = !m->seen[c % MODEL];
	m->seen[c % MODEL] = true;
	return fresh;
}

static uint64_t next_counter(struct test_rng *rng, uint64_t top)
{
	uint64_t reach = 2 * WG_REPLAY_BITS, step = test_rng_below(rng, reach);
	switch (test_rng_below(rng, 8)) {
	case 0: return top + step;
	case 1: return test_rng_next(rng);
	case 2: return LIMIT - test_rng_below(rng, 3);
	case 3: return top;
	default: return top > step ? top - step : 0;
	}
}

TEST(replay, agrees_with_a_simple_model)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct test_rng rng = { seed };
		struct wg_replay r = { 0 };
		struct model *m = calloc(1, sizeof(*m));
		CHECK(m != NULL);
		for (int i = 0; i < 20000; i++) {
			uint64_t c = next_counter(&rng, m->top);
			/* Huge jumps are rare, else all else would be too old. */
			if (c > m->top && c - m->top > MODEL && test_rng_below(&rng, 4000) != 0)
				continue;
			if (wg_replay_accept(&r, c) != model_accept(m, c))
				TEST_FAIL(
					"seed %" PRIu64 ", step %d, counter %" PRIu64, seed, i, c);
		}
		free(m);
	}
}
