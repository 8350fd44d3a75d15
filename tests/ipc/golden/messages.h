/*
 * What the Firezone daemon can be asked, and its answers. Made from ipc/firezone.proto; included by
 * <firezone/client.h>. Pointers that are NULL and has_... that are false mean: not said. Members are only
 * ever added, at the end.
 */
#ifndef FIREZONE_MESSAGES_H
#define FIREZONE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firezone_client;

enum firezone_watch_request_topic {
	FIREZONE_WATCH_REQUEST_TOPIC_STATE = 1,
	FIREZONE_WATCH_REQUEST_TOPIC_RESOURCES = 2,
	FIREZONE_WATCH_REQUEST_TOPIC_PEERS = 3,
	FIREZONE_WATCH_REQUEST_TOPIC_DNS = 4,
	FIREZONE_WATCH_REQUEST_TOPIC_NOTIFY = 5,
};

enum firezone_status_state {
	FIREZONE_STATUS_STATE_SIGNED_OUT = 1,
	FIREZONE_STATUS_STATE_NEED_BROWSER = 2,
	FIREZONE_STATUS_STATE_CONNECTING = 3,
	FIREZONE_STATUS_STATE_RAISING = 4,
	FIREZONE_STATUS_STATE_UP = 5,
	FIREZONE_STATUS_STATE_RECONNECTING = 6,
	FIREZONE_STATUS_STATE_DEGRADED = 7,
	FIREZONE_STATUS_STATE_WAITING_NETWORK = 8,
	FIREZONE_STATUS_STATE_PAUSED = 9,
	FIREZONE_STATUS_STATE_DOWN = 10,
	FIREZONE_STATUS_STATE_ERROR = 11,
};

enum firezone_portal_state {
	FIREZONE_PORTAL_STATE_IDLE = 1,
	FIREZONE_PORTAL_STATE_CONNECTING = 2,
	FIREZONE_PORTAL_STATE_CONNECTED = 3,
	FIREZONE_PORTAL_STATE_WAITING = 4,
	FIREZONE_PORTAL_STATE_REFUSED = 5,
};

enum firezone_tunnel_stack {
	FIREZONE_TUNNEL_STACK_DUAL = 1,
	FIREZONE_TUNNEL_STACK_V4_ONLY = 2,
	FIREZONE_TUNNEL_STACK_V6_ONLY = 3,
};

enum firezone_peer_delta_change {
	FIREZONE_PEER_DELTA_CHANGE_ADDED = 1,
	FIREZONE_PEER_DELTA_CHANGE_CHANGED = 2,
	FIREZONE_PEER_DELTA_CHANGE_REMOVED = 3,
};

enum firezone_notice_code {
	FIREZONE_NOTICE_CODE_CONNECTED = 1,
	FIREZONE_NOTICE_CODE_SIGN_IN_AGAIN = 2,
	FIREZONE_NOTICE_CODE_ALL_GATEWAYS_OFFLINE = 3,
	FIREZONE_NOTICE_CODE_GATEWAY_VERSION_MISMATCH = 4,
	FIREZONE_NOTICE_CODE_DNS_CONFLICT = 5,
	FIREZONE_NOTICE_CODE_SESSION_EXPIRING = 6,
	FIREZONE_NOTICE_CODE_PORTAL_LOST = 7,
	FIREZONE_NOTICE_CODE_PORTAL_BACK = 8,
	FIREZONE_NOTICE_CODE_POLICY_CHANGED = 9,
};

enum firezone_resource_type {
	FIREZONE_RESOURCE_TYPE_DNS = 1,
	FIREZONE_RESOURCE_TYPE_CIDR = 2,
	FIREZONE_RESOURCE_TYPE_IP = 3,
	FIREZONE_RESOURCE_TYPE_INTERNET = 4,
};

