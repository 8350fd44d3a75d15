/* The device as a whole: its life, its identity, its peers, its queue of events. Data and handshakes: device_*.c. */
#include "wg/device.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/err.h"
#include "crypto/x25519.h"
#include "wg/constants.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

void wg_device_random(struct wg_device *d, void *out, size_t n)
{
	d->params.random(d->params.user, fz_span_of(out, n));
}

uint64_t wg_device_jitter32(struct wg_device *d)
{
	/* Steele, Lea, Flood: SplitMix (2014). Spreads timers only; a system call per train would be too dear. */
	uint64_t z = d->jitter += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) >> 32;
}

static bool allocate(struct wg_device *d)
{
	d->secret = fz_secret_new(sizeof(*d->secret));
	d->handshakes.slots = fz_new_array(struct wg_queued_handshake, WG_MAX_HANDSHAKES);
	d->events.slots = fz_new_array(struct wg_event, WG_MAX_EVENTS);
	return d->secret && d->handshakes.slots && d->events.slots &&
	       wg_index_init(&d->indices, d->params.random, d->params.user) == 0;
}

struct wg_device *wg_device_new(const struct wg_device_params *params)
{
	struct wg_device *d = fz_new(struct wg_device);
	if (!d)
		return NULL;
	d->params = *params;
	if (d->params.max_peers == 0 || d->params.max_peers > WG_MAX_PEERS)
		d->params.max_peers = WG_MAX_PEERS;
	fz_list_init(&d->peers);
	fz_list_init(&d->output);
	wg_allowedips_init(&d->allowed);
	wg_slab_init(&d->keys_slab, sizeof(struct wg_keys));
	wg_slab_init(&d->peer_slab, sizeof(struct wg_peer_secret));
	wg_staging_init(&d->staging, WG_STAGING_MAX_BYTES);
	wg_device_random(d, &d->jitter, sizeof(d->jitter));
	struct fz_hash_key key;
	wg_device_random(d, &key, sizeof(key));
	wg_peer_table_init(&d->by_key, key);
	wg_device_random(d, &key, sizeof(key));
	wg_ratelimit_init(&d->ratelimit, key, WG_RATELIMIT_MAX);
	d->icmp_tokens = UINT64_MAX / 2; /* cut down to a full bucket at first use */
	if (!allocate(d)) {
		wg_device_free(d);
		return NULL;
	}
	return d;
}

void wg_device_free(struct wg_device *d)
{
	if (!d)
		return;
	wg_device_remove_all_peers(d);
	wg_ratelimit_done(&d->ratelimit);
	wg_index_done(&d->indices);
	wg_schedule_done(&d->schedule);
	wg_peer_table_done(&d->by_key);
	wg_staging_done(&d->staging);
	wg_slab_done(&d->keys_slab); /* asserts that no train still holds a key */
	wg_slab_done(&d->peer_slab);
	fz_secret_free(d->secret, sizeof(*d->secret));
	free(d->handshakes.slots);
	free(d->events.slots);
	free(d);
}

void wg_device_up(struct wg_device *d, struct fz_now now)
{
	(void)now;
	if (d->is_up)
		return;
	d->is_up = true;
	FZ_LIST_EACH(&d->peers, node) {
		struct wg_peer *p = FZ_CONTAINER_OF(node, struct wg_peer, in_device);
		if (p->keepalive_seconds > 0)
			wg_peer_want_keepalive(p);
		if (p->staged.n > 0)
			wg_peer_want_flush(p);
	}
}

void wg_device_down(struct wg_device *d)
{
	d->is_up = false;
	d->handshakes.n = 0;
	FZ_LIST_EACH(&d->peers, node) {
		struct wg_peer *p = FZ_CONTAINER_OF(node, struct wg_peer, in_device);
		wg_peer_expire(p);
	}
	wg_staging_trim(&d->staging);
}

bool wg_device_is_up(const struct wg_device *d)
{
	return d->is_up;
}

/* Sessions are bound to the old identity: they may end in peace, but nothing more is sent with them. */
static void identity_changed(struct wg_device *d)
{
	d->handshakes.n = 0; /* their macs were made for the old identity */
	FZ_LIST_EACH(&d->peers, node) {
		struct wg_peer *p = FZ_CONTAINER_OF(node, struct wg_peer, in_device);
		struct wg_noise_peer *np = &p->secret->noise;
		np->has_static_static = false;
		fz_key_wipep(&np->static_static);
		wg_peer_stop_sending(p);
	}
}

void wg_device_set_private_key(struct wg_device *d, const struct fz_key *key, struct fz_now now)
{
	(void)now;
	struct wg_noise_self *self = &d->secret->self;
	FZ_CLEANUP(fz_key_wipep) struct fz_key clamped = *key;
	bool is_none = fz_ct_is_zero(&clamped, sizeof(clamped));
	if (!is_none)
		fz_x25519_clamp(&clamped);
	if (fz_ct_equal(&clamped, &self->private, sizeof(clamped)))
		return;
	wg_noise_self_set(self, &clamped);
	if (self->is_set) {
		wg_cookie_checker_set(&d->secret->checker, self->public);
		struct wg_peer *own = wg_device_find_peer(d, self->public);
		if (own)
			wg_device_remove_peer(d, own);
	}
	identity_changed(d);
}

