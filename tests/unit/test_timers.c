/* The timers of whitepaper 6 in virtual time: two engines, exact instants. */
#include "base/endian.h"
#include "sim/engine.h"
#include "wg/constants.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

static uint64_t drops(const struct sim_engine *e, enum wg_drop why)
{
	return wg_device_drops(e->device)[why];
}

/* A session of which a is the initiator; both have used it. */
static struct sim_pair *connected(uint64_t seed)
{
	struct sim_pair *p = sim_pair_new(seed);
	(void)sim_pair_ping(p, true, 64);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK_UINT(p->n_got_a + p->n_got_b, 2);
	return p;
}

static bool took_event(struct sim_engine *e, enum wg_event_kind want)
{
	enum wg_event_kind kind;
	struct wg_peer *peer;
	while (wg_device_take_event(e->device, &kind, &peer))
		if (kind == want)
			return true;
	return false;
}

TEST(timers, twenty_initiations_then_a_peer_is_given_up)
{
	struct sim_pair *p = sim_pair_new(1);
	fz_time start = p->now.at, last = p->now.at;
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_DROP_STAGE);
	sim_pair_poll(p);
	CHECK_UINT(p->n_sent_a, 1);
	while (p->n_sent_a < 20) {
		fz_time next = wg_device_deadline(p->a.device);
		uint64_t gap = fz_time_since(next, last).ns;
		CHECK(gap >= UINT64_C(5000000000) && gap < UINT64_C(5000000000) + WG_JITTER_MAX_NS);
		uint32_t before = p->n_sent_a;
		sim_pair_wait_unplugged(p, fz_time_since(next, p->now.at));
		CHECK_UINT(p->n_sent_a, before + 1);
		CHECK_UINT(sim_type_of(&p->wire[p->n - 1]), 1);
		last = p->now.at;
	}
	CHECK(!took_event(&p->a, WG_EVENT_HANDSHAKE_GAVE_UP));
	CHECK_UINT(drops(&p->a, WG_DROP_STAGE_FULL), 0);
	sim_pair_wait_unplugged(p, FZ_SECONDS(6));
	CHECK(took_event(&p->a, WG_EVENT_HANDSHAKE_GAVE_UP));
	CHECK_UINT(drops(&p->a, WG_DROP_STAGE_FULL), 1);
	uint64_t took = fz_dur_ms(fz_time_since(p->now.at, start));
	CHECK(took >= 100000 && took < 114000);
	sim_pair_wait_unplugged(p, FZ_SECONDS(3600));
	CHECK_UINT(p->n_sent_a, 20);
	CHECK(fz_time_is_never(wg_device_deadline(p->a.device)));
	CHECK_UINT(p->a.device->indices.n, 0); /* and the handshake was wiped */
	sim_pair_free(p);
}

TEST(timers, every_retry_has_a_key_and_a_number_of_its_own)
{
	struct sim_pair *p = sim_pair_new(2);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_wait_unplugged(p, FZ_SECONDS(60));
	CHECK(p->n > 10);
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t j = 0; j < i; j++)
			CHECK(memcmp(p->wire[i].bytes + 4, p->wire[j].bytes + 4, 36) != 0);
	sim_pair_free(p);
}

TEST(timers, jitter_spreads_over_its_third_of_a_second)
{
	struct sim_pair *p = sim_pair_new(3);
	uint64_t least = UINT64_MAX, most = 0;
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	for (int i = 0; i < 400; i++) {
		uint64_t gap = fz_time_since(wg_device_deadline(p->a.device), p->now.at).ns;
		sim_pair_wait_unplugged(p, FZ_NANOSECONDS(gap));
		wg_peer_start_handshake(p->peer_b, p->now); /* no retry: attempts start anew */
		p->n = 0;
		least = gap < least ? gap : least;
		most = gap > most ? gap : most;
	}
	CHECK(least >= UINT64_C(5000000000) && least < UINT64_C(5030000000));
	CHECK(most < UINT64_C(5000000000) + WG_JITTER_MAX_NS && most > UINT64_C(5300000000));
	sim_pair_free(p);
}

