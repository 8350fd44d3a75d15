/*
 * Receiving: whitepaper 5.4.6 and the kernel driver's order of checks. What comes before the AEAD is in wg_rx_begin,
 * what may only follow it in wg_rx_finish.
 */
#include <string.h>

#include "base/assert.h"
#include "wg/constants.h"
#include "wg/device.h"
#include "wg/device_internal.h"
#include "wg/messages.h"
#include "wg/packet.h"
#include "wg/peer.h"

/* Exact lengths, except for data. */
static enum wg_drop check_length(uint32_t type, size_t n)
{
	size_t want;
	switch (type) {
	case WG_MESSAGE_INITIATION: want = sizeof(struct wg_msg_initiation); break;
	case WG_MESSAGE_RESPONSE: want = sizeof(struct wg_msg_response); break;
	case WG_MESSAGE_COOKIE: want = sizeof(struct wg_msg_cookie); break;
	case WG_MESSAGE_DATA: return n < WG_DATA_OVERHEAD ? WG_DROP_SHORT : WG_KEEP;
	default: return WG_DROP_TYPE;
	}
	return n < want ? WG_DROP_SHORT : n > want ? WG_DROP_TYPE : WG_KEEP;
}

static enum wg_drop queue_handshake(
	struct wg_device *d, uint32_t type, struct fz_bytes msg, const struct wg_endpoint *from)
{
	const struct wg_device_secret *s = d->secret;
	if (!s->self.is_set)
		return WG_DROP_DOWN;
	if (type == WG_MESSAGE_COOKIE) {
		/* It has no mac1; the index must at least be one of ours. */
		const struct wg_msg_cookie *c = (const struct wg_msg_cookie *)msg.p;
		if (!wg_index_find_maybe(&d->indices, fz_le32_get(c->receiver)))
			return WG_DROP_COOKIE_INVALID;
	} else if (!wg_cookie_check_mac1(&s->checker, msg)) {
		return WG_DROP_MAC1;
	}
	return wg_handshakes_put(d, msg, from) ? WG_DROP_QUEUED : WG_DROP_QUEUE_FULL;
}

/* The segments of a train mostly belong to one session: the last answer is kept. */
struct last_keypair {
	uint32_t index;
	struct wg_keypair *keypair;
};

static enum wg_drop find_keypair(struct wg_device *d, fz_time now, uint32_t index,
	struct last_keypair *last, struct wg_keypair **ret_keypair)
{
	if (!last->keypair || last->index != index) {
		const struct wg_index_entry *e = wg_index_find_maybe(&d->indices, index);
		if (!e || e->kind != WG_INDEX_KEYPAIR)
			return WG_DROP_INDEX;
		struct wg_keypair *k = e->owner;
		if (!wg_keypair_can_receive(k, now)) {
			k->may_receive = false;
			return WG_DROP_EXPIRED;
		}
		*last = (struct last_keypair){ .index = index, .keypair = k };
	}
	*ret_keypair = wg_keypair_ref(last->keypair);
	return WG_KEEP;
}

static void add_job(struct wg_rx_train *t, uint16_t i, struct wg_keypair *k)
{
	struct fz_span pkt = t->pkt[i];
	const struct wg_msg_data *m = (const struct wg_msg_data *)pkt.p;
	uint8_t *sealed = pkt.p + sizeof(*m);
	uint32_t len = (uint32_t)(pkt.n - WG_DATA_OVERHEAD);
	t->keypair[i] = k;
	t->job_seg[t->n_jobs] = (uint8_t)i;
	t->jobs[t->n_jobs++] = (struct fz_aead_job){
		.key = &k->keys->receive,
		.counter = fz_le64_get(m->counter),
		.src = sealed,
		.dst = sealed,
		.tag = sealed + len,
		.len = len,
	};
}

