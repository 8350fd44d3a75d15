/* Joins the parts; decides nothing about packets. */
#include "wgdev/device.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/clock.h"
#include "io/plane.h"
#include "io/rng.h"
#include "io/tun.h"
#include "io/udp.h"
#include "uapi/uapi.h"
#include "wg/device.h"
#include "wgdev/daemon.h"
#include "wgdev/link.h"
#include "wgdev/loop.h"
#include "wgdev/routes.h"
#include "wgdev/server.h"
#include "wgdev/socket.h"

#define DEFAULT_MTU 1420

struct wgdev {
	struct wgdev_options options;
	struct wgdev_loop loop;
	struct fz_tun tun;
	struct wgdev_socket socket;
	struct wgdev_link *link;
	struct wgdev_routes *routes;
	struct wg_device *wg;
	struct fz_plane *plane;
	struct uapi *uapi;
	struct wgdev_server *server;
	struct wgdev_source on_signal, on_file, on_link, on_routes, on_fatal;
	struct fz_udp udp;
	uint16_t port; /* wanted; after binding to any: what was had */
	uint32_t mark;
	bool link_is_up;
	bool is_bound;
	bool is_over;
	int result;
};

/* ---- sockets ---- */

/* Moves to sockets on `port`; the old ones go on if the new ones can't be had. */
static int bind_to(struct wgdev *w, uint16_t port)
{
	struct fz_udp udp, old = w->udp;
	int r = fz_udp_open(port, w->mark, &udp);
	if (r < 0)
		return r;
	w->udp = udp;
	w->port = udp.port;
	w->is_bound = true;
	fz_plane_set_udp(w->plane, &w->udp);
	fz_udp_close(&old);
	fz_plane_lock(w->plane);
	wg_device_set_port(w->wg, udp.port);
	wg_device_clear_sources(w->wg);
	if (!wg_device_is_up(w->wg))
		wg_device_up(w->wg, fz_clock_now());
	fz_plane_unlock(w->plane);
	return 0;
}

static void unbind(struct wgdev *w)
{
	fz_plane_lock(w->plane);
	wg_device_down(w->wg);
	fz_plane_unlock(w->plane);
	struct fz_udp old = w->udp;
	w->udp = (struct fz_udp){ .v4 = -1, .v6 = -1 };
	w->is_bound = false;
	fz_plane_set_udp(w->plane, &w->udp);
	fz_udp_close(&old);
}

static int set_port(struct wgdev *w, uint16_t port)
{
	int r = 0;
	if (!w->link_is_up)
		w->port = port;
	else if (!w->is_bound || port == 0 || port != w->port)
		r = bind_to(w, port);
	return r;
}

static int set_mark(struct wgdev *w, uint32_t mark)
{
	int r = w->is_bound ? fz_udp_set_mark(&w->udp, mark) : 0;
	if (r < 0) {
		(void)!fz_udp_set_mark(&w->udp, w->mark);
		return r;
	}
	w->mark = mark;
	fz_plane_lock(w->plane);
	wg_device_clear_sources(w->wg);
	fz_plane_unlock(w->plane);
	return 0;
}

static int64_t answer(void *user, const struct uapi_question *q)
{
	struct wgdev *w = user;
	int64_t a = 0;
	switch (q->ask) {
	case UAPI_ASK_PORT: a = set_port(w, (uint16_t)q->number); break;
	case UAPI_ASK_MARK: a = set_mark(w, q->number); break;
	case UAPI_ASK_ZONE: return if_nametoindex(q->zone);
	}
	uapi_note_sockets(w->uapi, w->port, w->mark);
	return a;
}

/* ---- events ---- */

/* What was judged and not carried, by reason; what is no loss (it waits, or is empty by design) is left out. */
static void say_counters(struct wgdev *w)
{
	struct fz_plane_counters c;
	uint64_t drops[WG_DROP_COUNT_];
	fz_plane_counters(w->plane, &c);
	fz_plane_lock(w->plane);
	memcpy(drops, wg_device_drops(w->wg), sizeof(drops));
	fz_plane_unlock(w->plane);
	fz_log(FZ_LOG_INFO, "counters",
		"rx-packets=%" PRIu64 " tx-packets=%" PRIu64 " rx-trains=%" PRIu64
		" tx-trains=%" PRIu64 " tun-writes=%" PRIu64 " gso-refused=%" PRIu64
		" coalesce-refused=%" PRIu64 " cq-overflows=%" PRIu64,
		c.rx_packets, c.tx_packets, c.rx_trains, c.tx_trains, c.tun_writes, c.gso_refused,
		c.coalesce_refused, c.overflows);
	for (size_t i = 0; i < WG_DROP_COUNT_; i++)
		if (drops[i] > 0 && wg_drop_is_loss((enum wg_drop)i))
			fz_log(FZ_LOG_INFO, "dropped", "why=%s packets=%" PRIu64,
				wg_drop_name((enum wg_drop)i), drops[i]);
}

