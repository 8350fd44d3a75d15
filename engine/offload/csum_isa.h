/*
 * The variants behind csum.h, for csum.c that chooses and for tests that compare. Private to engine/offload.
 * The AVX2 ones may only be called where fz_csum_has_avx2 says so.
 */
#pragma once

#include <stdbool.h>

#include "offload/csum.h"

uint64_t fz_csum_add_plain(uint64_t sum, struct fz_bytes b) FZ_MUST_CHECK;
uint64_t fz_csum_copy_plain(uint64_t sum, uint8_t *dst, struct fz_bytes b) FZ_MUST_CHECK;

#if defined(__x86_64__)
uint64_t fz_csum_add_avx2(uint64_t sum, struct fz_bytes b) FZ_MUST_CHECK;
uint64_t fz_csum_copy_avx2(uint64_t sum, uint8_t *dst, struct fz_bytes b) FZ_MUST_CHECK;

/* One load: the table is filled before main. */
static inline bool fz_csum_has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}
#endif
