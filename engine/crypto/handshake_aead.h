/*
 * ChaCha20-Poly1305 (RFC 8439) for one message with additional data: the handshake's. Transport data goes through
 * crypto/aead.h. Any thread; nothing allocates.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"

/* Writes plain.n + 16 bytes; may be in place. The nonce is 4 zero bytes and `counter` little-endian. */
void fz_aead_seal(const struct fz_key *key, uint64_t counter, struct fz_bytes aad,
	struct fz_bytes plain, uint8_t *ret_sealed) FZ_NONNULL(1, 5);
/* Writes sealed.n - 16 bytes if authentic, which must be at least 0; on false nothing meaningful is in ret_plain. */
bool fz_aead_open(const struct fz_key *key, uint64_t counter, struct fz_bytes aad,
	struct fz_bytes sealed, uint8_t *ret_plain) FZ_NONNULL(1) FZ_MUST_CHECK;
