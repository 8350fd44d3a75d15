/*
 * Where datagrams of the UDP sockets go and come from: Firezone's protocol 3.4, with the connections' table. Connections are
 * found by our ufrag (checks) and by the first word of the transaction id (answers), which is made of the slot, a generation
 * and a secret mask; both are then proved by the message's signature.
 */
#include "path/paths.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/endian.h"
#include "base/err.h"
#include "path/demux.h"
#include "path/paths_internal.h"

#define DEFAULT_MAX_CONNS 4096

struct fz_paths *fz_paths_new(const struct fz_paths_params *params)
{
	struct fz_paths *p = fz_new(struct fz_paths);
	if (!p)
		return NULL;
	p->random = params->random;
	p->user = params->user;
	p->is_gateway = params->is_gateway;
	p->max_conns = params->max_conns == 0 ? DEFAULT_MAX_CONNS : params->max_conns;
	if (p->max_conns > FZ_PATHS_CONNS_MAX)
		p->max_conns = FZ_PATHS_CONNS_MAX;
	p->random(p->user, fz_span_of(&p->hash_key, sizeof(p->hash_key)));
	p->random(p->user, fz_span_of(&p->tag_mask, sizeof(p->tag_mask)));
	for (size_t i = 0; i < PATHS_BUCKETS; i++)
		fz_list_init(&p->buckets[i]);
	for (size_t i = 0; i < PATHS_ID_BUCKETS; i++)
		fz_list_init(&p->ids[i]);
	fz_list_init(&p->dirty);
	return p;
}

static void remove_all(struct fz_paths *p)
{
	for (uint32_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i])
			fz_paths_remove(p, p->slots[i]);
	}
}

void fz_paths_free(struct fz_paths *p)
{
	if (!p)
		return;
	remove_all(p);
	paths_relays_free(p);
	free(p->slots);
	free(p->dues);
	fz_wipe(p, sizeof(*p));
	free(p);
}

int fz_paths_add_host(struct fz_paths *p, const struct fz_addr *local, fz_time now)
{
	for (size_t i = 0; i < p->n_hosts; i++) {
		if (fz_addr_equal(&p->hosts[i], local))
			return 0;
	}
	if (p->n_hosts >= FZ_PATHS_HOSTS_MAX)
		return FZ_ERR_LIMIT;
	p->hosts[p->n_hosts++] = *local;
	struct fz_candidate c = { .kind = FZ_CANDIDATE_HOST, .addr = *local, .base = *local };
	for (uint32_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i])
			conn_add_local(p->slots[i], &c, now);
	}
	return 0;
}

static bool is_among(const struct fz_addr *a, const struct fz_addr *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fz_addr_equal(a, &list[i]))
			return true;
	return false;
}

static void remove_host(struct fz_paths *p, size_t at, fz_time now)
{
	struct fz_addr gone = p->hosts[at];
	struct fz_candidate c = { .kind = FZ_CANDIDATE_HOST, .addr = gone, .base = gone };
	p->hosts[at] = p->hosts[--p->n_hosts];
	for (uint32_t i = 0; i < p->n_slots; i++)
		if (p->slots[i])
			conn_remove_local(p->slots[i], &c, now);
}

void fz_paths_set_hosts(struct fz_paths *p, const struct fz_addr *hosts, size_t n, fz_time now)
{
	bool has_changed = false;
	for (size_t i = p->n_hosts; i > 0; i--) {
		if (is_among(&p->hosts[i - 1], hosts, n))
			continue;
		remove_host(p, i - 1, now);
		has_changed = true;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_among(&hosts[i], p->hosts, p->n_hosts))
			continue;
		has_changed |= fz_paths_add_host(p, &hosts[i], now) == 0;
	}
	for (size_t i = 0; i < p->n_relays && has_changed; i++)
		fz_turn_probe(p->relays[i]->turn, now);
}

void fz_paths_reset(struct fz_paths *p, fz_time now)
{
	remove_all(p);
	p->n_hosts = p->n_replies = 0;
	for (size_t i = 0; i < p->n_relays; i++) {
		fz_turn_restart(p->relays[i]->turn, now);
		fz_turn_candidates(p->relays[i]->turn, p->relays[i]->known);
	}
}

