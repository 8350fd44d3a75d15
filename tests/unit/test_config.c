/* Peers and settings: what may be added, what moves, what sending says about it. And the cost of many, and of no memory. */
#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "sim/engine.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

static void key_number(uint32_t i, uint8_t pub[static 32])
{
	memset(pub, 0, 32);
	memcpy(pub, &i, sizeof(i));
	pub[31] = 1;
}

TEST(config, our_own_key_is_no_peer)
{
	struct sim_pair *p = sim_pair_new(1);
	struct wg_peer *peer = NULL;
	CHECK_INT(wg_device_add_peer(p->a.device, p->a.public, &peer), -EADDRINUSE);
	CHECK_INT(wg_device_add_peer(p->a.device, p->b.public, &peer), -EEXIST);
	CHECK(peer == NULL);
	/* a becomes b: the peer with that key goes. */
	wg_device_set_private_key(p->a.device, &p->b.private, p->now);
	CHECK_UINT(wg_device_n_peers(p->a.device), 0);
	CHECK(wg_device_find_peer(p->a.device, p->b.public) == NULL);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_NO_PEER);
	sim_pair_free(p);
}

TEST(config, zeros_take_the_identity_away)
{
	struct sim_pair *p = sim_pair_new(2);
	struct fz_key k = { 0 };
	uint8_t pub[32];
	CHECK(wg_device_private_key(p->a.device, &k));
	CHECK(wg_device_public_key(p->a.device, pub));
	memset(&k, 0, sizeof(k));
	wg_device_set_private_key(p->a.device, &k, p->now);
	CHECK(!wg_device_private_key(p->a.device, &k));
	CHECK(!wg_device_public_key(p->a.device, pub));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_DOWN);
	sim_pair_free(p);
}

TEST(config, peers_are_listed_as_they_were_added)
{
	struct sim_pair *p = sim_pair_new(3);
	uint8_t pub[32];
	wg_device_remove_all_peers(p->a.device);
	for (uint32_t i = 0; i < 100; i++) {
		struct wg_peer *peer;
		key_number(i, pub);
		CHECK_INT(wg_device_add_peer(p->a.device, pub, &peer), 0);
	}
	key_number(50, pub);
	wg_device_remove_peer(p->a.device, wg_device_find_peer(p->a.device, pub));
	uint32_t i = 0;
	for (struct wg_peer *peer = wg_device_next_peer(p->a.device, NULL); peer;
		peer = wg_device_next_peer(p->a.device, peer), i++) {
		i += i == 50;
		key_number(i, pub);
		CHECK_MEM(wg_peer_public_key(peer), pub, 32);
		CHECK(wg_device_find_peer(p->a.device, pub) == peer);
	}
	CHECK_UINT(i, 100);
	CHECK_UINT(wg_device_n_peers(p->a.device), 99);
	sim_pair_free(p);
}

TEST(config, the_number_of_peers_is_bounded)
{
	struct test_rng rng = { 4 };
	struct wg_device_params params = { .random = NULL, .user = &rng, .max_peers = 3 };
	struct sim_pair *p = sim_pair_new(4);
	params.random = p->a.device->params.random;
	struct wg_device *d = wg_device_new(&params);
	CHECK(d != NULL);
	for (uint32_t i = 0; i < 4; i++) {
		uint8_t pub[32];
		struct wg_peer *peer;
		key_number(i, pub);
		CHECK_INT(wg_device_add_peer(d, pub, &peer), i < 3 ? 0 : FZ_ERR_LIMIT);
	}
	wg_device_free(d);
	sim_pair_free(p);
}

TEST(config, a_packet_without_peer_or_endpoint_is_counted_so)
{
	struct sim_pair *p = sim_pair_new(5);
	struct wg_tx_claim c;
	uint8_t b[64];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 1, 9, 20, 0);
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(b, n), 7, &c), WG_DROP_NO_PEER);
	CHECK_UINT(wg_device_drops(p->a.device)[WG_DROP_NO_PEER], 7);
	struct wg_peer *peer;
	uint8_t pub[32];
	struct fz_prefix nine = { .ip = fz_ip4(10, 0, 0, 9), .bits = 32 };
	key_number(1, pub);
	CHECK_INT(wg_device_add_peer(p->a.device, pub, &peer), 0);
	CHECK_INT(wg_peer_add_allowed_ip(peer, &nine), 0);
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(b, n), 2, &c), WG_DROP_NO_ENDPOINT);
	struct wg_endpoint ep;
	CHECK(!wg_peer_endpoint(peer, &ep));
	b[0] = 0x10;
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(b, n), 3, &c), WG_DROP_TX_INVALID);
	CHECK_UINT(wg_device_drops(p->a.device)[WG_DROP_TX_INVALID], 3);
	sim_pair_free(p);
}

