/*
 * Handshake messages: the bounded queue they wait in, the defence when it fills (whitepaper 5.3), and what each does
 * to its peer (5.4). The states of one peer's handshake (enum wg_handshake_state), beside its sessions:
 *
 *   any              we want a session, 5 s after our last   -> SENT_INITIATION   new index, retransmit timer
 *   any              their initiation, proven and newer      -> GOT_INITIATION    endpoint moves; ours is forgotten
 *   GOT_INITIATION   at once                                 -> ANSWERED -> NONE  response, session in `next`
 *   SENT_INITIATION  their response                          -> ANSWERED -> NONE  session in `current`, flush
 *   any              keys wiped, device down, new identity   -> NONE
 *
 * Anything else is dropped and counted. A cookie reply changes no state.
 */
#include <string.h>

#include "base/assert.h"
#include "wg/constants.h"
#include "wg/device.h"
#include "wg/device_internal.h"
#include "wg/messages.h"
#include "wg/peer.h"

bool wg_handshakes_put(struct wg_device *d, struct fz_bytes msg, const struct wg_endpoint *from)
{
	struct wg_handshake_queue *q = &d->handshakes;
	if (q->n == WG_MAX_HANDSHAKES)
		return false;
	struct wg_queued_handshake *slot = &q->slots[(q->head + q->n++) % WG_MAX_HANDSHAKES];
	fz_assert(msg.n <= sizeof(slot->msg));
	slot->from = *from;
	slot->len = (uint8_t)msg.n;
	memcpy(slot->msg, msg.p, msg.n);
	return true;
}

/* Judged with the message at hand still in the queue. */
static bool is_under_load(struct wg_handshake_queue *q, fz_time now)
{
	if (q->n >= WG_LOAD_HANDSHAKES) {
		q->load_until = fz_time_add(now, WG_LOAD_HYSTERESIS);
		return true;
	}
	return !fz_time_reached(now, q->load_until);
}

static void output(struct wg_device *d, const void *msg, size_t len, const struct wg_endpoint *to,
	struct wg_output *ret_out)
{
	memcpy(d->out, msg, len);
	*ret_out = (struct wg_output){ .pkt = fz_bytes_of(d->out, len), .to = *to };
}

static void output_handshake(
	struct wg_peer *p, fz_time now, const void *msg, size_t len, struct wg_output *ret_out)
{
	output(p->device, msg, len, &p->endpoint, ret_out);
	ret_out->peer = p;
	ret_out->tos = WG_TOS_HANDSHAKE;
	p->tx_bytes += len;
	wg_timers_any_sent(p, now, now);
}

/* A new index for the handshake; its old one, and whatever it was doing, is forgotten. */
static bool take_index(struct wg_peer *p)
{
	struct wg_handshake *h = &p->secret->noise.handshake;
	if (h->has_index)
		wg_index_remove(&p->device->indices, h->local_index);
	h->has_index = false;
	if (wg_index_add(&p->device->indices, WG_INDEX_HANDSHAKE, p, &h->local_index) < 0)
		return false;
	h->has_index = true;
	return true;
}

bool wg_handshakes_initiate(struct wg_peer *p, struct fz_now now, struct wg_output *ret_out)
{
	struct wg_device *d = p->device;
	struct wg_peer_secret *s = p->secret;
	if (!fz_time_reached(now.at, p->initiation_allowed))
		return false;
	p->initiation_allowed = fz_time_add(now.at, WG_REKEY_TIMEOUT);
	FZ_CLEANUP(fz_key_wipep) struct fz_key ephemeral;
	wg_device_random(d, &ephemeral, sizeof(ephemeral));
	struct wg_msg_initiation msg;
	if (!wg_noise_write_initiation(&d->secret->self, &s->noise, &ephemeral, now.wall, &msg)) {
		/* A low-order key will never work: nothing is sent and nothing is retried. */
		wg_peer_forget_handshake(p);
		wg_device_drop(d, WG_DROP_HANDSHAKE_INVALID, 1);
		return false;
	}
	wg_timers_initiation_sent(p, now.at);
	if (!take_index(p)) {
		wg_peer_forget_handshake(p); /* no memory now: the retransmit timer tries again */
		return false;
	}
	msg.sender = fz_le32_of(s->noise.handshake.local_index);
	wg_cookie_stamp(&s->cookie, now.at, fz_span_of(&msg, sizeof(msg)));
	output_handshake(p, now.at, &msg, sizeof(msg), ret_out);
	return true;
}

