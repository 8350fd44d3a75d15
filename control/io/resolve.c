/*
 * One question per family, each with its own socket (and so a fresh port) for every try: the next server after a failure
 * or a timeout, `attempts` rounds; TCP after a truncated answer. What does not answer the question is not seen.
 */
#include "control/io/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "control/io/dns.h"
#include "control/url.h"

#define FILE_MAX   (1024 * 1024)
#define ANSWER_MAX 65'535

struct question {
	struct fzp_resolve *r;
	enum fz_family family;
	bool is_done;
	int fd;
	bool is_tcp;
	uint16_t id;
	uint32_t n_tries; /* server: n_tries mod servers */
	sd_event_source *io, *timer;
	uint8_t out[2 + FZP_DNS_QUERY_MAX];
	size_t out_len, out_at; /* TCP */
	uint8_t *in; /* of ANSWER_MAX + 2, NULL until needed */
	size_t in_len;
};

struct fzp_resolve {
	sd_event *event;
	uint32_t mark;
	char host[FZP_HOST_MAX + 1];
	struct fzp_resolve_ops ops;
	void *user;
	struct fzp_resolv_conf conf;
	size_t n_found;
	bool sent_one, reached_one, no_such_name;
	struct question questions[2];
	size_t n_local; /* from the hosts file */
	struct fz_ip local[FZP_DNS_ADDRS_MAX];
	sd_event_source *defer;
};

static void close_socket(struct question *q)
{
	fzp_source_freep(&q->io);
	fz_closep(&q->fd);
	q->in_len = 0;
}

void fzp_resolve_free(struct fzp_resolve *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < FZ_ARRAY_LEN(r->questions); i++) {
		close_socket(&r->questions[i]);
		fzp_source_freep(&r->questions[i].timer);
		free(r->questions[i].in);
	}
	fzp_source_freep(&r->defer);
	sd_event_unref(r->event);
	free(r);
}

/* ---- the end ---- */

static void finish(struct fzp_resolve *r)
{
	char detail[FZP_DETAIL_MAX] = "";
	int err = r->n_found > 0 ? 0 : r->sent_one ? -ENOENT : -ENETUNREACH;
	if (r->n_found == 0 && r->no_such_name)
		snprintf(detail, sizeof(detail), "There is no host named %s.", r->host);
	else if (r->n_found == 0 && r->reached_one)
		snprintf(detail, sizeof(detail),
			"The name servers of this host gave no address for %s.", r->host);
	else if (r->n_found == 0)
		snprintf(detail, sizeof(detail), "No name server %s about %s.",
			r->sent_one ? "answered" : "can be reached to ask", r->host);
	r->ops.done(r->user, r->n_found, err, detail); /* may free r */
}

static void settle(struct question *q)
{
	struct fzp_resolve *r = q->r;
	close_socket(q);
	fzp_source_freep(&q->timer);
	q->is_done = true;
	for (size_t i = 0; i < FZ_ARRAY_LEN(r->questions); i++)
		if (!r->questions[i].is_done)
			return;
	finish(r);
}

/* ---- one try after the other ---- */

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user);
static int on_timer(sd_event_source *source, uint64_t usec, void *user);

static bool prepare(struct question *q)
{
	struct fz_writer w = fz_writer_of(fz_span_of(q->out + 2, sizeof(q->out) - 2));
	fzp_random(NULL, fz_span_of(&q->id, sizeof(q->id)));
	if (fzp_dns_query(q->r->host, q->family, q->id, &w) < 0)
		return false;
	q->out[0] = (uint8_t)(w.len >> 8);
	q->out[1] = (uint8_t)w.len;
	q->out_len = w.len + 2;
	q->out_at = 0;
	return true;
}

/* One question to the server whose turn it is; false: it cannot even be sent. */
static bool ask(struct question *q)
{
	struct fzp_resolve *r = q->r;
	const struct fz_addr *server = &r->conf.servers[q->n_tries % r->conf.n];
	close_socket(q);
	if (!prepare(q) ||
		fzp_sock_connect(q->is_tcp ? SOCK_STREAM : SOCK_DGRAM, r->mark, server, &q->fd) < 0)
		return false;
	if (!q->is_tcp && fzp_sock_send(q->fd, fz_bytes_of(q->out + 2, q->out_len - 2)) < 0)
		return false;
	r->sent_one = true;
	uint32_t events = q->is_tcp ? EPOLLIN | EPOLLOUT : EPOLLIN;
	fz_time until = fz_time_add(fzp_now().at, r->conf.timeout);
	return sd_event_add_io(r->event, &q->io, q->fd, events, on_io, q) >= 0 &&
	       fzp_timer_set(r->event, &q->timer, until, on_timer, q) >= 0;
}

/* Goes on from the present try; may end everything. */
static void go_on(struct question *q)
{
	uint32_t limit = q->r->conf.n * q->r->conf.attempts;
	for (; q->n_tries < limit; q->n_tries++)
		if (ask(q))
			return;
	settle(q);
}

static void next_try(struct question *q)
{
	q->n_tries++;
	q->is_tcp = q->r->conf.use_tcp;
	go_on(q);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	next_try(user);
	return 0;
}

