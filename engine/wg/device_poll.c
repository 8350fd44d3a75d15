/*
 * What the device says by itself: one datagram per call. Peers with something to say take turns, so that one with a
 * full staging queue does not keep the others waiting.
 */
#include <string.h>

#include "base/assert.h"
#include "crypto/handshake_aead.h"
#include "wg/constants.h"
#include "wg/device.h"
#include "wg/device_internal.h"
#include "wg/messages.h"
#include "wg/packet.h"
#include "wg/peer.h"

/* What is answered without an X25519, with a cookie or not at all, costs a small part of a handshake. */
#define CHEAP_PER_DEAR 16

static void run_due_timers(struct wg_device *d, struct fz_now now)
{
	while (fz_time_reached(now.at, wg_schedule_next(&d->schedule))) {
		struct wg_schedule_item *item = wg_schedule_first_maybe(&d->schedule);
		wg_timers_run(FZ_CONTAINER_OF(item, struct wg_peer, timers.item), now);
	}
}

/* Seals one waiting packet, or an empty one, in d->out. */
static void write_data(struct wg_peer *p, fz_time now, uint64_t counter, struct wg_output *ret_out)
{
	struct wg_device *d = p->device;
	const struct wg_keypair *k = p->current;
	struct wg_tx_claim c = { .counter = counter, .receiver = k->remote_index };
	uint8_t *plain = d->out + sizeof(struct wg_msg_data);
	struct wg_inner inner = { 0 };
	size_t len = 0;
	if (p->staged.n > 0) {
		len = wg_staging_pop(&d->staging, &p->staged, fz_span_of(plain, UINT16_MAX));
		bool is_ip = wg_inner_parse(fz_bytes_of(plain, len), &inner);
		fz_assert(is_ip); /* checked when it was staged */
	}
	size_t padding = wg_tx_padding(d, (uint32_t)len);
	memset(plain + len, 0, padding);
	wg_tx_header(&c, 0, d->out);
	fz_aead_seal(&k->keys->send, counter, fz_bytes_of(NULL, 0),
		fz_bytes_of(plain, len + padding), plain);
	ret_out->pkt = fz_bytes_of(d->out, WG_DATA_OVERHEAD + len + padding);
	ret_out->tos = wg_ecn_encapsulate(inner.ecn);
	ret_out->has_data = len > 0;
	ret_out->session = k->local_index;
	wg_peer_sent(p, now, now, ret_out->pkt.n, false);
}

void wg_output_sent(struct wg_device *d, struct fz_now now, fz_time since, uint32_t session)
{
	const struct wg_index_entry *e = wg_index_find_maybe(&d->indices, session);
	if (!e || e->kind != WG_INDEX_KEYPAIR)
		return;
	const struct wg_keypair *k = e->owner;
	if (k->peer)
		wg_timers_data_sent(k->peer, now.at, since);
}

static bool emit_data(struct wg_peer *p, struct fz_now now, struct wg_output *ret_out)
{
	struct wg_keypair *k = p->current;
	uint64_t counter;
	if (!k || !wg_keypair_can_send(k, now.at) || !wg_keypair_reserve(k, 1, &counter)) {
		/* Packets and the keepalive wait for the session. Asked for once: a retry is no new wish. */
		p->keepalive_waits |= p->wants_keepalive;
		p->wants_flush = p->wants_keepalive = false;
		wg_peer_want_initiation(p, now.at, false);
		return false;
	}
	*ret_out = (struct wg_output){ .to = p->endpoint, .peer = p };
	write_data(p, now.at, counter, ret_out);
	p->wants_keepalive = p->keepalive_waits = false; /* data serves as well */
	p->wants_flush = p->staged.n > 0;
	return true;
}

/* One datagram of this peer; false: it has nothing to say (now). */
static bool emit(struct wg_peer *p, struct fz_now now, struct wg_output *ret_out)
{
	struct wg_device *d = p->device;
	bool is_able =
		d->is_up && d->secret->self.is_set && p->endpoint.remote.ip.family != FZ_NO_FAMILY;
	if (is_able && (p->wants_flush || p->wants_keepalive) && emit_data(p, now, ret_out))
		return true;
	bool initiates = is_able && p->wants_initiation;
	p->wants_initiation = false;
	return initiates && wg_handshakes_initiate(p, now, ret_out);
}

static bool emit_next(struct wg_device *d, struct fz_now now, struct wg_output *ret_out)
{
	while (!fz_list_is_empty(&d->output)) {
		struct wg_peer *p = FZ_CONTAINER_OF(d->output.head.next, struct wg_peer, in_output);
		bool emitted = emit(p, now, ret_out);
		fz_list_remove(&p->in_output);
		if (!emitted)
			continue;
		if (p->wants_initiation || p->wants_flush)
			fz_list_push_back(&d->output, &p->in_output);
		return true;
	}
	return false;
}

bool wg_device_poll(
	struct wg_device *d, struct fz_now now, uint32_t *budget, struct wg_output *ret_out)
{
	run_due_timers(d, now);
	if (emit_next(d, now, ret_out))
		return true;
	while (*budget > 0 && d->handshakes.n > 0) {
		bool is_dear;
		bool answers = wg_handshakes_handle_one(d, now, ret_out, &is_dear);
		if (is_dear || ++d->n_cheap % CHEAP_PER_DEAR == 0)
			--*budget;
		if (answers || emit_next(d, now, ret_out))
			return true;
	}
	return false;
}

fz_time wg_device_deadline(const struct wg_device *d)
{
	if (!fz_list_is_empty(&d->output) || d->handshakes.n > 0)
		return (fz_time){ 0 };
	return wg_schedule_next(&d->schedule);
}
