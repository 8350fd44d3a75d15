/* Splitting what the TUN gave: each rule with a frame that keeps it and one that breaks it. */
#include "base/endian.h"
#include "offload/split.h"
#include "offload/vnet.h"
#include "support/packet.h"
#include "support/test.h"

static uint8_t frame[TEST_PACKET_MAX + 10], out[TEST_PACKET_MAX];

static const struct test_packet tcp4 = { .src = 1,
	.dst = 2,
	.sport = 1000,
	.dport = 80,
	.id = 0xfffe,
	.fragment = 0x4000,
	.seq = 0xfffffff0u,
	.ack = 77,
	.window = 500,
	.payload_len = 10000 };

static struct test_packet variant(bool is_v6, bool is_udp)
{
	struct test_packet t = tcp4;
	t.is_v6 = is_v6;
	t.is_udp = is_udp;
	t.flow_label = 0x12345;
	return t;
}

static struct fz_bytes make_frame(const struct test_packet *t, uint16_t gso_size)
{
	return fz_bytes_of(frame, test_packet_write_frame(t, gso_size, frame));
}

static enum fz_split_verdict judge(struct fz_bytes f)
{
	struct fz_split s;
	return fz_split_init(&s, f);
}

/* The frame of t is split into exactly the packets that t's sender would have written by itself. */
static void check_split(const struct test_packet *t, uint16_t gso_size)
{
	static uint8_t want[TEST_PACKET_MAX];
	struct fz_split s;
	CHECK_INT(fz_split_init(&s, make_frame(t, gso_size)), FZ_SPLIT_OK);
	uint32_t n = (t->payload_len + gso_size - 1) / gso_size;
	CHECK_UINT(s.n, n);
	for (uint32_t i = 0; i < n; i++) {
		struct test_packet one = *t;
		uint16_t all = t->flags ? t->flags : TEST_ACK, flags = all;
		if (i > 0)
			flags &= (uint16_t)~TEST_CWR;
		if (i + 1 < n)
			flags &= (uint16_t) ~(TEST_FIN | TEST_PSH);
		one.flags = flags;
		one.seq = t->seq + i * gso_size;
		one.id = (uint16_t)(t->id + i);
		one.payload_len = i + 1 < n ? gso_size : t->payload_len - i * gso_size;
		size_t len = test_packet_write(&one, want);
		CHECK_UINT(fz_split_len(&s, i), len);
		out[len] = 0xa5;
		fz_split_write(&s, i, out);
		CHECK_MEM(out, want, len);
		CHECK_UINT(out[len], 0xa5);
	}
}

TEST(split, segments_are_what_the_sender_would_have_written_itself)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		check_split(&t, 1400);
		check_split(&t, 1000);
		check_split(&t, 999);
		check_split(&t, 9999);
		check_split(&t, 10000);
		check_split(&t, 20000);
	}
}

TEST(split, random_super_packets_split_into_whole_segments)
{
	struct test_rng rng = { 11 };
	for (int i = 0; i < 400; i++) {
		struct test_packet t = variant(test_rng_below(&rng, 2), test_rng_below(&rng, 2));
		t.payload_len = (uint32_t)(1 + test_rng_below(&rng, 65000));
		t.seq = (uint32_t)test_rng_next(&rng);
		t.id = (uint16_t)test_rng_next(&rng);
		t.tos = (uint8_t)test_rng_next(&rng);
		t.urgent = (uint16_t)test_rng_next(&rng);
		t.ack = (uint32_t)test_rng_next(&rng);
		t.window = (uint16_t)test_rng_next(&rng);
		t.options_len = (uint8_t)(4 * test_rng_below(&rng, 11));
		test_rng_fill(&rng, t.options, t.options_len);
		t.ip_options_len = (uint8_t)(4 * test_rng_below(&rng, 11));
		t.payload_len = t.payload_len > 65400 ? 65400 : t.payload_len;
		check_split(&t, (uint16_t)(50 + test_rng_below(&rng, 3000)));
	}
}

