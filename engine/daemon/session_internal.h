/*
 * What the files of the session share. session.c: life and states; session_portal.c: what the portal says and is told;
 * session_view.c: what there is to see; session_tunnel.c: the data plane.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "control/client_message.h"
#include "control/io/link.h"
#include "daemon/netwatch.h"
#include "daemon/session.h"
#include "daemon/session_choices.h"
#include "daemon/session_host.h"
#include "daemon/session_tunnel.h"
#include "path/candidate.h"

#define FZ_SESSION_HELD_MAX  256 /* candidates waiting for the portal */
#define FZ_SESSION_UPSTREAMS 16
#define FZ_SESSION_TEXT_MAX  512

/* A candidate of ours that the portal could not be told about yet. */
struct fz_held {
	struct fzp_id gateway;
	bool is_gone;
	char text[FZ_CANDIDATE_TEXT_LEN];
};

struct fz_session {
	sd_event *event;
	struct fz_session_ops ops;
	void *user;
	char *api_url, *interface;
	struct fz_host *host;
	struct fzp_link *link;
	struct fz_netwatch *watch; /* NULL where netlink cannot be listened to */
	struct fz_choices choices;
	bool internet; /* in force; the kept choice unless a setting overrides it */
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads;

	enum fz_session_state state; /* as last told */
	fz_wall since, portal_since;
	bool is_running, has_ended, has_tunnel, was_lost;
	bool has_left_out; /* a Resource, and said so since the last init */
	bool is_broken, wants_reset; /* to be mended when `retry` fires */
	enum fzp_reason ended_by;
	char detail[FZ_SESSION_TEXT_MAX]; /* of the tunnel; "" while it is well */

	struct fz_session_tunnel *tunnel; /* while running */
	struct fz_ip ipv4, ipv6;
	uint32_t n_upstreams;
	struct fz_addr upstreams[FZ_SESSION_UPSTREAMS];
	char search_domain[256];
	uint32_t n_held;
	struct fz_held *held; /* of FZ_SESSION_HELD_MAX */
	struct fzp_client_message message; /* the one being read: too large for a stack */

	sd_event_source *tell, *apply, *retry;
	fz_time applied_at;
};

/* session.c */
void fz_session_note(struct fz_session *s); /* looks whether the state is another one, and tells */
void fz_session_changed(struct fz_session *s); /* once this turn */
/* Brings the host in line with addresses and routes, soon; packets see the Resources as they are then. */
void fz_session_apply(struct fz_session *s);

/* session_portal.c */
void fz_session_on_message(struct fz_session *s, const struct fzp_frame *frame);
/* Joined: capabilities, then what was held. */
void fz_session_on_joined(struct fz_session *s);
void fz_session_send(struct fz_session *s, const char *event, json_t *payload);
void fz_session_candidate(
	struct fz_session *s, const struct fzp_id *gateway, const char *text, bool is_gone);
void fz_session_forget_held(struct fz_session *s, const struct fzp_id *gateway); /* NULL: all */