TEST(config, a_known_peer_needs_no_route)
{
	struct sim_pair *p = sim_pair_new(6);
	struct wg_tx_claim c;
	uint8_t b[64];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 1, 99, 20, 0);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_STAGE);
	CHECK_INT(wg_tx_claim_peer(p->peer_b, p->now, fz_bytes_of(b, n), 3, &c), WG_KEEP);
	CHECK(c.peer == p->peer_b);
	uint64_t next = p->peer_b->current->send_counter;
	CHECK_UINT(c.counter + 3, next);
	wg_tx_sent(p->a.device, p->now, &c, 0, true, true);
	sim_pair_free(p);
}

TEST(config, padding_fills_sixteen_but_not_the_mtu)
{
	static const struct {
		uint32_t mtu, len, want;
	} cases[] = { { 0, 0, 0 }, { 0, 1, 15 }, { 0, 16, 0 }, { 0, 1419, 5 }, { 1420, 84, 12 },
		{ 1420, 1408, 0 }, { 1420, 1409, 11 }, { 1420, 1410, 10 }, { 1420, 1416, 4 },
		{ 1420, 1417, 3 }, { 1420, 1420, 0 }, { 1299, 1297, 2 }, { 1420, 1421, 15 },
		{ 1420, 2840, 0 }, { 1420, 2830, 10 }, { 1, 1, 0 }, { 15, 3, 12 } };
	struct sim_pair *p = sim_pair_new(7);
	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		wg_device_set_mtu(p->a.device, cases[i].mtu);
		CHECK_UINT(wg_tx_padding(p->a.device, cases[i].len), cases[i].want);
	}
	sim_pair_free(p);
}

TEST(config, staged_packets_leave_in_order_when_the_session_is_up)
{
	struct sim_pair *p = sim_pair_new(8);
	uint8_t b[256];
	for (uint64_t i = 1; i <= 200; i++) {
		size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 1, 2, 100, i);
		CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(b, n)), WG_DROP_STAGE);
	}
	CHECK_UINT(wg_device_drops(p->a.device)[WG_DROP_STAGE_FULL], 72);
	sim_pair_pump(p);
	CHECK_UINT(p->n_got_b, 128);
	CHECK_UINT(sim_mark_of(fz_bytes_of(p->last_inner, p->last_inner_len)), 200);
	sim_pair_free(p);
}

TEST(config, nothing_overtakes_a_packet_that_waits)
{
	struct sim_pair *p = sim_pair_new(9);
	(void)sim_pair_ping(p, true, 64);
	uint8_t b[256];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 1, 2, 100, 41);
	wg_tx_stage(p->a.device, p->peer_b, fz_bytes_of(b, n), p->now);
	n = sim_write_ip4(fz_span_of(b, sizeof(b)), 1, 2, 100, 42);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(b, n)), WG_DROP_STAGE);
	CHECK_UINT(wg_device_deadline(p->a.device).ns, 0);
	sim_pair_pump(p);
	CHECK_UINT(p->n_got_b, 3);
	CHECK_UINT(sim_mark_of(fz_bytes_of(p->last_inner, p->last_inner_len)), 42);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(b, n)), WG_KEEP);
	sim_pair_free(p);
}

TEST(config, a_new_endpoint_is_tried_at_once_for_what_waits)
{
	struct sim_pair *p = sim_pair_new(14);
	struct fz_addr nowhere = sim_addr(77, 1);
	wg_peer_set_endpoint(p->peer_b, &nowhere);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_STAGE);
	sim_pair_wait(p, FZ_SECONDS(7));
	CHECK_UINT(p->n_got_b, 0);
	p->peer_b->initiation_allowed = (fz_time){ 0 };
	wg_peer_set_endpoint(p->peer_b, &p->b.addr);
	sim_pair_pump(p);
	CHECK_UINT(p->n_got_b, 1);
	sim_pair_free(p);
}

TEST(config, a_keepalive_waits_for_an_endpoint)
{
	struct sim_pair *p = sim_pair_new(15);
	wg_device_remove_peer(p->a.device, p->peer_b);
	p->peer_b = sim_engine_add(&p->a, &p->b, 2, NULL);
	wg_peer_set_keepalive(p->peer_b, 10, p->now);
	sim_pair_wait(p, FZ_SECONDS(60));
	CHECK_UINT(p->n_sent_a, 0);
	wg_peer_set_endpoint(p->peer_b, &p->b.addr);
	sim_pair_pump(p);
	CHECK(p->peer_b->current != NULL);
	sim_pair_free(p);
}