/* ---- connections --------------------------------------------------------------------------------------------- */

static struct fz_list *bucket_of(struct fz_paths *p, struct fz_bytes ufrag)
{
	return &p->buckets[fz_siphash(p->hash_key, ufrag) % PATHS_BUCKETS];
}

static size_t id_bucket(const struct fz_paths *p, const char *id)
{
	return fz_siphash(p->hash_key, fz_bytes_of(id, strlen(id))) % PATHS_ID_BUCKETS;
}

static bool slot_reserve(struct fz_paths *p, uint32_t *ret_slot)
{
	for (uint32_t i = 0; p->n_conns < p->n_slots && i < p->n_slots; i++) {
		if (!p->slots[i]) {
			*ret_slot = i;
			return true;
		}
	}
	if (p->n_slots == p->cap_slots) {
		uint32_t cap = p->cap_slots == 0 ? 16 : p->cap_slots * 2;
		fz_time *dues = (fz_time *)fz_realloc(p->dues, cap, sizeof(*dues));
		p->dues = dues ? dues : p->dues;
		struct fz_conn **more =
			dues ? (struct fz_conn **)fz_realloc(p->slots, cap, sizeof(*more)) : NULL;
		if (!more)
			return false;
		p->slots = more;
		p->cap_slots = cap;
	}
	p->slots[p->n_slots] = NULL;
	p->dues[p->n_slots] = FZ_NEVER;
	*ret_slot = p->n_slots++;
	return true;
}

/* A new life in a slot answers to other transaction ids than the one before. */
static bool start(struct fz_conn *c, const struct fz_conn_params *params, fz_time now)
{
	struct fz_paths *p = c->paths;
	c->tag = (c->slot | (uint32_t)p->next_generation++ << 16) ^ p->tag_mask;
	if (!conn_start(c, params, now))
		return false;
	fz_list_push_back(bucket_of(p, fz_bytes_of(c->ufrag, strlen(c->ufrag))), &c->in_bucket);
	return true;
}

static int create(struct fz_paths *p, const struct fz_conn_params *params, fz_time now,
	struct fz_conn **ret_conn)
{
	uint32_t slot;
	if (p->n_conns >= p->max_conns)
		return FZ_ERR_LIMIT;
	if (!slot_reserve(p, &slot))
		return -ENOMEM;
	struct fz_conn *c = fz_new(struct fz_conn);
	if (!c)
		return -ENOMEM;
	c->paths = p;
	c->slot = slot;
	memcpy(c->id, params->id, strlen(params->id));
	if (!start(c, params, now)) {
		free(c);
		return -ENOMEM;
	}
	fz_list_push_back(&p->ids[id_bucket(p, c->id)], &c->in_ids);
	p->slots[slot] = c;
	p->n_conns++;
	*ret_conn = c;
	return FZ_PATHS_CREATED;
}

int fz_paths_upsert(struct fz_paths *p, const struct fz_conn_params *params, fz_time now,
	struct fz_conn **ret_conn)
{
	uint8_t identity[32];
	if (!conn_is_valid(params))
		return -EINVAL;
	if (!fz_paths_has_relay(p) && p->n_hosts == 0)
		return -ENOTCONN;
	struct fz_conn *c = fz_paths_find_maybe(p, params->id);
	if (!c)
		return create(p, params, now, ret_conn);
	conn_identity(params, identity);
	if (c->failure == FZ_CONN_FAILURE_NONE &&
		fz_ct_equal(identity, c->identity, sizeof(identity))) {
		conn_keep(c, now);
		*ret_conn = c;
		return FZ_PATHS_KEPT;
	}
	fz_list_remove(&c->in_bucket);
	conn_stop(c);
	if (!start(c, params, now)) {
		p->slots[c->slot] = NULL;
		p->dues[c->slot] = FZ_NEVER;
		p->n_conns--;
		fz_list_remove(&c->in_ids);
		free(c);
		return -ENOMEM;
	}
	*ret_conn = c;
	return FZ_PATHS_REPLACED;
}

