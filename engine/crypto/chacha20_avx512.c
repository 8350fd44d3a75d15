/*
 * A register holds one word of the state for 16 blocks, so the rounds need no shuffles; blocks are transposed at the
 * end. A round is a chain of twelve instructions of two cycles each: with 16 blocks there are four chains, half of what
 * keeps the execution units busy; with 32 there are eight, and the two states are just the 32 registers there are.
 */
#include "crypto/chacha20_avx512.h"

#include <immintrin.h>
#include <stdatomic.h>

#include "base/endian.h"
#include "crypto/avx512.h"

#define VEC FZ_AVX512_INLINE

struct state {
	__m512i w[16];
};

/* Word of column j in a row of the 4x4 matrix, counted along the diagonal if `k` is 1. */
static FZ_ALWAYS_INLINE int at(int row, int j, int k)
{
	return 4 * row + ((j + k * row) & 3);
}

/*
 * One of the four steps of the quarter round (a += b, d ^= a, d <<<= n) on four columns or diagonals; a, b and d are
 * rows. The intrinsic wants its count as a constant.
 */
#define STEP(n, a, b, d)                                                                           \
	VEC void turn##n(__m512i *x, __m512i y, __m512i *z)                                        \
	{                                                                                          \
		*x = _mm512_add_epi32(*x, y);                                                      \
		*z = _mm512_rol_epi32(_mm512_xor_si512(*z, *x), n);                                \
	}                                                                                          \
	VEC void step##n(struct state *s, int k)                                                   \
	{                                                                                          \
		__m512i *w = s->w;                                                                 \
		turn##n(&w[at(a, 0, k)], w[at(b, 0, k)], &w[at(d, 0, k)]);                         \
		turn##n(&w[at(a, 1, k)], w[at(b, 1, k)], &w[at(d, 1, k)]);                         \
		turn##n(&w[at(a, 2, k)], w[at(b, 2, k)], &w[at(d, 2, k)]);                         \
		turn##n(&w[at(a, 3, k)], w[at(b, 3, k)], &w[at(d, 3, k)]);                         \
	}

STEP(16, 0, 1, 3)
STEP(12, 2, 3, 1)
STEP(8, 0, 1, 3)
STEP(7, 2, 3, 1)

VEC void round16(struct state *x, int k)
{
	step16(x, k);
	step12(x, k);
	step8(x, k);
	step7(x, k);
}

/* Two states, step by step in turn. */
VEC void round32(struct state *x, struct state *y, int k)
{
	step16(x, k);
	step16(y, k);
	step12(x, k);
	step12(y, k);
	step8(x, k);
	step8(y, k);
	step7(x, k);
	step7(y, k);
}

/* gcc 12 would carry half of the words from one turn of the loop to the next in memory, a fifth slower. */
VEC void in_registers(__m512i *w)
{
	__asm__("" : "+v"(w[0]), "+v"(w[1]), "+v"(w[2]), "+v"(w[3]));
	__asm__("" : "+v"(w[4]), "+v"(w[5]), "+v"(w[6]), "+v"(w[7]));
	__asm__("" : "+v"(w[8]), "+v"(w[9]), "+v"(w[10]), "+v"(w[11]));
	__asm__("" : "+v"(w[12]), "+v"(w[13]), "+v"(w[14]), "+v"(w[15]));
}

VEC __m512i in_all(const uint8_t *word)
{
	return _mm512_set1_epi32((int)fz_le32_load(word));
}

VEC struct state state_of(const struct fz_chacha_lanes *l)
{
	static const uint8_t c[] = "expand 32-byte k";
	return (struct state){ { in_all(c), in_all(c + 4), in_all(c + 8), in_all(c + 12),
		_mm512_load_si512(l->key[0]), _mm512_load_si512(l->key[1]),
		_mm512_load_si512(l->key[2]), _mm512_load_si512(l->key[3]),
		_mm512_load_si512(l->key[4]), _mm512_load_si512(l->key[5]),
		_mm512_load_si512(l->key[6]), _mm512_load_si512(l->key[7]),
		_mm512_load_si512(l->block), _mm512_setzero_si512(), _mm512_load_si512(l->nonce[0]),
		_mm512_load_si512(l->nonce[1]) } };
}

