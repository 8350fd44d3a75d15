/* X25519 (RFC 7748) over libsodium. Constant time in the scalar. Any thread; nothing allocates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/secret.h"

#define FZ_X25519_LEN 32

/* False if the result is all zero (a point of low order): the handshake must then be given up; `ret_shared` is zeroed. */
bool fz_x25519(uint8_t ret_shared[static FZ_X25519_LEN], const struct fz_key *private,
	const uint8_t public[static FZ_X25519_LEN]) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
void fz_x25519_public(uint8_t ret_public[static FZ_X25519_LEN], const struct fz_key *private)
	FZ_NONNULL(1, 2);
/* Sets and clears the bits RFC 7748 section 5 fixes. */
void fz_x25519_clamp(struct fz_key *private) FZ_NONNULL(1);
