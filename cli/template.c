/*
 * Renders a message by the templates of firezone.proto (grammar: ipc/options.proto, Output). The generator has checked
 * every path and bracket, so this only has to decide what is absent.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"

#define TEXT_MAX (4u << 20)
#define NARROW   70
#define INDENT   10

struct line {
	const struct fzctl_run *run;
	const ProtobufCMessage *msg;
	struct fz_bytebuf *out;
	size_t start; /* where this line begins in out */
};

static const char *end_of(const char *from, char c)
{
	const char *end = strchr(from, c);
	return end ? end : from + strlen(from);
}

static void pad_to(const struct line *l, size_t column)
{
	size_t width = fzctl_width((const char *)l->out->p + l->start, l->out->len - l->start);
	if (l->run->columns > 0 && l->run->columns < NARROW) {
		fzctl_put(l->out, "\n");
		width = 0;
		column = INDENT;
	}
	if (width + 2 > column && width > 0)
		column = width + 2;
	for (; width < column; width++)
		fzctl_put(l->out, " ");
}

/* {path?yes:no} */
static bool put_choice(
	const struct line *l, const char *hole, const char *question, const char *end)
{
	const ProtobufCMessage *in;
	const ProtobufCFieldDescriptor *f;
	if (!fzctl_value_find(l->msg, hole, (size_t)(question - hole), &in, &f) ||
		fzipc_reflect_count(in, f) == 0)
		return false;
	struct fzipc_value v = fzipc_reflect_get(in, f, 0);
	bool yes = f->type == PROTOBUF_C_TYPE_BOOL ? v.b : true;
	const char *colon = memchr(question, ':', (size_t)(end - question));
	const char *from = yes ? question + 1 : colon ? colon + 1 : end;
	const char *to = yes && colon ? colon : end;
	(void)!fz_bytebuf_append(l->out, fz_bytes_of(from, (size_t)(to - from)));
	return true;
}

static bool put_count(const struct line *l, const char *path, size_t len)
{
	const ProtobufCMessage *in;
	const ProtobufCFieldDescriptor *f;
	char text[24];
	if (!fzctl_value_find(l->msg, path, len, &in, &f))
		return false;
	snprintf(text, sizeof(text), "%zu", fzipc_reflect_count(in, f));
	fzctl_put(l->out, text);
	return true;
}

/* {*path}: every element by its own templates; what stands before it on the line is repeated. */
static bool put_elements(const struct line *l, const char *path, size_t len)
{
	const ProtobufCMessage *in;
	const ProtobufCFieldDescriptor *f;
	if (!fzctl_value_find(l->msg, path, len, &in, &f) || fzipc_reflect_count(in, f) == 0)
		return false;
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf prefix;
	fz_bytebuf_init(&prefix, TEXT_MAX);
	(void)!fz_bytebuf_append(
		&prefix, fz_bytes_of(l->out->p + l->start, l->out->len - l->start));
	size_t n = fzipc_reflect_count(in, f);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			(void)!fz_bytebuf_append(l->out, fz_bytebuf_bytes(&prefix));
		size_t before = l->out->len;
		fzctl_template_render(l->run, fzipc_reflect_get(in, f, i).msg, l->out);
		/* The caller ends the last line. */
		if (i + 1 == n && l->out->len > before && l->out->p[l->out->len - 1] == '\n')
			l->out->len--;
	}
	return true;
}

/* One {...}; *at is moved past it. False if its value is absent. */
static bool put_hole(const struct line *l, const char **at)
{
	const char *hole = *at + 1, *end = end_of(hole, '}');
	*at = end + 1;
	if (hole[0] == '>') {
		pad_to(l, strtoul(hole + 1, NULL, 10));
		return true;
	}
	if (hole[0] == '#')
		return put_count(l, hole + 1, (size_t)(end - hole - 1));
	if (hole[0] == '*')
		return put_elements(l, hole + 1, (size_t)(end - hole - 1));
	const char *question = memchr(hole, '?', (size_t)(end - hole));
	if (question)
		return put_choice(l, hole, question, end);
	return fzctl_value_render(l->run, l->msg, hole, (size_t)(end - hole), l->out);
}

/* Text and holes up to a stop character; false if a value is absent. */
static bool put_part(const struct line *l, const char *at, const char *end)
{
	while (at < end) {
		if (*at == '{') {
			if (!put_hole(l, &at))
				return false;
			continue;
		}
		(void)!fz_bytebuf_append(l->out, fz_bytes_of(at, 1));
		at++;
	}
	return true;
}

/* [a|b]: the first alternative with all its values, or nothing. */
static void put_brackets(const struct line *l, const char *at, const char *end)
{
	while (at <= end) {
		const char *bar = memchr(at, '|', (size_t)(end - at));
		const char *stop = bar ? bar : end;
		size_t before = l->out->len;
		if (put_part(l, at, stop))
			return;
		l->out->len = before;
		at = stop + 1;
	}
}

static bool put_line(const struct line *l, const char *template)
{
	const char *at = template;
	while (*at) {
		const char *open = end_of(at, '[');
		if (!put_part(l, at, open))
			return false;
		if (*open == '\0')
			break;
		const char *close = end_of(open, ']');
		put_brackets(l, open + 1, close);
		at = *close ? close + 1 : close;
	}
	return true;
}

/* On a terminal a line that is too long goes on at INDENT, under the values, instead of wherever the terminal breaks it. */
static void wrap(const struct line *l)
{
	size_t columns = l->run->columns, len = l->out->len - l->start, at = 0;
	if (columns <= 2 * INDENT ||
		fzctl_width((const char *)l->out->p + l->start, len) <= columns)
		return;
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf whole;
	fz_bytebuf_init(&whole, TEXT_MAX);
	if (fz_bytebuf_append(&whole, fz_bytes_of(l->out->p + l->start, len)) < 0)
		return;
	l->out->len = l->start;
	for (const char *text = (const char *)whole.p; len > 0;) {
		size_t blanks = 0, n;
		while (blanks < len && text[blanks] == ' ')
			blanks++;
		for (n = blanks; n < len && text[n] != ' ' && text[n] != '\n';)
			n++;
		size_t width = fzctl_width(text, n);
		bool breaks = at > INDENT && at + width > columns;
		if (breaks)
			fzctl_put(l->out, "\n          ");
		size_t skipped = breaks ? blanks : 0;
		(void)!fz_bytebuf_append(l->out, fz_bytes_of(text + skipped, n - skipped));
		at = breaks ? INDENT + width - blanks : at + width;
		if (n < len && text[n] == '\n') {
			fzctl_put(l->out, "\n");
			at = 0;
			n++;
		}
		text += n;
		len -= n;
	}
}

void fzctl_template_render(
	const struct fzctl_run *run, const ProtobufCMessage *msg, struct fz_bytebuf *out)
{
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(msg->descriptor);
	for (const char *const *t = meta ? meta->lines : NULL; t && *t; t++) {
		struct line l = { .run = run, .msg = msg, .out = out, .start = out->len };
		if (!put_line(&l, *t) || out->len == l.start) {
			out->len = l.start;
			continue;
		}
		wrap(&l);
		fzctl_put(out, "\n");
	}
}
