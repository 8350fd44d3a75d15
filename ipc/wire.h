/*
 * What a serialized message must be before protobuf-c may unpack it: well formed, of the declared wire types,
 * its text UTF-8 without NULs, no deeper and with no more fields than we allow; and unpacking into bounded
 * memory that is released, wiped, in one call. Pure; any thread, one at a time per arena.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"

enum fzipc_wire {
	FZIPC_WIRE_OK,
	FZIPC_WIRE_TRUNCATED, /* a length or number runs past the end */
	FZIPC_WIRE_TYPE, /* a known field with another wire type, or a group */
	FZIPC_WIRE_TEXT, /* text that is not UTF-8 or holds a NUL */
	FZIPC_WIRE_DEPTH, /* nested deeper than any message of ours */
	FZIPC_WIRE_FIELDS, /* more fields than allowed */
	FZIPC_WIRE_MEMORY, /* would need more memory than allowed */
	FZIPC_WIRE_COUNT_,
};

#define FZIPC_WIRE_MAX_DEPTH 8

enum fzipc_wire fzipc_wire_check(const ProtobufCMessageDescriptor *desc, struct fz_bytes in,
	size_t max_fields) FZ_NONNULL(1) FZ_MUST_CHECK;
/* A sentence for people; static. */
const char *fzipc_wire_text(enum fzipc_wire verdict) FZ_RETURNS_NONNULL;

bool fzipc_utf8_is_valid(struct fz_bytes in) FZ_MUST_CHECK;

/* Memory for unpacked messages: grows to `max` bytes, is released all at once. */
struct fzipc_arena {
	struct fzipc_arena_block *blocks;
	size_t used, max;
	ProtobufCAllocator allocator;
};

/* The arena must not move after this: its allocator points to it. */
void fzipc_arena_init(struct fzipc_arena *a, size_t max) FZ_NONNULL(1);
/* Wipes and releases everything; the arena can be used again. Accepts a zeroed struct. */
void fzipc_arena_reset(struct fzipc_arena *a) FZ_NONNULL(1);
/* Zeroed memory, or NULL at the maximum. */
void *fzipc_arena_alloc(struct fzipc_arena *a, size_t n) FZ_NONNULL(1) FZ_MUST_CHECK;

/*
 * Checks and unpacks; *ret_msg lives in the arena until its reset. Every verdict but OK leaves *ret_msg alone.
 */
enum fzipc_wire fzipc_wire_unpack(const ProtobufCMessageDescriptor *desc, struct fz_bytes in,
	size_t max_fields, struct fzipc_arena *arena, ProtobufCMessage **ret_msg)
	FZ_NONNULL(1, 4, 5) FZ_MUST_CHECK;

/* Appends the serialized message to `out`, all or nothing: 0, -ENOMEM or FZ_ERR_LIMIT. */
int fzipc_wire_pack(const ProtobufCMessage *msg, struct fz_bytebuf *out)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
