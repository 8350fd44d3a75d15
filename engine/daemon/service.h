/*
 * firezoned as one object: what the socket's handlers (rpc_*.c) read and change, and what main runs on its event loop.
 * States, service mode and its rules: clients.md 4.1 and 9.3. Internal to the daemon; shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/attr.h"
#include "base/list.h"
#include "base/secret.h"
#include "base/time.h"
#include "daemon/host.h"
#include "daemon/journal.h"
#include "daemon/settings.h"
#include "daemon/token.h"
#include "ipc/io/server.h"

struct fzd_client; /* daemon/client.h: the session with the portal */

struct fzd {
	sd_event *event;
	struct fzd_journal *journal;
	struct fzd_settings *settings;
	struct fz_token *environment_token; /* NULL: none */
	struct fzd_token token; /* the source in use, without the token */
	struct fz_host *host;
	struct fzd_client *client;
	struct fzipc_server *server;
	struct fz_list watchers, followers, benches, waiters; /* calls that stay open */
	fz_wall started, state_since;
	int state; /* Fzpb__Status__State that watchers know */
	char boot_id[40];
	char notified[480]; /* the state the service manager knows */
	/* `log-level set` beside the settings; until: 0 for good */
	bool has_level_override;
	enum fz_log_level level_override;
	fz_wall level_until;
	sd_event_source *server_io, *server_timer, *journal_io, *level_timer, *change;
	sd_event_source *signals[3];
	uint64_t event_seq;
	uint64_t n_reloads;
	const struct fzd_settings_paths *settings_paths;
};

struct fzd_params {
	int listen_fd; /* from the service manager; -1: bind the socket */
	gid_t group; /* members may call; (gid_t)-1: none */
	struct fzd_journal *journal; /* taken */
	struct fzd_settings *settings; /* taken */
	struct fz_token *environment_token; /* taken; NULL: none */
};

void fzd_free(struct fzd *d); /* undoes what was changed on the host */
/* Takes all of `params` also on failure, which it has logged. 0 or negative errno (-EADDRINUSE: another daemon). */
int fzd_new(const struct fzd_params *params, struct fzd **ret_d) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Runs until a signal ends it. 0 or negative errno. */
int fzd_run(struct fzd *d) FZ_NONNULL(1) FZ_MUST_CHECK;

/* What changed in one reload; static names. */
struct fzd_reloaded {
	size_t n;
	const char
		*changed[FZ_SETTING_COUNT_ + 1]; /* keys; "token" for another source or verdict */
};

/*
 * Reads files, policy and token sources again, and uses them if all of them are well: else everything stays as it is
 * and the problems say why. 0, -EBADMSG (problems) or -ENOMEM.
 */
int fzd_reload(struct fzd *d, struct fzd_reloaded *ret_reloaded, struct fzd_problems *ret_problems)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* A setting was stored or forgotten: takes it into use. */
void fzd_setting_changed(struct fzd *d, enum fz_setting which) FZ_NONNULL(1);
/*
 * Looks the token up again and, in service mode, connects with it: anew if it is another token, or if `is_anew`. True if
 * the source or what is to be said of it differ from before.
 */
bool fzd_token_look(struct fzd *d, bool is_anew) FZ_NONNULL(1);

static inline bool fzd_in_service_mode(const struct fzd *d)
{
	return d->token.source != FZD_TOKEN_NONE && d->token.source != FZD_TOKEN_SESSION;
}

/* The level in force: the override, if there is one, else the setting's. */
void fzd_apply_log_level(struct fzd *d) FZ_NONNULL(1);
/* Something that status shows has changed: watchers hear of it once this turn of the loop ends. */
void fzd_changed(struct fzd *d) FZ_NONNULL(1);

const char *fzd_log_level_name(enum fz_log_level level) FZ_RETURNS_NONNULL;
