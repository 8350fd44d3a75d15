/*
 * settings validate, token import, bug-report: verbs that hand a descriptor to the daemon, which never opens a path
 * that a user chose. A token goes from its file or terminal into the descriptor and is not kept here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/fd.h"
#include "base/secret.h"
#include "cli/run.h"

#define CONFIG_MAX (1u << 20)
#define REPORT_MAX (1u << 30)

static int fail_file(const struct fzctl_run *run, const char *path, int err)
{
	char message[300];
	snprintf(message, sizeof(message), "%.200s: %s.", path, strerror(err));
	return fzctl_fail(run,
		err == ENOENT   ? FZCTL_NOT_FOUND
		: err == EACCES ? FZCTL_DENIED
				: FZCTL_FAILED,
		"system", message, NULL);
}

/*
 * The daemon takes memory files only, as nothing else is sure not to keep it waiting: what goes in is copied into one,
 * what comes out is copied from one. At most `max` bytes, else -EFBIG.
 */
static int copy(int from, int to, size_t max)
{
	uint8_t buf[4096];
	size_t sum = 0;
	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		sum += (size_t)n;
		if (sum > max)
			return -EFBIG;
		for (ssize_t done = 0, m; done < n; done += m) {
			m = write(to, buf + done, (size_t)(n - done));
			if (m < 0)
				return -errno;
		}
	}
}

