/* Threads around lanes, and the few things the control thread may do to them. */
#include "io/plane.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd.h"
#include "io/clock.h"
#include "io/lane.h"

#define LANES_MAX           FZ_CREW_OWNERS
#define DEFAULT_THREADS_MAX 4

struct worker {
	struct fz_plane *plane;
	pthread_t thread;
	bool is_running;
	int wake_fd;
	struct fz_io_params io;
	struct fz_lane *lane; /* made and freed by its own thread */
	int start_result;
	uint32_t udp_generation; /* last one taken over */
};

struct fz_plane {
	struct fz_plane_params params;
	struct fz_lane_shared shared;
	const struct fz_backend_ops *ops;
	unsigned n_workers, n_helpers;
	struct worker workers[LANES_MAX];
	int fatal_fd;
	_Atomic int fatal;
	_Atomic bool stops;
	/* guards what follows */
	pthread_mutex_t control_lock;
	pthread_cond_t control_changed;
	struct fz_udp udp;
	_Atomic uint32_t udp_generation; /* may be read without the lock */
	unsigned n_started;
	struct fz_plane_counters total; /* of lanes that ended */
	const char *aead_name;
};

void fz_plane_free(struct fz_plane *p)
{
	if (!p)
		return;
	fz_plane_stop(p);
	for (unsigned i = 0; i < LANES_MAX; i++)
		fz_closep(&p->workers[i].wake_fd);
	fz_closep(&p->fatal_fd);
	pthread_mutex_destroy(&p->shared.lock);
	pthread_mutex_destroy(&p->control_lock);
	pthread_cond_destroy(&p->control_changed);
	free(p);
}

/* One per CPU, up to where receiving and sending have a helper each. */
static unsigned default_threads(void)
{
	cpu_set_t set;
	unsigned cpus =
		sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	return cpus < DEFAULT_THREADS_MAX ? cpus : DEFAULT_THREADS_MAX;
}

