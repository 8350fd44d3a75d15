/*
 * Cancelling or postponing only stores a stamp; the schedule learns of it when the old instant comes. Arming earlier
 * than anything scheduled moves the peer's item, which for a peer with traffic happens once per timeout, not per
 * packet. Order within one instant is that of enum wg_timer.
 */
#include "wg/timers.h"

#include "wg/constants.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

void wg_timers_init(struct wg_timers *t)
{
	*t = (struct wg_timers){ 0 };
	for (int i = 0; i < WG_TIMER_COUNT_; i++)
		t->due[i] = FZ_NEVER;
}

void wg_timers_stop(struct wg_peer *p)
{
	wg_schedule_set(&p->device->schedule, &p->timers.item, FZ_NEVER);
	wg_timers_init(&p->timers);
}

static void arm_at(struct wg_peer *p, enum wg_timer which, fz_time when)
{
	struct wg_schedule *s = &p->device->schedule;
	p->timers.due[which] = when;
	if (when.ns < wg_schedule_due(s, &p->timers.item).ns)
		wg_schedule_set(s, &p->timers.item, when);
}

static void arm(struct wg_peer *p, enum wg_timer which, fz_time now, fz_dur in)
{
	arm_at(p, which, fz_time_add(now, in));
}

static void cancel(struct wg_peer *p, enum wg_timer which)
{
	p->timers.due[which] = FZ_NEVER;
}

static bool is_armed(const struct wg_peer *p, enum wg_timer which)
{
	return !fz_time_is_never(p->timers.due[which]);
}

static fz_dur with_jitter(struct wg_peer *p, fz_dur d)
{
	return FZ_NANOSECONDS(d.ns + (wg_device_jitter32(p->device) * WG_JITTER_MAX_NS >> 32));
}

static void give_up(struct wg_peer *p, fz_time now)
{
	cancel(p, WG_TIMER_KEEPALIVE);
	wg_peer_purge_staged(p);
	if (!is_armed(p, WG_TIMER_ZERO_KEYS))
		arm(p, WG_TIMER_ZERO_KEYS, now, WG_ZERO_KEYS_AFTER);
	wg_device_tell(p->device, WG_EVENT_HANDSHAKE_GAVE_UP, p);
}

static void expire_retransmit(struct wg_peer *p, fz_time now)
{
	if (p->timers.n_attempts > p->max_retransmits) {
		give_up(p, now);
		return;
	}
	p->timers.n_attempts++;
	/* The way back may be what is broken: let the kernel choose our address anew. */
	wg_peer_clear_source(p);
	wg_peer_want_initiation(p, now, true);
}

static void expire_keepalive(struct wg_peer *p, fz_time now)
{
	wg_peer_want_keepalive(p);
	if (!p->timers.needs_another_keepalive)
		return;
	p->timers.needs_another_keepalive = false;
	/* As in the kernel driver, the keepalive just asked for cancels this again when it goes out. */
	arm(p, WG_TIMER_KEEPALIVE, now, WG_KEEPALIVE_TIMEOUT);
}

/* The driver wipes all three sessions that long after the last one began; here none outlives its own time, whatever follows it. */
static void expire_keys(struct wg_peer *p, fz_time now)
{
	fz_time next = wg_peer_retire_sessions(p, now);
	if (fz_time_is_never(next))
		wg_peer_wipe_sessions(p);
	else
		arm_at(p, WG_TIMER_ZERO_KEYS, next);
}

static void expire(struct wg_peer *p, enum wg_timer which, struct fz_now now)
{
	switch (which) {
	case WG_TIMER_RETRANSMIT: expire_retransmit(p, now.at); break;
	case WG_TIMER_KEEPALIVE: expire_keepalive(p, now.at); break;
	case WG_TIMER_NEW_HANDSHAKE:
		wg_peer_clear_source(p);
		wg_peer_want_initiation(p, now.at, false);
		break;
	case WG_TIMER_ZERO_KEYS: expire_keys(p, now.at); break;
	case WG_TIMER_PERSISTENT:
		if (p->keepalive_seconds > 0)
			wg_peer_want_keepalive(p);
		break;
	case WG_TIMER_COUNT_: break;
	}
}

void wg_timers_run(struct wg_peer *p, struct fz_now now)
{
	for (int i = 0; i < WG_TIMER_COUNT_; i++) {
		if (!fz_time_reached(now.at, p->timers.due[i]))
			continue;
		p->timers.due[i] = FZ_NEVER;
		expire(p, (enum wg_timer)i, now);
	}
	fz_time first = FZ_NEVER;
	for (int i = 0; i < WG_TIMER_COUNT_; i++)
		first = fz_time_min(first, p->timers.due[i]);
	wg_schedule_set(&p->device->schedule, &p->timers.item, first);
}

void wg_timers_data_sent(struct wg_peer *p, fz_time now, fz_time since)
{
	bool is_answered = p->last_rx.ns > since.ns;
	if (!is_answered && !is_armed(p, WG_TIMER_NEW_HANDSHAKE))
		arm(p, WG_TIMER_NEW_HANDSHAKE, now, with_jitter(p, WG_NEW_HANDSHAKE_TIMEOUT));
}

void wg_timers_data_received(struct wg_peer *p, fz_time now)
{
	if (is_armed(p, WG_TIMER_KEEPALIVE))
		p->timers.needs_another_keepalive = true;
	else
		arm(p, WG_TIMER_KEEPALIVE, now, WG_KEEPALIVE_TIMEOUT);
}

static void any_traversal(struct wg_peer *p, fz_time now)
{
	if (p->keepalive_seconds > 0)
		arm(p, WG_TIMER_PERSISTENT, now, FZ_SECONDS(p->keepalive_seconds));
}

void wg_timers_any_sent(struct wg_peer *p, fz_time now, fz_time since)
{
	p->last_tx = now;
	fz_time newest = fz_time_add(since, WG_KEEPALIVE_TIMEOUT);
	if (p->timers.due[WG_TIMER_KEEPALIVE].ns <= newest.ns)
		cancel(p, WG_TIMER_KEEPALIVE);
	any_traversal(p, now);
}

void wg_timers_any_received(struct wg_peer *p, fz_time now)
{
	p->last_rx = now;
	cancel(p, WG_TIMER_NEW_HANDSHAKE);
	any_traversal(p, now);
}

void wg_timers_initiation_sent(struct wg_peer *p, fz_time now)
{
	arm(p, WG_TIMER_RETRANSMIT, now, with_jitter(p, WG_REKEY_TIMEOUT));
}

void wg_timers_handshake_complete(struct wg_peer *p, struct fz_now now)
{
	cancel(p, WG_TIMER_RETRANSMIT);
	p->timers.n_attempts = 0;
	p->timers.sent_last_minute = false;
	p->last_handshake = now.wall;
	wg_device_tell(p->device, WG_EVENT_SESSION_UP, p);
}

void wg_timers_session_derived(struct wg_peer *p, fz_time now)
{
	arm_at(p, WG_TIMER_ZERO_KEYS, wg_peer_retire_sessions(p, now));
}
