/* One relay's client against a TURN server in virtual time. */
#include "base/endian.h"
#include "path/turn.h"
#include "sim/path_relay.h"
#include "support/test.h"

#define RTT FZ_MILLISECONDS(20)

struct rig {
	struct sim_relay relay;
	struct fz_turn *t;
	struct fz_addr local;
	fz_time now;
	struct test_rng rng;
	bool drops; /* nothing gets through */
	uint8_t answer[1600];
	size_t answer_len;
	struct fz_addr answer_to, answer_from;
};

static struct rig r; /* large, and started anew by every test */

static void random_bytes(void *user, struct fz_span out)
{
	struct rig *g = user;
	test_rng_fill(&g->rng, out.p, out.n);
}

static struct fz_addr addr(const char *text)
{
	struct fz_addr a;
	CHECK_INT(fz_addr_parse(text, &a), 0);
	return a;
}

static void rig_init(struct rig *g, const char *password)
{
	memset(g, 0, sizeof(*g));
	g->relay.addr = addr("192.0.2.1:3478");
	g->relay.password = "secret";
	g->relay.rng = 7;
	g->local = addr("10.0.0.1:52625");
	g->now = (fz_time){ 1'000'000'000 };
	struct fz_turn_params tp = { .random = random_bytes,
		.user = g,
		.server4 = g->relay.addr,
		.username = "1790000000:salt",
		.password = password };
	g->t = fz_turn_new(&tp, g->now);
	CHECK(g->t);
}

static void emit(
	void *user, const struct fz_addr *from, const struct fz_addr *to, struct fz_bytes pkt)
{
	struct rig *g = user;
	CHECK(pkt.n <= sizeof(g->answer));
	memcpy(g->answer, pkt.p, pkt.n);
	g->answer_len = pkt.n;
	g->answer_from = *from;
	g->answer_to = *to;
}

/* Sends what is due; each answer comes RTT later. How many datagrams were sent. */
static size_t turn_around(struct rig *g)
{
	uint8_t buf[FZ_TURN_MESSAGE_MAX];
	struct fz_addr to, nat = addr("198.51.100.1:4000");
	size_t len, n = 0;
	while ((len = fz_turn_poll(g->t, g->now, fz_span_of(buf, sizeof(buf)), &to)) > 0) {
		CHECK(n++ < 100);
		g->answer_len = 0;
		if (g->drops)
			continue;
		sim_relay_receive(&g->relay, g->now, &nat, &to, fz_bytes_of(buf, len), emit, g);
		if (g->answer_len == 0)
			continue;
		struct fz_stun m;
		g->now = fz_time_add(g->now, RTT);
		CHECK_INT(fz_stun_parse(fz_bytes_of(g->answer, g->answer_len), &m), FZ_STUN_OK);
		(void)!fz_turn_receive(g->t, g->now, &g->local, &g->answer_from, &m);
	}
	return n;
}

static void run(struct rig *g, fz_dur length)
{
	fz_time until = fz_time_add(g->now, length);
	turn_around(g);
	for (;;) {
		fz_time at = fz_turn_deadline(g->t);
		if (at.ns > until.ns)
			break;
		g->now.ns = at.ns > g->now.ns ? at.ns : g->now.ns;
		turn_around(g);
	}
	g->now = until;
}

static struct fz_turn *allocated(struct rig *g)
{
	rig_init(g, "secret");
	turn_around(g);
	CHECK_INT(fz_turn_state(g->t), FZ_TURN_ALLOCATED);
	return g->t;
}

TEST(turn, three_exchanges_give_host_reflexive_and_relayed_candidates_and_a_round_trip_time)
{
	rig_init(&r, "secret");
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_PROBING);
	CHECK_UINT(turn_around(&r), 3); /* BINDING, ALLOCATE, ALLOCATE with the nonce */
	struct fz_candidate c[FZ_TURN_SLOT_COUNT_];
	char text[FZ_ADDR_TEXT_LEN];
	fz_turn_candidates(r.t, c);
	CHECK_STR(fz_addr_format(&c[FZ_TURN_HOST4].addr, text), "10.0.0.1:52625");
	CHECK_STR(fz_addr_format(&c[FZ_TURN_SRFLX4].addr, text), "198.51.100.1:4000");
	CHECK_STR(fz_addr_format(&c[FZ_TURN_RELAY4].addr, text), "192.0.2.1:50000");
	CHECK_INT(c[FZ_TURN_RELAY6].addr.ip.family, FZ_NO_FAMILY);
	CHECK_UINT(fz_turn_rtt(r.t).ns, RTT.ns);
	CHECK(fz_turn_has_answered(r.t));
	fz_turn_free(r.t);
}

