/*
 * Host changes with a journal. Invariant: what stands in the kernel and is ours stands in the journal, too; a line may name something
 * that was never done (the crash came between), which undoing ignores. The journal is rewritten as a whole (write, fsync, rename)
 * before additions and after removals. A journal that is lost or damaged breaks the invariant: routes and rules are then found by
 * their tag; an address goes with its interface, which lives no longer than the process that made it.
 */
#include "daemon/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"

#define ITEMS_MAX    (FZ_HOST_ROUTES_MAX + FZ_HOST_RULES_MAX + FZ_HOST_ADDRESSES_MAX)
#define SWEEPS_MAX   16
#define JOURNAL_HEAD "firezone host changes 1"

struct list {
	struct fz_host_item *items;
	size_t n, cap;
};

struct fz_host {
	struct fz_rtnl *rtnl;
	const struct fz_host_names *names;
	char *path, *path_new;
	uint32_t ifindex;
	struct list done; /* as journalled, sorted */
	bool lacks_ipv4, lacks_ipv6;
};

/* ---- lists ---- */

static int order_ip(const struct fz_ip *a, const struct fz_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

static int order_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int order_prefix(const struct fz_prefix *a, const struct fz_prefix *b)
{
	int r = order_ip(&a->ip, &b->ip);
	return r ? r : order_u32(a->bits, b->bits);
}

static int order_rule(const struct fz_rule *a, const struct fz_rule *b)
{
	int r = order_u32(a->family, b->family);
	r = r ? r : order_u32(a->priority, b->priority);
	r = r ? r : order_u32(a->table, b->table);
	r = r ? r : order_u32(a->mark, b->mark);
	r = r ? r : order_u32(a->mask, b->mask);
	return r ? r : order_u32(a->is_inverted, b->is_inverted);
}

static int order(const void *pa, const void *pb)
{
	const struct fz_host_item *a = pa, *b = pb;
	int r = order_u32(a->kind, b->kind);
	if (r)
		return r;
	switch (a->kind) {
	case FZ_HOST_ADDRESS: return order_prefix(&a->address, &b->address);
	case FZ_HOST_ROUTE:
		r = order_prefix(&a->route.to, &b->route.to);
		r = r ? r : order_u32(a->route.table, b->route.table);
		return r ? r : order_u32(a->route.ifindex, b->route.ifindex);
	case FZ_HOST_RULE: return order_rule(&a->rule, &b->rule);
	}
	return 0;
}

static int add(struct list *l, const struct fz_host_item *item)
{
	if (l->n == ITEMS_MAX)
		return -E2BIG;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		struct fz_host_item *items = fz_realloc(l->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = *item;
	return 0;
}

static void sort(struct list *l)
{
	if (l->n == 0)
		return;
	qsort(l->items, l->n, sizeof(l->items[0]), order);
	size_t n = 1;
	for (size_t i = 1; i < l->n; i++)
		if (order(&l->items[n - 1], &l->items[i]) != 0)
			l->items[n++] = l->items[i];
	l->n = n;
}

static bool has(const struct list *l, const struct fz_host_item *item)
{
	return l->n > 0 && bsearch(item, l->items, l->n, sizeof(l->items[0]), order);
}

static void list_done(struct list *l)
{
	free(l->items);
	*l = (struct list){ 0 };
}

/* ---- journal ---- */

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static int sync_directory(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n == 0 || n >= sizeof(dir))
		return 0;
	memcpy(dir, path, n);
	dir[n] = '\0';
	FZ_CLEANUP(fz_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
}

static int write_journal(const struct fz_host *h, const struct list *l)
{
	if (l->n == 0) {
		(void)unlink(h->path_new); /* of a run that was killed while it wrote */
		return unlink(h->path) == 0 || errno == ENOENT ? sync_directory(h->path) : -errno;
	}
	FZ_CLEANUP(fclosep) FILE *f = fopen(h->path_new, "we");
	if (!f)
		return -errno;
	fprintf(f, "%s\ninterface %u\n", JOURNAL_HEAD, h->ifindex);
	for (size_t i = 0; i < l->n; i++) {
		char text[FZ_HOST_TEXT_LEN];
		fprintf(f, "%s\n", fz_host_format(&l->items[i], text));
	}
	if (fflush(f) != 0 || ferror(f) || fsync(fileno(f)) != 0)
		return errno ? -errno : -EIO;
	if (rename(h->path_new, h->path) != 0)
		return -errno;
	return sync_directory(h->path);
}

/* A line that makes no sense is skipped: the tag on routes and rules still finds what it meant (sweep). */
static int read_journal(struct fz_host *h, struct list *l)
{
	FZ_CLEANUP(fclosep) FILE *f = fopen(h->path, "re");
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	char line[FZ_HOST_TEXT_LEN + 2];
	if (!fgets(line, sizeof(line), f) || strcmp(line, JOURNAL_HEAD "\n") != 0)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		struct fz_host_item item;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "interface %u", &h->ifindex) == 1 ||
			fz_host_parse(line, &item) < 0)
			continue;
		int r = add(l, &item);
		if (r < 0)
			return r;
	}
	return ferror(f) ? -EIO : 0;
}

