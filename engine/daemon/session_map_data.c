/*
 * Packets: which Resource, which gateway, what is held, what is answered; and whether what comes back may. Data threads, with the
 * lock; nothing is allocated.
 */
#include <netinet/in.h>
#include <string.h>

#include "daemon/session_map.h"
#include "daemon/session_map_internal.h"
#include "wg/icmp.h"
#include "wg/packet.h"
#include "wg/transport.h"

#define CONTROL_PROTOCOL 0xff
#define CONTROL_GOODBYE  2
#define IPV6_HEADER      40

/* ---- reading packets ---- */

static struct fz_ip ip_of(enum fz_family family, const uint8_t *bytes)
{
	return fz_ip_of(family, bytes);
}

/* The port is the destination's. False: a protocol that Resources do not carry. */
static bool read_flow(struct fz_bytes packet, const struct wg_inner *inner, struct map_flow *ret)
{
	struct wg_transport t;
	*ret = (struct map_flow){ .src = ip_of(inner->family, inner->src),
		.dst = ip_of(inner->family, inner->dst) };
	if (!wg_transport_find(packet, inner->family, &t))
		return false;
	if (t.protocol == (inner->family == FZ_IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		ret->protocol = IPPROTO_ICMP;
		return true;
	}
	if (t.protocol != IPPROTO_TCP && t.protocol != IPPROTO_UDP)
		return false;
	ret->protocol = t.protocol;
	fz_reader_skip(&t.at, 2);
	ret->port = fz_reader_be16(&t.at);
	return true;
}

static bool is_multicast(const struct fz_ip *ip)
{
	return ip->family == FZ_IP4 ? ip->b[0] >= 224 : ip->b[0] == 0xff;
}

bool fz_map_is_device(const struct fz_ip *ip)
{
	static const uint8_t v6[13] = { 0xfd, 0x00, 0x20, 0x21, 0x11, 0x11 };
	if (ip->family == FZ_IP4)
		return ip->b[0] == 100 && (ip->b[1] & 0xe0u) == 64;
	return memcmp(ip->b, v6, sizeof(v6)) == 0 && (ip->b[13] & 0xe0u) == 0;
}

/* ---- which Resource ---- */

static bool filter_permits(const struct fzp_filter *filter, const struct map_flow *f)
{
	switch (filter->protocol) {
	case FZP_ICMP: return f->protocol == IPPROTO_ICMP;
	case FZP_TCP:
		if (f->protocol != IPPROTO_TCP)
			return false;
		break;
	case FZP_UDP:
		if (f->protocol != IPPROTO_UDP)
			return false;
		break;
	}
	/* A later fragment shows no port: its first one was judged. */
	return f->port == 0 || (f->port >= filter->from && f->port <= filter->to);
}

static bool permits(const struct map_resource *r, const struct map_flow *f)
{
	if (r->r.n_filters == 0 || f->protocol == 0)
		return true;
	for (uint32_t i = 0; i < r->r.n_filters; i++)
		if (filter_permits(&r->r.filters[i], f))
			return true;
	return false;
}

static struct map_prefix *longest_maybe(struct fz_map *m, const struct fz_ip *ip)
{
	struct wg_allowed_owner *owner =
		wg_allowedips_find_maybe(&m->table->trie, (enum fz_family)ip->family, ip->b);
	return owner ? FZ_CONTAINER_OF(owner, struct map_prefix, owner) : NULL;
}

struct map_resource *fz_map_choose_maybe(
	struct fz_map *m, const struct map_flow *f, struct map_resource **ret_denied)
{
	*ret_denied = NULL;
	for (struct map_prefix *p = longest_maybe(m, &f->dst); p; p = p->parent) {
		for (const struct map_entry *e = p->first; e; e = e->next) {
			struct map_resource *r = e->resource;
			if (r->r.type == FZP_RESOURCE_INTERNET && fz_map_is_device(&f->dst))
				continue;
			if (permits(r, f))
				return r;
			if (!*ret_denied)
				*ret_denied = r;
		}
	}
	return NULL;
}

/* ---- answers ---- */

/* Another code in a checked message: RFC 1624, on the 16-bit word it is the low byte of. */
static void set_code(uint8_t *icmp, uint8_t code)
{
	uint32_t sum = (uint16_t) ~(icmp[2] << 8 | icmp[3]);
	sum += (uint16_t) ~(icmp[0] << 8 | icmp[1]);
	icmp[1] = code;
	sum += (uint32_t)(icmp[0] << 8 | icmp[1]);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	icmp[2] = (uint8_t)(~sum >> 8);
	icmp[3] = (uint8_t)~sum;
}

static enum fz_map_route refuse(struct fz_bytes inner, enum fz_family family, bool is_prohibited,
	struct fz_span out, size_t *ret_len)
{
	size_t n = wg_icmp_write_unreachable(inner, out);
	if (n == 0)
		return FZ_MAP_DROP;
	/* RFC 792 and 1812: administratively prohibited is 13; RFC 4443: 1. */
	if (is_prohibited)
		set_code(out.p + (family == FZ_IP4 ? 20 : IPV6_HEADER), family == FZ_IP4 ? 13 : 1);
	*ret_len = n;
	return FZ_MAP_REPLY;
}

/* ---- holding ---- */

static void hold(struct fz_map *m, struct map_resource *r, struct fz_bytes inner)
{
	struct held_packet *place = &m->held[0];
	if (inner.n > FZ_MAP_PACKET_MAX)
		return;
	for (uint32_t i = 0; i < FZ_MAP_HELD_MAX; i++) {
		struct held_packet *h = &m->held[i];
		/* A packet sent again and again while it waits is one packet. */
		if (h->resource == r && h->len == inner.n &&
			memcmp(h->packet, inner.p, inner.n) == 0)
			return;
		/* A free one, else the oldest: what nobody answered must not stand in the way. */
		if (place->resource && (!h->resource || h->order < place->order))
			place = h;
	}
	place->resource = r;
	place->order = m->n_held_ever++;
	place->len = (uint16_t)inner.n;
	memcpy(place->packet, inner.p, inner.n);
}

static void ask(struct fz_map *m, struct map_resource *r, fz_time now)
{
	if (now.ns < r->ask_again.ns)
		return;
	r->is_pending = true;
	r->ask_again = fz_time_add(now, REQUEST_INTERVAL);
	fz_map_queue(m, r);
}

/* ---- out ---- */

static struct fz_map_gateway *device_maybe(const struct fz_map *m, const struct fz_ip *ip)
{
	for (struct fz_map_gateway *g = m->gateways; g; g = g->next)
		if (fz_ip_equal(ip->family == FZ_IP4 ? &g->ipv4 : &g->ipv6, ip))
			return g;
	return NULL;
}

static bool is_own(const struct fz_map *m, const struct fz_ip *ip)
{
	return fz_ip_equal(ip->family == FZ_IP4 ? &m->ipv4 : &m->ipv6, ip);
}

enum fz_map_route fz_map_route(struct fz_map *m, fz_time now, struct fz_bytes inner,
	struct fz_span out, struct fz_map_gateway **ret_gateway, size_t *ret_len)
{
	struct wg_inner parsed;
	struct map_flow f;
	struct map_resource *denied;
	if (!wg_inner_parse(inner, &parsed))
		return FZ_MAP_DROP;
	struct fz_ip dst = ip_of(parsed.family, parsed.dst), src = ip_of(parsed.family, parsed.src);
	if (is_multicast(&dst) || !is_own(m, &src) || is_own(m, &dst))
		return FZ_MAP_DROP;
	if (fz_map_is_device(&dst)) {
		*ret_gateway = device_maybe(m, &dst);
		if (*ret_gateway)
			return FZ_MAP_SEND;
	}
	if (!read_flow(inner, &parsed, &f))
		return FZ_MAP_DROP;
	struct map_resource *r = fz_map_choose_maybe(m, &f, &denied);
	if (!r)
		return refuse(inner, parsed.family, denied != NULL, out, ret_len);
	if (r->gateway) {
		*ret_gateway = r->gateway;
		return FZ_MAP_SEND;
	}
	hold(m, r, inner);
	ask(m, r, now);
	return FZ_MAP_HELD;
}

/* ---- in ---- */

/* True if some Resource authorized at the gateway covers the address. */
static bool may_come_from(struct fz_map *m, const struct fz_map_gateway *g, const struct fz_ip *ip)
{
	for (const struct map_prefix *p = longest_maybe(m, ip); p; p = p->parent)
		for (const struct map_entry *e = p->first; e; e = e->next)
			if (e->resource->gateway == g &&
				(e->resource->r.type != FZP_RESOURCE_INTERNET ||
					!fz_map_is_device(ip)))
				return true;
	return false;
}

static bool is_control(struct fz_bytes inner)
{
	static const uint8_t unspecified[32];
	return inner.n >= IPV6_HEADER && inner.p[0] >> 4 == 6 && inner.p[6] == CONTROL_PROTOCOL &&
	       memcmp(inner.p + 8, unspecified, sizeof(unspecified)) == 0;
}

/* "Prohibited" from the gateway: it has no grant (any more). The packet it is about says what to ask for again. */
static void look_for_prohibited(struct fz_map *m, fz_time now, const struct fz_map_gateway *g,
	struct fz_bytes inner, enum fz_family family)
{
	struct wg_transport t;
	struct wg_inner about;
	if (!wg_transport_find(inner, family, &t))
		return;
	uint8_t type = fz_reader_u8(&t.at), code = fz_reader_u8(&t.at);
	bool is_it = family == FZ_IP4 ? t.protocol == IPPROTO_ICMP && type == 3 && code == 13
				      : t.protocol == IPPROTO_ICMPV6 && type == 1 && code == 1;
	fz_reader_skip(&t.at, 6);
	struct fz_bytes original = fz_reader_rest(&t.at);
	if (!is_it || t.at.bad || !wg_inner_parse(original, &about) || about.family != family)
		return;
	struct fz_ip dst = ip_of(family, about.dst);
	for (const struct map_prefix *p = longest_maybe(m, &dst); p; p = p->parent)
		for (const struct map_entry *e = p->first; e; e = e->next)
			if (e->resource->gateway == g)
				ask(m, e->resource, now);
}

const uint64_t *fz_map_discarded(const struct fz_map *m)
{
	return m->discarded;
}

static enum fz_map_accept discard(struct fz_map *m, enum fz_session_discard why)
{
	m->discarded[why]++;
	return FZ_MAP_DISCARD;
}

static enum fz_map_accept take_control(
	struct fz_map *m, struct fz_map_gateway *g, struct fz_bytes inner)
{
	if (inner.n <= IPV6_HEADER || inner.p[IPV6_HEADER] != CONTROL_GOODBYE)
		(void)discard(m, FZ_SESSION_DISCARD_CONTROL);
	else
		g->said_goodbye = m->has_goodbye = true;
	return FZ_MAP_CONTROL;
}

enum fz_map_accept fz_map_accept(
	struct fz_map *m, fz_time now, struct fz_map_gateway *g, struct fz_bytes inner)
{
	struct wg_inner parsed;
	if (is_control(inner))
		return take_control(m, g, inner);
	if (!wg_inner_parse(inner, &parsed))
		return discard(m, FZ_SESSION_DISCARD_MALFORMED);
	struct fz_ip src = ip_of(parsed.family, parsed.src), dst = ip_of(parsed.family, parsed.dst);
	if (!is_own(m, &dst))
		return discard(m, FZ_SESSION_DISCARD_DESTINATION);
	if (!fz_ip_equal(parsed.family == FZ_IP4 ? &g->ipv4 : &g->ipv6, &src) &&
		!may_come_from(m, g, &src))
		return discard(m, FZ_SESSION_DISCARD_SOURCE);
	look_for_prohibited(m, now, g, inner, parsed.family);
	return FZ_MAP_DELIVER;
}
