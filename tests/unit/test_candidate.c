/* Candidate text as Firezone's devices write it, and priorities as they compute them. */
#include <errno.h>

#include "path/candidate.h"
#include "support/test.h"

TEST(candidate, strings_of_firezone_s_own_devices_are_read)
{
	static const struct {
		const char *text, *addr;
		enum fz_candidate_kind kind;
		uint32_t priority;
	} cases[] = {
		{ "candidate:fffeff7e3c60c004fa2110f9 1 udp 2130706175 10.91.2.2 52625 typ host "
		  "ufrag pumo",
			"10.91.2.2:52625", FZ_CANDIDATE_HOST, 2130706175 },
		{ "candidate:fffe3f02ad106580bdadbcfb 1 udp 37748479 10.91.0.1 51306 typ relay "
		  "raddr 0.0.0.0 "
		  "rport 0 ufrag pumo",
			"10.91.0.1:51306", FZ_CANDIDATE_RELAY, 37748479 },
		{ "candidate:1 1 UDP 1 2001:db8::1 9 typ srflx raddr :: rport 0", "[2001:db8::1]:9",
			FZ_CANDIDATE_SRFLX, 1 },
		{ "candidate:1 1 udp 1 127.0.0.1 9 typ prflx x y", "127.0.0.1:9",
			FZ_CANDIDATE_PRFLX, 1 },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		struct fz_candidate c;
		char text[FZ_ADDR_TEXT_LEN];
		CHECK_INT(fz_candidate_parse(cases[i].text, &c), 0);
		CHECK_STR(fz_addr_format(&c.addr, text), cases[i].addr);
		CHECK_INT(c.kind, cases[i].kind);
		CHECK_UINT(c.priority, cases[i].priority);
		CHECK_INT(c.base.ip.family, FZ_NO_FAMILY);
	}
}

TEST(candidate, a_real_base_is_read_and_a_broken_one_is_as_good_as_none)
{
	struct fz_candidate c;
	char text[FZ_ADDR_TEXT_LEN];
	CHECK_INT(fz_candidate_parse(
			  "candidate:1 1 udp 1 192.0.2.1 9 typ srflx rport 5 raddr 10.0.0.1", &c),
		0);
	CHECK_STR(fz_addr_format(&c.base, text), "10.0.0.1:5");
	CHECK_INT(fz_candidate_parse(
			  "candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr 10.0.0.x rport 5", &c),
		0);
	CHECK_INT(c.base.ip.family, FZ_NO_FAMILY);
}

TEST(candidate, text_that_names_no_usable_udp_address_is_refused_and_leaves_the_output_alone)
{
	static const char *const cases[] = { "", "candidate:", "candidate:1",
		"a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
		"candidate:1 2 udp 1 192.0.2.1 9 typ host",
		"candidate:1 1 tcp 1 192.0.2.1 9 typ host",
		"candidate:1 1 udp x 192.0.2.1 9 typ host",
		"candidate:1 1 udp 4294967296 192.0.2.1 9 typ host",
		"candidate:1 1 udp 1 host.example 9 typ host",
		"candidate:1 1 udp 1 192.0.2.1 65536 typ host",
		"candidate:1 1 udp 1 192.0.2.1 0 typ host", "candidate:1 1 udp 1 192.0.2.1 9 typ",
		"candidate:1 1 udp 1 192.0.2.1 9 typ ghost",
		"candidate:1 1 udp 1 192.0.2.1 9 type host",
		"candidate:1 1 udp 1 0.0.0.0 9 typ host",
		"candidate:1 1 udp 1 224.0.0.1 9 typ host",
		"candidate:1 1 udp 1 255.255.255.255 9 typ host",
		"candidate:1 1 udp 1 169.254.1.1 9 typ host", "candidate:1 1 udp 1 :: 9 typ host",
		"candidate:1 1 udp 1 ff02::1 9 typ host", "candidate:1 1 udp 1 fe80::1 9 typ host",
		"candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 9 typ host" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		struct fz_candidate c = { .priority = 77 };
		if (fz_candidate_parse(cases[i], &c) != -EINVAL)
			TEST_FAIL("accepted: %s", cases[i]);
		CHECK_UINT(c.priority, 77);
	}
	char longer[400];
	memset(longer, ' ', sizeof(longer));
	static const char start[] = "candidate:1 1 udp 1 192.0.2.1 9 typ host";
	memcpy(longer, start, sizeof(start) - 1);
	longer[sizeof(longer) - 1] = '\0';
	struct fz_candidate c;
	CHECK_INT(fz_candidate_parse(longer, &c), -EINVAL);
}

