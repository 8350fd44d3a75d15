/* Growing text for the generator. A host tool that runs for milliseconds: memory is never given back. */
#pragma once

#include <stddef.h>

#include "base/attr.h"

struct text {
	char *p;
	size_t len, cap;
};

void text_add(struct text *t, const char *fmt, ...) FZ_NONNULL(1, 2) FZ_PRINTF(2, 3);
/* s as a C string literal with quotes; NULL becomes "NULL". */
void text_add_c(struct text *t, const char *s_maybe) FZ_NONNULL(1);
/* s as a JSON string with quotes. */
void text_add_json(struct text *t, const char *s) FZ_NONNULL(1, 2);
char *text_format(const char *fmt, ...) FZ_PRINTF(1, 2) FZ_RETURNS_NONNULL;
/* "GetStatus" -> "get_status"; `sep` stands for '_'. */
char *text_snake(const char *camel, char sep) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
char *text_upper(const char *s) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
char *text_lower(const char *s) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* "dry_run" -> "dry-run" */
char *text_dashes(const char *s) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* Memory that is never freed; ends the program when there is none. */
void *text_alloc(size_t n, size_t size) FZ_RETURNS_NONNULL;
/* A message on stderr, exit 1. */
FZ_NORETURN void text_die(const char *fmt, ...) FZ_PRINTF(1, 2);
