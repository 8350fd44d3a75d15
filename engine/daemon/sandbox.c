/*
 * A seccomp filter (seccomp(2), libseccomp). Names are looked up when the filter is made: a call that this processor or the
 * installed libseccomp does not know is left out. Plain names cost nothing per call since Linux 5.11, which keeps them in a
 * bitmap; only rare calls have their arguments looked at. Why what is where: docs/decisions/0006-system-call-filter.md.
 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"

#if defined(FZ_NO_SANDBOX)
#define IS_LEFT_OUT true
#else
#define IS_LEFT_OUT false
#endif

/* clang-format off */
static const char *const allowed[] = {
	/* packets and conversations; socket() is below */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom", "recvmmsg",
	"recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
	/* descriptors, and waiting on them */
	"close", "close_range", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "eventfd2", "fcntl", "inotify_add_watch", "inotify_init1", "inotify_rm_watch", "pipe2",
	"poll", "ppoll", "pselect6", "select", "signalfd4", "timerfd_create", "timerfd_gettime", "timerfd_settime",
	"preadv", "preadv2", "pread64", "pwritev", "pwritev2", "pwrite64", "read", "readv", "write", "writev",
	/* files: settings, tokens, the journal, reports in a descriptor of the caller's, name service */
	"access", "chmod", "chown", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchmod", "fchmodat", "fchown",
	"fchownat", "fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd", "getdents64", "lchown", "lseek",
	"lstat", "memfd_create", "mkdir", "mkdirat", "newfstatat", "open", "openat", "openat2", "readlink", "readlinkat", "rename",
	"renameat", "renameat2", "rmdir", "sendfile", "stat", "statfs", "statx", "umask", "unlink", "unlinkat", "utimensat",
	/* memory; mmap() and mprotect() are below */
	"brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mremap", "munlock", "munmap",
	/* threads and signals; clone() is below */
	"exit", "exit_group", "futex", "get_robust_list", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending",
	"rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
	"sched_yield", "set_robust_list", "sigaltstack", "tgkill",
	/* time, and who and where we are */
	"clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep", "time", "times", "capget",
	"getcpu", "getegid", "geteuid", "getgid", "getgroups", "getpid", "getppid", "getrandom", "getresgid", "getresuid",
	"getrlimit", "getrusage", "gettid", "getuid", "prlimit64", "sysinfo", "uname",
};

static const char *const of_uring[] = { "io_uring_enter", "io_uring_register", "io_uring_setup" };

/* Never by mistake: whoever asks for one of these has taken the process over. */
static const char *const fatal[] = {
	"execve", "execveat", "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
	"chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_by_handle_at",
	"open_tree", "pivot_root", "setns", "umount", "umount2", "unshare",
	"bpf", "create_module", "delete_module", "finit_module", "init_module", "iopl", "ioperm", "kexec_file_load", "kexec_load",
	"add_key", "keyctl", "perf_event_open", "request_key", "userfaultfd",
	"acct", "adjtimex", "clock_adjtime", "clock_settime", "quotactl", "reboot", "setdomainname", "sethostname",
	"settimeofday", "swapoff", "swapon", "syslog", "vhangup",
};

/* Tried first by a C library that has a substitute: the answer must be the one of a kernel without it. */
static const char *const not_there[] = { "clone3" };

/* clang-format on */

struct condition {
	const char *name;
	unsigned argument;
	uint64_t mask, value;
};