static void check_types(const uint8_t *buf, size_t len, const uint16_t *types, size_t n)
{
	struct fz_reader rd = fz_reader_of(fz_bytes_of(buf + 20, len - 20));
	for (size_t i = 0; i < n; i++) {
		CHECK_UINT(fz_reader_be16(&rd), types[i]);
		uint16_t l = fz_reader_be16(&rd);
		fz_reader_skip(&rd, (l + 3u) / 4 * 4);
	}
	CHECK(fz_reader_done(&rd));
}

TEST(turn, requests_have_the_attributes_of_firezone_s_devices_in_their_order)
{
	static const uint16_t binding[] = { 0x8022 };
	static const uint16_t allocate[] = { 0x0019, 0x8000, 0x8022, 0x0006, 0x0014, 0x0008 };
	static const uint16_t bind[] = { 0x0012, 0x000c, 0x8022, 0x0006, 0x0014, 0x0015, 0x0008 };
	uint8_t buf[FZ_TURN_MESSAGE_MAX];
	struct fz_addr to, nat = addr("198.51.100.1:4000"), peer = addr("203.0.113.5:7");
	struct fz_stun m;
	rig_init(&r, "secret");
	size_t len = fz_turn_poll(r.t, r.now, fz_span_of(buf, sizeof(buf)), &to);
	check_types(buf, len, binding, FZ_ARRAY_LEN(binding));
	sim_relay_receive(&r.relay, r.now, &nat, &to, fz_bytes_of(buf, len), emit, &r);
	CHECK_INT(fz_stun_parse(fz_bytes_of(r.answer, r.answer_len), &m), FZ_STUN_OK);
	CHECK_INT(fz_turn_receive(r.t, r.now, &r.local, &to, &m), FZ_TURN_TAKEN);
	len = fz_turn_poll(r.t, r.now, fz_span_of(buf, sizeof(buf)), &to);
	check_types(buf, len, allocate, FZ_ARRAY_LEN(allocate));
	run(&r, FZ_SECONDS(3));
	CHECK_UINT(fz_turn_channel(r.t, &peer, r.now), 0x4000);
	len = fz_turn_poll(r.t, r.now, fz_span_of(buf, sizeof(buf)), &to);
	check_types(buf, len, bind, FZ_ARRAY_LEN(bind));
	fz_turn_free(r.t);
}

TEST(turn, a_401_without_signature_is_understood_too)
{
	rig_init(&r, "secret");
	r.relay.leaves_errors_unsigned = true;
	turn_around(&r);
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	fz_turn_free(r.t);
}

TEST(turn, a_server_that_wants_no_credentials_without_a_nonce_is_asked_bare)
{
	rig_init(&r, "secret");
	r.relay.is_strict = true;
	CHECK_UINT(turn_around(&r), 4); /* BINDING, with credentials, without, with nonce */
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	fz_turn_free(r.t);
}

TEST(turn, a_401_after_the_nonce_was_sent_means_wrong_credentials)
{
	for (unsigned k = 0; k < 2; k++) {
		rig_init(&r, "wrong");
		r.relay.leaves_errors_unsigned = true;
		turn_around(&r);
		CHECK_INT(fz_turn_state(r.t), FZ_TURN_FAILED);
		CHECK_INT(fz_turn_failure(r.t), FZ_TURN_FAILURE_CREDENTIALS);
		CHECK_UINT(r.relay.n_seen[FZ_STUN_ALLOCATE], 2);
		CHECK(!fz_turn_has_answered(r.t));
		CHECK(fz_time_is_never(fz_turn_deadline(r.t)));
		fz_turn_free(r.t);
	}
}

TEST(turn, answers_with_a_wrong_signature_are_no_answers)
{
	rig_init(&r, "secret");
	r.relay.lies = true;
	run(&r, FZ_SECONDS(9));
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_FAILED);
	CHECK_INT(fz_turn_failure(r.t), FZ_TURN_FAILURE_SILENT);
	fz_turn_free(r.t);
}

