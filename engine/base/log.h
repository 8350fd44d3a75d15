/*
 * Event name first, then key=value. Pure layers never log. Levels: err (the user must act), warning,
 * info (state changes only), debug. Never a token, a key, a URL's query or a user's DNS name.
 * The level and the sink are the one mutable state at file scope in the tree. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

enum fz_log_level { FZ_LOG_SILENT, FZ_LOG_ERR, FZ_LOG_WARNING, FZ_LOG_INFO, FZ_LOG_DEBUG };

/* A sink is given one finished event; `detail` may be empty. It must not log. */
typedef void (*fz_log_sink)(
	void *user, enum fz_log_level level, const char *event, const char *detail);

void fz_log_set_level(enum fz_log_level level);
enum fz_log_level fz_log_get_level(void);
/* NULL restores the default: one line on stderr. */
void fz_log_set_sink(fz_log_sink sink, void *user);

void fz_log(enum fz_log_level level, const char *event, const char *fmt, ...) FZ_NONNULL(2, 3)
	FZ_PRINTF(3, 4);
