/*
 * Packets from the TUN and from a gateway through the client's map: any bytes. What is answered fits, what is sent goes to a gateway
 * of ours, what is delivered is to our address.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "daemon/session_map.h"
#include "wg/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fz_ip ip(const char *text)
{
	struct fz_ip out;
	fz_assert(fz_ip_parse(text, &out) == 0);
	return out;
}

/* What is done to the set is seen. */
static void settle(struct fz_map *m)
{
	fz_assert(fz_map_build(m) == 0);
	fz_map_swap(m);
	fz_map_sweep(m);
}

static void add(struct fz_map *m, unsigned n, const char *prefix, struct fzp_filter *filters,
	uint32_t n_filters)
{
	struct fzp_resource r = { .type = FZP_RESOURCE_CIDR,
		.name = "",
		.address = prefix,
		.filters = filters,
		.n_filters = n_filters };
	snprintf(r.id.text, sizeof(r.id.text), "00000000-0000-4000-8000-%012u", n);
	fz_assert(fz_prefix_parse(prefix, &r.prefix) == 0);
	fz_assert(fz_map_upsert(m, &r) == 0);
	settle(m);
}

static struct fz_map *make(struct fz_map_gateway *g)
{
	struct fz_map *m = fz_map_new();
	struct fz_ip v4 = ip("100.64.0.2"), v6 = ip("fd00:2021:1111::2");
	struct fzp_filter web[] = { { FZP_TCP, 80, 443 }, { FZP_ICMP, 0, 65'535 } };
	struct fzp_id id = { "00000000-0000-4000-8000-000000000001" };
	fz_assert(m);
	fz_map_set_interface(m, &v4, &v6);
	add(m, 1, "10.0.0.0/8", NULL, 0);
	add(m, 2, "10.0.0.0/24", web, 2);
	add(m, 3, "192.0.2.0/24", web, 2);
	add(m, 4, "2001:db8::/32", web, 2);
	g->ipv4 = ip("100.64.0.1");
	g->ipv6 = ip("fd00:2021:1111::1");
	fz_map_authorized(m, &id, g);
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fz_map_gateway g = { 0 }, *to = NULL;
	struct fz_map *m = make(&g);
	uint8_t out[1280], held[FZ_MAP_PACKET_MAX];
	struct fz_bytes in = fz_bytes_of(data, size);
	size_t len = 0;
	enum fz_map_route route =
		fz_map_route(m, (fz_time){ 1 }, in, fz_span_of(out, sizeof(out)), &to, &len);
	fz_assert(route != FZ_MAP_SEND || to == &g);
	fz_assert(route != FZ_MAP_REPLY || (len > 0 && len <= sizeof(out)));
	if (fz_map_accept(m, (fz_time){ 2 }, &g, in) == FZ_MAP_DELIVER) {
		struct wg_inner inner;
		struct fz_ip v4 = ip("100.64.0.2"), v6 = ip("fd00:2021:1111::2");
		fz_assert(wg_inner_parse(in, &inner));
		const uint8_t *own = inner.family == FZ_IP4 ? v4.b : v6.b;
		fz_assert(memcmp(inner.dst, own, inner.family == FZ_IP4 ? 4 : 16) == 0);
	}
	struct fzp_id id;
	while (fz_map_take_request(m, &id))
		fz_map_authorized(m, &id, &g);
	while ((len = fz_map_take_held(m, held, &to)) > 0)
		fz_assert(to == &g && len == size);
	fz_map_free(m);
	return 0;
}