static int memory_file(int *ret_fd)
{
	int fd = memfd_create("firezonectl", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int fzctl_hook_validate(struct fzctl_run *run);

static bool on_validated(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__ValidateResult *r = (const Fzpb__ValidateResult *)(const void *)msg;
	*(int *)user = r->has_valid && r->valid ? FZCTL_OK : FZCTL_NO;
	return fzctl_print(run, msg);
}

int fzctl_hook_validate(struct fzctl_run *run)
{
	const Fzpb__ValidateRequest *request =
		(const Fzpb__ValidateRequest *)(const void *)run->request;
	bool is_stdin = strcmp(request->file, "-") == 0;
	FZ_CLEANUP(fz_closep)
	int from = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			    : open(request->file, O_RDONLY | O_CLOEXEC);
	FZ_CLEANUP(fz_closep) int fd = -1;
	int r = from < 0 ? -errno : memory_file(&fd);
	if (r == 0)
		r = copy(from, fd, CONFIG_MAX);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return fail_file(run, request->file, r < 0 ? -r : errno);
	int verdict = FZCTL_NO;
	int code = fzctl_call(run, run->verb->method, run->request, fd, on_validated, &verdict);
	return code == FZCTL_OK ? verdict : code;
}

/* ---- token import ---- */

/* An anonymous file with what `from` has, at most a token's length. */
static int copy_to_memory(int from, int *ret_fd)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { 0 };
	while (token.len <= FZ_TOKEN_MAX) {
		ssize_t n = read(from, token.text + token.len, sizeof(token.text) - token.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		token.len += (size_t)n;
	}
	if (token.len > FZ_TOKEN_MAX)
		return -EFBIG;
	FZ_CLEANUP(fz_closep)
	int fd = memfd_create("firezone-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || write(fd, token.text, token.len) != (ssize_t)token.len ||
		lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

/* Reads one line from the terminal without showing it. */
static int prompt(int *ret_fd)
{
	FZ_CLEANUP(fz_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios was, quiet;
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { 0 };
	if (tty < 0 || tcgetattr(tty, &was) < 0)
		return -errno;
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	static const char text[] = "Token: ";
	(void)!write(tty, text, sizeof(text) - 1);
	if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
		return -errno;
	ssize_t n = read(tty, token.text, FZ_TOKEN_MAX);
	tcsetattr(tty, TCSAFLUSH, &was);
	(void)!write(tty, "\n", 1);
	if (n <= 0)
		return n < 0 ? -errno : -ENODATA;
	FZ_CLEANUP(fz_closep)
	int fd = memfd_create("firezone-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || write(fd, token.text, (size_t)n) != n || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

static int number_of(const char *text, int *ret_n)
{
	char *end;
	long n = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || n < 0 || n > 1 << 20)
		return -EINVAL;
	*ret_n = (int)n;
	return 0;
}

/* Where the token comes from: --file, --stdin, --token-fd, or the terminal. */
static int open_token(const struct fzctl_run *run, int *ret_fd)
{
	const char *file = fzctl_local_maybe(run, "file"),
		   *number = fzctl_local_maybe(run, "token-fd");
	if (file) {
		FZ_CLEANUP(fz_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : copy_to_memory(fd, ret_fd);
	}
	int from = STDIN_FILENO;
	if (number && number_of(number, &from) < 0)
		return -EBADF;
	if (number || fzctl_local_maybe(run, "stdin") || !isatty(STDIN_FILENO))
		return copy_to_memory(from, ret_fd);
	return prompt(ret_fd);
}

int fzctl_hook_token_import(struct fzctl_run *run);

int fzctl_hook_token_import(struct fzctl_run *run)
{
	FZ_CLEANUP(fz_closep) int fd = -1;
	int code = fzctl_wait_check(run);
	if (code != FZCTL_OK)
		return code;
	int r = open_token(run, &fd);
	if (r < 0) {
		const char *file = fzctl_local_maybe(run, "file");
		return fail_file(run, file ? file : "token", -r);
	}
	return fzctl_call_and_wait(run, fd, FZCTL_UNTIL_UP);
}

int fzctl_hook_token_remove(struct fzctl_run *run);

/* A person is asked first; a script is not. */
int fzctl_hook_token_remove(struct fzctl_run *run)
{
	bool asks = !run->says_yes && run->is_tty && isatty(STDIN_FILENO) == 1;
	if (asks) {
		char answer[8] = "";
		fputs("Forget the token and leave service mode? [y/N] ", stderr);
		if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
			return FZCTL_FAILED;
	}
	return fzctl_call_and_print(run, -1);
}

/* ---- bug-report ---- */

struct report {
	uint64_t total;
	unsigned parts;
};

static bool on_part(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	struct report *r = user;
	const Fzpb__BugReportPart *part = (const Fzpb__BugReportPart *)(const void *)msg;
	r->total += part->has_size ? part->size : 0;
	r->parts++;
	/* With -O - standard output is the report itself. */
	const char *to = fzctl_local_maybe(run, "output-file");
	return to && strcmp(to, "-") == 0 ? true : fzctl_print(run, msg);
}

static void default_name(char *buf, size_t cap)
{
	time_t now = time(NULL);
	struct tm tm = { 0 };
	localtime_r(&now, &tm);
	strftime(buf, cap, "firezone-report-%Y%m%d-%H%M%S.tar", &tm);
}

int fzctl_hook_bug_report(struct fzctl_run *run);

/* Where the report goes; made before the daemon is asked, so that a name that cannot be used fails at once. */
static int open_target(const char *name, int *ret_fd)
{
	bool is_stdout = strcmp(name, "-") == 0;
	int fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
			   : open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int write_report(struct fzctl_run *run, const char *name, int from)
{
	FZ_CLEANUP(fz_closep) int to = -1;
	int r = open_target(name, &to);
	if (r < 0)
		return fail_file(run, name, -r);
	struct report report = { 0 };
	bool is_stdout = strcmp(name, "-") == 0;
	int code = fzctl_call(run, run->verb->method, run->request, from, on_part, &report);
	r = code == FZCTL_OK && lseek(from, 0, SEEK_SET) < 0 ? -errno : 0;
	if (code == FZCTL_OK && r == 0)
		r = copy(from, to, REPORT_MAX);
	if (r < 0)
		code = fail_file(run, name, -r);
	if (code != FZCTL_OK && !is_stdout)
		(void)unlink(name);
	if (code == FZCTL_OK && !is_stdout && run->output == FZCTL_HUMAN && !run->is_quiet)
		fprintf(stderr, "Written to %s. Nothing was sent anywhere.\n", name);
	return code;
}

int fzctl_hook_bug_report(struct fzctl_run *run)
{
	const Fzpb__BugReportRequest *request =
		(const Fzpb__BugReportRequest *)(const void *)run->request;
	const char *name = fzctl_local_maybe(run, "output-file");
	char standard[64];
	default_name(standard, sizeof(standard));
	if (!name)
		name = standard;
	FZ_CLEANUP(fz_closep) int fd = -1;
	int r = memory_file(&fd);
	if (r < 0)
		return fail_file(run, "memory", -r);
	struct report report = { 0 };
	if (request->has_preview && request->preview)
		return fzctl_call(run, run->verb->method, run->request, fd, on_part, &report);
	if (strcmp(name, "-") == 0 && run->is_tty)
		return fzctl_fail(run, FZCTL_USAGE, "usage",
			"The report is a tar file: not to a terminal.", NULL);
	return write_report(run, name, fd);
}
