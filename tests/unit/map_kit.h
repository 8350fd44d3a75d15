/* What tests of the client's map share: Resources, packets, gateways, and a map with some of them. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "daemon/session_map.h"
#include "support/test.h"
#include "wg/packet.h"

#define AT(ms) ((fz_time){ UINT64_C(1'000'000) * (uint64_t)(ms) })

static inline struct fz_ip ip(const char *text)
{
	struct fz_ip out;
	CHECK_INT(fz_ip_parse(text, &out), 0);
	return out;
}

static inline struct fzp_id id_of(unsigned n)
{
	struct fzp_id id;
	snprintf(id.text, sizeof(id.text), "00000000-0000-4000-8000-%012u", n);
	return id;
}

static struct fzp_site sites[] = { { .name = "HQ" } };

static inline struct fzp_resource cidr(unsigned n, const char *prefix)
{
	struct fzp_resource r = { .type = FZP_RESOURCE_CIDR,
		.id = id_of(n),
		.name = "name",
		.address = prefix,
		.n_sites = 1,
		.sites = sites };
	CHECK_INT(fz_prefix_parse(prefix, &r.prefix), 0);
	return r;
}

static inline struct fzp_resource internet(unsigned n)
{
	return (struct fzp_resource){ .type = FZP_RESOURCE_INTERNET,
		.id = id_of(n),
		.name = "",
		.address = "",
		.n_sites = 1,
		.sites = sites };
}

/* What is done to the set is seen. */
static inline void settle(struct fz_map *m)
{
	CHECK_INT(fz_map_build(m), 0);
	fz_map_swap(m);
	fz_map_sweep(m);
}

static inline struct fz_map *map_with(const struct fzp_resource *list, uint32_t n)
{
	struct fz_map *m = fz_map_new();
	struct fz_ip v4 = ip("100.64.0.2"), v6 = ip("fd00:2021:1111::2");
	CHECK(m);
	fz_map_set_interface(m, &v4, &v6);
	CHECK_INT(fz_map_set_resources(m, list, n), 0);
	settle(m);
	return m;
}

static inline struct fz_map_gateway gateway(unsigned n)
{
	char text[32];
	struct fz_map_gateway g = { .id = id_of(n) };
	snprintf(text, sizeof(text), "100.64.1.%u", n);
	g.ipv4 = ip(text);
	snprintf(text, sizeof(text), "fd00:2021:1111::1:%u", n);
	g.ipv6 = ip(text);
	return g;
}

/* An IPv4 or IPv6 packet with eight bytes of UDP, TCP or ICMP; its length. */
static inline size_t packet(
	uint8_t *out, const char *src, const char *dst, uint8_t protocol, uint16_t port)
{
	struct fz_ip s = ip(src), d = ip(dst);
	size_t header = s.family == FZ_IP4 ? 20 : 40;
	memset(out, 0, header + 8);
	if (s.family == FZ_IP4) {
		out[0] = 0x45;
		out[3] = 28;
		out[8] = 64;
		out[9] = protocol;
		memcpy(out + 12, s.b, 4);
		memcpy(out + 16, d.b, 4);
	} else {
		out[0] = 0x60;
		out[5] = 8;
		out[6] = protocol;
		out[7] = 64;
		memcpy(out + 8, s.b, 16);
		memcpy(out + 24, d.b, 16);
	}
	out[header + 2] = (uint8_t)(port >> 8);
	out[header + 3] = (uint8_t)port;
	return header + 8;
}

struct routed {
	enum fz_map_route verdict;
	struct fz_map_gateway *gateway;
	size_t len;
	uint8_t out[160]; /* about packets of 48 bytes at most */
};

static inline struct routed route(struct fz_map *m, fz_time now, const char *src, const char *dst,
	uint8_t protocol, uint16_t port)
{
	struct routed r = { 0 };
	uint8_t in[64];
	size_t n = packet(in, src, dst, protocol, port);
	r.verdict = fz_map_route(
		m, now, fz_bytes_of(in, n), fz_span_of(r.out, sizeof(r.out)), &r.gateway, &r.len);
	return r;
}

static inline enum fz_map_accept accept_from(
	struct fz_map *m, struct fz_map_gateway *g, const char *src, const char *dst)
{
	uint8_t in[64];
	size_t n = packet(in, src, dst, IPPROTO_UDP, 53);
	return fz_map_accept(m, AT(0), g, fz_bytes_of(in, n));
}

#define V4 "100.64.0.2"
#define V6 "fd00:2021:1111::2"
