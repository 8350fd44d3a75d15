/* Gathering packets for the TUN: each rule with the packet that breaks it. */
#include "base/alloc.h"
#include "base/endian.h"
#include "offload/coalesce.h"
#include "offload/vnet.h"
#include "support/packet.h"
#include "support/test.h"

#define N_MAX    600
#define ROOM     1600
#define TEST_LEN 100

static uint8_t slab[N_MAX][ROOM];
static size_t n_slab;
static struct fz_coalesce *c;

static void begin(unsigned caps)
{
	if (!c)
		c = fz_coalesce_new();
	CHECK(c);
	fz_coalesce_begin(c, caps);
	n_slab = 0;
}

static struct fz_span write_packet(const struct test_packet *t)
{
	static uint8_t p[TEST_PACKET_MAX];
	size_t n = test_packet_write(t, p);
	CHECK(n <= ROOM && n_slab < N_MAX);
	memcpy(slab[n_slab], p, n);
	return fz_span_of(slab[n_slab++], n);
}

static void add(struct test_packet t)
{
	CHECK(fz_coalesce_add(c, write_packet(&t)));
}

/* Packets per item, as text: "3,1". */
static const char *shape(void)
{
	static char text[N_MAX * 4];
	size_t at = 0, n = fz_coalesce_end(c);
	text[0] = 0;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u", i ? "," : "",
			fz_coalesce_item(c, i)->n_packets);
	return text;
}

static struct test_packet base_packet(bool is_v6, bool is_udp)
{
	return (struct test_packet){ .is_v6 = is_v6,
		.is_udp = is_udp,
		.src = 1,
		.dst = 2,
		.sport = 1000,
		.dport = 80,
		.id = 50,
		.fragment = 0x4000,
		.seq = 1000,
		.ack = 77,
		.window = 500,
		.payload_len = TEST_LEN };
}

/* The k-th in-order packet of a flow. */
static struct test_packet nth(struct test_packet t, uint32_t k)
{
	t.seq += k * TEST_LEN;
	t.id = (uint16_t)(t.id + k);
	return t;
}

TEST(coalesce, segments_in_order_become_one_item)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = base_packet(kind & 1, kind & 2);
		begin(FZ_COALESCE_ALL);
		for (uint32_t k = 0; k < 5; k++)
			add(nth(t, k));
		CHECK_STR(shape(), "5");
		const struct fz_coalesce_item *it = fz_coalesce_item(c, 0);
		CHECK_UINT(it->n_iov, 6);
		size_t headers = (size_t)(t.is_v6 ? 40 : 20) + (t.is_udp ? 8 : 20);
		CHECK_UINT(it->iov[0].iov_len, 10 + headers);
		CHECK_UINT(it->len, 10 + headers + 5 * TEST_LEN);

		struct fz_vnet_hdr h;
		memcpy(&h, it->iov[0].iov_base, sizeof(h));
		CHECK_UINT(h.flags, FZ_VNET_NEEDS_CSUM);
		CHECK_UINT(h.gso_type, t.is_udp  ? FZ_VNET_GSO_UDP
				       : t.is_v6 ? FZ_VNET_GSO_TCP6
						 : FZ_VNET_GSO_TCP4);
		CHECK_UINT(h.hdr_len, headers);
		CHECK_UINT(h.gso_size, TEST_LEN);
		CHECK_UINT(h.csum_start, t.is_v6 ? 40 : 20);
		CHECK_UINT(h.csum_offset, t.is_udp ? 6 : 16);
	}
}

