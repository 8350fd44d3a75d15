/*
 * One packet, judged: headers as far as filters need them, source, destination, grant, filter; and the ICMP error that
 * tells the client no (RFC 792, RFC 4443), from the address it asked for.
 */
#include <string.h>

#include "base/endian.h"
#include "gateway/table_internal.h"
#include "wg/packet.h"
#include "wg/transport.h"

#define IP4_HEADER  20u
#define IP6_HEADER  40u
#define ICMP_HEADER 8u
#define ICMP4_MAX   576u
#define TCP         6
#define UDP         17
#define ICMP4       1
#define ICMP6       58
#define CONTROL     0xff

struct packet {
	struct fz_ip src, dst;
	uint8_t protocol;
	uint16_t src_port, dst_port;
	uint8_t icmp_type;
	bool is_later_fragment, has_l4;
};

static const struct fz_prefix peers4 = { { FZ_IP4, { 100, 64 } }, 11 };
static const struct fz_prefix proxies4 = { { FZ_IP4, { 100, 96 } }, 11 };
static const struct fz_prefix peers6 = { { FZ_IP6, { 0xfd, 0, 0x20, 0x21, 0x11, 0x11 } }, 107 };
static const struct fz_prefix proxies6 = { { FZ_IP6, { 0xfd, 0, 0x20, 0x21, 0x11, 0x11, 0x80 } },
	107 };
/* What the Internet Resource is not: section 5.5. */
static const struct fz_prefix not_internet[] = {
	{ { FZ_IP4, { 0 } }, 8 },
	{ { FZ_IP4, { 10 } }, 8 },
	{ { FZ_IP4, { 100, 64 } }, 10 },
	{ { FZ_IP4, { 127 } }, 8 },
	{ { FZ_IP4, { 169, 254 } }, 16 },
	{ { FZ_IP4, { 172, 16 } }, 12 },
	{ { FZ_IP4, { 192, 168 } }, 16 },
	{ { FZ_IP4, { 224 } }, 3 },
	{ { FZ_IP6, { 0xfc } }, 7 },
	{ { FZ_IP6, { 0xfe, 0x80 } }, 10 },
	{ { FZ_IP6, { 0xff } }, 8 },
	{ { FZ_IP6, { [10] = 0xff, [11] = 0xff } }, 96 },
	{ { FZ_IP6, { 0 } }, 127 },
};

/* ---- reading ---- */

static void read_l4(struct fz_reader *r, struct packet *p)
{
	bool has_ports = p->protocol == TCP || p->protocol == UDP;
	bool is_icmp = p->protocol == ICMP4 || p->protocol == ICMP6;
	if (p->is_later_fragment || (!has_ports && !is_icmp))
		return;
	if (is_icmp) {
		p->icmp_type = fz_reader_u8(r);
	} else {
		p->src_port = fz_reader_be16(r);
		p->dst_port = fz_reader_be16(r);
	}
	p->has_l4 = !r->bad;
}

static bool read_packet(struct fz_bytes in, struct packet *p)
{
	struct wg_inner inner;
	struct wg_transport t;
	if (!wg_inner_parse(in, &inner) || inner.len != in.n ||
		!wg_transport_find(in, inner.family, &t))
		return false;
	*p = (struct packet){
		.src = fz_ip_of(inner.family, inner.src),
		.dst = fz_ip_of(inner.family, inner.dst),
		.protocol = t.protocol,
		.is_later_fragment = t.is_later_fragment,
	};
	read_l4(&t.at, p);
	return true;
}

static bool is_multicast(const struct fz_ip *ip)
{
	return ip->family == FZ_IP4 ? ip->b[0] >= 224 : ip->b[0] == 0xff;
}

static bool is_icmp_error(const struct packet *p)
{
	if (!p->has_l4)
		return false;
	if (p->protocol == ICMP6)
		return p->icmp_type < 128;
	return p->protocol == ICMP4 &&
	       (p->icmp_type == 3 || p->icmp_type == 4 || p->icmp_type == 5 || p->icmp_type == 11 ||
		       p->icmp_type == 12);
}

static bool is_none(const struct fz_ip *ip)
{
	static const uint8_t none[16];
	return memcmp(ip->b, none, sizeof(none)) == 0;
}

/* ---- answering ---- */

