/*
 * A conversation of protocol 1.0 with what tests/unit/test_ipc_machines.c's lacks: requests with fields, a descriptor, an answer of
 * several parts, refusals, a stream that is behind and made up for in one message, credit. Recorded in tests/ipc/golden and replayed
 * to either end. What has been recorded of 1.0 is never recorded again: FZ_RECORD=1 only makes files that are missing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/caller.h"
#include "ipc/firezone.pb-c.h"
#include "ipc/json.h"
#include "ipc/methods.h"
#include "ipc/serve.h"
#include "support/test.h"

#define START    ((fz_time){ 1000000000000 })
#define LOG_MAX  65536
#define N_CALLS  6
#define N_EVENTS 40

/* What one end saw, as text. */
struct notes {
	struct fz_bytebuf text;
};

static void note(struct notes *n, const char *fmt, ...) FZ_PRINTF(2, 3);

static void note(struct notes *n, const char *fmt, ...)
{
	char line[256];
	va_list args;
	va_start(args, fmt);
	int len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	CHECK_INT(fz_bytebuf_append(&n->text, fz_bytes_of(line, (size_t)len)), 0);
}

static void note_message(struct notes *n, const ProtobufCMessage *msg)
{
	CHECK_INT(fzipc_json_write(msg, &n->text), 0);
	note(n, "\n");
}

/* Compares, and forgets. */
static void check_notes(struct notes *n, const char *want)
{
	note(n, "%c", '\0');
	CHECK_STR((const char *)n->text.p, want);
	fz_bytebuf_done(&n->text);
}

/* ---- the daemon's end ---- */

struct desk {
	struct fzipc_who who;
	struct fzipc_daemon daemon;
	struct fzipc_serve *serve;
	struct fzipc_call *watcher;
	struct notes notes;
};

static void desk_world(void *user, struct fzipc_world *ret_world)
{
	(void)user;
	*ret_world = (struct fzipc_world){ .is_signed_in = true };
}

static void desk_gone(void *user, struct fzipc_call *call)
{
	struct desk *d = user;
	(void)call;
	d->watcher = NULL;
	note(&d->notes, "cancelled\n");
}

/* One message for all that was missed. */
static void desk_ready(void *user, struct fzipc_call *call)
{
	struct desk *d = user;
	Fzpb__Event e = FZPB__EVENT__INIT;
	Fzpb__Resync resync = FZPB__RESYNC__INIT;
	resync.has_missed = true;
	resync.missed = fzipc_call_missed(call);
	e.kind_case = FZPB__EVENT__KIND_RESYNC;
	e.resync = &resync;
	CHECK(fzipc_call_send(call, &e.base));
	note(&d->notes, "made up for %llu\n", (unsigned long long)resync.missed);
}

static const struct fzipc_call_ops watch_ops = { .cancelled = desk_gone, .ready = desk_ready };

static void watch(struct desk *d, struct fzipc_call *call)
{
	unsigned n = 0;
	d->watcher = call;
	fzipc_call_keep(call, &watch_ops, d);
	for (uint64_t seq = 1; seq <= N_EVENTS; seq++) {
		Fzpb__Event e = FZPB__EVENT__INIT;
		Fzpb__Notice notice = FZPB__NOTICE__INIT;
		char text[] = "something happened";
		e.has_seq = e.has_at = notice.has_code = true;
		e.seq = seq;
		e.at = 1795428131000000000;
		notice.code = FZPB__NOTICE__CODE__PORTAL_BACK;
		notice.text = text;
		e.kind_case = FZPB__EVENT__KIND_NOTICE;
		e.notice = &notice;
		n += fzipc_call_send(call, &e.base);
	}
	note(&d->notes, "%u events sent\n", n);
}

