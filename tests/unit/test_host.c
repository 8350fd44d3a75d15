/* Host changes in a network namespace of the test's own: done, undone, crashed at every step, drifted, repaired. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/host.h"
#include "support/test.h"

static char dir[64], journal[96];

/* A fresh namespace with a tunnel device in it; its index. */
static uint32_t arrange(int *ret_tun)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		TEST_SKIP("needs root for a network namespace");
	*ret_tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (*ret_tun < 0)
		TEST_SKIP("needs /dev/net/tun");
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "tun-test");
	CHECK_INT(ioctl(*ret_tun, TUNSETIFF, &ifr), 0);
	snprintf(dir, sizeof(dir), "/tmp/fz-host-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	snprintf(journal, sizeof(journal), "%s/journal", dir);
	struct fz_rtnl *n;
	CHECK_INT(fz_rtnl_new(&n), 0);
	uint32_t index = if_nametoindex("tun-test");
	CHECK_INT(fz_rtnl_link_up(n, index, 1280, 1000), 0);
	fz_rtnl_free(n);
	return index;
}

static void clean_up(int tun)
{
	close(tun);
	unlink(journal);
	rmdir(dir);
}

static struct fz_prefix prefix(const char *text)
{
	struct fz_prefix p;
	CHECK_INT(fz_prefix_parse(text, &p), 0);
	return p;
}

static size_t plan(struct fz_host_item items[static 16])
{
	const struct fz_host_names *c = &fz_host_client;
	size_t n = 0;
	items[n++] = (struct fz_host_item){ .kind = FZ_HOST_ADDRESS,
		.address = prefix("100.64.0.2/32") };
	items[n++] = (struct fz_host_item){ .kind = FZ_HOST_ADDRESS,
		.address = prefix("fd00:2021:1111::2/128") };
	items[n++] = (struct fz_host_item){ .kind = FZ_HOST_ROUTE,
		.route = { prefix("10.9.0.0/24"), c->table_user, 0 } };
	items[n++] = (struct fz_host_item){ .kind = FZ_HOST_ROUTE,
		.route = { prefix("fd00:2021:1111::/107"), c->table_user, 0 } };
	items[n++] = (struct fz_host_item){ .kind = FZ_HOST_ROUTE,
		.route = { prefix("0.0.0.0/0"), c->table_default, 0 } };
	for (unsigned family = 4; family <= 6; family += 2)
		items[n++] = (struct fz_host_item){ .kind = FZ_HOST_RULE,
			.rule = { (uint8_t)family, c->priority, c->mark, UINT32_MAX, true,
				c->table_user } };
	return n;
}

struct seen {
	size_t n, n_missing, n_foreign;
};

static int count(void *user, const struct fz_host_item *item, enum fz_drift drift)
{
	(void)item;
	struct seen *s = user;
	s->n++;
	s->n_missing += drift == FZ_DRIFT_MISSING;
	s->n_foreign += drift == FZ_DRIFT_FOREIGN;
	return 0;
}

static int count_ours(void *user, const struct fz_rule *r, uint8_t protocol)
{
	(void)r;
	*(size_t *)user += protocol == FZ_RTNL_PROTOCOL;
	return 0;
}

static int count_routes(void *user, const struct fz_route_seen *r)
{
	*(size_t *)user += r->protocol == FZ_RTNL_PROTOCOL;
	return 0;
}

static int count_addresses(void *user, uint32_t ifindex, const struct fz_prefix *a)
{
	(void)ifindex;
	struct fz_prefix peers = prefix("100.64.0.0/11"), peers6 = prefix("fd00:2021:1111::/107");
	*(size_t *)user +=
		fz_prefix_contains(&peers, &a->ip) || fz_prefix_contains(&peers6, &a->ip);
	return 0;
}

/* What of ours the kernel holds, whoever says so. */
static size_t in_kernel(void)
{
	struct fz_rtnl *n;
	size_t total = 0;
	CHECK_INT(fz_rtnl_new(&n), 0);
	CHECK_INT(fz_rtnl_each_rule(n, count_ours, &total), 0);
	CHECK_INT(fz_rtnl_each_route(n, count_routes, &total), 0);
	CHECK_INT(fz_rtnl_each_address(n, count_addresses, &total), 0);
	fz_rtnl_free(n);
	return total;
}

TEST(host, what_is_applied_is_there_and_what_is_reverted_is_gone)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host *h;
	struct fz_host_item items[16];
	size_t n = plan(items);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	CHECK_UINT(in_kernel(), n);
	struct seen s = { 0 };
	CHECK_INT(fz_host_each(h, count, &s), 0);
	CHECK(s.n == n && s.n_missing == 0 && s.n_foreign == 0);
	CHECK_INT(fz_host_revert(h), 0);
	CHECK_UINT(in_kernel(), 0);
	CHECK(access(journal, F_OK) != 0);
	fz_host_free(h);
	clean_up(tun);
}

TEST(host, a_new_state_is_applied_as_a_difference)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host *h;
	struct fz_host_item items[16];
	size_t n = plan(items);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	items[2].route.to = prefix("10.10.0.0/16");
	CHECK_INT(fz_host_apply(h, index, items, n - 1), 0);
	CHECK_UINT(in_kernel(), n - 1);
	CHECK_UINT(fz_host_count(h), n - 1);
	struct seen s = { 0 };
	CHECK_INT(fz_host_each(h, count, &s), 0);
	CHECK(s.n_missing == 0 && s.n_foreign == 0);
	CHECK_INT(fz_host_revert(h), 0);
	fz_host_free(h);
	clean_up(tun);
}