TEST(turn, a_silent_relay_is_asked_four_times_in_growing_intervals_and_given_up_after_8_s)
{
	static const uint64_t want_ms[] = { 0, 1000, 2500, 4750 };
	uint8_t buf[FZ_TURN_MESSAGE_MAX], first[12];
	struct fz_addr to;
	rig_init(&r, "secret");
	fz_time start = r.now;
	for (size_t i = 0; i < FZ_ARRAY_LEN(want_ms); i++) {
		r.now = fz_turn_deadline(r.t);
		CHECK(fz_turn_poll(r.t, r.now, fz_span_of(buf, sizeof(buf)), &to) > 0);
		CHECK_UINT(fz_dur_ms(fz_time_since(r.now, start)), want_ms[i]);
		if (i == 0)
			memcpy(first, buf + 8, sizeof(first));
		CHECK_MEM(buf + 8, first, sizeof(first)); /* BINDING keeps its transaction id */
	}
	r.drops = true;
	run(&r, FZ_SECONDS(4));
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_FAILED);
	CHECK_INT(fz_turn_failure(r.t), FZ_TURN_FAILURE_SILENT);
	fz_turn_free(r.t);
}

TEST(turn, the_allocation_is_refreshed_at_half_its_lifetime)
{
	allocated(&r);
	run(&r, FZ_SECONDS(299));
	CHECK_UINT(r.relay.n_seen[FZ_STUN_REFRESH], 0);
	run(&r, FZ_SECONDS(2));
	CHECK_UINT(r.relay.n_seen[FZ_STUN_REFRESH], 1);
	run(&r, FZ_SECONDS(3600));
	CHECK_UINT(r.relay.n_seen[FZ_STUN_REFRESH], 13);
	CHECK_UINT(r.relay.n_seen[FZ_STUN_ALLOCATE], 2);
	fz_turn_free(r.t);
}

TEST(turn, an_idle_allocation_is_kept_alive_by_a_binding_every_25_s)
{
	allocated(&r);
	uint32_t before = r.relay.n_seen[FZ_STUN_BINDING];
	run(&r, FZ_SECONDS(251));
	CHECK_UINT(r.relay.n_seen[FZ_STUN_BINDING] - before, 10);
	/* Channel data takes its place. */
	before = r.relay.n_seen[FZ_STUN_BINDING];
	for (unsigned i = 0; i < 10; i++) {
		fz_turn_sent(r.t, r.now);
		run(&r, FZ_SECONDS(20));
	}
	CHECK_UINT(r.relay.n_seen[FZ_STUN_BINDING] - before, 0);
	fz_turn_free(r.t);
}

TEST(turn, a_stale_nonce_is_replaced_and_the_request_repeated)
{
	rig_init(&r, "secret");
	r.relay.nonce_lives = 2;
	run(&r, FZ_SECONDS(3600));
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	CHECK(r.relay.n_seen[FZ_STUN_REFRESH] > 15);
	CHECK_UINT(r.relay.n_seen[FZ_STUN_ALLOCATE], 2);
	fz_turn_free(r.t);
}

TEST(turn, a_relay_that_calls_every_nonce_stale_is_left)
{
	rig_init(&r, "secret");
	r.relay.calls_all_stale = true;
	turn_around(&r);
	CHECK_INT(fz_turn_failure(r.t), FZ_TURN_FAILURE_CREDENTIALS);
	CHECK(r.relay.n_seen[FZ_STUN_ALLOCATE] <= 5);
	fz_turn_free(r.t);
}

TEST(turn, an_answer_from_another_address_is_no_answer)
{
	uint8_t buf[FZ_TURN_MESSAGE_MAX];
	struct fz_addr to, other = addr("192.0.2.9:3478"), nat = addr("198.51.100.1:4000");
	struct fz_stun m;
	rig_init(&r, "secret");
	size_t len = fz_turn_poll(r.t, r.now, fz_span_of(buf, sizeof(buf)), &to);
	sim_relay_receive(&r.relay, r.now, &nat, &to, fz_bytes_of(buf, len), emit, &r);
	CHECK_INT(fz_stun_parse(fz_bytes_of(r.answer, r.answer_len), &m), FZ_STUN_OK);
	CHECK_INT(fz_turn_receive(r.t, r.now, &r.local, &other, &m), FZ_TURN_DROP_UNASKED);
	CHECK(!fz_turn_has_answered(r.t));
	CHECK_INT(fz_turn_receive(r.t, r.now, &r.local, &to, &m), FZ_TURN_TAKEN);
	CHECK_INT(fz_turn_receive(r.t, r.now, &r.local, &to, &m), FZ_TURN_DROP_UNASKED);
	fz_turn_free(r.t);
}

