/*
 * HMAC over BLAKE2s (RFC 2104) and WireGuard's KDF1 to KDF3 (whitepaper 5.4, HKDF of RFC 5869 with an empty info).
 * Outputs may be the input key. Any thread; nothing allocates; everything temporary is wiped.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/secret.h"

void fz_hmac_blake2s(uint8_t ret_mac[static 32], struct fz_bytes key, struct fz_bytes in);
void fz_kdf1(struct fz_key *ret_a, const struct fz_key *key, struct fz_bytes in) FZ_NONNULL(1, 2);
void fz_kdf2(struct fz_key *ret_a, struct fz_key *ret_b, const struct fz_key *key,
	struct fz_bytes in) FZ_NONNULL(1, 2, 3);
void fz_kdf3(struct fz_key *ret_a, struct fz_key *ret_b, struct fz_key *ret_c,
	const struct fz_key *key, struct fz_bytes in) FZ_NONNULL(1, 2, 3, 4);
