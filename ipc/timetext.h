/* Instants and lengths of time as text, without a clock or a locale. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define FZIPC_TIME_TEXT 40

/* RFC 3339 in UTC; the fraction only when it is not zero, to microseconds. */
void fzipc_time_format(int64_t unix_ns, char ret_text[static FZIPC_TIME_TEXT]);
/* Reads RFC 3339 with Z or an offset; a blank may stand for the T. */
bool fzipc_time_parse(const char *text, int64_t *ret_unix_ns) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* "90s", "5m", "2h", "1d", "250ms", "1h30m", or a bare number of seconds. */
bool fzipc_duration_parse(const char *text, uint64_t *ret_ns) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* "2 h 14 min", "3 d 4 h", "12 s", "250 ms": two units at most. */
void fzipc_duration_format(uint64_t ns, char ret_text[static FZIPC_TIME_TEXT]);