static enum wg_drop classify(struct wg_device *d, fz_time now, struct wg_rx_train *t, uint16_t i,
	struct last_keypair *last)
{
	struct fz_span pkt = t->pkt[i];
	if (!d->is_up)
		return WG_DROP_DOWN;
	if (pkt.n < sizeof(fz_le32))
		return WG_DROP_SHORT;
	uint32_t type = fz_le32_load(pkt.p);
	enum wg_drop why = check_length(type, pkt.n);
	if (why != WG_KEEP)
		return why;
	if (type != WG_MESSAGE_DATA)
		return queue_handshake(d, type, fz_span_bytes(pkt), &t->from);
	const struct wg_msg_data *m = (const struct wg_msg_data *)pkt.p;
	struct wg_keypair *k = NULL;
	why = find_keypair(d, now, fz_le32_get(m->receiver), last, &k);
	if (why == WG_KEEP)
		add_job(t, i, k);
	return why;
}

void wg_rx_begin(struct wg_device *d, struct fz_now now, struct wg_rx_train *t)
{
	struct last_keypair last = { 0 };
	fz_assert(t->n <= WG_TRAIN_MAX);
	t->n_jobs = 0;
	for (uint16_t i = 0; i < t->n; i++) {
		t->inner[i] = (struct fz_span){ 0 };
		t->owner[i] = NULL;
		t->keypair[i] = NULL;
		t->verdict[i] = classify(d, now.at, t, i, &last);
		if (t->verdict[i] != WG_KEEP)
			wg_device_drop(d, t->verdict[i], 1);
	}
}

/* What an authentic message of this session means for its peer; once for a run of them, all have one source and instant. */
static void session_was_used(
	struct wg_peer *p, struct wg_keypair *k, struct fz_now now, const struct wg_endpoint *from)
{
	/* A train of relayed datagrams has one source noted for all: only handshakes show a managed peer's. */
	if (!p->is_managed)
		wg_peer_move_endpoint(p, from);
	if (wg_peer_confirm_session(p, k)) {
		wg_timers_handshake_complete(p, now);
		wg_peer_want_flush(p);
	}
	wg_peer_keep_key_fresh_received(p, now.at);
	wg_timers_any_received(p, now.at);
}

/* Only now is the packet looked at: version, length, whose source it is. */
static enum wg_drop check_inner(struct wg_device *d, struct wg_peer *p, struct wg_rx_train *t,
	uint16_t i, struct fz_span plain)
{
	struct wg_inner inner;
	if (!wg_inner_parse(fz_span_bytes(plain), &inner) || inner.len > plain.n)
		return WG_DROP_INNER_INVALID;
	if (!p->is_managed &&
		wg_allowedips_find_maybe(&d->allowed, inner.family, inner.src) != &p->allowed)
		return WG_DROP_SOURCE;
	plain.n = inner.len;
	if (t->ecn != 0)
		wg_ecn_decapsulate(plain, t->ecn);
	p->rx_bytes += t->pkt[i].n;
	t->inner[i] = plain;
	t->owner[i] = p;
	return WG_KEEP;
}

static enum wg_drop accept(struct wg_device *d, struct fz_now now, struct wg_rx_train *t,
	const struct fz_aead_job *job, uint16_t i, const struct wg_keypair **last)
{
	struct wg_keypair *k = t->keypair[i];
	struct wg_peer *p = k->peer;
	if (!job->ok)
		return WG_DROP_AUTH;
	if (!p)
		return WG_DROP_INDEX; /* the session was wiped while its train was being opened */
	if (!wg_replay_accept(&k->replay, job->counter))
		return WG_DROP_REPLAY;
	if (k != *last)
		session_was_used(p, k, now, &t->from);
	*last = k;
	if (job->len == 0) {
		p->rx_bytes += WG_DATA_OVERHEAD;
		return WG_DROP_KEEPALIVE;
	}
	wg_timers_data_received(p, now.at);
	return check_inner(d, p, t, i, fz_span_of(job->dst, job->len));
}

void wg_rx_finish(struct wg_device *d, struct fz_now now, struct wg_rx_train *t)
{
	const struct wg_keypair *last = NULL;
	for (uint16_t j = 0; j < t->n_jobs; j++) {
		uint16_t i = t->job_seg[j];
		t->verdict[i] = accept(d, now, t, &t->jobs[j], i, &last);
		if (t->verdict[i] != WG_KEEP)
			wg_device_drop(d, t->verdict[i], 1);
	}
	for (uint16_t j = 0; j < t->n_jobs; j++) {
		uint16_t i = t->job_seg[j];
		wg_keypair_unref(t->keypair[i]);
		t->keypair[i] = NULL;
	}
	t->n_jobs = 0;
}
