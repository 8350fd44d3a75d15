/*
 * Our state machines in the place of Firezone's own devices: a recorded conversation's answers are fed to them, and what they
 * send with the recorded transaction ids must be what those devices sent: checks and answers of ICE byte for byte, requests
 * to the relay attribute for attribute but for SOFTWARE, where we give our own name, and the signature over it.
 */
#include "path/ice.h"
#include "path/turn.h"
#include "support/test.h"

/* clang-format off */
#define BINDING \
	"0001000c2112a442db07df9a0d74f7524cb0d77080220007736e6f776e657400"
#define BINDING_ANSWER \
	"010100282112a442db07df9a0d74f7524cb0d77080220018666972657a6f6e652d72656c61793b20" \
	"7265763d78787878002000080001ec832b49a540"
#define ALLOCATE \
	"0003007c2112a4429339ac7cd8c980544b7b4f890019000411000000800000040200000080220007" \
	"736e6f776e65740000060036313739353533313439323a56694c53703148683279563779416e6742" \
	"434c592b6b6c31573763595a494e6f416c5a6755365852425467000000140008666972657a6f6e65" \
	"000800142ae1f7128539b54c3c428e291d6be4d89c65787a"
#define UNAUTHORIZED \
	"0113007c2112a4429339ac7cd8c980544b7b4f8980220018666972657a6f6e652d72656c61793b20" \
	"7265763d787878780009001000000401556e617574686f72697a656400140008666972657a6f6e65" \
	"0015002437363633323930392d656564632d316561362d356131362d326361633235663563626334" \
	"00080014a1bc27c18ec7237fa303ddad2425c332ef32dc00"
#define ALLOCATE_AGAIN \
	"000300a42112a442ff338796848c528f04c5ff8c0019000411000000800000040200000080220007" \
	"736e6f776e65740000060036313739353533313439323a56694c53703148683279563779416e6742" \
	"434c592b6b6c31573763595a494e6f416c5a6755365852425467000000140008666972657a6f6e65" \
	"0015002437363633323930392d656564632d316561362d356131362d326361633235663563626334" \
	"00080014c184dd3393428ef44729e9894f2e6e68834d513a"
#define ALLOCATED \
	"010300542112a442ff338796848c528f04c5ff8c80220018666972657a6f6e652d72656c61793b20" \
	"7265763d78787878001600080001f6932b49a443002000080001ec832b49a540000d000400000258" \
	"00080014d2929c2f49def2250ee9f238faaad36612d5260e"
#define CHANNEL_BIND \
	"000900a82112a442366e696b67a9b8e65cc83c3d001200080001e9782b49a443000c000440000000" \
	"80220007736e6f776e65740000060036313739353533313439323a56694c53703148683279563779" \
	"416e6742434c592b6b6c31573763595a494e6f416c5a675536585242546700000014000866697265" \
	"7a6f6e650015002437363633323930392d656564632d316561362d356131362d3263616332356635" \
	"6362633400080014572c470ce097f0703c7f94b4f783ff3b129023bc"
#define CHANNEL_BOUND \
	"010900342112a442366e696b67a9b8e65cc83c3d80220018666972657a6f6e652d72656c61793b20" \
	"7265763d7878787800080014cd84132cf7bbc8f70be5ab45c6ebc0393d645710"
#define CLIENT_CHECK \
	"000100442112a4425de76ebda4a3fa88a0eaf13d0006000970756d6f3a6879776d000000802a0008" \
	"ada9ed80485c28c8002400046efffeff0008001475661109512a400208eb69ef9c522cc687d28ae1" \
	"802800041cdb6a3b"
#define GATEWAY_ANSWER \
	"0101002c2112a4425de76ebda4a3fa88a0eaf13d002000080001ec832b49a54000080014094b76c9" \
	"896c6c11f30067dd8d3d56844506b338802800045637250c"
#define GATEWAY_CHECK \
	"000100442112a442b5dcfa4c935ed4e8a2ccd011000600096879776d3a70756d6f00000080290008" \
	"16d97f07c5509caf002400046efffeff00080014a3c19ead3a02456030a59c00e10d4d4b3fcdfdf7" \
	"8028000419d1bd37"
#define CLIENT_ANSWER \
	"0101002c2112a442b5dcfa4c935ed4e8a2ccd011002000080001ec832b49a640000800148e8ac92a" \
	"30f34a2a74430586b86cff9fc16c19f580280004d9341680"
