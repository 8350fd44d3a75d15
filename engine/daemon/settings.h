/*
 * Which value each setting has, and why: default, firezoned.conf and its drop-ins, what `settings set` keeps, the
 * environment, the organisation's policy; later ones win. Reading makes a new object; it is taken into use as a whole
 * or not at all. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "daemon/config.h"
#include "daemon/setting.h"

/* In order of precedence. */
enum fzd_source {
	FZD_SOURCE_DEFAULT,
	FZD_SOURCE_FILE,
	FZD_SOURCE_STORED,
	FZD_SOURCE_ENVIRONMENT,
	FZD_SOURCE_POLICY,
	FZD_SOURCE_COUNT_
};

#define FZD_PROBLEMS_MAX 32

struct fzd_problem {
	char file[256];
	unsigned line; /* 0: the file as a whole */
	char text[FZ_CONFIG_TEXT_MAX];
};

/* Large: on the heap. Those beyond the maximum are counted alone. */
struct fzd_problems {
	size_t n, n_lost;
	struct fzd_problem items[FZD_PROBLEMS_MAX];
};

void fzd_problems_add(struct fzd_problems *p, const char *file, unsigned line, const char *fmt, ...)
	FZ_NONNULL(1, 2, 4) FZ_PRINTF(4, 5);
/* Judges one file's text, as settings or, for what `settings validate` is given, without keeping anything. */
void fzd_problems_of(struct fzd_problems *p, const char *file, struct fz_bytes text)
	FZ_NONNULL(1, 2);

struct fzd_settings_paths {
	const char *config_file, *config_dir, *policy_dir, *stored_file;
	uid_t owner; /* of all but the stored file: root, except in tests */
};

extern const struct fzd_settings_paths fzd_settings_paths;

struct fzd_settings;

void fzd_settings_free(struct fzd_settings *s);
/*
 * Reads everything. 0 or -ENOMEM; what is wrong in files, or with their owner and mode, is in ret_problems: with any,
 * the settings should not be used. `paths` is borrowed for the object's life.
 */
int fzd_settings_new(const struct fzd_settings_paths *paths, struct fzd_settings **ret_settings,
	struct fzd_problems *ret_problems) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

struct fzd_value {
	const char *value;
	enum fzd_source source;
	const char *origin; /* "FILE:LINE" or a variable's name; "" for defaults */
};

/* Borrowed for the object's life, up to the next set or unset. */
struct fzd_value fzd_settings_get(const struct fzd_settings *s, enum fz_setting which)
	FZ_NONNULL(1);
bool fzd_settings_bool(const struct fzd_settings *s, enum fz_setting which) FZ_NONNULL(1);
/* The policy's own value; false if it says nothing. */
bool fzd_settings_policy(const struct fzd_settings *s, enum fz_setting which,
	struct fzd_value *ret_value) FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Policy files that were read, in order; NULL at the end. */
const char *fzd_settings_policy_file_maybe(const struct fzd_settings *s, size_t i) FZ_NONNULL(1);

/*
 * Keeps a value, or with NULL forgets it, on disk first. 0; -EINVAL: *ret_why says what is wrong with the value; -EPERM: the
 * policy decides; -EBUSY: the environment does; or why it could not be kept.
 */
int fzd_settings_store(struct fzd_settings *s, enum fz_setting which, const char *value,
	const char **ret_why) FZ_NONNULL(1, 4) FZ_MUST_CHECK;
