/*
 * The client's session: the portal's link, the tunnel object, the node (WireGuard, paths, TUN, sockets) and the host's
 * addresses, routes and rules, joined. One per signed-in user or service token; lives from a token to its end. The
 * portal away, tunnels go on. What the user chose (Internet Resource, resources switched off) is kept on disk.
 * Firezone's protocol, sections 1.6, 2.2, 2.3, 3.2. Shell; control thread.
 *
 * Callbacks come from the event loop and from within calls here; they may call anything but fz_session_free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/portal.h"
#include "control/reason.h"
#include "daemon/host.h"

struct fz_session;

enum fz_session_state {
	FZ_SESSION_OFF, /* stopped, or never started */
	FZ_SESSION_CONNECTING, /* to the portal, for the first time */
	FZ_SESSION_RAISING, /* joined; waiting for `init`, or the tunnel is being made */
	FZ_SESSION_UP,
	FZ_SESSION_RECONNECTING, /* the tunnel is up, the portal away */
	FZ_SESSION_ENDED, /* by the portal: fz_session_status.reason; start again with a new token */
	FZ_SESSION_FAILED, /* the tunnel cannot be made: detail says why; tried again while the portal is there */
	FZ_SESSION_STATE_COUNT_
};

enum fz_session_notice {
	FZ_SESSION_NOTICE_OFFLINE, /* every gateway of `site` is offline */
	FZ_SESSION_NOTICE_VERSION, /* no gateway of `site` has a version that fits ours */
	FZ_SESSION_NOTICE_FORBIDDEN, /* a policy forbids `resource` now */
	FZ_SESSION_NOTICE_PORTAL_LOST,
	FZ_SESSION_NOTICE_PORTAL_BACK,
	FZ_SESSION_NOTICE_COUNT_
};

/* Each may be NULL. */
struct fz_session_ops {
	void (*changed)(
		void *user); /* status, resources or peers: at most once per turn of the loop */
	/* The portal ended it; `drop_token` if the token is refused by name and must be forgotten. Tunnels are down. */
	void (*ended)(void *user, enum fzp_reason why, bool drop_token);
	void (*notice)(
		void *user, enum fz_session_notice what, const char *resource, const char *site);
};

struct fz_session_params { /* strings are copied */
	const char *api_url; /* "wss://api.firezone.dev/" */
	const char *external_id; /* as it goes on the wire (fzp_external_id) */
	const char *name; /* of this device, for people */
	const char *device_serial, *device_uuid; /* NULL: none */
	const char *user_agent;
	const char *ca_file, *proxy, *no_proxy; /* as in control/io/link.h; NULL: none */
	bool allow_insecure;
	const char *interface; /* NULL: fz_host_client.interface */
	const char *state_dir; /* where choices are kept; NULL: they are not */
	struct fz_host *host; /* borrowed; outlives the session */
	const bool *
		internet; /* a setting that overrides the kept choice; NULL: the kept one, else off */
	struct fz_session_ops ops;
	void *user;
};

void fz_session_free(struct fz_session *s); /* stops first */
/* 0, -EINVAL (URL, proxy, a text too long), -EPERM (ws:// without the opt-in), -ENOMEM. `event` is referenced. */
int fz_session_new(sd_event *event, const struct fz_session_params *params,
	struct fz_session **ret_session) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

/* Takes the token: *token is empty on return. 0 or negative errno (no TUN, no sockets); a running session starts anew. */
int fz_session_start(struct fz_session *s, struct fz_token *token) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Says goodbye to gateways, takes the tunnel and what was changed on the host down, closes the portal, forgets the token. */
void fz_session_stop(struct fz_session *s) FZ_NONNULL(1);
/* The network changed, or the user asks: new keys, new sockets, every connection anew, reconnect at once. */
int fz_session_reset(struct fz_session *s) FZ_NONNULL(1) FZ_MUST_CHECK;

/* Kept on disk at once; 0 or why it could not be kept (it holds until the end of the session all the same). */
int fz_session_set_internet(struct fz_session *s, bool on) FZ_NONNULL(1) FZ_MUST_CHECK;
/* -ENOENT: no such resource; -EPERM: its administrator does not let it be switched off. */
int fz_session_set_resource(struct fz_session *s, const char *id_or_name, bool on)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* ---- what there is to see: strings are borrowed until the next turn of the loop or the next call that changes ---- */

