/* Two ICE agents, or one and a hand-made other side, in virtual time. */
#include "base/endian.h"
#include "path/ice.h"
#include "support/test.h"

static const struct fz_ice_timing quick = { { 250'000'000 }, { 1'500'000'000 }, { 16'500'000'000 },
	{ 6'000'000'000 } };
static const struct fz_ice_timing slow = { { 25'000'000'000 }, { 25'000'000'000 },
	{ 100'000'000'000 }, { 60'000'000'000 } };
static const struct fz_ice_credentials ours = { "abcd", "0123456789abcdefghijkl" };
static const struct fz_ice_credentials theirs = { "efgh", "lkjihgfedcba9876543210" };

static struct test_rng rng = { 42 };

static void random_bytes(void *user, struct fz_span out)
{
	(void)user;
	test_rng_fill(&rng, out.p, out.n);
}

static struct fz_ice *agent(bool is_controlling, bool is_other)
{
	struct fz_ice_params p = { .random = random_bytes,
		.is_controlling = is_controlling,
		.local = is_other ? &theirs : &ours,
		.remote = is_other ? &ours : &theirs,
		.tag = is_other ? 2 : 1,
		.timing = &quick };
	struct fz_ice *a = fz_ice_new(&p);
	CHECK(a);
	return a;
}

static struct fz_addr addr(const char *text)
{
	struct fz_addr a;
	CHECK_INT(fz_addr_parse(text, &a), 0);
	return a;
}

static struct fz_candidate candidate(enum fz_candidate_kind kind, const char *text)
{
	struct fz_candidate c = { .kind = kind, .addr = addr(text), .base = addr(text) };
	c.priority = fz_candidate_priority(kind, (enum fz_family)c.addr.ip.family, 0, false);
	return c;
}

static void add_local(struct fz_ice *a, enum fz_candidate_kind kind, const char *text, fz_time now)
{
	struct fz_candidate c = candidate(kind, text);
	CHECK_INT(fz_ice_add_local(a, &c, now), 1);
}

static void add_remote(struct fz_ice *a, enum fz_candidate_kind kind, const char *text, fz_time now)
{
	struct fz_candidate c = candidate(kind, text);
	CHECK_INT(fz_ice_add_remote(a, &c, now), 1);
}

static struct fz_stun parse(const uint8_t *buf, size_t len)
{
	struct fz_stun m;
	CHECK_INT(fz_stun_parse(fz_bytes_of(buf, len), &m), FZ_STUN_OK);
	return m;
}

/* Lets `from` send what is due to `to`, and brings the answers back; how many checks there were. */
static size_t exchange(struct fz_ice *from, struct fz_ice *to, fz_time now)
{
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t len, n = 0;
	while ((len = fz_ice_poll(from, now, fz_span_of(buf, sizeof(buf)), &path)) > 0) {
		size_t reply_len, none;
		struct fz_stun m = parse(buf, len);
		n++;
		(void)!fz_ice_receive(to, now, &path.remote, &path.local, &m,
			fz_span_of(reply, sizeof(reply)), &reply_len);
		if (reply_len == 0)
			continue;
		m = parse(reply, reply_len);
		CHECK_INT(fz_ice_receive(from, now, &path.local, &path.remote, &m,
				  fz_span_of(buf, sizeof(buf)), &none),
			FZ_ICE_TAKEN);
	}
	return n;
}

struct pair {
	struct fz_ice *a, *b;
	fz_time now;
};

/* Hosts 192.0.2.1:1 and 192.0.2.2:2, each knowing the other. */
static struct pair pair_of(bool a_controls, bool b_controls)
{
	struct pair p = { agent(a_controls, false), agent(b_controls, true), { 1'000'000'000 } };
	add_local(p.a, FZ_CANDIDATE_HOST, "192.0.2.1:1", p.now);
	add_local(p.b, FZ_CANDIDATE_HOST, "192.0.2.2:2", p.now);
	add_remote(p.a, FZ_CANDIDATE_HOST, "192.0.2.2:2", p.now);
	add_remote(p.b, FZ_CANDIDATE_HOST, "192.0.2.1:1", p.now);
	return p;
}

static void pair_done(struct pair *p)
{
	fz_ice_free(p->a);
	fz_ice_free(p->b);
}

TEST(ice, nominates_right_after_the_first_answer_and_says_so_in_the_next_check)
{
	struct pair p = pair_of(true, false);
	struct fz_ice_path path;
	CHECK_INT(fz_ice_state(p.a), FZ_ICE_CHECKING);
	CHECK_UINT(exchange(p.a, p.b, p.now), 2); /* one, and one with USE-CANDIDATE */
	CHECK(fz_ice_selected(p.a, &path) && fz_ice_selected(p.b, &path));
	CHECK_INT(fz_ice_state(p.b), FZ_ICE_CONNECTED);
	struct fz_addr a = addr("192.0.2.1:1");
	CHECK(fz_addr_equal(&path.remote, &a) && !path.is_relayed);
	pair_done(&p);
}

TEST(ice, the_controlled_side_nominates_nothing_by_itself)
{
	struct pair p = pair_of(true, false);
	struct fz_ice_path path;
	CHECK_UINT(exchange(p.b, p.a, p.now), 1);
	CHECK(!fz_ice_selected(p.b, &path) && !fz_ice_selected(p.a, &path));
	pair_done(&p);
}

TEST(ice, a_check_has_the_attributes_of_firezone_s_devices_in_their_order_and_88_or_92_bytes)
{
	struct pair p = pair_of(true, false);
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t len = fz_ice_poll(p.a, p.now, fz_span_of(buf, sizeof(buf)), &path);
	CHECK_UINT(len, 88);
	static const uint16_t types[] = { 0x0006, 0x802a, 0x0024, 0x0008, 0x8028 };
	struct fz_reader r = fz_reader_of(fz_bytes_of(buf + 20, len - 20));
	for (size_t i = 0; i < FZ_ARRAY_LEN(types); i++) {
		CHECK_UINT(fz_reader_be16(&r), types[i]);
		uint16_t n = fz_reader_be16(&r);
		fz_reader_skip(&r, (n + 3u) / 4 * 4);
	}
	CHECK(fz_reader_done(&r));
	struct fz_stun m = parse(buf, len);
	CHECK(fz_bytes_equal(m.username, fz_bytes_of_str("efgh:abcd")));
	CHECK_UINT(m.priority, 0x6efffeff);
	CHECK(fz_stun_is_signed(&m, fz_bytes_of_str(theirs.password)));
	pair_done(&p);
}

TEST(ice,
	unanswered_checks_are_early_at_first_then_250_500_1000_and_1500_ms_apart_and_fail_after_16_5_s)
{
	struct fz_ice *a = agent(true, false);
	fz_time start = { 1'000'000'000 };
	static const uint64_t want_ms[] = { 0, 15, 45, 105, 250, 750, 1750, 3250, 4750, 6250, 7750,
		9250, 10750, 12250, 13750, 15250 };
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t n = 0;
	add_local(a, FZ_CANDIDATE_HOST, "192.0.2.1:1", start);
	add_remote(a, FZ_CANDIDATE_HOST, "192.0.2.2:2", start);
	fz_time now = start;
	while (fz_ice_state(a) == FZ_ICE_CHECKING) {
		now = fz_ice_deadline(a);
		CHECK(!fz_time_is_never(now));
		if (fz_ice_poll(a, now, fz_span_of(buf, sizeof(buf)), &path) == 0)
			continue;
		CHECK(n < FZ_ARRAY_LEN(want_ms));
		CHECK_UINT(fz_dur_ms(fz_time_since(now, start)), want_ms[n]);
		n++;
	}
	CHECK_UINT(n, FZ_ARRAY_LEN(want_ms));
	CHECK_INT(fz_ice_state(a), FZ_ICE_DISCONNECTED);
	CHECK_UINT(fz_dur_ms(fz_time_since(now, start)), 16500);
	CHECK(fz_time_is_never(fz_ice_deadline(a)));
	fz_ice_free(a);
}

TEST(ice, the_first_check_that_arrives_triggers_one_at_once_and_copies_of_it_do_not)
{
	struct pair p = pair_of(true, false);
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t n;
	/* What a sends, b's NAT drops. */
	CHECK(fz_ice_poll(p.a, p.now, fz_span_of(buf, sizeof(buf)), &path) > 0);
	CHECK_UINT(fz_ice_poll(p.a, p.now, fz_span_of(buf, sizeof(buf)), &path), 0);
	/* b's own one comes through, and a's is let in from now on. */
	size_t len = fz_ice_poll(p.b, p.now, fz_span_of(buf, sizeof(buf)), &path);
	struct fz_stun m = parse(buf, len);
	p.now = fz_time_add(p.now, FZ_MILLISECONDS(1));
	CHECK_INT(fz_ice_receive(p.a, p.now, &path.remote, &path.local, &m,
			  fz_span_of(reply, sizeof(reply)), &n),
		FZ_ICE_TAKEN);
	uint8_t out[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path to;
	CHECK_UINT(fz_ice_deadline(p.a).ns, p.now.ns);
	CHECK(fz_ice_poll(p.a, p.now, fz_span_of(out, sizeof(out)), &to) > 0);
	CHECK_INT(fz_ice_receive(p.a, p.now, &path.remote, &path.local, &m,
			  fz_span_of(reply, sizeof(reply)), &n),
		FZ_ICE_TAKEN);
	CHECK_UINT(fz_ice_poll(p.a, p.now, fz_span_of(out, sizeof(out)), &to), 0);
	pair_done(&p);
}

TEST(ice, an_answered_pair_goes_on_being_checked_at_the_longest_interval)
{
	struct pair p = pair_of(true, false);
	fz_time last = p.now;
	for (size_t i = 0; i < 20; i++) {
		p.now = fz_ice_deadline(p.a);
		CHECK(exchange(p.a, p.b, p.now) > 0);
		if (i > 5)
			CHECK_UINT(fz_dur_ms(fz_time_since(p.now, last)), 1500);
		last = p.now;
	}
	pair_done(&p);
}

TEST(ice, an_idle_schedule_checks_every_25_s_and_waking_checks_at_once)
{
	struct pair p = pair_of(true, false);
	p.now = fz_time_add(p.now, FZ_SECONDS(1));
	exchange(p.a, p.b, p.now);
	fz_ice_set_timing(p.a, &slow, p.now);
	p.now = fz_ice_deadline(p.a);
	exchange(p.a, p.b, p.now);
	CHECK_UINT(fz_dur_ms(fz_time_since(fz_ice_deadline(p.a), p.now)), 25000);
	fz_ice_set_timing(p.a, &quick, p.now);
	CHECK_UINT(fz_ice_deadline(p.a).ns, p.now.ns);
	pair_done(&p);
}

TEST(ice, a_better_pair_that_answers_later_is_nominated_instead)
{
	struct pair p = pair_of(true, false);
	struct fz_ice_path path;
	struct fz_addr relay = addr("198.51.100.9:9"), host = addr("192.0.2.2:2");
	/* Only the relayed candidate is known first. */
	struct fz_candidate h = candidate(FZ_CANDIDATE_HOST, "192.0.2.2:2");
	fz_ice_remove_remote(p.a, &h, p.now);
	add_remote(p.a, FZ_CANDIDATE_RELAY, "198.51.100.9:9", p.now);
	add_local(p.b, FZ_CANDIDATE_RELAY, "198.51.100.9:9", p.now);
	exchange(p.a, p.b, p.now);
	CHECK(fz_ice_selected(p.a, &path) && fz_addr_equal(&path.remote, &relay));
	CHECK(fz_ice_selected(p.b, &path) && path.is_relayed);
	CHECK_INT(fz_ice_add_remote(p.a, &h, p.now), 1);
	exchange(p.a, p.b, p.now);
	CHECK(fz_ice_selected(p.a, &path) && fz_addr_equal(&path.remote, &host));
	CHECK(fz_ice_selected(p.b, &path) && !path.is_relayed);
	pair_done(&p);
}

TEST(ice, a_check_from_an_unknown_address_makes_a_peer_reflexive_candidate)
{
	struct pair p = pair_of(true, false);
	struct fz_candidate h = candidate(FZ_CANDIDATE_HOST, "192.0.2.1:1");
	struct fz_ice_path path;
	fz_ice_remove_remote(p.b, &h, p.now);
	CHECK_UINT(fz_ice_n_remotes(p.b), 0);
	exchange(p.a, p.b, p.now);
	CHECK_UINT(fz_ice_n_remotes(p.b), 1);
	CHECK_INT(fz_ice_remote_maybe(p.b, 0)->kind, FZ_CANDIDATE_PRFLX);
	CHECK(fz_ice_selected(p.b, &path));
	/* Signalled late, it becomes what it is. */
	CHECK_INT(fz_ice_add_remote(p.b, &h, p.now), 0);
	CHECK_INT(fz_ice_remote_maybe(p.b, 0)->kind, FZ_CANDIDATE_HOST);
	pair_done(&p);
}

TEST(ice, peer_reflexive_candidates_are_bounded)
{
	struct pair p = pair_of(true, false);
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	struct fz_addr to = addr("192.0.2.2:2"), from = addr("203.0.113.1:1");
	size_t len = fz_ice_poll(p.a, p.now, fz_span_of(buf, sizeof(buf)), &path), n_taken = 0;
	struct fz_stun m = parse(buf, len);
	for (unsigned i = 0; i < 1000; i++) {
		from.port++;
		n_taken += fz_ice_receive(p.b, p.now, &to, &from, &m,
				   fz_span_of(reply, sizeof(reply)), &len) == FZ_ICE_TAKEN;
	}
	CHECK_UINT(fz_ice_n_remotes(p.b), FZ_ICE_CANDIDATES_MAX);
	CHECK_UINT(n_taken, FZ_ICE_CANDIDATES_MAX - 1);
	pair_done(&p);
}

/* A request to b as a would send it, with something changed. */
static enum fz_ice_verdict try_request_at(fz_time now, struct fz_ice *b, const char *username,
	const char *password, bool has_priority, const char *to, size_t *ret_len)
{
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_stun_id id = { { 9 } };
	struct fz_addr local = addr(to), remote = addr("192.0.2.1:1");
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
	if (username)
		fz_stun_put(&w, FZ_STUN_USERNAME, fz_bytes_of_str(username));
	if (has_priority)
		fz_stun_put_u32(&w, FZ_STUN_PRIORITY, 5);
	fz_stun_put(&w, FZ_STUN_USE_CANDIDATE, fz_bytes_of(NULL, 0));
	if (password)
		fz_stun_put_integrity(&w, fz_bytes_of_str(password));
	struct fz_stun m = parse(buf, fz_stun_finish(&w));
	return fz_ice_receive(
		b, now, &local, &remote, &m, fz_span_of(reply, sizeof(reply)), ret_len);
}

static enum fz_ice_verdict try_request(struct fz_ice *b, const char *username, const char *password,
	bool has_priority, const char *to, size_t *ret_len)
{
	return try_request_at(
		(fz_time){ 2'000'000'000 }, b, username, password, has_priority, to, ret_len);
}

TEST(ice, a_request_that_is_not_in_order_changes_nothing_and_gets_no_answer)
{
	struct pair p = pair_of(true, false);
	struct fz_ice_path path;
	size_t len;
	const char *pw = theirs.password, *to = "192.0.2.2:2";
	CHECK_INT(try_request(p.b, NULL, pw, true, to, &len), FZ_ICE_DROP_USERNAME);
	CHECK_INT(try_request(p.b, "abcd:efgh", pw, true, to, &len), FZ_ICE_DROP_USERNAME);
	CHECK_INT(try_request(p.b, "efgh", pw, true, to, &len), FZ_ICE_DROP_USERNAME);
	CHECK_INT(try_request(p.b, "efg:abcd", pw, true, to, &len), FZ_ICE_DROP_USERNAME);
	CHECK_INT(try_request(p.b, "efgh:abcd", NULL, true, to, &len), FZ_ICE_DROP_UNSIGNED);
	CHECK_INT(
		try_request(p.b, "efgh:abcd", ours.password, true, to, &len), FZ_ICE_DROP_UNSIGNED);
	CHECK_INT(try_request(p.b, "efgh:abcd", pw, false, to, &len), FZ_ICE_DROP_MALFORMED);
	CHECK_INT(try_request(p.b, "efgh:abcd", pw, true, "192.0.2.2:3", &len), FZ_ICE_DROP_LOCAL);
	CHECK_UINT(len, 0);
	CHECK(!fz_ice_selected(p.b, &path));
	CHECK_INT(try_request(p.b, "efgh:abcd", pw, true, to, &len), FZ_ICE_TAKEN);
	CHECK(len > 0 && fz_ice_selected(p.b, &path)); /* aggressive nomination is taken at once */
	pair_done(&p);
}

TEST(ice, an_answer_counts_once_from_where_the_question_went_and_only_when_signed)
{
	struct pair p = pair_of(true, false);
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t len = fz_ice_poll(p.a, p.now, fz_span_of(buf, sizeof(buf)), &path), none;
	struct fz_stun m = parse(buf, len);
	struct fz_addr elsewhere = addr("192.0.2.3:2");
	CHECK_INT(fz_ice_receive(p.b, p.now, &path.remote, &path.local, &m,
			  fz_span_of(reply, sizeof(reply)), &len),
		FZ_ICE_TAKEN);
	struct fz_stun answer = parse(reply, len);
	struct fz_span room = fz_span_of(buf, sizeof(buf));
	CHECK_INT(fz_ice_receive(p.a, p.now, &path.local, &elsewhere, &answer, room, &none),
		FZ_ICE_DROP_UNASKED);
	CHECK_INT(fz_ice_receive(p.a, p.now, &elsewhere, &path.remote, &answer, room, &none),
		FZ_ICE_DROP_UNASKED);
	reply[len - 12] ^= 1; /* in the signature; the fingerprint is not looked at again */
	CHECK_INT(fz_ice_receive(p.a, p.now, &path.local, &path.remote, &answer, room, &none),
		FZ_ICE_DROP_UNSIGNED);
	reply[len - 12] ^= 1;
	CHECK(!fz_ice_selected(p.a, &path));
	struct fz_addr l = addr("192.0.2.1:1"), r = addr("192.0.2.2:2");
	CHECK_INT(fz_ice_receive(p.a, p.now, &l, &r, &answer, room, &none), FZ_ICE_TAKEN);
	CHECK(fz_ice_selected(p.a, &path));
	CHECK_INT(fz_ice_receive(p.a, p.now, &l, &r, &answer, room, &none), FZ_ICE_DROP_UNASKED);
	pair_done(&p);
}

/* An answer to a's check that is signed but says nothing of where the check came from. */
TEST(ice, an_answer_without_a_mapped_address_is_malformed)
{
	struct pair p = pair_of(true, false);
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t none, len = fz_ice_poll(p.a, p.now, fz_span_of(buf, sizeof(buf)), &path);
	struct fz_stun m = parse(buf, len);
	struct fz_writer w = fz_writer_of(fz_span_of(reply, sizeof(reply)));
	fz_stun_begin(&w, FZ_STUN_SUCCESS, FZ_STUN_BINDING, &m.id);
	fz_stun_put_integrity(&w, fz_bytes_of_str(theirs.password));
	m = parse(reply, fz_stun_finish(&w));
	CHECK_INT(fz_ice_receive(p.a, p.now, &path.local, &path.remote, &m,
			  fz_span_of(buf, sizeof(buf)), &none),
		FZ_ICE_DROP_MALFORMED);
	CHECK(!fz_ice_selected(p.a, &path));
	pair_done(&p);
}

/* A request to b in the role b has itself; what b answers, or 0. */
static uint16_t conflict(struct fz_ice *b, bool is_controlling, uint64_t tie_breaker)
{
	uint8_t buf[FZ_ICE_MESSAGE_MAX], reply[FZ_ICE_MESSAGE_MAX];
	struct fz_stun_id id = { { 9 } };
	struct fz_addr local = addr("192.0.2.2:2"), remote = addr("192.0.2.1:1");
	size_t len;
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
	fz_stun_put(&w, FZ_STUN_USERNAME, fz_bytes_of_str("efgh:abcd"));
	fz_stun_put_u64(
		&w, is_controlling ? FZ_STUN_ICE_CONTROLLING : FZ_STUN_ICE_CONTROLLED, tie_breaker);
	fz_stun_put_u32(&w, FZ_STUN_PRIORITY, 5);
	fz_stun_put_integrity(&w, fz_bytes_of_str(theirs.password));
	struct fz_stun m = parse(buf, fz_stun_finish(&w));
	CHECK_INT(fz_ice_receive(b, (fz_time){ 2'000'000'000 }, &local, &remote, &m,
			  fz_span_of(reply, sizeof(reply)), &len),
		FZ_ICE_TAKEN);
	return parse(reply, len).error;
}

TEST(ice, in_a_conflict_the_larger_tie_breaker_controls_and_answers_487_where_it_does_already)
{
	struct pair p = pair_of(false, true);
	CHECK_UINT(conflict(p.b, true, 0), 487);
	CHECK(fz_ice_is_controlling(p.b));
	CHECK_UINT(conflict(p.b, true, UINT64_MAX), 0);
	CHECK(!fz_ice_is_controlling(p.b));
	CHECK_UINT(conflict(p.b, false, UINT64_MAX), 487);
	CHECK(!fz_ice_is_controlling(p.b));
	CHECK_UINT(conflict(p.b, false, 0), 0);
	CHECK(fz_ice_is_controlling(p.b));
	pair_done(&p);
}

/* b's checks all get lost; a's arrive every `every` for `length`. */
static void one_way(struct pair *p, fz_dur every, fz_dur length)
{
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	fz_time until = fz_time_add(p->now, length);
	while (!fz_time_reached(p->now, until)) {
		size_t len;
		(void)!try_request_at(
			p->now, p->b, "efgh:abcd", theirs.password, true, "192.0.2.2:2", &len);
		for (unsigned i = 0; i < 10; i++) {
			while (fz_ice_poll(p->b, p->now, fz_span_of(buf, sizeof(buf)), &path) > 0)
				;
			p->now = fz_time_add(p->now, FZ_NANOSECONDS(every.ns / 10));
		}
	}
}

TEST(ice, checks_from_the_other_side_keep_a_pair_from_failing)
{
	struct pair p = pair_of(true, false);
	p.now = (fz_time){ 2'000'000'000 };
	/* The last one comes after 14 s and carries to 29 s, where silence alone would have ended it at 16.5 s. */
	one_way(&p, FZ_SECONDS(14), FZ_SECONDS(28));
	CHECK_INT(fz_ice_state(p.b), FZ_ICE_CONNECTED);
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	while (!fz_time_is_never(fz_ice_deadline(p.b)))
		(void)!fz_ice_poll(p.b, fz_ice_deadline(p.b), fz_span_of(buf, sizeof(buf)), &path);
	CHECK_INT(fz_ice_state(p.b), FZ_ICE_DISCONNECTED);
	/* And one more revives it. */
	size_t len;
	CHECK_INT(try_request(p.b, "efgh:abcd", theirs.password, true, "192.0.2.2:2", &len),
		FZ_ICE_TAKEN);
	CHECK_INT(fz_ice_state(p.b), FZ_ICE_CONNECTED);
	CHECK(fz_ice_poll(p.b, (fz_time){ 2'000'000'000 }, fz_span_of(buf, sizeof(buf)), &path) >
		0);
	pair_done(&p);
}

TEST(ice, the_controlled_side_follows_a_nomination_away_from_a_better_pair_after_a_while)
{
	struct pair p = pair_of(true, false);
	struct fz_ice_path path;
	struct fz_addr host = addr("192.0.2.2:2");
	add_remote(p.a, FZ_CANDIDATE_RELAY, "198.51.100.9:9", p.now);
	add_local(p.b, FZ_CANDIDATE_RELAY, "198.51.100.9:9", p.now);
	exchange(p.a, p.b, p.now);
	CHECK(fz_ice_selected(p.b, &path) && fz_addr_equal(&path.local, &host));
	struct fz_candidate h = candidate(FZ_CANDIDATE_HOST, "192.0.2.2:2");
	fz_ice_remove_remote(p.a, &h, p.now);
	fz_time end =
		fz_time_add(p.now, FZ_SECONDS(45)); /* longer than the grace after the start */
	while (!fz_time_reached(p.now, end)) {
		p.now = fz_ice_deadline(p.a);
		exchange(p.a, p.b, p.now);
	}
	CHECK(fz_ice_selected(p.b, &path) && path.is_relayed);
	pair_done(&p);
}

TEST(ice, two_agents_of_one_role_sort_it_out)
{
	for (unsigned both_control = 0; both_control < 2; both_control++) {
		struct pair p = pair_of(both_control, both_control);
		struct fz_ice_path path;
		for (size_t i = 0; i < 8; i++) {
			exchange(p.a, p.b, p.now);
			exchange(p.b, p.a, p.now);
			p.now = fz_time_add(p.now, FZ_MILLISECONDS(300));
		}
		CHECK(fz_ice_is_controlling(p.a) != fz_ice_is_controlling(p.b));
		CHECK(fz_ice_selected(p.a, &path) && fz_ice_selected(p.b, &path));
		pair_done(&p);
	}
}

TEST(ice, candidates_of_different_ip_versions_make_no_pair)
{
	struct fz_ice *a = agent(true, false);
	add_local(a, FZ_CANDIDATE_HOST, "192.0.2.1:1", (fz_time){ 0 });
	add_remote(a, FZ_CANDIDATE_HOST, "[2001:db8::1]:1", (fz_time){ 0 });
	CHECK_INT(fz_ice_state(a), FZ_ICE_NEW);
	fz_ice_free(a);
}

TEST(ice, a_reflexive_candidate_equal_to_its_base_is_redundant)
{
	struct fz_ice *a = agent(true, false);
	struct fz_candidate s = candidate(FZ_CANDIDATE_SRFLX, "192.0.2.1:1");
	add_local(a, FZ_CANDIDATE_HOST, "192.0.2.1:1", (fz_time){ 0 });
	CHECK_INT(fz_ice_add_local(a, &s, (fz_time){ 0 }), 0);
	s.addr = addr("198.51.100.1:7");
	CHECK_INT(fz_ice_add_local(a, &s, (fz_time){ 0 }), 1);
	/* It is signalled, but checked from its base alone. */
	add_remote(a, FZ_CANDIDATE_HOST, "192.0.2.2:2", (fz_time){ 0 });
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	CHECK(fz_ice_poll(a, (fz_time){ 0 }, fz_span_of(buf, sizeof(buf)), &path) > 0);
	CHECK_UINT(fz_ice_poll(a, (fz_time){ 0 }, fz_span_of(buf, sizeof(buf)), &path), 0);
	fz_ice_free(a);
}

TEST(ice, pairs_are_bounded_and_the_best_are_kept)
{
	struct fz_ice *a = agent(true, false);
	fz_time now = { 1 };
	char text[32];
	for (unsigned i = 1; i <= 20; i++) {
		snprintf(text, sizeof(text), "192.0.2.%u:1", i);
		add_local(a, i == 20 ? FZ_CANDIDATE_HOST : FZ_CANDIDATE_RELAY, text, now);
	}
	for (unsigned i = 1; i <= 20; i++) {
		snprintf(text, sizeof(text), "198.51.100.%u:1", i);
		add_remote(a, i == 20 ? FZ_CANDIDATE_HOST : FZ_CANDIDATE_RELAY, text, now);
	}
	uint8_t buf[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path, first;
	struct fz_addr best_local = addr("192.0.2.20:1"), best_remote = addr("198.51.100.20:1");
	CHECK(fz_ice_poll(a, now, fz_span_of(buf, sizeof(buf)), &first) > 0);
	CHECK(fz_addr_equal(&first.local, &best_local) &&
		fz_addr_equal(&first.remote, &best_remote));
	size_t n = 1;
	while (fz_ice_poll(a, now, fz_span_of(buf, sizeof(buf)), &path) > 0)
		n++;
	CHECK_UINT(n, FZ_ICE_PAIRS_MAX);
	fz_ice_free(a);
}

TEST(ice, removing_the_nominated_candidate_falls_back_to_the_next_best)
{
	struct pair p = pair_of(true, false);
	struct fz_ice_path path;
	add_remote(p.a, FZ_CANDIDATE_RELAY, "198.51.100.9:9", p.now);
	add_local(p.b, FZ_CANDIDATE_RELAY, "198.51.100.9:9", p.now);
	exchange(p.a, p.b, p.now);
	CHECK(fz_ice_selected(p.a, &path));
	struct fz_addr host = addr("192.0.2.2:2"), relay = addr("198.51.100.9:9");
	CHECK(fz_addr_equal(&path.remote, &host));
	struct fz_candidate h = candidate(FZ_CANDIDATE_HOST, "192.0.2.2:2");
	fz_ice_remove_remote(p.a, &h, p.now);
	CHECK(fz_ice_selected(p.a, &path) && fz_addr_equal(&path.remote, &relay));
	pair_done(&p);
}
