/*
 * One node under the command of a test: a line on stdin is a command, a line on stdout an answer or an event. Its hooks know
 * one remote and four addresses by their last byte, so that every verdict is seen on a wire:
 *
 *   .96  is held by the hook, and released by the control thread      .98  is answered by the outbound hook itself
 *   .97  is answered by the inbound hook of the other side            .99  is refused
 *
 * Usage: node_driver INTERFACE client|gateway.  FIREZONE_IO, FIREZONE_AEAD, FIREZONE_THREADS as everywhere.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/endian.h"
#include "base/err.h"
#include "daemon/node.h"

#define WORDS_MAX 16
#define HELD_MAX  4

struct held {
	size_t len;
	uint8_t bytes[FZ_NODE_MTU];
};

struct driver {
	struct fz_node_tunnel *node;
	bool is_over;
	/* with the lock */
	struct fz_node_peer *peer;
	size_t n_held;
	struct held held[HELD_MAX];
};

static void say(const char *what, const char *id, const char *text)
{
	printf("%s %s %s\n", what, id, text);
	fflush(stdout);
}

/* ---- hooks ---- */

/* An ICMP echo request becomes its answer; IPv4 without options. */
static size_t echo(struct fz_bytes inner, struct fz_span out)
{
	if (inner.n < 28 || inner.n > out.n || inner.p[0] != 0x45 || inner.p[9] != 1 ||
		inner.p[20] != 8)
		return 0;
	memcpy(out.p, inner.p, inner.n);
	memcpy(out.p + 12, inner.p + 16, 4);
	memcpy(out.p + 16, inner.p + 12, 4);
	out.p[20] = 0;
	uint32_t sum = fz_be16_load(inner.p + 22) + 0x0800u; /* the type is a part of it */
	fz_be16_store(out.p + 22, (uint16_t)(sum + (sum >> 16)));
	return inner.n;
}

static uint8_t last_byte(struct fz_bytes inner)
{
	return inner.n >= 20 && inner.p[0] >> 4 == 4 ? inner.p[19] : 0;
}

static enum fz_node_outbound outbound(void *user, struct fz_now now, struct fz_bytes inner,
	struct fz_span out, struct fz_node_peer **ret_peer, size_t *ret_len)
{
	struct driver *d = user;
	(void)now;
	fz_assert(out.n >= FZ_NODE_ANSWER_MAX);
	switch (last_byte(inner)) {
	case 96:
		if (d->n_held < HELD_MAX && inner.n <= sizeof(d->held[0].bytes)) {
			struct held *h = &d->held[d->n_held++];
			h->len = inner.n;
			memcpy(h->bytes, inner.p, inner.n);
			fz_node_ring(d->node);
		}
		return FZ_NODE_HELD;
	case 98: *ret_len = echo(inner, out); return FZ_NODE_ANSWER;
	case 99: return FZ_NODE_REFUSE;
	default: break;
	}
	*ret_peer = d->peer;
	return d->peer ? FZ_NODE_SEND : FZ_NODE_REFUSE;
}

static enum fz_node_inbound inbound(void *user, struct fz_now now, struct fz_node_peer *peer,
	struct fz_bytes inner, struct fz_span out, size_t *ret_len)
{
	(void)user;
	(void)now;
	(void)peer;
	if (last_byte(inner) != 97)
		return FZ_NODE_DELIVER;
	*ret_len = echo(inner, out);
	return FZ_NODE_RETURN;
}

/* ---- events ---- */

static void on_candidate(void *user, const char *id, const char *text, bool is_gone)
{
	(void)user;
	say(is_gone ? "gone" : "candidate", id, text);
}

static void forget(struct driver *d, const char *id)
{
	fz_node_lock(d->node);
	d->peer = NULL;
	fz_node_unlock(d->node);
	fz_node_remove(d->node, id);
}

static void on_failed(void *user, const char *id, enum fz_node_failure why)
{
	forget(user, id);
	say("failed", id, fz_node_failure_name(why));
}

static void on_no_relays(void *user)
{
	(void)user;
	say("no-relays", "-", "");
}

static void on_session_up(void *user, const char *id)
{
	(void)user;
	say("up", id, "");
}

