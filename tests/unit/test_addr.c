/* Addresses and prefixes as text and as bits. */
#include <errno.h>

#include "base/addr.h"
#include "support/test.h"

TEST(addr, text_forms_round_trip)
{
	static const char *const addrs[] = { "192.0.2.1:51820", "[2001:db8::1]:1",
		"[fe80::1%3]:65535" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(addrs); i++) {
		struct fz_addr a;
		char text[FZ_ADDR_TEXT_LEN];
		CHECK_INT(fz_addr_parse(addrs[i], &a), 0);
		CHECK_STR(fz_addr_format(&a, text), addrs[i]);
	}
}

TEST(addr, malformed_texts_are_refused)
{
	static const char *const bad[] = { "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536",
		"[1.2.3.4]:1", "::1:80", "[::1]", "[::1]x:1", "1.2.3.4%1:1", "[::1%x]:1",
		"1.2.3.4:+1", "[]:1" };
	struct fz_addr a;
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++)
		CHECK_INT(fz_addr_parse(bad[i], &a), -EINVAL);
	static const char *const bad_prefix[] = { "10.0.0.0/33", "::/129", "10.0.0.0/",
		"10.0.0.0/-1", "10/8", "x" };
	struct fz_prefix p;
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad_prefix); i++)
		CHECK_INT(fz_prefix_parse(bad_prefix[i], &p), -EINVAL);
}

TEST(addr, a_prefix_contains_what_shares_its_bits)
{
	struct fz_prefix p;
	struct fz_ip in = fz_ip4(10, 1, 130, 9), out = fz_ip4(10, 1, 1, 1);
	CHECK_INT(fz_prefix_parse("10.1.128.5/17", &p), 0);
	CHECK(fz_prefix_contains(&p, &in));
	CHECK(!fz_prefix_contains(&p, &out));
	fz_prefix_mask(&p);
	char text[FZ_PREFIX_TEXT_LEN];
	CHECK_STR(fz_prefix_format(&p, text), "10.1.128.0/17");
}

TEST(addr, the_unwritten_host_bits_and_the_family_are_part_of_no_match)
{
	struct fz_prefix all4, all6, host;
	struct fz_ip v4 = fz_ip4(192, 0, 2, 1), v6;
	CHECK_INT(fz_prefix_parse("0.0.0.0/0", &all4), 0);
	CHECK_INT(fz_prefix_parse("::/0", &all6), 0);
	CHECK_INT(fz_prefix_parse("192.0.2.1", &host), 0);
	CHECK_INT(fz_ip_parse("2001:db8::1", &v6), 0);
	CHECK_UINT(host.bits, 32);
	CHECK(fz_prefix_contains(&host, &v4));
	CHECK(fz_prefix_contains(&all4, &v4) && !fz_prefix_contains(&all4, &v6));
	CHECK(fz_prefix_contains(&all6, &v6) && !fz_prefix_contains(&all6, &v4));
}

TEST(addr, a_prefix_contains_exactly_what_differs_behind_its_bits)
{
	struct test_rng rng = { .s = 7 };
	for (uint8_t bits = 0; bits <= 128; bits++) {
		struct fz_prefix p = { .ip = { .family = FZ_IP6 }, .bits = bits };
		test_rng_fill(&rng, p.ip.b, sizeof(p.ip.b));
		for (unsigned flip = 0; flip < 128; flip++) {
			struct fz_ip ip = p.ip;
			ip.b[flip / 8] ^= (uint8_t)(0x80u >> flip % 8);
			if (fz_prefix_contains(&p, &ip) != (flip >= bits))
				TEST_FAIL("/%u with bit %u flipped (seed 7)", bits, flip);
		}
	}
}

TEST(addr, a_failing_parse_leaves_its_output_alone)
{
	struct fz_addr a = { .port = 77 };
	struct fz_prefix p = { .bits = 9 };
	struct fz_ip ip = { .family = FZ_IP4 };
	uint64_t n = 5;
	CHECK_INT(fz_addr_parse("1.2.3.4:99999", &a), -EINVAL);
	CHECK_INT(fz_prefix_parse("10.0.0.0/40", &p), -EINVAL);
	CHECK_INT(fz_ip_parse("10.0.0", &ip), -EINVAL);
	CHECK_INT(fz_parse_uint("12a", 100, &n), -EINVAL);
	CHECK_UINT(a.port, 77);
	CHECK_UINT(p.bits, 9);
	CHECK_UINT(ip.family, FZ_IP4);
	CHECK_UINT(n, 5);
}

TEST(addr, the_longest_texts_fit_their_buffers)
{
	struct fz_addr a = { .ip = { .family = FZ_IP6 }, .port = 65535, .scope = UINT32_MAX };
	memset(a.ip.b, 0xab, sizeof(a.ip.b));
	struct fz_prefix p = { .ip = a.ip, .bits = 128 };
	char addr[FZ_ADDR_TEXT_LEN], prefix[FZ_PREFIX_TEXT_LEN];
	CHECK_STR(fz_addr_format(&a, addr),
		"[abab:abab:abab:abab:abab:abab:abab:abab%4294967295]:65535");
	CHECK_STR(fz_prefix_format(&p, prefix), "abab:abab:abab:abab:abab:abab:abab:abab/128");
	struct fz_addr again;
	CHECK_INT(fz_addr_parse(addr, &again), 0);
	CHECK(fz_addr_equal(&a, &again));
}

TEST(addr, no_address_prints_as_none)
{
	struct fz_ip none = { 0 };
	char text[FZ_IP_TEXT_LEN];
	CHECK_STR(fz_ip_format(&none, text), "none");
	CHECK_UINT(fz_ip_len(&none), 0);
}

TEST(addr, numbers_stop_at_their_maximum_and_at_64_bits)
{
	uint64_t n;
	CHECK_INT(fz_parse_uint("255", 255, &n), 0);
	CHECK_UINT(n, 255);
	CHECK_INT(fz_parse_uint("256", 255, &n), -EINVAL);
	CHECK_INT(fz_parse_uint("18446744073709551615", UINT64_MAX, &n), 0);
	CHECK_INT(fz_parse_uint("18446744073709551616", UINT64_MAX, &n), -EINVAL);
	CHECK_INT(fz_parse_uint("-1", UINT64_MAX, &n), -EINVAL);
	CHECK_INT(fz_parse_uint(" 1", UINT64_MAX, &n), -EINVAL);
}
