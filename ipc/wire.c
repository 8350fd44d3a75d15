/*
 * Checks serialized messages against their descriptor before protobuf-c sees them, without recursion: a stack of
 * FZIPC_WIRE_MAX_DEPTH levels stands in for it. protobuf-c itself neither checks UTF-8 nor tells why it refused.
 */
#include "ipc/wire.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/err.h"

/* Length of the UTF-8 sequence that starts with b, 0 if none does; *ret_min is the least code point for it. */
static size_t sequence_len(uint8_t b, uint32_t *ret_min)
{
	if (b >= 0xc2 && b <= 0xdf) {
		*ret_min = 0x80;
		return 2;
	}
	if (b >= 0xe0 && b <= 0xef) {
		*ret_min = 0x800;
		return 3;
	}
	if (b >= 0xf0 && b <= 0xf4) {
		*ret_min = 0x10000;
		return 4;
	}
	return 0;
}

static bool take_sequence(struct fz_reader *r, uint8_t first)
{
	uint32_t min = 0;
	size_t len = sequence_len(first, &min);
	if (len == 0)
		return false;
	uint32_t code = first & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		uint8_t b = fz_reader_u8(r);
		if ((b & 0xc0) != 0x80)
			return false;
		code = code << 6 | (b & 0x3fu);
	}
	return code >= min && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

bool fzipc_utf8_is_valid(struct fz_bytes in)
{
	struct fz_reader r = fz_reader_of(in);
	while (r.left > 0) {
		uint8_t b = fz_reader_u8(&r);
		if (b == 0)
			return false;
		if (b >= 0x80 && !take_sequence(&r, b))
			return false;
	}
	return true;
}

static bool take_varint(struct fz_reader *r, uint64_t *ret_v)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = fz_reader_u8(r);
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret_v = v;
			return !r->bad;
		}
	}
	return false;
}

static ProtobufCWireType declared_type(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM: return PROTOBUF_C_WIRE_TYPE_VARINT;
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT: return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE: return PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	}
	return PROTOBUF_C_WIRE_TYPE_VARINT;
}

struct level {
	const ProtobufCMessageDescriptor *desc;
	struct fz_reader r;
};

struct walk {
	struct level stack[FZIPC_WIRE_MAX_DEPTH];
	size_t depth;
	size_t fields_left;
};

static enum fzipc_wire enter(
	struct walk *w, const ProtobufCMessageDescriptor *desc, struct fz_bytes in)
{
	if (w->depth == FZIPC_WIRE_MAX_DEPTH)
		return FZIPC_WIRE_DEPTH;
	w->stack[w->depth++] = (struct level){ .desc = desc, .r = fz_reader_of(in) };
	return FZIPC_WIRE_OK;
}

static enum fzipc_wire take_value(
	struct walk *w, const ProtobufCFieldDescriptor *f, struct fz_bytes value)
{
	if (!f)
		return FZIPC_WIRE_OK;
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return fzipc_utf8_is_valid(value) ? FZIPC_WIRE_OK : FZIPC_WIRE_TEXT;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return enter(w, f->descriptor, value);
	return FZIPC_WIRE_OK;
}

static enum fzipc_wire skip_number(struct fz_reader *r, uint64_t wire)
{
	uint64_t ignored;
	if (wire == PROTOBUF_C_WIRE_TYPE_VARINT)
		return take_varint(r, &ignored) ? FZIPC_WIRE_OK : FZIPC_WIRE_TRUNCATED;
	if (wire == PROTOBUF_C_WIRE_TYPE_64BIT)
		fz_reader_skip(r, 8);
	else if (wire == PROTOBUF_C_WIRE_TYPE_32BIT)
		fz_reader_skip(r, 4);
	else
		return FZIPC_WIRE_TYPE; /* groups, and types that do not exist */
	return r->bad ? FZIPC_WIRE_TRUNCATED : FZIPC_WIRE_OK;
}