TEST(coalesce, a_merged_item_is_the_packet_the_sender_would_have_written_whole)
{
	for (int kind = 0; kind < 4; kind++) {
		struct test_packet t = base_packet(kind & 1, kind & 2);
		begin(FZ_COALESCE_ALL);
		for (uint32_t k = 0; k < 7; k++)
			add(nth(t, k));
		CHECK_STR(shape(), "7");
		const struct fz_coalesce_item *it = fz_coalesce_item(c, 0);
		static uint8_t got[2000], want[TEST_PACKET_MAX];
		size_t n = 0;
		for (uint32_t i = 0; i < it->n_iov; i++) {
			memcpy(got + n, it->iov[i].iov_base, it->iov[i].iov_len);
			n += it->iov[i].iov_len;
		}
		/* Datagrams each start their payload anew; here the stream goes on in both. */
		t.payload_len = 7 * TEST_LEN;
		test_packet_write_frame(&t, TEST_LEN, want);
		uint16_t hdr_len = fz_native16_load(got + 2);
		memcpy(want + 2, &hdr_len, 2);
		CHECK_MEM(got, want, n);
		test_packet_finish(got + 10, n - 10);
		CHECK(test_packet_is_whole(got + 10, n - 10));
	}
}

TEST(coalesce, a_single_is_written_untouched_behind_zeros)
{
	struct test_packet t = base_packet(false, false);
	begin(FZ_COALESCE_ALL);
	add(t);
	CHECK_STR(shape(), "1");
	const struct fz_coalesce_item *it = fz_coalesce_item(c, 0);
	CHECK_UINT(it->n_iov, 2);
	CHECK_UINT(it->iov[0].iov_len, FZ_VNET_HDR_LEN);
	CHECK_MEM(it->iov[0].iov_base, fz_coalesce_no_offload().p, FZ_VNET_HDR_LEN);
	CHECK(it->iov[1].iov_base == slab[0]);
	CHECK_UINT(it->len, 10 + it->iov[1].iov_len);
}

TEST(coalesce, a_tun_without_vnet_headers_gets_bare_packets)
{
	begin(FZ_COALESCE_ALL & ~(unsigned)FZ_COALESCE_VNET);
	for (uint32_t k = 0; k < 3; k++)
		add(nth(base_packet(false, false), k));
	CHECK_STR(shape(), "1,1,1");
	CHECK_UINT(fz_coalesce_item(c, 2)->n_iov, 1);
	CHECK(fz_coalesce_item(c, 2)->iov[0].iov_base == slab[2]);
	CHECK_UINT(fz_coalesce_item(c, 2)->len, 40 + TEST_LEN);
}

TEST(coalesce, only_what_the_tun_takes_is_merged)
{
	static const struct {
		unsigned cap;
		bool is_v6, is_udp;
	} rows[] = { { FZ_COALESCE_TCP4, false, false }, { FZ_COALESCE_TCP6, true, false },
		{ FZ_COALESCE_USO, false, true }, { FZ_COALESCE_USO, true, true } };

	for (size_t r = 0; r < 4; r++) {
		for (unsigned caps = 0; caps < 16; caps++) {
			begin(caps);
			for (uint32_t k = 0; k < 2; k++)
				add(nth(base_packet(rows[r].is_v6, rows[r].is_udp), k));
			bool is_merged = (caps & FZ_COALESCE_VNET) && (caps & rows[r].cap);
			CHECK_STR(shape(), is_merged ? "2" : "1,1");
		}
	}
}

/* The first packet's room is in the slab before it; a merged one needs none. */
TEST(coalesce, writes_the_header_of_a_packet_alone_in_front_of_it)
{
	begin(FZ_COALESCE_ALL | FZ_COALESCE_HEADROOM);
	static uint8_t block[FZ_VNET_HDR_LEN + TEST_PACKET_MAX];
	memset(block, 0xff, FZ_VNET_HDR_LEN);
	struct test_packet t = base_packet(false, false);
	size_t n = test_packet_write(&t, block + FZ_VNET_HDR_LEN);
	CHECK(fz_coalesce_add(c, fz_span_of(block + FZ_VNET_HDR_LEN, n)));
	CHECK_STR(shape(), "1");
	const struct fz_coalesce_item *item = fz_coalesce_item(c, 0);
	CHECK_INT(item->n_iov, 1);
	CHECK(item->iov[0].iov_base == block);
	CHECK_INT(item->iov[0].iov_len, FZ_VNET_HDR_LEN + n);
	CHECK_INT(item->len, FZ_VNET_HDR_LEN + n);
	for (size_t i = 0; i < FZ_VNET_HDR_LEN; i++)
		CHECK_INT(block[i], 0);
	/* Without vnet headers there is nothing to write. */
	memset(block, 0xff, FZ_VNET_HDR_LEN);
	begin(FZ_COALESCE_HEADROOM);
	CHECK(fz_coalesce_add(c, fz_span_of(block + FZ_VNET_HDR_LEN, n)));
	CHECK_STR(shape(), "1");
	CHECK(fz_coalesce_item(c, 0)->iov[0].iov_base == block + FZ_VNET_HDR_LEN);
	CHECK_INT(block[0], 0xff);
}

