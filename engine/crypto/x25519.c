/* libsodium refuses low-order points itself; the zero check stands here all the same, because a handshake's safety hangs on it. */
#include "crypto/x25519.h"

#include <sodium.h>

#include "base/ct.h"

bool fz_x25519(uint8_t ret_shared[static FZ_X25519_LEN], const struct fz_key *private,
	const uint8_t public[static FZ_X25519_LEN])
{
	int r = crypto_scalarmult_curve25519(ret_shared, private->b, public);
	if (r == 0 && !fz_ct_is_zero(ret_shared, FZ_X25519_LEN))
		return true;
	fz_wipe(ret_shared, FZ_X25519_LEN);
	return false;
}

void fz_x25519_public(uint8_t ret_public[static FZ_X25519_LEN], const struct fz_key *private)
{
	(void)crypto_scalarmult_curve25519_base(ret_public, private->b);
}

void fz_x25519_clamp(struct fz_key *private)
{
	private->b[0] &= 248;
	private->b[31] = (uint8_t)((private->b[31] & 127) | 64);
}
