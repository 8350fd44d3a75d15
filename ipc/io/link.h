/*
 * A client's connection to the daemon: finds the socket, makes sure it is the daemon's, and carries bytes. Shared by
 * firezonectl and libfirezone-client. One owner, one thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/time.h"
#include "ipc/caller.h"

enum fzipc_link_fault {
	FZIPC_LINK_FINE,
	FZIPC_LINK_NOT_RUNNING, /* nobody listens on the socket, or there is none */
	FZIPC_LINK_DENIED, /* the kernel refuses: not in the group */
	FZIPC_LINK_UNTRUSTED, /* the socket, its directory or the process behind it is not root's */
	FZIPC_LINK_TIMEOUT, /* no answer in time */
	FZIPC_LINK_VERSION, /* another major version; fzipc_link_caller has the daemon's */
	FZIPC_LINK_REFUSED, /* the daemon said no; fzipc_link_caller has its error */
	FZIPC_LINK_BROKEN, /* no daemon of ours, or the connection broke */
	FZIPC_LINK_SYSTEM, /* no memory, no descriptors, a bad path */
};

struct fzipc_link;

/*
 * Connects and greets, waiting at most until `deadline` (FZ_NEVER: 10 s). *ret_link is set whenever there is memory,
 * also after a fault, and is the caller's to free. *ret_errno says more for SYSTEM.
 */
enum fzipc_link_fault fzipc_link_open(struct fzipc_link **ret_link, const char *path,
	const char *name, const char *version, fz_time deadline, int *ret_errno)
	FZ_NONNULL(1, 2, 3, 4, 6) FZ_MUST_CHECK;
/* Accepts NULL. */
void fzipc_link_free(struct fzipc_link *l);

struct fzipc_caller *fzipc_link_caller(struct fzipc_link *l) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* A call that carries `fd` (-1: none; duplicated, stays the caller's). See fzipc_caller_call. */
uint32_t fzipc_link_call(struct fzipc_link *l, const struct fzipc_method *method,
	const ProtobufCMessage *request, int fd, uint32_t timeout_ms,
	const struct fzipc_answer_ops *ops, void *user) FZ_NONNULL(1, 2, 3, 6) FZ_MUST_CHECK;

/* For event loops: the socket, and what to poll it for. */
int fzipc_link_fd(const struct fzipc_link *l) FZ_NONNULL(1);
short fzipc_link_events(const struct fzipc_link *l) FZ_NONNULL(1);
/* Reads and writes what can be without blocking; runs answers. 0 or -EPIPE once the connection is over. */
int fzipc_link_process(struct fzipc_link *l) FZ_NONNULL(1) FZ_MUST_CHECK;
/*
 * Processes until no call is open, `deadline`, or `wake_fd` (-1: none) becomes readable.
 * 0, -ETIME, -EINTR (wake_fd), or -EPIPE.
 */
int fzipc_link_run(struct fzipc_link *l, fz_time deadline, int wake_fd) FZ_NONNULL(1) FZ_MUST_CHECK;

/* CLOCK_BOOTTIME, as fz_time wants it. */
fz_time fzipc_link_now(void);
