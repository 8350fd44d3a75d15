/*
 * Both machines of a connection, without a socket: the daemon's (serve) and the client's (caller), in virtual time;
 * and the recorded conversations of tests/ipc/golden, replayed to each.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "ipc/caller.h"
#include "ipc/firezone.pb-c.h"
#include "ipc/frame.h"
#include "ipc/methods.h"
#include "ipc/serve.h"
#include "ipc/wire.h"
#include "support/test.h"

#define START ((fz_time){ 1000000000000 })

/* ---- a daemon with two methods: status answers, watch stays open; settings answers late ---- */

struct desk {
	struct fzipc_world world;
	struct fzipc_who who;
	struct fzipc_daemon daemon;
	struct fzipc_bucket buckets[64];
	struct fzipc_rates rates;
	struct fzipc_serve *serve;
	struct fzipc_call *kept;
	unsigned n_dispatched, n_cancelled, n_ready, n_refused;
	int taken_fd;
};

static void desk_world(void *user, struct fzipc_world *ret_world)
{
	*ret_world = ((struct desk *)user)->world;
}

static void desk_cancelled(void *user, struct fzipc_call *call)
{
	struct desk *d = user;
	if (d->kept == call)
		d->kept = NULL;
	d->n_cancelled++;
}

static bool send_event(struct desk *d, uint64_t seq)
{
	Fzpb__Event e = FZPB__EVENT__INIT;
	e.has_seq = true;
	e.seq = seq;
	return fzipc_call_send(d->kept, &e.base);
}

static void desk_ready(void *user, struct fzipc_call *call)
{
	struct desk *d = user;
	(void)call;
	d->n_ready++;
	send_event(d, 1000 + fzipc_call_missed(d->kept));
}

static const struct fzipc_call_ops desk_ops = { .cancelled = desk_cancelled, .ready = desk_ready };

static void desk_dispatch(
	void *user, size_t index, struct fzipc_call *call, const ProtobufCMessage *request)
{
	struct desk *d = user;
	char version[] = "0.1.0";
	(void)request;
	d->n_dispatched++;
	if (index == FZIPC_GET_STATUS) {
		Fzpb__Status s = FZPB__STATUS__INIT;
		s.has_state = true;
		s.state = FZPB__STATUS__STATE__UP;
		fzipc_call_reply(call, &s.base);
	} else if (index == FZIPC_GET_VERSION) {
		Fzpb__Version v = FZPB__VERSION__INIT;
		v.daemon = version;
		fzipc_call_reply(call, &v.base);
	} else if (index == FZIPC_GET_HEALTH) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__UNAVAILABLE, "Not now.", "Later.");
	} else {
		d->taken_fd = fzipc_call_take_fd(call);
		d->kept = call;
		fzipc_call_keep(call, &desk_ops, d);
	}
}

static void desk_refused(
	void *user, const struct fzipc_who *who, const struct fzipc_refused *refused)
{
	(void)who;
	(void)refused;
	((struct desk *)user)->n_refused++;
}

static const struct fzipc_serve_ops serve_ops = {
	.world = desk_world, .dispatch = desk_dispatch, .refused = desk_refused
};

static void desk_open(struct desk *d)
{
	*d = (struct desk){ .who = { .uid = 5, .is_root = true },
		.daemon = { .version = "0.1.0", .boot_id = "b" },
		.taken_fd = -1 };
	d->rates.methods = d->buckets;
	d->serve = fzipc_serve_new(&serve_ops, d, &d->who, &d->rates, &d->daemon, START);
	CHECK(d->serve != NULL);
}

