/*
 * RFC 1071 sums: the order of the bytes within a word does not matter, so native 32-bit words are added into 64-bit
 * accumulators that cannot overflow for any packet, and everything is folded once at the end.
 */
#include "offload/csum_isa.h"

/* From here on the wide form wins, its set-up included. */
#define WIDE_MIN 128

static FZ_ALWAYS_INLINE uint64_t halves(uint64_t w)
{
	return (w & 0xffffffff) + (w >> 32);
}

/* The up to 7 last bytes; an odd one is the first of a word whose second is zero. */
static FZ_ALWAYS_INLINE uint64_t sum_tail(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;
	if (n & 4) {
		sum += fz_native32_load(p);
		p += 4;
	}
	if (n & 2) {
		sum += fz_native16_load(p);
		p += 2;
	}
	return n & 1 ? sum + fz_csum_word((uint16_t)(*p << 8)) : sum;
}

uint64_t fz_csum_add_plain(uint64_t sum, struct fz_bytes b)
{
	uint64_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
	const uint8_t *p = b.p;
	size_t n = b.n;
	for (; n >= 32; n -= 32, p += 32) {
		a0 += halves(fz_native64_load(p));
		a1 += halves(fz_native64_load(p + 8));
		a2 += halves(fz_native64_load(p + 16));
		a3 += halves(fz_native64_load(p + 24));
	}
	for (; n >= 8; n -= 8, p += 8)
		a0 += halves(fz_native64_load(p));
	if (n > 0)
		a1 += sum_tail(p, n);
	return fz_csum_plus(sum, a0 + a1 + a2 + a3);
}

/* The second pass finds the data in the nearest cache. */
uint64_t fz_csum_copy_plain(uint64_t sum, uint8_t *dst, struct fz_bytes b)
{
	if (b.n == 0)
		return sum;
	memcpy(dst, b.p, b.n);
	return fz_csum_add_plain(sum, fz_bytes_of(dst, b.n));
}

uint64_t fz_csum_add(uint64_t sum, struct fz_bytes b)
{
#if defined(__x86_64__)
	if (b.n >= WIDE_MIN && fz_csum_has_avx2())
		return fz_csum_add_avx2(sum, b);
#endif
	return fz_csum_add_plain(sum, b);
}

uint64_t fz_csum_copy(uint64_t sum, uint8_t *dst, struct fz_bytes b)
{
#if defined(__x86_64__)
	if (b.n >= WIDE_MIN && fz_csum_has_avx2())
		return fz_csum_copy_avx2(sum, dst, b);
#endif
	return fz_csum_copy_plain(sum, dst, b);
}
