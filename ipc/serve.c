/*
 * The daemon's end of one connection. Order of judgement for each frame: shape, greeting, stream number, method,
 * descriptor, size, permission, rate; only then is the request unpacked and the handler sees it.
 */
#include "ipc/serve.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "ipc/frame.h"
#include "ipc/wire.h"

/* Enough for any request of ours; unknown fields of newer clients count too. */
#define MAX_FIELDS 1024
#define ARENA_MAX  (3u << 20)
#define STALL_TIME FZ_SECONDS(30)
#define CLOSE_TIME FZ_SECONDS(2)

struct fzipc_call {
	struct fzipc_serve *serve;
	const struct fzipc_method *method; /* NULL: slot is free */
	uint32_t stream;
	uint32_t credit;
	uint64_t missed;
	bool is_behind;
	fz_time deadline;
	const struct fzipc_call_ops *ops;
	void *user;
	int *fd; /* set only while the handler runs */
};

struct fzipc_serve {
	const struct fzipc_serve_ops *ops;
	void *user;
	const struct fzipc_who *who;
	struct fzipc_rates *rates;
	const struct fzipc_daemon *daemon;
	struct fzipc_frame_reader in;
	struct fz_bytebuf out;
	struct fzipc_arena arena;
	struct fzipc_call calls[FZIPC_MAX_STREAMS];
	uint32_t last_stream;
	bool is_greeted, is_closing, is_broken;
	fz_time idle_deadline, stall_deadline, close_deadline;
	fz_time now; /* of the entry that is running, if is_inside */
	/*
	 * Handlers may answer at any time, and nobody tells the time then: what they start to wait for is counted
	 * from the next entry, which the queued bytes bring about.
	 */
	bool is_inside, is_idle_unset, is_stall_unset, is_close_unset;
};

struct fzipc_serve *fzipc_serve_new(const struct fzipc_serve_ops *ops, void *user,
	const struct fzipc_who *who, struct fzipc_rates *rates, const struct fzipc_daemon *daemon,
	fz_time now)
{
	struct fzipc_serve *s = fz_new(struct fzipc_serve);
	if (!s)
		return NULL;
	s->ops = ops;
	s->user = user;
	s->who = who;
	s->rates = rates;
	s->daemon = daemon;
	s->now = now;
	fzipc_frame_reader_init(&s->in, FZIPC_FRAME_MAX_TO_DAEMON);
	fz_bytebuf_init(&s->out, FZIPC_OUT_MAX);
	fzipc_arena_init(&s->arena, ARENA_MAX);
	s->idle_deadline = fz_time_add(now, FZIPC_HELLO_TIME);
	s->stall_deadline = s->close_deadline = FZ_NEVER;
	return s;
}

static void cancel(struct fzipc_call *call)
{
	if (call->ops && call->ops->cancelled)
		call->ops->cancelled(call->user, call);
	*call = (struct fzipc_call){ 0 };
}

static void cancel_all(struct fzipc_serve *s)
{
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (s->calls[i].method)
			cancel(&s->calls[i]);
	}
}

void fzipc_serve_free(struct fzipc_serve *s)
{
	if (!s)
		return;
	cancel_all(s);
	fzipc_frame_reader_done(&s->in);
	fz_bytebuf_done(&s->out);
	fzipc_arena_reset(&s->arena);
	free(s);
}

static void break_off(struct fzipc_serve *s)
{
	s->is_broken = s->is_closing = true;
}

static bool has_calls(const struct fzipc_serve *s)
{
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (s->calls[i].method)
			return true;
	}
	return false;
}

static void enter(struct fzipc_serve *s, fz_time now)
{
	s->now = now;
	s->is_inside = true;
	if (s->is_idle_unset)
		s->idle_deadline = fz_time_add(now, FZIPC_IDLE_TIME);
	if (s->is_stall_unset)
		s->stall_deadline = fz_time_add(now, STALL_TIME);
	if (s->is_close_unset)
		s->close_deadline = fz_time_add(now, CLOSE_TIME);
	s->is_idle_unset = s->is_stall_unset = s->is_close_unset = false;
}

static void leave(struct fzipc_serve *s)
{
	s->is_inside = false;
}

