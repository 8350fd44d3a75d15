/* Relays, connections and their events, with a relay in virtual time as the only other side. */
#include <errno.h>

#include "base/alloc.h"
#include "path/demux.h"
#include "path/paths.h"
#include "sim/path_relay.h"
#include "support/test.h"

static const struct fz_ice_credentials creds[2] = { { "abcd", "0123456789abcdefghijkl" },
	{ "efgh", "lkjihgfedcba9876543210" } };
static const uint8_t public_key[FZ_KEY_LEN] = { 1 };
static const struct fz_key psk = { { 2 } };

/* Started anew by every test. */
static struct sim_relay relays[2];
static struct fz_paths *paths;
static fz_time now;
static struct test_rng rng;
static struct fz_addr local;
static uint8_t answer[1600];
static size_t answer_len;
static struct fz_addr answer_from;

static void random_bytes(void *user, struct fz_span out)
{
	(void)user;
	test_rng_fill(&rng, out.p, out.n);
}

static struct fz_addr addr(const char *text)
{
	struct fz_addr a;
	CHECK_INT(fz_addr_parse(text, &a), 0);
	return a;
}

static void emit(
	void *user, const struct fz_addr *from, const struct fz_addr *to, struct fz_bytes pkt)
{
	(void)user;
	if (!fz_addr_equal(to, &local))
		return;
	memcpy(answer, pkt.p, pkt.n);
	answer_len = pkt.n;
	answer_from = *from;
}

/* Sends what is due to the relays, whose answers come at once; the number of datagrams for others. */
static size_t serve(void)
{
	struct fz_paths_datagram d;
	struct fz_paths_rx rx;
	size_t n_others = 0;
	for (unsigned budget = 1000; fz_paths_poll(paths, now, &d); budget--) {
		CHECK(budget > 0);
		struct sim_relay *r = NULL;
		for (size_t i = 0; i < 2; i++) {
			if (fz_addr_equal(&relays[i].addr, &d.remote))
				r = &relays[i];
		}
		n_others += r == NULL;
		answer_len = 0;
		if (r)
			sim_relay_receive(r, now, &local, &d.remote, d.pkt, emit, NULL);
		if (answer_len > 0)
			CHECK_INT(fz_paths_receive(paths, now, &local, &answer_from,
					  fz_bytes_of(answer, answer_len), &rx),
				FZ_PATHS_TAKEN);
	}
	return n_others;
}

static void run(fz_dur length)
{
	fz_time until = fz_time_add(now, length);
	struct fz_paths_event e;
	for (;;) {
		serve();
		fz_time at = fz_paths_deadline(paths);
		if (at.ns <= now.ns && fz_paths_take_event(paths, &e))
			continue; /* events are not what these tests wait for */
		if (at.ns > until.ns)
			break;
		now.ns = at.ns > now.ns ? at.ns : now.ns;
	}
	now = until;
}

static int set_relay(unsigned i, const char *password)
{
	char id[3] = { 'r', (char)('0' + i) };
	struct fz_paths_relay r = {
		.id = id, .v4 = relays[i].addr, .username = "u", .password = password
	};
	return fz_paths_set_relay(paths, &r, now);
}

