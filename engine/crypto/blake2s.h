/*
 * BLAKE2s (RFC 7693): hashes of 1 to 32 bytes, optionally keyed. Ours, because neither libsodium (BLAKE2b only) nor a
 * library of a suitable licence has it. Reads all input in constant time. Any thread; nothing allocates.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZ_BLAKE2S_LEN       32
#define FZ_BLAKE2S_BLOCK_LEN 64

/* Placed by the caller; fz_blake2s_final wipes it. */
struct fz_blake2s {
	uint32_t h[8];
	uint64_t n; /* bytes compressed so far */
	uint8_t block[FZ_BLAKE2S_BLOCK_LEN];
	uint32_t block_len;
	uint32_t out_len;
};

/* `out_len` is 1 to 32, `key` at most 32 bytes (none: unkeyed). */
void fz_blake2s_init(struct fz_blake2s *s, size_t out_len, struct fz_bytes key) FZ_NONNULL(1);
void fz_blake2s_update(struct fz_blake2s *s, struct fz_bytes in) FZ_NONNULL(1);
void fz_blake2s_final(struct fz_blake2s *s, uint8_t *ret_hash) FZ_NONNULL(1, 2);

/* Unkeyed, 32 bytes. */
void fz_blake2s_hash(uint8_t ret_hash[static FZ_BLAKE2S_LEN], struct fz_bytes in);
/* Keyed, 16 bytes: WireGuard's MAC(key, in), whitepaper 5.4. */
void fz_blake2s_mac(uint8_t ret_mac[static 16], struct fz_bytes key, struct fz_bytes in);