static void settings(struct fzipc_call *call)
{
	char key[] = "api_url", value[] = "wss://portal.example/", origin[] = "/etc/x.conf:3";
	Fzpb__Setting s = FZPB__SETTING__INIT, *all[] = { &s };
	Fzpb__SettingList list = FZPB__SETTING_LIST__INIT;
	s.key = key;
	s.value = value;
	s.origin = origin;
	s.has_source = s.has_needs_restart = true;
	s.source = FZPB__SETTING__SOURCE__FILE;
	s.needs_restart = false;
	list.n_settings = 1;
	list.settings = all;
	fzipc_call_reply(call, &list.base);
}

static void validate(struct desk *d, struct fzipc_call *call)
{
	char text[32] = "", name[] = "x.conf", problem[] = "no such key";
	int fd = fzipc_call_take_fd(call);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	note(&d->notes, "the file says %s\n", text);
	Fzpb__ValidateProblem p = FZPB__VALIDATE_PROBLEM__INIT, *all[] = { &p };
	Fzpb__ValidateResult result = FZPB__VALIDATE_RESULT__INIT;
	p.file = name;
	p.has_line = result.has_valid = true;
	p.line = 7;
	p.text = problem;
	result.n_problems = 1;
	result.problems = all;
	fzipc_call_reply(call, &result.base);
}

static void down(struct fzipc_call *call)
{
	char interface[] = "tun-firezone", a[] = "192.0.2.1", b[] = "2001:db8::1";
	char *upstreams[] = { a, b };
	Fzpb__Status s = FZPB__STATUS__INIT;
	Fzpb__Tunnel tunnel = FZPB__TUNNEL__INIT;
	Fzpb__DnsStatus dns = FZPB__DNS_STATUS__INIT;
	s.has_state = s.has_since = s.has_service_mode = tunnel.has_rx_bytes = true;
	s.state = FZPB__STATUS__STATE__PAUSED;
	s.since = 1795428131000000000;
	tunnel.interface = interface;
	tunnel.rx_bytes = UINT64_MAX;
	s.tunnel = &tunnel;
	dns.n_upstreams = 2;
	dns.upstreams = upstreams;
	s.dns = &dns;
	fzipc_call_reply(call, &s.base);
}

static void desk_dispatch(
	void *user, size_t index, struct fzipc_call *call, const ProtobufCMessage *request)
{
	struct desk *d = user;
	note(&d->notes, "%s ", fzipc_methods[index].name);
	note_message(&d->notes, request);
	switch (index) {
	case FZIPC_GET_SETTINGS: settings(call); break;
	case FZIPC_SET_SETTING:
		fzipc_call_fail(call, FZPB__ERROR__CODE__POLICY, "The organisation decides.",
			"See: firezonectl policy show");
		break;
	case FZIPC_VALIDATE_SETTINGS: validate(d, call); break;
	case FZIPC_DOWN: down(call); break;
	case FZIPC_WATCH: watch(d, call); break;
	default: TEST_FAIL("a call that was not made: %zu", index);
	}
}

static const struct fzipc_serve_ops serve_ops = { .world = desk_world, .dispatch = desk_dispatch };

static void desk_open(struct desk *d)
{
	*d = (struct desk){ .who = { .uid = 5, .is_root = true },
		.daemon = { .version = "0.1.0", .boot_id = "b", .instance = "default" } };
	fz_bytebuf_init(&d->notes.text, LOG_MAX);
	d->serve = fzipc_serve_new(&serve_ops, d, &d->who, NULL, &d->daemon, START);
	CHECK(d->serve != NULL);
}

/* True if this frame is the call that a descriptor rides on. */
static bool has_descriptor(struct fz_bytes payload)
{
	Fzpb__Envelope *e = fzpb__envelope__unpack(NULL, payload.n, payload.p);
	CHECK(e != NULL);
	bool yes = e->body_case == FZPB__ENVELOPE__BODY_CALL &&
		   e->call->method == fzipc_methods[FZIPC_VALIDATE_SETTINGS].id;
	fzpb__envelope__free_unpacked(e, NULL);
	return yes;
}

