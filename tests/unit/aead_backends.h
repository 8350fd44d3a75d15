/* The AEAD backends, for tests that ask the same of all of them. */
#pragma once

#include "base/alloc.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "support/test.h"

static const enum fz_aead_kind kinds[] = { FZ_AEAD_SODIUM, FZ_AEAD_IPSECMB, FZ_AEAD_AVX512 };

/* The backend, or NULL where this CPU or build has none of that kind. */
static inline struct fz_aead *backend_maybe(enum fz_aead_kind kind)
{
	struct fz_aead *a = NULL;
	int r = fz_aead_new(kind, &a);
	if (r == FZ_ERR_UNSUPPORTED && kind != FZ_AEAD_SODIUM)
		return NULL;
	CHECK_INT(r, 0);
	return a;
}

#define EACH_BACKEND(a)                                                                            \
	for (size_t i_##a = 0; i_##a < FZ_ARRAY_LEN(kinds); i_##a++)                               \
		for (struct fz_aead *a = backend_maybe(kinds[i_##a]); a; fz_aead_free(a), a = NULL)