/* Adds the first state to row q; then part i (of four) of register 4 q + j is this row of block 4 i + j. */
VEC void add_row(struct state *x, const struct state *first, int q)
{
	__m512i *w = x->w + q;
	const __m512i *f = first->w + q;
	__m512i a = _mm512_add_epi32(w[0], f[0]), b = _mm512_add_epi32(w[1], f[1]);
	__m512i c = _mm512_add_epi32(w[2], f[2]), d = _mm512_add_epi32(w[3], f[3]);
	__m512i ab_lo = _mm512_unpacklo_epi32(a, b), ab_hi = _mm512_unpackhi_epi32(a, b);
	__m512i cd_lo = _mm512_unpacklo_epi32(c, d), cd_hi = _mm512_unpackhi_epi32(c, d);
	w[0] = _mm512_unpacklo_epi64(ab_lo, cd_lo);
	w[1] = _mm512_unpackhi_epi64(ab_lo, cd_lo);
	w[2] = _mm512_unpacklo_epi64(ab_hi, cd_hi);
	w[3] = _mm512_unpackhi_epi64(ab_hi, cd_hi);
}

/* Blocks j, j + 4, j + 8 and j + 12. */
VEC void store_blocks(const struct state *x, int j, uint8_t (*out)[FZ_CHACHA_BLOCK])
{
	__m512i a = x->w[j], b = x->w[j + 4], c = x->w[j + 8], d = x->w[j + 12];
	__m512i ab_lo = _mm512_shuffle_i32x4(a, b, 0x44), ab_hi = _mm512_shuffle_i32x4(a, b, 0xee);
	__m512i cd_lo = _mm512_shuffle_i32x4(c, d, 0x44), cd_hi = _mm512_shuffle_i32x4(c, d, 0xee);
	_mm512_store_si512(out[j], _mm512_shuffle_i32x4(ab_lo, cd_lo, 0x88));
	_mm512_store_si512(out[j + 4], _mm512_shuffle_i32x4(ab_lo, cd_lo, 0xdd));
	_mm512_store_si512(out[j + 8], _mm512_shuffle_i32x4(ab_hi, cd_hi, 0x88));
	_mm512_store_si512(out[j + 12], _mm512_shuffle_i32x4(ab_hi, cd_hi, 0xdd));
}

VEC void finish(struct state *x, const struct fz_chacha_lanes *l, uint8_t (*out)[FZ_CHACHA_BLOCK])
{
	/* Read again: kept since the beginning, it would take the registers the rounds need. */
	atomic_signal_fence(memory_order_seq_cst);
	struct state first = state_of(l);
	add_row(x, &first, 0);
	add_row(x, &first, 4);
	add_row(x, &first, 8);
	add_row(x, &first, 12);
	store_blocks(x, 0, out);
	store_blocks(x, 1, out);
	store_blocks(x, 2, out);
	store_blocks(x, 3, out);
}

FZ_AVX512
void fz_chacha16_avx512(const struct fz_chacha_lanes lanes[static 1],
	uint8_t out[static FZ_CHACHA_WIDE][FZ_CHACHA_BLOCK])
{
	struct state x = state_of(lanes);
	for (int i = 0; i < 10; i++) {
		round16(&x, 0);
		round16(&x, 1);
	}
	finish(&x, lanes, out);
}

FZ_AVX512
void fz_chacha32_avx512(const struct fz_chacha_lanes lanes[static 2],
	uint8_t out[static 2 * FZ_CHACHA_WIDE][FZ_CHACHA_BLOCK])
{
	struct state x = state_of(&lanes[0]), y = state_of(&lanes[1]);
	for (int i = 0; i < 10; i++) {
		round32(&x, &y, 0);
		round32(&x, &y, 1);
		in_registers(x.w);
		in_registers(y.w);
	}
	finish(&x, &lanes[0], out);
	finish(&y, &lanes[1], out + FZ_CHACHA_WIDE);
}