TEST(turn, a_restarted_relay_gives_a_new_allocation)
{
	struct fz_addr peer = addr("203.0.113.5:7");
	allocated(&r);
	CHECK_UINT(fz_turn_channel(r.t, &peer, r.now), 0x4000);
	turn_around(&r);
	struct fz_addr old = *fz_turn_relayed(r.t, FZ_IP4);
	sim_relay_restart(&r.relay);
	run(&r, FZ_SECONDS(310)); /* the refresh gets 437 */
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	CHECK(!fz_addr_equal(&old, fz_turn_relayed(r.t, FZ_IP4)));
	fz_turn_free(r.t);
}

TEST(turn, a_relay_that_mismatches_for_ever_is_left_after_a_few_rounds)
{
	rig_init(&r, "secret");
	r.relay.refuses_allocate = 437;
	run(&r, FZ_SECONDS(60));
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_FAILED);
	CHECK_INT(fz_turn_failure(r.t), FZ_TURN_FAILURE_REFUSED);
	CHECK(r.relay.n_seen[FZ_STUN_ALLOCATE] < 10);
	fz_turn_free(r.t);
}

TEST(turn, a_relay_without_room_or_with_other_rules_is_left)
{
	static const uint16_t codes[] = { 400, 403, 420, 486, 500, 508 };
	for (size_t i = 0; i < FZ_ARRAY_LEN(codes); i++) {
		rig_init(&r, "secret");
		r.relay.refuses_allocate = codes[i];
		turn_around(&r);
		CHECK_INT(fz_turn_failure(r.t), FZ_TURN_FAILURE_REFUSED);
		fz_turn_free(r.t);
	}
}

TEST(turn, an_allocation_left_over_from_before_is_deleted_first)
{
	struct fz_turn *old = allocated(&r);
	fz_turn_free(old);
	uint32_t n = r.relay.n_seen[FZ_STUN_ALLOCATE];
	struct fz_turn_params tp = { .random = random_bytes,
		.user = &r,
		.server4 = r.relay.addr,
		.username = "1790000000:salt",
		.password = "secret" };
	r.t = fz_turn_new(&tp, r.now);
	turn_around(&r);
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	CHECK(r.relay.n_seen[FZ_STUN_REFRESH] >= 1 && r.relay.n_seen[FZ_STUN_ALLOCATE] > n);
	fz_turn_free(r.t);
}

TEST(turn, releasing_gives_the_allocation_back)
{
	allocated(&r);
	fz_turn_release(r.t, r.now);
	turn_around(&r);
	for (size_t i = 0; i < SIM_RELAY_CLIENTS; i++)
		CHECK(!r.relay.clients[i].has_allocation);
	fz_turn_free(r.t);
}

/* ---- channels ------------------------------------------------------------------------------------------------ */

static enum fz_turn_verdict unwrap(struct rig *g, const char *hex, struct fz_bytes *ret_payload)
{
	static uint8_t raw[64];
	size_t len = test_unhex(hex, raw, sizeof(raw));
	struct fz_addr peer, relayed;
	enum fz_turn_verdict v =
		fz_turn_unwrap(g->t, g->now, fz_bytes_of(raw, len), &peer, &relayed, ret_payload);
	if (v == FZ_TURN_TAKEN)
		CHECK(fz_addr_equal(&relayed, fz_turn_relayed(g->t, FZ_IP4)));
	return v;
}

