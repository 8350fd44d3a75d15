/*
 * The tunnel of one device, for a client's session and for a gateway: a TUN, two UDP sockets, a WireGuard device, the ways
 * to its remotes (path/paths.h) and the data plane that joins them (io/plane.h). It decides nothing about packets: hooks
 * on the data threads do. What the portal must hear comes out of fz_node_process on the control thread.
 *
 *   data threads    TUN -> outbound -> peer -> way;  way -> peer -> inbound -> TUN;  checks, relays, handshakes
 *   control thread  everything declared here, but the hooks
 *
 * Firezone's protocol, sections 3 and 4. Shell; control thread, none of it with the lock of fz_node_lock held.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "io/backend.h"
#include "io/plane.h"
#include "path/conn.h"
#include "path/paths.h"

#define FZ_NODE_PORT 52'625
#define FZ_NODE_MTU  1280

struct fz_node_tunnel; /* not fz_node: that is a list's */
/*
 * One connection. Made by fz_node_upsert, and the same pointer until fz_node_remove or fz_node_reset, also while the
 * connection is replaced or has failed: take it out of what hooks read first, then remove.
 */
struct fz_node_peer;

/* ---- hooks: data threads, with the lock held; must not block, allocate or call the node ------------------------ */

enum fz_node_outbound {
	FZ_NODE_SEND, /* to *ret_peer; waits there (128) while there is no session */
	FZ_NODE_HELD, /* the hook has copied it and sends it later by fz_node_send */
	FZ_NODE_ANSWER, /* *ret_len bytes of `out` are an IP packet for the TUN */
	FZ_NODE_REFUSE, /* nothing more happens */
};

enum fz_node_inbound {
	FZ_NODE_DELIVER, /* to the TUN */
	FZ_NODE_TAKEN, /* was for us: a control packet */
	FZ_NODE_RETURN, /* *ret_len bytes of `out` are an IP packet for the same peer */
	FZ_NODE_DISCARD,
};

#define FZ_NODE_ANSWER_MAX 1280 /* room in `out` */

struct fz_node_hooks {
	void *user;
	/*
	 * A packet from the TUN, whole, checksums complete. Several of one flow may come as one: then this is the first, and
	 * the verdict is for all of them, except that after HELD the others follow one by one.
	 */
	enum fz_node_outbound (*outbound)(void *user, struct fz_now now, struct fz_bytes inner,
		struct fz_span out, struct fz_node_peer **ret_peer, size_t *ret_len);
	/*
	 * A packet from a peer: decrypted, a valid IP header, nothing else checked (there are no allowed-IPs). DELIVER also
	 * counts for those right behind it with the same addresses, protocol (TCP, UDP) and ports: they are not shown.
	 */
	enum fz_node_inbound (*inbound)(void *user, struct fz_now now, struct fz_node_peer *peer,
		struct fz_bytes inner, struct fz_span out, size_t *ret_len);
};

/* ---- what the control thread hears, from fz_node_process; each may be NULL ------------------------------------- */

enum fz_node_failure {
	FZ_NODE_NO_CANDIDATES, /* the other side named no address */
	FZ_NODE_UNREACHABLE, /* no address of it answers (any more) */
	FZ_NODE_NO_HANDSHAKE, /* reachable, but its WireGuard does not answer */
};

/* May call anything but fz_node_free, fz_node_stop and fz_node_process. `id` is the connection's; borrowed for the call. */
struct fz_node_ops {
	/* Tell the other side by the portal: `ice_candidates`, or with is_gone `invalidate_ice_candidates`. */
	void (*candidate)(void *user, const char *id, const char *text, bool is_gone);
	/* Over: carries nothing from now on. Take it out of what hooks read and fz_node_remove it. */
	void (*failed)(void *user, const char *id, enum fz_node_failure why);
	/* The last relay failed: tell the portal. */
	void (*no_relays)(void *user);
	/* The first WireGuard session of this connection (or of what replaced it) is up. */
	void (*session_up)(void *user, const char *id);
	/* The tunnel cannot go on: the TUN is gone. Negative errno. */
	void (*broken)(void *user, int err);
	/* A hook wants the control thread: fz_node_ring was called. At most once a turn. */
	void (*rung)(void *user);
};

