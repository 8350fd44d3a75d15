/* What comes from the network: malformed datagrams, wrong sources, roaming, ECN, trains of several sessions. */
#include "base/endian.h"
#include "sim/engine.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

static struct sim_pair *connected(uint64_t seed)
{
	struct sim_pair *p = sim_pair_new(seed);
	(void)sim_pair_ping(p, true, 64);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	return p;
}

static struct sim_datagram raw(struct sim_pair *p, uint32_t type, size_t len)
{
	struct sim_datagram d = { .from = p->b.addr, .to = p->a.addr, .len = len };
	if (len >= 4)
		fz_le32_store(d.bytes, type);
	return d;
}

static struct sim_datagram sealed_from_b(struct sim_pair *p, struct fz_bytes inner)
{
	CHECK_INT(sim_engine_send(&p->b, p->now, inner), WG_KEEP);
	return sim_pair_take(p, p->n - 1);
}

/* Any bytes as an inner packet: claimed for a good one, sealed with others inside. */
static struct sim_datagram sealed_bytes(struct sim_pair *p, struct fz_bytes plain)
{
	uint8_t good[64];
	struct wg_tx_claim c;
	size_t n = sim_write_ip4(fz_span_of(good, sizeof(good)), 2, 1, 20, 0);
	CHECK_INT(wg_tx_claim(p->b.device, p->now, fz_bytes_of(good, n), 1, &c), WG_KEEP);
	struct sim_datagram d = { .from = p->b.addr, .to = p->a.addr, .len = plain.n + 32 };
	wg_tx_header(&c, 0, d.bytes);
	if (plain.n > 0)
		memcpy(d.bytes + 16, plain.p, plain.n);
	struct fz_aead_job job = { .key = c.key,
		.counter = c.counter,
		.src = d.bytes + 16,
		.dst = d.bytes + 16,
		.tag = d.bytes + 16 + plain.n,
		.len = (uint32_t)plain.n };
	fz_aead_seal_many(p->b.aead, &job, 1);
	wg_tx_sent(p->b.device, p->now, &c, d.len, true, true);
	return d;
}

TEST(receive, malformed_datagrams_are_counted_and_never_answered)
{
	static const struct {
		uint32_t type;
		size_t len;
		enum wg_drop want;
	} cases[] = {
		{ 0, 0, WG_DROP_SHORT },
		{ 1, 3, WG_DROP_SHORT },
		{ 0, 32, WG_DROP_TYPE },
		{ 5, 148, WG_DROP_TYPE },
		{ 0x101, 148, WG_DROP_TYPE },
		{ 0x80000004, 64, WG_DROP_TYPE },
		{ 1, 147, WG_DROP_SHORT },
		{ 1, 149, WG_DROP_TYPE },
		{ 2, 91, WG_DROP_SHORT },
		{ 2, 93, WG_DROP_TYPE },
		{ 3, 63, WG_DROP_SHORT },
		{ 3, 65, WG_DROP_TYPE },
		{ 4, 31, WG_DROP_SHORT },
		{ 4, 4, WG_DROP_SHORT },
		{ 4, 32, WG_DROP_INDEX },
		{ 1, 148, WG_DROP_MAC1 },
		{ 2, 92, WG_DROP_MAC1 },
		{ 3, 64, WG_DROP_COOKIE_INVALID },
	};
	struct sim_pair *p = connected(1);
	uint32_t sent = p->n_sent_a;
	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		struct sim_datagram d = raw(p, cases[i].type, cases[i].len);
		uint64_t before = wg_device_drops(p->a.device)[cases[i].want];
		if (sim_engine_receive(&p->a, p->now, &d) != cases[i].want)
			TEST_FAIL("case %zu", i);
		CHECK_UINT(wg_device_drops(p->a.device)[cases[i].want], before + 1);
	}
	sim_pair_poll(p);
	CHECK_UINT(p->n_sent_a, sent);
	sim_pair_free(p);
}

TEST(receive, a_forged_packet_changes_nothing)
{
	struct sim_pair *p = connected(2);
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	struct sim_datagram d = sealed_from_b(p, fz_bytes_of(inner, n)), forged;
	struct fz_addr elsewhere = sim_addr(99, 99);
	struct wg_endpoint ep;
	for (size_t i = 8; i < d.len; i += 3) {
		forged = d;
		forged.bytes[i] ^= 4;
		forged.from = elsewhere;
		CHECK_INT(sim_engine_receive(&p->a, p->now, &forged), WG_DROP_AUTH);
	}
	CHECK(wg_peer_endpoint(p->peer_b, &ep) && fz_addr_equal(&ep.remote, &d.from));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_DROP_REPLAY);
	sim_pair_free(p);
}

