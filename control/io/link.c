/*
 * Actions of the portal's machine carried out on sockets. Everything ends in pump(): it asks for actions until there are
 * none, moves bytes, and sets the one timer. Calls from within callbacks only leave a mark for the pump that runs.
 */
#include "control/io/link.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "control/io/dial.h"

#define READ_SIZE      16'384
#define READS_A_TURN   64
#define ACTIONS_A_TURN 4096
#define LARGE          (1u << 20) /* a message of so many bytes: what it took goes back to the system */

struct fzp_link {
	sd_event *event;
	struct fzp_portal *portal;
	struct fzp_link_ops ops;
	void *user;
	struct fzp_url url;
	uint32_t mark;
	char *ca_file, *hosts_file, *resolv_conf;
	bool has_proxy;
	struct fzp_proxy proxy;
	struct fzp_tls_trust *trust; /* NULL until first needed */

	struct fzp_dial *dial;
	struct fzp_conn *conn;
	sd_event_source *io, *timer, *defer;
	bool is_pumping, again;
	size_t n_received; /* since the last message */
	bool was_large; /* one that was carried out */
	enum fzp_portal_state told;
	fz_time retry_at;
	char detail[FZP_DETAIL_MAX];
	size_t n_addrs;
	struct fz_addr addrs[FZP_DIAL_ADDRS_MAX];
	uint8_t buf[READ_SIZE];
};

static void pump(struct fzp_link *l);

/* ---- the connection ---- */

static void drop_conn(struct fzp_link *l)
{
	fzp_source_freep(&l->io);
	fzp_conn_free(l->conn);
	l->conn = NULL;
}

static void note(struct fzp_link *l, const char *text)
{
	snprintf(l->detail, sizeof(l->detail), "%s", text);
}

/* What the machine has to say, as far as the socket takes it; false: broken. */
static bool flush(struct fzp_link *l)
{
	for (;;) {
		struct fz_bytes out = fzp_portal_output(l->portal);
		if (out.n == 0)
			return true;
		ssize_t n = fzp_conn_write(l->conn, out);
		if (n == -EAGAIN)
			return true;
		if (n <= 0)
			return false;
		fzp_portal_output_taken(l->portal, (size_t)n);
	}
}

static void hang_up(struct fzp_link *l)
{
	if (l->dial) {
		if (fzp_portal_reason(l->portal) == FZP_REASON_TIMEOUT)
			fzp_dial_describe(l->dial, l->detail);
		fzp_dial_free(l->dial);
		l->dial = NULL;
	}
	if (!l->conn)
		return;
	(void)flush(l); /* the Close frame; what does not fit now is lost with the connection */
	fzp_source_freep(&l->io);
	fzp_conn_close(l->conn);
	l->conn = NULL;
}

static void broken(struct fzp_link *l)
{
	if (fzp_conn_detail(l->conn)[0])
		note(l, fzp_conn_detail(l->conn));
	drop_conn(l);
	fzp_portal_disconnected(l->portal, fzp_now());
}

static int on_more(sd_event_source *source, void *user);

/* Reads what is there, but not for ever: the rest is left to the loop's next turn. */
static void read_some(struct fzp_link *l)
{
	for (unsigned i = 0; i < READS_A_TURN && l->conn; i++) {
		ssize_t n = fzp_conn_read(l->conn, fz_span_of(l->buf, sizeof(l->buf)));
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			broken(l);
			return;
		}
		l->n_received += (size_t)n;
		fzp_portal_received(l->portal, fz_bytes_of(l->buf, (size_t)n), fzp_now());
		pump(l);
	}
	/* TLS may hold bytes that the socket no longer shows. */
	if (l->conn && !l->defer && sd_event_add_defer(l->event, &l->defer, on_more, l) < 0)
		broken(l);
}

static int on_more(sd_event_source *source, void *user)
{
	(void)source;
	struct fzp_link *l = user;
	fzp_source_freep(&l->defer);
	if (l->conn)
		read_some(l);
	pump(l);
	return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)fd;
	struct fzp_link *l = user;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || fzp_conn_wants_write(l->conn))
		read_some(l);
	pump(l);
	return 0;
}

/* ---- dialling ---- */

static void on_connected(void *user, struct fzp_conn *conn)
{
	struct fzp_link *l = user;
	l->n_addrs = fzp_dial_addrs(l->dial, l->addrs, FZ_ARRAY_LEN(l->addrs));
	fzp_dial_free(l->dial);
	l->dial = NULL;
	l->conn = conn;
	if (sd_event_add_io(l->event, &l->io, fzp_conn_fd(conn), EPOLLIN, on_io, l) < 0) {
		drop_conn(l);
		fzp_portal_dial_failed(l->portal, FZP_REASON_CONNECT, fzp_now());
	} else {
		fzp_portal_connected(l->portal, fzp_now());
	}
	pump(l);
}

