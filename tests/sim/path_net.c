/* See path_net.h. */
#include "sim/path_net.h"

#include "base/endian.h"
#include "path/demux.h"

#define MAPPING_LIVES FZ_SECONDS(120) /* RFC 4787 REQ-5 */
#define INIT_LEN      148
#define RESPONSE_LEN  92
#define DATA_LEN      96

static void route(
	struct net *n, const struct fz_addr *from, const struct fz_addr *to, struct fz_bytes pkt);

/* ---- time and randomness ------------------------------------------------------------------------------------- */

static void random_bytes(void *user, struct fz_span out)
{
	struct net *n = user;
	test_rng_fill(&n->rng, out.p, out.n);
}

static struct net_item *item_new(struct net *n, fz_dur delay)
{
	for (size_t i = 0; i < NET_IN_FLIGHT; i++) {
		struct net_item *it = &n->items[i];
		if (it->in_use)
			continue;
		*it = (struct net_item){ .in_use = true, .at = fz_time_add(n->now, delay) };
		return it;
	}
	TEST_FAIL("more than %d datagrams in flight (seed %" PRIu64 ")", NET_IN_FLIGHT, n->seed);
	return NULL;
}

/* ---- NAT ----------------------------------------------------------------------------------------------------- */

static bool is_alive(const struct net *n, const struct net_mapping *m)
{
	return m->in_use && !fz_time_reached(n->now, fz_time_add(m->used, MAPPING_LIVES));
}

static struct net_mapping *map(
	struct net *n, struct net_box *b, const struct fz_addr *inside, const struct fz_addr *to)
{
	struct net_mapping *room = NULL;
	for (size_t i = 0; i < NET_MAPPINGS; i++) {
		struct net_mapping *m = &b->mappings[i];
		bool is_its = is_alive(n, m) && fz_addr_equal(&m->inside, inside) &&
			      (b->kind != NET_SYMMETRIC || fz_addr_equal(&m->to, to));
		if (is_its)
			return m;
		if (!room && !is_alive(n, m))
			room = m;
	}
	CHECK(room);
	*room = (struct net_mapping){ .in_use = true, .inside = *inside, .to = *to };
	room->outside = b->next_port++;
	return room;
}

static bool passes(const struct net_box *b, const struct net_mapping *m, const struct fz_addr *from)
{
	if (b->kind == NET_FULL_CONE)
		return true;
	for (uint32_t i = 0; i < m->n_filters && i < NET_FILTERS; i++) {
		if (b->kind == NET_RESTRICTED ? fz_ip_equal(&m->filters[i].ip, &from->ip)
					      : fz_addr_equal(&m->filters[i], from))
			return true;
	}
	return false;
}

static void remember(struct net_mapping *m, const struct fz_addr *to)
{
	for (uint32_t i = 0; i < m->n_filters && i < NET_FILTERS; i++) {
		if (fz_addr_equal(&m->filters[i], to))
			return;
	}
	m->filters[m->n_filters++ % NET_FILTERS] = *to;
}

/* ---- a device's datagrams ------------------------------------------------------------------------------------ */

static struct sim_relay *relay_at(struct net *n, const struct fz_ip *ip)
{
	for (uint32_t i = 0; i < n->n_relays; i++) {
		if (fz_ip_equal(&n->relays[i].addr.ip, ip))
			return &n->relays[i];
	}
	return NULL;
}

static void send_wireguard(struct net_peer *p, const struct fz_way *way, uint32_t type, size_t len);

static void peer_wireguard(struct net_peer *p, const struct fz_paths_rx *rx)
{
	struct net *n = p->net;
	struct fz_way way;
	if (!p->conn)
		return;
	if (p->wireguard) {
		p->wireguard->receive(p, rx);
		return;
	}
	switch (fz_le32_load(rx->payload.p)) {
	case 1:
		way = rx->way;
		(void)!fz_conn_way(p->conn, &way);
		send_wireguard(p, &way, 2, RESPONSE_LEN);
		p->has_session = true;
		break;
	case 2:
		if (!p->has_session)
			p->session_at = n->now;
		p->has_session = true;
		p->next_init = FZ_NEVER;
		break;
	default:
		p->n_got++;
		p->last_got = n->now;
		p->got_by_relay = rx->way.channel != 0 || relay_at(n, &rx->way.remote.ip);
		fz_conn_packet(p->conn, n->now);
		break;
	}
}

