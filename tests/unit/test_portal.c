/* The portal connection in virtual time, against a portal made of a few lines: upgrade, join, heartbeat, backoff, every end. */
#include "base/alloc.h"
#include "base/endian.h"
#include "base/err.h"
#include "control/json.h"
#include "control/portal.h"
#include "support/test.h"

struct fake {
	struct fzp_portal *p;
	struct test_rng rng;
	struct fz_now now;
	bool has_message;
	char event[64];
	int n_dials, n_hang_ups, n_ups, n_downs, n_ended;
	enum fzp_reason reason;
};

static void fill(void *user, struct fz_span out)
{
	test_rng_fill(&((struct fake *)user)->rng, out.p, out.n);
}

/* The machine only compares what we return with what the portal sends: any fixed digest will do. */
static void digest(void *user, struct fz_bytes in, uint8_t ret_digest[20])
{
	(void)user;
	for (size_t i = 0; i < 20; i++)
		ret_digest[i] = (uint8_t)(i + in.n);
}

static const uint8_t key[32] = { 9 };

static void act(struct fake *f)
{
	struct fzp_action a;
	for (;;) {
		fzp_portal_poll(f->p, f->now, &a);
		switch (a.kind) {
		case FZP_ACTION_NONE: return;
		case FZP_ACTION_DIAL: f->n_dials++; break;
		case FZP_ACTION_HANG_UP: f->n_hang_ups++; break;
		case FZP_ACTION_UP: f->n_ups++; break;
		case FZP_ACTION_DOWN:
			f->n_downs++;
			f->reason = a.reason;
			break;
		case FZP_ACTION_ENDED:
			f->n_ended++;
			f->reason = a.reason;
			break;
		case FZP_ACTION_MESSAGE:
			f->has_message = true;
			snprintf(f->event, sizeof(f->event), "%s", a.frame.event);
			break;
		}
	}
}