/* ---- doing and undoing one item ---- */

static int carry_out(struct fz_host *h, enum fz_rtnl_op op, const struct fz_host_item *item)
{
	switch (item->kind) {
	case FZ_HOST_ADDRESS: return fz_rtnl_address(h->rtnl, op, h->ifindex, &item->address);
	case FZ_HOST_ROUTE: return fz_rtnl_route(h->rtnl, op, &item->route);
	case FZ_HOST_RULE: return fz_rtnl_rule(h->rtnl, op, &item->rule);
	}
	return -EINVAL;
}

static bool is_gone_already(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EADDRNOTAVAIL || r == -ENODEV ||
	       r == -EAFNOSUPPORT || r == -EOPNOTSUPP;
}

static bool is_family_missing(int r)
{
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT;
}

static uint8_t family_of(const struct fz_host_item *item)
{
	switch (item->kind) {
	case FZ_HOST_ADDRESS: return item->address.ip.family;
	case FZ_HOST_ROUTE: return item->route.to.ip.family;
	case FZ_HOST_RULE: return item->rule.family;
	}
	return FZ_NO_FAMILY;
}

/* With disable_ipv6=1 the kernel answers EACCES to an address and ENODEV, EINVAL or EACCES to a route. */
static bool is_ipv6_disabled(const struct fz_host_item *item, int r)
{
	return family_of(item) == FZ_IP6 &&
	       (r == -EACCES || (item->kind == FZ_HOST_ROUTE && (r == -EINVAL || r == -ENODEV)));
}

static int do_item(struct fz_host *h, const struct fz_host_item *item)
{
	int r = carry_out(h, FZ_RTNL_ADD, item);
	if (r == -EEXIST)
		return 0;
	if (is_family_missing(r) || is_ipv6_disabled(item, r)) {
		if (family_of(item) == FZ_IP4)
			h->lacks_ipv4 = true;
		else
			h->lacks_ipv6 = true;
		return 0;
	}
	return r;
}

static int undo_item(struct fz_host *h, const struct fz_host_item *item)
{
	int r = carry_out(h, FZ_RTNL_REMOVE, item);
	return is_gone_already(r) ? 0 : r;
}

/* The first failure, after all have been tried. Last in, first out: rules go before the routes they lead to. */
static int undo_all(struct fz_host *h, const struct list *l)
{
	int result = 0;
	for (size_t i = l->n; i > 0; i--) {
		int r = undo_item(h, &l->items[i - 1]);
		if (r < 0) {
			char text[FZ_HOST_TEXT_LEN];
			fz_log(FZ_LOG_WARNING, "host-undo-failed", "change=\"%s\" errno=%d",
				fz_host_format(&l->items[i - 1], text), -r);
			result = result ? result : r;
		}
	}
	return result;
}

/* ---- making ---- */

void fz_host_free(struct fz_host *h)
{
	if (!h)
		return;
	fz_rtnl_free(h->rtnl);
	list_done(&h->done);
	free(h->path);
	free(h->path_new);
	free(h);
}

