/*
 * The place of the session with the portal in the daemon: who owns it, with which token it runs, and what became of
 * it. Internal to the daemon; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/secret.h"
#include "daemon/redact.h"
#include "daemon/service.h"
#include "daemon/session_view.h"

struct fzd_client;

void fzd_client_free(struct fzd_client *c);
int fzd_client_new(struct fzd *d, struct fzd_client **ret_client) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* Connects with the daemon's own token; *token is empty on return. */
void fzd_client_serve(struct fzd_client *c, struct fz_token *token) FZ_NONNULL(1, 2);
/* Ends whatever runs. */
void fzd_client_stop(struct fzd_client *c) FZ_NONNULL(1);
/* False: there is no session, and *ret is untouched. */
bool fzd_client_status(const struct fzd_client *c, struct fz_session_status *ret)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The uid that signed in; false in service mode and while nobody did. */
bool fzd_client_owner(const struct fzd_client *c, uint32_t *ret_uid) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* True while there is a token to connect with: the daemon's own, or that of who signed in. */
bool fzd_client_is_signed_in(const struct fzd_client *c) FZ_NONNULL(1);
/* Names that a redacted report must not show: account, person, resources, sites. 0 or what the redactor said. */
int fzd_client_add_words(const struct fzd_client *c, struct fz_redactor *r)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
