/* Values as people read them: units, ages, words for enums; and the same plain, for machines. */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "cli/run.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"
#include "ipc/timetext.h"

void fzctl_put(struct fz_bytebuf *out, const char *text)
{
	(void)!fz_bytebuf_append(out, fz_bytes_of_str(text));
}

void fzctl_put_clean(struct fz_bytebuf *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		unsigned char u = (unsigned char)*c, next = (unsigned char)c[1];
		/* C0, DEL, and C1 in its two UTF-8 bytes */
		bool is_control =
			u < 0x20 || u == 0x7f || (u == 0xc2 && next >= 0x80 && next < 0xa0);
		char one[2] = { is_control ? '?' : *c, '\0' };
		fzctl_put(out, one);
		c += is_control && u == 0xc2;
	}
}

size_t fzctl_width(const char *text, size_t len)
{
	mbstate_t state = { 0 };
	size_t width = 0;
	while (len > 0) {
		wchar_t wc;
		size_t n = mbrtowc(&wc, text, len, &state);
		if (n == 0 || n > len) {
			memset(&state, 0, sizeof(state));
			n = 1;
			width++;
		} else {
			int w = wcwidth(wc);
			width += w > 0 ? (size_t)w : 0;
		}
		text += n;
		len -= n;
	}
	return width;
}

bool fzctl_value_find(const ProtobufCMessage *msg, const char *path, size_t path_len,
	const ProtobufCMessage **ret_in, const ProtobufCFieldDescriptor **ret_field)
{
	char name[64];
	for (;;) {
		const char *dot = memchr(path, '.', path_len);
		size_t n = dot ? (size_t)(dot - path) : path_len;
		if (n >= sizeof(name))
			return false;
		memcpy(name, path, n);
		name[n] = '\0';
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field_by_name(msg->descriptor, name);
		if (!f)
			return false;
		if (!dot) {
			*ret_in = msg;
			*ret_field = f;
			return true;
		}
		if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED ||
			fzipc_reflect_count(msg, f) == 0)
			return false;
		msg = fzipc_reflect_get(msg, f, 0).msg;
		path += n + 1;
		path_len -= n + 1;
	}
}

static void put_scaled(
	struct fz_bytebuf *out, double v, double step, const char *const units[], size_t n_units)
{
	char text[48];
	size_t i = 0;
	while (v >= step && i + 1 < n_units) {
		v /= step;
		i++;
	}
	snprintf(text, sizeof(text), i == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[i]);
	fzctl_put(out, text);
}

static int64_t wall_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void put_time(
	const struct fzctl_run *run_maybe, struct fz_bytebuf *out, int64_t ns, bool is_age)
{
	char text[FZIPC_TIME_TEXT];
	if (!run_maybe || !run_maybe->is_tty) {
		fzipc_time_format(ns, text);
	} else if (is_age) {
		int64_t since = wall_now() - ns;
		fzipc_duration_format(since > 0 ? (uint64_t)since : 0, text);
	} else {
		time_t seconds = (time_t)(ns / 1000000000);
		int64_t away = wall_now() - ns;
		struct tm tm = { 0 };
		localtime_r(&seconds, &tm);
		bool is_near = away < 43200ll * 1000000000 && away > -43200ll * 1000000000;
		strftime(text, sizeof(text), is_near ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &tm);
	}
	fzctl_put(out, text);
}

static void put_length(struct fz_bytebuf *out, uint64_t ns)
{
	char text[FZIPC_TIME_TEXT];
	fzipc_duration_format(ns, text);
	fzctl_put(out, text);
}

/* True if the value was one of the formatted kinds. */
static bool put_formatted(const struct fzctl_run *run_maybe, struct fz_bytebuf *out,
	const struct fzipc_value *v, enum fzipc_format format)
{
	static const char *const sizes[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	static const char *const rates[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	switch (format) {
	case FZIPC_PLAIN: return false;
	case FZIPC_TIME:
	case FZIPC_AGE: put_time(run_maybe, out, v->i, format == FZIPC_AGE); return true;
	case FZIPC_MILLIS:
	case FZIPC_NANOS:
		if (run_maybe)
			put_length(out, format == FZIPC_NANOS ? v->u : v->u * 1000000u);
		return run_maybe != NULL;
	case FZIPC_BYTES:
	case FZIPC_RATE:
		if (run_maybe && format == FZIPC_BYTES)
			put_scaled(out, (double)v->u, 1024, sizes, FZ_ARRAY_LEN(sizes));
		else if (run_maybe)
			put_scaled(out, (double)v->u, 1000, rates, FZ_ARRAY_LEN(rates));
		return run_maybe != NULL;
	}
	return false;
}

static void put_number(struct fz_bytebuf *out, const struct fzipc_value *v)
{
	char text[64] = "";
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		snprintf(text, sizeof(text), "%llu", (unsigned long long)v->u);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE: snprintf(text, sizeof(text), "%.15g", v->d); break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: snprintf(text, sizeof(text), "%lld", (long long)v->i); break;
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE: break;
	}
	fzctl_put(out, text);
}

/* run NULL: plain. */
static void put_value(const struct fzctl_run *run_maybe, struct fz_bytebuf *out,
	const struct fzipc_value *v, const struct fzipc_field_meta *meta)
{
	char name[64];
	if (meta && meta->is_secret) {
		fzctl_put(out, "***");
		return;
	}
	if (meta && put_formatted(run_maybe, out, v, meta->format))
		return;
	if (v->field->type == PROTOBUF_C_TYPE_STRING) {
		fzctl_put_clean(out, v->s);
	} else if (v->field->type == PROTOBUF_C_TYPE_BOOL) {
		fzctl_put(out, run_maybe ? (v->b ? "yes" : "no") : (v->b ? "true" : "false"));
	} else if (v->field->type == PROTOBUF_C_TYPE_ENUM) {
		fzipc_reflect_enum_name(v, name, sizeof(name));
		for (char *c = name; run_maybe && *c; c++)
			*c = *c == '_' ? ' ' : *c;
		fzctl_put(out, name);
	} else {
		put_number(out, v);
	}
}

static bool render(const struct fzctl_run *run_maybe, const ProtobufCMessage *msg, const char *path,
	size_t path_len, const char *between, struct fz_bytebuf *out)
{
	const ProtobufCMessage *in;
	const ProtobufCFieldDescriptor *f;
	if (!fzctl_value_find(msg, path, path_len, &in, &f))
		return false;
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(in->descriptor);
	size_t n = fzipc_reflect_count(in, f), before = out->len;
	for (size_t i = 0; i < n; i++) {
		struct fzipc_value v = fzipc_reflect_get(in, f, i);
		if (i > 0)
			fzctl_put(out, between);
		put_value(run_maybe, out, &v, meta ? fzipc_meta_field(meta, f) : NULL);
	}
	return out->len > before;
}

bool fzctl_value_render(const struct fzctl_run *run, const ProtobufCMessage *msg, const char *path,
	size_t path_len, struct fz_bytebuf *out)
{
	return render(run, msg, path, path_len, ", ", out);
}

bool fzctl_value_render_plain(
	const ProtobufCMessage *msg, const char *path, size_t path_len, struct fz_bytebuf *out)
{
	return render(NULL, msg, path, path_len, ",", out);
}