static void on_broken(void *user, int err)
{
	struct driver *d = user;
	d->is_over = true;
	say("broken", "-", fz_strerror(err));
}

/* What was held goes out, marked as released by another last byte, which the remote answers. */
static void on_rung(void *user)
{
	struct driver *d = user;
	struct held held[HELD_MAX];
	fz_node_lock(d->node);
	size_t n = d->n_held;
	memcpy(held, d->held, n * sizeof(held[0]));
	d->n_held = 0;
	struct fz_node_peer *peer = d->peer;
	fz_node_unlock(d->node);
	for (size_t i = 0; peer && i < n; i++)
		fz_node_send(d->node, peer, fz_bytes_of(held[i].bytes, held[i].len));
}

/* ---- commands ---- */

static void hex(const char *text, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char two[3] = { text[2 * i], text[2 * i] ? text[2 * i + 1] : '\0', '\0' };
		ret[i] = (uint8_t)strtoul(two, NULL, 16);
		if (two[1] == '\0')
			return;
	}
}

static void tell_key(struct driver *d)
{
	uint8_t key[FZ_KEY_LEN];
	char text[2 * FZ_KEY_LEN + 1];
	fz_node_public_key(d->node, key);
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	say("key", "-", text);
}

static void set_relay(struct driver *d, char *const *w)
{
	struct fz_paths_relay relay = { .id = w[1], .username = w[3], .password = w[4] };
	struct fz_addr at = { 0 };
	int r = fz_addr_parse(w[2], &at);
	if (at.ip.family == FZ_IP4)
		relay.v4 = at;
	else
		relay.v6 = at;
	if (r == 0)
		r = fz_node_set_relay(d->node, &relay);
	say("relay", w[1], r == 0 ? "ok" : fz_strerror(r));
}

static void copy(char *ret, size_t cap, const char *text)
{
	snprintf(ret, cap, "%s", text);
}

/* upsert ID PUBLIC PSK UFRAG PASSWORD THEIR_UFRAG THEIR_PASSWORD controlling|controlled */
static void upsert(struct driver *d, char *const *w)
{
	uint8_t public[FZ_KEY_LEN] = { 0 };
	struct fz_key psk = { 0 };
	struct fz_ice_credentials local = { 0 }, remote = { 0 };
	hex(w[2], public, sizeof(public));
	hex(w[3], psk.b, sizeof(psk.b));
	copy(local.ufrag, sizeof(local.ufrag), w[4]);
	copy(local.password, sizeof(local.password), w[5]);
	copy(remote.ufrag, sizeof(remote.ufrag), w[6]);
	copy(remote.password, sizeof(remote.password), w[7]);
	struct fz_conn_params params = { .id = w[1],
		.is_controlling = strcmp(w[8], "controlling") == 0,
		.local = &local,
		.remote = &remote,
		.public_key = public,
		.preshared_key = &psk };
	struct fz_node_peer *peer = NULL;
	int r = fz_node_upsert(d->node, &params, &peer);
	fz_node_lock(d->node);
	d->peer = r >= 0 ? peer : d->peer;
	fz_node_unlock(d->node);
	static const char *const names[] = { "created", "kept", "replaced" };
	say("upsert", w[1], r >= 0 ? names[r] : fz_strerror(r));
}

static void tell_stats(struct driver *d, const char *id)
{
	struct fz_node_peer *peer = fz_node_find_maybe(d->node, id);
	struct fz_node_stats all;
	struct fz_node_peer_stats s = { 0 };
	char remote[FZ_ADDR_TEXT_LEN] = "-", text[256];
	static const char *const paths[] = { "none", "direct", "relayed" };
	fz_node_stats(d->node, &all);
	if (peer)
		fz_node_peer_stats(d->node, peer, &s);
	if (s.remote.ip.family != FZ_NO_FAMILY)
		fz_addr_format(&s.remote, remote);
	snprintf(text, sizeof(text),
		"path=%s remote=%s session=%d rtt_us=%llu rx=%llu tx=%llu relays=%u io=%s "
		"threads=%u",
		paths[s.path], remote, s.has_session, (unsigned long long)(s.rtt.ns / 1000),
		(unsigned long long)s.rx_bytes, (unsigned long long)s.tx_bytes, all.n_relays,
		all.io, all.threads);
	say("stats", id, text);
}

