/* The client's machine. What a daemon may send is checked as strictly as what a client may: the socket is the boundary. */
#include "ipc/caller.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "ipc/frame.h"
#include "ipc/wire.h"

#define MAX_FIELDS (1u << 20)
#define ARENA_MAX  (64u << 20)

struct open_call {
	const struct fzipc_method *method; /* NULL: free */
	uint32_t stream;
	uint32_t owed; /* credit to give back */
	const struct fzipc_answer_ops *ops;
	void *user;
};

struct fzipc_caller {
	struct fzipc_frame_reader in;
	struct fz_bytebuf out;
	struct fzipc_arena arena, kept; /* kept: greeting and final error */
	struct open_call calls[FZIPC_MAX_STREAMS];
	uint32_t next_stream;
	const Fzpb__HelloReply *greeting;
	const Fzpb__Error *error;
	bool is_over;
};

static int put(struct fzipc_caller *c, const Fzpb__Envelope *envelope)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf payload;
	fz_bytebuf_init(&payload, FZIPC_FRAME_MAX_TO_DAEMON);
	int r = fzipc_wire_pack(&envelope->base, &payload);
	if (r < 0)
		return r;
	return fzipc_frame_write(&c->out, fz_bytebuf_bytes(&payload), FZIPC_FRAME_MAX_TO_DAEMON);
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

struct fzipc_caller *fzipc_caller_new(const char *name, const char *version)
{
	struct fzipc_caller *c = fz_new(struct fzipc_caller);
	if (!c)
		return NULL;
	fzipc_frame_reader_init(&c->in, FZIPC_FRAME_MAX_TO_CLIENT);
	fz_bytebuf_init(&c->out, 2 * FZIPC_FRAME_MAX_TO_DAEMON);
	fzipc_arena_init(&c->arena, ARENA_MAX);
	fzipc_arena_init(&c->kept, 65536);
	c->next_stream = 1;
	Fzpb__Hello hello = FZPB__HELLO__INIT;
	hello.magic = borrow(FZIPC_MAGIC);
	hello.has_major = hello.has_minor_max = true;
	hello.major = FZIPC_MAJOR;
	hello.minor_max = FZIPC_MINOR;
	hello.client_name = borrow(name);
	hello.client_version = borrow(version);
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.body_case = FZPB__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	if (put(c, &envelope) < 0) {
		fzipc_caller_free(c);
		return NULL;
	}
	return c;
}

void fzipc_caller_free(struct fzipc_caller *c)
{
	if (!c)
		return;
	fzipc_frame_reader_done(&c->in);
	fz_bytebuf_done(&c->out);
	fzipc_arena_reset(&c->arena);
	fzipc_arena_reset(&c->kept);
	free(c);
}

const Fzpb__HelloReply *fzipc_caller_greeting_maybe(const struct fzipc_caller *c)
{
	return c->greeting;
}

const Fzpb__Error *fzipc_caller_error_maybe(const struct fzipc_caller *c)
{
	return c->error;
}

static struct open_call *find(struct fzipc_caller *c, uint32_t stream)
{
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (c->calls[i].method && c->calls[i].stream == stream)
			return &c->calls[i];
	}
	return NULL;
}

static int put_call(struct fzipc_caller *c, uint32_t stream, const struct fzipc_method *method,
	const ProtobufCMessage *request, uint32_t timeout_ms)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf packed;
	fz_bytebuf_init(&packed, FZIPC_FRAME_MAX_TO_DAEMON - 64);
	int r = fzipc_wire_pack(request, &packed);
	if (r < 0)
		return r;
	Fzpb__Call call = FZPB__CALL__INIT;
	call.has_method = true;
	call.method = method->id;
	call.has_request = true;
	call.request = (ProtobufCBinaryData){ packed.len, packed.p };
	call.has_timeout_ms = timeout_ms > 0;
	call.timeout_ms = timeout_ms;
	call.has_initial_credit = method->is_stream;
	call.initial_credit = FZIPC_CALLER_CREDIT;
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.stream = stream;
	envelope.body_case = FZPB__ENVELOPE__BODY_CALL;
	envelope.call = &call;
	return put(c, &envelope);
}

uint32_t fzipc_caller_call(struct fzipc_caller *c, const struct fzipc_method *method,
	const ProtobufCMessage *request, uint32_t timeout_ms, const struct fzipc_answer_ops *ops,
	void *user)
{
	fz_assert(request->descriptor == method->request);
	size_t i = 0;
	while (i < FZIPC_MAX_STREAMS && c->calls[i].method)
		i++;
	if (c->is_over || i == FZIPC_MAX_STREAMS || c->next_stream > UINT32_MAX - 2)
		return 0;
	uint32_t stream = c->next_stream;
	if (put_call(c, stream, method, request, timeout_ms) < 0)
		return 0;
	c->next_stream += 2;
	c->calls[i] =
		(struct open_call){ .method = method, .stream = stream, .ops = ops, .user = user };
	return stream;
}

void fzipc_caller_cancel(struct fzipc_caller *c, uint32_t stream)
{
	if (!find(c, stream))
		return;
	Fzpb__Cancel cancel = FZPB__CANCEL__INIT;
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.stream = stream;
	envelope.body_case = FZPB__ENVELOPE__BODY_CANCEL;
	envelope.cancel = &cancel;
	(void)!put(c, &envelope);
}

void fzipc_caller_drop(struct fzipc_caller *c, void (*release)(void *user))
{
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (c->calls[i].method)
			release(c->calls[i].user);
		c->calls[i] = (struct open_call){ 0 };
	}
}

