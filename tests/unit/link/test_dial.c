/* Dialling: TLS and its refusals, the race over addresses, proxies. */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "control/io/dial.h"
#include "support/test.h"
#include "unit/link/support.h"

struct outcome {
	bool happened;
	struct fzp_conn *conn;
	enum fzp_reason why;
	char detail[FZP_DETAIL_MAX];
};

static void on_connected(void *user, struct fzp_conn *conn)
{
	struct outcome *o = user;
	o->conn = conn;
	o->happened = true;
}

static void on_failed(void *user, enum fzp_reason why, const char *detail)
{
	struct outcome *o = user;
	o->why = why;
	snprintf(o->detail, sizeof(o->detail), "%s", detail);
	o->happened = true;
}

static struct outcome dial(struct world *w, const struct fzp_dial_params *params)
{
	static const struct fzp_dial_ops ops = { on_connected, on_failed };
	struct outcome o = { 0 };
	struct fzp_dial *d;
	CHECK_INT(fzp_dial_new(params, &ops, &o, &d), 0);
	world_run_until(w, &o.happened);
	fzp_dial_free(d);
	return o;
}

static struct fzp_tls_trust *trust_of(const char *ca)
{
	struct fzp_tls_trust *trust;
	char detail[FZP_DETAIL_MAX];
	CHECK_INT(fzp_tls_trust_new(ca, &trust, detail), 0);
	return trust;
}

/* One TLS attempt at `host` on `port`, with the world's authority. */
static struct outcome dial_tls(struct world *w, const char *host, uint16_t port)
{
	struct fzp_tls_trust *trust = trust_of(w->ca);
	struct fzp_dial_params params = { .resolve = { w->event, 77, w->hosts, w->resolv_conf },
		.host = host,
		.port = port,
		.trust = trust };
	struct outcome o = dial(w, &params);
	fzp_conn_free(o.conn);
	fzp_tls_trust_free(trust);
	return o;
}

static struct outcome dial_proxy(struct world *w, const char *proxy, bool tls)
{
	struct fzp_tls_trust *trust = tls ? trust_of(w->ca) : NULL;
	struct fzp_proxy p;
	CHECK_INT(fzp_proxy_parse(proxy, &p), 0);
	struct fzp_dial_params params = { .resolve = { w->event, 0, w->hosts, w->resolv_conf },
		.host = "portal.example",
		.port = tls ? 443 : 80,
		.trust = trust,
		.proxy = &p };
	struct outcome o = dial(w, &params);
	fzp_conn_free(o.conn);
	fzp_tls_trust_free(trust);
	return o;
}

#define CHECK_REFUSED(o, reason, words)                                                            \
	do {                                                                                       \
		CHECK(!(o).conn);                                                                  \
		CHECK_STR(fzp_reason_info((o).why)->code, fzp_reason_info(reason)->code);          \
		if (!strstr((o).detail, words))                                                    \
			TEST_FAIL("\"%s\" does not say \"%s\"", (o).detail, words);                \
	} while (0)

TEST(tls, a_trusted_certificate_for_the_name_is_accepted)
{
	WORLD(w, "tls:443");
	struct outcome o = dial_tls(&w, "portal.example", 443);
	CHECK_STR(o.detail, "");
	CHECK(o.happened && o.why == FZP_REASON_NONE);
}

