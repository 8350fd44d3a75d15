/*
 * A peer's sessions, endpoint and wishes. Slots rotate as whitepaper 6.2 and the kernel driver have it: the responder
 * keeps a new session in `next` until the initiator has used it, since only then both are known to have it.
 */
#include "wg/peer.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "wg/constants.h"
#include "wg/device_internal.h"

struct wg_peer *wg_peer_new_maybe(struct wg_device *d, const uint8_t pub[static 32])
{
	struct wg_peer_secret *secret = wg_slab_take_maybe(&d->peer_slab);
	struct wg_peer *p = secret ? fz_new(struct wg_peer) : NULL;
	if (!p) {
		wg_slab_give(&d->peer_slab, secret);
		return NULL;
	}
	p->device = d;
	p->secret = secret;
	p->last_rx = p->last_tx = FZ_NEVER;
	p->max_retransmits = WG_MAX_RETRANSMITS;
	memcpy(secret->noise.public, pub, WG_PUBLIC_LEN);
	wg_cookie_maker_set(&secret->cookie, pub);
	wg_timers_init(&p->timers);
	wg_staging_queue_init(&p->staged);
	wg_allowed_owner_init(&p->allowed);
	fz_list_init(&p->keypairs);
	return p;
}

void wg_peer_free(struct wg_peer *p)
{
	struct wg_device *d = p->device;
	wg_peer_wipe_sessions(p);
	wg_timers_stop(p);
	wg_peer_purge_staged(p);
	wg_allowedips_clear(&d->allowed, &p->allowed);
	if (fz_node_is_linked(&p->in_output))
		fz_list_remove(&p->in_output);
	wg_slab_give(&d->peer_slab, p->secret);
	free(p);
}

void wg_peer_has_output(struct wg_peer *p)
{
	if (!fz_node_is_linked(&p->in_output))
		fz_list_push_back(&p->device->output, &p->in_output);
}

void wg_peer_want_initiation(struct wg_peer *p, fz_time now, bool is_retry)
{
	if (!is_retry)
		p->timers.n_attempts = 0;
	if (!fz_time_reached(now, p->initiation_allowed))
		return;
	p->wants_initiation = true;
	wg_peer_has_output(p);
}

void wg_peer_want_keepalive(struct wg_peer *p)
{
	p->wants_keepalive = true;
	wg_peer_has_output(p);
}

void wg_peer_want_flush(struct wg_peer *p)
{
	if (p->staged.n == 0 && !p->keepalive_waits)
		return;
	p->wants_flush = true;
	wg_peer_has_output(p);
}

void wg_peer_purge_staged(struct wg_peer *p)
{
	uint32_t n = wg_staging_purge(&p->device->staging, &p->staged);
	wg_device_drop(p->device, WG_DROP_STAGE_FULL, n);
	p->wants_keepalive = p->wants_flush = p->keepalive_waits = false;
}

void wg_peer_move_endpoint(struct wg_peer *p, const struct wg_endpoint *from)
{
	if (p->has_way)
		return;
	bool moved = !fz_addr_equal(&p->endpoint.remote, &from->remote);
	p->endpoint = *from;
	if (moved)
		wg_device_tell(p->device, WG_EVENT_ENDPOINT_MOVED, p);
}

/* Out of its slot: nobody can address it any more, though a train may still hold it. */
static void retire(struct wg_peer *p, struct wg_keypair **slot)
{
	struct wg_keypair *k = *slot;
	*slot = NULL;
	if (!k)
		return;
	wg_index_remove(&p->device->indices, k->local_index);
	wg_keypair_unref(k);
}

static void install_as_initiator(struct wg_peer *p, struct wg_keypair *fresh)
{
	retire(p, &p->previous);
	if (p->next) {
		/* They too have begun a session that they have not used yet: it may still be used. */
		p->previous = p->next;
		p->next = NULL;
		retire(p, &p->current);
	} else {
		p->previous = p->current;
	}
	p->current = fresh;
}

