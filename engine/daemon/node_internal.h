/* What node*.c share; nobody else includes it. "lock" is the data plane's (fz_node_lock). */
#pragma once

#include "base/hash.h"
#include "base/list.h"
#include "daemon/node.h"
#include "io/tun.h"
#include "io/udp.h"
#include "wg/device.h"

/* 20 s (FZ_CONN_REKEY_ATTEMPT), one initiation every five. */
#define NODE_INITIATIONS   4
/* Upstream gives up connections without a new session for 540 s; its own clients make one every 180 s. */
#define NODE_REFRESH_AFTER FZ_SECONDS(180)
#define NODE_EXPIRE_AFTER  FZ_SECONDS(3 * 180)
#define NODE_NEWS_MAX      16'384
#define NODE_BUCKETS       256 /* of connections, by id */

struct fz_node_peer {
	struct fz_node_tunnel *node;
	struct fz_node in_peers, in_bucket;
	char id[FZ_CONN_ID_LEN];
	uint32_t
		generation; /* of the connection under this handle: news of an older one are stale */
	struct fz_conn *conn; /* NULL: gone, has_failed */
	struct wg_peer *wg; /* NULL: gone, has_failed */
	void *user;
	bool has_way, is_up, has_failed;
	bool is_relayed; /* by our relay: a channel header goes in front */
	fz_time refresh_at; /* the controlling side shakes hands anew, the other one gives up */
};

enum node_news_kind {
	NODE_CANDIDATE,
	NODE_CANDIDATE_GONE,
	NODE_FAILED,
	NODE_SESSION_UP,
	NODE_WAY,
	NODE_NO_RELAYS,
};

struct node_news {
	enum node_news_kind kind;
	enum fz_node_failure why;
	uint32_t generation;
	char id[FZ_CONN_ID_LEN];
	char text[FZ_CANDIDATE_TEXT_LEN];
};

struct fz_node_tunnel {
	struct fz_node_params params;
	char interface[IFNAMSIZ];
	/* control thread */
	struct fz_tun tun;
	struct fz_udp udp;
	struct fz_plane *plane;
	int event_fd, poll_fd;
	bool is_running, is_broken, has_said_no_relays;
	uint8_t public_key[FZ_KEY_LEN];
	/* with the lock */
	struct wg_device *wg;
	struct fz_paths *paths; /* NULL while stopped */
	struct fz_list peers, buckets[NODE_BUCKETS];
	struct fz_hash_key hash_key;
	uint32_t n_peers, next_generation;
	uint16_t port;
	fz_time paths_at; /* when fz_paths_poll has something to do; 0: at once */
	fz_time refresh_at;
	struct node_news *news;
	size_t n_news, cap_news;
	bool has_lost_news, is_rung;
	uint64_t rx_bytes, tx_bytes;
	struct wg_rx_train *single; /* a handshake message that came through a relay */
	uint8_t answer[FZ_NODE_ANSWER_MAX];
};

/* node_hooks.c: everything the data plane calls; with the lock. */
struct fz_plane_hooks node_hooks(struct fz_node_tunnel *n) FZ_NONNULL(1);
/* By our relay, or to an address of theirs at a relay. */
bool node_is_relayed(const struct fz_conn *c) FZ_NONNULL(1);
/* Paths were told something: they are to be asked again. */
void node_touch(struct fz_node_tunnel *n) FZ_NONNULL(1);
/* The peer carries nothing any more, and the control thread hears of it. */
void node_fail(struct fz_node_peer *p, enum fz_node_failure why) FZ_NONNULL(1);
void node_tell(struct fz_node_tunnel *n, enum node_news_kind kind, const struct fz_node_peer *p,
	enum fz_node_failure why, const char *text) FZ_NONNULL(1, 5);

/* node_peer.c; with the lock. */
void node_remove_peer(struct fz_node_peer *p) FZ_NONNULL(1);

/* node_flow.c: of one TCP or UDP flow, so that any verdict on one is the verdict on the other; false for fragments and options. */
bool node_is_same_flow(struct fz_bytes a, struct fz_bytes b) FZ_MUST_CHECK;

/* node_host.c: addresses of this host that remotes may reach, at most `cap`; returns how many. */
size_t node_host_addresses(const char *except, uint16_t port, struct fz_addr *ret, size_t cap)
	FZ_NONNULL(1, 3);
/* False for loopback, link-local, multicast and what belongs to a Firezone tunnel. */
bool node_is_host_candidate(const struct fz_ip *ip) FZ_NONNULL(1);