static void peer_receive(struct net_peer *p, const struct fz_addr *from, struct fz_bytes pkt)
{
	struct fz_paths_rx rx;
	enum fz_paths_verdict v =
		fz_paths_receive(p->paths, p->net->now, &p->socket, from, pkt, &rx);
	if (v == FZ_PATHS_WIREGUARD)
		peer_wireguard(p, &rx);
}

static void peer_send(struct net_peer *p, const struct fz_addr *to, struct fz_bytes pkt)
{
	struct net *n = p->net;
	n->n_datagrams++;
	if (p->is_firewalled && to->port != FZ_TURN_PORT)
		return;
	if (p->box && p->other->box == p->box && fz_addr_equal(to, &p->other->socket)) {
		struct net_item *it = item_new(n, FZ_MILLISECONDS(1));
		it->from = p->socket;
		it->to = *to;
		it->peer = p->other; /* the LAN needs no routing */
		it->len = pkt.n;
		memcpy(it->bytes, pkt.p, pkt.n);
		return;
	}
	struct fz_addr from = p->socket;
	if (p->box) {
		struct net_mapping *m = map(n, p->box, &p->socket, to);
		m->used = n->now;
		remember(m, to);
		from = (struct fz_addr){ .ip = p->box->ip, .port = m->outside };
	}
	route(n, &from, to, pkt);
}

static void send_by(struct net_peer *p, const struct fz_way *way, struct fz_bytes pkt)
{
	uint8_t buf[sizeof(p->net->items[0].bytes)];
	size_t at = way->channel != 0 ? FZ_TURN_CHANNEL_HEADER : 0;
	CHECK(at + pkt.n <= sizeof(buf));
	if (way->channel != 0)
		fz_turn_channel_header(way->channel, (uint16_t)pkt.n, buf);
	memcpy(buf + at, pkt.p, pkt.n);
	peer_send(p, &way->remote, fz_bytes_of(buf, at + pkt.n));
	if (p->conn)
		fz_conn_sent(p->conn, p->net->now);
}

static void send_wireguard(struct net_peer *p, const struct fz_way *way, uint32_t type, size_t len)
{
	uint8_t buf[INIT_LEN] = { 0 };
	fz_le32_store(buf, type);
	send_by(p, way, fz_bytes_of(buf, len));
}

void net_send(struct net_peer *p, const struct fz_way *arrival, struct fz_bytes pkt)
{
	struct fz_way way = *arrival;
	if (p->conn)
		(void)!fz_conn_way(p->conn, &way);
	send_by(p, &way, pkt);
}

/* ---- the internet -------------------------------------------------------------------------------------------- */

static void from_relay(
	void *user, const struct fz_addr *from, const struct fz_addr *to, struct fz_bytes pkt)
{
	route(user, from, to, pkt);
}

static void route(
	struct net *n, const struct fz_addr *from, const struct fz_addr *to, struct fz_bytes pkt)
{
	bool is_relays = relay_at(n, &from->ip) || relay_at(n, &to->ip);
	if (n->is_direct_cut && !is_relays)
		return;
	if (test_rng_below(&n->rng, 100) < n->loss_percent)
		return;
	CHECK(pkt.n <= sizeof(n->items[0].bytes));
	uint64_t jitter = n->jitter.ns > 0 ? test_rng_below(&n->rng, n->jitter.ns) : 0;
	struct net_item *it = item_new(n, FZ_NANOSECONDS(n->delay.ns + jitter));
	it->from = *from;
	it->to = *to;
	it->len = pkt.n;
	memcpy(it->bytes, pkt.p, pkt.n);
}

