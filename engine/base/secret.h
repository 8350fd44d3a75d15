/*
 * Secrets have types: a 32-byte key and a bounded text. They are compared with fz_ct_equal, wiped by
 * cleanup on every path, and long-lived ones are kept in locked memory that is left out of core dumps
 * and is empty after fork (fz_secret_new). No printf, no memcmp, no implicit copy.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZ_KEY_LEN 32

/* A value the caller places; wipe with FZ_CLEANUP(fz_key_wipep) on the stack, or in the owner's _done. */
struct fz_key {
	uint8_t b[FZ_KEY_LEN];
};

void fz_key_wipep(struct fz_key *k) FZ_NONNULL(1);

/*
 * Zeroed memory of `size` bytes on pages of its own: MAP_LOCKED where the limit allows, MADV_DONTDUMP,
 * MADV_WIPEONFORK. NULL if there is no memory. Control thread; never per packet.
 */
void fz_secret_free(void *p, size_t size);
void *fz_secret_new(size_t size) FZ_MUST_CHECK;

/* Text of at most FZ_TOKEN_MAX bytes (tokens); `text` is always NUL-terminated. Empty when len is 0. */
#define FZ_TOKEN_MAX 4096

struct fz_token {
	size_t len;
	char text[FZ_TOKEN_MAX + 1];
};

void fz_token_wipep(struct fz_token *t) FZ_NONNULL(1);
