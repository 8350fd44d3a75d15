/* Framing of the socket: length first, then the envelope. Memory grows with what arrived, never with what a length claims. */
#include "ipc/frame.h"

#include "base/assert.h"
#include "base/endian.h"
#include "base/err.h"

void fzipc_frame_reader_init(struct fzipc_frame_reader *r, uint32_t max_payload)
{
	*r = (struct fzipc_frame_reader){ .max = max_payload };
	fz_bytebuf_init(&r->payload, max_payload);
}

void fzipc_frame_reader_done(struct fzipc_frame_reader *r)
{
	fz_bytebuf_done(&r->payload);
	*r = (struct fzipc_frame_reader){ 0 };
}

bool fzipc_frame_reader_is_at_start(const struct fzipc_frame_reader *r)
{
	return r->is_whole || r->header_len == 0;
}

size_t fzipc_frame_reader_want(const struct fzipc_frame_reader *r)
{
	if (r->is_whole)
		return FZIPC_FRAME_HEADER;
	if (r->header_len < FZIPC_FRAME_HEADER)
		return FZIPC_FRAME_HEADER - r->header_len;
	return r->payload_len - r->payload.len;
}

static void start_over(struct fzipc_frame_reader *r)
{
	/* A large frame is rare; its memory is not kept for the next one. */
	uint32_t max = r->max;
	if (r->payload.cap > 65536) {
		fz_bytebuf_done(&r->payload);
		fz_bytebuf_init(&r->payload, max);
	}
	fz_bytebuf_clear(&r->payload);
	r->header_len = 0;
	r->is_whole = false;
}

static enum fzipc_frame feed_header(struct fzipc_frame_reader *r, struct fz_bytes in)
{
	memcpy(r->header + r->header_len, in.p, in.n);
	r->header_len += in.n;
	if (r->header_len < FZIPC_FRAME_HEADER)
		return FZIPC_FRAME_MORE;
	r->payload_len = fz_le32_load(r->header);
	if (r->payload_len == 0)
		return FZIPC_FRAME_EMPTY;
	return r->payload_len > r->max ? FZIPC_FRAME_TOO_LARGE : FZIPC_FRAME_MORE;
}

enum fzipc_frame fzipc_frame_reader_feed(struct fzipc_frame_reader *r, struct fz_bytes in)
{
	if (r->is_whole)
		start_over(r);
	fz_assert(in.n > 0 && in.n <= fzipc_frame_reader_want(r));
	if (r->header_len < FZIPC_FRAME_HEADER)
		return feed_header(r, in);
	if (fz_bytebuf_append(&r->payload, in) < 0)
		return FZIPC_FRAME_NO_MEMORY;
	r->is_whole = r->payload.len == r->payload_len;
	return r->is_whole ? FZIPC_FRAME_WHOLE : FZIPC_FRAME_MORE;
}

struct fz_bytes fzipc_frame_reader_payload(const struct fzipc_frame_reader *r)
{
	fz_assert(r->is_whole);
	return fz_bytebuf_bytes(&r->payload);
}

int fzipc_frame_write(struct fz_bytebuf *out, struct fz_bytes payload, uint32_t max)
{
	if (payload.n == 0 || payload.n > max ||
		payload.n + FZIPC_FRAME_HEADER > out->max - out->len)
		return FZ_ERR_LIMIT;
	uint8_t header[FZIPC_FRAME_HEADER];
	fz_le32_store(header, (uint32_t)payload.n);
	int r = fz_bytebuf_append(out, fz_bytes_of(header, sizeof(header)));
	if (r < 0)
		return r;
	r = fz_bytebuf_append(out, payload);
	if (r < 0)
		out->len -= FZIPC_FRAME_HEADER;
	return r;
}
