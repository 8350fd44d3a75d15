/*
 * Numbers modulo p = 2^130 - 5 are three limbs of weight 1, 2^44 and 2^88, eight numbers in three registers. Two ways
 * to fill the eight lanes. Columns: eight messages side by side, each with its own r; nothing is wasted when they are
 * equally long, as trains are. Rows: 16 blocks of one message at a time, times r^16, and at the end each lane times
 * its own power of r (Goll and Gueron, "Vectorization of Poly1305 message authentication code", 2015); the powers cost
 * as much as eight blocks. Which is cheaper follows from the lengths. Nothing depends on secrets but the data itself.
 *
 * BOUNDS. Every number below is of one of four kinds:
 *   reduced  what mul() gives: limb 0 < 2^44 + 2^16, limbs 1 and 2 < 2^44 + 2^11
 *   block    limbs 0 and 1 < 2^44, limb 2 < 2^41
 *   left     what mul() takes: every limb < 2^46. A sum of up to two reduced numbers and one block is that.
 *   factor   reduced, or r: every limb < 2^44 + 2^16, so that 20 times a limb is < 2^49
 */
#include "crypto/poly1305_avx512.h"

#include <immintrin.h>
#include <string.h>

#include "crypto/avx512.h"

#define VEC   FZ_AVX512_INLINE
#define CHUNK 64 /* bytes that a lane loads at once */
#define BLOCK 16

#define MASK44 0xfffffffffffll
#define MASK42 0x3ffffffffffll

struct limbs {
	__m512i l0, l1, l2;
};

/* A number to multiply with; s1 and s2 are 20 r1 and 20 r2, since 2^132 is 20 modulo p. */
struct factor {
	__m512i r0, r1, r2, s1, s2;
};

/* The 64-bit halves of four blocks, of eight messages each. */
struct blocks {
	__m512i lo[4], hi[4];
};

VEC __m512i all(long long v)
{
	return _mm512_set1_epi64(v);
}

/* sum + k a, for k a < 2^52. */
VEC __m512i add_times(__m512i sum, __m512i a, long long k)
{
	return _mm512_madd52lo_epu64(sum, a, all(k));
}

VEC struct factor factor_of(struct limbs r)
{
	__m512i zero = _mm512_setzero_si512();
	return (struct factor){ r.l0, r.l1, r.l2, add_times(zero, r.l1, 20),
		add_times(zero, r.l2, 20) };
}

/* The three low (`lo` of 52 bits) and high halves of a row of the product: a0 x + a1 y + a2 z. */
VEC __m512i sum_lo(struct limbs a, __m512i x, __m512i y, __m512i z)
{
	__m512i sum = _mm512_madd52lo_epu64(_mm512_setzero_si512(), a.l2, z);
	sum = _mm512_madd52lo_epu64(sum, a.l1, y);
	return _mm512_madd52lo_epu64(sum, a.l0, x);
}

VEC __m512i sum_hi(struct limbs a, __m512i x, __m512i y, __m512i z)
{
	__m512i sum = _mm512_madd52hi_epu64(_mm512_setzero_si512(), a.l2, z);
	sum = _mm512_madd52hi_epu64(sum, a.l1, y);
	return _mm512_madd52hi_epu64(sum, a.l0, x);
}

/*
 * a f modulo p. The multiplier reads 52 bits of each side; left limbs, factor limbs and their 20-folds have no more.
 * Of the products, a low half is < 2^52, so the sum of three is < 3 2^52. A high half is < 2^(46 + 49 - 52) = 2^43, the
 * sum of three < 2^45; it belongs 2^52 / 2^44 = 2^8 times into the next limb, where it is < 2^53. After limb 2 comes
 * limb 0, 20 2^8 times: there the factors are plain limbs, so the sum is < 3 2^46 (2^44 + 2^16) / 2^52 < 2^39.6 and
 * 5120 times that < 2^51.92, which add_times() takes. So d0, d1 and d2 are < 3 2^52 + 2^53 < 2^55. Each carries < 2^11
 * into the next limb, d2 20 times that, < 2^16, into limb 0: the result is reduced.
 */