static void make_limited(struct fake *f, fz_dur partition_limit)
{
	*f = (struct fake){ .rng = { 42 }, .now = { { 1'000'000'000 }, { 0 } } };
	struct fzp_portal_params params = { .role = FZP_CLIENT,
		.external_id = "abc",
		.name = "box",
		.user_agent = "Debian/12.0.0 headless-client/1.5.12",
		.partition_limit = partition_limit,
		.random = fill,
		.sha1 = digest,
		.user = f };
	CHECK_INT(fzp_url_parse("wss://portal.example", &params.url), 0);
	CHECK_INT(fzp_portal_new(&params, &f->p), 0);
	static struct fz_token token;
	token = (struct fz_token){ .len = 7, .text = ".secret" };
	fzp_portal_start(f->p, &token, key, f->now);
	CHECK_UINT(token.len, 0);
	act(f);
	CHECK_INT(f->n_dials, 1);
}

static void make(struct fake *f)
{
	make_limited(f, FZ_SECONDS(0));
}

static void pass(struct fake *f, fz_dur d)
{
	f->now.at = fz_time_add(f->now.at, d);
	f->now.wall.ns += (int64_t)d.ns;
	act(f);
}

static void hear(struct fake *f, const char *text)
{
	fzp_portal_received(f->p, fz_bytes_of_str(text), f->now);
	act(f);
}

static size_t drain(struct fake *f, char *text, size_t cap)
{
	size_t n = 0;
	for (struct fz_bytes b = fzp_portal_output(f->p); b.n > 0; b = fzp_portal_output(f->p)) {
		CHECK(n + b.n < cap);
		memcpy(text + n, b.p, b.n);
		n += b.n;
		fzp_portal_output_taken(f->p, b.n);
	}
	text[n] = '\0';
	return n;
}

/* An unmasked text frame, as servers send. */
static void push(struct fake *f, const char *json)
{
	uint8_t frame[4096];
	size_t n = strlen(json), head = n < 126 ? 2 : 4;
	frame[0] = 0x81;
	frame[1] = (uint8_t)(n < 126 ? n : 126);
	if (head == 4) {
		frame[2] = (uint8_t)(n >> 8);
		frame[3] = (uint8_t)n;
	}
	memcpy(frame + head, json, n);
	fzp_portal_received(f->p, fz_bytes_of(frame, head + n), f->now);
	act(f);
}

/* The next client frame, unmasked; false if none is there. */
static bool said(const char *raw, size_t n, size_t *at, char *text, size_t cap)
{
	if (n - *at < 6)
		return false;
	const uint8_t *p = (const uint8_t *)raw + *at;
	size_t len = p[1] & 0x7f, head = 2;
	if (len == 126) {
		len = (size_t)p[2] << 8 | p[3];
		head = 4;
	}
	CHECK(len < cap && (p[1] & 0x80));
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(p[head + 4 + i] ^ p[head + i % 4]);
	text[len] = '\0';
	*at += head + 4 + len;
	return true;
}

static void upgrade(struct fake *f)
{
	static char text[8192], accept[32] = "", answer[256];
	fzp_portal_connected(f->p, f->now);
	act(f);
	drain(f, text, sizeof(text));
	CHECK(strstr(text, "x-authorization: Bearer .secret\r\n"));
	uint8_t d[20];
	digest(NULL, fz_bytes_of(text, 60), d); /* 24 bytes of key and 36 of GUID */
	struct fz_writer w = fz_writer_of(fz_span_of(accept, sizeof(accept) - 1));
	fzp_base64_encode(&w, fz_bytes_of(d, sizeof(d)));
	snprintf(answer, sizeof(answer),
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: "
		"Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		accept);
	hear(f, answer);
	CHECK_INT(fzp_portal_state(f->p), FZP_PORTAL_JOINING);
}

static void join(struct fake *f)
{
	upgrade(f);
	static char raw[8192], text[4096];
	size_t n = drain(f, raw, sizeof(raw)), at = 0;
	CHECK(said(raw, n, &at, text, sizeof(text)));
	CHECK_STR(text, "{\"topic\":\"client\",\"event\":\"phx_join\",\"payload\":null,\"ref\":0}");
	push(f, "{\"topic\":\"client\",\"event\":\"phx_reply\",\"ref\":0,\"payload\":{\"status\":"
		"\"ok\",\"response\":{}}}");
	CHECK_INT(fzp_portal_state(f->p), FZP_PORTAL_UP);
	CHECK(f->n_ups > 0);
}

TEST(portal, joins_and_hands_out_pushes_while_unknown_frames_are_skipped)
{
	static struct fake f;
	make(&f);
	join(&f);
	push(&f, "not json");
	push(&f, "[1,2]");
	push(&f, "{\"topic\":\"client\",\"event\":\"phx_error\",\"payload\":{},\"ref\":null}");
	CHECK(!f.has_message);
	push(&f, "{\"topic\":\"client\",\"event\":\"init\",\"payload\":{},\"ref\":null,\"join_"
		 "ref\":\"1\"}");
	CHECK(f.has_message);
	CHECK_STR(f.event, "init");
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_UP);
	fzp_portal_free(f.p);
}

TEST(portal, a_message_is_let_go_with_the_next_question)
{
	static struct fake f;
	make(&f);
	join(&f);
	static const char text[] =
		"{\"topic\":\"client\",\"event\":\"a\",\"payload\":{},\"ref\":null}";
	uint8_t frame[2 + sizeof(text)] = { 0x81, sizeof(text) - 1 };
	memcpy(frame + 2, text, sizeof(text) - 1);
	fzp_portal_received(f.p, fz_bytes_of(frame, 1 + sizeof(text)), f.now);
	struct fzp_action message, none;
	fzp_portal_poll(f.p, f.now, &message);
	CHECK_INT(message.kind, FZP_ACTION_MESSAGE);
	json_t *payload = json_incref(fz_unconst(message.frame.payload));
	CHECK_UINT(payload->refcount, 2);
	fzp_portal_poll(f.p, f.now, &none);
	CHECK_INT(none.kind, FZP_ACTION_NONE);
	CHECK_UINT(payload->refcount, 1);
	json_decref(payload);
	fzp_portal_free(f.p);
}

TEST(portal, two_frames_in_one_read_are_both_handed_out_in_order)
{
	static struct fake f;
	make(&f);
	join(&f);
	static const char a[] = "{\"topic\":\"client\",\"event\":\"a\",\"payload\":1,\"ref\":null}";
	static const char b[] = "{\"topic\":\"client\",\"event\":\"b\",\"payload\":1,\"ref\":null}";
	uint8_t both[256] = { 0x81, sizeof(a) - 1 };
	memcpy(both + 2, a, sizeof(a) - 1);
	both[1 + sizeof(a)] = 0x81;
	both[2 + sizeof(a)] = sizeof(b) - 1;
	memcpy(both + 3 + sizeof(a), b, sizeof(b) - 1);
	fzp_portal_received(f.p, fz_bytes_of(both, 2 + sizeof(a) + sizeof(b)), f.now);
	struct fzp_action act1, act2, act3;
	fzp_portal_poll(f.p, f.now, &act1);
	CHECK_INT(act1.kind, FZP_ACTION_MESSAGE);
	CHECK_STR(act1.frame.event, "a");
	fzp_portal_poll(f.p, f.now, &act2);
	CHECK_INT(act2.kind, FZP_ACTION_MESSAGE);
	CHECK_STR(act2.frame.event, "b");
	fzp_portal_poll(f.p, f.now, &act3);
	CHECK_INT(act3.kind, FZP_ACTION_NONE);
	fzp_portal_free(f.p);
}

TEST(portal, what_is_sent_before_the_join_waits_once_and_in_order)
{
	static struct fake f;
	make(&f);
	CHECK_INT(fzp_portal_send(f.p, "x", json_object()), -ENOTCONN);
	upgrade(&f);
	static char raw[8192], text[4096];
	drain(&f, raw, sizeof(raw));
	CHECK_INT(fzp_portal_send(f.p, "one", json_pack("{s:i}", "n", 1)), 0);
	CHECK_INT(fzp_portal_send(f.p, "one", json_pack("{s:i}", "n", 1)), 0);
	CHECK_INT(fzp_portal_send(f.p, "two", json_object()), 0);
	push(&f, "{\"topic\":\"client\",\"event\":\"phx_reply\",\"ref\":0,\"payload\":{\"status\":"
		 "\"ok\",\"response\":{}}}");
	size_t n = drain(&f, raw, sizeof(raw)), at = 0;
	CHECK(said(raw, n, &at, text, sizeof(text)));
	CHECK_STR(text, "{\"topic\":\"client\",\"event\":\"one\",\"payload\":{\"n\":1},\"ref\":1}");
	CHECK(said(raw, n, &at, text, sizeof(text)));
	CHECK_STR(text, "{\"topic\":\"client\",\"event\":\"two\",\"payload\":{},\"ref\":2}");
	CHECK_UINT(at, n);
	fzp_portal_free(f.p);
}

TEST(portal, what_waits_for_the_join_is_bounded)
{
	static struct fake f;
	make(&f);
	upgrade(&f);
	int r = 0;
	for (int i = 0; i < 1000 && r == 0; i++)
		r = fzp_portal_send(f.p, "x", json_integer(i));
	CHECK_INT(r, FZ_ERR_LIMIT);
	fzp_portal_free(f.p);
}

TEST(portal, a_join_answered_with_null_or_not_at_all_times_out_after_five_seconds)
{
	static struct fake f;
	make(&f);
	upgrade(&f);
	push(&f, "{\"topic\":\"client\",\"event\":\"phx_reply\",\"ref\":0,\"payload\":{\"status\":"
		 "\"ok\",\"response\":null}}");
	pass(&f, FZ_MILLISECONDS(4999));
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_JOINING);
	pass(&f, FZ_MILLISECONDS(1));
	CHECK_INT(f.reason, FZP_REASON_JOIN_TIMEOUT);
	CHECK_INT(f.n_hang_ups, 1);
	fzp_portal_free(f.p);
}

TEST(portal, heartbeats_go_out_every_ten_seconds_and_the_fourth_unanswered_one_reconnects)
{
	static struct fake f;
	make(&f);
	join(&f);
	static char raw[8192], text[4096];
	for (int i = 0; i < 3; i++) {
		pass(&f, FZ_SECONDS(10));
		size_t n = drain(&f, raw, sizeof(raw)), at = 0;
		CHECK(said(raw, n, &at, text, sizeof(text)));
		CHECK(strstr(text, "\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{}"));
	}
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_UP);
	pass(&f, FZ_SECONDS(10));
	CHECK_INT(f.reason, FZP_REASON_HEARTBEAT);
	fzp_portal_free(f.p);
}

TEST(portal, answered_heartbeats_keep_it_up_for_a_day)
{
	static struct fake f;
	make(&f);
	join(&f);
	static char raw[8192], answer[128];
	for (unsigned i = 0; i < 8640; i++) {
		pass(&f, FZ_SECONDS(10));
		drain(&f, raw, sizeof(raw));
		snprintf(answer, sizeof(answer),
			"{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"ref\":%u,\"payload\":{"
			"\"status\":\"ok\",\"response\":{}}}",
			i + 1);
		push(&f, answer);
	}
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_UP);
	CHECK_INT(f.n_downs, 0);
	fzp_portal_free(f.p);
}