static void on_failed(void *user, enum fzp_reason why, const char *detail)
{
	struct fzp_link *l = user;
	note(l, detail);
	l->n_addrs = fzp_dial_addrs(l->dial, l->addrs, FZ_ARRAY_LEN(l->addrs));
	fzp_dial_free(l->dial);
	l->dial = NULL;
	fzp_portal_dial_failed(l->portal, why, fzp_now());
	pump(l);
}

static void dial(struct fzp_link *l)
{
	static const struct fzp_dial_ops ops = { on_connected, on_failed };
	if (l->url.tls && !l->trust && fzp_tls_trust_new(l->ca_file, &l->trust, l->detail) < 0) {
		fzp_portal_dial_failed(l->portal, FZP_REASON_TLS, fzp_now());
		return;
	}
	struct fzp_dial_params params = {
		.resolve = { l->event, l->mark, l->hosts_file, l->resolv_conf },
		.host = l->url.host,
		.port = l->url.port,
		.trust = l->url.tls ? l->trust : NULL,
		.proxy = l->has_proxy ? &l->proxy : NULL,
	};
	int r = fzp_dial_new(&params, &ops, l, &l->dial);
	if (r < 0) {
		l->dial = NULL;
		snprintf(l->detail, sizeof(l->detail), "Dialling %s failed: %s.", l->url.host,
			fz_strerror(r));
		fzp_portal_dial_failed(l->portal, FZP_REASON_RESOLVE, fzp_now());
	}
}

/* ---- the pump ---- */

static void tell_state(struct fzp_link *l)
{
	enum fzp_portal_state state = fzp_portal_state(l->portal);
	if (state == l->told)
		return;
	l->told = state;
	if (l->ops.state)
		l->ops.state(l->user, state);
}

static void carry_out(struct fzp_link *l, const struct fzp_action *a)
{
	switch (a->kind) {
	case FZP_ACTION_NONE: break;
	case FZP_ACTION_DIAL: dial(l); break;
	case FZP_ACTION_HANG_UP: hang_up(l); break;
	case FZP_ACTION_UP:
		l->detail[0] = '\0';
		l->retry_at = FZ_NEVER;
		if (l->ops.up)
			l->ops.up(l->user);
		break;
	case FZP_ACTION_DOWN:
		/* None: the wait was so short that it is over. */
		l->retry_at = fz_time_is_never(a->retry_at) ? fzp_now().at : a->retry_at;
		if (l->ops.down)
			l->ops.down(l->user, a->reason, l->retry_at);
		break;
	case FZP_ACTION_ENDED:
		l->retry_at = FZ_NEVER;
		if (l->ops.ended)
			l->ops.ended(l->user, a->reason);
		break;
	case FZP_ACTION_MESSAGE:
		l->was_large |= l->n_received >= LARGE;
		l->n_received = 0;
		if (l->ops.message)
			l->ops.message(l->user, &a->frame);
		break;
	}
}

/* False: there may be more to do, later. */
static bool run_actions(struct fzp_link *l)
{
	for (unsigned i = 0; i < ACTIONS_A_TURN; i++) {
		struct fzp_action a;
		fzp_portal_poll(l->portal, fzp_now(), &a);
		if (a.kind == FZP_ACTION_NONE)
			return true;
		carry_out(l, &a);
		tell_state(l);
	}
	return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	pump(user);
	return 0;
}

/* True if something has come of it that the machine must be asked about again. */
static bool move_bytes(struct fzp_link *l)
{
	if (!l->conn)
		return false;
	bool has_output = fzp_portal_output(l->portal).n > 0;
	if (has_output && !flush(l)) {
		broken(l);
		return true;
	}
	uint32_t events = EPOLLIN;
	if (fzp_conn_wants_write(l->conn))
		events |= EPOLLOUT;
	if (sd_event_source_set_io_events(l->io, events) < 0) {
		broken(l);
		return true;
	}
	return false;
}

static void set_timer(struct fzp_link *l, fz_time at)
{
	if (fzp_timer_set(l->event, &l->timer, at, on_timer, l) < 0)
		fz_log(FZ_LOG_ERR, "portal-timer", "failed=1");
}