static enum fzipc_wire take_field(struct walk *w)
{
	struct level *top = &w->stack[w->depth - 1];
	uint64_t tag, len;
	if (!take_varint(&top->r, &tag))
		return FZIPC_WIRE_TRUNCATED;
	if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return FZIPC_WIRE_TYPE;
	if (w->fields_left-- == 0)
		return FZIPC_WIRE_FIELDS;
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field(top->desc, (unsigned)(tag >> 3));
	if (f && (tag & 7) != (uint64_t)declared_type(f))
		return FZIPC_WIRE_TYPE;
	if ((tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		return skip_number(&top->r, tag & 7);
	if (!take_varint(&top->r, &len) || len > top->r.left)
		return FZIPC_WIRE_TRUNCATED;
	return take_value(w, f, fz_reader_take(&top->r, (size_t)len));
}

enum fzipc_wire fzipc_wire_check(
	const ProtobufCMessageDescriptor *desc, struct fz_bytes in, size_t max_fields)
{
	struct walk w = { .fields_left = max_fields };
	enum fzipc_wire verdict = enter(&w, desc, in);
	while (verdict == FZIPC_WIRE_OK && w.depth > 0) {
		if (w.stack[w.depth - 1].r.left == 0)
			w.depth--;
		else
			verdict = take_field(&w);
	}
	return verdict;
}

const char *fzipc_wire_text(enum fzipc_wire verdict)
{
	static const char *const texts[FZIPC_WIRE_COUNT_] = {
		[FZIPC_WIRE_OK] = "fine",
		[FZIPC_WIRE_TRUNCATED] = "the message is cut short",
		[FZIPC_WIRE_TYPE] = "a field has the wrong wire type",
		[FZIPC_WIRE_TEXT] = "text is not valid UTF-8",
		[FZIPC_WIRE_DEPTH] = "messages are nested too deeply",
		[FZIPC_WIRE_FIELDS] = "the message has too many fields",
		[FZIPC_WIRE_MEMORY] = "the message needs too much memory",
	};
	fz_assert(verdict < FZIPC_WIRE_COUNT_);
	return texts[verdict];
}

struct fzipc_arena_block {
	struct fzipc_arena_block *next;
	size_t size, used;
	max_align_t data[];
};

static void *allocator_alloc(void *data, size_t n)
{
	return fzipc_arena_alloc(data, n);
}

static void allocator_free(void *data, void *p)
{
	(void)data;
	(void)p; /* all at once, in fzipc_arena_reset */
}

void fzipc_arena_init(struct fzipc_arena *a, size_t max)
{
	*a = (struct fzipc_arena){ .max = max };
	a->allocator = (ProtobufCAllocator){ allocator_alloc, allocator_free, a };
}

void fzipc_arena_reset(struct fzipc_arena *a)
{
	while (a->blocks) {
		struct fzipc_arena_block *b = a->blocks;
		a->blocks = b->next;
		fz_wipe(b->data, b->used);
		free(b);
	}
	a->used = 0;
}

static struct fzipc_arena_block *add_block(struct fzipc_arena *a, size_t n)
{
	size_t size = n > 2048 ? n : 2048;
	struct fzipc_arena_block *b = fz_alloc(1, sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *fzipc_arena_alloc(struct fzipc_arena *a, size_t n)
{
	if (n > a->max || a->max - n < a->used + sizeof(max_align_t))
		return NULL;
	n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	n = n ? n : sizeof(max_align_t);
	struct fzipc_arena_block *b = a->blocks;
	if (!b || b->size - b->used < n)
		b = add_block(a, n);
	if (!b)
		return NULL;
	uint8_t *p = (uint8_t *)b->data + b->used;
	b->used += n;
	a->used += n;
	return p;
}

enum fzipc_wire fzipc_wire_unpack(const ProtobufCMessageDescriptor *desc, struct fz_bytes in,
	size_t max_fields, struct fzipc_arena *arena, ProtobufCMessage **ret_msg)
{
	enum fzipc_wire verdict = fzipc_wire_check(desc, in, max_fields);
	if (verdict != FZIPC_WIRE_OK)
		return verdict;
	static const uint8_t nothing;
	ProtobufCMessage *msg = protobuf_c_message_unpack(
		desc, &arena->allocator, in.n, in.n > 0 ? in.p : &nothing);
	if (!msg)
		return FZIPC_WIRE_MEMORY;
	*ret_msg = msg;
	return FZIPC_WIRE_OK;
}

int fzipc_wire_pack(const ProtobufCMessage *msg, struct fz_bytebuf *out)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	if (n > out->max - out->len)
		return FZ_ERR_LIMIT;
	if (n == 0)
		return 0;
	uint8_t *packed = fz_alloc(n, 1);
	if (!packed)
		return -ENOMEM;
	protobuf_c_message_pack(msg, packed);
	int r = fz_bytebuf_append(out, fz_bytes_of(packed, n));
	fz_wipe(packed, n);
	free(packed);
	return r;
}
