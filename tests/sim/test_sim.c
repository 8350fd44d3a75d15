/* Virtual days over a bad network; see world.h. */
#include "sim/world.h"

/* Four days in all; a few hours of each seed under sanitizers and valgrind, which are ten to forty times slower. */
#if defined(FZ_TEST_PLAIN)
#define HOURS 2
#else
#define HOURS 12
#endif

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void live(uint64_t seed, uint64_t hours)
{
	struct world *w = world_new(seed);
	world_run(w, hours);
	printf("SIM_SEED=%" PRIu64 " SIM_HOURS=%" PRIu64 ": %" PRIu64 " steps, %" PRIu64
	       " datagrams, %" PRIu64 " packets delivered, %" PRIu64 " initiations, %" PRIu64
	       " cookies, %" PRIu64 " restarts\n",
		seed, hours, w->n_steps, w->n_datagrams, w->n_delivered, w->n_handshakes,
		w->n_cookies, w->n_restarts);
	CHECK(w->n_delivered > 0 && w->n_handshakes > 0);
	world_free(w);
}

TEST(sim, tunnels_survive_days_of_bad_weather)
{
	uint64_t seed = number_from("SIM_SEED", 0), hours = number_from("SIM_HOURS", 0);
	if (seed > 0) {
		live(seed, hours > 0 ? hours : 24);
		return;
	}
	for (uint64_t i = 1; i <= 8; i++)
		live(i, hours > 0 ? hours : HOURS);
}
