/*
 * RFC 8305: addresses are tried alternating between families, IPv6 first, 250 ms apart or as soon as one fails; an IPv4
 * answer waits 50 ms for the IPv6 one. The first TCP connection wins, the others are closed. Then CONNECT and TLS on it;
 * what fails there is not tried on another address. The whole has the 15 s of the portal's attempt.
 */
#include "control/io/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/ct.h"
#include "base/err.h"
#include "base/fd.h"
#include "control/http1.h"

#define NEXT_DELAY    FZ_MILLISECONDS(250)
#define IPV6_DELAY    FZ_MILLISECONDS(50)
#define CONNECT_LIMIT FZ_SECONDS(8)

/* ---- a connection ---- */

struct fzp_conn {
	int fd;
	struct fzp_tls *tls; /* NULL: plain */
	bool wants_write;
	int error;
};

void fzp_conn_free(struct fzp_conn *c)
{
	if (!c)
		return;
	fzp_tls_free(c->tls);
	fz_closep(&c->fd);
	free(c);
}

void fzp_conn_close(struct fzp_conn *c)
{
	if (c->tls)
		fzp_tls_close_notify(c->tls);
	fzp_conn_free(c);
}

int fzp_conn_fd(const struct fzp_conn *c)
{
	return c->fd;
}

ssize_t fzp_conn_read(struct fzp_conn *c, struct fz_span out)
{
	ssize_t n = c->tls ? fzp_tls_read(c->tls, out) : fzp_sock_recv(c->fd, out);
	if (n < 0 && n != -EAGAIN)
		c->error = (int)-n;
	return n;
}

ssize_t fzp_conn_write(struct fzp_conn *c, struct fz_bytes in)
{
	ssize_t n = c->tls ? fzp_tls_write(c->tls, in) : fzp_sock_send(c->fd, in);
	c->wants_write = n == -EAGAIN;
	if (n < 0 && n != -EAGAIN)
		c->error = (int)-n;
	return n;
}

bool fzp_conn_wants_write(const struct fzp_conn *c)
{
	return c->tls ? fzp_tls_wants_write(c->tls) : c->wants_write;
}

const char *fzp_conn_detail(const struct fzp_conn *c)
{
	if (c->tls && fzp_tls_detail(c->tls)[0])
		return fzp_tls_detail(c->tls);
	return c->error ? fz_strerror(-c->error) : "";
}

/* ---- dialling ---- */

enum phase { RESOLVING, CONNECTING, PROXYING, SECURING };

struct attempt {
	struct fzp_dial *d;
	struct fz_addr addr;
	bool is_started, has_failed;
	int fd;
	sd_event_source *io;
};

struct fzp_dial {
	struct fzp_resolve_params resolve_params;
	struct fzp_dial_ops ops;
	void *user;
	char host[FZP_HOST_MAX + 1]; /* where the connection ends */
	bool host_is_ip, host_is_ipv6;
	uint16_t port;
	char hop[FZP_HOST_MAX + 1]; /* what TCP goes to: the host, or the proxy */
	uint16_t hop_port;
	struct fzp_tls_trust *trust;
	const struct fzp_proxy *proxy;

	enum phase phase;
	struct fzp_resolve *resolve;
	bool is_resolved;
	sd_event_source *timer, *io, *defer;
	fz_time ipv6_until, next_at, limit;
	uint32_t n;
	struct attempt attempts[FZP_DIAL_ADDRS_MAX];
	enum fz_family last_family;
	int last_error;
	bool is_unreachable; /* every failure so far was that of a network that is not there */
	const struct attempt *winner;

	struct fzp_conn *conn;
	size_t proxy_len; /* of the request to be sent, then of the reply */
	size_t proxy_sent;
	uint8_t *proxy_buf; /* of FZP_HEAD_MAX; has credentials in it */
};

static void close_attempt(struct attempt *a)
{
	fzp_source_freep(&a->io);
	fz_closep(&a->fd);
}

