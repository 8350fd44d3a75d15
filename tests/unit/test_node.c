/* What a node decides without a network: which addresses of the host a remote is told. */
#include "daemon/node_internal.h"
#include "support/test.h"

TEST(node, names_addresses_that_others_can_reach)
{
	static const struct {
		const char *ip;
		bool want;
	} cases[] = {
		{ "192.168.1.7", true },
		{ "10.0.0.1", true },
		{ "203.0.113.9", true },
		{ "2001:db8::7", true },
		{ "fd12:3456::1", true },
		{ "127.0.0.1", false },
		{ "169.254.3.4", false },
		{ "224.0.0.1", false },
		{ "255.255.255.255", false },
		{ "0.0.0.0", false },
		{ "::", false },
		{ "::1", false },
		{ "fe80::1", false },
		{ "ff02::1", false },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		struct fz_ip ip;
		CHECK_INT(fz_ip_parse(cases[i].ip, &ip), 0);
		if (node_is_host_candidate(&ip) != cases[i].want)
			TEST_FAIL("%s", cases[i].ip);
	}
}

TEST(node, names_no_address_of_a_tunnel)
{
	static const char *const inside[] = { "100.64.0.1", "100.95.1.2", "100.96.0.1",
		"fd00:2021:1111::1", "fd00:2021:1111:8000::5" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(inside); i++) {
		struct fz_ip ip;
		CHECK_INT(fz_ip_parse(inside[i], &ip), 0);
		if (node_is_host_candidate(&ip))
			TEST_FAIL("%s", inside[i]);
	}
}

TEST(node, has_a_sentence_for_every_failure)
{
	CHECK(strcmp(fz_node_failure_name(FZ_NODE_NO_CANDIDATES), "unknown") != 0);
	CHECK(strcmp(fz_node_failure_name(FZ_NODE_UNREACHABLE), "unknown") != 0);
	CHECK(strcmp(fz_node_failure_name(FZ_NODE_NO_HANDSHAKE), "unknown") != 0);
	CHECK_STR(fz_node_failure_name((enum fz_node_failure)99), "unknown");
}
