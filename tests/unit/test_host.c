/* Host changes in a network namespace of the test's own: done, undone, crashed at every step, drifted, repaired. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
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
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	fz_host_free(h); /* as kill -9: nothing is undone */
	CHECK_UINT(in_kernel(), n);
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
		CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
		CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
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
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
	CHECK_INT(fz_host_apply(h, index, items, n), 0);
	CHECK(fz_host_has_ipv4(h));
	CHECK(!fz_host_has_ipv6(h));
	CHECK_INT(fz_host_revert(h), 0);
	CHECK_UINT(in_kernel(), 0);
	fz_host_free(h);
	clean_up(tun);
}

/* A route and a rule as `names` would have them, made behind every journal's back. */
static void leave(const struct fz_host_names *names, uint32_t index, uint32_t priority)
{
	struct fz_rtnl *k;
	struct fz_route route = { prefix("10.66.0.0/16"), names->table_link, index };
	struct fz_rule rule = { FZ_IP4, priority, names->mark, UINT32_MAX, true,
		names->table_user };
	CHECK_INT(fz_rtnl_new(&k), 0);
	CHECK_INT(fz_rtnl_route(k, FZ_RTNL_ADD, &route), 0);
	CHECK_INT(fz_rtnl_rule(k, FZ_RTNL_ADD, &rule), 0);
	fz_rtnl_free(k);
}

static void write_journal(const char *text)
{
	FILE *f = fopen(journal, "w");
	CHECK(f != NULL);
	fputs(text, f);
	fclose(f);
}

TEST(host, a_journal_of_nonsense_is_no_obstacle)
{
	int tun;
	uint32_t index = arrange(&tun);
	leave(&fz_host_client, index, fz_host_client.priority + 2);
	write_journal("firezone host changes 1\nroute x table y\nrule\n\xff\xff\naddress 1.2.3.4/33"
		      "\nroute 10.0.0.0/8 table 5 dev 1 and more\n");
	struct fz_host *h;
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
	CHECK_UINT(fz_host_count(h), 0);
	CHECK_UINT(in_kernel(), 0);
	fz_host_free(h);
	clean_up(tun);
}

TEST(host, a_lost_journal_is_made_up_for_by_the_tag_and_other_roles_keep_theirs)
{
	static const char *const journals[] = { "", "firezone host changes 1\n", NULL };
	int tun;
	uint32_t index = arrange(&tun);
	leave(&fz_host_gateway, index, fz_host_gateway.priority_last);
	for (size_t i = 0; i < FZ_ARRAY_LEN(journals); i++) {
		leave(&fz_host_client, index, fz_host_client.priority);
		if (journals[i])
			write_journal(journals[i]);
		struct fz_host *h;
		CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
		CHECK_UINT(in_kernel(), 2); /* the gateway's */
		CHECK(access(journal, F_OK) != 0);
		/* What appears later is drift, and reverting removes it. */
		leave(&fz_host_client, index, fz_host_client.priority);
		struct seen s = { 0 };
		CHECK_INT(fz_host_each(h, count, &s), 0);
		CHECK(s.n == 2 && s.n_foreign == 2);
		CHECK_INT(fz_host_revert(h), 0);
		CHECK_UINT(in_kernel(), 2);
		fz_host_free(h);
	}
	struct fz_host *gateway;
	CHECK_INT(fz_host_new(journal, &fz_host_gateway, &gateway), 0);
	CHECK_UINT(in_kernel(), 0);
	fz_host_free(gateway);
	clean_up(tun);
}

/* ---- killed at every step ---- */

static bool is_journalled(const struct fz_host_item *item)
{
	char want[FZ_HOST_TEXT_LEN], line[FZ_HOST_TEXT_LEN + 2];
	FILE *f = fopen(journal, "re");
	if (!f)
		return false;
	bool is_there = false;
	fz_host_format(item, want);
	while (!is_there && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		is_there = strcmp(line, want) == 0;
	}
	fclose(f);
	return is_there;
}

static int find_route(void *user, const struct fz_route_seen *r)
{
	struct fz_host_item item = { .kind = FZ_HOST_ROUTE, .route = r->route };
	*(size_t *)user += r->protocol == FZ_RTNL_PROTOCOL && !is_journalled(&item);
	return 0;
}

