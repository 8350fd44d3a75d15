/*
 * Node and map joined. The map is what the hooks read on data threads: it is touched under the node's lock alone. Its events
 * are taken here, one by one, and carried out without the lock.
 */
#include "daemon/session_tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "control/io/sock.h"
#include "daemon/node.h"
#include "daemon/session_map.h"

#define CONNECTED_MAX 64 /* gateways named in a request */
#define GOODBYE_LEN   48

struct relay {
	struct fzp_id id;
	struct fz_addr v4, v6;
	char username[FZ_TURN_CREDENTIAL_MAX], password[FZ_TURN_CREDENTIAL_MAX];
};

struct fz_session_tunnel {
	sd_event *event;
	struct fz_session_tunnel_ops ops;
	void *user;
	struct fz_node_tunnel *node;
	struct fz_map *map;
	sd_event_source *io;
	bool is_draining, has_lost_relays; /* the last of them, since the portal named some */
	bool may_be_unused; /* a gateway, by what has changed */
	uint32_t n_relays;
	struct relay *relays; /* of FZ_PATHS_RELAYS_MAX: to be asked again whether they live */
};

/* ---- hooks: data threads, with the lock ---- */

static enum fz_node_outbound on_outbound(void *user, struct fz_now now, struct fz_bytes inner,
	struct fz_span out, struct fz_node_peer **ret_peer, size_t *ret_len)
{
	struct fz_session_tunnel *t = user;
	struct fz_map_gateway *g;
	enum fz_map_route route = fz_map_route(t->map, now.at, inner, out, &g, ret_len);
	switch (route) {
	case FZ_MAP_SEND: *ret_peer = g->peer; return FZ_NODE_SEND;
	case FZ_MAP_HELD:
		if (fz_map_has_events(t->map))
			fz_node_ring(t->node);
		return FZ_NODE_HELD;
	case FZ_MAP_REPLY: return FZ_NODE_ANSWER;
	case FZ_MAP_DROP: break;
	}
	return FZ_NODE_REFUSE;
}

static enum fz_node_inbound on_inbound(void *user, struct fz_now now, struct fz_node_peer *peer,
	struct fz_bytes inner, struct fz_span out, size_t *ret_len)
{
	struct fz_session_tunnel *t = user;
	struct fz_map_gateway *g = fz_node_peer_user(peer);
	(void)out;
	(void)ret_len;
	if (!g)
		return FZ_NODE_DISCARD;
	enum fz_map_accept verdict = fz_map_accept(t->map, now.at, g, inner);
	if (fz_map_has_events(t->map))
		fz_node_ring(t->node);
	switch (verdict) {
	case FZ_MAP_DELIVER: return FZ_NODE_DELIVER;
	case FZ_MAP_CONTROL: return FZ_NODE_TAKEN;
	case FZ_MAP_DISCARD: break;
	}
	return FZ_NODE_DISCARD;
}

/* ---- gateways ---- */

static struct fz_map_gateway *find_maybe(struct fz_session_tunnel *t, const char *id)
{
	/* The list changes on this thread alone. */
	struct fz_map_gateway *g = fz_map_gateways_maybe(t->map);
	while (g && strcmp(g->id.text, id) != 0)
		g = g->next;
	return g;
}

/* Forgets it; with `take_down` the node's connection goes, too. */
static void lose(struct fz_session_tunnel *t, struct fz_map_gateway *g, bool take_down)
{
	fz_node_lock(t->node);
	fz_map_lost(t->map, g);
	if (take_down && g->peer)
		fz_node_peer_set_user(g->peer, NULL);
	fz_node_unlock(t->node);
	if (take_down)
		fz_node_remove(t->node, g->id.text);
	t->ops.gone(t->user, &g->id);
	free(g);
	t->ops.changed(t->user);
}

static void say_goodbye(struct fz_session_tunnel *t, const struct fz_map_gateway *g)
{
	/* An IPv6 packet of nothing to nobody, protocol 255, event 2 (protocol, 5.3 and 5.4). */
	static const uint8_t goodbye[GOODBYE_LEN] = { 0x60, [5] = 8, [6] = 0xff, [40] = 2 };
	struct fz_node_peer_stats stats;
	fz_node_peer_stats(t->node, g->peer, &stats);
	/* Without a session it would wait for one, and make the other side set one up to hear that it is over. */
	if (stats.has_session)
		fz_node_send(t->node, g->peer, fz_bytes_of(goodbye, sizeof(goodbye)));
}

