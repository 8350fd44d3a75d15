/*
 * What the portal says, carried out in its order; what the tunnel says, told to the portal. Candidates that come up
 * while the portal is away are held, bounded, and said on return: what is gone again by then is not said at all.
 * Everything else that concerns the portal alone is made anew by its `init`.
 */
#include "gateway/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "control/gateway_message.h"
#include "control/io/link.h"
#include "daemon/netwatch.h"
#include "gateway/routes.h"
#include "gateway/tunnel.h"

#define HELD_MAX 1024

struct held {
	struct fzp_id client;
	bool is_gone;
	char text[FZP_CANDIDATE_LEN_MAX + 1];
};

struct gw_session {
	struct fz_host *host;
	struct gw_session_ops ops;
	void *user;
	struct fzp_link *link;
	struct gw_tunnel *tunnel;
	struct fz_netwatch *watch; /* NULL where netlink cannot be listened to */
	struct fz_ip ipv4, ipv6; /* as applied to the host */
	bool is_initialised; /* since the last join */
	uint32_t n_held, cap_held;
	struct held *held;
};

static void tell_changed(struct gw_session *s)
{
	if (s->ops.changed)
		s->ops.changed(s->user);
}

static void send_event(struct gw_session *s, const char *event, json_t *payload)
{
	int r = payload ? fzp_link_send(s->link, event, payload) : -ENOMEM;
	if (r < 0)
		fz_log(FZ_LOG_WARNING, "not-told", "event=%s error=\"%s\"", event, fz_strerror(r));
}

/* ---- candidates ---- */

static bool portal_is_up(const struct gw_session *s)
{
	return fzp_link_state(s->link) == FZP_PORTAL_UP;
}

static void send_candidate(
	struct gw_session *s, const struct fzp_id *client, const char *text, bool is_gone)
{
	send_event(s, is_gone ? "broadcast_invalidated_ice_candidates" : "broadcast_ice_candidates",
		fzp_client_candidates(client, &text, 1));
}

/* Takes back what waits and is gone meanwhile; true if it did. */
static bool forget_held(struct gw_session *s, const struct fzp_id *client, const char *text)
{
	for (uint32_t i = 0; i < s->n_held; i++) {
		struct held *h = &s->held[i];
		if (h->is_gone || !fzp_id_equal(&h->client, client) || strcmp(h->text, text) != 0)
			continue;
		memmove(h, h + 1, (s->n_held - i - 1) * sizeof(*h));
		s->n_held--;
		return true;
	}
	return false;
}

static void hold(struct gw_session *s, const struct fzp_id *client, const char *text, bool is_gone)
{
	if ((is_gone && forget_held(s, client, text)) || s->n_held == HELD_MAX ||
		strlen(text) > FZP_CANDIDATE_LEN_MAX)
		return;
	if (s->n_held == s->cap_held) {
		uint32_t cap = s->cap_held ? 2 * s->cap_held : 16;
		struct held *more = fz_realloc(s->held, cap, sizeof(*more));
		if (!more)
			return;
		s->held = more;
		s->cap_held = cap;
	}
	struct held *h = &s->held[s->n_held++];
	h->client = *client;
	h->is_gone = is_gone;
	memcpy(h->text, text, strlen(text) + 1);
}

/* New ones first. */
static void say_held(struct gw_session *s)
{
	for (int is_gone = 0; is_gone <= 1; is_gone++)
		for (uint32_t i = 0; i < s->n_held; i++)
			if (s->held[i].is_gone == (is_gone == 1))
				send_candidate(s, &s->held[i].client, s->held[i].text, is_gone);
	s->n_held = 0;
}

static void on_candidate(void *user, const struct fzp_id *client, const char *text, bool is_gone)
{
	struct gw_session *s = user;
	if (portal_is_up(s))
		send_candidate(s, client, text, is_gone);
	else
		hold(s, client, text, is_gone);
}

/* ---- what the portal says ---- */

/* Addresses, routes and rules; the same as before change nothing. */
static int apply_interface(struct gw_session *s, const struct fz_ip *ipv4, const struct fz_ip *ipv6)
{
	struct fz_host_item items[GW_HOST_ITEMS];
	size_t n = gw_host_items(ipv4, ipv6, items);
	int r = fz_host_apply(s->host, gw_tunnel_ifindex(s->tunnel), items, n);
	if (r < 0)
		return r;
	if (!fz_ip_equal(ipv4, &s->ipv4) || !fz_ip_equal(ipv6, &s->ipv6)) {
		char v4[FZ_IP_TEXT_LEN], v6[FZ_IP_TEXT_LEN];
		fz_log(FZ_LOG_INFO, "tunnel-addresses", "ipv4=%s ipv6=%s", fz_ip_format(ipv4, v4),
			fz_host_has_ipv6(s->host) ? fz_ip_format(ipv6, v6) : "none");
	}
	s->ipv4 = *ipv4;
	s->ipv6 = *ipv6;
	return 0;
}

