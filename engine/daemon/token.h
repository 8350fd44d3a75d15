/*
 * Where the daemon's own token comes from (clients.md 4.1). A source that exists at all means service mode, also with
 * an empty, unreadable or malformed token in it; the verdict says which. Order: systemd's credential, FIREZONE_TOKEN,
 * the file token_path names, what `token import` kept. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"

enum fzd_token_source {
	FZD_TOKEN_NONE,
	FZD_TOKEN_CREDENTIAL,
	FZD_TOKEN_ENVIRONMENT,
	FZD_TOKEN_FILE,
	FZD_TOKEN_IMPORTED,
	FZD_TOKEN_SESSION /* a person signed in; not service mode */
};

enum fzd_token_verdict {
	FZD_TOKEN_UNTRIED, /* well formed; the portal has not judged it yet */
	FZD_TOKEN_VALID,
	FZD_TOKEN_REFUSED, /* by the portal */
	FZD_TOKEN_EMPTY,
	FZD_TOKEN_UNREADABLE,
	FZD_TOKEN_MALFORMED,
	FZD_TOKEN_UNSAFE, /* wrong owner or mode */
	FZD_TOKEN_EXPIRED,
};

struct fzd_token {
	enum fzd_token_source source;
	enum fzd_token_verdict verdict;
	char origin[512]; /* path, or the variable's name */
	char reason[256]; /* of the verdict, with what to do; "" if all is well */
};

struct fzd_token_paths {
	const char *credentials; /* $CREDENTIALS_DIRECTORY or NULL */
	const char *file, *imported;
	uid_t owner; /* who may own the file beside the daemon's own user: root, except in tests */
};

/* FIREZONE_TOKEN, kept here, in locked memory, from the moment the environment forgets it. NULL: there was none. */
struct fz_token *fzd_token_take_environment(void) FZ_MUST_CHECK;
void fzd_token_free(struct fz_token *t);

/*
 * Finds the first source and judges its token. *ret_token is filled for FZD_TOKEN_UNTRIED, else empty. `environment`:
 * NULL for none. Never fails: what goes wrong is a verdict.
 */
void fzd_token_find(const struct fzd_token_paths *paths, const struct fz_token *environment,
	struct fzd_token *ret_found, struct fz_token *ret_token) FZ_NONNULL(1, 3, 4);
/* Judges text that was handed over: 0 and the trimmed token, or -EINVAL with *ret_why (static). */
int fzd_token_clean(struct fz_bytes text, struct fz_token *ret_token, const char **ret_why)
	FZ_NONNULL(2, 3) FZ_MUST_CHECK;
/* Keeps or forgets the imported token. 0 or negative errno. */
int fzd_token_keep(const char *path, const struct fz_token *token) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
