/*
 * The portal's state machine (control/portal.h) on real sockets: resolves, dials, does TLS, moves bytes and time on an
 * sd-event loop, which it never blocks. Nothing is decided here. Shell; control thread.
 *
 * Callbacks come from the loop and from within start and reset, never from send; they may call everything but
 * fzp_link_free.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/frame.h"
#include "control/portal.h"
#include "control/reason.h"
#include "control/url.h"

struct fzp_link;

/* Each may be NULL. */
struct fzp_link_ops {
	void (*up)(void *user); /* joined */
	void (*down)(void *user, enum fzp_reason why, fz_time retry_at);
	void (*ended)(
		void *user, enum fzp_reason why); /* the session is over, nothing is retried */
	/* One push. `frame` is borrowed until the callback returns or calls stop or reset. */
	void (*message)(void *user, const struct fzp_frame *frame);
	void (*state)(void *user, enum fzp_portal_state state); /* after every change */
};

struct fzp_link_params { /* strings are copied */
	struct fzp_url url;
	enum fzp_role role;
	const char *external_id; /* as it goes on the wire: fzp_external_id */
	const char *name;
	const char *device_serial, *device_uuid; /* NULL: none */
	const char *user_agent; /* fzp_user_agent */
	uint32_t mark; /* SO_MARK of every socket, also of DNS queries; 0: none */
	fz_dur partition_limit; /* of struct fzp_portal_params */
	const char *ca_file; /* PEM, trusted instead of the system's store; NULL: the system's */
	const char *proxy; /* "http://[user:password@]host[:port]"; NULL or "": none */
	const char *
		no_proxy; /* comma-separated hosts and .suffixes reached without it, "*" for all; NULL */
	bool allow_insecure; /* ws:// is allowed */
	const char *hosts_file, *resolv_conf; /* NULL: those in /etc */
	struct fzp_link_ops ops;
	void *user;
};

void fzp_link_free(struct fzp_link *l);
/* 0, -EINVAL (a text is too long, or the proxy's URL is none), -EPERM (ws:// was not allowed), -ENOMEM. `event` is referenced. */
int fzp_link_new(sd_event *event, const struct fzp_link_params *params, struct fzp_link **ret_link)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

/* Takes the token: *token is empty on return. A link that runs starts anew. */
void fzp_link_start(struct fzp_link *l, struct fz_token *token,
	const uint8_t public_key[static FZ_KEY_LEN]) FZ_NONNULL(1, 2);
/* Ends the connection with Close 1000 and forgets the token; no callback follows. */
void fzp_link_stop(struct fzp_link *l) FZ_NONNULL(1);
/* The network changed: reconnect at once, with this key from now on. */
void fzp_link_reset(struct fzp_link *l, const uint8_t public_key[static FZ_KEY_LEN]) FZ_NONNULL(1);
/* Takes `payload` in any case. 0, -ENOTCONN, -ENOMEM or FZ_ERR_LIMIT. */
int fzp_link_send(struct fzp_link *l, const char *event, json_t *payload)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

enum fzp_portal_state fzp_link_state(const struct fzp_link *l) FZ_NONNULL(1);
enum fzp_reason fzp_link_reason(const struct fzp_link *l) FZ_NONNULL(1);
/* When the next attempt is made; FZ_NEVER unless waiting for it. */
fz_time fzp_link_retry_at(const struct fzp_link *l) FZ_NONNULL(1);
/* What went wrong last in one sentence, more exact than the reason's text; "" if nothing did. Borrowed until the next event. */
const char *fzp_link_detail(const struct fzp_link *l) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* For people: the addresses the portal's (or the proxy's) name has, the one in use first. Returns how many. */
size_t fzp_link_server_addrs(const struct fzp_link *l, struct fz_addr *ret_addrs, size_t cap)
	FZ_NONNULL(1);