bool wg_device_private_key(const struct wg_device *d, struct fz_key *ret_key)
{
	if (!d->secret->self.is_set)
		return false;
	*ret_key = d->secret->self.private;
	return true;
}

bool wg_device_public_key(const struct wg_device *d, uint8_t ret_pub[static 32])
{
	if (!d->secret->self.is_set)
		return false;
	memcpy(ret_pub, d->secret->self.public, WG_PUBLIC_LEN);
	return true;
}

void wg_device_set_mtu(struct wg_device *d, uint32_t mtu)
{
	d->mtu = mtu;
}

void wg_device_set_port(struct wg_device *d, uint16_t port)
{
	d->port = port;
}

void wg_device_clear_sources(struct wg_device *d)
{
	FZ_LIST_EACH(&d->peers, node)
		wg_peer_clear_source(FZ_CONTAINER_OF(node, struct wg_peer, in_device));
}

const uint64_t *wg_device_drops(const struct wg_device *d)
{
	return d->drops;
}

void wg_device_count_drop(struct wg_device *d, enum wg_drop why, uint64_t n)
{
	wg_device_drop(d, why, n);
}

struct wg_peer *wg_device_find_peer(struct wg_device *d, const uint8_t pub[static 32])
{
	return wg_peer_table_find_maybe(&d->by_key, pub);
}

int wg_device_add_peer(struct wg_device *d, const uint8_t pub[static 32], struct wg_peer **ret_peer)
{
	const struct wg_noise_self *self = &d->secret->self;
	if (self->is_set && fz_ct_equal(self->public, pub, WG_PUBLIC_LEN))
		return -EADDRINUSE;
	if (wg_device_find_peer(d, pub))
		return -EEXIST;
	if (d->by_key.n >= d->params.max_peers)
		return FZ_ERR_LIMIT;
	if (wg_schedule_reserve(&d->schedule, d->by_key.n + 1) < 0)
		return -ENOMEM;
	struct wg_peer *p = wg_peer_new_maybe(d, pub);
	if (!p)
		return -ENOMEM;
	if (wg_peer_table_add(&d->by_key, p) < 0) {
		wg_peer_free(p);
		return -ENOMEM;
	}
	fz_list_push_back(&d->peers, &p->in_device);
	*ret_peer = p;
	return 0;
}

static void take_back_events(struct wg_device *d, const struct wg_peer *p)
{
	struct wg_event_queue *q = &d->events;
	for (uint32_t i = 0; i < q->n; i++) {
		struct wg_event *e = &q->slots[(q->head + i) % WG_MAX_EVENTS];
		if (e->peer == p)
			e->peer = NULL;
	}
}

void wg_device_remove_peer(struct wg_device *d, struct wg_peer *p)
{
	take_back_events(d, p);
	wg_peer_table_remove(&d->by_key, p);
	fz_list_remove(&p->in_device);
	wg_peer_free(p);
}

void wg_device_remove_all_peers(struct wg_device *d)
{
	d->events.n = 0;
	FZ_LIST_EACH_SAFE(&d->peers, node, after)
		wg_device_remove_peer(d, FZ_CONTAINER_OF(node, struct wg_peer, in_device));
}

uint32_t wg_device_n_peers(const struct wg_device *d)
{
	return d->by_key.n;
}

struct wg_peer *wg_device_next_peer(const struct wg_device *d, const struct wg_peer *after)
{
	struct fz_node *node = after ? after->in_device.next : d->peers.head.next;
	return node == &d->peers.head ? NULL : FZ_CONTAINER_OF(node, struct wg_peer, in_device);
}

void wg_device_tell(struct wg_device *d, enum wg_event_kind kind, struct wg_peer *p)
{
	struct wg_event_queue *q = &d->events;
	if (q->n == WG_MAX_EVENTS) {
		q->head = (q->head + 1) % WG_MAX_EVENTS;
		q->n--;
	}
	q->slots[(q->head + q->n++) % WG_MAX_EVENTS] = (struct wg_event){ .kind = kind, .peer = p };
}

bool wg_device_take_event(
	struct wg_device *d, enum wg_event_kind *ret_kind, struct wg_peer **ret_peer)
{
	struct wg_event_queue *q = &d->events;
	while (q->n > 0) {
		struct wg_event e = q->slots[q->head];
		q->head = (q->head + 1) % WG_MAX_EVENTS;
		q->n--;
		if (!e.peer)
			continue;
		*ret_kind = e.kind;
		*ret_peer = e.peer;
		return true;
	}
	return false;
}
