/* X25519 against RFC 7748 (sections 5.2 and 6.1) and the points that must be refused. */
#include "crypto/x25519.h"
#include "support/test.h"

static void multiply(const char *scalar, const char *point, uint8_t ret_shared[static 32])
{
	struct fz_key k;
	uint8_t u[32];
	CHECK_UINT(test_unhex(scalar, k.b, 32), 32);
	CHECK_UINT(test_unhex(point, u, 32), 32);
	CHECK(fz_x25519(ret_shared, &k, u));
}

TEST(x25519, the_vectors_of_rfc_7748_hold)
{
	TEST_HEX(first, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
	TEST_HEX(second, "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
	uint8_t got[32];
	multiply("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", got);
	CHECK_MEM(got, first, first_len);
	/* Its u has the top bit set, which is ignored. */
	multiply("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493", got);
	CHECK_MEM(got, second, second_len);
}

TEST(x25519, a_thousand_iterations_end_where_rfc_7748_says)
{
	TEST_HEX(once, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
	TEST_HEX(thousand, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
	struct fz_key k = { { 9 } };
	uint8_t u[32] = { 9 }, r[32];
	for (int i = 0; i < 1000; i++) {
		CHECK(fz_x25519(r, &k, u));
		memcpy(u, k.b, 32);
		memcpy(k.b, r, 32);
		if (i == 0)
			CHECK_MEM(r, once, once_len);
	}
	CHECK_MEM(k.b, thousand, thousand_len);
}

TEST(x25519, two_sides_reach_the_same_secret)
{
	TEST_HEX(alice, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	TEST_HEX(bob, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	TEST_HEX(want_a, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	TEST_HEX(want_b, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	TEST_HEX(want, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	struct fz_key a, b;
	uint8_t pub[32], s[32];
	memcpy(a.b, alice, 32);
	memcpy(b.b, bob, 32);
	fz_x25519_public(pub, &a);
	CHECK_MEM(pub, want_a, want_a_len);
	fz_x25519_public(pub, &b);
	CHECK_MEM(pub, want_b, want_b_len);
	CHECK(fz_x25519(s, &a, want_b));
	CHECK_MEM(s, want, want_len);
	CHECK(fz_x25519(s, &b, want_a));
	CHECK_MEM(s, want, want_len);
}

/* Zero, one, two points of order eight, p-1, p, p+1: each with and without the ignored top bit. */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(x25519, points_of_low_order_are_refused_and_leave_zeros)
{
	static const uint8_t zero[32];
	struct test_rng rng = { 1 };
	for (size_t i = 0; i < sizeof(low_order) / sizeof(*low_order); i++) {
		for (int top = 0; top < 2; top++) {
			struct fz_key k;
			uint8_t u[32], s[32];
			test_rng_fill(&rng, k.b, 32);
			CHECK_UINT(test_unhex(low_order[i], u, 32), 32);
			u[31] = (uint8_t)(u[31] | top << 7);
			memset(s, 0xa5, sizeof(s));
			CHECK(!fz_x25519(s, &k, u));
			CHECK_MEM(s, zero, 32);
		}
	}
}

TEST(x25519, clamping_sets_and_clears_the_bits_of_rfc_7748)
{
	struct fz_key k;
	memset(k.b, 0xff, 32);
	fz_x25519_clamp(&k);
	CHECK(k.b[0] == 0xf8 && k.b[31] == 0x7f && k.b[1] == 0xff && k.b[30] == 0xff);
	memset(k.b, 0, 32);
	fz_x25519_clamp(&k);
	CHECK(k.b[0] == 0 && k.b[31] == 0x40 && k.b[1] == 0 && k.b[30] == 0);
}

TEST(x25519, a_clamped_key_is_the_same_key)
{
	struct test_rng rng = { 2 };
	struct fz_key k;
	uint8_t a[32], b[32];
	test_rng_fill(&rng, k.b, 32);
	fz_x25519_public(a, &k);
	fz_x25519_clamp(&k);
	fz_x25519_public(b, &k);
	CHECK_MEM(a, b, 32);
}
