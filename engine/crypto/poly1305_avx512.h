/*
 * Poly1305 as the AEAD of RFC 8439 section 2.8 uses it without additional data, with AVX-512 IFMA: the tags of up to
 * 16 messages at once. Private to engine/crypto; for CPUs that have FZ_AVX512_ISA.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define FZ_POLY_WIDE 16

/* A message in each of 16 lanes: limbs of accumulator and r, words of s. Secret: wiped by the caller. */
struct fz_poly {
	uint64_t h[3][FZ_POLY_WIDE] FZ_ALIGNED(64);
	uint64_t r[3][FZ_POLY_WIDE] FZ_ALIGNED(64);
	uint64_t s[2][FZ_POLY_WIDE] FZ_ALIGNED(64);
};

struct fz_poly_message {
	const uint8_t *p;
	uint32_t len;
};

/* keys[i] begins with the one-time key of message i, as block 0 of the cipher does; all 16 are read. */
void fz_poly_start_avx512(struct fz_poly *poly, const uint8_t keys[static FZ_POLY_WIDE][64])
	FZ_NONNULL(1, 2);
/*
 * Each message, padded with zeros to whole blocks, then 8 zero bytes and its length in 8: the tags of the first n, 1 to
 * 16; the others are overwritten too. Once for each start.
 */
void fz_poly_tags_avx512(struct fz_poly *poly, const struct fz_poly_message *messages, size_t n,
	uint8_t tags[static FZ_POLY_WIDE][16]) FZ_NONNULL(1, 2, 4);
