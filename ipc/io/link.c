/*
 * Trust comes before the first byte: the socket's directory belongs to root (or to ourselves, in tests) and only its
 * owner can write to it; the socket and the process that listens have the same owner. So nobody unprivileged can
 * have put something else in the daemon's place.
 */
#include "ipc/io/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd.h"

struct fzipc_link {
	int fd;
	struct fzipc_caller *caller;
	int passed_fd; /* goes with the byte at passed_at of the output, or -1 */
	size_t passed_at;
};

fz_time fzipc_link_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (fz_time){ (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec };
}

static enum fzipc_link_fault fault_of(int err)
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
	case ENOTDIR: return FZIPC_LINK_NOT_RUNNING;
	case EACCES:
	case EPERM: return FZIPC_LINK_DENIED;
	default: return FZIPC_LINK_SYSTEM;
	}
}

/* The directory's owner if it can be trusted with the socket in it. */
static enum fzipc_link_fault check_place(const char *path, uid_t *ret_owner)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";
	const char *slash = strrchr(path, '/');
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	struct stat d, s;
	if (stat(dir, &d) < 0 || lstat(path, &s) < 0)
		return fault_of(errno);
	if ((d.st_uid != 0 && d.st_uid != geteuid()) || d.st_mode & (S_IWGRP | S_IWOTH))
		return FZIPC_LINK_UNTRUSTED;
	if (!S_ISSOCK(s.st_mode) || s.st_uid != d.st_uid)
		return FZIPC_LINK_UNTRUSTED;
	*ret_owner = d.st_uid;
	return FZIPC_LINK_FINE;
}

static enum fzipc_link_fault check_peer(int fd, uid_t owner)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return FZIPC_LINK_SYSTEM;
	return cred.uid == owner ? FZIPC_LINK_FINE : FZIPC_LINK_UNTRUSTED;
}

/* 1: ready, 0: deadline, -1: interrupted by wake_fd. */
static int wait_for(int fd, short events, int wake_fd, fz_time deadline)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
		{ .fd = wake_fd, .events = POLLIN } };
	for (;;) {
		int timeout = -1;
		if (!fz_time_is_never(deadline)) {
			uint64_t left = fz_time_since(deadline, fzipc_link_now()).ns;
			timeout = left > 86400ull * 1000000000u
					  ? 86400000
					  : (int)((left + 999999u) / 1000000u);
		}
		int n = poll(p, 2, timeout);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0 && p[1].revents)
			return -1;
		if (n > 0)
			return 1;
		if (!fz_time_is_never(deadline) && fz_time_reached(fzipc_link_now(), deadline))
			return 0;
	}
}

/*
 * Waits in the kernel's queue while the daemon's backlog is full: a non-blocking connect would be turned away and lose
 * its place. Afterwards nothing blocks.
 */
static int connect_until(int fd, const struct sockaddr_un *addr, fz_time deadline)
{
	int r;
	do {
		uint64_t us = fz_time_since(deadline, fzipc_link_now()).ns / 1000 + 1;
		struct timeval tv = { .tv_sec = (time_t)(us / 1000000),
			.tv_usec = (suseconds_t)(us % 1000000) };
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
			return -errno;
		r = connect(fd, (const struct sockaddr *)(const void *)addr, sizeof(*addr));
	} while (r < 0 && errno == EINTR && !fz_time_reached(fzipc_link_now(), deadline));
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? -ETIME : -errno;
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static enum fzipc_link_fault connect_to(
	struct fzipc_link *l, const char *path, fz_time deadline, int *ret_errno)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(addr.sun_path)) {
		*ret_errno = ENAMETOOLONG;
		return FZIPC_LINK_SYSTEM;
	}
	memcpy(addr.sun_path, path, strlen(path));
	uid_t owner = 0;
	enum fzipc_link_fault fault = check_place(path, &owner);
	if (fault != FZIPC_LINK_FINE) {
		*ret_errno = errno;
		return fault;
	}
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = l->fd < 0 ? -errno : connect_until(l->fd, &addr, deadline);
	if (r < 0) {
		*ret_errno = -r;
		return r == -ETIME ? FZIPC_LINK_TIMEOUT : fault_of(-r);
	}
	return check_peer(l->fd, owner);
}

static enum fzipc_link_fault greet(struct fzipc_link *l, fz_time deadline)
{
	while (!fzipc_caller_greeting_maybe(l->caller)) {
		int ready = wait_for(l->fd, fzipc_link_events(l), -1, deadline);
		if (ready == 0)
			return FZIPC_LINK_TIMEOUT;
		if (fzipc_link_process(l) == 0)
			continue;
		const Fzpb__Error *error = fzipc_caller_error_maybe(l->caller);
		if (!error)
			return FZIPC_LINK_BROKEN;
		return error->code == FZPB__ERROR__CODE__UNSUPPORTED ? FZIPC_LINK_VERSION
								     : FZIPC_LINK_REFUSED;
	}
	if (fzipc_caller_greeting_maybe(l->caller)->major != FZIPC_MAJOR)
		return FZIPC_LINK_VERSION;
	return FZIPC_LINK_FINE;
}