static fz_time from_now(struct fzipc_serve *s, fz_dur after, bool *ret_is_unset)
{
	*ret_is_unset = !s->is_inside;
	return s->is_inside ? fz_time_add(s->now, after) : FZ_NEVER;
}

/* ---- what goes out ---- */

static int put(struct fzipc_serve *s, const Fzpb__Envelope *envelope)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf payload;
	fz_bytebuf_init(&payload, FZIPC_FRAME_MAX_TO_CLIENT);
	int r = fzipc_wire_pack(&envelope->base, &payload);
	if (r < 0)
		return r;
	bool was_empty = s->out.len == 0;
	r = fzipc_frame_write(&s->out, fz_bytebuf_bytes(&payload), FZIPC_FRAME_MAX_TO_CLIENT);
	if (r < 0)
		return r;
	if (was_empty) {
		s->stall_deadline = from_now(s, STALL_TIME, &s->is_stall_unset);
		if (s->ops->queued)
			s->ops->queued(s->user, s);
	}
	return 0;
}

/* For frames without which the conversation cannot go on. */
static void must_put(struct fzipc_serve *s, const Fzpb__Envelope *envelope)
{
	if (put(s, envelope) < 0)
		break_off(s);
}

static void put_error(struct fzipc_serve *s, uint32_t stream, const Fzpb__Error *error)
{
	Fzpb__Error copy = *error;
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.stream = stream;
	envelope.body_case = FZPB__ENVELOPE__BODY_ERROR;
	envelope.error = &copy;
	must_put(s, &envelope);
}

static char *borrow(const char *text)
{
	/* protobuf-c has no const in its structs; packing does not write through them. */
	union {
		const char *in;
		char *out;
	} both = { .in = text };

	return both.out;
}

static Fzpb__Error error_of(Fzpb__Error__Code code, const char *message, const char *hint)
{
	Fzpb__Error error = FZPB__ERROR__INIT;
	error.has_code = true;
	error.code = code;
	error.message = borrow(message);
	error.hint = borrow(hint);
	return error;
}

/* The connection cannot go on: say why, then read nothing more. */
static void close_with(struct fzipc_serve *s, const Fzpb__Error *error)
{
	if (s->is_closing)
		return;
	put_error(s, 0, error);
	s->is_closing = true;
	s->close_deadline = from_now(s, CLOSE_TIME, &s->is_close_unset);
	cancel_all(s);
}

void fzipc_serve_close(
	struct fzipc_serve *s, Fzpb__Error__Code code, const char *message, const char *hint)
{
	Fzpb__Error error = error_of(code, message, hint);
	close_with(s, &error);
}

/* ---- calls ---- */

static void finish(struct fzipc_call *call)
{
	struct fzipc_serve *s = call->serve;
	*call = (struct fzipc_call){ 0 };
	if (!has_calls(s))
		s->idle_deadline = from_now(s, FZIPC_IDLE_TIME, &s->is_idle_unset);
}

void fzipc_call_keep(struct fzipc_call *call, const struct fzipc_call_ops *ops, void *user)
{
	fz_assert(call->method);
	call->ops = ops;
	call->user = user;
}

const struct fzipc_who *fzipc_call_who(const struct fzipc_call *call)
{
	return call->serve->who;
}

const struct fzipc_method *fzipc_call_method(const struct fzipc_call *call)
{
	return call->method;
}

int fzipc_call_take_fd(struct fzipc_call *call)
{
	if (!call->fd)
		return -1;
	int fd = *call->fd;
	*call->fd = -1;
	call->fd = NULL;
	return fd;
}

int fzipc_call_fd(const struct fzipc_call *call)
{
	return call->fd ? *call->fd : -1;
}

static int put_message(struct fzipc_call *call, const ProtobufCMessage *msg)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf packed;
	fz_bytebuf_init(&packed, FZIPC_FRAME_MAX_TO_CLIENT - 64);
	int r = fzipc_wire_pack(msg, &packed);
	if (r < 0)
		return r;
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.stream = call->stream;
	envelope.body_case = FZPB__ENVELOPE__BODY_MESSAGE;
	envelope.message = (ProtobufCBinaryData){ packed.len, packed.p };
	return put(call->serve, &envelope);
}