VEC struct limbs mul(struct limbs a, const struct factor *f)
{
	__m512i h2 = sum_hi(a, f->r2, f->r1, f->r0), l2 = sum_lo(a, f->r2, f->r1, f->r0);
	__m512i h0 = sum_hi(a, f->r0, f->s2, f->s1), l0 = sum_lo(a, f->r0, f->s2, f->s1);
	__m512i h1 = sum_hi(a, f->r1, f->r0, f->s2), l1 = sum_lo(a, f->r1, f->r0, f->s2);
	__m512i d0 = add_times(l0, h2, 20 << 8);
	__m512i d1 = _mm512_add_epi64(l1, _mm512_slli_epi64(h0, 8));
	__m512i d2 = _mm512_add_epi64(l2, _mm512_slli_epi64(h1, 8));
	__m512i m = all(MASK44);
	return (struct limbs){
		add_times(_mm512_and_si512(d0, m), _mm512_srli_epi64(d2, 44), 20),
		_mm512_add_epi64(_mm512_and_si512(d1, m), _mm512_srli_epi64(d0, 44)),
		_mm512_add_epi64(_mm512_and_si512(d2, m), _mm512_srli_epi64(d1, 44)),
	};
}

VEC struct limbs add(struct limbs a, struct limbs b)
{
	return (struct limbs){ _mm512_add_epi64(a.l0, b.l0), _mm512_add_epi64(a.l1, b.l1),
		_mm512_add_epi64(a.l2, b.l2) };
}

VEC struct limbs choose(__mmask8 k, struct limbs no, struct limbs yes)
{
	return (struct limbs){ _mm512_mask_mov_epi64(no.l0, k, yes.l0),
		_mm512_mask_mov_epi64(no.l1, k, yes.l1), _mm512_mask_mov_epi64(no.l2, k, yes.l2) };
}

/* 128 bits as limbs. */
VEC struct limbs limbs_of(__m512i lo, __m512i hi)
{
	__m512i middle = _mm512_or_si512(_mm512_srli_epi64(lo, 44), _mm512_slli_epi64(hi, 20));
	return (struct limbs){ _mm512_and_si512(lo, all(MASK44)),
		_mm512_and_si512(middle, all(MASK44)), _mm512_srli_epi64(hi, 24) };
}

/* And bit 128, which every block of the message has. */
VEC struct limbs block_of(__m512i lo, __m512i hi)
{
	struct limbs m = limbs_of(lo, hi);
	m.l2 = _mm512_or_si512(m.l2, all(1ll << 40));
	return m;
}

VEC struct limbs step(struct limbs h, const struct factor *f, __m512i lo, __m512i hi)
{
	return mul(add(h, block_of(lo, hi)), f);
}

/* Part i of u[0] to u[3] becomes out[i]. */
VEC void transpose_parts(const __m512i *u, __m512i *out)
{
	__m512i a = _mm512_shuffle_i64x2(u[0], u[1], 0x44);
	__m512i b = _mm512_shuffle_i64x2(u[0], u[1], 0xee);
	__m512i c = _mm512_shuffle_i64x2(u[2], u[3], 0x44);
	__m512i d = _mm512_shuffle_i64x2(u[2], u[3], 0xee);
	out[0] = _mm512_shuffle_i64x2(a, c, 0x88);
	out[1] = _mm512_shuffle_i64x2(a, c, 0xdd);
	out[2] = _mm512_shuffle_i64x2(b, d, 0x88);
	out[3] = _mm512_shuffle_i64x2(b, d, 0xdd);
}

/* z[i] is a chunk of message i. */
VEC struct blocks transpose(const __m512i *z)
{
	struct blocks b;
	__m512i lo[4] = { _mm512_unpacklo_epi64(z[0], z[1]), _mm512_unpacklo_epi64(z[2], z[3]),
		_mm512_unpacklo_epi64(z[4], z[5]), _mm512_unpacklo_epi64(z[6], z[7]) };
	__m512i hi[4] = { _mm512_unpackhi_epi64(z[0], z[1]), _mm512_unpackhi_epi64(z[2], z[3]),
		_mm512_unpackhi_epi64(z[4], z[5]), _mm512_unpackhi_epi64(z[6], z[7]) };
	transpose_parts(lo, b.lo);
	transpose_parts(hi, b.hi);
	return b;
}

VEC __m512i chunk(const struct fz_poly_message *m, size_t at)
{
	return _mm512_loadu_si512(m->p + at);
}

VEC struct blocks load(const struct fz_poly_message *m, size_t at)
{
	__m512i z[8] = { chunk(&m[0], at), chunk(&m[1], at), chunk(&m[2], at), chunk(&m[3], at),
		chunk(&m[4], at), chunk(&m[5], at), chunk(&m[6], at), chunk(&m[7], at) };
	return transpose(z);
}

/* What there is of a chunk, and zeros. */
VEC __m512i part(const struct fz_poly_message *m, size_t at)
{
	size_t left = at < m->len ? m->len - at : 0;
	if (left >= CHUNK)
		return chunk(m, at);
	if (left == 0)
		return _mm512_setzero_si512();
	return _mm512_maskz_loadu_epi8((1ull << left) - 1, m->p + at);
}

