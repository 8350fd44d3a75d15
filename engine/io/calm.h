/*
 * Whether a data thread has little to do, judged by what its turns bring: single packets, and sleep between them. Whoever waits with few of
 * them is waiting for an answer, and its time is what counts; with many it is the cost of each. Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "io/backend.h"

#define FZ_CALM_TURNS  64 /* in a row; a stream in full flow never has so many small ones */
#define FZ_CALM_PIECES 2 /* that come in a turn or go out of one */
#define FZ_CALM_BYTES  8'192
#define FZ_CALM_AWAKE                                                                              \
	4 /* turns in a row that found something without sleep: answers to what was just written, but no more */

/* Zeroed memory is the beginning: not calm. */
struct fz_calm {
	uint32_t n_turns, n_awake;
};

/* Before a turn whose outputs are in `t`: may it be a calm one? */
bool fz_calm_is(const struct fz_calm *c, const struct fz_io_turn *t) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* After a turn whose inputs are in `t`. */
void fz_calm_note(struct fz_calm *c, const struct fz_io_turn *t, bool has_slept) FZ_NONNULL(1, 2);
