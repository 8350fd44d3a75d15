/* The filter, entered by children: what a daemon does works, other things fail or end it, in every thread. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/sandbox.h"
#include "io/backend.h"
#include "support/test.h"

enum { CHILD_OK, CHILD_CANNOT = 77 };

/* `fn` in a child of its own, as what a filter takes is not given back; it returns 0, or a number that says where it failed. */
static int status_of(int (*fn)(void))
{
#if defined(FZ_NO_SANDBOX)
	TEST_SKIP_ALLOWED("a build with sanitizers has no filter");
#endif
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(fn());
	int status = 0;
	CHECK_INT(waitpid(child, &status, 0), child);
	return status;
}

static void passes(int (*fn)(void))
{
	int status = status_of(fn);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_CANNOT)
		TEST_SKIP("needs seccomp filters");
	CHECK_INT(WEXITSTATUS(status), CHILD_OK);
}

/* A line, so that a failure says which. */
#define NEED(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #cond, strerror(errno));    \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)
#define REFUSED(call, why) NEED((errno = 0, (call) < 0) && errno == (why))

static int enter(void)
{
	NEED(fz_sandbox_enter(true) == 0);
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == -1 && errno == EPERM ? CHILD_OK : CHILD_CANNOT;
}

/* ---- what works ---- */

static void *use_memory(void *unused)
{
	(void)unused;
	/* Over the threshold of mmap(), grown by mremap(), given back by munmap(). */
	char *p = malloc(1 << 20);
	char *q = p ? realloc(p, 8 << 20) : NULL;
	bool ok = q != NULL && pthread_setname_np(pthread_self(), "a-thread") == 0;
	free(q ? q : p);
	return ok ? &errno : NULL;
}

static int uses_threads_and_memory(void)
{
	NEED(enter() == CHILD_OK);
	pthread_t t;
	void *result = NULL;
	NEED(pthread_create(&t, NULL, use_memory, NULL) == 0);
	NEED(pthread_join(t, &result) == 0 && result);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	NEED(madvise(p, 4096, MADV_DONTDUMP) == 0 && mprotect(p, 4096, PROT_NONE) == 0);
	NEED(munmap(p, 4096) == 0);
	return CHILD_OK;
}

static int uses_files(void)
{
	char path[] = "/tmp/fz-sandbox-XXXXXX", other[64];
	NEED(enter() == CHILD_OK);
	int fd = mkstemp(path);
	NEED(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && close(fd) == 0);
	snprintf(other, sizeof(other), "%s.new", path);
	NEED(rename(path, other) == 0);
	FILE *f = fopen(other, "re");
	NEED(f && fgetc(f) == 'x' && fclose(f) == 0);
	NEED(unlink(other) == 0);
	return CHILD_OK;
}

static int uses_sockets_and_names(void)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	struct addrinfo *found = NULL;
	NEED(enter() == CHILD_OK);
	for (size_t i = 0; i < FZ_ARRAY_LEN(families); i++) {
		int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);
		NEED(fd >= 0 || errno == EAFNOSUPPORT);
		if (fd >= 0)
			close(fd);
	}
	NEED(if_nametoindex("lo") > 0);
	NEED(getaddrinfo("localhost", "80", NULL, &found) == 0);
	freeaddrinfo(found);
	return CHILD_OK;
}

static int waits(void)
{
	NEED(enter() == CHILD_OK);
	int e = epoll_create1(EPOLL_CLOEXEC), v = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	int t = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN }, got;
	NEED(e >= 0 && v >= 0 && t >= 0);
	NEED(epoll_ctl(e, EPOLL_CTL_ADD, v, &event) == 0 && epoll_wait(e, &got, 1, -1) == 1);
	return CHILD_OK;
}

static int chooses_a_ring(void)
{
	const struct fz_backend_ops *ops = NULL;
	NEED(enter() == CHILD_OK);
	int r = fz_backend_choose(FZ_IO_AUTO, &ops);
	NEED(r == 0);
	return ops == &fz_backend_uring ? CHILD_OK : CHILD_CANNOT;
}

TEST(sandbox, threads_and_memory_work)
{
	passes(uses_threads_and_memory);
}

TEST(sandbox, files_work)
{
	passes(uses_files);
}

TEST(sandbox, sockets_and_names_work)
{
	passes(uses_sockets_and_names);
}

TEST(sandbox, waiting_works)
{
	passes(waits);
}

TEST(sandbox, rings_work)
{
	passes(chooses_a_ring);
}

/* ---- what is refused ---- */