TEST(portal, before_the_first_join_attempts_are_a_second_apart_and_never_given_up)
{
	static struct fake f;
	make(&f);
	for (int i = 0; i < 15; i++) {
		fzp_portal_dial_failed(f.p, FZP_REASON_CONNECT, f.now);
		act(&f);
		CHECK_UINT(fzp_portal_deadline(f.p).ns - f.now.at.ns, FZ_SECONDS(1).ns);
		pass(&f, FZ_SECONDS(1));
	}
	uint64_t longest = 0;
	for (int i = 0; i < 100; i++) {
		fzp_portal_dial_failed(f.p, FZP_REASON_NO_NETWORK, f.now);
		act(&f);
		uint64_t wait = fzp_portal_deadline(f.p).ns - f.now.at.ns;
		longest = wait > longest ? wait : longest;
		pass(&f, FZ_NANOSECONDS(wait));
	}
	CHECK_INT(f.n_dials, 116);
	CHECK(longest > FZ_SECONDS(60).ns && longest <= FZ_SECONDS(120).ns);
	fzp_portal_free(f.p);
}

TEST(portal, after_a_join_the_delays_grow_from_half_a_second_and_a_join_resets_them)
{
	static struct fake f;
	make(&f);
	for (int round = 0; round < 2; round++) {
		join(&f);
		fzp_portal_disconnected(f.p, f.now);
		act(&f);
		CHECK_INT(f.reason, FZP_REASON_LOST);
		uint64_t ms = 500;
		for (int i = 0; i < 6; i++) {
			uint64_t wait =
				fz_dur_ms(fz_time_since(fzp_portal_deadline(f.p), f.now.at));
			CHECK(wait >= ms && wait <= 2 * ms);
			pass(&f, FZ_MILLISECONDS(wait));
			if (i < 5) {
				fzp_portal_dial_failed(f.p, FZP_REASON_CONNECT, f.now);
				act(&f);
			}
			ms += ms / 2;
		}
	}
	fzp_portal_free(f.p);
}

