/*
 * A daemon that answers every method with something, for tests of the server, the client and firezonectl: the real
 * socket server with canned answers. Flags set what permission depends on. It prints "ready" once it listens.
 *
 *     fake_daemon --socket PATH [--group GID] [--service-mode] [--signed-in] [--owner UID] [--mode OCTAL]
 *                 [--memory BYTES] [--state NAME] [--per-user N] [--listen-fd N] [--name TEXT]...
 *
 * --name: one more resource, peer and account of that name.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "ipc/io/server.h"
#include "ipc/json.h"
#include "ipc/reflect.h"

#define MAX_WATCHERS 64
#define MAX_NAMES    16

struct fake {
	struct fzipc_world world;
	struct fzipc_call *watchers[MAX_WATCHERS];
	struct fzipc_arena arena;
	const char *state;
	const char *names[MAX_NAMES];
	size_t n_names;
	uint64_t seq;
};

static const char status_json[] =
	"{\"state\":\"up\",\"since\":\"2026-11-23T10:02:11Z\",\"service_mode\":false,"
	"\"account\":{\"slug\":\"acme\",\"actor\":\"Jane "
	"Doe\",\"session_expires\":\"2026-11-30T10:02:11Z\"},"
	"\"portal\":{\"state\":\"connected\",\"url\":\"wss://api.firezone.dev/\"},"
	"\"tunnel\":{\"interface\":\"tun-firezone\",\"ipv4\":\"100.64.12.7\",\"ipv6\":\"fd00:2021:"
	"1111::c07\",\"mtu\":1280,"
	"\"stack\":\"dual\"},\"dns\":{\"mode\":\"resolved\",\"reason\":\"stub "
	"resolv.conf\",\"search\":[\"corp.example\"],"
	"\"upstreams\":[\"192.168.1.1\"]},\"internet_resource\":{\"available\":true,\"enabled\":"
	"false},"
	"\"counts\":{\"resources\":12,\"resources_offline\":1,\"peers_direct\":1,\"peers_relayed\":"
	"1,\"devices\":0},"
	"\"warnings\":[{\"code\":\"site_offline\",\"text\":\"all gateways "
	"offline\",\"site\":\"berlin\","
	"\"since\":\"2026-11-23T11:42:00Z\"},{\"code\":\"evil\",\"text\":\"a\\u001b[31mb\"}],"
	"\"daemon\":{\"version\":\"0.1.0\",\"started\":\"2026-11-23T09:00:00Z\"}}";
static const char settings_json[] =
	"{\"settings\":[{\"key\":\"api_url\",\"value\":\"wss://api.firezone.dev/"
	"\",\"source\":\"policy\","
	"\"origin\":\"/etc/firezone/policy.d/"
	"10-corp.conf:3\"},{\"key\":\"log_filter\",\"value\":\"info\",\"source\":\"default\"}]}";

/* An answer from JSON; a mistake in the text is a mistake in this program. */
static const void *answer(struct fake *f, const ProtobufCMessageDescriptor *d, const char *json)
{
	ProtobufCMessage *msg = NULL;
	fzipc_arena_reset(&f->arena);
	if (!fzipc_json_read(d, fz_bytes_of_str(json), &f->arena, &msg)) {
		fprintf(stderr, "fake_daemon: bad JSON: %s\n", json);
		abort();
	}
	return msg;
}

static const Fzpb__Status *status_of(struct fake *f)
{
	Fzpb__Status *s = NULL;

	/* The arena's message is ours to change. */
	union {
		const void *in;
		void *out;
	} both = { .in = answer(f, &fzpb__status__descriptor, status_json) };

	s = both.out;
	s->service_mode = f->world.service_mode;
	if (f->n_names > 0) {
		char *slug = fzipc_arena_alloc(&f->arena, strlen(f->names[0]) + 1);
		if (slug)
			s->account->slug = memcpy(slug, f->names[0], strlen(f->names[0]) + 1);
	}
	int64_t state;
	if (f->state &&
		fzipc_reflect_enum_value(&fzpb__status__state__descriptor, f->state, &state))
		s->state = (Fzpb__Status__State)state;
	return s;
}

static void get_status(void *user, struct fzipc_call *call, const Fzpb__StatusRequest *request)
{
	(void)request;
	fzipc_reply_get_status(call, status_of(user));
}

/* ---- watch: a snapshot, then events without end for those with credit ---- */

