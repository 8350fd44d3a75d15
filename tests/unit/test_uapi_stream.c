/* The stream around the keys: pieces, long lines, hanging up, large devices, clients in each other's way. */
#include "support/test.h"
#include "unit/uapi_talk.h"

#define OK "errno=0\n\n"

static size_t count(const char *text, const char *what)
{
	size_t n = 0;
	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

TEST(uapi_stream, the_cut_into_pieces_makes_no_difference)
{
	static const char request[] = "set=1\nprivate_key=" K1 "\nlisten_port=5\n" P1
				      "endpoint=[fe80::1%eth0]:1\nallowed_ip=10.0.0.0/8\n" P2
				      "allowed_ip=::/0\n\nget=1\n\nset=1\nbad=1\nx\n\nget=1\n\n";
	struct talk whole = talk_new();
	whole.zone = 3;
	const char *want = talk_say(&whole, request);
	CHECK_UINT(count(want, "errno="), 4);
	for (size_t piece = 1; piece < 90; piece += 4) {
		struct talk t = talk_new();
		t.zone = 3;
		t.piece = piece;
		CHECK_STR(talk_say(&t, request), want);
		talk_done(&t);
	}
	talk_done(&whole);
}

TEST(uapi_stream, several_requests_on_one_connection_are_answered_in_order)
{
	struct talk t = talk_new();
	const char *heard = talk_say(&t, "set=1\n\nget=1\n\nset=1\nx=1\n\nget=1\ny\n\nset=1\n\n");
	CHECK_STR(heard, OK OK "errno=-22\n\nerrno=22\n\n" OK);
	CHECK(uapi_client_is_idle(t.client));
	talk_done(&t);
}

TEST(uapi_stream, a_line_of_a_mebibyte_is_refused_before_its_end_and_passed_over)
{
	size_t n = 1 << 20;
	char *line = malloc(n);
	CHECK(line);
	memset(line, 'a', n);
	struct talk t = talk_new();
	t.piece = 4096;
	CHECK_STR(talk_say(&t, "set=1\n"), "");
	CHECK_STR(talk_say_bytes(&t, fz_bytes_of(line, n)), "errno=-71\n\n");
	CHECK_STR(talk_say(&t, "\n" P1 "\n"), "");
	CHECK_UINT(wg_device_n_peers(t.device), 0);
	line[11] = '=';
	CHECK_STR(talk_say(&t, "set=1\n"), "");
	CHECK_STR(talk_say_bytes(&t, fz_bytes_of(line, n)), "errno=-22\n\n");
	CHECK_STR(talk_say(&t, "\n\n"), "");
	CHECK_STR(talk_say(&t, "get=1\n"), "");
	CHECK_STR(talk_say_bytes(&t, fz_bytes_of(line, n)), "errno=22\n\n");
	CHECK_STR(talk_say(&t, "\n\nget=1\n\n"), OK);
	CHECK_STR(talk_say_bytes(&t, fz_bytes_of(line, n)), "");
	CHECK_INT(uapi_client_want(t.client), UAPI_WANT_CLOSE);
	talk_done(&t);
	free(line);
}

TEST(uapi_stream, the_longest_line_that_is_kept_is_one_below_the_bound)
{
	for (size_t n = UAPI_LINE_MAX - 3; n <= UAPI_LINE_MAX + 3; n++) {
		struct talk t = talk_new();
		char text[UAPI_LINE_MAX + 64] = "set=1\n";
		memset(text + 6, 'k', n);
		memcpy(text + 6 + n, "\n\nget=1\n\n", 10);
		CHECK_STR(talk_say(&t, text), "errno=-71\n\n" OK);
		talk_done(&t);
	}
}

TEST(uapi_stream, a_nul_byte_is_no_end_of_a_value)
{
	struct talk t = talk_new();
	static const char text[] = "set=1\n" P1 "allowed_ip=10.0.0.0/8\0/9\n\n";
	CHECK_STR(talk_say_bytes(&t, fz_bytes_of(text, sizeof(text) - 1)), "errno=-22\n\n");
	static const char request[] = "get=1\0\n\n";
	CHECK_STR(talk_say_bytes(&t, fz_bytes_of(request, sizeof(request) - 1)), "");
	CHECK_INT(uapi_client_want(t.client), UAPI_WANT_CLOSE);
	talk_done(&t);
}

TEST(uapi_stream, a_client_that_hangs_up_without_a_word_gets_none)
{
	struct talk t = talk_new();
	CHECK_STR(talk_end(&t), "");
	CHECK_INT(uapi_client_want(t.client), UAPI_WANT_CLOSE);
	talk_done(&t);
}

TEST(uapi_stream, a_request_that_breaks_off_is_an_input_error_and_its_half_line_does_nothing)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\nallowed_ip=10.1.0.0/16"), "");
	CHECK_STR(talk_end(&t), "errno=-5\n\n");
	CHECK_INT(uapi_client_want(t.client), UAPI_WANT_CLOSE);
	uapi_client_free(t.client);
	t.client = uapi_client_new(t.uapi);
	CHECK_UINT(count(talk_get(&t), "allowed_ip="), 1);
	CHECK_STR(talk_say(&t, "get=1\n"), "");
	CHECK_STR(talk_end(&t), "errno=5\n\n");
	talk_done(&t);
}

static void add_peers(struct talk *t, unsigned from, unsigned to, unsigned ips)
{
	char line[128];
	talk_say(t, "set=1\n");
	for (unsigned i = from; i < to; i++) {
		snprintf(line, sizeof(line), "public_key=%08x%056x\n", i + 1, 7);
		talk_say(t, line);
		for (unsigned k = 0; k < ips; k++) {
			snprintf(line, sizeof(line), "allowed_ip=%u.%u.%u.0/24\n", 1 + i / 256,
				i % 256, k);
			talk_say(t, line);
		}
	}
	CHECK_STR(talk_say(t, "\n"), OK);
}

