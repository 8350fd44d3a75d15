/* A node without packets on a wire, and a host on which everything succeeds. See device_fake.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "daemon/host.h"
#include "daemon/rtnl.h"
#include "io/clock.h"
#include "support/test.h"
#include "unit/device_fake.h"

#define PEERS_MAX  8
#define RELAYS_MAX 8

struct fz_node_peer {
	char id[FZ_CONN_ID_LEN];
	void *user;
	uint8_t public_key[FZ_KEY_LEN];
	struct fz_key psk;
	struct fz_ice_credentials local, remote;
};

struct fz_node_tunnel {
	struct fz_node_params params;
	int fd;
	bool is_locked, is_rung;
	struct fz_node_peer *peers[PEERS_MAX];
	char relays[RELAYS_MAX][FZ_CONN_ID_LEN];
	fz_time answers_at[RELAYS_MAX];
	struct fake_node told;
	uint8_t key;
};

static struct fz_node_tunnel *last;
static fz_dur relay_delay;

/* ---- the test's end ---- */

const struct fake_node *fake_node(void)
{
	static const struct fake_node none;
	return last ? &last->told : &none;
}

static struct fz_node_peer **slot_maybe(struct fz_node_tunnel *n, const char *id)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (n->peers[i] && strcmp(n->peers[i]->id, id) == 0)
			return &n->peers[i];
	return NULL;
}

bool fake_has_peer(const char *id)
{
	return last && slot_maybe(last, id);
}

static void ring(struct fz_node_tunnel *n)
{
	while (n->is_rung) {
		n->is_rung = false;
		n->params.ops.rung(n->params.user);
	}
}

enum fz_node_outbound fake_outbound(struct fz_bytes inner)
{
	struct fz_node_peer *peer = NULL;
	uint8_t out[FZ_NODE_ANSWER_MAX];
	size_t len = 0;
	last->is_locked = true;
	enum fz_node_outbound verdict = last->params.hooks.outbound(last->params.hooks.user,
		(struct fz_now){ .at = fz_clock_boot() }, inner, fz_span_of(out, sizeof(out)),
		&peer, &len);
	last->is_locked = false;
	ring(last);
	return verdict;
}

enum fz_node_inbound fake_inbound(const char *id, struct fz_bytes inner)
{
	uint8_t out[FZ_NODE_ANSWER_MAX];
	size_t len = 0;
	struct fz_node_peer **slot = slot_maybe(last, id);
	CHECK(slot);
	last->is_locked = true;
	enum fz_node_inbound verdict = last->params.hooks.inbound(last->params.hooks.user,
		(struct fz_now){ .at = fz_clock_boot() }, *slot, inner,
		fz_span_of(out, sizeof(out)), &len);
	last->is_locked = false;
	ring(last);
	return verdict;
}

void fake_goodbye(void)
{
	static const uint8_t goodbye[48] = { 0x60, [5] = 8, [6] = 0xff, [40] = 2 };
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (last->peers[i])
			(void)fake_inbound(
				last->peers[i]->id, fz_bytes_of(goodbye, sizeof(goodbye)));
}

void fake_candidate(const char *id, const char *text, bool is_gone)
{
	last->params.ops.candidate(last->params.user, id, text, is_gone);
}

void fake_relays_answer_after(fz_dur delay)
{
	relay_delay = delay;
}

/* ---- daemon/node.h ---- */

void fz_node_free(struct fz_node_tunnel *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < PEERS_MAX; i++)
		free(n->peers[i]);
	close(n->fd);
	free(n);
	last = NULL;
}

int fz_node_new(const struct fz_node_params *params, struct fz_node_tunnel **ret_node)
{
	static uint8_t n_made;
	last = fz_new(struct fz_node_tunnel);
	CHECK(last);
	last->params = *params;
	last->fd = eventfd(0, EFD_CLOEXEC);
	last->key = ++n_made;
	CHECK(last->fd >= 0);
	*ret_node = last;
	return 0;
}

int fz_node_start(struct fz_node_tunnel *n)
{
	(void)n;
	return 0;
}

static void drop_all(struct fz_node_tunnel *n)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		free(n->peers[i]);
		n->peers[i] = NULL;
	}
	memset(n->relays, 0, sizeof(n->relays));
}

