/*
 * The installed client library over ipc/io/link. Public structs begin with their size, so that a library newer or older
 * than the program reads and writes only what both know; how fields lie in them is in generated tables.
 */
#include "ipc/io/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ipc/io/client_private.h"
#include "ipc/io/link.h"
#include "ipc/reflect.h"
#include "ipc/wire.h"

#define ANSWER_MAX  (64u << 20)
#define REQUEST_MAX (1u << 20)

struct firezone_client {
	struct fzipc_link *link;
};

/* One call on its way. */
struct pending {
	const struct fzipc_method *method;
	fzipc_any_fn *on_answer;
	void *user;
	bool is_answered;
};

static const struct fzipc_public *public_of(const ProtobufCMessageDescriptor *d)
{
	for (size_t i = 0; i < fzipc_n_publics; i++) {
		if (fzipc_publics[i].desc == d)
			return &fzipc_publics[i];
	}
	return NULL;
}

/* ---- from protobuf-c's structs to ours; recursion follows the schema, whose depth the build bounds ---- */

static const void *publish(const ProtobufCMessage *msg, struct fzipc_arena *arena);

static bool publish_repeated(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f,
	size_t n, char *value, struct fzipc_arena *arena)
{
	const void *array;
	if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
		/* Numbers, enums and strings lie in arrays just as we promise them. */
		memcpy(&array, (const char *)msg + f->offset, sizeof(array));
		memcpy(value, &array, sizeof(array));
		return true;
	}
	const void **list = fzipc_arena_alloc(arena, n * sizeof(*list));
	for (size_t i = 0; list && i < n; i++) {
		list[i] = publish(fzipc_reflect_get(msg, f, i).msg, arena);
		if (!list[i])
			return false;
	}
	array = list;
	memcpy(value, &array, sizeof(array));
	return list != NULL;
}

static void publish_number(const struct fzipc_value *v, char *value)
{
	uint32_t u32 = (uint32_t)v->u;
	int32_t i32 = (int32_t)v->i;
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_BOOL: memcpy(value, &v->b, sizeof(v->b)); return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32: memcpy(value, &u32, sizeof(u32)); return;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM: memcpy(value, &i32, sizeof(i32)); return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE: memcpy(value, &v->u, sizeof(v->u)); return;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE: return;
	}
}

static bool publish_field(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f,
	const struct fzipc_public_field *to, char *out, struct fzipc_arena *arena)
{
	size_t n = fzipc_reflect_count(msg, f);
	if (n == 0)
		return true;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(out + to->has, &n, sizeof(n));
		return publish_repeated(msg, f, n, out + to->value, arena);
	}
	struct fzipc_value v = fzipc_reflect_get(msg, f, 0);
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		memcpy(out + to->value, &v.s, sizeof(v.s));
		return true;
	}
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		const void *sub = publish(v.msg, arena);
		memcpy(out + to->value, &sub, sizeof(sub));
		return sub != NULL;
	}
	bool has = true;
	memcpy(out + to->has, &has, sizeof(has));
	publish_number(&v, out + to->value);
	return true;
}

/* A public struct in the arena, its strings borrowed from msg; NULL without memory. */
static const void *publish(const ProtobufCMessage *msg, struct fzipc_arena *arena)
{
	const struct fzipc_public *p = public_of(msg->descriptor);
	char *out = p ? fzipc_arena_alloc(arena, p->size) : NULL;
	if (!out)
		return NULL;
	memcpy(out, &p->size, sizeof(p->size));
	for (unsigned i = 0; i < p->desc->n_fields; i++) {
		if (!publish_field(msg, &p->desc->fields[i], &p->fields[i], out, arena))
			return NULL;
	}
	return out;
}

/* ---- from ours to protobuf-c's: requests hold strings, numbers and lists of enums ---- */

static bool take_number(const ProtobufCFieldDescriptor *f, const char *value, struct fzipc_value *v)
{
	uint32_t u32;
	int32_t i32;
	v->field = f;
	if (f->type == PROTOBUF_C_TYPE_BOOL) {
		memcpy(&v->b, value, sizeof(v->b));
	} else if (f->type == PROTOBUF_C_TYPE_UINT32) {
		memcpy(&u32, value, sizeof(u32));
		v->u = u32;
	} else if (f->type == PROTOBUF_C_TYPE_ENUM || f->type == PROTOBUF_C_TYPE_INT32) {
		memcpy(&i32, value, sizeof(i32));
		v->i = i32;
	} else if (f->type == PROTOBUF_C_TYPE_UINT64 || f->type == PROTOBUF_C_TYPE_INT64 ||
		   f->type == PROTOBUF_C_TYPE_DOUBLE) {
		memcpy(&v->u, value, sizeof(v->u));
	} else {
		return false;
	}
	return true;
}

