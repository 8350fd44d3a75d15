/*
 * The life of the portal connection as a machine of bytes and events: dial, upgrade, join, heartbeat, backoff. No
 * socket, clock or randomness in here: the shell dials when told, moves bytes both ways, and asks for the next
 * action. Protocol: docs/protocol/portal.md. One owner; control thread.
 *
 *   poll -> DIAL        the shell connects TCP and TLS, then fzp_portal_connected or fzp_portal_dial_failed
 *   output/output_taken bytes for the connection      received/disconnected   bytes and end from it
 *   poll -> HANG_UP     the shell closes the connection after writing what is left
 *   poll -> UP, DOWN    for the user; MESSAGE: one push from the portal
 *
 * Call poll until NONE after every other call, and at the latest at fzp_portal_deadline.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/frame.h"
#include "control/reason.h"
#include "control/url.h"

struct fzp_portal;

struct fzp_portal_params {
	struct fzp_url url;
	enum fzp_role role;
	const char *external_id; /* copied, as are all strings */
	const char *name;
	const char *device_serial, *device_uuid; /* NULL: none */
	const char *user_agent;
	/* How long after a join it may be away before the session ends; 0: for ever. Before the first join it does not count. */
	fz_dur partition_limit;
	void (*random)(void *user, struct fz_span out); /* never fails */
	void (*sha1)(
		void *user, struct fz_bytes in, uint8_t ret_digest[20]); /* Sec-WebSocket-Accept */
	void *user;
};

enum fzp_portal_state {
	FZP_PORTAL_OFF, /* not started, or the session has ended */
	FZP_PORTAL_DIALING,
	FZP_PORTAL_UPGRADING,
	FZP_PORTAL_JOINING,
	FZP_PORTAL_UP,
	FZP_PORTAL_WAITING, /* for the next attempt */
	FZP_PORTAL_STATE_COUNT_
};

enum fzp_action_kind {
	FZP_ACTION_NONE,
	FZP_ACTION_DIAL,
	FZP_ACTION_HANG_UP,
	FZP_ACTION_UP, /* joined */
	FZP_ACTION_DOWN, /* reason, retry_at */
	FZP_ACTION_ENDED, /* reason: the session is over, nothing is retried */
	FZP_ACTION_MESSAGE, /* frame */
};

struct fzp_action {
	enum fzp_action_kind kind;
	enum fzp_reason reason;
	fz_time retry_at;
	struct fzp_frame frame; /* borrowed until the next call on the portal */
};

void fzp_portal_free(struct fzp_portal *p);
/* 0, -EINVAL (a parameter is too long) or -ENOMEM. */
int fzp_portal_new(const struct fzp_portal_params *params, struct fzp_portal **ret_portal)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* Takes the token: *token is empty on return. */
void fzp_portal_start(struct fzp_portal *p, struct fz_token *token,
	const uint8_t public_key[static FZ_KEY_LEN], struct fz_now now) FZ_NONNULL(1, 2);
/* Ends the connection with Close 1000 and forgets the token. */
void fzp_portal_stop(struct fzp_portal *p) FZ_NONNULL(1);
/* The network changed: reconnect at once, with this key from now on. Nothing if off. */
void fzp_portal_reset(struct fzp_portal *p, const uint8_t public_key[static FZ_KEY_LEN],
	struct fz_now now) FZ_NONNULL(1);

void fzp_portal_connected(struct fzp_portal *p, struct fz_now now) FZ_NONNULL(1);
void fzp_portal_dial_failed(struct fzp_portal *p, enum fzp_reason why, struct fz_now now)
	FZ_NONNULL(1);
void fzp_portal_received(struct fzp_portal *p, struct fz_bytes in, struct fz_now now) FZ_NONNULL(1);
void fzp_portal_disconnected(struct fzp_portal *p, struct fz_now now) FZ_NONNULL(1);

/* Borrowed until the next call. */
struct fz_bytes fzp_portal_output(struct fzp_portal *p) FZ_NONNULL(1);
void fzp_portal_output_taken(struct fzp_portal *p, size_t n) FZ_NONNULL(1);

/*
 * Sends an event; takes `payload` (json_decref'd in any case). Before the join is answered it waits, bounded, and
 * exact duplicates of what waits are dropped. 0, -ENOTCONN, -ENOMEM or FZ_ERR_LIMIT.
 */
int fzp_portal_send(struct fzp_portal *p, const char *event, json_t *payload)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

void fzp_portal_poll(struct fzp_portal *p, struct fz_now now, struct fzp_action *ret_action)
	FZ_NONNULL(1, 3);
fz_time fzp_portal_deadline(const struct fzp_portal *p) FZ_NONNULL(1);
enum fzp_portal_state fzp_portal_state(const struct fzp_portal *p) FZ_NONNULL(1);
/* Why the last attempt or connection ended; NONE while up. */
enum fzp_reason fzp_portal_reason(const struct fzp_portal *p) FZ_NONNULL(1);