/* Feeds bytes as a socket would; descriptors come with the first byte. */
static void feed(struct desk *d, fz_time now, struct fz_bytes in, int *fds, size_t n_fds)
{
	size_t n_new = n_fds;
	while (in.n > 0) {
		size_t want = fzipc_serve_want(d->serve);
		if (want == 0)
			return;
		size_t n = want < in.n ? want : in.n;
		fzipc_serve_feed(d->serve, now, fz_bytes_of(in.p, n), fds, n_fds, n_new);
		n_new = 0;
		if (fzipc_serve_is_at_start(d->serve))
			n_fds = 0;
		in = fz_bytes_of(in.p + n, in.n - n);
	}
}

static void feed_envelope(struct desk *d, fz_time now, const Fzpb__Envelope *e)
{
	struct fz_bytebuf payload, out;
	fz_bytebuf_init(&payload, 1u << 20);
	fz_bytebuf_init(&out, 2u << 20);
	CHECK_INT(fzipc_wire_pack(&e->base, &payload), 0);
	CHECK_INT(fzipc_frame_write(&out, fz_bytebuf_bytes(&payload), 1u << 20), 0);
	feed(d, now, fz_bytebuf_bytes(&out), NULL, 0);
	fz_bytebuf_done(&payload);
	fz_bytebuf_done(&out);
}

static void feed_hello(struct desk *d, uint32_t major)
{
	char magic[] = "FZRP";
	Fzpb__Hello hello = FZPB__HELLO__INIT;
	hello.magic = magic;
	hello.has_major = true;
	hello.major = major;
	Fzpb__Envelope e = FZPB__ENVELOPE__INIT;
	e.body_case = FZPB__ENVELOPE__BODY_HELLO;
	e.hello = &hello;
	feed_envelope(d, START, &e);
}

static void feed_call(struct desk *d, fz_time now, uint32_t stream, uint32_t method,
	uint32_t credit, uint32_t timeout_ms)
{
	Fzpb__Call call = FZPB__CALL__INIT;
	call.has_method = call.has_initial_credit = call.has_timeout_ms = true;
	call.method = method;
	call.initial_credit = credit;
	call.timeout_ms = timeout_ms;
	Fzpb__Envelope e = FZPB__ENVELOPE__INIT;
	e.has_stream = true;
	e.stream = stream;
	e.body_case = FZPB__ENVELOPE__BODY_CALL;
	e.call = &call;
	feed_envelope(d, now, &e);
}

/* The frames that are queued: how many, and the last one's body and error code. */
struct seen {
	unsigned n;
	int body, code;
};

static struct seen take_output(struct desk *d, fz_time now)
{
	struct seen seen = { 0 };
	struct fz_bytes out = fzipc_serve_output(d->serve);
	struct fz_reader r = fz_reader_of(out);
	while (r.left > 0) {
		struct fz_bytes payload = fz_reader_take(&r, fz_reader_le32(&r));
		CHECK(!r.bad);
		Fzpb__Envelope *e = fzpb__envelope__unpack(NULL, payload.n, payload.p);
		CHECK(e != NULL);
		seen.n++;
		seen.body = (int)e->body_case;
		seen.code = e->body_case == FZPB__ENVELOPE__BODY_ERROR ? (int)e->error->code : 0;
		fzpb__envelope__free_unpacked(e, NULL);
	}
	fzipc_serve_wrote(d->serve, now, out.n);
	return seen;
}

static void desk_greeted(struct desk *d)
{
	desk_open(d);
	feed_hello(d, 1);
	CHECK_INT(take_output(d, START).body, FZPB__ENVELOPE__BODY_HELLO_REPLY);
}

TEST(serve, a_client_that_does_not_greet_in_five_seconds_is_shown_out)
{
	struct desk d;
	desk_open(&d);
	CHECK_UINT(fzipc_serve_deadline(d.serve).ns, fz_time_add(START, FZ_SECONDS(5)).ns);
	fzipc_serve_expire(d.serve, fz_time_add(START, FZ_MILLISECONDS(4999)));
	CHECK(!fzipc_serve_is_closing(d.serve));
	fzipc_serve_expire(d.serve, fz_time_add(START, FZ_SECONDS(5)));
	CHECK(fzipc_serve_is_closing(d.serve));
	CHECK_INT(take_output(&d, START).code, FZPB__ERROR__CODE__TIMEOUT);
	fzipc_serve_free(d.serve);
}

