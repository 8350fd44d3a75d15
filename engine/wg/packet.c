/* Overlays the fixed headers only: options and extension headers are none of the tunnel's business. */
#include "wg/packet.h"

#include <assert.h>

#define PROTOCOL_UDP      17u
#define PROTOCOL_FRAGMENT 44u
#define IP4_OFFSET        0x1fffu
#define IP6_OFFSET        0xfff8u

static_assert(sizeof(struct wg_ip4_header) == 20, "IPv4 header is 20 bytes");
static_assert(sizeof(struct wg_ip6_header) == 40, "IPv6 header is 40 bytes");

bool wg_inner_parse(struct fz_bytes packet, struct wg_inner *ret_inner)
{
	if (packet.n < sizeof(struct wg_ip4_header))
		return false;
	if (packet.p[0] >> 4 == 4) {
		const struct wg_ip4_header *h = (const struct wg_ip4_header *)packet.p;
		*ret_inner = (struct wg_inner){ .family = FZ_IP4,
			.src = h->src,
			.dst = h->dst,
			.len = fz_be16_get(h->total_len),
			.ecn = h->tos & WG_ECN_MASK };
		return ret_inner->len >= sizeof(*h);
	}
	if (packet.p[0] >> 4 != 6 || packet.n < sizeof(struct wg_ip6_header))
		return false;
	const struct wg_ip6_header *h = (const struct wg_ip6_header *)packet.p;
	*ret_inner = (struct wg_inner){ .family = FZ_IP6,
		.src = h->src,
		.dst = h->dst,
		.len = (uint32_t)sizeof(*h) + fz_be16_get(h->payload_len),
		.ecn = fz_be32_get(h->version_class_flow) >> 20 & WG_ECN_MASK };
	return true;
}

/* Where the UDP header is; 0: there is none. */
static size_t udp_at(struct fz_bytes packet, const struct wg_inner *inner)
{
	if (inner->family == FZ_IP4) {
		const struct wg_ip4_header *h = (const struct wg_ip4_header *)packet.p;
		bool is_first = (fz_be16_get(h->fragment) & IP4_OFFSET) == 0;
		return h->protocol == PROTOCOL_UDP && is_first ? (h->version_ihl & 15u) * 4u : 0;
	}
	const struct wg_ip6_header *h = (const struct wg_ip6_header *)packet.p;
	if (h->next_header == PROTOCOL_UDP)
		return sizeof(*h);
	/* RFC 8200 4.5: next header, reserved, offset and flags, identification */
	const uint8_t *f = packet.p + sizeof(*h);
	bool is_first = h->next_header == PROTOCOL_FRAGMENT && packet.n >= sizeof(*h) + 8 &&
			f[0] == PROTOCOL_UDP && (fz_be16_load(f + 2) & IP6_OFFSET) == 0;
	return is_first ? sizeof(*h) + 8 : 0;
}

bool wg_inner_udp_ports(struct fz_bytes packet, uint16_t *ret_src, uint16_t *ret_dst)
{
	struct wg_inner inner;
	if (!wg_inner_parse(packet, &inner))
		return false;
	size_t at = udp_at(packet, &inner);
	if (at < sizeof(struct wg_ip4_header) || packet.n < at + 4)
		return false;
	*ret_src = fz_be16_load(packet.p + at);
	*ret_dst = fz_be16_load(packet.p + at + 2);
	return true;
}

/* RFC 1624: the checksum follows a changed 16-bit word. */
static fz_be16 checksum_update(fz_be16 old, uint16_t from, uint16_t to)
{
	uint32_t sum = (uint16_t)~fz_be16_get(old) + (uint32_t)(uint16_t)~from + to;
	return fz_be16_of(wg_checksum_finish(sum));
}

static void set_ecn4(struct wg_ip4_header *h, uint8_t ecn)
{
	uint16_t from = (uint16_t)(h->version_ihl << 8 | h->tos);
	h->tos = (uint8_t)((h->tos & ~WG_ECN_MASK) | ecn);
	h->checksum = checksum_update(h->checksum, from, (uint16_t)(h->version_ihl << 8 | h->tos));
}

static void set_ecn6(struct wg_ip6_header *h, uint8_t ecn)
{
	uint32_t word = fz_be32_get(h->version_class_flow);
	h->version_class_flow = fz_be32_of((word & ~(WG_ECN_MASK << 20)) | (uint32_t)ecn << 20);
}

void wg_ecn_decapsulate(struct fz_span packet, uint8_t outer)
{
	struct wg_inner inner;
	if (outer != WG_ECN_CE && outer != WG_ECN_ECT1)
		return;
	if (!wg_inner_parse(fz_span_bytes(packet), &inner))
		return;
	/* A sender without ECN can't be told: the mark is lost, as in the kernel driver. */
	bool marks = outer == WG_ECN_CE ? inner.ecn == WG_ECN_ECT0 || inner.ecn == WG_ECN_ECT1
					: inner.ecn == WG_ECN_ECT0;
	if (!marks)
		return;
	if (inner.family == FZ_IP4)
		set_ecn4((struct wg_ip4_header *)packet.p, outer);
	else
		set_ecn6((struct wg_ip6_header *)packet.p, outer);
}

uint32_t wg_checksum_add(uint32_t sum, struct fz_bytes in)
{
	uint64_t wide = sum;
	size_t i = 0;
	for (; in.n - i >= 2; i += 2)
		wide += fz_be16_load(in.p + i);
	if (i < in.n)
		wide += (uint32_t)in.p[i] << 8;
	while (wide >> 32)
		wide = (wide & UINT32_MAX) + (wide >> 32);
	return (uint32_t)wide;
}

uint16_t wg_checksum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