/* Dials in vain until the session ends; how long that took. */
static fz_dur fail_until_ended(struct fake *f)
{
	fz_time started = f->now.at;
	f->n_ended = 0;
	for (int i = 0; i < 1000 && f->n_ended == 0; i++) {
		fzp_portal_dial_failed(f->p, FZP_REASON_CONNECT, f->now);
		act(f);
		if (f->n_ended == 0)
			pass(f, fz_time_since(fzp_portal_deadline(f->p), f->now.at));
	}
	return fz_time_since(f->now.at, started);
}

TEST(portal, after_a_join_it_is_away_as_long_as_allowed_and_then_the_session_ends)
{
	static struct fake f;
	make_limited(&f, FZ_SECONDS(300));
	for (int i = 0; i < 100; i++) { /* before the first join nothing is given up */
		fzp_portal_dial_failed(f.p, FZP_REASON_NO_NETWORK, f.now);
		act(&f);
		pass(&f, fz_time_since(fzp_portal_deadline(f.p), f.now.at));
	}
	CHECK_INT(f.n_ended, 0);
	for (int round = 0; round < 2; round++) { /* a join starts the time anew */
		join(&f);
		pass(&f, FZ_SECONDS(8));
		fzp_portal_disconnected(f.p, f.now);
		act(&f);
		pass(&f, fz_time_since(fzp_portal_deadline(f.p), f.now.at));
		for (int i = 0; round == 0 && i < 5; i++) {
			fzp_portal_dial_failed(f.p, FZP_REASON_CONNECT, f.now);
			act(&f);
			pass(&f, fz_time_since(fzp_portal_deadline(f.p), f.now.at));
		}
	}
	fz_dur away = fail_until_ended(&f);
	CHECK(away.ns <= FZ_SECONDS(300).ns && away.ns >= FZ_SECONDS(299).ns);
	CHECK_INT(f.reason, FZP_REASON_PARTITION);
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_OFF);
	CHECK(!fzp_reason_info(FZP_REASON_PARTITION)->drops_token);
	fzp_portal_free(f.p);
}