enum firezone_resource_reach {
	FIREZONE_RESOURCE_REACH_UNKNOWN = 1,
	FIREZONE_RESOURCE_REACH_ONLINE = 2,
	FIREZONE_RESOURCE_REACH_OFFLINE = 3,
};

enum firezone_peer_kind {
	FIREZONE_PEER_KIND_GATEWAY = 1,
	FIREZONE_PEER_KIND_DEVICE = 2,
};

enum firezone_peer_path {
	FIREZONE_PEER_PATH_NONE = 1,
	FIREZONE_PEER_PATH_DIRECT = 2,
	FIREZONE_PEER_PATH_RELAYED = 3,
};

enum firezone_host_change_state {
	FIREZONE_HOST_CHANGE_STATE_PRESENT = 1,
	FIREZONE_HOST_CHANGE_STATE_MISSING = 2,
	FIREZONE_HOST_CHANGE_STATE_CHANGED = 3,
	FIREZONE_HOST_CHANGE_STATE_LEFTOVER = 4,
	FIREZONE_HOST_CHANGE_STATE_REVERTED = 5,
	FIREZONE_HOST_CHANGE_STATE_REPAIRED = 6,
	FIREZONE_HOST_CHANGE_STATE_FAILED = 7,
};

enum firezone_setting_source {
	FIREZONE_SETTING_SOURCE_DEFAULT = 1,
	FIREZONE_SETTING_SOURCE_FILE = 2,
	FIREZONE_SETTING_SOURCE_ENVIRONMENT = 3,
	FIREZONE_SETTING_SOURCE_STORED = 4,
	FIREZONE_SETTING_SOURCE_POLICY = 5,
	FIREZONE_SETTING_SOURCE_FLAG = 6,
};

enum firezone_log_record_level {
	FIREZONE_LOG_RECORD_LEVEL_ERR = 1,
	FIREZONE_LOG_RECORD_LEVEL_WARNING = 2,
	FIREZONE_LOG_RECORD_LEVEL_INFO = 3,
	FIREZONE_LOG_RECORD_LEVEL_DEBUG = 4,
};

enum firezone_bug_report_request_redact {
	FIREZONE_BUG_REPORT_REQUEST_REDACT_NAMES = 1,
	FIREZONE_BUG_REPORT_REQUEST_REDACT_IPS = 2,
	FIREZONE_BUG_REPORT_REQUEST_REDACT_SLUG = 3,
};

enum firezone_metric_kind {
	FIREZONE_METRIC_KIND_COUNTER = 1,
	FIREZONE_METRIC_KIND_GAUGE = 2,
};

enum firezone_token_status_source {
	FIREZONE_TOKEN_STATUS_SOURCE_NONE = 1,
	FIREZONE_TOKEN_STATUS_SOURCE_CREDENTIAL = 2,
	FIREZONE_TOKEN_STATUS_SOURCE_ENVIRONMENT = 3,
	FIREZONE_TOKEN_STATUS_SOURCE_FILE = 4,
	FIREZONE_TOKEN_STATUS_SOURCE_IMPORTED = 5,
	FIREZONE_TOKEN_STATUS_SOURCE_SESSION = 6,
};

enum firezone_token_status_verdict {
	FIREZONE_TOKEN_STATUS_VERDICT_UNTRIED = 1,
	FIREZONE_TOKEN_STATUS_VERDICT_VALID = 2,
	FIREZONE_TOKEN_STATUS_VERDICT_REFUSED = 3,
	FIREZONE_TOKEN_STATUS_VERDICT_EMPTY = 4,
	FIREZONE_TOKEN_STATUS_VERDICT_UNREADABLE = 5,
	FIREZONE_TOKEN_STATUS_VERDICT_MALFORMED = 6,
	FIREZONE_TOKEN_STATUS_VERDICT_UNSAFE = 7,
	FIREZONE_TOKEN_STATUS_VERDICT_EXPIRED = 8,
};

