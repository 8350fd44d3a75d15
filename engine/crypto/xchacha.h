/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a 24-byte random nonce: cookie replies. Any thread; nothing allocates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"

#define FZ_XAEAD_NONCE_LEN 24

/* Writes plain.n + 16 bytes. */
void fz_xaead_seal(const struct fz_key *key, const uint8_t nonce[static FZ_XAEAD_NONCE_LEN],
	struct fz_bytes aad, struct fz_bytes plain, uint8_t *ret_sealed) FZ_NONNULL(1, 2, 5);
/* Writes sealed.n - 16 bytes if authentic. */
bool fz_xaead_open(const struct fz_key *key, const uint8_t nonce[static FZ_XAEAD_NONCE_LEN],
	struct fz_bytes aad, struct fz_bytes sealed, uint8_t *ret_plain)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
