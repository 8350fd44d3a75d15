/* The node's life: what it is made of, its threads, its identity, and how the control thread hears of it. */
#include "daemon/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/node_internal.h"
#include "io/clock.h"
#include "io/rng.h"

static const char *const failure_names[] = {
	[FZ_NODE_NO_CANDIDATES] = "the other side named no address",
	[FZ_NODE_UNREACHABLE] = "no address of the other side answers",
	[FZ_NODE_NO_HANDSHAKE] = "the other side does not answer WireGuard's handshake",
};

const char *fz_node_failure_name(enum fz_node_failure why)
{
	return why < FZ_ARRAY_LEN(failure_names) ? failure_names[why] : "unknown";
}

/* ---- sockets ---- */

static const struct fz_udp no_sockets = { .v4 = -1, .v6 = -1 };

static int open_sockets(const struct fz_node_tunnel *n, struct fz_udp *ret_udp)
{
	uint16_t port = n->params.port ? n->params.port : FZ_NODE_PORT;
	int r = fz_udp_open(port, n->params.mark, ret_udp);
	return r == -EADDRINUSE ? fz_udp_open(0, n->params.mark, ret_udp) : r;
}

static void close_sockets(struct fz_node_tunnel *n)
{
	struct fz_udp old = n->udp;
	n->udp = no_sockets;
	fz_plane_set_udp(n->plane, &n->udp);
	fz_udp_close(&old);
}

/* Those of the moment; the old ones are gone already, so that the port may be had again. */
static int renew_sockets(struct fz_node_tunnel *n)
{
	close_sockets(n);
	int r = open_sockets(n, &n->udp);
	if (r < 0)
		return r;
	fz_plane_set_udp(n->plane, &n->udp);
	fz_node_lock(n);
	n->port = n->udp.port;
	wg_device_set_port(n->wg, n->port);
	fz_node_unlock(n);
	return 0;
}

/* ---- identity and paths; with the lock ---- */

static void renew_key(struct fz_node_tunnel *n, struct fz_now now)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	fz_rng_fill(NULL, fz_span_of(key.b, sizeof(key.b)));
	wg_device_set_private_key(n->wg, &key, now);
	(void)wg_device_public_key(n->wg, n->public_key);
}

static void add_hosts(struct fz_node_tunnel *n, fz_time now)
{
	struct fz_addr hosts[FZ_PATHS_HOSTS_MAX];
	if (!n->params.has_host_candidates)
		return;
	size_t n_hosts = node_host_addresses(n->interface, n->port, hosts, FZ_ARRAY_LEN(hosts));
	for (size_t i = 0; i < n_hosts; i++)
		(void)!fz_paths_add_host(n->paths, &hosts[i], now);
}

static void remove_all_peers(struct fz_node_tunnel *n)
{
	FZ_LIST_EACH_SAFE(&n->peers, node, after)
		node_remove_peer(FZ_CONTAINER_OF(node, struct fz_node_peer, in_peers));
	n->n_news = 0;
	n->has_lost_news = false;
	n->refresh_at = FZ_NEVER;
}

static int make_paths(struct fz_node_tunnel *n)
{
	struct fz_paths_params pp = { .random = fz_rng_fill,
		.is_gateway = n->params.is_gateway,
		.max_conns = n->params.max_peers };
	n->paths = fz_paths_new(&pp);
	if (!n->paths)
		return -ENOMEM;
	add_hosts(n, fz_clock_boot());
	node_touch(n);
	return 0;
}

/* ---- making it ---- */

static int open_tun(struct fz_node_tunnel *n)
{
	int r = fz_tun_open(n->interface, &n->tun);
	if (r < 0)
		return r;
	r = fz_tun_set_mtu(&n->tun, n->params.mtu);
	(void)!fz_tun_set_queue_len(&n->tun, FZ_TUN_QUEUE_LEN);
	return r;
}

static int open_wireguard(struct fz_node_tunnel *n)
{
	struct wg_device_params wp = { .random = fz_rng_fill };
	n->wg = wg_device_new(&wp);
	n->single = fz_new(struct wg_rx_train);
	if (!n->wg || !n->single)
		return -ENOMEM;
	wg_device_set_mtu(n->wg, n->params.mtu);
	renew_key(n, fz_clock_now());
	return 0;
}

static int open_plane(struct fz_node_tunnel *n)
{
	struct fz_plane_hooks hooks = node_hooks(n);
	struct fz_plane_params pp = { .device = n->wg,
		.tun = n->tun,
		.io = n->params.io,
		.aead = n->params.aead,
		.threads = n->params.threads,
		.hooks = &hooks };
	return fz_plane_new(&pp, &n->plane);
}