static int find_rule(void *user, const struct fz_rule *r, uint8_t protocol)
{
	struct fz_host_item item = { .kind = FZ_HOST_RULE, .rule = *r };
	*(size_t *)user += protocol == FZ_RTNL_PROTOCOL && !is_journalled(&item);
	return 0;
}

static int find_address(void *user, uint32_t ifindex, const struct fz_prefix *a)
{
	struct fz_host_item item = { .kind = FZ_HOST_ADDRESS, .address = *a };
	size_t is_ours = 0;
	(void)count_addresses(&is_ours, ifindex, a);
	*(size_t *)user += is_ours && !is_journalled(&item);
	return 0;
}

/* What stands in the kernel, is ours, and is not in the journal: at no time anything, whether or not the tag would find it. */
static size_t unjournalled(void)
{
	struct fz_rtnl *n;
	size_t total = 0;
	CHECK_INT(fz_rtnl_new(&n), 0);
	CHECK_INT(fz_rtnl_each_rule(n, find_rule, &total), 0);
	CHECK_INT(fz_rtnl_each_route(n, find_route, &total), 0);
	CHECK_INT(fz_rtnl_each_address(n, find_address, &total), 0);
	fz_rtnl_free(n);
	return total;
}

/* A run that is killed: starts, applies two states that differ both ways, reverts. */
static int whole_run(uint32_t index)
{
	struct fz_host *h;
	struct fz_host_item a[16], b[16];
	size_t n = plan(a);
	(void)plan(b);
	b[2].route.to = prefix("10.10.0.0/16");
	b[n - 1].rule.priority++;
	int r = fz_host_new(journal, &fz_host_client, &h);
	r = r ? r : fz_host_apply(h, index, a, n);
	r = r ? r : fz_host_apply(h, index, b, n);
	return r ? r : fz_host_revert(h);
}

/* The start after a killed run, killed itself. */
static int start_only(uint32_t index)
{
	(void)index;
	struct fz_host *h;
	return fz_host_new(journal, &fz_host_client, &h);
}

/* Runs `fn` in a child that is killed before its `n`th system call; false when it made fewer. */
static bool is_killed_at(size_t n, int (*fn)(uint32_t index), uint32_t index)
{
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
			_exit(2);
		_exit(fn(index) == 0 ? 0 : 1);
	}
	int status = 0;
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status));
	CHECK_INT(ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
		0);
	/* Two stops for each call, before and after it; the one call before `fn` is raise()'s, coming back. */
	for (size_t stops = 0; stops < 2 * n; stops++) {
		CHECK_INT(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		CHECK_INT(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			CHECK_INT(WEXITSTATUS(status), 0);
			return false;
		}
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
	}
	CHECK_INT(kill(child, SIGKILL), 0);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return true;
}

static void starts_clean(void)
{
	struct fz_host *h;
	CHECK_UINT(unjournalled(), 0);
	CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
	CHECK_UINT(in_kernel(), 0);
	char fresh[128];
	snprintf(fresh, sizeof(fresh), "%s.new", journal);
	CHECK(access(journal, F_OK) != 0 && access(fresh, F_OK) != 0);
	fz_host_free(h);
}

TEST(host, a_run_killed_at_any_system_call_is_undone_by_the_next_start)
{
	int tun;
	uint32_t index = arrange(&tun);
	size_t n = 1;
	for (; is_killed_at(n, whole_run, index); n++)
		starts_clean();
	CHECK(n > 60); /* 35 changes alone are as many requests, each with its answer */
	clean_up(tun);
}

TEST(host, a_start_killed_at_any_system_call_is_finished_by_the_next)
{
	int tun;
	uint32_t index = arrange(&tun);
	struct fz_host_item items[16];
	size_t n_items = plan(items), n = 0;
	bool was_killed;
	do {
		struct fz_host *h;
		CHECK_INT(fz_host_new(journal, &fz_host_client, &h), 0);
		CHECK_INT(fz_host_apply(h, index, items, n_items), 0);
		fz_host_free(h);
		was_killed = is_killed_at(++n, start_only, index);
		starts_clean();
	} while (was_killed);
	CHECK(n > 2 * n_items);
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
