/* ECN both ways, what counts as an inner packet, where its transport begins, and ICMP answers. */
#include "sim/engine.h"
#include "wg/icmp.h"
#include "wg/packet.h"
#include "wg/transport.h"

/* Header with a right checksum. */
static size_t write4(uint8_t *out, size_t cap, uint8_t tos, uint8_t protocol, size_t len)
{
	size_t n = sim_write_ip4(fz_span_of(out, cap), 1, 2, len, 0);
	struct wg_ip4_header *h = (struct wg_ip4_header *)out;
	h->tos = tos;
	h->protocol = protocol;
	h->checksum =
		fz_be16_of(wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(h, sizeof(*h)))));
	return n;
}

static size_t write6(uint8_t *out, size_t cap, uint8_t tclass, uint8_t protocol, size_t len)
{
	size_t n = sim_write_ip6(fz_span_of(out, cap), 1, 2, len, 0);
	struct wg_ip6_header *h = (struct wg_ip6_header *)out;
	h->version_class_flow = fz_be32_of(6u << 28 | (uint32_t)tclass << 20 | 0x12345);
	h->next_header = protocol;
	return n;
}

static bool header_sum_is_right(const uint8_t *ip4)
{
	return wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(ip4, 20))) == 0;
}

TEST(ecn, outer_takes_the_inner_bits_but_not_congestion)
{
	static const uint8_t want[4] = { 0, 1, 2, 2 };
	for (uint8_t inner = 0; inner < 4; inner++)
		CHECK_UINT(wg_ecn_encapsulate(inner), want[inner]);
}

TEST(ecn, congestion_outside_reaches_inner_packets_that_know_ecn)
{
	/* [outer][inner], RFC 6040 figure 4; the cell that says "drop" keeps the packet as the kernel does. */
	static const uint8_t want[4][4] = { { 0, 1, 2, 3 }, { 0, 1, 1, 3 }, { 0, 1, 2, 3 },
		{ 0, 3, 3, 3 } };
	uint8_t pkt[128];
	for (uint8_t outer = 0; outer < 4; outer++) {
		for (uint8_t inner = 0; inner < 4; inner++) {
			size_t n = write4(pkt, sizeof(pkt), 0xb8 | inner, 17, 20);
			wg_ecn_decapsulate(fz_span_of(pkt, n), outer);
			CHECK_UINT(pkt[1], 0xb8 | want[outer][inner]);
			CHECK(header_sum_is_right(pkt));
			n = write6(pkt, sizeof(pkt), 0xb8 | inner, 17, 20);
			wg_ecn_decapsulate(fz_span_of(pkt, n), outer);
			CHECK_UINT(fz_be32_load(pkt),
				6u << 28 | (uint32_t)(0xb8 | want[outer][inner]) << 20 | 0x12345);
		}
	}
}

TEST(ecn, checksums_follow_for_every_header)
{
	struct test_rng rng = { 21 };
	for (int i = 0; i < 3000; i++) {
		uint8_t pkt[64];
		size_t n = write4(pkt, sizeof(pkt), (uint8_t)test_rng_next(&rng), 17, 20);
		test_rng_fill(&rng, pkt + 4, 4);
		test_rng_fill(&rng, pkt + 12, 8);
		memset(pkt + 10, 0, 2);
		fz_be16_store(
			pkt + 10, wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(pkt, 20))));
		wg_ecn_decapsulate(fz_span_of(pkt, n), (uint8_t)test_rng_below(&rng, 4));
		CHECK(header_sum_is_right(pkt));
	}
}

TEST(inner, a_packet_needs_a_whole_header_of_a_known_version)
{
	uint8_t pkt[64];
	struct wg_inner inner;
	size_t n = write4(pkt, sizeof(pkt), 2, 17, 12);
	CHECK(wg_inner_parse(fz_bytes_of(pkt, n), &inner));
	CHECK_UINT(inner.len, 32);
	CHECK_UINT(inner.ecn, 2);
	CHECK(wg_inner_parse(fz_bytes_of(pkt, 20), &inner));
	CHECK(!wg_inner_parse(fz_bytes_of(pkt, 19), &inner));
	CHECK(!wg_inner_parse(fz_bytes_of(NULL, 0), &inner));
	fz_be16_store(pkt + 2, 19);
	CHECK(!wg_inner_parse(fz_bytes_of(pkt, n), &inner));
	pkt[0] = 0x55;
	CHECK(!wg_inner_parse(fz_bytes_of(pkt, n), &inner));
	n = write6(pkt, sizeof(pkt), 1, 17, 12);
	CHECK(wg_inner_parse(fz_bytes_of(pkt, 40), &inner));
	CHECK_UINT(inner.len, 52);
	CHECK_UINT(inner.ecn, 1);
	CHECK(!wg_inner_parse(fz_bytes_of(pkt, 39), &inner));
	fz_be16_store(pkt + 4, 65535);
	CHECK(wg_inner_parse(fz_bytes_of(pkt, n), &inner));
	CHECK_UINT(inner.len, 65575); /* more than 16 bits */
}

