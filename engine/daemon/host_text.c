/*
 * Host changes as text: the journal's lines and what `host show` prints. Formats are plain words and numbers so that a person can
 * undo by hand what a line says.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host.h"

const struct fz_host_names fz_host_client = {
	.interface = "tun-firezone",
	.mark = 0x00f17e01,
	.table_user = 0x46495a00,
	.table_link = 0x46495a01,
	.table_default = 0x46495a02,
	.priority = 10'100,
};

const struct fz_host_names fz_host_gateway = {
	.interface = "tun-firezone-gw",
	.mark = 0x00f17e02,
	.table_user = 0x46495a10,
	.table_link = 0x46495a11,
	.table_default = 0x46495a12,
	.priority = 10'000,
	.priority_last = 10'900, /* behind a client's */
};

const char *fz_host_format(const struct fz_host_item *item, char buf[static FZ_HOST_TEXT_LEN])
{
	char text[FZ_PREFIX_TEXT_LEN];
	const struct fz_rule *r = &item->rule;
	switch (item->kind) {
	case FZ_HOST_ADDRESS:
		snprintf(buf, FZ_HOST_TEXT_LEN, "address %s",
			fz_prefix_format(&item->address, text));
		break;
	case FZ_HOST_ROUTE:
		snprintf(buf, FZ_HOST_TEXT_LEN, "route %s table %u dev %u",
			fz_prefix_format(&item->route.to, text), item->route.table,
			item->route.ifindex);
		break;
	case FZ_HOST_RULE:
		snprintf(buf, FZ_HOST_TEXT_LEN,
			"rule ipv%u priority %u %s mark 0x%08x mask 0x%08x table %u", r->family,
			r->priority, r->is_inverted ? "without" : "with", r->mark, r->mask,
			r->table);
		break;
	}
	return buf;
}

/* What sscanf read must give the same line again: no trailing words, no overflow. */
static int confirm(const char *text, const struct fz_host_item *item, struct fz_host_item *ret_item)
{
	char again[FZ_HOST_TEXT_LEN];
	if (strcmp(fz_host_format(item, again), text) != 0)
		return -EINVAL;
	*ret_item = *item;
	return 0;
}

int fz_host_parse(const char *text, struct fz_host_item *ret_item)
{
	char prefix[FZ_PREFIX_TEXT_LEN], with[8];
	struct fz_host_item item = { 0 };
	struct fz_rule *r = &item.rule;
	unsigned family;
	if (strlen(text) >= FZ_HOST_TEXT_LEN)
		return -EINVAL;
	if (sscanf(text, "address %49s", prefix) == 1) {
		item.kind = FZ_HOST_ADDRESS;
		if (fz_prefix_parse(prefix, &item.address) < 0)
			return -EINVAL;
		return confirm(text, &item, ret_item);
	}
	uint32_t table, ifindex;
	if (sscanf(text, "route %49s table %u dev %u", prefix, &table, &ifindex) == 3) {
		item.kind = FZ_HOST_ROUTE;
		if (fz_prefix_parse(prefix, &item.route.to) < 0)
			return -EINVAL;
		item.route.table = table;
		item.route.ifindex = ifindex;
		return confirm(text, &item, ret_item);
	}
	if (sscanf(text, "rule ipv%u priority %u %7s mark 0x%x mask 0x%x table %u", &family,
		    &r->priority, with, &r->mark, &r->mask, &r->table) == 6) {
		item.kind = FZ_HOST_RULE;
		r->family = (uint8_t)family;
		r->is_inverted = strcmp(with, "without") == 0;
		if (family != FZ_IP4 && family != FZ_IP6)
			return -EINVAL;
		return confirm(text, &item, ret_item);
	}
	return -EINVAL;
}