static void start(unsigned n_relays)
{
	memset(relays, 0, sizeof(relays));
	relays[0].addr = addr("192.0.2.1:3478");
	relays[1].addr = addr("192.0.2.2:3478");
	relays[0].password = relays[1].password = "secret";
	local = addr("10.0.0.1:52625");
	now = (fz_time){ 1'000'000'000 };
	rng.s = 5;
	struct fz_paths_params pp = { .random = random_bytes };
	paths = fz_paths_new(&pp);
	CHECK(paths);
	for (unsigned i = 0; i < n_relays; i++)
		CHECK_INT(set_relay(i, "secret"), 0);
	if (n_relays > 0)
		serve();
}

static int upsert(const char *id, bool is_controlling, const uint8_t *key, struct fz_conn **ret)
{
	struct fz_conn_params cp = { .id = id,
		.is_controlling = is_controlling,
		.local = &creds[0],
		.remote = &creds[1],
		.public_key = key,
		.preshared_key = &psk };
	return fz_paths_upsert(paths, &cp, now, ret);
}

/* How many events of a kind are waiting; all are taken. */
static unsigned take(enum fz_paths_event_kind kind)
{
	struct fz_paths_event e;
	unsigned n = 0;
	while (fz_paths_take_event(paths, &e))
		n += e.kind == kind;
	return n;
}

TEST(paths, without_an_answering_relay_there_is_no_connection)
{
	struct fz_conn *c = NULL;
	start(0);
	CHECK_INT(upsert("gw", true, public_key, &c), -ENOTCONN);
	CHECK_INT(set_relay(0, "secret"), 0);
	CHECK_INT(upsert("gw", true, public_key, &c), -ENOTCONN);
	CHECK(!c);
	serve();
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	CHECK_UINT(fz_paths_n_conns(paths), 1);
	fz_paths_free(paths);
}

TEST(paths, a_device_with_an_address_of_its_own_needs_no_relay)
{
	struct fz_conn *c;
	start(0);
	CHECK_INT(fz_paths_add_host(paths, &local, now), 0);
	CHECK_INT(upsert("gw", false, public_key, &c), FZ_PATHS_CREATED);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE), 1);
	fz_paths_free(paths);
}

TEST(paths, addresses_that_come_and_go_are_signalled_and_the_connection_stays)
{
	struct fz_conn *c;
	struct fz_addr hosts[] = { addr("10.0.0.1:52625"), addr("10.0.0.2:52625"),
		addr("10.0.0.3:52625") };
	start(0);
	fz_paths_set_hosts(paths, hosts, 2, now);
	CHECK_INT(upsert("gw", false, public_key, &c), FZ_PATHS_CREATED);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE), 2);
	fz_paths_set_hosts(paths, hosts, 2, now);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE), 0);
	fz_paths_set_hosts(paths, hosts + 1, 2, now); /* the first gone, a third one new */
	struct fz_paths_event e;
	unsigned n_new = 0, n_gone = 0;
	while (fz_paths_take_event(paths, &e)) {
		CHECK(e.conn == c);
		n_new += e.kind == FZ_PATHS_CANDIDATE && strstr(e.text, " 10.0.0.3 ");
		n_gone += e.kind == FZ_PATHS_CANDIDATE_GONE && strstr(e.text, " 10.0.0.1 ");
	}
	CHECK(n_new == 1 && n_gone == 1);
	CHECK_UINT(fz_paths_n_conns(paths), 1);
	/* A host without any is told of as well. */
	fz_paths_set_hosts(paths, NULL, 0, now);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE_GONE), 2);
	fz_paths_set_hosts(paths, hosts, 1, now);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE), 1);
	fz_paths_free(paths);
}

TEST(paths, relays_are_asked_again_when_addresses_change)
{
	struct fz_addr other = addr("10.0.0.9:52625");
	start(1);
	run(FZ_SECONDS(1));
	(void)take(FZ_PATHS_CANDIDATE);
	fz_paths_set_hosts(paths, &local, 1, now);
	CHECK(fz_paths_deadline(paths).ns <= now.ns);
	run(FZ_SECONDS(2));
	CHECK(fz_paths_has_relay(paths));
	fz_paths_set_hosts(paths, &local, 1, now); /* the same: nothing to ask */
	CHECK(fz_paths_deadline(paths).ns > now.ns);
	fz_paths_set_hosts(paths, &other, 1, now);
	CHECK(fz_paths_deadline(paths).ns <= now.ns);
	fz_paths_free(paths);
}

