/* Reads JSON into messages. Nesting follows the schema; what the schema does not know is skipped with a counter. */
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"
#include "ipc/timetext.h"

struct input {
	struct fz_reader r;
	struct fzipc_arena *arena;
};

static void skip_blanks(struct input *in)
{
	while (in->r.left > 0 && strchr(" \t\r\n", *in->r.p) && *in->r.p)
		fz_reader_skip(&in->r, 1);
}

static bool is_next(struct input *in, char c)
{
	skip_blanks(in);
	return in->r.left > 0 && *in->r.p == (uint8_t)c;
}

static bool take(struct input *in, char c)
{
	if (!is_next(in, c))
		return false;
	fz_reader_skip(&in->r, 1);
	return true;
}

static bool take_word(struct input *in, const char *word)
{
	size_t n = strlen(word);
	skip_blanks(in);
	if (in->r.left < n || memcmp(in->r.p, word, n) != 0)
		return false;
	fz_reader_skip(&in->r, n);
	return true;
}

static bool hex4(struct input *in, uint32_t *ret_code)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++) {
		uint8_t c = fz_reader_u8(&in->r);
		if (c >= '0' && c <= '9')
			v = v << 4 | (c - (uint32_t)'0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20u) - (uint32_t)'a' + 10);
		else
			return false;
	}
	*ret_code = v;
	return true;
}

static char *put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 63));
		*p++ = (char)(0x80 | (c & 63));
	} else {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 63));
		*p++ = (char)(0x80 | (c >> 6 & 63));
		*p++ = (char)(0x80 | (c & 63));
	}
	return p;
}

