/* Writes messages as JSON. Recursion follows the schema, whose depth the build bounds, never the data. */
#include <math.h>
#include <stdio.h>

#include "ipc/json.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"
#include "ipc/timetext.h"

#define EXACT_MAX ((int64_t)1 << 53)

/* A sticky error, so that writing reads like writing. */
struct sink {
	struct fz_bytebuf *out;
	int r;
};

static void add(struct sink *s, const char *text)
{
	if (s->r == 0)
		s->r = fz_bytebuf_append(s->out, fz_bytes_of_str(text));
}

static void add_char(struct sink *s, char c)
{
	if (s->r == 0)
		s->r = fz_bytebuf_append(s->out, fz_bytes_of(&c, 1));
}

static void add_text(struct sink *s, const char *text)
{
	add_char(s, '"');
	for (const char *c = text; *c; c++) {
		unsigned char u = (unsigned char)*c;
		char escaped[8];
		if (*c == '"' || *c == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", *c);
		else if (*c == '\n')
			snprintf(escaped, sizeof(escaped), "\\n");
		else if (u < 0x20 || u == 0x7f)
			snprintf(escaped, sizeof(escaped), "\\u%04x", u);
		else
			snprintf(escaped, sizeof(escaped), "%c", *c);
		add(s, escaped);
	}
	add_char(s, '"');
}

int fzipc_json_write_text(const char *text, struct fz_bytebuf *out)
{
	struct sink s = { .out = out };
	add_text(&s, text);
	return s.r;
}

static void add_base64(struct sink *s, ProtobufCBinaryData in)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	add_char(s, '"');
	for (size_t i = 0; i < in.len; i += 3) {
		size_t left = in.len - i;
		uint32_t v = (uint32_t)in.data[i] << 16;
		v |= left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
		v |= left > 2 ? in.data[i + 2] : 0u;
		add_char(s, digits[v >> 18]);
		add_char(s, digits[v >> 12 & 63]);
		add_char(s, left > 1 ? digits[v >> 6 & 63] : '=');
		add_char(s, left > 2 ? digits[v & 63] : '=');
	}
	add_char(s, '"');
}

static void add_int(struct sink *s, int64_t v)
{
	char text[32];
	bool is_exact = v <= EXACT_MAX && v >= -EXACT_MAX;
	snprintf(text, sizeof(text), is_exact ? "%lld" : "\"%lld\"", (long long)v);
	add(s, text);
}

static void add_uint(struct sink *s, uint64_t v)
{
	char text[32];
	snprintf(text, sizeof(text), v <= (uint64_t)EXACT_MAX ? "%llu" : "\"%llu\"",
		(unsigned long long)v);
	add(s, text);
}

static void add_double(struct sink *s, double d)
{
	char text[40];
	if (!isfinite(d)) {
		add(s, "null"); /* JSON has no other word for it */
		return;
	}
	snprintf(text, sizeof(text), "%.15g", d);
	add(s, text);
}

static void add_time(struct sink *s, int64_t ns)
{
	char text[FZIPC_TIME_TEXT];
	fzipc_time_format(ns, text);
	add_text(s, text);
}

static void add_message(struct sink *s, const ProtobufCMessage *msg, bool is_outermost);

static void add_value(
	struct sink *s, const struct fzipc_value *v, const struct fzipc_field_meta *meta)
{
	char name[64];
	if (meta && meta->is_secret) {
		add(s, "\"***\"");
		return;
	}
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		if (meta && (meta->format == FZIPC_TIME || meta->format == FZIPC_AGE))
			add_time(s, v->i);
		else
			add_int(s, v->i);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: add_uint(s, v->u); return;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE: add_double(s, v->d); return;
	case PROTOBUF_C_TYPE_BOOL: add(s, v->b ? "true" : "false"); return;
	case PROTOBUF_C_TYPE_ENUM:
		add_text(s, fzipc_reflect_enum_name(v, name, sizeof(name)));
		return;
	case PROTOBUF_C_TYPE_STRING: add_text(s, v->s); return;
	case PROTOBUF_C_TYPE_BYTES: add_base64(s, v->bytes); return;
	case PROTOBUF_C_TYPE_MESSAGE: add_message(s, v->msg, false); return;
	}
}

static void add_field(struct sink *s, const ProtobufCMessage *msg,
	const ProtobufCFieldDescriptor *f, const struct fzipc_field_meta *meta)
{
	size_t n = fzipc_reflect_count(msg, f);
	bool is_list = f->label == PROTOBUF_C_LABEL_REPEATED;
	add_text(s, f->name);
	add_char(s, ':');
	if (is_list)
		add_char(s, '[');
	for (size_t i = 0; i < n; i++) {
		struct fzipc_value v = fzipc_reflect_get(msg, f, i);
		if (i > 0)
			add_char(s, ',');
		add_value(s, &v, meta);
	}
	if (is_list)
		add_char(s, ']');
}

static void add_message(struct sink *s, const ProtobufCMessage *msg, bool is_outermost)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(d);
	bool is_first = true;
	add_char(s, '{');
	if (is_outermost && meta) {
		add(s, "\"schema\":");
		add_text(s, meta->schema);
		is_first = false;
	}
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		/* An empty list is said: it is an answer. An absent value is left out. */
		if (f->label != PROTOBUF_C_LABEL_REPEATED && fzipc_reflect_count(msg, f) == 0)
			continue;
		if (!is_first)
			add_char(s, ',');
		is_first = false;
		add_field(s, msg, f, meta ? &meta->fields[i] : NULL);
	}
	add_char(s, '}');
}

int fzipc_json_write(const ProtobufCMessage *msg, struct fz_bytebuf *out)
{
	struct sink s = { .out = out };
	size_t before = out->len;
	add_message(&s, msg, true);
	if (s.r < 0)
		out->len = before;
	return s.r;
}