bool fzipc_call_send(struct fzipc_call *call, const ProtobufCMessage *msg)
{
	fz_assert(
		call->method && call->method->is_stream && msg->descriptor == call->method->reply);
	if (call->is_behind || call->credit == 0 || call->serve->out.len > FZIPC_OUT_FULL ||
		put_message(call, msg) < 0) {
		call->is_behind = true;
		call->missed++;
		return false;
	}
	call->credit--;
	call->missed = 0;
	return true;
}

uint64_t fzipc_call_missed(const struct fzipc_call *call)
{
	return call->missed;
}

void fzipc_call_reply(struct fzipc_call *call, const ProtobufCMessage *msg)
{
	fz_assert(
		call->method && !call->method->is_stream && msg->descriptor == call->method->reply);
	int r = put_message(call, msg);
	if (r == FZ_ERR_LIMIT)
		fzipc_call_fail(call, FZPB__ERROR__CODE__LIMIT, "The answer is too large.", NULL);
	else if (r < 0)
		fzipc_call_fail(
			call, FZPB__ERROR__CODE__SYSTEM, "The daemon is out of memory.", NULL);
	else
		fzipc_call_end(call);
}

void fzipc_call_end(struct fzipc_call *call)
{
	Fzpb__End end = FZPB__END__INIT;
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.stream = call->stream;
	envelope.body_case = FZPB__ENVELOPE__BODY_END;
	envelope.end = &end;
	must_put(call->serve, &envelope);
	finish(call);
}

void fzipc_call_fail_with(struct fzipc_call *call, const Fzpb__Error *error)
{
	fz_assert(call->method);
	put_error(call->serve, call->stream, error);
	finish(call);
}

void fzipc_call_fail(
	struct fzipc_call *call, Fzpb__Error__Code code, const char *message, const char *hint)
{
	Fzpb__Error error = error_of(code, message, hint);
	fzipc_call_fail_with(call, &error);
}

static struct fzipc_call *find_call(struct fzipc_serve *s, uint32_t stream)
{
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (s->calls[i].method && s->calls[i].stream == stream)
			return &s->calls[i];
	}
	return NULL;
}

static struct fzipc_call *free_slot(struct fzipc_serve *s)
{
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (!s->calls[i].method)
			return &s->calls[i];
	}
	return NULL;
}

/* A stream that was behind may go on: its handler makes up for what was missed with one message. */
static void wake(struct fzipc_call *call)
{
	if (!call->is_behind || call->credit == 0 || call->serve->out.len > FZIPC_OUT_FULL / 2)
		return;
	call->is_behind = false;
	if (call->ops && call->ops->ready)
		call->ops->ready(call->user, call);
}

static void refuse(struct fzipc_serve *s, uint32_t stream, const struct fzipc_refused *refused,
	const Fzpb__Error *error)
{
	if (s->ops->refused)
		s->ops->refused(s->user, s->who, refused);
	put_error(s, stream, error);
}

static Fzpb__Error rule_error(enum fzipc_rule rule)
{
	switch (rule) {
	case FZIPC_RULE_OUTSIDER:
		return error_of(FZPB__ERROR__CODE__PERMISSION_DENIED,
			"Only root and members of the group firezone may talk to the daemon.",
			"Run: sudo usermod -aG firezone $USER, then log out and in again.");
	case FZIPC_RULE_SERVICE_MODE:
		return error_of(FZPB__ERROR__CODE__SERVICE_MODE,
			"The daemon runs in service mode: it has its own token.",
			"See: firezonectl token status");
	case FZIPC_RULE_SERVICE_MODE_ROOT:
		return error_of(FZPB__ERROR__CODE__SERVICE_MODE,
			"The daemon runs in service mode: only root may do this.",
			"Run it with sudo.");
	case FZIPC_RULE_ROOT:
		return error_of(FZPB__ERROR__CODE__PERMISSION_DENIED, "Only root may do this.",
			"Run it with sudo.");
	case FZIPC_RULE_OWNER:
		return error_of(FZPB__ERROR__CODE__PERMISSION_DENIED,
			"Another user owns the session.",
			"That user, or root with sudo, may do this.");
	case FZIPC_RULE_NOT_SIGNED_IN:
		return error_of(FZPB__ERROR__CODE__NOT_SIGNED_IN, "Nobody is signed in.",
			"Run: firezonectl sign-in");
	case FZIPC_RULE_SIGNED_IN:
		return error_of(FZPB__ERROR__CODE__CONFLICT, "Somebody is signed in already.",
			"Run: firezonectl sign-out");
	case FZIPC_RULE_ALLOWED:
	case FZIPC_RULE_COUNT_: break;
	}
	fz_assert(rule < FZIPC_RULE_COUNT_ &&
		  rule != FZIPC_RULE_ALLOWED); /* only refusals come here */
	return error_of(FZPB__ERROR__CODE__UNKNOWN, "", NULL);
}

