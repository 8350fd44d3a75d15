/*
 * The batch AEAD: every backend against fixed vectors (computed by an implementation of RFC 8439 written for that) and
 * against the single-shot reference, at every length up to 2048, every misalignment, and with every forged bit.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "crypto/aead_backend.h"
#include "crypto/blake2s.h"
#include "crypto/handshake_aead.h"
#include "support/test.h"
#include "unit/aead_backends.h"

#define LEN_MAX 2048
#define N_JOBS  140 /* more than one burst of any backend, and no multiple of one */

static struct fz_key make_key(unsigned seed)
{
	struct fz_key k;
	for (size_t i = 0; i < 32; i++)
		k.b[i] = (uint8_t)(i + seed);
	return k;
}

/* Whether AUTO is the backend of that name. */
static bool is_chosen(const char *name)
{
	struct fz_aead *chosen = NULL;
	CHECK_INT(fz_aead_new(FZ_AEAD_AUTO, &chosen), 0);
	bool is = strcmp(fz_aead_name(chosen), name) == 0;
	fz_aead_free(chosen);
	return is;
}

TEST(aead, our_own_backend_is_chosen_where_it_can)
{
	struct fz_aead *a = backend_maybe(FZ_AEAD_AVX512);
	if (!a)
		TEST_SKIP_ALLOWED("this CPU has no AVX-512 with IFMA");
	CHECK_STR(fz_aead_name(a), "avx512");
	CHECK(is_chosen("avx512"));
	fz_aead_free(a);
}

TEST(aead, the_other_fast_backend_exists_where_it_can)
{
	struct fz_aead *a = backend_maybe(FZ_AEAD_IPSECMB);
	if (!a)
		TEST_SKIP_ALLOWED("this CPU or build has no intel-ipsec-mb");
	CHECK(strncmp(fz_aead_name(a), "ipsecmb-", 8) == 0);
	CHECK(is_chosen(fz_aead_name(a)) || is_chosen("avx512"));
	fz_aead_free(a);
}

TEST(aead, auto_always_finds_one)
{
	struct fz_aead *a = NULL;
	CHECK_INT(fz_aead_new(FZ_AEAD_AUTO, &a), 0);
	CHECK(a);
	fz_aead_free(a);
	fz_aead_free(NULL);
}

TEST(aead, names_are_parsed_exactly)
{
	enum fz_aead_kind kind = FZ_AEAD_IPSECMB;
	CHECK(fz_aead_kind_parse("auto", &kind) == 0 && kind == FZ_AEAD_AUTO);
	CHECK(fz_aead_kind_parse("sodium", &kind) == 0 && kind == FZ_AEAD_SODIUM);
	CHECK(fz_aead_kind_parse("avx512", &kind) == 0 && kind == FZ_AEAD_AVX512);
	CHECK(fz_aead_kind_parse("ipsecmb", &kind) == 0 && kind == FZ_AEAD_IPSECMB);
	static const char *const bad[] = { "", "Auto", "ipsecmb-avx512", "sodium ", "none" };
	for (size_t i = 0; i < 5; i++)
		CHECK_INT(fz_aead_kind_parse(bad[i], &kind), -EINVAL);
	CHECK(kind == FZ_AEAD_IPSECMB);
}