void fz_node_stop(struct fz_node_tunnel *n)
{
	drop_all(n);
}

int fz_node_reset(struct fz_node_tunnel *n)
{
	drop_all(n);
	n->key = (uint8_t)(n->key + 100);
	return 0;
}

void fz_node_hosts_changed(struct fz_node_tunnel *n)
{
	(void)n; /* the recordings' hosts stay where they are */
}

int fz_node_fd(const struct fz_node_tunnel *n)
{
	return n->fd;
}

void fz_node_process(struct fz_node_tunnel *n)
{
	(void)n;
}

uint32_t fz_node_ifindex(const struct fz_node_tunnel *n)
{
	(void)n;
	return 1;
}

void fz_node_public_key(const struct fz_node_tunnel *n, uint8_t ret_key[static FZ_KEY_LEN])
{
	memset(ret_key, n->key, FZ_KEY_LEN);
}

void fz_node_lock(struct fz_node_tunnel *n)
{
	CHECK(!n->is_locked);
	n->is_locked = true;
}

void fz_node_unlock(struct fz_node_tunnel *n)
{
	CHECK(n->is_locked);
	n->is_locked = false;
}

void fz_node_ring(struct fz_node_tunnel *n)
{
	CHECK(n->is_locked);
	n->is_rung = true;
}

int fz_node_set_relay(struct fz_node_tunnel *n, const struct fz_paths_relay *relay)
{
	size_t at = RELAYS_MAX;
	for (size_t i = RELAYS_MAX; i > 0; i--) {
		if (strcmp(n->relays[i - 1], relay->id) == 0)
			return 0;
		if (!n->relays[i - 1][0])
			at = i - 1;
	}
	CHECK(at < RELAYS_MAX);
	snprintf(n->relays[at], FZ_CONN_ID_LEN, "%s", relay->id);
	n->answers_at[at] = fz_time_add(fz_clock_boot(), relay_delay);
	return 0;
}

void fz_node_remove_relay(struct fz_node_tunnel *n, const char *id)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (strcmp(n->relays[i], id) == 0)
			n->relays[i][0] = '\0';
}

static bool has_relay(const struct fz_node_tunnel *n)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (n->relays[i][0] && fz_time_reached(fz_clock_boot(), n->answers_at[i]))
			return true;
	return false;
}

static bool is_same(const struct fz_node_peer *p, const struct fz_conn_params *params)
{
	return memcmp(p->public_key, params->public_key, FZ_KEY_LEN) == 0 &&
	       memcmp(p->psk.b, params->preshared_key->b, FZ_KEY_LEN) == 0 &&
	       strcmp(p->local.ufrag, params->local->ufrag) == 0 &&
	       strcmp(p->local.password, params->local->password) == 0 &&
	       strcmp(p->remote.ufrag, params->remote->ufrag) == 0 &&
	       strcmp(p->remote.password, params->remote->password) == 0;
}

int fz_node_upsert(struct fz_node_tunnel *n, const struct fz_conn_params *params,
	struct fz_node_peer **ret_peer)
{
	enum fz_paths_upsert result = FZ_PATHS_REPLACED;
	if (!has_relay(n))
		return -ENOTCONN;
	struct fz_node_peer **slot = slot_maybe(n, params->id);
	for (size_t i = 0; !slot && i < PEERS_MAX; i++) {
		if (n->peers[i])
			continue;
		slot = &n->peers[i];
		*slot = fz_new(struct fz_node_peer);
		CHECK(*slot);
		snprintf((*slot)->id, sizeof((*slot)->id), "%s", params->id);
		result = FZ_PATHS_CREATED;
	}
	CHECK(slot);
	struct fz_node_peer *p = *slot;
	if (result == FZ_PATHS_REPLACED && is_same(p, params))
		result = FZ_PATHS_KEPT;
	memcpy(p->public_key, params->public_key, FZ_KEY_LEN);
	p->psk = *params->preshared_key;
	p->local = *params->local;
	p->remote = *params->remote;
	n->told.n_created += result == FZ_PATHS_CREATED;
	n->told.n_kept += result == FZ_PATHS_KEPT;
	n->told.n_replaced += result == FZ_PATHS_REPLACED;
	n->told.is_controlling = params->is_controlling;
	snprintf(n->told.local_ufrag, sizeof(n->told.local_ufrag), "%s", p->local.ufrag);
	snprintf(n->told.remote_ufrag, sizeof(n->told.remote_ufrag), "%s", p->remote.ufrag);
	*ret_peer = p;
	return (int)result;
}

