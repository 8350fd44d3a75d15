/*
 * A growable byte buffer that cannot be made without a maximum. For control traffic; never on the packet path.
 * One owner; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"

struct fz_bytebuf {
	uint8_t *p;
	size_t len, cap, max;
};

void fz_bytebuf_init(struct fz_bytebuf *b, size_t max) FZ_NONNULL(1);
/* Wipes and releases; only fz_bytebuf_init is legal afterwards. Accepts a zeroed struct. */
void fz_bytebuf_done(struct fz_bytebuf *b) FZ_NONNULL(1);
/* Appends all or nothing: 0, -ENOMEM or FZ_ERR_LIMIT. */
int fz_bytebuf_append(struct fz_bytebuf *b, struct fz_bytes in) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Drops the first n bytes; n <= len. */
void fz_bytebuf_consume(struct fz_bytebuf *b, size_t n) FZ_NONNULL(1);
void fz_bytebuf_clear(struct fz_bytebuf *b) FZ_NONNULL(1);

/* Borrowed until the next change. */
static inline struct fz_bytes fz_bytebuf_bytes(const struct fz_bytebuf *b)
{
	return (struct fz_bytes){ .p = b->p, .n = b->len };
}
