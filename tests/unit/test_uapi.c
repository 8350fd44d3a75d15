/* What each key of the text protocol does, and what is said about one that is wrong. */
#include "support/test.h"
#include "uapi/hex.h"
#include "unit/uapi_talk.h"

#define OK             "errno=0\n\n"
#define ZEROS          "0000000000000000000000000000000000000000000000000000000000000000"
#define PEER_HEAD(key) "public_key=" key "\npreshared_key=" ZEROS "\nprotocol_version=1\n"
#define PEER_TAIL                                                                                  \
	"last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"          \
	"persistent_keepalive_interval=0\n"

TEST(uapi, an_empty_device_says_nothing_but_success)
{
	struct talk t = talk_new();
	CHECK_STR(talk_get(&t), OK);
	talk_done(&t);
}

TEST(uapi, what_was_set_is_what_get_says)
{
	struct talk t = talk_new();
	uapi_note_sockets(t.uapi, 51820, 77);
	CHECK_STR(talk_say(&t,
			  "set=1\nprivate_key=" K3 "\nreplace_peers=true\n" P1
			  "endpoint=192.0.2.7:9\nreplace_allowed_ips=true\nallowed_ip=10.0.0.9/8\n"
			  "allowed_ip=fd00::/64\npersistent_keepalive_interval=25\n" P2
			  "preshared_key=" K1 "\nendpoint=[2001:db8::1]:51820\n\n"),
		OK);
	/* The private key is clamped: 0x33 & 248 = 0x30, (0x33 & 127) | 64 = 0x73. */
	CHECK_STR(talk_get(&t),
		"private_key=3033333333333333333333333333333333333333333333333333333333333373\n"
		"listen_port=51820\nfwmark=77\n" PEER_HEAD(
			K1) "endpoint=192.0.2.7:9\nlast_handshake_time_sec=0\nlast_handshake_time_"
			    "nsec=0\n"
			    "tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=25\n"
			    "allowed_ip=10.0.0.0/8\nallowed_ip=fd00::/64\n"
			    "public_key=" K2 "\npreshared_key=" K1 "\nprotocol_version=1\n"
			    "endpoint=[2001:db8::1]:51820\n" PEER_TAIL OK);
	talk_done(&t);
}

TEST(uapi, a_zero_private_key_takes_the_identity_away)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\nprivate_key=" K3 "\n\n"), OK);
	CHECK_STR(talk_say(&t, "set=1\nprivate_key=" ZEROS "\n\n"), OK);
	CHECK_STR(talk_get(&t), OK);
	talk_done(&t);
}

/* Nothing can be sent there, and nothing is refused either: so do the kernel's driver and wireguard-go. */
TEST(uapi, port_zero_of_an_endpoint_is_taken_and_told)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\npublic_key=" K1 "\nendpoint=192.0.2.7:0\n\n"), OK);
	CHECK(strstr(talk_get(&t), "\nendpoint=192.0.2.7:0\n") != NULL);
	talk_done(&t);
}

static const struct {
	const char *line;
	int error;
} bad_lines[] = {
	{ "nonsense=1", -22 },
	{ "nonsense", -71 },
	{ "=", -22 },
	{ " private_key=" K1, -22 },
	{ "private_key=", -22 },
	{ "private_key=11", -22 },
	{ "private_key=" K1 "1", -22 },
	{ "private_key=g111111111111111111111111111111111111111111111111111111111111111", -22 },
	{ "listen_port=65536", -22 },
	{ "listen_port=-1", -22 },
	{ "listen_port=", -22 },
	{ "listen_port=0x10", -22 },
	{ "fwmark=4294967296", -22 },
	{ "fwmark=off", -22 },
	{ "replace_peers=false", -22 },
	{ "public_key=" K1 "\r", -22 },
	{ "allowed_ip=10.0.0.0/8", -22 }, /* belongs to a peer */
	{ "endpoint=192.0.2.1:1", -22 },
	{ "errno=0", -22 },
	{ P1 "private_key=" K1, -22 }, /* belongs to the device */
	{ P1 "listen_port=1", -22 },
	{ P1 "replace_peers=true", -22 },
	{ P1 "remove=false", -22 },
	{ P1 "remove=", -22 },
	{ P1 "update_only=1", -22 },
	{ P1 "replace_allowed_ips=yes", -22 },
	{ P1 "preshared_key=zz", -22 },
	{ P1 "endpoint=example.org:51820", -22 },
	{ P1 "endpoint=192.0.2.1", -22 },
	{ P1 "endpoint=192.0.2.1:65536", -22 },
	{ P1 "endpoint=2001:db8::1:51820", -22 },
	{ P1 "endpoint=[192.0.2.1]:1", -22 },
	{ P1 "endpoint=[fe80::1%nowhere]:1", -22 },
	{ P1 "endpoint=[fe80::1%]:1", -22 },
	{ P1 "endpoint=[fe80::1%aninterfacenamethatistoolong]:1", -22 },
	{ P1 "endpoint=", -22 },
	{ P1 "persistent_keepalive_interval=65536", -22 },
	{ P1 "persistent_keepalive_interval=off", -22 },
	{ P1 "allowed_ip=10.0.0.0/33", -22 },
	{ P1 "allowed_ip=10.0.0.0", -22 },
	{ P1 "allowed_ip=10.0.0.0/", -22 },
	{ P1 "allowed_ip=::/129", -22 },
	{ P1 "allowed_ip=/8", -22 },
	{ P1 "allowed_ip=-", -22 },
	{ P1 "allowed_ip=--10.0.0.0/8", -22 },
	{ P1 "protocol_version=2", -22 },
	{ P1 "protocol_version=", -22 },
	{ P1 "rx_bytes=1", -22 },
	{ P1 "nonsense", -71 },
};

