/*
 * A file is opened first and looked at through its descriptor afterwards, so that what was checked is what is read. A
 * credential is systemd's: its directory is ours alone, its mode is not ours to judge.
 */
#include "gateway/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "control/auth.h"

#define VARIABLE "FIREZONE_TOKEN"

static const char *const explanations[GW_TOKEN_PROBLEM_COUNT_] = {
	[GW_TOKEN_OK] = "",
	[GW_TOKEN_NONE] = ("there is no token: create one for a site in the portal, and give it as "
			   "the systemd credential FIREZONE_TOKEN, in the file "
			   "/etc/firezone/gateway-token (mode 0600) or in FIREZONE_TOKEN"),
	[GW_TOKEN_UNREADABLE] = "the token cannot be read",
	[GW_TOKEN_NOT_A_FILE] = "the token's path must name a plain file, not a link",
	[GW_TOKEN_OWNER] = "the token's file must belong to root or to the gateway's user",
	[GW_TOKEN_MODE] = "the token's file may be read by its owner alone: chmod 0600",
	[GW_TOKEN_MALFORMED] = "the token is empty, too long, or has white space inside",
};

const char *gw_token_explain(enum gw_token_problem p)
{
	return explanations[p];
}

static enum gw_token_problem clean(struct fz_bytes text, struct fz_token *ret)
{
	return fzp_token_clean(text, ret) == 0 ? GW_TOKEN_OK : GW_TOKEN_MALFORMED;
}

static enum gw_token_problem judge(int fd, const struct gw_token_sources *sources)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return GW_TOKEN_UNREADABLE;
	if (!S_ISREG(st.st_mode))
		return GW_TOKEN_NOT_A_FILE;
	if (!sources)
		return GW_TOKEN_OK;
	if (st.st_uid != 0 && st.st_uid != sources->owner)
		return GW_TOKEN_OWNER;
	return (st.st_mode & 0177) == 0 ? GW_TOKEN_OK : GW_TOKEN_MODE;
}

/* `sources` NULL: owner and mode are not looked at. */
static enum gw_token_problem read_file(
	const char *path, const struct gw_token_sources *sources, struct fz_token *ret)
{
	FZ_CLEANUP(fz_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? GW_TOKEN_NONE
		       : errno == ELOOP                    ? GW_TOKEN_NOT_A_FILE
							   : GW_TOKEN_UNREADABLE;
	enum gw_token_problem p = judge(fd, sources);
	if (p != GW_TOKEN_OK)
		return p;
	/* One byte more than a token may have, so that too long is seen; a line end may follow. */
	FZ_CLEANUP(fz_token_wipep) struct fz_token raw = { .len = 0 };
	while (raw.len < FZ_TOKEN_MAX) {
		ssize_t n = read(fd, raw.text + raw.len, FZ_TOKEN_MAX - raw.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return GW_TOKEN_UNREADABLE;
		if (n == 0)
			break;
		raw.len += (size_t)n;
	}
	char more;
	if (raw.len == FZ_TOKEN_MAX && read(fd, &more, 1) != 0)
		return GW_TOKEN_MALFORMED;
	return clean(fz_bytes_of(raw.text, raw.len), ret);
}

/* The variable's text is wiped where it lies: /proc/PID/environ shows that very memory. */
static enum gw_token_problem take_variable(struct fz_token *ret)
{
	char *text = getenv(VARIABLE);
	if (!text || text[0] == '\0')
		return GW_TOKEN_NONE;
	size_t n = strlen(text);
	enum gw_token_problem p = clean(fz_bytes_of(text, n), ret);
	explicit_bzero(text, n);
	(void)unsetenv(VARIABLE);
	return p;
}

static enum gw_token_problem take_credential(struct fz_token *ret)
{
	char path[512];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	if (!dir || dir[0] != '/')
		return GW_TOKEN_NONE;
	int n = snprintf(path, sizeof(path), "%s/%s", dir, VARIABLE);
	if (n < 0 || (size_t)n >= sizeof(path))
		return GW_TOKEN_UNREADABLE;
	return read_file(path, NULL, ret);
}

enum gw_token_problem gw_token_get(
	const struct gw_token_sources *sources, struct fz_token *ret_token, const char **ret_source)
{
	enum gw_token_problem p = take_variable(ret_token);
	const char *source = "environment";
	if (p == GW_TOKEN_NONE) {
		p = take_credential(ret_token);
		source = "credential";
	}
	if (p == GW_TOKEN_NONE) {
		p = read_file(sources->file, sources, ret_token);
		source = "file";
		if (p == GW_TOKEN_NONE && sources->file_must_exist)
			p = GW_TOKEN_UNREADABLE;
	}
	if (p == GW_TOKEN_OK)
		*ret_source = source;
	return p;
}