static int make_file(void)
{
	static const char text[] = "nonsense = 1";
	int fd = memfd_create("golden", MFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, sizeof(text) - 1), (long)sizeof(text) - 1);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Whole frames, as a socket would bring them. */
static void deliver(struct desk *d, struct fz_bytes in)
{
	struct fz_reader r = fz_reader_of(in);
	while (r.left > 0) {
		struct fz_bytes head = fz_reader_take(&r, 4);
		struct fz_reader h = fz_reader_of(head);
		struct fz_bytes payload = fz_reader_take(&r, fz_reader_le32(&h));
		CHECK(!r.bad);
		int fds[1] = { -1 };
		size_t n = has_descriptor(payload);
		if (n)
			fds[0] = make_file();
		fzipc_serve_feed(d->serve, START, head, fds, n, n);
		fzipc_serve_feed(d->serve, START, payload, fds, n, 0);
		CHECK(fzipc_serve_is_at_start(d->serve));
		CHECK_INT(fds[0], -1);
	}
}

/* ---- the client's end ---- */

struct answers {
	struct notes *notes;
	unsigned n_events;
};

static void on_message(void *user, const ProtobufCMessage *msg)
{
	struct answers *a = user;
	const Fzpb__Event *e = (const Fzpb__Event *)(const void *)msg;
	bool is_notice = msg->descriptor == &fzpb__event__descriptor &&
			 e->kind_case == FZPB__EVENT__KIND_NOTICE;
	a->n_events += is_notice;
	if (!is_notice || e->seq == 1)
		note_message(a->notes, msg);
}

static void on_done(void *user, const Fzpb__Error *error_maybe)
{
	struct answers *a = user;
	if (a->n_events > 0)
		note(a->notes, "%u events\n", a->n_events);
	if (error_maybe)
		note_message(a->notes, &error_maybe->base);
	note(a->notes, "done\n");
}

static const struct fzipc_answer_ops answer_ops = { .message = on_message, .done = on_done };

static uint32_t ask(struct fzipc_caller *c, const struct fzipc_method *method,
	const ProtobufCMessage *request, struct answers *a)
{
	uint32_t stream = fzipc_caller_call(c, method, request, 1500, &answer_ops, a);
	CHECK(stream != 0);
	return stream;
}

/* The watch's stream. */
static uint32_t ask_all(struct fzipc_caller *c, struct answers a[static N_CALLS])
{
	char key[] = "api_url", value[] = "wss://\xc3\xa4.example/", file[] = "x.conf";
	struct fzipc_method of_later = fzipc_methods[FZIPC_GET_STATUS];
	Fzpb__SettingsRequest get = FZPB__SETTINGS_REQUEST__INIT;
	Fzpb__SetSettingRequest set = FZPB__SET_SETTING_REQUEST__INIT;
	Fzpb__ValidateRequest judge = FZPB__VALIDATE_REQUEST__INIT;
	Fzpb__DownRequest pause = FZPB__DOWN_REQUEST__INIT;
	Fzpb__StatusRequest nothing = FZPB__STATUS_REQUEST__INIT;
	Fzpb__WatchRequest look = FZPB__WATCH_REQUEST__INIT;
	Fzpb__WatchRequest__Topic topics[] = { FZPB__WATCH_REQUEST__TOPIC__STATE,
		FZPB__WATCH_REQUEST__TOPIC__NOTIFY };
	get.key = set.key = key;
	set.value = value;
	judge.file = file;
	pause.has_for_ms = true;
	pause.for_ms = 600000;
	of_later.id = 9999;
	look.n_events = 2;
	look.events = topics;
	ask(c, &fzipc_methods[FZIPC_GET_SETTINGS], &get.base, &a[0]);
	ask(c, &fzipc_methods[FZIPC_SET_SETTING], &set.base, &a[1]);
	ask(c, &fzipc_methods[FZIPC_VALIDATE_SETTINGS], &judge.base, &a[2]);
	ask(c, &fzipc_methods[FZIPC_DOWN], &pause.base, &a[3]);
	ask(c, &of_later, &nothing.base, &a[4]);
	return ask(c, &fzipc_methods[FZIPC_WATCH], &look.base, &a[5]);
}