enum fzipc_link_fault fzipc_link_open(struct fzipc_link **ret_link, const char *path,
	const char *name, const char *version, fz_time deadline, int *ret_errno)
{
	*ret_errno = ENOMEM;
	struct fzipc_link *l = fz_new(struct fzipc_link);
	if (!l)
		return FZIPC_LINK_SYSTEM;
	l->fd = l->passed_fd = -1;
	l->caller = fzipc_caller_new(name, version);
	if (!l->caller) {
		free(l);
		return FZIPC_LINK_SYSTEM;
	}
	*ret_link = l;
	*ret_errno = 0;
	fz_time latest = fz_time_add(fzipc_link_now(), FZ_SECONDS(10));
	if (fz_time_is_never(deadline))
		deadline = latest;
	enum fzipc_link_fault fault = connect_to(l, path, deadline, ret_errno);
	return fault == FZIPC_LINK_FINE ? greet(l, deadline) : fault;
}

void fzipc_link_free(struct fzipc_link *l)
{
	if (!l)
		return;
	fzipc_caller_free(l->caller);
	fz_closep(&l->passed_fd);
	fz_closep(&l->fd);
	free(l);
}

struct fzipc_caller *fzipc_link_caller(struct fzipc_link *l)
{
	return l->caller;
}

uint32_t fzipc_link_call(struct fzipc_link *l, const struct fzipc_method *method,
	const ProtobufCMessage *request, int fd, uint32_t timeout_ms,
	const struct fzipc_answer_ops *ops, void *user)
{
	FZ_CLEANUP(fz_closep) int copy = -1;
	if (fd >= 0) {
		if (l->passed_fd >= 0)
			return 0; /* one at a time */
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (copy < 0)
			return 0;
	}
	size_t at = fzipc_caller_output(l->caller).n;
	uint32_t stream = fzipc_caller_call(l->caller, method, request, timeout_ms, ops, user);
	if (stream != 0 && copy >= 0) {
		l->passed_fd = fz_take_fd(&copy);
		l->passed_at = at;
	}
	return stream;
}

int fzipc_link_fd(const struct fzipc_link *l)
{
	return l->fd;
}

short fzipc_link_events(const struct fzipc_link *l)
{
	return (short)(POLLIN | (fzipc_caller_output(l->caller).n > 0 ? POLLOUT : 0));
}

static ssize_t send_with_fd(int fd, struct fz_bytes out, int passed)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };

	union {
		const uint8_t *in;
		void *out;
	} base = { .in = out.p }; /* iovec has no const; sendmsg does not write */
	struct iovec iov = { .iov_base = base.out, .iov_len = out.n };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &passed, sizeof(int));
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* One send: what lies before a descriptor's byte, or from that byte on with the descriptor, or all. */
static ssize_t send_some(struct fzipc_link *l, struct fz_bytes out)
{
	if (l->passed_fd < 0)
		return send(l->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (l->passed_at > 0) {
		ssize_t n = send(l->fd, out.p, l->passed_at, MSG_DONTWAIT | MSG_NOSIGNAL);
		l->passed_at -= n > 0 ? (size_t)n : 0;
		return n;
	}
	ssize_t n = send_with_fd(l->fd, out, l->passed_fd);
	if (n > 0)
		fz_closep(&l->passed_fd);
	return n;
}

static int write_all(struct fzipc_link *l)
{
	struct fz_bytes out = fzipc_caller_output(l->caller);
	while (out.n > 0) {
		ssize_t n = send_some(l, out);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -EPIPE;
		fzipc_caller_wrote(l->caller, (size_t)n);
		out = fzipc_caller_output(l->caller);
	}
	return 0;
}

static int read_all(struct fzipc_link *l)
{
	uint8_t buf[4096];
	for (size_t want = fzipc_caller_want(l->caller); want > 0;
		want = fzipc_caller_want(l->caller)) {
		ssize_t n = recv(l->fd, buf, want < sizeof(buf) ? want : sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -EPIPE;
		int r = fzipc_caller_feed(l->caller, fz_bytes_of(buf, (size_t)n));
		if (r < 0)
			return -EPIPE;
	}
	return 0;
}

int fzipc_link_process(struct fzipc_link *l)
{
	int written = write_all(l);
	/* A daemon that refuses may close its end at once; its reason is still there to be read. */
	int r = read_all(l);
	if (r == 0)
		r = written;
	if (r == 0)
		r = write_all(l);
	if (r < 0 && !fzipc_caller_is_over(l->caller))
		fzipc_caller_hang_up(l->caller);
	return fzipc_caller_is_over(l->caller) ? -EPIPE : 0;
}

int fzipc_link_run(struct fzipc_link *l, fz_time deadline, int wake_fd)
{
	int r = fzipc_link_process(l);
	while (r == 0 && fzipc_caller_open_calls(l->caller) > 0) {
		int ready = wait_for(l->fd, fzipc_link_events(l), wake_fd, deadline);
		if (ready <= 0)
			return ready == 0 ? -ETIME : -EINTR;
		r = fzipc_link_process(l);
	}
	return fzipc_caller_open_calls(l->caller) == 0 ? 0 : r;
}
