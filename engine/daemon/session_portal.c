/*
 * What the portal says to a client, carried out; what it is told. Candidates that come up while it is away are kept and sent when it
 * is back, additions first (protocol, 1.6); a request is not: the traffic asks again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/session_internal.h"

/* ---- to the portal ---- */

void fz_session_send(struct fz_session *s, const char *event, json_t *payload)
{
	int r = fzp_link_send(s->link, event, payload);
	if (r < 0 && r != -ENOTCONN)
		fz_log(FZ_LOG_WARNING, "portal-send", "event=%s error=\"%s\"", event,
			fz_strerror(r));
}

static int send_candidates(struct fz_session *s, const struct fzp_id *gateway, bool are_gone,
	const char *const *texts, size_t n)
{
	return fzp_link_send(s->link,
		are_gone ? "invalidate_gateway_ice_candidates" : "new_gateway_ice_candidates",
		fzp_gateway_candidates(gateway, texts, n));
}

static void drop_held(struct fz_session *s, uint32_t at)
{
	memmove(&s->held[at], &s->held[at + 1], (s->n_held - at - 1) * sizeof(s->held[0]));
	s->n_held--;
}

void fz_session_forget_held(struct fz_session *s, const struct fzp_id *gateway)
{
	for (uint32_t i = s->n_held; i > 0; i--)
		if (!gateway || fzp_id_equal(&s->held[i - 1].gateway, gateway))
			drop_held(s, i - 1);
}

static void hold(struct fz_session *s, const struct fzp_id *gateway, const char *text, bool is_gone)
{
	for (uint32_t i = 0; i < s->n_held; i++) {
		struct fz_held *h = &s->held[i];
		if (!fzp_id_equal(&h->gateway, gateway) || strcmp(h->text, text) != 0)
			continue;
		/* One that came and went meanwhile is nobody's business; one that is back was never gone. */
		if (h->is_gone != is_gone)
			drop_held(s, i);
		return;
	}
	if (s->n_held == FZ_SESSION_HELD_MAX)
		drop_held(s, 0);
	struct fz_held *h = &s->held[s->n_held++];
	h->gateway = *gateway;
	h->is_gone = is_gone;
	snprintf(h->text, sizeof(h->text), "%s", text);
}

void fz_session_candidate(
	struct fz_session *s, const struct fzp_id *gateway, const char *text, bool is_gone)
{
	if (send_candidates(s, gateway, is_gone, &text, 1) < 0)
		hold(s, gateway, text, is_gone);
}

/* All of one kind, those of one gateway in one message. */
static void flush_held(struct fz_session *s, bool are_gone)
{
	const char *texts[FZP_CANDIDATES_MAX];
	for (;;) {
		const struct fzp_id *gateway = NULL;
		size_t n = 0;
		for (uint32_t i = 0; i < s->n_held && n < FZP_CANDIDATES_MAX; i++) {
			const struct fz_held *h = &s->held[i];
			if (h->is_gone != are_gone ||
				(gateway && !fzp_id_equal(gateway, &h->gateway)))
				continue;
			gateway = &h->gateway;
			texts[n++] = h->text;
		}
		if (!gateway || send_candidates(s, gateway, are_gone, texts, n) < 0)
			return;
		struct fzp_id sent = *gateway;
		for (uint32_t i = s->n_held; i > 0; i--)
			if (s->held[i - 1].is_gone == are_gone &&
				fzp_id_equal(&s->held[i - 1].gateway, &sent))
				drop_held(s, i - 1);
	}
}

void fz_session_on_joined(struct fz_session *s)
{
	/* No: path probes inside WireGuard are not spoken here, so every connection is by ICE. */
	fz_session_send(s, "set_snownet_capabilities", json_pack("{s:b}", "iceless", 0));
	flush_held(s, false);
	flush_held(s, true);
}

/* ---- from the portal ---- */

static void take_interface(struct fz_session *s, const struct fzp_interface *i)
{
	s->ipv4 = i->ipv4;
	s->ipv6 = i->ipv6;
	s->n_upstreams = 0;
	for (uint32_t k = 0; k < i->n_resolvers && k < FZ_SESSION_UPSTREAMS; k++)
		s->upstreams[s->n_upstreams++] = i->resolvers[k];
	snprintf(s->search_domain, sizeof(s->search_domain), "%s",
		i->search_domain ? i->search_domain : "");
	fz_session_tunnel_set_interface(s->tunnel, &s->ipv4, &s->ipv6);
}

static void enable(struct fz_session *s, const struct fzp_resource *r)
{
	fz_session_tunnel_set_enabled(
		s->tunnel, r->id.text, !fz_choices_is_disabled(&s->choices, r->id.text));
}

static void on_init(struct fz_session *s, const struct fzp_client_init *init)
{
	take_interface(s, &init->interface);
	fz_session_tunnel_set_relays(s->tunnel, &init->relays);
	int r = fz_session_tunnel_set_resources(s->tunnel, &init->resources);
	s->has_left_out = false;
	if (r < 0 || init->resources.n_skipped > 0)
		fz_log(FZ_LOG_WARNING, "resources-left-out", "skipped=%u error=\"%s\"",
			init->resources.n_skipped, r < 0 ? fz_strerror(r) : "");
	if (init->authorizations.n > 0)
		fz_log(FZ_LOG_DEBUG, "device-to-device", "grants=%u ignored=1",
			init->authorizations.n);
	for (uint32_t i = 0; i < init->resources.n; i++)
		enable(s, &init->resources.list[i]);
	fz_session_tunnel_set_internet(s->tunnel, s->internet);
	fz_session_apply(s);
}

