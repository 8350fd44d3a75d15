/* Session: up, down, reset, and wait as a list of calls that stay open until their state has come. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/client.h"
#include "daemon/rpc.h"
#include "daemon/status.h"

#define WAITERS_MAX 256
#define DOWN_MAX    FZ_SECONDS(30 * 86'400)

static void fail(struct fzipc_call *call, const char *what, int r)
{
	char message[200];
	snprintf(message, sizeof(message), "%s: %s.", what, fz_strerror(r));
	fzipc_call_fail(
		call, FZPB__ERROR__CODE__SYSTEM, message, "See: firezonectl logs --level warning");
}

/* Another account than the one that is signed in needs a sign-in. */
static bool is_other_account(const struct fzd *d, const char *account)
{
	return account && account[0] && strcmp(account, fzd_client_account(d->client)) != 0;
}

void fzd_up(void *user, struct fzipc_call *call, const Fzpb__UpRequest *request)
{
	struct fzd *d = user;
	struct fzd_status s;
	if (request->has_tie_to_connection && request->tie_to_connection) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__UNSUPPORTED,
			"The tunnel cannot be tied to a connection yet.", NULL);
		return;
	}
	if (is_other_account(d, request->account)) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__NOT_FOUND,
			"Nobody is signed in to that account.",
			"Use: firezonectl sign-in --account SLUG");
		return;
	}
	int r = fzd_client_up(d->client);
	if (r < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, fzd_client_reason(d->client),
			"See: firezonectl logs --level warning");
		return;
	}
	if (request->has_internet)
		r = fz_session_set_internet(fzd_client_session_maybe(d->client), request->internet);
	if (r < 0) {
		fail(call, "The choice of the Internet Resource could not be kept", r);
		return;
	}
	fzd_status_fill(d, &s);
	fzipc_reply_up(call, &s.msg);
}

void fzd_down(void *user, struct fzipc_call *call, const Fzpb__DownRequest *request)
{
	struct fzd *d = user;
	struct fzd_status s;
	fz_dur time = FZ_NANOSECONDS(0);
	if (request->has_for_ms) {
		if (request->for_ms == 0 || request->for_ms > fz_dur_ms(DOWN_MAX)) {
			fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
				"The tunnel can be down for 30 days at most.",
				"Without --for it stays down.");
			return;
		}
		time = FZ_MILLISECONDS(request->for_ms);
	}
	int r = fzd_client_down(d->client, time);
	if (r < 0) {
		fail(call, "No timer could be had", r);
		return;
	}
	fz_log(FZ_LOG_INFO, "down", "by_uid=%u", fzipc_call_who(call)->uid);
	fzd_status_fill(d, &s);
	fzipc_reply_down(call, &s.msg);
}

void fzd_reset(void *user, struct fzipc_call *call, const Fzpb__ResetRequest *request)
{
	struct fzd *d = user;
	struct fzd_status s;
	struct fz_session *session = fzd_client_session_maybe(d->client);
	if (!session) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__CONFLICT, "The tunnel is down.",
			"Use: firezonectl up");
		return;
	}
	fz_log(FZ_LOG_INFO, "reset", "by_uid=%u reason=\"%.200s\"", fzipc_call_who(call)->uid,
		request->reason ? request->reason : "");
	int r = fz_session_reset(session);
	if (r < 0) {
		fail(call, "New sockets could not be had", r);
		return;
	}
	fzd_status_fill(d, &s);
	fzipc_reply_reset(call, &s.msg);
}

/* ---- wait ---- */

struct waiter {
	struct fz_node node;
	struct fzd *d;
	struct fzipc_call *call;
	Fzpb__WaitRequest__Condition condition;
	char *resource;
};

static void waiter_free(struct waiter *w)
{
	fz_list_remove(&w->node);
	free(w->resource);
	free(w);
}

static void on_gone(void *user, struct fzipc_call *call)
{
	(void)call;
	waiter_free(user);
}

static const struct fzipc_call_ops wait_ops = { .cancelled = on_gone };

static bool is_up(const Fzpb__Status *s)
{
	return s->state == FZPB__STATUS__STATE__UP ||
	       s->state == FZPB__STATUS__STATE__RECONNECTING ||
	       s->state == FZPB__STATUS__STATE__DEGRADED;
}