/* Gateways that nothing in use is authorized at any more: they hear it, and go. */
static void drop_unused(struct fz_session_tunnel *t)
{
	struct fz_map_gateway *next;
	for (struct fz_map_gateway *g = fz_map_gateways_maybe(t->map); g; g = next) {
		next = g->next;
		fz_node_lock(t->node);
		bool is_used = fz_map_is_used(g);
		fz_node_unlock(t->node);
		if (is_used)
			continue;
		say_goodbye(t, g);
		lose(t, g, true);
	}
}

/* ---- events ---- */

/* Prefers the gateways that are connected, and the one the Resource had: behind that its flows still have their NAT. */
static void request(struct fz_session_tunnel *t, const struct fzp_id *resource)
{
	struct fzp_id connected[CONNECTED_MAX + 1], previous;
	size_t n = 0;
	bool has_previous = fz_map_previous_gateway(t->map, resource, &previous);
	for (const struct fz_map_gateway *g = fz_map_gateways_maybe(t->map); g && n < CONNECTED_MAX;
		g = g->next) {
		connected[n++] = g->id;
		has_previous = has_previous && !fzp_id_equal(&g->id, &previous);
	}
	if (has_previous)
		connected[n++] = previous;
	t->ops.request(t->user, resource, connected, n);
}

static bool send_held(struct fz_session_tunnel *t)
{
	uint8_t packet[FZ_MAP_PACKET_MAX];
	struct fz_map_gateway *g = NULL;
	fz_node_lock(t->node);
	size_t n = fz_map_take_held(t->map, packet, &g);
	fz_node_unlock(t->node);
	if (n > 0)
		fz_node_send(t->node, g->peer, fz_bytes_of(packet, n));
	return n > 0;
}

static bool drain_one(struct fz_session_tunnel *t)
{
	struct fzp_id resource;
	fz_node_lock(t->node);
	struct fz_map_gateway *g = fz_map_take_goodbye_maybe(t->map);
	bool wants_request = !g && fz_map_take_request(t->map, &resource);
	fz_node_unlock(t->node);
	if (g)
		lose(t, g, true);
	if (wants_request)
		request(t, &resource);
	return g || wants_request || send_held(t);
}

static void drain(struct fz_session_tunnel *t)
{
	if (t->is_draining)
		return;
	t->is_draining = true;
	while (drain_one(t))
		;
	t->is_draining = false;
}

/* ---- what the node says ---- */

static void on_candidate(void *user, const char *id, const char *text, bool is_gone)
{
	struct fz_session_tunnel *t = user;
	struct fzp_id gateway;
	if (fzp_id_parse(id, &gateway))
		t->ops.candidate(t->user, &gateway, text, is_gone);
}

static void on_failed(void *user, const char *id, enum fz_node_failure why)
{
	struct fz_session_tunnel *t = user;
	struct fz_map_gateway *g = find_maybe(t, id);
	fz_log(FZ_LOG_INFO, "gateway-lost", "gateway=%s reason=\"%s\"", id,
		fz_node_failure_name(why));
	if (g)
		lose(t, g, true);
	else
		fz_node_remove(t->node, id);
	drain(t);
}

static void on_no_relays(void *user)
{
	struct fz_session_tunnel *t = user;
	t->has_lost_relays = true;
	t->ops.no_relays(t->user);
}

static void on_session_up(void *user, const char *id)
{
	struct fz_session_tunnel *t = user;
	fz_log(FZ_LOG_INFO, "gateway-connected", "gateway=%s", id);
	t->ops.changed(t->user);
}

static void on_broken(void *user, int err)
{
	struct fz_session_tunnel *t = user;
	t->ops.failed(t->user, err);
}

static void on_rung(void *user)
{
	drain(user);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)fd;
	(void)events;
	struct fz_session_tunnel *t = user;
	fz_node_process(t->node);
	return 0;
}

