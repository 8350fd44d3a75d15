/* What there is to see of a session, and the way people write destinations. */
#include "daemon/session_view.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "control/io/sock.h"
#include "daemon/session_internal.h"

#define MTU 1280

/* ---- status ---- */

static int tally_resource(void *user, const struct fz_session_resource *r)
{
	struct fz_session_status *status = user;
	status->n_resources++;
	if (r->reach == FZ_SESSION_OFFLINE)
		status->n_resources_offline++;
	if (r->type == FZ_SESSION_INTERNET) {
		status->internet_available = true;
		if (r->n_sites > 0)
			status->internet_site = r->sites[0].name;
	}
	return 0;
}

static void add_tunnel(const struct fz_session *s, struct fz_session_status *ret)
{
	struct fz_session_tunnel_stats stats;
	fz_session_tunnel_stats(s->tunnel, &stats);
	ret->rx_bytes = stats.rx_bytes;
	ret->tx_bytes = stats.tx_bytes;
	ret->n_peers_direct = stats.n_direct;
	ret->n_peers_relayed = stats.n_relayed;
	ret->has_silent_relays = stats.has_silent_relays;
	memcpy(ret->discarded, stats.discarded, sizeof(ret->discarded));
	(void)!fz_session_tunnel_each_resource(s->tunnel, tally_resource, ret);
}

/* A boot-time instant as a wall-clock one, for people. */
static fz_wall wall_of(fz_time at)
{
	struct fz_now now = fzp_now();
	if (fz_time_is_never(at))
		return (fz_wall){ 0 };
	return (fz_wall){ now.wall.ns + (int64_t)(at.ns - now.at.ns) };
}

void fz_session_status(const struct fz_session *s, struct fz_session_status *ret)
{
	*ret = (struct fz_session_status){
		.state = s->state,
		.since = s->since,
		.portal = fzp_link_state(s->link),
		.reason = s->has_ended ? s->ended_by : fzp_link_reason(s->link),
		.detail = s->detail[0] ? s->detail : fzp_link_detail(s->link),
		.portal_url = s->api_url,
		.portal_since = s->portal_since,
		.retry_at = wall_of(fzp_link_retry_at(s->link)),
		.has_tunnel = s->has_tunnel,
		.interface = s->interface,
		.mtu = MTU,
		.search_domain = s->search_domain,
		.n_upstreams = s->n_upstreams,
		.internet_enabled = s->internet,
		.internet_site = "",
	};
	if (fz_host_has_ipv4(s->host))
		ret->ipv4 = s->ipv4;
	if (fz_host_has_ipv6(s->host))
		ret->ipv6 = s->ipv6;
	memcpy(ret->upstreams, s->upstreams, s->n_upstreams * sizeof(s->upstreams[0]));
	if (s->tunnel)
		add_tunnel(s, ret);
}

/* ---- lists ---- */

int fz_session_each_resource(const struct fz_session *s, fz_session_resource_fn fn, void *user)
{
	return s->tunnel ? fz_session_tunnel_each_resource(s->tunnel, fn, user) : 0;
}

struct wanted_resource {
	const char *word;
	struct fz_session_resource *ret;
	unsigned n;
	bool is_exact;
};

static int match_resource(void *user, const struct fz_session_resource *r)
{
	struct wanted_resource *w = user;
	w->is_exact = strcasecmp(r->id, w->word) == 0;
	if (!w->is_exact && strcmp(r->name, w->word) != 0)
		return 0;
	*w->ret = *r;
	w->n = w->is_exact ? 1 : w->n + 1;
	return w->is_exact;
}

bool fz_session_resource(
	const struct fz_session *s, const char *id_or_name, struct fz_session_resource *ret)
{
	struct fz_session_resource found;
	struct wanted_resource w = { .word = id_or_name, .ret = &found };
	(void)!fz_session_each_resource(s, match_resource, &w);
	if (w.n != 1)
		return false;
	*ret = found;
	return true;
}

int fz_session_each_peer(const struct fz_session *s, fz_session_peer_fn fn, void *user)
{
	return s->tunnel ? fz_session_tunnel_each_peer(s->tunnel, fn, user) : 0;
}