TEST(timers, initiations_are_five_seconds_apart_whatever_is_asked)
{
	struct sim_pair *p = sim_pair_new(4);
	for (int i = 0; i < 100; i++) {
		wg_peer_start_handshake(p->peer_b, p->now);
		sim_pair_wait_unplugged(p, FZ_MILLISECONDS(49));
	}
	CHECK_UINT(p->n_sent_a, 1);
	sim_pair_wait_unplugged(p, FZ_MILLISECONDS(99));
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	CHECK_UINT(p->n_sent_a, 1); /* 4999 ms */
	sim_pair_wait_unplugged(p, FZ_MILLISECONDS(1));
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_poll(p);
	CHECK_UINT(p->n_sent_a, 2);
	sim_pair_free(p);
}

TEST(timers, a_silent_receiver_answers_after_ten_seconds)
{
	struct sim_pair *p = connected(5);
	sim_pair_wait(p, FZ_SECONDS(60)); /* let both fall silent */
	uint32_t before = p->n_sent_b;
	uint32_t before_a = p->n_sent_a;
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_wait(p, FZ_NANOSECONDS(UINT64_C(10000000000) - 1));
	CHECK_UINT(p->n_sent_b, before);
	sim_pair_wait(p, FZ_NANOSECONDS(1));
	CHECK_UINT(p->n_sent_b, before + 1);
	/* And a keepalive is not answered by a keepalive. */
	sim_pair_wait(p, FZ_SECONDS(40));
	CHECK_UINT(p->n_sent_a, before_a + 1);
	CHECK_UINT(p->n_sent_b, before + 1);
	CHECK_UINT(drops(&p->a, WG_DROP_KEEPALIVE) > 0, true);
	sim_pair_free(p);
}

TEST(timers, data_that_goes_back_makes_the_keepalive_needless)
{
	struct sim_pair *p = connected(6);
	sim_pair_wait(p, FZ_SECONDS(30));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_wait(p, FZ_SECONDS(9));
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	uint32_t sent = p->n_sent_b;
	sim_pair_wait(p, FZ_SECONDS(9));
	CHECK_UINT(p->n_sent_b, sent);
	sim_pair_free(p);
}

TEST(timers, more_data_meanwhile_still_makes_one_keepalive)
{
	struct sim_pair *p = connected(7);
	sim_pair_wait(p, FZ_SECONDS(30));
	uint32_t sent = p->n_sent_b;
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_wait(p, FZ_SECONDS(5));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sim_pair_wait(p, FZ_MILLISECONDS(4999));
	CHECK_UINT(p->n_sent_b, sent);
	sim_pair_wait(p, FZ_SECONDS(30));
	CHECK_UINT(p->n_sent_b, sent + 1);
	sim_pair_free(p);
}

TEST(timers, data_without_an_answer_asks_for_a_new_session_after_fifteen_seconds)
{
	struct sim_pair *p = connected(8);
	sim_pair_wait(p, FZ_SECONDS(30));
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	sim_pair_wait_unplugged(p, FZ_SECONDS(15));
	CHECK_UINT(p->n, 2);
	sim_pair_wait_unplugged(p, FZ_MILLISECONDS(334));
	CHECK_UINT(p->n, 3);
	CHECK_UINT(sim_type_of(&p->wire[2]), 1);
	sim_pair_free(p);
}

/* Packets that waited for a session go out by the device's own voice, and the socket may refuse them. */
static void waits_for_an_answer(bool is_refused)
{
	struct sim_pair *p = sim_pair_new(18);
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_DROP_STAGE);
	sim_pair_poll(p);
	struct sim_datagram initiation = sim_pair_take(p, 0);
	CHECK_INT(sim_engine_receive(&p->b, p->now, &initiation), WG_DROP_QUEUED);
	sim_pair_poll(p);
	struct sim_datagram response = sim_pair_take(p, 0);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &response), WG_DROP_QUEUED);
	p->a.is_refused = is_refused;
	sim_pair_poll(p);
	p->a.is_refused = false;
	CHECK_UINT(p->n, !is_refused);
	uint32_t sent = p->n_sent_a;
	sim_pair_wait_unplugged(p, FZ_SECONDS(16));
	CHECK_UINT(p->n_sent_a, sent + !is_refused);
	sim_pair_free(p);
}

TEST(timers, staged_data_that_left_wants_an_answer_within_fifteen_seconds)
{
	waits_for_an_answer(false);
}

TEST(timers, staged_data_that_could_not_leave_wants_no_answer)
{
	waits_for_an_answer(true);
}