static void finish(struct wgdev *w, int result, const char *why)
{
	fz_log(FZ_LOG_INFO, "device-ends", "why=%s", why);
	say_counters(w);
	w->is_over = true;
	w->result = result;
}

static void apply_link(struct wgdev *w)
{
	struct wgdev_link_state s = wgdev_link_read(w->link);
	if (s.is_gone) {
		finish(w, 0, "interface-deleted");
		return;
	}
	fz_plane_lock(w->plane);
	wg_device_set_mtu(w->wg, s.mtu);
	fz_plane_unlock(w->plane);
	if (s.is_up == w->link_is_up)
		return;
	w->link_is_up = s.is_up;
	fz_log(FZ_LOG_INFO, s.is_up ? "link-up" : "link-down", "mtu=%u", s.mtu);
	if (!s.is_up) {
		unbind(w);
	} else {
		int r = bind_to(w, w->port);
		if (r < 0)
			fz_log(FZ_LOG_ERR, "bind-failed", "port=%u error=\"%s\"", (unsigned)w->port,
				fz_strerror(r));
	}
	uapi_note_sockets(w->uapi, w->port, w->mark);
}

static void link_ready(void *user, uint32_t events)
{
	(void)events;
	apply_link(user);
}

static void routes_ready(void *user, uint32_t events)
{
	struct wgdev *w = user;
	(void)events;
	wgdev_routes_read(w->routes, w->mark);
}

