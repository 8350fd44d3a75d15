/* One slot per connection: read until the head is whole, answer, close. A slot that takes too long is closed. */
#include "gateway/health.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"

#define CONNECTIONS_MAX 16
#define PATIENCE_USEC   (5u * 1000 * 1000)

struct connection {
	struct gw_health *health;
	int fd; /* -1: free */
	sd_event_source *io, *timer;
	size_t n;
	uint8_t in[GW_REQUEST_MAX];
};

struct gw_health {
	sd_event *event;
	sd_event_source *listener;
	struct gw_health_params params;
	int fd;
	unsigned n_open;
	struct connection connections[CONNECTIONS_MAX];
};

static void close_connection(struct connection *c)
{
	if (c->fd < 0)
		return;
	c->io = sd_event_source_disable_unref(c->io);
	c->timer = sd_event_source_disable_unref(c->timer);
	fz_closep(&c->fd);
	c->n = 0;
	c->health->n_open--;
	/* There is a place again. */
	(void)sd_event_source_set_enabled(c->health->listener, SD_EVENT_ON);
}

static int on_patience_ends(sd_event_source *s, uint64_t usec, void *user)
{
	(void)s;
	(void)usec;
	close_connection(user);
	return 0;
}

static int on_bytes(sd_event_source *s, int fd, uint32_t events, void *user)
{
	(void)s;
	(void)events;
	struct connection *c = user;
	ssize_t n = recv(fd, c->in + c->n, sizeof(c->in) - c->n, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		close_connection(c);
		return 0;
	}
	c->n += (size_t)n;
	struct gw_health_state state = { .text = "" };
	c->health->params.state(c->health->params.user, &state);
	uint8_t out[GW_ANSWER_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(out, sizeof(out)));
	if (gw_health_answer(fz_bytes_of(c->in, c->n), &state, &w) == GW_REQUEST_MORE)
		return 0;
	/* An empty send buffer takes an answer of this size whole. */
	if (!w.bad && send(fd, out, w.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		w.bad = true;
	close_connection(c);
	return 0;
}

static struct connection *free_connection_maybe(struct gw_health *h)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (h->connections[i].fd < 0)
			return &h->connections[i];
	return NULL;
}

static int watch(struct connection *c)
{
	sd_event *event = c->health->event;
	int r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_bytes, c);
	if (r < 0)
		return r;
	return sd_event_add_time_relative(
		event, &c->timer, CLOCK_MONOTONIC, PATIENCE_USEC, 0, on_patience_ends, c);
}

static int on_connection(sd_event_source *s, int fd, uint32_t events, void *user)
{
	(void)events;
	struct gw_health *h = user;
	struct connection *c = free_connection_maybe(h);
	if (!c) {
		(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
		return 0;
	}
	int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (accepted < 0)
		return 0; /* gone already, or no descriptor left: tried again with the next event */
	c->fd = accepted;
	h->n_open++;
	if (watch(c) < 0)
		close_connection(c);
	else if (h->n_open == CONNECTIONS_MAX)
		(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return 0;
}

static socklen_t to_sockaddr(const struct fz_addr *a, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->ip.family == FZ_IP4) {
		struct sockaddr_in *in = (void *)ret;
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip.b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)ret;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	in6->sin6_scope_id = a->scope;
	memcpy(&in6->sin6_addr, a->ip.b, 16);
	return sizeof(*in6);
}

static int open_listener(const struct fz_addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(at, &ss);
	FZ_CLEANUP(fz_closep)
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		bind(fd, (const struct sockaddr *)&ss, len) != 0 ||
		listen(fd, CONNECTIONS_MAX) != 0)
		return -errno;
	return fz_take_fd(&fd);
}

void gw_health_free(struct gw_health *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		close_connection(&h->connections[i]);
	h->listener = sd_event_source_disable_unref(h->listener);
	fz_closep(&h->fd);
	sd_event_unref(h->event);
	free(h);
}

int gw_health_new(
	sd_event *event, const struct gw_health_params *params, struct gw_health **ret_health)
{
	struct gw_health *h = fz_new(struct gw_health);
	if (!h)
		return -ENOMEM;
	h->event = sd_event_ref(event);
	h->params = *params;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		h->connections[i].health = h;
		h->connections[i].fd = -1;
	}
	int r = h->fd = open_listener(&params->listen);
	if (r >= 0)
		r = sd_event_add_io(event, &h->listener, h->fd, EPOLLIN, on_connection, h);
	if (r < 0) {
		gw_health_free(h);
		return r;
	}
	*ret_health = h;
	return 0;
}

uint16_t gw_health_port(const struct gw_health *h)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a = { 0 };

	socklen_t len = sizeof(a);
	if (getsockname(h->fd, &a.any, &len) != 0)
		return 0;
	return ntohs(a.any.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}