static bool take_list(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f, const char *in,
	const struct fzipc_public_field *from, struct fzipc_arena *arena)
{
	size_t n;
	const int32_t *list;
	memcpy(&n, in + from->has, sizeof(n));
	memcpy(&list, in + from->value, sizeof(list));
	if (n > 0 && f->type != PROTOBUF_C_TYPE_ENUM)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct fzipc_value v = { .field = f, .i = list[i] };
		if (!fzipc_reflect_put(msg, &v, arena))
			return false;
	}
	return true;
}

static bool take_field(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f, const char *in,
	const struct fzipc_public_field *from, struct fzipc_arena *arena)
{
	struct fzipc_value v = { .field = f };
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return take_list(msg, f, in, from, arena);
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		memcpy(&v.s, in + from->value, sizeof(v.s));
		return !v.s || fzipc_reflect_put(msg, &v, arena);
	}
	bool has;
	memcpy(&has, in + from->has, sizeof(has));
	return !has || (take_number(f, in + from->value, &v) && fzipc_reflect_put(msg, &v, arena));
}

/* A request made with an older header is shorter: fields beyond its size were never said. */
static ProtobufCMessage *request_of(
	const ProtobufCMessageDescriptor *d, const void *in, struct fzipc_arena *arena)
{
	const struct fzipc_public *p = public_of(d);
	ProtobufCMessage *msg = fzipc_reflect_new_maybe(d, arena);
	size_t size = 0;
	if (!in || !msg || !p)
		return msg;
	memcpy(&size, in, sizeof(size));
	for (unsigned i = 0; i < d->n_fields; i++) {
		if (p->fields[i].value + sizeof(uint64_t) > size &&
			p->fields[i].value + sizeof(uint32_t) > size)
			continue;
		if (!take_field(msg, &d->fields[i], in, &p->fields[i], arena))
			return NULL;
	}
	return msg;
}

/* ---- calls ---- */

static void on_message(void *user, const ProtobufCMessage *msg)
{
	struct pending *p = user;
	struct fzipc_arena arena;
	fzipc_arena_init(&arena, ANSWER_MAX);
	const void *answer = publish(msg, &arena);
	if (answer) {
		p->is_answered = true;
		p->on_answer(p->user, answer, NULL);
	}
	fzipc_arena_reset(&arena);
}

static void on_done(void *user, const Fzpb__Error *error_maybe)
{
	struct pending *p = user;
	struct fzipc_arena arena;
	struct firezone_error none = { .struct_size = sizeof(none),
		.has_code = true,
		.code = FIREZONE_ERROR_CODE_SYSTEM,
		.message = "The answer cannot be read." };
	const struct firezone_error *error = NULL;
	fzipc_arena_init(&arena, REQUEST_MAX);
	if (error_maybe)
		error = publish(&error_maybe->base, &arena);
	bool is_lost = !p->method->is_stream && !p->is_answered;
	if ((error_maybe || is_lost) && !error)
		error = &none;
	if (error || p->method->is_stream)
		p->on_answer(p->user, NULL, error);
	fzipc_arena_reset(&arena);
	free(p);
}

static const struct fzipc_answer_ops answer_ops = { .message = on_message, .done = on_done };

uint32_t fzipc_client_call(struct firezone_client *client, const struct fzipc_method *method,
	const void *request_maybe, int fd, fzipc_any_fn *on_answer, void *user)
{
	struct pending *p = fz_new(struct pending);
	if (!p)
		return 0;
	*p = (struct pending){ .method = method, .on_answer = on_answer, .user = user };
	struct fzipc_arena arena;
	fzipc_arena_init(&arena, REQUEST_MAX);
	const ProtobufCMessage *request = request_of(method->request, request_maybe, &arena);
	uint32_t call =
		request ? fzipc_link_call(client->link, method, request, fd, 0, &answer_ops, p) : 0;
	fzipc_arena_reset(&arena);
	if (call == 0)
		free(p);
	return call;
}

/* ---- the connection ---- */

static enum firezone_result result_of(enum fzipc_link_fault fault)
{
	switch (fault) {
	case FZIPC_LINK_FINE: return FIREZONE_OK;
	case FZIPC_LINK_NOT_RUNNING: return FIREZONE_NOT_RUNNING;
	case FZIPC_LINK_DENIED: return FIREZONE_DENIED;
	case FZIPC_LINK_UNTRUSTED: return FIREZONE_UNTRUSTED;
	case FZIPC_LINK_TIMEOUT: return FIREZONE_TIMEOUT;
	case FZIPC_LINK_VERSION: return FIREZONE_VERSION;
	case FZIPC_LINK_REFUSED: return FIREZONE_REFUSED;
	case FZIPC_LINK_BROKEN: return FIREZONE_BROKEN;
	case FZIPC_LINK_SYSTEM: break;
	}
	return FIREZONE_SYSTEM;
}