static void receive(struct fzipc_caller *c, struct fz_bytes in)
{
	struct fz_reader r = fz_reader_of(in);
	while (r.left > 0) {
		size_t want = fzipc_caller_want(c);
		CHECK_INT(
			fzipc_caller_feed(c, fz_reader_take(&r, want < r.left ? want : r.left)), 0);
	}
}

/* ---- recorded and compared ---- */

static const char seen_by_daemon[] =
	"Settings.GetSettings {\"schema\":\"firezone.SettingsRequest/1\",\"key\":\"api_url\"}\n"
	"Settings.SetSetting {\"schema\":\"firezone.SetSettingRequest/1\",\"key\":\"api_url\","
	"\"value\":\"wss://\xc3\xa4.example/\"}\n"
	"Settings.ValidateSettings "
	"{\"schema\":\"firezone.ValidateRequest/1\",\"file\":\"x.conf\"}\n"
	"the file says nonsense = 1\n"
	"Session.Down {\"schema\":\"firezone.DownRequest/1\",\"for_ms\":600000}\n"
	"Session.Watch {\"schema\":\"firezone.WatchRequest/1\",\"events\":[\"state\",\"notify\"]}\n"
	"32 events sent\n"
	"made up for 8\n"
	"cancelled\n";
static const char seen_by_client[] =
	"{\"schema\":\"firezone.SettingList/1\",\"settings\":[{\"key\":\"api_url\",\"valu"
	"e\":\"wss://portal.example/\",\"source\":\"file\",\"origin\":\"/etc/x.conf:3\","
	"\"needs_restart\":false}]}\n"
	"done\n"
	"{\"schema\":\"firezone.Error/1\",\"code\":\"policy\",\"message\":\"The organisat"
	"ion decides.\",\"hint\":\"See: firezonectl policy show\"}\n"
	"done\n"
	"{\"schema\":\"firezone.ValidateResult/1\",\"valid\":false,\"problems\":[{\"file"
	"\":\"x.conf\",\"line\":7,\"text\":\"no such key\"}]}\n"
	"done\n"
	"{\"schema\":\"firezone.Status/1\",\"state\":\"paused\",\"since\":\"2026-11-23T10"
	":02:11Z\",\"service_mode\":false,\"tunnel\":{\"interface\":\"tun-firezone\",\"rx"
	"_bytes\":\"18446744073709551615\"},\"dns\":{\"search\":[],\"upstreams\":[\"192.0"
	".2.1\",\"2001:db8::1\"],\"sentinels\":[]},\"warnings\":[]}\n"
	"done\n"
	"{\"schema\":\"firezone.Error/1\",\"code\":\"unknown_method\",\"message\":\"This "
	"daemon does not know that method.\"}\n"
	"done\n"
	"{\"schema\":\"firezone.Event/1\",\"seq\":1,\"at\":\"2026-11-23T10:02:11Z\",\"not"
	"ice\":{\"code\":\"portal_back\",\"text\":\"something happened\"}}\n"
	"{\"schema\":\"firezone.Event/1\",\"resync\":{\"missed\":8}}\n"
	"32 events\n"
	"{\"schema\":\"firezone.Error/1\",\"code\":\"cancelled\",\"message\":\"Cancelled."
	"\"}\n"
	"done\n";

static void golden_path(const char *name, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/1.0-calls-%s.bin", FZ_IPC_GOLDEN, name);
}

static size_t read_golden(const char *name, uint8_t *buf, size_t cap)
{
	char path[512];
	golden_path(name, path, sizeof(path));
	FILE *f = fopen(path, "rb");
	if (!f)
		TEST_FAIL("no %s; FZ_RECORD=1 records it", path);
	size_t n = fread(buf, 1, cap, f);
	fclose(f);
	return n;
}

