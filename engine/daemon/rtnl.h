/*
 * rtnetlink requests for addresses, routes, rules and links, one acknowledged message each, and dumps as callbacks
 * (rtnetlink(7)). Blocking, local to the kernel; control thread. Every function returns 0 or a negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

/* Tags what is ours: routes and rules carry it, and only what carries it is ever removed. Not in rt_protos. */
#define FZ_RTNL_PROTOCOL 217

struct fz_rtnl;

void fz_rtnl_free(struct fz_rtnl *n);
/* Opens a socket in the caller's network namespace. */
int fz_rtnl_new(struct fz_rtnl **ret_rtnl) FZ_NONNULL(1) FZ_MUST_CHECK;

struct fz_route {
	struct fz_prefix to;
	uint32_t table;
	uint32_t ifindex;
};

/* A policy rule: packets (not) carrying `mark` look up `table`. */
struct fz_rule {
	uint8_t family; /* FZ_IP4 or FZ_IP6 */
	uint32_t priority;
	uint32_t mark, mask; /* mask 0: any packet */
	bool is_inverted; /* those without the mark */
	uint32_t table;
};

enum fz_rtnl_op { FZ_RTNL_ADD, FZ_RTNL_REMOVE };

int fz_rtnl_address(struct fz_rtnl *n, enum fz_rtnl_op op, uint32_t ifindex,
	const struct fz_prefix *a) FZ_NONNULL(1, 4) FZ_MUST_CHECK;
int fz_rtnl_route(struct fz_rtnl *n, enum fz_rtnl_op op, const struct fz_route *r)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
int fz_rtnl_rule(struct fz_rtnl *n, enum fz_rtnl_op op, const struct fz_rule *r)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Sets MTU and transmit queue length, IPv6 address generation off, and takes the link up. */
int fz_rtnl_link_up(struct fz_rtnl *n, uint32_t ifindex, uint32_t mtu, uint32_t txqueuelen)
	FZ_NONNULL(1) FZ_MUST_CHECK;

/* Dumps. A callback returns 0 to go on, anything else ends the dump and is returned. Do not use `n` inside one. */
struct fz_route_seen {
	struct fz_route route;
	uint8_t protocol, scope, type;
};

typedef int (*fz_route_fn)(void *user, const struct fz_route_seen *r);
typedef int (*fz_rule_fn)(void *user, const struct fz_rule *r, uint8_t protocol);
typedef int (*fz_address_fn)(void *user, uint32_t ifindex, const struct fz_prefix *a);

int fz_rtnl_each_route(struct fz_rtnl *n, fz_route_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_rtnl_each_rule(struct fz_rtnl *n, fz_rule_fn fn, void *user) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_rtnl_each_address(struct fz_rtnl *n, fz_address_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
