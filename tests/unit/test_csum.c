/* The checksum against a byte-wise one, at every length and alignment that the fast paths tell apart. */
#include "offload/csum_isa.h"
#include "support/test.h"

static uint16_t plain_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* Zero and 0xffff are the same number in one's complement. */
static bool same_sum(uint16_t a, uint16_t b)
{
	return a % 0xffff == b % 0xffff;
}

static uint16_t network(uint16_t folded)
{
	uint8_t b[2];
	fz_native16_store(b, folded);
	return fz_be16_load(b);
}

TEST(csum, the_example_of_rfc_1071_gives_its_sum)
{
	TEST_HEX(bytes, "0001f203f4f5f6f7");
	CHECK_UINT(network(fz_csum_fold(fz_csum_add(0, fz_bytes_of(bytes, bytes_len)))), 0xddf2);
	CHECK_UINT(network(fz_csum_finish(fz_csum_add(0, fz_bytes_of(bytes, bytes_len)))), 0x220d);
}

TEST(csum, every_length_and_alignment_agrees_with_the_plain_sum)
{
	static uint8_t buf[700];
	struct test_rng rng = { 1 };
	test_rng_fill(&rng, buf, sizeof(buf));
	for (size_t at = 0; at < 33; at++) {
		for (size_t n = 0; n <= 600; n++) {
			uint64_t sum = fz_csum_add(0, fz_bytes_of(buf + at, n));
			CHECK(same_sum(network(fz_csum_fold(sum)), plain_sum(buf + at, n)));
		}
	}
}

TEST(csum, copying_sums_the_same_and_writes_those_bytes_alone)
{
	static uint8_t src[700], dst[700];
	struct test_rng rng = { 2 };
	test_rng_fill(&rng, src, sizeof(src));
	for (size_t at = 0; at < 9; at++) {
		for (size_t n = 0; n <= 600; n++) {
			memset(dst, 0xa5, sizeof(dst));
			uint64_t sum = fz_csum_copy(7, dst + 16 + at, fz_bytes_of(src + 2 * at, n));
			CHECK_UINT(fz_csum_fold(sum),
				fz_csum_fold(fz_csum_add(7, fz_bytes_of(src + 2 * at, n))));
			CHECK_MEM(dst + 16 + at, src + 2 * at, n);
			CHECK(dst[15 + at] == 0xa5 && dst[16 + at + n] == 0xa5);
		}
	}
}

TEST(csum, the_plain_and_the_wide_form_agree)
{
#if defined(__x86_64__)
	if (!fz_csum_has_avx2())
		TEST_SKIP_ALLOWED("this CPU has no AVX2");
	static uint8_t src[3000], a[3000], b[3000];
	struct test_rng rng = { 6 };
	test_rng_fill(&rng, src, sizeof(src));
	for (size_t n = 0; n <= 2900; n += n < 700 ? 1 : 37) {
		struct fz_bytes in = fz_bytes_of(src + n % 64, n);
		uint64_t seed = test_rng_next(&rng);
		uint16_t want = fz_csum_fold(fz_csum_add_plain(seed, in));
		CHECK(same_sum(fz_csum_fold(fz_csum_add_avx2(seed, in)), want));
		CHECK(same_sum(fz_csum_fold(fz_csum_copy_plain(seed, a, in)), want));
		CHECK(same_sum(fz_csum_fold(fz_csum_copy_avx2(seed, b, in)), want));
		CHECK_MEM(a, in.p, n);
		CHECK_MEM(b, in.p, n);
	}
#else
	TEST_SKIP_ALLOWED("the wide form is for x86-64");
#endif
}

TEST(csum, the_longest_packet_of_all_ones_does_not_overflow)
{
	static uint8_t ones[65536];
	memset(ones, 0xff, sizeof(ones));
	uint64_t sum = fz_csum_add(UINT64_MAX, fz_bytes_of(ones, sizeof(ones)));
	CHECK_UINT(fz_csum_fold(sum), 0xffff);
	CHECK_UINT(fz_csum_fold(fz_csum_plus(sum, UINT64_MAX)), 0xffff);
}

TEST(csum, ranges_may_be_summed_one_after_the_other)
{
	static uint8_t buf[300];
	struct test_rng rng = { 3 };
	test_rng_fill(&rng, buf, sizeof(buf));
	uint16_t whole = fz_csum_fold(fz_csum_add(0, fz_bytes_of(buf, sizeof(buf))));
	for (size_t cut = 0; cut <= sizeof(buf); cut += 2) {
		uint64_t sum = fz_csum_add(0, fz_bytes_of(buf, cut));
		sum = fz_csum_add(sum, fz_bytes_of(buf + cut, sizeof(buf) - cut));
		CHECK_UINT(fz_csum_fold(sum), whole);
	}
}

TEST(csum, folding_takes_every_carry)
{
	CHECK_UINT(fz_csum_fold(0), 0);
	CHECK_UINT(fz_csum_fold(0xffff), 0xffff);
	CHECK_UINT(fz_csum_fold(0x10000), 1);
	CHECK_UINT(fz_csum_fold(UINT64_MAX), 0xffff);
	CHECK_UINT(fz_csum_fold(UINT64_MAX - 1), 0xfffe);
	struct test_rng rng = { 4 };
	for (int i = 0; i < 100000; i++) {
		uint64_t v = test_rng_next(&rng) >> (i % 64);
		CHECK_UINT(fz_csum_fold(v) % 0xffff, v % 0xffff);
	}
}

TEST(csum, a_udp_checksum_is_never_zero)
{
	CHECK_UINT(fz_csum_finish(0xffff), 0);
	CHECK_UINT(fz_csum_finish_udp(0xffff), 0xffff);
	CHECK_UINT(fz_csum_finish_udp(0), 0xffff);
	CHECK_UINT(fz_csum_finish_udp(1), 0xfffe);
}

TEST(csum, pseudo_headers_hold_addresses_protocol_and_length)
{
	uint8_t bytes[40];
	struct test_rng rng = { 5 };
	test_rng_fill(&rng, bytes, 32);
	memcpy(bytes + 32, (uint8_t[]){ 0, 1, 0x23, 0x45, 0, 0, 0, 17 }, 8);
	CHECK(same_sum(
		network(fz_csum_fold(fz_csum_pseudo6(bytes, 17, 0x12345))), plain_sum(bytes, 40)));
	uint8_t four[12];
	memcpy(four, bytes, 8);
	memcpy(four + 8, (uint8_t[]){ 0, 6, 0x23, 0x45 }, 4);
	CHECK(same_sum(
		network(fz_csum_fold(fz_csum_pseudo4(bytes, 6, 0x2345))), plain_sum(four, 12)));
}