TEST(receive, inner_packets_must_be_ip_and_tell_their_length_truly)
{
	struct sim_pair *p = connected(3);
	uint8_t b[200];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 2, 1, 20, 0);
	uint64_t rx = p->peer_b->rx_bytes;
	struct sim_datagram d;

	static const struct {
		size_t at;
		uint8_t to;
	} lies[] = { { 0, 0x55 }, { 0, 0 }, { 3, 41 }, { 2, 1 }, { 3, 19 }, { 3, 0 } };

	for (size_t i = 0; i < FZ_ARRAY_LEN(lies); i++) {
		uint8_t copy[200];
		memcpy(copy, b, n);
		copy[lies[i].at] = lies[i].to;
		d = sealed_bytes(p, fz_bytes_of(copy, n));
		CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_DROP_INNER_INVALID);
	}
	d = sealed_bytes(p, fz_bytes_of(b, 19));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_DROP_INNER_INVALID);
	CHECK_UINT(p->peer_b->rx_bytes, rx); /* counted only when delivered */
	size_t n6 = sim_write_ip6(fz_span_of(b, sizeof(b)), 2, 1, 20, 0);
	d = sealed_bytes(p, fz_bytes_of(b, n6));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
	fz_be16_store(b + 4, 65496); /* 40 more would not fit 16 bits */
	d = sealed_bytes(p, fz_bytes_of(b, n6));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_DROP_INNER_INVALID);
	d = sealed_bytes(p, fz_bytes_of(b, 39));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_DROP_INNER_INVALID);
	sim_pair_free(p);
}

TEST(receive, padding_is_cut_off_and_none_is_required)
{
	struct sim_pair *p = connected(4);
	uint8_t b[200] = { 0 };
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 2, 1, 21, 0);
	memset(b + n, 0, sizeof(b) - n);
	for (size_t padded = n; padded < n + 40; padded++) {
		struct sim_datagram d = sealed_bytes(p, fz_bytes_of(b, padded));
		CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
		CHECK_UINT(p->last_inner_len, n);
	}
	sim_pair_free(p);
}

TEST(receive, a_source_owned_by_another_peer_is_refused_but_moves_the_endpoint)
{
	struct sim_pair *p = connected(5);
	struct wg_peer *other;
	static const uint8_t pub[32] = { 77 };
	struct fz_prefix wide = { .ip = fz_ip4(10, 1, 0, 0), .bits = 16 },
			 narrow = { .ip = fz_ip4(10, 1, 2, 0), .bits = 24 };
	CHECK_INT(wg_device_add_peer(p->a.device, pub, &other), 0);
	CHECK_INT(wg_peer_add_allowed_ip(p->peer_b, &wide), 0);
	CHECK_INT(wg_peer_add_allowed_ip(other, &narrow), 0);
	uint8_t b[64];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 2, 1, 20, 0);

	const struct {
		uint32_t source;
		enum wg_drop want;
	} cases[] = { { 0x0a010101, WG_KEEP }, { 0x0a010203, WG_DROP_SOURCE },
		{ 0x0a010301, WG_KEEP }, { 0x0b000001, WG_DROP_SOURCE } };

	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		fz_be32_store(b + 12, cases[i].source);
		struct sim_datagram d = sealed_bytes(p, fz_bytes_of(b, n));
		d.from.port = (uint16_t)(2000 + i);
		CHECK_INT(sim_engine_receive(&p->a, p->now, &d), cases[i].want);
		struct wg_endpoint ep;
		CHECK(wg_peer_endpoint(p->peer_b, &ep));
		CHECK_UINT(ep.remote.port, 2000 + i);
	}
	sim_pair_free(p);
}

static uint16_t port_of(const struct wg_peer *p)
{
	struct wg_endpoint ep;
	CHECK(wg_peer_endpoint(p, &ep));
	return ep.remote.port;
}

TEST(receive, handshakes_and_data_move_the_endpoint_and_cookies_do_not)
{
	struct sim_pair *p = sim_pair_new(6);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	struct sim_datagram d = sim_pair_take(p, 0);
	d.from.port = 1001;
	(void)sim_engine_receive(&p->b, p->now, &d);
	sim_pair_poll(p);
	CHECK_UINT(port_of(p->peer_a), 1001);
	d = sim_pair_take(p, 0);
	CHECK_UINT(d.to.port, 1001);
	d.from.port = 1002;
	(void)sim_engine_receive(&p->a, p->now, &d);
	sim_pair_poll(p);
	CHECK_UINT(port_of(p->peer_b), 1002);
	d = sim_pair_take(p, 0);
	d.from.port = 1003;
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_DROP_KEEPALIVE);
	CHECK_UINT(port_of(p->peer_a), 1003);
	/* A true cookie reply from somewhere else. */
	sim_pair_wait(p, FZ_SECONDS(6));
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	d = sim_pair_take(p, p->n - 1);
	CHECK_UINT(sim_type_of(&d), 1);
	struct wg_msg_cookie reply;
	static const uint8_t nonce[24];
	struct fz_addr elsewhere = sim_addr(9, 9);
	wg_cookie_write_reply(
		&p->b.device->secret->checker, nonce, fz_bytes_of(d.bytes, d.len), &d.from, &reply);
	struct sim_datagram c = { .from = elsewhere, .to = p->a.addr, .len = sizeof(reply) };
	memcpy(c.bytes, &reply, sizeof(reply));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &c), WG_DROP_QUEUED);
	CHECK_UINT(sim_engine_poll(&p->a, p->now), 0); /* nor is anything sent at once */
	CHECK(!p->peer_b->secret->cookie.has_sent_mac1);
	CHECK_UINT(port_of(p->peer_b), 1002);
	sim_pair_free(p);
}