TEST(aead, fixed_vectors_hold)
{
	static const struct {
		uint32_t n;
		uint64_t counter;
		const char *hash, *tag;
	} rows[] = {
		{ 0, 0, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9",
			"10324f800a160bd9a1794255be7ec29d" },
		{ 33, 1, "10a1d5a916acbdb2c33548946e93d3d2f9f400623aa17239c32f08d85460ba59",
			"18b30169d6cbc76d1ccab3fb727ba08a" },
		{ 64, 0x8000000000000005,
			"e2dc516ae6ee37db8ad57fec60de08934b669fd2ea9fda74e353b02c029d0cd1",
			"28f05ec0e463b369568b33dc00ddcb20" },
		{ 1420, 0x0102030405060708,
			"4fb1440a2b6b15da28362291771e9b2b18d45fedb41031e6e795b07a8311da40",
			"5ae559a2f21e86bff5b2b8e24fdfb039" },
		{ 1421, UINT64_MAX,
			"8b0957811406144903bbf7cebace444d92a9a9d17068bf2ce68f01814cd902f0",
			"ce23feb58103caf9e7441c9f9f7b128a" },
	};
	struct fz_key key = make_key(0);
	EACH_BACKEND(a)
	{
		for (size_t i = 0; i < 5; i++) {
			uint8_t plain[1421], sealed[1421], tag[16], hash[32], want[48];
			for (size_t k = 0; k < sizeof(plain); k++)
				plain[k] = (uint8_t)(k * 13 + 5);
			struct fz_aead_job j = { &key, rows[i].counter, plain, sealed, tag,
				rows[i].n, false };
			fz_aead_seal_many(a, &j, 1);
			(void)test_unhex(rows[i].hash, want, 32);
			(void)test_unhex(rows[i].tag, want + 32, 16);
			fz_blake2s_hash(hash, fz_bytes_of(sealed, rows[i].n));
			CHECK_MEM(hash, want, 32);
			CHECK_MEM(tag, want + 32, 16);
		}
	}
}

TEST(aead, every_length_agrees_with_the_reference_and_opens_again)
{
	static uint8_t plain[LEN_MAX], want[LEN_MAX + 16], sealed[LEN_MAX], opened[LEN_MAX];
	struct test_rng rng = { 1 };
	struct fz_key key = make_key(7);
	test_rng_fill(&rng, plain, sizeof(plain));
	EACH_BACKEND(a)
	{
		for (uint32_t n = 0; n <= LEN_MAX; n++) {
			uint8_t tag[16];
			uint64_t counter = test_rng_next(&rng);
			fz_aead_seal(
				&key, counter, (struct fz_bytes){ 0 }, fz_bytes_of(plain, n), want);
			struct fz_aead_job j = { &key, counter, plain, sealed, tag, n, false };
			fz_aead_seal_many(a, &j, 1);
			CHECK_MEM(sealed, want, n);
			CHECK_MEM(tag, want + n, 16);
			j.src = sealed;
			j.dst = opened;
			CHECK_UINT(fz_aead_open_many(a, &j, 1), 1);
			CHECK(j.ok);
			CHECK_MEM(opened, plain, n);
		}
	}
}

TEST(aead, any_misalignment_works_and_writes_nothing_beside_its_bytes)
{
	static uint8_t plain[512], want[512], slab[512];
	struct test_rng rng = { 2 };
	struct fz_key key = make_key(9);
	test_rng_fill(&rng, plain, sizeof(plain));
	EACH_BACKEND(a)
	{
		for (size_t from = 0; from < 16; from++) {
			for (size_t to = 0; to < 16; to++) {
				uint32_t n = (uint32_t)(1 + test_rng_below(&rng, 400));
				fz_aead_seal(&key, 3, (struct fz_bytes){ 0 },
					fz_bytes_of(plain + from, n), want);
				memset(slab, 0xa5, sizeof(slab));
				struct fz_aead_job j = { &key, 3, plain + from, slab + 16 + to,
					slab + 16 + to + n, n, false };
				fz_aead_seal_many(a, &j, 1);
				CHECK_MEM(slab + 16 + to, want, n + 16);
				CHECK(slab[15 + to] == 0xa5 && slab[32 + to + n] == 0xa5);
			}
		}
	}
}

/* A train as the data path has it: packets of one slab, sealed and opened in place. */
struct train {
	struct fz_key keys[3];
	struct fz_aead_job jobs[N_JOBS];
	uint8_t slab[N_JOBS][1500], plain[N_JOBS][1500];
};

static struct train *train;