/* Two packets of a flow, the second changed: are they merged? */
typedef void change_fn(struct test_packet *t);

static bool merges(bool is_v6, bool is_udp, change_fn *change)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(is_v6, is_udp), second = nth(t, 1);
	add(t);
	if (change)
		change(&second);
	add(second);
	const char *s = shape();
	CHECK(strcmp(s, "2") == 0 || strcmp(s, "1,1") == 0);
	return strcmp(s, "2") == 0;
}

#define CHANGE(name, statement)                                                                    \
	static void name(struct test_packet *t)                                                    \
	{                                                                                          \
		statement;                                                                         \
	}

CHANGE(other_source, t->src++)
CHANGE(other_destination, t->dst++)
CHANGE(other_source_port, t->sport++)
CHANGE(other_destination_port, t->dport++)
CHANGE(other_ecn, t->tos = 3)
CHANGE(other_dscp, t->tos = 0x20)
CHANGE(other_ttl, t->ttl = 63)
CHANGE(without_df, t->fragment = 0)
CHANGE(with_evil_bit, t->fragment = 0xc000)
CHANGE(with_more_fragments, t->fragment = 0x2000)
CHANGE(with_offset, t->fragment = 5)
CHANGE(with_ip_options, t->ip_options_len = 4)
CHANGE(other_id, t->id = 9)
CHANGE(other_flow_label, t->flow_label = 1)
CHANGE(empty, t->payload_len = 0)
CHANGE(longer, t->payload_len++)
CHANGE(shorter, t->payload_len--)
CHANGE(one_byte, t->payload_len = 1)
CHANGE(gap, t->seq++)
CHANGE(overlap, t->seq--)
CHANGE(again, t->seq -= TEST_LEN)
CHANGE(other_ack, t->ack++)
CHANGE(other_window, t->window++)
CHANGE(other_urgent, t->urgent++)
CHANGE(more_options, t->options_len = 4)
CHANGE(with_push, t->flags = TEST_ACK | TEST_PSH)
CHANGE(without_csum, t->has_no_csum = true)

TEST(coalesce, what_ip_says_must_be_equal)
{
	for (int is_udp = 0; is_udp < 2; is_udp++) {
		for (int is_v6 = 0; is_v6 < 2; is_v6++) {
			CHECK(merges(is_v6, is_udp, NULL));
			CHECK(!merges(is_v6, is_udp, other_source));
			CHECK(!merges(is_v6, is_udp, other_destination));
			CHECK(!merges(is_v6, is_udp, other_source_port));
			CHECK(!merges(is_v6, is_udp, other_destination_port));
			CHECK(!merges(is_v6, is_udp, other_ecn));
			CHECK(!merges(is_v6, is_udp, other_dscp));
			CHECK(!merges(is_v6, is_udp, other_ttl));
			CHECK(!merges(is_v6, is_udp, empty));
			CHECK(!merges(is_v6, is_udp, longer));
			CHECK(merges(is_v6, is_udp, shorter));
			CHECK(merges(is_v6, is_udp, one_byte));
		}
		CHECK(!merges(true, is_udp, other_flow_label));
		CHECK(!merges(false, is_udp, without_df));
		CHECK(!merges(false, is_udp, with_evil_bit));
		CHECK(!merges(false, is_udp, with_more_fragments));
		CHECK(!merges(false, is_udp, with_offset));
		CHECK(!merges(false, is_udp, with_ip_options));
	}
}

