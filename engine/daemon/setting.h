/*
 * The settings there are: one row each, with what a value may be (firezoned.conf(5), clients.md 4.1). Pure; any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/time.h"

enum fz_setting {
	FZ_SETTING_API_URL,
	FZ_SETTING_AUTH_URL,
	FZ_SETTING_ACCOUNT_SLUG,
	FZ_SETTING_DEVICE_NAME,
	FZ_SETTING_DEVICE_ID,
	FZ_SETTING_INTERNET_RESOURCE,
	FZ_SETTING_TOKEN_PATH,
	FZ_SETTING_LOG_FILTER,
	FZ_SETTING_CA_FILE,
	FZ_SETTING_HTTPS_PROXY,
	FZ_SETTING_NO_PROXY,
	FZ_SETTING_ALLOW_INSECURE,
	FZ_SETTING_MAX_PARTITION_TIME,
	FZ_SETTING_COUNT_
};

struct fz_setting_info {
	const char *key; /* in files and commands */
	const char *env, *env_also; /* variables; NULL: none */
	const char *default_value; /* "": none */
	const char *help; /* one line */
	/* NULL if `value` may stand, else what is wrong and what to write instead; static. */
	const char *(*check)(const char *value);
	bool needs_restart;
	bool hides_user_info; /* a URL whose user and password are never shown */
};

const struct fz_setting_info *fz_setting_info(enum fz_setting s) FZ_RETURNS_NONNULL;
bool fz_setting_find(const char *key, enum fz_setting *ret_setting) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The key most like `key`, for "did you mean"; NULL if none is near. */
const char *fz_setting_guess_maybe(const char *key) FZ_NONNULL(1);

/* "err", "warning", "info", "debug" and their common other spellings; the first word of a list of directives counts. */
bool fz_setting_log_level(const char *text, enum fz_log_level *ret_level)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* "true", "yes", "on", "1" and their opposites. */
bool fz_setting_bool(const char *text, bool *ret_value) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Numbers with s, m, h or d behind each: "90s", "1h30m", "30d". Longer than nothing, and at most ten years. */
bool fz_setting_duration(const char *text, fz_dur *ret_time) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* A variable of upstream's client that means nothing here. */
struct fz_setting_unused {
	const char *env;
	const char *why; /* and what to do instead */
};

/* The i-th; NULL past the end. */
const struct fz_setting_unused *fz_setting_unused_maybe(size_t i);
/* As people may see it; `buf` holds at least FZ_SETTING_SHOWN_MAX bytes. Returns `value` or `buf`. */
#define FZ_SETTING_SHOWN_MAX 1100
const char *fz_setting_shown(
	enum fz_setting s, const char *value, char buf[static FZ_SETTING_SHOWN_MAX]) FZ_NONNULL(2);