TEST(tls, a_wildcard_stands_for_one_label_and_no_more)
{
	WORLD(w, "tls:443");
	CHECK_STR(dial_tls(&w, "a.wild.example", 443).detail, "");
	world_write(w.hosts, "127.0.0.1 a.b.wild.example wild.example\n");
	struct outcome o = dial_tls(&w, "a.b.wild.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "another name");
	o = dial_tls(&w, "wild.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "another name");
}

TEST(tls, an_address_must_be_in_the_certificate_as_an_address)
{
	WORLD(w, "tls:443", "wrong-host:444");
	CHECK_STR(dial_tls(&w, "127.0.0.1", 443).detail, "");
	CHECK_STR(dial_tls(&w, "::1", 443).detail, "");
	struct outcome o = dial_tls(&w, "127.0.0.1", 444);
	CHECK_REFUSED(o, FZP_REASON_TLS, "another name");
	o = dial_tls(&w, "127.0.0.2", 443);
	CHECK_REFUSED(o, FZP_REASON_CONNECT, "could not be reached");
}

TEST(tls, version_1_2_is_still_spoken)
{
	WORLD(w, "tls12:443");
	CHECK_STR(dial_tls(&w, "portal.example", 443).detail, "");
}

TEST(tls, version_1_1_is_refused)
{
	WORLD(w, "tls11:443");
	struct outcome o = dial_tls(&w, "portal.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "neither TLS 1.2 nor 1.3");
}

TEST(tls, a_certificate_for_another_name_is_refused)
{
	WORLD(w, "wrong-host:443");
	struct outcome o = dial_tls(&w, "portal.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "The certificate of portal.example is for another name");
}

TEST(tls, certificates_out_of_their_time_are_refused)
{
	WORLD(w, "expired:443", "future:444");
	struct outcome o = dial_tls(&w, "portal.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "has expired");
	o = dial_tls(&w, "portal.example", 444);
	CHECK_REFUSED(o, FZP_REASON_TLS, "not valid yet");
}

TEST(tls, a_stranger_s_authority_is_refused_and_the_private_file_is_named)
{
	WORLD(w, "untrusted:443");
	struct outcome o = dial_tls(&w, "portal.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "FIREZONE_CA_FILE");
}

TEST(tls, a_private_authority_takes_the_place_of_the_system_s)
{
	WORLD(w, "tls:443");
	struct fzp_tls_trust *trust;
	char detail[FZP_DETAIL_MAX];
	if (fzp_tls_trust_new(NULL, &trust, detail) < 0)
		TEST_SKIP("this system has no authorities");
	struct fzp_dial_params params = { .resolve = { w.event, 0, w.hosts, w.resolv_conf },
		.host = "portal.example",
		.port = 443,
		.trust = trust };
	struct outcome o = dial(&w, &params);
	fzp_tls_trust_free(trust);
	CHECK_REFUSED(o, FZP_REASON_TLS, "not signed by an authority");
}

TEST(tls, a_file_of_authorities_that_is_none_is_named)
{
	struct fzp_tls_trust *trust;
	char detail[FZP_DETAIL_MAX] = "";
	CHECK_INT(fzp_tls_trust_new("/nonexistent/ca.pem", &trust, detail), -ENOENT);
	CHECK(strstr(detail, "/nonexistent/ca.pem"));
	CHECK(fzp_tls_trust_new("/dev/null", &trust, detail) < 0);
	CHECK(strstr(detail, "/dev/null"));
}

TEST(tls, ends_in_mid_handshake_are_told_apart)
{
	WORLD(w, "reset:443", "hang-up:444", "garbage:445", "http:446");
	struct outcome o = dial_tls(&w, "portal.example", 443);
	CHECK_REFUSED(o, FZP_REASON_TLS, "Connection reset by peer");
	o = dial_tls(&w, "portal.example", 444);
	CHECK_REFUSED(o, FZP_REASON_TLS, "during the TLS handshake");
	o = dial_tls(&w, "portal.example", 445);
	CHECK_REFUSED(o, FZP_REASON_TLS, "portal.example");
	o = dial_tls(&w, "portal.example", 446);
	CHECK_REFUSED(o, FZP_REASON_TLS, "other than TLS");
}

TEST(tls, a_handshake_byte_by_byte_succeeds)
{
	WORLD(w, "drip:443");
	CHECK_STR(dial_tls(&w, "portal.example", 443).detail, "");
}

TEST(dial, nobody_listening_is_said_with_the_address)
{
	WORLD(w, "plain:80");
	struct outcome o = dial_tls(&w, "portal.example", 9);
	CHECK_REFUSED(o, FZP_REASON_CONNECT, "127.0.0.1:9");
}

TEST(dial, a_second_address_is_tried_when_the_first_refuses)
{
	WORLD(w, "plain:8080");
	world_write(w.hosts, "::2 two.example\n127.0.0.1 two.example\n");
	struct fzp_dial_params params = { .resolve = { w.event, 0, w.hosts, w.resolv_conf },
		.host = "two.example",
		.port = 8080 };
	struct outcome o = dial(&w, &params);
	CHECK_STR(o.detail, "");
	CHECK(o.conn);
	fzp_conn_close(o.conn);
}

TEST(dial, a_network_that_is_not_there_is_no_fault_of_the_portal)
{
	WORLD(w, "plain:80");
	struct fzp_dial_params params = {
		.resolve = { w.event, 0, w.hosts, w.resolv_conf }, .host = "192.0.2.1", .port = 443
	};
	struct outcome o = dial(&w, &params);
	CHECK_REFUSED(o, FZP_REASON_NO_NETWORK, "192.0.2.1:443");
}

TEST(dial, sockets_carry_the_mark)
{
	WORLD(w, "plain:80");
	struct fzp_dial_params params = { .resolve = { w.event, 0xfd1234, w.hosts, w.resolv_conf },
		.host = "portal.example",
		.port = 80 };
	struct outcome o = dial(&w, &params);
	CHECK(o.conn);
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);
	CHECK_INT(getsockopt(fzp_conn_fd(o.conn), SOL_SOCKET, SO_MARK, &mark, &len), 0);
	CHECK_UINT(mark, 0xfd1234);
	fzp_conn_free(o.conn);
}

TEST(dial, a_name_without_an_address_is_told_apart_from_silence)
{
	WORLD(w, "dns");
	struct fzp_dial_params params = {
		.resolve = { w.event, 0, w.hosts, w.resolv_conf }, .host = "nx.example", .port = 80
	};
	struct outcome o = dial(&w, &params);
	CHECK_REFUSED(o, FZP_REASON_RESOLVE, "There is no host named nx.example");
	params.host = "silent.example";
	o = dial(&w, &params);
	CHECK_REFUSED(o, FZP_REASON_RESOLVE, "No name server answered");
	world_write(w.resolv_conf, "nameserver 192.0.2.53\n");
	o = dial(&w, &params);
	CHECK_REFUSED(o, FZP_REASON_NO_NETWORK, "No name server can be reached");
}

TEST(dial, an_address_family_that_never_answers_does_not_hold_up_the_other)
{
	WORLD(w, "dns", "plain:8080");
	/* The resolver would wait a minute for the other family; the connection is made long before. */
	world_write(w.resolv_conf, "nameserver 127.0.0.1\noptions timeout:30 attempts:2\n");
	struct fzp_dial_params params = { .resolve = { w.event, 0, w.hosts, w.resolv_conf },
		.host = "noaaaa.example",
		.port = 8080 };
	struct outcome o = dial(&w, &params);
	CHECK(o.conn);
	fzp_conn_close(o.conn);
}

TEST(dial, can_be_given_up_at_any_moment)
{
	WORLD(w, "dns", "silent:443", "proxy-ok:3128");
	static const struct fzp_dial_ops ops = { on_connected, on_failed };
	struct fzp_tls_trust *trust = trust_of(w.ca);
	struct fzp_proxy proxy;
	CHECK_INT(fzp_proxy_parse("http://127.0.0.1:3128", &proxy), 0);
	struct fzp_dial_params params = { .resolve = { w.event, 0, w.hosts, w.resolv_conf },
		.host = "portal.example",
		.port = 443,
		.trust = trust };
	for (unsigned i = 0; i < 24; i++) {
		struct outcome o = { 0 };
		struct fzp_dial *d;
		char text[FZP_DETAIL_MAX];
		params.proxy = i % 2 ? &proxy : NULL;
		CHECK_INT(fzp_dial_new(&params, &ops, &o, &d), 0);
		for (unsigned turn = 0; turn < i / 2; turn++)
			CHECK(sd_event_run(w.event, 10'000) >= 0);
		CHECK(!o.happened);
		fzp_dial_describe(d, text);
		CHECK(strstr(text, "in time"));
		fzp_dial_free(d);
	}
	fzp_tls_trust_free(trust);
}

TEST(proxy, connects_and_tls_ends_at_the_portal)
{
	WORLD(w, "tls:443", "proxy-ok:3128");
	CHECK_STR(dial_proxy(&w, "http://127.0.0.1:3128", true).detail, "");
	char head[2048];
	world_read(&w, "proxied", head, sizeof(head));
	CHECK(strstr(head, "CONNECT portal.example:443 HTTP/1.1\r\nHost: portal.example:443\r\n"));
	CHECK(!strstr(head, "Authorization"));
}

TEST(proxy, is_told_the_credentials_of_its_url)
{
	WORLD(w, "tls:443", "proxy-auth:3128");
	CHECK_STR(dial_proxy(&w, "http://user:p%40ss@127.0.0.1:3128/", true).detail, "");
	struct outcome o = dial_proxy(&w, "http://127.0.0.1:3128", true);
	CHECK_REFUSED(o, FZP_REASON_AUTHENTICATION, "wants a user and password");
	o = dial_proxy(&w, "http://user:wrong@127.0.0.1:3128", true);
	CHECK_REFUSED(o, FZP_REASON_AUTHENTICATION, "did not accept");
	CHECK(!strstr(o.detail, "wrong"));
}

TEST(proxy, answers_other_than_success_are_refusals)
{
	WORLD(w, "proxy-407:3128", "proxy-502:3129", "proxy-garbage:3130", "proxy-endless:3131",
		"proxy-chatty:3132", "hang-up:3133");
	struct outcome o = dial_proxy(&w, "127.0.0.1:3128", true);
	CHECK_REFUSED(o, FZP_REASON_AUTHENTICATION, "127.0.0.1");
	o = dial_proxy(&w, "127.0.0.1:3129", true);
	CHECK_REFUSED(o, FZP_REASON_CONNECT, "502");
	o = dial_proxy(&w, "127.0.0.1:3130", false);
	CHECK_REFUSED(o, FZP_REASON_PROTOCOL, "makes no sense");
	o = dial_proxy(&w, "127.0.0.1:3131", true);
	CHECK_REFUSED(o, FZP_REASON_PROTOCOL, "makes no sense");
	o = dial_proxy(&w, "127.0.0.1:3132", true);
	CHECK_REFUSED(o, FZP_REASON_PROTOCOL, "makes no sense");
	o = dial_proxy(&w, "127.0.0.1:3133", true);
	CHECK_REFUSED(o, FZP_REASON_CONNECT, "closed the connection");
}
