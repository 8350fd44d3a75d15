/*
 * The client's session: the portal's link, the tunnel object, the node (WireGuard, paths, TUN, sockets) and the host's
 * addresses, routes and rules, joined. One per signed-in user or service token; lives from a token to its end. The
 * portal away, tunnels go on. What the user chose (Internet Resource, resources switched off) is kept on disk.
 * Firezone's protocol, sections 1.6, 2.2, 2.3, 3.2. Shell; control thread.
 *
 * Callbacks come from the event loop and from within calls here; they may call anything but fz_session_free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/portal.h"
#include "control/reason.h"
#include "crypto/aead.h"
#include "daemon/host.h"
#include "io/backend.h"

struct fz_session;

enum fz_session_state {
	FZ_SESSION_OFF, /* stopped, or never started */
	FZ_SESSION_CONNECTING, /* to the portal, for the first time */
	FZ_SESSION_RAISING, /* joined; waiting for `init`, or the tunnel is being made */
	FZ_SESSION_UP,
	FZ_SESSION_RECONNECTING, /* the tunnel is up, the portal away */
	FZ_SESSION_ENDED, /* by the portal: fz_session_status.reason; start again with a new token */
	FZ_SESSION_FAILED, /* the tunnel cannot be made or go on: detail says why; tried again */
	FZ_SESSION_STATE_COUNT_
};

enum fz_session_notice {
	FZ_SESSION_NOTICE_OFFLINE, /* every gateway of `site` is offline */
	FZ_SESSION_NOTICE_VERSION, /* no gateway of `site` has a version that fits ours */
	FZ_SESSION_NOTICE_FORBIDDEN, /* a policy forbids `resource` now */
	FZ_SESSION_NOTICE_PORTAL_LOST,
	FZ_SESSION_NOTICE_PORTAL_BACK,
	FZ_SESSION_NOTICE_COUNT_
};

/* Each may be NULL. */
struct fz_session_ops {
	void (*changed)(
		void *user); /* status, resources or peers: at most once per turn of the loop */
	/* The portal ended it; `drop_token` if the token is refused by name and must be forgotten. Tunnels are down. */
	void (*ended)(void *user, enum fzp_reason why, bool drop_token);
	void (*notice)(
		void *user, enum fz_session_notice what, const char *resource, const char *site);
};

struct fz_session_params { /* strings are copied */
	const char *api_url; /* "wss://api.firezone.dev/" */
	const char *external_id; /* as it goes on the wire (fzp_external_id) */
	const char *name; /* of this device, for people */
	const char *device_serial, *device_uuid; /* NULL: none */
	const char *user_agent;
	fz_dur partition_limit;
	const char *ca_file, *proxy, *no_proxy; /* as in control/io/link.h; NULL: none */
	bool allow_insecure;
	const char *interface; /* NULL: fz_host_client.interface */
	const char *hosts_file, *resolv_conf; /* as in control/io/link.h; NULL: those in /etc */
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads; /* 0: from the CPUs */
	const char *state_dir; /* where choices are kept; NULL: they are not */
	struct fz_host *host; /* borrowed; outlives the session */
	const bool *
		internet; /* a setting that overrides the kept choice; NULL: the kept one, else off */
	struct fz_session_ops ops;
	void *user;
};

void fz_session_free(struct fz_session *s); /* stops first */
/* 0, -EINVAL (URL, proxy, a text too long), -EPERM (ws:// without the opt-in), -ENOMEM. `event` is referenced. */
int fz_session_new(sd_event *event, const struct fz_session_params *params,
	struct fz_session **ret_session) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

/* Takes the token: *token is empty on return. 0 or negative errno (no TUN, no sockets); a running session starts anew. */
int fz_session_start(struct fz_session *s, struct fz_token *token) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Says goodbye to gateways, takes the tunnel and what was changed on the host down, closes the portal, forgets the token. */
void fz_session_stop(struct fz_session *s) FZ_NONNULL(1);
/* The network changed, or the user asks: new keys, new sockets, every connection anew, reconnect at once. */
int fz_session_reset(struct fz_session *s) FZ_NONNULL(1) FZ_MUST_CHECK;

/* Kept on disk at once; 0 or why it could not be kept (it holds until the end of the session all the same). */
int fz_session_set_internet(struct fz_session *s, bool on) FZ_NONNULL(1) FZ_MUST_CHECK;
/* A choice of this device alone, kept likewise. -ENOENT: no such resource. That of the Internet Resource is the one above. */
int fz_session_set_resource(struct fz_session *s, const char *id_or_name, bool on)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* A few words; never NULL. */
const char *fz_session_state_name(enum fz_session_state state) FZ_RETURNS_NONNULL;
const char *fz_session_notice_text(enum fz_session_notice what) FZ_RETURNS_NONNULL;

#include "daemon/session_view.h" /* what there is to see */