static void free_proxy_buf(struct fzp_dial *d)
{
	if (d->proxy_buf)
		fz_wipe(d->proxy_buf, FZP_HEAD_MAX);
	free(d->proxy_buf);
	d->proxy_buf = NULL;
}

static void quiet(struct fzp_dial *d)
{
	fzp_resolve_free(d->resolve);
	d->resolve = NULL;
	for (uint32_t i = 0; i < d->n; i++)
		close_attempt(&d->attempts[i]);
	fzp_source_freep(&d->timer);
	fzp_source_freep(&d->io);
	fzp_source_freep(&d->defer);
}

void fzp_dial_free(struct fzp_dial *d)
{
	if (!d)
		return;
	quiet(d);
	fzp_conn_free(d->conn);
	free_proxy_buf(d);
	sd_event_unref(d->resolve_params.event);
	free(d);
}

/* d may be gone afterwards. */
static void fail(struct fzp_dial *d, enum fzp_reason why, const char *detail)
{
	char copy[FZP_DETAIL_MAX];
	snprintf(copy, sizeof(copy), "%s", detail);
	quiet(d);
	d->ops.failed(d->user, why, copy);
}

static void succeed(struct fzp_dial *d)
{
	struct fzp_conn *conn = d->conn;
	d->conn = NULL;
	quiet(d);
	d->ops.connected(d->user, conn);
}

/* ---- TLS ---- */

static int on_stream(sd_event_source *source, int fd, uint32_t events, void *user);

static bool watch(struct fzp_dial *d, uint32_t events)
{
	if (d->io)
		return sd_event_source_set_io_events(d->io, events) >= 0;
	return sd_event_add_io(
		       d->resolve_params.event, &d->io, d->conn->fd, events, on_stream, d) >= 0;
}

static void secure(struct fzp_dial *d)
{
	if (!d->conn->tls) {
		d->phase = SECURING;
		int r = fzp_tls_new(d->trust, d->host, d->host_is_ip, d->conn->fd, &d->conn->tls);
		if (r < 0) {
			fail(d, FZP_REASON_TLS, fz_strerror(r));
			return;
		}
	}
	switch (fzp_tls_handshake(d->conn->tls)) {
	case FZP_TLS_DONE: succeed(d); return;
	case FZP_TLS_FAILED: fail(d, FZP_REASON_TLS, fzp_tls_detail(d->conn->tls)); return;
	case FZP_TLS_WANTS_READ:
	case FZP_TLS_WANTS_WRITE: break;
	}
	if (!watch(d, fzp_tls_wants_write(d->conn->tls) ? EPOLLOUT : EPOLLIN))
		fail(d, FZP_REASON_CONNECT, "The event loop refused the socket.");
}

static void begin_stream(struct fzp_dial *d)
{
	if (d->trust)
		secure(d);
	else
		succeed(d);
}

/* ---- the proxy ---- */

static void fail_proxy(struct fzp_dial *d, enum fzp_reason why, const char *what)
{
	char detail[FZP_DETAIL_MAX];
	snprintf(detail, sizeof(detail), "The proxy %s %s.", d->hop, what);
	fail(d, why, detail);
}

static void take_reply(struct fzp_dial *d)
{
	uint16_t status = 0;
	char what[80];
	switch (fzp_proxy_reply(fz_bytes_of(d->proxy_buf, d->proxy_len), &status)) {
	case FZP_PROXY_MORE: return;
	case FZP_PROXY_OK: begin_stream(d); return;
	case FZP_PROXY_BAD:
		fail_proxy(d, FZP_REASON_PROTOCOL, "gave an answer that makes no sense");
		return;
	case FZP_PROXY_REFUSED: break;
	}
	if (status == 407) {
		fail_proxy(d, FZP_REASON_AUTHENTICATION,
			d->proxy->userinfo[0] ? "did not accept the user and password in its URL"
					      : "wants a user and password in its URL");
		return;
	}
	snprintf(what, sizeof(what), "answered %u to CONNECT", status);
	fail_proxy(d, FZP_REASON_CONNECT, what);
}

