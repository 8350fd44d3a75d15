/* Handshakes between whole devices: slots, rekeys, replays, crossings, limits; what a change of keys does. */
#include "base/endian.h"
#include "sim/engine.h"
#include "wg/constants.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

static uint64_t drops(const struct sim_engine *e, enum wg_drop why)
{
	return wg_device_drops(e->device)[why];
}

static struct sim_pair *connected(uint64_t seed)
{
	struct sim_pair *p = sim_pair_new(seed);
	(void)sim_pair_ping(p, true, 64);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	return p;
}

/* An initiation of a's, not delivered. */
static struct sim_datagram initiation(struct sim_pair *p)
{
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	CHECK_UINT(p->n, 1);
	struct sim_datagram d = sim_pair_take(p, 0);
	CHECK_UINT(sim_type_of(&d), 1);
	return d;
}

static void give(struct sim_pair *p, struct sim_engine *to, const struct sim_datagram *d)
{
	(void)sim_engine_receive(to, p->now, d);
	sim_pair_poll(p);
}

/* One packet sealed by a (or b), not delivered. */
static struct sim_datagram sealed(struct sim_pair *p, bool from_a)
{
	uint8_t inner[64];
	size_t n = sim_write_ip4(
		fz_span_of(inner, sizeof(inner)), from_a ? 1 : 2, from_a ? 2 : 1, 20, 0);
	CHECK_UINT(p->n, 0);
	CHECK_INT(sim_engine_send(from_a ? &p->a : &p->b, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	return sim_pair_take(p, 0);
}

TEST(sessions, a_responder_waits_for_the_first_data)
{
	struct sim_pair *p = sim_pair_new(1);
	struct sim_datagram d = initiation(p);
	give(p, &p->b, &d);
	CHECK(p->peer_a->next != NULL && p->peer_a->current == NULL);
	struct sim_datagram response = sim_pair_take(p, 0);
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_DROP_STAGE);
	sim_pair_poll(p);
	CHECK_UINT(p->n, 0);
	give(p, &p->a, &response);
	CHECK_UINT(p->n, 1);
	d = sim_pair_take(p, 0);
	CHECK_UINT(d.len, 32); /* nothing to say: an empty packet confirms */
	give(p, &p->b, &d);
	CHECK(p->peer_a->next == NULL && p->peer_a->current != NULL);
	CHECK_UINT(p->n, 1); /* what was staged */
	sim_pair_pump(p);
	CHECK_UINT(p->n_got_a, 1);
	sim_pair_free(p);
}

TEST(sessions, packets_on_the_previous_key_still_arrive)
{
	struct sim_pair *p = connected(2);
	struct sim_datagram late_a = sealed(p, true), late_b = sealed(p, false);
	sim_pair_wait(p, FZ_SECONDS(6));
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_pump(p);
	CHECK(p->peer_b->previous != NULL && p->peer_a->previous != NULL);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &late_a), WG_KEEP);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &late_b), WG_KEEP);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &late_a), WG_DROP_REPLAY);
	sim_pair_free(p);
}

TEST(sessions, the_key_before_the_previous_is_forgotten)
{
	struct sim_pair *p = connected(3);
	struct sim_datagram late = sealed(p, true);
	for (int i = 0; i < 2; i++) {
		sim_pair_wait(p, FZ_SECONDS(6));
		wg_peer_start_handshake(p->peer_b, p->now);
		sim_pair_pump(p);
	}
	CHECK_INT(sim_engine_receive(&p->b, p->now, &late), WG_DROP_INDEX);
	CHECK_UINT(p->a.device->keys_slab.n_used, 2);
	CHECK_UINT(p->b.device->keys_slab.n_used, 2);
	CHECK_UINT(p->a.device->indices.n, 2);
	CHECK_UINT(p->b.device->indices.n, 2);
	sim_pair_free(p);
}

TEST(sessions, a_thousand_handshakes_leave_nothing_behind)
{
	struct sim_pair *p = sim_pair_new(4);
	for (int i = 0; i < 1000; i++) {
		sim_pair_wait(p, FZ_MILLISECONDS(5400));
		wg_peer_start_handshake(i % 3 ? p->peer_b : p->peer_a, p->now);
		sim_pair_pump(p);
		CHECK(p->a.device->keys_slab.n_used <= 3 && p->b.device->keys_slab.n_used <= 3);
		CHECK(p->a.device->indices.n <= 3 && p->b.device->indices.n <= 3);
	}
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	CHECK_UINT(p->n_got_b, 1);
	sim_pair_free(p);
}

