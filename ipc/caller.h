/*
 * The client's end of one connection as a machine of bytes and events: greets, makes calls, returns credit, hands
 * out messages. No socket in sight: ipc/io/link feeds it. One owner, one thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"
#include "ipc/firezone.pb-c.h"
#include "ipc/method.h"

/* How many messages of a stream may be under way; half of it is returned at a time. */
#define FZIPC_CALLER_CREDIT 32u

/* What becomes of a call. `done` comes exactly once, last. Messages and errors are borrowed for the call of these. */
struct fzipc_answer_ops {
	void (*message)(void *user, const ProtobufCMessage *msg);
	void (*done)(void *user, const Fzpb__Error *error_maybe);
};

struct fzipc_caller;

/* Queues the greeting. `name` and `version` say who calls, for the daemon's log. NULL without memory. */
struct fzipc_caller *fzipc_caller_new(const char *name, const char *version)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Calls still open end without `done`. Accepts NULL. */
void fzipc_caller_free(struct fzipc_caller *c);

/* The daemon's greeting, or NULL before it came. Lives as long as the caller. */
const Fzpb__HelloReply *fzipc_caller_greeting_maybe(const struct fzipc_caller *c) FZ_NONNULL(1);
/* Why the daemon ended the connection, or NULL. Lives as long as the caller. */
const Fzpb__Error *fzipc_caller_error_maybe(const struct fzipc_caller *c) FZ_NONNULL(1);

/*
 * Queues a call. The stream's number, or 0: the connection is over, has too many calls, or there is no memory.
 * timeout_ms 0: none. ops outlive the call.
 */
uint32_t fzipc_caller_call(struct fzipc_caller *c, const struct fzipc_method *method,
	const ProtobufCMessage *request, uint32_t timeout_ms, const struct fzipc_answer_ops *ops,
	void *user) FZ_NONNULL(1, 2, 3, 5) FZ_MUST_CHECK;
/* Asks the daemon to stop; `done` follows with CANCELLED unless the call ended before. */
void fzipc_caller_cancel(struct fzipc_caller *c, uint32_t stream) FZ_NONNULL(1);
/* Forgets open calls without `done`; `release` is given each call's user. */
void fzipc_caller_drop(struct fzipc_caller *c, void (*release)(void *user)) FZ_NONNULL(1, 2);
/* Calls that are not done. */
size_t fzipc_caller_open_calls(const struct fzipc_caller *c) FZ_NONNULL(1);

/* At most this many bytes may be fed next. */
size_t fzipc_caller_want(const struct fzipc_caller *c) FZ_NONNULL(1) FZ_MUST_CHECK;
/*
 * 0, or -EPROTO: what came is no answer of a daemon; the connection is over. Runs ops. Once the connection is over,
 * open calls are done with the reason.
 */
int fzipc_caller_feed(struct fzipc_caller *c, struct fz_bytes in) FZ_NONNULL(1) FZ_MUST_CHECK;
/* The daemon is gone: open calls are done with UNAVAILABLE. */
void fzipc_caller_hang_up(struct fzipc_caller *c) FZ_NONNULL(1);
bool fzipc_caller_is_over(const struct fzipc_caller *c) FZ_NONNULL(1);

/* Bytes to write; borrowed until the next call. */
struct fz_bytes fzipc_caller_output(const struct fzipc_caller *c) FZ_NONNULL(1) FZ_MUST_CHECK;
void fzipc_caller_wrote(struct fzipc_caller *c, size_t n) FZ_NONNULL(1);
