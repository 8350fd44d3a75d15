/*
 * The five timers of a peer, as the kernel driver arms them. The data path stores stamps only: a deadline that moves
 * later is noticed when its old instant comes, so no packet moves anything in the schedule. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"
#include "wg/schedule.h"

struct wg_peer;

enum wg_timer {
	WG_TIMER_RETRANSMIT, /* an initiation was not answered */
	WG_TIMER_KEEPALIVE, /* data came in and nothing went out */
	WG_TIMER_NEW_HANDSHAKE, /* data went out and nothing came in */
	WG_TIMER_ZERO_KEYS,
	WG_TIMER_PERSISTENT,
	WG_TIMER_COUNT_
};

/* Inside the peer; _init first. */
struct wg_timers {
	struct wg_schedule_item item; /* scheduled no later than the earliest of `due` */
	fz_time due[WG_TIMER_COUNT_];
	uint32_t n_attempts; /* retransmits of the present initiation */
	bool needs_another_keepalive;
	bool sent_last_minute; /* the receive path has asked for a new session already */
};

void wg_timers_init(struct wg_timers *t) FZ_NONNULL(1);
/* Cancels all and forgets attempts. */
void wg_timers_stop(struct wg_peer *p) FZ_NONNULL(1);
/* Runs what is due and schedules the rest exactly. */
void wg_timers_run(struct wg_peer *p, struct fz_now now) FZ_NONNULL(1);

/*
 * `since`: when what has been sent was given its counter. On several threads the answer may be heard of before it is said that the
 * question is on its way: what came since then is not undone.
 */
void wg_timers_data_sent(struct wg_peer *p, fz_time now, fz_time since) FZ_NONNULL(1);
void wg_timers_data_received(struct wg_peer *p, fz_time now) FZ_NONNULL(1);
/* Any authenticated message, keepalives and handshakes too. */
void wg_timers_any_sent(struct wg_peer *p, fz_time now, fz_time since) FZ_NONNULL(1);
void wg_timers_any_received(struct wg_peer *p, fz_time now) FZ_NONNULL(1);
void wg_timers_initiation_sent(struct wg_peer *p, fz_time now) FZ_NONNULL(1);
void wg_timers_handshake_complete(struct wg_peer *p, struct fz_now now) FZ_NONNULL(1);
void wg_timers_session_derived(struct wg_peer *p, fz_time now) FZ_NONNULL(1);