struct wanted_peer {
	const char *id;
	struct fz_session_peer *ret;
};

static int match_peer(void *user, const struct fz_session_peer *p)
{
	struct wanted_peer *w = user;
	if (strcasecmp(p->id, w->id) != 0)
		return 0;
	*w->ret = *p;
	return 1;
}

bool fz_session_peer(const struct fz_session *s, const char *id, struct fz_session_peer *ret)
{
	struct wanted_peer w = { id, ret };
	return fz_session_each_peer(s, match_peer, &w) != 0;
}

int fz_session_each_route(const struct fz_session *s, fz_session_route_fn fn, void *user)
{
	return s->tunnel ? fz_session_tunnel_each_route(s->tunnel, fn, user) : 0;
}

/* ---- why ---- */

/* "HOST", "HOST:PORT", "[IPV6]:PORT", or an IPv6 address without brackets. */
static bool split(const char *text, char *ret_host, size_t cap, uint16_t *ret_port)
{
	struct fz_ip ip;
	const char *end = text + strlen(text), *port = NULL;
	if (text[0] == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
	} else if (fz_ip_parse(text, &ip) < 0 && strrchr(text, ':')) {
		end = strrchr(text, ':');
		port = end + 1;
	}
	size_t n = (size_t)(end - text);
	uint64_t number = 0;
	if (n == 0 || n >= cap ||
		(port && (fz_parse_uint(port, UINT16_MAX, &number) < 0 || number == 0)))
		return false;
	memcpy(ret_host, text, n);
	ret_host[n] = '\0';
	*ret_port = (uint16_t)number;
	return true;
}

static bool parse_protocol(const char *text, uint16_t port, uint8_t *ret)
{
	if (!text || !text[0])
		*ret = port ? IPPROTO_TCP : 0;
	else if (strcasecmp(text, "tcp") == 0)
		*ret = IPPROTO_TCP;
	else if (strcasecmp(text, "udp") == 0)
		*ret = IPPROTO_UDP;
	else if (strcasecmp(text, "icmp") == 0)
		*ret = IPPROTO_ICMP;
	else
		return false;
	return true;
}

/* A resource by its address, if it is not by its id or name. */
static int match_address(void *user, const struct fz_session_resource *r)
{
	struct wanted_resource *w = user;
	if (strcasecmp(r->address, w->word) != 0)
		return 0;
	*w->ret = *r;
	w->n = 1;
	return 1;
}

static bool find_resource(
	const struct fz_session *s, const char *word, struct fz_session_resource *ret)
{
	if (fz_session_resource(s, word, ret))
		return true;
	struct wanted_resource w = { .word = word, .ret = ret };
	(void)!fz_session_each_resource(s, match_address, &w);
	return w.n == 1;
}

static void no_session(const struct fz_session *s, struct fz_session_explanation *ret)
{
	ret->verdict = FZ_SESSION_PLAIN;
	snprintf(ret->reason, sizeof(ret->reason), "there is no tunnel: the session is %s",
		fz_session_state_name(s->state));
}

int fz_session_explain(const struct fz_session *s, const char *destination, const char *protocol,
	struct fz_session_explanation *ret)
{
	char host[256];
	struct fz_session_question q = { 0 };
	struct fz_session_resource resource;
	/* A name may have a colon in it. */
	bool is_resource = find_resource(s, destination, &resource);
	if (!is_resource && !split(destination, host, sizeof(host), &q.port))
		return -EINVAL;
	if (!parse_protocol(protocol, q.port, &q.protocol))
		return -EINVAL;
	struct fz_session_explanation e = { 0 };
	bool is_ip = !is_resource && fz_ip_parse(host, &q.ip) == 0;
	if (!is_resource && !is_ip)
		is_resource = find_resource(s, host, &resource);
	if (!s->tunnel || !s->has_tunnel) {
		no_session(s, &e);
	} else if (is_resource || is_ip) {
		q.resource = is_resource ? resource.id : NULL;
		fz_session_tunnel_explain(s->tunnel, &q, &e);
	} else {
		e.verdict = FZ_SESSION_PLAIN;
		snprintf(e.reason, sizeof(e.reason), "no Resource has this name or address");
	}
	*ret = e;
	return 0;
}