#define CLIENT_NOMINATION \
	"000100482112a4423440a994fec9380afa1400510006000970756d6f3a6879776d000000802a0008" \
	"ada9ed80485c28c8002400046efffeff002500000008001447c440cc45da905415ec2679b321486b" \
	"c4d02a4b802800041d56cfa3"
#define NOMINATION_ANSWER \
	"0101002c2112a4423440a994fec9380afa140051002000080001ec832b49a540000800147019d175" \
	"acced9bfb9140dbe2b9bb6262bab5b078028000473d30363"
/* clang-format on */

#define USERNAME "1795531492:ViLSp1Hh2yV7yAngBCLY+kl1W7cYZINoAlZgU6XRBTg"
#define PASSWORD "bhwmQrHjYCSNU5WjQpTqIylN14WtsEG4s9ij10Pkfsg"

static const struct fz_ice_credentials client = { "hywm", "cr5au7s2rki4ogvoovma4e" };
static const struct fz_ice_credentials gateway = { "pumo", "hdaogwbudikkk73tjeiwpa" };
static const struct fz_ice_timing timing = { { 250'000'000 }, { 1'500'000'000 }, { 16'500'000'000 },
	{ 6'000'000'000 } };
static const fz_time start = { 1'000'000'000 };

/* The randomness of a run: hex text, taken from the front. */
static char supply[512];

static void supply_more(const char *hex, size_t skip, size_t len)
{
	size_t n = strlen(supply);
	CHECK(n + 2 * len < sizeof(supply));
	memcpy(supply + n, hex + 2 * skip, 2 * len);
	supply[n + 2 * len] = '\0';
}

static void random_bytes(void *user, struct fz_span out)
{
	(void)user;
	char hex[65] = { 0 };
	CHECK(out.n <= 32 && strlen(supply) >= 2 * out.n);
	memcpy(hex, supply, 2 * out.n);
	memmove(supply, supply + 2 * out.n, strlen(supply + 2 * out.n) + 1);
	CHECK_UINT(test_unhex(hex, out.p, out.n), out.n);
}

static struct fz_addr addr(const char *text)
{
	struct fz_addr a;
	CHECK_INT(fz_addr_parse(text, &a), 0);
	return a;
}

static uint32_t word_at(const char *hex, size_t at)
{
	char word[9] = { 0 };
	memcpy(word, hex + 2 * at, 8);
	return (uint32_t)strtoul(word, NULL, 16);
}

static struct fz_stun parse(const uint8_t *raw, size_t len)
{
	struct fz_stun m;
	CHECK_INT(fz_stun_parse(fz_bytes_of(raw, len), &m), FZ_STUN_OK);
	return m;
}

/* ---- the relay ----------------------------------------------------------------------------------------------- */

static void check_same_request(const uint8_t *ours, size_t len, const char *recorded)
{
	uint8_t raw[512];
	size_t want_len = test_unhex(recorded, raw, sizeof(raw));
	struct fz_reader a = fz_reader_of(fz_bytes_of(ours, len));
	struct fz_reader b = fz_reader_of(fz_bytes_of(raw, want_len));
	CHECK_UINT(len, want_len);
	CHECK_MEM(ours, raw, 20);
	fz_reader_skip(&a, 20);
	fz_reader_skip(&b, 20);
	while (b.left > 0) {
		uint16_t type = fz_reader_be16(&b), n = fz_reader_be16(&b);
		CHECK_UINT(fz_reader_be16(&a), type);
		uint16_t ours_n = fz_reader_be16(&a);
		struct fz_bytes theirs_value = fz_reader_take(&b, n);
		struct fz_bytes ours_value = fz_reader_take(&a, ours_n);
		fz_reader_skip(&a, -(unsigned)ours_n & 3u);
		fz_reader_skip(&b, -(unsigned)n & 3u);
		if (type != FZ_STUN_SOFTWARE && type != FZ_STUN_MESSAGE_INTEGRITY)
			CHECK(fz_bytes_equal(ours_value, theirs_value));
	}
	CHECK(fz_reader_done(&a) && !b.bad);
}

static void turn_sends(struct fz_turn *t, const char *recorded)
{
	uint8_t buf[FZ_TURN_MESSAGE_MAX];
	struct fz_addr to, server = addr("10.91.0.1:3478");
	supply_more(recorded, 8, 12);
	size_t len = fz_turn_poll(t, start, fz_span_of(buf, sizeof(buf)), &to);
	CHECK(len > 0 && fz_addr_equal(&to, &server));
	check_same_request(buf, len, recorded);
}

static void turn_hears(struct fz_turn *t, const char *recorded)
{
	uint8_t raw[512];
	struct fz_addr local = addr("10.91.1.2:52625"), server = addr("10.91.0.1:3478");
	struct fz_stun m = parse(raw, test_unhex(recorded, raw, sizeof(raw)));
	CHECK_INT(fz_turn_receive(t, start, &local, &server, &m), FZ_TURN_TAKEN);
}

TEST(recorded, our_relay_client_says_what_firezone_s_said_and_understands_its_relay)
{
	struct fz_turn_params tp = { .random = random_bytes,
		.server4 = addr("10.91.0.1:3478"),
		.username = USERNAME,
		.password = PASSWORD };
	supply[0] = '\0';
	struct fz_turn *t = fz_turn_new(&tp, start);
	CHECK(t);
	turn_sends(t, BINDING);
	turn_hears(t, BINDING_ANSWER);
	turn_sends(t, ALLOCATE);
	turn_hears(t, UNAUTHORIZED);
	turn_sends(t, ALLOCATE_AGAIN);
	turn_hears(t, ALLOCATED);
	CHECK_INT(fz_turn_state(t), FZ_TURN_ALLOCATED);
	struct fz_candidate c[FZ_TURN_SLOT_COUNT_];
	struct fz_addr host = addr("10.91.1.2:52625"), relayed = addr("10.91.0.1:55169");
	fz_turn_candidates(t, c);
	CHECK(fz_addr_equal(&c[FZ_TURN_HOST4].addr, &host));
	CHECK(fz_addr_equal(&c[FZ_TURN_SRFLX4].addr, &host)); /* no NAT in that lab */
	CHECK(fz_addr_equal(&c[FZ_TURN_RELAY4].addr, &relayed));
	struct fz_addr peer = addr("10.91.0.1:51306");
	CHECK_UINT(fz_turn_channel(t, &peer, start), 0x4000);
	turn_sends(t, CHANNEL_BIND);
	turn_hears(t, CHANNEL_BOUND);
	/* Refreshed at half of the 600 s it promised, and kept alive until then. */
	uint8_t buf[FZ_TURN_MESSAGE_MAX];
	struct fz_addr to;
	CHECK_UINT(fz_turn_poll(t, start, fz_span_of(buf, sizeof(buf)), &to), 0);
	CHECK_UINT(fz_turn_deadline(t).ns, fz_time_add(start, FZ_SECONDS(25)).ns);
	fz_turn_free(t);
}

/* ---- ICE ----------------------------------------------------------------------------------------------------- */

/* The tie-breaker of a recorded check is its second attribute. */
#define TIE_BREAKER_AT 40

static struct fz_ice *agent(bool is_client, const char *check, fz_time now)
{
	struct fz_candidate c = { .kind = FZ_CANDIDATE_HOST,
		.addr = addr(is_client ? "10.91.1.2:52625" : "10.91.2.2:52625") };
	struct fz_ice_params ip = { .random = random_bytes,
		.is_controlling = is_client,
		.local = is_client ? &client : &gateway,
		.remote = is_client ? &gateway : &client,
		.tag = word_at(check, 8),
		.timing = &timing };
	supply[0] = '\0';
	supply_more(check, TIE_BREAKER_AT, 8);
	struct fz_ice *a = fz_ice_new(&ip);
	CHECK(a);
	CHECK_INT(fz_ice_add_local(a, &c, now), 1);
	return a;
}

static void add_remote(struct fz_ice *a, const char *text, fz_time now)
{
	struct fz_candidate c = {
		.kind = FZ_CANDIDATE_HOST, .addr = addr(text), .priority = 2130706175
	};
	CHECK_INT(fz_ice_add_remote(a, &c, now), 1);
}

static void check_sent(struct fz_ice *a, const char *recorded, fz_time now)
{
	uint8_t buf[FZ_ICE_MESSAGE_MAX], want[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t want_len = test_unhex(recorded, want, sizeof(want));
	supply_more(recorded, 12, 8);
	CHECK_UINT(fz_ice_poll(a, now, fz_span_of(buf, sizeof(buf)), &path), want_len);
	CHECK_MEM(buf, want, want_len);
}

/* Feeds a recorded message; the answer must be the recorded one, or none if that is NULL. */
static void check_heard(
	struct fz_ice *a, bool is_client, const char *recorded, const char *recorded_answer)
{
	uint8_t raw[512], buf[FZ_ICE_MESSAGE_MAX], want[FZ_ICE_MESSAGE_MAX];
	struct fz_addr c = addr("10.91.1.2:52625"), g = addr("10.91.2.2:52625");
	struct fz_stun m = parse(raw, test_unhex(recorded, raw, sizeof(raw)));
	size_t len,
		want_len = recorded_answer ? test_unhex(recorded_answer, want, sizeof(want)) : 0;
	CHECK(fz_ice_is_for(a, &m));
	CHECK_INT(fz_ice_receive(a, start, is_client ? &c : &g, is_client ? &g : &c, &m,
			  fz_span_of(buf, sizeof(buf)), &len),
		FZ_ICE_TAKEN);
	CHECK_UINT(len, want_len);
	CHECK_MEM(buf, want, want_len);
}

TEST(recorded, as_the_client_our_check_and_our_answer_are_firezone_s_byte_for_byte)
{
	struct fz_ice *a = agent(true, CLIENT_CHECK, start);
	struct fz_ice_path path;
	add_remote(a, "10.91.2.2:52625", start);
	check_sent(a, CLIENT_CHECK, start);
	check_heard(a, true, GATEWAY_CHECK, CLIENT_ANSWER);
	CHECK(!fz_ice_selected(a, &path));
	check_heard(a, true, GATEWAY_ANSWER, NULL);
	CHECK(fz_ice_selected(
		a, &path)); /* the handshake goes out now, before the nomination is sent */
	CHECK_UINT(fz_ice_deadline(a).ns, start.ns);
	fz_ice_free(a);
}

TEST(recorded, as_the_client_our_nomination_is_firezone_s_byte_for_byte)
{
	struct fz_ice *a = agent(true, CLIENT_NOMINATION, start);
	uint8_t buf[FZ_ICE_MESSAGE_MAX], none[FZ_ICE_MESSAGE_MAX];
	struct fz_ice_path path;
	size_t len;
	add_remote(a, "10.91.2.2:52625", start);
	/* An answer of our own making to a first check, for that one had another id than an agent here can have twice. */
	supply_more("0001020304050607", 0, 8);
	CHECK(fz_ice_poll(a, start, fz_span_of(buf, sizeof(buf)), &path) > 0);
	struct fz_stun m = parse(buf, 88);
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	struct fz_stun_id id = m.id;
	fz_stun_begin(&w, FZ_STUN_SUCCESS, FZ_STUN_BINDING, &id);
	fz_stun_put_addr(&w, FZ_STUN_XOR_MAPPED_ADDRESS, &path.local);
	fz_stun_put_integrity(&w, fz_bytes_of_str(gateway.password));
	m = parse(buf, fz_stun_finish(&w));
	CHECK_INT(fz_ice_receive(a, start, &path.local, &path.remote, &m,
			  fz_span_of(none, sizeof(none)), &len),
		FZ_ICE_TAKEN);
	check_sent(a, CLIENT_NOMINATION, start);
	check_heard(a, true, NOMINATION_ANSWER, NULL);
	fz_ice_free(a);
}

TEST(recorded, as_the_gateway_our_check_and_our_answers_are_firezone_s_byte_for_byte)
{
	struct fz_ice *a = agent(false, GATEWAY_CHECK, start);
	struct fz_ice_path path;
	/* The client's check came before its candidates. */
	check_heard(a, false, CLIENT_CHECK, GATEWAY_ANSWER);
	check_sent(a, GATEWAY_CHECK, start);
	CHECK(!fz_ice_selected(a, &path));
	check_heard(a, false, CLIENT_NOMINATION, NOMINATION_ANSWER);
	struct fz_addr c = addr("10.91.1.2:52625");
	CHECK(fz_ice_selected(a, &path) && fz_addr_equal(&path.remote, &c));
	fz_ice_free(a);
}