TEST(inner, ports_are_read_of_udp_alone_and_of_the_first_fragment_alone)
{
	uint8_t pkt[64];
	uint16_t src = 1, dst = 2;
	size_t n = write4(pkt, sizeof(pkt), 0, 17, 8);
	fz_be16_store(pkt + 20, 51820);
	fz_be16_store(pkt + 22, 53);
	CHECK(wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	CHECK_UINT(src, 51820);
	CHECK_UINT(dst, 53);
	CHECK(wg_inner_udp_ports(fz_bytes_of(pkt, 24), &src, &dst));
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, 23), &src, &dst));
	fz_be16_store(pkt + 6, 0x2000); /* more fragments follow this first one */
	CHECK(wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	fz_be16_store(pkt + 6, 0x0001);
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	fz_be16_store(pkt + 6, 0);
	pkt[0] = 0x46; /* four bytes of options */
	CHECK(wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	CHECK_UINT(src, fz_be16_load(pkt + 24));
	pkt[0] = 0x44; /* less than a header */
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	n = write4(pkt, sizeof(pkt), 0, 6, 8);
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));

	n = write6(pkt, sizeof(pkt), 0, 17, 16);
	fz_be16_store(pkt + 40, 7);
	fz_be16_store(pkt + 42, 9);
	CHECK(wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	CHECK_UINT(src, 7);
	CHECK_UINT(dst, 9);
	pkt[6] = 44;
	memcpy(pkt + 40, (const uint8_t[12]){ 17, 0, 0, 1, 0, 0, 0, 5, 0, 80, 0, 81 }, 12);
	CHECK(wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	CHECK_UINT(src, 80);
	CHECK_UINT(dst, 81);
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, 51), &src, &dst));
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, 47), &src, &dst));
	pkt[43] = 8; /* the second fragment */
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
	pkt[43] = 0;
	pkt[40] = 58;
	CHECK(!wg_inner_udp_ports(fz_bytes_of(pkt, n), &src, &dst));
}

/* ---- ICMP ---- */

TEST(icmp, an_ipv4_packet_is_answered_by_its_destination)
{
	uint8_t pkt[1500], out[1500];
	size_t n = write4(pkt, sizeof(pkt), 0, 6, 40);
	size_t len = wg_icmp_write_unreachable(fz_bytes_of(pkt, n), fz_span_of(out, sizeof(out)));
	CHECK_UINT(len, 28 + n);
	CHECK(header_sum_is_right(out));
	CHECK_MEM(out + 12, pkt + 16, 4);
	CHECK_MEM(out + 16, pkt + 12, 4);
	CHECK_UINT(fz_be16_load(out + 2), len);
	CHECK_UINT(out[9], 1);
	CHECK_UINT(out[20], 3);
	CHECK_UINT(out[21], 1);
	CHECK_UINT(wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(out + 20, len - 20))), 0);
	CHECK_MEM(out + 28, pkt, n);
	n = write4(pkt, sizeof(pkt), 0, 6, 1400);
	CHECK_UINT(
		wg_icmp_write_unreachable(fz_bytes_of(pkt, n), fz_span_of(out, sizeof(out))), 576);
	CHECK_UINT(wg_icmp_write_unreachable(fz_bytes_of(pkt, n), fz_span_of(out, 575)), 0);
}

TEST(icmp, an_ipv6_packet_is_answered_by_its_destination)
{
	uint8_t pkt[1500], out[1500];
	size_t n = write6(pkt, sizeof(pkt), 0, 6, 33);
	size_t len = wg_icmp_write_unreachable(fz_bytes_of(pkt, n), fz_span_of(out, sizeof(out)));
	CHECK_UINT(len, 48 + n);
	CHECK_MEM(out + 8, pkt + 24, 16);
	CHECK_MEM(out + 24, pkt + 8, 16);
	CHECK_UINT(out[6], 58);
	CHECK_UINT(out[40], 1);
	CHECK_UINT(out[41], 3);
	uint32_t sum = wg_checksum_add((uint32_t)(len - 40) + 58, fz_bytes_of(out + 8, 32));
	CHECK_UINT(wg_checksum_finish(wg_checksum_add(sum, fz_bytes_of(out + 40, len - 40))), 0);
	CHECK_MEM(out + 48, pkt, n);
	n = write6(pkt, sizeof(pkt), 0, 6, 1400);
	CHECK_UINT(
		wg_icmp_write_unreachable(fz_bytes_of(pkt, n), fz_span_of(out, sizeof(out))), 1280);
}

