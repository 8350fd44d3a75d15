/* Session: status, and watch as a list of calls that stay open. A reader that is behind gets the whole state, once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "daemon/client.h"
#include "daemon/rpc.h"
#include "daemon/status.h"
#include "io/clock.h"

/* Of all users together; each also has its streams per connection and its connections (ipc/io/server.h). */
#define WATCHERS_MAX 256

struct watcher {
	struct fz_node node;
	struct fzd *d;
	struct fzipc_call *call;
	unsigned topics; /* set of 1 << topic */
};

const char *fzd_state_name(Fzpb__Status__State state)
{
	switch (state) {
	case FZPB__STATUS__STATE__SIGNED_OUT: return "signed out";
	case FZPB__STATUS__STATE__NEED_BROWSER: return "waiting for the browser";
	case FZPB__STATUS__STATE__CONNECTING: return "connecting";
	case FZPB__STATUS__STATE__RAISING: return "raising the tunnel";
	case FZPB__STATUS__STATE__UP: return "up";
	case FZPB__STATUS__STATE__RECONNECTING: return "up, reconnecting to the portal";
	case FZPB__STATUS__STATE__DEGRADED: return "degraded";
	case FZPB__STATUS__STATE__WAITING_NETWORK: return "waiting for a network";
	case FZPB__STATUS__STATE__PAUSED: return "paused";
	case FZPB__STATUS__STATE__DOWN: return "down";
	case FZPB__STATUS__STATE__ERROR: return "error";
	case _FZPB__STATUS__STATE_IS_INT_SIZE: break;
	}
	return "unknown";
}

void fzd_get_status(void *user, struct fzipc_call *call, const Fzpb__StatusRequest *request)
{
	struct fzd_status s;
	(void)request;
	fzd_status_fill(user, &s);
	fzipc_reply_get_status(call, &s.msg);
}

/* ---- watch ---- */

static void begin_event(struct fzd *d, Fzpb__Event *e)
{
	fzpb__event__init(e);
	e->has_seq = e->has_at = true;
	e->seq = ++d->event_seq;
	e->at = fz_clock_now().wall.ns;
}

static void send_status(struct watcher *w)
{
	struct fzd_status s;
	Fzpb__Event e;
	begin_event(w->d, &e);
	fzd_status_fill(w->d, &s);
	e.kind_case = FZPB__EVENT__KIND_STATUS;
	e.status = &s.msg;
	(void)fzipc_send_watch(w->call, &e);
}

static void on_gone(void *user, struct fzipc_call *call)
{
	struct watcher *w = user;
	(void)call;
	fz_list_remove(&w->node);
	free(w);
}

static void on_ready(void *user, struct fzipc_call *call)
{
	struct watcher *w = user;
	struct fzd_status s;
	Fzpb__Event e;
	Fzpb__Resync resync = FZPB__RESYNC__INIT;
	begin_event(w->d, &e);
	fzd_status_fill(w->d, &s);
	resync.has_missed = true;
	resync.missed = fzipc_call_missed(call);
	resync.status = &s.msg;
	e.kind_case = FZPB__EVENT__KIND_RESYNC;
	e.resync = &resync;
	(void)fzipc_send_watch(call, &e);
}

static const struct fzipc_call_ops watch_ops = { .cancelled = on_gone, .ready = on_ready };

static unsigned topics_of(const Fzpb__WatchRequest *request)
{
	unsigned topics = 0;
	for (size_t i = 0; i < request->n_events; i++)
		topics |= 1u << (unsigned)request->events[i];
	return request->n_events ? topics : ~0u;
}

static size_t count(const struct fz_list *l)
{
	size_t n = 0;
	FZ_LIST_EACH(l, node)
		n++;
	return n;
}

void fzd_watch(void *user, struct fzipc_call *call, const Fzpb__WatchRequest *request)
{
	struct fzd *d = user;
	struct watcher *w = count(&d->watchers) < WATCHERS_MAX ? fz_new(struct watcher) : NULL;
	if (!w) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__LIMIT, "Too many watch already.",
			"Try again once others have ended.");
		return;
	}
	*w = (struct watcher){ .d = d, .call = call, .topics = topics_of(request) };
	fz_list_push_back(&d->watchers, &w->node);
	fzipc_call_keep(call, &watch_ops, w);
	send_status(w);
}

void fzd_watch_emit(struct fzd *d, enum fzd_watch what)
{
	(void)what;
	FZ_LIST_EACH_SAFE(&d->watchers, node, after) {
		struct watcher *w = FZ_CONTAINER_OF(node, struct watcher, node);
		if (w->topics & 1u << FZPB__WATCH_REQUEST__TOPIC__STATE)
			send_status(w);
	}
}

void fzd_watch_notice(struct fzd *d, Fzpb__Notice__Code code, const char *text)
{
	Fzpb__Notice notice = FZPB__NOTICE__INIT;
	notice.has_code = true;
	notice.code = code;
	notice.text = fz_unconst(text);
	FZ_LIST_EACH_SAFE(&d->watchers, node, after) {
		struct watcher *w = FZ_CONTAINER_OF(node, struct watcher, node);
		Fzpb__Event e;
		if (!(w->topics & 1u << FZPB__WATCH_REQUEST__TOPIC__NOTIFY))
			continue;
		begin_event(d, &e);
		e.kind_case = FZPB__EVENT__KIND_NOTICE;
		e.notice = &notice;
		(void)fzipc_send_watch(w->call, &e);
	}
}
