/*
 * Trains: many jobs of one key, equally long or not, as backends that work on several packets at once see them. All
 * are held against libsodium one packet at a time, and the AVX-512 backend's Poly1305 against libsodium's at the ends
 * of its number range, which no key leads to on purpose.
 */
#include <sodium.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/handshake_aead.h"
#include "crypto/poly1305_avx512.h"
#include "support/test.h"
#include "unit/aead_backends.h"

#define N_MAX   70
#define LEN_MAX 65535

/* Packet i is at slab + at[i] in the clear, behind it its sealed form; guard bytes between all. */
static struct {
	struct test_rng rng;
	struct fz_key keys[3];
	struct fz_aead_job jobs[N_MAX];
	uint8_t *slab, *plain[N_MAX], *sealed[N_MAX];
	uint8_t want[LEN_MAX + FZ_AEAD_TAG_LEN];
} t;

#define GUARD     0xa5
#define SLAB_EACH (LEN_MAX + FZ_AEAD_TAG_LEN + 64)

static void start(uint64_t seed)
{
	t.rng = (struct test_rng){ seed };
	if (!t.slab)
		t.slab = malloc(2ul * N_MAX * SLAB_EACH);
	CHECK(t.slab);
	test_rng_fill(&t.rng, (uint8_t *)t.keys, sizeof(t.keys));
}

/* Job i at arbitrary alignment; in place or not. */
static void place(size_t i, const struct fz_key *key, uint32_t len, bool in_place)
{
	uint8_t *p = t.slab + 2 * i * SLAB_EACH + test_rng_below(&t.rng, 32);
	uint8_t *q = t.slab + (2 * i + 1) * SLAB_EACH + 1 + test_rng_below(&t.rng, 32);
	t.plain[i] = p;
	t.sealed[i] = q;
	test_rng_fill(&t.rng, p, len);
	if (in_place)
		memcpy(q, p, len);
	q[-1] = q[len + FZ_AEAD_TAG_LEN] = GUARD;
	t.jobs[i] = (struct fz_aead_job){ key, test_rng_next(&t.rng), in_place ? q : p, q, q + len,
		len, false };
}

/* Seals, compares each with libsodium's, opens in place, and finds what there was. */
static void check_train(struct fz_aead *a, size_t n)
{
	fz_aead_seal_many(a, t.jobs, n);
	for (size_t i = 0; i < n; i++) {
		struct fz_aead_job *j = &t.jobs[i];
		fz_aead_seal(j->key, j->counter, (struct fz_bytes){ 0 },
			fz_bytes_of(t.plain[i], j->len), t.want);
		CHECK_MEM(t.sealed[i], t.want, j->len + FZ_AEAD_TAG_LEN);
		CHECK(*(t.sealed[i] - 1) == GUARD && j->tag[FZ_AEAD_TAG_LEN] == GUARD);
		j->src = t.sealed[i];
	}
	CHECK_UINT(fz_aead_open_many(a, t.jobs, n), n);
	for (size_t i = 0; i < n; i++) {
		CHECK(t.jobs[i].ok);
		CHECK_MEM(t.sealed[i], t.plain[i], t.jobs[i].len);
		CHECK(*(t.sealed[i] - 1) == GUARD && t.jobs[i].tag[FZ_AEAD_TAG_LEN] == GUARD);
	}
}

TEST(aead_train, equal_packets_of_every_length)
{
	start(1);
	EACH_BACKEND(a)
	{
		for (uint32_t len = 0; len <= 2048; len++) {
			size_t n = 2 + len % 17;
			for (size_t i = 0; i < n; i++)
				place(i, &t.keys[0], len, len & 1);
			check_train(a, n);
		}
	}
}

TEST(aead_train, trains_of_every_size_with_any_lengths_and_keys)
{
	start(2);
	EACH_BACKEND(a)
	{
		for (size_t round = 0; round < 6 * N_MAX; round++) {
			size_t n = 1 + round % N_MAX;
			uint32_t max = (uint32_t)(1u << (4 + test_rng_below(&t.rng, 9)));
			uint64_t keys_change = 1 + test_rng_below(&t.rng, 40);
			size_t k = 0;
			for (size_t i = 0; i < n; i++) {
				if (test_rng_below(&t.rng, keys_change) == 0)
					k = (size_t)test_rng_below(&t.rng, 3);
				place(i, &t.keys[k], (uint32_t)test_rng_below(&t.rng, max),
					test_rng_below(&t.rng, 2) == 0);
			}
			check_train(a, n);
		}
	}
}

