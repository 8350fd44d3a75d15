/* The token bucket per source in virtual time. */
#include "support/test.h"
#include "wg/ratelimit.h"

static struct fz_ip ip(const char *text)
{
	struct fz_ip a;
	CHECK_INT(fz_ip_parse(text, &a), 0);
	return a;
}

static void init(struct wg_ratelimit *r, uint32_t max)
{
	wg_ratelimit_init(r, (struct fz_hash_key){ 1, 2 }, max);
}

static bool ask(struct wg_ratelimit *r, const char *from, uint64_t ms)
{
	struct fz_ip a = ip(from);
	return wg_ratelimit_allow(r, &a, (fz_time){ ms * 1000000 });
}

TEST(ratelimit, five_at_once_then_twenty_a_second)
{
	static const struct {
		uint64_t ms;
		bool allowed;
	} steps[] = { { 1000, true }, { 1000, true }, { 1000, true }, { 1000, true },
		{ 1000, true }, { 1000, false }, { 1020, false }, { 1049, false }, { 1050, true },
		{ 1050, false }, { 1100, true }, { 1149, false }, { 1150, true }, { 1400, true },
		{ 1400, true }, { 1400, true }, { 1400, true }, { 1400, true }, { 1400, false },
		{ 5000, true }, { 5000, true }, { 5000, true }, { 5000, true }, { 5000, true },
		{ 5000, false } };
	struct wg_ratelimit r;
	init(&r, 16);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (ask(&r, "192.0.2.1", steps[i].ms) != steps[i].allowed)
			TEST_FAIL("step %zu", i);
	wg_ratelimit_done(&r);
}

TEST(ratelimit, sources_do_not_share_their_tokens)
{
	struct wg_ratelimit r;
	init(&r, 16);
	for (int i = 0; i < 6; i++)
		CHECK_INT(ask(&r, "192.0.2.1", 0), i < 5);
	CHECK(ask(&r, "192.0.2.2", 0));
	/* 192.0.2.1 written as the start of an IPv6 address is somebody else. */
	CHECK(ask(&r, "c000:201::", 0));
	wg_ratelimit_done(&r);
}

TEST(ratelimit, an_ipv6_source_is_a_network_of_64_bits)
{
	struct wg_ratelimit r;
	init(&r, 16);
	for (int i = 0; i < 6; i++) {
		char from[40];
		snprintf(from, sizeof(from), "2001:db8:0:1::%d", i);
		CHECK_INT(ask(&r, from, 0), i < 5);
	}
	CHECK(ask(&r, "2001:db8:0:2::1", 0));
	wg_ratelimit_done(&r);
}

TEST(ratelimit, a_full_table_refuses_strangers_until_somebody_is_forgotten)
{
	struct wg_ratelimit r;
	init(&r, 4);
	CHECK(ask(&r, "192.0.2.1", 0));
	CHECK(ask(&r, "192.0.2.2", 100));
	CHECK(ask(&r, "192.0.2.3", 200));
	CHECK(ask(&r, "192.0.2.4", 300));
	CHECK(!ask(&r, "192.0.2.5", 400));
	CHECK(ask(&r, "192.0.2.1", 500)); /* known ones go on */
	CHECK(!ask(&r, "192.0.2.5", 1100)); /* 2 was last seen exactly a second ago */
	CHECK(ask(&r, "192.0.2.5", 1101));
	CHECK_UINT(r.n, 4);
	CHECK(ask(&r, "192.0.2.6", 9000));
	CHECK_UINT(r.n, 3); /* two are forgotten for one that comes */
	wg_ratelimit_done(&r);
}

TEST(ratelimit, ten_thousand_sources_come_and_go)
{
	struct wg_ratelimit r;
	init(&r, 1024);
	for (uint32_t i = 0; i < 10000; i++) {
		struct fz_ip a = fz_ip4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
		/* 512 per second: the table never fills. */
		CHECK(wg_ratelimit_allow(&r, &a, (fz_time){ i * UINT64_C(1953125) }));
		CHECK(r.n <= 514);
	}
	wg_ratelimit_done(&r);
}
