/* The handshake's request and the portal's answers, byte by byte. */
#include "control/http1.h"
#include "control/reason.h"
#include "support/test.h"

TEST(upgrade, the_request_has_upstreams_headers_in_upstreams_order)
{
	char text[1024] = "";
	struct fz_writer w = fz_writer_of(fz_span_of(text, sizeof(text) - 1));
	struct fzp_upgrade u = { "10.91.0.1", "/client/v2/websocket?x=1", "KEY",
		fz_bytes_of_str(" .tok\nen "), "Debian/12.0.0 x" };
	fzp_upgrade_request(&w, &u);
	CHECK(!w.bad);
	CHECK_STR(text, "GET /client/v2/websocket?x=1 HTTP/1.1\r\nHost: 10.91.0.1\r\nConnection: "
			"Upgrade\r\nUpgrade: websocket\r\n"
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: KEY\r\nx-authorization: "
			"Bearer .token\r\n"
			"user-agent: Debian/12.0.0 x\r\n\r\n");
}

static enum fzp_head_verdict parse(const char *text, struct fzp_head *h)
{
	return fzp_head_parse(fz_bytes_of_str(text), h);
}

TEST(head, a_switch_of_protocols_is_read_whatever_the_case_of_its_names)
{
	struct fzp_head h;
	CHECK_INT(parse("HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\nconnection: "
			"keep-alive, Upgrade\r\n"
			"sec-websocket-accept: abc\r\n\r\nrest",
			  &h),
		FZP_HEAD_OK);
	CHECK_UINT(h.status, 101);
	CHECK(h.upgrades);
	CHECK_STR(h.accept, "abc");
}

TEST(head, every_prefix_asks_for_more)
{
	static const char whole[] =
		"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
	struct fzp_head h;
	for (size_t n = 0; n < sizeof(whole) - 1; n++)
		CHECK_INT(fzp_head_parse(fz_bytes_of(whole, n), &h), FZP_HEAD_MORE);
	CHECK_INT(parse(whole, &h), FZP_HEAD_OK);
	CHECK_UINT(h.content_length, 0);
	CHECK_STR(h.retry_after, "3");
}

TEST(head, nonsense_is_refused)
{
	static const char *const bad[] = { "HTTP/2 101\r\n\r\n", "HTTP/1.1 1x1 a\r\n\r\n",
		"HTTP/1.1 101 a\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 a\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 a\r\n: empty\r\n\r\n", "HTTP/1.1 200 a\r\n folded: x\r\n\r\n",
		"garbage\r\n\r\n", "HTTP/1.1 099 a\r\n\r\n" };
	struct fzp_head h;
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++)
		CHECK_INT(parse(bad[i], &h), FZP_HEAD_BAD);
}

TEST(head, one_without_an_end_is_bounded)
{
	static uint8_t big[FZP_HEAD_MAX];
	memset(big, 'a', sizeof(big));
	struct fzp_head h;
	CHECK_INT(fzp_head_parse(fz_bytes_of(big, sizeof(big)), &h), FZP_HEAD_BAD);
}

