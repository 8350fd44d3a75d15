/* The daemon's parts joined on one event loop: socket, log, signals, settings, token. No periodic timer anywhere. */
#include "daemon/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/client.h"
#include "daemon/paths.h"
#include "daemon/rpc.h"
#include "daemon/status.h"
#include "io/clock.h"

/* ---- log level ---- */

const char *fzd_log_level_name(enum fz_log_level level)
{
	static const char *const names[] = { "silent", "err", "warning", "info", "debug" };
	fz_assert((size_t)level < FZ_ARRAY_LEN(names));
	return names[level];
}

void fzd_apply_log_level(struct fzd *d)
{
	enum fz_log_level level;
	if (!fz_setting_log_level(
		    fzd_settings_get(d->settings, FZ_SETTING_LOG_FILTER).value, &level))
		level = FZ_LOG_INFO;
	fz_log_set_level(d->has_level_override ? d->level_override : level);
}

/* ---- watchers ---- */

/* The service manager hears of states, not of every change: its socket makes us wait while it is full. */
static void notify_status(struct fzd *d)
{
	struct fzd_status s;
	char text[sizeof(d->notified)];
	fzd_status_fill(d, &s);
	snprintf(text, sizeof(text), "%s%s%s", fzd_state_name(s.msg.state), s.reason[0] ? ": " : "",
		s.reason);
	if (strcmp(text, d->notified) == 0)
		return;
	memcpy(d->notified, text, sizeof(text));
	sd_notifyf(0, "STATUS=%s", text);
}

static int on_change(sd_event_source *source, void *user)
{
	struct fzd *d = user;
	(void)source;
	fzd_client_settle(d->client);
	notify_status(d);
	fzd_watch_emit(d, FZD_WATCH_STATUS);
	fzd_waiters_look(d);
	return 0;
}

void fzd_changed(struct fzd *d)
{
	int state = (int)fzd_status_state(d);
	if (state != d->state) {
		d->state = state;
		d->state_since = fz_clock_now().wall;
	}
	if (d->change)
		(void)sd_event_source_set_enabled(d->change, SD_EVENT_ONESHOT);
}

/* ---- token ---- */

static void log_source(const struct fzd_token *found)
{
	bool is_well = found->verdict == FZD_TOKEN_UNTRIED;
	fz_log(is_well ? FZ_LOG_INFO : FZ_LOG_ERR, "service-mode", "source=\"%s\"%s%s%s",
		found->origin, is_well ? "" : " reason=\"", found->reason, is_well ? "" : "\"");
}

/* No source is left: whoever signed in stays, the daemon's own session ends. */
static bool leave_service_mode(struct fzd *d)
{
	if (!fzd_in_service_mode(d))
		return false;
	d->token = (struct fzd_token){ .source = FZD_TOKEN_NONE };
	fz_log(FZ_LOG_INFO, "service-mode-ends", "why=\"no token source is left\"");
	fzd_client_stop(d->client);
	return true;
}

bool fzd_token_look(struct fzd *d, bool is_anew)
{
	struct fzd_token_paths paths = { .credentials = getenv("CREDENTIALS_DIRECTORY"),
		.file = fzd_settings_get(d->settings, FZ_SETTING_TOKEN_PATH).value,
		.imported = FZD_IMPORTED_FILE,
		.owner = 0 };
	struct fzd_token found;
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { 0 };
	fzd_token_find(&paths, d->environment_token, &found, &token);
	if (found.source == FZD_TOKEN_NONE)
		return leave_service_mode(d);
	bool is_same_place =
		found.source == d->token.source && strcmp(found.origin, d->token.origin) == 0;
	/* The portal's word on this very token still holds. */
	if (is_same_place && !is_anew && fzd_client_has_token(d->client, &token))
		return false;
	bool is_same = is_same_place && found.verdict == d->token.verdict;
	d->token = found;
	log_source(&found);
	if (token.len > 0)
		fzd_client_serve(d->client, &token);
	else
		fzd_client_stop(d->client);
	fzd_changed(d);
	return !is_same;
}

/* ---- settings ---- */

static void log_problems(const struct fzd_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct fzd_problem *p = &problems->items[i];
		fz_log(FZ_LOG_ERR, "config", "file=\"%s\" line=%u problem=\"%s\"", p->file, p->line,
			p->text);
	}
	if (problems->n_lost)
		fz_log(FZ_LOG_ERR, "config", "more=%zu", problems->n_lost);
}

static bool is_of_the_connection(enum fz_setting which)
{
	return which != FZ_SETTING_LOG_FILTER && which != FZ_SETTING_TOKEN_PATH &&
	       which != FZ_SETTING_AUTH_URL && which != FZ_SETTING_ACCOUNT_SLUG;
}

void fzd_setting_changed(struct fzd *d, enum fz_setting which)
{
	if (which == FZ_SETTING_LOG_FILTER)
		fzd_apply_log_level(d);
	else if (which == FZ_SETTING_TOKEN_PATH || fzd_in_service_mode(d))
		(void)fzd_token_look(d, is_of_the_connection(which));
	fz_log(FZ_LOG_INFO, "setting-changed", "key=%s source=%d", fz_setting_info(which)->key,
		(int)fzd_settings_get(d->settings, which).source);
	fzd_changed(d);
}

