/* Names: DNS messages, resolv.conf, hosts, proxies' URLs, and the resolver against a name server of every kind. */
#include <errno.h>
#include <string.h>

#include "control/io/dns.h"
#include "control/io/proxy.h"
#include "control/io/resolve.h"
#include "support/test.h"
#include "unit/link/support.h"

struct found {
	bool done;
	size_t n, n_reported;
	int err;
	struct fz_ip ips[64];
	char detail[FZP_DETAIL_MAX];
};

static void on_found(void *user, const struct fz_ip *ips, size_t n)
{
	struct found *f = user;
	for (size_t i = 0; i < n && f->n < FZ_ARRAY_LEN(f->ips); i++)
		f->ips[f->n++] = ips[i];
}

static void on_done(void *user, size_t n, int err, const char *detail)
{
	struct found *f = user;
	f->n_reported = n;
	f->err = err;
	snprintf(f->detail, sizeof(f->detail), "%s", detail);
	f->done = true;
}

static struct found resolve(struct world *w, const char *host)
{
	static const struct fzp_resolve_ops ops = { on_found, on_done };
	struct fzp_resolve_params params = { w->event, 0, w->hosts, w->resolv_conf };
	struct found f = { 0 };
	struct fzp_resolve *r;
	CHECK_INT(fzp_resolve_new(&params, host, &ops, &f, &r), 0);
	world_run_until(w, &f.done);
	fzp_resolve_free(r);
	CHECK_UINT(f.n_reported, f.n);
	return f;
}

static bool has(const struct found *f, const char *text)
{
	struct fz_ip ip;
	CHECK_INT(fz_ip_parse(text, &ip), 0);
	for (size_t i = 0; i < f->n; i++)
		if (fz_ip_equal(&f->ips[i], &ip))
			return true;
	return false;
}

TEST(resolve, both_families_are_found)
{
	WORLD(w, "dns");
	struct found f = resolve(&w, "both.example");
	CHECK_UINT(f.n, 2);
	CHECK(has(&f, "127.0.0.1") && has(&f, "::1"));
}

TEST(resolve, the_hosts_file_comes_first)
{
	WORLD(w, "dns");
	world_write(w.hosts, "# 192.0.2.9 nx.example\n192.0.2.1 other nx.example # NX\n2001:db8::1 "
			     "NX.example\n");
	struct found f = resolve(&w, "nx.example");
	CHECK_UINT(f.n, 2);
	CHECK(has(&f, "192.0.2.1") && has(&f, "2001:db8::1"));
}

TEST(resolve, a_truncated_answer_is_asked_for_by_tcp)
{
	WORLD(w, "dns");
	struct found f = resolve(&w, "truncated.example");
	CHECK(has(&f, "127.0.0.1") && has(&f, "::1"));
}

TEST(resolve, answers_to_other_questions_are_not_seen)
{
	WORLD(w, "dns");
	struct found f = resolve(&w, "liar.example");
	CHECK_UINT(f.n, 2);
	CHECK(has(&f, "127.0.0.1") && has(&f, "::1"));
	f = resolve(&w, "other.example");
	CHECK_UINT(f.n, 0);
}

TEST(resolve, aliases_are_followed_in_any_order_and_loops_end)
{
	WORLD(w, "dns");
	struct found f = resolve(&w, "alias.example");
	CHECK_UINT(f.n, 2);
	f = resolve(&w, "loop.example");
	CHECK_UINT(f.n, 0);
	CHECK_INT(f.err, -ENOENT);
}

TEST(resolve, the_next_server_is_asked_when_one_refuses_or_is_gone)
{
	WORLD(w, "dns");
	world_write(w.resolv_conf, "nameserver 127.0.0.9\nnameserver 127.0.0.1\n");
	struct found f = resolve(&w, "both.example");
	CHECK_UINT(f.n, 2);
	f = resolve(&w, "refused.example");
	CHECK_UINT(f.n, 0);
	CHECK(strstr(f.detail, "gave no address"));
}

TEST(resolve, a_server_by_ipv6_and_by_tcp_alone_serves)
{
	WORLD(w, "dns");
	world_write(w.resolv_conf, "nameserver ::1\noptions use-vc timeout:1 attempts:1\n");
	struct found f = resolve(&w, "both.example");
	CHECK_UINT(f.n, 2);
}

TEST(resolve, silence_ends)
{
	WORLD(w, "dns");
	struct found f = resolve(&w, "silent.example");
	CHECK_UINT(f.n, 0);
	CHECK(strstr(f.detail, "No name server answered"));
	f = resolve(&w, "garbage.example");
	CHECK_UINT(f.n, 0);
}

TEST(resolve, more_addresses_than_are_kept_are_left_out)
{
	WORLD(w, "dns");
	struct found f = resolve(&w, "many.example");
	CHECK_UINT(f.n, 2 * FZP_DNS_ADDRS_MAX);
}

TEST(resolve, what_is_no_name_is_refused)
{
	struct fz_writer w = { 0 };
	uint8_t buf[FZP_DNS_QUERY_MAX];
	static const char *const bad[] = { "a..b", "a\\046b", "",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++) {
		w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
		CHECK_INT(fzp_dns_query(bad[i], FZ_IP4, 1, &w), -EINVAL);
	}
}