TEST(paths, host_and_relayed_candidates_of_the_chosen_relay_are_signalled)
{
	struct fz_conn *c;
	struct fz_paths_event e;
	unsigned n_host = 0, n_relay = 0;
	start(2);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	while (fz_paths_take_event(paths, &e)) {
		CHECK_INT(e.kind, FZ_PATHS_CANDIDATE);
		CHECK(e.conn == c && strstr(e.text, " ufrag abcd"));
		n_host += strstr(e.text, "typ host") != NULL;
		n_relay += strstr(e.text, "typ relay") != NULL;
	}
	CHECK_UINT(n_host, 1);
	CHECK_UINT(n_relay, 1); /* two relays, one chosen */
	fz_paths_free(paths);
}

TEST(paths, the_same_authorization_again_keeps_the_connection_and_signals_anew)
{
	struct fz_conn *c, *again;
	int mark;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	fz_conn_set_user(c, &mark);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE), 2);
	CHECK_INT(upsert("gw", true, public_key, &again), FZ_PATHS_KEPT);
	CHECK(again == c && fz_conn_user(c) == &mark);
	CHECK_UINT(take(FZ_PATHS_CANDIDATE), 2);
	fz_paths_free(paths);
}

TEST(paths, other_keys_credentials_or_role_replace_the_connection)
{
	static const uint8_t other_key[FZ_KEY_LEN] = { 9 };
	struct fz_conn *c, *again;
	int mark;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	fz_conn_set_user(c, &mark);
	CHECK_INT(upsert("gw", true, other_key, &again), FZ_PATHS_REPLACED);
	CHECK(again == c && fz_conn_user(c) == &mark);
	CHECK_INT(upsert("gw", false, other_key, &again), FZ_PATHS_REPLACED);
	CHECK(!fz_conn_is_controlling(c));
	struct fz_key other_psk = { { 3 } };
	struct fz_conn_params cp = { .id = "gw",
		.local = &creds[0],
		.remote = &creds[1],
		.public_key = other_key,
		.preshared_key = &other_psk };
	CHECK_INT(fz_paths_upsert(paths, &cp, now, &again), FZ_PATHS_REPLACED);
	cp.remote = &creds[0];
	CHECK_INT(fz_paths_upsert(paths, &cp, now, &again), FZ_PATHS_REPLACED);
	CHECK_UINT(fz_paths_n_conns(paths), 1);
	CHECK(fz_paths_find_maybe(paths, "gw") == c && !fz_paths_find_maybe(paths, "g"));
	fz_paths_free(paths);
}

TEST(paths, unusable_credentials_and_ids_are_refused)
{
	static const struct fz_ice_credentials bad[] = { { "", "x" }, { "x", "" }, { "a:b", "x" } };
	struct fz_conn *c;
	start(1);
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++) {
		struct fz_conn_params cp = { .id = "gw",
			.local = &bad[i],
			.remote = &creds[1],
			.public_key = public_key,
			.preshared_key = &psk };
		CHECK_INT(fz_paths_upsert(paths, &cp, now, &c), -EINVAL);
	}
	CHECK_INT(upsert("", true, public_key, &c), -EINVAL);
	CHECK_INT(upsert("0123456789012345678901234567890123456", true, public_key, &c), -EINVAL);
	fz_paths_free(paths);
}

TEST(paths, no_remote_candidate_within_10_s_fails_the_connection)
{
	struct fz_conn *c;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	(void)take(FZ_PATHS_CANDIDATE);
	now = fz_time_add(now, FZ_MILLISECONDS(9999));
	serve();
	CHECK_UINT(take(FZ_PATHS_FAILED), 0);
	now = fz_time_add(now, FZ_MILLISECONDS(1));
	serve();
	CHECK_UINT(take(FZ_PATHS_FAILED), 1);
	CHECK_INT(fz_conn_failure(c), FZ_CONN_FAILURE_NO_CANDIDATES);
	fz_paths_remove(paths, c);
	CHECK_UINT(fz_paths_n_conns(paths), 0);
	fz_paths_free(paths);
}

