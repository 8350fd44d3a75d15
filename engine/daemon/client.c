/*
 * The session's place: made with the settings of the moment, run with a token that is kept in locked memory, so that
 * `down` and `up` need none; ended by its user, by the portal, or by a token source that comes or goes.
 */
#include "daemon/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "base/alloc.h"
#include "base/ct.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/device.h"
#include "daemon/paths.h"
#include "daemon/rpc.h"
#include "io/clock.h"
#include "io/rng.h"

#define SIGN_IN_TIME FZ_SECONDS(900)

struct fzd_client {
	struct fzd *d;
	struct fz_session *session;
	struct fz_token *token; /* locked memory; empty: nobody is signed in */
	bool is_owned, is_down, is_over; /* over: to be freed once its callbacks have returned */
	bool internet; /* what the setting says, where it says something */
	uint32_t owner;
	fz_wall down_until;
	sd_event_source *up_timer, *browser_timer;
	struct fzp_sign_in *sign_in;
	uint32_t sign_in_uid;
	char account[FZP_SLUG_MAX + 1], actor[FZP_ACTOR_MAX + 1], reason[200];
};

/* ---- the session's callbacks ---- */

static void on_changed(void *user)
{
	struct fzd_client *c = user;
	struct fz_session_status st;
	fz_session_status(c->session, &st);
	if (st.portal == FZP_PORTAL_UP && c->d->token.source != FZD_TOKEN_NONE &&
		c->d->token.verdict != FZD_TOKEN_VALID) {
		c->d->token.verdict = FZD_TOKEN_VALID;
		c->d->token.reason[0] = '\0';
	}
	fzd_changed(c->d);
	fzd_watch_emit(c->d, FZD_WATCH_RESOURCES);
}

static void forget_token(struct fzd_client *c)
{
	fz_token_wipep(c->token);
	c->up_timer = sd_event_source_disable_unref(c->up_timer);
	c->is_down = false;
}

static void forget_person(struct fzd_client *c)
{
	c->is_owned = false;
	c->account[0] = c->actor[0] = '\0';
	if (c->d->token.source == FZD_TOKEN_SESSION)
		c->d->token = (struct fzd_token){ .source = FZD_TOKEN_NONE };
}

/* The portal's word on the token: in service mode it is shown beside its source, else the person must sign in again. */
static void on_ended(void *user, enum fzp_reason why, bool drop_token)
{
	struct fzd_client *c = user;
	const struct fzp_reason_info *info = fzp_reason_info(why);
	fz_log(FZ_LOG_ERR, "session-ended", "why=%s token=%s", info->code,
		drop_token ? "dropped" : "kept");
	snprintf(c->reason, sizeof(c->reason), "%s %s", info->text, info->hint);
	if (drop_token) {
		c->d->token.verdict =
			why == FZP_REASON_TOKEN_EXPIRED ? FZD_TOKEN_EXPIRED : FZD_TOKEN_REFUSED;
		snprintf(c->d->token.reason, sizeof(c->d->token.reason), "%s", c->reason);
		forget_token(c);
		if (!fzd_in_service_mode(c->d)) {
			forget_person(c);
			c->is_over = true;
			fzd_watch_notice(c->d, FZPB__NOTICE__CODE__SIGN_IN_AGAIN, c->reason);
		}
	}
	fzd_changed(c->d);
}

static void on_notice(
	void *user, enum fz_session_notice what, const char *resource, const char *site)
{
	static const Fzpb__Notice__Code codes[FZ_SESSION_NOTICE_COUNT_] = {
		[FZ_SESSION_NOTICE_OFFLINE] = FZPB__NOTICE__CODE__ALL_GATEWAYS_OFFLINE,
		[FZ_SESSION_NOTICE_VERSION] = FZPB__NOTICE__CODE__GATEWAY_VERSION_MISMATCH,
		[FZ_SESSION_NOTICE_FORBIDDEN] = FZPB__NOTICE__CODE__POLICY_CHANGED,
		[FZ_SESSION_NOTICE_PORTAL_LOST] = FZPB__NOTICE__CODE__PORTAL_LOST,
		[FZ_SESSION_NOTICE_PORTAL_BACK] = FZPB__NOTICE__CODE__PORTAL_BACK,
	};
	struct fzd_client *c = user;
	fzd_watch_notice_of(c->d, codes[what], fz_session_notice_text(what), resource, site);
}

