/* HMAC-BLAKE2s and the KDFs against values computed by another implementation (Python's hmac and hashlib) from the whitepaper's definition. */
#include "crypto/kdf.h"
#include "support/test.h"

TEST(kdf, hmac_agrees_for_keys_of_one_block_and_longer_and_none)
{
	TEST_HEX(block, "e55653d3b15a391350a33e1f6374890e8a2e34e4225e07acd5753a3b84b4dbdc");
	TEST_HEX(longer, "6c5e058f6161c4c38d57c222cbc2f7a9e81fca9d0f9f154daa9b92879de1da74");
	TEST_HEX(none, "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd");
	uint8_t key[65], got[32];
	memset(key, 'k', sizeof(key));
	fz_hmac_blake2s(got, fz_bytes_of(key, 64), fz_bytes_of("m", 1));
	CHECK_MEM(got, block, block_len);
	fz_hmac_blake2s(got, fz_bytes_of(key, 65), fz_bytes_of("m", 1));
	CHECK_MEM(got, longer, longer_len);
	fz_hmac_blake2s(got, (struct fz_bytes){ 0 }, (struct fz_bytes){ 0 });
	CHECK_MEM(got, none, none_len);
}

struct row {
	const char *key, *in, *out[3];
};

static const struct row rows[] = {
	{ "0000000000000000000000000000000000000000000000000000000000000000", "",
		{ "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
			"58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
			"0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e" } },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"61206d657373616765206f66207477656e74792d392062797465732e2e",
		{ "fae43e3fb8ea6aead6b7be84469d3511a18a7103a1a682ae776ec48bf2e46cc2",
			"f8e087df49010642a7a3181d293e507ccb9072885ea337fbfc99a3b464ab469f",
			"7af7926e84d87ac4adbc73f19dac23b25c5cbd66f5390834481bc64f0d9ac084" } },
	{ "c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
		{ "83bde1080ed82a62644d43a482ec9713f73d23c4dc21a6aec5b6bee22a016277",
			"e2c95126e17265db48f6042a299e77a591498e7d7eba4332623a4ec4f85f03d3",
			"6dea6c8a1f61adcf30abd87bfaf54f173c2f95d728a0790502cce7a204a3f718" } },
	{ "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
		"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263",
		{ "aaca818056e96ea378616b230080395937da49972a7dbeceac05e43dc4cd6293",
			"3cb60889c0f227b7e46db177626b27fca347222a34013302d53e4200ff3ab7d3",
			"c26303fb9cf7193e2c43a1a6e9375ddc608c269d7d2c72456cf432cda42f1bbc" } },
};

static void load(const struct row *r, struct fz_key *ret_key, uint8_t want[static 96])
{
	CHECK_UINT(test_unhex(r->key, ret_key->b, 32), 32);
	for (size_t i = 0; i < 3; i++)
		CHECK_UINT(test_unhex(r->out[i], want + 32 * i, 32), 32);
}

TEST(kdf, one_two_and_three_outputs_agree_with_the_definition)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fz_key key, a, b, c;
		uint8_t want[96], in[100];
		load(&rows[i], &key, want);
		struct fz_bytes input = fz_bytes_of(in, test_unhex(rows[i].in, in, sizeof(in)));
		fz_kdf1(&a, &key, input);
		CHECK_MEM(a.b, want, 32);
		fz_kdf2(&a, &b, &key, input);
		CHECK_MEM(a.b, want, 32);
		CHECK_MEM(b.b, want + 32, 32);
		fz_kdf3(&a, &b, &c, &key, input);
		CHECK_MEM(a.b, want, 32);
		CHECK_MEM(b.b, want + 32, 32);
		CHECK_MEM(c.b, want + 64, 32);
	}
}

/* As other implementations publish them (wireguard-go). A short key is one with zeros behind it: HMAC pads it so. */
TEST(kdf, published_vectors_hold)
{
	static const struct {
		const char *word, *in, *out[3];
	} vectors[] = {
		{ "test-key", "test-input",
			{ "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
				"df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
				"fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c2"
				"4" } },
		{ "wireguard", "wireguard",
			{ "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
				"1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
				"31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f016"
				"0" } },
		{ "", "",
			{ "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
				"58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
				"0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338"
				"e" } },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		struct fz_key key = { 0 }, got[3];
		uint8_t want[32];
		memcpy(key.b, vectors[i].word, strlen(vectors[i].word));
		fz_kdf3(&got[0], &got[1], &got[2], &key,
			fz_bytes_of(vectors[i].in, strlen(vectors[i].in)));
		for (size_t k = 0; k < 3; k++) {
			CHECK_UINT(test_unhex(vectors[i].out[k], want, 32), 32);
			CHECK_MEM(got[k].b, want, 32);
		}
	}
}

TEST(kdf, an_output_may_replace_the_key)
{
	struct fz_key key, b, c;
	uint8_t want[96], in[100];
	load(&rows[1], &key, want);
	struct fz_bytes input = fz_bytes_of(in, test_unhex(rows[1].in, in, sizeof(in)));
	fz_kdf3(&key, &b, &c, &key, input);
	CHECK_MEM(key.b, want, 32);
	CHECK_MEM(b.b, want + 32, 32);
	CHECK_MEM(c.b, want + 64, 32);
	load(&rows[1], &key, want);
	fz_kdf2(&b, &key, &key, input);
	CHECK_MEM(key.b, want + 32, 32);
}
