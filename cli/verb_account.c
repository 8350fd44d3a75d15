/*
 * Sign-in and handing over tokens. A token or a callback's address is read from a terminal without echo or from
 * standard input, never from the command line, and goes on through a descriptor or a wiped request.
 */
#include <errno.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/fd.h"
#include "base/secret.h"
#include "cli/run.h"
#include "ipc/json.h"
#include "ipc/methods.h"

#define CALLBACK_SCHEME  "firezone-fd0020211111://"
#define SIGN_IN_LIMIT_NS (15 * 60 * 1'000'000'000ull)

/* ---- secrets in ---- */

/* Text up to its end or, from a terminal, one line that is not shown; trimmed at its end. 0 or negative errno. */
static int read_secret(bool from_terminal, struct fz_token *ret_text)
{
	struct termios was, quiet;
	bool is_quiet = from_terminal && tcgetattr(STDIN_FILENO, &was) == 0;
	if (is_quiet) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	int r = 0;
	while (ret_text->len < FZ_TOKEN_MAX) {
		ssize_t n = read(
			STDIN_FILENO, ret_text->text + ret_text->len, FZ_TOKEN_MAX - ret_text->len);
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		ret_text->len += (size_t)n;
		if (from_terminal && ret_text->text[ret_text->len - 1] == '\n')
			break;
	}
	if (is_quiet) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	while (ret_text->len > 0 && (unsigned char)ret_text->text[ret_text->len - 1] <= ' ')
		ret_text->len--;
	ret_text->text[ret_text->len] = '\0';
	return r;
}

/* NULL: an empty one. */
static int to_memory(const struct fz_token *text_maybe, int *ret_fd)
{
	size_t len = text_maybe ? text_maybe->len : 0;
	FZ_CLEANUP(fz_closep)
	int fd = memfd_create("firezone-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || (len > 0 && write(fd, text_maybe->text, len) != (ssize_t)len) ||
		lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

static int fail_reading(const struct fzctl_run *run, int r)
{
	return fzctl_fail(
		run, FZCTL_FAILED, "system", "The token could not be read.", strerror(-r));
}

/* A callback's address or a token, whichever it is. */
static int finish(struct fzctl_run *run, bool from_terminal)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token text = { 0 };
	FZ_CLEANUP(fz_closep) int fd = -1;
	Fzpb__FinishSignInRequest request = FZPB__FINISH_SIGN_IN_REQUEST__INIT;
	int r = read_secret(from_terminal, &text);
	if (r < 0)
		return fail_reading(run, r);
	bool is_url = strncmp(text.text, CALLBACK_SCHEME, strlen(CALLBACK_SCHEME)) == 0;
	r = to_memory(is_url ? NULL : &text, &fd);
	if (r < 0)
		return fail_reading(run, r);
	if (is_url)
		request.callback_url = text.text;
	int code = fzctl_call(run, &fzipc_methods[FZIPC_FINISH_SIGN_IN], &request.base, fd,
		fzctl_print_unless_waiting(run), NULL);
	return code == FZCTL_OK ? fzctl_wait(run, FZCTL_UNTIL_UP) : code;
}

int fzctl_hook_finish_sign_in(struct fzctl_run *run);

int fzctl_hook_finish_sign_in(struct fzctl_run *run)
{
	return finish(run, isatty(STDIN_FILENO));
}

int fzctl_hook_provide_token(struct fzctl_run *run);

int fzctl_hook_provide_token(struct fzctl_run *run)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token text = { 0 };
	FZ_CLEANUP(fz_closep) int fd = -1;
	int r = read_secret(isatty(STDIN_FILENO), &text);
	if (r == 0)
		r = to_memory(&text, &fd);
	return r < 0 ? fail_reading(run, r) : fzctl_call_and_print(run, fd);
}

/* ---- sign-in ---- */

struct begun {
	char url[1200];
};

static bool on_begun(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__BeginSignInReply *reply = (const Fzpb__BeginSignInReply *)(const void *)msg;
	struct begun *b = user;
	(void)run;
	snprintf(b->url, sizeof(b->url), "%s", reply->url ? reply->url : "");
	return true;
}

