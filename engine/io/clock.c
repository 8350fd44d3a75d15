/* The only reader of clocks in the data plane. */
#include "io/clock.h"

#include <time.h>

fz_time fz_clock_boot(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (fz_time){ (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec };
}

struct fz_now fz_clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct fz_now){ fz_clock_boot(),
		{ (int64_t)t.tv_sec * 1'000'000'000 + t.tv_nsec } };
}