static void reset(struct driver *d)
{
	fz_node_lock(d->node);
	d->peer = NULL;
	fz_node_unlock(d->node);
	int r = fz_node_reset(d->node);
	say("reset", "-", r == 0 ? "ok" : fz_strerror(r));
}

static void obey(struct driver *d, char *line)
{
	char *w[WORDS_MAX] = { NULL }, *rest = NULL, *state = NULL;
	size_t n = 0;
	char *space = strchr(line, ' ');
	rest = space ? strchr(space + 1, ' ') : NULL; /* behind the second word: a candidate */
	char *text = rest ? strdup(rest + 1) : NULL;
	for (char *t = strtok_r(line, " ", &state); t && n < WORDS_MAX;
		t = strtok_r(NULL, " ", &state))
		w[n++] = t;
	if (n == 1 && strcmp(w[0], "key") == 0)
		tell_key(d);
	else if (n == 5 && strcmp(w[0], "relay") == 0)
		set_relay(d, w);
	else if (n == 9 && strcmp(w[0], "upsert") == 0)
		upsert(d, w);
	else if (n > 2 && text && strcmp(w[0], "candidate") == 0)
		fz_node_add_candidate(d->node, w[1], text);
	else if (n > 2 && text && strcmp(w[0], "gone") == 0)
		fz_node_remove_candidate(d->node, w[1], text);
	else if (n == 2 && strcmp(w[0], "stats") == 0)
		tell_stats(d, w[1]);
	else if (n == 2 && strcmp(w[0], "remove") == 0)
		forget(d, w[1]);
	else if (n == 1 && strcmp(w[0], "reset") == 0)
		reset(d);
	else if (n == 1 && strcmp(w[0], "quit") == 0)
		d->is_over = true;
	else if (n > 0)
		say("what", w[0], "");
	free(text);
}

static void read_commands(struct driver *d)
{
	static char buf[4096];
	static size_t have;
	ssize_t got = read(STDIN_FILENO, buf + have, sizeof(buf) - 1 - have);
	if (got <= 0) {
		d->is_over = true;
		return;
	}
	have += (size_t)got;
	char *end;
	while (!d->is_over && (end = memchr(buf, '\n', have))) {
		*end = '\0';
		size_t len = (size_t)(end - buf) + 1;
		obey(d, buf);
		have -= len;
		memmove(buf, buf + len, have);
	}
	if (have == sizeof(buf) - 1)
		d->is_over = true;
}

static void run(struct driver *d)
{
	while (!d->is_over) {
		struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = fz_node_fd(d->node), .events = POLLIN } };
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			fz_node_process(d->node);
		if (fds[0].revents)
			read_commands(d);
	}
}

static unsigned threads_wanted(void)
{
	const char *text = getenv("FIREZONE_THREADS");
	return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	static struct driver d;
	const char *io = getenv("FIREZONE_IO"), *aead = getenv("FIREZONE_AEAD");
	if (argc != 3)
		return 2;
	struct fz_node_params params = { .is_gateway = strcmp(argv[2], "gateway") == 0,
		.interface = argv[1],
		.mark = 0xfd,
		.has_host_candidates = getenv("NODE_HOSTS") != NULL,
		.threads = threads_wanted(),
		.hooks = { .user = &d, .outbound = outbound, .inbound = inbound },
		.ops = { .candidate = on_candidate,
			.failed = on_failed,
			.no_relays = on_no_relays,
			.session_up = on_session_up,
			.broken = on_broken,
			.rung = on_rung },
		.user = &d };
	int r = io ? fz_io_kind_parse(io, &params.io) : 0;
	if (r == 0 && aead)
		r = fz_aead_kind_parse(aead, &params.aead);
	if (r == 0)
		r = fz_node_new(&params, &d.node);
	if (r == 0)
		r = fz_node_start(d.node);
	say("started", "-", r == 0 ? "ok" : fz_strerror(r));
	if (r == 0)
		run(&d);
	fz_node_free(d.node);
	return r == 0 ? 0 : r == -EPERM ? 77 : 1;
}