static void on_upserted(struct fz_session *s, const struct fzp_resource *resource)
{
	int r = fz_session_tunnel_upsert(s->tunnel, resource);
	if (r == 0)
		enable(s, resource);
	else if (!s->has_left_out)
		fz_log(FZ_LOG_WARNING, "resource-left-out", "resource=%s error=\"%s\"",
			resource->id.text, fz_strerror(r));
	s->has_left_out |= r < 0;
	fz_session_apply(s);
}

/* Of what others may reach here, which is nothing; but a Resource of ours would be the same one, so it is held to them. */
static void on_filters(struct fz_session *s, const struct fzp_filters_updated *u)
{
	int r = fz_session_tunnel_set_filters(s->tunnel, &u->resource_id, u->filters, u->n_filters);
	if (r < 0)
		fz_log(FZ_LOG_WARNING, "filters", "resource=%s error=\"%s\"", u->resource_id.text,
			fz_strerror(r));
}

static void on_relays(struct fz_session *s, const struct fzp_relays_presence *p)
{
	for (uint32_t i = 0; i < p->n_gone; i++)
		fz_session_tunnel_remove_relay(s->tunnel, &p->gone[i]);
	fz_session_tunnel_set_relays(s->tunnel, &p->connected);
}

static void on_authorized(struct fz_session *s, const struct fzp_authorization_created *a)
{
	int r = fz_session_tunnel_authorized(s->tunnel, a);
	if (r == -ENOTCONN)
		fz_session_send(s, "no_relays", json_object());
	else if (r < 0)
		fz_log(FZ_LOG_WARNING, "authorization-dropped", "gateway=%s error=\"%s\"",
			a->gateway_id.text, fz_strerror(r));
}

static void on_refused(struct fz_session *s, const struct fzp_authorization_failed *f)
{
	struct fz_session_resource resource;
	fz_session_tunnel_refused(s->tunnel, f);
	if (!s->ops.notice || !fz_session_resource(s, f->resource_id.text, &resource))
		return;
	const char *site = resource.n_sites > 0 ? resource.sites[0].name : "";
	switch (f->reason) {
	case FZP_FAILURE_OFFLINE:
		s->ops.notice(s->user, FZ_SESSION_NOTICE_OFFLINE, resource.name, site);
		break;
	case FZP_FAILURE_VERSION_MISMATCH:
		s->ops.notice(s->user, FZ_SESSION_NOTICE_VERSION, resource.name, site);
		break;
	case FZP_FAILURE_FORBIDDEN:
		s->ops.notice(s->user, FZ_SESSION_NOTICE_FORBIDDEN, resource.name, site);
		break;
	case FZP_FAILURE_UNKNOWN:
	case FZP_FAILURE_NOT_FOUND:
	case FZP_FAILURE_DISABLED:
	case FZP_FAILURE_ADDRESS: break;
	}
}

static void carry_out(struct fz_session *s, const struct fzp_client_message *m)
{
	switch (m->event) {
	case FZP_CLIENT_INIT: on_init(s, &m->init); break;
	case FZP_CLIENT_CONFIG_CHANGED:
		take_interface(s, &m->interface);
		fz_session_apply(s);
		break;
	case FZP_CLIENT_RESOURCE_UPSERTED: on_upserted(s, &m->resource); break;
	case FZP_CLIENT_RESOURCE_DELETED:
		fz_session_tunnel_remove(s->tunnel, &m->resource_id);
		fz_session_apply(s);
		break;
	case FZP_CLIENT_RELAYS_PRESENCE: on_relays(s, &m->relays); break;
	case FZP_CLIENT_AUTHORIZATION_CREATED: on_authorized(s, &m->authorization); break;
	case FZP_CLIENT_AUTHORIZATION_FAILED: on_refused(s, &m->failed); break;
	case FZP_CLIENT_CANDIDATES:
		fz_session_tunnel_candidates(s->tunnel, &m->candidates, false);
		break;
	case FZP_CLIENT_CANDIDATES_INVALIDATED:
		fz_session_tunnel_candidates(s->tunnel, &m->candidates, true);
		break;
	case FZP_CLIENT_POOL_UPSERTED:
		/* No Resource of ours any more, if it was one. */
		fz_session_tunnel_remove(s->tunnel, &m->pool.id);
		fz_session_apply(s);
		break;
	case FZP_CLIENT_FILTERS_UPDATED: on_filters(s, &m->filters_updated); break;
	case FZP_CLIENT_DEVICE_ACCESS:
	case FZP_CLIENT_DEVICE_DENIED:
	case FZP_CLIENT_DEVICE_CANDIDATES:
	case FZP_CLIENT_DEVICE_CANDIDATES_INVALIDATED:
	case FZP_CLIENT_DEVICE_CANDIDATE_ERROR:
	case FZP_CLIENT_REJECT_ACCESS:
	case FZP_CLIENT_POOL_DOMAIN:
		/* No other client reaches this one: there is no grant to begin or to end. */
		fz_log(FZ_LOG_DEBUG, "device-to-device", "event=%d ignored=1", (int)m->event);
		break;
	case FZP_CLIENT_EVENT_COUNT_: break;
	}
}

void fz_session_on_message(struct fz_session *s, const struct fzp_frame *frame)
{
	if (!s->tunnel)
		return;
	switch (fzp_client_message_read(frame, &s->message)) {
	case FZP_OK: break;
	case FZP_UNKNOWN: return;
	case FZP_MALFORMED:
	case FZP_NO_MEMORY:
		fz_log(FZ_LOG_WARNING, "portal-message", "event=%.64s skipped=1", frame->event);
		return;
	}
	carry_out(s, &s->message);
	fzp_client_message_done(&s->message);
	fz_session_changed(s);
}