struct fz_conn *fz_paths_find_maybe(const struct fz_paths *p, const char *id)
{
	FZ_LIST_EACH(&p->ids[id_bucket(p, id)], node) {
		struct fz_conn *c = FZ_CONTAINER_OF(node, struct fz_conn, in_ids);
		if (strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

void fz_paths_remove(struct fz_paths *p, struct fz_conn *c)
{
	fz_assert(p->slots[c->slot] == c);
	p->slots[c->slot] = NULL;
	p->dues[c->slot] = FZ_NEVER;
	p->n_conns--;
	fz_list_remove(&c->in_bucket);
	fz_list_remove(&c->in_ids);
	conn_stop(c);
	free(c);
}

uint32_t fz_paths_n_conns(const struct fz_paths *p)
{
	return p->n_conns;
}

/* ---- receiving ----------------------------------------------------------------------------------------------- */

static void queue_reply(struct fz_paths *p, fz_time now, const struct fz_ice_path *path,
	const uint8_t *bytes, size_t len)
{
	struct fz_way way;
	if (!conn_way_of(p, path, now, &way))
		return;
	if (p->n_replies == PATHS_REPLIES_MAX) {
		p->first_reply = (p->first_reply + 1) % PATHS_REPLIES_MAX;
		p->n_replies--;
	}
	struct paths_reply *r = &p->replies[(p->first_reply + p->n_replies++) % PATHS_REPLIES_MAX];
	size_t at = 0;
	if (way.channel != 0) {
		fz_turn_channel_header(way.channel, (uint16_t)len, r->bytes);
		at = FZ_TURN_CHANNEL_HEADER;
	}
	memcpy(r->bytes + at, bytes, len);
	r->len = at + len;
	r->local = way.local;
	r->remote = way.remote;
}

static enum fz_ice_verdict give(struct fz_paths *p, struct fz_conn *c, fz_time now,
	const struct fz_ice_path *path, const struct fz_stun *m)
{
	uint8_t reply[FZ_ICE_MESSAGE_MAX];
	size_t len;
	if (c->failure != FZ_CONN_FAILURE_NONE)
		return FZ_ICE_DROP_UNASKED;
	enum fz_ice_verdict v = fz_ice_receive(c->ice, now, &path->local, &path->remote, m,
		fz_span_of(reply, sizeof(reply)), &len);
	if (v != FZ_ICE_TAKEN)
		return v;
	if (len > 0)
		queue_reply(p, now, path, reply, len);
	conn_update(c, now);
	return v;
}

/* Short ufrags of many connections may coincide: the signature tells which one is meant. */
static enum fz_paths_verdict receive_request(
	struct fz_paths *p, fz_time now, const struct fz_ice_path *path, const struct fz_stun *m)
{
	const uint8_t *colon = m->username.n > 0 ? memchr(m->username.p, ':', m->username.n) : NULL;
	if (!colon)
		return FZ_PATHS_DROP_UNKNOWN;
	struct fz_bytes ufrag = fz_bytes_of(m->username.p, (size_t)(colon - m->username.p));
	enum fz_paths_verdict v = FZ_PATHS_DROP_UNKNOWN;
	FZ_LIST_EACH(bucket_of(p, ufrag), node) {
		struct fz_conn *c = FZ_CONTAINER_OF(node, struct fz_conn, in_bucket);
		if (!fz_ice_is_for(c->ice, m))
			continue;
		if (give(p, c, now, path, m) == FZ_ICE_TAKEN)
			return FZ_PATHS_TAKEN;
		v = FZ_PATHS_DROP_CHECK;
	}
	return v;
}

static enum fz_paths_verdict receive_check(
	struct fz_paths *p, fz_time now, const struct fz_ice_path *path, const struct fz_stun *m)
{
	if (m->class == FZ_STUN_REQUEST)
		return receive_request(p, now, path, m);
	uint32_t slot = (fz_be32_load(m->id.b) ^ p->tag_mask) & 0xffffu;
	struct fz_conn *c = slot < p->n_slots ? p->slots[slot] : NULL;
	if (!c || !fz_ice_is_for(c->ice, m))
		return FZ_PATHS_DROP_UNKNOWN;
	return give(p, c, now, path, m) == FZ_ICE_TAKEN ? FZ_PATHS_TAKEN : FZ_PATHS_DROP_CHECK;
}

static enum fz_paths_verdict receive_stun(
	struct fz_paths *p, fz_time now, const struct fz_ice_path *path, struct fz_bytes pkt)
{
	struct fz_stun m;
	if (fz_stun_parse(pkt, &m) != FZ_STUN_OK)
		return FZ_PATHS_DROP_STUN;
	struct paths_relay *r =
		path->is_relayed ? NULL : paths_relay_of_server_maybe(p, &path->remote);
	if (!r)
		return receive_check(p, now, path, &m);
	if (fz_turn_receive(r->turn, now, &path->local, &path->remote, &m) != FZ_TURN_TAKEN)
		return FZ_PATHS_DROP_RELAY;
	(void)paths_relay_sync(p, r, now);
	return FZ_PATHS_TAKEN;
}

static enum fz_paths_verdict receive_channel_data(struct fz_paths *p, fz_time now,
	const struct fz_addr *remote, struct fz_bytes pkt, struct fz_paths_rx *ret_rx)
{
	struct fz_ice_path path = { .is_relayed = true };
	struct fz_bytes payload;
	struct paths_relay *r = paths_relay_of_server_maybe(p, remote);
	if (!r || fz_turn_unwrap(r->turn, now, pkt, &path.remote, &path.local, &payload) !=
			  FZ_TURN_TAKEN)
		return FZ_PATHS_DROP_RELAY;
	switch (fz_demux_of(payload, path.remote.port)) {
	case FZ_DEMUX_STUN: return receive_stun(p, now, &path, payload);
	case FZ_DEMUX_WIREGUARD:
		ret_rx->payload = payload;
		ret_rx->way = (struct fz_way){ .local = *fz_turn_local(r->turn),
			.remote = *remote,
			.peer = path.remote,
			.channel = fz_be16_load(pkt.p) };
		ret_rx->local = path.local.ip;
		return FZ_PATHS_WIREGUARD;
	case FZ_DEMUX_CHANNEL_DATA:
	case FZ_DEMUX_OTHER: break;
	}
	return FZ_PATHS_DROP_PROTOCOL;
}

static enum fz_paths_verdict receive(struct fz_paths *p, fz_time now, const struct fz_addr *local,
	const struct fz_addr *remote, struct fz_bytes pkt, struct fz_paths_rx *ret_rx)
{
	struct fz_ice_path path = { .local = *local, .remote = *remote };
	switch (fz_demux_of(pkt, remote->port)) {
	case FZ_DEMUX_STUN: return receive_stun(p, now, &path, pkt);
	case FZ_DEMUX_CHANNEL_DATA: return receive_channel_data(p, now, remote, pkt, ret_rx);
	case FZ_DEMUX_WIREGUARD:
		ret_rx->payload = pkt;
		ret_rx->way =
			(struct fz_way){ .local = *local, .remote = *remote, .peer = *remote };
		return FZ_PATHS_WIREGUARD;
	case FZ_DEMUX_OTHER: break;
	}
	return FZ_PATHS_DROP_PROTOCOL;
}

enum fz_paths_verdict fz_paths_receive(struct fz_paths *p, fz_time now, const struct fz_addr *local,
	const struct fz_addr *remote, struct fz_bytes pkt, struct fz_paths_rx *ret_rx)
{
	enum fz_paths_verdict v = receive(p, now, local, remote, pkt, ret_rx);
	p->counts[v]++;
	return v;
}

bool fz_paths_way_back(struct fz_paths *p, fz_time now, const struct fz_ip *local,
	const struct fz_addr *peer, struct fz_way *ret_way)
{
	struct fz_ice_path path = { .local = { .ip = *local }, .remote = *peer };
	for (size_t i = 0; i < p->n_relays; i++) {
		const struct fz_addr *relayed =
			fz_turn_relayed(p->relays[i]->turn, (enum fz_family)local->family);
		if (relayed->ip.family == FZ_NO_FAMILY || !fz_ip_equal(&relayed->ip, local))
			continue;
		path.local = *relayed;
		path.is_relayed = true;
	}
	return conn_way_of(p, &path, now, ret_way);
}

const uint64_t *fz_paths_counts(const struct fz_paths *p)
{
	return p->counts;
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

static bool poll_reply(struct fz_paths *p, struct fz_paths_datagram *ret_out)
{
	if (p->n_replies == 0)
		return false;
	const struct paths_reply *r = &p->replies[p->first_reply];
	p->first_reply = (p->first_reply + 1) % PATHS_REPLIES_MAX;
	p->n_replies--;
	*ret_out = (struct fz_paths_datagram){
		.local = r->local, .remote = r->remote, .pkt = fz_bytes_of(r->bytes, r->len)
	};
	return true;
}

static bool poll_relays(struct fz_paths *p, fz_time now, struct fz_paths_datagram *ret_out)
{
	for (size_t i = 0; i < p->n_relays;) {
		struct paths_relay *r = p->relays[i];
		struct fz_addr server;
		size_t len = fz_turn_poll(
			r->turn, now, fz_span_of(p->out, FZ_TURN_MESSAGE_MAX), &server);
		if (len == 0) {
			i += paths_relay_sync(p, r, now) ? 0 : 1;
			continue;
		}
		*ret_out = (struct fz_paths_datagram){ .remote = server,
			.pkt = fz_bytes_of(p->out, len) };
		return true;
	}
	return false;
}

static bool poll_conn(struct fz_conn *c, fz_time now, struct fz_paths_datagram *ret_out)
{
	struct fz_paths *p = c->paths;
	struct fz_ice_path path;
	struct fz_way way;
	uint8_t *at = p->out + FZ_TURN_CHANNEL_HEADER;
	while (c->failure == FZ_CONN_FAILURE_NONE && fz_time_reached(now, p->dues[c->slot])) {
		size_t len = fz_ice_poll(c->ice, now, fz_span_of(at, FZ_ICE_MESSAGE_MAX), &path);
		conn_update(c, now);
		if (len == 0)
			break;
		/* Without a channel yet the check counts as lost; the next one finds it. */
		if (!conn_way_of(p, &path, now, &way))
			continue;
		*ret_out = (struct fz_paths_datagram){
			.local = way.local, .remote = way.remote, .pkt = fz_bytes_of(at, len)
		};
		if (way.channel != 0) {
			fz_turn_channel_header(way.channel, (uint16_t)len, p->out);
			ret_out->pkt = fz_bytes_of(p->out, FZ_TURN_CHANNEL_HEADER + len);
			struct paths_relay *r = paths_relay_of_address_maybe(p, &path.local);
			fz_assert(r);
			fz_turn_sent(r->turn, now);
		}
		return true;
	}
	return false;
}

bool fz_paths_poll(struct fz_paths *p, fz_time now, struct fz_paths_datagram *ret_out)
{
	if (poll_reply(p, ret_out) || poll_relays(p, now, ret_out))
		return true;
	/* From where the last call stopped, once around: a call costs what it finds. */
	for (uint32_t n = 0; n < p->n_slots; n++) {
		uint32_t i = (p->cursor + n) % p->n_slots;
		if (!fz_time_reached(now, p->dues[i]) || !poll_conn(p->slots[i], now, ret_out))
			continue;
		p->cursor = i;
		return true;
	}
	/* A check that wanted a channel made a request of it. */
	return poll_relays(p, now, ret_out);
}

fz_time fz_paths_deadline(const struct fz_paths *p)
{
	fz_time at = FZ_NEVER;
	if (p->n_replies > 0 || p->has_no_relay_news || !fz_list_is_empty(&p->dirty))
		return (fz_time){ 0 };
	for (size_t i = 0; i < p->n_relays; i++)
		at = fz_time_min(at, fz_turn_deadline(p->relays[i]->turn));
	for (uint32_t i = 0; i < p->n_slots; i++)
		at = fz_time_min(at, p->dues[i]);
	return at;
}

bool fz_paths_take_event(struct fz_paths *p, struct fz_paths_event *ret_event)
{
	if (p->has_no_relay_news) {
		p->has_no_relay_news = false;
		*ret_event = (struct fz_paths_event){ .kind = FZ_PATHS_NO_RELAYS };
		return true;
	}
	while (!fz_list_is_empty(&p->dirty)) {
		struct fz_conn *c = FZ_CONTAINER_OF(p->dirty.head.next, struct fz_conn, dirty);
		if (conn_take_event(c, ret_event))
			return true;
	}
	return false;
}