enum firezone_error_code {
	FIREZONE_ERROR_CODE_UNKNOWN = 1,
	FIREZONE_ERROR_CODE_INVALID_ARGUMENT = 2,
	FIREZONE_ERROR_CODE_NOT_SIGNED_IN = 3,
	FIREZONE_ERROR_CODE_PERMISSION_DENIED = 4,
	FIREZONE_ERROR_CODE_SERVICE_MODE = 5,
	FIREZONE_ERROR_CODE_POLICY = 6,
	FIREZONE_ERROR_CODE_NOT_FOUND = 7,
	FIREZONE_ERROR_CODE_CONFLICT = 8,
	FIREZONE_ERROR_CODE_TIMEOUT = 9,
	FIREZONE_ERROR_CODE_UNAVAILABLE = 10,
	FIREZONE_ERROR_CODE_UNSUPPORTED = 11,
	FIREZONE_ERROR_CODE_PORTAL = 12,
	FIREZONE_ERROR_CODE_SYSTEM = 13,
	FIREZONE_ERROR_CODE_CANCELLED = 14,
	FIREZONE_ERROR_CODE_LIMIT = 15,
	FIREZONE_ERROR_CODE_BAD_FRAME = 16,
	FIREZONE_ERROR_CODE_BAD_ENVELOPE = 17,
	FIREZONE_ERROR_CODE_BAD_WIRE_TYPE = 18,
	FIREZONE_ERROR_CODE_BAD_TEXT = 19,
	FIREZONE_ERROR_CODE_UNKNOWN_METHOD = 20,
	FIREZONE_ERROR_CODE_BAD_DESCRIPTOR = 21,
	FIREZONE_ERROR_CODE_TOO_LARGE = 22,
};

struct firezone_status_request {
	size_t struct_size; /* sizeof(struct firezone_status_request) of whoever made it */
};

struct firezone_watch_request {
	size_t struct_size; /* sizeof(struct firezone_watch_request) of whoever made it */
	size_t n_events;
	const enum firezone_watch_request_topic *events; /* only these: state, resources, peers, dns, notify */
};

struct firezone_status {
	size_t struct_size; /* sizeof(struct firezone_status) of whoever made it */
	bool has_state;
	enum firezone_status_state state;
	bool has_since;
	int64_t since; /* ns since 1970, UTC */
	bool has_service_mode;
	bool service_mode; /* the daemon has its own token and connects by itself */
	const struct firezone_account *account;
	const struct firezone_portal *portal;
	const struct firezone_tunnel *tunnel;
	const struct firezone_dns_status *dns;
	const struct firezone_internet_state *internet_resource;
	const struct firezone_counts *counts;
	size_t n_warnings;
	const struct firezone_warning *const *warnings;
	const char *reason; /* why the state is what it is */
	const struct firezone_daemon_info *daemon;
	bool has_owner_uid;
	uint32_t owner_uid; /* the user who signed in and owns the session */
	const struct firezone_token_status *token;
};

struct firezone_account {
	size_t struct_size; /* sizeof(struct firezone_account) of whoever made it */
	const char *slug;
	const char *actor;
	bool has_session_expires;
	int64_t session_expires; /* ns since 1970, UTC */
};

struct firezone_portal {
	size_t struct_size; /* sizeof(struct firezone_portal) of whoever made it */
	bool has_state;
	enum firezone_portal_state state;
	const char *url;
	const char *last_error;
	bool has_since;
	int64_t since; /* ns since 1970, UTC */
	bool has_retry_at;
	int64_t retry_at; /* ns since 1970, UTC */
};

struct firezone_tunnel {
	size_t struct_size; /* sizeof(struct firezone_tunnel) of whoever made it */
	const char *interface;
	const char *ipv4;
	const char *ipv6;
	bool has_mtu;
	uint32_t mtu;
	bool has_stack;
	enum firezone_tunnel_stack stack;
	bool has_rx_bytes;
	uint64_t rx_bytes;
	bool has_tx_bytes;
	uint64_t tx_bytes;
};