static void proxy_io(struct fzp_dial *d)
{
	if (d->proxy_sent < d->proxy_len) {
		ssize_t n = fzp_conn_write(d->conn,
			fz_bytes_of(d->proxy_buf + d->proxy_sent, d->proxy_len - d->proxy_sent));
		if (n < 0 && n != -EAGAIN) {
			fail_proxy(d, FZP_REASON_CONNECT, "closed the connection");
			return;
		}
		d->proxy_sent += n > 0 ? (size_t)n : 0;
		if (d->proxy_sent < d->proxy_len)
			return;
		/* From here on the buffer is the reply's. */
		fz_wipe(d->proxy_buf, d->proxy_len);
		d->proxy_len = d->proxy_sent = 0;
		if (!watch(d, EPOLLIN))
			fail(d, FZP_REASON_CONNECT, "The event loop refused the socket.");
		return;
	}
	ssize_t n = fzp_conn_read(
		d->conn, fz_span_of(d->proxy_buf + d->proxy_len, FZP_HEAD_MAX - d->proxy_len));
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		fail_proxy(d, FZP_REASON_CONNECT, "closed the connection");
		return;
	}
	d->proxy_len += (size_t)n;
	d->proxy_sent = d->proxy_len;
	take_reply(d);
}

static void begin_proxy(struct fzp_dial *d)
{
	d->phase = PROXYING;
	d->proxy_buf = fz_alloc(FZP_HEAD_MAX, 1);
	if (!d->proxy_buf) {
		fail(d, FZP_REASON_CONNECT, fz_strerror(-ENOMEM));
		return;
	}
	struct fz_writer w = fz_writer_of(fz_span_of(d->proxy_buf, FZP_PROXY_REQUEST_MAX));
	fzp_proxy_request(&w, d->proxy, d->host, d->host_is_ipv6, d->port);
	d->proxy_len = w.len;
	if (w.bad || !watch(d, EPOLLOUT))
		fail(d, FZP_REASON_CONNECT, "The request to the proxy could not be made.");
}

static int on_stream(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)fd;
	(void)events;
	struct fzp_dial *d = user;
	if (d->phase == PROXYING)
		proxy_io(d);
	else
		secure(d);
	return 0;
}

/* ---- the race ---- */

static void go_on(struct fzp_dial *d);

static void win(struct fzp_dial *d, struct attempt *a)
{
	d->winner = a;
	d->conn = fz_new(struct fzp_conn);
	if (!d->conn) {
		fail(d, FZP_REASON_CONNECT, fz_strerror(-ENOMEM));
		return;
	}
	d->conn->fd = fz_take_fd(&a->fd);
	quiet(d);
	if (d->proxy)
		begin_proxy(d);
	else
		begin_stream(d);
}

static void lose(struct fzp_dial *d, struct attempt *a, int err)
{
	close_attempt(a);
	a->has_failed = true;
	d->last_error = err;
	if (err != -ENETUNREACH && err != -ENETDOWN && err != -EADDRNOTAVAIL)
		d->is_unreachable = false;
	d->next_at = (fz_time){ 0 }; /* no reason to wait for the next */
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)events;
	struct attempt *a = user;
	struct fzp_dial *d = a->d;
	int err = fzp_sock_error(fd);
	if (err < 0) {
		lose(d, a, err);
		go_on(d);
	} else {
		win(d, a);
	}
	return 0;
}

static void start_attempt(struct fzp_dial *d, struct attempt *a, fz_time now)
{
	a->is_started = true;
	d->last_family = (enum fz_family)a->addr.ip.family;
	if (d->phase == RESOLVING) {
		d->phase = CONNECTING;
		d->limit = fz_time_add(now, CONNECT_LIMIT);
	}
	d->next_at = fz_time_add(now, NEXT_DELAY);
	int r = fzp_sock_connect(SOCK_STREAM, d->resolve_params.mark, &a->addr, &a->fd);
	if (r >= 0)
		r = sd_event_add_io(
			d->resolve_params.event, &a->io, a->fd, EPOLLOUT, on_connect, a);
	if (r < 0)
		lose(d, a, r);
}