TEST(paths, one_candidate_disarms_that_and_then_the_checks_decide)
{
	struct fz_conn *c;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:1 1 udp 9 203.0.113.1 9 typ host", now), 1);
	CHECK_INT(
		fz_conn_add_candidate(c, "candidate:1 1 udp 9 nonsense 9 typ host", now), -EINVAL);
	run(FZ_SECONDS(18));
	CHECK_INT(fz_conn_failure(c), FZ_CONN_FAILURE_NONE);
	run(FZ_SECONDS(2));
	CHECK_INT(fz_conn_failure(c), FZ_CONN_FAILURE_UNREACHABLE);
	fz_paths_free(paths);
}

TEST(paths, a_remote_of_another_ip_version_alone_fails_too)
{
	struct fz_conn *c;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:1 1 udp 9 2001:db8::9 9 typ host", now), 1);
	run(FZ_SECONDS(21));
	CHECK_INT(fz_conn_failure(c), FZ_CONN_FAILURE_UNREACHABLE);
	fz_paths_free(paths);
}

TEST(paths, a_relay_taken_away_withdraws_its_candidate_and_the_other_one_steps_in)
{
	struct fz_conn *c;
	struct fz_paths_event e;
	unsigned n_gone = 0, n_new = 0;
	start(2);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	(void)take(FZ_PATHS_CANDIDATE);
	fz_paths_remove_relay(paths, "r0", now);
	fz_paths_remove_relay(paths, "unknown", now);
	while (fz_paths_take_event(paths, &e)) {
		n_gone += e.kind == FZ_PATHS_CANDIDATE_GONE && strstr(e.text, "typ relay");
		n_new += e.kind == FZ_PATHS_CANDIDATE && strstr(e.text, "typ relay");
		CHECK(e.kind != FZ_PATHS_NO_RELAYS);
	}
	CHECK(n_gone == n_new && n_gone <= 1); /* it was that one or the other */
	fz_paths_remove_relay(paths, "r1", now);
	unsigned n = 0;
	while (fz_paths_take_event(paths, &e)) {
		CHECK_INT(e.kind, FZ_PATHS_CANDIDATE_GONE);
		n++;
	}
	CHECK_UINT(n, 1);
	CHECK(!fz_paths_has_relay(paths));
	fz_paths_free(paths);
}

TEST(paths, a_new_allocation_replaces_the_candidate_of_the_old_one)
{
	struct fz_conn *c;
	struct fz_paths_event e;
	unsigned n_gone = 0, n_new = 0;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	(void)take(FZ_PATHS_CANDIDATE);
	sim_relay_restart(&relays[0]);
	CHECK_INT(set_relay(0, "secret"), 0); /* asks whether it lives */
	serve();
	while (fz_paths_take_event(paths, &e)) {
		n_gone += e.kind == FZ_PATHS_CANDIDATE_GONE && strstr(e.text, " 50000 typ relay");
		n_new += e.kind == FZ_PATHS_CANDIDATE && strstr(e.text, " 50001 typ relay");
	}
	CHECK_UINT(n_gone, 1);
	CHECK_UINT(n_new, 1);
	fz_paths_free(paths);
}

TEST(paths, the_last_relay_that_fails_is_reported_once)
{
	start(0);
	relays[0].is_dead = relays[1].is_dead = true;
	CHECK_INT(set_relay(0, "secret"), 0);
	CHECK_INT(set_relay(1, "secret"), 0);
	for (unsigned i = 0; i < 9; i++) {
		now = fz_time_add(now, FZ_SECONDS(1));
		serve();
	}
	CHECK_UINT(take(FZ_PATHS_NO_RELAYS), 1);
	CHECK_UINT(take(FZ_PATHS_NO_RELAYS), 0);
	struct fz_paths_relay_info info;
	CHECK(!fz_paths_relay_info(paths, 0, &info));
	fz_paths_free(paths);
}

