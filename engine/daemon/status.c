/* What the daemon is, in the words of firezone.proto. A state always comes with its reason, if there is one to know. */
#include "daemon/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "control/reason.h"
#include "daemon/client.h"
#include "io/clock.h"

static Fzpb__TokenStatus__Source source_of(enum fzd_token_source source)
{
	switch (source) {
	case FZD_TOKEN_NONE: return FZPB__TOKEN_STATUS__SOURCE__NONE;
	case FZD_TOKEN_CREDENTIAL: return FZPB__TOKEN_STATUS__SOURCE__CREDENTIAL;
	case FZD_TOKEN_ENVIRONMENT: return FZPB__TOKEN_STATUS__SOURCE__ENVIRONMENT;
	case FZD_TOKEN_FILE: return FZPB__TOKEN_STATUS__SOURCE__FILE;
	case FZD_TOKEN_IMPORTED: return FZPB__TOKEN_STATUS__SOURCE__IMPORTED;
	case FZD_TOKEN_SESSION: return FZPB__TOKEN_STATUS__SOURCE__SESSION;
	}
	return FZPB__TOKEN_STATUS__SOURCE__NONE;
}

static Fzpb__TokenStatus__Verdict verdict_of(enum fzd_token_verdict verdict)
{
	switch (verdict) {
	case FZD_TOKEN_UNTRIED: return FZPB__TOKEN_STATUS__VERDICT__UNTRIED;
	case FZD_TOKEN_VALID: return FZPB__TOKEN_STATUS__VERDICT__VALID;
	case FZD_TOKEN_REFUSED: return FZPB__TOKEN_STATUS__VERDICT__REFUSED;
	case FZD_TOKEN_EMPTY: return FZPB__TOKEN_STATUS__VERDICT__EMPTY;
	case FZD_TOKEN_UNREADABLE: return FZPB__TOKEN_STATUS__VERDICT__UNREADABLE;
	case FZD_TOKEN_MALFORMED: return FZPB__TOKEN_STATUS__VERDICT__MALFORMED;
	case FZD_TOKEN_UNSAFE: return FZPB__TOKEN_STATUS__VERDICT__UNSAFE;
	case FZD_TOKEN_EXPIRED: return FZPB__TOKEN_STATUS__VERDICT__EXPIRED;
	}
	return FZPB__TOKEN_STATUS__VERDICT__UNTRIED;
}

static bool is_usable(enum fzd_token_verdict verdict)
{
	return verdict == FZD_TOKEN_UNTRIED || verdict == FZD_TOKEN_VALID;
}

void fzd_status_fill_token(const struct fzd *d, Fzpb__TokenStatus *ret_token, char *reason)
{
	const struct fzd_token *t = &d->token;
	fzpb__token_status__init(ret_token);
	ret_token->has_service_mode = ret_token->has_source = true;
	ret_token->service_mode = fzd_in_service_mode(d);
	ret_token->source = source_of(t->source);
	if (t->source == FZD_TOKEN_NONE)
		return;
	ret_token->origin = t->origin[0] ? fz_unconst(t->origin) : NULL;
	ret_token->has_verdict = true;
	ret_token->verdict = verdict_of(t->verdict);
	if (t->reason[0]) {
		snprintf(reason, 300, "%s", t->reason);
		ret_token->reason = reason;
	}
}

/* ---- without a session ---- */