VEC struct blocks load_parts(const struct fz_poly_message *m, size_t at)
{
	__m512i z[8] = { part(&m[0], at), part(&m[1], at), part(&m[2], at), part(&m[3], at),
		part(&m[4], at), part(&m[5], at), part(&m[6], at), part(&m[7], at) };
	return transpose(z);
}

VEC __m512i lens_of(const struct fz_poly_message *m)
{
	return _mm512_set_epi64(
		m[7].len, m[6].len, m[5].len, m[4].len, m[3].len, m[2].len, m[1].len, m[0].len);
}

VEC struct limbs get(uint64_t (*v)[FZ_POLY_WIDE], size_t lane)
{
	return (struct limbs){ _mm512_load_si512(v[0] + lane), _mm512_load_si512(v[1] + lane),
		_mm512_load_si512(v[2] + lane) };
}

VEC void put(uint64_t (*v)[FZ_POLY_WIDE], size_t lane, struct limbs l)
{
	_mm512_store_si512(v[0] + lane, l.l0);
	_mm512_store_si512(v[1] + lane, l.l1);
	_mm512_store_si512(v[2] + lane, l.l2);
}

FZ_AVX512
void fz_poly_start_avx512(struct fz_poly *poly, const uint8_t keys[static FZ_POLY_WIDE][64])
{
	__m512i zero = _mm512_setzero_si512();
	for (size_t lane = 0; lane < FZ_POLY_WIDE; lane += 8) {
		struct fz_poly_message m[8];
		for (size_t i = 0; i < 8; i++)
			m[i] = (struct fz_poly_message){ keys[lane + i], 64 };
		struct blocks b = load(m, 0);
		/* Clamped: RFC 8439 section 2.5. */
		__m512i lo = _mm512_and_si512(b.lo[0], all(0x0ffffffc0fffffff));
		__m512i hi = _mm512_and_si512(b.hi[0], all(0x0ffffffc0ffffffc));
		put(poly->r, lane, limbs_of(lo, hi));
		put(poly->h, lane, (struct limbs){ zero, zero, zero });
		_mm512_store_si512(poly->s[0] + lane, b.lo[1]);
		_mm512_store_si512(poly->s[1] + lane, b.hi[1]);
	}
}

/* Columns: the first n bytes, whole chunks, of eight messages. */
FZ_AVX512
static void columns8(struct fz_poly *poly, const struct fz_poly_message *m, size_t n)
{
	struct limbs h = get(poly->h, 0);
	struct factor r = factor_of(get(poly->r, 0));
	for (size_t at = 0; at < n; at += CHUNK) {
		struct blocks b = load(m, at);
		h = step(h, &r, b.lo[0], b.hi[0]);
		h = step(h, &r, b.lo[1], b.hi[1]);
		h = step(h, &r, b.lo[2], b.hi[2]);
		h = step(h, &r, b.lo[3], b.hi[3]);
	}
	put(poly->h, 0, h);
}

/* And of 16: two chains of multiplications, where one waits for itself. */
FZ_AVX512
static void columns16(struct fz_poly *poly, const struct fz_poly_message *m, size_t n)
{
	struct limbs g = get(poly->h, 0), h = get(poly->h, 8);
	struct factor q = factor_of(get(poly->r, 0)), r = factor_of(get(poly->r, 8));
	for (size_t at = 0; at < n; at += CHUNK) {
		struct blocks b = load(m, at), c = load(m + 8, at);
		g = step(g, &q, b.lo[0], b.hi[0]);
		h = step(h, &r, c.lo[0], c.hi[0]);
		g = step(g, &q, b.lo[1], b.hi[1]);
		h = step(h, &r, c.lo[1], c.hi[1]);
		g = step(g, &q, b.lo[2], b.hi[2]);
		h = step(h, &r, c.lo[2], c.hi[2]);
		g = step(g, &q, b.lo[3], b.hi[3]);
		h = step(h, &r, c.lo[3], c.hi[3]);
	}
	put(poly->h, 0, g);
	put(poly->h, 8, h);
}