/* Two rows of the code in one line of text: half blocks. Light on dark terminals, as scanners need a light margin. */
static void print_qr(const char *text)
{
	QRcode *qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (!qr)
		return;
	int w = qr->width;
	for (int y = -2; y < w + 2; y += 2) {
		for (int x = -2; x < w + 2; x++) {
			bool has_x = x >= 0 && x < w;
			bool top = has_x && y >= 0 && y < w && qr->data[y * w + x] & 1;
			bool low =
				has_x && y + 1 >= 0 && y + 1 < w && qr->data[(y + 1) * w + x] & 1;
			fputs(top ? low ? " " : "\u2584" : low ? "\u2580" : "\u2588", stderr);
		}
		fputc('\n', stderr);
	}
	QRcode_free(qr);
}

static bool has_desktop(void)
{
	return getenv("WAYLAND_DISPLAY") || getenv("DISPLAY");
}

/* True if a browser was started. */
static bool open_browser(char *url)
{
	char *const argv[] = { (char[]){ "xdg-open" }, url, NULL };
	pid_t pid = fork();
	int status = 0;
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static int sign_in_in_browser(struct fzctl_run *run, struct begun *b)
{
	fprintf(stderr, "Sign in in the browser. If none opened, use this address:\n%s\n", b->url);
	if (!open_browser(b->url))
		fprintf(stderr, "No browser could be opened.\n");
	if (run->timeout_ns == 0)
		fzctl_limit_time(run, SIGN_IN_LIMIT_NS);
	Fzpb__WaitRequest request = FZPB__WAIT_REQUEST__INIT;
	request.has_condition = true;
	request.condition = FZPB__WAIT_REQUEST__CONDITION__SIGNED_IN;
	int code = fzctl_call(run, &fzipc_methods[FZIPC_WAIT_FOR], &request.base, -1,
		fzctl_print_unless_waiting(run), NULL);
	return code == FZCTL_OK ? fzctl_wait(run, FZCTL_UNTIL_UP) : code;
}

/* This address ties nothing together: whoever signs in there is shown a token of their own. It may be printed. */
static int print_address(struct fzctl_run *run, const struct begun *b)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf out;
	fz_bytebuf_init(&out, 4096);
	bool is_json = run->output == FZCTL_JSON || run->output == FZCTL_JSONL;
	fzctl_put(&out, is_json ? "{\"schema\":\"firezone.BeginSignInReply/1\",\"url\":" : "");
	if (!is_json)
		fzctl_put_clean(&out, b->url);
	else if (fzipc_json_write_text(b->url, &out) < 0)
		return FZCTL_FAILED;
	fzctl_put(&out, is_json ? "}\n" : "\n");
	return fwrite(out.p, 1, out.len, stdout) == out.len ? FZCTL_OK : FZCTL_FAILED;
}

int fzctl_hook_sign_in(struct fzctl_run *run);

/* With a desktop the browser brings the answer by itself; without one the page shows a token to be pasted. */
int fzctl_hook_sign_in(struct fzctl_run *run)
{
	Fzpb__BeginSignInRequest request =
		*(const Fzpb__BeginSignInRequest *)(const void *)run->request;
	struct begun b = { .url = "" };
	int code = fzctl_wait_check(run);
	if (code != FZCTL_OK)
		return code;
	if (fzctl_local_maybe(run, "token-stdin"))
		return finish(run, false);
	bool pastes = fzctl_local_maybe(run, "paste") || fzctl_local_maybe(run, "no-browser") ||
		      !has_desktop();
	request.has_shows_token = true;
	request.shows_token = pastes;
	code = fzctl_call(run, run->verb->method, &request.base, -1, on_begun, &b);
	if (code != FZCTL_OK)
		return code;
	if (fzctl_local_maybe(run, "qr"))
		print_qr(b.url);
	if (!pastes)
		return sign_in_in_browser(run, &b);
	if (!isatty(STDIN_FILENO) && !fzctl_local_maybe(run, "paste"))
		return print_address(run, &b);
	fprintf(stderr,
		"Sign in at this address, on any device:\n%s\nThen paste the token that the page "
		"shows: ",
		b.url);
	return finish(run, isatty(STDIN_FILENO));
}