/* Tokens for all calls and for this method; root is not held back. */
static bool take_rate(struct fzipc_serve *s, const struct fzipc_method *m)
{
	if (!s->rates || s->who->is_root)
		return true;
	uint32_t burst = m->per_minute < 10 ? m->per_minute : 10 + m->per_minute / 10;
	return fzipc_bucket_take(
		       &s->rates->all, s->now, FZIPC_CALLS_PER_MINUTE, FZIPC_CALLS_BURST) &&
	       fzipc_bucket_take(
		       &s->rates->methods[m - fzipc_methods], s->now, m->per_minute, burst);
}

/* Permission and rate; true if the call may go on. */
static bool admit(struct fzipc_serve *s, uint32_t stream, const struct fzipc_method *m)
{
	struct fzipc_world world = { 0 };
	s->ops->world(s->user, &world);
	enum fzipc_rule rule = fzipc_rule_judge(m, s->who, &world);
	struct fzipc_refused refused = {
		.method = m, .method_id = m->id, .why = fzipc_rule_name(rule)
	};
	if (rule != FZIPC_RULE_ALLOWED) {
		Fzpb__Error error = rule_error(rule);
		refuse(s, stream, &refused, &error);
		return false;
	}
	if (!take_rate(s, m)) {
		Fzpb__Error error = error_of(FZPB__ERROR__CODE__LIMIT,
			"Too many calls by this user.", "Try again in a minute.");
		refused.why = "rate";
		refuse(s, stream, &refused, &error);
		return false;
	}
	return true;
}

static Fzpb__Error__Code wire_code(enum fzipc_wire verdict)
{
	if (verdict == FZIPC_WIRE_TYPE)
		return FZPB__ERROR__CODE__BAD_WIRE_TYPE;
	return verdict == FZIPC_WIRE_TEXT ? FZPB__ERROR__CODE__BAD_TEXT
					  : FZPB__ERROR__CODE__BAD_ENVELOPE;
}

static void fail_stream(
	struct fzipc_serve *s, uint32_t stream, Fzpb__Error__Code code, const char *message)
{
	Fzpb__Error error = error_of(code, message, NULL);
	put_error(s, stream, &error);
}

static void run(struct fzipc_serve *s, struct fzipc_call *call, const Fzpb__Call *in, int *fd)
{
	ProtobufCMessage *request = NULL;
	struct fz_bytes bytes =
		fz_bytes_of(in->request.data, in->has_request ? in->request.len : 0);
	enum fzipc_wire verdict =
		fzipc_wire_unpack(call->method->request, bytes, MAX_FIELDS, &s->arena, &request);
	if (verdict != FZIPC_WIRE_OK) {
		fail_stream(s, call->stream, wire_code(verdict), fzipc_wire_text(verdict));
		finish(call);
		return;
	}
	call->fd = fd;
	uint32_t stream = call->stream;
	s->ops->dispatch(s->user, (size_t)(call->method - fzipc_methods), call, request);
	if (!call->method || call->stream != stream)
		return;
	call->fd = NULL; /* still open: the descriptor was taken, or is closed by our caller */
	fz_assert(call->ops);
}