struct firezone_dns_status {
	size_t struct_size; /* sizeof(struct firezone_dns_status) of whoever made it */
	const char *mode;
	const char *reason;
	size_t n_search;
	const char *const *search;
	size_t n_upstreams;
	const char *const *upstreams;
	size_t n_sentinels;
	const char *const *sentinels;
};

struct firezone_internet_state {
	size_t struct_size; /* sizeof(struct firezone_internet_state) of whoever made it */
	bool has_available;
	bool available;
	bool has_enabled;
	bool enabled;
	const char *site;
};

struct firezone_counts {
	size_t struct_size; /* sizeof(struct firezone_counts) of whoever made it */
	bool has_resources;
	uint32_t resources;
	bool has_resources_offline;
	uint32_t resources_offline;
	bool has_peers_direct;
	uint32_t peers_direct;
	bool has_peers_relayed;
	uint32_t peers_relayed;
	bool has_devices;
	uint32_t devices;
};

struct firezone_warning {
	size_t struct_size; /* sizeof(struct firezone_warning) of whoever made it */
	const char *code;
	const char *text;
	const char *site;
	bool has_since;
	int64_t since; /* ns since 1970, UTC */
};

struct firezone_daemon_info {
	size_t struct_size; /* sizeof(struct firezone_daemon_info) of whoever made it */
	const char *version;
	bool has_started;
	int64_t started; /* ns since 1970, UTC */
	bool has_pid;
	uint32_t pid;
	const char *boot_id;
};

struct firezone_event {
	size_t struct_size; /* sizeof(struct firezone_event) of whoever made it */
	bool has_seq;
	uint64_t seq;
	bool has_at;
	int64_t at; /* ns since 1970, UTC */
	const struct firezone_status *status;
	const struct firezone_resource_list *resources;
	const struct firezone_peer_delta *peer;
	const struct firezone_notice *notice;
	const struct firezone_dns_status *dns;
	const struct firezone_resync *resync;
};

struct firezone_resync {
	size_t struct_size; /* sizeof(struct firezone_resync) of whoever made it */
	bool has_missed;
	uint64_t missed;
	const struct firezone_status *status;
	const struct firezone_resource_list *resources;
	const struct firezone_peer_list *peers;
};

struct firezone_peer_delta {
	size_t struct_size; /* sizeof(struct firezone_peer_delta) of whoever made it */
	bool has_change;
	enum firezone_peer_delta_change change;
	const char *name;
	const struct firezone_peer *peer;
};

struct firezone_notice {
	size_t struct_size; /* sizeof(struct firezone_notice) of whoever made it */
	bool has_code;
	enum firezone_notice_code code;
	const char *resource_id;
	const char *site;
	const char *text;
};

struct firezone_site {
	size_t struct_size; /* sizeof(struct firezone_site) of whoever made it */
	const char *id;
	const char *name;
};

struct firezone_resource {
	size_t struct_size; /* sizeof(struct firezone_resource) of whoever made it */
	const char *id;
	const char *name;
	bool has_type;
	enum firezone_resource_type type;
	const char *address;
	const char *address_description;
	size_t n_sites;
	const struct firezone_site *const *sites;
	const char *site; /* the first site's name */
	bool has_status;
	enum firezone_resource_reach status;
	bool has_enabled;
	bool enabled;
	size_t n_addresses;
	const char *const *addresses;
	const char *gateway;
	const char *path;
	size_t n_filters;
	const char *const *filters;
};

struct firezone_resource_list {
	size_t struct_size; /* sizeof(struct firezone_resource_list) of whoever made it */
	size_t n_resources;
	const struct firezone_resource *const *resources;
};

