/* Readers, writers, wire words and the bounded buffer. */
#include <assert.h>
#include <errno.h>

#include "base/alloc.h"
#include "base/bytebuf.h"
#include "base/bytes.h"
#include "base/endian.h"
#include "base/err.h"
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

TEST(reader, reads_what_a_writer_wrote_at_every_width)
{
	uint8_t room[64];
	struct fz_writer w = fz_writer_of(fz_span_of(room, sizeof(room)));
	fz_writer_u8(&w, 1);
	fz_writer_be16(&w, 0x0203);
	fz_writer_be32(&w, 0x04050607);
	fz_writer_be64(&w, 0x08090a0b0c0d0e0f);
	fz_writer_le16(&w, 0x0203);
	fz_writer_le32(&w, 0x04050607);
	fz_writer_le64(&w, 0x08090a0b0c0d0e0f);
	fz_writer_zeros(&w, 3);
	fz_writer_format(&w, "%s-%d", "x", 7);
	CHECK(!w.bad);
	struct fz_reader r = fz_reader_of(fz_writer_written(&w));
	CHECK_UINT(fz_reader_u8(&r), 1);
	CHECK_UINT(fz_reader_be16(&r), 0x0203);
	CHECK_UINT(fz_reader_be32(&r), 0x04050607);
	CHECK_UINT(fz_reader_be64(&r), 0x08090a0b0c0d0e0f);
	CHECK_UINT(fz_reader_le16(&r), 0x0203);
	CHECK_UINT(fz_reader_le32(&r), 0x04050607);
	CHECK_UINT(fz_reader_le64(&r), 0x08090a0b0c0d0e0f);
	fz_reader_skip(&r, 3);
	CHECK(fz_bytes_equal(fz_reader_rest(&r), fz_bytes_of_str("x-7")));
	CHECK(fz_reader_done(&r));
}

TEST(reader, a_take_that_is_too_long_takes_nothing_ever_after)
{
	uint8_t raw[4] = { 1, 2, 3, 4 }, copy[4] = { 9, 9, 9, 9 };
	struct fz_reader r = fz_reader_of(fz_bytes_of(raw, sizeof(raw)));
	CHECK_UINT(fz_reader_take(&r, SIZE_MAX).n, 0);
	CHECK(r.bad);
	CHECK_UINT(fz_reader_take(&r, 1).n, 0);
	CHECK_UINT(fz_reader_rest(&r).n, 0);
	fz_reader_copy(&r, copy, sizeof(copy));
	CHECK_MEM(copy, ((uint8_t[4]){ 0 }), sizeof(copy));
}

TEST(reader, an_empty_range_at_null_is_read_like_any_other)
{
	struct fz_reader r = fz_reader_of(fz_bytes_of(NULL, 0));
	CHECK_UINT(fz_reader_take(&r, 0).n, 0);
	CHECK_UINT(fz_reader_rest(&r).n, 0);
	CHECK(fz_reader_done(&r));
	CHECK_UINT(fz_reader_u8(&r), 0);
	CHECK(r.bad);
	CHECK(fz_bytes_equal(fz_bytes_of(NULL, 0), fz_bytes_of("", 0)));
}

TEST(writer, an_empty_writer_takes_nothing_but_nothing)
{
	struct fz_writer w = fz_writer_of(fz_span_of(NULL, 0));
	fz_writer_bytes(&w, fz_bytes_of(NULL, 0));
	CHECK(!w.bad);
	fz_writer_u8(&w, 1);
	CHECK(w.bad);
}

TEST(writer, a_text_longer_than_a_line_is_refused_whole)
{
	uint8_t room[2048];
	struct fz_writer w = fz_writer_of(fz_span_of(room, sizeof(room)));
	fz_writer_format(&w, "%600d", 1);
	CHECK(w.bad);
	CHECK_UINT(w.len, 0);
}

TEST(bytebuf, grows_to_its_maximum_and_refuses_one_byte_more)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf b;
	fz_bytebuf_init(&b, 1000);
	uint8_t chunk[100];
	memset(chunk, 7, sizeof(chunk));
	for (int i = 0; i < 10; i++)
		CHECK_INT(fz_bytebuf_append(&b, fz_bytes_of(chunk, sizeof(chunk))), 0);
	CHECK_INT(fz_bytebuf_append(&b, fz_bytes_of(chunk, 1)), FZ_ERR_LIMIT);
	CHECK_UINT(fz_bytebuf_bytes(&b).n, 1000);
	CHECK(b.cap <= 1000);
}

TEST(bytebuf, keeps_order_when_consumed_from_the_front)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf b;
	fz_bytebuf_init(&b, 64);
	CHECK_INT(fz_bytebuf_append(&b, fz_bytes_of_str("abcdef")), 0);
	fz_bytebuf_consume(&b, 2);
	CHECK_INT(fz_bytebuf_append(&b, fz_bytes_of_str("gh")), 0);
	CHECK(fz_bytes_equal(fz_bytebuf_bytes(&b), fz_bytes_of_str("cdefgh")));
	fz_bytebuf_clear(&b);
	CHECK_UINT(fz_bytebuf_bytes(&b).n, 0);
}

TEST(bytebuf, without_memory_holds_what_it_held)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf b;
	fz_bytebuf_init(&b, 4096);
	CHECK_INT(fz_bytebuf_append(&b, fz_bytes_of_str("abc")), 0);
	uint8_t big[2000] = { 0 };
	fz_fail_at(1);
	CHECK_INT(fz_bytebuf_append(&b, fz_bytes_of(big, sizeof(big))), -ENOMEM);
	CHECK(fz_bytes_equal(fz_bytebuf_bytes(&b), fz_bytes_of_str("abc")));
}
