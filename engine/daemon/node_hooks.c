/*
 * The node on the data threads. Incoming datagrams that are not WireGuard go to the paths; what a relay wrapped is unwrapped.
 * Outgoing packets go to the peer the owner's hook names, by the way its connection has: a WireGuard endpoint is what the
 * connection says, never where a datagram came from. What paths and WireGuard want is carried out as it arises; what the
 * control thread must hear is queued for it. All of it with the lock.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/endian.h"
#include "daemon/node_internal.h"

#define WIREGUARD_DATA 4
#define PATHS_REST     FZ_MILLISECONDS(1)

/* ---- news for the control thread ---- */

static void notify(struct fz_node_tunnel *n)
{
	uint64_t one = 1;
	if (write(n->event_fd, &one, sizeof(one)) < 0)
		fz_assert(errno == EAGAIN); /* the counter is full: it is awake */
}

void fz_node_ring(struct fz_node_tunnel *n)
{
	if (!n->is_rung)
		notify(n);
	n->is_rung = true;
}

static bool has_room(struct fz_node_tunnel *n)
{
	if (n->n_news < n->cap_news)
		return true;
	size_t cap = n->cap_news == 0 ? 16 : 2 * n->cap_news;
	struct node_news *more =
		cap > NODE_NEWS_MAX ? NULL : fz_realloc(n->news, cap, sizeof(*more));
	if (!more)
		return false;
	n->news = more;
	n->cap_news = cap;
	return true;
}

void node_tell(struct fz_node_tunnel *n, enum node_news_kind kind, const struct fz_node_peer *p,
	enum fz_node_failure why, const char *text)
{
	if (n->n_news == 0 && !n->has_lost_news)
		notify(n);
	if (!has_room(n)) {
		n->has_lost_news =
			true; /* failures are found again; candidates are signalled anew on request */
		return;
	}
	struct node_news *e = &n->news[n->n_news++];
	*e = (struct node_news){ .kind = kind, .why = why };
	if (p) {
		e->generation = p->generation;
		memcpy(e->id, p->id, sizeof(e->id));
	}
	memcpy(e->text, text, strnlen(text, sizeof(e->text) - 1));
}

void node_fail(struct fz_node_peer *p, enum fz_node_failure why)
{
	if (p->has_failed)
		return;
	p->has_failed = true;
	p->has_way = false;
	p->refresh_at = FZ_NEVER;
	if (p->wg)
		wg_peer_expire(p->wg);
	node_tell(p->node, NODE_FAILED, p, why, "");
}

void node_touch(struct fz_node_tunnel *n)
{
	n->paths_at = (fz_time){ 0 };
}

/* ---- what paths and WireGuard say ---- */

bool node_is_relayed(const struct fz_conn *c)
{
	struct fz_way way;
	const struct fz_candidate *remote = fz_conn_remote_maybe(c);
	return (fz_conn_way(c, &way) && way.channel != 0) ||
	       (remote && remote->kind == FZ_CANDIDATE_RELAY);
}

static void take_way(struct fz_node_peer *p)
{
	struct fz_way way;
	p->has_way = fz_conn_way(p->conn, &way);
	if (!p->has_way) {
		wg_peer_set_way(p->wg, NULL);
		return;
	}
	p->is_relayed = way.channel != 0;
	struct wg_endpoint to = { .remote = way.remote, .channel = way.channel };
	if (!p->is_relayed)
		to.local = way.local.ip; /* towards a relay any source will do */
	wg_peer_set_way(p->wg, &to);
	node_tell(p->node, NODE_WAY, p, FZ_NODE_UNREACHABLE,
		node_is_relayed(p->conn) ? "relayed" : "direct");
}

static void take_event(struct fz_node_tunnel *n, struct fz_now now, const struct fz_paths_event *e)
{
	struct fz_node_peer *p = e->conn ? fz_conn_user(e->conn) : NULL;
	if (!p || p->has_failed) {
		if (e->kind == FZ_PATHS_NO_RELAYS)
			node_tell(n, NODE_NO_RELAYS, NULL, FZ_NODE_UNREACHABLE, "");
		return;
	}
	switch (e->kind) {
	case FZ_PATHS_CANDIDATE:
		node_tell(n, NODE_CANDIDATE, p, FZ_NODE_UNREACHABLE, e->text);
		break;
	case FZ_PATHS_CANDIDATE_GONE:
		node_tell(n, NODE_CANDIDATE_GONE, p, FZ_NODE_UNREACHABLE, e->text);
		break;
	case FZ_PATHS_WAY: take_way(p); break;
	case FZ_PATHS_HANDSHAKE: wg_peer_start_handshake(p->wg, now); break;
	case FZ_PATHS_FAILED:
		node_fail(p, fz_conn_failure(p->conn) == FZ_CONN_FAILURE_NO_CANDIDATES
				     ? FZ_NODE_NO_CANDIDATES
				     : FZ_NODE_UNREACHABLE);
		break;
	case FZ_PATHS_NO_RELAYS: break; /* has no connection: above */
	}
}