TEST(portal, a_refusal_with_retry_after_waits_just_that_and_costs_no_backoff)
{
	static struct fake f;
	make(&f);
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 503 x\r\nRetry-After: 3\r\nContent-Type: application/problem+json; "
		 "charset=utf-8\r\nContent-Length: 21\r\n\r\n{\"code\":\"rate_limit\"}");
	CHECK_INT(f.reason, FZP_REASON_RATE_LIMIT);
	CHECK_UINT(fz_dur_ms(fz_time_since(fzp_portal_deadline(f.p), f.now.at)), 3000);
	CHECK_INT(f.n_hang_ups, 1);
	fzp_portal_free(f.p);
}

TEST(portal, only_a_401_that_names_the_token_ends_the_session)
{
	static struct fake f;
	make(&f);
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 401 x\r\nContent-Length: 5\r\n\r\nproxy");
	CHECK_INT(f.reason, FZP_REASON_AUTHENTICATION);
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_WAITING);
	pass(&f, FZ_SECONDS(1));
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 401 x\r\nContent-Type: application/problem+json\r\nContent-Length: "
		 "24\r\n\r\n{\"code\":\"invalid_token\"}");
	CHECK_INT(f.reason, FZP_REASON_INVALID_TOKEN);
	CHECK_INT(f.n_ended, 1);
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_OFF);
	CHECK(fz_time_is_never(fzp_portal_deadline(f.p)));
	fzp_portal_free(f.p);
}

TEST(portal, a_refusal_whose_body_never_comes_is_judged_after_the_attempts_time)
{
	static struct fake f;
	make(&f);
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 403 x\r\nContent-Type: application/problem+json\r\nContent-Length: "
		 "900\r\n\r\n{");
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_UPGRADING);
	pass(&f, FZ_SECONDS(15));
	CHECK_INT(f.reason, FZP_REASON_FORBIDDEN);
	fzp_portal_free(f.p);
}

TEST(portal, a_wrong_accept_is_no_websocket)
{
	static struct fake f;
	make(&f);
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: "
		 "Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n");
	CHECK_INT(f.reason, FZP_REASON_PROTOCOL);
	fzp_portal_free(f.p);
}

#define DISMISSAL                                                                                  \
	"{\"topic\":\"client\",\"event\":\"disconnect\",\"payload\":{\"reason\":\"token_"          \
	"expired\"},"                                                                              \
	"\"ref\":null}"
#define INVALID_TOKEN                                                                              \
	"HTTP/1.1 401 x\r\nContent-Type: application/problem+json\r\nContent-Length: 24\r\n\r\n"   \
	"{\"code\":\"invalid_token\"}"

TEST(portal, token_expired_is_true_once_the_token_is_refused)
{
	static struct fake f;
	make(&f);
	join(&f);
	push(&f, DISMISSAL);
	CHECK_INT(f.reason, FZP_REASON_DISMISSED);
	CHECK_INT(f.n_ended, 0);
	CHECK_INT(f.n_downs, 1);
	pass(&f, FZ_SECONDS(1)); /* 0.5 to 1 s: the first delay */
	CHECK_INT(f.n_dials, 2);
	fzp_portal_connected(f.p, f.now);
	hear(&f, INVALID_TOKEN);
	CHECK_INT(f.reason, FZP_REASON_TOKEN_EXPIRED);
	CHECK_INT(f.n_ended, 1);
	CHECK(fzp_reason_info(f.reason)->drops_token);
	pass(&f, FZ_SECONDS(3600));
	CHECK_INT(f.n_dials, 2);
	fzp_portal_free(f.p);
}