static int open_host(struct fz_host *h, const char *journal, const struct fz_host_names *names)
{
	h->names = names;
	size_t n = strlen(journal) + sizeof(".new");
	h->path = fz_strdup(journal);
	h->path_new = fz_alloc(n, 1);
	if (!h->path || !h->path_new)
		return -ENOMEM;
	snprintf(h->path_new, n, "%s.new", journal);
	int r = fz_rtnl_new(&h->rtnl);
	if (r < 0)
		return r;
	r = read_journal(h, &h->done);
	if (r < 0)
		return r;
	if (h->done.n > 0)
		fz_log(FZ_LOG_INFO, "host-leftovers", "changes=%zu", h->done.n);
	sort(&h->done);
	return fz_host_revert(h);
}

int fz_host_new(const char *journal, const struct fz_host_names *names, struct fz_host **ret_host)
{
	struct fz_host *h = fz_new(struct fz_host);
	if (!h)
		return -ENOMEM;
	int r = open_host(h, journal, names);
	if (r < 0) {
		fz_host_free(h);
		return r;
	}
	*ret_host = h;
	return 0;
}

static int collect(const struct fz_host_item *items, size_t n, uint32_t ifindex, struct list *ret)
{
	for (size_t i = 0; i < n; i++) {
		struct fz_host_item item = items[i];
		if (item.kind == FZ_HOST_ROUTE) {
			if (item.route.ifindex == 0)
				item.route.ifindex = ifindex;
			fz_prefix_mask(&item.route.to);
		}
		int r = add(ret, &item);
		if (r < 0)
			return r;
	}
	sort(ret);
	return 0;
}

