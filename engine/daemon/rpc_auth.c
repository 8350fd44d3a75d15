/*
 * Auth: signing in with a browser or a token, and out. Whoever signs in owns the session; the token comes through a
 * descriptor or inside the callback's address, and is wiped wherever it passed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/client.h"
#include "daemon/rpc.h"
#include "daemon/status.h"

void fzd_begin_sign_in(void *user, struct fzipc_call *call, const Fzpb__BeginSignInRequest *request)
{
	struct fzd *d = user;
	Fzpb__BeginSignInReply reply = FZPB__BEGIN_SIGN_IN_REPLY__INIT;
	char url[FZP_AUTH_URL_MAX];
	fz_wall expires = { 0 };
	const char *base = request->auth_url && request->auth_url[0]
				   ? request->auth_url
				   : fzd_settings_get(d->settings, FZ_SETTING_AUTH_URL).value;
	const char *account =
		request->account && request->account[0]
			? request->account
			: fzd_settings_get(d->settings, FZ_SETTING_ACCOUNT_SLUG).value;
	const char *wrong = fz_setting_info(FZ_SETTING_AUTH_URL)->check(base);
	if (!wrong)
		wrong = fz_setting_info(FZ_SETTING_ACCOUNT_SLUG)->check(account);
	if (wrong) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, wrong, NULL);
		return;
	}
	bool shows_token = request->has_shows_token && request->shows_token;
	int r = shows_token ? fzp_sign_in_headless_url(base, account, url)
			    : fzd_client_begin_sign_in(d->client, fzipc_call_who(call)->uid, base,
				      account, url, &expires);
	if (r < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"A sign-in cannot be made of that account and address.", fz_strerror(r));
		return;
	}
	fz_log(FZ_LOG_INFO, "sign-in-begun", "by_uid=%u", fzipc_call_who(call)->uid);
	reply.url = url;
	reply.has_expires = !shows_token;
	reply.expires = expires.ns;
	fzipc_reply_begin_sign_in(call, &reply);
	fz_wipe(url, sizeof(url));
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
	*ret_why = "There is no token.";
	return text.len == 0
		       ? -EINVAL
		       : fzd_token_clean(fz_bytes_of(text.text, text.len), ret_token, ret_why);
}

/* False: the call has been failed. */
static bool sign_in(struct fzd *d, struct fzipc_call *call, struct fz_token *token,
	const char *account, const char *actor)
{
	int r = fzd_client_sign_in(d->client, fzipc_call_who(call)->uid, token, account, actor);
	if (r == 0)
		return true;
	fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, fzd_client_reason(d->client),
		"See: firezonectl logs --level warning");
	return false;
}

/* False: the call has been failed. */
static bool sign_in_by_fd(struct fzd *d, struct fzipc_call *call, const char *account)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { 0 };
	const char *why = "";
	int r = read_token(fzipc_call_fd(call), &token, &why);
	if (r < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			r == -EINVAL ? why : "The token could not be read.", NULL);
		return false;
	}
	return sign_in(d, call, &token, account, "");
}

/* False: the call has been failed. */
static bool sign_in_by_callback(struct fzd *d, struct fzipc_call *call, const char *url)
{
	FZ_CLEANUP(fzp_signed_in_wipep) struct fzp_signed_in in = { 0 };
	enum fzp_callback_verdict v = fzd_client_finish_sign_in(
		d->client, fzipc_call_who(call)->uid, fz_bytes_of_str(url), &in);
	if (v != FZP_CALLBACK_OK) {
		fz_log(FZ_LOG_WARNING, "sign-in-failed", "by_uid=%u verdict=%d",
			fzipc_call_who(call)->uid, (int)v);
		fzipc_call_fail(call, FZPB__ERROR__CODE__PORTAL, fzp_callback_text(v),
			"Begin again with: firezonectl sign-in");
		return false;
	}
	return sign_in(d, call, &in.token, in.account_slug, in.actor_name);
}

static void fill_account(const struct fzd *d, Fzpb__Account *ret_account)
{
	const char *slug = fzd_client_account(d->client), *actor = fzd_client_actor(d->client);
	fzpb__account__init(ret_account);
	ret_account->slug = slug[0] ? fz_unconst(slug) : NULL;
	ret_account->actor = actor[0] ? fz_unconst(actor) : NULL;
}

void fzd_finish_sign_in(
	void *user, struct fzipc_call *call, const Fzpb__FinishSignInRequest *request)
{
	struct fzd *d = user;
	Fzpb__SignInResult result = FZPB__SIGN_IN_RESULT__INIT;
	Fzpb__Account account;
	bool has_url = request->callback_url && request->callback_url[0];
	bool is_in = has_url ? sign_in_by_callback(d, call, request->callback_url)
			     : sign_in_by_fd(d, call, "");
	if (!is_in)
		return;
	fill_account(d, &account);
	result.account = &account;
	fzipc_reply_finish_sign_in(call, &result);
}

void fzd_provide_token(
	void *user, struct fzipc_call *call, const Fzpb__ProvideTokenRequest *request)
{
	struct fzd *d = user;
	struct fzd_status s;
	const char *account = request->account ? request->account : "";
	const char *wrong = fz_setting_info(FZ_SETTING_ACCOUNT_SLUG)->check(account);
	if (wrong) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, wrong, NULL);
		return;
	}
	if (!sign_in_by_fd(d, call, account))
		return;
	fzd_status_fill(d, &s);
	fzipc_reply_provide_token(call, &s.msg);
}

void fzd_end_session(void *user, struct fzipc_call *call, const Fzpb__EndSessionRequest *request)
{
	struct fzd *d = user;
	Fzpb__SignOutResult result = FZPB__SIGN_OUT_RESULT__INIT;
	Fzpb__Account account;
	char slug[FZP_SLUG_MAX + 1];
	(void)request;
	snprintf(slug, sizeof(slug), "%s", fzd_client_account(d->client));
	fzpb__account__init(&account);
	fzd_client_stop(d->client);
	fz_log(FZ_LOG_INFO, "signed-out", "by_uid=%u", fzipc_call_who(call)->uid);
	if (slug[0]) {
		account.slug = slug;
		result.account = &account;
	}
	fzipc_reply_end_session(call, &result);
}

/* Another user's sign-in is no business of the caller's, unless that is root. */
void fzd_cancel_sign_in(
	void *user, struct fzipc_call *call, const Fzpb__CancelSignInRequest *request)
{
	struct fzd *d = user;
	struct fzd_status s;
	(void)request;
	fzd_client_cancel_sign_in(d->client, fzipc_call_who(call)->uid);
	fzd_status_fill(d, &s);
	fzipc_reply_cancel_sign_in(call, &s.msg);
}