/* False: it was no answer, keep waiting. Else q has moved on, and r may be gone. */
static bool take_answer(struct question *q, struct fz_bytes answer)
{
	struct fzp_resolve *r = q->r;
	struct fz_ip ips[FZP_DNS_ADDRS_MAX];
	size_t n = 0;
	switch (fzp_dns_answer(answer, r->host, q->family, q->id, ips, &n)) {
	case FZP_DNS_FOREIGN:
		if (!q->is_tcp)
			return false;
		next_try(q); /* nothing else will come */
		return true;
	case FZP_DNS_TRUNCATED:
		if (q->is_tcp) {
			next_try(q);
		} else {
			q->is_tcp = true;
			go_on(q);
		}
		return true;
	case FZP_DNS_FAILED:
		r->reached_one = true;
		next_try(q);
		return true;
	case FZP_DNS_NO_NAME: r->no_such_name = true; break;
	case FZP_DNS_OK: break;
	}
	r->reached_one = true;
	r->n_found += n;
	if (n > 0)
		r->ops.found(r->user, ips, n);
	settle(q);
	return true;
}

/* False once the socket is no longer the one that was read, or everything has ended. */
static bool read_one(struct question *q)
{
	uint8_t answer[4096];
	ssize_t n = fzp_sock_recv(q->fd, fz_span_of(answer, sizeof(answer)));
	if (n == -EAGAIN)
		return false;
	if (n < 0) { /* nobody listens there */
		next_try(q);
		return false;
	}
	return !take_answer(q, fz_bytes_of(answer, (size_t)n));
}

static void on_udp(struct question *q)
{
	/* Bounded: a liar may send without end. */
	for (unsigned i = 0; i < 16 && read_one(q); i++)
		;
}

static bool send_rest(struct question *q)
{
	while (q->out_at < q->out_len) {
		ssize_t n = fzp_sock_send(
			q->fd, fz_bytes_of(q->out + q->out_at, q->out_len - q->out_at));
		if (n == -EAGAIN)
			return true;
		if (n <= 0)
			return false;
		q->out_at += (size_t)n;
	}
	return sd_event_source_set_io_events(q->io, EPOLLIN) >= 0;
}

static void on_tcp(struct question *q)
{
	if (!q->in)
		q->in = fz_alloc(ANSWER_MAX + 2, 1);
	if (!q->in || fzp_sock_error(q->fd) < 0 || !send_rest(q)) {
		next_try(q);
		return;
	}
	ssize_t n = fzp_sock_recv(q->fd, fz_span_of(q->in + q->in_len, ANSWER_MAX + 2 - q->in_len));
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		next_try(q);
		return;
	}
	q->in_len += (size_t)n;
	size_t want = q->in_len < 2 ? 2 : 2 + (size_t)(q->in[0] << 8 | q->in[1]);
	if (q->in_len >= 2 && q->in_len >= want)
		(void)take_answer(q, fz_bytes_of(q->in + 2, want - 2));
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)fd;
	(void)events;
	struct question *q = user;
	if (q->is_tcp)
		on_tcp(q);
	else
		on_udp(q);
	return 0;
}

/* ---- start ---- */

static size_t look_in_hosts(const char *path, const char *host, struct fz_ip *ret)
{
	FZ_CLEANUP(fz_freep) uint8_t *text = NULL;
	size_t len = 0, n = 0;
	if (fzp_read_file(path ? path : "/etc/hosts", FILE_MAX, &text, &len) == 0)
		n = fzp_hosts_find(fz_bytes_of(text, len), host, ret, FZP_DNS_ADDRS_MAX);
	if (n == 0 && strcasecmp(host, "localhost") == 0) {
		static const uint8_t loopback[16] = { [15] = 1 };
		ret[n++] = fz_ip4(127, 0, 0, 1);
		ret[n++] = fz_ip_of(FZ_IP6, loopback);
	}
	return n;
}

static void read_conf(struct fzp_resolve *r, const char *path)
{
	FZ_CLEANUP(fz_freep) uint8_t *text = NULL;
	size_t len = 0;
	/* Not there or unreadable: as if empty. */
	if (fzp_read_file(path ? path : "/etc/resolv.conf", FILE_MAX, &text, &len) < 0)
		len = 0;
	fzp_resolv_conf_parse(fz_bytes_of(text, len), &r->conf);
}

static int on_start(sd_event_source *source, void *user)
{
	(void)source;
	struct fzp_resolve *r = user;
	if (r->n_local > 0) {
		r->n_found = r->n_local;
		r->ops.found(r->user, r->local, r->n_local);
		finish(r);
		return 0;
	}
	struct question *first = &r->questions[0], *second = &r->questions[1];
	/* The first may settle at once, but that ends nothing as long as the second is open. */
	go_on(first);
	go_on(second);
	return 0;
}

int fzp_resolve_new(const struct fzp_resolve_params *params, const char *host,
	const struct fzp_resolve_ops *ops, void *user, struct fzp_resolve **ret_resolve)
{
	uint8_t query[FZP_DNS_QUERY_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(query, sizeof(query)));
	size_t len = strlen(host);
	if (len > FZP_HOST_MAX || fzp_dns_query(host, FZ_IP4, 0, &w) < 0)
		return -EINVAL;
	struct fzp_resolve *r = fz_new(struct fzp_resolve);
	if (!r)
		return -ENOMEM;
	r->event = sd_event_ref(params->event);
	r->mark = params->mark;
	r->ops = *ops;
	r->user = user;
	memcpy(r->host, host, len + 1);
	r->n_local = look_in_hosts(params->hosts_file, host, r->local);
	read_conf(r, params->resolv_conf);
	for (size_t i = 0; i < FZ_ARRAY_LEN(r->questions); i++)
		r->questions[i] = (struct question){ .r = r,
			.family = i == 0 ? FZ_IP6 : FZ_IP4,
			.fd = -1,
			.is_tcp = r->conf.use_tcp };
	int e = sd_event_add_defer(r->event, &r->defer, on_start, r);
	if (e < 0) {
		fzp_resolve_free(r);
		return e;
	}
	*ret_resolve = r;
	return 0;
}
