/* Under load: cookies, rate limits, and strangers who learn nothing. */
#include "base/endian.h"
#include "sim/engine.h"
#include "wg/constants.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

static uint64_t drops(const struct sim_engine *e, enum wg_drop why)
{
	return wg_device_drops(e->device)[why];
}

static struct sim_datagram initiation(struct sim_pair *p)
{
	p->n = 0;
	p->peer_b->initiation_allowed = (fz_time){ 0 };
	wg_peer_start_handshake(p->peer_b, p->now);
	(void)sim_engine_poll(&p->a, p->now);
	return sim_pair_take(p, p->n - 1);
}

/* n initiations with a right mac1 from made-up addresses; none of them is handled yet. */
static void flood(struct sim_pair *p, uint32_t n)
{
	struct sim_datagram d = initiation(p);
	for (uint32_t i = 0; i < n; i++) {
		d.from.ip = fz_ip4(198, 51, (uint8_t)(100 + i / 256), (uint8_t)i);
		(void)sim_engine_receive(&p->b, p->now, &d);
	}
}

/* Handles all that waits; the answers stay on the wire (as far as they fit). */
static void drain(struct sim_pair *p)
{
	p->b.budget = UINT32_MAX;
	(void)sim_engine_poll(&p->b, p->now);
}

TEST(load, the_queue_is_bounded_and_says_so)
{
	struct sim_pair *p = sim_pair_new(1);
	flood(p, WG_MAX_HANDSHAKES + 10);
	CHECK_UINT(drops(&p->b, WG_DROP_QUEUE_FULL), 10);
	CHECK_UINT(wg_device_deadline(p->b.device).ns, 0);
	p->b.budget = 5;
	(void)sim_engine_poll(&p->b, p->now);
	CHECK_UINT(p->b.device->handshakes.n, WG_MAX_HANDSHAKES - 5 * 16);
	drain(p);
	CHECK_UINT(p->b.device->handshakes.n, 0);
	sim_pair_free(p);
}

TEST(load, a_message_that_may_take_an_x25519_uses_up_a_whole_unit_of_the_budget)
{
	struct sim_pair *p = sim_pair_new(9);
	flood(p, WG_LOAD_HANDSHAKES - 1);
	p->b.budget = 5;
	(void)sim_engine_poll(&p->b, p->now);
	CHECK_UINT(p->b.device->handshakes.n, WG_LOAD_HANDSHAKES - 1 - 5);
	sim_pair_free(p);
}

TEST(load, a_short_queue_needs_no_cookies)
{
	struct sim_pair *p = sim_pair_new(2);
	flood(p, WG_LOAD_HANDSHAKES - 1);
	drain(p);
	CHECK_UINT(drops(&p->b, WG_DROP_COOKIE_SENT), 0);
	CHECK_UINT(p->n_sent_b, 1);
	CHECK_UINT(drops(&p->b, WG_DROP_HANDSHAKE_REPLAY), WG_LOAD_HANDSHAKES - 2);
	sim_pair_free(p);
}

TEST(load, a_long_queue_asks_for_cookies_and_for_a_second_longer)
{
	struct sim_pair *p = sim_pair_new(3);
	flood(p, WG_LOAD_HANDSHAKES);
	drain(p);
	/* The first sets the load; it lasts although the queue is short again. */
	CHECK_UINT(drops(&p->b, WG_DROP_COOKIE_SENT), WG_LOAD_HANDSHAKES);
	CHECK_UINT(sim_type_of(&p->wire[0]), 3);
	CHECK_UINT(p->wire[0].len, 64);
	CHECK_UINT(p->wire[0].tos, 0);
	p->now.at = fz_time_add(p->now.at, FZ_NANOSECONDS(999999999));
	struct sim_datagram d = initiation(p);
	(void)sim_engine_receive(&p->b, p->now, &d);
	drain(p);
	CHECK_UINT(drops(&p->b, WG_DROP_COOKIE_SENT), WG_LOAD_HANDSHAKES + 1);
	p->now.at = fz_time_add(p->now.at, FZ_NANOSECONDS(1));
	(void)sim_engine_receive(&p->b, p->now, &d);
	drain(p);
	CHECK_UINT(drops(&p->b, WG_DROP_COOKIE_SENT), WG_LOAD_HANDSHAKES + 1);
	CHECK(p->peer_a->next != NULL);
	sim_pair_free(p);
}

