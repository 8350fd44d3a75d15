/*
 * The fast backend on x86-64: intel-ipsec-mb's job interface, one manager per context. Its job order is the order of submission.
 * Decryption writes while it authenticates, so a packet whose tag is wrong is wiped before anyone can see it.
 */
#include <errno.h>
#include <intel-ipsec-mb.h>
#include <stdalign.h>
#include <string.h>

#include "base/ct.h"
#include "base/endian.h"
#include "base/err.h"
#include "crypto/aead_backend.h"

#define NONCE_LEN 12

struct context {
	IMB_MGR *mgr;
};

static const char *name_of(IMB_ARCH arch)
{
	switch ((int)arch) {
	case IMB_ARCH_AVX512: return "ipsecmb-avx512";
	case IMB_ARCH_AVX2: return "ipsecmb-avx2";
	case IMB_ARCH_AVX: return "ipsecmb-avx";
	case IMB_ARCH_SSE: return "ipsecmb-sse";
	}
	return NULL;
}

static int init(void *context, const char **ret_name)
{
	struct context *c = context;
	IMB_ARCH arch = IMB_ARCH_NONE;
	c->mgr = alloc_mb_mgr(0);
	if (!c->mgr)
		return -ENOMEM;
	init_mb_mgr_auto(c->mgr, &arch);
	const char *name = name_of(arch);
	/* Without any of the instruction sets it would emulate them, slower than libsodium. */
	if (!name || imb_get_errno(c->mgr) != 0) {
		free_mb_mgr(c->mgr);
		c->mgr = NULL;
		return FZ_ERR_UNSUPPORTED;
	}
	*ret_name = name;
	return 0;
}

static void done(void *context)
{
	struct context *c = context;
	if (c->mgr)
		free_mb_mgr(c->mgr);
}

/* Nonces and tags of one chunk, for the manager to point at until the chunk is done. */
#define CHUNK 32

struct chunk {
	uint8_t nonces[CHUNK][NONCE_LEN];
	uint8_t tags[CHUNK][FZ_AEAD_TAG_LEN];
};

static void submit(
	IMB_MGR *mgr, const struct fz_aead_job *j, bool seals, uint8_t *nonce, uint8_t *tag)
{
	static const uint8_t no_aad[16];
	fz_native32_store(nonce, 0);
	fz_le64_store(nonce + 4, j->counter);
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = j->key->b;
	job->dec_keys = j->key->b;
	job->key_len_in_bytes = FZ_KEY_LEN;
	job->iv = nonce;
	job->iv_len_in_bytes = NONCE_LEN;
	job->u.CHACHA20_POLY1305.aad = no_aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
	job->src = j->src;
	job->dst = j->dst;
	job->cipher_start_src_offset_in_bytes = 0;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = j->len;
	job->msg_len_to_hash_in_bytes = j->len;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = FZ_AEAD_TAG_LEN;
	(void)IMB_SUBMIT_JOB_NOCHECK(mgr);
}

/* Whatever the manager still holds; for this cipher it holds nothing, but that is its affair. */
static void finish(IMB_MGR *mgr)
{
	while (IMB_FLUSH_JOB(mgr))
		continue;
}

static void seal_many(void *context, struct fz_aead_job *jobs, size_t n)
{
	struct context *c = context;
	struct chunk k;
	for (size_t at = 0; at < n; at += CHUNK) {
		size_t m = n - at < CHUNK ? n - at : CHUNK;
		for (size_t i = 0; i < m; i++)
			submit(c->mgr, &jobs[at + i], true, k.nonces[i], jobs[at + i].tag);
		finish(c->mgr);
	}
}

static size_t open_many(void *context, struct fz_aead_job *jobs, size_t n)
{
	struct context *c = context;
	struct chunk k;
	size_t n_ok = 0;
	for (size_t at = 0; at < n; at += CHUNK) {
		size_t m = n - at < CHUNK ? n - at : CHUNK;
		for (size_t i = 0; i < m; i++)
			submit(c->mgr, &jobs[at + i], false, k.nonces[i], k.tags[i]);
		finish(c->mgr);
		for (size_t i = 0; i < m; i++) {
			struct fz_aead_job *j = &jobs[at + i];
			j->ok = fz_ct_equal(k.tags[i], j->tag, FZ_AEAD_TAG_LEN);
			if (!j->ok)
				fz_wipe(j->dst, j->len);
			n_ok += j->ok;
		}
	}
	fz_wipe(&k, sizeof(k));
	return n_ok;
}

const struct fz_aead_backend fz_aead_backend_ipsecmb = {
	.name = "ipsecmb",
	.context_len = sizeof(struct context),
	.init = init,
	.done = done,
	.seal_many = seal_many,
	.open_many = open_many,
};
