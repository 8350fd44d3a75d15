/* The node's connections and relays as the portal's words make and unmake them; packets that the control thread sends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/err.h"
#include "crypto/handshake_aead.h"
#include "daemon/node_internal.h"
#include "io/clock.h"
#include "path/turn.h"

#define HEADER_LEN 16
#define SEND_MAX   2048 /* longer ones go out by the data threads */

/* ---- relays ---- */

int fz_node_set_relay(struct fz_node_tunnel *n, const struct fz_paths_relay *relay)
{
	fz_node_lock(n);
	int r = n->paths ? fz_paths_set_relay(n->paths, relay, fz_clock_boot()) : -ENOTCONN;
	node_touch(n);
	fz_node_unlock(n);
	return r;
}

void fz_node_remove_relay(struct fz_node_tunnel *n, const char *id)
{
	fz_node_lock(n);
	if (n->paths)
		fz_paths_remove_relay(n->paths, id, fz_clock_boot());
	node_touch(n);
	fz_node_unlock(n);
}

bool fz_node_relay_info(struct fz_node_tunnel *n, size_t i, struct fz_paths_relay_info *ret_info,
	char ret_id[static FZ_CONN_ID_LEN])
{
	fz_node_lock(n);
	bool ok = n->paths && fz_paths_relay_info(n->paths, i, ret_info);
	if (ok) {
		memset(ret_id, 0, FZ_CONN_ID_LEN);
		memcpy(ret_id, ret_info->id, strnlen(ret_info->id, FZ_CONN_ID_LEN - 1));
		ret_info->id = ret_id;
	}
	fz_node_unlock(n);
	return ok;
}

/* ---- connections ---- */

static struct fz_list *bucket_of(struct fz_node_tunnel *n, const char *id)
{
	return &n->buckets[fz_siphash(n->hash_key, fz_bytes_of(id, strlen(id))) % NODE_BUCKETS];
}

static struct fz_node_peer *find_maybe(struct fz_node_tunnel *n, const char *id)
{
	FZ_LIST_EACH(bucket_of(n, id), node) {
		struct fz_node_peer *p = FZ_CONTAINER_OF(node, struct fz_node_peer, in_bucket);
		if (strcmp(p->id, id) == 0)
			return p;
	}
	return NULL;
}

/* Leaves the handle with nothing under it. */
static void take_down(struct fz_node_peer *p)
{
	if (p->wg)
		wg_device_remove_peer(p->node->wg, p->wg);
	p->wg = NULL;
	p->is_up = p->has_way = p->is_relayed = false;
	p->refresh_at = FZ_NEVER;
}

void node_remove_peer(struct fz_node_peer *p)
{
	take_down(p);
	if (p->conn)
		fz_paths_remove(p->node->paths, p->conn);
	fz_list_remove(&p->in_peers);
	fz_list_remove(&p->in_bucket);
	p->node->n_peers--;
	free(p);
}

static struct fz_node_peer *make_handle(struct fz_node_tunnel *n, const char *id)
{
	struct fz_node_peer *p = fz_new(struct fz_node_peer);
	if (!p)
		return NULL;
	p->node = n;
	memcpy(p->id, id, strnlen(id, sizeof(p->id) - 1));
	p->refresh_at = FZ_NEVER;
	p->has_failed = true; /* until there is something under it */
	fz_list_push_back(&n->peers, &p->in_peers);
	fz_list_push_back(bucket_of(n, p->id), &p->in_bucket);
	n->n_peers++;
	return p;
}

/* A WireGuard peer for a connection that is new under this handle. */
static int put_up(struct fz_node_peer *p, const struct fz_conn_params *params)
{
	struct fz_node_tunnel *n = p->node;
	take_down(p);
	p->generation = ++n->next_generation;
	int r = wg_device_add_peer(n->wg, params->public_key, &p->wg);
	if (r < 0)
		return r == -EEXIST ? -EADDRINUSE : r;
	wg_peer_set_managed(p->wg, NODE_INITIATIONS);
	wg_peer_set_psk(p->wg, params->preshared_key);
	wg_peer_set_user(p->wg, p);
	fz_conn_set_user(p->conn, p);
	p->has_failed = false;
	return 0;
}

/* What was there is of no use: the handle alone stays. */
static void give_up(struct fz_node_peer *p)
{
	take_down(p);
	if (p->conn)
		fz_paths_remove(p->node->paths, p->conn);
	p->conn = NULL;
}

