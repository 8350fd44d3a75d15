/* Files of `key = value` lines (firezoned.conf(5)). Each line is judged by itself: one mistake hides no other. */
#include "daemon/config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static void trim(const char **p, size_t *n)
{
	while (*n && is_blank(**p)) {
		(*p)++;
		(*n)--;
	}
	while (*n && is_blank((*p)[*n - 1]))
		(*n)--;
}

/* Bytes that no setting needs and that would lie on a terminal. UTF-8 passes as it is. */
static bool has_control(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

struct line {
	char key[FZ_CONFIG_KEY_MAX + 1];
	char value[FZ_CONFIG_VALUE_MAX + 1];
};

static const char *read_key(const char *p, size_t n, struct line *l)
{
	trim(&p, &n);
	if (n == 0)
		return "There is no name before '='. Write: name = value";
	if (n > FZ_CONFIG_KEY_MAX)
		return "The name before '=' is too long; no setting has such a name.";
	for (size_t i = 0; i < n; i++) {
		if (!is_key_char(p[i]))
			return "Names of settings are made of a-z, 0-9 and '_'. Write: name = "
			       "value";
	}
	memcpy(l->key, p, n);
	l->key[n] = '\0';
	return NULL;
}

static const char *read_value(const char *p, size_t n, struct line *l)
{
	trim(&p, &n);
	if (n > 0 && p[0] == '"') {
		if (n < 2 || p[n - 1] != '"')
			return "The value starts with a quote that is not closed. Add '\"' at its "
			       "end.";
		p++;
		n -= 2;
		if (memchr(p, '"', n))
			return "There is a quote inside the quoted value. A value cannot hold one.";
	}
	if (n > FZ_CONFIG_VALUE_MAX)
		return "The value is longer than 1024 bytes.";
	memcpy(l->value, p, n);
	l->value[n] = '\0';
	return NULL;
}

static const char *read_line(const char *p, size_t n, struct line *l)
{
	if (n > FZ_CONFIG_LINE_MAX)
		return "The line is longer than 2048 bytes.";
	if (has_control(p, n))
		return "There is a control character in the line. Is this a text file?";
	if (p[0] == '[')
		return "There are no sections in this file. Remove the line.";
	const char *equals = memchr(p, '=', n);
	if (!equals)
		return "There is no '=' in the line. Write: name = value";
	size_t before = (size_t)(equals - p);
	const char *wrong = read_key(p, before, l);
	return wrong ? wrong : read_value(equals + 1, n - before - 1, l);
}

void fz_config_parse(struct fz_bytes text, const struct fz_config_ops *ops, void *user)
{
	if (text.n > FZ_CONFIG_FILE_MAX) {
		ops->problem(user, 1, "The file is larger than 256 KiB. Is this the right file?");
		return;
	}
	struct fz_reader r = fz_reader_of(text);
	for (unsigned number = 1; r.left > 0; number++) {
		const uint8_t *newline = memchr(r.p, '\n', r.left);
		struct fz_bytes raw =
			fz_reader_take(&r, newline ? (size_t)(newline - r.p) : r.left);
		if (newline)
			fz_reader_skip(&r, 1);
		const char *p = (const char *)raw.p;
		size_t n = raw.n;
		trim(&p, &n);
		if (n == 0 || p[0] == '#' || p[0] == ';')
			continue;
		struct line l;
		const char *wrong = read_line(p, n, &l);
		if (wrong)
			ops->problem(user, number, wrong);
		else
			ops->entry(user, number, l.key, l.value);
	}
}

void fz_config_write(struct fz_writer *w, const char *key, const char *value)
{
	size_t n = strlen(value);
	bool is_quoted = n == 0 || is_blank(value[0]) || is_blank(value[n - 1]) || value[0] == '"';
	struct fz_bytes quote = fz_bytes_of_str(is_quoted ? "\"" : "");
	fz_writer_bytes(w, fz_bytes_of_str(key));
	fz_writer_bytes(w, fz_bytes_of_str(" = "));
	fz_writer_bytes(w, quote);
	fz_writer_bytes(w, fz_bytes_of(value, n));
	fz_writer_bytes(w, quote);
}