TEST(retry_after, takes_seconds_and_dates_and_a_past_date_is_now)
{
	fz_wall now = { 784'111'777'000'000'000 }; /* Sun, 06 Nov 1994 08:49:37 GMT */
	fz_dur d;
	CHECK(fzp_retry_after("3", now, &d));
	CHECK_UINT(fz_dur_ms(d), 3000);
	CHECK(fzp_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now, &d));
	CHECK_UINT(fz_dur_ms(d), 10'000);
	CHECK(fzp_retry_after("Sun, 06 Nov 1994 08:49:07 GMT", now, &d));
	CHECK_UINT(fz_dur_ms(d), 0);
	CHECK(fzp_retry_after("99999999", now, &d));
	CHECK_UINT(fz_dur_ms(d), 86'400'000);
	CHECK(!fzp_retry_after("", now, &d));
	CHECK(!fzp_retry_after("soon", now, &d));
	CHECK(!fzp_retry_after("Sun, 06 Foo 1994 08:49:37 GMT", now, &d));
}

TEST(reason, every_refusal_of_the_protocol_has_its_own)
{
	static const struct {
		uint16_t status;
		const char *code;
		enum fzp_reason want;
	} rows[] = {
		{ 401, "invalid_token", FZP_REASON_INVALID_TOKEN },
		{ 401, "missing_token", FZP_REASON_MISSING_TOKEN },
		{ 401, "else", FZP_REASON_AUTHENTICATION },
		{ 402, "limits_exceeded", FZP_REASON_LIMITS_EXCEEDED },
		{ 403, "account_disabled", FZP_REASON_ACCOUNT_DISABLED },
		{ 403, "unauthenticated", FZP_REASON_UNAUTHENTICATED },
		{ 403, "device_untrusted", FZP_REASON_DEVICE_UNTRUSTED },
		{ 403, "certificate_revoked", FZP_REASON_CERTIFICATE_REVOKED },
		{ 403, "new", FZP_REASON_FORBIDDEN },
		{ 409, "gateway_already_connected", FZP_REASON_GATEWAY_CONNECTED },
		{ 409, "device_identity_conflict", FZP_REASON_DEVICE_CONFLICT },
		{ 400, "invalid_connect_params", FZP_REASON_INVALID_PARAMS },
		{ 503, "rate_limit", FZP_REASON_RATE_LIMIT },
		{ 500, "unhandled_connect_error", FZP_REASON_PORTAL_ERROR },
		{ 429, "x", FZP_REASON_RATE_LIMIT },
		{ 404, "x", FZP_REASON_REFUSED },
		{ 302, "x", FZP_REASON_REDIRECT },
		{ 200, "x", FZP_REASON_PROTOCOL },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		char body[128];
		snprintf(body, sizeof(body), "{\"type\":\"about:blank\",\"code\":\"%s\"}",
			rows[i].code);
		CHECK_INT(fzp_reason_of_http(rows[i].status, true, fz_bytes_of_str(body)),
			rows[i].want);
	}
}

TEST(reason, a_401_that_does_not_name_the_token_keeps_it)
{
	enum fzp_reason r =
		fzp_reason_of_http(401, false, fz_bytes_of_str("<html>invalid_token</html>"));
	CHECK_INT(r, FZP_REASON_AUTHENTICATION);
	CHECK(!fzp_reason_info(r)->drops_token && !fzp_reason_info(r)->ends_session);
	CHECK_INT(fzp_reason_of_http(401, true, fz_bytes_of_str("{\"code\":3}")),
		FZP_REASON_AUTHENTICATION);
}

TEST(reason, every_one_has_code_text_and_hint)
{
	for (int i = FZP_REASON_NONE + 1; i < FZP_REASON_COUNT_; i++) {
		const struct fzp_reason_info *info = fzp_reason_info((enum fzp_reason)i);
		CHECK(info->code[0] && info->text[0] && info->hint[0]);
	}
}

/* ---- chunked bodies ---- */

static enum fzp_head_verdict dechunk(const char *text, char ret_body[static 64], bool *ret_bad)
{
	struct fz_writer w = fz_writer_of(fz_span_of(ret_body, 63));
	enum fzp_head_verdict v = fzp_chunked_read(fz_bytes_of_str(text), &w);
	ret_body[w.len] = '\0';
	*ret_bad = w.bad;
	return v;
}

TEST(chunked, pieces_become_one)
{
	static const char *const same[] = { "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
		"b\r\nhello world\r\n0\r\n\r\n", "00B;name=value\r\nhello world\r\n0;x\r\n\r\n",
		"b \r\nhello world\r\n000\r\nTrailer: one\r\nAnother: two\r\n\r\nsurplus" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(same); i++) {
		char body[64];
		bool bad;
		CHECK_INT(dechunk(same[i], body, &bad), FZP_HEAD_OK);
		CHECK(!bad);
		CHECK_STR(body, "hello world");
	}
}

TEST(chunked, every_prefix_asks_for_more_and_gives_what_is_there)
{
	static const char whole[] = "5\r\nhello\r\n6\r\n world\r\n0\r\nT: x\r\n\r\n";
	size_t most = 0;
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		uint8_t body[64];
		struct fz_writer w = fz_writer_of(fz_span_of(body, sizeof(body)));
		CHECK_INT(fzp_chunked_read(fz_bytes_of(whole, n), &w), FZP_HEAD_MORE);
		CHECK(w.len >= most && memcmp(body, "hello world", w.len) == 0);
		most = w.len;
	}
	CHECK_UINT(most, 11);
}

TEST(chunked, nonsense_is_refused)
{
	static const char *const bad[] = { "\r\nx", "g\r\n", "-1\r\n", "5x\r\nhello\r\n",
		"5\r\nhelloXX0\r\n\r\n", "fffffffffffffffffffff\r\n", "4001\r\n",
		" 5\r\nhello\r\n" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++)
		CHECK_INT(fzp_chunked_read(fz_bytes_of_str(bad[i]), NULL), FZP_HEAD_BAD);
}

TEST(chunked, what_does_not_fit_is_said)
{
	char body[64];
	bool bad;
	CHECK_INT(dechunk("40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r"
			  "\n0\r\n\r\n",
			  body, &bad),
		FZP_HEAD_OK);
	CHECK(bad);
}

TEST(chunked, only_the_one_coding_is_understood)
{
	static const struct {
		const char *fields;
		bool is_chunked, is_problem;
	} table[] = {
		{ "Transfer-Encoding: chunked\r\n", true, true },
		{ "transfer-encoding: Chunked\r\nContent-Length: 7\r\n", true, true },
		{ "Transfer-Encoding: gzip, chunked\r\n", false, false },
		{ "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", false, false },
		{ "Transfer-Encoding: identity\r\n", false, false },
		{ "Content-Length: 7\r\n", false, true },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(table); i++) {
		char text[256];
		struct fzp_head h;
		snprintf(text, sizeof(text),
			"HTTP/1.1 401 x\r\nContent-Type: application/problem+json\r\n%s\r\n",
			table[i].fields);
		CHECK_INT(parse(text, &h), FZP_HEAD_OK);
		if (h.is_chunked != table[i].is_chunked || h.is_problem != table[i].is_problem)
			TEST_FAIL("%s", table[i].fields);
	}
}