static int is_refused_what_is_not_listed(void)
{
	char c = 'x';
	NEED(enter() == CHILD_OK);
	REFUSED(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), EPERM);
	REFUSED(socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), EPERM);
	REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
	REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS);
	REFUSED(ioctl(STDIN_FILENO, TIOCSTI, &c), EPERM);
	REFUSED(prctl(PR_SET_DUMPABLE, 1), EPERM);
	REFUSED(kill(getpid(), 0), EPERM);
	REFUSED(setuid(0), EPERM);
	return CHILD_OK;
}

static int makes_no_code(void)
{
	int prot = PROT_READ | PROT_WRITE;
	NEED(enter() == CHILD_OK);
	NEED(mmap(NULL, 4096, prot | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	NEED(errno == EPERM);
	void *p = mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	REFUSED(mprotect(p, 4096, PROT_READ | PROT_EXEC), EPERM);
	return CHILD_OK;
}

static int does_without_rings(void)
{
	const struct fz_backend_ops *ops = NULL;
	NEED(setenv("FIREZONE_IO", "epoll", 1) == 0);
	NEED(fz_sandbox_enter_by_environment() == 0);
	NEED(fz_backend_choose(FZ_IO_URING, &ops) == -EPERM);
	NEED(fz_backend_choose(FZ_IO_AUTO, &ops) == 0 && ops == &fz_backend_epoll);
	return CHILD_OK;
}

TEST(sandbox, what_is_not_listed_is_refused)
{
	passes(is_refused_what_is_not_listed);
}

TEST(sandbox, what_was_written_does_not_become_code)
{
	passes(makes_no_code);
}

TEST(sandbox, a_daemon_that_was_told_epoll_makes_no_ring)
{
	passes(does_without_rings);
}

/* ---- what ends it ---- */

static long fatal_number;

static int makes_a_fatal_call(void)
{
	NEED(enter() == CHILD_OK);
	(void)syscall(fatal_number, 0, 0, 0, 0, 0, 0);
	return 1;
}

TEST(sandbox, what_has_no_good_use_ends_the_process)
{
	static const long numbers[] = { SYS_execve, SYS_execveat, SYS_ptrace, SYS_mount,
		SYS_unshare, SYS_setns, SYS_init_module, SYS_bpf, SYS_kexec_load,
		SYS_process_vm_writev, SYS_perf_event_open, SYS_keyctl, SYS_reboot,
		SYS_open_by_handle_at };
	for (size_t i = 0; i < FZ_ARRAY_LEN(numbers); i++) {
		fatal_number = numbers[i];
		int status = status_of(makes_a_fatal_call);
		if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_CANNOT)
			TEST_SKIP("needs seccomp filters");
		CHECK(WIFSIGNALED(status));
		CHECK_INT(WTERMSIG(status), SIGSYS);
	}
}

/* ---- threads, and kernels without ---- */

static int start_fd;

static void *try_later(void *user)
{
	uint64_t count;
	int *result = user;
	if (read(start_fd, &count, sizeof(count)) == sizeof(count))
		*result = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
	return NULL;
}

static int confines_older_threads(void)
{
	pthread_t t;
	uint64_t one = 1;
	int result = -1;
	start_fd = eventfd(0, EFD_CLOEXEC);
	NEED(start_fd >= 0 && pthread_create(&t, NULL, try_later, &result) == 0);
	NEED(enter() == CHILD_OK);
	NEED(write(start_fd, &one, sizeof(one)) == sizeof(one) && pthread_join(t, NULL) == 0);
	return result == EPERM ? CHILD_OK : 1;
}

TEST(sandbox, threads_that_are_there_already_have_it_too)
{
	passes(confines_older_threads);
}

static char logged[256];

static void keep_log(void *user, enum fz_log_level level, const char *event, const char *detail)
{
	(void)user;
	if (level <= FZ_LOG_WARNING)
		snprintf(logged, sizeof(logged), "%s %s", event, detail);
}

/* What a kernel without CONFIG_SECCOMP answers. */
static int has_no_seccomp(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	NEED(ctx);
	if (seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) < 0 ||
		seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP, 0)) < 0 ||
		seccomp_load(ctx) < 0)
		return CHILD_CANNOT;
	seccomp_release(ctx);
	fz_log_set_level(FZ_LOG_WARNING);
	fz_log_set_sink(keep_log, NULL);
	NEED(fz_sandbox_enter(true) == 0);
	NEED(strstr(logged, "no-sandbox") && strstr(logged, "no seccomp"));
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0 ? CHILD_OK : 1;
}

TEST(sandbox, a_kernel_without_filters_is_said_and_goes_on)
{
	passes(has_no_seccomp);
}
