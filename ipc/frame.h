/*
 * Frames: a 32-bit little-endian length and that many bytes, at least one. The reader says how many bytes it
 * wants next and never wants past the end of a frame, so that whoever reads the socket can tell which frame a
 * descriptor came with. Pure; one owner, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"

#define FZIPC_FRAME_HEADER        4u
#define FZIPC_FRAME_MAX_TO_DAEMON (1u << 20)
#define FZIPC_FRAME_MAX_TO_CLIENT (4u << 20)

enum fzipc_frame {
	FZIPC_FRAME_MORE, /* not yet whole */
	FZIPC_FRAME_WHOLE, /* fzipc_frame_reader_payload has it until the next feed */
	FZIPC_FRAME_EMPTY, /* length zero: the stream is lost */
	FZIPC_FRAME_TOO_LARGE, /* length above the maximum: the stream is lost */
	FZIPC_FRAME_NO_MEMORY, /* the stream is lost */
};

struct fzipc_frame_reader {
	uint32_t max;
	uint8_t header[FZIPC_FRAME_HEADER];
	size_t header_len;
	uint32_t payload_len;
	bool is_whole;
	struct fz_bytebuf payload;
};

void fzipc_frame_reader_init(struct fzipc_frame_reader *r, uint32_t max_payload) FZ_NONNULL(1);
/* Wipes and releases. Accepts a zeroed struct. */
void fzipc_frame_reader_done(struct fzipc_frame_reader *r) FZ_NONNULL(1);
/* Bytes until the next boundary, at least 1: feed at most these at once. */
size_t fzipc_frame_reader_want(const struct fzipc_frame_reader *r) FZ_NONNULL(1) FZ_MUST_CHECK;
/* True if the next byte is the first of a frame. */
bool fzipc_frame_reader_is_at_start(const struct fzipc_frame_reader *r) FZ_NONNULL(1) FZ_MUST_CHECK;
/* `in` has 1 to fzipc_frame_reader_want() bytes. */
enum fzipc_frame fzipc_frame_reader_feed(struct fzipc_frame_reader *r, struct fz_bytes in)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* The payload of a whole frame; borrowed until the next feed. */
struct fz_bytes fzipc_frame_reader_payload(const struct fzipc_frame_reader *r) FZ_NONNULL(1);

/* Appends a frame, all or nothing: 0, -ENOMEM or FZ_ERR_LIMIT. The payload has 1 to `max` bytes, else FZ_ERR_LIMIT. */
int fzipc_frame_write(struct fz_bytebuf *out, struct fz_bytes payload, uint32_t max)
	FZ_NONNULL(1) FZ_MUST_CHECK;
