/* The session's life: made, started, reset, stopped; the link's events; the host kept in line; the states told. */
#include "daemon/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "control/io/sock.h"
#include "daemon/rtnl.h"
#include "daemon/session_internal.h"

#define MTU            1280
#define TXQUEUELEN     10'000
#define RETRY_DELAY    FZ_SECONDS(1)
#define APPLY_INTERVAL FZ_MILLISECONDS(100)

/* ---- states ---- */

static enum fz_session_state state_of(const struct fz_session *s)
{
	if (!s->is_running)
		return s->has_ended ? FZ_SESSION_ENDED : FZ_SESSION_OFF;
	bool is_up = fzp_link_state(s->link) == FZP_PORTAL_UP;
	if (s->detail[0])
		return FZ_SESSION_FAILED;
	if (s->has_tunnel)
		return is_up ? FZ_SESSION_UP : FZ_SESSION_RECONNECTING;
	return is_up ? FZ_SESSION_RAISING : FZ_SESSION_CONNECTING;
}

static int on_tell(sd_event_source *source, void *user)
{
	(void)source;
	struct fz_session *s = user;
	if (s->ops.changed)
		s->ops.changed(s->user);
	return 0;
}

void fz_session_changed(struct fz_session *s)
{
	/* A one-shot deferred source: many changes of one turn are one call. Without memory for it people see old news. */
	if (s->tell)
		(void)sd_event_source_set_enabled(s->tell, SD_EVENT_ONESHOT);
	else
		(void)!sd_event_add_defer(s->event, &s->tell, on_tell, s);
}

void fz_session_note(struct fz_session *s)
{
	enum fz_session_state state = state_of(s);
	if (state != s->state) {
		s->state = state;
		s->since = fzp_now().wall;
		fz_log(FZ_LOG_INFO, "session", "state=%s", fz_session_state_name(state));
	}
	fz_session_changed(s);
}

const char *fz_session_state_name(enum fz_session_state state)
{
	static const char *const names[FZ_SESSION_STATE_COUNT_] = {
		[FZ_SESSION_OFF] = "off",
		[FZ_SESSION_CONNECTING] = "connecting",
		[FZ_SESSION_RAISING] = "raising",
		[FZ_SESSION_UP] = "up",
		[FZ_SESSION_RECONNECTING] = "reconnecting",
		[FZ_SESSION_ENDED] = "ended",
		[FZ_SESSION_FAILED] = "failed",
	};
	return (unsigned)state < FZ_SESSION_STATE_COUNT_ ? names[state] : "unknown";
}

const char *fz_session_notice_text(enum fz_session_notice what)
{
	static const char *const texts[FZ_SESSION_NOTICE_COUNT_] = {
		[FZ_SESSION_NOTICE_OFFLINE] = "All gateways of the site are offline.",
		[FZ_SESSION_NOTICE_VERSION] =
			"No gateway of the site has a version that works with this one.",
		[FZ_SESSION_NOTICE_FORBIDDEN] = "A policy does not allow this now.",
		[FZ_SESSION_NOTICE_PORTAL_LOST] = "The portal is away; tunnels go on.",
		[FZ_SESSION_NOTICE_PORTAL_BACK] = "The portal is back.",
	};
	return (unsigned)what < FZ_SESSION_NOTICE_COUNT_ ? texts[what] : "";
}

/* ---- the host ---- */

static int raise_link(const struct fz_session *s)
{
	struct fz_rtnl *rtnl;
	int r = fz_rtnl_new(&rtnl);
	if (r < 0)
		return r;
	r = fz_rtnl_link_up(rtnl, fz_session_tunnel_ifindex(s->tunnel), MTU, TXQUEUELEN);
	fz_rtnl_free(rtnl);
	return r;
}

static int bring_in_line(struct fz_session *s)
{
	struct fz_wanted w = { .names = &fz_host_client, .ipv4 = s->ipv4, .ipv6 = s->ipv6 };
	FZ_CLEANUP(fz_freep) struct fz_prefix *prefixes = NULL;
	FZ_CLEANUP(fz_freep) struct fz_host_item *items = NULL;
	size_t n;
	int r = fz_session_tunnel_routes(s->tunnel, &prefixes, &w.n);
	if (r < 0)
		return r;
	w.prefixes = prefixes;
	if (s->watch)
		w.n_attached = fz_netwatch_attached(s->watch, &w.attached);
	r = fz_wanted_items(&w, &items, &n);
	if (r == 0)
		r = fz_host_apply(s->host, fz_session_tunnel_ifindex(s->tunnel), items, n);
	return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *user);

