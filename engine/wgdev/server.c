/*
 * A client's turn is short: one piece of input or a few of output, then the others. Input is peeked at, understood, and
 * only then taken from the socket, so nothing of it needs keeping here.
 */
#include "wgdev/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/ct.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "io/clock.h"

#define INPUT_LEN  4096 /* how much is understood under one lock: at most some 50 new peers */
#define OUTPUT_LEN 8192
#define TURN_STEPS 8
#define STALL      FZ_SECONDS(10)

struct client {
	struct fz_node node; /* in idle or busy of the server, by last progress */
	struct wgdev_server *server;
	struct wgdev_source source;
	struct uapi_client *uapi;
	fz_time progress;
	uint32_t events;
	size_t out_len, out_sent;
	uint8_t *out; /* OUTPUT_LEN bytes while there is something to send */
};

struct wgdev_server {
	struct wgdev_server_params p;
	struct wgdev_source listener;
	struct fz_list idle, busy;
	unsigned n_clients;
	uint8_t input[INPUT_LEN];
};

static void drop_output(struct client *c)
{
	if (c->out)
		fz_wipe(c->out, OUTPUT_LEN);
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_sent = 0;
}

static void close_client(struct client *c)
{
	struct wgdev_server *s = c->server;
	fz_list_remove(&c->node);
	wgdev_loop_remove(s->p.loop, &c->source);
	fz_closep(&c->source.fd);
	fz_plane_lock(s->p.plane);
	uapi_client_free(c->uapi);
	fz_plane_unlock(s->p.plane);
	drop_output(c);
	s->n_clients--;
	free(c);
}

/* ---- one step each: true to go on, false if the socket has to be waited for ---- */