struct firezone_peer {
	size_t struct_size; /* sizeof(struct firezone_peer) of whoever made it */
	const char *id;
	const char *name;
	bool has_kind;
	enum firezone_peer_kind kind;
	bool has_path;
	enum firezone_peer_path path;
	const char *endpoint;
	bool has_rtt_us;
	uint64_t rtt_us;
	bool has_rx_bytes;
	uint64_t rx_bytes;
	bool has_tx_bytes;
	uint64_t tx_bytes;
	bool has_last_handshake;
	int64_t last_handshake; /* ns since 1970, UTC */
	const char *site;
};

struct firezone_peer_list {
	size_t struct_size; /* sizeof(struct firezone_peer_list) of whoever made it */
	size_t n_peers;
	const struct firezone_peer *const *peers;
};

struct firezone_host_request {
	size_t struct_size; /* sizeof(struct firezone_host_request) of whoever made it */
};

struct firezone_host_revert_request {
	size_t struct_size; /* sizeof(struct firezone_host_revert_request) of whoever made it */
	bool has_dry_run;
	bool dry_run; /* only show what would be done */
};

struct firezone_host_change {
	size_t struct_size; /* sizeof(struct firezone_host_change) of whoever made it */
	const char *kind; /* interface, address, route, rule, dns or file */
	const char *what;
	bool has_state;
	enum firezone_host_change_state state;
	bool has_at;
	int64_t at; /* ns since 1970, UTC */
	const char *reason;
};

struct firezone_host_changes {
	size_t struct_size; /* sizeof(struct firezone_host_changes) of whoever made it */
	size_t n_changes;
	const struct firezone_host_change *const *changes;
	bool has_drift;
	bool drift;
};

struct firezone_settings_request {
	size_t struct_size; /* sizeof(struct firezone_settings_request) of whoever made it */
	const char *key; /* name of the setting */
};

struct firezone_set_setting_request {
	size_t struct_size; /* sizeof(struct firezone_set_setting_request) of whoever made it */
	const char *key; /* name of the setting */
	const char *value; /* new value */
};

struct firezone_setting {
	size_t struct_size; /* sizeof(struct firezone_setting) of whoever made it */
	const char *key;
	const char *value;
	bool has_source;
	enum firezone_setting_source source;
	const char *origin; /* file, and line, or variable it comes from */
	const char *help;
	bool has_needs_restart;
	bool needs_restart;
	const char *default_value;
};

struct firezone_setting_list {
	size_t struct_size; /* sizeof(struct firezone_setting_list) of whoever made it */
	size_t n_settings;
	const struct firezone_setting *const *settings;
};

struct firezone_validate_request {
	size_t struct_size; /* sizeof(struct firezone_validate_request) of whoever made it */
	const char *file; /* file to check, - for standard input; its name is only for messages */
};

struct firezone_validate_problem {
	size_t struct_size; /* sizeof(struct firezone_validate_problem) of whoever made it */
	const char *file;
	bool has_line;
	uint32_t line;
	const char *text;
};

struct firezone_validate_result {
	size_t struct_size; /* sizeof(struct firezone_validate_result) of whoever made it */
	bool has_valid;
	bool valid;
	size_t n_problems;
	const struct firezone_validate_problem *const *problems;
};

struct firezone_policy_request {
	size_t struct_size; /* sizeof(struct firezone_policy_request) of whoever made it */
};

struct firezone_policy {
	size_t struct_size; /* sizeof(struct firezone_policy) of whoever made it */
	size_t n_entries;
	const struct firezone_setting *const *entries;
	size_t n_files;
	const char *const *files;
};

struct firezone_reload_request {
	size_t struct_size; /* sizeof(struct firezone_reload_request) of whoever made it */
};

struct firezone_reload_result {
	size_t struct_size; /* sizeof(struct firezone_reload_result) of whoever made it */
	size_t n_changed;
	const char *const *changed;
	size_t n_needs_restart;
	const char *const *needs_restart;
	size_t n_problems;
	const struct firezone_validate_problem *const *problems;
};

