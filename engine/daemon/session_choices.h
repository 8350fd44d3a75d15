/*
 * What the user chose and a session keeps on disk: the Internet Resource on or off, resources switched off. One small JSON
 * file, replaced as a whole. Internal to the session; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "control/objects.h"

#define FZ_CHOICES_MAX 4096 /* resources switched off */

struct fz_choices {
	char *path; /* NULL: not kept */
	bool internet;
	uint32_t n;
	struct fzp_id *disabled;
};

/* Reads what is kept in `dir` (NULL: nothing is); a file that makes no sense counts as none. 0 or -ENOMEM. */
int fz_choices_init(struct fz_choices *c, const char *dir) FZ_NONNULL(1) FZ_MUST_CHECK;
void fz_choices_done(struct fz_choices *c) FZ_NONNULL(1);
bool fz_choices_is_disabled(const struct fz_choices *c, const char *id) FZ_NONNULL(1, 2);
/* Each holds at once and is written; 0, -ENOMEM, FZ_ERR_LIMIT, or why it could not be written. */
int fz_choices_set_internet(struct fz_choices *c, bool on) FZ_NONNULL(1) FZ_MUST_CHECK;
int fz_choices_set_disabled(struct fz_choices *c, const char *id, bool disabled)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
