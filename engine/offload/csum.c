/*
 * RFC 1071 sums: the order of the bytes within a word does not matter, so native 32-bit words are added into 64-bit
 * accumulators that cannot overflow for any packet, and everything is folded once at the end.
 */
#include "offload/csum.h"

/* The up to 7 last bytes; an odd one is the first of a word whose second is zero. */
static FZ_ALWAYS_INLINE uint64_t tail_word(const uint8_t *p, size_t n)
{
	uint64_t w = 0;
	memcpy(&w, p, n);
	return (w & 0xffffffff) + (w >> 32);
}

uint64_t fz_csum_add(uint64_t sum, struct fz_bytes b)
{
	uint64_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
	const uint8_t *p = b.p;
	size_t n = b.n;
	for (; n >= 32; n -= 32, p += 32) {
		uint64_t w0 = fz_native64_load(p), w1 = fz_native64_load(p + 8),
			 w2 = fz_native64_load(p + 16), w3 = fz_native64_load(p + 24);
		a0 += (w0 & 0xffffffff) + (w0 >> 32);
		a1 += (w1 & 0xffffffff) + (w1 >> 32);
		a2 += (w2 & 0xffffffff) + (w2 >> 32);
		a3 += (w3 & 0xffffffff) + (w3 >> 32);
	}
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w = fz_native64_load(p);
		a0 += (w & 0xffffffff) + (w >> 32);
	}
	if (n > 0)
		a1 += tail_word(p, n);
	return fz_csum_plus(sum, a0 + a1 + a2 + a3);
}

uint64_t fz_csum_copy(uint64_t sum, uint8_t *dst, struct fz_bytes b)
{
	if (b.n == 0)
		return sum;
	memcpy(dst, b.p, b.n);
	return fz_csum_add(sum, fz_bytes_of(dst, b.n));
}
