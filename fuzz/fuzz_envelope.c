/*
 * A client's bytes to the daemon's machine, and the same bytes as a daemon's to the client's. The first byte says how
 * the clock moves and who asks. Output must be frames whose envelopes can be read.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "ipc/caller.h"
#include "ipc/frame.h"
#include "ipc/methods.h"
#include "ipc/serve.h"
#include "ipc/wire.h"

struct desk {
	struct fzipc_call *kept[FZIPC_MAX_STREAMS];
};

static void world(void *user, struct fzipc_world *ret_world)
{
	(void)user;
	*ret_world = (struct fzipc_world){ .is_signed_in = true };
}

static void cancelled(void *user, struct fzipc_call *call)
{
	struct desk *d = user;
	size_t n = 0;
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++) {
		n += d->kept[i] == call;
		d->kept[i] = d->kept[i] == call ? NULL : d->kept[i];
	}
	fz_assert(n == 1);
}

static void ready(void *user, struct fzipc_call *call)
{
	Fzpb__Event e = FZPB__EVENT__INIT;
	(void)user;
	if (fzipc_call_method(call)->reply == &fzpb__event__descriptor)
		fzipc_call_send(call, &e.base);
}

static const struct fzipc_call_ops call_ops = { .cancelled = cancelled, .ready = ready };

/* Streams stay open and send; the rest answers at once, some with an error. */
static void dispatch(
	void *user, size_t index, struct fzipc_call *call, const ProtobufCMessage *request)
{
	struct desk *d = user;
	fz_assert(request->descriptor == fzipc_methods[index].request);
	fz_assert(fzipc_call_method(call) == &fzipc_methods[index]);
	if (fzipc_methods[index].is_stream) {
		size_t i = 0;
		while (d->kept[i])
			i++;
		d->kept[i] = call;
		fzipc_call_keep(call, &call_ops, d);
		for (int k = 0; k < 4; k++)
			ready(d, call);
	} else if (index == FZIPC_GET_STATUS) {
		Fzpb__Status s = FZPB__STATUS__INIT;
		fzipc_call_reply(call, &s.base);
	} else {
		fzipc_call_fail(call, FZPB__ERROR__CODE__UNAVAILABLE, "No.", NULL);
	}
}

static const struct fzipc_serve_ops ops = { .world = world, .dispatch = dispatch };

static void check_output(struct fz_bytes out)
{
	struct fz_reader r = fz_reader_of(out);
	while (r.left > 0) {
		struct fz_bytes payload = fz_reader_take(&r, fz_reader_le32(&r));
		fz_assert(!r.bad && payload.n > 0);
		fz_assert(fzipc_wire_check(&fzpb__envelope__descriptor, payload, 100) ==
			  FZIPC_WIRE_OK);
	}
}

static void as_client(const uint8_t *data, size_t size, uint8_t mode)
{
	struct desk d = { 0 };
	struct fzipc_who who = { .uid = 1, .is_root = mode & 1, .is_member = true };
	struct fzipc_bucket buckets[64] = { 0 };
	struct fzipc_rates rates = { .methods = buckets };
	struct fzipc_daemon daemon = { .version = "1" };
	fz_time now = { 1000000000000 };
	int fd = 1000;
	struct fzipc_serve *s = fzipc_serve_new(&ops, &d, &who, &rates, &daemon, now);
	fz_assert(s && fzipc_n_methods <= 64);
	while (size > 0 && !fzipc_serve_is_broken(s)) {
		size_t want = fzipc_serve_want(s), n = want < size ? want : size;
		if (n == 0)
			break;
		size_t n_fds = mode & 2 && fzipc_serve_is_at_start(s) ? 1 : 0;
		fzipc_serve_feed(s, now, fz_bytes_of(data, n), &fd, n_fds, n_fds);
		data += n;
		size -= n;
		now = fz_time_add(now, FZ_MILLISECONDS(mode));
		if (fz_time_reached(now, fzipc_serve_deadline(s)))
			fzipc_serve_expire(s, now);
		if (mode & 4) {
			check_output(fzipc_serve_output(s));
			fzipc_serve_wrote(s, now, fzipc_serve_output(s).n);
		}
	}
	check_output(fzipc_serve_output(s));
	fz_assert(fzipc_serve_memory(s) < 8u << 20);
	fzipc_serve_free(s);
	for (size_t i = 0; i < FZIPC_MAX_STREAMS; i++)
		fz_assert(!d.kept[i]);
}

static void on_message(void *user, const ProtobufCMessage *msg)
{
	(void)msg;
	fz_assert(*(int *)user == 0);
}

static void on_done(void *user, const Fzpb__Error *error_maybe)
{
	(void)error_maybe;
	fz_assert((*(int *)user)++ == 0);
}

static const struct fzipc_answer_ops answer_ops = { .message = on_message, .done = on_done };

static void as_daemon(const uint8_t *data, size_t size)
{
	int n_done[2] = { 0 };
	Fzpb__StatusRequest status = FZPB__STATUS_REQUEST__INIT;
	Fzpb__WatchRequest watch = FZPB__WATCH_REQUEST__INIT;
	struct fzipc_caller *c = fzipc_caller_new("fuzz", "1");
	fz_assert(c);
	fz_assert(fzipc_caller_call(c, &fzipc_methods[FZIPC_GET_STATUS], &status.base, 0,
			  &answer_ops, &n_done[0]) == 1);
	fz_assert(fzipc_caller_call(c, &fzipc_methods[FZIPC_WATCH], &watch.base, 0, &answer_ops,
			  &n_done[1]) == 3);
	int r = 0;
	while (size > 0 && r == 0 && !fzipc_caller_is_over(c)) {
		size_t want = fzipc_caller_want(c), n = want < size ? want : size;
		r = fzipc_caller_feed(c, fz_bytes_of(data, n));
		data += n;
		size -= n;
	}
	if (fzipc_caller_is_over(c))
		fz_assert(n_done[0] == 1 && n_done[1] == 1);
	check_output(fzipc_caller_output(c));
	fzipc_caller_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	as_client(data + 1, size - 1, data[0]);
	as_daemon(data + 1, size - 1);
	return 0;
}
