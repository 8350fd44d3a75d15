/* What a session keeps on disk, what it wants of the host, and what it notices of the network. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/netwatch.h"
#include "daemon/rtnl.h"
#include "daemon/session_choices.h"
#include "daemon/session_host.h"
#include "support/test.h"
#include "unit/link/support.h"

#define ID "00000000-0000-4000-8000-000000000001"

/* ---- choices ---- */

TEST(choices, are_found_again)
{
	char dir[] = "/tmp/fz-choices-XXXXXX", path[64];
	struct fz_choices c;
	CHECK(mkdtemp(dir));
	CHECK_INT(fz_choices_init(&c, dir), 0);
	CHECK(!c.internet && c.n == 0);
	CHECK_INT(fz_choices_set_internet(&c, true), 0);
	CHECK_INT(fz_choices_set_disabled(&c, ID, true), 0);
	CHECK_INT(fz_choices_set_disabled(&c, ID, true), 0);
	CHECK_INT(fz_choices_set_disabled(&c, "no id", true), -EINVAL);
	fz_choices_done(&c);

	CHECK_INT(fz_choices_init(&c, dir), 0);
	CHECK(c.internet);
	CHECK_UINT(c.n, 1);
	CHECK(fz_choices_is_disabled(&c, ID));
	CHECK_INT(fz_choices_set_disabled(&c, ID, false), 0);
	CHECK(!fz_choices_is_disabled(&c, ID));
	fz_choices_done(&c);

	snprintf(path, sizeof(path), "%s/choices.json", dir);
	world_write(path, "{\"internet\":1,\"disabled\":[7,\"x\",\"" ID "\",\"" ID "\"]}");
	CHECK_INT(fz_choices_init(&c, dir), 0);
	CHECK(!c.internet);
	CHECK_UINT(c.n, 1);
	fz_choices_done(&c);
	unlink(path);
	rmdir(dir);
}

TEST(choices, hold_where_they_cannot_be_kept)
{
	struct fz_choices c;
	CHECK_INT(fz_choices_init(&c, NULL), 0);
	CHECK_INT(fz_choices_set_internet(&c, true), 0);
	CHECK(c.internet);
	fz_choices_done(&c);
	CHECK_INT(fz_choices_init(&c, "/nonexistent"), 0);
	CHECK_INT(fz_choices_set_internet(&c, true), -ENOENT);
	CHECK(c.internet);
	fz_choices_done(&c);
}

/* ---- items ---- */

static size_t count(
	const struct fz_host_item *items, size_t n, enum fz_host_kind kind, uint32_t table)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		if (items[i].kind == kind &&
			(kind == FZ_HOST_ADDRESS ||
				(kind == FZ_HOST_ROUTE ? items[i].route.table
						       : items[i].rule.table) == table))
			found++;
	return found;
}

static struct fz_prefix prefix(const char *text)
{
	struct fz_prefix p;
	CHECK_INT(fz_prefix_parse(text, &p), 0);
	return p;
}

TEST(wanted, attached_networks_are_copied_only_beside_a_default_route)
{
	const struct fz_host_names *names = &fz_host_client;
	struct fz_prefix prefixes[] = { prefix("10.0.0.0/8"), prefix("fd00::/16"),
		prefix("0.0.0.0/0"), prefix("::/0") };
	struct fz_route attached[] = { { prefix("192.168.1.0/24"), 254, 7 } };
	struct fz_wanted w = { .names = names,
		.ipv4 = fz_ip4(100, 64, 0, 2),
		.n = 2,
		.prefixes = prefixes,
		.n_attached = 1,
		.attached = attached };
	struct fz_host_item *items;
	size_t n;
	CHECK_INT(fz_wanted_items(&w, &items, &n), 0);
	CHECK_UINT(count(items, n, FZ_HOST_ADDRESS, 0), 1);
	CHECK_UINT(count(items, n, FZ_HOST_RULE, names->table_user), 1);
	CHECK_UINT(count(items, n, FZ_HOST_ROUTE, names->table_user), 1); /* not the one of IPv6 */
	CHECK_UINT(count(items, n, FZ_HOST_ROUTE, names->table_link), 0);
	CHECK_UINT(n, 5);
	free(items);

	CHECK_INT(fz_ip_parse("fd00:2021:1111::2", &w.ipv6), 0);
	w.n = 4;
	CHECK_INT(fz_wanted_items(&w, &items, &n), 0);
	CHECK_UINT(count(items, n, FZ_HOST_ADDRESS, 0), 2);
	CHECK_UINT(count(items, n, FZ_HOST_RULE, names->table_link), 2);
	CHECK_UINT(count(items, n, FZ_HOST_ROUTE, names->table_user), 2);
	CHECK_UINT(count(items, n, FZ_HOST_ROUTE, names->table_default), 2);
	CHECK_UINT(count(items, n, FZ_HOST_ROUTE, names->table_link), 1);
	free(items);
}

TEST(wanted, rules_go_from_user_routes_to_attached_to_default_and_spare_our_mark)
{
	struct fz_wanted w = { .names = &fz_host_client, .ipv4 = fz_ip4(100, 64, 0, 2) };
	struct fz_host_item *items;
	size_t n;
	CHECK_INT(fz_wanted_items(&w, &items, &n), 0);
	CHECK_UINT(n, 4);
	const uint32_t tables[] = { w.names->table_user, w.names->table_link,
		w.names->table_default };
	for (uint32_t i = 0; i < 3; i++) {
		const struct fz_rule *r = &items[1 + i].rule;
		CHECK_UINT(r->priority, w.names->priority + i);
		CHECK_UINT(r->table, tables[i]);
		CHECK(r->is_inverted && r->mark == w.names->mark && r->mask == UINT32_MAX);
	}
	free(items);
}

/* ---- the network ---- */

struct noticed {
	bool changed, moved;
};

static void on_changed(void *user, bool moved)
{
	struct noticed *n = user;
	n->changed = true;
	n->moved |= moved;
}

TEST(netwatch, tells_a_move_from_a_change_and_finds_attached_networks)
{
	WORLD(w, "plain:80");
	struct noticed seen = { 0 };
	struct fz_netwatch *watch;
	const struct fz_route *routes;
	CHECK_INT(fz_netwatch_new(w.event, on_changed, &seen, &watch), 0);
	CHECK_UINT(fz_netwatch_attached(watch, &routes), 0);
	CHECK(!fz_netwatch_has_way_out(watch));

	world_ip("link add d0 type veth peer name d1");
	world_ip("link set d0 up");
	world_ip("link set d1 up");
	world_ip("addr add 192.0.2.1/24 dev d0");
	world_run_until(&w, &seen.changed);
	while (fz_netwatch_attached(watch, &routes) == 0) { /* a burst may be seen in two parts */
		seen.changed = false;
		world_run_until(&w, &seen.changed);
	}
	CHECK(!seen.moved);
	bool found = false;
	size_t n = fz_netwatch_attached(watch, &routes);
	for (size_t i = 0; i < n; i++)
		found |= routes[i].to.bits == 24 && routes[i].to.ip.b[0] == 192;
	CHECK(found);

	world_ip("route add default via 192.0.2.254 dev d0");
	world_run_until(&w, &seen.moved);
	CHECK(fz_netwatch_has_way_out(watch));
	seen = (struct noticed){ 0 };
	world_ip("addr add 192.0.2.7/24 dev d0");
	world_run_until(&w, &seen.moved);
	fz_netwatch_free(watch);
}