TEST(coalesce, what_tcp_says_must_go_on)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		CHECK(!merges(is_v6, false, gap));
		CHECK(!merges(is_v6, false, overlap));
		CHECK(!merges(is_v6, false, again));
		CHECK(!merges(is_v6, false, other_ack));
		CHECK(!merges(is_v6, false, other_window));
		CHECK(!merges(is_v6, false, other_urgent));
		CHECK(!merges(is_v6, false, more_options));
		CHECK(merges(is_v6, false, with_push));
	}
}

TEST(coalesce, tcp_flags_other_than_ack_and_push_stand_alone)
{
	for (unsigned flags = 1; flags < 0x1000; flags++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(false, false), odd = nth(t, 1);
		odd.flags = (uint16_t)flags;
		add(t);
		add(odd);
		add(nth(t, 2));
		const char *want = flags == TEST_ACK                ? "3"
				   : flags == (TEST_ACK | TEST_PSH) ? "2,1"
								    : "1,1,1";
		CHECK_STR(shape(), want);
	}
}

TEST(coalesce, option_bytes_must_be_equal)
{
	for (unsigned at = 0; at < 12; at++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(false, false);
		t.options_len = 12;
		struct test_packet second = nth(t, 1), third = nth(t, 2);
		add(t);
		add(second);
		third.options[at] ^= 1;
		add(third);
		CHECK_STR(shape(), "2,1");
	}
}

TEST(coalesce, header_lengths_must_be_equal_even_where_the_bytes_are)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(false, false), second = nth(t, 1);
	add(t);
	second.options_len = 4;
	memcpy(second.options, slab[0] + 40, 4); /* the first payload's first bytes */
	add(second);
	CHECK_STR(shape(), "1,1");
}

TEST(coalesce, packets_with_ip_options_stand_alone_even_if_all_have_them)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(false, false);
	t.ip_options_len = 8;
	for (uint32_t k = 0; k < 3; k++)
		add(nth(t, k));
	CHECK_STR(shape(), "1,1,1");
}

TEST(coalesce, without_df_identifications_must_count_up)
{
	struct test_packet t = base_packet(false, false);
	CHECK(merges(false, false, other_id)); /* with DF it has no meaning */
	t.fragment = 0;
	t.id = 0xffff;
	begin(FZ_COALESCE_ALL);
	add(t);
	add(nth(t, 1));
	add(nth(t, 2));
	CHECK_STR(shape(), "3");
	begin(FZ_COALESCE_ALL);
	add(t);
	add(nth(t, 1));
	struct test_packet third = nth(t, 2);
	third.id++;
	add(third);
	CHECK_STR(shape(), "2,1");
}

TEST(coalesce, push_is_kept_and_ends_the_item)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(false, false), second = nth(t, 1);
	second.flags = TEST_ACK | TEST_PSH;
	add(t);
	add(second);
	add(nth(t, 2));
	add(nth(t, 3));
	CHECK_STR(shape(), "2,2");
	const uint8_t *first = fz_coalesce_item(c, 0)->iov[0].iov_base,
		      *last = fz_coalesce_item(c, 1)->iov[0].iov_base;
	CHECK_UINT(first[10 + 33], TEST_ACK | TEST_PSH);
	CHECK_UINT(last[10 + 33], TEST_ACK);

	begin(FZ_COALESCE_ALL);
	t.flags = TEST_ACK | TEST_PSH;
	add(t);
	t.flags = 0;
	add(nth(t, 1));
	CHECK_STR(shape(), "1,1");
}

TEST(coalesce, a_short_segment_ends_the_item)
{
	for (int kind = 0; kind < 4; kind++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(kind & 1, kind & 2), tail = nth(t, 2);
		add(t);
		add(nth(t, 1));
		tail.payload_len -= 10;
		add(tail);
		struct test_packet more = nth(t, 3);
		more.seq -= 10;
		more.payload_len = 10;
		add(more);
		CHECK_STR(shape(), "3,1");
	}
}

