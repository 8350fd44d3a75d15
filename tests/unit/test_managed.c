/* Managed peers (Firezone's connections): the owner decides where they are, not what arrives. Protocol 3.3. */
#include "sim/engine.h"

static struct sim_pair *managed(uint64_t seed)
{
	struct sim_pair *p = sim_pair_new(seed);
	wg_peer_set_managed(p->peer_b, 4);
	wg_peer_set_managed(p->peer_a, 4);
	return p;
}

static struct fz_addr remote_of(const struct wg_peer *p)
{
	struct wg_endpoint ep;
	CHECK(wg_peer_endpoint(p, &ep));
	return ep.remote;
}

TEST(managed, a_handshake_is_given_up_after_twenty_seconds)
{
	struct sim_pair *p = managed(1);
	fz_time start = p->now.at;
	enum wg_event_kind kind;
	struct wg_peer *peer;
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	while (!wg_device_take_event(p->a.device, &kind, &peer))
		sim_pair_wait_unplugged(p, FZ_MILLISECONDS(500));
	CHECK_INT(kind, WG_EVENT_HANDSHAKE_GAVE_UP);
	CHECK(peer == p->peer_b);
	CHECK_UINT(p->n_sent_a, 4);
	uint64_t took = fz_dur_ms(fz_time_since(p->now.at, start));
	CHECK(took >= 20'000 && took < 22'000);
	sim_pair_free(p);
}

TEST(managed, nothing_that_arrives_moves_a_peer_off_its_way)
{
	struct sim_pair *p = managed(2);
	struct wg_endpoint way = { .remote = p->b.addr, .local = p->a.addr.ip, .channel = 0x4001 };
	wg_peer_set_way(p->peer_b, &way);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_pump(p);
	struct sim_datagram d;
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	d = sim_pair_take(p, p->n - 1);
	d.from.port = 99;
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
	struct wg_endpoint ep;
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK(fz_addr_equal(&ep.remote, &way.remote));
	CHECK_UINT(ep.channel, 0x4001);
	/* Nor does doubt about the source: it is a part of the way. */
	wg_device_clear_sources(p->a.device);
	CHECK(wg_peer_endpoint(p->peer_b, &ep) && fz_ip_equal(&ep.local, &way.local));
	sim_pair_free(p);
}

TEST(managed, without_a_way_a_proven_handshake_shows_where_the_peer_is_and_data_does_not)
{
	struct sim_pair *p = managed(3);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	struct sim_datagram d = sim_pair_take(p, 0);
	d.from.port = 1001;
	(void)sim_engine_receive(&p->b, p->now, &d);
	sim_pair_poll(p);
	CHECK_UINT(remote_of(p->peer_a).port, 1001);
	d = sim_pair_take(p, 0);
	CHECK_UINT(d.to.port, 1001);
	(void)sim_engine_receive(&p->a, p->now, &d);
	sim_pair_poll(p);
	d = sim_pair_take(p, 0);
	d.from.port = 1003;
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_DROP_KEEPALIVE);
	CHECK_UINT(remote_of(p->peer_a).port, 1001);
	sim_pair_free(p);
}

TEST(managed, any_inner_source_is_accepted)
{
	struct sim_pair *p = managed(4);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_pump(p);
	wg_peer_clear_allowed_ips(p->peer_a);
	struct wg_tx_claim c;
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 77, 2, 20, 0);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	struct sim_datagram d = sim_pair_take(p, p->n - 1);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_KEEP);
	/* And the other way its owner names the peer: no allowed-IP leads to it. */
	CHECK_INT(wg_tx_claim(p->b.device, p->now, fz_bytes_of(inner, n), 1, &c), WG_DROP_NO_PEER);
	CHECK_INT(wg_tx_claim_peer(p->peer_a, p->now, fz_bytes_of(inner, n), 1, &c), WG_KEEP);
	wg_tx_sent(p->b.device, p->now, &c, 0, false, true);
	sim_pair_free(p);
}

TEST(managed, what_waits_goes_out_as_soon_as_there_is_a_way)
{
	struct sim_pair *p = managed(5);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_pump(p);
	struct fz_addr nowhere = { 0 };
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	wg_peer_set_endpoint(p->peer_b, &nowhere);
	wg_tx_stage(p->a.device, p->peer_b, fz_bytes_of(inner, n), p->now);
	sim_pair_pump(p);
	CHECK_UINT(p->n_got_b, 0);
	struct wg_endpoint way = { .remote = p->b.addr };
	wg_peer_set_way(p->peer_b, &way);
	sim_pair_pump(p);
	CHECK_UINT(p->n_got_b, 1);
	sim_pair_free(p);
}
