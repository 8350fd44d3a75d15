/*
 * Daemon, limits, privileges. Everything that lives (device, keys, rings, threads) is made after the fork: locked key
 * memory is wiped by fork, and neither rings nor threads survive it.
 */
#include "wgdev/daemon.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define FILES_WANTED  4096
#define LOCKED_WANTED (256u << 20)

static int wait_for_verdict(int fd, pid_t child)
{
	char verdict = 0;
	ssize_t n;
	do
		n = read(fd, &verdict, 1);
	while (n < 0 && errno == EINTR);
	(void)waitpid(child, NULL, 0);
	return n == 1 && verdict == 1 ? 1 : -ECHILD;
}

int wgdev_daemon_start(int *ret_ready_fd)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	FZ_CLEANUP(fz_closep) int theirs = ends[0];
	FZ_CLEANUP(fz_closep) int ours = ends[1];
	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		fz_closep(&ours);
		return wait_for_verdict(theirs, child);
	}
	if (setsid() < 0)
		_exit(1);
	/* Twice, so that the daemon leads no session and can't get a terminal. */
	child = fork();
	if (child != 0)
		_exit(child < 0);
	if (chdir("/") != 0)
		_exit(1);
	*ret_ready_fd = fz_take_fd(&ours);
	return 0;
}

void wgdev_daemon_ready(int *ready_fd, bool keeps_output)
{
	FZ_CLEANUP(fz_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		if (!keeps_output) {
			(void)dup2(null, STDOUT_FILENO);
			(void)dup2(null, STDERR_FILENO);
		}
	}
	char verdict = 1;
	while (write(*ready_fd, &verdict, 1) < 0 && errno == EINTR)
		continue;
	fz_closep(ready_fd);
}

static void raise_limit(__rlimit_resource_t what, rlim_t wanted)
{
	struct rlimit l;
	if (getrlimit(what, &l) != 0 || l.rlim_cur >= wanted)
		return;
	struct rlimit raised = { wanted, l.rlim_max > wanted ? l.rlim_max : wanted };
	if (setrlimit(what, &raised) == 0)
		return;
	l.rlim_cur = l.rlim_max < wanted ? l.rlim_max : wanted;
	(void)setrlimit(what, &l);
}

void wgdev_limits_set(void)
{
	struct rlimit none = { 0, 0 };
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	raise_limit(RLIMIT_NOFILE, FILES_WANTED);
	raise_limit(RLIMIT_MEMLOCK, LOCKED_WANTED);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)umask(077);
}

int wgdev_privileges_drop(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	if (!capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN))
		return 0; /* there is nothing to give away: the TUN was handed to us */
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_updatev(CAPNG_ADD, (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
		    CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, -1) != 0)
		return -EINVAL;
	return capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) == 0 ? 0 : -EPERM;
}
