/*
 * Whether one lane or two. One carries both directions for as long as it keeps up: nothing moves from one processor to another on
 * its way, and an answer finds the thread awake that carried the question. Once it has had a processor to itself for a whole window
 * and both directions are worth one, the second lane takes over what the TUN brings; when both together are worth less than one
 * processor again, the first takes it back. Time is the thread's own, not the wall's: where others want the processors, too, a
 * second thread would only wait for one.
 *
 * The TUN changes hands between two turns of the lane that has it, when all it read has been sent: no flow changes order.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/clock.h"
#include "io/lane.h"

#define WINDOW        FZ_MILLISECONDS(20)
#define SPLIT_PERCENT 90 /* of a processor, from which one lane has too much to do */
#define JOIN_PERCENT  60 /* of a processor, below which two lanes together have too little */
#define FEW_PACKETS                                                                                \
	20 /* in a window: no processor takes a millisecond for each, so that no clock need be asked */
#define MINOR_PERCENT 20 /* of all packets, from which the lesser direction is worth a lane */

void fz_lane_wake(int fd)
{
	uint64_t one = 1;
	if (write(fd, &one, sizeof(one)) < 0)
		fz_assert(errno == EAGAIN); /* the counter is full: it is awake */
}

static void set_has_tun(struct fz_lane *l, bool has)
{
	l->has_tun = has;
	l->deadline = (fz_time){ 0 }; /* asks the device at once */
	l->window = (struct fz_lane_window){ 0 };
	l->ops->set_reads_tun(l->backend, has);
}

void fz_lane_place_tun(struct fz_lane *l)
{
	struct fz_lane_shared *s = l->shared;
	if (!l->has_tun) {
		if (atomic_load_explicit(&s->tun_lane, memory_order_acquire) == l->number)
			set_has_tun(l, true);
		return;
	}
	uint32_t wanted = atomic_load_explicit(&s->tun_wanted, memory_order_relaxed);
	if (wanted == l->number)
		return;
	fz_lane_flush(l);
	fz_lane_settle(l, fz_clock_now());
	set_has_tun(l, false);
	atomic_store_explicit(&s->tun_lane, wanted, memory_order_release);
	fz_lane_wake(s->wake_fds[wanted]);
}

/* 0 for a lane that has not started or has ended. */
static uint64_t busy_ns(const struct fz_lane_shared *s, uint32_t number)
{
	struct timespec t;
	clockid_t clock = atomic_load_explicit(&s->clocks[number], memory_order_relaxed);
	if (clock == 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec;
}

static bool is_worth_two(uint64_t rx, uint64_t tx)
{
	uint64_t minor = rx < tx ? rx : tx;
	return minor * 100 >= (rx + tx) * MINOR_PERCENT;
}

void fz_lane_judge_load(struct fz_lane *l, fz_time now)
{
	struct fz_lane_shared *s = l->shared;
	struct fz_lane_window *w = &l->window;
	if (!l->has_tun || !fz_time_reached(now, w->until))
		return;
	struct fz_lane_window next = { .from = now,
		.until = fz_time_add(now, WINDOW),
		.rx = l->counters.rx_packets,
		.tx = l->counters.tx_packets };
	/* While there are two lanes this one sees one direction only. */
	bool is_split = l->number != 0;
	uint64_t rx = next.rx - w->rx, tx = next.tx - w->tx;
	if (!is_split && rx + tx < FEW_PACKETS) {
		next.from = (fz_time){ 0 }; /* the next window has nothing to compare with */
		*w = next;
		return;
	}
	uint64_t busy = 0, wall = fz_time_since(now, w->from).ns;
	for (uint32_t i = 0; i < FZ_CREW_OWNERS; i++) {
		next.busy_ns[i] = busy_ns(s, i);
		busy += next.busy_ns[i] - w->busy_ns[i];
	}
	bool is_first = w->from.ns == 0;
	*w = next;
	if (is_first)
		return;
	if (!is_split && busy * 100 >= wall * SPLIT_PERCENT && is_worth_two(rx, tx))
		atomic_store_explicit(&s->tun_wanted, 1, memory_order_relaxed);
	else if (is_split && busy * 100 < wall * JOIN_PERCENT)
		atomic_store_explicit(&s->tun_wanted, 0, memory_order_relaxed);
}