static void on_init(struct gw_session *s, const struct fzp_gateway_init *m)
{
	int r = apply_interface(s, &m->ipv4, &m->ipv6);
	if (r < 0) {
		fz_log(FZ_LOG_ERR, "addresses-not-set", "error=\"%s\"", fz_strerror(r));
		if (s->ops.failed)
			s->ops.failed(s->user, r);
		return;
	}
	gw_tunnel_set_interface(s->tunnel, &m->ipv4, &m->ipv6);
	gw_tunnel_set_relays(s->tunnel, &m->relays);
	gw_tunnel_reconcile(s->tunnel, &m->authorizations);
	if (m->relays.n_skipped + m->authorizations.n_skipped > 0)
		fz_log(FZ_LOG_WARNING, "init-skipped", "relays=%u authorizations=%u",
			m->relays.n_skipped, m->authorizations.n_skipped);
	s->is_initialised = true;
	tell_changed(s);
}

static void on_create(struct gw_session *s, const struct fzp_create_authorization *m)
{
	int r = gw_tunnel_authorize(s->tunnel, m);
	if (r == -ENOTCONN) {
		/* Instead of the answer; the portal names relays, the client asks again. */
		fz_log(FZ_LOG_WARNING, "no-relays", "client=%.8s", m->client_id.text);
		send_event(s, "no_relays", json_object());
		return;
	}
	if (r < 0) {
		fz_log(FZ_LOG_WARNING, "authorization-refused",
			"client=%.8s resource=%.8s error=\"%s\"", m->client_id.text,
			m->resource.id.text, fz_strerror(r));
		return;
	}
	fz_log(FZ_LOG_INFO, "authorized", "client=%.8s resource=%.8s", m->client_id.text,
		m->resource.id.text);
	send_event(s, "authorization_created", fzp_authorization_created_reply(m->ref));
	tell_changed(s);
}

static void on_relays(struct gw_session *s, const struct fzp_relays_presence *m)
{
	for (uint32_t i = 0; i < m->n_gone; i++)
		gw_tunnel_remove_relay(s->tunnel, &m->gone[i]);
	gw_tunnel_set_relays(s->tunnel, &m->connected);
}

static void carry_out(struct gw_session *s, const struct fzp_gateway_message *m)
{
	switch (m->event) {
	case FZP_GATEWAY_INIT: on_init(s, &m->init); break;
	case FZP_GATEWAY_CREATE_AUTHORIZATION: on_create(s, &m->create); break;
	case FZP_GATEWAY_REJECT_ACCESS:
		gw_tunnel_reject(s->tunnel, &m->reject);
		fz_log(FZ_LOG_INFO, "access-rejected", "client=%.8s resource=%.8s",
			m->reject.client_id.text, m->reject.resource_id.text);
		tell_changed(s);
		break;
	case FZP_GATEWAY_RESOURCE_UPDATED: gw_tunnel_update(s->tunnel, &m->resource); break;
	case FZP_GATEWAY_RELAYS_PRESENCE: on_relays(s, &m->relays); break;
	case FZP_GATEWAY_CANDIDATES: gw_tunnel_candidates(s->tunnel, &m->candidates, false); break;
	case FZP_GATEWAY_CANDIDATES_INVALIDATED:
		gw_tunnel_candidates(s->tunnel, &m->candidates, true);
		break;
	case FZP_GATEWAY_EVENT_COUNT_: break;
	}
}

static void on_message(void *user, const struct fzp_frame *frame)
{
	struct gw_session *s = user;
	struct fzp_gateway_message m;
	enum fzp_verdict v = fzp_gateway_message_read(frame, &m);
	if (v == FZP_UNKNOWN)
		return;
	if (v != FZP_OK) {
		fz_log(FZ_LOG_WARNING, "message-skipped", "event=\"%.40s\" why=%s", frame->event,
			v == FZP_MALFORMED ? "malformed" : "memory");
		return;
	}
	carry_out(s, &m);
	fzp_gateway_message_done(&m);
}

/* ---- the portal's connection ---- */

static void on_up(void *user)
{
	struct gw_session *s = user;
	fz_log(FZ_LOG_INFO, "portal-up", "%s", "");
	/* No: path probes inside WireGuard are not spoken here, so every connection is by ICE. */
	send_event(s, "set_snownet_capabilities", json_pack("{s:b}", "iceless", 0));
	say_held(s);
	tell_changed(s);
}

static void on_down(void *user, enum fzp_reason why, fz_time retry_at)
{
	(void)retry_at;
	struct gw_session *s = user;
	s->is_initialised = false;
	fz_log(FZ_LOG_WARNING, "portal-down", "reason=%s detail=\"%s\"", fzp_reason_info(why)->code,
		fzp_link_detail(s->link));
	tell_changed(s);
}