static int upsert(struct fz_node_tunnel *n, const struct fz_conn_params *params,
	struct fz_node_peer **ret_peer)
{
	struct fz_node_peer *p = find_maybe(n, params->id);
	bool is_new = !p;
	if (p && p->has_failed)
		give_up(p);
	struct fz_conn *conn;
	int r = fz_paths_upsert(n->paths, params, fz_clock_boot(), &conn);
	if (r < 0 && p && !fz_paths_find_maybe(n->paths, params->id) && !p->has_failed) {
		p->conn = NULL; /* there was no memory to replace it */
		take_down(p);
		node_fail(p, FZ_NODE_UNREACHABLE);
	}
	if (r < 0)
		return r;
	if (!p && !(p = make_handle(n, params->id))) {
		fz_paths_remove(n->paths, conn);
		return -ENOMEM;
	}
	p->conn = conn;
	int put = r == FZ_PATHS_KEPT ? 0 : put_up(p, params);
	if (put < 0 && is_new) {
		node_remove_peer(p);
		return put;
	}
	if (put < 0) {
		give_up(p);
		node_fail(p, FZ_NODE_UNREACHABLE);
		return put;
	}
	*ret_peer = p;
	return r == FZ_PATHS_CREATED && !is_new ? FZ_PATHS_REPLACED : r;
}

int fz_node_upsert(struct fz_node_tunnel *n, const struct fz_conn_params *params,
	struct fz_node_peer **ret_peer)
{
	fz_node_lock(n);
	int r = n->paths ? upsert(n, params, ret_peer) : -ENOTCONN;
	node_touch(n);
	fz_node_unlock(n);
	return r;
}

struct fz_node_peer *fz_node_find_maybe(struct fz_node_tunnel *n, const char *id)
{
	fz_node_lock(n);
	struct fz_node_peer *p = find_maybe(n, id);
	fz_node_unlock(n);
	return p;
}

void fz_node_remove(struct fz_node_tunnel *n, const char *id)
{
	fz_node_lock(n);
	struct fz_node_peer *p = find_maybe(n, id);
	if (p)
		node_remove_peer(p);
	node_touch(n);
	fz_node_unlock(n);
}

static void change_candidate(struct fz_node_tunnel *n, const char *id, const char *text,
	int (*change)(struct fz_conn *c, const char *text, fz_time now))
{
	fz_node_lock(n);
	struct fz_node_peer *p = find_maybe(n, id);
	if (p && p->conn)
		(void)change(p->conn, text, fz_clock_boot());
	node_touch(n);
	fz_node_unlock(n);
}

void fz_node_add_candidate(struct fz_node_tunnel *n, const char *id, const char *text)
{
	change_candidate(n, id, text, fz_conn_add_candidate);
}

void fz_node_remove_candidate(struct fz_node_tunnel *n, const char *id, const char *text)
{
	change_candidate(n, id, text, fz_conn_remove_candidate);
}

/* ---- packets of the control thread ---- */