TEST(serve, another_major_version_is_told_and_shown_out)
{
	struct desk d;
	desk_open(&d);
	feed_hello(&d, 2);
	CHECK_INT(take_output(&d, START).code, FZPB__ERROR__CODE__UNSUPPORTED);
	CHECK(fzipc_serve_is_closing(d.serve));
	CHECK_UINT(fzipc_serve_want(d.serve), 0);
	fzipc_serve_free(d.serve);
}

TEST(serve, an_idle_connection_ends_after_a_minute_but_not_while_a_call_is_open)
{
	struct desk d;
	desk_greeted(&d);
	fz_time later = fz_time_add(START, FZ_SECONDS(59));
	feed_call(&d, later, 1, 5, 4, 0);
	fzipc_serve_expire(d.serve, fz_time_add(START, FZ_SECONDS(3600)));
	CHECK(!fzipc_serve_is_closing(d.serve));
	fz_time end = fz_time_add(START, FZ_SECONDS(7200));
	fzipc_serve_wrote(d.serve, end, 0);
	fzipc_call_end(d.kept);
	take_output(&d, end);
	fzipc_serve_expire(d.serve, fz_time_add(end, FZ_SECONDS(59)));
	CHECK(!fzipc_serve_is_closing(d.serve));
	fzipc_serve_expire(d.serve, fz_time_add(end, FZ_SECONDS(60)));
	CHECK(fzipc_serve_is_closing(d.serve));
	fzipc_serve_free(d.serve);
}

TEST(serve, an_answer_that_comes_hours_later_starts_new_waiting_times)
{
	struct desk d;
	desk_greeted(&d);
	feed_call(&d, START, 1, 5, 4, 0);
	fz_time late = fz_time_add(START, FZ_SECONDS(7200));
	CHECK(send_event(&d, 1)); /* nobody tells the machine the time here */
	fzipc_call_end(d.kept);
	CHECK(fz_time_is_never(fzipc_serve_deadline(d.serve)));
	fzipc_serve_expire(d.serve, late);
	CHECK(!fzipc_serve_is_closing(d.serve));
	CHECK_UINT(fzipc_serve_deadline(d.serve).ns, fz_time_add(late, FZ_SECONDS(30)).ns);
	CHECK_UINT(take_output(&d, late).n, 2);
	CHECK_UINT(fzipc_serve_deadline(d.serve).ns, fz_time_add(late, FZ_SECONDS(60)).ns);
	fzipc_serve_expire(d.serve, fz_time_add(late, FZ_SECONDS(60)));
	CHECK(fzipc_serve_is_closing(d.serve));
	fzipc_serve_free(d.serve);
}

TEST(serve, a_call_ends_at_its_timeout)
{
	struct desk d;
	desk_greeted(&d);
	feed_call(&d, START, 1, 5, 4, 250);
	CHECK_UINT(fzipc_serve_deadline(d.serve).ns, fz_time_add(START, FZ_MILLISECONDS(250)).ns);
	fzipc_serve_expire(d.serve, fz_time_add(START, FZ_MILLISECONDS(250)));
	CHECK_UINT(d.n_cancelled, 1);
	CHECK_INT(take_output(&d, START).code, FZPB__ERROR__CODE__TIMEOUT);
	CHECK(!fzipc_serve_is_closing(d.serve));
	fzipc_serve_free(d.serve);
	CHECK_UINT(d.n_cancelled, 1);
}

