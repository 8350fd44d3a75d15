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

extern const struct fz_aead_backend fz_aead_backend_sodium;
#if defined(FZ_HAVE_IPSECMB)
extern const struct fz_aead_backend fz_aead_backend_ipsecmb;
#endif