/* Columns of any lengths, from `at`: a lane whose message has ended keeps its number. */
FZ_AVX512
static void columns_ragged(
	struct fz_poly *poly, size_t lane, const struct fz_poly_message *m, size_t at)
{
	struct limbs h = get(poly->h, lane);
	struct factor r = factor_of(get(poly->r, lane));
	__m512i lens = lens_of(m);
	while (_mm512_cmpgt_epu64_mask(lens, all((long long)at)) != 0) {
		struct blocks b = load_parts(m, at);
		for (size_t i = 0; i < CHUNK / BLOCK; i++, at += BLOCK) {
			__mmask8 k = _mm512_cmpgt_epu64_mask(lens, all((long long)at));
			if (k == 0)
				break;
			h = choose(k, h, step(h, &r, b.lo[i], b.hi[i]));
		}
	}
	put(poly->h, lane, h);
}

/* r^8, r^16, and in the lane of block i of eight r^(8 - i). */
struct powers {
	struct factor r8, r16, last;
};

/* Loading eight blocks leaves them in the lanes in the order 0 4 1 5 2 6 3 7; the powers are 8 4 7 3 6 2 5 1. */
VEC struct powers powers_of(struct limbs r)
{
	struct limbs one = { all(1), _mm512_setzero_si512(), _mm512_setzero_si512() };
	struct factor f = factor_of(r);
	struct limbs r2 = mul(r, &f);
	f = factor_of(r2);
	struct limbs r4 = mul(r2, &f);
	f = factor_of(r4);
	struct limbs r8 = mul(r4, &f);
	/* Less one they are 7 3 6 2 5 1 4 0: lanes with bit 0 begin with r^2, others with r; then come bits 1 and 2. */
	struct limbs x = choose(0x33, r, r2);
	f = factor_of(choose(0x0f, one, r2));
	x = mul(x, &f);
	f = factor_of(choose(0x55, one, r4));
	x = mul(x, &f);
	struct powers p = { .r8 = factor_of(r8), .last = factor_of(x) };
	p.r16 = factor_of(mul(r8, &p.r8));
	return p;
}