/* ---- making and freeing ---- */

static void free_gateways(struct fz_session_tunnel *t)
{
	struct fz_map_gateway *g;
	while ((g = fz_map_gateways_maybe(t->map))) {
		fz_map_lost(t->map, g);
		free(g);
	}
}

void fz_session_tunnel_free(struct fz_session_tunnel *t)
{
	if (!t)
		return;
	fzp_source_freep(&t->io);
	fz_node_free(t->node); /* and with it the threads that read the map */
	if (t->map)
		free_gateways(t);
	fz_map_free(t->map);
	free(t->relays);
	sd_event_unref(t->event);
	free(t);
}

static int make_node(struct fz_session_tunnel *t, const struct fz_session_tunnel_params *params)
{
	struct fz_node_params p = {
		.interface = params->interface,
		.mark = params->mark,
		.io = params->io,
		.aead = params->aead,
		.threads = params->threads,
		.hooks = { t, on_outbound, on_inbound },
		.ops = { on_candidate, on_failed, on_no_relays, on_session_up, on_broken, on_rung },
		.user = t,
	};
	int r = fz_node_new(&p, &t->node);
	if (r < 0) {
		t->node = NULL;
		return r;
	}
	r = sd_event_add_io(t->event, &t->io, fz_node_fd(t->node), EPOLLIN, on_io, t);
	return r < 0 ? r : fz_node_start(t->node);
}

int fz_session_tunnel_new(sd_event *event, const struct fz_session_tunnel_params *params,
	struct fz_session_tunnel **ret_tunnel)
{
	struct fz_session_tunnel *t = fz_new(struct fz_session_tunnel);
	if (!t)
		return -ENOMEM;
	t->event = sd_event_ref(event);
	t->ops = params->ops;
	t->user = params->user;
	t->map = fz_map_new();
	t->relays = fz_new_array(struct relay, FZ_PATHS_RELAYS_MAX);
	int r = t->map && t->relays ? make_node(t, params) : -ENOMEM;
	if (r < 0) {
		fz_session_tunnel_free(t);
		return r;
	}
	*ret_tunnel = t;
	return 0;
}

void fz_session_tunnel_public_key(
	const struct fz_session_tunnel *t, uint8_t ret_key[static FZ_KEY_LEN])
{
	fz_node_public_key(t->node, ret_key);
}

uint32_t fz_session_tunnel_ifindex(const struct fz_session_tunnel *t)
{
	return fz_node_ifindex(t->node);
}

void fz_session_tunnel_set_interface(
	struct fz_session_tunnel *t, const struct fz_ip *ipv4, const struct fz_ip *ipv6)
{
	fz_node_lock(t->node);
	fz_map_set_interface(t->map, ipv4, ipv6);
	fz_node_unlock(t->node);
}

/* ---- relays ---- */

static uint32_t find_relay(const struct fz_session_tunnel *t, const struct fzp_id *id)
{
	uint32_t i = 0;
	while (i < t->n_relays && !fzp_id_equal(&t->relays[i].id, id))
		i++;
	return i;
}

static void set_relay(struct fz_session_tunnel *t, const struct relay *r)
{
	struct fz_paths_relay relay = { r->id.text, r->v4, r->v6, r->username, r->password };
	int e = fz_node_set_relay(t->node, &relay);
	if (e < 0)
		fz_log(FZ_LOG_WARNING, "relay-refused", "relay=%s error=\"%s\"", r->id.text,
			fz_strerror(e));
}

static void keep_relay(struct fz_session_tunnel *t, const struct fzp_relay *r)
{
	uint32_t at = find_relay(t, &r->id);
	if (at == FZ_PATHS_RELAYS_MAX || strlen(r->username) >= FZ_TURN_CREDENTIAL_MAX ||
		strlen(r->password) >= FZ_TURN_CREDENTIAL_MAX)
		return;
	struct relay *kept = &t->relays[at];
	*kept = (struct relay){ .id = r->id, .v4 = r->v4, .v6 = r->v6 };
	snprintf(kept->username, sizeof(kept->username), "%s", r->username);
	snprintf(kept->password, sizeof(kept->password), "%s", r->password);
	if (at == t->n_relays)
		t->n_relays++;
}