static bool send_event(struct fake *f, struct fzipc_call *call, bool is_resync)
{
	Fzpb__Event e = FZPB__EVENT__INIT;
	Fzpb__Resync resync = FZPB__RESYNC__INIT;
	Fzpb__Status s = *status_of(f);
	e.has_seq = e.has_at = true;
	e.seq = ++f->seq;
	e.at = 1795428131000000000;
	if (is_resync) {
		resync.has_missed = true;
		resync.missed = fzipc_call_missed(call);
		resync.status = &s;
		e.kind_case = FZPB__EVENT__KIND_RESYNC;
		e.resync = &resync;
	} else {
		e.kind_case = FZPB__EVENT__KIND_STATUS;
		e.status = &s;
	}
	return fzipc_send_watch(call, &e);
}

static void watcher_gone(void *user, struct fzipc_call *call)
{
	struct fake *f = user;
	for (size_t i = 0; i < MAX_WATCHERS; i++) {
		if (f->watchers[i] == call)
			f->watchers[i] = NULL;
	}
}

static void watcher_ready(void *user, struct fzipc_call *call)
{
	send_event(user, call, true);
}

static const struct fzipc_call_ops watch_ops = { .cancelled = watcher_gone,
	.ready = watcher_ready };

static void watch(void *user, struct fzipc_call *call, const Fzpb__WatchRequest *request)
{
	struct fake *f = user;
	(void)request;
	for (size_t i = 0; i < MAX_WATCHERS; i++) {
		if (f->watchers[i])
			continue;
		f->watchers[i] = call;
		fzipc_call_keep(call, &watch_ops, f);
		send_event(f, call, false);
		return;
	}
	fzipc_call_fail(call, FZPB__ERROR__CODE__LIMIT, "Too many watchers.", NULL);
}

/* SIGUSR1: 100 events for every watcher. */
static void emit(struct fake *f)
{
	for (size_t i = 0; i < MAX_WATCHERS; i++) {
		for (int k = 0; f->watchers[i] && k < 100; k++)
			send_event(f, f->watchers[i], false);
	}
}

/* ---- everything else ---- */

static void show_host(void *user, struct fzipc_call *call, const Fzpb__HostRequest *request)
{
	(void)request;
	fzipc_reply_show_host(call, answer(user, &fzpb__host_changes__descriptor,
					    "{\"changes\":[{\"kind\":\"interface\",\"what\":\"tun-"
					    "firezone\",\"state\":\"present\","
					    "\"at\":\"2026-11-23T10:02:11Z\"},{\"kind\":\"rule\","
					    "\"what\":\"not fwmark 0xfd002021 lookup 539950336\","
					    "\"state\":\"missing\"}],\"drift\":true}"));
}

static void revert_host(void *user, struct fzipc_call *call, const Fzpb__HostRevertRequest *request)
{
	(void)request;
	fzipc_reply_revert_host(call,
		answer(user, &fzpb__host_changes__descriptor, "{\"changes\":[],\"drift\":false}"));
}

static void get_settings(void *user, struct fzipc_call *call, const Fzpb__SettingsRequest *request)
{
	if (request->key && strcmp(request->key, "api_url") != 0 &&
		strcmp(request->key, "log_filter") != 0)
		fzipc_call_fail(call, FZPB__ERROR__CODE__NOT_FOUND, "There is no such setting.",
			"See: firezonectl settings get");
	else
		fzipc_reply_get_settings(
			call, answer(user, &fzpb__setting_list__descriptor, settings_json));
}

static void set_setting(void *user, struct fzipc_call *call, const Fzpb__SetSettingRequest *request)
{
	if (request->key && strcmp(request->key, "api_url") == 0)
		fzipc_call_fail(
			call, FZPB__ERROR__CODE__POLICY, "The organisation set this.", NULL);
	else
		fzipc_reply_set_setting(
			call, answer(user, &fzpb__setting_list__descriptor, settings_json));
}

static void unset_setting(void *user, struct fzipc_call *call, const Fzpb__SettingsRequest *request)
{
	(void)request;
	fzipc_reply_unset_setting(
		call, answer(user, &fzpb__setting_list__descriptor, settings_json));
}