struct firezone_logs_request {
	size_t struct_size; /* sizeof(struct firezone_logs_request) of whoever made it */
	bool has_follow;
	bool follow; /* go on with new lines */
	bool has_lines;
	uint32_t lines; /* start with the last N lines */
	bool has_since;
	int64_t since; /* ns since 1970, UTC */
	bool has_level;
	enum firezone_log_record_level level; /* only this and worse: err, warning, info, debug */
	const char *target; /* only events whose name starts with this */
};

struct firezone_log_record {
	size_t struct_size; /* sizeof(struct firezone_log_record) of whoever made it */
	bool has_at;
	int64_t at; /* ns since 1970, UTC */
	bool has_level;
	enum firezone_log_record_level level;
	const char *event;
	const char *detail;
	bool has_lost;
	uint64_t lost;
};

struct firezone_log_level_request {
	size_t struct_size; /* sizeof(struct firezone_log_level_request) of whoever made it */
};

struct firezone_set_log_level_request {
	size_t struct_size; /* sizeof(struct firezone_set_log_level_request) of whoever made it */
	const char *filter; /* err, warning, info or debug */
	bool has_for_ms;
	uint64_t for_ms; /* go back after DUR */
};

struct firezone_log_level {
	size_t struct_size; /* sizeof(struct firezone_log_level) of whoever made it */
	const char *filter;
	bool has_source;
	enum firezone_setting_source source;
	bool has_until;
	int64_t until; /* ns since 1970, UTC */
};

struct firezone_bug_report_request {
	size_t struct_size; /* sizeof(struct firezone_bug_report_request) of whoever made it */
	size_t n_redact;
	const enum firezone_bug_report_request_redact *redact; /* replace these: names, ips, slug */
	bool has_preview;
	bool preview; /* only list what would be inside */
};

struct firezone_bug_report_part {
	size_t struct_size; /* sizeof(struct firezone_bug_report_part) of whoever made it */
	const char *name;
	bool has_size;
	uint64_t size;
	const char *about;
};

struct firezone_metrics_request {
	size_t struct_size; /* sizeof(struct firezone_metrics_request) of whoever made it */
};

struct firezone_metric {
	size_t struct_size; /* sizeof(struct firezone_metric) of whoever made it */
	const char *name;
	bool has_kind;
	enum firezone_metric_kind kind;
	bool has_value;
	double value;
	size_t n_labels;
	const char *const *labels; /* key=value */
	const char *help;
	const char *unit;
};

struct firezone_metric_set {
	size_t struct_size; /* sizeof(struct firezone_metric_set) of whoever made it */
	size_t n_metrics;
	const struct firezone_metric *const *metrics;
};

struct firezone_health_request {
	size_t struct_size; /* sizeof(struct firezone_health_request) of whoever made it */
	bool has_ready;
	bool ready; /* well means the tunnel is up */
	bool has_live;
	bool live; /* well means the daemon answers (default) */
};

struct firezone_health {
	size_t struct_size; /* sizeof(struct firezone_health) of whoever made it */
	bool has_healthy;
	bool healthy;
	const char *reason;
};

struct firezone_bench_request {
	size_t struct_size; /* sizeof(struct firezone_bench_request) of whoever made it */
	bool has_loopback;
	bool loopback; /* two engines in one process, no network */
	bool has_time_ms;
	uint64_t time_ms; /* how long to measure */
};

struct firezone_bench_result {
	size_t struct_size; /* sizeof(struct firezone_bench_result) of whoever made it */
	const char *name;
	bool has_bits_per_second;
	uint64_t bits_per_second;
	bool has_packets_per_second;
	uint64_t packets_per_second;
	bool has_cpu_percent;
	double cpu_percent;
	bool has_elapsed_ns;
	uint64_t elapsed_ns;
	bool has_done;
	bool done;
};

struct firezone_import_token_request {
	size_t struct_size; /* sizeof(struct firezone_import_token_request) of whoever made it */
};

