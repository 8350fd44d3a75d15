/* libsodium's IETF construction; decryption authenticates before it writes. */
#include "crypto/handshake_aead.h"

#include <sodium.h>

#include "base/endian.h"

static void make_nonce(uint8_t nonce[static 12], uint64_t counter)
{
	memset(nonce, 0, 4);
	fz_le64_store(nonce + 4, counter);
}

void fz_aead_seal(const struct fz_key *key, uint64_t counter, struct fz_bytes aad,
	struct fz_bytes plain, uint8_t *ret_sealed)
{
	uint8_t nonce[12];
	make_nonce(nonce, counter);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(
		ret_sealed, NULL, plain.p, plain.n, aad.p, aad.n, NULL, nonce, key->b);
}

bool fz_aead_open(const struct fz_key *key, uint64_t counter, struct fz_bytes aad,
	struct fz_bytes sealed, uint8_t *ret_plain)
{
	uint8_t nonce[12];
	make_nonce(nonce, counter);
	return sealed.n >= 16 && crypto_aead_chacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL,
					 sealed.p, sealed.n, aad.p, aad.n, nonce, key->b) == 0;
}
