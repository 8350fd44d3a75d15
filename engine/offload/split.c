/*
 * The arithmetic is that of Linux' own segmentation (net/ipv4/tcp_offload.c, udp_offload.c):
 * the partial checksum the kernel left in the first header already holds the pseudo-header with the length of the whole,
 * so each segment takes the difference, which is right behind IPv6 routing headers too. hdr_len is never read.
 */
#include "offload/split.h"

#include "base/endian.h"
#include "offload/csum.h"
#include "offload/vnet.h"

#define IP4_LEN  20
#define IP6_LEN  40
#define TCP_LEN  20
#define UDP_LEN  8
#define TCP_FIN  0x001
#define TCP_PSH  0x008
#define TCP_CWR  0x080
#define TCP_CSUM 16
#define UDP_CSUM 6

/* Version and lengths. A super-packet's IP length is the packet's; a single one may be followed by link padding. */
static enum fz_split_verdict check_ip(struct fz_split *s, bool is_super)
{
	const uint8_t *p = s->packet.p;
	size_t n = s->packet.n, ip_len;
	if (n < IP4_LEN)
		return FZ_SPLIT_SHORT;
	switch (p[0] >> 4) {
	case 4:
		ip_len = fz_be16_load(p + 2);
		s->l4_at = (uint16_t)((p[0] & 15) * 4);
		if (s->l4_at < IP4_LEN || s->l4_at > n)
			return FZ_SPLIT_HEADER;
		if (ip_len < s->l4_at)
			return FZ_SPLIT_TRUNCATED;
		break;
	case 6:
		if (n < IP6_LEN)
			return FZ_SPLIT_SHORT;
		ip_len = IP6_LEN + (size_t)fz_be16_load(p + 4);
		s->l4_at = IP6_LEN;
		s->is_v6 = true;
		break;
	default: return FZ_SPLIT_VERSION;
	}
	return ip_len > n || n > 65535 || (is_super && ip_len != n) ? FZ_SPLIT_TRUNCATED
								    : FZ_SPLIT_OK;
}

static enum fz_split_verdict judge_single(struct fz_split *s, const struct fz_vnet_hdr *h)
{
	s->n = 1;
	s->first_len = s->last_len = (uint32_t)s->packet.n;
	if (!(h->flags & FZ_VNET_NEEDS_CSUM))
		return FZ_SPLIT_OK;
	if (h->csum_start < s->l4_at || (size_t)h->csum_start + h->csum_offset + 2 > s->packet.n)
		return FZ_SPLIT_CSUM;
	s->l4_at = h->csum_start;
	s->csum_at = (uint16_t)(h->csum_start + h->csum_offset);
	return FZ_SPLIT_OK;
}

/* Does the packet carry the protocol that the segmentation type speaks of, at the place the kernel names? */
static enum fz_split_verdict check_super(struct fz_split *s, const struct fz_vnet_hdr *h)
{
	const uint8_t *p = s->packet.p;
	uint8_t proto = s->is_tcp ? FZ_PROTO_TCP : FZ_PROTO_UDP;
	if (!(h->flags & FZ_VNET_NEEDS_CSUM) || h->csum_offset != (s->is_tcp ? TCP_CSUM : UDP_CSUM))
		return FZ_SPLIT_CSUM;
	if (s->is_v6) {
		/* Behind extension headers csum_start is all we know, and all the kernel goes by. */
		if (h->csum_start < IP6_LEN || (h->csum_start == IP6_LEN && p[6] != proto))
			return FZ_SPLIT_CSUM;
	} else if (h->csum_start != s->l4_at || p[9] != proto) {
		return FZ_SPLIT_CSUM;
	} else if (fz_be16_load(p + 6) & 0x3fff) {
		return FZ_SPLIT_HEADER;
	}
	s->l4_at = h->csum_start;
	s->csum_at = (uint16_t)(h->csum_start + h->csum_offset);
	return FZ_SPLIT_OK;
}

