/*
 * As much HTTP/1.1 as a health check asks for: one GET or HEAD, one short answer, and the connection ends. Judges the
 * request and writes the answer; knows no socket. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"

#define GW_REQUEST_MAX 2048
#define GW_ANSWER_MAX  512

struct gw_health_state {
	bool is_ready;
	const char *text; /* one line about it, e.g. "portal=up clients=3"; no secrets, no names */
};

enum gw_request_verdict { GW_REQUEST_MORE, GW_REQUEST_ANSWERED };

/* Looks at what has arrived so far; ANSWERED filled `w`, also for what is refused. */
enum gw_request_verdict gw_health_answer(struct fz_bytes in, const struct gw_health_state *state,
	struct fz_writer *w) FZ_NONNULL(2, 3) FZ_MUST_CHECK;