static void into_box(struct net *n, struct net_box *b, const struct net_item *it)
{
	if (fz_ip_equal(&it->from.ip, &b->ip) && !b->has_hairpin)
		return;
	for (size_t i = 0; i < NET_MAPPINGS; i++) {
		struct net_mapping *m = &b->mappings[i];
		if (!is_alive(n, m) || m->outside != it->to.port || !passes(b, m, &it->from))
			continue;
		m->used = n->now;
		for (size_t k = 0; k < 2; k++) {
			struct net_peer *p = &n->peers[k];
			if (p->box == b && fz_addr_equal(&p->socket, &m->inside) &&
				(!p->is_firewalled || it->from.port == FZ_TURN_PORT))
				peer_receive(p, &it->from, fz_bytes_of(it->bytes, it->len));
		}
		return;
	}
}

static void arrive(struct net *n, const struct net_item *it)
{
	struct fz_bytes pkt = fz_bytes_of(it->bytes, it->len);
	struct sim_relay *r = relay_at(n, &it->to.ip);
	if (it->is_signal) {
		if (!it->peer->conn)
			return;
		if (it->is_withdrawal)
			fz_conn_remove_candidate(it->peer->conn, (const char *)it->bytes, n->now);
		else
			fz_conn_add_candidate(it->peer->conn, (const char *)it->bytes, n->now);
		return;
	}
	if (it->peer) {
		peer_receive(it->peer, &it->from, pkt);
		return;
	}
	if (r) {
		sim_relay_receive(r, n->now, &it->from, &it->to, pkt, from_relay, n);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		struct net_peer *p = &n->peers[i];
		if (n->boxes[i].kind != NET_PUBLIC && fz_ip_equal(&n->boxes[i].ip, &it->to.ip))
			into_box(n, &n->boxes[i], it);
		else if (!p->box && fz_addr_equal(&p->socket, &it->to) &&
			 (!p->is_firewalled || it->from.port == FZ_TURN_PORT))
			peer_receive(p, &it->from, pkt);
	}
}

/* ---- what a shell does --------------------------------------------------------------------------------------- */

static void signal_candidate(struct net_peer *p, const char *text, bool is_withdrawal)
{
	struct net_item *it = item_new(p->net, p->net->portal_delay);
	it->is_signal = true;
	it->is_withdrawal = is_withdrawal;
	it->peer = p->other;
	memcpy(it->bytes, text, strlen(text) + 1);
	*(is_withdrawal ? &p->n_withdrawn : &p->n_signalled) += 1;
}

static void take_way(struct net_peer *p)
{
	struct fz_way way;
	p->n_ways++;
	if (!p->conn || !fz_conn_way(p->conn, &way))
		return;
	p->way_at = p->net->now;
	if (p->wireguard)
		p->wireguard->way(p, &way);
	p->way_is_relayed = way.channel != 0 || relay_at(p->net, &way.remote.ip) != NULL;
}

static void take_events(struct net_peer *p)
{
	struct fz_paths_event e;
	while (fz_paths_take_event(p->paths, &e)) {
		switch (e.kind) {
		case FZ_PATHS_CANDIDATE: signal_candidate(p, e.text, false); break;
		case FZ_PATHS_CANDIDATE_GONE: signal_candidate(p, e.text, true); break;
		case FZ_PATHS_WAY: take_way(p); break;
		case FZ_PATHS_HANDSHAKE:
			p->n_handshakes++;
			p->next_init = p->net->now;
			if (p->wireguard)
				p->wireguard->handshake(p);
			break;
		case FZ_PATHS_FAILED:
			p->has_failed = true;
			p->failure = fz_conn_failure(e.conn);
			fz_paths_remove(p->paths, e.conn);
			p->conn = NULL;
			p->has_session = false;
			p->next_init = FZ_NEVER;
			break;
		case FZ_PATHS_NO_RELAYS: p->no_relays = true; break;
		}
	}
}

