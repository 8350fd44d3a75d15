/* Two devices and a wire: sessions come up, data crosses, and each counts what it should. */
#include "base/endian.h"
#include "sim/engine.h"
#include "wg/device.h"

TEST(device, two_devices_shake_hands_and_exchange_packets)
{
	struct sim_pair *p = sim_pair_new(1);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_STAGE);
	CHECK_UINT(p->n_got_b, 1);
	CHECK_UINT(p->last_inner_len, 84);
	CHECK(p->last_owner == p->peer_a);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK_UINT(p->n_got_a, 1);
	CHECK_UINT(p->n_sent_a, 2); /* initiation, data: no keepalive when data confirms */
	CHECK_UINT(p->n_sent_b, 2);
	sim_pair_free(p);
}

TEST(device, ten_pings_count_as_the_kernel_counts_them)
{
	struct sim_pair *p = sim_pair_new(2);
	for (int i = 0; i < 10; i++) {
		(void)sim_pair_ping(p, true, 64);
		CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	}
	struct wg_peer_stats stats;
	wg_peer_stats(p->peer_b, p->now.at, &stats);
	CHECK_UINT(stats.rx_bytes, 1372);
	CHECK_UINT(stats.tx_bytes, 1428);
	CHECK_INT(stats.last_handshake.ns, p->now.wall.ns);
	CHECK(stats.has_session);
	wg_peer_stats(p->peer_a, p->now.at, &stats);
	CHECK_UINT(stats.rx_bytes, 1428);
	CHECK_UINT(stats.tx_bytes, 1372);
	sim_pair_free(p);
}

/* A datagram from port `from` of 10.0.0.1 to port `to` of 10.0.0.2. */
static size_t write_udp(uint8_t *out, size_t cap, uint16_t from, uint16_t to)
{
	size_t n = sim_write_ip4(fz_span_of(out, cap), 1, 2, 40, 0);
	out[9] = 17;
	fz_be16_store(out + 20, from);
	fz_be16_store(out + 22, to);
	return n;
}

TEST(device, its_own_datagrams_do_not_go_round_through_the_peer_they_are_for)
{
	struct sim_pair *p = sim_pair_new(3);
	uint8_t pkt[128];
	(void)sim_pair_ping(p, true, 64);
	/* A route leads to the peer's endpoint through the tunnel. */
	struct fz_addr inside = { .ip = fz_ip4(10, 0, 0, 2), .port = 51820 };
	wg_peer_set_endpoint(p->peer_b, &inside);
	size_t n = write_udp(pkt, sizeof(pkt), 40000, 51820);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(pkt, n)), WG_KEEP); /* port unknown */
	wg_device_set_port(p->a.device, 40000);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(pkt, n)), WG_DROP_LOOP);
	CHECK_UINT(wg_device_drops(p->a.device)[WG_DROP_LOOP], 1);
	/* A tunnel within the tunnel, another service at the peer's, and TCP go through. */
	n = write_udp(pkt, sizeof(pkt), 40001, 51820);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(pkt, n)), WG_KEEP);
	n = write_udp(pkt, sizeof(pkt), 40000, 51821);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(pkt, n)), WG_KEEP);
	n = write_udp(pkt, sizeof(pkt), 40000, 51820);
	pkt[9] = 6;
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(pkt, n)), WG_KEEP);
	sim_pair_free(p);
}