VEC struct limbs load_row(const uint8_t *p)
{
	__m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 64);
	return block_of(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* The last n of eight blocks; what stands before them is zero, and has no bit 128 either. */
VEC struct limbs load_first_row(const uint8_t *p, size_t n)
{
	struct limbs m = load_row(p);
	__m512i index = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
	__mmask8 k = _mm512_cmpge_epu64_mask(index, all((long long)(8 - n)));
	m.l2 = _mm512_maskz_mov_epi64(k, m.l2);
	return m;
}

/* Eight reduced numbers to one, < 2^44 + 2^9 in limb 0 and < 2^44 in the others: the sums are < 2^48. */
VEC void put_sum(uint64_t (*v)[FZ_POLY_WIDE], size_t lane, struct limbs l)
{
	uint64_t l0 = (uint64_t)_mm512_reduce_add_epi64(l.l0);
	uint64_t l1 = (uint64_t)_mm512_reduce_add_epi64(l.l1) + (l0 >> 44);
	uint64_t l2 = (uint64_t)_mm512_reduce_add_epi64(l.l2) + (l1 >> 44);
	v[0][lane] = (l0 & MASK44) + 20 * (l2 >> 44);
	v[1][lane] = l1 & MASK44;
	v[2][lane] = l2 & MASK44;
}

/*
 * Rows. Zeros before the first blocks make their number a multiple of 16; a and b are the first and second eight, times
 * r^16 for each 16 blocks that follow. Reduced plus a block, then reduced plus reduced plus a block: both are left.
 */
FZ_AVX512
static void rows(struct fz_poly *poly, size_t lane, const struct fz_poly_message *m)
{
	uint8_t edge[16 * BLOCK] = { 0 };
	if (m->len == 0)
		return;
	struct limbs r = { all((long long)poly->r[0][lane]), all((long long)poly->r[1][lane]),
		all((long long)poly->r[2][lane]) };
	struct powers powers = powers_of(r);
	size_t n = (((size_t)m->len + BLOCK - 1) / BLOCK - 1) % 16 + 1;
	size_t at = n * BLOCK < m->len ? n * BLOCK : m->len;
	memcpy(edge + sizeof(edge) - n * BLOCK, m->p, at);
	struct limbs a = load_first_row(edge, n > 8 ? n - 8 : 0);
	struct limbs b = load_first_row(edge + 128, n > 8 ? 8 : n);
	for (; m->len - at >= sizeof(edge); at += sizeof(edge)) {
		a = add(mul(a, &powers.r16), load_row(m->p + at));
		b = add(mul(b, &powers.r16), load_row(m->p + at + 128));
	}
	if (at < m->len) {
		memset(edge, 0, sizeof(edge));
		memcpy(edge, m->p + at, m->len - at);
		a = add(mul(a, &powers.r16), load_row(edge));
		b = add(mul(b, &powers.r16), load_row(edge + 128));
	}
	put_sum(poly->h, lane, mul(add(mul(a, &powers.r8), b), &powers.last));
}

/* From limb to limb, and what is above bit 130 into limb 0, five times. */
VEC struct limbs carry(struct limbs h)
{
	__m512i l1 = _mm512_add_epi64(h.l1, _mm512_srli_epi64(h.l0, 44));
	__m512i l2 = _mm512_add_epi64(h.l2, _mm512_srli_epi64(l1, 44));
	__m512i l0 = _mm512_and_si512(h.l0, all(MASK44));
	return (struct limbs){ add_times(l0, _mm512_srli_epi64(l2, 42), 5),
		_mm512_and_si512(l1, all(MASK44)), _mm512_and_si512(l2, all(MASK42)) };
}

/*
 * The one number < p. A reduced one leaves the first carry with limb 0 < 2^44 + 25. If the second one carries out of
 * limb 0, limb 0 is < 25 then, and the 5 that may come back stay in it; if not, nothing comes back: < 2^130. Adding 5
 * reaches bit 130 just when that is p or more, and then what is below bit 130 is the number less p.
 */
VEC struct limbs canonical(struct limbs h)
{
	h = carry(carry(h));
	__m512i l0 = _mm512_add_epi64(h.l0, all(5));
	__m512i l1 = _mm512_add_epi64(h.l1, _mm512_srli_epi64(l0, 44));
	__m512i l2 = _mm512_add_epi64(h.l2, _mm512_srli_epi64(l1, 44));
	struct limbs less_p = { _mm512_and_si512(l0, all(MASK44)),
		_mm512_and_si512(l1, all(MASK44)), _mm512_and_si512(l2, all(MASK42)) };
	return choose(_mm512_cmpgt_epu64_mask(l2, all(MASK42)), h, less_p);
}

/* The block of lengths, and the number modulo 2^128 plus s. */
FZ_AVX512
static void finish(
	struct fz_poly *poly, size_t lane, const struct fz_poly_message *m, uint8_t (*tags)[16])
{
	struct factor r = factor_of(get(poly->r, lane));
	__m512i zero = _mm512_setzero_si512();
	struct limbs h = canonical(step(get(poly->h, lane), &r, zero, lens_of(m)));
	__m512i s_lo = _mm512_load_si512(poly->s[0] + lane);
	__m512i s_hi = _mm512_load_si512(poly->s[1] + lane);
	__m512i lo = _mm512_or_si512(h.l0, _mm512_slli_epi64(h.l1, 44));
	__m512i hi = _mm512_or_si512(_mm512_srli_epi64(h.l1, 20), _mm512_slli_epi64(h.l2, 24));
	lo = _mm512_add_epi64(lo, s_lo);
	hi = _mm512_add_epi64(hi, s_hi);
	hi = _mm512_mask_add_epi64(hi, _mm512_cmplt_epu64_mask(lo, s_lo), hi, all(1));
	__m512i even = _mm512_unpacklo_epi64(lo, hi), odd = _mm512_unpackhi_epi64(lo, hi);
	__m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
	__m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
	_mm512_storeu_si512(tags[lane], _mm512_permutex2var_epi64(even, first, odd));
	_mm512_storeu_si512(tags[lane + 4], _mm512_permutex2var_epi64(even, second, odd));
}

/* In bytes of one message by rows: what its powers cost. */
#define POWERS_COST 2048

/* Idle lanes follow the first message; nobody looks at what they make. */
FZ_AVX512
void fz_poly_tags_avx512(struct fz_poly *poly, const struct fz_poly_message *messages, size_t n,
	uint8_t tags[static FZ_POLY_WIDE][16])
{
	struct fz_poly_message m[FZ_POLY_WIDE];
	size_t width = n > 8 ? 16 : 8, min = messages[0].len, max = min, sum = 0;
	for (size_t i = 0; i < width; i++) {
		m[i] = messages[i < n ? i : 0];
		min = m[i].len < min ? m[i].len : min;
		max = m[i].len > max ? m[i].len : max;
		sum += i < n ? m[i].len + POWERS_COST : 0;
	}
	size_t whole = min - min % CHUNK;
	if (16 * max > sum) {
		for (size_t i = 0; i < n; i++)
			rows(poly, i, &m[i]);
	} else {
		(width == 16 ? columns16 : columns8)(poly, m, whole);
		for (size_t lane = 0; lane < width; lane += 8)
			columns_ragged(poly, lane, m + lane, whole);
	}
	for (size_t lane = 0; lane < width; lane += 8)
		finish(poly, lane, m + lane, tags);
}
