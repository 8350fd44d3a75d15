/*
 * The place of the session with the portal in the daemon: who owns it, with which token it runs, whether its user took
 * it down, and what became of it. One session at most. Internal to the daemon; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/auth.h"
#include "daemon/redact.h"
#include "daemon/service.h"
#include "daemon/session.h"

struct fzd_client;

void fzd_client_free(struct fzd_client *c);
int fzd_client_new(struct fzd *d, struct fzd_client **ret_client) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* Connects with the daemon's own token, in place of whatever ran; *token is empty on return. */
void fzd_client_serve(struct fzd_client *c, struct fz_token *token) FZ_NONNULL(1, 2);
/* True if this is the token that is kept, whatever became of it. */
bool fzd_client_has_token(const struct fzd_client *c, const struct fz_token *token)
	FZ_NONNULL(1, 2);
/* A person signed in: the same with that person's token. `account`, `actor`: "" if unknown. 0 or negative errno. */
int fzd_client_sign_in(struct fzd_client *c, uint32_t uid, struct fz_token *token,
	const char *account, const char *actor) FZ_NONNULL(1, 3, 4, 5) FZ_MUST_CHECK;
/* Ends whatever runs and forgets the token. */
void fzd_client_stop(struct fzd_client *c) FZ_NONNULL(1);

/* Down keeps the token; after `time`, unless it is zero, up follows by itself. */
int fzd_client_down(struct fzd_client *c, fz_dur time) FZ_NONNULL(1) FZ_MUST_CHECK;
int fzd_client_up(struct fzd_client *c) FZ_NONNULL(1) FZ_MUST_CHECK;

/* NULL: there is none. Borrowed until the next turn of the loop. */
struct fz_session *fzd_client_session_maybe(const struct fzd_client *c) FZ_NONNULL(1);
/* False: there is no session, and *ret is untouched. */
bool fzd_client_status(const struct fzd_client *c, struct fz_session_status *ret)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The uid that signed in; false in service mode and while nobody did. */
bool fzd_client_owner(const struct fzd_client *c, uint32_t *ret_uid) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* True while there is a token to connect with: the daemon's own, or that of who signed in. */
bool fzd_client_is_signed_in(const struct fzd_client *c) FZ_NONNULL(1);
/* "" if unknown. */
const char *fzd_client_account(const struct fzd_client *c) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
const char *fzd_client_actor(const struct fzd_client *c) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* Taken down by its user; *ret_until: ns 0 if for good. */
bool fzd_client_is_down(const struct fzd_client *c, fz_wall *ret_until) FZ_NONNULL(1, 2);
/* Why there is no session although there was one, or although there is a token; "" if there is nothing to say. */
const char *fzd_client_reason(const struct fzd_client *c) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* Names that a redacted report must not show: account, person, resources, sites. 0 or what the redactor said. */
int fzd_client_add_words(const struct fzd_client *c, struct fz_redactor *r)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* At the end of a turn: frees what its own callbacks could not. */
void fzd_client_settle(struct fzd_client *c) FZ_NONNULL(1);

/* ---- a browser's sign-in, bound to the user who began it ---- */

/* `account`: "" for none. 0 and the address to open; -EINVAL for account or base, -ENOSPC. */
int fzd_client_begin_sign_in(struct fzd_client *c, uint32_t uid, const char *base,
	const char *account, char ret_url[static FZP_AUTH_URL_MAX], fz_wall *ret_expires)
	FZ_NONNULL(1, 3, 4, 6) FZ_MUST_CHECK;
/* The callback's address; NOT_EXPECTED also for another user than the one who began. */
enum fzp_callback_verdict fzd_client_finish_sign_in(struct fzd_client *c, uint32_t uid,
	struct fz_bytes url, struct fzp_signed_in *ret) FZ_NONNULL(1, 4) FZ_MUST_CHECK;
void fzd_client_cancel_sign_in(struct fzd_client *c, uint32_t uid) FZ_NONNULL(1);
/* True while a browser is awaited. */
bool fzd_client_awaits_browser(const struct fzd_client *c) FZ_NONNULL(1);