TEST(aead_train, the_largest_packets_among_small_ones)
{
	start(3);
	EACH_BACKEND(a)
	{
		for (size_t n = 1; n <= 33; n += n < 4 ? 1 : 7) {
			for (size_t i = 0; i < n; i++) {
				bool is_large = n < 10 || i % 5 == 3;
				uint32_t len = is_large ? LEN_MAX - (uint32_t)i : 100;
				place(i, &t.keys[0], len, i & 1);
			}
			check_train(a, n);
		}
	}
}

TEST(aead_train, a_wrong_tag_at_any_place_is_refused_alone_and_nothing_is_decrypted)
{
	static const uint32_t lens[] = { 1, 64, 333 };
	start(4);
	EACH_BACKEND(a)
	{
		for (size_t bad = 0; bad < 35; bad++) {
			for (size_t i = 0; i < 35; i++)
				place(i, &t.keys[0], lens[(i + bad) % 3], false);
			fz_aead_seal_many(a, t.jobs, 35);
			t.jobs[bad].tag[bad % 16] ^= (uint8_t)(1 << bad % 8);
			for (size_t i = 0; i < 35; i++) {
				memcpy(t.want, t.plain[i], t.jobs[i].len);
				t.jobs[i].src = t.sealed[i];
				t.jobs[i].dst = t.plain[i] + 1024;
				memset(t.jobs[i].dst, 0, t.jobs[i].len);
			}
			CHECK_UINT(fz_aead_open_many(a, t.jobs, 35), 34);
			for (size_t i = 0; i < 35; i++) {
				struct fz_aead_job *j = &t.jobs[i];
				CHECK(j->ok == (i != bad));
				if (j->ok)
					CHECK_MEM(j->dst, t.plain[i], j->len);
				else
					CHECK(sodium_is_zero(j->dst, j->len));
			}
		}
	}
}

/* Memory between two pages that nobody may touch; one for each of 16 jobs, and one for each of their tags. */
#define PAGE       4096ul
#define ROOM       (2 * PAGE)
#define FENCED_LEN 1500

