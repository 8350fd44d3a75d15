/* HMAC-BLAKE2s and the key derivations of the Noise handshake. */
#include "crypto/kdf.h"

#include "base/ct.h"
#include "crypto/blake2s.h"

#define BLOCK FZ_BLAKE2S_BLOCK_LEN

void fz_hmac_blake2s(uint8_t ret_mac[static 32], struct fz_bytes key, struct fz_bytes in)
{
	uint8_t pad[BLOCK] = { 0 }, inner[32];
	struct fz_blake2s s;
	if (key.n > BLOCK)
		fz_blake2s_hash(pad, key);
	else if (key.n > 0)
		memcpy(pad, key.p, key.n);

	for (unsigned i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	fz_blake2s_init(&s, 32, (struct fz_bytes){ 0 });
	fz_blake2s_update(&s, fz_bytes_of(pad, BLOCK));
	fz_blake2s_update(&s, in);
	fz_blake2s_final(&s, inner);

	for (unsigned i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	fz_blake2s_init(&s, 32, (struct fz_bytes){ 0 });
	fz_blake2s_update(&s, fz_bytes_of(pad, BLOCK));
	fz_blake2s_update(&s, fz_bytes_of(inner, sizeof(inner)));
	fz_blake2s_final(&s, ret_mac);
	fz_wipe(pad, sizeof(pad));
	fz_wipe(inner, sizeof(inner));
}

/* t[0] = HMAC(key, in); t[i] = HMAC(t[0], t[i-1] || i) */
static void expand(struct fz_key *out[], unsigned n, const struct fz_key *key, struct fz_bytes in)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key secret = { 0 };
	uint8_t block[33];
	fz_hmac_blake2s(secret.b, fz_bytes_of(key->b, sizeof(key->b)), in);
	for (unsigned i = 0; i < n; i++) {
		size_t have = i ? 32 : 0;
		if (i)
			memcpy(block, out[i - 1]->b, 32);
		block[have] = (uint8_t)(i + 1);
		fz_hmac_blake2s(out[i]->b, fz_bytes_of(secret.b, sizeof(secret.b)),
			fz_bytes_of(block, have + 1));
	}
	fz_wipe(block, sizeof(block));
}

void fz_kdf1(struct fz_key *ret_a, const struct fz_key *key, struct fz_bytes in)
{
	expand((struct fz_key *[]){ ret_a }, 1, key, in);
}

void fz_kdf2(
	struct fz_key *ret_a, struct fz_key *ret_b, const struct fz_key *key, struct fz_bytes in)
{
	expand((struct fz_key *[]){ ret_a, ret_b }, 2, key, in);
}

void fz_kdf3(struct fz_key *ret_a, struct fz_key *ret_b, struct fz_key *ret_c,
	const struct fz_key *key, struct fz_bytes in)
{
	expand((struct fz_key *[]){ ret_a, ret_b, ret_c }, 3, key, in);
}