void fz_session_tunnel_set_relays(struct fz_session_tunnel *t, const struct fzp_relays *relays)
{
	for (uint32_t i = 0; i < relays->n; i++)
		keep_relay(t, &relays->list[i]);
	/* Those that were known and not named, too: they are asked whether they still live. */
	for (uint32_t i = 0; i < t->n_relays; i++)
		set_relay(t, &t->relays[i]);
}

void fz_session_tunnel_remove_relay(struct fz_session_tunnel *t, const struct fzp_id *id)
{
	uint32_t at = find_relay(t, id);
	fz_node_remove_relay(t->node, id->text);
	if (at < t->n_relays)
		t->relays[at] = t->relays[--t->n_relays];
}

/* ---- Resources ---- */

static void complain(int r)
{
	if (r < 0)
		fz_log(FZ_LOG_ERR, "resources", "error=\"%s\"", fz_strerror(r));
}

/*
 * What the set has become is made known to packets: the table is built beside them, the lock held for a swap alone. Many changes
 * of one turn are one such step: it is taken by whoever looks next, at the latest for the host's routes.
 */
static void settle(struct fz_session_tunnel *t)
{
	if (!fz_map_has_changed(t->map))
		return;
	int r = fz_map_build(t->map);
	if (r < 0) {
		complain(r);
		return;
	}
	fz_node_lock(t->node);
	fz_map_swap(t->map);
	fz_node_unlock(t->node);
	fz_map_sweep(t->map);
	bool may_be_unused = t->may_be_unused;
	t->may_be_unused = false;
	if (may_be_unused)
		drop_unused(t);
}

int fz_session_tunnel_set_resources(
	struct fz_session_tunnel *t, const struct fzp_resources *resources)
{
	t->may_be_unused = true;
	return fz_map_set_resources(t->map, resources->list, resources->n);
}

int fz_session_tunnel_upsert(struct fz_session_tunnel *t, const struct fzp_resource *resource)
{
	/* A connection stays where its Resource is only another one now: it will be asked for again. */
	return fz_map_upsert(t->map, resource);
}

int fz_session_tunnel_set_filters(struct fz_session_tunnel *t, const struct fzp_id *id,
	const struct fzp_filter *filters, uint32_t n)
{
	return fz_map_set_filters(t->map, id, filters, n);
}

void fz_session_tunnel_remove(struct fz_session_tunnel *t, const struct fzp_id *id)
{
	t->may_be_unused = true;
	complain(fz_map_remove(t->map, id));
}

void fz_session_tunnel_set_enabled(struct fz_session_tunnel *t, const char *id, bool on)
{
	t->may_be_unused |= !on;
	complain(fz_map_set_enabled(t->map, id, on));
}

void fz_session_tunnel_set_internet(struct fz_session_tunnel *t, bool on)
{
	t->may_be_unused |= !on;
	complain(fz_map_set_internet(t->map, on));
}

/* ---- authorizations ---- */

static void refuse(struct fz_session_tunnel *t, const struct fzp_id *resource, bool is_offline)
{
	fz_node_lock(t->node);
	fz_map_refused(t->map, resource, is_offline, fzp_now().at);
	fz_node_unlock(t->node);
}

static bool take_credentials(const struct fzp_ice_credentials *from, struct fz_ice_credentials *ret)
{
	size_t name = strlen(from->username), password = strlen(from->password);
	if (name >= sizeof(ret->ufrag) || password >= sizeof(ret->password))
		return false;
	memcpy(ret->ufrag, from->username, name + 1);
	memcpy(ret->password, from->password, password + 1);
	return true;
}

static int connect_to(struct fz_session_tunnel *t, const struct fzp_authorization_created *a,
	struct fz_node_peer **ret_peer)
{
	struct fz_ice_credentials local, remote;
	if (!take_credentials(&a->client_ice, &local) ||
		!take_credentials(&a->gateway_ice, &remote))
		return -EINVAL;
	struct fz_conn_params params = {
		.id = a->gateway_id.text,
		.is_controlling = true,
		.local = &local,
		.remote = &remote,
		.public_key = a->gateway_public_key,
		.preshared_key = &a->preshared_key,
	};
	return fz_node_upsert(t->node, &params, ret_peer);
}