static void send_due(struct net_peer *p)
{
	struct net *n = p->net;
	struct fz_way way;
	if (!p->conn || !fz_conn_way(p->conn, &way))
		return;
	if (fz_time_reached(n->now, p->next_init)) {
		p->next_init = fz_time_add(n->now, FZ_SECONDS(5));
		send_wireguard(p, &way, 1, INIT_LEN);
	}
	if (p->has_session && p->has_traffic && fz_time_reached(n->now, p->next_data)) {
		p->next_data = fz_time_add(n->now, FZ_MILLISECONDS(100));
		p->n_sent++;
		fz_conn_packet(p->conn, n->now);
		send_wireguard(p, &way, 4, DATA_LEN);
	}
}

static void serve(struct net_peer *p)
{
	struct fz_paths_datagram d;
	for (unsigned budget = 2000; fz_paths_poll(p->paths, p->net->now, &d); budget--) {
		CHECK(budget > 0);
		peer_send(p, &d.remote, d.pkt);
	}
	take_events(p);
	if (p->wireguard)
		p->wireguard->serve(p);
	else
		send_due(p);
}

static fz_time next_instant(const struct net *n)
{
	fz_time at = FZ_NEVER;
	for (size_t i = 0; i < NET_IN_FLIGHT; i++) {
		if (n->items[i].in_use)
			at = fz_time_min(at, n->items[i].at);
	}
	for (size_t i = 0; i < 2; i++) {
		const struct net_peer *p = &n->peers[i];
		struct fz_way way;
		at = fz_time_min(at, fz_paths_deadline(p->paths));
		if (p->wireguard) {
			at = fz_time_min(at, p->wireguard->deadline(p));
			continue;
		}
		if (!p->conn || !fz_conn_way(p->conn, &way))
			continue;
		at = fz_time_min(at, p->next_init);
		if (p->has_session && p->has_traffic)
			at = fz_time_min(at, p->next_data);
	}
	return at;
}

static void deliver_due(struct net *n)
{
	for (size_t i = 0; i < NET_IN_FLIGHT; i++) {
		if (!n->items[i].in_use || !fz_time_reached(n->now, n->items[i].at))
			continue;
		struct net_item it = n->items[i];
		n->items[i].in_use = false;
		arrive(n, &it);
	}
}

bool net_run(struct net *n, fz_dur length, bool (*done)(const struct net *n))
{
	fz_time until = fz_time_add(n->now, length);
	unsigned n_still = 0;
	for (;;) {
		if (done && done(n))
			return true;
		fz_time at = next_instant(n);
		if (at.ns > until.ns)
			break;
		n_still = at.ns > n->now.ns ? 0 : n_still + 1;
		CHECK(n_still < 1000); /* a deadline that passes must lead to something */
		n->now.ns = at.ns > n->now.ns ? at.ns : n->now.ns;
		deliver_due(n);
		serve(&n->peers[0]);
		serve(&n->peers[1]);
	}
	n->now = until;
	return false;
}

/* ---- set-up -------------------------------------------------------------------------------------------------- */

static void peer_place(struct net *n, size_t i, const struct net_options *o)
{
	struct net_peer *p = &n->peers[i];
	size_t box = o->is_one_lan ? 0 : i;
	enum net_nat kind = o->nats[box];
	p->net = n;
	p->other = &n->peers[1 - i];
	p->is_firewalled = o->is_firewalled[i];
	p->has_traffic = true;
	p->next_init = FZ_NEVER;
	p->socket.port = 52625;
	p->socket.ip = kind == NET_PUBLIC ? fz_ip4(203, 0, 113, (uint8_t)(10 + i))
					  : fz_ip4(192, 168, (uint8_t)(1 + box), (uint8_t)(10 + i));
	if (o->is_ip6) {
		uint8_t ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)(10 + i) };
		p->socket.ip = fz_ip_of(FZ_IP6, ip6);
	}
	n->boxes[i].kind = o->is_one_lan && i == 1 ? NET_PUBLIC : o->nats[i];
	n->boxes[i].has_hairpin = o->has_hairpin;
	n->boxes[i].ip = fz_ip4(198, 51, 100, (uint8_t)(10 + i));
	n->boxes[i].next_port = (uint16_t)(20000 + 1000 * i);
	p->box = kind == NET_PUBLIC ? NULL : &n->boxes[box];
	struct fz_paths_params pp = {
		.random = random_bytes, .user = n, .is_gateway = o->has_gateway && i == 1
	};
	p->paths = fz_paths_new(&pp);
	CHECK(p->paths);
}