static void take_wireguard_events(struct fz_node_tunnel *n, struct fz_now now)
{
	enum wg_event_kind kind;
	struct wg_peer *wg;
	while (wg_device_take_event(n->wg, &kind, &wg)) {
		struct fz_node_peer *p = wg ? wg_peer_user(wg) : NULL;
		if (!p || p->has_failed)
			continue;
		if (kind == WG_EVENT_HANDSHAKE_GAVE_UP)
			node_fail(p, FZ_NODE_NO_HANDSHAKE);
		if (kind != WG_EVENT_SESSION_UP)
			continue;
		if (!p->is_up)
			node_tell(n, NODE_SESSION_UP, p, FZ_NODE_UNREACHABLE, "");
		p->is_up = true;
		bool is_controlling = fz_conn_is_controlling(p->conn);
		p->refresh_at = fz_time_add(
			now.at, is_controlling ? NODE_REFRESH_AFTER : NODE_EXPIRE_AFTER);
		n->refresh_at = fz_time_min(n->refresh_at, p->refresh_at);
	}
}

/*
 * An idle connection keeps its session, for the other side takes one that is too old for dead: so does the controlled side,
 * whose keys are gone by then.
 */
static void refresh_sessions(struct fz_node_tunnel *n, struct fz_now now)
{
	n->refresh_at = FZ_NEVER;
	FZ_LIST_EACH(&n->peers, node) {
		struct fz_node_peer *p = FZ_CONTAINER_OF(node, struct fz_node_peer, in_peers);
		if (fz_time_reached(now.at, p->refresh_at)) {
			p->refresh_at = FZ_NEVER; /* until the session is up */
			if (fz_conn_is_controlling(p->conn))
				wg_peer_start_handshake(p->wg, now);
			else
				node_fail(p, FZ_NODE_NO_HANDSHAKE);
		}
		n->refresh_at = fz_time_min(n->refresh_at, p->refresh_at);
	}
}

static bool poll_hook(void *user, struct fz_now now, struct wg_output *ret_out)
{
	struct fz_node_tunnel *n = user;
	struct fz_paths_datagram d;
	struct fz_paths_event e;
	take_wireguard_events(n, now);
	if (fz_time_reached(now.at, n->refresh_at))
		refresh_sessions(n, now);
	if (!n->paths || !fz_time_reached(now.at, n->paths_at))
		return false;
	bool has_datagram = fz_paths_poll(n->paths, now.at, &d);
	while (fz_paths_take_event(n->paths, &e))
		take_event(n, now, &e);
	if (has_datagram) {
		*ret_out = (struct wg_output){ .pkt = d.pkt,
			.to = { .remote = d.remote, .local = d.local.ip } };
		return true;
	}
	/* A while of rest, so that no state of the paths can keep a thread busy. */
	n->paths_at = fz_time_add(now.at, PATHS_REST);
	fz_time at = fz_paths_deadline(n->paths);
	n->paths_at = at.ns > n->paths_at.ns ? at : n->paths_at;
	return false;
}

static fz_time deadline_hook(void *user)
{
	const struct fz_node_tunnel *n = user;
	return n->paths ? fz_time_min(n->paths_at, n->refresh_at) : FZ_NEVER;
}

/* ---- incoming ---- */

/* Handshake messages wait in the device with the way they came; the answer goes back by it. */
static void receive_handshake(struct fz_node_tunnel *n, struct fz_now now,
	const struct wg_endpoint *from, struct fz_span message)
{
	struct wg_rx_train *t = n->single;
	t->from = *from;
	t->ecn = 0;
	t->n = 1;
	t->pkt[0] = message;
	wg_rx_begin(n->wg, now, t);
	fz_assert(t->n_jobs == 0);
}

static bool other_hook(
	void *user, struct fz_now now, const struct wg_endpoint *from, struct fz_span *datagram)
{
	struct fz_node_tunnel *n = user;
	struct fz_addr local = { .ip = from->local, .port = n->port };
	struct fz_paths_rx rx;
	if (!n->paths)
		return false;
	/* What is due comes first: an answer must find its question as poll would leave it. */
	enum fz_paths_verdict v = fz_paths_receive(
		n->paths, now.at, &local, &from->remote, fz_span_bytes(*datagram), &rx);
	if (v == FZ_PATHS_TAKEN)
		node_touch(n);
	if (v != FZ_PATHS_WIREGUARD)
		return false;
	struct fz_span message = { datagram->p + (rx.payload.p - datagram->p), rx.payload.n };
	if (fz_le32_load(message.p) == WIREGUARD_DATA) {
		*datagram = message;
		return true;
	}
	struct wg_endpoint back = { .remote = rx.way.remote, .channel = rx.way.channel };
	receive_handshake(n, now, &back, message);
	return false;
}

/* The connection is in use; one that idled wakes up. */
static void note_packet(struct fz_node_peer *p, fz_time now)
{
	if (fz_conn_is_idle(p->conn))
		node_touch(p->node);
	fz_conn_packet(p->conn, now);
}