TEST(coalesce, an_item_holds_64_segments)
{
	for (int kind = 0; kind < 4; kind++) {
		begin(FZ_COALESCE_ALL);
		for (uint32_t k = 0; k < 130; k++)
			add(nth(base_packet(kind & 1, kind & 2), k));
		CHECK_STR(shape(), "64,64,2");
		CHECK_UINT(fz_coalesce_item(c, 0)->n_iov, 65);
		CHECK(fz_coalesce_item(c, 0)->n_iov <= FZ_COALESCE_IOV_MAX);
	}
}

TEST(coalesce, an_item_is_never_longer_than_ip_allows)
{
	for (int kind = 0; kind < 4; kind++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(kind & 1, kind & 2);
		uint32_t headers = (t.is_v6 ? 40u : 20u) + (t.is_udp ? 8u : 20u);
		t.payload_len = 1400;
		for (uint32_t k = 0; k < 50; k++) {
			struct test_packet next = t;
			next.seq += k * 1400;
			add(next);
		}
		CHECK_STR(shape(), "46,4");
		CHECK(fz_coalesce_item(c, 0)->len == 10 + headers + 46 * 1400);
	}
	/* To the byte: 46 of 1423 and 37 of payload are 65535 with 40 of headers. */
	for (uint32_t last = 37; last < 39; last++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(false, false);
		for (uint32_t k = 0; k < 47; k++) {
			struct test_packet next = t;
			next.seq += k * 1423;
			next.payload_len = k < 46 ? 1423 : last;
			add(next);
		}
		CHECK_STR(shape(), last == 37 ? "47" : "46,1");
	}
}

TEST(coalesce, flows_interleave_without_ending_each_other)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet flows[4];
	for (unsigned f = 0; f < 4; f++) {
		flows[f] = base_packet(f & 1, f & 2);
		flows[f].sport = (uint16_t)(2000 + f);
	}
	for (uint32_t k = 0; k < 10; k++)
		for (unsigned f = 0; f < 4; f++)
			add(nth(flows[f], k));
	CHECK_STR(shape(), "10,10,10,10");
	for (unsigned f = 0; f < 4; f++)
		CHECK(fz_coalesce_packet(c, f, 3).p == slab[3 * 4 + f]);
}

TEST(coalesce, what_cannot_be_merged_ends_its_flows_item)
{
	static change_fn *const closing[] = { empty, other_ttl, other_ecn, other_ack, gap,
		with_more_fragments, with_offset, with_ip_options };
	for (size_t i = 0; i < sizeof(closing) / sizeof(*closing); i++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(false, false), odd = nth(t, 1);
		add(t);
		closing[i](&odd);
		add(odd);
		add(nth(t, 1));
		add(nth(t, 2));
		CHECK_STR(shape(), "1,1,2");
	}
}

TEST(coalesce, a_datagram_without_checksum_stands_alone_and_keeps_its_place)
{
	CHECK(!merges(false, true, without_csum));
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(false, true), none = nth(t, 1);
	none.has_no_csum = true;
	add(t);
	add(none);
	add(nth(t, 2));
	CHECK_STR(shape(), "1,1,1");
}

/* The one datagram for which a zero checksum field also verifies. */
TEST(coalesce, a_missing_checksum_that_happens_to_verify_is_still_missing)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(is_v6, true), next = nth(t, 1);
		add(t);
		struct fz_span p = write_packet(&next);
		uint8_t *l4 = p.p + test_packet_l4_at(p.p);
		uint32_t sum = (uint32_t)fz_be16_load(l4 + 8) + fz_be16_load(l4 + 6);
		fz_be16_store(l4 + 8, (uint16_t)((sum & 0xffff) + (sum >> 16)));
		test_packet_finish(p.p, p.n);
		CHECK_UINT(fz_be16_load(l4 + 6), 0xffff);
		fz_be16_store(l4 + 6, 0);
		CHECK(fz_coalesce_add(c, p));
		CHECK_STR(shape(), "1,1");
	}
}