TEST(serve, a_stream_sends_as_far_as_its_credit_and_makes_up_in_one_message)
{
	struct desk d;
	desk_greeted(&d);
	feed_call(&d, START, 1, 5, 2, 0);
	CHECK(send_event(&d, 1) && send_event(&d, 2));
	for (uint64_t i = 3; i < 100; i++)
		CHECK(!send_event(&d, i));
	CHECK_UINT(take_output(&d, START).n, 2);
	CHECK_UINT(fzipc_call_missed(d.kept), 97);
	Fzpb__Credit credit = FZPB__CREDIT__INIT;
	credit.has_messages = true;
	credit.messages = 2;
	Fzpb__Envelope e = FZPB__ENVELOPE__INIT;
	e.has_stream = true;
	e.stream = 1;
	e.body_case = FZPB__ENVELOPE__BODY_CREDIT;
	e.credit = &credit;
	feed_envelope(&d, START, &e);
	CHECK_UINT(d.n_ready, 1);
	CHECK_UINT(take_output(&d, START).n, 1);
	CHECK_UINT(fzipc_call_missed(d.kept), 0);
	CHECK(send_event(&d, 100));
	fzipc_serve_free(d.serve);
}

TEST(serve, credit_does_not_add_up_beyond_its_maximum)
{
	struct desk d;
	desk_greeted(&d);
	feed_call(&d, START, 1, 5, UINT32_MAX, 0);
	unsigned n = 0;
	while (send_event(&d, n))
		n++;
	CHECK_UINT(n, FZIPC_MAX_CREDIT);
	fzipc_serve_free(d.serve);
}

TEST(serve, a_seventeenth_call_at_once_is_refused_alone)
{
	struct desk d;
	desk_greeted(&d);
	for (uint32_t i = 0; i < 16; i++)
		feed_call(&d, START, 2 * i + 1, 5, 1, 0);
	CHECK_UINT(fzipc_serve_output(d.serve).n, 0);
	feed_call(&d, START, 33, 5, 1, 0);
	CHECK_INT(take_output(&d, START).code, FZPB__ERROR__CODE__LIMIT);
	CHECK_UINT(d.n_dispatched, 16);
	fzipc_serve_free(d.serve);
	CHECK_UINT(d.n_cancelled, 16);
}

TEST(serve, a_cancelled_call_tells_its_handler_and_its_caller)
{
	struct desk d;
	desk_greeted(&d);
	feed_call(&d, START, 1, 5, 1, 0);
	Fzpb__Cancel cancel = FZPB__CANCEL__INIT;
	Fzpb__Envelope e = FZPB__ENVELOPE__INIT;
	e.has_stream = true;
	e.stream = 1;
	e.body_case = FZPB__ENVELOPE__BODY_CANCEL;
	e.cancel = &cancel;
	feed_envelope(&d, START, &e);
	CHECK_UINT(d.n_cancelled, 1);
	CHECK_INT(take_output(&d, START).code, FZPB__ERROR__CODE__CANCELLED);
	feed_envelope(&d, START, &e);
	CHECK_UINT(fzipc_serve_output(d.serve).n, 0);
	CHECK(!fzipc_serve_is_closing(d.serve));
	fzipc_serve_free(d.serve);
}

TEST(serve, a_user_who_calls_too_often_is_refused_and_root_is_not)
{
	struct desk d;
	desk_greeted(&d);
	for (uint32_t i = 0; i < 300; i++)
		feed_call(&d, START, 2 * i + 1, 153, 1, 0);
	CHECK_UINT(d.n_dispatched, 300);
	fzipc_serve_free(d.serve);
	desk_greeted(&d);
	d.who.is_root = false;
	d.who.is_member = true;
	for (uint32_t i = 0; i < 300; i++) {
		feed_call(&d, START, 2 * i + 1, 153, 1, 0);
		take_output(&d, START);
	}
	CHECK_UINT(d.n_dispatched, 40);
	CHECK_UINT(d.n_refused, 260);
	feed_call(&d, fz_time_add(START, FZ_SECONDS(60)), 999, 153, 1, 0);
	CHECK_UINT(d.n_dispatched, 41);
	fzipc_serve_free(d.serve);
}