struct firezone_remove_token_request {
	size_t struct_size; /* sizeof(struct firezone_remove_token_request) of whoever made it */
};

struct firezone_token_status_request {
	size_t struct_size; /* sizeof(struct firezone_token_status_request) of whoever made it */
};

struct firezone_token_status {
	size_t struct_size; /* sizeof(struct firezone_token_status) of whoever made it */
	bool has_service_mode;
	bool service_mode;
	bool has_source;
	enum firezone_token_status_source source;
	const char *origin;
	bool has_verdict;
	enum firezone_token_status_verdict verdict;
	const char *reason;
	bool has_expires;
	int64_t expires; /* ns since 1970, UTC */
};

struct firezone_version_request {
	size_t struct_size; /* sizeof(struct firezone_version_request) of whoever made it */
};

struct firezone_version {
	size_t struct_size; /* sizeof(struct firezone_version) of whoever made it */
	const char *cli;
	const char *daemon;
	const char *protocol;
	const char *cli_protocol;
};

struct firezone_error {
	size_t struct_size; /* sizeof(struct firezone_error) of whoever made it */
	bool has_code;
	enum firezone_error_code code;
	const char *message;
	const char *hint;
	bool has_os_errno;
	int32_t os_errno;
	const char *portal_code;
	const char *since;
	bool has_major;
	uint32_t major;
	bool has_minor;
	uint32_t minor;
	const char *daemon_version;
};

/*
 * An answer. Of a call with one answer: called once, with the answer or with an error. Of a stream: once for each
 * message, then once with neither (the end) or with an error. Everything is borrowed until it returns.
 */
typedef void firezone_status_fn(void *user, const struct firezone_status *answer,
	const struct firezone_error *error);
typedef void firezone_event_fn(void *user, const struct firezone_event *answer,
	const struct firezone_error *error);
typedef void firezone_host_changes_fn(void *user, const struct firezone_host_changes *answer,
	const struct firezone_error *error);
typedef void firezone_setting_list_fn(void *user, const struct firezone_setting_list *answer,
	const struct firezone_error *error);
typedef void firezone_validate_result_fn(void *user, const struct firezone_validate_result *answer,
	const struct firezone_error *error);
typedef void firezone_policy_fn(void *user, const struct firezone_policy *answer,
	const struct firezone_error *error);
typedef void firezone_reload_result_fn(void *user, const struct firezone_reload_result *answer,
	const struct firezone_error *error);
typedef void firezone_log_record_fn(void *user, const struct firezone_log_record *answer,
	const struct firezone_error *error);
typedef void firezone_log_level_fn(void *user, const struct firezone_log_level *answer,
	const struct firezone_error *error);
typedef void firezone_bug_report_part_fn(void *user, const struct firezone_bug_report_part *answer,
	const struct firezone_error *error);
typedef void firezone_metric_set_fn(void *user, const struct firezone_metric_set *answer,
	const struct firezone_error *error);
typedef void firezone_health_fn(void *user, const struct firezone_health *answer,
	const struct firezone_error *error);
typedef void firezone_bench_result_fn(void *user, const struct firezone_bench_result *answer,
	const struct firezone_error *error);
typedef void firezone_token_status_fn(void *user, const struct firezone_token_status *answer,
	const struct firezone_error *error);
typedef void firezone_version_fn(void *user, const struct firezone_version *answer,
	const struct firezone_error *error);

/*
 * Calls. request may be NULL: nothing said. They return a number for firezone_client_cancel, or 0: not
 * connected, too many calls at once, or no memory. Answers come from firezone_client_process or _wait.
 */

/* Show the state of the connection. */
uint32_t firezone_get_status(struct firezone_client *client, const struct firezone_status_request *request,
	firezone_status_fn *on_answer, void *user);

/* Show changes as they happen. A stream. */
uint32_t firezone_watch(struct firezone_client *client, const struct firezone_watch_request *request,
	firezone_event_fn *on_answer, void *user);