TEST(timers, a_persistent_keepalive_keeps_its_distance_from_all_traffic)
{
	struct sim_pair *p = connected(9);
	sim_pair_wait(p, FZ_SECONDS(30));
	uint32_t sent = p->n_sent_a;
	wg_peer_set_keepalive(p->peer_b, 25, p->now);
	sim_pair_pump(p);
	CHECK_UINT(p->n_sent_a, sent + 1); /* turned on: one at once */
	sim_pair_wait(p, FZ_SECONDS(20));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	sent = p->n_sent_a;
	/* b's passive keepalive comes at +10 s and counts as traffic too. */
	sim_pair_wait(p, FZ_MILLISECONDS(34999));
	CHECK_UINT(p->n_sent_a, sent);
	sim_pair_wait(p, FZ_MILLISECONDS(1));
	CHECK_UINT(p->n_sent_a, sent + 1);
	wg_peer_set_keepalive(p->peer_b, 0, p->now);
	sim_pair_wait(p, FZ_SECONDS(300));
	CHECK_UINT(p->n_sent_a, sent + 1);
	sim_pair_free(p);
}

TEST(timers, a_persistent_keepalive_opens_a_session_by_itself_and_keeps_it)
{
	struct sim_pair *p = sim_pair_new(10);
	wg_peer_set_keepalive(p->peer_b, 20, p->now);
	sim_pair_pump(p);
	struct wg_peer_stats stats;
	wg_peer_stats(p->peer_b, p->now.at, &stats);
	CHECK(stats.has_session);
	CHECK_UINT(p->n_sent_a, 2);
	for (int i = 0; i < 200; i++) {
		sim_pair_wait(p, FZ_SECONDS(30));
		wg_peer_stats(p->peer_a, p->now.at, &stats);
		CHECK(fz_time_since(p->now.at, stats.last_rx).ns <= UINT64_C(20000000000));
	}
	sim_pair_free(p);
}

TEST(timers, a_persistent_keepalive_gives_a_dead_peer_up_and_tries_again)
{
	struct sim_pair *p = sim_pair_new(22);
	wg_peer_set_keepalive(p->peer_b, 25, p->now);
	sim_pair_wait_unplugged(p, FZ_SECONDS(115));
	CHECK_UINT(p->n_sent_a, 20);
	CHECK(took_event(&p->a, WG_EVENT_HANDSHAKE_GAVE_UP));
	sim_pair_wait_unplugged(p, FZ_SECONDS(11)); /* 25 s after the last one */
	CHECK_UINT(p->n_sent_a, 21);
	p->n = 0;
	sim_pair_wait(p, FZ_SECONDS(6)); /* the wire is whole again */
	CHECK(p->peer_b->current != NULL && p->peer_a->current != NULL);
	sim_pair_free(p);
}

TEST(timers, the_initiator_rekeys_when_it_sends_after_120_seconds)
{
	struct sim_pair *p = connected(11);
	fz_time born = p->peer_b->current->born;
	sim_pair_wait(p, FZ_NANOSECONDS(UINT64_C(120000000000) - 1 - (p->now.at.ns - born.ns)));
	uint32_t sent = p->n_sent_a;
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	CHECK_UINT(p->n_sent_a, sent + 1);
	sim_pair_wait(p, FZ_NANOSECONDS(1));
	/* The responder may be as old as it likes. */
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK(p->peer_b->current->born.ns == born.ns);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP);
	CHECK(p->peer_b->current->born.ns == p->now.at.ns);
	CHECK(p->peer_a->current->born.ns == p->now.at.ns);
	sim_pair_free(p);
}

TEST(timers, the_initiator_rekeys_when_it_receives_after_165_seconds)
{
	struct sim_pair *p = connected(12);
	fz_time born = p->peer_b->current->born;
	/* b talks, a is silent but for its passive keepalives, which would rekey: so a's are lost before. */
	sim_pair_wait(p, FZ_SECONDS(100));
	p->now = sim_time(born.ns / 1000000 + 164999);
	uint32_t sent = p->n_sent_a;
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK_UINT(p->n_sent_a, sent);
	p->now = sim_time(born.ns / 1000000 + 165000);
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK(p->n_sent_a > sent);
	CHECK(p->peer_b->current->born.ns == p->now.at.ns);
	sim_pair_free(p);
}

TEST(timers, the_last_minute_rekey_is_asked_for_once)
{
	struct sim_pair *p = connected(13);
	fz_time born = p->peer_b->current->born;
	sim_pair_wait(p, FZ_SECONDS(100));
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	p->now = sim_time(born.ns / 1000000 + 166000);
	for (int i = 0; i < 5; i++) {
		CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_KEEP);
		struct sim_datagram d = sim_pair_take(p, 0);
		CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
		CHECK_INT(p->peer_b->wants_initiation, i == 0);
		p->peer_b->wants_initiation = false;
		p->peer_b->initiation_allowed = (fz_time){ 0 };
	}
	sim_pair_free(p);
}

