/* Peers: the gateways the session is connected to, and by which way; explain: where a destination goes; our routes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "daemon/client.h"
#include "daemon/resource_row.h"
#include "daemon/rpc.h"

static char *text_or_null(const char *text)
{
	return text && text[0] ? fz_unconst(text) : NULL;
}

static void fail_memory(struct fzipc_call *call)
{
	fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "There is no memory left.", NULL);
}

static Fzpb__Peer__Path path_of(enum fz_session_path path)
{
	switch (path) {
	case FZ_SESSION_NO_PATH: return FZPB__PEER__PATH__NONE;
	case FZ_SESSION_DIRECT: return FZPB__PEER__PATH__DIRECT;
	case FZ_SESSION_RELAYED: return FZPB__PEER__PATH__RELAYED;
	}
	return FZPB__PEER__PATH__NONE;
}

/* A client is told no names of gateways: the id stands for one. */
void fzd_peer_row_fill(struct fzd_peer_row *row)
{
	const struct fz_session_peer *s = &row->seen;
	Fzpb__Peer *m = &row->msg;
	fzpb__peer__init(m);
	m->id = m->name = text_or_null(s->id);
	m->has_kind = m->has_path = true;
	m->kind = FZPB__PEER__KIND__GATEWAY;
	m->path = path_of(s->path);
	if (s->endpoint.ip.family != FZ_NO_FAMILY)
		m->endpoint = fz_unconst(fz_addr_format(&s->endpoint, row->endpoint));
	m->has_rtt_us = s->rtt.ns > 0;
	m->rtt_us = s->rtt.ns / 1000;
	m->has_rx_bytes = m->has_tx_bytes = true;
	m->rx_bytes = s->rx_bytes;
	m->tx_bytes = s->tx_bytes;
	m->has_last_handshake = s->last_handshake.ns != 0;
	m->last_handshake = s->last_handshake.ns;
	m->site = text_or_null(s->site);
}

static int add_peer(void *user, const struct fz_session_peer *p)
{
	struct fzd_peers *l = user;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct fzd_peer_row *rows = fz_realloc(l->rows, cap, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		l->rows = rows;
		l->cap = cap;
	}
	l->rows[l->n++].seen = *p;
	return 0;
}

void fzd_peers_free(struct fzd_peers *p)
{
	if (!p)
		return;
	free(p->rows);
	free(p->msg.peers);
	free(p);
}

struct fzd_peers *fzd_peers_new_maybe(const struct fzd *d)
{
	struct fzd_peers *l = fz_new(struct fzd_peers);
	const struct fz_session *s = fzd_client_session_maybe(d->client);
	if (!l)
		return NULL;
	fzpb__peer_list__init(&l->msg);
	int r = s ? fz_session_each_peer(s, add_peer, l) : 0;
	if (r == 0)
		l->msg.peers = fz_new_array(Fzpb__Peer *, l->n + 1);
	if (!l->msg.peers) {
		fzd_peers_free(l);
		return NULL;
	}
	for (size_t i = 0; i < l->n; i++) {
		fzd_peer_row_fill(&l->rows[i]);
		l->msg.peers[i] = &l->rows[i].msg;
	}
	l->msg.n_peers = l->n;
	return l;
}

void fzd_list_peers(void *user, struct fzipc_call *call, const Fzpb__ListPeersRequest *request)
{
	struct fzd_peers *l = fzd_peers_new_maybe(user);
	if (!l) {
		fail_memory(call);
		return;
	}
	/* There are no devices among the peers yet: asked for them alone, the list is empty. */
	bool wants_devices = request->has_devices && request->devices;
	bool wants_gateways = request->has_gateways && request->gateways;
	if (wants_devices && !wants_gateways)
		l->msg.n_peers = 0;
	fzipc_reply_list_peers(call, &l->msg);
	fzd_peers_free(l);
}

void fzd_get_peer(void *user, struct fzipc_call *call, const Fzpb__PeerRequest *request)
{
	struct fzd *d = user;
	struct fzd_peer_row row;
	const struct fz_session *s = fzd_client_session_maybe(d->client);
	if (!request->peer || !request->peer[0]) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "Which peer?",
			"See: firezonectl peer list");
		return;
	}
	if (!s || !fz_session_peer(s, request->peer, &row.seen)) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__NOT_FOUND, "There is no such peer.",
			"See: firezonectl peer list");
		return;
	}
	fzd_peer_row_fill(&row);
	fzipc_reply_get_peer(call, &row.msg);
}

/* ---- explain ---- */

static Fzpb__Explanation__Verdict verdict_of(enum fz_session_verdict verdict)
{
	switch (verdict) {
	case FZ_SESSION_TUNNEL: return FZPB__EXPLANATION__VERDICT__TUNNEL;
	case FZ_SESSION_PLAIN: return FZPB__EXPLANATION__VERDICT__DIRECT;
	case FZ_SESSION_BLOCKED: return FZPB__EXPLANATION__VERDICT__BLOCKED;
	case FZ_SESSION_UNREACHABLE: return FZPB__EXPLANATION__VERDICT__UNREACHABLE;
	}
	return FZPB__EXPLANATION__VERDICT__UNREACHABLE;
}

static void explain_session(struct fzipc_call *call, const Fzpb__ExplainRequest *request,
	const struct fz_session_explanation *e)
{
	Fzpb__Explanation m = FZPB__EXPLANATION__INIT;
	struct fzd_resource_row resource = { .seen = e->resource };
	struct fzd_peer_row peer = { .seen = e->peer };
	m.destination = request->destination;
	m.has_verdict = true;
	m.verdict = verdict_of(e->verdict);
	m.reason = text_or_null(e->reason);
	m.rule = text_or_null(e->rule);
	if (e->has_resource) {
		fzd_resource_row_fill(&resource);
		m.resource = &resource.msg;
		m.site = resource.msg.site;
	}
	if (e->has_peer) {
		fzd_peer_row_fill(&peer);
		m.peer = &peer.msg;
	}
	fzipc_reply_explain(call, &m);
}

