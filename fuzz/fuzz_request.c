/*
 * Every request and answer decoder: the first byte chooses the message. What the checker lets through protobuf-c can
 * unpack, and it survives packing and JSON: the message that comes back packs to the same bytes.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "ipc/json.h"
#include "ipc/meta.h"
#include "ipc/methods.h"
#include "ipc/reflect.h"
#include "ipc/wire.h"

#define BOUND (1u << 22)

/* Values JSON has no exact form for: secrets, floating point, times outside the years we read, unknown enums. */
static bool is_exact(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(d);
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		size_t n = fzipc_reflect_count(msg, f);
		for (size_t k = 0; k < n; k++) {
			struct fzipc_value v = fzipc_reflect_get(msg, f, k);
			if (f->type == PROTOBUF_C_TYPE_MESSAGE && !is_exact(v.msg))
				return false;
			if (f->type == PROTOBUF_C_TYPE_DOUBLE ||
				(meta && meta->fields[i].is_secret))
				return false;
			if (meta && (meta->fields[i].format == FZIPC_TIME ||
					    meta->fields[i].format == FZIPC_AGE))
				return false;
			if (f->type == PROTOBUF_C_TYPE_ENUM &&
				!protobuf_c_enum_descriptor_get_value(f->descriptor, (int)v.i))
				return false;
		}
	}
	return msg->n_unknown_fields == 0;
}

static void check_json(const ProtobufCMessage *msg)
{
	struct fz_bytebuf text, first, second;
	struct fzipc_arena arena;
	ProtobufCMessage *back = NULL;
	fz_bytebuf_init(&text, BOUND);
	fz_bytebuf_init(&first, BOUND);
	fz_bytebuf_init(&second, BOUND);
	fzipc_arena_init(&arena, BOUND);
	bool fits = fzipc_json_write(msg, &text) == 0;
	if (fits && is_exact(msg)) {
		fz_assert(fzipc_json_read(msg->descriptor, fz_bytebuf_bytes(&text), &arena, &back));
		fz_assert(fzipc_wire_pack(msg, &first) == 0 && fzipc_wire_pack(back, &second) == 0);
		fz_assert(fz_bytes_equal(fz_bytebuf_bytes(&first), fz_bytebuf_bytes(&second)));
	}
	fzipc_arena_reset(&arena);
	fz_bytebuf_done(&text);
	fz_bytebuf_done(&first);
	fz_bytebuf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fzipc_arena arena;
	ProtobufCMessage *msg = NULL;
	if (size == 0)
		return 0;
	const struct fzipc_method *m = &fzipc_methods[data[0] / 2 % fzipc_n_methods];
	const ProtobufCMessageDescriptor *d = data[0] % 2 ? m->reply : m->request;
	struct fz_bytes in = fz_bytes_of(data + 1, size - 1);
	fzipc_arena_init(&arena, BOUND);
	enum fzipc_wire verdict = fzipc_wire_unpack(d, in, 1024, &arena, &msg);
	if (verdict == FZIPC_WIRE_OK) {
		fz_assert(msg && msg->descriptor == d);
		check_json(msg);
	}
	fzipc_arena_reset(&arena);
	/* The same bytes as JSON. */
	fzipc_arena_init(&arena, BOUND);
	if (fzipc_json_read(d, in, &arena, &msg))
		check_json(msg);
	fzipc_arena_reset(&arena);
	return 0;
}
