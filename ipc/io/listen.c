/*
 * The listening socket. Binding happens under a temporary name in the same directory and is moved into place once
 * owner and mode are right, so that nobody ever connects to a socket with the wrong mode.
 */
#include "ipc/io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

#define BACKLOG 64

static int address_of(const char *path, struct sockaddr_un *ret_addr)
{
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(ret_addr->sun_path))
		return -ENAMETOOLONG;
	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_addr->sun_path, path, n);
	return 0;
}

/* 1 if somebody answers there, 0 if not, or negative errno. */
static int is_answered(const struct sockaddr_un *addr)
{
	FZ_CLEANUP(fz_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)(const void *)addr, sizeof(*addr)) == 0)
		return 1;
	if (errno == EAGAIN)
		return 1; /* its backlog is full, so it lives */
	return errno == ENOENT || errno == ECONNREFUSED ? 0 : -errno;
}

/* Opens the directory and checks that only root and we can put names into it. */
static int open_directory(const char *path, int *ret_fd)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";
	const char *slash = strrchr(path, '/');
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	FZ_CLEANUP(fz_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

/*
 * Two daemons starting at once: the lock makes one of them find the other's socket. A file of its own, as anybody
 * could lock the directory and keep us from starting. It stays: removing it would open the race again.
 */
static int take_lock(const char *path, int *ret_fd)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	snprintf(name, sizeof(name), "%s.lock", path);
	FZ_CLEANUP(fz_closep) int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return -errno;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

static int bind_ready(const char *path, const char *temporary, gid_t group, int fd)
{
	struct sockaddr_un addr;
	int r = address_of(temporary, &addr);
	if (r < 0)
		return r;
	(void)unlink(temporary);
	if (bind(fd, (const struct sockaddr *)(const void *)&addr, sizeof(addr)) < 0)
		return -errno;
	if (chmod(temporary, 0600) < 0 ||
		(group != (gid_t)-1 && chown(temporary, (uid_t)-1, group) < 0) ||
		chmod(temporary, 0660) < 0 || listen(fd, BACKLOG) < 0 ||
		rename(temporary, path) < 0) {
		r = -errno;
		(void)unlink(temporary);
		return r;
	}
	return 0;
}

int fzipc_listen_bind(const char *path, gid_t group, int *ret_fd)
{
	struct sockaddr_un addr;
	char temporary[sizeof(addr.sun_path) + 8];
	int r = address_of(path, &addr);
	if (r < 0)
		return r;
	FZ_CLEANUP(fz_closep) int dir = -1;
	r = open_directory(path, &dir);
	if (r < 0)
		return r;
	FZ_CLEANUP(fz_closep) int lock = -1;
	r = take_lock(path, &lock);
	if (r < 0)
		return r;
	r = is_answered(&addr);
	if (r != 0)
		return r > 0 ? -EADDRINUSE : r;
	FZ_CLEANUP(fz_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	r = bind_ready(path, temporary, group, fd);
	if (r < 0)
		return r;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

int fzipc_listen_adopt(int fd)
{
	int domain = 0, type = 0, listens = 0;
	socklen_t n = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0)
		return -errno;
	if (domain != AF_UNIX || type != SOCK_STREAM || !listens)
		return -EINVAL;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

void fzipc_listen_remove(int fd, const char *path)
{
	struct sockaddr_un addr;
	if (address_of(path, &addr) < 0)
		return;
	/* A later daemon may have replaced it; then somebody else answers, and it is not ours to remove. */
	shutdown(fd, SHUT_RDWR);
	if (is_answered(&addr) == 0)
		(void)unlink(path);
}
