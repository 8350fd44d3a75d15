/* Reader and writer with a sticky error; lengths are compared as `n > left`, never as a pointer sum. */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/endian.h"

struct fz_bytes fz_reader_take(struct fz_reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		return (struct fz_bytes){ .p = r->p, .n = 0 };
	}
	struct fz_bytes taken = { .p = r->p, .n = n };
	if (n > 0) /* an empty range may stand at NULL, which takes no offset, not even zero */
		r->p += n;
	r->left -= n;
	return taken;
}

void fz_reader_skip(struct fz_reader *r, size_t n)
{
	(void)fz_reader_take(r, n);
}

void fz_reader_copy(struct fz_reader *r, void *ret_dst, size_t n)
{
	struct fz_bytes taken = fz_reader_take(r, n);
	if (taken.n > 0)
		memcpy(ret_dst, taken.p, n);
	else if (n > 0)
		memset(ret_dst, 0, n);
}

struct fz_bytes fz_reader_rest(struct fz_reader *r)
{
	return fz_reader_take(r, r->left);
}

uint8_t fz_reader_u8(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 1);
	return b.n ? b.p[0] : 0;
}

uint16_t fz_reader_be16(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 2);
	return b.n ? fz_be16_load(b.p) : 0;
}

uint32_t fz_reader_be32(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 4);
	return b.n ? fz_be32_load(b.p) : 0;
}

uint64_t fz_reader_be64(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 8);
	return b.n ? fz_be64_load(b.p) : 0;
}

uint16_t fz_reader_le16(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 2);
	return b.n ? fz_le16_load(b.p) : 0;
}

uint32_t fz_reader_le32(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 4);
	return b.n ? fz_le32_load(b.p) : 0;
}

uint64_t fz_reader_le64(struct fz_reader *r)
{
	struct fz_bytes b = fz_reader_take(r, 8);
	return b.n ? fz_le64_load(b.p) : 0;
}

uint8_t *fz_writer_room_maybe(struct fz_writer *w, size_t n)
{
	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	if (n == 0)
		return w->start;
	uint8_t *room = w->start + w->len;
	w->len += n;
	return room;
}

void fz_writer_bytes(struct fz_writer *w, struct fz_bytes b)
{
	uint8_t *room = fz_writer_room_maybe(w, b.n);
	if (room && b.n > 0)
		memcpy(room, b.p, b.n);
}

void fz_writer_zeros(struct fz_writer *w, size_t n)
{
	uint8_t *room = fz_writer_room_maybe(w, n);
	if (room && n > 0)
		memset(room, 0, n);
}

void fz_writer_u8(struct fz_writer *w, uint8_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 1);
	if (room)
		room[0] = v;
}

void fz_writer_be16(struct fz_writer *w, uint16_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 2);
	if (room)
		fz_be16_store(room, v);
}

void fz_writer_be32(struct fz_writer *w, uint32_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 4);
	if (room)
		fz_be32_store(room, v);
}

void fz_writer_be64(struct fz_writer *w, uint64_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 8);
	if (room)
		fz_be64_store(room, v);
}

void fz_writer_le16(struct fz_writer *w, uint16_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 2);
	if (room)
		fz_le16_store(room, v);
}

void fz_writer_le32(struct fz_writer *w, uint32_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 4);
	if (room)
		fz_le32_store(room, v);
}

void fz_writer_le64(struct fz_writer *w, uint64_t v)
{
	uint8_t *room = fz_writer_room_maybe(w, 8);
	if (room)
		fz_le64_store(room, v);
}

void fz_writer_format(struct fz_writer *w, const char *fmt, ...)
{
	char line[512];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		w->bad = true;
		return;
	}
	fz_writer_bytes(w, fz_bytes_of(line, (size_t)n));
}