TEST(paths, a_relay_known_unchanged_is_asked_whether_it_lives_and_a_changed_one_starts_anew)
{
	start(1);
	uint32_t n = relays[0].n_seen[FZ_STUN_REFRESH];
	CHECK_INT(set_relay(0, "secret"), 0);
	serve();
	CHECK_UINT(relays[0].n_seen[FZ_STUN_REFRESH], n + 1);
	n = relays[0].n_seen[FZ_STUN_BINDING];
	relays[0].leaves_errors_unsigned = true;
	CHECK_INT(set_relay(0, "other"), 0);
	CHECK(!fz_paths_has_relay(paths));
	serve();
	CHECK(relays[0].n_seen[FZ_STUN_BINDING] > n);
	CHECK_UINT(take(FZ_PATHS_NO_RELAYS), 1); /* the password was wrong */
	fz_paths_free(paths);
}

TEST(paths, a_reset_drops_connections_silently_and_starts_relays_anew)
{
	struct fz_conn *c;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	fz_paths_reset(paths, now);
	CHECK_UINT(fz_paths_n_conns(paths), 0);
	CHECK(!fz_paths_has_relay(paths));
	CHECK_UINT(take(FZ_PATHS_FAILED), 0);
	serve();
	CHECK(fz_paths_has_relay(paths));
	fz_paths_free(paths);
}

TEST(paths, srflx_and_host_of_a_remote_make_two_optimistic_guesses_at_most)
{
	struct fz_conn *c;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:1 1 udp 9 10.9.9.1 52625 typ host", now), 1);
	CHECK_INT(
		fz_conn_add_candidate(c, "candidate:2 1 udp 8 203.0.113.1 777 typ srflx", now), 1);
	/* The guess is known already when it is signalled. */
	CHECK_INT(fz_conn_add_candidate(c, "candidate:2 1 udp 8 203.0.113.1 52625 typ srflx", now),
		0);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:3 1 udp 8 203.0.113.2 1 typ srflx", now), 1);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:3 1 udp 8 203.0.113.2 52625 typ srflx", now),
		0);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:4 1 udp 8 203.0.113.3 1 typ srflx", now), 1);
	CHECK_INT(fz_conn_add_candidate(c, "candidate:4 1 udp 8 203.0.113.3 52625 typ srflx", now),
		1);
	fz_paths_free(paths);
}

TEST(paths, invalidation_finds_the_candidate_by_address_and_kind)
{
	struct fz_conn *c;
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	CHECK_INT(fz_conn_add_candidate(c,
			  "candidate:a 1 udp 37748479 203.0.113.1 7 typ relay "
			  "raddr 0.0.0.0 rport 0 ufrag efgh",
			  now),
		1);
	/* As upstream invalidates: other foundation and priority, no ufrag. */
	CHECK_INT(fz_conn_remove_candidate(c,
			  "candidate:b 1 udp 50331391 203.0.113.1 7 typ relay "
			  "raddr 0.0.0.0 rport 0",
			  now),
		0);
	CHECK_INT(
		fz_conn_add_candidate(c, "candidate:a 1 udp 37748479 203.0.113.1 7 typ relay", now),
		1);
	fz_paths_free(paths);
}