TEST(split, header_words_of_all_ones_lose_no_carry)
{
	struct test_packet t = tcp4;
	t.ack = t.seq = 0xffffffff;
	t.window = t.urgent = t.sport = t.dport = t.id = 0xffff;
	t.tos = t.ttl = 0xff;
	t.options_len = 40;
	memset(t.options, 0xff, sizeof(t.options));
	for (t.is_v6 = false;; t.is_v6 = true) {
		check_split(&t, 1400);
		t.ack = 0xf9ffffff;
		check_split(&t, 1400);
		if (t.is_v6)
			break;
	}
}

TEST(split, fin_and_push_stay_on_the_last_segment_and_cwr_on_the_first)
{
	struct test_packet t = tcp4;
	t.flags = TEST_ACK | TEST_FIN | TEST_PSH | TEST_CWR | TEST_ECE;
	struct fz_bytes f = make_frame(&t, 4000);
	frame[1] |= FZ_VNET_GSO_ECN;
	struct fz_split s;
	CHECK_INT(fz_split_init(&s, f), FZ_SPLIT_OK);
	const uint16_t want[3] = { TEST_ACK | TEST_ECE | TEST_CWR, TEST_ACK | TEST_ECE,
		TEST_ACK | TEST_ECE | TEST_FIN | TEST_PSH };
	for (uint32_t i = 0; i < 3; i++) {
		fz_split_write(&s, i, out);
		CHECK_UINT(fz_be16_load(out + 32) & 0xfff, want[i]);
		CHECK(test_packet_is_whole(out, fz_split_len(&s, i)));
	}
}

TEST(split, hdr_len_is_not_believed)
{
	struct fz_bytes f = make_frame(&tcp4, 1400);
	for (uint32_t lie = 0; lie < 65536; lie += 257) {
		uint16_t v = (uint16_t)lie;
		memcpy(frame + 2, &v, 2);
		struct fz_split s;
		CHECK_INT(fz_split_init(&s, f), FZ_SPLIT_OK);
		fz_split_write(&s, 1, out);
		CHECK(test_packet_is_whole(out, fz_split_len(&s, 1)));
	}
}

TEST(split, a_packet_that_needs_nothing_passes_byte_by_byte)
{
	size_t n = test_packet_write(&tcp4, frame + 10);
	memset(frame, 0, 10);
	frame[10 + 60] ^= 1; /* even its wrong checksum is none of our business */
	struct fz_split s;
	CHECK_INT(fz_split_init(&s, fz_bytes_of(frame, 10 + n)), FZ_SPLIT_OK);
	CHECK_UINT(s.n, 1);
	CHECK_UINT(fz_split_len(&s, 0), n);
	fz_split_write(&s, 0, out);
	CHECK_MEM(out, frame + 10, n);

	CHECK_INT(fz_split_init_plain(&s, fz_bytes_of(frame + 10, n)), FZ_SPLIT_OK);
	CHECK_UINT(s.n, 1);
	memset(out, 0, n);
	fz_split_write(&s, 0, out);
	CHECK_MEM(out, frame + 10, n);
	CHECK_UINT(s.packet.n, n);
}

TEST(split, a_partial_checksum_of_a_single_packet_is_finished)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		for (t.payload_len = 0; t.payload_len < 300; t.payload_len++) {
			static uint8_t want[TEST_PACKET_MAX];
			size_t n = test_packet_write(&t, want);
			struct fz_split s;
			CHECK_INT(fz_split_init(&s, make_frame(&t, 0)), FZ_SPLIT_OK);
			CHECK_UINT(fz_split_len(&s, 0), n);
			fz_split_write(&s, 0, out);
			CHECK_MEM(out, want, n);
		}
	}
}

/* The two bytes at `at` are changed so that the checksum comes out as zero. */
static void make_sum_zero(uint8_t *p, size_t n, size_t at, size_t csum_at)
{
	test_packet_finish(p, n);
	uint32_t sum = (uint32_t)fz_be16_load(p + at) + fz_be16_load(p + csum_at);
	fz_be16_store(p + at, (uint16_t)((sum & 0xffff) + (sum >> 16)));
	test_packet_finish(p, n);
}