size_t fzipc_caller_open_calls(const struct fzipc_caller *c)
{
	size_t n = 0;
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++)
		n += c->calls[i].method != NULL;
	return n;
}

static void finish(struct open_call *call, const Fzpb__Error *error)
{
	struct open_call was = *call;
	*call = (struct open_call){ 0 };
	was.ops->done(was.user, error);
}

static void end_all(struct fzipc_caller *c, const Fzpb__Error *error)
{
	c->is_over = true;
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		if (c->calls[i].method)
			finish(&c->calls[i], error);
	}
}

static void give_credit(struct fzipc_caller *c, struct open_call *call)
{
	if (!call->method->is_stream || ++call->owed < FZIPC_CALLER_CREDIT / 2)
		return;
	Fzpb__Credit credit = FZPB__CREDIT__INIT;
	credit.has_messages = true;
	credit.messages = call->owed;
	Fzpb__Envelope envelope = FZPB__ENVELOPE__INIT;
	envelope.has_stream = true;
	envelope.stream = call->stream;
	envelope.body_case = FZPB__ENVELOPE__BODY_CREDIT;
	envelope.credit = &credit;
	if (put(c, &envelope) == 0)
		call->owed = 0;
}

static int take_message(struct fzipc_caller *c, struct open_call *call, ProtobufCBinaryData bytes)
{
	ProtobufCMessage *msg = NULL;
	enum fzipc_wire verdict = fzipc_wire_unpack(call->method->reply,
		fz_bytes_of(bytes.data, bytes.len), MAX_FIELDS, &c->arena, &msg);
	if (verdict != FZIPC_WIRE_OK)
		return -EPROTO;
	give_credit(c, call);
	call->ops->message(call->user, msg);
	return 0;
}

/* The greeting and the connection's last error outlive their frame: unpacked again into memory that is kept. */
static const void *keep(struct fzipc_caller *c, const ProtobufCMessage *msg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	uint8_t *packed = fz_alloc(n ? n : 1, 1);
	if (!packed)
		return NULL;
	protobuf_c_message_pack(msg, packed);
	const void *copy =
		protobuf_c_message_unpack(msg->descriptor, &c->kept.allocator, n, packed);
	free(packed);
	return copy;
}

static int take_connection_frame(struct fzipc_caller *c, const Fzpb__Envelope *e)
{
	if (e->body_case == FZPB__ENVELOPE__BODY_ERROR) {
		c->error = keep(c, &e->error->base);
		end_all(c, e->error);
		return 0;
	}
	if (e->body_case != FZPB__ENVELOPE__BODY_HELLO_REPLY || c->greeting)
		return -EPROTO;
	c->greeting = keep(c, &e->hello_reply->base);
	return c->greeting ? 0 : -ENOMEM;
}

static int take_envelope(struct fzipc_caller *c, const Fzpb__Envelope *e)
{
	if (e->stream == 0)
		return take_connection_frame(c, e);
	struct open_call *call = c->greeting ? find(c, e->stream) : NULL;
	if (!call)
		return -EPROTO;
	if (e->body_case == FZPB__ENVELOPE__BODY_MESSAGE)
		return take_message(c, call, e->message);
	if (e->body_case == FZPB__ENVELOPE__BODY_END)
		finish(call, NULL);
	else if (e->body_case == FZPB__ENVELOPE__BODY_ERROR)
		finish(call, e->error);
	else
		return -EPROTO;
	return 0;
}

static int take_frame(struct fzipc_caller *c)
{
	ProtobufCMessage *msg = NULL;
	enum fzipc_wire verdict = fzipc_wire_unpack(&fzpb__envelope__descriptor,
		fzipc_frame_reader_payload(&c->in), 1024, &c->arena, &msg);
	int r = -EPROTO;
	if (verdict == FZIPC_WIRE_OK)
		r = take_envelope(c, (const Fzpb__Envelope *)(const void *)msg);
	fzipc_arena_reset(&c->arena);
	return r;
}

size_t fzipc_caller_want(const struct fzipc_caller *c)
{
	return c->is_over ? 0 : fzipc_frame_reader_want(&c->in);
}

static void give_up(struct fzipc_caller *c, Fzpb__Error__Code code, const char *message)
{
	Fzpb__Error error = FZPB__ERROR__INIT;
	error.has_code = true;
	error.code = code;
	error.message = borrow(message);
	end_all(c, &error);
}

int fzipc_caller_feed(struct fzipc_caller *c, struct fz_bytes in)
{
	enum fzipc_frame frame = fzipc_frame_reader_feed(&c->in, in);
	if (frame == FZIPC_FRAME_MORE)
		return 0;
	int r = frame == FZIPC_FRAME_WHOLE ? take_frame(c) : -EPROTO;
	if (r < 0)
		give_up(c, FZPB__ERROR__CODE__BAD_ENVELOPE, "The daemon's answer makes no sense.");
	return r;
}

void fzipc_caller_hang_up(struct fzipc_caller *c)
{
	give_up(c, FZPB__ERROR__CODE__UNAVAILABLE, "The daemon closed the connection.");
}

bool fzipc_caller_is_over(const struct fzipc_caller *c)
{
	return c->is_over;
}

struct fz_bytes fzipc_caller_output(const struct fzipc_caller *c)
{
	return fz_bytebuf_bytes(&c->out);
}

void fzipc_caller_wrote(struct fzipc_caller *c, size_t n)
{
	fz_bytebuf_consume(&c->out, n);
}