static bool respond(struct wg_peer *p, struct fz_now now, struct wg_output *ret_out)
{
	struct wg_device *d = p->device;
	struct wg_peer_secret *s = p->secret;
	/* Our own initiation would now only cross theirs. */
	p->initiation_allowed = fz_time_add(now.at, WG_REKEY_TIMEOUT);
	FZ_CLEANUP(fz_key_wipep) struct fz_key ephemeral;
	wg_device_random(d, &ephemeral, sizeof(ephemeral));
	struct wg_msg_response msg;
	if (!take_index(p) || !wg_noise_write_response(&s->noise, &ephemeral, &msg)) {
		wg_peer_forget_handshake(p);
		wg_device_drop(d, WG_DROP_HANDSHAKE_INVALID, 1);
		return false;
	}
	msg.sender = fz_le32_of(s->noise.handshake.local_index);
	wg_cookie_stamp(&s->cookie, now.at, fz_span_of(&msg, sizeof(msg)));
	if (!wg_peer_begin_session(p, false, now.at))
		return false;
	wg_timers_session_derived(p, now.at);
	output_handshake(p, now.at, &msg, sizeof(msg), ret_out);
	return true;
}

/* Proves an initiation and finds its peer; changes nothing yet. */
static enum wg_drop read_initiation(struct wg_device *d, fz_time now,
	const struct wg_msg_initiation *msg, struct wg_noise_incoming *in,
	struct wg_peer **ret_peer)
{
	const struct wg_noise_self *self = &d->secret->self;
	if (!wg_noise_open_static(self, msg, in))
		return WG_DROP_HANDSHAKE_INVALID;
	struct wg_peer *p = wg_peer_table_find_maybe(&d->by_key, in->public);
	if (!p)
		return WG_DROP_UNKNOWN_PEER;
	if (!wg_noise_open_timestamp(self, &p->secret->noise, msg, in))
		return WG_DROP_HANDSHAKE_INVALID;
	if (memcmp(in->timestamp, p->secret->noise.newest_timestamp, WG_TIMESTAMP_LEN) <= 0)
		return WG_DROP_HANDSHAKE_REPLAY;
	if (!fz_time_reached(now, p->consumption_allowed))
		return WG_DROP_HANDSHAKE_FLOOD;
	*ret_peer = p;
	return WG_KEEP;
}

static bool handle_initiation(struct wg_device *d, struct fz_now now,
	const struct wg_queued_handshake *q, struct wg_output *ret_out)
{
	FZ_CLEANUP(wg_noise_incoming_wipep) struct wg_noise_incoming in;
	struct wg_peer *p = NULL;
	enum wg_drop why =
		read_initiation(d, now.at, (const struct wg_msg_initiation *)q->msg, &in, &p);
	if (why != WG_KEEP) {
		wg_device_drop(d, why, 1);
		return false;
	}
	wg_noise_accept(&p->secret->noise, &in);
	p->consumption_allowed = fz_time_add(now.at, WG_INITIATION_GAP);
	wg_peer_move_endpoint(p, &q->from);
	p->rx_bytes += q->len;
	wg_timers_any_received(p, now.at);
	return respond(p, now, ret_out);
}