TEST(split, a_udp_checksum_of_zero_is_sent_as_ones)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct test_packet t = variant(is_v6, true);
		t.payload_len = 8;
		size_t n = test_packet_write(&t, out), l4 = test_packet_l4_at(out);
		make_sum_zero(out, n, l4 + 8, l4 + 6);
		CHECK_UINT(fz_be16_load(out + l4 + 6), 0xffff);
		for (int gso_size = 0; gso_size <= 8; gso_size += 8) {
			(void)make_frame(&t, (uint16_t)gso_size);
			memcpy(frame + 10 + l4 + 8, out + l4 + 8, 8);
			struct fz_split s;
			static uint8_t got[100];
			CHECK_INT(fz_split_init(&s, fz_bytes_of(frame, 10 + n)), FZ_SPLIT_OK);
			fz_split_write(&s, 0, got);
			CHECK_MEM(got, out, n);
		}
	}
}

TEST(split, behind_extension_headers_the_partial_sum_carries_the_final_destination)
{
	/* A routing header: the pseudo-header's destination is not the one in the IP header. */
	struct test_packet t = variant(true, false);
	t.payload_len = 3000;
	size_t n = make_frame(&t, 1000).n - 10;
	uint8_t *p = frame + 10;
	memmove(p + 64, p + 40, n - 40);
	memset(p + 40, 0, 24);
	p[6] = 43;
	p[40] = 6;
	p[41] = 2;
	p[42] = 4;
	fz_be16_store(p + 4, (uint16_t)(n - 40 + 24));
	uint16_t csum_start = 64;
	memcpy(frame + 6, &csum_start, 2);
	struct fz_split s;
	CHECK_INT(fz_split_init(&s, fz_bytes_of(frame, 10 + n + 24)), FZ_SPLIT_OK);
	CHECK_UINT(s.n, 3);
	for (uint32_t i = 0; i < 3; i++) {
		fz_split_write(&s, i, out);
		size_t len = fz_split_len(&s, i);
		CHECK_UINT(fz_be16_load(out + 4), len - 40);
		/* Without the extension header the segment is the plain one. */
		memmove(out + 40, out + 64, len - 64);
		out[6] = 6;
		fz_be16_store(out + 4, (uint16_t)(len - 64));
		CHECK(test_packet_is_whole(out, len - 24));
	}
}

TEST(split, a_frame_too_short_for_its_headers_is_dropped)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		struct fz_bytes f = make_frame(&t, 1000);
		size_t headers = 10 + (size_t)(kind & 1 ? 40 : 20);
		for (size_t n = 0; n < headers; n++)
			CHECK_INT(judge(fz_bytes_of(frame, n)), FZ_SPLIT_SHORT);
		for (size_t n = headers; n < f.n; n += n < 200 ? 1 : 97)
			CHECK_INT(judge(fz_bytes_of(frame, n)), FZ_SPLIT_TRUNCATED);
	}
}

TEST(split, a_packet_cut_short_by_our_buffer_is_noticed)
{
	/* "BIG TCP" leaves the IP length zero; a lying one is no better. */
	struct fz_bytes f = make_frame(&tcp4, 1400);
	fz_be16_store(frame + 12, 0);
	CHECK_INT(judge(f), FZ_SPLIT_TRUNCATED);
	fz_be16_store(frame + 12, (uint16_t)(f.n - 10 + 1));
	CHECK_INT(judge(f), FZ_SPLIT_TRUNCATED);
	fz_be16_store(frame + 12, (uint16_t)(f.n - 10 - 1));
	CHECK_INT(judge(f), FZ_SPLIT_TRUNCATED);

	struct test_packet six = variant(true, false);
	f = make_frame(&six, 1400);
	fz_be16_store(frame + 14, 0);
	CHECK_INT(judge(f), FZ_SPLIT_TRUNCATED);

	f = make_frame(&tcp4, 0);
	fz_be16_store(frame + 12, (uint16_t)(f.n - 10 + 1));
	CHECK_INT(judge(f), FZ_SPLIT_TRUNCATED);
}

TEST(split, a_frame_longer_than_ip_allows_is_dropped)
{
	(void)make_frame(&tcp4, 0);
	CHECK_INT(judge(fz_bytes_of(frame, 10 + 65535 + 1)), FZ_SPLIT_TRUNCATED);
}