static void start_call(struct fzipc_serve *s, uint32_t stream, const struct fzipc_method *m,
	const Fzpb__Call *in, int *fds, size_t n_fds)
{
	struct fzipc_call *call = free_slot(s);
	if (!call) {
		fail_stream(s, stream, FZPB__ERROR__CODE__LIMIT,
			"Too many calls at once on this connection.");
		return;
	}
	uint32_t timeout = in->has_timeout_ms && in->timeout_ms > 0 ? in->timeout_ms : 0;
	if (timeout > FZIPC_MAX_TIMEOUT_MS)
		timeout = FZIPC_MAX_TIMEOUT_MS;
	uint32_t credit = in->has_initial_credit ? in->initial_credit : 1;
	*call = (struct fzipc_call){
		.serve = s,
		.method = m,
		.stream = stream,
		.credit = credit < FZIPC_MAX_CREDIT ? credit : FZIPC_MAX_CREDIT,
		.deadline = timeout ? fz_time_add(s->now, FZ_MILLISECONDS(timeout)) : FZ_NEVER,
	};
	run(s, call, in, n_fds > 0 ? fds : NULL);
}

static void take_call(
	struct fzipc_serve *s, uint32_t stream, const Fzpb__Call *in, int *fds, size_t n_fds)
{
	if (stream % 2 == 0 || stream <= s->last_stream) {
		fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_ENVELOPE,
			"A call needs an odd stream number larger than the last.", NULL);
		return;
	}
	s->last_stream = stream;
	const struct fzipc_method *m = fzipc_method_find_maybe(in->has_method ? in->method : 0);
	if (!m) {
		fail_stream(s, stream, FZPB__ERROR__CODE__UNKNOWN_METHOD,
			"This daemon does not know that method.");
		return;
	}
	if (n_fds != (m->fd == FZIPC_NO_FD ? 0 : 1)) {
		fail_stream(s, stream, FZPB__ERROR__CODE__BAD_DESCRIPTOR,
			n_fds ? "A descriptor too many came with the call."
			      : "The call needs a descriptor.");
		return;
	}
	if (in->has_request && in->request.len > m->max_bytes) {
		fail_stream(s, stream, FZPB__ERROR__CODE__TOO_LARGE,
			"The request is too large for its method.");
		return;
	}
	if (admit(s, stream, m))
		start_call(s, stream, m, in, fds, n_fds);
}

/* ---- what comes in ---- */

static void refuse_version(struct fzipc_serve *s)
{
	Fzpb__Error error = error_of(FZPB__ERROR__CODE__UNSUPPORTED,
		"This program and the daemon speak different versions of the protocol.",
		"Update the older of the two.");
	error.has_major = error.has_minor = true;
	error.major = FZIPC_MAJOR;
	error.minor = FZIPC_MINOR;
	error.daemon_version = borrow(s->daemon->version);
	close_with(s, &error);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void greet(struct fzipc_serve *s, uint32_t minor_max)
{
	static const Fzpb__HelloReply__Level levels[] = {
		[FZIPC_NONE] = FZPB__HELLO_REPLY__LEVEL__NONE,
		[FZIPC_READ] = FZPB__HELLO_REPLY__LEVEL__READ,
		[FZIPC_CONTROL] = FZPB__HELLO_REPLY__LEVEL__CONTROL,
		[FZIPC_ADMIN] = FZPB__HELLO_REPLY__LEVEL__ADMIN,
	};
	struct fzipc_world world = { 0 };
	s->ops->world(s->user, &world);
	Fzpb__HelloReply reply = FZPB__HELLO_REPLY__INIT;
	reply.has_major = reply.has_minor = reply.has_service_mode = reply.has_your_permission =
		true;
	reply.major = FZIPC_MAJOR;
	reply.minor = lesser(minor_max, FZIPC_MINOR);
	reply.daemon_version = borrow(s->daemon->version);
	reply.instance = borrow(s->daemon->instance);
	reply.boot_id = borrow(s->daemon->boot_id);
	reply.service_mode = world.service_mode;
	reply.your_permission = levels[fzipc_rule_level(s->who, &world)];
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.body_case = FZPB__ENVELOPE__BODY_HELLO_REPLY;
	envelope.hello_reply = &reply;
	must_put(s, &envelope);
	s->is_greeted = true;
	s->idle_deadline = fz_time_add(s->now, FZIPC_IDLE_TIME);
}

static void take_hello(struct fzipc_serve *s, const Fzpb__Envelope *envelope, size_t n_fds)
{
	const Fzpb__Hello *hello =
		envelope->body_case == FZPB__ENVELOPE__BODY_HELLO ? envelope->hello : NULL;
	if (!hello || envelope->stream != 0 || !hello->magic ||
		strcmp(hello->magic, FZIPC_MAGIC) != 0) {
		fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_ENVELOPE,
			"The first frame must be a greeting.", NULL);
		return;
	}
	if (n_fds > 0) {
		fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_DESCRIPTOR,
			"A greeting carries no descriptor.", NULL);
		return;
	}
	if (!hello->has_major || hello->major != FZIPC_MAJOR)
		refuse_version(s);
	else
		greet(s, hello->has_minor_max ? hello->minor_max : 0);
}