static bool step_input(struct client *c)
{
	struct wgdev_server *s = c->server;
	ssize_t n = recv(c->source.fd, s->input, sizeof(s->input), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	fz_plane_lock(s->p.plane);
	size_t used = 0;
	if (n > 0)
		used = uapi_client_feed(c->uapi, fz_clock_now(), fz_bytes_of(s->input, (size_t)n));
	else
		uapi_client_end(c->uapi); /* it hung up, one way or the other */
	fz_plane_unlock(s->p.plane);
	/* Bytes left unread would turn our hanging up into a reset at the other end. */
	if (n > 0 && uapi_client_want(c->uapi) == UAPI_WANT_CLOSE)
		used = (size_t)n;
	if (used > 0 && recv(c->source.fd, s->input, used, MSG_DONTWAIT) != (ssize_t)used)
		uapi_client_end(c->uapi);
	if (n > 0)
		fz_wipe(s->input, (size_t)n);
	return true;
}

static bool step_output(struct client *c)
{
	struct wgdev_server *s = c->server;
	if (!c->out) {
		c->out = fz_alloc(1, OUTPUT_LEN);
		if (!c->out)
			return false; /* it will be dropped as stalled */
	}
	if (c->out_sent == c->out_len) {
		fz_plane_lock(s->p.plane);
		c->out_len =
			uapi_client_output(c->uapi, fz_clock_now(), fz_span_of(c->out, OUTPUT_LEN));
		fz_plane_unlock(s->p.plane);
		c->out_sent = 0;
	}
	ssize_t n = send(c->source.fd, c->out + c->out_sent, c->out_len - c->out_sent,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return false; /* EAGAIN; after EPIPE reading says the same */
	c->out_sent += (size_t)n;
	return true;
}

static void step_answer(struct client *c)
{
	struct wgdev_server *s = c->server;
	struct uapi_question q = uapi_client_question(c->uapi);
	int64_t answer = s->p.answer(s->p.user, &q);
	fz_plane_lock(s->p.plane);
	uapi_client_answer(c->uapi, fz_clock_now(), answer);
	fz_plane_unlock(s->p.plane);
}

static bool has_output(const struct client *c)
{
	return c->out_sent < c->out_len || uapi_client_want(c->uapi) == UAPI_WANT_OUTPUT;
}

static bool step(struct client *c)
{
	if (has_output(c))
		return step_output(c);
	if (uapi_client_want(c->uapi) == UAPI_WANT_ANSWER) {
		step_answer(c);
		return true;
	}
	return step_input(c);
}

/* ---- a client's turn ---- */

static bool is_over(const struct client *c)
{
	return !has_output(c) && uapi_client_want(c->uapi) == UAPI_WANT_CLOSE;
}

static void settle(struct client *c, bool has_progressed)
{
	struct wgdev_server *s = c->server;
	if (!has_output(c))
		drop_output(c);
	uint32_t events = has_output(c) ? EPOLLOUT : EPOLLIN;
	if (events != c->events) {
		wgdev_loop_change(s->p.loop, &c->source, events);
		c->events = events;
	}
	if (!has_progressed)
		return;
	c->progress = fz_clock_boot();
	fz_list_remove(&c->node);
	bool is_idle = uapi_client_is_idle(c->uapi) && !has_output(c);
	fz_list_push_back(is_idle ? &s->idle : &s->busy, &c->node);
}

static void client_ready(void *user, uint32_t events)
{
	struct client *c = user;
	bool has_progressed = false;
	for (int i = 0; i < TURN_STEPS && !is_over(c); i++) {
		if (!step(c))
			break;
		has_progressed = true;
	}
	/* Nobody is left to read what we would still say. */
	bool is_deserted = (events & (EPOLLERR | EPOLLHUP)) != 0 && has_output(c);
	if (is_over(c) || is_deserted)
		close_client(c);
	else
		settle(c, has_progressed);
}

/* ---- the listener ---- */

/* Whoever did nothing for longest, first of all among those who want nothing. */
static void evict(struct wgdev_server *s)
{
	struct fz_list *from = fz_list_is_empty(&s->idle) ? &s->busy : &s->idle;
	if (fz_list_is_empty(from))
		return;
	fz_log(FZ_LOG_DEBUG, "client-evicted", "clients=%u", s->n_clients);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): who is closed is unlinked first, nobody freed is in a list */
	close_client(FZ_CONTAINER_OF(from->head.next, struct client, node));
}

static void add_client(struct wgdev_server *s, int fd)
{
	FZ_CLEANUP(fz_closep) int owned = fd;
	struct client *c = fz_new(struct client);
	struct uapi_client *u = uapi_client_new(s->p.uapi);
	if (c && u) {
		c->server = s;
		c->uapi = u;
		c->source = (struct wgdev_source){ fd, client_ready, c };
		c->events = EPOLLIN;
		c->progress = fz_clock_boot();
		if (wgdev_loop_add(s->p.loop, &c->source, c->events) == 0) {
			(void)fz_take_fd(&owned);
			fz_list_push_back(&s->idle, &c->node);
			s->n_clients++;
			return;
		}
	}
	uapi_client_free(u);
	free(c);
}

static void listener_ready(void *user, uint32_t events)
{
	struct wgdev_server *s = user;
	(void)events;
	if (s->n_clients >= WGDEV_CLIENTS_MAX)
		evict(s);
	int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		add_client(s, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		evict(s);
}

void wgdev_server_free(struct wgdev_server *s)
{
	if (!s)
		return;
	FZ_LIST_EACH_SAFE(&s->idle, node, after)
		close_client(FZ_CONTAINER_OF(node, struct client, node));
	FZ_LIST_EACH_SAFE(&s->busy, node, after)
		close_client(FZ_CONTAINER_OF(node, struct client, node));
	wgdev_loop_remove(s->p.loop, &s->listener);
	free(s);
}

int wgdev_server_new(const struct wgdev_server_params *params, struct wgdev_server **ret_server)
{
	struct wgdev_server *s = fz_new(struct wgdev_server);
	if (!s)
		return -ENOMEM;
	s->p = *params;
	s->listener = (struct wgdev_source){ params->listen_fd, listener_ready, s };
	fz_list_init(&s->idle);
	fz_list_init(&s->busy);
	int r = wgdev_loop_add(s->p.loop, &s->listener, EPOLLIN);
	if (r < 0)
		free(s);
	else
		*ret_server = s;
	return r;
}

fz_time wgdev_server_deadline(const struct wgdev_server *s)
{
	if (fz_list_is_empty(&s->busy))
		return FZ_NEVER;
	const struct client *c = FZ_CONTAINER_OF(s->busy.head.next, const struct client, node);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in evict() */
	return fz_time_add(c->progress, STALL);
}

void wgdev_server_expire(struct wgdev_server *s, fz_time now)
{
	while (fz_time_reached(now, wgdev_server_deadline(s))) {
		fz_log(FZ_LOG_DEBUG, "client-stalled", "clients=%u", s->n_clients);
		close_client(FZ_CONTAINER_OF(s->busy.head.next, struct client, node));
	}
}
