/* Formats an event once and hands it to the sink; the default sink writes one line to stderr. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int current_level = FZ_LOG_ERR;
static fz_log_sink current_sink;
static void *current_user;

static const char *const level_names[] = { "silent", "err", "warning", "info", "debug" };

static void stderr_sink(enum fz_log_level level, const char *event, const char *detail)
{
	fprintf(stderr, "%s: %s%s%s\n", level_names[level], event, detail[0] ? " " : "", detail);
}

void fz_log_set_level(enum fz_log_level level)
{
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum fz_log_level fz_log_get_level(void)
{
	return (enum fz_log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

void fz_log_set_sink(fz_log_sink sink, void *user)
{
	current_sink = sink;
	current_user = user;
}

void fz_log(enum fz_log_level level, const char *event, const char *fmt, ...)
{
	if (level > fz_log_get_level())
		return;
	char detail[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	if (current_sink)
		current_sink(current_user, level, event, detail);
	else
		stderr_sink(level, event, detail);
}