/* What parsing a large message took lies between what is kept of it: the allocator would hold it for ever. */
static void give_back(struct fzp_link *l)
{
	if (!l->was_large)
		return;
	l->was_large = false;
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

static void pump(struct fzp_link *l)
{
	if (l->is_pumping) {
		l->again = true;
		return;
	}
	l->is_pumping = true;
	bool done;
	do {
		l->again = false;
		done = run_actions(l);
		l->again |= move_bytes(l);
	} while (l->again && done);
	tell_state(l);
	if (done)
		give_back(l);
	l->is_pumping = false;
	set_timer(l, done ? fzp_portal_deadline(l->portal) : (fz_time){ 0 });
}

/* ---- making and freeing ---- */

void fzp_link_free(struct fzp_link *l)
{
	if (!l)
		return;
	fz_assert(!l->is_pumping);
	fzp_dial_free(l->dial);
	drop_conn(l);
	fzp_source_freep(&l->timer);
	fzp_source_freep(&l->defer);
	fzp_portal_free(l->portal);
	fzp_tls_trust_free(l->trust);
	fzp_proxy_wipep(&l->proxy);
	free(l->ca_file);
	free(l->hosts_file);
	free(l->resolv_conf);
	sd_event_unref(l->event);
	free(l);
}

static bool copy_text(char **ret, const char *from)
{
	*ret = from ? fz_strdup(from) : NULL;
	return *ret || !from;
}

static int set_up(struct fzp_link *l, const struct fzp_link_params *params)
{
	if (!copy_text(&l->ca_file, params->ca_file) ||
		!copy_text(&l->hosts_file, params->hosts_file) ||
		!copy_text(&l->resolv_conf, params->resolv_conf))
		return -ENOMEM;
	if (params->proxy && params->proxy[0] &&
		!(params->no_proxy && fzp_proxy_is_excepted(params->no_proxy, params->url.host))) {
		int r = fzp_proxy_parse(params->proxy, &l->proxy);
		if (r < 0)
			return r;
		l->has_proxy = true;
	}
	struct fzp_portal_params p = {
		.url = params->url,
		.role = params->role,
		.external_id = params->external_id,
		.name = params->name,
		.device_serial = params->device_serial,
		.device_uuid = params->device_uuid,
		.user_agent = params->user_agent,
		.partition_limit = params->partition_limit,
		.random = fzp_random,
		.sha1 = fzp_sha1,
	};
	return fzp_portal_new(&p, &l->portal);
}

int fzp_link_new(sd_event *event, const struct fzp_link_params *params, struct fzp_link **ret_link)
{
	if (!params->url.tls && !params->allow_insecure)
		return -EPERM;
	struct fzp_link *l = fz_new(struct fzp_link);
	if (!l)
		return -ENOMEM;
	l->event = sd_event_ref(event);
	l->ops = params->ops;
	l->user = params->user;
	l->url = params->url;
	l->mark = params->mark;
	l->retry_at = FZ_NEVER;
	int r = set_up(l, params);
	if (r < 0) {
		fzp_link_free(l);
		return r;
	}
	if (!l->url.tls)
		fz_log(FZ_LOG_WARNING, "portal-insecure",
			"host=%s text=\"The portal is spoken to without encryption: anyone on the "
			"way can read and change everything.\"",
			l->url.host);
	*ret_link = l;
	return 0;
}

/* ---- what the owner does ---- */

void fzp_link_start(
	struct fzp_link *l, struct fz_token *token, const uint8_t public_key[static FZ_KEY_LEN])
{
	l->detail[0] = '\0';
	fzp_portal_start(l->portal, token, public_key, fzp_now());
	pump(l);
}

void fzp_link_stop(struct fzp_link *l)
{
	fzp_portal_stop(l->portal);
	l->retry_at = FZ_NEVER;
	l->told = FZP_PORTAL_OFF; /* no callback follows */
	pump(l);
	l->detail[0] = '\0';
}

void fzp_link_reset(struct fzp_link *l, const uint8_t public_key[static FZ_KEY_LEN])
{
	fzp_portal_reset(l->portal, public_key, fzp_now());
	l->retry_at = FZ_NEVER;
	pump(l);
}

int fzp_link_send(struct fzp_link *l, const char *event, json_t *payload)
{
	int r = fzp_portal_send(l->portal, event, payload);
	/* Bytes alone: a caller in the midst of something else is called by nobody. What came of it is told in the next turn. */
	if (l->is_pumping)
		return r;
	(void)move_bytes(l);
	set_timer(l, fzp_portal_deadline(l->portal));
	return r;
}

enum fzp_portal_state fzp_link_state(const struct fzp_link *l)
{
	return fzp_portal_state(l->portal);
}

enum fzp_reason fzp_link_reason(const struct fzp_link *l)
{
	return fzp_portal_reason(l->portal);
}

fz_time fzp_link_retry_at(const struct fzp_link *l)
{
	return fzp_portal_state(l->portal) == FZP_PORTAL_WAITING ? l->retry_at : FZ_NEVER;
}

const char *fzp_link_detail(const struct fzp_link *l)
{
	return l->detail;
}

size_t fzp_link_server_addrs(const struct fzp_link *l, struct fz_addr *ret_addrs, size_t cap)
{
	size_t n = l->n_addrs < cap ? l->n_addrs : cap;
	memcpy(ret_addrs, l->addrs, n * sizeof(*ret_addrs));
	return n;
}
