/* A lane's life, and what follows its outputs: claims end, and what the kernel refused in one piece goes out in many. */
#include "io/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "io/clock.h"

#define HANDSHAKE_BUDGET 4 /* messages per turn: each costs up to four X25519 */
#define HANDSHAKE_REST   9 /* times as long for data, while there is any */
#define DATA_LASTS       FZ_MILLISECONDS(20)
#define NARROW_FOR       FZ_SECONDS(60)
#define UNSENT_NEWS      FZ_SECONDS(60) /* how often it is said */
#define N_SLABS          (2 * FZ_IO_DATAGRAMS + FZ_IO_FRAMES + FZ_LANE_SLABS + 1)

void fz_lane_free(struct fz_lane *l)
{
	if (!l)
		return;
	if (l->backend)
		l->ops->free(l->backend);
	fz_aead_free(l->aead);
	fz_coalesce_free(l->coalesce);
	if (l->memory)
		munmap(l->memory, l->memory_len);
	free(l);
}

/* One mapping, touched only where used: small packets leave most pages of it untouched. */
static int take_memory(struct fz_lane *l)
{
	l->memory_len = (size_t)N_SLABS * FZ_IO_SLAB_LEN;
	void *p = mmap(NULL, l->memory_len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	l->memory = p;
	uint8_t *at = l->memory;
	for (size_t i = 0; i < FZ_IO_DATAGRAMS; i++, at += FZ_IO_SLAB_LEN)
		l->turn.datagrams[i].buf = fz_span_of(at, FZ_IO_SLAB_LEN);
	for (size_t i = 0; i < FZ_IO_DATAGRAMS; i++, at += FZ_IO_SLAB_LEN)
		l->resting[i] = fz_span_of(at, FZ_IO_SLAB_LEN);
	for (size_t i = 0; i < FZ_LANE_SLABS; i++, at += FZ_IO_SLAB_LEN)
		l->slabs[i] = at;
	l->scratch = at;
	at += FZ_IO_SLAB_LEN;
	for (size_t i = 0; i < FZ_IO_FRAMES; i++, at += FZ_IO_SLAB_LEN)
		l->turn.frames[i].buf = fz_span_of(at, FZ_IO_SLAB_LEN);
	return 0;
}

int fz_lane_new(struct fz_lane_shared *shared, const struct fz_backend_ops *ops,
	const struct fz_io_params *params, enum fz_aead_kind aead, unsigned number,
	struct fz_lane **ret_lane)
{
	struct fz_lane *l = fz_new(struct fz_lane);
	if (!l)
		return -ENOMEM;
	l->shared = shared;
	l->ops = ops;
	l->number = number;
	l->has_tun = params->reads_tun;
	l->deadline = (fz_time){ 0 }; /* asks the device at once */
	clockid_t clock;
	if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
		atomic_store_explicit(&shared->clocks[number], clock, memory_order_relaxed);
	l->coalesce = fz_coalesce_new();
	int r = l->coalesce ? take_memory(l) : -ENOMEM;
	if (r == 0)
		r = fz_aead_new(aead, &l->aead);
	if (r == 0)
		r = ops->new (params, &l->backend);
	if (r < 0) {
		fz_lane_free(l);
		return r;
	}
	*ret_lane = l;
	return 0;
}

void fz_lane_set_udp(struct fz_lane *l, const struct fz_udp *udp)
{
	l->has_udp_gso = udp->has_gso;
	l->ops->set_udp(l->backend, udp);
}

uint8_t *fz_lane_slab(struct fz_lane *l)
{
	if (fz_lane_has_to_flush(l))
		fz_lane_flush(l);
	return l->slabs[l->n_slabs++];
}

/* ---- repeating singly ---- */

/* Only of a train: a datagram that went alone was refused for what it is, and repeating it changes nothing. */
static bool is_gso_refusal(const struct fz_io_send *s)
{
	return s->segment != 0 && s->segment < s->data.n &&
	       (s->result == -EIO || s->result == -EINVAL || s->result == -EMSGSIZE);
}

bool fz_lane_may_train(const struct fz_lane *l, const struct fz_addr *remote)
{
	if (!l->has_udp_gso ||
		atomic_load_explicit(&l->shared->gso_is_refused, memory_order_relaxed))
		return false;
	for (uint32_t i = 0; i < l->n_narrow; i++)
		if (fz_addr_equal(&l->narrow[i].remote, remote))
			return false;
	return true;
}

/* A device without checksum offload refuses all trains; a path that is too narrow, or a quirk, those to one destination. */
static void note_refusal(struct fz_lane *l, const struct fz_io_send *s)
{
	if (s->result == -EIO) {
		if (!atomic_exchange(&l->shared->gso_is_refused, true))
			fz_log(FZ_LOG_WARNING, "udp-gso-refused", "errno=%d sending=singly",
				-s->result);
		return;
	}
	uint32_t i = 0;
	while (i < l->n_narrow && !fz_addr_equal(&l->narrow[i].remote, &s->to.remote))
		i++;
	bool is_known = i < l->n_narrow;
	if (!is_known && l->n_narrow == FZ_LANE_NARROW_MAX)
		return; /* so many narrow paths: the others are tried anew each time */
	l->narrow[i] =
		(struct fz_lane_narrow){ s->to.remote, fz_time_add(fz_clock_boot(), NARROW_FOR) };
	l->n_narrow += !is_known;
}

/* Paths change: after a while trains are tried again. */
static void forget_narrow(struct fz_lane *l, fz_time now)
{
	for (uint32_t i = 0; i < l->n_narrow;) {
		if (fz_time_reached(now, l->narrow[i].until))
			l->narrow[i] = l->narrow[--l->n_narrow];
		else
			i++;
	}
}

static uint64_t datagrams_of(const struct fz_io_send *s)
{
	return s->segment == 0 ? 1 : (s->data.n + s->segment - 1) / s->segment;
}

/*
 * EIO: no checksum offload on the way. EINVAL, EMSGSIZE: a segment does not fit the path, or a quirk. Each datagram by
 * itself may be fragmented instead. Returns how many the kernel did not take.
 */
static uint64_t send_singly(struct fz_lane *l, struct fz_io_send *s)
{
	fz_assert(s->segment > 0); /* or it would never get on */
	struct fz_io_turn *t = calloc(1, sizeof(*t)); /* rare: not a packet path */
	if (!t)
		return datagrams_of(s);
	uint64_t n_failed = 0;
	int last = -EMSGSIZE;
	for (size_t at = 0; at < s->data.n;) {
		t->n_sends = 0;
		for (; at < s->data.n && t->n_sends < FZ_IO_SENDS; at += s->segment) {
			size_t left = s->data.n - at, n = left < s->segment ? left : s->segment;
			t->sends[t->n_sends++] = (struct fz_io_send){
				.to = s->to, .tos = s->tos, .data = { s->data.p + at, n }
			};
		}
		l->ops->turn(l->backend, FZ_IO_FLUSH, FZ_NEVER, t);
		last = t->sends[t->n_sends - 1].result;
		for (uint32_t i = 0; i < t->n_sends; i++)
			n_failed += t->sends[i].result < 0;
	}
	note_refusal(l, s);
	l->counters.gso_refused++;
	s->result = last;
	free(t);
	return n_failed;
}

/* A sticky source that no longer exists: forget it and try once without. */
static bool is_source_refusal(const struct fz_io_send *s)
{
	return s->to.local.family != FZ_NO_FAMILY &&
	       (s->result == -EINVAL || s->result == -EADDRNOTAVAIL || s->result == -ENETUNREACH ||
		       s->result == -ENODEV || s->result == -EHOSTUNREACH);
}

static void send_without_source(struct fz_lane *l, struct fz_io_send *s)
{
	struct fz_io_turn *t = calloc(1, sizeof(*t));
	if (!t)
		return;
	t->sends[0] = *s;
	t->sends[0].to.local.family = FZ_NO_FAMILY;
	t->sends[0].to.ifindex = 0;
	t->n_sends = 1;
	l->ops->turn(l->backend, FZ_IO_FLUSH, FZ_NEVER, t);
	s->result = t->sends[0].result;
	s->to = t->sends[0].to;
	free(t);
}

/* Returns how many datagrams did not go out after all. */
static uint64_t repair_send(struct fz_lane *l, struct fz_io_send *s)
{
	if (is_source_refusal(s)) {
		struct fz_addr remote = s->to.remote;
		send_without_source(l, s);
		pthread_mutex_lock(&l->shared->lock);
		for (uint32_t i = 0; i < l->n_claims; i++)
			if (l->claims[i].claim.keypair &&
				fz_addr_equal(&l->claims[i].claim.to.remote, &remote))
				wg_tx_source_failed(l->shared->device, &l->claims[i].claim);
		pthread_mutex_unlock(&l->shared->lock);
	}
	if (is_gso_refusal(s))
		return send_singly(l, s);
	return s->result < 0 ? datagrams_of(s) : 0;
}

/*
 * They are counted; and said, but for the full queues that belong to every network, once in a while: it may be each packet that
 * there is no route for, for days.
 */
static void note_unsent(struct fz_lane *l, uint64_t n, int error)
{
	struct fz_lane_shared *s = l->shared;
	fz_time now = fz_clock_boot();
	bool is_news = error != -EAGAIN && error != -ENOBUFS;
	pthread_mutex_lock(&s->lock);
	wg_device_count_drop(s->device, WG_DROP_TX_FAILED, n);
	is_news = is_news && fz_time_reached(now, s->unsent_news_from);
	if (is_news)
		s->unsent_news_from = fz_time_add(now, UNSENT_NEWS);
	pthread_mutex_unlock(&s->lock);
	if (is_news)
		fz_log(FZ_LOG_INFO, "udp-send-failed", "error=\"%s\" again-in=%us",
			fz_strerror(error), (unsigned)(UNSENT_NEWS.ns / 1'000'000'000));
}

/* ---- after a turn ---- */

static struct iovec iovec_of(struct fz_bytes b)
{
	return (struct iovec){ fz_unconst(b.p), b.n }; /* written from, never to */
}

/* The kernel refused a merged write: its packets go in one by one, and merging ends. True if all were taken. */
static bool write_singly(struct fz_lane *l, uint32_t item)
{
	struct fz_io_turn *t = calloc(1, sizeof(*t)); /* rare: not a packet path */
	struct iovec iov[FZ_COALESCE_SEGMENTS_MAX][2];
	uint32_t n = fz_coalesce_item(l->coalesce, item)->n_packets;
	struct fz_bytes header = fz_coalesce_no_offload();
	if (!t)
		return false;
	for (uint32_t k = 0; k < n; k++) {
		struct fz_bytes packet = fz_coalesce_packet(l->coalesce, item, k);
		iov[k][0] = iovec_of(header);
		iov[k][1] = iovec_of(packet);
		t->writes[k] = (struct fz_io_write){
			.iov = iov[k], .n_iov = 2, .len = (uint32_t)(header.n + packet.n)
		};
	}
	t->n_writes = n;
	l->ops->turn(l->backend, FZ_IO_FLUSH, FZ_NEVER, t);
	bool ok = true;
	for (uint32_t k = 0; k < n; k++)
		ok = ok && t->writes[k].result >= 0;
	free(t);
	l->counters.coalesce_refused++;
	if (!atomic_exchange(&l->shared->coalesce_is_refused, true))
		fz_log(FZ_LOG_WARNING, "tun-gso-refused", "writing=%s", "singly");
	return ok;
}

static void check_writes(struct fz_lane *l)
{
	uint64_t n_failed = 0;
	for (uint32_t i = 0; i < l->turn.n_writes; i++) {
		const struct fz_io_write *w = &l->turn.writes[i];
		if (w->result >= 0)
			continue;
		bool is_merged =
			i < l->n_item_writes && fz_coalesce_item(l->coalesce, i)->n_packets > 1;
		if (w->result == -EINVAL && is_merged && write_singly(l, i))
			continue;
		n_failed++;
	}
	l->n_item_writes = 0;
	if (n_failed > 0) {
		pthread_mutex_lock(&l->shared->lock);
		wg_device_count_drop(l->shared->device, WG_DROP_TUN_WRITE, n_failed);
		pthread_mutex_unlock(&l->shared->lock);
	}
}

/* Packets that had waited for a session: those that left want an answer. */
static void tell_device(struct fz_lane *l)
{
	struct fz_now now = fz_clock_now();
	pthread_mutex_lock(&l->shared->lock);
	for (uint32_t i = 0; i < l->n_said; i++)
		if (l->turn.sends[l->said[i].send].result >= 0)
			wg_output_sent(l->shared->device, now, l->said[i].at, l->said[i].session);
	pthread_mutex_unlock(&l->shared->lock);
	l->n_said = 0;
}

/* Outputs have been carried out: mends what was refused, and notes for each claim how it went. */
static void conclude(struct fz_lane *l)
{
	uint64_t n_unsent = 0;
	int error = 0;
	for (uint32_t i = 0; i < l->turn.n_sends; i++) {
		if (l->turn.sends[i].result >= 0)
			continue;
		error = l->turn.sends[i].result;
		n_unsent += repair_send(l, &l->turn.sends[i]);
	}
	if (n_unsent > 0)
		note_unsent(l, n_unsent, error);
	if (l->n_said > 0)
		tell_device(l);
	if (l->turn.n_writes > 0)
		check_writes(l);
	for (uint32_t i = 0; i < l->n_claims; i++) {
		struct fz_lane_claim *c = &l->claims[i];
		if (c->send == FZ_LANE_NO_SEND)
			continue;
		c->is_sent = l->turn.sends[c->send].result >= 0;
		c->send = FZ_LANE_NO_SEND;
	}
	l->turn.n_sends = l->turn.n_writes = l->n_slabs = 0;
	l->icmp_iov[0].iov_len = 0;
}

static uint64_t data_of(const struct fz_plane_counters *c)
{
	return c->rx_packets + c->tx_packets;
}

void fz_lane_settle(struct fz_lane *l, struct fz_now now)
{
	conclude(l);
	pthread_mutex_lock(&l->shared->lock);
	for (uint32_t i = 0; i < l->n_claims; i++) {
		struct fz_lane_claim *c = &l->claims[i];
		if (c->claim.keypair)
			wg_tx_sent(l->shared->device, now, &c->claim, c->bytes, c->is_sent, true);
		c->claim.keypair = NULL;
	}
	l->counters.overflows = l->ops->counters(l->backend)->overflows;
	l->shared->n_data += data_of(&l->counters) - data_of(&l->published);
	l->published = l->counters;
	pthread_mutex_unlock(&l->shared->lock);
	l->n_claims = 0;
}

/* Claims stay open: the one being built goes on in the next slab. */
void fz_lane_flush(struct fz_lane *l)
{
	uint32_t n_datagrams = l->turn.n_datagrams, n_frames = l->turn.n_frames;
	bool is_woken = l->turn.is_woken;
	l->ops->turn(l->backend, FZ_IO_FLUSH, FZ_NEVER, &l->turn);
	conclude(l);
	l->turn.n_datagrams = n_datagrams;
	l->turn.n_frames = n_frames;
	l->turn.is_woken = is_woken;
}

/*
 * How many handshake messages may be worked off now. Under a flood of them that pass for genuine, data goes on: what a
 * message cost is followed by HANDSHAKE_REST times as long without any, for as long as data flows. With the lock.
 */
static uint32_t handshake_budget(struct fz_lane *l, struct fz_now now)
{
	if (l->shared->n_data != l->n_data_seen) {
		l->n_data_seen = l->shared->n_data;
		l->data_until = fz_time_add(now.at, DATA_LASTS);
	}
	if (fz_time_reached(now.at, l->data_until))
		return HANDSHAKE_BUDGET;
	return fz_time_reached(now.at, l->handshakes_from) ? 1 : 0;
}

static bool next_output(
	struct fz_lane *l, struct fz_now now, uint32_t *budget, struct wg_output *ret_out)
{
	const struct fz_plane_hooks *h = &l->shared->hooks;
	return wg_device_poll(l->shared->device, now, budget, ret_out) ||
	       (h->poll && h->poll(h->user, now, ret_out));
}

static void poll_into_turn(struct fz_lane *l, struct fz_now now, uint32_t *budget)
{
	struct wg_output out;
	while (l->n_slabs < FZ_LANE_SLABS && l->turn.n_sends < FZ_IO_SENDS &&
		next_output(l, now, budget, &out)) {
		uint8_t *slab = l->slabs[l->n_slabs++];
		uint32_t head = fz_lane_channel_header_len(&out.to);
		if (head > 0)
			fz_lane_write_channel_header(&out.to, out.pkt.n, slab);
		memcpy(slab + head, out.pkt.p, out.pkt.n);
		if (out.has_data) {
			l->said[l->n_said].send = l->turn.n_sends;
			l->said[l->n_said].at = now.at;
			l->said[l->n_said++].session = out.session;
		}
		l->turn.sends[l->turn.n_sends++] = (struct fz_io_send){
			.to = out.to, .tos = out.tos, .data = { slab, head + out.pkt.n }
		};
	}
}

/* When somebody has to speak even if nothing arrives. With the lock. */
static fz_time deadline_of(const struct fz_lane_shared *s)
{
	fz_time at = wg_device_deadline(s->device);
	return s->hooks.deadline ? fz_time_min(at, s->hooks.deadline(s->hooks.user)) : at;
}

void fz_lane_poll_device(struct fz_lane *l, struct fz_now now)
{
	struct fz_lane_shared *s = l->shared;
	fz_time start = fz_clock_boot();
	uint32_t budget = 0, had = 0;
	for (bool more = true, is_first = true; more; is_first = false) {
		pthread_mutex_lock(&s->lock);
		if (is_first)
			had = budget = handshake_budget(l, now);
		poll_into_turn(l, now, &budget);
		more = fz_lane_has_to_flush(l);
		l->deadline = s->polled_until = deadline_of(s);
		/* With outputs the next turn does not wait, and this is done again. */
		atomic_store_explicit(&s->poller_waits, l->turn.n_sends + l->turn.n_writes == 0,
			memory_order_relaxed);
		pthread_mutex_unlock(&s->lock);
		if (more) {
			fz_lane_flush(l);
			fz_lane_settle(l, now); /* no turn may come that would do it */
		}
	}
	if (budget < had) {
		fz_time end = fz_clock_boot();
		uint64_t cost = fz_time_since(end, start).ns;
		l->handshakes_from = fz_time_add(end, FZ_NANOSECONDS(cost * HANDSHAKE_REST));
	} else if (had == 0 && l->deadline.ns < l->handshakes_from.ns) {
		l->deadline = l->handshakes_from; /* the rest waits, asleep */
	}
}

/* The device may want to speak because of what this lane did; another lane may have to say it. */
static void look_after_device(struct fz_lane *l, struct fz_now now)
{
	if (l->has_tun) {
		fz_lane_poll_device(l, now);
		return;
	}
	pthread_mutex_lock(&l->shared->lock);
	/* Earlier than the other one sleeps: it would come too late for a timer that this lane has set. */
	fz_time deadline = deadline_of(l->shared);
	bool is_due = deadline.ns < l->shared->polled_until.ns &&
		      atomic_load_explicit(&l->shared->poller_waits, memory_order_relaxed);
	if (is_due)
		l->shared->polled_until = deadline;
	pthread_mutex_unlock(&l->shared->lock);
	if (is_due) {
		uint32_t other = atomic_load_explicit(&l->shared->tun_lane, memory_order_acquire);
		fz_lane_wake(l->shared->wake_fds[other]);
	}
}

static void change_buffers(struct fz_lane *l)
{
	for (size_t i = 0; i < FZ_IO_DATAGRAMS; i++) {
		struct fz_span used = l->turn.datagrams[i].buf;
		l->turn.datagrams[i].buf = l->resting[i];
		l->resting[i] = used;
	}
}

int fz_lane_run(struct fz_lane *l)
{
	fz_lane_place_tun(l);
	/* With something to send there is no waiting: how it went must be known now, not when the next packet comes. */
	bool has_output = l->turn.n_sends + l->turn.n_writes > 0;
	change_buffers(l);
	l->ops->turn(l->backend, has_output ? FZ_IO_POLL : FZ_IO_WAIT,
		l->has_tun ? l->deadline : FZ_NEVER, &l->turn);
	struct fz_now now = fz_clock_now();
	if (has_output)
		fz_lane_settle(l, now);
	if (l->n_narrow > 0)
		forget_narrow(l, now.at);
	if (l->turn.fatal)
		return l->turn.fatal;
	bool looks = l->turn.n_datagrams + l->turn.n_frames > 0 || l->turn.is_woken || has_output ||
		     (l->has_tun && fz_time_reached(now.at, l->deadline));
	if (looks && l->has_tun)
		atomic_store_explicit(&l->shared->poller_waits, false, memory_order_relaxed);
	if (l->turn.n_datagrams > 0)
		fz_lane_receive(l, now);
	if (l->turn.n_frames > 0)
		fz_lane_transmit(l, now);
	if (looks)
		look_after_device(l, now);
	if (l->shared->splits_by_load)
		fz_lane_judge_load(l, now.at);
	return 0;
}
