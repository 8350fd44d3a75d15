/*
 * Takes out of a text what its reader shall not learn: addresses, names, an account. The same thing gets the same
 * replacement everywhere, so that the text still makes sense. Pure; one owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"

enum fz_redact { FZ_REDACT_IPS = 1, FZ_REDACT_NAMES = 2, FZ_REDACT_SLUG = 4 };

struct fz_redactor;

void fz_redactor_free(struct fz_redactor *r);
/* `what` is a set of enum fz_redact. NULL without memory. */
struct fz_redactor *fz_redactor_new_maybe(unsigned what) FZ_MUST_CHECK;
/*
 * A word to be taken out if names (or the slug) are wanted out; shorter than two bytes or over the bound of 8,192
 * words: not added. 0, -ENOMEM or FZ_ERR_LIMIT.
 */
int fz_redactor_add(struct fz_redactor *r, enum fz_redact kind, const char *word)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Appends the text as it may be shown: 0, -ENOMEM or FZ_ERR_LIMIT of `out`. */
int fz_redactor_run(struct fz_redactor *r, struct fz_bytes text, struct fz_bytebuf *out)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