static enum fz_split_verdict measure(struct fz_split *s, const struct fz_vnet_hdr *h)
{
	const uint8_t *p = s->packet.p;
	size_t n = s->packet.n, l4_len = UDP_LEN;
	if (s->is_tcp) {
		if (n < (size_t)s->l4_at + TCP_LEN)
			return FZ_SPLIT_HEADER;
		l4_len = (size_t)(p[s->l4_at + 12] >> 4) * 4;
		if (l4_len < TCP_LEN)
			return FZ_SPLIT_HEADER;
	}
	size_t header_len = s->l4_at + l4_len;
	if (header_len >= n || header_len > FZ_SPLIT_HEADER_MAX)
		return FZ_SPLIT_HEADER;
	if (h->gso_size == 0)
		return FZ_SPLIT_COUNT;
	size_t payload = n - header_len, count = (payload + h->gso_size - 1) / h->gso_size;
	if (count > FZ_SPLIT_N_MAX)
		return FZ_SPLIT_COUNT;
	s->n = (uint32_t)count;
	s->gso_size = h->gso_size;
	s->header_len = (uint16_t)header_len;
	s->first_len = (uint32_t)header_len + h->gso_size;
	s->last_len = (uint32_t)(n - (count - 1) * h->gso_size);
	return FZ_SPLIT_OK;
}

static uint64_t minus(uint64_t sum, uint16_t v)
{
	return fz_csum_plus(sum, 0xffff ^ fz_csum_word(v));
}

/* What all segments have in common is summed once. */
static void sum_headers(struct fz_split *s)
{
	const uint8_t *p = s->packet.p, *l4 = p + s->l4_at;
	uint64_t sum = fz_native16_load(p + s->csum_at);
	sum = minus(sum, (uint16_t)(s->packet.n - s->l4_at));
	sum += fz_native32_load(l4);
	if (s->is_tcp) {
		/* One by one: two such words together do not fit into 32 bits. */
		sum += fz_native32_load(l4 + 8);
		sum += fz_native16_load(l4 + 14);
		sum += fz_native16_load(l4 + 18);
		sum = fz_csum_add(
			sum, fz_bytes_of(l4 + TCP_LEN, (size_t)s->header_len - s->l4_at - TCP_LEN));
		s->seq = fz_be32_load(l4 + 4);
		s->tcp_flags = fz_be16_load(l4 + 12);
	}
	s->l4_sum = sum;
	if (s->is_v6)
		return;
	s->id = fz_be16_load(p + 4);
	sum = fz_csum_add(0, fz_bytes_of(p + 6, 4));
	sum = fz_csum_add(sum, fz_bytes_of(p + 12, s->l4_at - 12u));
	s->ip_sum = sum + fz_native16_load(p);
}

static enum fz_split_verdict judge(struct fz_split *s, const struct fz_vnet_hdr *h)
{
	enum fz_split_verdict v = check_ip(s, h->gso_type != FZ_VNET_GSO_NONE);
	if (v != FZ_SPLIT_OK)
		return v;
	switch (h->gso_type) {
	case FZ_VNET_GSO_NONE: return judge_single(s, h);
	case FZ_VNET_GSO_TCP4:
	case FZ_VNET_GSO_TCP4 | FZ_VNET_GSO_ECN:
	case FZ_VNET_GSO_TCP6:
	case FZ_VNET_GSO_TCP6 | FZ_VNET_GSO_ECN:
		if (s->is_v6 != ((h->gso_type & ~FZ_VNET_GSO_ECN) == FZ_VNET_GSO_TCP6))
			return FZ_SPLIT_VERSION;
		s->is_tcp = true;
		break;
	case FZ_VNET_GSO_UDP: break;
	default: return FZ_SPLIT_TYPE;
	}
	v = check_super(s, h);
	if (v == FZ_SPLIT_OK)
		v = measure(s, h);
	if (v == FZ_SPLIT_OK)
		sum_headers(s);
	return v;
}

