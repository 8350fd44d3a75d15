/* protobuf-c's descriptors give offsets and types; this is the only file that does arithmetic with them. */
#include "ipc/reflect.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const void *at(const ProtobufCMessage *msg, size_t offset)
{
	return (const char *)msg + offset;
}

static void *at_writable(ProtobufCMessage *msg, size_t offset)
{
	return (char *)msg + offset;
}

static bool is_pointer(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_FLOAT: return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE: return 8;
	case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
	}
	return 0;
}

size_t fzipc_reflect_count(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n;
		memcpy(&n, at(msg, f->quantifier_offset), sizeof(n));
		return n;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t which;
		memcpy(&which, at(msg, f->quantifier_offset), sizeof(which));
		return which == f->id;
	}
	if (is_pointer(f)) {
		const void *p;
		memcpy(&p, at(msg, f->offset), sizeof(p));
		return p != NULL;
	}
	protobuf_c_boolean has;
	memcpy(&has, at(msg, f->quantifier_offset), sizeof(has));
	return has != 0;
}

static void read_number(const ProtobufCFieldDescriptor *f, const void *p, struct fzipc_value *v)
{
	union {
		int32_t i;
		uint32_t u;
		float d;
		protobuf_c_boolean b;
	} small = { 0 };

	if (size_of(f) == 8) {
		memcpy(&v->u, p, 8); /* all 64-bit members share these bytes */
		return;
	}
	memcpy(&small, p, 4);
	if (f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_FIXED32)
		v->u = small.u;
	else if (f->type == PROTOBUF_C_TYPE_FLOAT)
		v->d = (double)small.d;
	else if (f->type == PROTOBUF_C_TYPE_BOOL)
		v->b = small.b != 0;
	else
		v->i = small.i;
}

struct fzipc_value fzipc_reflect_get(
	const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f, size_t i)
{
	fz_assert(i < fzipc_reflect_count(msg, f));
	struct fzipc_value v = { .field = f };
	const char *p = at(msg, f->offset);
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		const char *array;
		memcpy(&array, at(msg, f->offset), sizeof(array));
		p = array + i * size_of(f);
	}
	if (f->type == PROTOBUF_C_TYPE_STRING)
		memcpy(&v.s, p, sizeof(v.s));
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		memcpy(&v.msg, p, sizeof(v.msg));
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		memcpy(&v.bytes, p, sizeof(v.bytes));
	else
		read_number(f, p, &v);
	return v;
}

static void write_value(void *p, const struct fzipc_value *v)
{
	union {
		int32_t i;
		uint32_t u;
		float d;
		protobuf_c_boolean b;
	} small = { 0 };

	size_t n = size_of(v->field);
	if (v->field->type == PROTOBUF_C_TYPE_BYTES || n == 8) {
		memcpy(p, &v->i,
			n); /* pointers, 64-bit numbers and bytes begin where the union does */
		return;
	}
	if (v->field->type == PROTOBUF_C_TYPE_UINT32 || v->field->type == PROTOBUF_C_TYPE_FIXED32)
		small.u = (uint32_t)v->u;
	else if (v->field->type == PROTOBUF_C_TYPE_FLOAT)
		small.d = (float)v->d;
	else if (v->field->type == PROTOBUF_C_TYPE_BOOL)
		small.b = v->b;
	else
		small.i = (int32_t)v->i;
	memcpy(p, &small, n);
}

static_assert(sizeof(void *) == 8, "write_value treats pointers as 64-bit words");

static bool append(ProtobufCMessage *msg, const struct fzipc_value *v, struct fzipc_arena *arena)
{
	const ProtobufCFieldDescriptor *f = v->field;
	size_t n, size = size_of(f);
	char *old;
	memcpy(&n, at(msg, f->quantifier_offset), sizeof(n));
	memcpy(&old, at(msg, f->offset), sizeof(old));
	/* Room doubles at powers of two, so that n says when it is used up. */
	if ((n & (n - 1)) == 0) {
		char *more = fzipc_arena_alloc(arena, (n ? 2 * n : 1) * size);
		if (!more)
			return false;
		if (n > 0)
			memcpy(more, old, n * size);
		old = more;
		memcpy(at_writable(msg, f->offset), &more, sizeof(more));
	}
	write_value(old + n * size, v);
	n++;
	memcpy(at_writable(msg, f->quantifier_offset), &n, sizeof(n));
	return true;
}

bool fzipc_reflect_put(
	ProtobufCMessage *msg, const struct fzipc_value *v, struct fzipc_arena *arena)
{
	const ProtobufCFieldDescriptor *f = v->field;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return append(msg, v, arena);
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t id = f->id;
		memcpy(at_writable(msg, f->quantifier_offset), &id, sizeof(id));
	} else if (!is_pointer(f)) {
		protobuf_c_boolean yes = 1;
		memcpy(at_writable(msg, f->quantifier_offset), &yes, sizeof(yes));
	}
	write_value(at_writable(msg, f->offset), v);
	return true;
}

ProtobufCMessage *fzipc_reflect_new_maybe(
	const ProtobufCMessageDescriptor *d, struct fzipc_arena *arena)
{
	ProtobufCMessage *msg = fzipc_arena_alloc(arena, d->sizeof_message);
	if (msg)
		protobuf_c_message_init(d, msg);
	return msg;
}

const char *fzipc_reflect_enum_name(const struct fzipc_value *v, char *buf, size_t cap)
{
	const ProtobufCEnumDescriptor *d = v->field->descriptor;
	const ProtobufCEnumValue *e = protobuf_c_enum_descriptor_get_value(d, (int)v->i);
	if (e)
		snprintf(buf, cap, "%s", e->name);
	else
		snprintf(buf, cap, "value_%d", (int)v->i);
	for (char *c = buf; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return buf;
}

bool fzipc_reflect_enum_value(
	const ProtobufCEnumDescriptor *d, const char *name, int64_t *ret_value)
{
	char upper[64];
	size_t n = strlen(name);
	if (n >= sizeof(upper))
		return false;
	for (size_t i = 0; i <= n; i++)
		upper[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
	const ProtobufCEnumValue *e = protobuf_c_enum_descriptor_get_value_by_name(d, upper);
	if (!e)
		return false;
	*ret_value = e->value;
	return true;
}