TEST(sessions, an_initiation_counts_once)
{
	struct sim_pair *p = sim_pair_new(5);
	struct sim_datagram first = initiation(p);
	sim_pair_wait_unplugged(p, FZ_SECONDS(5));
	struct sim_datagram second = initiation(p);
	give(p, &p->b, &second);
	uint32_t answered = p->n_sent_b;
	p->now = sim_time(2000000);
	give(p, &p->b, &second);
	give(p, &p->b, &first);
	CHECK_UINT(p->n_sent_b, answered);
	CHECK_UINT(drops(&p->b, WG_DROP_HANDSHAKE_REPLAY), 2);
	sim_pair_free(p);
}

TEST(sessions, initiations_within_20_ms_are_a_flood)
{
	struct sim_pair *p = sim_pair_new(6);
	static struct sim_datagram d[4];
	/* Written a second apart, delivered at once. */
	for (int i = 0; i < 4; i++) {
		p->now.wall.ns += 1000000000;
		p->peer_b->initiation_allowed = (fz_time){ 0 };
		d[i] = initiation(p);
	}
	give(p, &p->b, &d[0]);
	give(p, &p->b, &d[1]);
	CHECK_UINT(drops(&p->b, WG_DROP_HANDSHAKE_FLOOD), 1);
	p->now.at = fz_time_add(p->now.at, FZ_NANOSECONDS(19999999));
	give(p, &p->b, &d[2]);
	CHECK_UINT(drops(&p->b, WG_DROP_HANDSHAKE_FLOOD), 2);
	p->now.at = fz_time_add(p->now.at, FZ_NANOSECONDS(1));
	give(p, &p->b, &d[3]);
	CHECK_UINT(drops(&p->b, WG_DROP_HANDSHAKE_FLOOD), 2);
	CHECK_UINT(p->n_sent_b, 2);
	sim_pair_free(p);
}

TEST(sessions, a_response_to_no_initiation_of_ours_changes_nothing)
{
	struct sim_pair *p = sim_pair_new(7);
	struct sim_datagram d = initiation(p);
	give(p, &p->b, &d);
	struct sim_datagram response = sim_pair_take(p, 0);
	struct sim_datagram forged = response;
	forged.bytes[50] ^= 1; /* inside the sealed part: mac1 is wrong too */
	give(p, &p->a, &forged);
	CHECK_UINT(drops(&p->a, WG_DROP_MAC1), 1);
	CHECK(p->peer_b->current == NULL);
	give(p, &p->a, &response);
	struct wg_keypair *k = p->peer_b->current;
	CHECK(k != NULL);
	give(p, &p->a, &response);
	CHECK_UINT(drops(&p->a, WG_DROP_HANDSHAKE_STATE), 1);
	CHECK(p->peer_b->current == k);
	sim_pair_free(p);
}

TEST(sessions, an_answer_that_comes_after_the_retry_is_too_late)
{
	struct sim_pair *p = sim_pair_new(8);
	struct sim_datagram d = initiation(p);
	give(p, &p->b, &d);
	struct sim_datagram response = sim_pair_take(p, 0);
	sim_pair_wait_unplugged(p, FZ_SECONDS(6));
	CHECK_UINT(p->n, 1);
	give(p, &p->a, &response);
	CHECK_UINT(drops(&p->a, WG_DROP_HANDSHAKE_STATE), 1);
	sim_pair_pump(p);
	CHECK(p->peer_b->current != NULL);
	sim_pair_free(p);
}

TEST(sessions, crossing_initiations_end_in_a_session_within_one_retransmit)
{
	for (uint64_t seed = 9; seed < 40; seed++) {
		struct sim_pair *p = sim_pair_new(seed);
		wg_peer_start_handshake(p->peer_b, p->now);
		wg_peer_start_handshake(p->peer_a, p->now);
		sim_pair_poll(p);
		CHECK_UINT(p->n, 2);
		sim_pair_wait(p, FZ_MILLISECONDS(5400));
		CHECK(p->peer_b->current != NULL || p->peer_a->current != NULL);
		(void)sim_pair_ping(p, true, 64);
		(void)sim_pair_ping(p, false, 64);
		CHECK_UINT(p->n_got_b, 1);
		CHECK_UINT(p->n_got_a, 1);
		sim_pair_free(p);
	}
}