TEST(turn, channels_are_numbered_upwards_and_one_peer_keeps_its_number)
{
	allocated(&r);
	struct fz_addr a = addr("203.0.113.5:7"), b = addr("203.0.113.5:8"),
		       c6 = addr("[2001:db8::1]:1");
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000);
	CHECK_UINT(fz_turn_channel(r.t, &b, r.now), 0x4001);
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000);
	CHECK_UINT(fz_turn_channel(r.t, &c6, r.now), 0); /* no IPv6 allocation */
	turn_around(&r);
	CHECK_UINT(r.relay.n_seen[FZ_STUN_CHANNEL_BIND], 2);
	fz_turn_free(r.t);
}

TEST(turn, channel_data_is_unwrapped_for_known_channels_of_the_right_length_alone)
{
	struct fz_bytes payload = fz_bytes_of(NULL, 0);
	allocated(&r);
	struct fz_addr a = addr("203.0.113.5:7");
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000);
	turn_around(&r);
	CHECK_INT(unwrap(&r, "4000000301020300", &payload), FZ_TURN_TAKEN); /* padded */
	CHECK_UINT(payload.n, 3);
	CHECK_INT(unwrap(&r, "40000003010203", &payload), FZ_TURN_TAKEN);
	CHECK_INT(unwrap(&r, "40000000", &payload), FZ_TURN_TAKEN);
	CHECK_INT(unwrap(&r, "400000040102", &payload), FZ_TURN_DROP_MALFORMED);
	CHECK_INT(unwrap(&r, "4000000101020304050607", &payload), FZ_TURN_DROP_MALFORMED);
	CHECK_INT(unwrap(&r, "400000", &payload), FZ_TURN_DROP_MALFORMED);
	CHECK_INT(unwrap(&r, "4001000101", &payload), FZ_TURN_DROP_CHANNEL);
	CHECK_INT(unwrap(&r, "4fff000101", &payload), FZ_TURN_DROP_CHANNEL);
	CHECK_INT(unwrap(&r, "3fff000101", &payload), FZ_TURN_DROP_CHANNEL);
	fz_turn_free(r.t);
}

TEST(turn, a_channel_is_bound_again_every_5_minutes_while_data_arrives_and_lapses_else)
{
	struct fz_bytes payload;
	allocated(&r);
	struct fz_addr a = addr("203.0.113.5:7");
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000);
	for (unsigned i = 0; i < 60; i++) {
		CHECK_INT(unwrap(&r, "4000000101", &payload), FZ_TURN_TAKEN);
		run(&r, FZ_SECONDS(30));
	}
	uint32_t n = r.relay.n_seen[FZ_STUN_CHANNEL_BIND];
	CHECK(n >= 6 && n <= 7); /* at first, and every 5 of 30 minutes */
	run(&r, FZ_SECONDS(300)); /* the last data still asks for one more */
	n = r.relay.n_seen[FZ_STUN_CHANNEL_BIND];
	run(&r, FZ_SECONDS(3600));
	CHECK_UINT(r.relay.n_seen[FZ_STUN_CHANNEL_BIND], n);
	/* Wanted again, it is bound again under its number. */
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000);
	turn_around(&r);
	CHECK_UINT(r.relay.n_seen[FZ_STUN_CHANNEL_BIND], n + 1);
	fz_turn_free(r.t);
}

TEST(turn, a_peer_the_server_refuses_is_asked_for_once_a_minute)
{
	allocated(&r);
	struct fz_addr a = addr("192.168.1.1:1"), b = addr("203.0.113.5:1");
	r.relay.refuses_bind = 403;
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000); /* optimistic */
	turn_around(&r);
	for (unsigned i = 0; i < 59; i++) {
		CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0);
		run(&r, FZ_SECONDS(1));
	}
	CHECK_UINT(r.relay.n_seen[FZ_STUN_CHANNEL_BIND], 1);
	r.relay.refuses_bind = 0;
	CHECK_UINT(fz_turn_channel(r.t, &b, r.now), 0x4001);
	run(&r, FZ_SECONDS(2));
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0x4000);
	turn_around(&r);
	CHECK_UINT(r.relay.n_seen[FZ_STUN_CHANNEL_BIND], 3);
	fz_turn_free(r.t);
}

