/* The session against a scripted portal over TLS: what becomes of each message, and of its life. The host is a namespace. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/session.h"
#include "support/test.h"
#include "unit/link/support.h"
#include "unit/session_fake.h"

#define GATEWAY "9f010000-0000-4000-8000-000000000001"
#define CIDR    "5e2c0000-0000-4000-8000-000000000001"
#define INIT                                                                                       \
	"[\"init\",{\"interface\":{\"ipv4\":\"100.64.0.2\",\"ipv6\":\"fd00:2021:1111::2\","        \
	"\"upstream_do53\":[{\"ip\":\"192.0.2.53\"}],\"search_domain\":\"corp.example\"},"         \
	"\"resources\":[{\"id\":\"" CIDR "\",\"type\":\"cidr\",\"address\":\"10.9.0.0/24\","       \
	"\"name\":\"lab\",\"address_description\":null,\"can_be_disabled\":true,"                  \
	"\"sites\":[{\"id\":\"77aa0000-0000-4000-8000-000000000001\",\"name\":\"HQ\"}],"           \
	"\"filters\":[]},{\"id\":\"nonsense\"},{\"id\":\"" CIDR "\",\"type\":\"martian\"}],"       \
	"\"relays\":[],\"authorizations\":[],\"flow_logs\":{}}]"
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define CREATED                                                                                    \
	"[\"authorization_created\",{\"resource_id\":\"" CIDR "\",\"gateway_id\":\"" GATEWAY       \
	"\",\"site_id\":\"77aa0000-0000-4000-8000-000000000001\",\"gateway_public_key\":\"" KEY    \
	"\",\"gateway_ipv4\":\"100.64.0.1\",\"gateway_ipv6\":\"fd00:2021:1111::1\","               \
	"\"preshared_key\":\"" KEY                                                                 \
	"\",\"client_ice_credentials\":{\"username\":\"abcd\",\"password\":"                       \
	"\"aaaaaaaaaaaaaaaaaaaaaa\"},\"gateway_ice_credentials\":{\"username\":\"efgh\","          \
	"\"password\":\"bbbbbbbbbbbbbbbbbbbbbb\"},\"use_iceless\":false}]"

struct bench {
	struct world *w;
	struct fz_host *host;
	struct fz_session *s;
	bool changed, ended, drop_token;
	enum fzp_reason why;
	unsigned notices[FZ_SESSION_NOTICE_COUNT_];
	char notice_site[32];
};

static void on_changed(void *user)
{
	((struct bench *)user)->changed = true;
}

static void on_ended(void *user, enum fzp_reason why, bool drop_token)
{
	struct bench *b = user;
	b->ended = true;
	b->why = why;
	b->drop_token = drop_token;
}

static void on_notice(
	void *user, enum fz_session_notice what, const char *resource, const char *site)
{
	struct bench *b = user;
	(void)resource;
	b->notices[what]++;
	snprintf(b->notice_site, sizeof(b->notice_site), "%s", site);
}

static void put(const struct world *w, const char *name, const char *text)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	world_write(path, text);
}

static void bench_start(struct bench *b, struct world *w, const bool *internet)
{
	char journal[128];
	*b = (struct bench){ .w = w };
	snprintf(journal, sizeof(journal), "%s/journal", w->dir);
	CHECK_INT(fz_host_new(journal, &fz_host_client, &b->host), 0);
	struct fz_session_params params = {
		.api_url = "wss://portal.example/",
		.external_id = "abc",
		.name = "test",
		.user_agent = "Debian/12.0.0 headless-client/1.5.12 (x86_64; 6.1.0)",
		.ca_file = w->ca,
		.hosts_file = w->hosts,
		.resolv_conf = w->resolv_conf,
		.state_dir = w->dir,
		.host = b->host,
		.internet = internet,
		.ops = { on_changed, on_ended, on_notice },
		.user = b,
	};
	CHECK_INT(fz_session_new(w->event, &params, &b->s), 0);
	fake_set(0, 0);
	(void)fake_log();
}

static void sign_in(struct bench *b, const char *word)
{
	struct fz_token token = { 0 };
	token.len = (size_t)snprintf(token.text, sizeof(token.text), ".%s", word);
	CHECK_INT(fz_session_start(b->s, &token), 0);
	CHECK_UINT(token.len, 0);
}

static void bench_stop(struct bench *b)
{
	fz_session_free(b->s);
	fz_host_free(b->host);
}

static void run_until_state(struct bench *b, enum fz_session_state state)
{
	struct fz_session_status status;
	for (;;) {
		fz_session_status(b->s, &status);
		if (status.state == state)
			return;
		b->changed = false;
		world_run_until(b->w, &b->changed);
	}
}

/* Until the portal has heard a line that contains `text`. */
static void run_until_heard(struct bench *b, const char *text, char *ret, size_t cap)
{
	for (unsigned i = 0; i < 3000; i++) {
		world_read(b->w, "heard", ret, cap);
		if (strstr(ret, text))
			return;
		CHECK(sd_event_run(b->w->event, 10'000) >= 0);
	}
	TEST_FAIL("the portal did not hear %s but %s", text, ret);
}

static void run_until_log(struct bench *b, const char *text, char *ret, size_t cap)
{
	ret[0] = '\0';
	for (unsigned i = 0; i < 3000; i++) {
		size_t n = strlen(ret);
		snprintf(ret + n, cap - n, "%s", fake_log());
		if (strstr(ret, text))
			return;
		CHECK(sd_event_run(b->w->event, 10'000) >= 0);
	}
	TEST_FAIL("the tunnel was not told %s but %s", text, ret);
}

struct counts {
	unsigned addresses, routes, rules;
};

static int count_item(void *user, const struct fz_host_item *item, enum fz_drift drift)
{
	struct counts *c = user;
	CHECK_INT(drift, FZ_DRIFT_NONE);
	c->addresses += item->kind == FZ_HOST_ADDRESS;
	c->routes += item->kind == FZ_HOST_ROUTE;
	c->rules += item->kind == FZ_HOST_RULE;
	return 0;
}

static struct counts on_host(const struct bench *b)
{
	struct counts c = { 0 };
	CHECK_INT(fz_host_each(b->host, count_item, &c), 0);
	return c;
}

static void run_until_routes(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < 3000 && on_host(b).routes != n; i++)
		CHECK(sd_event_run(b->w->event, 10'000) >= 0);
	CHECK_UINT(on_host(b).routes, n);
}

TEST(session, many_resources_of_one_turn_are_one_change_of_the_host)
{
	enum { N = 200 };

	WORLD(w, "tls:443");
	struct bench b;
	static char script[N * 256 + 1024];
	size_t n = (size_t)snprintf(script, sizeof(script), "[" INIT);
	for (unsigned i = 0; i < N; i++)
		n += (size_t)snprintf(script + n, sizeof(script) - n,
			",[\"resource_created_or_updated\",{\"id\":\"5e2c0000-0000-4000-8000-"
			"000000000009\",\"type\":\"cidr\",\"address\":\"10.77.%u.0/"
			"24\",\"name\":\"n\","
			"\"sites\":[],\"filters\":[]}]",
			i);
	snprintf(script + n, sizeof(script) - n, "]");
	put(&w, "on_join_1", script);
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	static char log[8192];
	run_until_log(&b, "upsert 5e2c", log, sizeof(log));
	run_until_routes(&b, 2);
	/* However the network cuts it: far fewer than one each. */
	CHECK(fake_n_applied() > 0 && fake_n_applied() < N / 4);
	bench_stop(&b);
}

TEST(session, an_init_raises_the_tunnel_and_the_end_undoes_it)
{
	WORLD(w, "tls:443");
	struct bench b;
	char heard[2048];
	put(&w, "on_join_1", "[" INIT "]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	run_until_heard(&b, "set_snownet_capabilities", heard, sizeof(heard));
	CHECK(strstr(heard, "[\"set_snownet_capabilities\",{\"iceless\":false}]"));
	CHECK_STR(fake_log(),
		"interface 100.64.0.2 fd00:2021:1111::2;relays 0;resources 1;internet 0;");
	struct counts c = on_host(&b);
	CHECK(c.addresses == 2 && c.rules == 6 && c.routes == 1);

	struct fz_session_status status;
	char text[FZ_IP_TEXT_LEN];
	fz_session_status(b.s, &status);
	CHECK(status.has_tunnel && status.portal == FZP_PORTAL_UP);
	CHECK_STR(fz_ip_format(&status.ipv4, text), "100.64.0.2");
	CHECK_STR(status.search_domain, "corp.example");
	CHECK_UINT(status.n_upstreams, 1);
	CHECK_UINT(status.n_resources, 1);
	CHECK_STR(status.detail, "");

	fz_session_stop(b.s);
	fz_session_status(b.s, &status);
	CHECK_INT(status.state, FZ_SESSION_OFF);
	CHECK_STR(fake_log(), "goodbye;free;");
	CHECK_UINT(fz_host_count(b.host), 0);
	bench_stop(&b);
}

TEST(session, a_request_is_answered_and_candidates_go_both_ways)
{
	WORLD(w, "tls:443");
	struct bench b;
	char heard[2048], log[1024];
	struct fzp_id resource, gateway;
	put(&w, "on_join_1", "[" INIT "]");
	put(&w, "on_request_authorization",
		"[" CREATED ",[\"ice_candidates\",{\"gateway_id\":\"" GATEWAY
		"\",\"candidates\":[\"a\",\"b\"]}],[\"invalidate_ice_candidates\",{\"gateway_id\":"
		"\"" GATEWAY "\",\"candidates\":[\"a\"]}]]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	CHECK(fzp_id_parse(CIDR, &resource) && fzp_id_parse(GATEWAY, &gateway));
	fake_params()->ops.request(fake_params()->user, &resource, &gateway, 1);
	run_until_log(&b, "gone 9f01 1;", log, sizeof(log));
	CHECK(strstr(log, "authorized 9f01 abcd;candidates 9f01 2;gone 9f01 1;"));
	world_read(&w, "heard", heard, sizeof(heard));
	CHECK(strstr(heard, "[\"request_authorization\",{\"resource_id\":\"" CIDR
			    "\",\"connected_gateway_ids\":[\"" GATEWAY "\"]}]"));
	fake_params()->ops.candidate(fake_params()->user, &gateway, "candidate:1", false);
	fake_params()->ops.candidate(fake_params()->user, &gateway, "candidate:1", true);
	fake_params()->ops.no_relays(fake_params()->user);
	run_until_heard(&b, "no_relays", heard, sizeof(heard));
	CHECK(strstr(heard, "[\"new_gateway_ice_candidates\",{\"gateway_id\":\"" GATEWAY
			    "\",\"candidates\":[\"candidate:1\"]}]\n[\"invalidate_gateway_ice_"
			    "candidates\",{\"gateway_id\":\"" GATEWAY
			    "\",\"candidates\":[\"candidate:1\"]}]\n[\"no_relays\",{}]"));
	bench_stop(&b);
}

TEST(session, an_authorization_without_a_relay_asks_for_relays)
{
	WORLD(w, "tls:443");
	struct bench b;
	char heard[2048];
	put(&w, "on_join_1", "[" INIT "," CREATED "]");
	bench_start(&b, &w, NULL);
	fake_set(-ENOTCONN, 0);
	sign_in(&b, "script");
	run_until_heard(&b, "no_relays", heard, sizeof(heard));
	bench_stop(&b);
}

TEST(session, the_portal_away_keeps_the_tunnel_and_what_came_up_is_said_later)
{
	WORLD(w, "tls:443");
	struct bench b;
	char heard[2048], log[1024];
	struct fzp_id gateway, other;
	put(&w, "on_join_1", "[" INIT "]");
	put(&w, "on_no_relays", "[[\"!close\",null]]");
	put(&w, "on_join_2", "[" INIT "]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	run_until_log(&b, "internet 0;", log, sizeof(log));
	fake_params()->ops.no_relays(fake_params()->user);
	run_until_state(&b, FZ_SESSION_RECONNECTING);
	CHECK_UINT(b.notices[FZ_SESSION_NOTICE_PORTAL_LOST], 1);
	CHECK(fake_tunnel());
	CHECK_UINT(on_host(&b).rules, 6);

	CHECK(fzp_id_parse(GATEWAY, &gateway) && fzp_id_parse(CIDR, &other));
	const struct fz_session_tunnel_ops *ops = &fake_params()->ops;
	ops->candidate(fake_params()->user, &gateway, "old", true);
	ops->candidate(fake_params()->user, &gateway, "new", false);
	ops->candidate(fake_params()->user, &gateway, "brief", false);
	ops->candidate(fake_params()->user, &gateway, "brief", true);
	ops->candidate(fake_params()->user, &other, "lost", false);
	ops->gone(fake_params()->user, &other);
	run_until_state(&b, FZ_SESSION_UP);
	CHECK_UINT(b.notices[FZ_SESSION_NOTICE_PORTAL_BACK], 1);
	run_until_heard(&b, "invalidate", heard, sizeof(heard));
	CHECK(strstr(heard, "[\"new_gateway_ice_candidates\",{\"gateway_id\":\"" GATEWAY
			    "\",\"candidates\":[\"new\"]}]\n[\"invalidate_gateway_ice_candidates\","
			    "{\"gateway_id\":\"" GATEWAY "\",\"candidates\":[\"old\"]}]"));
	CHECK(!strstr(heard, "brief") && !strstr(heard, "lost"));
	run_until_log(
		&b, "resources 1;", log, sizeof(log)); /* the second init, to the same tunnel */
	CHECK(!strstr(log, "free"));
	bench_stop(&b);
}

TEST(session, a_token_refused_by_name_ends_it_and_is_to_be_dropped)
{
	WORLD(w, "tls:443");
	struct bench b;
	struct fz_session_status status;
	bench_start(&b, &w, NULL);
	sign_in(&b, "refused");
	world_run_until(&w, &b.ended);
	CHECK(b.drop_token);
	CHECK_INT(b.why, FZP_REASON_INVALID_TOKEN);
	fz_session_status(b.s, &status);
	CHECK_INT(status.state, FZ_SESSION_ENDED);
	CHECK_INT(status.reason, FZP_REASON_INVALID_TOKEN);
	CHECK(!fake_tunnel());
	bench_stop(&b);
}

TEST(session, its_end_in_full_run_takes_everything_down)
{
	WORLD(w, "tls:443");
	struct bench b;
	put(&w, "on_join_1", "[" INIT "]");
	put(&w, "on_no_relays", "[[\"disconnect\",{\"reason\":\"token_expired\"}]]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	fake_params()->ops.no_relays(fake_params()->user);
	world_run_until(&w, &b.ended);
	CHECK_INT(b.why, FZP_REASON_TOKEN_EXPIRED);
	CHECK(!fake_tunnel());
	CHECK_UINT(fz_host_count(b.host), 0);
	sign_in(&b, "script"); /* and it can be started again */
	run_until_state(&b, FZ_SESSION_RAISING);
	bench_stop(&b);
}

TEST(session, a_reset_makes_new_keys_and_says_nothing_of_a_lost_portal)
{
	WORLD(w, "tls:443");
	struct bench b;
	char log[1024];
	put(&w, "on_join_1", "[" INIT "]");
	put(&w, "on_join_2", "[" INIT "]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	(void)fake_log();
	CHECK_INT(fz_session_reset(b.s), 0);
	run_until_log(&b, "resources", log, sizeof(log));
	CHECK(strncmp(log, "reset;", 6) == 0);
	run_until_state(&b, FZ_SESSION_UP);
	CHECK_UINT(b.notices[FZ_SESSION_NOTICE_PORTAL_LOST], 0);
	bench_stop(&b);
}

TEST(session, resources_come_change_and_go)
{
	WORLD(w, "tls:443");
	struct bench b;
	char log[1024];
	put(&w, "on_join_1",
		"[" INIT ",[\"resource_created_or_updated\",{\"id\":\"5e2c0000-0000-4000-8000-"
		"000000000002\",\"type\":\"cidr\",\"address\":\"10.10.0.0/"
		"16\",\"name\":\"second\",\"sites\":[],\"filters\":[]}],"
		"[\"resource_created_or_updated\",7],[\"unheard_of\",{}],[\"init\",{}],[\"relays_"
		"presence\",{\"disconnected_ids\":[\"" GATEWAY "\"],\"connected\":[]}],"
		"[\"authorization_creation_failed\",{\"resource_id\":\"" CIDR
		"\",\"reason\":\"offline\"}],"
		"[\"resource_deleted\",\"5e2c0000-0000-4000-8000-000000000002\"]]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_log(&b, "remove 5e2c;", log, sizeof(log));
	CHECK_STR(log, "interface 100.64.0.2 fd00:2021:1111::2;relays 0;resources 1;internet "
		       "0;upsert 5e2c;relay-gone 9f01;relays 0;refused 5e2c offline;remove 5e2c;");
	CHECK_UINT(b.notices[FZ_SESSION_NOTICE_OFFLINE], 1);
	CHECK_STR(b.notice_site, "HQ");
	bench_stop(&b);
}

TEST(session, choices_hold_beyond_the_session)
{
	WORLD(w, "tls:443");
	struct bench b;
	char log[1024];
	put(&w, "on_join_1", "[" INIT "]");
	put(&w, "on_join_2", "[" INIT "]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	CHECK_INT(fz_session_set_internet(b.s, true), 0);
	run_until_routes(&b, 2);
	CHECK_INT(fz_session_set_resource(b.s, "lab", false), 0);
	run_until_routes(&b, 1);
	CHECK_INT(fz_session_set_resource(b.s, "nothing", false), -ENOENT);
	bench_stop(&b);

	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	run_until_log(&b, "internet", log, sizeof(log));
	CHECK(strstr(log, "off 5e2c;internet 1;"));
	CHECK_UINT(on_host(&b).routes, 1);
	bench_stop(&b);
}

TEST(session, a_tunnel_that_cannot_be_made_is_said_at_once)
{
	WORLD(w, "tls:443");
	struct bench b;
	struct fz_token token = { .len = 2, .text = ".x" };
	bench_start(&b, &w, NULL);
	fake_set(0, -EPERM);
	CHECK_INT(fz_session_start(b.s, &token), -EPERM);
	CHECK_UINT(token.len, 0);
	fake_set(0, 0);
	bench_stop(&b);
}

TEST(session, a_broken_tunnel_is_made_anew)
{
	WORLD(w, "tls:443");
	struct bench b;
	char log[1024];
	struct fz_session_status status;
	put(&w, "on_join_1", "[" INIT "]");
	put(&w, "on_join_2", "[" INIT "]");
	bench_start(&b, &w, NULL);
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);
	(void)fake_log();
	fake_set(0, -EBUSY);
	fake_params()->ops.failed(fake_params()->user, -ENODEV);
	run_until_state(&b, FZ_SESSION_FAILED);
	fz_session_status(b.s, &status);
	CHECK(strstr(status.detail, "cannot go on"));
	run_until_log(&b, "free;", log, sizeof(log)); /* and the first try to make another fails */
	CHECK_UINT(fz_host_count(b.host), 0);
	fake_set(0, 0);
	run_until_state(&b, FZ_SESSION_UP);
	run_until_log(&b, "resources 1;", log, sizeof(log));
	CHECK_UINT(on_host(&b).rules, 6);
	bench_stop(&b);
}

TEST(session, explains_what_people_write)
{
	WORLD(w, "tls:443");
	struct bench b;
	struct fz_session_explanation e;
	put(&w, "on_join_1", "[" INIT "]");
	bench_start(&b, &w, NULL);
	CHECK_INT(fz_session_explain(b.s, "10.9.0.1", NULL, &e), 0);
	CHECK_INT(e.verdict, FZ_SESSION_PLAIN);
	CHECK(strstr(e.reason, "off"));
	sign_in(&b, "script");
	run_until_state(&b, FZ_SESSION_UP);

	static const struct {
		const char *text, *protocol, *reason;
	} rows[] = {
		{ "10.9.0.1", NULL, "10.9.0.1//0/0" },
		{ "10.9.0.1:22", NULL, "10.9.0.1//6/22" },
		{ "10.9.0.1:53", "UDP", "10.9.0.1//17/53" },
		{ "[2001:db8::1]:22", NULL, "2001:db8::1//6/22" },
		{ "2001:db8::1", "icmp", "2001:db8::1//1/0" },
		{ "lab", NULL, "/5e2c/0/0" },
		{ "lab:80", NULL, "/5e2c/6/80" },
		{ "10.9.0.0/24", NULL, "/5e2c/0/0" },
		{ CIDR, NULL, "/5e2c/0/0" },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		CHECK_INT(fz_session_explain(b.s, rows[i].text, rows[i].protocol, &e), 0);
		CHECK_STR(e.reason, rows[i].reason);
	}
	CHECK_INT(fz_session_explain(b.s, "elsewhere.example", NULL, &e), 0);
	CHECK_INT(e.verdict, FZ_SESSION_PLAIN);
	CHECK_INT(fz_session_explain(b.s, "host:99999", NULL, &e), -EINVAL);
	CHECK_INT(fz_session_explain(b.s, "[::1", NULL, &e), -EINVAL);
	CHECK_INT(fz_session_explain(b.s, "10.9.0.1", "sctp", &e), -EINVAL);
	bench_stop(&b);
}
