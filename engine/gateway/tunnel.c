/*
 * A connection of the node and a client of the table belong together by the client's id and by pointers: the peer's
 * user is the client, the client's user the peer. Both pointers change under the node's lock alone, and a peer is taken
 * out of the table before it is removed, so that no hook ever sees a dead one.
 */
#include "gateway/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/host.h"
#include "daemon/node.h"
#include "daemon/rtnl.h"
#include "gateway/table.h"
#include "io/clock.h"
#include "io/rng.h"

#define TX_QUEUE_LEN 10'000
#define CLIENTS_MAX  16'384
/* The wall clock may be set: grants are looked at this often at least. */
#define LOOK_SECONDS 60

struct gw_tunnel {
	struct gw_tunnel_params params;
	struct fz_node_tunnel *node;
	struct gw_table *table; /* under the node's lock */
	sd_event_source *node_io, *timer;
};

/* ---- hooks: data threads, under the node's lock ---- */

static enum fz_node_outbound outbound(void *user, struct fz_now now, struct fz_bytes inner,
	struct fz_span out, struct fz_node_peer **ret_peer, size_t *ret_len)
{
	(void)now;
	(void)out;
	(void)ret_len;
	struct gw_tunnel *t = user;
	struct gw_client *c;
	if (gw_table_from_tun(t->table, inner, &c) != GW_TABLE_KEEP)
		return FZ_NODE_REFUSE;
	*ret_peer = gw_client_user(c);
	return *ret_peer ? FZ_NODE_SEND : FZ_NODE_REFUSE;
}

static enum fz_node_inbound inbound(void *user, struct fz_now now, struct fz_node_peer *peer,
	struct fz_bytes inner, struct fz_span out, size_t *ret_len)
{
	(void)now;
	struct gw_tunnel *t = user;
	struct gw_client *c = fz_node_peer_user(peer);
	if (!c)
		return FZ_NODE_DISCARD;
	switch (gw_table_from_client(t->table, c, inner, out, ret_len)) {
	case GW_TABLE_KEEP: return FZ_NODE_DELIVER;
	case GW_TABLE_REPLY: return FZ_NODE_RETURN;
	case GW_TABLE_CONTROL: fz_node_ring(t->node); return FZ_NODE_TAKEN;
	case GW_TABLE_DROP_MALFORMED:
	case GW_TABLE_DROP_SOURCE:
	case GW_TABLE_DROP_MULTICAST:
	case GW_TABLE_DROP_ICMP_ERROR:
	case GW_TABLE_DROP_UNKNOWN:
	case GW_TABLE_DROP_NOT_GRANTED:
	case GW_TABLE_DROP_SILENTLY:
	case GW_TABLE_VERDICT_COUNT_: break;
	}
	return FZ_NODE_DISCARD;
}

/* ---- clients that end ---- */

static void say_goodbye(struct gw_tunnel *t, struct fz_node_peer *peer)
{
	uint8_t packet[GW_GOODBYE_LEN];
	gw_table_write_goodbye(packet);
	fz_node_send(t->node, peer, fz_bytes_of(packet, sizeof(packet)));
}

/* Takes a client and its connection down; the pointer is dead. */
static void end_client(struct gw_tunnel *t, struct gw_client *c, bool with_goodbye)
{
	struct fz_node_peer *peer = gw_client_user(c);
	char id[FZ_CONN_ID_LEN];
	memcpy(id, gw_client_id(c), strlen(gw_client_id(c)) + 1);
	if (peer && with_goodbye)
		say_goodbye(t, peer);
	fz_node_lock(t->node);
	if (peer)
		fz_node_peer_set_user(peer, NULL);
	gw_table_remove(t->table, c);
	fz_node_unlock(t->node);
	if (peer)
		fz_node_remove(t->node, id);
	fz_log(FZ_LOG_INFO, "client-ended", "client=%.8s by=%s", id,
		with_goodbye ? "portal" : "client");
}

static bool take_event(struct gw_tunnel *t, struct gw_table_event *ret)
{
	fz_node_lock(t->node);
	bool is_there = gw_table_take_event(t->table, ret);
	fz_node_unlock(t->node);
	return is_there;
}