TEST(coalesce, a_udp_length_that_is_not_the_packets_stands_alone)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		for (int delta = -1; delta <= 1; delta += 2) {
			begin(FZ_COALESCE_ALL);
			struct test_packet t = base_packet(is_v6, true), next = nth(t, 1);
			add(t);
			struct fz_span p = write_packet(&next);
			size_t l4 = test_packet_l4_at(p.p);
			fz_be16_store(p.p + l4 + 4, (uint16_t)(8 + TEST_LEN + delta));
			test_packet_finish(p.p, p.n);
			CHECK(fz_coalesce_add(c, p));
			CHECK_STR(shape(), "1,1");
		}
	}
}

TEST(coalesce, an_ip_length_that_is_not_the_packets_stands_alone)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(is_v6, false), next = nth(t, 1);
		add(t);
		struct fz_span p = write_packet(&next);
		CHECK(fz_coalesce_add(c, fz_span_of(p.p, p.n + 1)));
		add(nth(t, 2));
		CHECK_STR(shape(), "1,1,1");
	}
}

TEST(coalesce, a_lying_ip_length_stands_alone_even_with_right_checksums)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(is_v6, false), next = nth(t, 1);
		add(t);
		struct fz_span p = write_packet(&next);
		size_t at = is_v6 ? 4 : 2;
		fz_be16_store(p.p + at, (uint16_t)(fz_be16_load(p.p + at) - 2));
		test_packet_finish(p.p, p.n);
		CHECK(fz_coalesce_add(c, p));
		CHECK_STR(shape(), "1,1");
	}
}

TEST(coalesce, a_wrong_inner_checksum_is_never_hidden)
{
	for (int kind = 0; kind < 4; kind++) {
		for (uint32_t bad = 0; bad < 3; bad++) {
			struct test_packet t = base_packet(kind & 1, kind & 2);
			begin(FZ_COALESCE_ALL);
			struct fz_span damaged = { 0 };
			for (uint32_t k = 0; k < 5; k++) {
				struct test_packet next = nth(t, k);
				struct fz_span p = write_packet(&next);
				if (k == bad) {
					damaged = p;
					p.p[p.n - 1] ^= 0x10;
				}
				CHECK(fz_coalesce_add(c, p));
			}
			CHECK_STR(shape(), bad == 0 ? "1,4" : bad == 1 ? "1,1,3" : "2,1,2");
			const struct fz_coalesce_item *it = fz_coalesce_item(c, bad ? 1 : 0);
			CHECK_UINT(it->n_packets, 1);
			CHECK(it->iov[1].iov_base == damaged.p);
		}
	}
}

TEST(coalesce, a_wrong_ip_header_checksum_is_never_hidden)
{
	for (uint32_t bad = 0; bad < 2; bad++) {
		begin(FZ_COALESCE_ALL);
		for (uint32_t k = 0; k < 2; k++) {
			struct test_packet next = nth(base_packet(false, true), k);
			struct fz_span p = write_packet(&next);
			if (k == bad)
				p.p[10] ^= 1;
			CHECK(fz_coalesce_add(c, p));
		}
		CHECK_STR(shape(), "1,1");
	}
}

TEST(coalesce, a_fragment_ends_the_items_of_its_address_pair_alone)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet one = base_packet(false, false), other = one, odd = one;
	other.src = 9;
	odd.fragment = 3;
	add(one);
	add(other);
	add(odd);
	add(nth(one, 1));
	add(nth(other, 1));
	CHECK_STR(shape(), "1,2,1,1");
}

TEST(coalesce, an_ipv6_extension_header_ends_the_items_of_its_address_pair)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(true, false), next = nth(t, 1);
	add(t);
	struct fz_span p = write_packet(&next);
	p.p[6] = 44;
	CHECK(fz_coalesce_add(c, p));
	add(nth(t, 1));
	CHECK_STR(shape(), "1,1,1");
}

TEST(coalesce, a_ping_disturbs_nothing)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		begin(FZ_COALESCE_ALL);
		struct test_packet t = base_packet(is_v6, false), ping = t;
		add(t);
		struct fz_span p = write_packet(&ping);
		p.p[is_v6 ? 6 : 9] = is_v6 ? 58 : 1;
		CHECK(fz_coalesce_add(c, p));
		add(nth(t, 1));
		CHECK_STR(shape(), "2,1");
	}
}

