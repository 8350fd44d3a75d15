/*
 * ChaCha20 (RFC 8439 section 2.3) with AVX-512: 16 or 32 blocks at once, each with a key, number and nonce of its own.
 * Private to engine/crypto; for CPUs that have FZ_AVX512_ISA.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

#define FZ_CHACHA_BLOCK 64
#define FZ_CHACHA_WIDE  16

/*
 * The words of the state in which 16 blocks may differ: the key's, as they are in its bytes, the block number, and the counter that
 * ends WireGuard's nonce. Secret.
 */
struct fz_chacha_lanes {
	uint32_t key[8][FZ_CHACHA_WIDE] FZ_ALIGNED(64);
	uint32_t block[FZ_CHACHA_WIDE] FZ_ALIGNED(64);
	uint32_t nonce[2][FZ_CHACHA_WIDE] FZ_ALIGNED(64);
};

/* Keystream of lanes[0], or of lanes[0] and lanes[1]; `out` is aligned to 64 bytes. */
void fz_chacha16_avx512(const struct fz_chacha_lanes lanes[static 1],
	uint8_t out[static FZ_CHACHA_WIDE][FZ_CHACHA_BLOCK]) FZ_NONNULL(1, 2);
void fz_chacha32_avx512(const struct fz_chacha_lanes lanes[static 2],
	uint8_t out[static 2 * FZ_CHACHA_WIDE][FZ_CHACHA_BLOCK]) FZ_NONNULL(1, 2);