static void handle_response(
	struct wg_device *d, struct fz_now now, const struct wg_queued_handshake *q)
{
	const struct wg_msg_response *msg = (const struct wg_msg_response *)q->msg;
	const struct wg_index_entry *e =
		wg_index_find_maybe(&d->indices, fz_le32_get(msg->receiver));
	struct wg_peer *p = e && e->kind == WG_INDEX_HANDSHAKE ? e->owner : NULL;
	if (!p || p->secret->noise.handshake.state != WG_HANDSHAKE_SENT_INITIATION) {
		wg_device_drop(d, WG_DROP_HANDSHAKE_STATE, 1);
		return;
	}
	if (!wg_noise_read_response(&d->secret->self, &p->secret->noise, msg)) {
		wg_device_drop(d, WG_DROP_HANDSHAKE_INVALID, 1);
		return;
	}
	wg_peer_move_endpoint(p, &q->from);
	p->rx_bytes += q->len;
	wg_timers_any_received(p, now.at);
	if (!wg_peer_begin_session(p, true, now.at))
		return;
	wg_timers_session_derived(p, now.at);
	wg_timers_handshake_complete(p, now);
	/* Whatever waits, else an empty packet: it tells them that the session works. */
	wg_peer_want_keepalive(p);
}

static void handle_cookie(struct wg_device *d, fz_time now, const struct wg_queued_handshake *q)
{
	const struct wg_msg_cookie *msg = (const struct wg_msg_cookie *)q->msg;
	const struct wg_index_entry *e =
		wg_index_find_maybe(&d->indices, fz_le32_get(msg->receiver));
	struct wg_peer *p = NULL;
	if (e)
		p = e->kind == WG_INDEX_HANDSHAKE ? e->owner
						  : ((struct wg_keypair *)e->owner)->peer;
	if (!p || !wg_cookie_take_reply(&p->secret->cookie, now, msg))
		wg_device_drop(d, WG_DROP_COOKIE_INVALID, 1);
}

/* Under load the sender must prove its address before any X25519 is spent. */
static enum wg_drop defend(struct wg_device *d, fz_time now, const struct wg_queued_handshake *q)
{
	struct wg_cookie_checker *c = &d->secret->checker;
	if (wg_cookie_secret_is_stale(c, now)) {
		FZ_CLEANUP(fz_key_wipep) struct fz_key fresh;
		wg_device_random(d, &fresh, sizeof(fresh));
		wg_cookie_set_secret(c, now, &fresh);
	}
	if (!wg_cookie_check_mac2(c, fz_bytes_of(q->msg, q->len), &q->from.remote))
		return WG_DROP_COOKIE_SENT;
	return wg_ratelimit_allow(&d->ratelimit, &q->from.remote.ip, now) ? WG_KEEP : WG_DROP_RATE;
}

static void write_cookie(
	struct wg_device *d, const struct wg_queued_handshake *q, struct wg_output *ret_out)
{
	uint8_t nonce[WG_COOKIE_NONCE_LEN];
	struct wg_msg_cookie reply;
	wg_device_random(d, nonce, sizeof(nonce));
	wg_cookie_write_reply(
		&d->secret->checker, nonce, fz_bytes_of(q->msg, q->len), &q->from.remote, &reply);
	output(d, &reply, sizeof(reply), &q->from, ret_out);
}

bool wg_handshakes_handle_one(
	struct wg_device *d, struct fz_now now, struct wg_output *ret_out, bool *ret_dear)
{
	struct wg_handshake_queue *queue = &d->handshakes;
	fz_assert(queue->n > 0);
	bool loaded = is_under_load(queue, now.at);
	/* Stays intact while it is handled: nothing is queued meanwhile. */
	const struct wg_queued_handshake *q = &queue->slots[queue->head];
	queue->head = (queue->head + 1) % WG_MAX_HANDSHAKES;
	queue->n--;
	uint32_t type = fz_le32_load(q->msg);
	*ret_dear = false;
	if (type == WG_MESSAGE_COOKIE) {
		handle_cookie(d, now.at, q);
		return false;
	}
	enum wg_drop why = loaded ? defend(d, now.at, q) : WG_KEEP;
	if (why != WG_KEEP) {
		wg_device_drop(d, why, 1);
		if (why == WG_DROP_COOKIE_SENT)
			write_cookie(d, q, ret_out);
		return why == WG_DROP_COOKIE_SENT;
	}
	*ret_dear = true;
	if (type == WG_MESSAGE_INITIATION)
		return handle_initiation(d, now, q, ret_out);
	handle_response(d, now, q);
	return false;
}