static bool is_down(const Fzpb__Status *s)
{
	return s->state == FZPB__STATUS__STATE__DOWN || s->state == FZPB__STATUS__STATE__PAUSED ||
	       s->state == FZPB__STATUS__STATE__SIGNED_OUT ||
	       s->state == FZPB__STATUS__STATE__ERROR;
}

static bool has_resource(const struct waiter *w)
{
	struct fz_session_resource r;
	const struct fz_session *s = fzd_client_session_maybe(w->d->client);
	return s && fz_session_resource(s, w->resource, &r) && r.reach != FZ_SESSION_OFFLINE;
}

static bool has_come(const struct waiter *w, const Fzpb__Status *s)
{
	switch (w->condition) {
	case FZPB__WAIT_REQUEST__CONDITION__UP: return is_up(s);
	case FZPB__WAIT_REQUEST__CONDITION__DOWN: return is_down(s);
	case FZPB__WAIT_REQUEST__CONDITION__SIGNED_IN: return fzd_client_is_signed_in(w->d->client);
	case FZPB__WAIT_REQUEST__CONDITION__RESOURCE: return is_up(s) && has_resource(w);
	case _FZPB__WAIT_REQUEST__CONDITION_IS_INT_SIZE: break;
	}
	return false;
}

/* What waits for the tunnel waits in vain once its token is gone or was refused. */
static bool is_hopeless(const struct waiter *w, const Fzpb__Status *s)
{
	bool needs_tunnel = w->condition == FZPB__WAIT_REQUEST__CONDITION__UP ||
			    w->condition == FZPB__WAIT_REQUEST__CONDITION__RESOURCE;
	return needs_tunnel && (s->state == FZPB__STATUS__STATE__SIGNED_OUT ||
				       s->state == FZPB__STATUS__STATE__ERROR);
}

/* True if the call has ended. */
static bool look(struct waiter *w)
{
	struct fzd_status s;
	struct fzipc_call *call = w->call;
	fzd_status_fill(w->d, &s);
	if (has_come(w, &s.msg)) {
		waiter_free(w);
		fzipc_reply_wait_for(call, &s.msg);
		return true;
	}
	if (!is_hopeless(w, &s.msg))
		return false;
	bool is_out = s.msg.state == FZPB__STATUS__STATE__SIGNED_OUT;
	waiter_free(w);
	fzipc_call_fail(call, is_out ? FZPB__ERROR__CODE__NOT_SIGNED_IN : FZPB__ERROR__CODE__PORTAL,
		is_out        ? "Nobody is signed in."
		: s.reason[0] ? s.reason
			      : "The session has ended.",
		is_out ? "Use: firezonectl sign-in" : NULL);
	return true;
}

void fzd_waiters_look(struct fzd *d)
{
	FZ_LIST_EACH_SAFE(&d->waiters, node, after)
		(void)look(FZ_CONTAINER_OF(node, struct waiter, node));
}

static size_t count(const struct fz_list *l)
{
	size_t n = 0;
	FZ_LIST_EACH(l, node)
		n++;
	return n;
}

void fzd_wait_for(void *user, struct fzipc_call *call, const Fzpb__WaitRequest *request)
{
	struct fzd *d = user;
	bool names_resource = request->resource && request->resource[0];
	if (!request->has_condition && !names_resource) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"What is to be waited for?",
			"Use: firezonectl wait --for up, down, signed-in or resource");
		return;
	}
	if (request->has_condition &&
		(request->condition == FZPB__WAIT_REQUEST__CONDITION__RESOURCE) != names_resource) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"--for resource and --resource NAME go together.", NULL);
		return;
	}
	struct waiter *w = count(&d->waiters) < WAITERS_MAX ? fz_new(struct waiter) : NULL;
	if (!w) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__LIMIT, "Too many wait already.",
			"Try again once others have ended.");
		return;
	}
	*w = (struct waiter){ .d = d,
		.call = call,
		.condition = request->has_condition ? request->condition
						    : FZPB__WAIT_REQUEST__CONDITION__RESOURCE };
	fz_list_push_back(&d->waiters, &w->node);
	w->resource = fz_strdup(names_resource ? request->resource : "");
	if (!w->resource) {
		waiter_free(w);
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "There is no memory left.", NULL);
		return;
	}
	fzipc_call_keep(call, &wait_ops, w);
	(void)look(w);
}