TEST(uapi_stream, many_peers_and_many_allowed_ips_come_back_whole_and_in_order)
{
	struct talk t = talk_new();
	add_peers(&t, 0, 300, 1);
	add_peers(&t, 300, 310, 250);
	const char *got = talk_get(&t);
	CHECK_UINT(count(got, "public_key="), 310);
	CHECK_UINT(count(got, "allowed_ip="), 300 + 10 * 250);
	CHECK_UINT(count(got, "errno=0\n\n"), 1);
	CHECK(strstr(got, "public_key=00000001") < strstr(got, "public_key=00000136"));
	talk_done(&t);
}

/* Reads one piece of a dump by hand; returns its length. */
static size_t piece(struct uapi_client *c, char *buf)
{
	struct fz_now now = { { 1 }, { 1 } };
	CHECK_INT(uapi_client_want(c), UAPI_WANT_OUTPUT);
	size_t n = uapi_client_output(c, now, fz_span_of(buf, UAPI_OUTPUT_MIN));
	buf[n] = '\0';
	return n;
}

static struct uapi_client *slow_reader(struct talk *t)
{
	struct uapi_client *c = uapi_client_new(t->uapi);
	CHECK(c);
	static const char get[] = "get=1\n\n";
	CHECK_UINT(uapi_client_feed(c, (struct fz_now){ { 1 }, { 1 } }, fz_bytes_of_str(get)), 7);
	return c;
}

static size_t rest(struct uapi_client *c, size_t *ret_peers)
{
	char buf[UAPI_OUTPUT_MIN + 1];
	size_t ips = 0, peers = 0;
	bool is_ended = false;
	while (uapi_client_want(c) == UAPI_WANT_OUTPUT) {
		piece(c, buf);
		ips += count(buf, "allowed_ip=");
		peers += count(buf, "public_key=");
		is_ended = strstr(buf, "errno=0\n\n") != NULL;
	}
	CHECK(is_ended);
	*ret_peers = peers;
	return ips;
}

TEST(uapi_stream, a_dump_goes_on_when_its_peer_is_removed_by_another)
{
	struct talk t = talk_new();
	add_peers(&t, 0, 3, 200);
	struct uapi_client *slow = slow_reader(&t);
	char buf[UAPI_OUTPUT_MIN + 1];
	size_t peers;
	piece(slow, buf);
	char remove[128];
	snprintf(remove, sizeof(remove), "set=1\npublic_key=%08x%056x\nremove=true\n\n", 1, 7);
	CHECK_STR(talk_say(&t, remove), OK);
	CHECK_UINT(rest(slow, &peers), 400);
	CHECK_UINT(peers, 2);
	uapi_client_free(slow);
	talk_done(&t);
}

TEST(uapi_stream, a_dump_ends_when_all_peers_are_replaced)
{
	struct talk t = talk_new();
	add_peers(&t, 0, 3, 200);
	struct uapi_client *slow = slow_reader(&t);
	char buf[UAPI_OUTPUT_MIN + 1];
	size_t peers;
	piece(slow, buf);
	CHECK_STR(talk_say(&t, "set=1\nreplace_peers=true\n" P1 "allowed_ip=10.0.0.0/8\n\n"), OK);
	CHECK_UINT(rest(slow, &peers), 0);
	CHECK_UINT(peers, 0);
	uapi_client_free(slow);
	talk_done(&t);
}

TEST(uapi_stream, a_dump_survives_changes_of_the_list_it_is_in)
{
	struct talk t = talk_new();
	add_peers(&t, 0, 2, 200);
	struct uapi_client *slow = slow_reader(&t);
	char buf[UAPI_OUTPUT_MIN + 1];
	size_t peers;
	piece(slow, buf); /* its head */
	piece(slow, buf);
	CHECK(count(buf, "allowed_ip=") > 0);
	char change[160];
	snprintf(change, sizeof(change),
		"set=1\npublic_key=%08x%056x\nreplace_allowed_ips=true\nallowed_ip=::/0\n\n", 1, 7);
	CHECK_STR(talk_say(&t, change), OK);
	CHECK_UINT(rest(slow, &peers), 200);
	CHECK_UINT(peers, 1);
	uapi_client_free(slow);
	talk_done(&t);
}

TEST(uapi_stream, a_client_freed_in_the_middle_of_a_dump_leaves_no_trace)
{
	struct talk t = talk_new();
	add_peers(&t, 0, 50, 1);
	char buf[UAPI_OUTPUT_MIN + 1];
	struct uapi_client *slow = slow_reader(&t);
	piece(slow, buf);
	uapi_client_free(slow);
	CHECK_STR(talk_say(&t, "set=1\nreplace_peers=true\n\n"), OK);
	CHECK_STR(talk_get(&t), OK);
	talk_done(&t);
}

TEST(uapi_stream, a_peer_removed_by_another_in_the_middle_of_a_set_stays_away)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\n"), "");
	struct talk other = t;
	other.client = uapi_client_new(t.uapi);
	other.heard = NULL;
	other.n_heard = 0;
	CHECK_STR(talk_say(&other, "set=1\n" P1 "remove=true\n\n"), OK);
	CHECK_STR(talk_say(&t, "allowed_ip=10.1.0.0/16\nendpoint=192.0.2.1:1\n\n"), OK);
	CHECK_UINT(wg_device_n_peers(t.device), 0);
	uapi_client_free(other.client);
	free(other.heard);
	talk_done(&t);
}