static uint32_t add_words(uint32_t sum, struct fz_bytes in)
{
	struct fz_reader r = fz_reader_of(in);
	while (r.left >= 2)
		sum += fz_reader_be16(&r);
	if (r.left == 1)
		sum += (uint32_t)fz_reader_u8(&r) << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t write_error4(
	const struct packet *p, struct fz_bytes about, uint8_t code, struct fz_span out)
{
	size_t head = IP4_HEADER + ICMP_HEADER;
	size_t quoted = about.n < ICMP4_MAX - head ? about.n : ICMP4_MAX - head;
	struct fz_writer w = fz_writer_of(out);
	fz_writer_be16(&w, 0x45c0);
	fz_writer_be16(&w, (uint16_t)(head + quoted));
	fz_writer_be32(&w, 0);
	fz_writer_be16(&w, 64 << 8 | ICMP4);
	fz_writer_be16(&w, 0);
	fz_writer_bytes(&w, fz_bytes_of(p->dst.b, 4));
	fz_writer_bytes(&w, fz_bytes_of(p->src.b, 4));
	fz_writer_be16(&w, (uint16_t)(3u << 8 | code));
	fz_writer_zeros(&w, 6);
	fz_writer_bytes(&w, fz_bytes_of(about.p, quoted));
	if (w.bad)
		return 0;
	fz_be16_store(out.p + 10, fold(add_words(0, fz_bytes_of(out.p, IP4_HEADER))));
	fz_be16_store(out.p + 22,
		fold(add_words(0, fz_bytes_of(out.p + IP4_HEADER, ICMP_HEADER + quoted))));
	return w.len;
}

static size_t write_error6(
	const struct packet *p, struct fz_bytes about, uint8_t code, struct fz_span out)
{
	size_t head = IP6_HEADER + ICMP_HEADER;
	size_t quoted = about.n < GW_TABLE_ANSWER_MAX - head ? about.n : GW_TABLE_ANSWER_MAX - head;
	struct fz_writer w = fz_writer_of(out);
	fz_writer_be32(&w, 6u << 28);
	fz_writer_be16(&w, (uint16_t)(ICMP_HEADER + quoted));
	fz_writer_be16(&w, ICMP6 << 8 | 64);
	fz_writer_bytes(&w, fz_bytes_of(p->dst.b, 16));
	fz_writer_bytes(&w, fz_bytes_of(p->src.b, 16));
	fz_writer_be16(&w, (uint16_t)(1u << 8 | code));
	fz_writer_zeros(&w, 6);
	fz_writer_bytes(&w, fz_bytes_of(about.p, quoted));
	if (w.bad)
		return 0;
	uint32_t sum = add_words(ICMP6 + (uint32_t)(ICMP_HEADER + quoted),
		fz_bytes_of(out.p + 8, 32 + ICMP_HEADER + quoted));
	fz_be16_store(out.p + IP6_HEADER + 2, fold(sum));
	return w.len;
}

enum refusal { PROHIBITED, UNREACHABLE };

static enum gw_table_verdict refuse(const struct packet *p, struct fz_bytes inner, enum refusal why,
	struct fz_span out, size_t *ret_len)
{
	size_t n = 0;
	if (!p->is_later_fragment)
		n = p->src.family == FZ_IP4
			    ? write_error4(p, inner, why == PROHIBITED ? 13 : 0, out)
			    : write_error6(p, inner, why == PROHIBITED ? 1 : 3, out);
	if (n == 0)
		return GW_TABLE_DROP_SILENTLY;
	*ret_len = n;
	return GW_TABLE_REPLY;
}

/* ---- judging ---- */

/* Which way a packet goes: filters speak of the Resource's side of it. */
enum way { TO_RESOURCE, FROM_RESOURCE };

static bool filter_fits(const struct gw_filter *f, const struct packet *p, enum way way)
{
	uint16_t port = way == TO_RESOURCE ? p->dst_port : p->src_port;
	switch (f->protocol) {
	case GW_FILTER_ICMP: return p->protocol == ICMP4 || p->protocol == ICMP6;
	case GW_FILTER_TCP:
		if (p->protocol != TCP)
			return false;
		break;
	case GW_FILTER_UDP:
		if (p->protocol != UDP)
			return false;
		break;
	}
	return !p->has_l4 || (port >= f->from && port <= f->to);
}

static bool filters_permit(const struct grant *grant, const struct packet *p, enum way way)
{
	if (grant->n_filters == 0)
		return true;
	/* The rest of an answer shows no port; without its first piece, which was judged, nobody can use it. */
	if (!p->has_l4 && !(p->is_later_fragment && way == FROM_RESOURCE))
		return false;
	for (uint32_t i = 0; i < grant->n_filters; i++)
		if (filter_fits(&grant->filters[i], p, way))
			return true;
	return false;
}

static bool is_internet(const struct fz_ip *ip)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(not_internet); i++)
		if (fz_prefix_contains(&not_internet[i], ip))
			return false;
	return true;
}

static bool covers(const struct grant *grant, const struct fz_ip *ip)
{
	switch (grant->type) {
	case GW_RESOURCE_CIDR: return fz_prefix_contains(&grant->prefix, ip);
	case GW_RESOURCE_INTERNET: return is_internet(ip);
	case GW_RESOURCE_DNS: break;
	}
	return false;
}