/* ---- making and ending ---- */

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static const char *value_of(const struct fzd_client *c, enum fz_setting which)
{
	return fzd_settings_get(c->d->settings, which).value;
}

/* As firezone-wg takes them: FIREZONE_IO, FIREZONE_AEAD, FIREZONE_THREADS. */
static int choose_engine(struct fz_session_params *p)
{
	const char *io = getenv("FIREZONE_IO"), *aead = getenv("FIREZONE_AEAD"),
		   *threads = getenv("FIREZONE_THREADS");
	uint64_t n = 0;
	int r = io ? fz_io_kind_parse(io, &p->io) : 0;
	if (r == 0 && aead)
		r = fz_aead_kind_parse(aead, &p->aead);
	if (r == 0 && threads)
		r = fz_parse_uint(threads, 64, &n);
	p->threads = (unsigned)n;
	if (r < 0)
		fz_log(FZ_LOG_ERR, "engine",
			"problem=\"FIREZONE_IO, FIREZONE_AEAD or FIREZONE_THREADS is wrong\"");
	return r;
}

static int make_session(struct fzd_client *c)
{
	struct fzd_device device;
	int r = fzd_device_get(c->d->settings, &device);
	if (r < 0)
		return r;
	fz_dur partition_limit;
	if (!fz_setting_duration(value_of(c, FZ_SETTING_MAX_PARTITION_TIME), &partition_limit))
		partition_limit = FZ_NANOSECONDS(0); /* empty: none */
	bool has_internet =
		fz_setting_bool(value_of(c, FZ_SETTING_INTERNET_RESOURCE), &c->internet);
	struct fz_session_params params = {
		.api_url = value_of(c, FZ_SETTING_API_URL),
		.external_id = device.external_id,
		.name = device.name,
		.device_serial = or_null(device.serial),
		.device_uuid = or_null(device.uuid),
		.user_agent = device.agent,
		.partition_limit = partition_limit,
		.ca_file = or_null(value_of(c, FZ_SETTING_CA_FILE)),
		.proxy = or_null(value_of(c, FZ_SETTING_HTTPS_PROXY)),
		.no_proxy = or_null(value_of(c, FZ_SETTING_NO_PROXY)),
		.allow_insecure = fzd_settings_bool(c->d->settings, FZ_SETTING_ALLOW_INSECURE),
		.state_dir = FZD_STATE_DIR,
		.host = c->d->host,
		.internet = has_internet ? &c->internet : NULL,
		.ops = { .changed = on_changed, .ended = on_ended, .notice = on_notice },
		.user = c,
	};
	r = choose_engine(&params);
	return r < 0 ? r : fz_session_new(c->d->event, &params, &c->session);
}

static const char *why_not(int r)
{
	switch (r) {
	case -EPERM: return "api_url is ws://, which allow_insecure does not allow";
	case -EINVAL:
		return "api_url, https_proxy, a name or a choice of the engine cannot be used";
	case -ENOENT: return "there is no /dev/net/tun";
	case -EBUSY: return "another program has the tunnel's interface";
	default: return fz_strerror(r);
	}
}

/* The kept token stays: the session is given a copy. */
static int start(struct fzd_client *c)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token copy = { .len = c->token->len };
	memcpy(copy.text, c->token->text, c->token->len + 1);
	fz_session_free(c->session);
	c->session = NULL;
	c->is_over = c->is_down = false;
	c->up_timer = sd_event_source_disable_unref(c->up_timer);
	c->reason[0] = '\0';
	int r = make_session(c);
	if (r == 0)
		r = fz_session_start(c->session, &copy);
	if (r < 0) {
		snprintf(c->reason, sizeof(c->reason), "The session could not be started: %s.",
			why_not(r));
		fz_log(FZ_LOG_ERR, "session-not-started", "error=\"%s\"", why_not(r));
		fz_session_free(c->session);
		c->session = NULL;
	}
	fzd_changed(c->d);
	return r;
}

static void take_token(struct fzd_client *c, struct fz_token *token)
{
	fz_token_wipep(c->token);
	memcpy(c->token->text, token->text, token->len + 1);
	c->token->len = token->len;
	fz_token_wipep(token);
}

