/* Marked sockets, clocks, randomness, files: every system call here that is not TLS. */
#include "control/io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd.h"

struct fz_now fzp_now(void)
{
	struct timespec boot, wall;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct fz_now){
		{ (uint64_t)boot.tv_sec * 1'000'000'000 + (uint64_t)boot.tv_nsec },
		{ (int64_t)wall.tv_sec * 1'000'000'000 + wall.tv_nsec },
	};
}

void fzp_random(void *user, struct fz_span out)
{
	(void)user;
	while (out.n > 0) {
		ssize_t n = getrandom(out.p, out.n, 0);
		fz_assert(n > 0 || errno == EINTR);
		if (n > 0) {
			out.p += n;
			out.n -= (size_t)n;
		}
	}
}

static socklen_t to_sockaddr(const struct fz_addr *a, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->ip.family == FZ_IP4) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
		memcpy(&in.sin_addr, a->ip.b, 4);
		memcpy(ret, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope
	};
	memcpy(&in6.sin6_addr, a->ip.b, 16);
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

int fzp_sock_connect(int type, uint32_t mark, const struct fz_addr *to, int *ret_fd)
{
	int domain = to->ip.family == FZ_IP4 ? AF_INET : AF_INET6;
	FZ_CLEANUP(fz_closep)
	int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	int one = 1;
	/* Frames are small and each matters at once. Failure costs time only. */
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct sockaddr_storage sa;
	socklen_t len = to_sockaddr(to, &sa);
	if (connect(fd, (const struct sockaddr *)(const void *)&sa, len) < 0 &&
		errno != EINPROGRESS)
		return -errno;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

int fzp_sock_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

ssize_t fzp_sock_recv(int fd, struct fz_span out)
{
	ssize_t n;
	do
		n = recv(fd, out.p, out.n, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t fzp_sock_send(int fd, struct fz_bytes in)
{
	ssize_t n;
	do
		n = send(fd, in.p, in.n, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int fzp_read_file(const char *path, size_t max, uint8_t **ret_text, size_t *ret_len)
{
	/* Never waits, whatever the path names. */
	FZ_CLEANUP(fz_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	FZ_CLEANUP(fz_freep) uint8_t *text = NULL;
	size_t len = 0, cap = 0;
	for (;;) {
		if (len == cap) {
			cap = cap ? cap * 2 : 4096;
			uint8_t *grown = fz_realloc(text, cap + 1, 1);
			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		ssize_t n = read(fd, text + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	text[len] = '\0';
	*ret_text = text;
	text = NULL;
	*ret_len = len;
	return 0;
}

static int write_all(int fd, struct fz_bytes text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text = fz_bytes_of(text.p + n, text.n - (size_t)n);
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int fzp_write_file(const char *path, struct fz_bytes text)
{
	char other[4096];
	int n = snprintf(other, sizeof(other), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(other))
		return -ENAMETOOLONG;
	FZ_CLEANUP(fz_closep)
	int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text);
	if (r == 0 && rename(other, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(other);
	return r;
}

int fzp_timer_set(sd_event *event, sd_event_source **timer, fz_time when,
	sd_event_time_handler_t fn, void *user)
{
	if (fz_time_is_never(when))
		return *timer ? sd_event_source_set_enabled(*timer, SD_EVENT_OFF) : 0;
	/* Rounded up: a timer that fires early would find nothing due, and be set again at once. */
	uint64_t usec = when.ns / 1000 + 1;
	if (!*timer)
		return sd_event_add_time(event, timer, CLOCK_BOOTTIME, usec, 1000, fn, user);
	int r = sd_event_source_set_time(*timer, usec);
	return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
}

void fzp_source_freep(sd_event_source **source)
{
	if (*source)
		(void)sd_event_source_set_enabled(*source, SD_EVENT_OFF);
	*source = sd_event_source_unref(*source);
}
