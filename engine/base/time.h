/*
 * Instants and lengths of time as types of their own: mixing them, or raw seconds with either, does not
 * compile. Both count nanoseconds. An instant is CLOCK_BOOTTIME, so a suspend counts. Sums saturate at
 * FZ_NEVER. Pure code is handed these; only engine/io reads a clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint64_t ns;
} fz_time;

typedef struct {
	uint64_t ns;
} fz_dur;

/* Wall-clock time, nanoseconds since 1970 (UTC). Only for what people or peers see. */
typedef struct {
	int64_t ns;
} fz_wall;

/* What a pure entry point is told about the present. */
struct fz_now {
	fz_time at;
	fz_wall wall;
};

#define FZ_NEVER           ((fz_time){ UINT64_MAX })
#define FZ_NANOSECONDS(n)  ((fz_dur){ (uint64_t)(n) })
#define FZ_MICROSECONDS(n) ((fz_dur){ 1000u * (uint64_t)(n) })
#define FZ_MILLISECONDS(n) ((fz_dur){ 1000000u * (uint64_t)(n) })
#define FZ_SECONDS(n)      ((fz_dur){ 1000000000u * (uint64_t)(n) })

static inline bool fz_time_is_never(fz_time t)
{
	return t.ns == UINT64_MAX;
}

static inline fz_time fz_time_add(fz_time t, fz_dur d)
{
	uint64_t sum;
	return __builtin_add_overflow(t.ns, d.ns, &sum) ? FZ_NEVER : (fz_time){ sum };
}

/* The time from `earlier` to `later`; zero if they are the other way round. */
static inline fz_dur fz_time_since(fz_time later, fz_time earlier)
{
	return (fz_dur){ later.ns > earlier.ns ? later.ns - earlier.ns : 0 };
}

/* True once `now` is at or past `when`; never for FZ_NEVER. */
static inline bool fz_time_reached(fz_time now, fz_time when)
{
	return when.ns != UINT64_MAX && now.ns >= when.ns;
}

static inline fz_time fz_time_min(fz_time a, fz_time b)
{
	return a.ns < b.ns ? a : b;
}

static inline bool fz_dur_less(fz_dur a, fz_dur b)
{
	return a.ns < b.ns;
}

static inline uint64_t fz_dur_ms(fz_dur d)
{
	return d.ns / 1000000u;
}
