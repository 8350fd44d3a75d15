/* Whitepaper 6.2: what a key may still be used for. Counters are reserved before anything can fail, so none is used twice. */
#include "wg/keypair.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"

struct wg_keypair *wg_keypair_new_maybe(struct wg_slab *slab)
{
	struct wg_keys *keys = wg_slab_take_maybe(slab);
	struct wg_keypair *k = keys ? fz_new(struct wg_keypair) : NULL;
	if (!k) {
		wg_slab_give(slab, keys);
		return NULL;
	}
	k->keys = keys;
	k->slab = slab;
	k->n_refs = 1;
	k->may_send = k->may_receive = true;
	return k;
}

struct wg_keypair *wg_keypair_ref(struct wg_keypair *k)
{
	fz_assert(k->n_refs > 0);
	k->n_refs++;
	return k;
}

void wg_keypair_unref(struct wg_keypair *k)
{
	if (!k)
		return;
	fz_assert(k->n_refs > 0);
	if (--k->n_refs > 0)
		return;
	if (fz_node_is_linked(&k->of_peer))
		fz_list_remove(&k->of_peer);
	wg_slab_give(k->slab, k->keys);
	fz_wipe(k, sizeof(*k));
	free(k);
}

static bool is_alive(const struct wg_keypair *k, fz_time now)
{
	return !fz_time_reached(now, fz_time_add(k->born, WG_REJECT_AFTER_TIME));
}

bool wg_keypair_can_send(const struct wg_keypair *k, fz_time now)
{
	return k->may_send && is_alive(k, now) && k->send_counter < WG_REJECT_AFTER_MESSAGES;
}

bool wg_keypair_can_receive(const struct wg_keypair *k, fz_time now)
{
	return k->may_receive && is_alive(k, now) && !wg_replay_is_used_up(&k->replay);
}

bool wg_keypair_reserve(struct wg_keypair *k, uint32_t n, uint64_t *ret_first)
{
	if (k->send_counter > WG_REJECT_AFTER_MESSAGES - n) {
		k->may_send = false;
		return false;
	}
	*ret_first = k->send_counter;
	k->send_counter += n;
	return true;
}
