/*
 * What surrounds a device's state machines, for tests in virtual time: its portal (the machine of control/portal.h with the test at
 * the other end), its node, its host. They stand in the place of control/io/link.c and sock.c, daemon/node*.c, host.c and
 * rtnl.c, and the clock is the test's. One device at a time.
 */
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "daemon/node.h"

/* ---- time ---- */

/* Back to the beginning; no device may live. */
void fake_begin(void);
/* Seconds since then; whatever is due on the way happens when it is due. */
void fake_run_to(double seconds);
double fake_now(void);

/* ---- the portal ---- */

/* The device dials, or will within `patience` seconds: its request's target, once per attempt; then 101 or a refusal is up to the test. */
const char *fake_dialled(double patience);
void fake_accept(void);
void fake_refuse(const char *status, const char *code);
void fake_hear(const char *text);
void fake_close(void);
/* The next text frame of the device, until the next call; NULL: none. */
const char *fake_said_maybe(void);
bool fake_portal_is_up(void);

/* ---- the node ---- */

struct fake_node {
	unsigned n_created, n_kept, n_replaced; /* connections */
	unsigned n_added, n_gone; /* candidates of the other side, for connections that are there */
	bool is_controlling; /* of the last connection */
	char local_ufrag[64], remote_ufrag[64];
};

const struct fake_node *fake_node(void);
bool fake_has_peer(const char *id);
/* As the data threads do. */
enum fz_node_outbound fake_outbound(struct fz_bytes inner);
enum fz_node_inbound fake_inbound(const char *id, struct fz_bytes inner);
/* Relays made known from now on. */
void fake_relays_answer_after(fz_dur delay);
/* Every peer says that it leaves. */
void fake_goodbye(void);
/* A candidate of ours came up, or went. */
void fake_candidate(const char *id, const char *text, bool is_gone);
