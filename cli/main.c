/*
 * firezonectl: each command is one call or one stream to the daemon, printed, and then it ends. Commands and their
 * flags come from ipc/firezone.proto (generated tables); cli/verb_*.c has what is more than one call.
 */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/run.h"

static void look_around(struct fzctl_run *run)
{
	struct winsize size;
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM"),
		   *socket = getenv("FIREZONE_SOCKET");
	const char *columns = getenv("COLUMNS");
	run->is_tty = isatty(STDOUT_FILENO) == 1;
	run->has_color =
		run->is_tty && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
	if (run->is_tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		run->columns = size.ws_col;
	unsigned long wide = columns ? strtoul(columns, NULL, 10) : 0;
	if (run->is_tty && wide > 0 && wide < 10000)
		run->columns = (unsigned)wide;
	run->socket = socket && *socket ? socket : FZIPC_SOCKET_PATH;
}

static int run_verb(struct fzctl_run *run)
{
	if (run->timeout_ns > 0)
		run->deadline = fz_time_add(fzipc_link_now(), FZ_NANOSECONDS(run->timeout_ns));
	if (run->verb->hook)
		return run->verb->hook(run);
	return fzctl_call_and_print(run, -1);
}

/* Ends the way the signal would have ended us, so that shells and scripts see it. */
static void end_like(int signal_number)
{
	sigset_t set;
	signal(signal_number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(signal_number);
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	struct fzctl_run run = { .deadline = FZ_NEVER, .signal_fd = -1 };
	fzipc_arena_init(&run.arena, 1u << 20);
	look_around(&run);
	int code = fzctl_args_parse(&run, argc, argv);
	if (run.wants_help)
		fzctl_help(&run, run.verb, run.n_rest > 0 ? run.rest[0] : NULL,
			code == FZCTL_OK ? stdout : stderr);
	else if (code == FZCTL_OK)
		code = run_verb(&run);
	fzipc_link_free(run.link);
	fzipc_arena_reset(&run.arena);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == FZCTL_OK)
		code = fzctl_fail(
			&run, FZCTL_FAILED, "system", "Standard output cannot be written.", NULL);
	if (code > FZCTL_SIGNALLED)
		end_like(code - FZCTL_SIGNALLED);
	return code;
}