static int add_missing(struct fz_host *h, const struct list *want, const struct list *had)
{
	for (size_t i = 0; i < want->n; i++) {
		if (has(had, &want->items[i]))
			continue;
		int r = do_item(h, &want->items[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int remove_unwanted(struct fz_host *h, const struct list *want, const struct list *had)
{
	int result = 0;
	for (size_t i = had->n; i > 0; i--) {
		if (has(want, &had->items[i - 1]))
			continue;
		int r = undo_item(h, &had->items[i - 1]);
		result = result ? result : r;
	}
	return result;
}

int fz_host_apply(struct fz_host *h, uint32_t ifindex, const struct fz_host_item *items, size_t n)
{
	FZ_CLEANUP(list_done) struct list want = { 0 }, had = { 0 }, both = { 0 };
	int r = collect(items, n, ifindex, &want);
	for (size_t i = 0; r == 0 && i < h->done.n; i++) {
		r = add(&had, &h->done.items[i]);
		if (r == 0)
			r = add(&both, &h->done.items[i]);
	}
	for (size_t i = 0; r == 0 && i < want.n; i++)
		r = add(&both, &want.items[i]);
	if (r < 0)
		return r;
	sort(&both);
	h->ifindex = ifindex;
	r = write_journal(h, &both);
	if (r < 0)
		return r;
	/* From here on `done` is what the journal says. */
	struct list old = h->done;
	h->done = both;
	both = old;

	r = add_missing(h, &want, &had);
	if (r < 0)
		return r;
	r = remove_unwanted(h, &want, &had);
	if (r < 0)
		return r;
	r = write_journal(h, &want);
	if (r < 0)
		return r;
	old = h->done;
	h->done = want;
	want = old;
	return 0;
}

/* ---- looking ---- */

struct view {
	struct list present;
	const struct fz_host *host;
};

/* Of this role: another one's on the same host are none of our business. */
static bool is_own_table(const struct fz_host_names *names, uint32_t table)
{
	return table == names->table_user || table == names->table_link ||
	       table == names->table_default;
}

static bool is_own_priority(const struct fz_host_names *names, uint32_t priority)
{
	return priority - names->priority < FZ_HOST_PRIORITIES ||
	       (names->priority_last != 0 && priority == names->priority_last);
}

static int view_route(void *user, const struct fz_route_seen *r)
{
	struct view *v = user;
	if (r->protocol != FZ_RTNL_PROTOCOL || r->type != RTN_UNICAST ||
		!is_own_table(v->host->names, r->route.table))
		return 0;
	struct fz_host_item item = { .kind = FZ_HOST_ROUTE, .route = r->route };
	return add(&v->present, &item);
}

static int view_rule(void *user, const struct fz_rule *r, uint8_t protocol)
{
	struct view *v = user;
	struct fz_host_item item = { .kind = FZ_HOST_RULE, .rule = *r };
	bool is_ours = protocol == FZ_RTNL_PROTOCOL && is_own_priority(v->host->names, r->priority);
	return is_ours ? add(&v->present, &item) : 0;
}

static int view_address(void *user, uint32_t ifindex, const struct fz_prefix *a)
{
	struct view *v = user;
	struct fz_host_item item = { .kind = FZ_HOST_ADDRESS, .address = *a };
	/* Addresses carry no tag: only those we asked for count. */
	return ifindex == v->host->ifindex && has(&v->host->done, &item) ? add(&v->present, &item)
									 : 0;
}

static void view_done(struct view *v)
{
	list_done(&v->present);
}

static int look(struct fz_host *h, struct view *v)
{
	v->host = h;
	int r = fz_rtnl_each_route(h->rtnl, view_route, v);
	if (r == 0)
		r = fz_rtnl_each_rule(h->rtnl, view_rule, v);
	if (is_family_missing(r)) /* a kernel without policy rules has none */
		r = 0;
	if (r == 0)
		r = fz_rtnl_each_address(h->rtnl, view_address, v);
	sort(&v->present);
	return r;
}

/* Removes what carries our tag though no journal names it: one was lost, or somebody else made it. */
static int sweep(struct fz_host *h)
{
	size_t n = 0;
	int r = -E2BIG;
	/* What there is no room for is left to the next pass. */
	for (int pass = 0; r == -E2BIG && pass < SWEEPS_MAX; pass++) {
		FZ_CLEANUP(view_done) struct view v = { 0 };
		r = look(h, &v);
		n += v.present.n;
		int undone = r == 0 || r == -E2BIG ? undo_all(h, &v.present) : 0;
		r = undone < 0 ? undone : r;
	}
	if (n > 0)
		fz_log(FZ_LOG_WARNING, "host-leftovers", "changes=%zu journal=none", n);
	return r;
}

int fz_host_revert(struct fz_host *h)
{
	int r = undo_all(h, &h->done);
	if (r < 0)
		return r;
	list_done(&h->done);
	r = sweep(h);
	if (r < 0)
		return r;
	h->lacks_ipv4 = h->lacks_ipv6 = false;
	return write_journal(h, &h->done);
}

static bool is_left_out(const struct fz_host *h, const struct fz_host_item *item)
{
	return family_of(item) == FZ_IP4 ? h->lacks_ipv4 : h->lacks_ipv6;
}

int fz_host_each(struct fz_host *h, fz_host_fn fn, void *user)
{
	FZ_CLEANUP(view_done) struct view v = { 0 };
	int r = look(h, &v);
	for (size_t i = 0; r == 0 && i < h->done.n; i++) {
		const struct fz_host_item *item = &h->done.items[i];
		bool is_there = has(&v.present, item) || is_left_out(h, item);
		r = fn(user, item, is_there ? FZ_DRIFT_NONE : FZ_DRIFT_MISSING);
	}
	for (size_t i = 0; r == 0 && i < v.present.n; i++)
		if (!has(&h->done, &v.present.items[i]))
			r = fn(user, &v.present.items[i], FZ_DRIFT_FOREIGN);
	return r;
}

struct repair {
	struct fz_host *host;
	struct list missing, foreign;
};

static int note_drift(void *user, const struct fz_host_item *item, enum fz_drift drift)
{
	struct repair *p = user;
	if (drift == FZ_DRIFT_NONE)
		return 0;
	return add(drift == FZ_DRIFT_MISSING ? &p->missing : &p->foreign, item);
}

int fz_host_repair(struct fz_host *h)
{
	struct repair p = { .host = h };
	int r = fz_host_each(h, note_drift, &p);
	for (size_t i = 0; r == 0 && i < p.missing.n; i++)
		r = do_item(h, &p.missing.items[i]);
	for (size_t i = 0; r == 0 && i < p.foreign.n; i++)
		r = undo_item(h, &p.foreign.items[i]);
	int n = (int)(p.missing.n + p.foreign.n);
	list_done(&p.missing);
	list_done(&p.foreign);
	return r < 0 ? r : n;
}

size_t fz_host_count(const struct fz_host *h)
{
	return h->done.n;
}

bool fz_host_has_ipv4(const struct fz_host *h)
{
	return !h->lacks_ipv4;
}

bool fz_host_has_ipv6(const struct fz_host *h)
{
	return !h->lacks_ipv6;
}
