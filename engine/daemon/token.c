/* The token's sources and their judges. Tokens pass through locked, wiped memory alone. */
#include "daemon/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/err.h"
#include "base/fd.h"
#include "control/auth.h"
#include "daemon/file.h"
#include "daemon/paths.h"

#define VARIABLE "FIREZONE_TOKEN"

void fzd_token_free(struct fz_token *t)
{
	if (!t)
		return;
	fz_token_wipep(t);
	fz_secret_free(t, sizeof(*t));
}

struct fz_token *fzd_token_take_environment(void)
{
	char *value = getenv(VARIABLE);
	if (!value)
		return NULL;
	size_t n = strlen(value);
	struct fz_token *t = fz_secret_new(sizeof(*t));
	if (t) {
		/* One byte too many stays one too many: it is judged, not cut off. */
		t->len = n < sizeof(t->text) ? n : sizeof(t->text);
		memcpy(t->text, value, t->len);
	}
	/* What /proc shows of the environment is this very memory. */
	fz_wipe(value, n);
	unsetenv(VARIABLE);
	return t;
}

static void judge(struct fzd_token *found, enum fzd_token_verdict verdict, const char *reason)
{
	found->verdict = verdict;
	snprintf(found->reason, sizeof(found->reason), "%s", reason);
}

int fzd_token_clean(struct fz_bytes text, struct fz_token *ret_token, const char **ret_why)
{
	int r = fzp_token_clean(text, ret_token);
	if (r == 0)
		return 0;
	*ret_why = r == -E2BIG ? "The token is longer than 4096 bytes. Is this the right file?"
			       : "A token is one word of printable ASCII, with no blanks inside.";
	return -EINVAL;
}

static bool is_blank(struct fz_bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] > ' ')
			return false;
	}
	return true;
}

static void judge_text(struct fz_bytes text, struct fzd_token *found, struct fz_token *ret_token)
{
	const char *why = NULL;
	if (is_blank(text))
		judge(found, FZD_TOKEN_EMPTY, "It is empty. Put the token there, or remove it.");
	else if (fzd_token_clean(text, ret_token, &why) < 0)
		judge(found, FZD_TOKEN_MALFORMED, why);
	else
		judge(found, FZD_TOKEN_UNTRIED, "");
}

static void judge_errno(int err, struct fzd_token *found)
{
	char text[200];
	snprintf(text, sizeof(text), "It cannot be read: %s.%s", fz_strerror(-err),
		err == EACCES ? " Use `firezonectl token import`, or a systemd credential." : "");
	judge(found, FZD_TOKEN_UNREADABLE, text);
}

static bool is_foreign(const struct stat *st, uid_t owner, struct fzd_token *found)
{
	char text[200];
	if (st->st_uid == owner || st->st_uid == geteuid())
		return false;
	snprintf(text, sizeof(text), "It belongs to uid %u, not to root. Use: chown root",
		(unsigned)st->st_uid);
	judge(found, FZD_TOKEN_UNSAFE, text);
	return true;
}

/*
 * Credentials are the service manager's: it made the directory for us alone. What a container is given as a secret lies in
 * a file that all of the container may read, and that only its maker chose to name: it must not be others' to write.
 */
static bool is_safe(int fd, uid_t owner, struct fzd_token *found)
{
	struct stat st;
	char text[200];
	if (fstat(fd, &st) < 0) {
		judge_errno(errno, found);
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		judge(found, FZD_TOKEN_UNREADABLE, "It is no file. Put a file there.");
		return false;
	}
	if (found->source == FZD_TOKEN_CREDENTIAL)
		return true;
	if (is_foreign(&st, owner, found))
		return false;
	bool is_named = found->source == FZD_TOKEN_ENVIRONMENT;
	if (st.st_mode & (is_named ? 022 : 0177)) {
		snprintf(text, sizeof(text), "Its mode is %04o; others could %s it. Use: chmod 600",
			(unsigned)st.st_mode & 07777u, is_named ? "write" : "read");
		judge(found, FZD_TOKEN_UNSAFE, text);
		return false;
	}
	return true;
}

