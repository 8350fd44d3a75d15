/* Helpers do what one thread does alone. What they find wrong, the owner sees. */
#include <pthread.h>

#include "io/crew.h"
#include "support/test.h"

#define N_JOBS 128
#define LEN    200

struct batch {
	struct fz_key key;
	struct fz_aead_job jobs[N_JOBS];
	uint8_t plain[N_JOBS][LEN], sealed[N_JOBS][LEN], tags[N_JOBS][FZ_AEAD_TAG_LEN];
};

static void fill(struct batch *b, uint64_t seed)
{
	struct test_rng rng = { seed };
	test_rng_fill(&rng, b->key.b, sizeof(b->key.b));
	test_rng_fill(&rng, b->plain, sizeof(b->plain));
	for (uint32_t i = 0; i < N_JOBS; i++)
		b->jobs[i] = (struct fz_aead_job){ .key = &b->key,
			.counter = seed * N_JOBS + i,
			.src = b->plain[i],
			.dst = b->sealed[i],
			.tag = b->tags[i],
			.len = (uint32_t)test_rng_below(&rng, LEN + 1) };
}

/* Seals with help, opens what was sealed alone, and the other way round. */
static void round_trip(
	struct fz_crew *c, unsigned owner, struct fz_aead *own, struct batch *b, uint64_t seed)
{
	fill(b, seed);
	size_t n = 1 + seed % N_JOBS, bad = seed % n;
	fz_crew_seal(c, owner, own, b->jobs, n);
	b->tags[bad][seed % FZ_AEAD_TAG_LEN] ^= 1;
	for (size_t i = 0; i < n; i++) {
		b->jobs[i].src = b->jobs[i].dst;
		b->jobs[i].ok = i == bad; /* must be set either way */
	}
	fz_crew_open(seed % 2 ? c : NULL, owner, own, b->jobs, n);
	for (size_t i = 0; i < n; i++) {
		CHECK_UINT(b->jobs[i].ok, i != bad);
		if (i != bad)
			CHECK_MEM(b->sealed[i], b->plain[i], b->jobs[i].len);
	}
}

struct owner {
	struct fz_crew *crew;
	unsigned number;
	pthread_t thread;
};

static void *own(void *user)
{
	struct owner *o = user;
	struct batch *b = calloc(1, sizeof(*b));
	struct fz_aead *aead;
	CHECK(b);
	CHECK_INT(fz_aead_new(FZ_AEAD_AUTO, &aead), 0);
	for (uint64_t i = 1; i <= 300; i++)
		round_trip(o->crew, o->number, aead, b, i * FZ_CREW_OWNERS + o->number);
	fz_aead_free(aead);
	free(b);
	return NULL;
}

static void owners_share(unsigned n_helpers)
{
	struct owner owners[FZ_CREW_OWNERS];
	struct fz_crew *c = NULL;
	CHECK_INT(fz_crew_new(n_helpers, FZ_AEAD_AUTO, &c), 0);
	for (unsigned i = 0; i < FZ_CREW_OWNERS; i++) {
		owners[i] = (struct owner){ .crew = c, .number = i };
		CHECK_INT(pthread_create(&owners[i].thread, NULL, own, &owners[i]), 0);
	}
	for (unsigned i = 0; i < FZ_CREW_OWNERS; i++)
		pthread_join(owners[i].thread, NULL);
	fz_crew_free(c);
}

TEST(crew, one_helper_serves_two_owners)
{
	owners_share(1);
}

TEST(crew, four_helpers_serve_two_owners)
{
	owners_share(4);
}

TEST(crew, an_owner_without_helpers_does_all_itself)
{
	owners_share(0);
}

TEST(crew, more_helpers_than_there_may_be_are_not_made)
{
	struct fz_crew *c = NULL;
	CHECK_INT(fz_crew_new(FZ_CREW_MAX + 5, FZ_AEAD_AUTO, &c), 0);
	fz_crew_free(c);
}
