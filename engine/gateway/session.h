/*
 * A gateway's life between a token and its end: the portal's link, the table of clients and grants, the node
 * (WireGuard, paths, TUN, sockets) and the host's addresses and routes, joined. The portal away, connections go on;
 * its `init` on return is applied as a difference. Protocol: docs/protocol/portal.md, "Gateway". Shell; control thread.
 *
 * Callbacks come from the event loop and from within calls here; they may call anything but gw_session_free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/attr.h"
#include "base/secret.h"
#include "control/portal.h"
#include "control/reason.h"
#include "control/url.h"
#include "crypto/aead.h"
#include "daemon/host.h"
#include "io/backend.h"

struct gw_session;

/* Each may be NULL. */
struct gw_session_ops {
	void (*changed)(void *user); /* the status */
	void (*ended)(void *user, enum fzp_reason why); /* by the portal: nothing is retried */
	void (*failed)(void *user, int err); /* the data plane cannot go on */
};

struct gw_session_params { /* strings are copied */
	struct fzp_url url;
	const char *external_id; /* as it goes on the wire (fzp_external_id) */
	const char *name;
	const char *user_agent;
	const char *ca_file, *proxy, *no_proxy; /* as in control/io/link.h; NULL: none */
	bool allow_insecure;
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads; /* 0: from the CPUs */
	struct fz_host *host; /* borrowed; outlives the session */
	struct gw_session_ops ops;
	void *user;
};

void gw_session_free(struct gw_session *s); /* stops first */
/*
 * Makes TUN, sockets and data threads; nothing is said to anybody yet. 0, -EINVAL (URL, proxy, a text too long),
 * -EPERM (ws:// without the opt-in, or no privileges), -EBUSY (the interface exists), -ENOMEM and what opening said.
 * `event` is referenced.
 */
int gw_session_new(sd_event *event, const struct gw_session_params *params,
	struct gw_session **ret_session) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* Takes the token: *token is empty on return. */
void gw_session_start(struct gw_session *s, struct fz_token *token) FZ_NONNULL(1, 2);
/* Says goodbye to clients, undoes what was done to the host, closes the portal, forgets the token. */
void gw_session_stop(struct gw_session *s) FZ_NONNULL(1);

struct gw_session_status {
	enum fzp_portal_state portal;
	enum fzp_reason reason; /* why the portal is away, or why it ended */
	const char *
		detail; /* one exact sentence, "" if there is nothing to say; borrowed until the next event */
	bool is_ready; /* joined, and the tunnel has its addresses */
	uint32_t n_clients, n_grants;
	fz_time retry_at; /* FZ_NEVER: not waiting */
};

void gw_session_status(const struct gw_session *s, struct gw_session_status *ret) FZ_NONNULL(1, 2);