void fzd_explain(void *user, struct fzipc_call *call, const Fzpb__ExplainRequest *request)
{
	struct fzd *d = user;
	const struct fz_session *s = fzd_client_session_maybe(d->client);
	struct fz_session_explanation e;
	if (!request->destination || !request->destination[0]) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "Which destination?",
			"Use: firezonectl explain HOST[:PORT]");
		return;
	}
	if (!s) {
		Fzpb__Explanation m = FZPB__EXPLANATION__INIT;
		m.destination = request->destination;
		m.has_verdict = true;
		m.verdict = FZPB__EXPLANATION__VERDICT__DIRECT;
		m.reason = fz_unconst("there is no tunnel, so the host's own routes decide");
		fzipc_reply_explain(call, &m);
		return;
	}
	const char *protocol = text_or_null(request->protocol);
	if (fz_session_explain(s, request->destination, protocol, &e) < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"That is no address, name or resource, or the protocol is unknown.",
			"Protocols are tcp, udp and icmp.");
		return;
	}
	explain_session(call, request, &e);
}

/* ---- routes ---- */

struct route_row {
	Fzpb__Route msg;
	char destination[FZ_PREFIX_TEXT_LEN + 64], table[16];
	const char *why;
	struct fz_prefix prefix;
};

struct route_table {
	Fzpb__RouteList msg;
	struct route_row *rows;
	size_t n, cap;
	const char *interface;
};

static void table_done(struct route_table *t)
{
	free(t->rows);
	free(t->msg.routes);
}

static struct route_row *new_row_maybe(struct route_table *t)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		struct route_row *rows = fz_realloc(t->rows, cap, sizeof(*rows));
		if (!rows)
			return NULL;
		t->rows = rows;
		t->cap = cap;
	}
	struct route_row *row = &t->rows[t->n++];
	*row = (struct route_row){ 0 };
	fzpb__route__init(&row->msg);
	return row;
}

static Fzpb__HostChange__State state_of(enum fz_drift drift)
{
	switch (drift) {
	case FZ_DRIFT_NONE: return FZPB__HOST_CHANGE__STATE__PRESENT;
	case FZ_DRIFT_MISSING: return FZPB__HOST_CHANGE__STATE__MISSING;
	case FZ_DRIFT_FOREIGN: return FZPB__HOST_CHANGE__STATE__LEFTOVER;
	}
	return FZPB__HOST_CHANGE__STATE__PRESENT;
}

static int add_item(void *user, const struct fz_host_item *item, enum fz_drift drift)
{
	struct route_table *t = user;
	if (item->kind == FZ_HOST_ADDRESS)
		return 0;
	struct route_row *row = new_row_maybe(t);
	if (!row)
		return -ENOMEM;
	if (item->kind == FZ_HOST_ROUTE) {
		row->prefix = item->route.to;
		fz_prefix_format(&item->route.to, row->destination);
		snprintf(row->table, sizeof(row->table), "%u", item->route.table);
	} else {
		const struct fz_rule *r = &item->rule;
		snprintf(row->destination, sizeof(row->destination),
			"ipv%u rule %u: %s mark 0x%08x", r->family, r->priority,
			r->is_inverted ? "without" : "with", r->mark);
		snprintf(row->table, sizeof(row->table), "%u", r->table);
		row->why = "policy rule";
	}
	row->msg.has_state = true;
	row->msg.state = state_of(drift);
	return 0;
}

/* Which resource a route is for. */
static int add_why(void *user, const struct fz_prefix *prefix, const char *resource_name)
{
	struct route_table *t = user;
	for (size_t i = 0; i < t->n; i++) {
		struct route_row *row = &t->rows[i];
		if (!row->why && row->prefix.bits == prefix->bits &&
			fz_ip_equal(&row->prefix.ip, &prefix->ip))
			row->why = resource_name[0] ? resource_name : "the tunnel itself";
	}
	return 0;
}

static int fill_routes(struct fzd *d, struct route_table *t)
{
	struct fz_session_status st;
	fzpb__route_list__init(&t->msg);
	int r = fz_host_each(d->host, add_item, t);
	if (r < 0)
		return r;
	if (fzd_client_status(d->client, &st)) {
		t->interface = st.interface;
		r = fz_session_each_route(fzd_client_session_maybe(d->client), add_why, t);
	}
	t->msg.routes = fz_new_array(Fzpb__Route *, t->n + 1);
	return t->msg.routes ? r : -ENOMEM;
}

void fzd_list_routes(void *user, struct fzipc_call *call, const Fzpb__RoutesRequest *request)
{
	FZ_CLEANUP(table_done) struct route_table t = { 0 };
	(void)request;
	int r = fill_routes(user, &t);
	if (r < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "The kernel was asked in vain.",
			fz_strerror(r));
		return;
	}
	for (size_t i = 0; i < t.n; i++) {
		struct route_row *row = &t.rows[i];
		row->msg.destination = row->destination;
		row->msg.table = row->table;
		row->msg.why = text_or_null(row->why);
		bool is_route = row->prefix.ip.family != FZ_NO_FAMILY;
		row->msg.interface = is_route ? text_or_null(t.interface) : NULL;
		t.msg.routes[i] = &row->msg;
	}
	t.msg.n_routes = t.n;
	fzipc_reply_list_routes(call, &t.msg);
}