int fz_session_tunnel_authorized(
	struct fz_session_tunnel *t, const struct fzp_authorization_created *a)
{
	struct fz_node_peer *peer = NULL;
	settle(t);
	fz_node_lock(t->node);
	bool is_awaited = fz_map_is_awaited(t->map, &a->resource_id);
	fz_node_unlock(t->node);
	if (!is_awaited)
		return 0; /* nobody asked, or no longer */
	struct fz_map_gateway *g = find_maybe(t, a->gateway_id.text);
	struct fz_map_gateway *fresh = g ? NULL : fz_new(struct fz_map_gateway);
	int r = g || fresh ? connect_to(t, a, &peer) : -ENOMEM;
	if (r < 0) {
		free(fresh);
		refuse(t, &a->resource_id, false);
		return r;
	}
	g = g ? g : fresh;
	fz_node_lock(t->node);
	g->id = a->gateway_id;
	g->site_id = a->site_id;
	g->ipv4 = a->gateway_ipv4;
	g->ipv6 = a->gateway_ipv6;
	g->peer = peer;
	fz_node_peer_set_user(peer, g);
	fz_map_authorized(t->map, &a->resource_id, g);
	fz_node_unlock(t->node);
	drain(t);
	return 0;
}

void fz_session_tunnel_refused(
	struct fz_session_tunnel *t, const struct fzp_authorization_failed *f)
{
	settle(t);
	refuse(t, &f->resource_id, f->reason == FZP_FAILURE_OFFLINE);
}

void fz_session_tunnel_candidates(
	struct fz_session_tunnel *t, const struct fzp_candidates *c, bool are_gone)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (are_gone)
			fz_node_remove_candidate(t->node, c->peer.text, c->list[i]);
		else
			fz_node_add_candidate(t->node, c->peer.text, c->list[i]);
	}
}

/* ---- ends ---- */

static void lose_all(struct fz_session_tunnel *t, bool with_goodbye)
{
	struct fz_map_gateway *g;
	while ((g = fz_map_gateways_maybe(t->map))) {
		if (with_goodbye)
			say_goodbye(t, g);
		lose(t, g, true);
	}
}

int fz_session_tunnel_reset(struct fz_session_tunnel *t)
{
	lose_all(t, false);
	int r = fz_node_reset(t->node);
	for (uint32_t i = 0; i < t->n_relays && r == 0; i++)
		set_relay(t, &t->relays[i]);
	return r;
}

void fz_session_tunnel_goodbye(struct fz_session_tunnel *t)
{
	lose_all(t, true);
}

/* ---- what there is to see ---- */

int fz_session_tunnel_routes(
	struct fz_session_tunnel *t, struct fz_prefix **ret_prefixes, size_t *ret_n)
{
	settle(t);
	/* Only this thread changes the set: reading it needs no lock. */
	return fz_map_routes(t->map, ret_prefixes, ret_n);
}

/* None answers now; whether that is so for good shows when the last one is given up. */
static bool has_silent_relays(struct fz_session_tunnel *t)
{
	struct fz_paths_relay_info relay;
	char id[FZ_CONN_ID_LEN];
	if (!t->has_lost_relays)
		return false;
	for (size_t i = 0; fz_node_relay_info(t->node, i, &relay, id); i++)
		if (relay.server.ip.family != FZ_NO_FAMILY)
			t->has_lost_relays = false;
	return t->has_lost_relays;
}

void fz_session_tunnel_stats(struct fz_session_tunnel *t, struct fz_session_tunnel_stats *ret)
{
	struct fz_node_stats stats;
	fz_node_stats(t->node, &stats);
	*ret = (struct fz_session_tunnel_stats){ stats.rx_bytes, stats.tx_bytes, stats.n_direct,
		stats.n_relayed, has_silent_relays(t), { 0 } };
	fz_node_lock(t->node);
	memcpy(ret->discarded, fz_map_discarded(t->map), sizeof(ret->discarded));
	fz_node_unlock(t->node);
}