struct fz_session_status {
	enum fz_session_state state;
	fz_wall since;
	enum fzp_portal_state portal;
	enum fzp_reason reason; /* why the portal is away, or why it ended */
	const char *detail; /* one exact sentence; "" if there is nothing to say */
	const char *portal_url;
	fz_wall portal_since;
	fz_wall retry_at; /* ns 0: not waiting */
	bool has_tunnel;
	const char *interface;
	uint32_t mtu;
	struct fz_ip ipv4, ipv6; /* family 0: none, or the host has not that family */
	uint64_t rx_bytes, tx_bytes; /* inside, since the start */
	const char *search_domain; /* "": none */
	uint32_t n_upstreams;
	struct fz_addr upstreams[16];
	bool internet_available, internet_enabled;
	const char *internet_site; /* "": none */
	uint32_t n_resources, n_resources_offline, n_peers_direct, n_peers_relayed;
};

void fz_session_status(const struct fz_session *s, struct fz_session_status *ret) FZ_NONNULL(1, 2);

enum fz_session_type { FZ_SESSION_DNS, FZ_SESSION_CIDR, FZ_SESSION_IP, FZ_SESSION_INTERNET };

enum fz_session_reach { FZ_SESSION_UNKNOWN, FZ_SESSION_ONLINE, FZ_SESSION_OFFLINE };

enum fz_session_path { FZ_SESSION_NO_PATH, FZ_SESSION_DIRECT, FZ_SESSION_RELAYED };

#define FZ_SESSION_FILTERS_MAX 16 /* shown; more are counted */

struct fz_session_site {
	const char *id, *name;
};

struct fz_session_resource {
	const char *id, *name, *address, *description; /* "" if none */
	enum fz_session_type type;
	enum fz_session_reach reach;
	bool is_enabled, can_be_disabled;
	uint32_t n_sites;
	const struct fz_session_site *sites;
	const char *gateway; /* id of the one it goes to; "": none yet */
	enum fz_session_path path;
	uint32_t n_filters; /* 0: everything is allowed */
	char filters[FZ_SESSION_FILTERS_MAX][24]; /* "tcp/22", "udp/1000-2000", "icmp" */
};

/* Each resource in the portal's order; stops where `fn` returns other than 0 and returns that. */
typedef int (*fz_session_resource_fn)(void *user, const struct fz_session_resource *r);
int fz_session_each_resource(const struct fz_session *s, fz_session_resource_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* By id or exact name; false if there is none (or the name is not unique). */
bool fz_session_resource(const struct fz_session *s, const char *id_or_name,
	struct fz_session_resource *ret) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

struct fz_session_peer {
	const char *id; /* gateways have no name that a client is told: the id is one */
	const char *site; /* name; "" if unknown */
	enum fz_session_path path;
	struct fz_addr endpoint; /* family 0: none yet */
	fz_dur rtt; /* 0: not measured */
	uint64_t rx_bytes, tx_bytes;
	fz_wall last_handshake; /* ns 0: none yet */
	struct fz_ip ipv4, ipv6; /* inside the tunnel */
};

typedef int (*fz_session_peer_fn)(void *user, const struct fz_session_peer *p);
int fz_session_each_peer(const struct fz_session *s, fz_session_peer_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
bool fz_session_peer(const struct fz_session *s, const char *id, struct fz_session_peer *ret)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

enum fz_session_verdict {
	FZ_SESSION_TUNNEL, /* goes to `resource`, by `peer` if it has one */
	FZ_SESSION_PLAIN, /* not ours: by the host's own routes */
	FZ_SESSION_BLOCKED, /* ours, but filters, a switch or a policy keep it out */
	FZ_SESSION_UNREACHABLE, /* ours, but there is no gateway or no session */
};

struct fz_session_explanation {
	enum fz_session_verdict verdict;
	char reason[160];
	char rule[96]; /* the prefix or filter that decided; "" if none */
	bool has_resource, has_peer;
	struct fz_session_resource resource;
	struct fz_session_peer peer;
};

/*
 * What would happen to a packet to `destination`: an address, a resource's name, id or DNS name, with ":PORT" or not.
 * `protocol`: "tcp", "udp", "icmp" or NULL for tcp where there is a port. 0 or -EINVAL (not understood).
 */
int fz_session_explain(const struct fz_session *s, const char *destination, const char *protocol,
	struct fz_session_explanation *ret) FZ_NONNULL(1, 2, 4) FZ_MUST_CHECK;

/* Prefixes routed into the tunnel, with the resource each is for ("" for the tunnel's own ranges). */
typedef int (*fz_session_route_fn)(
	void *user, const struct fz_prefix *prefix, const char *resource_name);
int fz_session_each_route(const struct fz_session *s, fz_session_route_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* A few words; never NULL. */
const char *fz_session_state_name(enum fz_session_state state) FZ_RETURNS_NONNULL;
const char *fz_session_notice_text(enum fz_session_notice what) FZ_RETURNS_NONNULL;
