/* Who answers on the socket file may replace it; who finds it silent removes it, as wg(8) does. */
#include "wgdev/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define BACKLOG 1024

static int make_directory(void)
{
	if (mkdir(WGDEV_SOCKET_DIR, 0755) == 0)
		return chmod(WGDEV_SOCKET_DIR, 0755) == 0 ? 0 : -errno;
	return errno == EEXIST ? 0 : -errno;
}

/* True if nobody listens behind the file. */
static bool is_stale(const struct sockaddr_un *sun)
{
	FZ_CLEANUP(fz_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) != 0 &&
	       errno == ECONNREFUSED;
}

static int take_name(const char *fresh, const char *path)
{
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EEXIST ? -EADDRINUSE : -errno;
}

static int listen_at(const char *path, int *ret_fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	memcpy(sun.sun_path, path, strlen(path) + 1);
	FZ_CLEANUP(fz_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Under another name until it listens: wg(8) removes a socket that it finds silent, however new it is. */
	char fresh[sizeof(sun.sun_path)];
	snprintf(fresh, sizeof(fresh), "%s.%d", path, (int)getpid());
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	memcpy(at.sun_path, fresh, strlen(fresh) + 1);
	(void)unlink(fresh);
	mode_t before = umask(077);
	int r = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? 0 : -errno;
	(void)umask(before);
	if (r < 0)
		return r;
	r = listen(fd, BACKLOG) == 0 ? take_name(fresh, path) : -errno;
	if (r == -EADDRINUSE && is_stale(&sun) && unlink(path) == 0)
		r = take_name(fresh, path);
	if (r < 0)
		(void)unlink(fresh);
	else
		*ret_fd = fz_take_fd(&fd);
	return r;
}

static int adopt(int fd)
{
	int is_listening = 0, family = 0;
	socklen_t n = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &n) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) != 0)
		return -errno;
	if (!is_listening || family != AF_UNIX)
		return -EINVAL;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	return 0;
}

static int watch(struct wgdev_socket *s)
{
	struct stat st;
	if (lstat(s->path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return s->path[0] == '\0' ? 0 : -ENOENT;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	FZ_CLEANUP(fz_closep) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, s->path, IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF) < 0)
		return -errno;
	s->watch_fd = fz_take_fd(&fd);
	return 0;
}

int wgdev_socket_open(const char *name, int inherited, struct wgdev_socket *ret_socket)
{
	struct wgdev_socket s = { .fd = -1, .watch_fd = -1 };
	snprintf(s.path, sizeof(s.path), "%s/%s.sock", WGDEV_SOCKET_DIR, name);
	int r;
	if (inherited >= 0) {
		s.fd = inherited;
		r = adopt(inherited);
		if (r == 0 && watch(&s) < 0)
			s.path[0] = '\0'; /* whoever made it keeps its file elsewhere */
	} else {
		r = make_directory();
		if (r == 0)
			r = listen_at(s.path, &s.fd);
		if (r == 0)
			r = watch(&s);
	}
	if (r < 0) {
		wgdev_socket_done(&s);
		return r;
	}
	*ret_socket = s;
	return 0;
}

static bool is_ours(const struct wgdev_socket *s)
{
	struct stat st;
	return s->path[0] != '\0' && s->ino != 0 && lstat(s->path, &st) == 0 &&
	       st.st_dev == s->dev && st.st_ino == s->ino;
}

bool wgdev_socket_is_there(struct wgdev_socket *s)
{
	char events[1024];
	while (read(s->watch_fd, events, sizeof(events)) > 0)
		continue;
	return is_ours(s);
}

void wgdev_socket_done(struct wgdev_socket *s)
{
	if (is_ours(s))
		(void)unlink(s->path);
	fz_closep(&s->fd);
	fz_closep(&s->watch_fd);
}