void fzd_client_serve(struct fzd_client *c, struct fz_token *token)
{
	fzd_client_cancel_sign_in(c, c->sign_in_uid);
	c->is_owned = false;
	c->account[0] = c->actor[0] = '\0';
	take_token(c, token);
	/* Why not is kept for status. */
	if (start(c) < 0)
		return;
}

bool fzd_client_has_token(const struct fzd_client *c, const struct fz_token *token)
{
	return c->token->len == token->len && token->len > 0 &&
	       fz_ct_equal(c->token->text, token->text, token->len);
}

int fzd_client_sign_in(struct fzd_client *c, uint32_t uid, struct fz_token *token,
	const char *account, const char *actor)
{
	take_token(c, token);
	c->is_owned = true;
	c->owner = uid;
	snprintf(c->account, sizeof(c->account), "%s", account);
	snprintf(c->actor, sizeof(c->actor), "%s", actor);
	c->d->token =
		(struct fzd_token){ .source = FZD_TOKEN_SESSION, .verdict = FZD_TOKEN_UNTRIED };
	fz_log(FZ_LOG_INFO, "signed-in", "by_uid=%u", uid);
	return start(c);
}

void fzd_client_stop(struct fzd_client *c)
{
	fz_session_free(c->session);
	c->session = NULL;
	c->is_over = false;
	c->reason[0] = '\0';
	forget_token(c);
	forget_person(c);
	fzd_changed(c->d);
}

/* ---- down and up ---- */

static int on_up_time(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	struct fzd_client *c = user;
	int r = fzd_client_up(c);
	if (r < 0)
		fz_log(FZ_LOG_ERR, "not-up-again", "error=\"%s\"", fz_strerror(r));
	return 0;
}

int fzd_client_down(struct fzd_client *c, fz_dur time)
{
	struct fz_now now = fz_clock_now();
	c->up_timer = sd_event_source_disable_unref(c->up_timer);
	if (time.ns > 0) {
		int r = sd_event_add_time(c->d->event, &c->up_timer, CLOCK_BOOTTIME,
			fz_time_add(now.at, time).ns / 1000 + 1, 0, on_up_time, c);
		if (r < 0)
			return r;
	}
	c->is_down = true;
	c->down_until = (fz_wall){ time.ns > 0 ? now.wall.ns + (int64_t)time.ns : 0 };
	fz_session_free(c->session);
	c->session = NULL;
	fzd_changed(c->d);
	return 0;
}

int fzd_client_up(struct fzd_client *c)
{
	struct fz_session_status st;
	if (c->token->len == 0)
		return -ENOKEY;
	if (fzd_client_status(c, &st) && st.state != FZ_SESSION_ENDED && st.state != FZ_SESSION_OFF)
		return 0;
	return start(c);
}

/* ---- what there is to see ---- */

struct fz_session *fzd_client_session_maybe(const struct fzd_client *c)
{
	return c->is_over ? NULL : c->session;
}

bool fzd_client_status(const struct fzd_client *c, struct fz_session_status *ret)
{
	if (!fzd_client_session_maybe(c))
		return false;
	fz_session_status(c->session, ret);
	return true;
}

bool fzd_client_owner(const struct fzd_client *c, uint32_t *ret_uid)
{
	if (!c->is_owned)
		return false;
	*ret_uid = c->owner;
	return true;
}

bool fzd_client_is_signed_in(const struct fzd_client *c)
{
	return c->token->len > 0;
}

const char *fzd_client_account(const struct fzd_client *c)
{
	return c->account;
}

const char *fzd_client_actor(const struct fzd_client *c)
{
	return c->actor;
}

bool fzd_client_is_down(const struct fzd_client *c, fz_wall *ret_until)
{
	if (c->is_down)
		*ret_until = c->down_until;
	return c->is_down;
}

const char *fzd_client_reason(const struct fzd_client *c)
{
	return c->reason;
}

static int add_resource(void *user, const struct fz_session_resource *r)
{
	struct fz_redactor *redactor = user;
	int e = fz_redactor_add(redactor, FZ_REDACT_NAMES, r->name);
	if (e == 0 && r->address[0])
		e = fz_redactor_add(redactor, FZ_REDACT_NAMES, r->address);
	if (e == 0 && r->description[0])
		e = fz_redactor_add(redactor, FZ_REDACT_NAMES, r->description);
	for (uint32_t i = 0; e == 0 && i < r->n_sites; i++)
		e = fz_redactor_add(redactor, FZ_REDACT_NAMES, r->sites[i].name);
	return e;
}