TEST(receive, the_address_we_were_reached_at_sticks)
{
	struct sim_pair *p = connected(7);
	struct wg_endpoint ep;
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK(fz_ip_equal(&ep.local, &p->a.addr.ip));
	wg_device_clear_sources(p->a.device);
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK_INT(ep.local.family, FZ_NO_FAMILY);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK_INT(ep.local.family, FZ_IP4);
	/* A failed send forgets it, unless it has changed since. */
	struct wg_tx_claim c;
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 1, &c), WG_KEEP);
	c.to.ifindex = 5;
	wg_tx_source_failed(p->a.device, &c);
	CHECK(wg_peer_endpoint(p->peer_b, &ep) && ep.local.family == FZ_IP4);
	c.to.ifindex = 0;
	wg_tx_source_failed(p->a.device, &c);
	CHECK(wg_peer_endpoint(p->peer_b, &ep) && ep.local.family == FZ_NO_FAMILY);
	wg_tx_sent(p->a.device, p->now, &c, 0, false, true);
	struct fz_addr set = sim_addr(3, 3);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	wg_peer_set_endpoint(p->peer_b, &set);
	CHECK(wg_peer_endpoint(p->peer_b, &ep) && ep.local.family == FZ_NO_FAMILY);
	sim_pair_free(p);
}

TEST(receive, congestion_marks_cross_the_tunnel)
{
	struct sim_pair *p = connected(8);
	uint8_t b[64];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 2, 1, 20, 0);
	for (uint8_t inner = 0; inner < 4; inner++) {
		b[1] = (uint8_t)(0x28 | inner);
		struct sim_datagram d = sealed_from_b(p, fz_bytes_of(b, n));
		CHECK_UINT(d.tos, inner == 3 ? 2 : inner);
		d.tos = 3;
		CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
		CHECK_UINT(p->last_inner[1], 0x28 | (inner == 0 ? 0 : 3));
	}
	sim_pair_free(p);
}

TEST(receive, one_train_may_hold_good_and_bad_of_two_sessions)
{
	struct sim_pair *p = connected(9);
	static struct wg_rx_train t;
	static struct sim_datagram d[6];
	uint8_t b[64];
	size_t n = sim_write_ip4(fz_span_of(b, sizeof(b)), 2, 1, 20, 0);
	d[0] = sealed_from_b(p, fz_bytes_of(b, n));
	d[1] = sealed_from_b(p, fz_bytes_of(b, n));
	sim_pair_wait(p, FZ_SECONDS(6));
	wg_peer_start_handshake(p->peer_a, p->now);
	sim_pair_pump(p);
	d[2] = sealed_from_b(p, fz_bytes_of(b, n));
	d[3] = d[2];
	d[4] = d[2];
	d[4].bytes[20] ^= 1;
	d[5] = raw(p, 7, 40);
	t.from.remote = p->b.addr;
	t.n = 6;
	for (int i = 0; i < 6; i++)
		t.pkt[i] = fz_span_of(d[i].bytes, d[i].len);
	wg_rx_begin(p->a.device, p->now, &t);
	CHECK_UINT(t.n_jobs, 5);
	CHECK_UINT(fz_aead_open_many(p->a.aead, t.jobs, t.n_jobs), 4);
	wg_rx_finish(p->a.device, p->now, &t);

	static const enum wg_drop want[6] = { WG_KEEP, WG_KEEP, WG_KEEP, WG_DROP_REPLAY,
		WG_DROP_AUTH, WG_DROP_TYPE };

	for (int i = 0; i < 6; i++) {
		CHECK_INT(t.verdict[i], want[i]);
		CHECK((t.inner[i].p != NULL) == (want[i] == WG_KEEP));
		CHECK(t.owner[i] == (want[i] == WG_KEEP ? p->peer_b : NULL));
	}
	sim_pair_free(p);
}

TEST(receive, verdicts_have_names_of_their_own)
{
	for (int i = 0; i < WG_DROP_COUNT_; i++) {
		CHECK(strcmp(wg_drop_name((enum wg_drop)i), "unknown") != 0);
		for (int j = 0; j < i; j++)
			CHECK(strcmp(wg_drop_name((enum wg_drop)i),
				      wg_drop_name((enum wg_drop)j)) != 0);
	}
	CHECK_STR(wg_drop_name(WG_DROP_COUNT_), "unknown");
}