static void signal_ready(void *user, uint32_t events)
{
	struct wgdev *w = user;
	struct signalfd_siginfo info;
	(void)events;
	if (read(w->on_signal.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		say_counters(w);
	else
		finish(w, 0, "signal");
}

static void file_ready(void *user, uint32_t events)
{
	struct wgdev *w = user;
	(void)events;
	if (!wgdev_socket_is_there(&w->socket))
		finish(w, 0, "socket-removed");
}

static void fatal_ready(void *user, uint32_t events)
{
	struct wgdev *w = user;
	(void)events;
	/* A deleted TUN is an orderly end; anything else deserves a word. */
	int r = fz_plane_fatal(w->plane);
	bool is_deleted = fz_tun_refresh(&w->tun) == -EBADFD;
	if (!is_deleted)
		fz_log(FZ_LOG_ERR, "tun-failed", "error=\"%s\"", fz_strerror(r));
	finish(w, is_deleted ? 0 : r, "tun-gone");
}

/* ---- making it ---- */

static int failed(const char *what, int r, const char *hint)
{
	fz_log(FZ_LOG_ERR, what, "error=\"%s\"%s%s", fz_strerror(r), hint[0] ? " " : "", hint);
	return r;
}

static int open_tun(struct wgdev *w)
{
	const struct wgdev_options *o = &w->options;
	int r = o->tun_fd >= 0 ? fz_tun_adopt(o->tun_fd, &w->tun) : fz_tun_open(o->name, &w->tun);
	if (r < 0)
		return failed("tun-failed", r,
			r == -EBUSY    ? "hint=\"another process has it\""
			: r == -ENOENT ? "hint=\"there is no /dev/net/tun: modprobe tun\""
			: r == -EPERM  ? "hint=\"run it as root\""
				       : "");
	r = fz_tun_set_mtu(&w->tun, DEFAULT_MTU);
	if (r < 0)
		fz_log(FZ_LOG_WARNING, "mtu-kept", "error=\"%s\"", fz_strerror(r));
	(void)!fz_tun_set_queue_len(&w->tun, FZ_TUN_QUEUE_LEN);
	return 0;
}

static int open_socket(struct wgdev *w)
{
	int r = wgdev_socket_open(w->options.name, w->options.uapi_fd, &w->socket);
	if (r < 0)
		return failed("uapi-failed", r,
			r == -EADDRINUSE ? "hint=\"somebody answers on the socket already\"" : "");
	return 0;
}

static int open_plane(struct wgdev *w)
{
	struct wg_device_params wp = { .random = fz_rng_fill };
	w->wg = wg_device_new(&wp);
	w->uapi = w->wg ? uapi_new(w->wg) : NULL;
	if (!w->uapi)
		return failed("device-failed", -ENOMEM, "");
	struct fz_plane_params pp = { .device = w->wg,
		.tun = w->tun,
		.io = w->options.io,
		.aead = w->options.aead,
		.threads = w->options.threads };
	int r = fz_plane_new(&pp, &w->plane);
	if (r == 0)
		r = fz_plane_start(w->plane);
	if (r < 0)
		return failed("plane-failed", r, "");
	fz_log(FZ_LOG_INFO, "plane-started", "io=%s aead=%s threads=%u", fz_plane_io_name(w->plane),
		fz_plane_aead_name(w->plane), fz_plane_threads(w->plane));
	return 0;
}

static int watch(
	struct wgdev *w, struct wgdev_source *s, int fd, void (*ready)(void *user, uint32_t events))
{
	*s = (struct wgdev_source){ fd, ready, w };
	return wgdev_loop_add(&w->loop, s, EPOLLIN);
}

static int open_signals(struct wgdev *w)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return watch(w, &w->on_signal, fd, signal_ready);
}

static int open_service(struct wgdev *w)
{
	struct wgdev_server_params sp = { .loop = &w->loop,
		.listen_fd = w->socket.fd,
		.plane = w->plane,
		.uapi = w->uapi,
		.answer = answer,
		.user = w };
	int r = wgdev_server_new(&sp, &w->server);
	if (r == 0)
		r = watch(w, &w->on_link, wgdev_link_fd(w->link), link_ready);
	if (r == 0)
		r = wgdev_routes_new(w->plane, w->wg, &w->routes);
	if (r == 0)
		r = watch(w, &w->on_routes, wgdev_routes_fd(w->routes), routes_ready);
	if (r == 0)
		r = watch(w, &w->on_fatal, fz_plane_fatal_fd(w->plane), fatal_ready);
	if (r == 0 && w->socket.watch_fd >= 0)
		r = watch(w, &w->on_file, w->socket.watch_fd, file_ready);
	return r < 0 ? failed("service-failed", r, "") : 0;
}

static int open_all(struct wgdev *w)
{
	int r = wgdev_loop_init(&w->loop);
	if (r == 0)
		r = open_signals(w);
	if (r < 0)
		return failed("start-failed", r, "");
	r = open_tun(w);
	if (r == 0)
		r = open_socket(w);
	if (r < 0)
		return r;
	r = wgdev_link_new(&w->tun, &w->link);
	if (r < 0)
		return failed("link-watch-failed", r, "");
	r = wgdev_privileges_drop();
	if (r < 0)
		return failed("privileges-kept", r, "");
	r = open_plane(w);
	if (r == 0)
		r = open_service(w);
	if (r == 0)
		apply_link(
			w); /* it may be up already: a descriptor that was handed over, or a quick hand */
	return r;
}

void wgdev_free(struct wgdev *w)
{
	if (!w)
		return;
	wgdev_server_free(w->server);
	wgdev_socket_done(&w->socket);
	if (w->plane)
		fz_plane_stop(w->plane);
	fz_plane_free(w->plane);
	uapi_free(w->uapi);
	wg_device_free(w->wg);
	fz_udp_close(&w->udp);
	wgdev_link_free(w->link);
	wgdev_routes_free(w->routes);
	fz_closep(&w->on_signal.fd);
	fz_closep(&w->tun.fd);
	wgdev_loop_done(&w->loop);
	free(w);
}

int wgdev_new(const struct wgdev_options *options, struct wgdev **ret_wgdev)
{
	struct wgdev *w = fz_new(struct wgdev);
	if (!w)
		return failed("start-failed", -ENOMEM, "");
	w->options = *options;
	w->loop.fd = w->tun.fd = w->socket.fd = w->socket.watch_fd = w->on_signal.fd = -1;
	w->udp = (struct fz_udp){ .v4 = -1, .v6 = -1 };
	int r = open_all(w);
	if (r < 0)
		wgdev_free(w);
	else
		*ret_wgdev = w;
	return r;
}

int wgdev_run(struct wgdev *w)
{
	int r = 0;
	while (r == 0 && !w->is_over) {
		r = wgdev_loop_turn(&w->loop, wgdev_server_deadline(w->server));
		wgdev_server_expire(w->server, fz_clock_boot());
	}
	return r < 0 ? r : w->result;
}