static void on_ended(void *user, enum fzp_reason why)
{
	struct gw_session *s = user;
	s->is_initialised = false;
	if (s->ops.ended)
		s->ops.ended(s->user, why);
}

/* ---- the host's network ---- */

/*
 * Clients are told which addresses are new and which are gone; keys and connections stay, unlike a client's. The way to the
 * world being another one, the portal's connection is of no use any more.
 */
static void on_network(void *user, bool moved)
{
	struct gw_session *s = user;
	if (moved && fz_netwatch_has_way_out(s->watch)) {
		uint8_t key[FZ_KEY_LEN];
		fz_log(FZ_LOG_INFO, "network", "moved=1");
		gw_tunnel_public_key(s->tunnel, key);
		fzp_link_reset(s->link, key);
	}
	gw_tunnel_hosts_changed(s->tunnel);
}

static void watch_network(sd_event *event, struct gw_session *s)
{
	int r = fz_netwatch_new(event, on_network, s, &s->watch);
	if (r < 0) {
		s->watch = NULL;
		fz_log(FZ_LOG_WARNING, "network", "watch=\"%s\"", fz_strerror(r));
		return;
	}
	fz_netwatch_ignore(s->watch, gw_tunnel_ifindex(s->tunnel));
}

/* ---- what the tunnel says ---- */

static void on_no_relays(void *user)
{
	struct gw_session *s = user;
	if (portal_is_up(s))
		send_event(s, "no_relays", json_object());
}

static void on_tunnel_changed(void *user)
{
	tell_changed(user);
}

static void on_tunnel_failed(void *user, int err)
{
	struct gw_session *s = user;
	if (s->ops.failed)
		s->ops.failed(s->user, err);
}

/* ---- making ---- */

static int make_link(sd_event *event, const struct gw_session_params *p, struct gw_session *s)
{
	struct fzp_link_params params = {
		.url = p->url,
		.role = FZP_GATEWAY,
		.external_id = p->external_id,
		.name = p->name,
		.user_agent = p->user_agent,
		.mark = fz_host_gateway.mark,
		.ca_file = p->ca_file,
		.proxy = p->proxy,
		.no_proxy = p->no_proxy,
		.allow_insecure = p->allow_insecure,
		.ops = {
			.up = on_up,
			.down = on_down,
			.ended = on_ended,
			.message = on_message,
		},
		.user = s,
	};
	return fzp_link_new(event, &params, &s->link);
}

static int make_tunnel(sd_event *event, const struct gw_session_params *p, struct gw_session *s)
{
	struct gw_tunnel_params params = {
		.io = p->io,
		.aead = p->aead,
		.threads = p->threads,
		.candidate = on_candidate,
		.no_relays = on_no_relays,
		.changed = on_tunnel_changed,
		.failed = on_tunnel_failed,
		.user = s,
	};
	return gw_tunnel_new(event, &params, &s->tunnel);
}

void gw_session_free(struct gw_session *s)
{
	if (!s)
		return;
	fz_netwatch_free(s->watch);
	fzp_link_free(s->link);
	gw_tunnel_free(s->tunnel);
	free(s->held);
	free(s);
}

int gw_session_new(
	sd_event *event, const struct gw_session_params *params, struct gw_session **ret_session)
{
	struct gw_session *s = fz_new(struct gw_session);
	if (!s)
		return -ENOMEM;
	s->host = params->host;
	s->ops = params->ops;
	s->user = params->user;
	int r = make_link(event, params, s);
	if (r == 0)
		r = make_tunnel(event, params, s);
	if (r < 0) {
		gw_session_free(s);
		return r;
	}
	watch_network(event, s);
	*ret_session = s;
	return 0;
}

void gw_session_start(struct gw_session *s, struct fz_token *token)
{
	uint8_t key[FZ_KEY_LEN];
	gw_tunnel_public_key(s->tunnel, key);
	fzp_link_start(s->link, token, key);
}

void gw_session_stop(struct gw_session *s)
{
	gw_tunnel_goodbye(s->tunnel);
	fzp_link_stop(s->link);
	s->is_initialised = false;
}

void gw_session_status(const struct gw_session *s, struct gw_session_status *ret)
{
	struct gw_tunnel_counts counts;
	gw_tunnel_counts(s->tunnel, &counts);
	*ret = (struct gw_session_status){
		.portal = fzp_link_state(s->link),
		.reason = fzp_link_reason(s->link),
		.detail = fzp_link_detail(s->link),
		.is_ready = portal_is_up(s) && s->is_initialised,
		.n_clients = counts.n_clients,
		.n_grants = counts.n_grants,
		.retry_at = fzp_link_retry_at(s->link),
	};
}
