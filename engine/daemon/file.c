/* Trusted reading, atomic writing. Never follows a symbolic link in the last component, never waits for a fifo. */
#include "daemon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static const char *text_of(int err)
{
	switch (err) {
	case EACCES: return "firezoned may not read it. Give its user the right to.";
	case ELOOP: return "It is a symbolic link. Put the file itself there.";
	case EFBIG: return "It is too large. Is this the right file?";
	case EISDIR: return "It is a directory. Put a file there.";
	default: return "It cannot be read. The log has the cause.";
	}
}

static int refuse(int err, const char **ret_why)
{
	*ret_why = text_of(err);
	return -err;
}

static int judge(const struct stat *st, uid_t owner, const char **ret_why)
{
	if (st->st_uid != 0 && st->st_uid != owner) {
		*ret_why = "It does not belong to root. Use: chown root";
		return -EPERM;
	}
	if (st->st_mode & 022) {
		*ret_why = "Others than its owner may write it. Use: chmod go-w";
		return -EPERM;
	}
	return 0;
}

static int read_rest(int fd, struct fz_bytebuf *buf, const char **ret_why)
{
	for (;;) {
		uint8_t part[4096];
		ssize_t n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse(errno, ret_why);
		if (n == 0)
			return 0;
		int r = fz_bytebuf_append(buf, fz_bytes_of(part, (size_t)n));
		if (r < 0)
			return r == -ENOMEM ? r : refuse(EFBIG, ret_why);
	}
}

int fzd_file_read_trusted(
	const char *path, uid_t owner, struct fz_bytebuf *buf, const char **ret_why)
{
	FZ_CLEANUP(fz_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : refuse(errno, ret_why);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return refuse(errno, ret_why);
	if (!S_ISREG(st.st_mode)) {
		*ret_why = "It is no file. Put a file there.";
		return -EINVAL;
	}
	int r = judge(&st, owner, ret_why);
	return r < 0 ? r : read_rest(fd, buf, ret_why);
}

int fzd_dir_check_trusted(const char *path, uid_t owner, const char **ret_why)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return refuse(errno, ret_why);
	return judge(&st, owner, ret_why);
}

static int sync_dir_of(const char *path)
{
	char dir[512];
	const char *slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	FZ_CLEANUP(fz_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_all(int fd, struct fz_bytes text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text.p += n;
		text.n -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int fzd_file_write(const char *path, struct fz_bytes text)
{
	char fresh[512];
	int n = snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(fresh))
		return -ENAMETOOLONG;
	(void)unlink(fresh);
	FZ_CLEANUP(fz_closep)
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(fresh);
		return r;
	}
	return sync_dir_of(path);
}

int fzd_file_remove(const char *path)
{
	if (unlink(path) == 0)
		return sync_dir_of(path);
	return errno == ENOENT ? 0 : -errno;
}