static bool is_kept(
	struct fz_node_tunnel *n, struct fz_now now, struct fz_node_peer *p, struct fz_bytes inner)
{
	const struct fz_node_hooks *h = &n->params.hooks;
	size_t len = 0;
	struct fz_span out = fz_span_of(n->answer, sizeof(n->answer));
	switch (h->inbound(h->user, now, p, inner, out, &len)) {
	case FZ_NODE_DELIVER: return true;
	case FZ_NODE_RETURN:
		if (len > 0 && len <= out.n)
			wg_tx_stage(n->wg, p->wg, fz_bytes_of(out.p, len), now);
		break;
	case FZ_NODE_TAKEN:
	case FZ_NODE_DISCARD: break;
	}
	return false;
}

static void filter_hook(void *user, struct fz_now now, struct wg_rx_train *t)
{
	struct fz_node_tunnel *n = user;
	const struct wg_peer *last = NULL;
	struct fz_bytes delivered = fz_bytes_of(NULL, 0); /* the one before, of `last` */
	for (uint16_t i = 0; i < t->n; i++) {
		if (!t->owner[i] || t->inner[i].n == 0)
			continue;
		struct fz_node_peer *p = wg_peer_user(t->owner[i]);
		if (p->has_failed) {
			t->inner[i].n = 0;
			continue;
		}
		if (t->owner[i] != last) {
			note_packet(p, now.at);
			delivered = fz_bytes_of(NULL, 0);
		}
		last = t->owner[i];
		n->rx_bytes += t->inner[i].n;
		struct fz_bytes inner = fz_span_bytes(t->inner[i]);
		if (node_is_same_flow(delivered, inner))
			continue;
		bool keeps = is_kept(n, now, p, inner);
		delivered = keeps ? inner : fz_bytes_of(NULL, 0);
		if (!keeps)
			t->inner[i].n = 0;
	}
}

/* ---- outgoing ---- */

static bool has_endpoint(const struct fz_node_peer *p)
{
	struct wg_endpoint ep;
	return p->has_way || wg_peer_endpoint(p->wg, &ep);
}

static enum fz_plane_outbound claim(struct fz_node_peer *p, struct fz_now now,
	struct fz_bytes packet, uint32_t n_packets, struct wg_tx_claim *ret_claim)
{
	struct fz_node_tunnel *n = p->node;
	if (p->has_failed)
		return FZ_PLANE_REFUSE;
	note_packet(p, now.at);
	if (!has_endpoint(p)) {
		*ret_claim = (struct wg_tx_claim){ .peer = p->wg };
		return n->params.is_gateway ? FZ_PLANE_REFUSE : FZ_PLANE_STAGE;
	}
	n->tx_bytes += (uint64_t)packet.n * n_packets;
	if (p->is_relayed)
		fz_conn_sent(p->conn, now.at);
	switch ((int)wg_tx_claim_peer(p->wg, now, packet, n_packets, ret_claim)) {
	case WG_KEEP: return FZ_PLANE_CARRY;
	case WG_DROP_STAGE: return FZ_PLANE_STAGE;
	default: return FZ_PLANE_REFUSE;
	}
}

static enum fz_plane_outbound outbound_hook(void *user, struct fz_now now, struct fz_bytes packet,
	uint32_t n_packets, struct fz_span out, struct wg_tx_claim *ret_claim, size_t *ret_len)
{
	struct fz_node_tunnel *n = user;
	const struct fz_node_hooks *h = &n->params.hooks;
	struct fz_node_peer *p = NULL;
	/* The hook always has room; what the TUN has none for in this turn is lost. */
	struct fz_span room =
		out.n >= FZ_NODE_ANSWER_MAX ? out : fz_span_of(n->answer, sizeof(n->answer));
	switch (h->outbound(h->user, now, packet, room, &p, ret_len)) {
	case FZ_NODE_SEND: return claim(p, now, packet, n_packets, ret_claim);
	case FZ_NODE_HELD: return FZ_PLANE_HELD;
	case FZ_NODE_ANSWER: return room.p == out.p ? FZ_PLANE_ANSWER : FZ_PLANE_REFUSE;
	case FZ_NODE_REFUSE: break;
	}
	return FZ_PLANE_REFUSE;
}

static void hold_hook(void *user, struct fz_now now, struct fz_bytes packet)
{
	struct fz_node_tunnel *n = user;
	const struct fz_node_hooks *h = &n->params.hooks;
	struct fz_span out = fz_span_of(n->answer, sizeof(n->answer));
	struct fz_node_peer *p = NULL;
	size_t len = 0;
	if (h->outbound(h->user, now, packet, out, &p, &len) == FZ_NODE_SEND && !p->has_failed)
		wg_tx_stage(n->wg, p->wg, packet, now);
}

struct fz_plane_hooks node_hooks(struct fz_node_tunnel *n)
{
	return (struct fz_plane_hooks){ .user = n,
		.other = other_hook,
		.outbound = outbound_hook,
		.hold = hold_hook,
		.filter = filter_hook,
		.poll = poll_hook,
		.deadline = deadline_hook };
}