static size_t answer(const uint8_t *pkt, size_t n)
{
	uint8_t out[1500];
	return wg_icmp_write_unreachable(fz_bytes_of(pkt, n), fz_span_of(out, sizeof(out)));
}

TEST(icmp, errors_fragments_and_groups_are_not_answered)
{
	static const uint8_t groups[][4] = { { 224, 0, 0, 1 }, { 239, 1, 1, 1 },
		{ 255, 255, 255, 255 } };
	static const uint8_t senders[][4] = { { 0, 0, 0, 0 }, { 127, 0, 0, 1 }, { 224, 0, 0, 5 } };
	uint8_t pkt[128];
	size_t n = write4(pkt, sizeof(pkt), 0, 1, 16);
	for (unsigned type = 0; type < 20; type++) {
		pkt[20] = (uint8_t)type;
		bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
		bool is_query = type == 0 || type == 8 || type == 13;
		CHECK(!is_error || answer(pkt, n) == 0);
		CHECK(!is_query || answer(pkt, n) > 0);
	}
	CHECK_UINT(answer(pkt, 20), 0); /* can't tell */
	n = write4(pkt, sizeof(pkt), 0, 17, 16);
	CHECK(answer(pkt, n) > 0);
	pkt[7] = 1;
	CHECK_UINT(answer(pkt, n), 0);
	pkt[6] = 0x20; /* the first fragment */
	pkt[7] = 0;
	CHECK(answer(pkt, n) > 0);
	for (size_t i = 0; i < 3; i++) {
		n = write4(pkt, sizeof(pkt), 0, 17, 16);
		memcpy(pkt + 16, groups[i], 4);
		CHECK_UINT(answer(pkt, n), 0);
		n = write4(pkt, sizeof(pkt), 0, 17, 16);
		memcpy(pkt + 12, senders[i], 4);
		CHECK_UINT(answer(pkt, n), 0);
	}
}

TEST(icmp, ipv6_errors_are_found_behind_extension_headers)
{
	uint8_t pkt[128];
	size_t n = write6(pkt, sizeof(pkt), 0, 58, 16);
	pkt[40] = 1;
	CHECK_UINT(answer(pkt, n), 0);
	pkt[40] = 128;
	CHECK(answer(pkt, n) > 0);
	n = write6(pkt, sizeof(pkt), 0, 0, 40); /* hop-by-hop, then ICMPv6 */
	pkt[40] = 58;
	pkt[41] = 1;
	pkt[56] = 3;
	CHECK_UINT(answer(pkt, n), 0);
	pkt[56] = 129;
	CHECK(answer(pkt, n) > 0);
	pkt[41] = 255; /* beyond the end */
	CHECK_UINT(answer(pkt, n), 0);
	n = write6(pkt, sizeof(pkt), 0, 44, 40);
	pkt[40] = 17;
	fz_be16_store(pkt + 42, 1); /* first fragment */
	CHECK(answer(pkt, n) > 0);
	fz_be16_store(pkt + 42, 8);
	CHECK_UINT(answer(pkt, n), 0);
	n = write6(pkt, sizeof(pkt), 0, 17, 16);
	pkt[24] = 0xff;
	CHECK_UINT(answer(pkt, n), 0);
	n = write6(pkt, sizeof(pkt), 0, 17, 16);
	memset(pkt + 8, 0, 16);
	CHECK_UINT(answer(pkt, n), 0);
	pkt[23] = 1;
	CHECK_UINT(answer(pkt, n), 0);
}

TEST(icmp, answers_are_few_per_second)
{
	uint8_t pkt[128], out[WG_ICMP_MAX];
	size_t n = write4(pkt, sizeof(pkt), 0, 17, 16);
	struct sim_pair *p = sim_pair_new(1);
	int sent = 0;
	for (int i = 0; i < 1000; i++)
		sent += wg_icmp_unreachable(p->a.device, p->now.at, fz_bytes_of(pkt, n),
				fz_span_of(out, sizeof(out))) > 0;
	CHECK_INT(sent, 50);
	p->now.at = fz_time_add(p->now.at, FZ_MILLISECONDS(10));
	CHECK(wg_icmp_unreachable(p->a.device, p->now.at, fz_bytes_of(pkt, n),
		      fz_span_of(out, sizeof(out))) > 0);
	CHECK(wg_icmp_unreachable(p->a.device, p->now.at, fz_bytes_of(pkt, n),
		      fz_span_of(out, sizeof(out))) == 0);
	sim_pair_free(p);
}