TEST(portal, the_newer_of_two_gateways_keeps_its_token_and_comes_back)
{
	static struct fake f;
	make(&f);
	join(&f);
	push(&f, DISMISSAL);
	pass(&f, FZ_SECONDS(1));
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 409 x\r\nContent-Type: application/problem+json\r\nContent-Length: "
		 "36\r\n\r\n{\"code\":\"gateway_already_connected\"}");
	CHECK_INT(f.reason, FZP_REASON_GATEWAY_CONNECTED);
	pass(&f, FZ_SECONDS(2));
	CHECK_INT(f.n_dials, 3);
	join(&f);
	CHECK_INT(f.n_ended, 0);
	/* Long over: a later refusal is what it says. */
	push(&f, "{\"topic\":\"client\",\"event\":\"phx_close\",\"payload\":{},\"ref\":null}");
	pass(&f, FZ_SECONDS(2));
	fzp_portal_connected(f.p, f.now);
	hear(&f, INVALID_TOKEN);
	CHECK_INT(f.reason, FZP_REASON_INVALID_TOKEN);
	fzp_portal_free(f.p);
}

TEST(portal, whoever_is_let_in_and_sent_away_again_and_again_waits_longer)
{
	static struct fake f;
	make(&f);
	uint64_t last = 0;
	for (int i = 0; i < 14; i++) {
		join(&f);
		push(&f, DISMISSAL);
		CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_WAITING);
		uint64_t wait = fzp_portal_deadline(f.p).ns - f.now.at.ns;
		last = wait;
		CHECK(wait <= FZ_SECONDS(120).ns);
		pass(&f, (fz_dur){ wait });
	}
	CHECK(last >= FZ_SECONDS(60).ns);
	join(&f);
	pass(&f, FZ_SECONDS(9));
	push(&f, DISMISSAL);
	CHECK(fzp_portal_deadline(f.p).ns - f.now.at.ns >= FZ_SECONDS(60).ns);
	CHECK_INT(f.n_ended, 0);
	fzp_portal_free(f.p);
}

TEST(portal, other_disconnects_are_no_news)
{
	static struct fake f;
	make(&f);
	join(&f);
	push(&f, "{\"topic\":\"client\",\"event\":\"disconnect\",\"payload\":{\"reason\":"
		 "\"certificate_revoked\"},\"ref\":null}");
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_UP);
	fzp_portal_free(f.p);
}

TEST(portal, a_refusal_in_chunks_is_read_whole)
{
	static const char whole[] =
		"HTTP/1.1 401 x\r\nContent-Type: application/problem+json\r\nTransfer-Encoding: "
		"chunked\r\n\r\n9\r\n{\"code\":\"\r\nF;x=y\r\ninvalid_token\"}\r\n0\r\n\r\n";
	for (size_t cut = 1; cut < sizeof(whole) - 1; cut++) {
		static struct fake f;
		make(&f);
		fzp_portal_connected(f.p, f.now);
		fzp_portal_received(f.p, fz_bytes_of(whole, cut), f.now);
		act(&f);
		CHECK_INT(f.n_ended, 0);
		fzp_portal_received(f.p, fz_bytes_of(whole + cut, sizeof(whole) - 1 - cut), f.now);
		act(&f);
		CHECK_INT(f.n_ended, 1);
		CHECK_INT(f.reason, FZP_REASON_INVALID_TOKEN);
		fzp_portal_free(f.p);
	}
}