static void plan_next_look(struct gw_tunnel *t)
{
	fz_node_lock(t->node);
	uint64_t at = gw_table_deadline(t->table);
	fz_node_unlock(t->node);
	uint64_t now = (uint64_t)fz_clock_now().wall.ns / 1'000'000'000u;
	uint64_t wait = at == UINT64_MAX ? LOOK_SECONDS : at > now ? at - now : 0;
	wait = wait < LOOK_SECONDS ? wait : LOOK_SECONDS;
	/* A second is the portal's unit: half of one past it, it has come. */
	(void)sd_event_source_set_time_relative(t->timer, wait * 1'000'000u + 500'000u);
	(void)sd_event_source_set_enabled(
		t->timer, at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* After whatever may have ended a client or moved the next expiry. */
static void settle(struct gw_tunnel *t)
{
	struct gw_table_event e;
	bool any = false;
	while (take_event(t, &e)) {
		end_client(t, e.client, e.kind == GW_TABLE_SAY_GOODBYE);
		any = true;
	}
	plan_next_look(t);
	if (any)
		t->params.changed(t->params.user);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *user)
{
	(void)s;
	(void)usec;
	struct gw_tunnel *t = user;
	fz_node_lock(t->node);
	gw_table_poll(t->table, (uint64_t)fz_clock_now().wall.ns / 1'000'000'000u);
	fz_node_unlock(t->node);
	settle(t);
	return 0;
}

/* ---- what the node says ---- */

static void on_candidate(void *user, const char *id, const char *text, bool is_gone)
{
	struct gw_tunnel *t = user;
	struct fzp_id client;
	if (fzp_id_parse(id, &client))
		t->params.candidate(t->params.user, &client, text, is_gone);
}

/* The grants stay: the client's next authorization makes the connection anew. */
static void on_failed(void *user, const char *id, enum fz_node_failure why)
{
	struct gw_tunnel *t = user;
	struct fz_node_peer *peer = fz_node_find_maybe(t->node, id);
	(void)why; /* the node has logged it */
	fz_node_lock(t->node);
	struct gw_client *c = gw_table_find_maybe(t->table, id);
	if (c)
		gw_client_set_user(c, NULL);
	if (peer)
		fz_node_peer_set_user(peer, NULL);
	fz_node_unlock(t->node);
	fz_node_remove(t->node, id);
	t->params.changed(t->params.user);
}

static void on_no_relays(void *user)
{
	struct gw_tunnel *t = user;
	t->params.no_relays(t->params.user);
}

static void on_broken(void *user, int err)
{
	struct gw_tunnel *t = user;
	t->params.failed(t->params.user, err);
}

static void on_rung(void *user)
{
	settle(user);
}

static int on_node(sd_event_source *s, int fd, uint32_t events, void *user)
{
	(void)s;
	(void)fd;
	(void)events;
	struct gw_tunnel *t = user;
	fz_node_process(t->node);
	return 0;
}

/* ---- making ---- */

static int make_node(struct gw_tunnel *t)
{
	struct fz_node_params params = {
		.is_gateway = true,
		.interface = fz_host_gateway.interface,
		.mark = fz_host_gateway.mark,
		.max_peers = CLIENTS_MAX,
		.has_host_candidates = true,
		.io = t->params.io,
		.aead = t->params.aead,
		.threads = t->params.threads,
		.hooks = { .user = t, .outbound = outbound, .inbound = inbound },
		.ops = {
			.candidate = on_candidate,
			.failed = on_failed,
			.no_relays = on_no_relays,
			.broken = on_broken,
			.rung = on_rung,
		},
		.user = t,
	};
	int r = fz_node_new(&params, &t->node);
	if (r < 0)
		return r;
	struct fz_rtnl *rtnl;
	r = fz_rtnl_new(&rtnl);
	if (r < 0)
		return r;
	r = fz_rtnl_link_up(rtnl, fz_node_ifindex(t->node), FZ_NODE_MTU, TX_QUEUE_LEN);
	fz_rtnl_free(rtnl);
	return r < 0 ? r : fz_node_start(t->node);
}

void gw_tunnel_free(struct gw_tunnel *t)
{
	if (!t)
		return;
	t->timer = sd_event_source_disable_unref(t->timer);
	t->node_io = sd_event_source_disable_unref(t->node_io);
	fz_node_free(t->node);
	gw_table_free(t->table);
	free(t);
}

int gw_tunnel_new(
	sd_event *event, const struct gw_tunnel_params *params, struct gw_tunnel **ret_tunnel)
{
	struct gw_tunnel *t = fz_new(struct gw_tunnel);
	if (!t)
		return -ENOMEM;
	t->params = *params;
	struct fz_hash_key key;
	fz_rng_fill(NULL, fz_span_of(&key, sizeof(key)));
	t->table = gw_table_new(key);
	int r = t->table ? make_node(t) : -ENOMEM;
	if (r == 0)
		r = sd_event_add_io(event, &t->node_io, fz_node_fd(t->node), EPOLLIN, on_node, t);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &t->timer, CLOCK_BOOTTIME,
			LOOK_SECONDS * 1'000'000ull, 0, on_timer, t);
	if (r < 0) {
		gw_tunnel_free(t);
		return r;
	}
	*ret_tunnel = t;
	return 0;
}

void gw_tunnel_public_key(const struct gw_tunnel *t, uint8_t ret_key[static FZ_KEY_LEN])
{
	fz_node_public_key(t->node, ret_key);
}

uint32_t gw_tunnel_ifindex(const struct gw_tunnel *t)
{
	return fz_node_ifindex(t->node);
}

/* ---- what the portal says ---- */

void gw_tunnel_set_interface(
	struct gw_tunnel *t, const struct fz_ip *ipv4, const struct fz_ip *ipv6)
{
	fz_node_lock(t->node);
	gw_table_set_interface(t->table, ipv4, ipv6);
	fz_node_unlock(t->node);
}

void gw_tunnel_set_relays(struct gw_tunnel *t, const struct fzp_relays *relays)
{
	for (uint32_t i = 0; i < relays->n; i++) {
		const struct fzp_relay *relay = &relays->list[i];
		struct fz_paths_relay known = {
			.id = relay->id.text,
			.v4 = relay->v4,
			.v6 = relay->v6,
			.username = relay->username,
			.password = relay->password,
		};
		int r = fz_node_set_relay(t->node, &known);
		if (r < 0)
			fz_log(FZ_LOG_WARNING, "relay-not-used", "relay=%.8s error=\"%s\"",
				relay->id.text, fz_strerror(r));
	}
}

void gw_tunnel_remove_relay(struct gw_tunnel *t, const struct fzp_id *id)
{
	fz_node_remove_relay(t->node, id->text);
}

void gw_tunnel_reconcile(struct gw_tunnel *t, const struct fzp_authorizations *live)
{
	fz_node_lock(t->node);
	gw_table_init_begin(t->table);
	for (uint32_t i = 0; i < live->n; i++)
		gw_table_init_keep(t->table, live->list[i].client_id.text,
			live->list[i].resource_id.text, live->list[i].expires_at);
	gw_table_init_end(t->table);
	fz_node_unlock(t->node);
	settle(t);
}

static int take_credentials(const struct fzp_ice_credentials *from, struct fz_ice_credentials *ret)
{
	size_t user = strlen(from->username), password = strlen(from->password);
	if (user >= sizeof(ret->ufrag) || password >= sizeof(ret->password))
		return -EINVAL;
	memcpy(ret->ufrag, from->username, user + 1);
	memcpy(ret->password, from->password, password + 1);
	return 0;
}

static int upsert(struct gw_tunnel *t, const struct fzp_create_authorization *m,
	struct fz_node_peer **ret_peer)
{
	struct fz_ice_credentials local, remote;
	int r = take_credentials(&m->gateway_ice, &local);
	if (r == 0)
		r = take_credentials(&m->client_ice, &remote);
	if (r < 0)
		return r;
	return fz_node_upsert(t->node,
		&(struct fz_conn_params){
			.id = m->client_id.text,
			.is_controlling = false,
			.local = &local,
			.remote = &remote,
			.public_key = m->client_public_key,
			.preshared_key = &m->preshared_key,
		},
		ret_peer);
}

/* Filters in the table's words, borrowed from the caller's array. */
static uint32_t take_filters(const struct fzp_resource *from, struct gw_filter *ret)
{
	static const enum gw_filter_protocol protocols[] = {
		[FZP_TCP] = GW_FILTER_TCP,
		[FZP_UDP] = GW_FILTER_UDP,
		[FZP_ICMP] = GW_FILTER_ICMP,
	};

	for (uint32_t i = 0; i < from->n_filters; i++)
		ret[i] = (struct gw_filter){ protocols[from->filters[i].protocol],
			from->filters[i].from, from->filters[i].to };
	return from->n_filters;
}

static enum gw_resource_type take_type(enum fzp_resource_type type)
{
	switch (type) {
	case FZP_RESOURCE_DNS: return GW_RESOURCE_DNS;
	case FZP_RESOURCE_CIDR: return GW_RESOURCE_CIDR;
	case FZP_RESOURCE_INTERNET: break;
	}
	return GW_RESOURCE_INTERNET;
}

int gw_tunnel_authorize(struct gw_tunnel *t, const struct fzp_create_authorization *m)
{
	struct fz_node_peer *peer;
	struct gw_filter filters[FZP_FILTERS_MAX];
	settle(t); /* a goodbye that has just been heard comes before this */
	int r = upsert(t, m, &peer);
	if (r < 0)
		return r;
	struct gw_table_grant grant = {
		.client = m->client_id.text,
		.resource = m->resource.id.text,
		.v4 = m->client_ipv4,
		.v6 = m->client_ipv6,
		.type = take_type(m->resource.type),
		.prefix = m->resource.prefix,
		.filters = filters,
		.n_filters = take_filters(&m->resource, filters),
		.expires_at = m->expires_at,
	};
	struct gw_client *c = NULL;
	fz_node_lock(t->node);
	r = gw_table_authorize(t->table, &grant, &c);
	if (r == 0) {
		gw_client_set_user(c, peer);
		fz_node_peer_set_user(peer, c);
	}
	bool is_unused = !fz_node_peer_user(peer);
	fz_node_unlock(t->node);
	if (r < 0 && is_unused)
		fz_node_remove(t->node, m->client_id.text);
	plan_next_look(t);
	return r;
}

void gw_tunnel_reject(struct gw_tunnel *t, const struct fzp_reject_access *m)
{
	fz_node_lock(t->node);
	gw_table_reject(t->table, m->client_id.text, m->resource_id.text);
	fz_node_unlock(t->node);
	settle(t);
}

void gw_tunnel_update(struct gw_tunnel *t, const struct fzp_resource *resource)
{
	struct gw_filter filters[FZP_FILTERS_MAX];
	uint32_t n = take_filters(resource, filters);
	fz_node_lock(t->node);
	int r = gw_table_update(t->table, resource->id.text, filters, n);
	fz_node_unlock(t->node);
	if (r < 0)
		fz_log(FZ_LOG_WARNING, "resource-not-updated", "resource=%.8s error=\"%s\"",
			resource->id.text, fz_strerror(r));
	settle(t);
}

void gw_tunnel_candidates(struct gw_tunnel *t, const struct fzp_candidates *c, bool are_gone)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (are_gone)
			fz_node_remove_candidate(t->node, c->peer.text, c->list[i]);
		else
			fz_node_add_candidate(t->node, c->peer.text, c->list[i]);
	}
}

void gw_tunnel_hosts_changed(struct gw_tunnel *t)
{
	fz_node_hosts_changed(t->node);
}

void gw_tunnel_goodbye(struct gw_tunnel *t)
{
	static const struct fzp_authorizations none = { 0 };
	gw_tunnel_reconcile(t, &none);
	fz_node_stop(t->node);
}

void gw_tunnel_counts(const struct gw_tunnel *t, struct gw_tunnel_counts *ret)
{
	fz_node_lock(t->node);
	*ret = (struct gw_tunnel_counts){
		.n_clients = gw_table_n_clients(t->table),
		.n_grants = gw_table_n_grants(t->table),
	};
	fz_node_unlock(t->node);
}