TEST(paths, datagrams_get_the_verdict_they_deserve)
{
	struct fz_paths_rx rx;
	uint8_t wg[148] = { 1 };
	struct fz_addr peer = addr("203.0.113.1:9");
	start(1);
	TEST_HEX(stun, "000100002112a442000102030405060708090a0b");
	TEST_HEX(answer_to_nobody, "010100002112a442000102030405060708090a0b");
	TEST_HEX(bad_stun, "000100042112a442000102030405060708090a0bffffffff");
	TEST_HEX(channel, "4000000401020304");
	CHECK_INT(fz_paths_receive(paths, now, &local, &peer, fz_bytes_of(wg, 148), &rx),
		FZ_PATHS_WIREGUARD);
	CHECK(rx.payload.p == wg && rx.way.channel == 0);
	CHECK(fz_addr_equal(&rx.way.remote, &peer) && fz_addr_equal(&rx.way.local, &local));
	CHECK_INT(fz_paths_receive(paths, now, &local, &peer, fz_bytes_of(wg, 10), &rx),
		FZ_PATHS_DROP_PROTOCOL);
	CHECK_INT(fz_paths_receive(paths, now, &local, &peer, fz_bytes_of(stun, stun_len), &rx),
		FZ_PATHS_DROP_UNKNOWN);
	CHECK_INT(fz_paths_receive(paths, now, &local, &peer,
			  fz_bytes_of(answer_to_nobody, answer_to_nobody_len), &rx),
		FZ_PATHS_DROP_UNKNOWN);
	CHECK_INT(fz_paths_receive(
			  paths, now, &local, &peer, fz_bytes_of(bad_stun, bad_stun_len), &rx),
		FZ_PATHS_DROP_STUN);
	CHECK_INT(fz_paths_receive(paths, now, &local, &relays[0].addr,
			  fz_bytes_of(answer_to_nobody, answer_to_nobody_len), &rx),
		FZ_PATHS_DROP_RELAY);
	CHECK_INT(fz_paths_receive(paths, now, &local, &relays[0].addr,
			  fz_bytes_of(channel, channel_len), &rx),
		FZ_PATHS_DROP_RELAY);
	peer.port = FZ_TURN_PORT;
	CHECK_INT(
		fz_paths_receive(paths, now, &local, &peer, fz_bytes_of(channel, channel_len), &rx),
		FZ_PATHS_DROP_RELAY);
	CHECK_UINT(fz_paths_counts(paths)[FZ_PATHS_WIREGUARD], 1);
	fz_paths_free(paths);
}

TEST(paths, wireguard_in_channel_data_comes_with_the_way_back)
{
	struct fz_paths_rx rx;
	struct fz_conn *c;
	uint8_t pkt[4 + 148] = { 0x40, 0, 0, 148, 1 };
	start(1);
	CHECK_INT(upsert("gw", true, public_key, &c), FZ_PATHS_CREATED);
	CHECK_INT(
		fz_conn_add_candidate(c, "candidate:2 1 udp 8 203.0.113.1 777 typ relay", now), 1);
	serve();
	CHECK_INT(fz_paths_receive(
			  paths, now, &local, &relays[0].addr, fz_bytes_of(pkt, sizeof(pkt)), &rx),
		FZ_PATHS_WIREGUARD);
	struct fz_addr peer = addr("203.0.113.1:777");
	CHECK(rx.payload.p == pkt + 4 && rx.payload.n == 148 && rx.way.channel == 0x4000);
	CHECK(fz_addr_equal(&rx.way.peer, &peer));
	CHECK(fz_addr_equal(&rx.way.remote, &relays[0].addr));
	/* WireGuard remembers the two addresses and gives them back with its answer. */
	struct fz_way back;
	CHECK(fz_paths_way_back(paths, now, &rx.local, &rx.way.peer, &back));
	CHECK(back.channel == 0x4000 && fz_addr_equal(&back.remote, &relays[0].addr));
	CHECK(fz_paths_way_back(paths, now, &local.ip, &peer, &back));
	CHECK(back.channel == 0 && fz_addr_equal(&back.remote, &peer));
	fz_paths_free(paths);
}