static int watch(struct fz_node_tunnel *n, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data = { .fd = fd } };
	return epoll_ctl(n->poll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

static int open_events(struct fz_node_tunnel *n)
{
	n->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->poll_fd = n->event_fd < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (n->poll_fd < 0)
		return -errno;
	int r = watch(n, n->event_fd);
	return r < 0 ? r : watch(n, fz_plane_fatal_fd(n->plane));
}

static int open_all(struct fz_node_tunnel *n)
{
	int r = open_tun(n);
	if (r == 0)
		r = open_wireguard(n);
	if (r == 0)
		r = open_plane(n);
	if (r == 0)
		r = open_events(n);
	if (r == 0)
		r = renew_sockets(n);
	return r;
}

int fz_node_new(const struct fz_node_params *params, struct fz_node_tunnel **ret_node)
{
	size_t len = strnlen(params->interface, IFNAMSIZ);
	if (len == 0 || len == IFNAMSIZ)
		return -EINVAL;
	struct fz_node_tunnel *n = fz_new(struct fz_node_tunnel);
	if (!n)
		return -ENOMEM;
	n->params = *params;
	memcpy(n->interface, params->interface, len);
	n->params.interface = n->interface;
	n->params.mtu = params->mtu ? params->mtu : FZ_NODE_MTU;
	n->tun.fd = n->event_fd = n->poll_fd = -1;
	n->udp = no_sockets;
	n->refresh_at = FZ_NEVER;
	fz_list_init(&n->peers);
	for (size_t i = 0; i < NODE_BUCKETS; i++)
		fz_list_init(&n->buckets[i]);
	fz_rng_fill(NULL, fz_span_of(&n->hash_key, sizeof(n->hash_key)));
	int r = open_all(n);
	if (r < 0) {
		fz_node_free(n);
		return r;
	}
	*ret_node = n;
	return 0;
}

void fz_node_free(struct fz_node_tunnel *n)
{
	if (!n)
		return;
	if (n->plane)
		fz_node_stop(n);
	fz_plane_free(n->plane);
	wg_device_free(n->wg);
	fz_udp_close(&n->udp);
	fz_closep(&n->tun.fd);
	fz_closep(&n->event_fd);
	fz_closep(&n->poll_fd);
	free(n->single);
	free(n->news);
	free(n);
}

/* ---- its threads ---- */

int fz_node_start(struct fz_node_tunnel *n)
{
	if (n->is_running)
		return 0;
	fz_node_lock(n);
	int r = n->paths ? 0 : make_paths(n);
	wg_device_up(n->wg, fz_clock_now());
	fz_node_unlock(n);
	if (r == 0)
		r = fz_plane_start(n->plane);
	if (r < 0)
		return r;
	n->is_running = true;
	fz_log(FZ_LOG_INFO, "node-started", "interface=%s port=%u io=%s aead=%s threads=%u",
		n->interface, (unsigned)n->udp.port, fz_plane_io_name(n->plane),
		fz_plane_aead_name(n->plane), fz_plane_threads(n->plane));
	return 0;
}

/* No thread runs any more: what the relays are still to be told goes out from here. */
static void release_relays(struct fz_node_tunnel *n)
{
	struct fz_paths_datagram d;
	fz_time now = fz_clock_boot();
	fz_paths_release(n->paths, now);
	for (unsigned i = 0; i < 4 * FZ_PATHS_RELAYS_MAX && fz_paths_poll(n->paths, now, &d); i++) {
		struct fz_udp_message m;
		struct wg_endpoint to = { .remote = d.remote };
		struct fz_span data = { fz_unconst(d.pkt.p), d.pkt.n }; /* read from only */
		int fd = fz_udp_prepare_send(&m, &n->udp, &to, 0, data, 0);
		if (fd >= 0)
			(void)!sendmsg(fd, &m.hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

void fz_node_stop(struct fz_node_tunnel *n)
{
	fz_plane_stop(n->plane);
	fz_node_lock(n);
	remove_all_peers(n);
	if (n->paths && n->is_running)
		release_relays(n);
	fz_paths_free(n->paths);
	n->paths = NULL;
	if (n->wg)
		wg_device_down(n->wg);
	fz_node_unlock(n);
	n->is_running = false;
}

int fz_node_reset(struct fz_node_tunnel *n)
{
	struct fz_now now = fz_clock_now();
	fz_node_lock(n);
	remove_all_peers(n);
	renew_key(n, now);
	fz_node_unlock(n);
	int r = renew_sockets(n);
	fz_node_lock(n);
	if (n->paths) {
		fz_paths_reset(n->paths, now.at);
		add_hosts(n, now.at);
	}
	node_touch(n);
	fz_node_unlock(n);
	return r;
}

void fz_node_hosts_changed(struct fz_node_tunnel *n)
{
	struct fz_addr hosts[FZ_PATHS_HOSTS_MAX];
	if (!n->params.has_host_candidates)
		return;
	size_t n_hosts = node_host_addresses(n->interface, n->port, hosts, FZ_ARRAY_LEN(hosts));
	fz_node_lock(n);
	if (n->paths)
		fz_paths_set_hosts(n->paths, hosts, n_hosts, fz_clock_boot());
	node_touch(n);
	fz_node_unlock(n);
}

/* ---- what it tells ---- */

int fz_node_fd(const struct fz_node_tunnel *n)
{
	return n->poll_fd;
}

uint32_t fz_node_ifindex(const struct fz_node_tunnel *n)
{
	return n->tun.ifindex;
}

const char *fz_node_interface(const struct fz_node_tunnel *n)
{
	return n->interface;
}

uint16_t fz_node_port(const struct fz_node_tunnel *n)
{
	return n->udp.port;
}

void fz_node_public_key(const struct fz_node_tunnel *n, uint8_t ret_key[static FZ_KEY_LEN])
{
	memcpy(ret_key, n->public_key, FZ_KEY_LEN);
}

void fz_node_lock(struct fz_node_tunnel *n)
{
	fz_plane_lock(n->plane);
}

void fz_node_unlock(struct fz_node_tunnel *n)
{
	fz_plane_unlock(n->plane);
}

/* Is it about a connection that is still there? */
static bool is_fresh(struct fz_node_tunnel *n, const struct node_news *e)
{
	const struct fz_node_peer *p = fz_node_find_maybe(n, e->id);
	return p && p->generation == e->generation;
}

static void dispatch(struct fz_node_tunnel *n, const struct node_news *e)
{
	const struct fz_node_ops *ops = &n->params.ops;
	void *user = n->params.user;
	if (e->kind != NODE_NO_RELAYS && !is_fresh(n, e))
		return;
	switch (e->kind) {
	case NODE_CANDIDATE:
	case NODE_CANDIDATE_GONE:
		if (ops->candidate)
			ops->candidate(user, e->id, e->text, e->kind == NODE_CANDIDATE_GONE);
		break;
	case NODE_FAILED:
		fz_log(FZ_LOG_INFO, "connection-failed", "peer=%s why=\"%s\"", e->id,
			fz_node_failure_name(e->why));
		if (ops->failed)
			ops->failed(user, e->id, e->why);
		break;
	case NODE_SESSION_UP:
		fz_log(FZ_LOG_INFO, "session-up", "peer=%s", e->id);
		n->has_said_no_relays = false;
		if (ops->session_up)
			ops->session_up(user, e->id);
		break;
	case NODE_WAY:
		fz_log(FZ_LOG_INFO, "connection-path", "peer=%s path=%s", e->id, e->text);
		break;
	case NODE_NO_RELAYS:
		/* Asked for others, the portal names the same again and again: once is enough, until something goes again. */
		if (!n->has_said_no_relays)
			fz_log(FZ_LOG_WARNING, "no-relays", "why=\"%s\"", "the last one failed");
		n->has_said_no_relays = true;
		if (ops->no_relays)
			ops->no_relays(user);
		break;
	}
}

/* Failures must not be lost with news there was no memory for: they are told again. With the lock. */
static void repeat_failures(struct fz_node_tunnel *n)
{
	n->has_lost_news = false;
	FZ_LIST_EACH(&n->peers, node) {
		const struct fz_node_peer *p = FZ_CONTAINER_OF(node, struct fz_node_peer, in_peers);
		if (p->has_failed)
			node_tell(n, NODE_FAILED, p, FZ_NODE_UNREACHABLE, "");
	}
}

static void check_plane(struct fz_node_tunnel *n)
{
	int err = fz_plane_fatal(n->plane);
	if (err == 0 || n->is_broken)
		return;
	n->is_broken = true;
	(void)epoll_ctl(n->poll_fd, EPOLL_CTL_DEL, fz_plane_fatal_fd(n->plane), NULL);
	fz_log(FZ_LOG_ERR, "node-broken", "interface=%s error=\"%s\"", n->interface,
		fz_strerror(err));
	if (n->params.ops.broken)
		n->params.ops.broken(n->params.user, err);
}

void fz_node_process(struct fz_node_tunnel *n)
{
	uint64_t count;
	(void)!read(n->event_fd, &count, sizeof(count));
	fz_plane_lock(n->plane);
	if (n->has_lost_news)
		repeat_failures(n);
	struct node_news *news = n->news;
	size_t n_news = n->n_news;
	bool is_rung = n->is_rung;
	n->news = NULL;
	n->n_news = n->cap_news = 0;
	n->is_rung = false;
	fz_plane_unlock(n->plane);
	for (size_t i = 0; i < n_news; i++)
		dispatch(n, &news[i]);
	free(news);
	if (is_rung && n->params.ops.rung)
		n->params.ops.rung(n->params.user);
	check_plane(n);
}
