/* Admin: the kept token, and versions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/file.h"
#include "daemon/paths.h"
#include "daemon/rpc.h"
#include "daemon/status.h"

static void fail_system(struct fzipc_call *call, const char *what, int r)
{
	char message[160];
	snprintf(message, sizeof(message), "%s: %s.", what, fz_strerror(r));
	fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, message, NULL);
}

/* 0; -EINVAL: *ret_why; or what reading said. */
static int read_token(int fd, struct fz_token *ret_token, const char **ret_why)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token text = { 0 };
	while (text.len < sizeof(text.text)) {
		ssize_t n = pread(
			fd, text.text + text.len, sizeof(text.text) - text.len, (off_t)text.len);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		text.len += (size_t)n;
	}
	*ret_why = "The token is empty.";
	return text.len == 0
		       ? -EINVAL
		       : fzd_token_clean(fz_bytes_of(text.text, text.len), ret_token, ret_why);
}

/* A source that comes before the kept token would hide it: the caller must know. */
static bool is_hidden(const struct fzd *d)
{
	return fzd_in_service_mode(d) && d->token.source != FZD_TOKEN_IMPORTED;
}

void fzd_import_token(void *user, struct fzipc_call *call, const Fzpb__ImportTokenRequest *request)
{
	struct fzd *d = user;
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { 0 };
	const char *why = "";
	(void)request;
	if (is_hidden(d)) {
		char message[600];
		snprintf(message, sizeof(message), "The token already comes from %s.",
			d->token.origin);
		fzipc_call_fail(call, FZPB__ERROR__CODE__CONFLICT, message,
			"Remove that source and reload the daemon first.");
		return;
	}
	int r = read_token(fzipc_call_fd(call), &token, &why);
	if (r == -EINVAL) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, why, NULL);
		return;
	}
	if (r < 0) {
		fail_system(call, "The token could not be read", r);
		return;
	}
	r = fzd_token_keep(FZD_IMPORTED_FILE, &token);
	if (r < 0) {
		fz_log(FZ_LOG_ERR, "token-not-kept", "error=\"%s\"", fz_strerror(r));
		fail_system(call, "The token could not be kept", r);
		return;
	}
	fz_log(FZ_LOG_INFO, "token-imported", "by_uid=%u", fzipc_call_who(call)->uid);
	(void)fzd_token_look(d, false);
	Fzpb__TokenStatus status;
	char reason[300];
	fzd_status_fill_token(d, &status, reason);
	fzipc_reply_import_token(call, &status);
}

void fzd_remove_token(void *user, struct fzipc_call *call, const Fzpb__RemoveTokenRequest *request)
{
	struct fzd *d = user;
	Fzpb__TokenStatus status;
	char reason[300];
	(void)request;
	int r = fzd_file_remove(FZD_IMPORTED_FILE);
	if (r < 0) {
		fail_system(call, "The token could not be removed", r);
		return;
	}
	fz_log(FZ_LOG_INFO, "token-removed", "by_uid=%u", fzipc_call_who(call)->uid);
	(void)fzd_token_look(d, false);
	fzd_status_fill_token(d, &status, reason);
	fzipc_reply_remove_token(call, &status);
}

void fzd_get_token_status(
	void *user, struct fzipc_call *call, const Fzpb__TokenStatusRequest *request)
{
	Fzpb__TokenStatus status;
	char reason[300];
	(void)request;
	fzd_status_fill_token(user, &status, reason);
	fzipc_reply_get_token_status(call, &status);
}

void fzd_get_version(void *user, struct fzipc_call *call, const Fzpb__VersionRequest *request)
{
	Fzpb__Version version = FZPB__VERSION__INIT;
	char protocol[16];
	(void)user;
	(void)request;
	snprintf(protocol, sizeof(protocol), "%u.%u", FZIPC_MAJOR, FZIPC_MINOR);
	version.daemon = fz_unconst(FZ_VERSION);
	version.protocol = protocol;
	fzipc_reply_get_version(call, &version);
}