/* ---- life ------------------------------------------------------------------------------------------------------ */

struct fz_node_params { /* strings are copied */
	bool is_gateway;
	const char *interface; /* the TUN's name */
	uint32_t mark; /* on both sockets; 0: none */
	uint16_t port; /* 0: FZ_NODE_PORT; an ephemeral one if it is taken */
	uint32_t mtu; /* 0: FZ_NODE_MTU */
	uint32_t max_peers; /* 0: 4096 */
	/* The host's own addresses are candidates, too; without it only what relays teach, as upstream does. */
	bool has_host_candidates;
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads; /* 0: from the CPUs */
	struct fz_node_hooks hooks; /* both are needed */
	struct fz_node_ops ops;
	void *user; /* of ops */
};

/* Stops first; accepts NULL. */
void fz_node_free(struct fz_node_tunnel *n);
/*
 * Makes TUN (down, without addresses: daemon/host.h gives it those), key and sockets; no thread yet. 0, -EBUSY (another process has
 * the interface), -EPERM, -ENOENT (no /dev/net/tun), -EINVAL, -ENOMEM and what opening said.
 */
int fz_node_new(const struct fz_node_params *params, struct fz_node_tunnel **ret_node)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Starts the data threads. 0 or negative errno: an I/O backend or AEAD that was asked for by name is barred. */
int fz_node_start(struct fz_node_tunnel *n) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Ends them, and gives allocations back to the relays. Say goodbye before. Connections and relays are gone. */
void fz_node_stop(struct fz_node_tunnel *n) FZ_NONNULL(1);
/*
 * New keys and new sockets; every connection is gone without a word (clear what hooks read before), relays start anew. For
 * a changed network and for whoever asks. 0 or negative errno: no socket can be had; try again.
 */
int fz_node_reset(struct fz_node_tunnel *n) FZ_NONNULL(1) FZ_MUST_CHECK;

/* The host's addresses may be others: remotes hear of what is new and of what is gone. Connections and keys stay. */
void fz_node_hosts_changed(struct fz_node_tunnel *n) FZ_NONNULL(1);

/* Readable when fz_node_process has something to do. */
int fz_node_fd(const struct fz_node_tunnel *n) FZ_NONNULL(1);
void fz_node_process(struct fz_node_tunnel *n) FZ_NONNULL(1);

uint32_t fz_node_ifindex(const struct fz_node_tunnel *n) FZ_NONNULL(1);
const char *fz_node_interface(const struct fz_node_tunnel *n) FZ_NONNULL(1);
uint16_t fz_node_port(const struct fz_node_tunnel *n) FZ_NONNULL(1);
/* Ours, for the portal. Changes with fz_node_reset alone. */
void fz_node_public_key(const struct fz_node_tunnel *n, uint8_t ret_key[static FZ_KEY_LEN])
	FZ_NONNULL(1);

/* Around changes of what hooks read. Not recursive; keep it short: no data moves meanwhile. */
void fz_node_lock(struct fz_node_tunnel *n) FZ_NONNULL(1);
void fz_node_unlock(struct fz_node_tunnel *n) FZ_NONNULL(1);
/* For hooks alone (lock held, any thread): has ops.rung called on the control thread, e.g. because an event waits. */
void fz_node_ring(struct fz_node_tunnel *n) FZ_NONNULL(1);

/* ---- relays and connections ------------------------------------------------------------------------------------ */

/* New, changed, or known: then asked at once whether it still lives. As fz_paths_set_relay. */
int fz_node_set_relay(struct fz_node_tunnel *n, const struct fz_paths_relay *relay)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void fz_node_remove_relay(struct fz_node_tunnel *n, const char *id) FZ_NONNULL(1, 2);