static bool policy_differs(const struct fzd_settings *a, const struct fzd_settings *b)
{
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		struct fzd_value x, y;
		bool has_x = fzd_settings_policy(a, (enum fz_setting)i, &x);
		bool has_y = fzd_settings_policy(b, (enum fz_setting)i, &y);
		if (has_x != has_y || (has_x && strcmp(x.value, y.value) != 0))
			return true;
	}
	return false;
}

static bool note_changes(const struct fzd_settings *was, const struct fzd_settings *is,
	struct fzd_reloaded *ret_reloaded)
{
	bool is_connection = false;
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		enum fz_setting which = (enum fz_setting)i;
		if (strcmp(fzd_settings_get(was, which).value, fzd_settings_get(is, which).value) ==
			0)
			continue;
		ret_reloaded->changed[ret_reloaded->n++] = fz_setting_info(which)->key;
		is_connection |= is_of_the_connection(which);
	}
	return is_connection;
}

int fzd_reload(struct fzd *d, struct fzd_reloaded *ret_reloaded, struct fzd_problems *ret_problems)
{
	struct fzd_settings *fresh;
	int r = fzd_settings_new(d->settings_paths, &fresh, ret_problems);
	if (r < 0)
		return r;
	*ret_reloaded = (struct fzd_reloaded){ 0 };
	if (ret_problems->n > 0) {
		log_problems(ret_problems);
		fzd_settings_free(fresh);
		return -EBADMSG;
	}
	bool is_connection = note_changes(d->settings, fresh, ret_reloaded);
	bool is_policy = policy_differs(d->settings, fresh);
	fzd_settings_free(d->settings);
	d->settings = fresh;
	d->n_reloads++;
	fzd_apply_log_level(d);
	if (fzd_token_look(d, is_connection))
		ret_reloaded->changed[ret_reloaded->n++] = "token";
	fz_log(FZ_LOG_INFO, "reloaded", "changed=%zu", ret_reloaded->n);
	if (is_policy)
		fzd_watch_notice(d, FZPB__NOTICE__CODE__POLICY_CHANGED,
			"The organisation's policy has changed.");
	fzd_changed(d);
	return 0;
}

/* ---- signals ---- */

static uint64_t monotonic_usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1'000'000 + (uint64_t)t.tv_nsec / 1000;
}

static void reload_by_signal(struct fzd *d)
{
	FZ_CLEANUP(fz_freep) struct fzd_problems *problems = fz_new(struct fzd_problems);
	struct fzd_reloaded reloaded;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)monotonic_usec());
	int r = problems ? fzd_reload(d, &reloaded, problems) : -ENOMEM;
	if (r < 0)
		fz_log(FZ_LOG_ERR, "reload-failed", "error=\"%s\" using=\"what was in force\"",
			r == -EBADMSG ? "the files have mistakes" : fz_strerror(r));
	sd_notify(0, "READY=1");
	notify_status(d);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct fzd *d = user;
	(void)source;
	if (info->ssi_signo == SIGHUP) {
		reload_by_signal(d);
		return 0;
	}
	fz_log(FZ_LOG_INFO, "stopping", "signal=%s",
		info->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	return sd_event_exit(d->event, 0);
}

/* ---- the loop ---- */

static int on_server(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct fzd *d = user;
	(void)source;
	(void)fd;
	(void)events;
	fzipc_server_process(d->server, fz_clock_boot());
	return 0;
}

static int on_server_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct fzd *d = user;
	(void)source;
	(void)usec;
	fzipc_server_process(d->server, fz_clock_boot());
	return 0;
}

/* Before each wait: handlers may have answered from anywhere, and the server's next deadline is what it is now. */
static int before_waiting(sd_event_source *source, void *user)
{
	struct fzd *d = user;
	(void)source;
	fz_time deadline = fzipc_server_deadline(d->server);
	if (fz_time_is_never(deadline))
		return sd_event_source_set_enabled(d->server_timer, SD_EVENT_OFF);
	int r = sd_event_source_set_time(d->server_timer, deadline.ns / 1000 + 1);
	return r < 0 ? r : sd_event_source_set_enabled(d->server_timer, SD_EVENT_ONESHOT);
}

static int on_journal(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct fzd *d = user;
	(void)source;
	(void)fd;
	(void)events;
	fzd_journal_settle(d->journal);
	fzd_logs_go_on(d);
	return 0;
}

static void world(void *user, struct fzipc_world *ret_world)
{
	const struct fzd *d = user;
	*ret_world = (struct fzipc_world){ .service_mode = fzd_in_service_mode(d),
		.is_signed_in = fzd_client_is_signed_in(d->client) };
	ret_world->is_owned = fzd_client_owner(d->client, &ret_world->owner_uid);
}