int fz_plane_new(const struct fz_plane_params *params, struct fz_plane **ret_plane)
{
	struct fz_plane *p = fz_new(struct fz_plane);
	if (!p)
		return -ENOMEM;
	p->params = *params;
	p->udp = (struct fz_udp){ .v4 = -1, .v6 = -1 };
	pthread_mutex_init(&p->shared.lock, NULL);
	pthread_mutex_init(&p->control_lock, NULL);
	pthread_cond_init(&p->control_changed, NULL);
	p->shared.device = params->device;
	p->shared.tun_caps = params->tun.caps;
	if (params->hooks)
		p->shared.hooks = *params->hooks;
	unsigned wanted = params->threads ? params->threads : default_threads();
	p->n_workers = wanted < LANES_MAX ? wanted : LANES_MAX;
	p->n_helpers = wanted - p->n_workers < FZ_CREW_MAX ? wanted - p->n_workers : FZ_CREW_MAX;
	p->fatal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bool ok = p->fatal_fd >= 0;
	for (unsigned i = 0; i < LANES_MAX; i++) {
		p->workers[i].plane = p;
		p->workers[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ok = ok && p->workers[i].wake_fd >= 0;
	}
	if (!ok) {
		int r = -errno;
		fz_plane_free(p);
		return r;
	}
	for (unsigned i = 0; i < LANES_MAX; i++)
		p->shared.wake_fds[i] = p->workers[i].wake_fd;
	p->shared.splits_by_load = params->threads == 0 && p->n_workers == LANES_MAX;
	*ret_plane = p;
	return 0;
}

/* ---- the thread ---- */

static void add_counters(struct fz_plane_counters *sum, const struct fz_plane_counters *c)
{
	sum->rx_trains += c->rx_trains;
	sum->rx_packets += c->rx_packets;
	sum->tx_frames += c->tx_frames;
	sum->tx_packets += c->tx_packets;
	sum->tx_trains += c->tx_trains;
	sum->tun_writes += c->tun_writes;
	sum->gso_refused += c->gso_refused;
	sum->coalesce_refused += c->coalesce_refused;
	sum->overflows += c->overflows;
}

static void take_over_udp(struct worker *w)
{
	struct fz_plane *p = w->plane;
	pthread_mutex_lock(&p->control_lock);
	w->udp_generation = atomic_load(&p->udp_generation);
	fz_lane_set_udp(w->lane, &p->udp);
	pthread_cond_broadcast(&p->control_changed);
	pthread_mutex_unlock(&p->control_lock);
}

static int make_lane(struct worker *w)
{
	struct fz_plane *p = w->plane;
	int r = fz_lane_new(
		&p->shared, p->ops, &w->io, p->params.aead, (unsigned)(w - p->workers), &w->lane);
	pthread_mutex_lock(&p->control_lock);
	w->start_result = r;
	p->n_started++;
	if (r == 0) {
		p->aead_name = fz_aead_name(w->lane->aead);
		fz_lane_set_udp(w->lane, &p->udp);
		w->udp_generation = atomic_load(&p->udp_generation);
	}
	pthread_cond_broadcast(&p->control_changed);
	pthread_mutex_unlock(&p->control_lock);
	return r;
}

static void report_fatal(struct fz_plane *p, int r)
{
	int expected = 0;
	if (atomic_compare_exchange_strong(&p->fatal, &expected, r))
		fz_lane_wake(p->fatal_fd);
}

static void *run(void *user)
{
	struct worker *w = user;
	struct fz_plane *p = w->plane;
	int r = make_lane(w);
	while (r == 0 && !atomic_load_explicit(&p->stops, memory_order_acquire)) {
		r = fz_lane_run(w->lane);
		if (w->udp_generation !=
			atomic_load_explicit(&p->udp_generation, memory_order_acquire)) {
			fz_lane_flush(w->lane);
			fz_lane_settle(w->lane, fz_clock_now());
			take_over_udp(w);
		}
	}
	if (w->lane) {
		fz_lane_flush(w->lane);
		fz_lane_settle(w->lane, fz_clock_now());
		pthread_mutex_lock(&p->control_lock);
		add_counters(&p->total, &w->lane->counters);
		fz_lane_free(w->lane);
		w->lane = NULL;
		w->udp_generation = UINT32_MAX; /* uses no socket any more */
		pthread_cond_broadcast(&p->control_changed);
		pthread_mutex_unlock(&p->control_lock);
		if (r < 0)
			report_fatal(p, r);
	}
	return NULL;
}

/* ---- the control thread ---- */

static int start_threads(struct fz_plane *p)
{
	/* Signals are the control thread's. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int r = 0;
	unsigned first_tun_lane = p->shared.splits_by_load ? 0 : p->n_workers - 1;
	atomic_store(&p->shared.tun_lane, first_tun_lane);
	atomic_store(&p->shared.tun_wanted, first_tun_lane);
	for (unsigned i = 0; i < p->n_workers && r == 0; i++) {
		struct worker *w = &p->workers[i];
		w->io = (struct fz_io_params){ .tun_fd = p->params.tun.fd,
			.wake_fd = w->wake_fd,
			.reads_udp = i == 0,
			.reads_tun = i == first_tun_lane };
		r = -pthread_create(&w->thread, NULL, run, w);
		w->is_running = r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static int wait_for_threads(struct fz_plane *p)
{
	int r = 0;
	pthread_mutex_lock(&p->control_lock);
	while (p->n_started < p->n_workers)
		pthread_cond_wait(&p->control_changed, &p->control_lock);
	for (unsigned i = 0; i < p->n_workers; i++)
		r = r ? r : p->workers[i].start_result;
	pthread_mutex_unlock(&p->control_lock);
	return r;
}

static int start_all(struct fz_plane *p)
{
	int r = 0;
	if (p->n_helpers > 0)
		r = fz_crew_new(p->n_helpers, p->params.aead, &p->shared.crew);
	if (r < 0)
		return r;
	atomic_store(&p->stops, false);
	p->n_started = 0;
	r = start_threads(p);
	if (r == 0)
		r = wait_for_threads(p);
	if (r < 0)
		fz_plane_stop(p);
	return r;
}

/*
 * Rings are paid for out of a limit on locked memory that all processes of a user share: there may have been enough for the one that was tried, and
 * not for one more for each lane.
 */
int fz_plane_start(struct fz_plane *p)
{
	int r = fz_backend_choose(p->params.io, &p->ops);
	if (r < 0)
		return r;
	r = start_all(p);
	if (r != -ENOMEM || p->params.io != FZ_IO_AUTO || p->ops == &fz_backend_epoll)
		return r;
	p->ops = fz_backend_fall_back(r);
	return start_all(p);
}

void fz_plane_stop(struct fz_plane *p)
{
	atomic_store_explicit(&p->stops, true, memory_order_release);
	for (unsigned i = 0; i < p->n_workers; i++)
		fz_lane_wake(p->workers[i].wake_fd);
	for (unsigned i = 0; i < p->n_workers; i++) {
		if (!p->workers[i].is_running)
			continue;
		pthread_join(p->workers[i].thread, NULL);
		p->workers[i].is_running = false;
	}
	fz_crew_free(p->shared.crew);
	p->shared.crew = NULL;
}

void fz_plane_lock(struct fz_plane *p)
{
	pthread_mutex_lock(&p->shared.lock);
}

void fz_plane_unlock(struct fz_plane *p)
{
	pthread_mutex_unlock(&p->shared.lock);
	fz_lane_wake(
		p->shared
			.wake_fds[atomic_load_explicit(&p->shared.tun_lane, memory_order_acquire)]);
}

void fz_plane_move_tun(struct fz_plane *p, unsigned number)
{
	fz_assert(number < p->n_workers);
	atomic_store(&p->shared.tun_wanted, number);
	for (unsigned i = 0; i < p->n_workers; i++)
		fz_lane_wake(p->workers[i].wake_fd);
}

void fz_plane_set_udp(struct fz_plane *p, const struct fz_udp *udp)
{
	pthread_mutex_lock(&p->control_lock);
	p->udp = *udp;
	uint32_t generation = atomic_load(&p->udp_generation) + 1;
	generation += generation == UINT32_MAX; /* the mark of a thread that ended */
	atomic_store_explicit(&p->udp_generation, generation, memory_order_release);
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct worker *w = &p->workers[i];
		fz_lane_wake(w->wake_fd);
		while (w->is_running && w->lane && w->udp_generation != generation)
			pthread_cond_wait(&p->control_changed, &p->control_lock);
	}
	pthread_mutex_unlock(&p->control_lock);
}

int fz_plane_fatal_fd(const struct fz_plane *p)
{
	return p->fatal_fd;
}

int fz_plane_fatal(const struct fz_plane *p)
{
	return atomic_load(&p->fatal);
}

void fz_plane_counters(struct fz_plane *p, struct fz_plane_counters *ret)
{
	pthread_mutex_lock(&p->control_lock);
	pthread_mutex_lock(&p->shared.lock);
	*ret = p->total;
	for (unsigned i = 0; i < p->n_workers; i++)
		if (p->workers[i].lane)
			add_counters(ret, &p->workers[i].lane->published);
	pthread_mutex_unlock(&p->shared.lock);
	pthread_mutex_unlock(&p->control_lock);
}

const char *fz_plane_io_name(const struct fz_plane *p)
{
	return p->ops ? p->ops->name : "none";
}

const char *fz_plane_aead_name(const struct fz_plane *p)
{
	return p->aead_name ? p->aead_name : "none";
}

unsigned fz_plane_threads(const struct fz_plane *p)
{
	return p->n_workers + p->n_helpers;
}