TEST(turn, the_other_address_of_a_dual_stack_relay_teaches_the_other_ip_version_s_candidates)
{
	uint8_t buf[FZ_TURN_MESSAGE_MAX];
	struct fz_addr to, local6 = addr("[2001:db8::7]:52625"),
			   server6 = addr("[2001:db8::1]:3478");
	struct fz_candidate c[FZ_TURN_SLOT_COUNT_];
	rig_init(&r, "secret");
	fz_turn_free(r.t);
	struct fz_turn_params tp = { .random = random_bytes,
		.user = &r,
		.server4 = r.relay.addr,
		.server6 = server6,
		.username = "1790000000:salt",
		.password = "secret" };
	r.t = fz_turn_new(&tp, r.now);
	CHECK(r.t);
	/* The IPv6 question is answered last, when the allocation by IPv4 stands. */
	struct fz_stun_id id6 = { { 0 } };
	struct fz_addr nat = addr("198.51.100.1:4000");
	for (unsigned i = 0; i < 4; i++) {
		size_t len = fz_turn_poll(r.t, r.now, fz_span_of(buf, sizeof(buf)), &to);
		CHECK(len > 0);
		if (to.ip.family == FZ_IP6) {
			memcpy(id6.b, buf + 8, sizeof(id6.b));
			continue;
		}
		struct fz_stun m;
		sim_relay_receive(&r.relay, r.now, &nat, &to, fz_bytes_of(buf, len), emit, &r);
		CHECK_INT(fz_stun_parse(fz_bytes_of(r.answer, r.answer_len), &m), FZ_STUN_OK);
		CHECK_INT(fz_turn_receive(r.t, r.now, &r.local, &to, &m), FZ_TURN_TAKEN);
	}
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_SUCCESS, FZ_STUN_BINDING, &id6);
	fz_stun_put_addr(&w, FZ_STUN_XOR_MAPPED_ADDRESS, &local6);
	struct fz_stun m;
	CHECK_INT(fz_stun_parse(fz_bytes_of(buf, fz_stun_finish(&w)), &m), FZ_STUN_OK);
	CHECK_INT(fz_turn_receive(r.t, r.now, &local6, &server6, &m), FZ_TURN_TAKEN);
	fz_turn_candidates(r.t, c);
	CHECK(fz_addr_equal(&c[FZ_TURN_HOST6].addr, &local6));
	CHECK(c[FZ_TURN_HOST4].addr.ip.family == FZ_IP4 && c[FZ_TURN_RELAY4].addr.port != 0);
	CHECK(fz_addr_equal(fz_turn_server(r.t), &r.relay.addr));
	fz_turn_free(r.t);
}

TEST(turn, a_silent_second_address_is_no_reason_to_leave_a_relay)
{
	rig_init(&r, "secret");
	fz_turn_free(r.t);
	struct fz_turn_params tp = { .random = random_bytes,
		.user = &r,
		.server4 = r.relay.addr,
		.server6 = addr("[2001:db8::1]:3478"),
		.username = "1790000000:salt",
		.password = "secret" };
	r.t = fz_turn_new(&tp, r.now);
	CHECK(r.t);
	run(&r, FZ_SECONDS(
			60)); /* the simulated one takes what goes to IPv6 for a peer's data, and drops it */
	CHECK_INT(fz_turn_state(r.t), FZ_TURN_ALLOCATED);
	fz_turn_free(r.t);
}

TEST(turn, numbers_are_limited_and_reused_after_15_minutes)
{
	allocated(&r);
	struct fz_addr a = addr("203.0.113.5:1");
	for (uint32_t i = 0; i < FZ_TURN_CHANNELS_MAX; i++, a.port++)
		CHECK_UINT(fz_turn_channel(r.t, &a, r.now), FZ_TURN_CHANNEL_FIRST + i);
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), 0);
	r.now = fz_time_add(r.now, FZ_SECONDS(15 * 60));
	CHECK_UINT(fz_turn_channel(r.t, &a, r.now), FZ_TURN_CHANNEL_FIRST);
	fz_turn_free(r.t);
}

TEST(turn, credentials_beyond_their_bounds_or_no_server_make_no_relay)
{
	char long_text[FZ_TURN_CREDENTIAL_MAX + 1];
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	memset(&r, 0, sizeof(r));
	struct fz_turn_params tp = {
		.random = random_bytes, .user = &r, .username = "u", .password = "p"
	};
	CHECK(!fz_turn_new(&tp, r.now));
	tp.server4 = addr("192.0.2.1:3478");
	tp.username = long_text;
	CHECK(!fz_turn_new(&tp, r.now));
}
