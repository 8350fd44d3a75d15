/*
 * Rules per family, first to last: user routes, attached networks, default routes, each for packets without our mark. Tables and
 * numbers: fz_host_client.
 */
#include "daemon/session_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define RULES_PER_FAMILY 3

static bool has_family(const struct fz_wanted *w, uint8_t family)
{
	return (family == FZ_IP4 ? w->ipv4 : w->ipv6).family == family;
}

static bool has_default(const struct fz_wanted *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->prefixes[i].bits == 0)
			return true;
	return false;
}

static size_t add_family(
	const struct fz_wanted *w, const struct fz_ip *ip, struct fz_host_item *out)
{
	const struct fz_host_names *names = w->names;
	const uint32_t tables[RULES_PER_FAMILY] = { names->table_user, names->table_link,
		names->table_default };
	out[0] = (struct fz_host_item){
		.kind = FZ_HOST_ADDRESS,
		.address = { *ip, (uint8_t)(8 * fz_ip_len(ip)) },
	};
	for (uint32_t i = 0; i < RULES_PER_FAMILY; i++)
		out[1 + i] = (struct fz_host_item){
			.kind = FZ_HOST_RULE,
			.rule = {
				.family = ip->family,
				.priority = names->priority + i,
				.mark = names->mark,
				.mask = UINT32_MAX,
				.is_inverted = true,
				.table = tables[i],
			},
		};
	return 1 + RULES_PER_FAMILY;
}

static size_t add_routes(const struct fz_wanted *w, struct fz_host_item *out)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++) {
		const struct fz_prefix *to = &w->prefixes[i];
		uint32_t table = to->bits == 0 ? w->names->table_default : w->names->table_user;
		if (has_family(w, to->ip.family))
			out[n++] = (struct fz_host_item){ .kind = FZ_HOST_ROUTE,
				.route = { .to = *to, .table = table } };
	}
	for (size_t i = 0; has_default(w) && i < w->n_attached; i++) {
		struct fz_route route = w->attached[i];
		route.table = w->names->table_link;
		if (has_family(w, route.to.ip.family))
			out[n++] = (struct fz_host_item){ .kind = FZ_HOST_ROUTE, .route = route };
	}
	return n;
}

int fz_wanted_items(const struct fz_wanted *w, struct fz_host_item **ret_items, size_t *ret_n)
{
	size_t most = 2 * (1 + RULES_PER_FAMILY) + w->n + w->n_attached, n = 0;
	struct fz_host_item *items = fz_new_array(struct fz_host_item, most);
	if (!items)
		return -ENOMEM;
	if (has_family(w, FZ_IP4))
		n += add_family(w, &w->ipv4, items + n);
	if (has_family(w, FZ_IP6))
		n += add_family(w, &w->ipv6, items + n);
	n += add_routes(w, items + n);
	*ret_items = items;
	*ret_n = n;
	return 0;
}
