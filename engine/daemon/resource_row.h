/*
 * One resource and one peer of the session as messages with all they point to. Strings are the session's: valid until
 * the next turn of the loop. Internal to the daemon; control thread.
 */
#pragma once

#include "base/attr.h"
#include "daemon/session.h"
#include "ipc/firezone.pb-c.h"

#define FZD_SITES_MAX 16

struct fzd_resource_row {
	struct fz_session_resource seen;
	Fzpb__Resource msg;
	Fzpb__Site sites[FZD_SITES_MAX];
	Fzpb__Site *site_list[FZD_SITES_MAX];
	char *filter_list[FZ_SESSION_FILTERS_MAX];
};

/* Makes the message of `seen`; the row must not move afterwards. */
void fzd_resource_row_fill(struct fzd_resource_row *row) FZ_NONNULL(1);

struct fzd_peer_row {
	struct fz_session_peer seen;
	Fzpb__Peer msg;
	char endpoint[FZ_ADDR_TEXT_LEN];
};

void fzd_peer_row_fill(struct fzd_peer_row *row) FZ_NONNULL(1);