/* Show every change made to this host. */
uint32_t firezone_show_host(struct firezone_client *client, const struct firezone_host_request *request,
	firezone_host_changes_fn *on_answer, void *user);

/* Undo changes left behind, repair drift. */
uint32_t firezone_revert_host(struct firezone_client *client, const struct firezone_host_revert_request *request,
	firezone_host_changes_fn *on_answer, void *user);

/* Show settings and where each comes from. */
uint32_t firezone_get_settings(struct firezone_client *client, const struct firezone_settings_request *request,
	firezone_setting_list_fn *on_answer, void *user);

/* Change a setting. */
uint32_t firezone_set_setting(struct firezone_client *client, const struct firezone_set_setting_request *request,
	firezone_setting_list_fn *on_answer, void *user);

/* Forget a changed setting. */
uint32_t firezone_unset_setting(struct firezone_client *client, const struct firezone_settings_request *request,
	firezone_setting_list_fn *on_answer, void *user);

/* Check a configuration file. The daemon reads from fd, which stays yours. */
uint32_t firezone_validate_settings(struct firezone_client *client, const struct firezone_validate_request *request, int fd,
	firezone_validate_result_fn *on_answer, void *user);

/* Show the organisation's policy. */
uint32_t firezone_get_policy(struct firezone_client *client, const struct firezone_policy_request *request,
	firezone_policy_fn *on_answer, void *user);

/* Read configuration and policy again. */
uint32_t firezone_reload(struct firezone_client *client, const struct firezone_reload_request *request,
	firezone_reload_result_fn *on_answer, void *user);

/* Show the daemon's log. A stream. */
uint32_t firezone_logs(struct firezone_client *client, const struct firezone_logs_request *request,
	firezone_log_record_fn *on_answer, void *user);

/* Show how much is logged. */
uint32_t firezone_get_log_level(struct firezone_client *client, const struct firezone_log_level_request *request,
	firezone_log_level_fn *on_answer, void *user);

/* Change how much is logged. */
uint32_t firezone_set_log_level(struct firezone_client *client, const struct firezone_set_log_level_request *request,
	firezone_log_level_fn *on_answer, void *user);

/* Write a report for support to a local file. A stream. The daemon writes to fd, which stays yours. */
uint32_t firezone_bug_report(struct firezone_client *client, const struct firezone_bug_report_request *request, int fd,
	firezone_bug_report_part_fn *on_answer, void *user);

/* Show counters. */
uint32_t firezone_get_metrics(struct firezone_client *client, const struct firezone_metrics_request *request,
	firezone_metric_set_fn *on_answer, void *user);

/* Say whether all is well. */
uint32_t firezone_get_health(struct firezone_client *client, const struct firezone_health_request *request,
	firezone_health_fn *on_answer, void *user);

/* Measure this machine's data plane. A stream. */
uint32_t firezone_bench(struct firezone_client *client, const struct firezone_bench_request *request,
	firezone_bench_result_fn *on_answer, void *user);

/* Keep a token: the daemon then connects by itself. The daemon reads from fd, which stays yours. */
uint32_t firezone_import_token(struct firezone_client *client, const struct firezone_import_token_request *request, int fd,
	firezone_token_status_fn *on_answer, void *user);

/* Forget the kept token. */
uint32_t firezone_remove_token(struct firezone_client *client, const struct firezone_remove_token_request *request,
	firezone_token_status_fn *on_answer, void *user);

/* Show where the token comes from. */
uint32_t firezone_get_token_status(struct firezone_client *client, const struct firezone_token_status_request *request,
	firezone_token_status_fn *on_answer, void *user);

/* Show the versions of firezonectl and the daemon. */
uint32_t firezone_get_version(struct firezone_client *client, const struct firezone_version_request *request,
	firezone_version_fn *on_answer, void *user);

#ifdef __cplusplus
}
#endif

#endif