TEST(serve, a_reader_that_takes_nothing_for_thirty_seconds_is_dropped)
{
	struct desk d;
	desk_greeted(&d);
	feed_call(&d, START, 1, 1, 1, 0);
	fz_time late = fz_time_add(START, FZ_SECONDS(30));
	CHECK_UINT(fzipc_serve_deadline(d.serve).ns, late.ns);
	fzipc_serve_expire(d.serve, late);
	CHECK(fzipc_serve_is_broken(d.serve));
	fzipc_serve_free(d.serve);
}

TEST(serve, who_does_not_read_is_not_read_from)
{
	struct desk d;
	desk_greeted(&d);
	uint32_t stream = 1;
	while (fzipc_serve_want(d.serve) > 0 && stream < 200000) {
		feed_call(&d, START, stream, 153, 1, 0);
		stream += 2;
	}
	CHECK(stream < 200000);
	CHECK(fzipc_serve_memory(d.serve) < 1u << 20);
	take_output(&d, START);
	CHECK(fzipc_serve_want(d.serve) > 0);
	fzipc_serve_free(d.serve);
}

TEST(serve, a_descriptor_reaches_its_handler_and_only_there)
{
	struct desk d;
	desk_greeted(&d);
	struct fz_bytebuf payload, out;
	fz_bytebuf_init(&payload, 4096);
	fz_bytebuf_init(&out, 4096);
	Fzpb__Call call = FZPB__CALL__INIT;
	call.has_method = true;
	call.method = 103;
	Fzpb__Envelope e = FZPB__ENVELOPE__INIT;
	e.has_stream = true;
	e.stream = 1;
	e.body_case = FZPB__ENVELOPE__BODY_CALL;
	e.call = &call;
	CHECK_INT(fzipc_wire_pack(&e.base, &payload), 0);
	CHECK_INT(fzipc_frame_write(&out, fz_bytebuf_bytes(&payload), 4096), 0);
	int fds[1] = { 77 };
	feed(&d, START, fz_bytebuf_bytes(&out), fds, 1);
	CHECK_INT(d.taken_fd, 77);
	CHECK_INT(fds[0], -1);
	fzipc_serve_free(d.serve);
	fz_bytebuf_done(&payload);
	fz_bytebuf_done(&out);
}

TEST(serve, every_allocation_may_fail_without_harm)
{
	for (unsigned long i = 1; i < 40; i++) {
		struct desk d;
		desk_greeted(&d);
		struct fzipc_caller *c = fzipc_caller_new("t", "1");
		struct fz_bytebuf in;
		fz_bytebuf_init(&in, 4096);
		TEST_HEX(call, "09000000 0801 2205 0801 1200 2001");
		fz_fail_at(i);
		feed(&d, START, fz_bytes_of(call, call_len), NULL, 0);
		fz_fail_at(0);
		fz_bytebuf_done(&in);
		fzipc_caller_free(c);
		fzipc_serve_free(d.serve);
	}
}

/* ---- the client's machine ---- */

struct answers {
	unsigned n_messages, n_done;
	int code;
	int state;
};

static void on_message(void *user, const ProtobufCMessage *msg)
{
	struct answers *a = user;
	a->n_messages++;
	if (msg->descriptor == &fzpb__status__descriptor)
		a->state = (int)((const Fzpb__Status *)(const void *)msg)->state;
}

static void on_done(void *user, const Fzpb__Error *error_maybe)
{
	struct answers *a = user;
	a->n_done++;
	a->code = error_maybe ? (int)error_maybe->code : 0;
}

static const struct fzipc_answer_ops answer_ops = { .message = on_message, .done = on_done };

