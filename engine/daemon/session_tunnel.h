/*
 * The client's data plane as the session sees it: what is where (tunnel/client.h) and the node (daemon/node.h), joined. What
 * the portal says is put into their words here; packets meet the client object in the node's hooks, on data threads.
 * Internal to the session; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "control/client_message.h"
#include "crypto/aead.h"
#include "daemon/session.h"
#include "io/backend.h"

struct fz_session_tunnel;

/* From the event loop and from within calls here. */
struct fz_session_tunnel_ops {
	/* Ask the portal, preferring these gateways; a request that cannot be sent is asked for again with the traffic. */
	void (*request)(void *user, const struct fzp_id *resource, const struct fzp_id *connected,
		size_t n_connected);
	void (*candidate)(void *user, const struct fzp_id *gateway, const char *text, bool is_gone);
	/* The connection is no more: what was kept for it, too. */
	void (*gone)(void *user, const struct fzp_id *gateway);
	void (*no_relays)(void *user);
	void (*changed)(void *user); /* paths, peers */
	void (*failed)(void *user, int err); /* nothing goes any more */
};

struct fz_session_tunnel_params {
	const char *interface;
	uint32_t mark;
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads;
	struct fz_session_tunnel_ops ops;
	void *user;
};

void fz_session_tunnel_free(struct fz_session_tunnel *t);
/* TUN, sockets and threads; 0 or negative errno. `event` is referenced. */
int fz_session_tunnel_new(sd_event *event, const struct fz_session_tunnel_params *params,
	struct fz_session_tunnel **ret_tunnel) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

void fz_session_tunnel_public_key(
	const struct fz_session_tunnel *t, uint8_t ret_key[static FZ_KEY_LEN]) FZ_NONNULL(1);
uint32_t fz_session_tunnel_ifindex(const struct fz_session_tunnel *t) FZ_NONNULL(1);

void fz_session_tunnel_set_interface(struct fz_session_tunnel *t, const struct fz_ip *ipv4,
	const struct fz_ip *ipv6) FZ_NONNULL(1, 2, 3);
void fz_session_tunnel_set_relays(struct fz_session_tunnel *t, const struct fzp_relays *relays)
	FZ_NONNULL(1, 2);
void fz_session_tunnel_remove_relay(struct fz_session_tunnel *t, const struct fzp_id *id)
	FZ_NONNULL(1, 2);

/*
 * The whole set; what is unchanged keeps its connections. 0, -ENOMEM (it is as it was) or FZ_ERR_LIMIT (what did not fit is
 * left out). Packets see this and the changes below once something here looks at the set: ask for the routes in the same turn.
 */
int fz_session_tunnel_set_resources(struct fz_session_tunnel *t,
	const struct fzp_resources *resources) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_session_tunnel_upsert(struct fz_session_tunnel *t, const struct fzp_resource *resource)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Other filters for a Resource, if it is one of ours: it will be asked for again. */
int fz_session_tunnel_set_filters(struct fz_session_tunnel *t, const struct fzp_id *id,
	const struct fzp_filter *filters, uint32_t n) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void fz_session_tunnel_remove(struct fz_session_tunnel *t, const struct fzp_id *id)
	FZ_NONNULL(1, 2);
void fz_session_tunnel_set_enabled(struct fz_session_tunnel *t, const char *id, bool on)
	FZ_NONNULL(1, 2);
void fz_session_tunnel_set_internet(struct fz_session_tunnel *t, bool on) FZ_NONNULL(1);

/* 0; -ENOTCONN: no relay answers, tell the portal; else negative errno: the authorization is dropped. */
int fz_session_tunnel_authorized(struct fz_session_tunnel *t,
	const struct fzp_authorization_created *a) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void fz_session_tunnel_refused(
	struct fz_session_tunnel *t, const struct fzp_authorization_failed *f) FZ_NONNULL(1, 2);
void fz_session_tunnel_candidates(struct fz_session_tunnel *t, const struct fzp_candidates *c,
	bool are_gone) FZ_NONNULL(1, 2);

/* New keys and sockets; every connection is gone. 0 or negative errno: try again. */
int fz_session_tunnel_reset(struct fz_session_tunnel *t) FZ_NONNULL(1) FZ_MUST_CHECK;
/* The prefixes the host is to route into the tunnel, to be freed. 0 or -ENOMEM. */
int fz_session_tunnel_routes(struct fz_session_tunnel *t, struct fz_prefix **ret_prefixes,
	size_t *ret_n) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* Every gateway hears that we leave. */
void fz_session_tunnel_goodbye(struct fz_session_tunnel *t) FZ_NONNULL(1);

/* ---- what there is to see (daemon/session_view.h) ---- */

struct fz_session_tunnel_stats {
	uint64_t rx_bytes, tx_bytes;
	uint32_t n_direct, n_relayed;
	bool has_silent_relays; /* those there are were given up, and none has answered since */
	uint64_t discarded[FZ_SESSION_DISCARD_COUNT_];
};

void fz_session_tunnel_stats(struct fz_session_tunnel *t, struct fz_session_tunnel_stats *ret)
	FZ_NONNULL(1, 2);
int fz_session_tunnel_each_resource(struct fz_session_tunnel *t, fz_session_resource_fn fn,
	void *user) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_session_tunnel_each_peer(struct fz_session_tunnel *t, fz_session_peer_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_session_tunnel_each_route(struct fz_session_tunnel *t, fz_session_route_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

struct fz_session_question {
	struct fz_ip ip; /* family 0: not an address but a resource */
	const char *resource; /* id */
	uint8_t protocol; /* IPPROTO_*; 0: any */
	uint16_t port; /* 0: any */
};

void fz_session_tunnel_explain(struct fz_session_tunnel *t, const struct fz_session_question *q,
	struct fz_session_explanation *ret) FZ_NONNULL(1, 2, 3);