static void make_train(uint64_t seed)
{
	struct test_rng rng = { seed };
	if (!train)
		train = malloc(sizeof(*train));
	CHECK(train);
	for (unsigned k = 0; k < 3; k++)
		train->keys[k] = make_key((unsigned)seed + k);
	test_rng_fill(&rng, train->plain, sizeof(train->plain));
	memcpy(train->slab, train->plain, sizeof(train->slab));
	for (size_t i = 0; i < N_JOBS; i++) {
		uint32_t n = (uint32_t)test_rng_below(&rng, 1484);
		train->jobs[i] = (struct fz_aead_job){ &train->keys[i % 3], i + seed,
			train->slab[i], train->slab[i], train->slab[i] + n, n, false };
	}
}

TEST(aead, trains_of_any_size_are_sealed_and_opened_in_place)
{
	EACH_BACKEND(a)
	{
		for (size_t n = 0; n <= N_JOBS; n += n < 70 ? 1 : 35) {
			make_train(n);
			fz_aead_seal_many(a, train->jobs, n);
			for (size_t i = 0; i < n; i++) {
				uint8_t want[1500];
				const struct fz_aead_job *j = &train->jobs[i];
				fz_aead_seal(j->key, j->counter, (struct fz_bytes){ 0 },
					fz_bytes_of(train->plain[i], j->len), want);
				CHECK_MEM(train->slab[i], want, j->len + 16);
			}
			CHECK_UINT(fz_aead_open_many(a, train->jobs, n), n);
			for (size_t i = 0; i < n; i++) {
				CHECK(train->jobs[i].ok);
				CHECK_MEM(train->slab[i], train->plain[i], train->jobs[i].len);
			}
		}
	}
}

