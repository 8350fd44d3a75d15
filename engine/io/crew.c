/*
 * One word per owner says which batch is lent and how far it is claimed: generation, length and next job. Whoever moves
 * it on by compare-and-swap owns those jobs; the generation keeps a late helper from claiming in a batch it did not see.
 * A batch's fields change only while none of it is claimed but undone, so they are read after a claim without a lock.
 */
#include "io/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

#define CHUNK     16 /* jobs claimed at once: what the vector units take together */
#define WORTH_IT  32 /* jobs in a batch, from which lending pays */
#define SPINS     1000 /* looks at the batches before a helper sleeps: tens of microseconds */
#define SPINS_END 2000 /* looks at a helper's last chunk before the processor is offered to it */

struct batch {
	_Atomic uint64_t word FZ_ALIGNED(128);
	_Atomic uint32_t n_done FZ_ALIGNED(128);
	struct fz_aead_job *jobs;
	bool opens;
};

struct helper {
	struct fz_crew *crew;
	struct fz_aead *aead;
	pthread_t thread;
	bool is_running;
};

struct fz_crew {
	struct batch batches[FZ_CREW_OWNERS];
	sem_t doorbell;
	_Atomic bool stops;
	_Atomic uint32_t n_asleep; /* a hint: a doorbell too few costs help, one too many a look */
	unsigned n_helpers;
	struct helper helpers[FZ_CREW_MAX];
};

/* generation | length | next */
static uint64_t word_of(uint32_t generation, uint32_t n, uint32_t next)
{
	return (uint64_t)generation << 32 | (uint64_t)n << 16 | next;
}

static uint32_t n_of(uint64_t word)
{
	return (uint32_t)(word >> 16) & 0xffff;
}

static uint32_t next_of(uint64_t word)
{
	return (uint32_t)word & 0xffff;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Claims a chunk and does it. False: all of the batch is claimed. */
static bool work(struct batch *b, struct fz_aead *aead)
{
	uint64_t word = atomic_load_explicit(&b->word, memory_order_acquire);
	uint32_t at, n;
	do {
		at = next_of(word);
		if (at >= n_of(word))
			return false;
		n = n_of(word) - at < CHUNK ? n_of(word) - at : CHUNK;
	} while (!atomic_compare_exchange_weak_explicit(
		&b->word, &word, word + n, memory_order_acquire, memory_order_acquire));
	if (b->opens)
		(void)fz_aead_open_many(aead, b->jobs + at, n); /* each job says how it went */
	else
		fz_aead_seal_many(aead, b->jobs + at, n);
	atomic_fetch_add_explicit(&b->n_done, n, memory_order_release);
	return true;
}

static bool work_anywhere(struct fz_crew *c, struct fz_aead *aead)
{
	bool did = false;
	for (size_t i = 0; i < FZ_CREW_OWNERS; i++)
		while (work(&c->batches[i], aead))
			did = true;
	return did;
}

static void *help(void *user)
{
	struct helper *h = user;
	struct fz_crew *c = h->crew;
	while (!atomic_load_explicit(&c->stops, memory_order_acquire)) {
		for (unsigned idle = 0; idle < SPINS; idle++) {
			if (work_anywhere(c, h->aead))
				idle = 0;
			relax();
		}
		atomic_fetch_add(&c->n_asleep, 1);
		while (sem_wait(&c->doorbell) != 0)
			fz_assert(errno == EINTR);
		atomic_fetch_sub(&c->n_asleep, 1);
	}
	return NULL;
}

static void lend(struct fz_crew *c, unsigned owner, struct fz_aead *own, struct fz_aead_job *jobs,
	size_t n, bool opens)
{
	fz_assert(owner < FZ_CREW_OWNERS && n <= UINT16_MAX);
	struct batch *b = &c->batches[owner];
	b->jobs = jobs;
	b->opens = opens;
	atomic_store_explicit(&b->n_done, 0, memory_order_relaxed);
	uint32_t generation =
		(uint32_t)(atomic_load_explicit(&b->word, memory_order_relaxed) >> 32) + 1;
	atomic_store_explicit(&b->word, word_of(generation, (uint32_t)n, 0), memory_order_release);
	if (atomic_load_explicit(&c->n_asleep, memory_order_relaxed) > 0)
		(void)sem_post(&c->doorbell);
	while (work(b, own))
		;
	for (unsigned spins = 0; atomic_load_explicit(&b->n_done, memory_order_acquire) < n;
		spins++) {
		if (spins < SPINS_END)
			relax();
		else
			sched_yield();
	}
}

void fz_crew_seal(
	struct fz_crew *c, unsigned owner, struct fz_aead *own, struct fz_aead_job *jobs, size_t n)
{
	if (c && n >= WORTH_IT)
		lend(c, owner, own, jobs, n, false);
	else if (n > 0)
		fz_aead_seal_many(own, jobs, n);
}

void fz_crew_open(
	struct fz_crew *c, unsigned owner, struct fz_aead *own, struct fz_aead_job *jobs, size_t n)
{
	if (c && n >= WORTH_IT)
		lend(c, owner, own, jobs, n, true);
	else if (n > 0)
		(void)fz_aead_open_many(own, jobs, n);
}

void fz_crew_free(struct fz_crew *c)
{
	if (!c)
		return;
	atomic_store_explicit(&c->stops, true, memory_order_release);
	for (unsigned i = 0; i < c->n_helpers; i++)
		(void)sem_post(&c->doorbell);
	for (unsigned i = 0; i < c->n_helpers; i++) {
		if (c->helpers[i].is_running)
			pthread_join(c->helpers[i].thread, NULL);
		fz_aead_free(c->helpers[i].aead);
	}
	sem_destroy(&c->doorbell);
	free(c);
}

static int start_helper(struct fz_crew *c, struct helper *h, enum fz_aead_kind kind)
{
	h->crew = c;
	int r = fz_aead_new(kind, &h->aead);
	if (r < 0)
		return r;
	/* Signals are the control thread's. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = -pthread_create(&h->thread, NULL, help, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	h->is_running = r == 0;
	return r;
}

int fz_crew_new(unsigned n_helpers, enum fz_aead_kind kind, struct fz_crew **ret_crew)
{
	struct fz_crew *c = fz_alloc_aligned(128, sizeof(struct fz_crew));
	if (!c)
		return -ENOMEM;
	sem_init(&c->doorbell, 0, 0);
	int r = 0;
	while (c->n_helpers < n_helpers && c->n_helpers < FZ_CREW_MAX && r == 0) {
		r = start_helper(c, &c->helpers[c->n_helpers], kind);
		c->n_helpers++;
	}
	if (r < 0) {
		fz_crew_free(c);
		return r;
	}
	*ret_crew = c;
	return 0;
}
