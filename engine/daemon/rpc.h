/*
 * The handlers of the daemon's socket, one file per service of firezone.proto, and how the rest of the daemon reaches
 * calls that stay open. Internal to the daemon; control thread.
 */
#pragma once

#include "base/attr.h"
#include "daemon/service.h"
#include "ipc/handlers.h"

extern const struct fzipc_handlers fzd_handlers;

/* ---- rpc_session.c ---- */

enum fzd_watch { FZD_WATCH_STATUS, FZD_WATCH_RESOURCES /* and peers */ };

/* Sends every watcher that asked for it the present state. */
void fzd_watch_emit(struct fzd *d, enum fzd_watch what) FZ_NONNULL(1);
void fzd_watch_notice(struct fzd *d, Fzpb__Notice__Code code, const char *text) FZ_NONNULL(1, 3);
/* The same about a resource or a site; "" for none. */
void fzd_watch_notice_of(struct fzd *d, Fzpb__Notice__Code code, const char *text,
	const char *resource, const char *site) FZ_NONNULL(1, 3, 4, 5);
/* Calls of `wait` whose state has come are answered. */
void fzd_waiters_look(struct fzd *d) FZ_NONNULL(1);
/* "up" and the like; static. */
const char *fzd_state_name(Fzpb__Status__State state) FZ_RETURNS_NONNULL;

void fzd_get_status(void *user, struct fzipc_call *call, const Fzpb__StatusRequest *request);
void fzd_watch(void *user, struct fzipc_call *call, const Fzpb__WatchRequest *request);

/* ---- rpc_control.c ---- */

void fzd_up(void *user, struct fzipc_call *call, const Fzpb__UpRequest *request);
void fzd_down(void *user, struct fzipc_call *call, const Fzpb__DownRequest *request);
void fzd_reset(void *user, struct fzipc_call *call, const Fzpb__ResetRequest *request);
void fzd_wait_for(void *user, struct fzipc_call *call, const Fzpb__WaitRequest *request);

/* ---- rpc_auth.c ---- */

void fzd_begin_sign_in(
	void *user, struct fzipc_call *call, const Fzpb__BeginSignInRequest *request);
void fzd_finish_sign_in(
	void *user, struct fzipc_call *call, const Fzpb__FinishSignInRequest *request);
void fzd_end_session(void *user, struct fzipc_call *call, const Fzpb__EndSessionRequest *request);
void fzd_provide_token(
	void *user, struct fzipc_call *call, const Fzpb__ProvideTokenRequest *request);
void fzd_cancel_sign_in(
	void *user, struct fzipc_call *call, const Fzpb__CancelSignInRequest *request);

/* ---- rpc_resources.c ---- */

/* All resources as messages in one block; NULL without memory. Free with fzd_resources_free. */
struct fzd_resources {
	Fzpb__ResourceList msg;
	struct fzd_resource_row *rows;
	size_t n, cap;
};

void fzd_resources_free(struct fzd_resources *r);
/* `filter` may be NULL. */
struct fzd_resources *fzd_resources_new_maybe(
	const struct fzd *d, const Fzpb__ListResourcesRequest *filter) FZ_NONNULL(1);

struct fzd_peers {
	Fzpb__PeerList msg;
	struct fzd_peer_row *rows;
	size_t n, cap;
};

void fzd_peers_free(struct fzd_peers *p);
struct fzd_peers *fzd_peers_new_maybe(const struct fzd *d) FZ_NONNULL(1);

void fzd_list_resources(
	void *user, struct fzipc_call *call, const Fzpb__ListResourcesRequest *request);
void fzd_get_resource(void *user, struct fzipc_call *call, const Fzpb__ResourceRequest *request);
void fzd_enable_resource(void *user, struct fzipc_call *call, const Fzpb__ResourceRequest *request);
void fzd_disable_resource(
	void *user, struct fzipc_call *call, const Fzpb__ResourceRequest *request);
void fzd_get_internet(void *user, struct fzipc_call *call, const Fzpb__InternetRequest *request);
void fzd_enable_internet(void *user, struct fzipc_call *call, const Fzpb__InternetRequest *request);
void fzd_disable_internet(
	void *user, struct fzipc_call *call, const Fzpb__InternetRequest *request);
