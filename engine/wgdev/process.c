/* Daemonising with a status pipe. Rings and threads are made after this: neither survives a fork. */
#include "wgdev/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

void wgdev_harden(void)
{
	struct rlimit none = { 0, 0 };
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* The parent's part: exits as the child says, or with 1 if it died without a word. */
static void wait_for_child(int fd)
{
	uint8_t status = 1;
	ssize_t n;
	do
		n = read(fd, &status, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? status : 1);
}

int wgdev_daemonise(int *ret_ready_fd)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(fds[1]);
		wait_for_child(fds[0]);
	}
	close(fds[0]);
	(void)setsid();
	/* Not a session leader any more: no terminal can become ours. */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0)
		_exit(0);
	if (chdir("/") != 0)
		return -errno;
	*ret_ready_fd = fds[1];
	return 0;
}

void wgdev_ready(int *ready_fd, int status)
{
	if (*ready_fd < 0)
		return;
	uint8_t byte = (uint8_t)status;
	ssize_t n = write(*ready_fd, &byte, 1);
	(void)n; /* nobody waits any more: then nobody is told */
	fz_closep(ready_fd);
}

void wgdev_detach_streams(bool keeps_output)
{
	FZ_CLEANUP(fz_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	(void)dup2(null, STDIN_FILENO);
	if (keeps_output)
		return;
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
}