/* Grants lie in the order of preference: the first that covers the address and permits the packet is the one. */
static bool is_granted(const struct gw_client *c, const struct fz_ip *ip, const struct packet *p,
	enum way way, bool *ret_is_covered)
{
	*ret_is_covered = false;
	for (uint32_t i = 0; i < c->n_grants; i++) {
		if (!covers(&c->grants[i], ip))
			continue;
		*ret_is_covered = true;
		if (filters_permit(&c->grants[i], p, way))
			return true;
	}
	return false;
}

static bool has_internet(const struct gw_client *c)
{
	return c->n_grants > 0 && c->grants[c->n_grants - 1].type == GW_RESOURCE_INTERNET;
}

static bool is_peer(const struct fz_ip *ip)
{
	return fz_prefix_contains(&peers4, ip) || fz_prefix_contains(&peers6, ip);
}

static void take_control(struct gw_table *g, struct gw_client *c, struct fz_bytes inner)
{
	if (inner.n < GW_GOODBYE_LEN || inner.p[IP6_HEADER] != 2)
		return; /* kinds we do not know are ignored */
	c->has_left = true;
	if (!fz_node_is_linked(&c->in_events))
		fz_list_push_back(&g->events, &c->in_events);
}

static enum gw_table_verdict judge(struct gw_table *g, struct gw_client *c, struct fz_bytes inner,
	struct fz_span out, size_t *ret_len)
{
	struct packet p;
	if (!read_packet(inner, &p))
		return GW_TABLE_DROP_MALFORMED;
	if (p.src.family == FZ_IP6 && p.protocol == CONTROL && is_none(&p.src) && is_none(&p.dst)) {
		take_control(g, c, inner);
		return GW_TABLE_CONTROL;
	}
	if (is_multicast(&p.dst))
		return GW_TABLE_DROP_MULTICAST;
	if (is_icmp_error(&p))
		return GW_TABLE_DROP_ICMP_ERROR;
	if (!fz_ip_equal(&p.src, p.src.family == FZ_IP4 ? &c->v4 : &c->v6))
		return GW_TABLE_DROP_SOURCE;
	if (fz_ip_equal(&p.dst, p.dst.family == FZ_IP4 ? &g->v4 : &g->v6))
		return GW_TABLE_KEEP;
	if (fz_prefix_contains(&proxies4, &p.dst) || fz_prefix_contains(&proxies6, &p.dst))
		return refuse(&p, inner, UNREACHABLE, out, ret_len);
	if (is_peer(&p.dst))
		return refuse(&p, inner, PROHIBITED, out, ret_len);
	bool is_covered;
	if (is_granted(c, &p.dst, &p, TO_RESOURCE, &is_covered))
		return GW_TABLE_KEEP;
	/* What nothing but the Internet Resource could have meant does not exist there. */
	return refuse(
		&p, inner, !is_covered && has_internet(c) ? UNREACHABLE : PROHIBITED, out, ret_len);
}

enum gw_table_verdict gw_table_from_client(struct gw_table *g, struct gw_client *c,
	struct fz_bytes inner, struct fz_span out, size_t *ret_len)
{
	enum gw_table_verdict v = judge(g, c, inner, out, ret_len);
	g->counts[v]++;
	return v;
}

static enum gw_table_verdict judge_return(
	struct gw_table *g, struct fz_bytes inner, struct gw_client **ret_client)
{
	struct packet p;
	if (!read_packet(inner, &p))
		return GW_TABLE_DROP_MALFORMED;
	struct gw_client *c = gw_table_find_ip_maybe(g, p.dst.family, p.dst.b);
	if (!c)
		return GW_TABLE_DROP_UNKNOWN;
	bool is_own = fz_ip_equal(&p.src, p.src.family == FZ_IP4 ? &g->v4 : &g->v6), is_covered;
	/* Clients reach each other by no gateway: not with errors either. */
	if (!is_own && is_peer(&p.src))
		return GW_TABLE_DROP_NOT_GRANTED;
	if (!is_own && !is_icmp_error(&p) && !is_granted(c, &p.src, &p, FROM_RESOURCE, &is_covered))
		return GW_TABLE_DROP_NOT_GRANTED;
	*ret_client = c;
	return GW_TABLE_KEEP;
}

enum gw_table_verdict gw_table_from_tun(
	struct gw_table *g, struct fz_bytes inner, struct gw_client **ret_client)
{
	enum gw_table_verdict v = judge_return(g, inner, ret_client);
	g->counts[v]++;
	return v;
}

void gw_table_write_goodbye(uint8_t ret_packet[static GW_GOODBYE_LEN])
{
	memset(ret_packet, 0, GW_GOODBYE_LEN);
	ret_packet[0] = 0x60;
	ret_packet[5] = GW_GOODBYE_LEN - IP6_HEADER;
	ret_packet[6] = CONTROL;
	ret_packet[IP6_HEADER] = 2;
}
