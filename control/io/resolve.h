/*
 * A host's addresses from hosts(5) and the name servers of resolv.conf(5), asked over marked sockets of our own, so that
 * the answer does not depend on a tunnel that is up. IPv4 and IPv6 are asked at once. Shell; control thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "control/io/sock.h"

struct fzp_resolve;

struct fzp_resolve_params {
	sd_event *event;
	uint32_t mark; /* 0: none */
	const char *hosts_file, *resolv_conf; /* NULL: those in /etc */
};

/* Called from the loop alone. */
struct fzp_resolve_ops {
	/* Some addresses, of one family; more may follow. Must not free the resolver. */
	void (*found)(void *user, const struct fz_ip *ips, size_t n);
	/*
	 * Nothing follows. `n` were found; for 0 `detail` says why, and `err` is -ENETUNREACH if no server could be
	 * reached at all, else -ENOENT. The resolver may be freed.
	 */
	void (*done)(void *user, size_t n, int err, const char *detail);
};

void fzp_resolve_free(struct fzp_resolve *r);
/* 0, -EINVAL (no host name) or negative errno. `host` is copied. */
int fzp_resolve_new(const struct fzp_resolve_params *params, const char *host,
	const struct fzp_resolve_ops *ops, void *user, struct fzp_resolve **ret_resolve)
	FZ_NONNULL(1, 2, 3, 5) FZ_MUST_CHECK;