TEST(uapi, refuses_each_bad_line_with_its_errno)
{
	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		struct talk t = talk_new();
		char text[512], want[64];
		snprintf(text, sizeof(text), "set=1\n%s\n\n", bad_lines[i].line);
		snprintf(want, sizeof(want), "errno=%d\n\n", bad_lines[i].error);
		fprintf(stderr, "%s\n", bad_lines[i].line);
		CHECK_STR(talk_say(&t, text), want);
		/* The rest of the request is passed over, and the next one is served. */
		CHECK_STR(talk_say(&t, "set=1\n\n"), OK);
		talk_done(&t);
	}
}

TEST(uapi, lines_before_a_bad_one_have_taken_effect_and_lines_after_it_have_not)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\nbad=1\n" P2 "\n"),
		"errno=-22\n\n");
	CHECK_STR(talk_get(&t), PEER_HEAD(K1) PEER_TAIL "allowed_ip=10.0.0.0/8\n" OK);
	talk_done(&t);
}

TEST(uapi, a_failed_get_has_a_positive_errno)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "get=1\nprivate_key=" K1 "\n\n"), "errno=22\n\n");
	CHECK_STR(talk_get(&t), OK);
	talk_done(&t);
}

TEST(uapi, an_unknown_operation_is_left_without_an_answer)
{
	static const char *const openings[] = { "\n", "get=2\n\n", "set=0\n\n", "hello\n", "get\n",
		"get=1\r\n\r\n", " get=1\n" };
	for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
		struct talk t = talk_new();
		CHECK_STR(talk_say(&t, openings[i]), "");
		CHECK_INT(uapi_client_want(t.client), UAPI_WANT_CLOSE);
		talk_done(&t);
	}
}

TEST(uapi, port_and_mark_are_questions_to_the_shell_and_its_failures_are_replied)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\nlisten_port=0\nfwmark=4294967295\n\n"), OK);
	CHECK_UINT(t.port, 0);
	CHECK_UINT(t.mark, 4294967295u);
	CHECK_UINT(t.n_questions, 2);
	t.port_answer = -98;
	CHECK_STR(talk_say(&t, "set=1\nlisten_port=53\nfwmark=1\n\n"), "errno=-98\n\n");
	CHECK_UINT(t.mark, 4294967295u);
	t.port_answer = 0;
	t.mark_answer = -1003;
	CHECK_STR(talk_say(&t, "set=1\nfwmark=1\n\n"), "errno=-55\n\n");
	talk_done(&t);
}

TEST(uapi, a_zone_may_be_a_name_or_a_number)
{
	struct talk t = talk_new();
	t.zone = 4;
	CHECK_STR(talk_say(&t, "set=1\n" P1 "endpoint=[fe80::1%eth0]:1\n" P2
			       "endpoint=[fe80::2%7]:2\n\n"),
		OK);
	CHECK_UINT(t.n_questions, 1);
	const char *got = talk_get(&t);
	CHECK(strstr(got, "endpoint=[fe80::1%4]:1\n"));
	CHECK(strstr(got, "endpoint=[fe80::2%7]:2\n"));
	talk_done(&t);
}

TEST(uapi, replace_peers_leaves_nothing_of_a_peer_that_comes_back)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "preshared_key=" K2
			       "\nallowed_ip=10.0.0.0/8\nendpoint=192.0.2.1:1\n" P2 "\n"),
		OK);
	CHECK_STR(talk_say(&t, "set=1\nreplace_peers=true\n" P1 "\n"), OK);
	CHECK_STR(talk_get(&t), PEER_HEAD(K1) PEER_TAIL OK);
	talk_done(&t);
}

