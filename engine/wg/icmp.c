/* RFC 792, RFC 4443. The answer comes from the address the packet was sent to: it crosses every NAT the packet crossed. */
#include "wg/icmp.h"

#include <stdint.h>

#include "wg/packet.h"

#define ICMP_HEADER    8u
#define ICMP4_MAX      576u
#define ICMP6_MAX      1280u
#define TTL            64
#define PROTOCOL_ICMP4 1
#define PROTOCOL_ICMP6 58

static bool is_single_host4(const uint8_t a[static 4])
{
	return a[0] != 0 && a[0] < 224 && a[0] != 127;
}

static bool is_single_host6(const uint8_t a[static 16])
{
	static const uint8_t none[15];
	bool low = memcmp(a, none, sizeof(none)) == 0 && a[15] <= 1; /* unspecified, loopback */
	return a[0] != 0xff && !low;
}

/* Echo, timestamp, address mask and router messages are questions and answers; anything else counts as an error. */
static bool is_icmp4_query(uint8_t type)
{
	return type == 0 || type == 8 || type == 9 || type == 10 || (type >= 13 && type <= 18);
}

static bool deserves4(struct fz_bytes packet)
{
	const struct wg_ip4_header *h = (const struct wg_ip4_header *)packet.p;
	size_t header_len = (size_t)(h->version_ihl & 15) * 4;
	if (!is_single_host4(h->src) || h->dst[0] >= 224)
		return false;
	if (fz_be16_get(h->fragment) & 0x1fff)
		return false;
	if (h->protocol != PROTOCOL_ICMP4)
		return true;
	return header_len >= sizeof(*h) && packet.n > header_len &&
	       is_icmp4_query(packet.p[header_len]);
}

static size_t write4(struct fz_bytes packet, struct fz_span out)
{
	const struct wg_ip4_header *about = (const struct wg_ip4_header *)packet.p;
	size_t head = sizeof(struct wg_ip4_header) + ICMP_HEADER;
	size_t quoted = packet.n < ICMP4_MAX - head ? packet.n : ICMP4_MAX - head;
	if (!deserves4(packet) || out.n < head + quoted)
		return 0;
	memset(out.p, 0, head);
	memcpy(out.p + head, packet.p, quoted);
	struct wg_ip4_header *h = (struct wg_ip4_header *)out.p;
	h->version_ihl = 0x45;
	h->tos = 0xc0; /* internetwork control (RFC 1812 4.3.2.5) */
	h->total_len = fz_be16_of((uint16_t)(head + quoted));
	h->ttl = TTL;
	h->protocol = PROTOCOL_ICMP4;
	memcpy(h->src, about->dst, 4);
	memcpy(h->dst, about->src, 4);
	h->checksum =
		fz_be16_of(wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(h, sizeof(*h)))));
	uint8_t *icmp = out.p + sizeof(*h);
	icmp[0] = 3;
	icmp[1] = 1;
	fz_be16_store(icmp + 2,
		wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(icmp, ICMP_HEADER + quoted))));
	return head + quoted;
}

/* Walks the extension headers (each at least 8 bytes on). False: an ICMPv6 error, a later fragment, or no telling. */
static bool deserves6_payload(struct fz_bytes packet)
{
	struct fz_reader r = fz_reader_of(packet);
	fz_reader_skip(&r, 6);
	uint8_t next = fz_reader_u8(&r);
	fz_reader_skip(&r, sizeof(struct wg_ip6_header) - 7);
	while (next == 0 || next == 43 || next == 44 || next == 60) {
		bool is_fragment = next == 44;
		next = fz_reader_u8(&r);
		uint8_t len = fz_reader_u8(&r);
		if (is_fragment && fz_reader_be16(&r) & 0xfff8)
			return false;
		fz_reader_skip(&r, is_fragment ? 4 : 6 + (size_t)len * 8);
		if (r.bad)
			return false;
	}
	if (next != PROTOCOL_ICMP6)
		return true;
	return fz_reader_u8(&r) >= 128 && !r.bad;
}

static size_t write6(struct fz_bytes packet, struct fz_span out)
{
	const struct wg_ip6_header *about = (const struct wg_ip6_header *)packet.p;
	size_t head = sizeof(struct wg_ip6_header) + ICMP_HEADER;
	size_t quoted = packet.n < ICMP6_MAX - head ? packet.n : ICMP6_MAX - head;
	if (!is_single_host6(about->src) || about->dst[0] == 0xff || out.n < head + quoted)
		return 0;
	if (!deserves6_payload(packet))
		return 0;
	memset(out.p, 0, head);
	memcpy(out.p + head, packet.p, quoted);
	struct wg_ip6_header *h = (struct wg_ip6_header *)out.p;
	h->version_class_flow = fz_be32_of(UINT32_C(6) << 28);
	h->payload_len = fz_be16_of((uint16_t)(ICMP_HEADER + quoted));
	h->next_header = PROTOCOL_ICMP6;
	h->hop_limit = TTL;
	memcpy(h->src, about->dst, 16);
	memcpy(h->dst, about->src, 16);
	uint8_t *icmp = out.p + sizeof(*h);
	icmp[0] = 1;
	icmp[1] = 3;
	/* Pseudo-header: addresses, length, protocol. */
	uint32_t sum = wg_checksum_add((uint32_t)(ICMP_HEADER + quoted) + PROTOCOL_ICMP6,
		fz_bytes_of(h->src, sizeof(h->src) + sizeof(h->dst)));
	sum = wg_checksum_add(sum, fz_bytes_of(icmp, ICMP_HEADER + quoted));
	fz_be16_store(icmp + 2, wg_checksum_finish(sum));
	return head + quoted;
}

size_t wg_icmp_write_unreachable(struct fz_bytes packet, struct fz_span out)
{
	struct wg_inner inner;
	if (!wg_inner_parse(packet, &inner))
		return 0;
	return inner.family == FZ_IP4 ? write4(packet, out) : write6(packet, out);
}
