/*
 * One call as its handler sees it: who asks, and where the answer goes. The typed forms (fzipc_reply_get_status,
 * fzipc_send_watch, ...) are generated into ipc/handlers.h and are what handlers use.
 * A call is alive from its handler's start until the handler replies, ends or fails it, or until `cancelled` is
 * called; after that the pointer must not be used. The thread of the server.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/attr.h"
#include "ipc/firezone.pb-c.h"
#include "ipc/method.h"
#include "ipc/rule.h"

struct fzipc_call;

/* What may happen to a call that its handler keeps open. Both may be NULL. */
struct fzipc_call_ops {
	/* The client went away, cancelled, or its time was up: the call is gone when this returns. */
	void (*cancelled)(void *user, struct fzipc_call *call);
	/*
	 * A message was refused before (fzipc_call_send said false) and the reader has caught up: send one
	 * message that makes up for all it missed. Streams of state send a whole snapshot.
	 */
	void (*ready)(void *user, struct fzipc_call *call);
};

/* Call this before returning from the handler of a call that stays open. `ops` must outlive the call. */
void fzipc_call_keep(struct fzipc_call *call, const struct fzipc_call_ops *ops, void *user)
	FZ_NONNULL(1, 2);
/* Borrowed, lives as long as the call. */
const struct fzipc_who *fzipc_call_who(const struct fzipc_call *call)
	FZ_NONNULL(1) FZ_RETURNS_NONNULL;
const struct fzipc_method *fzipc_call_method(const struct fzipc_call *call)
	FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/*
 * Moves the descriptor that came with the call to the handler, -1 the second time. Methods with passes_fd always
 * have exactly one, and the server lets only memory files (memfd) through: reading and writing them never blocks. What is not taken when the handler returns is closed.
 */
int fzipc_call_take_fd(struct fzipc_call *call) FZ_NONNULL(1) FZ_MUST_CHECK;

/* The same, borrowed: stays with the call. */
int fzipc_call_fd(const struct fzipc_call *call) FZ_NONNULL(1);

/* One message of a stream. False if the reader is behind and the message was not sent: `ready` will follow. */
bool fzipc_call_send(struct fzipc_call *call, const ProtobufCMessage *msg) FZ_NONNULL(1, 2);
/* Messages the reader has missed since the last one that was sent. */
uint64_t fzipc_call_missed(const struct fzipc_call *call) FZ_NONNULL(1);

/* These three end the call. `hint` may be NULL. */
void fzipc_call_reply(struct fzipc_call *call, const ProtobufCMessage *msg) FZ_NONNULL(1, 2);
void fzipc_call_end(struct fzipc_call *call) FZ_NONNULL(1);
void fzipc_call_fail(struct fzipc_call *call, Fzpb__Error__Code code, const char *message,
	const char *hint) FZ_NONNULL(1, 3);
/* The same with every field of the error (os_errno, portal_code). */
void fzipc_call_fail_with(struct fzipc_call *call, const Fzpb__Error *error) FZ_NONNULL(1, 2);
