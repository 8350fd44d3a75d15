/* The heap of deadlines against a plain array. */
#include "support/test.h"
#include "wg/schedule.h"

enum { N = 200 };

static fz_time at(uint64_t ns)
{
	return (fz_time){ ns };
}

TEST(schedule, the_earliest_comes_first)
{
	struct wg_schedule s = { 0 };
	struct wg_schedule_item a = { 0 }, b = { 0 }, c = { 0 };
	CHECK_INT(wg_schedule_reserve(&s, 3), 0);
	CHECK(wg_schedule_first_maybe(&s) == NULL);
	CHECK(fz_time_is_never(wg_schedule_next(&s)));
	wg_schedule_set(&s, &a, at(30));
	wg_schedule_set(&s, &b, at(10));
	wg_schedule_set(&s, &c, at(20));
	CHECK(wg_schedule_first_maybe(&s) == &b);
	wg_schedule_set(&s, &b, at(40));
	CHECK(wg_schedule_first_maybe(&s) == &c);
	wg_schedule_set(&s, &c, FZ_NEVER);
	wg_schedule_set(&s, &c, FZ_NEVER);
	CHECK(wg_schedule_first_maybe(&s) == &a);
	CHECK_UINT(wg_schedule_due(&s, &b).ns, 40);
	CHECK(fz_time_is_never(wg_schedule_due(&s, &c)));
	wg_schedule_done(&s);
}

TEST(schedule, agrees_with_a_plain_search)
{
	static struct wg_schedule_item items[N];
	static uint64_t due[N];
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct test_rng rng = { seed };
		struct wg_schedule s = { 0 };
		memset(items, 0, sizeof(items));
		memset(due, 0xff, sizeof(due));
		CHECK_INT(wg_schedule_reserve(&s, N), 0);
		for (int step = 0; step < 5000; step++) {
			size_t i = test_rng_below(&rng, N);
			due[i] = test_rng_below(&rng, 3) ? test_rng_below(&rng, 1000) : UINT64_MAX;
			wg_schedule_set(&s, &items[i], at(due[i]));
			uint64_t first = UINT64_MAX;
			for (size_t j = 0; j < N; j++)
				first = due[j] < first ? due[j] : first;
			if (wg_schedule_next(&s).ns != first)
				TEST_FAIL("seed %" PRIu64 ", step %d", seed, step);
		}
		wg_schedule_done(&s);
	}
}