static void take_cancel(struct fzipc_serve *s, uint32_t stream)
{
	struct fzipc_call *call = find_call(s, stream);
	if (!call)
		return; /* it ended while the cancel was on its way */
	if (call->ops && call->ops->cancelled)
		call->ops->cancelled(call->user, call);
	fzipc_call_fail(call, FZPB__ERROR__CODE__CANCELLED, "Cancelled.", NULL);
}

static void take_credit(struct fzipc_serve *s, uint32_t stream, const Fzpb__Credit *credit)
{
	struct fzipc_call *call = find_call(s, stream);
	if (!call)
		return;
	uint32_t more = credit->has_messages ? credit->messages : 0;
	uint32_t room = FZIPC_MAX_CREDIT - call->credit;
	call->credit += more < room ? more : room;
	wake(call);
}

static void take_envelope(struct fzipc_serve *s, const Fzpb__Envelope *e, int *fds, size_t n_fds)
{
	if (!s->is_greeted) {
		take_hello(s, e, n_fds);
		return;
	}
	if (n_fds > 0 && e->body_case != FZPB__ENVELOPE__BODY_CALL) {
		fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_DESCRIPTOR,
			"Only calls carry descriptors.", NULL);
		return;
	}
	switch (e->body_case) {
	case FZPB__ENVELOPE__BODY_CALL: take_call(s, e->stream, e->call, fds, n_fds); return;
	case FZPB__ENVELOPE__BODY_CANCEL: take_cancel(s, e->stream); return;
	case FZPB__ENVELOPE__BODY_CREDIT: take_credit(s, e->stream, e->credit); return;
	case FZPB__ENVELOPE__BODY_HELLO:
	case FZPB__ENVELOPE__BODY_HELLO_REPLY:
	case FZPB__ENVELOPE__BODY_MESSAGE:
	case FZPB__ENVELOPE__BODY_ERROR:
	case FZPB__ENVELOPE__BODY_END:
	case FZPB__ENVELOPE__BODY__NOT_SET:
	case _FZPB__ENVELOPE__BODY__CASE_IS_INT_SIZE: break;
	}
	fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_ENVELOPE, "A client does not send that.", NULL);
}

static void take_frame(struct fzipc_serve *s, int *fds, size_t n_fds)
{
	ProtobufCMessage *msg = NULL;
	struct fz_bytes payload = fzipc_frame_reader_payload(&s->in);
	enum fzipc_wire verdict = fzipc_wire_unpack(
		&fzpb__envelope__descriptor, payload, MAX_FIELDS, &s->arena, &msg);
	if (verdict == FZIPC_WIRE_OK) {
		s->idle_deadline = fz_time_add(s->now, FZIPC_IDLE_TIME);
		take_envelope(s, (const Fzpb__Envelope *)(const void *)msg, fds, n_fds);
	} else {
		fzipc_serve_close(s, wire_code(verdict), fzipc_wire_text(verdict), NULL);
	}
	fzipc_arena_reset(&s->arena);
}

size_t fzipc_serve_want(const struct fzipc_serve *s)
{
	if (s->is_closing || s->out.len > FZIPC_OUT_FULL)
		return 0;
	return fzipc_frame_reader_want(&s->in);
}

