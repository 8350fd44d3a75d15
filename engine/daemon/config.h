/*
 * The grammar of configuration and policy files: one `key = value` a line, '#' or ';' starts a comment line, blanks around key
 * and value do not count, a value may stand in double quotes to keep blanks at its ends. Everything is bounded. Pure;
 * any thread.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZ_CONFIG_FILE_MAX  (256u << 10)
#define FZ_CONFIG_LINE_MAX  2048
#define FZ_CONFIG_KEY_MAX   63
#define FZ_CONFIG_VALUE_MAX 1024
#define FZ_CONFIG_TEXT_MAX  320 /* of a problem, with NUL */

struct fz_config_ops {
	/* Texts end with NUL and are borrowed for the call; lines count from 1. */
	void (*entry)(void *user, unsigned line, const char *key, const char *value);
	/* What is wrong, why, and what to do; one sentence or two. The line is skipped. */
	void (*problem)(void *user, unsigned line, const char *text);
};

/* Calls entry or problem for each line that is neither blank nor a comment. A file too long is one problem. */
void fz_config_parse(struct fz_bytes text, const struct fz_config_ops *ops, void *user)
	FZ_NONNULL(2);

/* `value` as it must stand in a file to be read as the same text: in quotes if it needs them. Writes no newline. */
void fz_config_write(struct fz_writer *w, const char *key, const char *value) FZ_NONNULL(1, 2, 3);
