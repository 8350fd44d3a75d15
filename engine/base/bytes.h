/*
 * Byte ranges that never part from their length, a reader and a writer with a sticky error.
 * All are small values the caller places in its own memory; nothing here allocates. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

/* Borrowed, read-only. */
struct fz_bytes {
	const uint8_t *p;
	size_t n;
};

/* Borrowed, writable. */
struct fz_span {
	uint8_t *p;
	size_t n;
};

static inline struct fz_bytes fz_bytes_of(const void *p, size_t n)
{
	return (struct fz_bytes){ .p = p, .n = n };
}

static inline struct fz_span fz_span_of(void *p, size_t n)
{
	return (struct fz_span){ .p = p, .n = n };
}

static inline struct fz_bytes fz_span_bytes(struct fz_span s)
{
	return (struct fz_bytes){ .p = s.p, .n = s.n };
}

static inline struct fz_bytes fz_bytes_of_str(const char *s)
{
	return (struct fz_bytes){ .p = (const uint8_t *)s, .n = strlen(s) };
}

/* Takes const away: for what libraries declare without it and for freeing what only readers see as const. */
static inline void *fz_unconst(const void *p)
{
	void *q;
	memcpy(&q, &p, sizeof(q));
	return q;
}

/* Public data only: stops at the first difference. Secrets use fz_ct_equal. */
static inline bool fz_bytes_equal(struct fz_bytes a, struct fz_bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/*
 * Reader: reads past the end set `bad` and give zero (or an empty range); check `bad` once, at the end.
 * `p` advances; what fz_reader_take returns is borrowed from the range the reader was made of.
 */
struct fz_reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct fz_reader fz_reader_of(struct fz_bytes b)
{
	return (struct fz_reader){ .p = b.p, .left = b.n, .bad = false };
}

struct fz_bytes fz_reader_take(struct fz_reader *r, size_t n) FZ_NONNULL(1);
void fz_reader_skip(struct fz_reader *r, size_t n) FZ_NONNULL(1);
void fz_reader_copy(struct fz_reader *r, void *ret_dst, size_t n) FZ_NONNULL(1);
uint8_t fz_reader_u8(struct fz_reader *r) FZ_NONNULL(1);
uint16_t fz_reader_be16(struct fz_reader *r) FZ_NONNULL(1);
uint32_t fz_reader_be32(struct fz_reader *r) FZ_NONNULL(1);
uint64_t fz_reader_be64(struct fz_reader *r) FZ_NONNULL(1);
uint16_t fz_reader_le16(struct fz_reader *r) FZ_NONNULL(1);
uint32_t fz_reader_le32(struct fz_reader *r) FZ_NONNULL(1);
uint64_t fz_reader_le64(struct fz_reader *r) FZ_NONNULL(1);

/* Everything that is left; the reader is then at its end. */
struct fz_bytes fz_reader_rest(struct fz_reader *r) FZ_NONNULL(1);

/* True if nothing was read past the end and nothing is left. */
static inline bool fz_reader_done(const struct fz_reader *r)
{
	return !r->bad && r->left == 0;
}

/* Writer: a write that does not fit sets `bad` and writes nothing; check `bad` once, at the end. */
struct fz_writer {
	uint8_t *start;
	size_t len; /* written so far */
	size_t cap;
	bool bad;
};

static inline struct fz_writer fz_writer_of(struct fz_span s)
{
	return (struct fz_writer){ .start = s.p, .len = 0, .cap = s.n, .bad = false };
}

/* Room for n bytes to be filled by the caller, or NULL (and bad). For n = 0 the pointer says nothing. */
uint8_t *fz_writer_room_maybe(struct fz_writer *w, size_t n) FZ_NONNULL(1);
void fz_writer_bytes(struct fz_writer *w, struct fz_bytes b) FZ_NONNULL(1);
void fz_writer_zeros(struct fz_writer *w, size_t n) FZ_NONNULL(1);
void fz_writer_u8(struct fz_writer *w, uint8_t v) FZ_NONNULL(1);
void fz_writer_be16(struct fz_writer *w, uint16_t v) FZ_NONNULL(1);
void fz_writer_be32(struct fz_writer *w, uint32_t v) FZ_NONNULL(1);
void fz_writer_be64(struct fz_writer *w, uint64_t v) FZ_NONNULL(1);
void fz_writer_le16(struct fz_writer *w, uint16_t v) FZ_NONNULL(1);
void fz_writer_le32(struct fz_writer *w, uint32_t v) FZ_NONNULL(1);
void fz_writer_le64(struct fz_writer *w, uint64_t v) FZ_NONNULL(1);

/* Formats text without its terminating NUL. */
void fz_writer_format(struct fz_writer *w, const char *fmt, ...) FZ_NONNULL(1, 2) FZ_PRINTF(2, 3);

static inline struct fz_bytes fz_writer_written(const struct fz_writer *w)
{
	return (struct fz_bytes){ .p = w->start, .n = w->len };
}