TEST(sessions, a_used_up_counter_asks_for_a_new_session)
{
	struct sim_pair *p = connected(41);
	p->peer_b->current->send_counter = WG_REKEY_AFTER_MESSAGES;
	struct sim_datagram d = sealed(p, true);
	CHECK_UINT(fz_le64_load(d.bytes + 8), WG_REKEY_AFTER_MESSAGES);
	CHECK(p->peer_b->wants_initiation == true ||
		!fz_time_reached(p->now.at, p->peer_b->initiation_allowed));
	sim_pair_wait(p, FZ_SECONDS(6));
	p->peer_b->wants_initiation = false;
	p->peer_b->current->send_counter = WG_REKEY_AFTER_MESSAGES - 1;
	d = sealed(p, true);
	CHECK(!p->peer_b->wants_initiation); /* the counter is now exactly 2^60 */
	d = sealed(p, true);
	CHECK(p->peer_b->wants_initiation);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &d), WG_KEEP);
	/* The responder too. */
	p->peer_a->current->send_counter = WG_REKEY_AFTER_MESSAGES;
	d = sealed(p, false);
	CHECK(p->peer_a->wants_initiation);
	sim_pair_free(p);
}

TEST(sessions, no_counter_reaches_the_limit)
{
	struct sim_pair *p = connected(42);
	struct wg_tx_claim c;
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	p->peer_b->current->send_counter = WG_REJECT_AFTER_MESSAGES - 3;
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 2, &c), WG_KEEP);
	CHECK_UINT(c.counter, WG_REJECT_AFTER_MESSAGES - 3);
	wg_tx_sent(p->a.device, p->now, &c, 0, false, false);
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 2, &c), WG_DROP_STAGE);
	/* Sending with this key is over, even for one packet that would fit. */
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 1, &c), WG_DROP_STAGE);
	sim_pair_free(p);
}

TEST(sessions, a_receiving_key_dies_with_its_last_counter)
{
	struct sim_pair *p = connected(43);
	struct sim_datagram early = sealed(p, true);
	p->peer_b->current->send_counter = WG_REJECT_AFTER_MESSAGES - 1;
	struct sim_datagram last = sealed(p, true);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &last), WG_KEEP);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &early), WG_DROP_EXPIRED);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &last), WG_DROP_EXPIRED);
	sim_pair_free(p);
}

TEST(sessions, a_new_psk_matters_from_the_next_handshake_on)
{
	struct sim_pair *p = connected(44);
	struct fz_key psk = { .b = { 1, 2, 3 } };
	wg_peer_set_psk(p->peer_b, &psk);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_wait(p, FZ_SECONDS(6));
	fz_time born = p->peer_b->current->born;
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_wait(p, FZ_SECONDS(2));
	CHECK(p->peer_b->current->born.ns == born.ns);
	CHECK_UINT(drops(&p->a, WG_DROP_HANDSHAKE_INVALID), 1);
	wg_peer_set_psk(p->peer_a, &psk);
	sim_pair_wait(p, FZ_SECONDS(20));
	CHECK(p->peer_b->current->born.ns > born.ns);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	sim_pair_free(p);
}

TEST(sessions, a_new_private_key_stops_sending_but_not_receiving)
{
	struct sim_pair *p = connected(45);
	struct sim_datagram late = sealed(p, false);
	struct fz_key fresh = { .b = { 9, 9, 9 } };
	wg_device_set_private_key(p->a.device, &fresh, p->now);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &late), WG_KEEP);
	uint8_t inner[64], pub[32];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_DROP_STAGE);
	/* A new handshake may start at once, but b does not know us yet. */
	sim_pair_pump(p);
	CHECK_UINT(drops(&p->b, WG_DROP_UNKNOWN_PEER), 1);
	CHECK(wg_device_public_key(p->a.device, pub));
	struct fz_prefix all = { .ip = fz_ip4(10, 0, 0, 1), .bits = 32 };
	wg_device_remove_peer(p->b.device, p->peer_a);
	CHECK_INT(wg_device_add_peer(p->b.device, pub, &p->peer_a), 0);
	CHECK_INT(wg_peer_add_allowed_ip(p->peer_a, &all), 0);
	sim_pair_wait(p, FZ_SECONDS(6));
	CHECK_UINT(p->n_got_b, 2);
	sim_pair_free(p);
}