static void peer_set_relays(struct net_peer *p)
{
	struct net *n = p->net;
	for (uint32_t i = 0; i < n->n_relays; i++) {
		char id[8] = { 'r', (char)('0' + i) },
		     user[8] = { 'u', (char)('0' + (p != n->peers)) };
		struct fz_paths_relay r = { .id = id, .username = user, .password = "secret" };
		*(n->relays[i].addr.ip.family == FZ_IP4 ? &r.v4 : &r.v6) = n->relays[i].addr;
		CHECK_INT(fz_paths_set_relay(p->paths, &r, n->now), 0);
	}
}

struct net *net_new(const struct net_options *o)
{
	struct net *n = calloc(1, sizeof(*n));
	CHECK(n);
	n->now = (fz_time){ 1'000'000'000 };
	n->seed = o->seed;
	n->rng.s = o->seed;
	n->delay = FZ_MILLISECONDS(10);
	n->jitter = FZ_MILLISECONDS(10);
	n->portal_delay = FZ_MILLISECONDS(10);
	n->n_relays = o->n_relays == 0 ? 1 : o->n_relays;
	for (uint32_t i = 0; i < n->n_relays; i++) {
		uint8_t ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)(1 + i) };
		n->relays[i].addr.ip =
			o->is_ip6 ? fz_ip_of(FZ_IP6, ip6) : fz_ip4(192, 0, 2, (uint8_t)(1 + i));
		n->relays[i].addr.port = FZ_TURN_PORT;
		n->relays[i].password = "secret";
		n->relays[i].rng = o->seed + i;
	}
	for (size_t i = 0; i < 2; i++) {
		peer_place(n, i, o);
		peer_set_relays(&n->peers[i]);
	}
	net_run(n, FZ_SECONDS(5), NULL);
	n->loss_percent = o->loss_percent;
	return n;
}

void net_free(struct net *n)
{
	for (size_t i = 0; i < 2; i++)
		fz_paths_free(n->peers[i].paths);
	free(n);
}

void net_connect(struct net *n)
{
	static const struct fz_ice_credentials creds[2] = {
		{ "abcd", "0123456789abcdefghijkl" },
		{ "efgh", "lkjihgfedcba9876543210" },
	};
	static const uint8_t public_key[FZ_KEY_LEN];
	static const struct fz_key psk;
	/* The controlled side hears first, as the portal does it. */
	for (size_t k = 0; k < 2; k++) {
		size_t i = 1 - k;
		struct net_peer *p = &n->peers[i];
		struct fz_conn_params cp = { .id = i == 0 ? "gateway" : "client",
			.is_controlling = i == 0,
			.local = &creds[i],
			.remote = &creds[1 - i],
			.public_key = public_key,
			.preshared_key = &psk };
		int r = fz_paths_upsert(p->paths, &cp, n->now, &p->conn);
		if (r < 0)
			TEST_FAIL("upsert of peer %zu: %d (seed %" PRIu64 ")", i, r, n->seed);
		p->has_failed = false;
	}
}

void net_roam(struct net *n, struct net_peer *p)
{
	p->socket.port++;
	p->socket.ip.b[3] = (uint8_t)(p->socket.ip.b[3] + 100);
	p->conn = NULL;
	p->has_session = false;
	p->next_init = FZ_NEVER;
	if (p->box) {
		p->box->ip.b[3] = (uint8_t)(p->box->ip.b[3] + 100);
		memset(p->box->mappings, 0, sizeof(p->box->mappings));
	}
	fz_paths_reset(p->paths, n->now);
}

bool net_has_session(const struct net *n)
{
	return n->peers[0].has_session && n->peers[1].has_session;
}

bool net_is_direct(const struct net *n)
{
	struct fz_way w[2];
	for (size_t i = 0; i < 2; i++) {
		if (!n->peers[i].conn || !fz_conn_way(n->peers[i].conn, &w[i]) ||
			n->peers[i].way_is_relayed)
			return false;
	}
	return true;
}
