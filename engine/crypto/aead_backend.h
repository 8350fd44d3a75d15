/* What a backend of crypto/aead.h provides. Private to engine/crypto. */
#pragma once

#include "crypto/aead.h"

struct fz_aead_backend {
	const char *name;
	/* Bytes of context behind struct fz_aead; init returns 0 or a negative error and needs no undoing then. */
	size_t context_len;
	int (*init)(void *context, const char **ret_name);
	void (*done)(void *context);
	void (*seal_many)(void *context, struct fz_aead_job *jobs, size_t n);
	size_t (*open_many)(void *context, struct fz_aead_job *jobs, size_t n);
};

/* What fz_aead_new does with the backend it chose: init and self-test. Tests bring broken ones. */
int fz_aead_new_with(const struct fz_aead_backend *backend, struct fz_aead **ret_aead) FZ_MUST_CHECK
	FZ_NONNULL(1, 2);

extern const struct fz_aead_backend fz_aead_backend_sodium;
#if defined(FZ_HAVE_IPSECMB)
extern const struct fz_aead_backend fz_aead_backend_ipsecmb;
#endif
#if defined(FZ_HAVE_AVX512)
extern const struct fz_aead_backend fz_aead_backend_avx512;
#endif