int fzd_client_add_words(const struct fzd_client *c, struct fz_redactor *r)
{
	struct fz_session_status st;
	int e = fz_redactor_add(r, FZ_REDACT_SLUG, c->account);
	if (e == 0)
		e = fz_redactor_add(r, FZ_REDACT_NAMES, c->actor);
	if (e < 0 || !fzd_client_status(c, &st))
		return e;
	if (st.search_domain[0])
		e = fz_redactor_add(r, FZ_REDACT_NAMES, st.search_domain);
	return e < 0 ? e : fz_session_each_resource(c->session, add_resource, r);
}

/* ---- a browser's sign-in ---- */

static int on_browser_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct fzd_client *c = user;
	(void)source;
	(void)usec;
	fzd_client_cancel_sign_in(c, c->sign_in_uid);
	return 0;
}

int fzd_client_begin_sign_in(struct fzd_client *c, uint32_t uid, const char *base,
	const char *account, char ret_url[static FZP_AUTH_URL_MAX], fz_wall *ret_expires)
{
	uint8_t random[64];
	struct fz_now now = fz_clock_now();
	fz_rng_fill(NULL, fz_span_of(random, sizeof(random)));
	int r = fzp_sign_in_begin(c->sign_in, base, account, random, ret_url);
	fz_wipe(random, sizeof(random));
	if (r < 0)
		return r;
	c->browser_timer = sd_event_source_disable_unref(c->browser_timer);
	r = sd_event_add_time(c->d->event, &c->browser_timer, CLOCK_BOOTTIME,
		fz_time_add(now.at, SIGN_IN_TIME).ns / 1000 + 1, 0, on_browser_time, c);
	if (r < 0) {
		fzp_sign_in_cancel(c->sign_in);
		return r;
	}
	c->sign_in_uid = uid;
	*ret_expires = (fz_wall){ now.wall.ns + (int64_t)SIGN_IN_TIME.ns };
	fzd_changed(c->d);
	return 0;
}

enum fzp_callback_verdict fzd_client_finish_sign_in(
	struct fzd_client *c, uint32_t uid, struct fz_bytes url, struct fzp_signed_in *ret)
{
	if (!fzp_sign_in_is_pending(c->sign_in) || uid != c->sign_in_uid)
		return FZP_CALLBACK_NOT_EXPECTED;
	enum fzp_callback_verdict v = fzp_sign_in_finish(c->sign_in, url, ret);
	if (!fzp_sign_in_is_pending(c->sign_in))
		c->browser_timer = sd_event_source_disable_unref(c->browser_timer);
	fzd_changed(c->d);
	return v;
}

void fzd_client_cancel_sign_in(struct fzd_client *c, uint32_t uid)
{
	if (uid != c->sign_in_uid && uid != 0)
		return;
	fzp_sign_in_cancel(c->sign_in);
	c->browser_timer = sd_event_source_disable_unref(c->browser_timer);
	fzd_changed(c->d);
}

bool fzd_client_awaits_browser(const struct fzd_client *c)
{
	return fzp_sign_in_is_pending(c->sign_in);
}

/* ---- life ---- */

void fzd_client_settle(struct fzd_client *c)
{
	if (!c->is_over)
		return;
	fz_session_free(c->session);
	c->session = NULL;
	c->is_over = false;
}

void fzd_client_free(struct fzd_client *c)
{
	if (!c)
		return;
	fz_session_free(c->session);
	sd_event_source_disable_unref(c->up_timer);
	sd_event_source_disable_unref(c->browser_timer);
	fzp_sign_in_free(c->sign_in);
	fzd_token_free(c->token);
	free(c);
}

int fzd_client_new(struct fzd *d, struct fzd_client **ret_client)
{
	struct fzd_client *c = fz_new(struct fzd_client);
	if (!c)
		return -ENOMEM;
	c->d = d;
	c->token = fz_secret_new(sizeof(*c->token));
	c->sign_in = fzp_sign_in_new();
	if (!c->token || !c->sign_in) {
		fzd_client_free(c);
		return -ENOMEM;
	}
	*ret_client = c;
	return 0;
}