static enum fz_split_verdict judge_packet(
	struct fz_split *ret_split, struct fz_bytes packet, const struct fz_vnet_hdr *h)
{
	struct fz_split s = { .packet = packet };
	enum fz_split_verdict v = judge(&s, h);
	if (v == FZ_SPLIT_OK)
		*ret_split = s;
	return v;
}

enum fz_split_verdict fz_split_init(struct fz_split *ret_split, struct fz_bytes frame)
{
	struct fz_vnet_hdr h;
	if (frame.n < sizeof(h))
		return FZ_SPLIT_SHORT;
	memcpy(&h, frame.p, sizeof(h));
	return judge_packet(ret_split, fz_bytes_of(frame.p + sizeof(h), frame.n - sizeof(h)), &h);
}

enum fz_split_verdict fz_split_init_plain(struct fz_split *ret_split, struct fz_bytes packet)
{
	return judge_packet(ret_split, packet, &(struct fz_vnet_hdr){ 0 });
}

static void write_single(const struct fz_split *s, uint8_t *dst)
{
	if (s->csum_at == 0) {
		memcpy(dst, s->packet.p, s->packet.n);
		return;
	}
	/* The partial sum in the checksum field is part of what is summed. */
	memcpy(dst, s->packet.p, s->l4_at);
	uint64_t sum = fz_csum_copy(
		0, dst + s->l4_at, fz_bytes_of(s->packet.p + s->l4_at, s->packet.n - s->l4_at));
	bool is_udp = s->csum_at == s->l4_at + UDP_CSUM;
	fz_native16_store(dst + s->csum_at, is_udp ? fz_csum_finish_udp(sum) : fz_csum_finish(sum));
}

static void finish_ip(const struct fz_split *s, uint32_t i, uint32_t len, uint8_t *dst)
{
	if (s->is_v6) {
		fz_be16_store(dst + 4, (uint16_t)(len - IP6_LEN));
		return;
	}
	uint16_t id = (uint16_t)(s->id + i);
	fz_be16_store(dst + 2, (uint16_t)len);
	fz_be16_store(dst + 4, id);
	fz_native16_store(dst + 10,
		fz_csum_finish(s->ip_sum + fz_csum_word((uint16_t)len) + fz_csum_word(id)));
}

static void finish_tcp(const struct fz_split *s, uint32_t i, uint64_t sum, uint8_t *l4)
{
	uint32_t seq = s->seq + i * s->gso_size;
	uint16_t flags = s->tcp_flags;
	if (i + 1 < s->n)
		flags = (uint16_t)(flags & ~(TCP_FIN | TCP_PSH));
	if (i > 0)
		flags = (uint16_t)(flags & ~TCP_CWR);
	fz_be32_store(l4 + 4, seq);
	fz_be16_store(l4 + 12, flags);
	sum = fz_csum_plus(sum, (uint64_t)fz_native32_load(l4 + 4) + fz_csum_word(flags));
	fz_native16_store(l4 + TCP_CSUM, fz_csum_finish(sum));
}

void fz_split_write(const struct fz_split *s, uint32_t i, uint8_t *dst)
{
	if (s->gso_size == 0) {
		write_single(s, dst);
		return;
	}
	uint32_t len = fz_split_len(s, i), l4_len = len - s->l4_at;
	uint8_t *l4 = dst + s->l4_at;
	memcpy(dst, s->packet.p, s->header_len);
	finish_ip(s, i, len, dst);
	uint64_t sum = fz_csum_plus(s->l4_sum, fz_csum_word((uint16_t)l4_len));
	sum = fz_csum_copy(sum, dst + s->header_len,
		fz_bytes_of(s->packet.p + s->header_len + (size_t)i * s->gso_size,
			len - s->header_len));
	if (s->is_tcp) {
		finish_tcp(s, i, sum, l4);
		return;
	}
	fz_be16_store(l4 + 4, (uint16_t)l4_len);
	sum = fz_csum_plus(sum, fz_csum_word((uint16_t)l4_len));
	fz_native16_store(l4 + UDP_CSUM, fz_csum_finish_udp(sum));
}