/* The next address, of the other family than the last one if there is one; NULL: none is left. */
static struct attempt *choose(struct fzp_dial *d)
{
	enum fz_family wanted = d->last_family == FZ_IP6 ? FZ_IP4 : FZ_IP6;
	struct attempt *other = NULL;
	for (uint32_t i = 0; i < d->n; i++) {
		struct attempt *a = &d->attempts[i];
		if (a->is_started)
			continue;
		if (a->addr.ip.family == wanted)
			return a;
		if (!other)
			other = a;
	}
	return other;
}

static bool may_start(const struct fzp_dial *d, const struct attempt *a, fz_time now)
{
	/* The first of all: IPv4 leaves IPv6 a moment. */
	if (d->phase == RESOLVING && a->addr.ip.family == FZ_IP4 && !d->is_resolved &&
		!fz_time_reached(now, d->ipv6_until))
		return false;
	return fz_time_reached(now, d->next_at);
}

static bool has_open(const struct fzp_dial *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->attempts[i].fd >= 0)
			return true;
	return false;
}

static void give_up(struct fzp_dial *d)
{
	char addr[FZ_ADDR_TEXT_LEN] = "", detail[FZP_DETAIL_MAX];
	if (d->n > 0)
		fz_addr_format(&d->attempts[d->n - 1].addr, addr);
	int err = d->last_error ? -d->last_error : ETIMEDOUT;
	if (err == EPERM)
		snprintf(detail, sizeof(detail),
			"The socket could not be marked or used: %s. CAP_NET_ADMIN is needed.",
			fz_strerror(-err));
	else
		snprintf(detail, sizeof(detail), "%s%s (%s%s) could not be reached: %s.",
			d->proxy ? "The proxy " : "", d->hop, addr, d->n > 1 ? " and others" : "",
			fz_strerror(-err));
	fail(d,
		d->is_unreachable && d->last_error && !has_open(d) ? FZP_REASON_NO_NETWORK
								   : FZP_REASON_CONNECT,
		detail);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	go_on(user);
	return 0;
}

/* Starts what may start, and sets the timer for what may not yet. May end the dial. */
static void go_on(struct fzp_dial *d)
{
	fz_time now = fzp_now().at;
	struct attempt *a;
	while ((a = choose(d)) && may_start(d, a, now))
		start_attempt(d, a, now);
	if ((!a && d->is_resolved && !has_open(d)) || fz_time_reached(now, d->limit)) {
		give_up(d);
		return;
	}
	fz_time at = d->limit;
	if (a && d->phase == RESOLVING && a->addr.ip.family == FZ_IP4 && !d->is_resolved)
		at = fz_time_min(at, d->ipv6_until);
	else if (a)
		at = fz_time_min(at, d->next_at);
	if (fzp_timer_set(d->resolve_params.event, &d->timer, at, on_timer, d) < 0)
		fail(d, FZP_REASON_CONNECT, "The event loop refused a timer.");
}

/* ---- names ---- */

static void add_addrs(struct fzp_dial *d, const struct fz_ip *ips, size_t n)
{
	for (size_t i = 0; i < n && d->n < FZP_DIAL_ADDRS_MAX; i++) {
		/* Half the room is kept for the family that answers later. */
		if (!d->is_resolved && i >= FZP_DIAL_ADDRS_MAX / 2)
			break;
		d->attempts[d->n++] = (struct attempt){
			.d = d, .addr = { .ip = ips[i], .port = d->hop_port }, .fd = -1
		};
	}
}