TEST(config, events_of_a_removed_peer_are_taken_back)
{
	struct sim_pair *p = sim_pair_new(10);
	enum wg_event_kind kind;
	struct wg_peer *peer;
	(void)sim_pair_ping(p, true, 64);
	CHECK(wg_device_take_event(p->b.device, &kind, &peer));
	CHECK_INT(kind, WG_EVENT_SESSION_UP);
	CHECK(peer == p->peer_a);
	CHECK(!wg_device_take_event(p->b.device, &kind, &peer));
	wg_device_remove_peer(p->a.device, p->peer_b);
	CHECK(!wg_device_take_event(p->a.device, &kind, &peer));
	for (int i = 0; i < 3000; i++)
		wg_device_tell(p->b.device, WG_EVENT_ENDPOINT_MOVED, p->peer_a);
	int n = 0;
	while (wg_device_take_event(p->b.device, &kind, &peer))
		n++;
	CHECK_INT(n, 1024);
	sim_pair_free(p);
}

static long resident_kib(void)
{
	long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	CHECK(f != NULL);
	CHECK_INT(fscanf(f, "%ld %ld", &pages, &resident), 2);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

TEST(config, ten_thousand_peers_are_small_and_sleep)
{
	struct sim_pair *p = sim_pair_new(11);
	long before = resident_kib();
	for (uint32_t i = 0; i < 10000; i++) {
		struct wg_peer *peer;
		uint8_t pub[32];
		struct fz_addr at = sim_addr(7, (uint16_t)i);
		key_number(i, pub);
		CHECK_INT(wg_device_add_peer(p->a.device, pub, &peer), 0);
		wg_peer_set_endpoint(peer, &at);
		for (uint8_t j = 0; j < 3; j++) {
			struct fz_prefix net = { .ip = fz_ip4((uint8_t)(20 + j), (uint8_t)(i >> 8),
							 (uint8_t)i, 0),
				.bits = 24 };
			CHECK_INT(wg_peer_add_allowed_ip(peer, &net), 0);
		}
	}
	CHECK(fz_time_is_never(wg_device_deadline(p->a.device)));
	long used = resident_kib() - before;
	printf("10,000 peers with three prefixes each: %ld KiB\n", used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(FZ_NO_POOL)
	CHECK(used < 32 * 1024);
#endif
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_STAGE);
	CHECK_UINT(p->n_got_b, 1);
	sim_pair_free(p);
}

/* ---- every allocation fails once ---- */

/* Makes a device, peers and a session, sends; true if every allocation of it was made. Nothing may leak or crash. */
static bool live_through(unsigned long fail_at)
{
	struct sim_pair *p = sim_pair_new(12);
	struct wg_device_params params = p->a.device->params;
	fz_fail_at(fail_at);
	struct wg_device *d = wg_device_new(&params);
	bool complete = d != NULL;
	for (uint32_t i = 0; d && i < 40; i++) {
		uint8_t pub[32];
		struct wg_peer *peer;
		key_number(i, pub);
		if (wg_device_add_peer(d, pub, &peer) < 0) {
			complete = false;
			CHECK(wg_device_find_peer(d, pub) == NULL);
			continue;
		}
		struct fz_prefix net = { .ip = fz_ip4(10, 0, 0, (uint8_t)(i * 4)), .bits = 29 };
		if (wg_peer_add_allowed_ip(peer, &net) < 0)
			complete = false;
	}
	wg_device_free(d);
	fz_fail_at(0);
	sim_pair_free(p);
	return complete;
}

TEST(faults, a_device_that_cannot_be_had_is_not_half_there)
{
	unsigned long n = 1;
	while (!live_through(n))
		n++;
	printf("%lu allocations failed in turn\n", n - 1);
	CHECK(n > 10);
}

/* A handshake in which one allocation fails; the tunnel must come up all the same, by a retry if need be. */
static void shake_hands_failing_at(unsigned long n)
{
	struct sim_pair *p = sim_pair_new(13);
	fz_fail_at(n);
	(void)sim_pair_ping(p, true, 64);
	fz_fail_at(0);
	sim_pair_wait(p, FZ_SECONDS(20));
	(void)sim_pair_ping(p, true, 64);
	CHECK(p->n_got_b >= 1);
	CHECK(p->peer_b->current != NULL);
	sim_pair_free(p);
}

TEST(faults, a_handshake_without_memory_is_made_up_for)
{
	for (unsigned long n = 1; n < 40; n++)
		shake_hands_failing_at(n);
}