static bool take_escape(struct input *in, char **p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint8_t c = fz_reader_u8(&in->r);
	const char *simple = c ? strchr(from, c) : NULL;
	if (simple) {
		*(*p)++ = to[simple - from];
		return true;
	}
	uint32_t code, low;
	if (c != 'u' || !hex4(in, &code) || code == 0)
		return false;
	if (code >= 0xd800 && code < 0xdc00) {
		if (fz_reader_u8(&in->r) != '\\' || fz_reader_u8(&in->r) != 'u' ||
			!hex4(in, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code >= 0xdc00 && code <= 0xdfff) {
		return false;
	}
	*p = put_utf8(*p, code);
	return true;
}

/* A string; its text lives in the arena. Escapes never make it longer. */
static char *take_string(struct input *in)
{
	if (!take(in, '"'))
		return NULL;
	size_t most = 0;
	while (most < in->r.left && in->r.p[most] != '"')
		most += in->r.p[most] == '\\' ? 2 : 1;
	char *text = fzipc_arena_alloc(in->arena, most + 1), *p = text;
	while (text && !in->r.bad) {
		uint8_t c = fz_reader_u8(&in->r);
		if (c == '"') {
			*p = '\0';
			return fzipc_utf8_is_valid(fz_bytes_of(text, (size_t)(p - text))) ? text
											  : NULL;
		}
		if (c < 0x20 || (c == '\\' && !take_escape(in, &p)))
			return NULL;
		if (c != '\\')
			*p++ = (char)c;
	}
	return NULL;
}

static struct fz_bytes take_number(struct input *in)
{
	skip_blanks(in);
	size_t n = 0;
	while (n < in->r.left && in->r.p[n] && strchr("+-0123456789.eE", in->r.p[n]))
		n++;
	return fz_reader_take(&in->r, n);
}

/* Skips any value, however deep, without recursion. */
static bool skip_value(struct input *in)
{
	size_t depth = 0;
	do {
		if (is_next(in, '"')) {
			if (!take_string(in))
				return false;
		} else if (take(in, '{') || take(in, '[')) {
			depth++;
		} else if (take(in, '}') || take(in, ']')) {
			if (depth == 0)
				return false;
			depth--;
		} else if (!take(in, ',') && !take(in, ':') && !take_word(in, "true") &&
			   !take_word(in, "false") && !take_word(in, "null") &&
			   take_number(in).n == 0) {
			return false;
		}
	} while (depth > 0);
	return true;
}

static bool is_time(const struct fzipc_field_meta *meta)
{
	return meta && (meta->format == FZIPC_TIME || meta->format == FZIPC_AGE);
}

static bool read_number(struct input *in, struct fzipc_value *v)
{
	char text[64];
	struct fz_bytes b;
	if (is_next(in, '"')) {
		const char *quoted = take_string(in);
		b = fz_bytes_of_str(quoted ? quoted : "");
	} else {
		b = take_number(in);
	}
	if (b.n == 0 || b.n >= sizeof(text))
		return false;
	memcpy(text, b.p, b.n);
	text[b.n] = '\0';
	char *end;
	ProtobufCType t = v->field->type;
	if (t == PROTOBUF_C_TYPE_DOUBLE || t == PROTOBUF_C_TYPE_FLOAT)
		v->d = strtod(text, &end);
	else if (t == PROTOBUF_C_TYPE_UINT64 || t == PROTOBUF_C_TYPE_UINT32 ||
		 t == PROTOBUF_C_TYPE_FIXED64 || t == PROTOBUF_C_TYPE_FIXED32)
		v->u = strtoull(text, &end, 10);
	else
		v->i = strtoll(text, &end, 10);
	return *end == '\0';
}

static bool read_bool(struct input *in, struct fzipc_value *v)
{
	v->b = take_word(in, "true");
	return v->b || take_word(in, "false");
}

static int sextet(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

static bool read_bytes(struct input *in, struct fzipc_value *v)
{
	const char *text = take_string(in);
	if (!text)
		return false;
	size_t n = strcspn(text, "=");
	uint8_t *out = fzipc_arena_alloc(in->arena, n * 3 / 4 + 1);
	uint32_t acc = 0;
	unsigned bits = 0;
	v->bytes = (ProtobufCBinaryData){ 0, out };
	for (size_t i = 0; out && i < n; i++) {
		int s = sextet(text[i]);
		if (s < 0)
			return false;
		acc = acc << 6 | (uint32_t)s;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[v->bytes.len++] = (uint8_t)(acc >> bits);
		}
	}
	return out != NULL;
}

static bool read_object(
	struct input *in, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret_msg);

static bool read_value(struct input *in, struct fzipc_value *v, const struct fzipc_field_meta *meta)
{
	ProtobufCMessage *msg = NULL;
	const char *text;
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_STRING: return (v->s = take_string(in)) != NULL;
	case PROTOBUF_C_TYPE_BOOL: return read_bool(in, v);
	case PROTOBUF_C_TYPE_BYTES: return read_bytes(in, v);
	case PROTOBUF_C_TYPE_ENUM:
		text = take_string(in);
		return text && fzipc_reflect_enum_value(v->field->descriptor, text, &v->i);
	case PROTOBUF_C_TYPE_MESSAGE:
		if (!read_object(in, v->field->descriptor, &msg))
			return false;
		v->msg = msg;
		return true;
	case PROTOBUF_C_TYPE_INT64:
		if (is_time(meta)) {
			text = take_string(in);
			return text && fzipc_time_parse(text, &v->i);
		}
		return read_number(in, v);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE: return read_number(in, v);
	}
	return false;
}

static bool read_field(struct input *in, ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
{
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(msg->descriptor);
	const struct fzipc_field_meta *field_meta = meta ? fzipc_meta_field(meta, f) : NULL;
	bool is_list = f->label == PROTOBUF_C_LABEL_REPEATED;
	if (is_list && !take(in, '['))
		return false;
	if (is_list && take(in, ']'))
		return true;
	do {
		struct fzipc_value v = { .field = f };
		if (!read_value(in, &v, field_meta) || !fzipc_reflect_put(msg, &v, in->arena))
			return false;
	} while (is_list && take(in, ','));
	return !is_list || take(in, ']');
}

static bool read_object(
	struct input *in, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret_msg)
{
	ProtobufCMessage *msg = fzipc_reflect_new_maybe(d, in->arena);
	if (!msg || !take(in, '{'))
		return false;
	*ret_msg = msg;
	if (take(in, '}'))
		return true;
	do {
		const char *name = take_string(in);
		if (!name || !take(in, ':'))
			return false;
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field_by_name(d, name);
		if (f ? !read_field(in, msg, f) : !skip_value(in))
			return false;
	} while (take(in, ','));
	return take(in, '}');
}

bool fzipc_json_read(const ProtobufCMessageDescriptor *d, struct fz_bytes text,
	struct fzipc_arena *arena, ProtobufCMessage **ret_msg)
{
	struct input in = { .r = fz_reader_of(text), .arena = arena };
	ProtobufCMessage *msg = NULL;
	if (!read_object(&in, d, &msg))
		return false;
	skip_blanks(&in);
	if (!fz_reader_done(&in.r))
		return false;
	*ret_msg = msg;
	return true;
}