static void on_found(void *user, const struct fz_ip *ips, size_t n)
{
	struct fzp_dial *d = user;
	add_addrs(d, ips, n);
	if (fz_time_is_never(d->ipv6_until))
		d->ipv6_until = fz_time_add(fzp_now().at, IPV6_DELAY);
	/* Nothing may end within this callback: the timer goes on at once. */
	if (fzp_timer_set(d->resolve_params.event, &d->timer, (fz_time){ 0 }, on_timer, d) < 0)
		d->ipv6_until = (fz_time){ 0 }; /* then the resolver's end goes on */
}

static void on_resolved(void *user, size_t n, int err, const char *detail)
{
	struct fzp_dial *d = user;
	d->is_resolved = true;
	if (n == 0)
		fail(d, err == -ENETUNREACH ? FZP_REASON_NO_NETWORK : FZP_REASON_RESOLVE, detail);
	else
		go_on(d);
}

static int on_literal(sd_event_source *source, void *user)
{
	(void)source;
	go_on(user);
	return 0;
}

static int begin(struct fzp_dial *d)
{
	static const struct fzp_resolve_ops ops = { on_found, on_resolved };
	struct fz_ip ip;
	if (fz_ip_parse(d->hop, &ip) < 0)
		return fzp_resolve_new(&d->resolve_params, d->hop, &ops, d, &d->resolve);
	d->is_resolved = true;
	add_addrs(d, &ip, 1);
	return sd_event_add_defer(d->resolve_params.event, &d->defer, on_literal, d);
}

int fzp_dial_new(const struct fzp_dial_params *params, const struct fzp_dial_ops *ops, void *user,
	struct fzp_dial **ret_dial)
{
	size_t n = strlen(params->host);
	if (n == 0 || n > FZP_HOST_MAX)
		return -EINVAL;
	struct fzp_dial *d = fz_new(struct fzp_dial);
	if (!d)
		return -ENOMEM;
	d->resolve_params = params->resolve;
	d->resolve_params.event = sd_event_ref(params->resolve.event);
	d->ops = *ops;
	d->user = user;
	memcpy(d->host, params->host, n + 1);
	d->port = params->port;
	d->trust = params->trust;
	d->proxy = params->proxy;
	const char *hop = d->proxy ? d->proxy->host : d->host;
	memcpy(d->hop, hop, strlen(hop) + 1);
	d->hop_port = d->proxy ? d->proxy->port : d->port;
	struct fz_ip ip;
	d->host_is_ip = fz_ip_parse(d->host, &ip) == 0;
	d->host_is_ipv6 = d->host_is_ip && ip.family == FZ_IP6;
	d->ipv6_until = d->limit = FZ_NEVER;
	d->is_unreachable = true;
	int r = begin(d);
	if (r < 0) {
		fzp_dial_free(d);
		return r;
	}
	*ret_dial = d;
	return 0;
}

void fzp_dial_describe(const struct fzp_dial *d, char ret_text[static FZP_DETAIL_MAX])
{
	switch (d->phase) {
	case RESOLVING:
		snprintf(ret_text, FZP_DETAIL_MAX, "No name server answered about %s in time.",
			d->hop);
		return;
	case CONNECTING:
		snprintf(ret_text, FZP_DETAIL_MAX, "%s did not accept a connection in time.",
			d->hop);
		return;
	case PROXYING:
		snprintf(ret_text, FZP_DETAIL_MAX, "The proxy %s did not connect in time.", d->hop);
		return;
	case SECURING:
		snprintf(ret_text, FZP_DETAIL_MAX, "%s did not finish the TLS handshake in time.",
			d->host);
		return;
	}
}

size_t fzp_dial_addrs(const struct fzp_dial *d, struct fz_addr *ret_addrs, size_t cap)
{
	size_t n = 0;
	if (d->winner && n < cap)
		ret_addrs[n++] = d->winner->addr;
	for (uint32_t i = 0; i < d->n && n < cap; i++)
		if (&d->attempts[i] != d->winner)
			ret_addrs[n++] = d->attempts[i].addr;
	return n;
}