TEST(candidate, what_is_written_is_read_back_the_same)
{
	for (unsigned k = 0; k < FZ_CANDIDATE_KIND_COUNT_; k++) {
		struct fz_candidate c = { .kind = k, .priority = 4294967295u }, back;
		char text[FZ_CANDIDATE_TEXT_LEN];
		CHECK_INT(fz_addr_parse(k % 2 ? "[2001:db8::1]:65535" : "192.0.2.1:1", &c.addr), 0);
		c.base = c.addr;
		CHECK_INT(fz_candidate_format(&c, "abcd", text), 0);
		CHECK_INT(fz_candidate_parse(text, &back), 0);
		CHECK(back.kind == c.kind && back.priority == c.priority);
		CHECK(fz_addr_equal(&back.addr, &c.addr));
		CHECK(strstr(text, " ufrag abcd"));
		CHECK((strstr(text, "raddr") != NULL) == (k != FZ_CANDIDATE_HOST));
	}
}

TEST(candidate, a_ufrag_too_long_for_the_text_is_an_error_and_nothing_is_written)
{
	struct fz_candidate c = { .kind = FZ_CANDIDATE_HOST };
	char ufrag[300], text[FZ_CANDIDATE_TEXT_LEN] = "untouched";
	memset(ufrag, 'x', sizeof(ufrag));
	ufrag[sizeof(ufrag) - 1] = '\0';
	CHECK_INT(fz_addr_parse("192.0.2.1:1", &c.addr), 0);
	CHECK(fz_candidate_format(&c, ufrag, text) < 0);
	CHECK_STR(text, "untouched");
}

TEST(candidate, priorities_are_those_measured_on_firezone_s_devices)
{
	CHECK_UINT(fz_candidate_priority(FZ_CANDIDATE_HOST, FZ_IP4, 0, false), 2130706175);
	CHECK_UINT(fz_candidate_priority(FZ_CANDIDATE_RELAY, FZ_IP4, 0, false), 37748479);
	CHECK_UINT(fz_candidate_priority(FZ_CANDIDATE_RELAY, FZ_IP4, 1, false), 37747967);
	CHECK_UINT(fz_candidate_priority(FZ_CANDIDATE_HOST, FZ_IP6, 0, false),
		126u << 24 | 65535u << 8 | 255);
	CHECK_UINT(fz_candidate_priority(FZ_CANDIDATE_RELAY, FZ_IP6, 0, true),
		2u << 24 | (16383u - 1000) << 8 | 255);
	/* as in the checks of the captures */
	CHECK_UINT(fz_candidate_prflx_priority(2130706175), 0x6efffeff);
	CHECK_UINT(fz_candidate_prflx_priority(37748479), 0x6e3ffeff);
}

TEST(candidate, priorities_keep_to_their_kind_however_many_there_are)
{
	for (unsigned k = 0; k + 1 < FZ_CANDIDATE_KIND_COUNT_; k++) {
		uint32_t last = fz_candidate_priority(k, FZ_IP4, 1'000'000, true);
		CHECK(last > fz_candidate_priority(k + 1, FZ_IP6, 0, false));
		CHECK((last & 0xff) == 255 && last <= fz_candidate_priority(k, FZ_IP4, 7, true));
	}
}

TEST(candidate, pair_priority_is_the_formula_of_rfc_8445)
{
	CHECK_UINT(fz_candidate_pair_priority(2, 3), (2ull << 32) + 6);
	CHECK_UINT(fz_candidate_pair_priority(3, 2), (2ull << 32) + 6 + 1);
	CHECK_UINT(fz_candidate_pair_priority(5, 5), (5ull << 32) + 10);
}
