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

/* A packet in which every byte counts: same_flow compares it with itself, one byte changed. */
static bool survives_change(const uint8_t *packet, size_t n, size_t at)
{
	uint8_t other[64];
	memcpy(other, packet, n);
	other[at] ^= 1;
	return node_is_same_flow(fz_bytes_of(packet, n), fz_bytes_of(other, n));
}

TEST(node, packets_are_of_one_flow_by_addresses_protocol_and_ports)
{
	const uint8_t v4[28] = { 0x45, [9] = 6, [12] = 10, [16] = 11, [20] = 1, [22] = 2 };
	const uint8_t v6[48] = { 0x60, [6] = 17, [8] = 0xfd, [24] = 0xfd, [40] = 1, [42] = 2 };
	for (size_t at = 0; at < sizeof(v4); at++) {
		/* TOS, length, identification, "don't fragment" alone, TTL, checksum and what follows the ports decide nothing. */
		bool decides = at == 0 || at == 6 || at == 7 || at == 9 || (at >= 12 && at < 24);
		CHECK(survives_change(v4, sizeof(v4), at) != decides);
	}
	for (size_t at = 0; at < sizeof(v6); at++) {
		bool decides = at == 0 || at == 6 || (at >= 8 && at < 44);
		CHECK(survives_change(v6, sizeof(v6), at) != decides);
	}
}

TEST(node, what_shows_no_ports_is_of_no_flow)
{
	uint8_t v4[28] = { 0x45, [9] = 6 }, v6[48] = { 0x60, [6] = 6 };
	struct fz_bytes four = fz_bytes_of(v4, sizeof(v4)), six = fz_bytes_of(v6, sizeof(v6));
	CHECK(node_is_same_flow(four, four) && node_is_same_flow(six, six));
	CHECK(!node_is_same_flow(fz_bytes_of(NULL, 0), four));
	CHECK(!node_is_same_flow(four, fz_bytes_of(v4, 23)));
	CHECK(!node_is_same_flow(six, fz_bytes_of(v6, 43)) && !node_is_same_flow(four, six));
	v4[6] = 0x20; /* more fragments follow */
	CHECK(!node_is_same_flow(four, four));
	v4[6] = 0x40; /* may not be fragmented */
	CHECK(node_is_same_flow(four, four));
	v4[7] = 1;
	CHECK(!node_is_same_flow(four, four));
	v4[7] = 0;
	v4[0] = 0x46;
	CHECK(!node_is_same_flow(four, four));
	static const uint8_t others[] = { 0, 1, 43, 44, 58, 60, 255 };
	v4[0] = 0x45;
	for (size_t i = 0; i < sizeof(others); i++) {
		v4[9] = v6[6] = others[i];
		CHECK(!node_is_same_flow(four, four) && !node_is_same_flow(six, six));
	}
}

TEST(node, has_a_sentence_for_every_failure)
{
	CHECK(strcmp(fz_node_failure_name(FZ_NODE_NO_CANDIDATES), "unknown") != 0);
	CHECK(strcmp(fz_node_failure_name(FZ_NODE_UNREACHABLE), "unknown") != 0);
	CHECK(strcmp(fz_node_failure_name(FZ_NODE_NO_HANDSHAKE), "unknown") != 0);
	CHECK_STR(fz_node_failure_name((enum fz_node_failure)99), "unknown");
}
