/* Doubling up to the maximum; contents may be secret (tokens in an upgrade request), so every release wipes. */
#include "base/bytebuf.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/err.h"

void fz_bytebuf_init(struct fz_bytebuf *b, size_t max)
{
	*b = (struct fz_bytebuf){ .max = max };
}

void fz_bytebuf_done(struct fz_bytebuf *b)
{
	if (b->p)
		fz_wipe(b->p, b->cap);
	free(b->p);
	*b = (struct fz_bytebuf){ 0 };
}

static int grow(struct fz_bytebuf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 256;
	while (cap < need)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	uint8_t *p = fz_alloc(cap, 1);
	if (!p)
		return -ENOMEM;
	if (b->len > 0)
		memcpy(p, b->p, b->len);
	if (b->p)
		fz_wipe(b->p, b->cap);
	free(b->p);
	b->p = p;
	b->cap = cap;
	return 0;
}

int fz_bytebuf_append(struct fz_bytebuf *b, struct fz_bytes in)
{
	if (in.n > b->max - b->len)
		return FZ_ERR_LIMIT;
	if (in.n == 0)
		return 0;
	if (in.n > b->cap - b->len) {
		int r = grow(b, b->len + in.n);
		if (r < 0)
			return r;
	}
	memcpy(b->p + b->len, in.p, in.n);
	b->len += in.n;
	return 0;
}

void fz_bytebuf_consume(struct fz_bytebuf *b, size_t n)
{
	fz_assert(n <= b->len);
	if (n > 0 && n < b->len)
		memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}

void fz_bytebuf_clear(struct fz_bytebuf *b)
{
	if (b->p)
		fz_wipe(b->p, b->len);
	b->len = 0;
}