/*
 * What an authorization asks for: as fz_paths_upsert, with its enum fz_paths_upsert as result, and the handle. KEPT: the
 * session goes on. REPLACED: a new session is due, under the same handle. -ENOTCONN: no relay has answered yet (tell the
 * portal `no_relays`); -EADDRINUSE: another connection has this public key, or it is ours; -EINVAL, -ENOMEM, FZ_ERR_LIMIT.
 * `is_controlling` is true at a client towards a gateway.
 */
int fz_node_upsert(struct fz_node_tunnel *n, const struct fz_conn_params *params,
	struct fz_node_peer **ret_peer) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
struct fz_node_peer *fz_node_find_maybe(struct fz_node_tunnel *n, const char *id) FZ_NONNULL(1, 2);
/* Takes it down without a word (goodbye is a packet: send it before). The handle is dead. No connection: no effect. */
void fz_node_remove(struct fz_node_tunnel *n, const char *id) FZ_NONNULL(1, 2);
/* As the other side signalled it; nonsense and candidates for unknown connections are ignored. */
void fz_node_add_candidate(struct fz_node_tunnel *n, const char *id, const char *text)
	FZ_NONNULL(1, 2, 3);
void fz_node_remove_candidate(struct fz_node_tunnel *n, const char *id, const char *text)
	FZ_NONNULL(1, 2, 3);

/*
 * An IP packet to a peer: control packets, packets that were held, goodbye. With a session it has left when this returns;
 * without, it waits for one (128, the oldest gives way).
 */
void fz_node_send(struct fz_node_tunnel *n, struct fz_node_peer *peer, struct fz_bytes inner)
	FZ_NONNULL(1, 2);

/* The owner's pointer, for hooks; any thread with the lock, or the control thread. NULL at first. */
void fz_node_peer_set_user(struct fz_node_peer *peer, void *user) FZ_NONNULL(1);
void *fz_node_peer_user(const struct fz_node_peer *peer) FZ_NONNULL(1);
const char *fz_node_peer_id(const struct fz_node_peer *peer) FZ_NONNULL(1) FZ_RETURNS_NONNULL;

/* ---- for people ------------------------------------------------------------------------------------------------- */

enum fz_node_path { FZ_NODE_NO_PATH, FZ_NODE_DIRECT, FZ_NODE_RELAYED /* by either side's relay */ };

struct fz_node_peer_stats {
	enum fz_node_path path;
	struct fz_addr remote; /* the other side's as our last hop sees it; family 0: none yet */
	struct fz_addr relay; /* ours; family 0: none on the way, or only theirs */
	fz_dur rtt; /* 0: not measured */
	bool is_idle, has_session, has_failed;
	uint64_t rx_bytes, tx_bytes; /* of UDP payload */
	fz_wall last_handshake; /* ns 0: none yet */
};

void fz_node_peer_stats(struct fz_node_tunnel *n, const struct fz_node_peer *peer,
	struct fz_node_peer_stats *ret) FZ_NONNULL(1, 2, 3);

struct fz_node_stats {
	uint32_t n_peers, n_direct, n_relayed, n_relays;
	uint64_t rx_bytes, tx_bytes; /* inside, since the start */
	uint64_t n_other_dropped; /* datagrams that were neither WireGuard, nor ours */
	struct fz_plane_counters plane;
	const char *io, *aead;
	unsigned threads;
};

void fz_node_stats(struct fz_node_tunnel *n, struct fz_node_stats *ret) FZ_NONNULL(1, 2);
/* The i-th relay; false behind the last. *ret_info->id is copied to ret_id. */
bool fz_node_relay_info(struct fz_node_tunnel *n, size_t i, struct fz_paths_relay_info *ret_info,
	char ret_id[static FZ_CONN_ID_LEN]) FZ_NONNULL(1, 3, 4);
const char *fz_node_failure_name(enum fz_node_failure why) FZ_RETURNS_NONNULL;
