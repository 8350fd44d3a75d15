/*
 * BLAKE2s against RFC 7693 (appendices B and E) and the official keyed vectors (blake2s-kat of the BLAKE2 reference
 * package: key 00..1f, message 00, 00 01, ...): ten of them as they are, all 256 through the hash of their digests.
 */
#include "crypto/blake2s.h"
#include "support/test.h"

static void hash(size_t out_len, struct fz_bytes key, struct fz_bytes in, uint8_t *ret_hash)
{
	struct fz_blake2s s;
	fz_blake2s_init(&s, out_len, key);
	fz_blake2s_update(&s, in);
	fz_blake2s_final(&s, ret_hash);
}

static void count_up(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)i;
}

TEST(blake2s, the_hash_of_abc_is_that_of_rfc_7693)
{
	TEST_HEX(want, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
	uint8_t got[32];
	fz_blake2s_hash(got, fz_bytes_of("abc", 3));
	CHECK_MEM(got, want, want_len);
}

TEST(blake2s, official_keyed_vectors_hold)
{
	static const struct {
		size_t n;
		const char *hex;
	} rows[] = {
		{ 0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49" },
		{ 1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1" },
		{ 2, "6bb71300644cd3991b26ccd4d274acd1adeab8b1d7914546c1198bbe9fc9d803" },
		{ 63, "c65382513f07460da39833cb666c5ed82e61b9e998f4b0c4287cee56c3cc9bcd" },
		{ 64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4" },
		{ 65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8" },
		{ 127, "ddbfea75cc467882eb3483ce5e2e756a4f4701b76b445519e89f22d60fa86e06" },
		{ 128, "0c311f38c35a4fb90d651c289d486856cd1413df9b0677f53ece2cd9e477c60a" },
		{ 129, "46a73a8dd3e70f59d3942c01df599def783c9da82fd83222cd662b53dce7dbdf" },
		{ 255, "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd" },
	};

	uint8_t key[32], in[256], got[32], want[32];
	count_up(key, sizeof(key));
	count_up(in, sizeof(in));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK_UINT(test_unhex(rows[i].hex, want, sizeof(want)), 32);
		hash(32, fz_bytes_of(key, 32), fz_bytes_of(in, rows[i].n), got);
		CHECK_MEM(got, want, 32);
	}
}

TEST(blake2s, all_256_keyed_vectors_hash_to_the_expected_digest)
{
	TEST_HEX(want, "2582f7b18a91f66ef22aa9455384ada69b2590306a6470ee8588df75ee982f02");
	uint8_t key[32], in[256], got[32];
	struct fz_blake2s all;
	count_up(key, sizeof(key));
	count_up(in, sizeof(in));
	fz_blake2s_init(&all, 32, (struct fz_bytes){ 0 });
	for (size_t n = 0; n < 256; n++) {
		hash(32, fz_bytes_of(key, 32), fz_bytes_of(in, n), got);
		fz_blake2s_update(&all, fz_bytes_of(got, 32));
	}
	fz_blake2s_final(&all, got);
	CHECK_MEM(got, want, want_len);
}

/* RFC 7693 appendix E fills its inputs with a Fibonacci generator. */
static void fill_sequence(uint8_t *p, size_t n, uint32_t seed)
{
	uint32_t a = 0xdead4bad * seed, b = 1;
	for (size_t i = 0; i < n; i++) {
		uint32_t t = a + b;
		a = b;
		b = t;
		p[i] = (uint8_t)(t >> 24);
	}
}

TEST(blake2s, the_self_test_of_rfc_7693_passes)
{
	TEST_HEX(want, "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
	static const size_t out_lens[] = { 16, 20, 28, 32 },
			    in_lens[] = { 0, 3, 64, 65, 255, 1024 };
	uint8_t in[1024], got[32], key[32];
	struct fz_blake2s all;
	fz_blake2s_init(&all, 32, (struct fz_bytes){ 0 });
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 6; j++) {
			size_t out_len = out_lens[i], n = in_lens[j];
			fill_sequence(in, n, (uint32_t)n);
			hash(out_len, (struct fz_bytes){ 0 }, fz_bytes_of(in, n), got);
			fz_blake2s_update(&all, fz_bytes_of(got, out_len));
			fill_sequence(key, out_len, (uint32_t)out_len);
			hash(out_len, fz_bytes_of(key, out_len), fz_bytes_of(in, n), got);
			fz_blake2s_update(&all, fz_bytes_of(got, out_len));
		}
	}
	fz_blake2s_final(&all, got);
	CHECK_MEM(got, want, want_len);
}

TEST(blake2s, a_message_in_pieces_hashes_as_the_whole)
{
	uint8_t in[300], want[32], got[32];
	count_up(in, sizeof(in));
	fz_blake2s_hash(want, fz_bytes_of(in, 300));
	for (size_t piece = 1; piece <= 300; piece++) {
		struct fz_blake2s s;
		fz_blake2s_init(&s, 32, (struct fz_bytes){ 0 });
		for (size_t at = 0; at < 300; at += piece)
			fz_blake2s_update(
				&s, fz_bytes_of(in + at, 300 - at < piece ? 300 - at : piece));
		fz_blake2s_final(&s, got);
		CHECK_MEM(got, want, 32);
	}
}

TEST(blake2s, the_mac_is_keyed_and_sixteen_bytes_long)
{
	TEST_HEX(want, "6d19534b4c332741c8ddd79a9644de2d");
	TEST_HEX(want_short, "c9fff1659a7d853a2b415a7740d3513c");
	uint8_t key[32], in[132], got[17] = { [16] = 0xa5 };
	count_up(key, sizeof(key));
	count_up(in, sizeof(in));
	fz_blake2s_mac(got, fz_bytes_of(key, 32), fz_bytes_of(in, sizeof(in)));
	CHECK_MEM(got, want, want_len);
	fz_blake2s_mac(got, fz_bytes_of("abc", 3), fz_bytes_of("x", 1));
	CHECK_MEM(got, want_short, want_short_len);
	CHECK_UINT(got[16], 0xa5);
}

TEST(blake2s, nothing_of_the_state_is_left_behind)
{
	static const struct fz_blake2s zero;
	struct fz_blake2s s;
	uint8_t got[32];
	fz_blake2s_init(&s, 32, fz_bytes_of("key", 3));
	fz_blake2s_update(&s, fz_bytes_of("secret", 6));
	fz_blake2s_final(&s, got);
	CHECK_MEM(&s, &zero, sizeof(s));
}
