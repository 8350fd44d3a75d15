/* Text building for protoc-gen-fzctl. */
#include "gen/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_die(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fputs("protoc-gen-fzctl: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void *text_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	if (!p)
		text_die("no memory");
	return p;
}

static void reserve(struct text *t, size_t more)
{
	if (t->cap - t->len > more)
		return;
	t->cap = (t->cap + more + 1024) * 2;
	t->p = realloc(t->p, t->cap);
	if (!t->p)
		text_die("no memory");
}

static void add_args(struct text *t, const char *fmt, va_list args) FZ_PRINTF(2, 0);

static void add_args(struct text *t, const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	if (n < 0)
		text_die("bad format");
	reserve(t, (size_t)n + 1);
	vsnprintf(t->p + t->len, (size_t)n + 1, fmt, again);
	t->len += (size_t)n;
	va_end(again);
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add_args(t, fmt, args);
	va_end(args);
}

char *text_format(const char *fmt, ...)
{
	struct text t = { 0 };
	va_list args;
	va_start(args, fmt);
	add_args(&t, fmt, args);
	va_end(args);
	return t.p;
}

static void add_quoted(struct text *t, const char *s)
{
	text_add(t, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_add(t, "\\%c", *s);
		else if (*s == '\n')
			text_add(t, "\\n");
		else
			text_add(t, "%c", *s);
	}
	text_add(t, "\"");
}

void text_add_c(struct text *t, const char *s_maybe)
{
	if (s_maybe)
		add_quoted(t, s_maybe);
	else
		text_add(t, "NULL");
}

void text_add_json(struct text *t, const char *s)
{
	add_quoted(t, s);
}

char *text_snake(const char *camel, char sep)
{
	struct text t = { 0 };
	text_add(&t, "%s", "");
	for (const char *c = camel; *c; c++) {
		if (isupper((unsigned char)*c) && c != camel && !isupper((unsigned char)c[-1]))
			text_add(&t, "%c", sep);
		text_add(&t, "%c", tolower((unsigned char)*c));
	}
	return t.p;
}

static char *mapped(const char *s, int (*map)(int))
{
	struct text t = { 0 };
	text_add(&t, "%s", s);
	for (char *c = t.p; *c; c++)
		*c = (char)map((unsigned char)*c);
	return t.p;
}

char *text_upper(const char *s)
{
	return mapped(s, toupper);
}

char *text_lower(const char *s)
{
	return mapped(s, tolower);
}

static int dash(int c)
{
	return c == '_' ? '-' : c;
}

char *text_dashes(const char *s)
{
	return mapped(s, dash);
}
