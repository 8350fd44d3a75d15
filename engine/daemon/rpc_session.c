/* Session: status, and watch as a list of calls that stay open. A reader that is behind gets the whole state, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "daemon/client.h"
#include "daemon/rpc.h"
#include "daemon/status.h"
#include "io/clock.h"

/* Of all users together; each also has its streams per connection and its connections (ipc/io/server.h). */
#define WATCHERS_MAX 256

struct peer_id {
	char text[64];
};

struct watcher {
	struct fz_node node;
	struct fzd *d;
	struct fzipc_call *call;
	unsigned topics; /* set of 1 << topic */
	struct peer_id *peers; /* those it was told of */
	size_t n_peers;
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

static void send_resources(struct watcher *w, struct fzd_resources *list)
{
	Fzpb__Event e;
	begin_event(w->d, &e);
	e.kind_case = FZPB__EVENT__KIND_RESOURCES;
	e.resources = &list->msg;
	(void)fzipc_send_watch(w->call, &e);
}

static bool send_peer(
	struct watcher *w, Fzpb__PeerDelta__Change change, Fzpb__Peer *peer_maybe, char *name)
{
	Fzpb__Event e;
	Fzpb__PeerDelta delta = FZPB__PEER_DELTA__INIT;
	begin_event(w->d, &e);
	delta.has_change = true;
	delta.change = change;
	delta.peer = peer_maybe;
	delta.name = name;
	e.kind_case = FZPB__EVENT__KIND_PEER;
	e.peer = &delta;
	return fzipc_send_watch(w->call, &e);
}

static bool knows(const struct watcher *w, const char *id)
{
	for (size_t i = 0; i < w->n_peers; i++) {
		if (strcmp(w->peers[i].text, id) == 0)
			return true;
	}
	return false;
}

static bool is_listed(const struct fzd_peers *list, const char *id)
{
	for (size_t i = 0; i < list->msg.n_peers; i++) {
		if (strcmp(list->msg.peers[i]->id, id) == 0)
			return true;
	}
	return false;
}

static void remember(struct watcher *w, const struct fzd_peers *list)
{
	size_t n = list->msg.n_peers;
	struct peer_id *peers = n ? fz_new_array(struct peer_id, n) : NULL;
	for (size_t i = 0; peers && i < n; i++)
		snprintf(peers[i].text, sizeof(peers[i].text), "%s", list->msg.peers[i]->id);
	free(w->peers);
	w->peers = peers;
	w->n_peers = peers ? n : 0;
}

/* A reader that falls behind half-way is told everything by on_ready. */
static void send_peers(struct watcher *w, const struct fzd_peers *list)
{
	bool goes_on = true;
	for (size_t i = 0; goes_on && i < w->n_peers; i++) {
		if (!is_listed(list, w->peers[i].text))
			goes_on = send_peer(
				w, FZPB__PEER_DELTA__CHANGE__REMOVED, NULL, w->peers[i].text);
	}
	for (size_t i = 0; goes_on && i < list->msg.n_peers; i++) {
		Fzpb__Peer *p = list->msg.peers[i];
		goes_on = send_peer(w,
			knows(w, p->id) ? FZPB__PEER_DELTA__CHANGE__CHANGED
					: FZPB__PEER_DELTA__CHANGE__ADDED,
			p, p->name);
	}
	remember(w, list);
}

static void on_gone(void *user, struct fzipc_call *call)
{
	struct watcher *w = user;
	(void)call;
	fz_list_remove(&w->node);
	free(w->peers);
	free(w);
}

static bool wants(const struct watcher *w, Fzpb__WatchRequest__Topic topic)
{
	return w->topics & 1u << (unsigned)topic;
}

static void on_ready(void *user, struct fzipc_call *call)
{
	struct watcher *w = user;
	struct fzd_status s;
	Fzpb__Event e;
	Fzpb__Resync resync = FZPB__RESYNC__INIT;
	struct fzd_resources *resources = wants(w, FZPB__WATCH_REQUEST__TOPIC__RESOURCES)
						  ? fzd_resources_new_maybe(w->d, NULL)
						  : NULL;
	struct fzd_peers *peers =
		wants(w, FZPB__WATCH_REQUEST__TOPIC__PEERS) ? fzd_peers_new_maybe(w->d) : NULL;
	begin_event(w->d, &e);
	fzd_status_fill(w->d, &s);
	resync.has_missed = true;
	resync.missed = fzipc_call_missed(call);
	resync.status = &s.msg;
	resync.resources = resources ? &resources->msg : NULL;
	resync.peers = peers ? &peers->msg : NULL;
	e.kind_case = FZPB__EVENT__KIND_RESYNC;
	e.resync = &resync;
	(void)fzipc_send_watch(call, &e);
	if (peers)
		remember(w, peers);
	fzd_resources_free(resources);
	fzd_peers_free(peers);
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

/* Who asked for these by name gets them as they are now, then their changes. */
static void send_lists(struct watcher *w)
{
	struct fzd_resources *resources = wants(w, FZPB__WATCH_REQUEST__TOPIC__RESOURCES)
						  ? fzd_resources_new_maybe(w->d, NULL)
						  : NULL;
	struct fzd_peers *peers =
		wants(w, FZPB__WATCH_REQUEST__TOPIC__PEERS) ? fzd_peers_new_maybe(w->d) : NULL;
	if (resources)
		send_resources(w, resources);
	if (peers)
		send_peers(w, peers);
	fzd_resources_free(resources);
	fzd_peers_free(peers);
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
	if (request->n_events > 0)
		send_lists(w);
}

void fzd_watch_emit(struct fzd *d, enum fzd_watch what)
{
	if (fz_list_is_empty(&d->watchers))
		return;
	struct fzd_resources *resources =
		what == FZD_WATCH_RESOURCES ? fzd_resources_new_maybe(d, NULL) : NULL;
	struct fzd_peers *peers = what == FZD_WATCH_RESOURCES ? fzd_peers_new_maybe(d) : NULL;
	FZ_LIST_EACH_SAFE(&d->watchers, node, after) {
		struct watcher *w = FZ_CONTAINER_OF(node, struct watcher, node);
		if (what == FZD_WATCH_STATUS && wants(w, FZPB__WATCH_REQUEST__TOPIC__STATE))
			send_status(w);
		if (resources && wants(w, FZPB__WATCH_REQUEST__TOPIC__RESOURCES))
			send_resources(w, resources);
		if (peers && wants(w, FZPB__WATCH_REQUEST__TOPIC__PEERS))
			send_peers(w, peers);
	}
	fzd_resources_free(resources);
	fzd_peers_free(peers);
}

void fzd_watch_notice_of(struct fzd *d, Fzpb__Notice__Code code, const char *text,
	const char *resource, const char *site)
{
	Fzpb__Notice notice = FZPB__NOTICE__INIT;
	notice.has_code = true;
	notice.code = code;
	notice.text = fz_unconst(text);
	notice.resource_id = resource[0] ? fz_unconst(resource) : NULL;
	notice.site = site[0] ? fz_unconst(site) : NULL;
	FZ_LIST_EACH_SAFE(&d->watchers, node, after) {
		struct watcher *w = FZ_CONTAINER_OF(node, struct watcher, node);
		Fzpb__Event e;
		if (!wants(w, FZPB__WATCH_REQUEST__TOPIC__NOTIFY))
			continue;
		begin_event(d, &e);
		e.kind_case = FZPB__EVENT__KIND_NOTICE;
		e.notice = &notice;
		(void)fzipc_send_watch(w->call, &e);
	}
}

void fzd_watch_notice(struct fzd *d, Fzpb__Notice__Code code, const char *text)
{
	fzd_watch_notice_of(d, code, text, "", "");
}
