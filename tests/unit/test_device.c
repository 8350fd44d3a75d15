/* Two devices and a wire: sessions come up, data crosses, and each counts what it should. */
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