TEST(sessions, the_same_private_key_again_changes_nothing)
{
	struct sim_pair *p = connected(46);
	struct fz_key again = p->a.private;
	again.b[31] ^= 0x80; /* the bits that clamping decides */
	again.b[0] ^= 0x07;
	wg_device_set_private_key(p->a.device, &again, p->now);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_free(p);
}

TEST(sessions, down_wipes_everything_and_up_starts_afresh)
{
	struct sim_pair *p = connected(47);
	struct sim_datagram late = sealed(p, false);
	wg_device_down(p->a.device);
	CHECK_UINT(p->a.device->keys_slab.n_used, 0);
	CHECK_UINT(p->a.device->indices.n, 0);
	CHECK(fz_time_is_never(wg_device_deadline(p->a.device)));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_DOWN);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &late), WG_DROP_DOWN);
	wg_peer_set_keepalive(p->peer_b, 25, p->now);
	sim_pair_pump(p);
	uint32_t sent = p->n_sent_a;
	wg_device_up(p->a.device, p->now);
	sim_pair_pump(p);
	CHECK(p->n_sent_a > sent); /* no waiting for five seconds */
	CHECK_INT(sim_engine_receive(&p->a, p->now, &late), WG_DROP_INDEX);
	sim_pair_wait(p, FZ_SECONDS(6));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_free(p);
}

/* ---- trains under way while the world changes ---- */

TEST(sessions, a_peer_may_go_while_a_train_is_being_opened)
{
	struct sim_pair *p = connected(48);
	static struct wg_rx_train t;
	struct sim_datagram d = sealed(p, false);
	t.n = 1;
	t.from = (struct wg_endpoint){ .remote = d.from };
	t.pkt[0] = fz_span_of(d.bytes, d.len);
	wg_rx_begin(p->a.device, p->now, &t);
	CHECK_UINT(t.n_jobs, 1);
	wg_device_remove_peer(p->a.device, p->peer_b);
	CHECK_UINT(p->a.device->keys_slab.n_used, 1); /* lent */
	CHECK_UINT(fz_aead_open_many(p->a.aead, t.jobs, t.n_jobs), 1);
	wg_rx_finish(p->a.device, p->now, &t);
	CHECK_INT(t.verdict[0], WG_DROP_INDEX);
	CHECK(t.inner[0].p == NULL);
	CHECK_UINT(p->a.device->keys_slab.n_used, 0);
	sim_pair_free(p);
}

TEST(sessions, a_peer_may_go_while_a_train_is_being_sealed)
{
	struct sim_pair *p = connected(49);
	struct wg_tx_claim c;
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 5, &c), WG_KEEP);
	wg_device_remove_all_peers(p->a.device);
	CHECK(!fz_time_is_never((fz_time){ c.key->b[0] })); /* still readable */
	wg_tx_source_failed(p->a.device, &c);
	wg_tx_sent(p->a.device, p->now, &c, 500, true, true);
	CHECK_UINT(p->a.device->keys_slab.n_used, 0);
	sim_pair_free(p);
}

TEST(sessions, a_train_keeps_its_keys_through_two_rekeys)
{
	struct sim_pair *p = connected(50);
	static struct wg_rx_train t;
	struct sim_datagram d = sealed(p, false);
	t.n = 1;
	t.from = (struct wg_endpoint){ .remote = d.from };
	t.pkt[0] = fz_span_of(d.bytes, d.len);
	wg_rx_begin(p->a.device, p->now, &t);
	for (int i = 0; i < 3; i++) {
		sim_pair_wait(p, FZ_SECONDS(6));
		wg_peer_start_handshake(p->peer_b, p->now);
		sim_pair_pump(p);
	}
	CHECK_UINT(fz_aead_open_many(p->a.aead, t.jobs, t.n_jobs), 1);
	wg_rx_finish(p->a.device, p->now, &t);
	CHECK_INT(t.verdict[0], WG_KEEP);
	CHECK_UINT(p->a.device->keys_slab.n_used, 2);
	sim_pair_free(p);
}
