/*
 * One published vector per primitive: BLAKE2s RFC 7693 appendix B, X25519 RFC 7748 6.1, ChaCha20-Poly1305 RFC 8439 2.8.2,
 * XChaCha20-Poly1305 draft-irtf-cfrg-xchacha A.3.1, HMAC and KDF against their definition.
 */
#include "crypto/selftest.h"

#include <sodium.h>
#include <string.h>

#include "base/ct.h"
#include "base/err.h"
#include "crypto/blake2s.h"
#include "crypto/handshake_aead.h"
#include "crypto/kdf.h"
#include "crypto/x25519.h"
#include "crypto/xchacha.h"

static bool check_blake2s(void)
{
	static const uint8_t want[32] = { 0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1,
		0xa7, 0x2b, 0xa3, 0x4e, 0xeb, 0x45, 0x2f, 0x37, 0x45, 0x8b, 0x20, 0x9e, 0xd6, 0x3a,
		0x29, 0x4d, 0x99, 0x9b, 0x4c, 0x86, 0x67, 0x59, 0x82 };
	uint8_t got[32];
	fz_blake2s_hash(got, fz_bytes_of("abc", 3));
	return fz_ct_equal(got, want, sizeof(want));
}

static bool check_x25519(void)
{
	static const struct fz_key bob = { { 0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79,
		0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18, 0xb6,
		0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb } };
	static const uint8_t alice[32] = { 0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74,
		0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a,
		0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a };
	static const uint8_t want[32] = { 0x4a, 0x5d, 0x9d, 0x5b, 0xa4, 0xce, 0x2d, 0xe1, 0x72,
		0x8e, 0x3b, 0xf4, 0x80, 0x35, 0x0f, 0x25, 0xe0, 0x7e, 0x21, 0xc9, 0x47, 0xd1, 0x9e,
		0x33, 0x76, 0xf0, 0x9b, 0x3c, 0x1e, 0x16, 0x17, 0x42 };
	static const uint8_t zero[32];
	uint8_t got[32];
	return fz_x25519(got, &bob, alice) && fz_ct_equal(got, want, sizeof(want)) &&
	       !fz_x25519(got, &bob, zero);
}

static bool check_aead(void)
{
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				   "only one tip for the future, "
				   "sunscreen would be it.";
	struct fz_key key;
	uint8_t sealed[sizeof(text) + 16], opened[sizeof(text)];
	for (unsigned i = 0; i < 32; i++)
		key.b[i] = (uint8_t)(0x80 + i);
	struct fz_bytes plain = fz_bytes_of(text, sizeof(text) - 1), aad = fz_bytes_of("aad", 3);
	fz_aead_seal(&key, 7, aad, plain, sealed);
	if (!fz_aead_open(&key, 7, aad, fz_bytes_of(sealed, plain.n + 16), opened) ||
		!fz_ct_equal(opened, text, plain.n))
		return false;
	sealed[3] ^= 1;
	if (fz_aead_open(&key, 7, aad, fz_bytes_of(sealed, plain.n + 16), opened))
		return false;

	/* The published answer has a nonce we cannot express, so libsodium itself is asked. */
	static const uint8_t nonce[12] = { 0x07, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46,
		0x47 };
	static const uint8_t rfc_aad[12] = { 0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4,
		0xc5, 0xc6, 0xc7 };
	static const uint8_t tag[16] = { 0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90,
		0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91 };
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(
		sealed, NULL, plain.p, plain.n, rfc_aad, sizeof(rfc_aad), NULL, nonce, key.b);
	return fz_ct_equal(sealed + plain.n, tag, sizeof(tag));
}

static bool check_xaead(void)
{
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				   "only one tip for the future, sunscreen would be it.";
	static const uint8_t aad[12] = { 0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5,
		0xc6, 0xc7 };
	static const uint8_t tag[16] = { 0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde,
		0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49 };
	struct fz_key key;
	struct fz_bytes plain = fz_bytes_of(text, sizeof(text) - 1);
	uint8_t nonce[FZ_XAEAD_NONCE_LEN], sealed[sizeof(text) + 16], opened[sizeof(text)];
	for (unsigned i = 0; i < 32; i++)
		key.b[i] = (uint8_t)(0x80 + i);
	for (unsigned i = 0; i < FZ_XAEAD_NONCE_LEN; i++)
		nonce[i] = (uint8_t)(0x40 + i);
	fz_xaead_seal(&key, nonce, fz_bytes_of(aad, sizeof(aad)), plain, sealed);
	struct fz_bytes whole = fz_bytes_of(sealed, plain.n + 16);
	return fz_ct_equal(sealed + plain.n, tag, sizeof(tag)) &&
	       fz_xaead_open(&key, nonce, fz_bytes_of(aad, sizeof(aad)), whole, opened) &&
	       fz_ct_equal(opened, text, plain.n) &&
	       !fz_xaead_open(&key, nonce, fz_bytes_of(aad, 11), whole, opened);
}

/* KDF2's outputs are HMACs by definition. */
static bool check_kdf(void)
{
	struct fz_key key = { { 7 } }, a, b, secret;
	uint8_t want[32], block[33];
	fz_kdf2(&a, &b, &key, fz_bytes_of("in", 2));
	fz_hmac_blake2s(secret.b, fz_bytes_of(key.b, 32), fz_bytes_of("in", 2));
	fz_hmac_blake2s(want, fz_bytes_of(secret.b, 32), fz_bytes_of("\1", 1));
	memcpy(block, want, 32);
	block[32] = 2;
	if (!fz_ct_equal(a.b, want, 32))
		return false;
	fz_hmac_blake2s(want, fz_bytes_of(secret.b, 32), fz_bytes_of(block, sizeof(block)));
	return fz_ct_equal(b.b, want, 32);
}

int fz_crypto_selftest(void)
{
	if (sodium_init() < 0)
		return FZ_ERR_SELFTEST;
	bool ok = check_blake2s() && check_x25519() && check_aead() && check_xaead() && check_kdf();
	return ok ? 0 : FZ_ERR_SELFTEST;
}