TEST(aead, a_forged_bit_anywhere_is_noticed_and_gives_away_nothing)
{
	struct fz_key key = make_key(1);
	static const uint32_t lens[] = { 0, 1, 20, 64, 100 };
	EACH_BACKEND(a)
	{
		for (size_t l = 0; l < 5; l++) {
			uint32_t n = lens[l];
			uint8_t plain[100], sealed[116], got[100];
			for (size_t i = 0; i < sizeof(plain); i++)
				plain[i] = (uint8_t)(0xc0 + i);
			struct fz_aead_job seal = { &key, 5, plain, sealed, sealed + n, n, false };
			fz_aead_seal_many(a, &seal, 1);
			for (size_t bit = 0; bit < 8 * ((size_t)n + 16); bit++) {
				sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
				memset(got, 0, sizeof(got));
				struct fz_aead_job j = { &key, 5, sealed, got, sealed + n, n,
					true };
				CHECK_UINT(fz_aead_open_many(a, &j, 1), 0);
				CHECK(!j.ok);
				for (size_t i = 0; i < n; i++)
					CHECK(got[i] == 0);
				sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
		}
	}
}

TEST(aead, a_forged_packet_in_a_train_spoils_no_other)
{
	EACH_BACKEND(a)
	{
		make_train(3);
		fz_aead_seal_many(a, train->jobs, N_JOBS);
		for (size_t i = 0; i < N_JOBS; i += 3)
			train->jobs[i].tag[i % 16] ^= 0x80;
		CHECK_UINT(fz_aead_open_many(a, train->jobs, N_JOBS), N_JOBS - (N_JOBS + 2) / 3);
		for (size_t i = 0; i < N_JOBS; i++) {
			CHECK(train->jobs[i].ok == (i % 3 != 0));
			if (i % 3)
				CHECK_MEM(train->slab[i], train->plain[i], train->jobs[i].len);
			else if (train->jobs[i].len > 16)
				CHECK(memcmp(train->slab[i], train->plain[i], train->jobs[i].len));
		}
	}
}

TEST(aead, another_key_or_counter_opens_nothing)
{
	struct fz_key key = make_key(1), other = make_key(2);
	EACH_BACKEND(a)
	{
		uint8_t plain[40] = { 1 }, sealed[40], got[40], tag[16];
		struct fz_aead_job j = { &key, 5, plain, sealed, tag, 40, false };
		fz_aead_seal_many(a, &j, 1);
		struct fz_aead_job wrong[4] = { { &other, 5, sealed, got, tag, 40, true },
			{ &key, 6, sealed, got, tag, 40, true },
			{ &key, 5 + (1ull << 32), sealed, got, tag, 40, true },
			{ &key, 5, sealed, got, tag, 39, true } };
		CHECK_UINT(fz_aead_open_many(a, wrong, 4), 0);
	}
}

TEST(aead, backends_open_what_the_other_has_sealed)
{
	bool any = false;
	for (size_t k = 1; k < FZ_ARRAY_LEN(kinds); k++) {
		struct fz_aead *a = backend_maybe(FZ_AEAD_SODIUM), *b = backend_maybe(kinds[k]);
		for (int way = 0; b && way < 2; way++) {
			any = true;
			make_train((uint64_t)way + 50);
			fz_aead_seal_many(way ? a : b, train->jobs, N_JOBS);
			CHECK_UINT(fz_aead_open_many(way ? b : a, train->jobs, N_JOBS), N_JOBS);
			for (size_t i = 0; i < N_JOBS; i++)
				CHECK_MEM(train->slab[i], train->plain[i], train->jobs[i].len);
		}
		fz_aead_free(a);
		fz_aead_free(b);
	}
	if (!any)
		TEST_SKIP_ALLOWED("this CPU or build has libsodium alone");
}

/* Backends that are libsodium's but for one fault; the self-test must refuse each. */
static void seal_wrong_byte(void *context, struct fz_aead_job *jobs, size_t n)
{
	fz_aead_backend_sodium.seal_many(context, jobs, n);
	for (size_t i = 0; i < n; i++)
		if (jobs[i].len == 1420)
			jobs[i].dst[1419] ^= 1;
}

static void seal_wrong_tag(void *context, struct fz_aead_job *jobs, size_t n)
{
	fz_aead_backend_sodium.seal_many(context, jobs, n);
	jobs[n - 1].tag[15] ^= 1;
}

static size_t open_anything(void *context, struct fz_aead_job *jobs, size_t n)
{
	(void)fz_aead_backend_sodium.open_many(context, jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = true;
	return n;
}

static size_t open_nothing(void *context, struct fz_aead_job *jobs, size_t n)
{
	(void)context;
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = false;
	return 0;
}

static size_t open_last_wrong(void *context, struct fz_aead_job *jobs, size_t n)
{
	size_t n_ok = fz_aead_backend_sodium.open_many(context, jobs, n);
	jobs[n - 1].dst[0] ^= 1;
	return n_ok;
}

static int init_unsupported(void *context, const char **ret_name)
{
	(void)context;
	(void)ret_name;
	return FZ_ERR_UNSUPPORTED;
}

TEST(aead, a_backend_that_gives_a_wrong_answer_is_refused)
{
	struct fz_aead_backend wrong[5];
	for (size_t i = 0; i < 5; i++)
		wrong[i] = fz_aead_backend_sodium;
	wrong[0].seal_many = seal_wrong_byte;
	wrong[1].seal_many = seal_wrong_tag;
	wrong[2].open_many = open_anything;
	wrong[3].open_many = open_nothing;
	wrong[4].open_many = open_last_wrong;
	struct fz_aead *a = NULL;
	for (size_t i = 0; i < 5; i++) {
		CHECK_INT(fz_aead_new_with(&wrong[i], &a), FZ_ERR_SELFTEST);
		CHECK(!a);
	}
	struct fz_aead_backend absent = fz_aead_backend_sodium;
	absent.init = init_unsupported;
	CHECK_INT(fz_aead_new_with(&absent, &a), FZ_ERR_UNSUPPORTED);
	CHECK(!a);
}

TEST(aead, without_memory_there_is_none_and_nothing_leaks)
{
	static const enum fz_aead_kind all[] = { FZ_AEAD_AUTO, FZ_AEAD_SODIUM };

	for (size_t k = 0; k < 2; k++) {
		for (unsigned long n = 1;; n++) {
			struct fz_aead *a = NULL;
			fz_fail_at(n);
			int r = fz_aead_new(all[k], &a);
			fz_fail_at(0);
			if (r == 0) {
				CHECK(n > 2); /* the context and the self-test's memory */
				fz_aead_free(a);
				break;
			}
			CHECK_INT(r, -ENOMEM);
			CHECK(!a);
		}
	}
}
