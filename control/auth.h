/*
 * Browser sign-in (docs/protocol/portal.md, "Sign-in"): a request with nonce and state, the callback that ends it, the
 * token made of both. One request is in flight at a time. Pure; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"

#define FZP_AUTH_URL_MAX    1024
#define FZP_CALLBACK_MAX    8192
#define FZP_SLUG_MAX        100
#define FZP_ACTOR_MAX       255
#define FZP_CALLBACK_SCHEME "firezone-fd0020211111"

struct fzp_sign_in;

void fzp_sign_in_free(struct fzp_sign_in *s);
struct fzp_sign_in *fzp_sign_in_new(void) FZ_MUST_CHECK;

/*
 * Starts a request, ending any other: `random` is 64 fresh bytes (nonce, then state), wiped by the caller. `base` is
 * http(s) without query; `slug` may be empty. -EINVAL for a bad base or slug, -ENOSPC if the URL grows too long.
 */
int fzp_sign_in_begin(struct fzp_sign_in *s, const char *base, const char *slug,
	const uint8_t random[static 64], char ret_url[static FZP_AUTH_URL_MAX])
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* The page that shows a token to paste; no request is in flight for it. */
int fzp_sign_in_headless_url(const char *base, const char *slug,
	char ret_url[static FZP_AUTH_URL_MAX]) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
bool fzp_sign_in_is_pending(const struct fzp_sign_in *s) FZ_NONNULL(1);
void fzp_sign_in_cancel(struct fzp_sign_in *s) FZ_NONNULL(1);

enum fzp_callback_verdict {
	FZP_CALLBACK_OK,
	FZP_CALLBACK_NOT_OURS, /* scheme, host or path */
	FZP_CALLBACK_MISSING, /* a required parameter */
	FZP_CALLBACK_REPEATED,
	FZP_CALLBACK_MALFORMED, /* escapes, lengths, control characters */
	FZP_CALLBACK_STATE, /* not the state we made: the request is over */
	FZP_CALLBACK_NOT_EXPECTED, /* nothing is in flight */
	FZP_CALLBACK_COUNT_
};

/* Text for the user; never NULL. */
const char *fzp_callback_text(enum fzp_callback_verdict v) FZ_RETURNS_NONNULL;

struct fzp_signed_in {
	struct fz_token token; /* nonce and fragment */
	char account_slug[FZP_SLUG_MAX + 1];
	char actor_name[FZP_ACTOR_MAX + 1];
};

void fzp_signed_in_wipep(struct fzp_signed_in *s) FZ_NONNULL(1);

/* OK ends the request and fills `*ret`; STATE ends it too; everything else leaves it in flight. */
enum fzp_callback_verdict fzp_sign_in_finish(struct fzp_sign_in *s, struct fz_bytes url,
	struct fzp_signed_in *ret) FZ_NONNULL(1, 3) FZ_MUST_CHECK;

/* A pasted or imported token: trimmed; -EINVAL if empty or with white space or control characters inside, -E2BIG if too long. */
int fzp_token_clean(struct fz_bytes in, struct fz_token *ret_token) FZ_NONNULL(2) FZ_MUST_CHECK;