static void retry_later(struct fz_session *s)
{
	fz_time at = fz_time_add(fzp_now().at, RETRY_DELAY);
	if (fzp_timer_set(s->event, &s->retry, at, on_retry, s) < 0)
		fz_log(FZ_LOG_ERR, "session", "retry=0");
}

static void apply(struct fz_session *s)
{
	if (!s->tunnel || s->is_broken || s->ipv4.family == FZ_NO_FAMILY)
		return; /* before the first init */
	int r = s->has_tunnel ? 0 : raise_link(s);
	if (r == 0)
		r = bring_in_line(s);
	if (r == 0) {
		s->has_tunnel = true;
		s->detail[0] = '\0';
	} else {
		snprintf(s->detail, sizeof(s->detail), "Addresses and routes could not be set: %s.",
			fz_strerror(r));
		fz_log(FZ_LOG_ERR, "host", "error=\"%s\"", fz_strerror(r));
		retry_later(s);
	}
	fz_session_note(s);
}

static int on_apply(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	struct fz_session *s = user;
	apply(s);
	s->applied_at = fzp_now().at;
	return 0;
}

/* As fz_session_changed, and at most so often: a portal that sends a thousand Resources one by one makes for few changes. */
void fz_session_apply(struct fz_session *s)
{
	int enabled = SD_EVENT_OFF;
	if (s->apply)
		(void)sd_event_source_get_enabled(s->apply, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	fz_time now = fzp_now().at, at = fz_time_add(s->applied_at, APPLY_INTERVAL);
	if (fzp_timer_set(s->event, &s->apply, at.ns > now.ns ? at : now, on_apply, s) < 0)
		apply(s);
}

static void on_network(void *user, bool moved)
{
	struct fz_session *s = user;
	if (!s->is_running)
		return;
	if (moved && fz_netwatch_has_way_out(s->watch)) {
		fz_log(FZ_LOG_INFO, "network", "moved=1");
		int r = fz_session_reset(s);
		if (r < 0)
			fz_log(FZ_LOG_WARNING, "network", "reset=\"%s\"", fz_strerror(r));
	}
	fz_session_apply(s);
}

/* ---- the tunnel's events ---- */

static void on_request(void *user, const struct fzp_id *resource, const struct fzp_id *connected,
	size_t n_connected)
{
	fz_session_send(user, "request_authorization",
		fzp_request_authorization(resource, connected, n_connected));
}

static void on_candidate(void *user, const struct fzp_id *gateway, const char *text, bool is_gone)
{
	fz_session_candidate(user, gateway, text, is_gone);
}

static void on_gone(void *user, const struct fzp_id *gateway)
{
	fz_session_forget_held(user, gateway);
	fz_session_changed(user);
}

static void on_no_relays(void *user)
{
	fz_session_send(user, "no_relays", json_object());
}

static void on_tunnel_changed(void *user)
{
	fz_session_changed(user);
}

static void on_tunnel_failed(void *user, int err)
{
	struct fz_session *s = user;
	snprintf(s->detail, sizeof(s->detail), "The tunnel cannot go on: %s.", fz_strerror(err));
	fz_log(FZ_LOG_ERR, "tunnel", "error=\"%s\"", fz_strerror(err));
	s->is_broken = true;
	retry_later(s);
	fz_session_note(s);
}

/* ---- the link's events ---- */

/* Everything but the link. */
static void take_down(struct fz_session *s)
{
	fzp_source_freep(&s->retry);
	if (s->tunnel) {
		fz_session_tunnel_goodbye(s->tunnel);
		int r = fz_host_revert(s->host);
		if (r < 0)
			fz_log(FZ_LOG_ERR, "host", "revert=\"%s\"", fz_strerror(r));
	}
	fz_session_tunnel_free(s->tunnel);
	s->tunnel = NULL;
	s->is_running = s->has_tunnel = s->was_lost = s->is_broken = s->wants_reset = false;
	s->ipv4 = s->ipv6 = (struct fz_ip){ 0 };
	s->n_upstreams = s->n_held = 0;
	s->search_domain[0] = s->detail[0] = '\0';
	if (s->watch)
		fz_netwatch_ignore(s->watch, 0);
}

static void on_up(void *user)
{
	struct fz_session *s = user;
	if (s->was_lost && s->ops.notice)
		s->ops.notice(s->user, FZ_SESSION_NOTICE_PORTAL_BACK, "", "");
	s->was_lost = false;
	if (!s->is_running)
		return; /* stopped by who was told */
	fz_session_on_joined(s);
	fz_session_note(s);
}

static void on_down(void *user, enum fzp_reason why, fz_time retry_at)
{
	(void)retry_at;
	struct fz_session *s = user;
	fz_log(FZ_LOG_INFO, "portal-away", "reason=%s detail=\"%s\"", fzp_reason_info(why)->code,
		fzp_link_detail(s->link));
	if (s->has_tunnel && !s->was_lost) {
		s->was_lost = true;
		if (s->ops.notice)
			s->ops.notice(s->user, FZ_SESSION_NOTICE_PORTAL_LOST, "", "");
	}
	fz_session_note(s);
}

static void on_ended(void *user, enum fzp_reason why)
{
	struct fz_session *s = user;
	fz_log(FZ_LOG_WARNING, "session-ended", "reason=%s", fzp_reason_info(why)->code);
	take_down(s);
	s->has_ended = true;
	s->ended_by = why;
	fz_session_note(s);
	if (s->ops.ended)
		s->ops.ended(s->user, why, fzp_reason_info(why)->drops_token);
}

static void on_message(void *user, const struct fzp_frame *frame)
{
	fz_session_on_message(user, frame);
}

static void on_state(void *user, enum fzp_portal_state state)
{
	(void)state;
	struct fz_session *s = user;
	s->portal_since = fzp_now().wall;
	fz_session_note(s);
}

/* ---- making and freeing ---- */

void fz_session_free(struct fz_session *s)
{
	if (!s)
		return;
	if (s->link)
		fz_session_stop(s);
	fzp_link_free(s->link);
	fz_netwatch_free(s->watch);
	fz_choices_done(&s->choices);
	fzp_source_freep(&s->tell);
	fzp_source_freep(&s->apply);
	fzp_source_freep(&s->retry);
	free(s->held);
	free(s->api_url);
	free(s->interface);
	sd_event_unref(s->event);
	free(s);
}

static int make_link(struct fz_session *s, const struct fz_session_params *params)
{
	struct fzp_link_params p = {
		.role = FZP_CLIENT,
		.external_id = params->external_id,
		.name = params->name,
		.device_serial = params->device_serial,
		.device_uuid = params->device_uuid,
		.user_agent = params->user_agent,
		.partition_limit = params->partition_limit,
		.mark = fz_host_client.mark,
		.ca_file = params->ca_file,
		.proxy = params->proxy,
		.no_proxy = params->no_proxy,
		.allow_insecure = params->allow_insecure,
		.hosts_file = params->hosts_file,
		.resolv_conf = params->resolv_conf,
		.ops = { on_up, on_down, on_ended, on_message, on_state },
		.user = s,
	};
	int r = fzp_url_parse(params->api_url, &p.url);
	return r < 0 ? r : fzp_link_new(s->event, &p, &s->link);
}

static int set_up(struct fz_session *s, const struct fz_session_params *params)
{
	s->api_url = fz_strdup(params->api_url);
	s->interface = fz_strdup(params->interface ? params->interface : fz_host_client.interface);
	s->held = fz_new_array(struct fz_held, FZ_SESSION_HELD_MAX);
	if (!s->api_url || !s->interface || !s->held)
		return -ENOMEM;
	int r = fz_choices_init(&s->choices, params->state_dir);
	if (r < 0)
		return r;
	s->internet = params->internet ? *params->internet : s->choices.internet;
	r = make_link(s, params);
	if (r < 0)
		return r;
	/* Without it a move is noticed by what no longer answers, and by whoever calls fz_session_reset. */
	r = fz_netwatch_new(s->event, on_network, s, &s->watch);
	if (r < 0) {
		s->watch = NULL;
		fz_log(FZ_LOG_WARNING, "network", "watch=\"%s\"", fz_strerror(r));
	}
	return 0;
}

int fz_session_new(
	sd_event *event, const struct fz_session_params *params, struct fz_session **ret_session)
{
	struct fz_session *s = fz_new(struct fz_session);
	if (!s)
		return -ENOMEM;
	s->event = sd_event_ref(event);
	s->ops = params->ops;
	s->user = params->user;
	s->host = params->host;
	s->io = params->io;
	s->aead = params->aead;
	s->threads = params->threads;
	s->since = s->portal_since = fzp_now().wall;
	int r = set_up(s, params);
	if (r < 0) {
		fz_session_free(s);
		return r;
	}
	*ret_session = s;
	return 0;
}

/* ---- what the owner does ---- */

static int make_tunnel(struct fz_session *s)
{
	struct fz_session_tunnel_params p = {
		.interface = s->interface,
		.mark = fz_host_client.mark,
		.io = s->io,
		.aead = s->aead,
		.threads = s->threads,
		.ops = { on_request, on_candidate, on_gone, on_no_relays, on_tunnel_changed,
			on_tunnel_failed },
		.user = s,
	};
	int r = fz_session_tunnel_new(s->event, &p, &s->tunnel);
	if (r < 0)
		s->tunnel = NULL;
	if (r == 0 && s->watch)
		fz_netwatch_ignore(s->watch, fz_session_tunnel_ifindex(s->tunnel));
	return r;
}

/* A new tunnel in the place of one that broke; the portal gives it everything anew. */
static int mend(struct fz_session *s)
{
	uint8_t public_key[FZ_KEY_LEN];
	int r = fz_host_revert(s->host);
	fz_session_tunnel_free(s->tunnel);
	s->tunnel = NULL;
	s->has_tunnel = false;
	if (r == 0)
		r = make_tunnel(s);
	if (r < 0)
		return r;
	s->is_broken = s->wants_reset = false;
	s->detail[0] = '\0';
	fz_session_forget_held(s, NULL);
	fz_session_tunnel_public_key(s->tunnel, public_key);
	fzp_link_reset(s->link, public_key);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	struct fz_session *s = user;
	int r = 0;
	if (s->is_broken)
		r = mend(s);
	else if (s->wants_reset)
		r = fz_session_reset(s);
	if (r < 0) {
		s->is_broken |= !s->tunnel;
		snprintf(s->detail, sizeof(s->detail), "The tunnel could not be made again: %s.",
			fz_strerror(r));
		retry_later(s);
	}
	fz_session_apply(s);
	fz_session_note(s);
	return 0;
}

int fz_session_start(struct fz_session *s, struct fz_token *token)
{
	uint8_t public_key[FZ_KEY_LEN];
	fz_session_stop(s);
	int r = make_tunnel(s);
	if (r < 0) {
		fz_token_wipep(token);
		return r;
	}
	s->is_running = true;
	s->has_ended = false;
	s->ended_by = FZP_REASON_NONE;
	fz_session_tunnel_public_key(s->tunnel, public_key);
	fzp_link_start(s->link, token, public_key);
	fz_session_note(s);
	return 0;
}

void fz_session_stop(struct fz_session *s)
{
	take_down(s);
	fzp_link_stop(s->link);
	s->has_ended = false;
	fz_session_note(s);
}

int fz_session_reset(struct fz_session *s)
{
	uint8_t public_key[FZ_KEY_LEN];
	if (!s->is_running || s->is_broken)
		return 0; /* what is mended is new anyway */
	int r = fz_session_tunnel_reset(s->tunnel);
	s->wants_reset = r < 0;
	if (r < 0) {
		retry_later(s);
		return r;
	}
	fz_session_forget_held(s, NULL);
	fz_session_tunnel_public_key(s->tunnel, public_key);
	fzp_link_reset(s->link, public_key);
	fz_session_note(s);
	return 0;
}

int fz_session_set_internet(struct fz_session *s, bool on)
{
	s->internet = on;
	int r = fz_choices_set_internet(&s->choices, on);
	if (s->tunnel)
		fz_session_tunnel_set_internet(s->tunnel, on);
	fz_session_apply(s);
	fz_session_changed(s);
	return r;
}

int fz_session_set_resource(struct fz_session *s, const char *id_or_name, bool on)
{
	struct fz_session_resource resource;
	if (!fz_session_resource(s, id_or_name, &resource))
		return -ENOENT;
	if (resource.type == FZ_SESSION_INTERNET)
		return fz_session_set_internet(s, on);
	int r = fz_choices_set_disabled(&s->choices, resource.id, !on);
	fz_session_tunnel_set_enabled(s->tunnel, resource.id, on);
	fz_session_apply(s);
	fz_session_changed(s);
	return r;
}
