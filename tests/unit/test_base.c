/* The words of engine/base: readers, writers, addresses, time, hash, constant time. */
#include <assert.h>
#include <errno.h>

#include "base/addr.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/ct.h"
#include "base/endian.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/time.h"
#include "support/test.h"

TEST(reader, is_bad_after_the_first_read_past_the_end_and_then_gives_zero)
{
	uint8_t raw[3] = { 1, 2, 3 };
	struct fz_reader r = fz_reader_of(fz_bytes_of(raw, sizeof(raw)));
	CHECK_UINT(fz_reader_be16(&r), 0x0102);
	CHECK_UINT(fz_reader_be16(&r), 0);
	CHECK(r.bad);
	CHECK_UINT(fz_reader_u8(&r), 0);
	CHECK(!fz_reader_done(&r));
}

TEST(writer, refuses_what_does_not_fit_and_keeps_what_was_written)
{
	uint8_t room[4];
	struct fz_writer w = fz_writer_of(fz_span_of(room, sizeof(room)));
	fz_writer_be16(&w, 0x0a0b);
	fz_writer_be32(&w, 1);
	CHECK(w.bad);
	CHECK_UINT(w.len, 2);
	CHECK_UINT(room[0], 0x0a);
}

TEST(endian, words_have_alignment_one_and_their_wire_order)
{
	static_assert(_Alignof(fz_le64) == 1 && sizeof(fz_le64) == 8, "wire word");
	fz_le32 le = fz_le32_of(0x01020304);
	fz_be32 be = fz_be32_of(0x01020304);
	CHECK_UINT(le.b[0], 4);
	CHECK_UINT(be.b[0], 1);
	CHECK_UINT(fz_le32_get(le), fz_be32_get(be));
}

TEST(time, sums_saturate_at_never)
{
	CHECK(fz_time_is_never(fz_time_add((fz_time){ UINT64_MAX - 1 }, FZ_SECONDS(1))));
	CHECK_UINT(fz_time_since((fz_time){ 1 }, (fz_time){ 5 }).ns, 0);
	CHECK(!fz_time_reached((fz_time){ UINT64_MAX }, FZ_NEVER));
}

TEST(addr, text_forms_round_trip)
{
	static const char *const addrs[] = { "192.0.2.1:51820", "[2001:db8::1]:1",
		"[fe80::1%3]:65535" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(addrs); i++) {
		struct fz_addr a;
		char text[FZ_ADDR_TEXT_LEN];
		CHECK_INT(fz_addr_parse(addrs[i], &a), 0);
		CHECK_STR(fz_addr_format(&a, text), addrs[i]);
	}
}

TEST(addr, malformed_texts_are_refused)
{
	static const char *const bad[] = { "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536",
		"[1.2.3.4]:1", "::1:80", "[::1]", "[::1]x:1", "1.2.3.4%1:1", "[::1%x]:1",
		"1.2.3.4:+1", "[]:1" };
	struct fz_addr a;
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++)
		CHECK_INT(fz_addr_parse(bad[i], &a), -EINVAL);
	static const char *const bad_prefix[] = { "10.0.0.0/33", "::/129", "10.0.0.0/",
		"10.0.0.0/-1", "10/8", "x" };
	struct fz_prefix p;
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad_prefix); i++)
		CHECK_INT(fz_prefix_parse(bad_prefix[i], &p), -EINVAL);
}

TEST(addr, a_prefix_contains_what_shares_its_bits)
{
	struct fz_prefix p;
	struct fz_ip in = fz_ip4(10, 1, 130, 9), out = fz_ip4(10, 1, 1, 1);
	CHECK_INT(fz_prefix_parse("10.1.128.5/17", &p), 0);
	CHECK(fz_prefix_contains(&p, &in));
	CHECK(!fz_prefix_contains(&p, &out));
	fz_prefix_mask(&p);
	char text[FZ_PREFIX_TEXT_LEN];
	CHECK_STR(fz_prefix_format(&p, text), "10.1.128.0/17");
}

TEST(hash, matches_the_vector_of_the_siphash_paper)
{
	uint8_t in[15];
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	struct fz_hash_key key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
	CHECK_UINT(fz_siphash(key, fz_bytes_of(in, sizeof(in))), 0xa129ca6149be45e5u);
}

TEST(ct, equal_and_zero_look_at_every_byte)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	CHECK(fz_ct_equal(a, b, sizeof(a)));
	CHECK(fz_ct_is_zero(a, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] = 0x80;
		CHECK(!fz_ct_equal(a, b, sizeof(a)));
		CHECK(!fz_ct_is_zero(b, sizeof(b)));
		b[i] = 0;
	}
}

TEST(alloc, the_chosen_allocation_fails_once)
{
	fz_fail_at(2);
	void *first = fz_alloc(1, 8), *second = fz_alloc(1, 8), *third = fz_alloc(1, 8);
	CHECK(first && !second && third);
	free(first);
	free(third);
}

TEST(secret, memory_is_zeroed_and_can_be_freed_as_null)
{
	uint8_t *p = fz_secret_new(100);
	CHECK(p && fz_ct_is_zero(p, 100));
	fz_secret_free(p, 100);
	fz_secret_free(NULL, 100);
}