struct fz_node_peer *fz_node_find_maybe(struct fz_node_tunnel *n, const char *id)
{
	struct fz_node_peer **slot = slot_maybe(n, id);
	return slot ? *slot : NULL;
}

void fz_node_remove(struct fz_node_tunnel *n, const char *id)
{
	struct fz_node_peer **slot = slot_maybe(n, id);
	if (!slot)
		return;
	free(*slot);
	*slot = NULL;
}

void fz_node_add_candidate(struct fz_node_tunnel *n, const char *id, const char *text)
{
	CHECK(strncmp(text, "candidate:", 10) == 0);
	n->told.n_added += slot_maybe(n, id) != NULL;
}

void fz_node_remove_candidate(struct fz_node_tunnel *n, const char *id, const char *text)
{
	CHECK(strncmp(text, "candidate:", 10) == 0);
	n->told.n_gone += slot_maybe(n, id) != NULL;
}

void fz_node_send(struct fz_node_tunnel *n, struct fz_node_peer *peer, struct fz_bytes inner)
{
	CHECK(slot_maybe(n, peer->id));
	CHECK(inner.n >= 20);
}

void fz_node_peer_set_user(struct fz_node_peer *peer, void *user)
{
	peer->user = user;
}

void *fz_node_peer_user(const struct fz_node_peer *peer)
{
	return peer->user;
}

void fz_node_peer_stats(
	struct fz_node_tunnel *n, const struct fz_node_peer *peer, struct fz_node_peer_stats *ret)
{
	(void)n;
	(void)peer;
	*ret = (struct fz_node_peer_stats){ .path = FZ_NODE_DIRECT, .has_session = true };
}

void fz_node_stats(struct fz_node_tunnel *n, struct fz_node_stats *ret)
{
	(void)n;
	*ret = (struct fz_node_stats){ 0 };
}

bool fz_node_relay_info(struct fz_node_tunnel *n, size_t i, struct fz_paths_relay_info *ret_info,
	char ret_id[static FZ_CONN_ID_LEN])
{
	if (i >= RELAYS_MAX || !n->relays[i][0])
		return false;
	memcpy(ret_id, n->relays[i], FZ_CONN_ID_LEN);
	*ret_info = (struct fz_paths_relay_info){ .id = ret_id };
	return true;
}

const char *fz_node_failure_name(enum fz_node_failure why)
{
	(void)why;
	return "";
}

/* ---- daemon/host.h and daemon/rtnl.h ---- */

int fz_host_apply(struct fz_host *h, uint32_t ifindex, const struct fz_host_item *items, size_t n)
{
	(void)h;
	(void)ifindex;
	(void)items;
	(void)n;
	return 0;
}

int fz_host_revert(struct fz_host *h)
{
	(void)h;
	return 0;
}

bool fz_host_has_ipv4(const struct fz_host *h)
{
	(void)h;
	return true;
}

bool fz_host_has_ipv6(const struct fz_host *h)
{
	(void)h;
	return true;
}

void fz_rtnl_free(struct fz_rtnl *n)
{
	(void)n;
}

int fz_rtnl_new(struct fz_rtnl **ret_rtnl)
{
	static char nothing;
	*ret_rtnl = (struct fz_rtnl *)(void *)&nothing;
	return 0;
}

int fz_rtnl_link_up(struct fz_rtnl *n, uint32_t ifindex, uint32_t mtu, uint32_t txqueuelen)
{
	(void)n;
	(void)ifindex;
	(void)mtu;
	(void)txqueuelen;
	return 0;
}

int fz_rtnl_each_route(struct fz_rtnl *n, fz_route_fn fn, void *user)
{
	(void)n;
	(void)fn;
	(void)user;
	return 0;
}

int fz_rtnl_each_address(struct fz_rtnl *n, fz_address_fn fn, void *user)
{
	(void)n;
	(void)fn;
	(void)user;
	return 0;
}