static uint8_t *make_fenced(void)
{
	uint8_t *p = mmap(NULL, ROOM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK_INT(mprotect(p + PAGE, ROOM, PROT_READ | PROT_WRITE), 0);
	return p + PAGE;
}

static uint8_t *src_room[16], *dst_room[16], *tag_room[16];

/* n bytes at the beginning or at the end. */
static uint8_t *at_fence(uint8_t *room, size_t n, bool at_end)
{
	return at_end ? room + ROOM - n : room;
}

static void place_fenced(size_t i, uint32_t len, bool in_place, uint64_t ends)
{
	uint8_t *dst = at_fence(dst_room[i], len, ends & 1);
	uint8_t *src = in_place ? dst : at_fence(src_room[i], len, ends & 2);
	test_rng_fill(&t.rng, src, len);
	t.plain[i] = t.slab + i * SLAB_EACH;
	t.sealed[i] = dst;
	memcpy(t.plain[i], src, len);
	t.jobs[i] = (struct fz_aead_job){ &t.keys[0], test_rng_next(&t.rng), src, dst,
		at_fence(tag_room[i], FZ_AEAD_TAG_LEN, ends & 4), len, false };
}

static void check_fenced(struct fz_aead *a, size_t n)
{
	fz_aead_seal_many(a, t.jobs, n);
	for (size_t i = 0; i < n; i++) {
		struct fz_aead_job *j = &t.jobs[i];
		fz_aead_seal(j->key, j->counter, (struct fz_bytes){ 0 },
			fz_bytes_of(t.plain[i], j->len), t.want);
		CHECK_MEM(j->dst, t.want, j->len);
		CHECK_MEM(j->tag, t.want + j->len, FZ_AEAD_TAG_LEN);
		uint8_t *opened = at_fence(src_room[i], j->len, i & 1);
		j->src = j->dst;
		j->dst = i & 2 ? opened : j->dst;
	}
	CHECK_UINT(fz_aead_open_many(a, t.jobs, n), n);
	for (size_t i = 0; i < n; i++)
		CHECK_MEM(t.jobs[i].dst, t.plain[i], t.jobs[i].len);
}

TEST(aead_train, nothing_is_read_or_written_beside_a_packet_and_its_tag)
{
	start(8);
	for (size_t i = 0; i < 16; i++) {
		src_room[i] = make_fenced();
		dst_room[i] = make_fenced();
		tag_room[i] = make_fenced();
	}
	EACH_BACKEND(a)
	{
		for (uint32_t len = 0; len <= FENCED_LEN; len++) {
			size_t n = 1 + len % 16;
			bool is_train = test_rng_below(&t.rng, 2);
			for (size_t i = 0; i < n; i++) {
				uint32_t other = (uint32_t)test_rng_below(&t.rng, FENCED_LEN);
				place_fenced(i, i == 0 || is_train ? len : other, len & 1,
					test_rng_next(&t.rng));
			}
			check_fenced(a, n);
		}
	}
}

#if defined(__x86_64__)
static uint8_t poly_keys[FZ_POLY_WIDE][64] FZ_ALIGNED(64);

/* What the tag is the authenticator of. */
static void tag_of(uint8_t tag[static 16], const uint8_t *key, const uint8_t *p, uint32_t len)
{
	static uint8_t text[LEN_MAX + 33];
	size_t padded = (len + 15u) & ~(size_t)15;
	memset(text, 0, padded + 16);
	memcpy(text, p, len);
	fz_le64_store(text + padded + 8, len);
	(void)crypto_onetimeauth_poly1305(tag, text, padded + 16, key);
}

static void check_tags(const uint8_t *p, uint32_t len, size_t n)
{
	static struct fz_poly poly;
	struct fz_poly_message m[FZ_POLY_WIDE];
	uint8_t tags[FZ_POLY_WIDE][16], want[16];
	for (size_t i = 0; i < n; i++)
		m[i] = (struct fz_poly_message){ p, len };
	fz_poly_start_avx512(&poly, poly_keys);
	fz_poly_tags_avx512(&poly, m, n, tags);
	for (size_t i = 0; i < n; i++) {
		tag_of(want, poly_keys[i], p, len);
		CHECK_MEM(tags[i], want, 16);
	}
}

/* r and s of every key: all ones, zeros, small, one bit, of RFC 8439 A.3, or random. */
static void make_poly_keys(struct test_rng *rng, unsigned variant)
{
	test_rng_fill(rng, (uint8_t *)poly_keys, sizeof(poly_keys));
	for (size_t i = 0; i < FZ_POLY_WIDE; i++) {
		uint8_t *r = poly_keys[i], *s = r + 16;
		unsigned kind = (variant + (unsigned)i) % 8;
		if (kind < 5)
			memset(r, kind == 0 ? 0xff : 0, 16);
		if (kind == 2 || kind == 3)
			r[0] = (uint8_t)(kind - 1);
		if (kind == 4)
			r[test_rng_below(rng, 16)] = 4;
		if (variant % 3 < 2)
			memset(s, variant % 3 == 0 ? 0xff : 0, 16);
	}
}

/* False where it could not run. */
static bool has_avx512(void)
{
	struct fz_aead *a = backend_maybe(FZ_AEAD_AVX512);
	fz_aead_free(a);
	return a != NULL;
}

static const size_t some_n[] = { 1, 2, 3, 7, 8, 9, 15, 16 };

TEST(aead_train, poly1305_holds_at_the_ends_of_its_range)
{
	static uint8_t text[LEN_MAX];
	static const uint8_t fill[] = { 0xff, 0x00, 0xfb, 0x01, 0x80 };
	static const uint32_t large[] = { 1023, 1024, 1025, 4096, 8920, LEN_MAX };
	struct test_rng rng = { 5 };
	if (!has_avx512())
		TEST_SKIP_ALLOWED("this CPU has no AVX-512 with IFMA");
	for (unsigned v = 0; v < 24; v++) {
		for (size_t f = 0; f < FZ_ARRAY_LEN(fill); f++) {
			make_poly_keys(&rng, v);
			memset(text, fill[f], sizeof(text));
			for (uint32_t len = 0; len <= 600; len += 1 + (v & 1))
				check_tags(text, len, some_n[(len + v) % FZ_ARRAY_LEN(some_n)]);
			for (size_t i = 0; i < FZ_ARRAY_LEN(large); i++)
				check_tags(text, large[i], some_n[(i + v) % FZ_ARRAY_LEN(some_n)]);
		}
	}
}

TEST(aead_train, poly1305_holds_on_runs_of_ones_and_zeros)
{
	static uint8_t text[2048];
	struct test_rng rng = { 6 };
	if (!has_avx512())
		TEST_SKIP_ALLOWED("this CPU has no AVX-512 with IFMA");
	for (unsigned v = 0; v < 20000; v++) {
		uint32_t len = (uint32_t)test_rng_below(&rng, v % 8 ? 300 : sizeof(text));
		make_poly_keys(&rng, v);
		for (size_t at = 0; at < len;) {
			size_t run = 1 + (size_t)test_rng_below(&rng, 40);
			run = run < len - at ? run : len - at;
			memset(text + at, test_rng_below(&rng, 2) ? 0xff : 0, run);
			at += run;
		}
		check_tags(text, len, some_n[v % FZ_ARRAY_LEN(some_n)]);
	}
}

/* Ones but for a bit, zeros but for a bit, nearly p, or anything. */
static void make_message(struct test_rng *rng, uint8_t *p, uint32_t len)
{
	uint64_t kind = test_rng_below(rng, 4);
	if (kind == 3)
		test_rng_fill(rng, p, len);
	else
		memset(p, kind == 1 ? 0 : 0xff, len);
	if (kind < 2 && len > 0)
		p[test_rng_below(rng, len)] ^= (uint8_t)(1 << test_rng_below(rng, 8));
	for (uint32_t i = 0; kind == 2 && i < len; i += 16)
		p[i] = (uint8_t)(0xf6 + test_rng_below(rng, 10));
}

/* A train, a train whose last is shorter, one long among short ones, or anything; some are empty. */
static uint32_t mixed_len(struct test_rng *rng, unsigned shape, size_t i, size_t n, uint32_t len)
{
	bool is_odd = i + 1 == n;
	switch (shape) {
	case 0: return len;
	case 1: return is_odd ? (uint32_t)test_rng_below(rng, len + 1) : len;
	case 2: return is_odd ? len : (uint32_t)test_rng_below(rng, 40);
	default: return (uint32_t)test_rng_below(rng, len + 1);
	}
}

TEST(aead_train, poly1305_of_one_group_may_have_any_lengths_and_extreme_keys)
{
	static uint8_t texts[FZ_POLY_WIDE][2048];
	static struct fz_poly poly;
	struct test_rng rng = { 9 };
	if (!has_avx512())
		TEST_SKIP_ALLOWED("this CPU has no AVX-512 with IFMA");
	for (unsigned v = 0; v < 20000; v++) {
		struct fz_poly_message m[FZ_POLY_WIDE];
		uint8_t tags[FZ_POLY_WIDE][16], want[16];
		size_t n = 1 + (size_t)test_rng_below(&rng, FZ_POLY_WIDE);
		uint32_t len = (uint32_t)test_rng_below(&rng, v % 8 ? 300 : sizeof(texts[0]));
		make_poly_keys(&rng, v);
		for (size_t i = 0; i < n; i++) {
			m[i] = (struct fz_poly_message){ texts[i],
				mixed_len(&rng, v % 4, i, n, len) };
			make_message(&rng, texts[i], m[i].len);
		}
		fz_poly_start_avx512(&poly, poly_keys);
		fz_poly_tags_avx512(&poly, m, n, tags);
		for (size_t i = 0; i < n; i++) {
			tag_of(want, poly_keys[i], m[i].p, m[i].len);
			CHECK_MEM(tags[i], want, 16);
		}
	}
}

/* One message's eight lanes are summed up: one sum in 60,000 is too large for the last product, if it is not carried. */
TEST(aead_train, poly1305_sums_of_lanes_do_not_overflow_with_the_largest_r)
{
	static uint8_t text[LEN_MAX];
	struct test_rng rng = { 7 };
	if (!has_avx512())
		TEST_SKIP_ALLOWED("this CPU has no AVX-512 with IFMA");
	memset(poly_keys, 0xff, sizeof(poly_keys));
	test_rng_fill(&rng, text, sizeof(text));
	for (unsigned v = 0; v < 600000; v++) {
		uint32_t len = (uint32_t)(160 + v % 200);
		check_tags(text + test_rng_below(&rng, LEN_MAX - 400), len, 1);
	}
}

/*
 * With r = 1 the number is the sum of the blocks. Six and the one of lengths are 7 2^128 + 96 2^64 and what the first
 * says, which makes 2 p - 10 + d here: on both sides of p, of 2^128 and of 2^130.
 */
TEST(aead_train, poly1305_is_reduced_at_the_modulus)
{
	if (!has_avx512())
		TEST_SKIP_ALLOWED("this CPU has no AVX-512 with IFMA");
	memset(poly_keys, 0, sizeof(poly_keys));
	for (size_t i = 0; i < FZ_POLY_WIDE; i++) {
		poly_keys[i][0] = 1;
		memset(poly_keys[i] + 16, i & 1 ? 0xff : 0, 16);
	}
	for (uint64_t d = 0; d < 40; d++) {
		uint8_t text[96] = { 0 };
		fz_le64_store(text, d - 20);
		fz_le64_store(text + 8, UINT64_MAX - 96 + (d >= 20));
		for (size_t i = 0; i < FZ_ARRAY_LEN(some_n); i++)
			check_tags(text, sizeof(text), some_n[i]);
	}
}
#endif