/* Carries all bytes both ways until nothing moves; logs them if asked. */
static void pump(
	struct fzipc_caller *c, struct desk *d, struct fz_bytebuf *up, struct fz_bytebuf *down)
{
	for (;;) {
		struct fz_bytes out = fzipc_caller_output(c);
		struct fz_bytes in = fzipc_serve_output(d->serve);
		if (out.n == 0 && in.n == 0)
			return;
		if (up)
			CHECK_INT(fz_bytebuf_append(up, out), 0);
		feed(d, START, out, NULL, 0);
		fzipc_caller_wrote(c, out.n);
		in = fzipc_serve_output(d->serve);
		if (down)
			CHECK_INT(fz_bytebuf_append(down, in), 0);
		struct fz_reader r = fz_reader_of(in);
		while (r.left > 0 && fzipc_caller_want(c) > 0) {
			size_t want = fzipc_caller_want(c);
			CHECK_INT(fzipc_caller_feed(
					  c, fz_reader_take(&r, want < r.left ? want : r.left)),
				0);
		}
		fzipc_serve_wrote(d->serve, START, in.n);
	}
}

static uint32_t ask(struct fzipc_caller *c, size_t method, struct answers *a)
{
	union {
		Fzpb__StatusRequest status;
		uint8_t room[256];
	} request = { 0 };

	ProtobufCMessage *msg = &request.status.base;
	protobuf_c_message_init(fzipc_methods[method].request, msg);
	return fzipc_caller_call(c, &fzipc_methods[method], msg, 0, &answer_ops, a);
}

TEST(caller, asks_and_is_answered)
{
	struct desk d;
	struct answers a = { 0 };
	desk_open(&d);
	struct fzipc_caller *c = fzipc_caller_new("test", "1");
	CHECK(ask(c, FZIPC_GET_STATUS, &a) == 1);
	pump(c, &d, NULL, NULL);
	CHECK_STR(fzipc_caller_greeting_maybe(c)->daemon_version, "0.1.0");
	CHECK_UINT(a.n_messages, 1);
	CHECK_UINT(a.n_done, 1);
	CHECK_INT(a.state, FZPB__STATUS__STATE__UP);
	CHECK_UINT(fzipc_caller_open_calls(c), 0);
	fzipc_caller_free(c);
	fzipc_serve_free(d.serve);
}

TEST(caller, gives_credit_back_so_that_a_stream_goes_on)
{
	struct desk d;
	struct answers a = { 0 };
	desk_open(&d);
	struct fzipc_caller *c = fzipc_caller_new("test", "1");
	CHECK(ask(c, FZIPC_WATCH, &a) != 0);
	pump(c, &d, NULL, NULL);
	for (uint64_t i = 0; i < 500; i++) {
		CHECK(send_event(&d, i));
		pump(c, &d, NULL, NULL);
	}
	CHECK_UINT(a.n_messages, 500);
	fzipc_caller_free(c);
	fzipc_serve_free(d.serve);
}

TEST(caller, ends_its_calls_when_the_daemon_goes)
{
	struct desk d;
	struct answers a = { 0 };
	desk_open(&d);
	struct fzipc_caller *c = fzipc_caller_new("test", "1");
	CHECK(ask(c, FZIPC_WATCH, &a) != 0);
	pump(c, &d, NULL, NULL);
	fzipc_caller_hang_up(c);
	CHECK_UINT(a.n_done, 1);
	CHECK_INT(a.code, FZPB__ERROR__CODE__UNAVAILABLE);
	CHECK(ask(c, FZIPC_GET_STATUS, &a) == 0);
	fzipc_caller_free(c);
	fzipc_serve_free(d.serve);
}

TEST(caller, believes_no_nonsense)
{
	static const char *const bad[] = { "00000000", "ffffffff", "01000000ff", "020000000801",
		"0400000008012a00", "04000000 0800 3a00", "04000000 0800 1200" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t buf[32];
		struct answers a = { 0 };
		struct fzipc_caller *c = fzipc_caller_new("test", "1");
		CHECK(ask(c, FZIPC_GET_STATUS, &a) == 1);
		size_t n = test_unhex(bad[i], buf, sizeof(buf));
		int r = 0;
		for (size_t k = 0; k < n && r == 0; k++)
			r = fzipc_caller_feed(c, fz_bytes_of(&buf[k], 1));
		CHECK(r < 0);
		CHECK(fzipc_caller_is_over(c));
		CHECK_UINT(a.n_done, 1);
		fzipc_caller_free(c);
	}
}

