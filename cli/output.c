/* One message on standard output, in the form that was asked for. */
#include <errno.h>
#include <string.h>

#include "cli/run.h"
#include "ipc/json.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"

#define OUTPUT_MAX (64u << 20)

/* Colons separate, so colons and backslashes in values are escaped. */
static void put_escaped(struct fz_bytebuf *out, struct fz_bytes value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == ':' || value.p[i] == '\\')
			fzctl_put(out, "\\");
		(void)!fz_bytebuf_append(out, fz_bytes_of(&value.p[i], 1));
	}
}

static void put_terse_value(const ProtobufCMessage *msg, const char *path, size_t len,
	bool is_first, struct fz_bytebuf *out)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf value;
	fz_bytebuf_init(&value, OUTPUT_MAX);
	if (!is_first)
		fzctl_put(out, ":");
	(void)fzctl_value_render_plain(msg, path, len, &value);
	put_escaped(out, fz_bytebuf_bytes(&value));
}

static void put_terse_line(
	const struct fzctl_run *run, const ProtobufCMessage *msg, struct fz_bytebuf *out)
{
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(msg->descriptor);
	const char *at = run->fields;
	for (bool is_first = true; at && *at; is_first = false) {
		size_t n = strcspn(at, ",");
		put_terse_value(msg, at, n, is_first, out);
		at += n + (at[n] == ',');
	}
	for (size_t i = 0; !run->fields && meta && meta->terse[i]; i++)
		put_terse_value(msg, meta->terse[i], strlen(meta->terse[i]), i == 0, out);
	fzctl_put(out, "\n");
}

static void put_terse(const struct fzctl_run *run, const ProtobufCMessage *msg,
	const struct fzipc_message_meta *meta, struct fz_bytebuf *out)
{
	if (!meta || !meta->list) {
		put_terse_line(run, msg, out);
		return;
	}
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(msg->descriptor, meta->list);
	size_t n = fzipc_reflect_count(msg, f);
	for (size_t i = 0; i < n; i++)
		put_terse_line(run, fzipc_reflect_get(msg, f, i).msg, out);
}

static void put_human(const struct fzctl_run *run, const ProtobufCMessage *msg,
	const struct fzipc_message_meta *meta, struct fz_bytebuf *out)
{
	if (meta && meta->lines[0])
		fzctl_template_render(run, msg, out);
	else if (meta && meta->list)
		fzctl_table_render(run, msg, meta->list, out);
	if (out->len == 0 && meta && meta->empty && !run->is_quiet)
		fprintf(stderr, "%s\n", meta->empty);
}

bool fzctl_print(struct fzctl_run *run, const ProtobufCMessage *msg)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf out;
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(msg->descriptor);
	fz_bytebuf_init(&out, OUTPUT_MAX);
	if (run->output == FZCTL_JSON || run->output == FZCTL_JSONL) {
		if (fzipc_json_write(msg, &out) < 0)
			return false;
		fzctl_put(&out, "\n");
	} else if (run->output == FZCTL_TERSE) {
		put_terse(run, msg, meta, &out);
	} else {
		put_human(run, msg, meta, &out);
	}
	return fwrite(out.p ? out.p : (const uint8_t *)"", 1, out.len, stdout) == out.len &&
	       fflush(stdout) == 0;
}