static const char *site_name(const struct fz_session_resource *r, const char *id)
{
	for (uint32_t i = 0; i < r->n_sites; i++)
		if (strcmp(r->sites[i].id, id) == 0)
			return r->sites[i].name;
	return NULL;
}

struct site_search {
	const char *id, *name;
};

static int look_for_site(void *user, const struct fz_session_resource *r)
{
	struct site_search *s = user;
	const char *name = site_name(r, s->id);
	if (name)
		s->name = name;
	return name != NULL;
}

static void describe(
	struct fz_session_tunnel *t, const struct fz_map_gateway *g, struct fz_session_peer *ret)
{
	struct fz_node_peer_stats stats;
	struct site_search site = { g->site_id.text, "" };
	fz_node_peer_stats(t->node, g->peer, &stats);
	(void)!fz_map_each_resource(t->map, fzp_now().at, look_for_site, &site);
	*ret = (struct fz_session_peer){
		.id = g->id.text,
		.site = site.name,
		.path = stats.path == FZ_NODE_DIRECT    ? FZ_SESSION_DIRECT
			: stats.path == FZ_NODE_RELAYED ? FZ_SESSION_RELAYED
							: FZ_SESSION_NO_PATH,
		.endpoint = stats.remote,
		.rtt = stats.rtt,
		.rx_bytes = stats.rx_bytes,
		.tx_bytes = stats.tx_bytes,
		.last_handshake = stats.last_handshake,
		.ipv4 = g->ipv4,
		.ipv6 = g->ipv6,
	};
}

struct resource_view {
	struct fz_session_tunnel *t;
	fz_session_resource_fn fn;
	void *user;
};

static int show_resource(void *user, const struct fz_session_resource *r)
{
	struct resource_view *v = user;
	struct fz_session_resource out = *r;
	struct fz_map_gateway *g = r->gateway[0] ? find_maybe(v->t, r->gateway) : NULL;
	if (g) {
		struct fz_node_peer_stats stats;
		fz_node_peer_stats(v->t->node, g->peer, &stats);
		out.path = stats.path == FZ_NODE_DIRECT    ? FZ_SESSION_DIRECT
			   : stats.path == FZ_NODE_RELAYED ? FZ_SESSION_RELAYED
							   : FZ_SESSION_NO_PATH;
	}
	return v->fn(v->user, &out);
}

int fz_session_tunnel_each_resource(
	struct fz_session_tunnel *t, fz_session_resource_fn fn, void *user)
{
	struct resource_view v = { t, fn, user };
	settle(t);
	return fz_map_each_resource(t->map, fzp_now().at, show_resource, &v);
}

int fz_session_tunnel_each_peer(struct fz_session_tunnel *t, fz_session_peer_fn fn, void *user)
{
	int r = 0;
	settle(t);
	for (const struct fz_map_gateway *g = fz_map_gateways_maybe(t->map); g && r == 0;
		g = g->next) {
		struct fz_session_peer peer;
		describe(t, g, &peer);
		r = fn(user, &peer);
	}
	return r;
}

int fz_session_tunnel_each_route(struct fz_session_tunnel *t, fz_session_route_fn fn, void *user)
{
	settle(t);
	return fz_map_each_route(t->map, fn, user);
}

void fz_session_tunnel_explain(struct fz_session_tunnel *t, const struct fz_session_question *q,
	struct fz_session_explanation *ret)
{
	struct fz_map_gateway *g;
	settle(t);
	fz_node_lock(t->node);
	fz_map_explain(t->map, fzp_now().at, &q->ip, q->resource, q->protocol, q->port, ret, &g);
	fz_node_unlock(t->node);
	if (!g && ret->verdict == FZ_SESSION_TUNNEL && has_silent_relays(t)) {
		ret->verdict = FZ_SESSION_UNREACHABLE;
		snprintf(ret->reason, sizeof(ret->reason),
			"no relay answers: this network seems to block UDP");
	}
	if (!g)
		return;
	ret->has_peer = true;
	describe(t, g, &ret->peer);
}