TEST(portal, a_refusal_in_chunks_without_end_is_bounded)
{
	static struct fake f;
	make(&f);
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 401 x\r\nContent-Type: application/problem+json\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n");
	int n = 0;
	for (; n < 100'000 && f.n_downs == 0; n++)
		hear(&f, "1\r\nx\r\n");
	CHECK_INT(f.n_downs, 1);
	CHECK(n <= 16384 / 6 + 1);
	CHECK_INT(f.reason, FZP_REASON_AUTHENTICATION);
	fzp_portal_free(f.p);
}

TEST(portal, a_refusal_in_chunks_that_ends_with_the_connection_counts_as_far_as_it_came)
{
	static struct fake f;
	make(&f);
	fzp_portal_connected(f.p, f.now);
	hear(&f, "HTTP/1.1 401 x\r\nContent-Type: application/problem+json\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n18\r\n{\"code\":\"invalid_token\"}\r\n");
	CHECK_INT(f.n_ended, 0);
	fzp_portal_disconnected(f.p, f.now);
	act(&f);
	CHECK_INT(f.reason, FZP_REASON_INVALID_TOKEN);
	fzp_portal_free(f.p);
}

/* A text frame of `n` bytes: a push with a long payload. */
static void push_long(struct fake *f, size_t n)
{
	static const char head[] = "{\"topic\":\"client\",\"event\":\"long\",\"payload\":\"",
			  tail[] = "\",\"ref\":null}";
	uint8_t *frame = fz_alloc(10 + n, 1);
	if (!frame)
		abort();
	memset(frame, 'x', 10 + n);
	memcpy(frame, "\x81\x7f", 2);
	fz_be64_store(frame + 2, n);
	memcpy(frame + 10, head, sizeof(head) - 1);
	memcpy(frame + 10 + n - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	for (size_t at = 0; at < 10 + n && fzp_portal_state(f->p) == FZP_PORTAL_UP;) {
		size_t some = 10 + n - at < 65'536 ? 10 + n - at : 65'536;
		fzp_portal_received(f->p, fz_bytes_of(frame + at, some), f->now);
		act(f);
		at += some;
	}
	free(frame);
}

TEST(portal, a_message_may_be_as_long_as_every_list_at_its_maximum)
{
	static struct fake f;
	make(&f);
	join(&f);
	push_long(&f, 40u << 20);
	CHECK(f.has_message);
	CHECK_STR(f.event, "long");
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_UP);
	/* Longer than the bound: its beginning is enough. */
	static const uint8_t head[] = { 0x81, 0x7f, 0, 0, 0, 0, 0x04, 0, 0, 1, 0x78 };
	fzp_portal_received(f.p, fz_bytes_of(head, sizeof(head)), f.now);
	act(&f);
	CHECK_INT(f.n_downs, 1);
	CHECK_INT(f.reason, FZP_REASON_LOST);
	fzp_portal_free(f.p);
}

TEST(portal, phx_close_and_a_close_frame_reconnect)
{
	static struct fake f;
	make(&f);
	join(&f);
	push(&f, "{\"topic\":\"client\",\"event\":\"phx_close\",\"payload\":{},\"ref\":null}");
	CHECK_INT(f.reason, FZP_REASON_LOST);
	pass(&f, FZ_SECONDS(1));
	join(&f);
	static const uint8_t close_frame[] = { 0x88, 0x02, 0x03, 0xe8 };
	fzp_portal_received(f.p, fz_bytes_of(close_frame, sizeof(close_frame)), f.now);
	act(&f);
	CHECK_INT(f.n_downs, 2);
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_WAITING);
	fzp_portal_free(f.p);
}

TEST(portal, an_unmatched_topic_joins_again)
{
	static struct fake f;
	make(&f);
	join(&f);
	push(&f, "{\"topic\":\"client\",\"event\":\"phx_reply\",\"ref\":9,\"payload\":{\"status\":"
		 "\"error\",\"response\":{\"reason\":\"unmatched topic\"}}}");
	CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_JOINING);
	static char raw[8192], text[4096];
	size_t n = drain(&f, raw, sizeof(raw)), at = 0;
	CHECK(said(raw, n, &at, text, sizeof(text)));
	CHECK(strstr(text, "phx_join"));
	fzp_portal_free(f.p);
}

TEST(portal, a_reset_hangs_up_and_dials_at_once)
{
	static struct fake f;
	make(&f);
	join(&f);
	fzp_portal_reset(f.p, key, f.now);
	act(&f);
	CHECK_INT(f.n_hang_ups, 1);
	CHECK_INT(f.n_dials, 2);
	join(&f);
	fzp_portal_free(f.p);
}

TEST(portal, masked_frames_from_the_portal_and_random_bytes_lose_the_connection_only)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		static struct fake f;
		make(&f);
		join(&f);
		struct test_rng r = { seed };
		uint8_t junk[300];
		test_rng_fill(&r, junk, sizeof(junk));
		junk[0] |= 0x70; /* reserved bits: never legal */
		fzp_portal_received(f.p, fz_bytes_of(junk, sizeof(junk)), f.now);
		act(&f);
		CHECK_INT(fzp_portal_state(f.p), FZP_PORTAL_WAITING);
		fzp_portal_free(f.p);
	}
}