TEST(dns, a_question_is_written_as_the_rfc_shows)
{
	uint8_t buf[FZP_DNS_QUERY_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	CHECK_INT(fzp_dns_query("api.firezone.dev", FZ_IP6, 0x1234, &w), 0);
	CHECK_UINT(w.len, 12 + 18 + 4);
	CHECK_MEM(buf,
		"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03"
		"api\x08"
		"firezone\x03"
		"dev\x00\x00\x1c\x00\x01",
		34);
}

TEST(dns, every_prefix_of_an_answer_is_judged_without_harm)
{
	TEST_HEX(answer, "1234 8180 0001 0001 0000 0000 01 61 00 0001 0001 c00c 0001 0001 0000003c "
			 "0004 7f000001");
	struct fz_ip ips[FZP_DNS_ADDRS_MAX];
	size_t n = 0;
	for (size_t len = 0; len < answer_len; len++)
		CHECK(fzp_dns_answer(fz_bytes_of(answer, len), "a", FZ_IP4, 0x1234, ips, &n) !=
			FZP_DNS_OK);
	CHECK_INT(fzp_dns_answer(fz_bytes_of(answer, answer_len), "A", FZ_IP4, 0x1234, ips, &n),
		FZP_DNS_OK);
	CHECK_UINT(n, 1);
	CHECK_INT(fzp_dns_answer(fz_bytes_of(answer, answer_len), "a", FZ_IP6, 0x1234, ips, &n),
		FZP_DNS_FOREIGN);
}

TEST(resolv_conf, lines_that_make_no_sense_are_skipped)
{
	struct fzp_resolv_conf c;
	fzp_resolv_conf_parse(
		fz_bytes_of_str(
			"; comment\nnameserver\nnameserver bogus\n nameserver\t192.0.2.1 x\n"
			"search example\noptions ndots:2 timeout:4 attempts:3 rotate\n"
			"nameserver 2001:db8::1#53\nnameserver fe80::1%lo\r\n"
			"nameserver 192.0.2.2\nnameserver 192.0.2.3"),
		&c);
	CHECK_UINT(c.n, 3);
	char text[FZ_ADDR_TEXT_LEN];
	CHECK_STR(fz_addr_format(&c.servers[0], text), "192.0.2.1:53");
	CHECK_STR(fz_addr_format(&c.servers[1], text), "[2001:db8::1]:53");
	CHECK_UINT(c.servers[2].scope, 1);
	CHECK_UINT(fz_dur_ms(c.timeout), 4000);
	CHECK_UINT(c.attempts, 3);
	fzp_resolv_conf_parse(fz_bytes_of_str(""), &c);
	CHECK_STR(fz_addr_format(&c.servers[0], text), "127.0.0.1:53");
}

TEST(proxy_url, every_form_people_write_is_understood)
{
	static const struct {
		const char *text, *host, *userinfo;
		uint16_t port;
	} rows[] = {
		{ "http://proxy.example", "proxy.example", "", 80 },
		{ "HTTP://proxy.example:3128/", "proxy.example", "", 3128 },
		{ "proxy.example:8080", "proxy.example", "", 8080 },
		{ "http://[2001:db8::1]:3128", "2001:db8::1", "", 3128 },
		{ "http://10.0.0.1:3128", "10.0.0.1", "", 3128 },
		{ "http://me@proxy", "proxy", "me:", 80 },
		{ "http://me:a%3Ab%40c+d@proxy", "proxy", "me:a:b@c+d", 80 },
		{ "http://me:a@b@proxy:1", "proxy", "me:a@b", 1 },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		struct fzp_proxy p;
		CHECK_INT(fzp_proxy_parse(rows[i].text, &p), 0);
		CHECK_STR(p.host, rows[i].host);
		CHECK_STR(p.userinfo, rows[i].userinfo);
		CHECK_UINT(p.port, rows[i].port);
	}
}

TEST(proxy_url, everything_else_is_refused)
{
	static const char *const rows[] = { "", "http://", "http://:80", "http://h:0", "http://h:x",
		"http://h:99999", "http://h/path", "http://h?q", "http://a b", "http://[::1",
		"http://[h]", "http://me%2@h", "http://me%zz@h", "http://me%0a@h",
		"http://h\r\nX: y", "http://me:p\n@h" };
	struct fzp_proxy p;
	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++)
		if (fzp_proxy_parse(rows[i], &p) != -EINVAL)
			TEST_FAIL("\"%s\" was accepted", rows[i]);
	CHECK_INT(fzp_proxy_parse("socks5://h", &p), -EPROTONOSUPPORT);
	CHECK_INT(fzp_proxy_parse("https://h", &p), -EPROTONOSUPPORT);
}

TEST(proxy_url, exceptions_are_hosts_suffixes_or_all)
{
	CHECK(fzp_proxy_is_excepted("localhost, .example ,x", "api.example"));
	CHECK(fzp_proxy_is_excepted("example", "EXAMPLE"));
	CHECK(fzp_proxy_is_excepted("example", "a.example"));
	CHECK(!fzp_proxy_is_excepted("example", "notexample"));
	CHECK(fzp_proxy_is_excepted("*", "anything"));
	CHECK(!fzp_proxy_is_excepted("", "example"));
	CHECK(!fzp_proxy_is_excepted(",, ,", "example"));
}