static void validate_settings(
	void *user, struct fzipc_call *call, const Fzpb__ValidateRequest *request)
{
	(void)request;
	FZ_CLEANUP(fz_closep) int fd = fzipc_call_take_fd(call);
	char buf[4096] = "";
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	bool is_good = n > 0 && strstr(buf, "bad") == NULL;
	fzipc_reply_validate_settings(
		call, answer(user, &fzpb__validate_result__descriptor,
			      is_good ? "{\"valid\":true,\"problems\":[]}"
				      : "{\"valid\":false,\"problems\":[{\"file\":\"x\",\"line\":1,"
					"\"text\":\"no such key\"}]}"));
}

static void get_policy(void *user, struct fzipc_call *call, const Fzpb__PolicyRequest *request)
{
	(void)request;
	fzipc_reply_get_policy(
		call, answer(user, &fzpb__policy__descriptor, "{\"entries\":[],\"files\":[]}"));
}

static void reload(void *user, struct fzipc_call *call, const Fzpb__ReloadRequest *request)
{
	(void)request;
	fzipc_reply_reload(call,
		answer(user, &fzpb__reload_result__descriptor, "{\"changed\":[\"log_filter\"]}"));
}

static void logs(void *user, struct fzipc_call *call, const Fzpb__LogsRequest *request)
{
	struct fake *f = user;
	uint32_t n = request->has_lines ? request->lines : 3;
	for (uint32_t i = 0; i < n; i++) {
		char json[200];
		snprintf(json, sizeof(json),
			"{\"at\":\"2026-11-23T10:02:%02uZ\",\"level\":\"info\",\"event\":\"line-%"
			"u\",\"detail\":\"a=1\"}",
			i % 60, i);
		if (!fzipc_send_logs(call, answer(f, &fzpb__log_record__descriptor, json)))
			break;
	}
	if (request->has_follow && request->follow)
		fzipc_call_keep(call, &watch_ops, f);
	else
		fzipc_call_end(call);
}

static void get_log_level(void *user, struct fzipc_call *call, const Fzpb__LogLevelRequest *request)
{
	(void)request;
	fzipc_reply_get_log_level(call, answer(user, &fzpb__log_level__descriptor,
						"{\"filter\":\"info\",\"source\":\"default\"}"));
}

static void set_log_level(
	void *user, struct fzipc_call *call, const Fzpb__SetLogLevelRequest *request)
{
	(void)request;
	fzipc_reply_set_log_level(call, answer(user, &fzpb__log_level__descriptor,
						"{\"filter\":\"debug\",\"source\":\"stored\"}"));
}

static void bug_report(void *user, struct fzipc_call *call, const Fzpb__BugReportRequest *request)
{
	(void)request;
	FZ_CLEANUP(fz_closep) int fd = fzipc_call_take_fd(call);
	(void)!write(fd, "report", 6);
	fzipc_send_bug_report(
		call, answer(user, &fzpb__bug_report_part__descriptor,
			      "{\"name\":\"status.json\",\"size\":6,\"about\":\"the state\"}"));
	fzipc_call_end(call);
}

/* ---- the session ---- */

static const char resource_json[] =
	"{\"id\":\"11111111-2222-3333-4444-555555555555\",\"name\":\"prod-db\",\"type\":\"cidr\","
	"\"address\":\"10.0.0.0/"
	"16\",\"sites\":[{\"id\":\"s1\",\"name\":\"fra1\"}],\"site\":\"fra1\","
	"\"status\":\"online\",\"enabled\":true,\"filters\":[\"tcp/5432\"]}";
static const char peer_json[] =
	"{\"id\":\"gw-2\",\"name\":\"gw-2\",\"kind\":\"gateway\",\"path\":\"direct\",\"endpoint\":"
	"\"203.0.113.5:52625\",\"rtt_us\":9000,\"rx_bytes\":1,\"tx_bytes\":2,\"site\":\"fra1\"}";
static const char internet_json[] = "{\"available\":true,\"enabled\":true,\"site\":\"fra1\"}";

#define STATUS_HANDLER(name, request_type)                                                         \
	static void name(void *user, struct fzipc_call *call, const request_type *request)         \
	{                                                                                          \
		(void)request;                                                                     \
		fzipc_reply_##name(call, status_of(user));                                         \
	}
#define JSON_HANDLER(name, request_type, reply, json)                                              \
	static void name(void *user, struct fzipc_call *call, const request_type *request)         \
	{                                                                                          \
		(void)request;                                                                     \
		fzipc_reply_##name(call, answer(user, &fzpb__##reply##__descriptor, json));        \
	}