FIREZONE_EXPORT enum firezone_result firezone_client_open(
	struct firezone_client **ret_client, const struct firezone_options *options)
{
	struct firezone_options o = { .struct_size = sizeof(o) };
	if (options)
		memcpy(&o, options,
			options->struct_size < sizeof(o) ? options->struct_size : sizeof(o));
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): programs that change their environment do so before they connect */
	const char *environment = secure_getenv("FIREZONE_SOCKET");
	const char *path = o.socket_path                 ? o.socket_path
			   : environment && *environment ? environment
							 : FZIPC_SOCKET_PATH;
	fz_time deadline = FZ_NEVER;
	if (o.timeout_ms > 0)
		deadline = fz_time_add(fzipc_link_now(), FZ_MILLISECONDS(o.timeout_ms));
	*ret_client = NULL;
	struct firezone_client *c = fz_new(struct firezone_client);
	if (!c)
		return FIREZONE_SYSTEM;
	int os_errno;
	enum fzipc_link_fault fault = fzipc_link_open(&c->link, path, o.name ? o.name : "unnamed",
		o.version ? o.version : "0", deadline, &os_errno);
	if (fault == FZIPC_LINK_FINE)
		*ret_client = c;
	else
		firezone_client_free(c);
	return result_of(fault);
}

/* What calls still open have of memory; they are not answered any more. */
FIREZONE_EXPORT void firezone_client_free(struct firezone_client *client)
{
	if (!client)
		return;
	if (client->link)
		fzipc_caller_drop(fzipc_link_caller(client->link), free);
	fzipc_link_free(client->link);
	free(client);
}

FIREZONE_EXPORT void firezone_client_daemon(
	const struct firezone_client *client, struct firezone_daemon *ret_daemon)
{
	const Fzpb__HelloReply *hello =
		fzipc_caller_greeting_maybe(fzipc_link_caller(client->link));
	size_t size = ret_daemon->struct_size;
	struct firezone_daemon d = { .struct_size = size,
		.version = hello->daemon_version,
		.boot_id = hello->boot_id,
		.protocol_major = hello->major,
		.protocol_minor = hello->minor,
		.service_mode = hello->service_mode };
	d.permission = hello->has_your_permission ? (int)hello->your_permission - 1 : 0;
	memcpy(ret_daemon, &d, size < sizeof(d) ? size : sizeof(d));
}

FIREZONE_EXPORT int firezone_client_fd(const struct firezone_client *client)
{
	return fzipc_link_fd(client->link);
}

FIREZONE_EXPORT short firezone_client_events(const struct firezone_client *client)
{
	return fzipc_link_events(client->link);
}

FIREZONE_EXPORT enum firezone_result firezone_client_process(struct firezone_client *client)
{
	return fzipc_link_process(client->link) < 0 ? FIREZONE_BROKEN : FIREZONE_OK;
}

FIREZONE_EXPORT enum firezone_result firezone_client_wait(
	struct firezone_client *client, int timeout_ms)
{
	fz_time deadline = FZ_NEVER;
	if (timeout_ms >= 0)
		deadline = fz_time_add(fzipc_link_now(), FZ_MILLISECONDS(timeout_ms));
	int r = fzipc_link_run(client->link, deadline, -1);
	return r == 0 ? FIREZONE_OK : r == -ETIME ? FIREZONE_TIMEOUT : FIREZONE_BROKEN;
}

FIREZONE_EXPORT void firezone_client_cancel(struct firezone_client *client, uint32_t call)
{
	fzipc_caller_cancel(fzipc_link_caller(client->link), call);
}

FIREZONE_EXPORT const char *firezone_result_text(enum firezone_result result)
{
	static const char *const texts[] = {
		[FIREZONE_OK] = "done",
		[FIREZONE_NOT_RUNNING] = "the Firezone daemon is not running",
		[FIREZONE_DENIED] =
			"only root and members of the group firezone may talk to the daemon",
		[FIREZONE_UNTRUSTED] = "the daemon's socket does not belong to root",
		[FIREZONE_TIMEOUT] = "no answer in time",
		[FIREZONE_VERSION] = "the daemon speaks another version of the protocol",
		[FIREZONE_REFUSED] = "the daemon refused the connection",
		[FIREZONE_BROKEN] = "the connection to the daemon is over",
		[FIREZONE_SYSTEM] = "no memory, or another failure of the system",
	};
	size_t i = (size_t)result;
	return i < FZ_ARRAY_LEN(texts) ? texts[i] : "unknown";
}

FIREZONE_EXPORT const char *firezone_client_version(void)
{
	return FZ_VERSION;
}
