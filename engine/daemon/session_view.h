/*
 * What there is to see of a session (daemon/session.h): status, resources, peers, routes, and why a packet goes where.
 * Strings are borrowed until the next turn of the loop or the next call that changes something. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/time.h"
#include "control/portal.h"
#include "control/reason.h"
#include "daemon/session.h"

/* What gateways sent and nobody got: counted. */
enum fz_session_discard {
	FZ_SESSION_DISCARD_MALFORMED,
	FZ_SESSION_DISCARD_SOURCE, /* not the gateway, nor of what it is authorized for */
	FZ_SESSION_DISCARD_DESTINATION, /* not us */
	FZ_SESSION_DISCARD_CONTROL, /* a control packet that nobody knows */
	FZ_SESSION_DISCARD_COUNT_
};

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
	bool has_silent_relays; /* there are relays, and none answers */
	uint64_t discarded[FZ_SESSION_DISCARD_COUNT_];
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
	bool is_enabled; /* here, by the user's choice */
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
