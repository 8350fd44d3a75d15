/* STUN messages: the vectors of RFC 5769, recorded ones of Firezone's devices and relay, and malformed ones. */
#include "crypto/mac.h"
#include "path/demux.h"
#include "path/stun.h"
#include "support/test.h"

/* RFC 5769 2.1 to 2.3; the password of all three. */
#define PASSWORD "VOkJxbRl1RmTxUk/WvJxBt"
#define REQUEST                                                                                    \
	"000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"         \
	"002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"                 \
	"000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
#define RESPONSE_IPV4                                                                              \
	"0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"                 \
	"002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"                 \
	"80280004c07d4c96"
#define RESPONSE_IPV6                                                                              \
	"010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"                 \
	"002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"                                         \
	"00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
/* RFC 5769 2.4. */
#define REQUEST_LONG_TERM                                                                          \
	"000100602112a44278ad3433c6ad72c029da412e"                                                 \
	"00060012e3839ee38388e383aae38383e382afe382b90000"                                         \
	"0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341"                         \
	"0014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666"

static struct fz_stun parse(const uint8_t *raw, size_t len)
{
	struct fz_stun m;
	CHECK_INT(fz_stun_parse(fz_bytes_of(raw, len), &m), FZ_STUN_OK);
	return m;
}

TEST(stun, the_sample_request_of_rfc_5769_is_read_and_its_signature_holds)
{
	TEST_HEX(raw, REQUEST);
	struct fz_stun m = parse(raw, raw_len);
	CHECK_INT(m.class, FZ_STUN_REQUEST);
	CHECK_UINT(m.method, FZ_STUN_BINDING);
	CHECK(fz_bytes_equal(m.username, fz_bytes_of_str("evtj:h6vY")));
	CHECK(fz_bytes_equal(m.software, fz_bytes_of_str("STUN test client")));
	CHECK(m.has_priority && m.is_controlled && !m.is_controlling && m.has_fingerprint);
	CHECK_UINT(m.priority, 0x6e0001ff);
	CHECK_UINT(m.tie_breaker, 0x932ff9b151263b36);
	CHECK(fz_stun_is_signed(&m, fz_bytes_of_str(PASSWORD)));
	CHECK(!fz_stun_is_signed(&m, fz_bytes_of_str("VOkJxbRl1RmTxUk/WvJxBT")));
	CHECK(!fz_stun_is_signed(&m, fz_bytes_of(NULL, 0)));
}

TEST(stun, the_sample_responses_of_rfc_5769_carry_their_addresses)
{
	TEST_HEX(raw4, RESPONSE_IPV4);
	TEST_HEX(raw6, RESPONSE_IPV6);
	struct fz_stun m4 = parse(raw4, raw4_len), m6 = parse(raw6, raw6_len);
	char text[FZ_ADDR_TEXT_LEN];
	CHECK_STR(fz_addr_format(&m4.mapped, text), "192.0.2.1:32853");
	CHECK_STR(fz_addr_format(&m6.mapped, text), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
	CHECK(fz_stun_is_signed(&m4, fz_bytes_of_str(PASSWORD)));
	CHECK(fz_stun_is_signed(&m6, fz_bytes_of_str(PASSWORD)));
}

TEST(stun, the_long_term_request_of_rfc_5769_is_signed_with_the_md5_of_its_credentials)
{
	TEST_HEX(raw, REQUEST_LONG_TERM);
	struct fz_stun m = parse(raw, raw_len);
	uint8_t key[16];
	fz_stun_long_term_key(m.username, m.realm, fz_bytes_of_str("TheMatrIX"), key);
	CHECK(fz_stun_is_signed(&m, fz_bytes_of(key, sizeof(key))));
	CHECK_UINT(m.nonce.n, 28);
}

TEST(stun, writing_gives_the_bytes_of_rfc_5769_but_for_their_padding)
{
	TEST_HEX(want, RESPONSE_IPV6);
	struct fz_stun m = parse(want, want_len);
	uint8_t buf[200];
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_SUCCESS, FZ_STUN_BINDING, &m.id);
	fz_stun_put(&w, FZ_STUN_SOFTWARE, m.software);
	w.start[w.len - 1] = ' '; /* theirs is padded with a blank */
	fz_stun_put_addr(&w, FZ_STUN_XOR_MAPPED_ADDRESS, &m.mapped);
	fz_stun_put_integrity(&w, fz_bytes_of_str(PASSWORD));
	fz_stun_put_fingerprint(&w);
	CHECK_UINT(fz_stun_finish(&w), want_len);
	CHECK_MEM(buf, want, want_len);
}

