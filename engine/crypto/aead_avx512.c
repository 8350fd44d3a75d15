/*
 * The fastest backend where the CPU has AVX-512 with IFMA. It lives on the batch: up to 16 jobs, of whatever keys, are a group,
 * whose ChaCha20 blocks (first block 0 of each, the one-time keys of Poly1305; then the data's, job after job) are made
 * 32 at a time without regard to where a packet ends, and whose tags are computed side by side. So a packet has no
 * beginning and no end that costs extra. A group is small enough to stay in the cache between cipher and tag.
 */
#include <immintrin.h>
#include <string.h>

#include "base/ct.h"
#include "base/endian.h"
#include "base/err.h"
#include "crypto/aead_backend.h"
#include "crypto/avx512.h"
#include "crypto/chacha20_avx512.h"
#include "crypto/poly1305_avx512.h"

#define WIDE  FZ_CHACHA_WIDE
#define BLOCK FZ_CHACHA_BLOCK

/* Secret, and wiped before a call returns. All lies on whole cache lines. */
struct context {
	uint8_t keystream[2 * WIDE][BLOCK];
	uint8_t tags[WIDE][FZ_AEAD_TAG_LEN];
	struct fz_poly poly;
	struct fz_chacha_lanes lanes[2];
	size_t n_used; /* blocks of keystream to be wiped */
};

/* A group and how far it is. */
struct group {
	struct context *c;
	struct fz_aead_job *jobs;
	size_t n;
	bool opens, has_keys; /* more than one */
	size_t n_left; /* blocks not yet made */
	size_t made_job, n_made; /* the job whose data blocks are made next, and how many are */
	size_t first, end; /* blocks of keystream made and not yet used */
};

/* Also asks whether the system saves the registers. */
static int init(void *context, const char **ret_name)
{
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
		!__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
		!__builtin_cpu_supports("avx512ifma"))
		return FZ_ERR_UNSUPPORTED;
	memset(context, 0, sizeof(struct context));
	*ret_name = "avx512";
	return 0;
}

static void done(void *context)
{
	(void)context;
}

static size_t n_blocks(size_t len)
{
	return (len + BLOCK - 1) / BLOCK;
}

/* Block number and nonces of 16 blocks. */
struct numbers {
	__m512i block, lo, hi;
};

/* A key into the lanes of `k`. */
FZ_AVX512
static void set_keys(struct fz_chacha_lanes *l, __mmask16 k, const struct fz_key *key)
{
	for (size_t i = 0; i < 8; i++)
		_mm512_mask_store_epi32(
			l->key[i], k, _mm512_set1_epi32((int)fz_le32_load(key->b + 4 * i)));
}

/* The lanes from `lane` on: job i at its block `n`, n + 1 ... */
FZ_AVX512_INLINE void set_lanes(const struct group *g, struct fz_chacha_lanes *l, struct numbers *v,
	size_t lane, const struct fz_aead_job *j, size_t n)
{
	__m512i count = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	__m512i base = _mm512_set1_epi32((int)(n - lane));
	__mmask16 k = (__mmask16)(0xffffu << lane);
	v->block = _mm512_mask_add_epi32(v->block, k, base, count);
	v->lo = _mm512_mask_set1_epi32(v->lo, k, (int)(uint32_t)j->counter);
	v->hi = _mm512_mask_set1_epi32(v->hi, k, (int)(uint32_t)(j->counter >> 32));
	if (g->has_keys)
		set_keys(l, k, j->key);
}

/* The next 16 blocks: block 0 of n_keys jobs, then data. */
FZ_AVX512
static void number_blocks(struct group *g, struct fz_chacha_lanes *l, size_t n_keys)
{
	struct numbers v = { _mm512_setzero_si512(), _mm512_setzero_si512(),
		_mm512_setzero_si512() };
	for (size_t i = 0; i < n_keys; i++)
		set_lanes(g, l, &v, i, &g->jobs[i], 0);
	for (size_t lane = n_keys; lane < WIDE && g->made_job < g->n;) {
		const struct fz_aead_job *j = &g->jobs[g->made_job];
		size_t more = n_blocks(j->len) - g->n_made, space = WIDE - lane;
		set_lanes(g, l, &v, lane, j, g->n_made + 1);
		lane += more < space ? more : space;
		g->n_made += more < space ? more : space;
		if (more <= space) {
			g->made_job++;
			g->n_made = 0;
		}
	}
	_mm512_store_si512(l->block, v.block);
	_mm512_store_si512(l->nonce[0], v.lo);
	_mm512_store_si512(l->nonce[1], v.hi);
}