TEST(load, a_peer_gets_through_with_its_cookie)
{
	struct sim_pair *p = sim_pair_new(4);
	flood(p, WG_LOAD_HANDSHAKES);
	struct sim_datagram d = initiation(p);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_DROP_QUEUED);
	drain(p);
	struct sim_datagram cookie = p->wire[p->n - 1];
	CHECK_UINT(sim_type_of(&cookie), 3);
	CHECK(fz_addr_equal(&cookie.to, &p->a.addr));
	CHECK_INT(sim_engine_receive(&p->a, p->now, &cookie), WG_DROP_QUEUED);
	CHECK_UINT(sim_engine_poll(&p->a, p->now), 0);
	p->n = 0;
	d = initiation(p);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_DROP_QUEUED);
	p->now.wall.ns += 1000000000;
	drain(p);
	CHECK(p->peer_a->next != NULL);
	/* The same from another port is a stranger's. */
	p->now.wall.ns += 1000000000;
	d = initiation(p);
	d.from.port++;
	uint64_t before = drops(&p->b, WG_DROP_COOKIE_SENT);
	(void)sim_engine_receive(&p->b, p->now, &d);
	drain(p);
	CHECK_UINT(drops(&p->b, WG_DROP_COOKIE_SENT), before + 1);
	sim_pair_free(p);
}

TEST(load, even_with_a_cookie_a_source_has_twenty_a_second)
{
	struct sim_pair *p = sim_pair_new(5);
	flood(p, WG_LOAD_HANDSHAKES);
	struct sim_datagram d = initiation(p);
	(void)sim_engine_receive(&p->b, p->now, &d);
	drain(p);
	struct sim_datagram cookie = p->wire[p->n - 1];
	CHECK(fz_addr_equal(&cookie.to, &p->a.addr));
	(void)sim_engine_receive(&p->a, p->now, &cookie);
	(void)sim_engine_poll(&p->a, p->now);
	for (int i = 0; i < 8; i++) {
		p->now.wall.ns += 1000000000;
		d = initiation(p);
		(void)sim_engine_receive(&p->b, p->now, &d);
		drain(p);
		CHECK_UINT(drops(&p->b, WG_DROP_RATE), i < 5 ? 0 : (uint64_t)(i - 4));
	}
	sim_pair_free(p);
}

TEST(load, an_answer_is_never_longer_than_the_question)
{
	struct sim_pair *p = sim_pair_new(6);
	struct sim_datagram d = initiation(p);
	CHECK_UINT(d.len, 148);
	CHECK_UINT(d.tos, 0x88);
	(void)sim_engine_receive(&p->b, p->now, &d);
	drain(p);
	CHECK_UINT(p->wire[0].len, 92);
	CHECK_UINT(p->wire[0].tos, 0x88);
	sim_pair_free(p);
}

TEST(load, cookie_replies_to_nothing_are_counted)
{
	struct sim_pair *p = sim_pair_new(7);
	struct sim_datagram d = initiation(p);
	struct sim_datagram cookie = { .from = p->b.addr, .to = p->a.addr, .len = 64 };
	fz_le32_store(cookie.bytes, 3);
	memcpy(cookie.bytes + 4, d.bytes + 4, 4); /* the index is right, the rest is not */
	CHECK_INT(sim_engine_receive(&p->a, p->now, &cookie), WG_DROP_QUEUED);
	(void)sim_engine_poll(&p->a, p->now);
	CHECK_UINT(drops(&p->a, WG_DROP_COOKIE_INVALID), 1);
	sim_pair_free(p);
}

TEST(load, messages_for_an_identity_that_is_gone_are_forgotten)
{
	struct sim_pair *p = sim_pair_new(8);
	struct fz_key other = { .b = { 1 } }, none = { 0 };
	struct sim_datagram d = initiation(p);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_DROP_QUEUED);
	wg_device_set_private_key(p->b.device, &other, p->now);
	CHECK_UINT(p->b.device->handshakes.n, 0);
	wg_device_set_private_key(p->b.device, &none, p->now);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_DROP_DOWN);
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_DROP_DOWN);
	sim_pair_free(p);
}
