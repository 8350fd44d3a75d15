/* libsodium's XChaCha20-Poly1305-IETF. */
#include "crypto/xchacha.h"

#include <sodium.h>

void fz_xaead_seal(const struct fz_key *key, const uint8_t nonce[static FZ_XAEAD_NONCE_LEN],
	struct fz_bytes aad, struct fz_bytes plain, uint8_t *ret_sealed)
{
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
		ret_sealed, NULL, plain.p, plain.n, aad.p, aad.n, NULL, nonce, key->b);
}

bool fz_xaead_open(const struct fz_key *key, const uint8_t nonce[static FZ_XAEAD_NONCE_LEN],
	struct fz_bytes aad, struct fz_bytes sealed, uint8_t *ret_plain)
{
	return sealed.n >= 16 && crypto_aead_xchacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL,
					 sealed.p, sealed.n, aad.p, aad.n, nonce, key->b) == 0;
}
