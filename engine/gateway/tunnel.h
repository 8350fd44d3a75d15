/*
 * The gateway's data plane as the session sees it: the table of clients and grants (engine/tunnel/gateway.h) and the
 * node (engine/daemon/node.h), joined. What the portal says is put into their words here; packets meet the table in
 * the node's hooks, on data threads. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "control/gateway_message.h"
#include "crypto/aead.h"
#include "io/backend.h"

struct gw_tunnel;

struct gw_tunnel_params {
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads;
	/* From the event loop and from within calls here. */
	void (*candidate)(void *user, const struct fzp_id *client, const char *text, bool is_gone);
	void (*no_relays)(void *user);
	void (*changed)(void *user); /* the counts */
	void (*failed)(void *user, int err); /* nothing goes any more */
	void *user;
};

void gw_tunnel_free(struct gw_tunnel *t);
/* TUN, sockets and threads; 0 or negative errno. `event` is referenced. */
int gw_tunnel_new(sd_event *event, const struct gw_tunnel_params *params,
	struct gw_tunnel **ret_tunnel) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

void gw_tunnel_public_key(const struct gw_tunnel *t, uint8_t ret_key[static FZ_KEY_LEN])
	FZ_NONNULL(1);
uint32_t gw_tunnel_ifindex(const struct gw_tunnel *t) FZ_NONNULL(1);

void gw_tunnel_set_interface(struct gw_tunnel *t, const struct fz_ip *ipv4,
	const struct fz_ip *ipv6) FZ_NONNULL(1, 2, 3);
void gw_tunnel_set_relays(struct gw_tunnel *t, const struct fzp_relays *relays) FZ_NONNULL(1, 2);
void gw_tunnel_remove_relay(struct gw_tunnel *t, const struct fzp_id *id) FZ_NONNULL(1, 2);

/* The complete set of live grants: what is not in it is revoked. */
void gw_tunnel_reconcile(struct gw_tunnel *t, const struct fzp_authorizations *live)
	FZ_NONNULL(1, 2);
/* The connection stands and the grant is stored: 0. -ENOTCONN (no relay answers), -ENOMEM, -EINVAL, FZ_ERR_LIMIT. */
int gw_tunnel_authorize(struct gw_tunnel *t, const struct fzp_create_authorization *m)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void gw_tunnel_reject(struct gw_tunnel *t, const struct fzp_reject_access *m) FZ_NONNULL(1, 2);
void gw_tunnel_update(struct gw_tunnel *t, const struct fzp_resource *r) FZ_NONNULL(1, 2);
void gw_tunnel_candidates(struct gw_tunnel *t, const struct fzp_candidates *c, bool are_gone)
	FZ_NONNULL(1, 2);
/* The host's addresses may be others: clients hear of it. */
void gw_tunnel_hosts_changed(struct gw_tunnel *t) FZ_NONNULL(1);
/* Every client hears that we leave; grants and connections end. */
void gw_tunnel_goodbye(struct gw_tunnel *t) FZ_NONNULL(1);

struct gw_tunnel_counts {
	uint32_t n_clients, n_grants;
};

void gw_tunnel_counts(const struct gw_tunnel *t, struct gw_tunnel_counts *ret) FZ_NONNULL(1, 2);