static int add_signals(struct fzd *d)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	for (size_t i = 0; i < FZ_ARRAY_LEN(signals); i++) {
		int r = sd_event_add_signal(d->event, &d->signals[i], signals[i], on_signal, d);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_sources(struct fzd *d)
{
	int r = add_signals(d);
	if (r < 0)
		return r;
	r = sd_event_add_io(
		d->event, &d->server_io, fzipc_server_fd(d->server), EPOLLIN, on_server, d);
	if (r < 0)
		return r;
	r = sd_event_add_time(
		d->event, &d->server_timer, CLOCK_BOOTTIME, UINT64_MAX, 10'000, on_server_timer, d);
	if (r < 0)
		return r;
	r = sd_event_source_set_prepare(d->server_io, before_waiting);
	if (r < 0)
		return r;
	r = sd_event_add_io(
		d->event, &d->journal_io, fzd_journal_fd(d->journal), EPOLLIN, on_journal, d);
	if (r < 0)
		return r;
	r = sd_event_add_defer(d->event, &d->change, on_change, d);
	return r < 0 ? r : sd_event_source_set_enabled(d->change, SD_EVENT_OFF);
}

/* ---- life ---- */

static void free_sources(struct fzd *d)
{
	sd_event_source **all[] = { &d->server_io, &d->server_timer, &d->journal_io,
		&d->level_timer, &d->change, &d->signals[0], &d->signals[1], &d->signals[2] };
	for (size_t i = 0; i < FZ_ARRAY_LEN(all); i++)
		*all[i] = sd_event_source_disable_unref(*all[i]);
}

void fzd_free(struct fzd *d)
{
	if (!d)
		return;
	if (d->server) {
		fzipc_server_stop(d->server, fz_clock_boot(), "The daemon stops.");
		fzipc_server_process(d->server, fz_clock_boot());
	}
	free_sources(d);
	fzipc_server_free(d->server);
	fzd_client_free(d->client);
	if (d->host && fz_host_revert(d->host) < 0)
		fz_log(FZ_LOG_ERR, "host-not-reverted",
			"what=\"some changes stay\" next=\"the next start tries again\"");
	fz_host_free(d->host);
	sd_event_unref(d->event);
	fzd_settings_free(d->settings);
	fzd_token_free(d->environment_token);
	fzd_journal_free(d->journal);
	free(d);
}

static int open_server(struct fzd *d, const struct fzd_params *params)
{
	struct fzipc_server_config config = { .listen_fd = params->listen_fd,
		.group = params->group,
		.root = 0,
		.daemon = { .version = FZ_VERSION, .boot_id = d->boot_id, .instance = "default" },
		.handlers = &fzd_handlers,
		.world = world,
		.user = d };
	int r = fzipc_server_new(&d->server, &config, fz_clock_boot());
	if (r == -EADDRINUSE)
		fz_log(FZ_LOG_ERR, "already-running", "socket=%s", FZIPC_SOCKET_PATH);
	else if (r < 0)
		fz_log(FZ_LOG_ERR, "socket", "path=%s error=\"%s\"", FZIPC_SOCKET_PATH,
			fz_strerror(r));
	return r;
}

static int build(struct fzd *d, const struct fzd_params *params)
{
	sd_id128_t boot;
	if (sd_id128_get_boot(&boot) == 0 || sd_id128_randomize(&boot) == 0)
		(void)sd_id128_to_string(boot, d->boot_id);
	int r = sd_event_new(&d->event);
	if (r < 0)
		return r;
	(void)sd_event_set_watchdog(d->event, true);
	r = open_server(d, params);
	if (r < 0)
		return r;
	r = fz_host_new(FZD_HOST_JOURNAL, &fz_host_client, &d->host);
	if (r < 0) {
		fz_log(FZ_LOG_ERR, "host", "journal=%s error=\"%s\"", FZD_HOST_JOURNAL,
			fz_strerror(r));
		return r;
	}
	r = fzd_client_new(d, &d->client);
	return r < 0 ? r : add_sources(d);
}

int fzd_new(const struct fzd_params *params, struct fzd **ret_d)
{
	struct fzd *d = fz_new(struct fzd);
	if (!d)
		return -ENOMEM;
	fz_list_init(&d->watchers);
	fz_list_init(&d->followers);
	fz_list_init(&d->benches);
	fz_list_init(&d->waiters);
	d->started = d->state_since = fz_clock_now().wall;
	d->settings_paths = &fzd_settings_paths;
	d->journal = params->journal;
	d->settings = params->settings;
	d->environment_token = params->environment_token;
	fzd_apply_log_level(d);
	int r = build(d, params);
	if (r < 0) {
		fzd_free(d);
		return r;
	}
	*ret_d = d;
	return 0;
}

int fzd_run(struct fzd *d)
{
	(void)fzd_token_look(d, true);
	if (d->token.source == FZD_TOKEN_NONE)
		fz_log(FZ_LOG_INFO, "waiting", "for=\"a front end to sign in\"");
	sd_notify(0, "READY=1");
	notify_status(d);
	int r = sd_event_loop(d->event);
	sd_notify(0, "STOPPING=1");
	return r;
}
