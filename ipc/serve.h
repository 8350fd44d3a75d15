/*
 * The daemon's end of one connection as a machine of bytes and events: greeting, calls, permission, rate, credit,
 * deadlines (docs/architecture.md; the protocol's rules stand in firezone.proto). No socket in sight: ipc/io/server
 * feeds it what it read and writes what it queued. One owner; the thread of the server.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"
#include "base/time.h"
#include "ipc/call.h"
#include "ipc/rule.h"

#define FZIPC_MAX_CREDIT 256u
#define FZIPC_HELLO_TIME FZ_SECONDS(5)
#define FZIPC_IDLE_TIME  FZ_SECONDS(60)
/* Above this no more is read from a connection, and its streams count as behind. */
#define FZIPC_OUT_FULL   (256u << 10)
#define FZIPC_OUT_MAX    (FZIPC_FRAME_MAX_TO_CLIENT + FZIPC_OUT_FULL)

/* Calls of one user: one bucket for all and one for each method. Shared by the user's connections. */
struct fzipc_rates {
	struct fzipc_bucket all;
	struct fzipc_bucket *methods; /* fzipc_n_methods of them */
};

#define FZIPC_CALLS_PER_MINUTE 1200u
#define FZIPC_CALLS_BURST      100u

/* What the greeting says of the daemon; strings outlive the connection. */
struct fzipc_daemon {
	const char *version, *boot_id, *instance;
};

/* Why a call did not reach its handler; for the log. */
struct fzipc_refused {
	const struct fzipc_method *method; /* NULL: unknown */
	uint32_t method_id;
	const char *why; /* static */
};

struct fzipc_serve;

struct fzipc_serve_ops {
	/* The daemon's state, asked for each call. */
	void (*world)(void *user, struct fzipc_world *ret_world);
	/* Runs the handler: it replies, fails or keeps the call, now. The request is borrowed for the call of this. */
	void (*dispatch)(void *user, size_t method_index, struct fzipc_call *call,
		const ProtobufCMessage *request);
	/* A permission or a rate said no. May be NULL. */
	void (*refused)(
		void *user, const struct fzipc_who *who, const struct fzipc_refused *refused);
	/* Bytes were queued while none were before. May be NULL. */
	void (*queued)(void *user, struct fzipc_serve *s);
};

/* `who`, `rates` (NULL: no limit) and `daemon` are borrowed for the connection's life; ops and user too. */
struct fzipc_serve *fzipc_serve_new(const struct fzipc_serve_ops *ops, void *user,
	const struct fzipc_who *who, struct fzipc_rates *rates, const struct fzipc_daemon *daemon,
	fz_time now) FZ_NONNULL(1, 3, 5) FZ_MUST_CHECK;
/* Cancels open calls. Accepts NULL. Not from inside a handler. */
void fzipc_serve_free(struct fzipc_serve *s);

/* At most this many bytes may be fed next; 0: read nothing (output is full, or the connection is closing). */
size_t fzipc_serve_want(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/*
 * Feeds what was read: 1 to fzipc_serve_want() bytes. `fds` are all descriptors of this frame so far, the last
 * n_new of them came with these bytes. A handler may take fds[0], which is then -1; once this returns with
 * fzipc_serve_is_at_start, the caller closes the rest.
 */
void fzipc_serve_feed(struct fzipc_serve *s, fz_time now, struct fz_bytes in, int *fds,
	size_t n_fds, size_t n_new) FZ_NONNULL(1);
/* True between frames. */
bool fzipc_serve_is_at_start(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* The client closed its end: nothing more will be answered. */
void fzipc_serve_hang_up(struct fzipc_serve *s) FZ_NONNULL(1);

/* Bytes to write; borrowed until the next call. */
struct fz_bytes fzipc_serve_output(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* n of them were written. May call handlers' `ready`. */
void fzipc_serve_wrote(struct fzipc_serve *s, fz_time now, size_t n) FZ_NONNULL(1);

/*
 * When fzipc_serve_expire must be called at the latest; call it also after handlers answered outside of an entry of
 * this machine, as their waiting times count from the next one.
 */
fz_time fzipc_serve_deadline(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
void fzipc_serve_expire(struct fzipc_serve *s, fz_time now) FZ_NONNULL(1);

/* True once nothing more is to be read; close when the output is empty, or at once if fzipc_serve_is_broken. */
bool fzipc_serve_is_closing(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
bool fzipc_serve_is_broken(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Bytes held for this connection, in and out. */
size_t fzipc_serve_memory(const struct fzipc_serve *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Ends the connection with an error the client can read, e.g. that the daemon stops or has no room. */
void fzipc_serve_close(struct fzipc_serve *s, Fzpb__Error__Code code, const char *message,
	const char *hint) FZ_NONNULL(1, 3);
