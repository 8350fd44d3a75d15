/*
 * The daemon's socket: listens, checks who connects (SO_PEERCRED, SO_PEERGROUPS), carries bytes between sockets and
 * fzipc_serve, and keeps within bounds: 64 connections (8 of them for root), 8 per user, 5 s for a greeting.
 * Never blocks. Works inside any event loop: watch one descriptor and one deadline.
 *
 *     fzipc_server_new(&s, &config);
 *     for (;;) {                                       // or sd-event: an io source and a time source
 *             poll(fzipc_server_fd(s), POLLIN, until fzipc_server_deadline(s));
 *             fzipc_server_process(s, now);
 *     }
 *
 * Handlers (ipc/handlers.h, generated) run inside fzipc_server_process and may answer at once or keep the call and
 * answer from anywhere in the same thread. One thread owns a server.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/time.h"
#include "ipc/handlers.h"
#include "ipc/rule.h"
#include "ipc/serve.h"

/* How much one server takes on. Zeroed members take the default in brackets. */
struct fzipc_limits {
	unsigned connections; /* [64] of all users */
	unsigned reserved_for_root; /* [8] of these */
	unsigned per_user; /* [8] */
	size_t memory; /* [16 MiB] for all connections' buffers; the largest is closed when it is passed */
};

struct fzipc_server_config {
	const char
		*path; /* for binding and for refusing a second daemon; NULL: FZIPC_SOCKET_PATH */
	int listen_fd; /* from socket activation, taken; -1: bind `path` */
	gid_t group; /* members may call; (gid_t)-1: only root */
	uid_t root; /* who counts as root: 0, except in tests that run as a user */
	struct fzipc_daemon daemon; /* strings outlive the server */
	struct fzipc_limits limits;
	const struct fzipc_handlers *handlers; /* complete, outlives the server */
	/* Fills the state that permission depends on; asked for each call. */
	void (*world)(void *user, struct fzipc_world *ret_world);
	void *user; /* given to the handlers too */
};

struct fzipc_server;

/*
 * 0, or negative errno. -EADDRINUSE: another daemon answers on the path. A socket nobody answers on is replaced.
 * When binding: the directory must exist and be writable by the caller and root only; the socket becomes
 * root:group 0660. The listening socket, when handed in, is checked to be a Unix stream socket.
 */
int fzipc_server_new(struct fzipc_server **ret_server, const struct fzipc_server_config *config,
	fz_time now) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Cancels all calls, closes all connections and removes a socket that was bound here. Accepts NULL. */
void fzipc_server_free(struct fzipc_server *s);

/* Readable when fzipc_server_process has something to do. Borrowed. */
int fzipc_server_fd(const struct fzipc_server *s) FZ_NONNULL(1) FZ_MUST_CHECK;
fz_time fzipc_server_deadline(const struct fzipc_server *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Does a bounded amount of work; call again while the descriptor is readable. */
void fzipc_server_process(struct fzipc_server *s, fz_time now) FZ_NONNULL(1);

/* Tells every connection that the daemon stops, and accepts no more. Free it after the next processing. */
void fzipc_server_stop(struct fzipc_server *s, fz_time now, const char *why) FZ_NONNULL(1, 3);

struct fzipc_server_stats {
	unsigned connections;
	uint64_t accepted, turned_away, calls, refused;
	size_t memory;
};

void fzipc_server_stats(const struct fzipc_server *s, struct fzipc_server_stats *ret_stats)
	FZ_NONNULL(1, 2);
