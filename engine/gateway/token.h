/*
 * Where a gateway's token comes from, in this order: FIREZONE_TOKEN (wiped from the environment at once), the systemd
 * credential of that name, a file that only root or we can read. Never an argument. Shell; before threads.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/secret.h"

struct gw_token_sources {
	const char *file;
	bool file_must_exist;
	uid_t owner; /* beside root, who may own the file: ourselves */
};

enum gw_token_problem {
	GW_TOKEN_OK,
	GW_TOKEN_NONE, /* no source has one */
	GW_TOKEN_UNREADABLE,
	GW_TOKEN_NOT_A_FILE, /* a link, a directory, a device */
	GW_TOKEN_OWNER,
	GW_TOKEN_MODE, /* group or others may do something with it */
	GW_TOKEN_MALFORMED, /* empty, too long, or white space inside */
	GW_TOKEN_PROBLEM_COUNT_
};

/* On OK fills `ret_token` and says where it came from (static text); everything else leaves both untouched. */
enum gw_token_problem gw_token_get(const struct gw_token_sources *sources,
	struct fz_token *ret_token, const char **ret_source) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* What happened and what to do; never NULL. */
const char *gw_token_explain(enum gw_token_problem p) FZ_RETURNS_NONNULL;
