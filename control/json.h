/*
 * Typed, bounded access to parsed JSON (jansson). Getters never fail loudly: a missing or mistyped member is `false`,
 * and the caller decides whether it was required. Strings are borrowed from the parsed tree. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"

/* A parsed value costs up to some 130 bytes beside its text: so many are 400 MB, and more than any list of ours needs. */
#define FZP_JSON_VALUES_MAX 3'000'000

/* The root, to be released with json_decref, or NULL. Duplicate keys, trailing bytes and more values are refused. */
json_t *fzp_json_parse(struct fz_bytes text) FZ_MUST_CHECK;
/* For FZ_CLEANUP. */
void fzp_json_unrefp(json_t **j) FZ_NONNULL(1);

/* A member that is a string without NUL bytes and at most `max` bytes long. */
bool fzp_json_text(const json_t *object, const char *name, size_t max, const char **ret_text);
bool fzp_json_bool(const json_t *object, const char *name, bool *ret_value);
bool fzp_json_uint(const json_t *object, const char *name, uint64_t max, uint64_t *ret_value);
bool fzp_json_ip(const json_t *object, const char *name, enum fz_family family,
	struct fz_ip *ret_ip) FZ_MUST_CHECK;
bool fzp_json_is_null(const json_t *object, const char *name) FZ_MUST_CHECK;