static void say(struct fzd_status *s, Fzpb__Status__State state, const char *reason)
{
	s->msg.state = state;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

/* There is a token, and yet no session: taken down, or it could not be made. */
static void fill_stopped(const struct fzd *d, struct fzd_status *s)
{
	fz_wall until;
	const char *reason = fzd_client_reason(d->client);
	if (fzd_client_is_down(d->client, &until))
		say(s, until.ns ? FZPB__STATUS__STATE__PAUSED : FZPB__STATUS__STATE__DOWN, reason);
	else if (reason[0])
		say(s, FZPB__STATUS__STATE__ERROR, reason);
	else
		say(s, FZPB__STATUS__STATE__DOWN, "");
}

static void fill_idle(const struct fzd *d, struct fzd_status *s)
{
	const struct fzd_token *t = &d->token;
	const char *reason = fzd_client_reason(d->client);
	if (fzd_client_awaits_browser(d->client))
		say(s, FZPB__STATUS__STATE__NEED_BROWSER, "waiting for the sign-in to be finished");
	else if (t->source == FZD_TOKEN_NONE)
		say(s, FZPB__STATUS__STATE__SIGNED_OUT,
			reason[0] ? reason : "no token; waiting for somebody to sign in");
	else if (is_usable(t->verdict))
		fill_stopped(d, s);
	else {
		s->msg.state = FZPB__STATUS__STATE__ERROR;
		snprintf(s->reason, sizeof(s->reason), "%.120s: %s", t->origin, t->reason);
	}
	s->portal.has_state = true;
	s->portal.state = FZPB__PORTAL__STATE__IDLE;
	s->portal.url = fz_unconst(fzd_settings_get(d->settings, FZ_SETTING_API_URL).value);
	s->msg.portal = &s->portal;
	s->msg.since = d->state_since.ns;
}

/* ---- with one ---- */

static Fzpb__Status__State state_of(const struct fz_session_status *st)
{
	bool is_offline = st->reason == FZP_REASON_NO_NETWORK;
	switch (st->state) {
	case FZ_SESSION_OFF: return FZPB__STATUS__STATE__DOWN;
	case FZ_SESSION_CONNECTING:
		return is_offline ? FZPB__STATUS__STATE__WAITING_NETWORK
				  : FZPB__STATUS__STATE__CONNECTING;
	case FZ_SESSION_RAISING: return FZPB__STATUS__STATE__RAISING;
	case FZ_SESSION_UP: return FZPB__STATUS__STATE__UP;
	case FZ_SESSION_RECONNECTING: return FZPB__STATUS__STATE__RECONNECTING;
	case FZ_SESSION_ENDED:
	case FZ_SESSION_FAILED:
	case FZ_SESSION_STATE_COUNT_: break;
	}
	return FZPB__STATUS__STATE__ERROR;
}

static Fzpb__Portal__State portal_of(const struct fz_session_status *st)
{
	switch (st->portal) {
	case FZP_PORTAL_OFF:
		return st->state == FZ_SESSION_ENDED ? FZPB__PORTAL__STATE__REFUSED
						     : FZPB__PORTAL__STATE__IDLE;
	case FZP_PORTAL_DIALING:
	case FZP_PORTAL_UPGRADING:
	case FZP_PORTAL_JOINING: return FZPB__PORTAL__STATE__CONNECTING;
	case FZP_PORTAL_UP: return FZPB__PORTAL__STATE__CONNECTED;
	case FZP_PORTAL_WAITING: return FZPB__PORTAL__STATE__WAITING;
	case FZP_PORTAL_STATE_COUNT_: break;
	}
	return FZPB__PORTAL__STATE__IDLE;
}

static void fill_portal(const struct fz_session_status *st, struct fzd_status *s)
{
	Fzpb__Portal *p = &s->portal;
	p->has_state = true;
	p->state = portal_of(st);
	p->url = fz_unconst(st->portal_url);
	if (st->reason != FZP_REASON_NONE)
		p->last_error = fz_unconst(fzp_reason_info(st->reason)->text);
	p->has_since = st->portal_since.ns != 0;
	p->since = st->portal_since.ns;
	p->has_retry_at = st->retry_at.ns != 0;
	p->retry_at = st->retry_at.ns;
	s->msg.portal = p;
}

static void fill_tunnel(const struct fz_session_status *st, struct fzd_status *s)
{
	Fzpb__Tunnel *t = &s->tunnel;
	bool has4 = st->ipv4.family != FZ_NO_FAMILY, has6 = st->ipv6.family != FZ_NO_FAMILY;
	if (!st->has_tunnel)
		return;
	t->interface = fz_unconst(st->interface);
	if (has4)
		t->ipv4 = fz_unconst(fz_ip_format(&st->ipv4, s->ipv4));
	if (has6)
		t->ipv6 = fz_unconst(fz_ip_format(&st->ipv6, s->ipv6));
	t->has_mtu = t->has_rx_bytes = t->has_tx_bytes = true;
	t->mtu = st->mtu;
	t->rx_bytes = st->rx_bytes;
	t->tx_bytes = st->tx_bytes;
	t->has_stack = has4 || has6;
	t->stack = has4 && has6 ? FZPB__TUNNEL__STACK__DUAL
		   : has4       ? FZPB__TUNNEL__STACK__V4_ONLY
				: FZPB__TUNNEL__STACK__V6_ONLY;
	s->msg.tunnel = t;
}

static void fill_dns(const struct fz_session_status *st, struct fzd_status *s)
{
	Fzpb__DnsStatus *d = &s->dns;
	if (!st->has_tunnel)
		return;
	d->mode = fz_unconst("disabled");
	d->reason = fz_unconst("this version leaves the host's DNS alone");
	if (st->search_domain[0]) {
		s->search_list[0] = fz_unconst(st->search_domain);
		d->search = s->search_list;
		d->n_search = 1;
	}
	for (size_t i = 0; i < st->n_upstreams && i < FZD_UPSTREAMS_MAX; i++) {
		s->upstream_list[i] =
			fz_unconst(fz_addr_format(&st->upstreams[i], s->upstreams[i]));
		d->n_upstreams = i + 1;
	}
	d->upstreams = s->upstream_list;
	s->msg.dns = d;
}

static void fill_counts(const struct fz_session_status *st, struct fzd_status *s)
{
	Fzpb__Counts *c = &s->counts;
	c->has_resources = c->has_resources_offline = true;
	c->has_peers_direct = c->has_peers_relayed = true;
	c->resources = st->n_resources;
	c->resources_offline = st->n_resources_offline;
	c->peers_direct = st->n_peers_direct;
	c->peers_relayed = st->n_peers_relayed;
	s->msg.counts = c;
	s->internet.has_available = s->internet.has_enabled = true;
	s->internet.available = st->internet_available;
	s->internet.enabled = st->internet_enabled;
	s->internet.site = st->internet_site[0] ? fz_unconst(st->internet_site) : NULL;
	s->msg.internet_resource = &s->internet;
}

static void fill_warnings(const struct fz_session_status *st, struct fzd_status *s)
{
	if (!st->has_silent_relays)
		return;
	bool is_reached = st->n_peers_direct + st->n_peers_relayed > 0;
	fzpb__warning__init(&s->warning);
	s->warning.code = fz_unconst("no_relay_answers");
	s->warning.text = fz_unconst(
		is_reached ? "No relay answers: connections go on, new ones have to wait."
			   : "No relay answers, so no Resource is reached: this network seems to "
			     "block UDP.");
	s->warning_list[0] = &s->warning;
	s->msg.warnings = s->warning_list;
	s->msg.n_warnings = 1;
}

static void fill_session(const struct fz_session_status *st, struct fzd_status *s)
{
	s->msg.state = state_of(st);
	s->msg.since = st->since.ns;
	if (st->detail[0])
		snprintf(s->reason, sizeof(s->reason), "%s", st->detail);
	else if (st->reason != FZP_REASON_NONE)
		snprintf(s->reason, sizeof(s->reason), "%s", fzp_reason_info(st->reason)->text);
	fill_portal(st, s);
	fill_tunnel(st, s);
	fill_dns(st, s);
	fill_counts(st, s);
	fill_warnings(st, s);
}

/* ---- all of it ---- */

static void fill_account(const struct fzd *d, struct fzd_status *s)
{
	const char *slug = fzd_client_account(d->client), *actor = fzd_client_actor(d->client);
	s->account.slug = slug[0] ? fz_unconst(slug) : NULL;
	s->account.actor = actor[0] ? fz_unconst(actor) : NULL;
	if (slug[0] || actor[0])
		s->msg.account = &s->account;
}

static void fill_daemon(const struct fzd *d, struct fzd_status *s)
{
	s->daemon.version = fz_unconst(FZ_VERSION);
	s->daemon.has_started = s->daemon.has_pid = true;
	s->daemon.started = d->started.ns;
	s->daemon.pid = (uint32_t)getpid();
	s->daemon.boot_id = fz_unconst(d->boot_id);
	s->msg.daemon = &s->daemon;
}

static void init_all(struct fzd_status *s)
{
	fzpb__status__init(&s->msg);
	fzpb__account__init(&s->account);
	fzpb__portal__init(&s->portal);
	fzpb__tunnel__init(&s->tunnel);
	fzpb__dns_status__init(&s->dns);
	fzpb__internet_state__init(&s->internet);
	fzpb__counts__init(&s->counts);
	fzpb__daemon_info__init(&s->daemon);
	s->reason[0] = '\0';
}

void fzd_status_fill(const struct fzd *d, struct fzd_status *ret_status)
{
	struct fzd_status *s = ret_status;
	struct fz_session_status st;
	init_all(s);
	if (fzd_client_status(d->client, &st))
		fill_session(&st, s);
	else
		fill_idle(d, s);
	s->msg.has_state = s->msg.has_since = s->msg.has_service_mode = true;
	s->msg.service_mode = fzd_in_service_mode(d);
	s->msg.reason = s->reason[0] ? s->reason : NULL;
	s->msg.has_owner_uid = fzd_client_owner(d->client, &s->msg.owner_uid);
	fill_account(d, s);
	fill_daemon(d, s);
	if (d->token.source != FZD_TOKEN_NONE) {
		fzd_status_fill_token(d, &s->token, s->token_reason);
		s->msg.token = &s->token;
	}
}

Fzpb__Status__State fzd_status_state(const struct fzd *d)
{
	struct fzd_status s;
	fzd_status_fill(d, &s);
	return s.msg.state;
}
