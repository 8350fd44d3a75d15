/*
 * Everything the daemon changes on the host: addresses, routes and policy rules. One desired state; the difference to
 * what was done before is carried out step by step, and each step is written to a journal on disk before it is taken.
 * So all of it can be undone on exit, and by the next start after a crash at any step; routes and rules also when the
 * journal is lost. Only what the journal names, or what carries our route protocol in a table or at a priority of the
 * role, is ever touched. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "daemon/rtnl.h"

#define FZ_HOST_ROUTES_MAX    65'536
#define FZ_HOST_RULES_MAX     16
#define FZ_HOST_ADDRESSES_MAX 4

/* Fixed numbers of a role, different from upstream's and from each other's, so that all can live on one host. */
struct fz_host_names {
	const char *interface;
	uint32_t mark; /* on our own sockets */
	uint32_t table_user, table_link, table_default;
	uint32_t priority; /* of the first rule; the others follow */
	uint32_t priority_last; /* of a rule that follows another role's; 0: none */
};

#define FZ_HOST_PRIORITIES 3 /* from `priority` on */

extern const struct fz_host_names fz_host_client, fz_host_gateway;

enum fz_host_kind { FZ_HOST_ADDRESS, FZ_HOST_ROUTE, FZ_HOST_RULE };

struct fz_host_item {
	enum fz_host_kind kind;

	union {
		struct fz_prefix address; /* on the tunnel's interface */
		struct fz_route route; /* ifindex 0: the tunnel's, filled in */
		struct fz_rule rule;
	};
};

struct fz_host;

void fz_host_free(struct fz_host *h); /* does not undo */
/*
 * `journal` is the journal's path, in a directory only we can write; `names` say which tables and priorities are this
 * role's. 0 or negative errno. What an earlier run left is undone here, before anything else.
 */
int fz_host_new(const char *journal, const struct fz_host_names *names, struct fz_host **ret_host)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

/*
 * Makes the host match `items` on the interface `ifindex`: adds what is missing first, then removes what is no longer
 * wanted. An address family the host does not have is left out and noted (fz_host_has_ipv4/6). On failure what was
 * done stays journalled; apply again or revert.
 */
int fz_host_apply(struct fz_host *h, uint32_t ifindex, const struct fz_host_item *items, size_t n)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* Undoes all of it, and removes what else is ours by its tag; what is gone already is no failure. */
int fz_host_revert(struct fz_host *h) FZ_NONNULL(1) FZ_MUST_CHECK;

enum fz_drift {
	FZ_DRIFT_NONE,
	FZ_DRIFT_MISSING /* someone removed it */,
	FZ_DRIFT_FOREIGN /* ours by its tag, but not asked for */
};

/* What was done, each item with the kernel's present view; returns 0, or what `fn` returned. */
typedef int (*fz_host_fn)(void *user, const struct fz_host_item *item, enum fz_drift drift);
int fz_host_each(struct fz_host *h, fz_host_fn fn, void *user) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Puts back what is missing and removes what is foreign; returns how many or a negative errno. */
int fz_host_repair(struct fz_host *h) FZ_NONNULL(1) FZ_MUST_CHECK;
size_t fz_host_count(const struct fz_host *h) FZ_NONNULL(1);
bool fz_host_has_ipv4(const struct fz_host *h) FZ_NONNULL(1);
bool fz_host_has_ipv6(const struct fz_host *h) FZ_NONNULL(1);

/* One line for people and for the journal, e.g. "route 10.0.0.0/8 table 1179212288". Always NUL-terminated. */
#define FZ_HOST_TEXT_LEN 160
const char *fz_host_format(const struct fz_host_item *item, char buf[static FZ_HOST_TEXT_LEN])
	FZ_NONNULL(1);
/* 0 or -EINVAL; the inverse of fz_host_format. */
int fz_host_parse(const char *text, struct fz_host_item *ret_item) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
