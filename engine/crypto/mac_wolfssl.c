/*
 * mac.h by wolfCrypt. Its structs live on the stack and are wiped; its return codes only ever tell of misuse, so they
 * are asserted.
 */
#include <limits.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/md5.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "base/assert.h"
#include "base/ct.h"
#include "crypto/mac.h"

static const uint8_t nothing[1];

static word32 word_len(struct fz_bytes b)
{
	fz_assert(b.n <= INT_MAX);
	return (word32)b.n;
}

static void hmac(int type, struct fz_bytes key, const struct fz_bytes *parts, size_t n_parts,
	uint8_t *ret_mac)
{
	Hmac h;
	fz_assert(wc_HmacInit(&h, NULL, INVALID_DEVID) == 0);
	fz_assert(wc_HmacSetKey(&h, type, key.n > 0 ? key.p : nothing, word_len(key)) == 0);
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].n > 0)
			fz_assert(wc_HmacUpdate(&h, parts[i].p, word_len(parts[i])) == 0);
	}
	fz_assert(wc_HmacFinal(&h, ret_mac) == 0);
	wc_HmacFree(&h);
	fz_wipe(&h, sizeof(h));
}

void fz_hmac_sha1(struct fz_bytes key, const struct fz_bytes *parts, size_t n_parts,
	uint8_t ret_mac[static FZ_SHA1_LEN])
{
	hmac(WC_SHA, key, parts, n_parts, ret_mac);
}

void fz_hmac_sha256(struct fz_bytes key, const struct fz_bytes *parts, size_t n_parts,
	uint8_t ret_mac[static FZ_SHA256_LEN])
{
	hmac(WC_SHA256, key, parts, n_parts, ret_mac);
}

void fz_md5(const struct fz_bytes *parts, size_t n_parts, uint8_t ret_digest[static FZ_MD5_LEN])
{
	wc_Md5 h;
	fz_assert(wc_InitMd5(&h) == 0);
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].n > 0)
			fz_assert(wc_Md5Update(&h, parts[i].p, word_len(parts[i])) == 0);
	}
	fz_assert(wc_Md5Final(&h, ret_digest) == 0);
	wc_Md5Free(&h);
	fz_wipe(&h, sizeof(h));
}

void fz_sha256(
	const struct fz_bytes *parts, size_t n_parts, uint8_t ret_digest[static FZ_SHA256_LEN])
{
	wc_Sha256 h;
	fz_assert(wc_InitSha256(&h) == 0);
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].n > 0)
			fz_assert(wc_Sha256Update(&h, parts[i].p, word_len(parts[i])) == 0);
	}
	fz_assert(wc_Sha256Final(&h, ret_digest) == 0);
	wc_Sha256Free(&h);
	fz_wipe(&h, sizeof(h));
}