/* Connections may share a ufrag of 4 letters: the one whose password fits is meant. */
TEST(paths, checks_find_their_connection_among_many_even_with_equal_ufrags)
{
	struct fz_conn *c[3];
	struct fz_paths_rx rx;
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_addr peer = addr("203.0.113.1:9");
	start(1);
	for (unsigned i = 0; i < 3; i++) {
		char id[3] = { 'g', (char)('0' + i) };
		struct fz_ice_credentials l = creds[0];
		l.password[0] = (char)('0' + i);
		struct fz_conn_params cp = { .id = id,
			.local = &l,
			.remote = &creds[1],
			.public_key = public_key,
			.preshared_key = &psk };
		CHECK_INT(fz_paths_upsert(paths, &cp, now, &c[i]), FZ_PATHS_CREATED);
	}
	struct fz_stun_id id = { { 7 } };
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
	fz_stun_put(&w, FZ_STUN_USERNAME, fz_bytes_of_str("abcd:efgh"));
	fz_stun_put_u32(&w, FZ_STUN_PRIORITY, 1);
	fz_stun_put(&w, FZ_STUN_USE_CANDIDATE, fz_bytes_of(NULL, 0));
	fz_stun_put_integrity(&w, fz_bytes_of_str("2123456789abcdefghijkl"));
	size_t len = fz_stun_finish(&w);
	CHECK_INT(fz_paths_receive(paths, now, &local, &peer, fz_bytes_of(buf, len), &rx),
		FZ_PATHS_TAKEN);
	struct fz_way way;
	CHECK(!fz_conn_way(c[0], &way) && !fz_conn_way(c[1], &way) && fz_conn_way(c[2], &way));
	CHECK(fz_addr_equal(&way.remote, &peer));
	/* One that failed answers no more. */
	now = fz_time_add(now, FZ_SECONDS(10));
	serve();
	(void)take(FZ_PATHS_FAILED);
	CHECK_INT(fz_conn_failure(c[2]), FZ_CONN_FAILURE_NO_CANDIDATES);
	CHECK_INT(fz_paths_receive(paths, now, &local, &peer, fz_bytes_of(buf, len), &rx),
		FZ_PATHS_DROP_CHECK);
	CHECK(!fz_conn_way(c[2], &way));
	fz_paths_free(paths);
}

TEST(paths, a_thousand_connections_are_made_and_removed_and_the_limit_holds)
{
	struct fz_conn *c;
	start(1);
	struct fz_paths_params pp = { .random = random_bytes, .max_conns = 1000 };
	fz_paths_free(paths);
	paths = fz_paths_new(&pp);
	CHECK(paths);
	CHECK_INT(set_relay(0, "secret"), 0);
	serve();
	for (unsigned i = 0; i < 1000; i++) {
		char id[8];
		snprintf(id, sizeof(id), "g%u", i);
		CHECK_INT(upsert(id, true, public_key, &c), FZ_PATHS_CREATED);
	}
	CHECK(upsert("more", true, public_key, &c) < 0);
	for (unsigned i = 0; i < 1000; i += 2) {
		char id[8];
		snprintf(id, sizeof(id), "g%u", i);
		c = fz_paths_find_maybe(paths, id);
		CHECK(c);
		CHECK_STR(fz_conn_id(c), id);
		fz_paths_remove(paths, c);
		CHECK(!fz_paths_find_maybe(paths, id));
	}
	c = fz_paths_find_maybe(paths, "g999");
	CHECK(c);
	CHECK_STR(fz_conn_id(c), "g999");
	CHECK_UINT(fz_paths_n_conns(paths), 500);
	CHECK_INT(upsert("more", true, public_key, &c), FZ_PATHS_CREATED);
	fz_paths_free(paths);
}

TEST(paths, every_failed_allocation_is_reported_and_leaves_nothing_behind)
{
	for (unsigned long n = 1; n < 12; n++) {
		struct fz_conn *c;
		start(1);
		fz_fail_at(n);
		int r = upsert("gw", true, public_key, &c);
		if (r >= 0)
			(void)!fz_conn_add_candidate(
				c, "candidate:1 1 udp 9 203.0.113.1 9 typ relay", now);
		fz_fail_at(0);
		CHECK(r == -ENOMEM || r == FZ_PATHS_CREATED);
		CHECK_UINT(fz_paths_n_conns(paths), r >= 0 ? 1 : 0);
		serve();
		fz_paths_free(paths);
	}
}
