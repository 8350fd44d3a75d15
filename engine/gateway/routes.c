/* See routes.h. The last rule is for what the host itself sends to a client without being asked. */
#include "gateway/routes.h"

#include <linux/rtnetlink.h>

static const struct fz_prefix ranges[] = {
	{ { FZ_IP4, { 100, 64 } }, 11 },
	{ { FZ_IP6, { 0xfd, 0x00, 0x20, 0x21, 0x11, 0x11 } }, 107 },
};

static void add_rule(
	struct fz_host_item *item, uint8_t family, uint32_t priority, uint32_t mark, uint32_t table)
{
	*item = (struct fz_host_item){
		.kind = FZ_HOST_RULE,
		.rule = {
			.family = family,
			.priority = priority,
			.mark = mark,
			.mask = mark ? UINT32_MAX : 0,
			.table = table,
		},
	};
}

size_t gw_host_items(const struct fz_ip *ipv4, const struct fz_ip *ipv6,
	struct fz_host_item ret_items[static GW_HOST_ITEMS])
{
	const struct fz_host_names *names = &fz_host_gateway;
	const struct fz_ip *addresses[] = { ipv4, ipv6 };
	size_t n = 0;
	for (size_t i = 0; i < FZ_ARRAY_LEN(addresses); i++) {
		const struct fz_ip *ip = addresses[i];
		if (ip->family == FZ_NO_FAMILY)
			continue;
		ret_items[n++] = (struct fz_host_item){
			.kind = FZ_HOST_ADDRESS,
			.address = { *ip, (uint8_t)(8 * fz_ip_len(ip)) },
		};
		ret_items[n++] = (struct fz_host_item){
			.kind = FZ_HOST_ROUTE,
			.route = { .to = ranges[i], .table = names->table_user },
		};
		add_rule(&ret_items[n++], ip->family, names->priority, names->mark,
			names->table_user);
		add_rule(&ret_items[n++], ip->family, names->priority + 1, names->mark,
			RT_TABLE_MAIN);
		add_rule(&ret_items[n++], ip->family, names->priority_last, 0, names->table_user);
	}
	return n;
}