static void install_as_responder(struct wg_peer *p, struct wg_keypair *fresh)
{
	retire(p, &p->next);
	retire(p, &p->previous);
	p->next = fresh;
}

bool wg_peer_begin_session(struct wg_peer *p, bool is_initiator, fz_time now)
{
	struct wg_device *d = p->device;
	struct wg_handshake *h = &p->secret->noise.handshake;
	struct wg_keypair *k = wg_keypair_new_maybe(&d->keys_slab);
	if (!k) {
		wg_peer_forget_handshake(p);
		return false;
	}
	k->peer = p;
	fz_list_push_back(&p->keypairs, &k->of_peer);
	k->born = now;
	k->is_initiator = is_initiator;
	k->local_index = h->local_index;
	k->remote_index = h->remote_index;
	wg_noise_derive(&p->secret->noise, is_initiator, k->keys);
	fz_assert(h->has_index);
	h->has_index = false;
	wg_index_hand_over(&d->indices, k->local_index, WG_INDEX_KEYPAIR, k);
	if (is_initiator)
		install_as_initiator(p, k);
	else
		install_as_responder(p, k);
	return true;
}

bool wg_peer_confirm_session(struct wg_peer *p, struct wg_keypair *k)
{
	if (k != p->next)
		return false;
	retire(p, &p->previous);
	p->previous = p->current;
	p->current = p->next;
	p->next = NULL;
	return true;
}

void wg_peer_keep_key_fresh_sent(struct wg_peer *p, fz_time now)
{
	const struct wg_keypair *k = p->current;
	if (!k || !k->may_send)
		return;
	bool is_old =
		k->is_initiator && fz_time_reached(now, fz_time_add(k->born, WG_REKEY_AFTER_TIME));
	if (is_old || k->send_counter > WG_REKEY_AFTER_MESSAGES)
		wg_peer_want_initiation(p, now, false);
}

void wg_peer_keep_key_fresh_received(struct wg_peer *p, fz_time now)
{
	const struct wg_keypair *k = p->current;
	if (p->timers.sent_last_minute || !k || !k->may_send || !k->is_initiator)
		return;
	if (!fz_time_reached(now, fz_time_add(k->born, WG_LAST_MINUTE_REKEY)))
		return;
	p->timers.sent_last_minute = true;
	wg_peer_want_initiation(p, now, false);
}

void wg_peer_forget_handshake(struct wg_peer *p)
{
	struct wg_handshake *h = &p->secret->noise.handshake;
	if (h->has_index)
		wg_index_remove(&p->device->indices, h->local_index);
	h->has_index = false;
	wg_noise_forget(h);
}

void wg_peer_stop_sending(struct wg_peer *p)
{
	wg_peer_forget_handshake(p);
	p->initiation_allowed = (fz_time){ 0 };
	if (p->next)
		p->next->may_send = false;
	if (p->current)
		p->current->may_send = false;
}

static struct wg_keypair **slot_of(struct wg_peer *p, int i)
{
	return i == 0 ? &p->previous : i == 1 ? &p->current : &p->next;
}

fz_time wg_peer_retire_sessions(struct wg_peer *p, fz_time now)
{
	fz_time next = FZ_NEVER;
	for (int i = 0; i < 3; i++) {
		struct wg_keypair **slot = slot_of(p, i), *k = *slot;
		if (!k)
			continue;
		fz_time end = fz_time_add(k->born, WG_ZERO_KEYS_AFTER);
		if (!fz_time_reached(now, end)) {
			next = fz_time_min(next, end);
			continue;
		}
		k->peer = NULL;
		fz_list_remove(&k->of_peer);
		retire(p, slot);
	}
	return next;
}

void wg_peer_wipe_sessions(struct wg_peer *p)
{
	wg_peer_forget_handshake(p);
	FZ_LIST_EACH_SAFE(&p->keypairs, node, after) {
		FZ_CONTAINER_OF(node, struct wg_keypair, of_peer)->peer = NULL;
		fz_list_remove(node);
	}
	retire(p, &p->previous);
	retire(p, &p->current);
	retire(p, &p->next);
}