bool fzipc_serve_is_at_start(const struct fzipc_serve *s)
{
	return fzipc_frame_reader_is_at_start(&s->in);
}

static void feed(struct fzipc_serve *s, struct fz_bytes in, int *fds, size_t n_fds, size_t n_new)
{
	if (n_new > 0 && !fzipc_frame_reader_is_at_start(&s->in)) {
		fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_DESCRIPTOR,
			"A descriptor came in the middle of a frame.", NULL);
		return;
	}
	switch (fzipc_frame_reader_feed(&s->in, in)) {
	case FZIPC_FRAME_MORE: return;
	case FZIPC_FRAME_WHOLE: take_frame(s, fds, n_fds); return;
	case FZIPC_FRAME_EMPTY:
		fzipc_serve_close(s, FZPB__ERROR__CODE__BAD_FRAME, "A frame of length zero.", NULL);
		return;
	case FZIPC_FRAME_TOO_LARGE:
		fzipc_serve_close(
			s, FZPB__ERROR__CODE__BAD_FRAME, "A frame longer than allowed.", NULL);
		return;
	case FZIPC_FRAME_NO_MEMORY: break_off(s); return;
	}
}

void fzipc_serve_feed(struct fzipc_serve *s, fz_time now, struct fz_bytes in, int *fds,
	size_t n_fds, size_t n_new)
{
	enter(s, now);
	if (!s->is_closing)
		feed(s, in, fds, n_fds, n_new);
	leave(s);
}

void fzipc_serve_hang_up(struct fzipc_serve *s)
{
	break_off(s);
	cancel_all(s);
}

struct fz_bytes fzipc_serve_output(const struct fzipc_serve *s)
{
	return fz_bytebuf_bytes(&s->out);
}

void fzipc_serve_wrote(struct fzipc_serve *s, fz_time now, size_t n)
{
	enter(s, now);
	fz_bytebuf_consume(&s->out, n);
	s->stall_deadline = s->out.len > 0 ? fz_time_add(now, STALL_TIME) : FZ_NEVER;
	for (size_t i = 0; i < FZIPC_MAX_STREAMS && !s->is_closing; i++) {
		if (s->calls[i].method)
			wake(&s->calls[i]);
	}
	leave(s);
}

fz_time fzipc_serve_deadline(const struct fzipc_serve *s)
{
	if (s->is_broken)
		return s->now;
	fz_time at = fz_time_min(s->stall_deadline, s->close_deadline);
	if (s->is_closing)
		return at;
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (s->calls[i].method)
			at = fz_time_min(at, s->calls[i].deadline);
	}
	return has_calls(s) ? at : fz_time_min(at, s->idle_deadline);
}

static void expire_call(struct fzipc_call *call)
{
	if (call->ops && call->ops->cancelled)
		call->ops->cancelled(call->user, call);
	fzipc_call_fail(call, FZPB__ERROR__CODE__TIMEOUT, "The call took too long.", NULL);
}

static void expire(struct fzipc_serve *s, fz_time now)
{
	if (fz_time_reached(now, s->stall_deadline) || fz_time_reached(now, s->close_deadline)) {
		break_off(s);
		return;
	}
	for (size_t i = 0; i < FZIPC_MAX_STREAMS && !s->is_closing; i++) {
		if (s->calls[i].method && fz_time_reached(now, s->calls[i].deadline))
			expire_call(&s->calls[i]);
	}
	if (!s->is_closing && !has_calls(s) && fz_time_reached(now, s->idle_deadline))
		fzipc_serve_close(s, FZPB__ERROR__CODE__TIMEOUT,
			s->is_greeted ? "The connection was idle." : "No greeting came in time.",
			NULL);
}

void fzipc_serve_expire(struct fzipc_serve *s, fz_time now)
{
	enter(s, now);
	expire(s, now);
	leave(s);
}

bool fzipc_serve_is_closing(const struct fzipc_serve *s)
{
	return s->is_closing;
}

bool fzipc_serve_is_broken(const struct fzipc_serve *s)
{
	return s->is_broken;
}

size_t fzipc_serve_memory(const struct fzipc_serve *s)
{
	return s->in.payload.cap + s->out.cap;
}