TEST(host, the_next_start_undoes_what_a_killed_run_left)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host *h;
	struct fz_host_item items[16];
	size_t n = plan(items);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	fz_host_free(h); /* as kill -9: nothing is undone */
	CHECK_UINT(in_kernel(), n);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_UINT(in_kernel(), 0);
	fz_host_free(h);
	clean_up(tun);
}

/* The journal names everything before anything is done: a crash after any number of steps leaves a prefix of them. */
TEST(host, a_crash_after_any_step_is_undone)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host_item items[16];
	size_t n = plan(items);
	for (size_t steps = 0; steps <= n; steps++) {
		struct fz_host *h;
		CHECK_INT(fz_host_new(journal, &h), 0);
		CHECK_INT(fz_host_apply(h, index, items, n), 0);
		fz_host_free(h);
		/* Take back what the crash would have prevented, behind the journal's back. */
		struct fz_rtnl *k;
		CHECK_INT(fz_rtnl_new(&k), 0);
		for (size_t left = n; left > steps; left--) {
			size_t i = left - 1;
			struct fz_route r = items[i].route;
			r.ifindex = index;
			int done = items[i].kind == FZ_HOST_ADDRESS
					   ? fz_rtnl_address(
						     k, FZ_RTNL_REMOVE, index, &items[i].address)
				   : items[i].kind == FZ_HOST_ROUTE
					   ? fz_rtnl_route(k, FZ_RTNL_REMOVE, &r)
					   : fz_rtnl_rule(k, FZ_RTNL_REMOVE, &items[i].rule);
			CHECK_INT(done, 0);
		}
		fz_rtnl_free(k);
		CHECK_UINT(in_kernel(), steps);
		CHECK_INT(fz_host_new(journal, &h), 0);
		CHECK_UINT(in_kernel(), 0);
		fz_host_free(h);
	}
	clean_up(tun);
}

TEST(host, drift_is_seen_and_repaired)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host *h;
	struct fz_host_item items[16];
	size_t n = plan(items);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	struct fz_rtnl *k;
	CHECK_INT(fz_rtnl_new(&k), 0);
	struct fz_route gone = { prefix("10.9.0.0/24"), fz_host_client.table_user, index };
	struct fz_route extra = { prefix("10.77.0.0/24"), fz_host_client.table_user, index };
	CHECK_INT(fz_rtnl_route(k, FZ_RTNL_REMOVE, &gone), 0);
	CHECK_INT(fz_rtnl_route(k, FZ_RTNL_ADD, &extra), 0);
	fz_rtnl_free(k);
	struct seen s = { 0 };
	CHECK_INT(fz_host_each(h, count, &s), 0);
	CHECK_UINT(s.n_missing, 1);
	CHECK_UINT(s.n_foreign, 1);
	CHECK_INT(fz_host_repair(h), 2);
	CHECK_UINT(in_kernel(), n);
	CHECK_INT(fz_host_repair(h), 0);
	CHECK_INT(fz_host_revert(h), 0);
	fz_host_free(h);
	clean_up(tun);
}

TEST(host, an_interface_that_vanished_is_no_obstacle_to_undoing)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host *h;
	struct fz_host_item items[16];
	size_t n = plan(items);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	close(tun);
	CHECK_INT(fz_host_revert(h), 0);
	CHECK_UINT(in_kernel(), 0);
	fz_host_free(h);
	clean_up(-1);
}

TEST(host, a_host_without_ipv6_gets_ipv4_alone)
{
	int tun;
	uint32_t index = arrange(&tun);
	FZ_CLEANUP(fz_closep)
	int fd = open("/proc/sys/net/ipv6/conf/tun-test/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		TEST_SKIP("needs a writable disable_ipv6");
	struct fz_host *h;
	struct fz_host_item items[16];
	size_t n = plan(items);
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	CHECK(fz_host_has_ipv4(h));
	CHECK(!fz_host_has_ipv6(h));
	CHECK_INT(fz_host_revert(h), 0);
	CHECK_UINT(in_kernel(), 0);
	fz_host_free(h);
	clean_up(tun);
}

TEST(host, a_journal_of_nonsense_is_no_obstacle)
{
	int tun;
	(void)arrange(&tun);
	FILE *f = fopen(journal, "w");
	CHECK(f != NULL);
	fputs("firezone host changes 1\nroute x table y\nrule\n\xff\xff\naddress 1.2.3.4/33\nroute "
	      "10.0.0.0/8 table 5 dev 1 and more\n",
		f);
	fclose(f);
	struct fz_host *h;
	CHECK_INT(fz_host_new(journal, &h), 0);
	CHECK_UINT(fz_host_count(h), 0);
	fz_host_free(h);
	clean_up(tun);
}

TEST(host, text_and_item_are_inverse)
{
	struct fz_host_item items[16];
	size_t n = plan(items);
	for (size_t i = 0; i < n; i++) {
		char text[FZ_HOST_TEXT_LEN], again[FZ_HOST_TEXT_LEN];
		struct fz_host_item back;
		CHECK_INT(fz_host_parse(fz_host_format(&items[i], text), &back), 0);
		CHECK_STR(fz_host_format(&back, again), text);
	}
	struct fz_host_item item;
	CHECK_INT(fz_host_parse("route 10.0.0.0/8 table 99999999999 dev 1", &item), -EINVAL);
	CHECK_INT(fz_host_parse("rule ipv5 priority 1 with mark 0x00000000 mask 0x00000000 table 1",
			  &item),
		-EINVAL);
	CHECK_INT(fz_host_parse("", &item), -EINVAL);
}