/* Only what is missing: the exclusive mode refuses to replace a released conversation. */
static void record(const char *name, struct fz_bytes b)
{
	char path[512];
	golden_path(name, path, sizeof(path));
	FILE *f = fopen(path, "wbx");
	if (!f && errno == EEXIST)
		return;
	CHECK(f != NULL);
	CHECK_UINT(fwrite(b.p, 1, b.n, f), b.n);
	fclose(f);
}

/* Carries all bytes both ways until nothing moves, and logs them. */
static void pump(
	struct fzipc_caller *c, struct desk *d, struct fz_bytebuf *up, struct fz_bytebuf *down)
{
	for (;;) {
		struct fz_bytes out = fzipc_caller_output(c);
		if (out.n == 0 && fzipc_serve_output(d->serve).n == 0)
			return;
		CHECK_INT(fz_bytebuf_append(up, out), 0);
		deliver(d, out);
		fzipc_caller_wrote(c, out.n);
		struct fz_bytes in = fzipc_serve_output(d->serve);
		CHECK_INT(fz_bytebuf_append(down, in), 0);
		receive(c, in);
		fzipc_serve_wrote(d->serve, START, in.n);
	}
}

static void open_client(struct fzipc_caller **ret_c, struct notes *notes, struct answers *a)
{
	*ret_c = fzipc_caller_new("golden", "1");
	CHECK(*ret_c != NULL);
	fz_bytebuf_init(&notes->text, LOG_MAX);
	for (size_t i = 0; i < N_CALLS; i++)
		a[i] = (struct answers){ .notes = notes };
}

TEST(golden_calls, both_ends_still_write_what_they_wrote)
{
	struct desk d;
	struct fzipc_caller *c;
	struct notes notes;
	struct answers a[N_CALLS];
	struct fz_bytebuf up, down;
	static uint8_t want[LOG_MAX];
	fz_bytebuf_init(&up, LOG_MAX);
	fz_bytebuf_init(&down, LOG_MAX);
	desk_open(&d);
	open_client(&c, &notes, a);
	uint32_t stream = ask_all(c, a);
	pump(c, &d, &up, &down);
	fzipc_caller_cancel(c, stream);
	pump(c, &d, &up, &down);
	check_notes(&d.notes, seen_by_daemon);
	check_notes(&notes, seen_by_client);
	if (getenv("FZ_RECORD")) {
		record("up", fz_bytebuf_bytes(&up));
		record("down", fz_bytebuf_bytes(&down));
	}
	CHECK_UINT(read_golden("up", want, sizeof(want)), up.len);
	CHECK_MEM(up.p, want, up.len);
	CHECK_UINT(read_golden("down", want, sizeof(want)), down.len);
	CHECK_MEM(down.p, want, down.len);
	fz_bytebuf_done(&up);
	fz_bytebuf_done(&down);
	fzipc_caller_free(c);
	fzipc_serve_free(d.serve);
}

TEST(golden_calls, todays_daemon_understands_a_client_of_1_0)
{
	struct desk d;
	static uint8_t up[LOG_MAX];
	size_t n = read_golden("up", up, sizeof(up));
	desk_open(&d);
	deliver(&d, fz_bytes_of(up, n));
	CHECK(!fzipc_serve_is_closing(d.serve));
	check_notes(&d.notes, seen_by_daemon);
	fzipc_serve_free(d.serve);
}

TEST(golden_calls, todays_client_understands_a_daemon_of_1_0)
{
	struct fzipc_caller *c;
	struct notes notes;
	struct answers a[N_CALLS];
	static uint8_t down[LOG_MAX];
	size_t n = read_golden("down", down, sizeof(down));
	open_client(&c, &notes, a);
	ask_all(c, a);
	receive(c, fz_bytes_of(down, n));
	CHECK_UINT(fzipc_caller_open_calls(c), 0);
	check_notes(&notes, seen_by_client);
	fzipc_caller_free(c);
}