static int send_datagram(
	struct fz_node_tunnel *n, const struct wg_endpoint *to, uint8_t tos, struct fz_span data)
{
	struct fz_udp_message m;
	int fd = fz_udp_prepare_send(&m, &n->udp, to, tos, data, 0);
	if (fd < 0)
		return -EAFNOSUPPORT;
	return sendmsg(fd, &m.hdr, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Sealed and sent outside the lock. Returns how many bytes left, 0 if none did. */
static size_t seal_and_send(
	struct fz_node_tunnel *n, const struct wg_tx_claim *c, struct fz_bytes inner)
{
	uint8_t out[FZ_TURN_CHANNEL_HEADER + HEADER_LEN + SEND_MAX + FZ_AEAD_TAG_LEN];
	uint8_t *message = out + FZ_TURN_CHANNEL_HEADER;
	size_t len = HEADER_LEN + inner.n + FZ_AEAD_TAG_LEN;
	wg_tx_header(c, 0, message);
	fz_aead_seal(c->key, c->counter, fz_bytes_of(NULL, 0), inner, message + HEADER_LEN);
	struct fz_span data = fz_span_of(message, len);
	if (c->to.channel != 0) {
		fz_turn_channel_header(c->to.channel, (uint16_t)len, out);
		data = fz_span_of(out, FZ_TURN_CHANNEL_HEADER + len);
	}
	return send_datagram(n, &c->to, c->tos, data) == 0 ? len : 0;
}

static enum wg_drop claim_or_stage(struct fz_node_tunnel *n, struct fz_node_peer *p,
	struct fz_now now, struct fz_bytes inner, struct wg_tx_claim *ret_claim)
{
	struct wg_endpoint ep;
	if (p->has_failed)
		return WG_DROP_NO_PEER;
	fz_conn_packet(p->conn, now.at);
	node_touch(n);
	bool is_now = inner.n <= SEND_MAX && (p->has_way || wg_peer_endpoint(p->wg, &ep));
	enum wg_drop v = is_now ? wg_tx_claim_peer(p->wg, now, inner, 1, ret_claim) : WG_DROP_STAGE;
	if (v == WG_DROP_STAGE)
		wg_tx_stage(n->wg, p->wg, inner, now);
	return v;
}

void fz_node_send(struct fz_node_tunnel *n, struct fz_node_peer *peer, struct fz_bytes inner)
{
	struct fz_now now = fz_clock_now();
	struct wg_tx_claim c;
	fz_node_lock(n);
	enum wg_drop v = claim_or_stage(n, peer, now, inner, &c);
	if (v == WG_KEEP)
		n->tx_bytes += inner.n;
	fz_node_unlock(n);
	if (v != WG_KEEP)
		return;
	size_t sent = seal_and_send(n, &c, inner);
	fz_node_lock(n);
	wg_tx_sent(n->wg, now, &c, sent, sent > 0, true);
	fz_node_unlock(n);
}

/* ---- what there is to see ---- */

void fz_node_peer_set_user(struct fz_node_peer *peer, void *user)
{
	peer->user = user;
}

void *fz_node_peer_user(const struct fz_node_peer *peer)
{
	return peer->user;
}

const char *fz_node_peer_id(const struct fz_node_peer *peer)
{
	return peer->id;
}

void fz_node_peer_stats(
	struct fz_node_tunnel *n, const struct fz_node_peer *peer, struct fz_node_peer_stats *ret)
{
	struct wg_peer_stats s;
	struct fz_way way;
	*ret = (struct fz_node_peer_stats){ .has_failed = true };
	fz_node_lock(n);
	if (!peer->has_failed) {
		wg_peer_stats(peer->wg, fz_clock_boot(), &s);
		*ret = (struct fz_node_peer_stats){ .rtt = fz_conn_rtt(peer->conn),
			.is_idle = fz_conn_is_idle(peer->conn),
			.has_session = s.has_session,
			.rx_bytes = s.rx_bytes,
			.tx_bytes = s.tx_bytes,
			.last_handshake = s.last_handshake };
	}
	if (!peer->has_failed && fz_conn_way(peer->conn, &way)) {
		ret->path = node_is_relayed(peer->conn) ? FZ_NODE_RELAYED : FZ_NODE_DIRECT;
		ret->remote = way.peer;
		if (way.channel)
			ret->relay = way.remote;
	}
	fz_node_unlock(n);
}

void fz_node_stats(struct fz_node_tunnel *n, struct fz_node_stats *ret)
{
	struct fz_plane_counters plane;
	struct fz_paths_relay_info relay;
	fz_plane_counters(n->plane, &plane);
	*ret = (struct fz_node_stats){ .plane = plane,
		.io = fz_plane_io_name(n->plane),
		.aead = fz_plane_aead_name(n->plane),
		.threads = fz_plane_threads(n->plane) };
	fz_node_lock(n);
	ret->n_peers = n->n_peers;
	ret->rx_bytes = n->rx_bytes;
	ret->tx_bytes = n->tx_bytes;
	FZ_LIST_EACH(&n->peers, node) {
		const struct fz_node_peer *p = FZ_CONTAINER_OF(node, struct fz_node_peer, in_peers);
		bool is_relayed = p->has_way && node_is_relayed(p->conn);
		ret->n_direct += p->has_way && !is_relayed;
		ret->n_relayed += is_relayed;
	}
	while (n->paths && fz_paths_relay_info(n->paths, ret->n_relays, &relay))
		ret->n_relays++;
	for (size_t v = FZ_PATHS_DROP_PROTOCOL; n->paths && v < FZ_PATHS_VERDICT_COUNT_; v++)
		ret->n_other_dropped += fz_paths_counts(n->paths)[v];
	fz_node_unlock(n);
}