STATUS_HANDLER(up, Fzpb__UpRequest)
STATUS_HANDLER(down, Fzpb__DownRequest)
STATUS_HANDLER(reset, Fzpb__ResetRequest)
STATUS_HANDLER(wait_for, Fzpb__WaitRequest)
STATUS_HANDLER(provide_token, Fzpb__ProvideTokenRequest)
STATUS_HANDLER(cancel_sign_in, Fzpb__CancelSignInRequest)
JSON_HANDLER(begin_sign_in, Fzpb__BeginSignInRequest, begin_sign_in_reply,
	"{\"url\":\"https://app.firezone.dev/acme?as=headless-client\"}")
JSON_HANDLER(
	end_session, Fzpb__EndSessionRequest, sign_out_result, "{\"account\":{\"slug\":\"acme\"}}")
JSON_HANDLER(get_resource, Fzpb__ResourceRequest, resource, resource_json)
JSON_HANDLER(enable_resource, Fzpb__ResourceRequest, resource, resource_json)
JSON_HANDLER(disable_resource, Fzpb__ResourceRequest, resource, resource_json)
JSON_HANDLER(get_internet, Fzpb__InternetRequest, internet_state, internet_json)
JSON_HANDLER(enable_internet, Fzpb__InternetRequest, internet_state, internet_json)
JSON_HANDLER(disable_internet, Fzpb__InternetRequest, internet_state, internet_json)
JSON_HANDLER(get_peer, Fzpb__PeerRequest, peer, peer_json)
JSON_HANDLER(list_routes, Fzpb__RoutesRequest, route_list,
	"{\"routes\":[{\"destination\":\"10.0.0.0/16\",\"interface\":\"tun-firezone\",\"table\":"
	"\"1179212288\",\"why\":\"prod-db\",\"state\":\"present\"}]}")

static void finish_sign_in(
	void *user, struct fzipc_call *call, const Fzpb__FinishSignInRequest *request)
{
	char buf[64] = "";
	ssize_t n = pread(fzipc_call_fd(call), buf, sizeof(buf), 0);
	if (!request->callback_url && n <= 0)
		fzipc_call_fail(
			call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "There is no token.", NULL);
	else
		fzipc_reply_finish_sign_in(call,
			answer(user, &fzpb__sign_in_result__descriptor,
				request->callback_url
					? "{\"account\":{\"slug\":\"acme\",\"actor\":\"Jane\"}}"
					: "{\"account\":{\"slug\":\"by-token\"}}"));
}

/* {"LIST":[FIRST, then one for each --name, with an id by its number]} */
static void put_list(
	const struct fake *f, const char *list, const char *first, struct fz_bytebuf *out)
{
	char text[1000];
	snprintf(text, sizeof(text), "{\"%s\":[%s", list, first);
	(void)!fz_bytebuf_append(out, fz_bytes_of_str(text));
	for (size_t i = 0; i < f->n_names; i++) {
		snprintf(text, sizeof(text), ",{\"id\":\"id-%zu\",\"name\":", i);
		(void)!fz_bytebuf_append(out, fz_bytes_of_str(text));
		(void)!fzipc_json_write_text(f->names[i], out);
		(void)!fz_bytebuf_append(out, fz_bytes_of_str("}"));
	}
	(void)!fz_bytebuf_append(out, fz_bytes_of("]}", 3)); /* with its end */
}

static void list_resources(
	void *user, struct fzipc_call *call, const Fzpb__ListResourcesRequest *request)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf json;
	(void)request;
	fz_bytebuf_init(&json, 65536);
	put_list(user, "resources", resource_json, &json);
	fzipc_reply_list_resources(
		call, answer(user, &fzpb__resource_list__descriptor, (const char *)json.p));
}

static void list_peers(void *user, struct fzipc_call *call, const Fzpb__ListPeersRequest *request)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf json;
	(void)request;
	fz_bytebuf_init(&json, 65536);
	put_list(user, "peers", peer_json, &json);
	fzipc_reply_list_peers(
		call, answer(user, &fzpb__peer_list__descriptor, (const char *)json.p));
}

static void explain(void *user, struct fzipc_call *call, const Fzpb__ExplainRequest *request)
{
	char json[1600];
	(void)request;
	snprintf(json, sizeof(json),
		"{\"destination\":\"10.0.3.7:443\",\"verdict\":\"tunnel\",\"resource\":%s,"
		"\"site\":\"fra1\",\"peer\":%s,\"rule\":\"10.0.0.0/16\"}",
		resource_json, peer_json);
	fzipc_reply_explain(call, answer(user, &fzpb__explanation__descriptor, json));
}