TEST(uapi, update_only_makes_no_peer_wherever_it_stands)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "update_only=true\nallowed_ip=10.0.0.0/8\n" P2
			       "allowed_ip=10.0.0.0/8\nupdate_only=true\nendpoint=192.0.2.1:1\n\n"),
		OK);
	CHECK_STR(talk_get(&t), OK);
	CHECK_STR(talk_say(&t, "set=1\n" P1 "\n"), OK);
	CHECK_STR(talk_say(&t, "set=1\n" P1 "update_only=true\nallowed_ip=10.0.0.0/8\n\n"), OK);
	CHECK_STR(talk_get(&t), PEER_HEAD(K1) PEER_TAIL "allowed_ip=10.0.0.0/8\n" OK);
	talk_done(&t);
}

TEST(uapi, keys_behind_remove_are_judged_and_forgotten)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\n" P2 "\n"), OK);
	CHECK_STR(talk_say(&t,
			  "set=1\n" P1 "remove=true\nallowed_ip=10.0.0.0/8\n" P3 "remove=true\n\n"),
		OK);
	CHECK_STR(talk_get(&t), PEER_HEAD(K2) PEER_TAIL OK);
	CHECK_STR(
		talk_say(&t, "set=1\n" P1 "remove=true\nallowed_ip=nonsense\n\n"), "errno=-22\n\n");
	talk_done(&t);
}

TEST(uapi, our_own_key_as_a_peer_is_silently_no_peer)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\nprivate_key=" K1 "\n\n"), OK);
	uint8_t pub[32];
	char hex[65] = { 0 }, text[256];
	CHECK(wg_device_public_key(t.device, pub));
	uapi_hex_format(pub, hex);
	snprintf(text, sizeof(text), "set=1\npublic_key=%s\nallowed_ip=10.0.0.0/8\n\n", hex);
	CHECK_STR(talk_say(&t, text), OK);
	CHECK_UINT(wg_device_n_peers(t.device), 0);
	/* And a peer that turns out to be us goes away. */
	CHECK_STR(talk_say(&t, "set=1\nprivate_key=" K2 "\n\n"), OK);
	CHECK_STR(talk_say(&t, text), OK);
	CHECK_UINT(wg_device_n_peers(t.device), 1);
	CHECK_STR(talk_say(&t, "set=1\nprivate_key=" K1 "\n\n"), OK);
	CHECK_UINT(wg_device_n_peers(t.device), 0);
	talk_done(&t);
}

TEST(uapi, an_allowed_ip_moves_to_the_last_peer_that_asks)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\nallowed_ip=10.1.0.0/16\n" P2
			       "allowed_ip=10.0.0.0/8\n\n"),
		OK);
	CHECK_STR(talk_get(&t), PEER_HEAD(K1) PEER_TAIL "allowed_ip=10.1.0.0/16\n" PEER_HEAD(K2)
					PEER_TAIL "allowed_ip=10.0.0.0/8\n" OK);
	talk_done(&t);
}

TEST(uapi, a_minus_removes_a_prefix_from_its_own_peer_only)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\nallowed_ip=fd00::/8\n" P2 "\n"),
		OK);
	CHECK_STR(talk_say(&t, "set=1\n" P2 "allowed_ip=-10.0.0.0/8\n\n"), OK);
	CHECK(strstr(talk_get(&t), "allowed_ip=10.0.0.0/8\n"));
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=-10.9.9.9/8\nallowed_ip=-192.0.2.0/24\n\n"),
		OK);
	CHECK_STR(talk_get(&t),
		PEER_HEAD(K1) PEER_TAIL "allowed_ip=fd00::/8\n" PEER_HEAD(K2) PEER_TAIL OK);
	talk_done(&t);
}

TEST(uapi, replace_allowed_ips_starts_the_list_anew)
{
	struct talk t = talk_new();
	CHECK_STR(talk_say(&t, "set=1\n" P1 "allowed_ip=10.0.0.0/8\n\n"), OK);
	CHECK_STR(talk_say(&t, "set=1\n" P1 "replace_allowed_ips=true\nallowed_ip=10.2.0.0/16\n\n"),
		OK);
	CHECK_STR(talk_get(&t), PEER_HEAD(K1) PEER_TAIL "allowed_ip=10.2.0.0/16\n" OK);
	talk_done(&t);
}

TEST(uapi_hex, reads_either_case_and_writes_lower)
{
	struct fz_key k;
	char text[UAPI_HEX_LEN];
	CHECK_INT(uapi_hex_parse(
			  "00112233445566778899aAbBcCdDeEfF0123456789abcdefABCDEF0123456789", &k),
		0);
	uapi_hex_format(k.b, text);
	CHECK_MEM(text, "00112233445566778899aabbccddeeff0123456789abcdefabcdef0123456789", 64);
}

TEST(uapi_hex, refuses_every_byte_that_is_no_digit_in_every_place)
{
	struct fz_key k;
	for (size_t at = 0; at < 64; at += 7) {
		for (int c = 1; c < 256; c++) {
			char text[65] = K1;
			text[at] = (char)c;
			bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
					(c >= 'A' && c <= 'F');
			CHECK_INT(uapi_hex_parse(text, &k), is_digit ? 0 : -22);
		}
	}
}