TEST(coalesce, tcp_and_udp_with_the_same_ports_are_two_flows)
{
	begin(FZ_COALESCE_ALL);
	for (uint32_t k = 0; k < 3; k++) {
		add(nth(base_packet(false, false), k));
		add(nth(base_packet(false, true), k));
	}
	/* They may share a slot; then nothing merges. Never are they mixed. */
	const char *s = shape();
	CHECK(strcmp(s, "3,3") == 0 || strcmp(s, "1,1,1,1,1,1") == 0);
}

TEST(coalesce, a_full_one_says_so_and_loses_nothing)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(false, true);
	for (uint32_t k = 0; k < FZ_COALESCE_PACKETS_MAX; k++)
		add(nth(t, k));
	struct test_packet more = nth(t, FZ_COALESCE_PACKETS_MAX);
	CHECK(!fz_coalesce_add(c, write_packet(&more)));
	CHECK_STR(shape(), "64,64,64,64,64,64,64,64");
	begin(FZ_COALESCE_ALL);
	CHECK_UINT(fz_coalesce_end(c), 0);
	add(t);
	CHECK_STR(shape(), "1");
}

TEST(coalesce, a_flush_of_pairs_has_headers_for_all_of_them)
{
	begin(FZ_COALESCE_ALL);
	struct test_packet t = base_packet(true, false);
	t.options_len = 40;
	for (uint32_t k = 0; k < FZ_COALESCE_PACKETS_MAX; k++) {
		struct test_packet next = t;
		next.sport = (uint16_t)(k / 2);
		next.seq += k % 2 * TEST_LEN;
		next.flags = k % 2 ? TEST_ACK | TEST_PSH : TEST_ACK;
		add(next);
	}
	size_t n = fz_coalesce_end(c);
	CHECK_UINT(n, FZ_COALESCE_PACKETS_MAX / 2);
	for (size_t i = 0; i < n; i++) {
		const struct fz_coalesce_item *it = fz_coalesce_item(c, i);
		const uint8_t *header = it->iov[0].iov_base;
		CHECK_UINT(it->n_packets, 2);
		CHECK_UINT(it->iov[0].iov_len, 10 + 40 + 60);
		CHECK_UINT(fz_be16_load(header + 10 + 40), i);
	}
}

TEST(coalesce, packets_are_never_changed)
{
	begin(FZ_COALESCE_ALL);
	static uint8_t before[20][ROOM];
	for (uint32_t k = 0; k < 20; k++)
		add(nth(base_packet(k % 2, false), k / 2));
	memcpy(before, slab, sizeof(before));
	CHECK_STR(shape(), "10,10");
	CHECK_MEM(before, slab, sizeof(before));
	for (size_t k = 0; k < 10; k++) {
		struct fz_bytes p = fz_coalesce_packet(c, 1, k);
		CHECK(p.p == slab[2 * k + 1]);
		CHECK_UINT(p.n, 60 + TEST_LEN);
	}
}

TEST(coalesce, short_and_strange_packets_pass)
{
	begin(FZ_COALESCE_ALL);
	struct test_rng rng = { 5 };
	for (uint32_t k = 0; k < 500; k++) {
		test_rng_fill(&rng, slab[k], 80);
		if (k % 3)
			slab[k][0] = k % 3 == 1 ? 0x45 : 0x60;
		CHECK(fz_coalesce_add(c, fz_span_of(slab[k], k % 81)));
	}
	CHECK_UINT(fz_coalesce_end(c), 500);
	for (size_t k = 0; k < 500; k++)
		CHECK(fz_coalesce_item(c, k)->iov[1].iov_base == slab[k]);
}

TEST(coalesce, without_memory_there_is_none)
{
	fz_fail_at(1);
	CHECK(!fz_coalesce_new());
	fz_fail_at(0);
	fz_coalesce_free(NULL);
}
