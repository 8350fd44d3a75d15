/* The portable backend: libsodium's detached ChaCha20-Poly1305, one packet after the other. */
#include <sodium.h>

#include "base/endian.h"
#include "crypto/aead_backend.h"

static int init(void *context, const char **ret_name)
{
	(void)context;
	*ret_name = "sodium";
	return 0;
}

static void done(void *context)
{
	(void)context;
}

static void make_nonce(uint8_t nonce[static 12], uint64_t counter)
{
	fz_native32_store(nonce, 0);
	fz_le64_store(nonce + 4, counter);
}

static void seal_many(void *context, struct fz_aead_job *jobs, size_t n)
{
	(void)context;
	uint8_t nonce[12];
	for (size_t i = 0; i < n; i++) {
		struct fz_aead_job *j = &jobs[i];
		make_nonce(nonce, j->counter);
		(void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(
			j->dst, j->tag, NULL, j->src, j->len, NULL, 0, NULL, nonce, j->key->b);
	}
}

static size_t open_many(void *context, struct fz_aead_job *jobs, size_t n)
{
	(void)context;
	uint8_t nonce[12];
	size_t n_ok = 0;
	for (size_t i = 0; i < n; i++) {
		struct fz_aead_job *j = &jobs[i];
		make_nonce(nonce, j->counter);
		j->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(j->dst, NULL, j->src,
				j->len, j->tag, NULL, 0, nonce, j->key->b) == 0;
		n_ok += j->ok;
	}
	return n_ok;
}

const struct fz_aead_backend fz_aead_backend_sodium = {
	.name = "sodium",
	.init = init,
	.done = done,
	.seal_many = seal_many,
	.open_many = open_many,
};