TEST(timers, every_session_has_a_last_minute_rekey_of_its_own)
{
	struct sim_pair *p = connected(19);
	sim_pair_wait(p, FZ_SECONDS(100));
	for (int i = 0; i < 3; i++) {
		uint64_t born = p->peer_b->current->born.ns;
		p->now.wall.ns += 1000000000;
		p->now.at.ns = born + UINT64_C(165000000000);
		CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
		CHECK_UINT(p->peer_b->current->born.ns, p->now.at.ns);
	}
	sim_pair_free(p);
}

TEST(timers, a_train_that_never_left_expects_no_answer)
{
	struct sim_pair *p = connected(20);
	sim_pair_wait(p, FZ_SECONDS(30));
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	uint32_t sent = p->n_sent_a;
	struct wg_tx_claim c;
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 1, &c), WG_KEEP);
	wg_tx_sent(p->a.device, p->now, &c, 0, false, true);
	sim_pair_wait(p, FZ_SECONDS(60));
	CHECK_UINT(p->n_sent_a, sent);
	sim_pair_free(p);
}

/* Two threads: the one that receives is done before the one that sends says that it has sent. */
TEST(timers, an_answer_may_be_heard_of_before_the_question)
{
	struct sim_pair *p = connected(22);
	sim_pair_wait(p, FZ_SECONDS(30));
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	struct wg_tx_claim c;
	CHECK_INT(wg_tx_claim(p->a.device, p->now, fz_bytes_of(inner, n), 1, &c), WG_KEEP);
	sim_pair_wait(p, FZ_MILLISECONDS(1));
	n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	struct sim_datagram d = sim_pair_take(p, 0);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &d), WG_KEEP);
	sim_pair_wait(p, FZ_MILLISECONDS(1));
	uint32_t sent = p->n_sent_a;
	fz_wall answered = p->peer_b->last_handshake;
	wg_tx_sent(p->a.device, p->now, &c, 64, true, true);
	sim_pair_wait(p, FZ_SECONDS(60));
	CHECK_UINT(p->n_sent_a,
		sent + 1); /* the keepalive that b's data is owed, and no new handshake */
	CHECK_UINT(p->peer_b->last_handshake.ns, answered.ns);
	sim_pair_free(p);
}

TEST(timers, a_retry_within_five_seconds_of_a_response_is_not_sent_nor_repeated)
{
	struct sim_pair *p = sim_pair_new(21);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_wait_unplugged(p, FZ_SECONDS(3)); /* ours is lost */
	CHECK_UINT(p->n, 1);
	p->n = 0;
	wg_peer_start_handshake(p->peer_a, p->now);
	sim_pair_poll(p);
	struct sim_datagram theirs = sim_pair_take(p, 0);
	(void)sim_engine_receive(&p->a, p->now, &theirs);
	sim_pair_poll(p);
	CHECK_UINT(p->n, 1);
	CHECK_UINT(sim_type_of(&p->wire[0]), 2); /* and so is our response */
	uint32_t sent = p->n_sent_a;
	sim_pair_wait_unplugged(p, FZ_MILLISECONDS(2400));
	CHECK_UINT(p->n_sent_a, sent);
	CHECK_UINT(p->peer_b->timers.n_attempts, 1);
	wg_peer_start_handshake(p->peer_b, p->now);
	sim_pair_wait_unplugged(p, FZ_MILLISECONDS(2500));
	CHECK_UINT(p->n_sent_a, sent);
	wg_device_down(p->b.device); /* whose own retries would interfere */
	sim_pair_wait_unplugged(p, FZ_SECONDS(60));
	CHECK_UINT(p->n_sent_a, sent);
	sim_pair_free(p);
}

TEST(timers, a_key_is_dead_after_180_seconds_in_both_directions)
{
	struct sim_pair *p = connected(14);
	fz_time born = p->peer_b->current->born;
	sim_pair_wait(p, FZ_SECONDS(60));
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 2, 1, 20, 0);
	p->n = 0;
	p->now.at = (fz_time){ born.ns + UINT64_C(180000000000) - 1 };
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_KEEP);
	struct sim_datagram first = sim_pair_take(p, 0), second = sim_pair_take(p, 0);
	CHECK_INT(sim_engine_receive(&p->a, p->now, &first), WG_KEEP);
	p->now.at.ns++;
	CHECK_INT(sim_engine_receive(&p->a, p->now, &second), WG_DROP_EXPIRED);
	CHECK_INT(sim_engine_send(&p->b, p->now, fz_bytes_of(inner, n)), WG_DROP_STAGE);
	sim_pair_free(p);
}