/* ---- recorded conversations ---- */

/* Protocol 1.0: greeting, a status, a version, a refusal, a watch with 40 events, its cancel. */
static void converse(struct fzipc_caller *c, struct desk *d, struct answers a[static 4],
	struct fz_bytebuf *up, struct fz_bytebuf *down)
{
	CHECK(ask(c, FZIPC_GET_STATUS, &a[0]) != 0);
	CHECK(ask(c, FZIPC_GET_VERSION, &a[1]) != 0);
	CHECK(ask(c, FZIPC_GET_HEALTH, &a[2]) != 0);
	uint32_t watch = ask(c, FZIPC_WATCH, &a[3]);
	pump(c, d, up, down);
	for (uint64_t i = 1; i <= 40; i++) {
		CHECK(send_event(d, i));
		pump(c, d, up, down);
	}
	fzipc_caller_cancel(c, watch);
	pump(c, d, up, down);
}

static void golden_path(const char *name, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/1.0-%s.bin", FZ_IPC_GOLDEN, name);
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

/* Only what is missing: what was released is never recorded again. */
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

TEST(golden, both_ends_still_write_what_they_wrote)
{
	struct desk d;
	struct answers a[4] = { 0 };
	struct fz_bytebuf up, down;
	static uint8_t want[65536];
	fz_bytebuf_init(&up, 65536);
	fz_bytebuf_init(&down, 65536);
	desk_open(&d);
	struct fzipc_caller *c = fzipc_caller_new("golden", "1");
	converse(c, &d, a, &up, &down);
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

TEST(golden, todays_daemon_understands_a_client_of_1_0)
{
	struct desk d;
	static uint8_t up[65536];
	size_t n = read_golden("up", up, sizeof(up));
	desk_open(&d);
	feed(&d, START, fz_bytes_of(up, n), NULL, 0);
	CHECK_UINT(d.n_dispatched, 4);
	CHECK_UINT(d.n_cancelled, 1);
	struct seen seen = take_output(&d, START);
	CHECK_INT(seen.code, FZPB__ERROR__CODE__CANCELLED);
	CHECK_UINT(seen.n, 1 + 2 + 2 + 1 + 1);
	CHECK(!fzipc_serve_is_closing(d.serve));
	fzipc_serve_free(d.serve);
}

TEST(golden, todays_client_understands_a_daemon_of_1_0)
{
	static uint8_t down[65536];
	struct answers a[4] = { 0 };
	size_t n = read_golden("down", down, sizeof(down));
	struct fzipc_caller *c = fzipc_caller_new("golden", "1");
	static const size_t calls[] = { FZIPC_GET_STATUS, FZIPC_GET_VERSION, FZIPC_GET_HEALTH,
		FZIPC_WATCH };
	for (size_t i = 0; i < 4; i++)
		CHECK(ask(c, calls[i], &a[i]) != 0);
	struct fz_reader r = fz_reader_of(fz_bytes_of(down, n));
	while (r.left > 0) {
		size_t want = fzipc_caller_want(c);
		CHECK_INT(
			fzipc_caller_feed(c, fz_reader_take(&r, want < r.left ? want : r.left)), 0);
	}
	CHECK_INT(a[0].state, FZPB__STATUS__STATE__UP);
	CHECK_UINT(a[1].n_messages, 1);
	CHECK_INT(a[2].code, FZPB__ERROR__CODE__UNAVAILABLE);
	CHECK_UINT(a[3].n_messages, 40);
	CHECK_INT(a[3].code, FZPB__ERROR__CODE__CANCELLED);
	fzipc_caller_free(c);
}