/* Of these the kernel looks at the lower half alone. */
#define REQUEST(n) "ioctl", 1, UINT32_MAX, n
#define FAMILY(n)  "socket", 0, UINT32_MAX, n
#define OPTION(n)  "prctl", 0, UINT32_MAX, n

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static const struct condition allowed_if[] = {
	{ "clone", 0, CLONE_THREAD, CLONE_THREAD }, /* a thread, no process */
	/* Nothing that can be written becomes code. */
	{ "mmap", 2, PROT_EXEC, 0 }, { "mmap", 2, PROT_WRITE | PROT_EXEC, PROT_EXEC },
	{ "mprotect", 2, PROT_EXEC, 0 }, { FAMILY(AF_UNIX) }, { FAMILY(AF_INET) },
	{ FAMILY(AF_INET6) }, { FAMILY(AF_NETLINK) }, { REQUEST(TUNSETIFF) },
	{ REQUEST(TUNGETIFF) }, { REQUEST(TUNSETOFFLOAD) }, { REQUEST(TUNGETVNETHDRSZ) },
	{ REQUEST(TUNSETVNETHDRSZ) }, { REQUEST(TUNGETDEVNETNS) }, { REQUEST(SIOCGIFINDEX) },
	{ REQUEST(SIOCGIFNAME) }, { REQUEST(SIOCGIFFLAGS) }, { REQUEST(SIOCGIFMTU) },
	{ REQUEST(SIOCSIFMTU) }, { REQUEST(SIOCSIFTXQLEN) }, { REQUEST(FIONREAD) },
	{ REQUEST(TCGETS) }, /* isatty() */
	{ OPTION(PR_SET_NAME) }, { OPTION(PR_GET_NAME) },
	{ OPTION(PR_SET_VMA) }, /* the C library names its memory */
};

/* ---- making the filter ---- */

static int add(scmp_filter_ctx ctx, uint32_t action, const char *name, const struct condition *c)
{
	int number = seccomp_syscall_resolve_name(name);
	if (number < 0) /* not known, or not on this processor */
		return 0;
	if (!c)
		return seccomp_rule_add_array(ctx, action, number, 0, NULL);
	struct scmp_arg_cmp arg = { c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value };
	return seccomp_rule_add_array(ctx, action, number, 1, &arg);
}

static int add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(ctx, action, names[i], NULL);
	return r;
}

static int add_rules(scmp_filter_ctx ctx, bool has_uring)
{
	int r = add_names(ctx, SCMP_ACT_ALLOW, allowed, FZ_ARRAY_LEN(allowed));
	if (r == 0 && has_uring)
		r = add_names(ctx, SCMP_ACT_ALLOW, of_uring, FZ_ARRAY_LEN(of_uring));
	for (size_t i = 0; r == 0 && i < FZ_ARRAY_LEN(allowed_if); i++)
		r = add(ctx, SCMP_ACT_ALLOW, allowed_if[i].name, &allowed_if[i]);
	if (r == 0)
		r = add_names(ctx, SCMP_ACT_ERRNO(ENOSYS), not_there, FZ_ARRAY_LEN(not_there));
	if (r == 0)
		r = add_names(ctx, SCMP_ACT_KILL_PROCESS, fatal, FZ_ARRAY_LEN(fatal));
	return r;
}

/* Speed alone hangs on the tree, for kernels without the bitmap. */
static int set_attributes(scmp_filter_ctx ctx)
{
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	return r;
}

static void releasep(scmp_filter_ctx *ctx)
{
	seccomp_release(*ctx);
}

/* A kernel that has filters looks for this one, at no address. */
static bool has_filters(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}

int fz_sandbox_enter(bool has_uring)
{
	if (IS_LEFT_OUT) {
		fz_log(FZ_LOG_INFO, "no-sandbox", "cause=\"built with sanitizers\"");
		return 0;
	}
	if (!has_filters()) {
		fz_log(FZ_LOG_WARNING, "no-sandbox",
			"cause=\"this kernel has no seccomp filters\" "
			"effect=\"system calls are not restricted\"");
		return 0;
	}
	FZ_CLEANUP(releasep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	int r = set_attributes(ctx);
	if (r == 0)
		r = add_rules(ctx, has_uring);
	return r < 0 ? r : seccomp_load(ctx);
}

int fz_sandbox_enter_by_environment(void)
{
	const char *io = getenv("FIREZONE_IO");
	int r = fz_sandbox_enter(!io || strcmp(io, "epoll") != 0);
	if (r < 0)
		fz_log(FZ_LOG_ERR, "sandbox", "error=\"%s\" effect=\"it does not run without\"",
			fz_strerror(r));
	return r;
}