TEST(timers, keys_are_wiped_after_540_seconds)
{
	struct sim_pair *p = connected(15);
	uint64_t left = UINT64_C(540000000000) - (p->now.at.ns - p->peer_b->current->born.ns);
	sim_pair_wait(p, FZ_NANOSECONDS(left - 1));
	CHECK_UINT(p->a.device->keys_slab.n_used, 1);
	CHECK_UINT(p->b.device->keys_slab.n_used, 1);
	sim_pair_wait(p, FZ_NANOSECONDS(1));
	CHECK_UINT(p->a.device->keys_slab.n_used, 0);
	CHECK_UINT(p->b.device->keys_slab.n_used, 0);
	CHECK_UINT(p->a.device->indices.n, 0);
	CHECK(fz_time_is_never(wg_device_deadline(p->a.device)));
	CHECK(fz_time_is_never(wg_device_deadline(p->b.device)));
	sim_pair_free(p);
}

TEST(timers, a_session_goes_in_its_own_time_though_another_follows)
{
	struct sim_pair *p = connected(19);
	uint64_t born = p->peer_b->current->born.ns;
	sim_pair_wait(p, FZ_SECONDS(500));
	CHECK_INT(sim_pair_ping(p, true, 64), WG_DROP_STAGE);
	CHECK_UINT(p->a.device->keys_slab.n_used, 2);
	CHECK_UINT(p->b.device->keys_slab.n_used, 2);
	sim_pair_wait(p, FZ_NANOSECONDS(UINT64_C(540000000000) - (p->now.at.ns - born) - 1));
	CHECK_UINT(p->a.device->keys_slab.n_used, 2);
	sim_pair_wait(p, FZ_NANOSECONDS(1));
	CHECK_UINT(p->a.device->keys_slab.n_used, 1);
	CHECK_INT(sim_pair_ping(p, true, 64), WG_KEEP); /* the new one stays */
	CHECK_INT(sim_pair_ping(p, false, 64), WG_KEEP);
	CHECK_UINT(p->b.device->keys_slab.n_used, 1);
	sim_pair_free(p);
}

TEST(timers, packets_do_not_move_the_schedule)
{
	struct sim_pair *p = connected(16);
	fz_time due = wg_schedule_next(&p->a.device->schedule);
	for (int i = 0; i < 500; i++) {
		sim_pair_wait(p, FZ_MILLISECONDS(10));
		CHECK_INT(sim_pair_ping(p, i % 2, 64), WG_KEEP);
		CHECK_UINT(wg_schedule_next(&p->a.device->schedule).ns, due.ns);
	}
	sim_pair_free(p);
}

TEST(timers, an_idle_device_has_no_deadline)
{
	struct sim_pair *p = sim_pair_new(17);
	sim_pair_pump(p);
	CHECK(fz_time_is_never(wg_device_deadline(p->a.device)));
	(void)sim_pair_ping(p, true, 64);
	sim_pair_wait(p, FZ_SECONDS(1000));
	CHECK(fz_time_is_never(wg_device_deadline(p->a.device)));
	CHECK(fz_time_is_never(wg_device_deadline(p->b.device)));
	sim_pair_free(p);
}

TEST(timers, retries_let_the_kernel_choose_our_address_anew)
{
	struct sim_pair *p = connected(18);
	struct wg_endpoint ep;
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK_INT(ep.local.family, FZ_IP4);
	sim_pair_wait(p, FZ_SECONDS(200));
	uint8_t inner[64];
	size_t n = sim_write_ip4(fz_span_of(inner, sizeof(inner)), 1, 2, 20, 0);
	CHECK_INT(sim_engine_send(&p->a, p->now, fz_bytes_of(inner, n)), WG_DROP_STAGE);
	sim_pair_wait_unplugged(p, FZ_SECONDS(1));
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK_INT(ep.local.family, FZ_IP4);
	sim_pair_wait_unplugged(p, FZ_SECONDS(6));
	CHECK(wg_peer_endpoint(p->peer_b, &ep));
	CHECK_INT(ep.local.family, FZ_NO_FAMILY);
	sim_pair_free(p);
}
