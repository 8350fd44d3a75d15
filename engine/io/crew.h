/*
 * Helper threads for the AEAD. A data thread lends its batch of jobs, works on it itself, and goes on when all of it
 * is done: order cannot change, and without help (helpers asleep, or busy for the other data thread) it is merely
 * alone. Helpers sleep unless a batch is worth waking them. Private to engine/io.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "crypto/aead.h"

#define FZ_CREW_OWNERS 2 /* data threads that may lend at the same time */
#define FZ_CREW_MAX    14 /* helpers */

struct fz_crew;

/* Ends the helpers; no batch may be lent. */
void fz_crew_free(struct fz_crew *c);
/* 0 or negative errno or enum fz_err. */
int fz_crew_new(unsigned n_helpers, enum fz_aead_kind kind, struct fz_crew **ret_crew)
	FZ_NONNULL(3) FZ_MUST_CHECK;

/*
 * As fz_aead_seal_many and fz_aead_open_many, with help. `own` is the caller's context, `owner` its number. NULL as a crew: no
 * help. Thread: each owner number belongs to one thread.
 */
void fz_crew_seal(struct fz_crew *c, unsigned owner, struct fz_aead *own, struct fz_aead_job *jobs,
	size_t n) FZ_NONNULL(3);
void fz_crew_open(struct fz_crew *c, unsigned owner, struct fz_aead *own, struct fz_aead_job *jobs,
	size_t n) FZ_NONNULL(3);
