/*
 * An internet in virtual time for two devices: NATs of every kind, relays, loss, delay and reordering from a seed, a portal
 * that carries candidates, and on top of fz_paths a stand-in for WireGuard that shakes hands and sends data both ways.
 */
#pragma once

#include "path/paths.h"
#include "sim/path_relay.h"
#include "support/test.h"

#define NET_IN_FLIGHT 1024
#define NET_MAPPINGS  64
#define NET_FILTERS   16
#define NET_RELAYS    2

enum net_nat {
	NET_PUBLIC,
	NET_FULL_CONE,
	NET_RESTRICTED,
	NET_PORT_RESTRICTED,
	NET_SYMMETRIC,
	NET_NAT_COUNT_
};

struct net_mapping {
	bool in_use;
	struct fz_addr inside, to; /* `to`: symmetric only */
	uint16_t outside;
	fz_time used;
	struct fz_addr filters[NET_FILTERS]; /* whom the inside has sent to, round */
	uint32_t n_filters;
};

struct net_box {
	enum net_nat kind;
	bool has_hairpin;
	struct fz_ip ip;
	uint16_t next_port;
	struct net_mapping mappings[NET_MAPPINGS];
};

struct net;
struct net_peer;

/* What stands in for WireGuard unless the peer has none: called with the peer whose paths it uses. */
struct net_wireguard {
	void (*receive)(struct net_peer *p, const struct fz_paths_rx *rx);
	void (*way)(struct net_peer *p, const struct fz_way *way); /* it changed */
	void (*handshake)(struct net_peer *p);
	void (*serve)(struct net_peer *p);
	fz_time (*deadline)(const struct net_peer *p);
};

struct net_peer {
	struct net *net;
	const struct net_wireguard *wireguard; /* NULL: a stand-in of two messages */
	struct fz_paths *paths;
	struct fz_conn *conn; /* NULL: none */
	struct fz_addr socket;
	struct net_box *box; /* NULL: has a public address */
	struct net_peer *other;
	bool is_firewalled; /* UDP to and from relays alone */
	bool has_traffic;
	bool has_session;
	bool no_relays;
	fz_time next_init, next_data, session_at, way_at;
	enum fz_conn_failure failure;
	bool has_failed, way_is_relayed, got_by_relay;
	uint32_t n_ways, n_handshakes, n_signalled, n_withdrawn, n_sent, n_got;
	fz_time last_got;
};

struct net_item {
	bool in_use, is_signal, is_withdrawal;
	fz_time at;
	struct fz_addr from, to;
	struct net_peer *peer; /* of a signal: who hears it */
	size_t len;
	uint8_t bytes[400];
};

struct net {
	fz_time now;
	uint64_t seed;
	struct test_rng rng;
	uint32_t loss_percent;
	fz_dur delay, jitter, portal_delay;
	bool is_direct_cut; /* nothing but relay traffic gets through */
	struct net_box boxes[2];
	struct net_peer peers[2]; /* 0 controls */
	struct sim_relay relays[NET_RELAYS];
	uint32_t n_relays;
	struct net_item items[NET_IN_FLIGHT];
	uint32_t n_datagrams;
};

struct net_options {
	uint64_t seed;
	enum net_nat nats[2];
	bool is_one_lan; /* both behind nats[0]'s box */
	bool has_hairpin;
	bool is_firewalled[2];
	bool is_ip6; /* no NAT then */
	uint32_t loss_percent, n_relays; /* relays 0: one */
	bool has_gateway; /* peer 1 keeps a gateway's schedule */
};

/* A network with relays answering and both devices' allocations made; no connection yet. Free with net_free. */
struct net *net_new(const struct net_options *o);
void net_free(struct net *n);
/* Both sides get the authorization. */
void net_connect(struct net *n);
/* Until the time is up, or until `done` says so (then true); NULL: time alone. */
bool net_run(struct net *n, fz_dur length, bool (*done)(const struct net *n));
/* A WireGuard message by the connection's way, or back by `arrival` where there is none yet. */
void net_send(struct net_peer *p, const struct fz_way *arrival, struct fz_bytes pkt);
/* The device changes networks: a new socket address, NAT mappings gone; its paths are reset. */
void net_roam(struct net *n, struct net_peer *p);

bool net_has_session(const struct net *n);
bool net_is_direct(const struct net *n); /* both sides have a way without a relay */