static void get_metrics(void *user, struct fzipc_call *call, const Fzpb__MetricsRequest *request)
{
	(void)request;
	fzipc_reply_get_metrics(
		call, answer(user, &fzpb__metric_set__descriptor,
			      "{\"metrics\":[{\"name\":\"firezone_rx_bytes\",\"kind\":\"counter\","
			      "\"value\":12345,\"unit\":\"bytes\","
			      "\"help\":\"received\"},{\"name\":\"firezone_drops\",\"kind\":"
			      "\"counter\",\"value\":3,"
			      "\"labels\":[\"why=replay\"]},{\"name\":\"firezone_drops\",\"kind\":"
			      "\"counter\",\"value\":4,"
			      "\"labels\":[\"why=\\\"q\\\"\"]}]}"));
}

static void get_health(void *user, struct fzipc_call *call, const Fzpb__HealthRequest *request)
{
	struct fake *f = user;
	bool is_up = !f->state || strcmp(f->state, "up") == 0;
	(void)request;
	fzipc_reply_get_health(call, answer(user, &fzpb__health__descriptor,
					     is_up ? "{\"healthy\":true}"
						   : "{\"healthy\":false,\"reason\":\"not up\"}"));
}

static void bench(void *user, struct fzipc_call *call, const Fzpb__BenchRequest *request)
{
	(void)request;
	fzipc_send_bench(call, answer(user, &fzpb__bench_result__descriptor,
				       "{\"name\":\"loopback\",\"bits_per_second\":7300000000,"
				       "\"packets_per_second\":800000,\"done\":true}"));
	fzipc_call_end(call);
}

static const char token_json[] =
	"{\"service_mode\":true,\"source\":\"imported\",\"verdict\":\"valid\"}";

static void import_token(
	void *user, struct fzipc_call *call, const Fzpb__ImportTokenRequest *request)
{
	(void)request;
	FZ_CLEANUP(fz_closep) int fd = fzipc_call_take_fd(call);
	char buf[64] = "";
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		fzipc_call_fail(
			call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "The token is empty.", NULL);
	else
		fzipc_reply_import_token(
			call, answer(user, &fzpb__token_status__descriptor, token_json));
}

static void remove_token(
	void *user, struct fzipc_call *call, const Fzpb__RemoveTokenRequest *request)
{
	(void)request;
	fzipc_reply_remove_token(call, answer(user, &fzpb__token_status__descriptor,
					       "{\"service_mode\":false,\"source\":\"none\"}"));
}

static void get_token_status(
	void *user, struct fzipc_call *call, const Fzpb__TokenStatusRequest *request)
{
	(void)request;
	fzipc_reply_get_token_status(
		call, answer(user, &fzpb__token_status__descriptor, token_json));
}

static void get_version(void *user, struct fzipc_call *call, const Fzpb__VersionRequest *request)
{
	(void)request;
	fzipc_reply_get_version(call, answer(user, &fzpb__version__descriptor,
					      "{\"daemon\":\"0.1.0\",\"protocol\":\"1.0\"}"));
}

static const struct fzipc_handlers handlers = {
	.get_status = get_status,
	.up = up,
	.down = down,
	.reset = reset,
	.watch = watch,
	.wait_for = wait_for,
	.begin_sign_in = begin_sign_in,
	.finish_sign_in = finish_sign_in,
	.end_session = end_session,
	.provide_token = provide_token,
	.cancel_sign_in = cancel_sign_in,
	.list_resources = list_resources,
	.get_resource = get_resource,
	.enable_resource = enable_resource,
	.disable_resource = disable_resource,
	.get_internet = get_internet,
	.enable_internet = enable_internet,
	.disable_internet = disable_internet,
	.explain = explain,
	.list_peers = list_peers,
	.get_peer = get_peer,
	.show_host = show_host,
	.revert_host = revert_host,
	.list_routes = list_routes,
	.get_settings = get_settings,
	.set_setting = set_setting,
	.unset_setting = unset_setting,
	.validate_settings = validate_settings,
	.get_policy = get_policy,
	.reload = reload,
	.logs = logs,
	.get_log_level = get_log_level,
	.set_log_level = set_log_level,
	.bug_report = bug_report,
	.get_metrics = get_metrics,
	.get_health = get_health,
	.bench = bench,
	.import_token = import_token,
	.remove_token = remove_token,
	.get_token_status = get_token_status,
	.get_version = get_version,
};