TEST(split, the_segmentation_type_must_be_the_packets)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		for (unsigned type = 1; type < 256; type++) {
			struct fz_bytes f = make_frame(&t, 1400);
			unsigned right = frame[1];
			frame[1] = (uint8_t)type;
			bool is_right = type == right || (right != FZ_VNET_GSO_UDP &&
								 type == (right | FZ_VNET_GSO_ECN));
			enum fz_split_verdict v = judge(f);
			CHECK((v == FZ_SPLIT_OK) == is_right);
			if (type != 1 && type != 4 && type != 5 && type != 0x81 && type != 0x84)
				CHECK_INT(v, FZ_SPLIT_TYPE);
		}
	}
	struct fz_bytes f = make_frame(&tcp4, 1400);
	frame[1] = FZ_VNET_GSO_TCP6;
	CHECK_INT(judge(f), FZ_SPLIT_VERSION);
	frame[1] = FZ_VNET_GSO_UDP;
	CHECK_INT(judge(f), FZ_SPLIT_CSUM);
}

TEST(split, a_version_that_is_neither_four_nor_six_is_dropped)
{
	for (unsigned version = 0; version < 16; version++) {
		struct fz_bytes f = make_frame(&tcp4, 1400);
		frame[10] = (uint8_t)(version << 4 | 5);
		if (version != 4 && version != 6)
			CHECK_INT(judge(f), FZ_SPLIT_VERSION);
		else
			CHECK((judge(f) == FZ_SPLIT_OK) == (version == 4));
	}
}

static void set_word(size_t at, uint16_t v)
{
	memcpy(frame + at, &v, 2);
}

TEST(split, a_super_packet_needs_its_checksum_where_its_protocol_has_it)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		struct fz_bytes f = make_frame(&t, 1400);
		uint16_t start = fz_native16_load(frame + 6), offset = fz_native16_load(frame + 8);
		frame[0] = 0;
		CHECK_INT(judge(f), FZ_SPLIT_CSUM);
		frame[0] = 1;
		for (uint32_t v = 0; v < 65536; v += v < 100 ? 1 : 211) {
			set_word(8, (uint16_t)v);
			CHECK_INT(judge(f), v == offset ? FZ_SPLIT_OK : FZ_SPLIT_CSUM);
		}
		set_word(8, offset);
		for (uint32_t v = 0; v < 65536; v += v < 100 ? 1 : 211) {
			set_word(6, (uint16_t)v);
			bool is_extension = (kind & 1) && v > 40;
			if (!is_extension)
				CHECK_INT(judge(f), v == start ? FZ_SPLIT_OK : FZ_SPLIT_CSUM);
			else if (v + 8 >= f.n - 10)
				CHECK_INT(judge(f), FZ_SPLIT_HEADER);
		}
	}
}

TEST(split, a_single_packets_checksum_must_lie_inside_it_and_behind_its_ip_header)
{
	struct test_packet t = tcp4;
	t.payload_len = 10;
	struct fz_bytes f = make_frame(&t, 0);
	for (uint32_t start = 0; start < 65536; start += start < 100 ? 1 : 211) {
		for (uint32_t offset = 0; offset < 65536; offset += offset < 100 ? 1 : 211) {
			set_word(6, (uint16_t)start);
			set_word(8, (uint16_t)offset);
			bool fits = start >= 20 && start + offset + 2 <= f.n - 10;
			CHECK_INT(judge(f), fits ? FZ_SPLIT_OK : FZ_SPLIT_CSUM);
		}
	}
}

TEST(split, impossible_header_lengths_are_dropped)
{
	for (unsigned words = 0; words < 16; words++) {
		struct fz_bytes f = make_frame(&tcp4, 1400);
		frame[10] = (uint8_t)(0x40 | words);
		enum fz_split_verdict want = words < 5    ? FZ_SPLIT_HEADER
					     : words == 5 ? FZ_SPLIT_OK
							  : FZ_SPLIT_CSUM;
		CHECK_INT(judge(f), want);
		f = make_frame(&tcp4, 1400);
		frame[10 + 32] = (uint8_t)(words << 4);
		CHECK_INT(judge(f), words < 5 ? FZ_SPLIT_HEADER : FZ_SPLIT_OK);
	}
}