/* ---- the transport's header ---- */

TEST(transport, options_are_skipped)
{
	uint8_t buf[128];
	struct wg_transport t;
	size_t n = write4(buf, sizeof(buf), 0, 17, 60);
	buf[0] = 0x46;
	fz_be16_store(buf + 24, 0x1234);
	CHECK(wg_transport_find(fz_bytes_of(buf, n), FZ_IP4, &t));
	CHECK_UINT(t.protocol, 17);
	CHECK(!t.is_later_fragment);
	CHECK_UINT(fz_reader_be16(&t.at), 0x1234);
	buf[0] = 0x44;
	CHECK(!wg_transport_find(fz_bytes_of(buf, n), FZ_IP4, &t));
	buf[0] = 0x4f;
	CHECK(!wg_transport_find(fz_bytes_of(buf, 59), FZ_IP4, &t));
}

TEST(transport, later_fragments_show_none)
{
	uint8_t buf[128];
	struct wg_transport t;
	size_t n = write4(buf, sizeof(buf), 0, 17, 60);
	buf[7] = 1;
	CHECK(wg_transport_find(fz_bytes_of(buf, n), FZ_IP4, &t));
	CHECK(t.is_later_fragment && t.protocol == 17 && t.at.left == 0);
	n = write6(buf, sizeof(buf), 0, 44, 80);
	memset(buf + 40, 0, 8);
	buf[40] = 6;
	CHECK(wg_transport_find(fz_bytes_of(buf, n), FZ_IP6, &t));
	CHECK(!t.is_later_fragment && t.protocol == 6 && t.at.left == n - 48);
	buf[43] = 8;
	CHECK(wg_transport_find(fz_bytes_of(buf, n), FZ_IP6, &t));
	CHECK(t.is_later_fragment && t.protocol == 6 && t.at.left == 0);
}

/* A chain of `n` destination options of eight bytes each, then `protocol`; returns its end. */
static size_t write_chain(uint8_t *buf, size_t n, uint8_t protocol)
{
	memset(buf + 40, 0, 8 * n);
	for (size_t i = 0; i < n; i++)
		buf[40 + 8 * i] = i + 1 < n ? 60 : protocol;
	return 40 + 8 * n;
}

TEST(transport, a_chain_of_extensions_is_walked_to_its_bound_and_no_further)
{
	uint8_t buf[256];
	struct wg_transport t;
	size_t n = write6(buf, sizeof(buf), 0, 60, 200);
	for (size_t k = 1; k <= WG_TRANSPORT_EXTENSIONS_MAX; k++) {
		size_t end = write_chain(buf, k, 58);
		buf[end] = 200; /* the transport's first byte */
		CHECK(wg_transport_find(fz_bytes_of(buf, n), FZ_IP6, &t));
		CHECK_UINT(t.protocol, 58);
		CHECK_UINT(fz_reader_u8(&t.at), 200);
		/* Cut off anywhere within, it is no packet. */
		for (size_t cut = 0; cut < end; cut++)
			CHECK(!wg_transport_find(fz_bytes_of(buf, cut), FZ_IP6, &t));
	}
	write_chain(buf, WG_TRANSPORT_EXTENSIONS_MAX + 1, 58);
	CHECK(!wg_transport_find(fz_bytes_of(buf, n), FZ_IP6, &t));
}

TEST(transport, a_longer_extension_is_skipped_whole)
{
	uint8_t buf[256];
	struct wg_transport t;
	size_t n = write6(buf, sizeof(buf), 0, 43, 200);
	memset(buf + 40, 0, 24);
	buf[40] = 6;
	buf[41] = 2; /* sixteen bytes beyond the first eight */
	buf[64] = 77;
	CHECK(wg_transport_find(fz_bytes_of(buf, n), FZ_IP6, &t));
	CHECK_UINT(t.protocol, 6);
	CHECK_UINT(fz_reader_u8(&t.at), 77);
	buf[41] = 255;
	CHECK(!wg_transport_find(fz_bytes_of(buf, n), FZ_IP6, &t));
}