static void world(void *user, struct fzipc_world *ret_world)
{
	*ret_world = ((struct fake *)user)->world;
}

static fz_time now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (fz_time){ (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec };
}

static void print_stats(const struct fzipc_server *s)
{
	struct fzipc_server_stats stats;
	struct rusage usage;
	fzipc_server_stats(s, &stats);
	getrusage(RUSAGE_SELF, &usage);
	printf("connections=%u accepted=%llu turned_away=%llu calls=%llu refused=%llu memory=%zu "
	       "maxrss_kib=%ld\n",
		stats.connections, (unsigned long long)stats.accepted,
		(unsigned long long)stats.turned_away, (unsigned long long)stats.calls,
		(unsigned long long)stats.refused, stats.memory, usage.ru_maxrss);
	fflush(stdout);
}

static int until(fz_time deadline)
{
	if (fz_time_is_never(deadline))
		return -1;
	uint64_t ms = fz_time_since(deadline, now()).ns / 1000000 + 1;
	return ms > 3600000 ? 3600000 : (int)ms;
}

/* SIGTERM ends politely, SIGUSR1 emits events, SIGUSR2 prints statistics. */
static void loop(struct fake *f, struct fzipc_server *s, int signals)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = fzipc_server_fd(s), .events = POLLIN },
			{ .fd = signals, .events = POLLIN } };
		poll(p, 2, until(fzipc_server_deadline(s)));
		fzipc_server_process(s, now());
		struct signalfd_siginfo info;
		if (!p[1].revents || read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo == SIGUSR1)
			emit(f);
		else if (info.ssi_signo == SIGUSR2)
			print_stats(s);
		else
			break;
	}
	fzipc_server_stop(s, now(), "The daemon stops.");
	fzipc_server_process(s, now());
}

static const struct option options[] = { { "socket", required_argument, NULL, 's' },
	{ "group", required_argument, NULL, 'g' }, { "service-mode", no_argument, NULL, 'm' },
	{ "signed-in", no_argument, NULL, 'i' }, { "owner", required_argument, NULL, 'o' },
	{ "mode", required_argument, NULL, 'c' }, { "memory", required_argument, NULL, 'l' },
	{ "state", required_argument, NULL, 'S' }, { "per-user", required_argument, NULL, 'u' },
	{ "listen-fd", required_argument, NULL, 'f' }, { "name", required_argument, NULL, 'n' },
	{ 0 } };

static void parse(
	int argc, char **argv, struct fake *f, struct fzipc_server_config *c, mode_t *ret_mode)
{
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case 's': c->path = optarg; break;
		case 'g': c->group = (gid_t)strtoul(optarg, NULL, 10); break;
		case 'm': f->world.service_mode = true; break;
		case 'i': f->world.is_signed_in = true; break;
		case 'o':
			f->world.is_owned = true;
			f->world.owner_uid = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'c': *ret_mode = (mode_t)strtoul(optarg, NULL, 8); break;
		case 'l': c->limits.memory = strtoul(optarg, NULL, 10); break;
		case 'S': f->state = optarg; break;
		case 'n': f->names[f->n_names++ % MAX_NAMES] = optarg; break;
		case 'f': c->listen_fd = (int)strtol(optarg, NULL, 10); break;
		case 'u': c->limits.per_user = (unsigned)strtoul(optarg, NULL, 10); break;
		default: exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct fake f = { .state = NULL };
	mode_t mode = 0;
	struct fzipc_server_config config = { .listen_fd = -1,
		.group = (gid_t)-1,
		.daemon = { .version = "0.1.0", .boot_id = "test", .instance = "default" },
		.handlers = &handlers,
		.world = world,
		.user = &f };
	parse(argc, argv, &f, &config, &mode);
	config.root = geteuid() == 0 ? 0 : geteuid();
	fzipc_arena_init(&f.arena, 1u << 20);
	fz_log_set_level(FZ_LOG_WARNING);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	FZ_CLEANUP(fz_closep) int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct fzipc_server *s;
	int r = fzipc_server_new(&s, &config, now());
	if (r < 0) {
		fprintf(stderr, "fake_daemon: %s\n", strerror(-r));
		return 1;
	}
	if (mode)
		(void)!chmod(config.path, mode);
	puts("ready");
	fflush(stdout);
	loop(&f, s, signals);
	fzipc_server_free(s);
	fzipc_arena_reset(&f.arena);
	return 0;
}