/* ---- rpc_peers.c ---- */

void fzd_list_peers(void *user, struct fzipc_call *call, const Fzpb__ListPeersRequest *request);
void fzd_get_peer(void *user, struct fzipc_call *call, const Fzpb__PeerRequest *request);
void fzd_explain(void *user, struct fzipc_call *call, const Fzpb__ExplainRequest *request);
void fzd_list_routes(void *user, struct fzipc_call *call, const Fzpb__RoutesRequest *request);

/* ---- rpc_host.c ---- */

void fzd_show_host(void *user, struct fzipc_call *call, const Fzpb__HostRequest *request);
void fzd_revert_host(void *user, struct fzipc_call *call, const Fzpb__HostRevertRequest *request);

/* ---- rpc_settings.c ---- */

/* Fills one message; `shown` holds FZ_SETTING_SHOWN_MAX bytes and lives as long as it. */
void fzd_setting_fill(enum fz_setting which, const struct fzd_value *v, Fzpb__Setting *ret_setting,
	char *shown) FZ_NONNULL(2, 3, 4);
Fzpb__Setting__Source fzd_setting_source(enum fzd_source source);

void fzd_get_settings(void *user, struct fzipc_call *call, const Fzpb__SettingsRequest *request);
void fzd_set_setting(void *user, struct fzipc_call *call, const Fzpb__SetSettingRequest *request);
void fzd_unset_setting(void *user, struct fzipc_call *call, const Fzpb__SettingsRequest *request);
void fzd_validate_settings(
	void *user, struct fzipc_call *call, const Fzpb__ValidateRequest *request);
void fzd_get_policy(void *user, struct fzipc_call *call, const Fzpb__PolicyRequest *request);
void fzd_reload_all(void *user, struct fzipc_call *call, const Fzpb__ReloadRequest *request);

/* ---- rpc_logs.c ---- */

/* New records: those who follow get them. */
void fzd_logs_go_on(struct fzd *d) FZ_NONNULL(1);

void fzd_logs(void *user, struct fzipc_call *call, const Fzpb__LogsRequest *request);
void fzd_get_log_level(void *user, struct fzipc_call *call, const Fzpb__LogLevelRequest *request);
void fzd_set_log_level(
	void *user, struct fzipc_call *call, const Fzpb__SetLogLevelRequest *request);

/* ---- rpc_metrics.c ---- */

#define FZD_METRICS_MAX 96

/* Builds the set; everything in it lives until fzd_metrics_done. */
struct fzd_metrics {
	Fzpb__MetricSet msg;
	Fzpb__Metric items[FZD_METRICS_MAX];
	Fzpb__Metric *list[FZD_METRICS_MAX];
	char labels[FZD_METRICS_MAX][64];
	char *label_list[FZD_METRICS_MAX];
};

void fzd_metrics_fill(struct fzd *d, struct fzd_metrics *ret_metrics) FZ_NONNULL(1, 2);

void fzd_get_metrics(void *user, struct fzipc_call *call, const Fzpb__MetricsRequest *request);
void fzd_get_health(void *user, struct fzipc_call *call, const Fzpb__HealthRequest *request);

/* ---- rpc_report.c ---- */

void fzd_bug_report(void *user, struct fzipc_call *call, const Fzpb__BugReportRequest *request);

/* ---- rpc_bench.c ---- */

void fzd_bench(void *user, struct fzipc_call *call, const Fzpb__BenchRequest *request);

/* ---- rpc_admin.c ---- */

void fzd_import_token(void *user, struct fzipc_call *call, const Fzpb__ImportTokenRequest *request);
void fzd_remove_token(void *user, struct fzipc_call *call, const Fzpb__RemoveTokenRequest *request);
void fzd_get_token_status(
	void *user, struct fzipc_call *call, const Fzpb__TokenStatusRequest *request);
void fzd_get_version(void *user, struct fzipc_call *call, const Fzpb__VersionRequest *request);
