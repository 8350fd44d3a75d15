/* A hostile client, and a hostile site: any packet either way against a table with every kind of grant. */
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/assert.h"
#include "gateway/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_client *make(struct gw_table *t)
{
	static const struct gw_filter filters[] = { { GW_FILTER_TCP, 80, 443 },
		{ GW_FILTER_ICMP, 0, 65535 } };
	struct gw_client *c = NULL;
	struct gw_table_grant g = { .client = "c",
		.resource = "open",
		.v4 = fz_ip4(100, 64, 0, 2),
		.v6 = { FZ_IP6, { 0xfd, 0, 0x20, 0x21, 0x11, 0x11, [15] = 2 } },
		.type = GW_RESOURCE_CIDR,
		.prefix = { { FZ_IP4, { 10, 9 } }, 16 } };
	fz_assert(gw_table_authorize(t, &g, &c) == 0);
	g.resource = "filtered";
	g.prefix.ip.b[1] = 8;
	g.filters = filters;
	g.n_filters = FZ_ARRAY_LEN(filters);
	fz_assert(gw_table_authorize(t, &g, &c) == 0);
	g.resource = "internet";
	g.type = GW_RESOURCE_INTERNET;
	g.n_filters = 0;
	fz_assert(gw_table_authorize(t, &g, &c) == 0);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[GW_TABLE_ANSWER_MAX];
	size_t len = SIZE_MAX;
	struct gw_client *to = NULL;
	struct gw_table_event e;
	struct gw_table *t = gw_table_new((struct fz_hash_key){ 1, 2 });
	fz_assert(t);
	struct gw_client *c = make(t);
	struct fz_bytes in = fz_bytes_of(data, size);
	enum gw_table_verdict v =
		gw_table_from_client(t, c, in, fz_span_of(out, sizeof(out)), &len);
	if (v == GW_TABLE_REPLY)
		fz_assert(len >= 28 && len <= sizeof(out) && out[0] >> 4 == data[0] >> 4);
	else
		fz_assert(len == SIZE_MAX);
	/* What goes to the site carries the client's own address. */
	if (v == GW_TABLE_KEEP && data[0] >> 4 == 4)
		fz_assert(data[12] == 100 && data[13] == 64 && data[14] == 0 && data[15] == 2);
	if (v != GW_TABLE_CONTROL)
		fz_assert(!gw_table_take_event(t, &e));
	if (gw_table_from_tun(t, in, &to) == GW_TABLE_KEEP)
		fz_assert(to == c);
	gw_table_free(t);
	return 0;
}