static void make_keystream(struct group *g, size_t n_keys)
{
	struct context *c = g->c;
	size_t wide = g->n_left > WIDE ? 2 * WIDE : WIDE;
	number_blocks(g, &c->lanes[0], n_keys);
	if (wide > WIDE) {
		number_blocks(g, &c->lanes[1], 0);
		fz_chacha32_avx512(c->lanes, c->keystream);
	} else {
		fz_chacha16_avx512(c->lanes, c->keystream);
	}
	c->n_used = c->n_used > wide ? c->n_used : wide;
	g->first = 0;
	g->end = g->n_left < wide ? g->n_left : wide;
	g->n_left -= g->end;
}

/* The keys of Poly1305 and, in what is left of the first 16 or 32 blocks, the beginning of the data's. */
static void start(struct group *g)
{
	g->n_left = g->n;
	for (size_t i = 0; i < g->n; i++)
		g->n_left += n_blocks(g->jobs[i].len);
	if (!g->has_keys) {
		set_keys(&g->c->lanes[0], 0xffff, g->jobs->key);
		if (g->n_left > WIDE)
			set_keys(&g->c->lanes[1], 0xffff, g->jobs->key);
	}
	make_keystream(g, g->n);
	fz_poly_start_avx512(&g->c->poly, g->c->keystream);
	g->first = g->n;
}

FZ_AVX512
static void xor_keystream(uint8_t *dst, const uint8_t *src, const uint8_t *keystream, size_t n)
{
	for (; n >= BLOCK; n -= BLOCK, dst += BLOCK, src += BLOCK, keystream += BLOCK) {
		__m512i k = _mm512_load_si512(keystream);
		_mm512_storeu_si512(dst, _mm512_xor_si512(_mm512_loadu_si512(src), k));
	}
	if (n > 0) {
		__m512i k = _mm512_load_si512(keystream);
		__mmask64 bytes = (1ull << n) - 1;
		__m512i text = _mm512_maskz_loadu_epi8(bytes, src);
		_mm512_mask_storeu_epi8(dst, bytes, _mm512_xor_si512(text, k));
	}
}

/* One packet; a forged one is passed over, and stays what it was. */
static void apply_to(struct group *g, const struct fz_aead_job *j)
{
	size_t n;
	for (size_t at = 0; at < j->len; at += n) {
		if (g->first == g->end)
			make_keystream(g, 0);
		size_t have = (g->end - g->first) * BLOCK;
		n = j->len - at < have ? j->len - at : have;
		if (!g->opens || j->ok)
			xor_keystream(j->dst + at, j->src + at, g->c->keystream[g->first], n);
		g->first += n_blocks(n);
	}
}

static void apply(struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		apply_to(g, &g->jobs[i]);
}

static void make_tags(struct group *g)
{
	struct fz_poly_message m[WIDE];
	for (size_t i = 0; i < g->n; i++) {
		const struct fz_aead_job *j = &g->jobs[i];
		m[i] = (struct fz_poly_message){ g->opens ? j->src : j->dst, j->len };
	}
	fz_poly_tags_avx512(&g->c->poly, m, g->n, g->c->tags);
}

/* The next jobs, at most 16. */
static struct group group_of(struct context *c, struct fz_aead_job *jobs, size_t n, bool opens)
{
	struct group g = { .c = c, .jobs = jobs, .n = n < WIDE ? n : WIDE, .opens = opens };
	for (size_t i = 1; i < g.n; i++)
		g.has_keys = g.has_keys || jobs[i].key != jobs->key;
	return g;
}

static void wipe(struct context *c)
{
	fz_wipe(c->keystream, c->n_used * BLOCK);
	fz_wipe(&c->tags, sizeof(c->tags));
	fz_wipe(&c->poly, sizeof(c->poly));
	fz_wipe(c->lanes, sizeof(c->lanes));
	c->n_used = 0;
}

static void seal_many(void *context, struct fz_aead_job *jobs, size_t n)
{
	struct context *c = context;
	for (size_t at = 0; at < n;) {
		struct group g = group_of(c, jobs + at, n - at, false);
		start(&g);
		apply(&g);
		make_tags(&g);
		for (size_t i = 0; i < g.n; i++)
			memcpy(g.jobs[i].tag, c->tags[i], FZ_AEAD_TAG_LEN);
		at += g.n;
	}
	wipe(c);
}

static size_t open_many(void *context, struct fz_aead_job *jobs, size_t n)
{
	struct context *c = context;
	size_t n_ok = 0;
	for (size_t at = 0; at < n;) {
		struct group g = group_of(c, jobs + at, n - at, true);
		start(&g);
		make_tags(&g);
		for (size_t i = 0; i < g.n; i++) {
			g.jobs[i].ok = fz_ct_equal(c->tags[i], g.jobs[i].tag, FZ_AEAD_TAG_LEN);
			n_ok += g.jobs[i].ok;
		}
		apply(&g);
		at += g.n;
	}
	wipe(c);
	return n_ok;
}

const struct fz_aead_backend fz_aead_backend_avx512 = {
	.name = "avx512",
	.context_len = sizeof(struct context),
	.init = init,
	.done = done,
	.seal_many = seal_many,
	.open_many = open_many,
};
