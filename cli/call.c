/* Connecting, calling and waiting, with --timeout and Ctrl-C. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/run.h"

struct exchange {
	struct fzctl_run *run;
	fzctl_on_message on_message;
	void *user;
	uint32_t stream;
	bool is_stopped, is_answered;
	int code;
};

int fzctl_connect(struct fzctl_run *run)
{
	if (run->link)
		return FZCTL_OK;
	int os_errno = 0;
	enum fzipc_link_fault fault = fzipc_link_open(
		&run->link, run->socket, "firezonectl", FZ_VERSION, run->deadline, &os_errno);
	if (fault != FZIPC_LINK_FINE)
		return fzctl_fail_link(run, fault, os_errno);
	const Fzpb__HelloReply *hello = fzipc_caller_greeting_maybe(fzipc_link_caller(run->link));
	if (hello->has_minor && hello->minor != FZIPC_MINOR && !run->is_quiet)
		fprintf(stderr,
			"firezonectl: the daemon is older (protocol %u.%u, not %u.%u); some things "
			"may be missing.\n",
			hello->major, hello->minor, FZIPC_MAJOR, FZIPC_MINOR);
	if (run->is_verbose)
		fprintf(stderr, "firezonectl: firezoned %s at %s, protocol %u.%u%s\n",
			hello->daemon_version ? hello->daemon_version : "?", run->socket,
			hello->major, hello->minor, hello->service_mode ? ", service mode" : "");
	return FZCTL_OK;
}

static void on_message(void *user, const ProtobufCMessage *msg)
{
	struct exchange *x = user;
	x->is_answered = true;
	if (x->is_stopped || x->on_message(x->user, x->run, msg))
		return;
	x->is_stopped = true;
	fzipc_caller_cancel(fzipc_link_caller(x->run->link), x->stream);
}

static void on_done(void *user, const Fzpb__Error *error_maybe)
{
	struct exchange *x = user;
	if (error_maybe && !x->is_stopped)
		x->code = fzctl_fail_with(x->run, error_maybe);
}

static const struct fzipc_answer_ops answer_ops = { .message = on_message, .done = on_done };

/* SIGINT and SIGTERM arrive on a descriptor while we wait, so that the daemon is told before we go. */
static int block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int interrupted(const struct fzctl_run *run, struct exchange *x)
{
	struct signalfd_siginfo info;
	fzipc_caller_cancel(fzipc_link_caller(run->link), x->stream);
	x->is_stopped = true;
	(void)!fzipc_link_process(run->link);
	if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
		return FZCTL_SIGNALLED + SIGINT;
	return FZCTL_SIGNALLED + (int)info.ssi_signo;
}

static uint32_t timeout_ms(const struct fzctl_run *run)
{
	uint64_t ms = run->timeout_ns / 1000000;
	return ms > FZIPC_MAX_TIMEOUT_MS ? FZIPC_MAX_TIMEOUT_MS : (uint32_t)ms;
}

int fzctl_call(struct fzctl_run *run, const struct fzipc_method *method,
	const ProtobufCMessage *request, int fd, fzctl_on_message each, void *user)
{
	int code = fzctl_connect(run);
	if (code != FZCTL_OK)
		return code;
	if (run->signal_fd < 0)
		run->signal_fd = block_signals();
	struct exchange x = { .run = run, .on_message = each, .user = user };
	x.stream =
		fzipc_link_call(run->link, method, request, fd, timeout_ms(run), &answer_ops, &x);
	if (x.stream == 0)
		return fzctl_fail(run, FZCTL_FAILED, "system",
			"The call cannot be made: the request is too large.", NULL);
	int r = fzipc_link_run(run->link, run->deadline, run->signal_fd);
	if (r == -ETIME)
		return fzctl_fail(run, FZCTL_TIMEOUT, "timeout",
			x.is_answered ? "The time is up." : "The daemon did not answer in time.",
			NULL);
	if (r == -EINTR)
		return interrupted(run, &x);
	return x.code;
}

bool fzctl_print_message(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	(void)user;
	return fzctl_print(run, msg);
}

int fzctl_call_and_print(struct fzctl_run *run, int fd)
{
	return fzctl_call(run, run->verb->method, run->request, fd, fzctl_print_message, NULL);
}