/* False if there is no such file. */
static bool try_file(const char *path, enum fzd_token_source source, uid_t owner,
	struct fzd_token *found, struct fz_token *ret_token)
{
	FZ_CLEANUP(fz_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return false;
	found->source = source;
	snprintf(found->origin, sizeof(found->origin), "%s", path);
	if (fd < 0) {
		int err = errno;
		struct stat st;
		if (err == ELOOP)
			judge(found, FZD_TOKEN_UNSAFE,
				"It is a symbolic link. Put the file itself there.");
		else if (lstat(path, &st) < 0 || !is_foreign(&st, owner, found))
			judge_errno(err, found);
		return true;
	}
	if (!is_safe(fd, owner, found))
		return true;
	FZ_CLEANUP(fz_token_wipep) struct fz_token text = { 0 };
	while (text.len < sizeof(text.text)) {
		ssize_t n = read(fd, text.text + text.len, sizeof(text.text) - text.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			judge_errno(errno, found);
			return true;
		}
		if (n == 0)
			break;
		text.len += (size_t)n;
	}
	judge_text(fz_bytes_of(text.text, text.len), found, ret_token);
	return true;
}

static bool try_credential(
	const struct fzd_token_paths *paths, struct fzd_token *found, struct fz_token *ret_token)
{
	char path[512];
	if (!paths->credentials || !*paths->credentials)
		return false;
	int n = snprintf(path, sizeof(path), "%s/" FZD_CREDENTIAL, paths->credentials);
	return n > 0 && (size_t)n < sizeof(path) &&
	       try_file(path, FZD_TOKEN_CREDENTIAL, paths->owner, found, ret_token);
}

/* No token begins with a slash. */
static void try_named_file(const struct fz_token *name, uid_t owner, struct fzd_token *found,
	struct fz_token *ret_token)
{
	char path[sizeof(found->origin)];
	if (name->len >= sizeof(path)) {
		judge(found, FZD_TOKEN_UNREADABLE, "It is too long to be the name of a file.");
		return;
	}
	snprintf(path, sizeof(path), "%.*s", (int)name->len, (const char *)name->text);
	if (!try_file(path, FZD_TOKEN_ENVIRONMENT, owner, found, ret_token)) {
		snprintf(found->origin, sizeof(found->origin), "%s", path);
		judge(found, FZD_TOKEN_UNREADABLE,
			VARIABLE " names this file, and it is not there.");
	}
}

static bool try_environment(const struct fz_token *environment, uid_t owner,
	struct fzd_token *found, struct fz_token *ret_token)
{
	if (!environment)
		return false;
	found->source = FZD_TOKEN_ENVIRONMENT;
	snprintf(found->origin, sizeof(found->origin), "%s", VARIABLE);
	if (environment->len > 0 && environment->text[0] == '/') {
		try_named_file(environment, owner, found, ret_token);
		return true;
	}
	judge_text(fz_bytes_of(environment->text, environment->len), found, ret_token);
	return true;
}

void fzd_token_find(const struct fzd_token_paths *paths, const struct fz_token *environment,
	struct fzd_token *ret_found, struct fz_token *ret_token)
{
	*ret_found = (struct fzd_token){ .source = FZD_TOKEN_NONE };
	fz_token_wipep(ret_token);
	if (try_credential(paths, ret_found, ret_token) ||
		try_environment(environment, paths->owner, ret_found, ret_token) ||
		try_file(paths->file, FZD_TOKEN_FILE, paths->owner, ret_found, ret_token))
		return;
	(void)try_file(paths->imported, FZD_TOKEN_IMPORTED, paths->owner, ret_found, ret_token);
}

int fzd_token_keep(const char *path, const struct fz_token *token)
{
	return fzd_file_write(path, fz_bytes_of(token->text, token->len));
}