TEST(split, an_ip_header_longer_than_its_packet_is_dropped)
{
	struct fz_split s;
	struct test_packet t = tcp4;
	t.payload_len = 0;
	(void)test_packet_write(&t, frame);
	frame[0] = 0x4f;
	fz_be16_store(frame + 2, 40);
	CHECK_INT(fz_split_init_plain(&s, fz_bytes_of(frame, 40)), FZ_SPLIT_HEADER);
	frame[0] = 0x4a;
	CHECK_INT(fz_split_init_plain(&s, fz_bytes_of(frame, 40)), FZ_SPLIT_OK);
	fz_be16_store(frame + 2, 39);
	CHECK_INT(fz_split_init_plain(&s, fz_bytes_of(frame, 40)), FZ_SPLIT_TRUNCATED);
}

TEST(split, link_padding_behind_a_single_packet_is_not_lost)
{
	struct fz_split s;
	size_t n = test_packet_write(&tcp4, frame);
	CHECK_INT(fz_split_init_plain(&s, fz_bytes_of(frame, n + 4)), FZ_SPLIT_OK);
	CHECK_UINT(fz_split_len(&s, 0), n + 4);
}

TEST(split, a_super_packet_of_another_protocol_is_dropped)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		for (unsigned proto = 0; proto < 256; proto++) {
			struct fz_bytes f = make_frame(&t, 1400);
			frame[10 + (kind & 1 ? 6 : 9)] = (uint8_t)proto;
			CHECK((judge(f) == FZ_SPLIT_OK) == (proto == (kind & 2 ? 17 : 6)));
		}
	}
}

TEST(split, a_fragment_is_no_super_packet)
{
	struct test_packet t = tcp4;
	t.fragment = 0x2000;
	CHECK_INT(judge(make_frame(&t, 1400)), FZ_SPLIT_HEADER);
	t.fragment = 1;
	CHECK_INT(judge(make_frame(&t, 1400)), FZ_SPLIT_HEADER);
	CHECK_INT(judge(make_frame(&t, 0)), FZ_SPLIT_OK);
}

TEST(split, headers_without_payload_are_no_super_packet)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = variant(kind & 1, kind & 2);
		t.payload_len = 0;
		CHECK_INT(judge(make_frame(&t, 1400)), FZ_SPLIT_HEADER);
		t.payload_len = 1;
		CHECK_INT(judge(make_frame(&t, 1400)), FZ_SPLIT_OK);
	}
}

TEST(split, the_number_of_segments_is_bounded)
{
	struct test_packet t = tcp4;
	CHECK_INT(judge(make_frame(&t, 1)), FZ_SPLIT_COUNT);
	t.payload_len = FZ_SPLIT_N_MAX * 40;
	CHECK_INT(judge(make_frame(&t, 40)), FZ_SPLIT_OK);
	t.payload_len++;
	CHECK_INT(judge(make_frame(&t, 40)), FZ_SPLIT_COUNT);

	struct fz_bytes f = make_frame(&tcp4, 1400);
	set_word(4, 0);
	CHECK_INT(judge(f), FZ_SPLIT_COUNT);
}

TEST(split, headers_longer_than_any_real_ones_are_dropped)
{
	struct test_packet t = variant(true, true);
	struct fz_bytes f = make_frame(&t, 1400);
	set_word(6, FZ_SPLIT_HEADER_MAX - 8);
	CHECK_INT(judge(f), FZ_SPLIT_OK);
	set_word(6, FZ_SPLIT_HEADER_MAX - 7);
	CHECK_INT(judge(f), FZ_SPLIT_HEADER);
}

TEST(split, a_dropped_frame_leaves_the_output_untouched)
{
	struct fz_split s, before;
	memset(&s, 0x5a, sizeof(s));
	memset(&before, 0x5a, sizeof(before));
	struct fz_bytes f = make_frame(&tcp4, 1400);
	CHECK_INT(fz_split_init(&s, fz_bytes_of(f.p, f.n - 1)), FZ_SPLIT_TRUNCATED);
	CHECK_MEM(&s, &before, sizeof(s));
}