TEST(stun, any_flipped_bit_breaks_the_parse_or_the_signature)
{
	TEST_HEX(raw, REQUEST);
	for (size_t bit = 0; bit < raw_len * 8; bit++) {
		struct fz_stun m;
		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
		bool holds = fz_stun_parse(fz_bytes_of(raw, raw_len), &m) == FZ_STUN_OK &&
			     fz_stun_is_signed(&m, fz_bytes_of_str(PASSWORD)) && m.has_fingerprint;
		if (holds)
			TEST_FAIL("bit %zu may be flipped", bit);
		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

TEST(stun, any_shorter_message_is_refused)
{
	TEST_HEX(raw, REQUEST);
	for (size_t len = 0; len < raw_len; len++) {
		struct fz_stun m;
		uint8_t copy[200];
		memcpy(copy, raw, len);
		CHECK(fz_stun_parse(fz_bytes_of(copy, len), &m) != FZ_STUN_OK);
		if (len < 20 || len % 4 != 0)
			continue;
		copy[2] = 0; /* and with a length that fits: cut inside or between attributes */
		copy[3] = (uint8_t)(len - 20);
		enum fz_stun_verdict v = fz_stun_parse(fz_bytes_of(copy, len), &m);
		CHECK(v == FZ_STUN_BAD_ATTRIBUTE ||
			(v == FZ_STUN_OK && !m.has_fingerprint &&
				(len == raw_len - 8 ||
					!fz_stun_is_signed(&m, fz_bytes_of_str(PASSWORD)))));
	}
}

TEST(stun, malformed_messages_have_their_verdicts)
{
	static const struct {
		const char *hex;
		enum fz_stun_verdict want;
	} cases[] = {
		{ "0001000021", FZ_STUN_BAD_SHORT },
		{ "400100002112a442000102030405060708090a0b", FZ_STUN_BAD_COOKIE },
		{ "000100002112a443000102030405060708090a0b", FZ_STUN_BAD_COOKIE },
		{ "000100042112a442000102030405060708090a0b", FZ_STUN_BAD_LENGTH },
		{ "000100032112a442000102030405060708090a0b000000", FZ_STUN_BAD_LENGTH },
		/* an attribute longer than what is left */
		{ "000100042112a442000102030405060708090a0b00060001", FZ_STUN_BAD_ATTRIBUTE },
		/* PRIORITY of 3 bytes, an address of family 3, ERROR-CODE 799, MESSAGE-INTEGRITY of 4 */
		{ "000100082112a442000102030405060708090a0b0024000301020300",
			FZ_STUN_BAD_ATTRIBUTE },
		{ "0101000c2112a442000102030405060708090a0b00200008000300010a000001",
			FZ_STUN_BAD_ATTRIBUTE },
		{ "011100082112a442000102030405060708090a0b0009000400000763",
			FZ_STUN_BAD_ATTRIBUTE },
		{ "000100082112a442000102030405060708090a0b0008000401020304",
			FZ_STUN_BAD_ATTRIBUTE },
		{ "000100082112a442000102030405060708090a0b8028000401020304",
			FZ_STUN_BAD_FINGERPRINT },
		{ "000100002112a442000102030405060708090a0b", FZ_STUN_OK },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		uint8_t raw[64];
		size_t len = test_unhex(cases[i].hex, raw, sizeof(raw));
		struct fz_stun m;
		CHECK_INT(fz_stun_parse(fz_bytes_of(raw, len), &m), cases[i].want);
	}
}

TEST(stun, what_stands_behind_the_signature_is_not_believed)
{
	uint8_t buf[200];
	struct fz_stun_id id = { { 1 } };
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
	fz_stun_put_u32(&w, FZ_STUN_PRIORITY, 7);
	fz_stun_put_integrity(&w, fz_bytes_of_str("key"));
	fz_stun_put(&w, FZ_STUN_USE_CANDIDATE, fz_bytes_of(NULL, 0));
	fz_stun_put(&w, FZ_STUN_USERNAME, fz_bytes_of_str("me"));
	size_t len = fz_stun_finish(&w);
	struct fz_stun m = parse(buf, len);
	CHECK(fz_stun_is_signed(&m, fz_bytes_of_str("key")));
	CHECK(m.has_priority && !m.use_candidate && m.username.n == 0);
}

TEST(stun, what_stands_behind_the_fingerprint_is_not_looked_at)
{
	uint8_t buf[200];
	struct fz_stun_id id = { { 1 } };
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
	fz_stun_put_fingerprint(&w);
	fz_stun_put(&w, FZ_STUN_USERNAME, fz_bytes_of_str("me"));
	struct fz_stun m = parse(buf, fz_stun_finish(&w));
	CHECK(m.has_fingerprint && m.username.n == 0);
}

TEST(stun, a_sha256_signature_alone_is_accepted_and_may_be_cut_to_16_bytes)
{
	for (size_t n = 16; n <= 32; n += 16) {
		uint8_t buf[200], mac[FZ_SHA256_LEN];
		struct fz_stun_id id = { { 1 } };
		struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
		fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
		buf[3] = (uint8_t)(4 + n); /* as signed */
		struct fz_bytes all = fz_writer_written(&w);
		fz_hmac_sha256(fz_bytes_of_str("key"), &all, 1, mac);
		fz_stun_put(&w, FZ_STUN_MESSAGE_INTEGRITY_SHA256, fz_bytes_of(mac, n));
		struct fz_stun m = parse(buf, fz_stun_finish(&w));
		CHECK(fz_stun_is_signed(&m, fz_bytes_of_str("key")));
		CHECK(!fz_stun_is_signed(&m, fz_bytes_of_str("keY")));
	}
}

TEST(stun, a_writer_that_is_too_small_gives_no_message)
{
	uint8_t buf[60];
	struct fz_stun_id id = { { 1 } };
	for (size_t cap = 0; cap < 52; cap++) {
		struct fz_writer w = fz_writer_of(fz_span_of(buf, cap));
		fz_stun_begin(&w, FZ_STUN_REQUEST, FZ_STUN_BINDING, &id);
		fz_stun_put_integrity(&w, fz_bytes_of_str("key"));
		fz_stun_put_fingerprint(&w);
		CHECK_UINT(fz_stun_finish(&w), 0);
	}
}

TEST(stun, the_relay_password_of_the_portal_is_a_sha256_of_its_parts)
{
	/* Not ours to compute, but the relay's own test vector pins the digest. */
	struct fz_bytes all =
		fz_bytes_of_str("1685984278:1cab293a-4032-46f4-862a-40e5d174b0d2:uvdgKvS9GXYZ_vmv");
	uint8_t digest[FZ_SHA256_LEN];
	TEST_HEX(want, "eb1508a19f90bf12a145ab0b89fc1f46431797e1132c952c1641e55e39470248");
	fz_sha256(&all, 1, digest);
	CHECK_UINT(want_len, FZ_SHA256_LEN);
	CHECK_MEM(digest, want, FZ_SHA256_LEN);
}

#define KEYS_MAX 64

struct recorded {
	size_t n, n_signed, n_fingerprints, n_keys;
	char keys[KEYS_MAX][256];
};

/* The key of a signature: an ICE password, or username|password of a relay. */
static struct fz_bytes signing_key(const char *text, uint8_t turn_key[static 16])
{
	const char *password = strrchr(text, '|');
	if (!password)
		return fz_bytes_of_str(text);
	fz_stun_long_term_key(fz_bytes_of(text, (size_t)(password - text)),
		fz_bytes_of_str("firezone"), fz_bytes_of_str(password + 1), turn_key);
	return fz_bytes_of(turn_key, 16);
}

static void check_recorded(struct recorded *r, const char *line)
{
	static char hex[3072];
	uint8_t raw[1024], turn_key[16];
	unsigned number;
	struct fz_stun m;
	if (sscanf(line, "key %u %255s", &number, r->keys[r->n_keys]) == 2) {
		CHECK_UINT(number, r->n_keys);
		CHECK(++r->n_keys < KEYS_MAX);
		return;
	}
	CHECK_INT(sscanf(line, "%u %3071s", &number, hex), 2);
	CHECK(number < r->n_keys);
	struct fz_bytes message = fz_bytes_of(raw, test_unhex(hex, raw, sizeof(raw)));
	CHECK_INT(fz_demux_of(message, 3478), FZ_DEMUX_STUN);
	CHECK_INT(fz_stun_parse(message, &m), FZ_STUN_OK);
	CHECK(fz_stun_has_integrity(&m) == (number != 0));
	r->n++;
	r->n_fingerprints += m.has_fingerprint;
	if (number == 0)
		return;
	CHECK(fz_stun_is_signed(&m, signing_key(r->keys[number], turn_key)));
	CHECK(!fz_stun_is_signed(&m, fz_bytes_of_str("another")));
	r->n_signed++;
}

/* data/from_captures.py makes them of the captures of Firezone's own client, gateway and relay. */
TEST(stun, every_recorded_message_is_read_and_its_signature_holds)
{
	static struct recorded r;
	static char line[4096];
	FILE *f = fopen(TEST_DATA "/stun-recorded.txt", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (line[0] != '#')
			check_recorded(&r, line);
	(void)fclose(f);
	CHECK_UINT(r.n, 701);
	CHECK_UINT(r.n_signed, 625);
	CHECK_UINT(r.n_fingerprints, 505);
}

TEST(demux, tells_stun_channel_data_and_wireguard_apart)
{
	uint8_t wg[148] = { 1 }, chan[8] = { 0x40, 0, 0, 4 };
	TEST_HEX(stun, REQUEST);
	CHECK_INT(fz_demux_of(fz_bytes_of(stun, stun_len), 1), FZ_DEMUX_STUN);
	CHECK_INT(fz_demux_of(fz_bytes_of(wg, sizeof(wg)), 1), FZ_DEMUX_WIREGUARD);
	CHECK_INT(fz_demux_of(fz_bytes_of(wg, 147), 1), FZ_DEMUX_OTHER);
	CHECK_INT(fz_demux_of(fz_bytes_of(chan, sizeof(chan)), 3478), FZ_DEMUX_CHANNEL_DATA);
	CHECK_INT(fz_demux_of(fz_bytes_of(chan, sizeof(chan)), 3479), FZ_DEMUX_OTHER);
	wg[0] = 4;
	CHECK_INT(fz_demux_of(fz_bytes_of(wg, 32), 3478), FZ_DEMUX_WIREGUARD);
	CHECK_INT(fz_demux_of(fz_bytes_of(wg, 31), 1), FZ_DEMUX_OTHER);
	wg[3] = 1;
	CHECK_INT(fz_demux_of(fz_bytes_of(wg, 32), 1), FZ_DEMUX_OTHER);
	CHECK_INT(fz_demux_of(fz_bytes_of(NULL, 0), 3478), FZ_DEMUX_OTHER);
}
