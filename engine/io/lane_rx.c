/* UDP to TUN: datagrams of a GRO buffer are opened in place and written to the TUN as few super-packets. */
#include "base/endian.h"
#include "io/lane.h"
#include "offload/vnet.h"
#include "wg/messages.h"

#define FEW 8 /* packets of one sender */

/* WireGuard's types 1 to 4 with three zero bytes; all else belongs to the hook, if there is one. */
static bool is_wireguard(struct fz_bytes d)
{
	uint32_t type = d.n >= 4 ? fz_le32_load(d.p) : 0;
	return type >= 1 && type <= 4;
}

static void cut(struct fz_lane *l, const struct fz_io_datagrams *in, struct wg_rx_train *t,
	struct fz_now now)
{
	const struct fz_plane_hooks *h = &l->shared->hooks;
	t->from = in->info.from;
	t->ecn = in->info.ecn;
	t->n = 0;
	size_t step = in->info.segment ? in->info.segment : in->len;
	for (size_t at = 0; at < in->len && t->n < WG_TRAIN_MAX; at += step) {
		size_t left = in->len - at, n = left < step ? left : step;
		struct fz_span d = { in->buf.p + at, n };
		if (h->other && !is_wireguard(fz_span_bytes(d)) &&
			!h->other(h->user, now, &t->from, &d))
			continue;
		t->pkt[t->n++] = d;
	}
}

/*
 * Trains by themselves; packets that came by few from several senders all at once, which costs as little as a train. Each job is
 * told how it went in any case.
 */
static void open_all(struct fz_lane *l, uint32_t n)
{
	struct fz_aead_job few[FZ_IO_DATAGRAMS * FEW];
	size_t n_few = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct wg_rx_train *t = &l->trains[i];
		if (n == 1 || t->n_jobs > FEW)
			fz_crew_open(l->shared->crew, l->number, l->aead, t->jobs, t->n_jobs);
		else
			for (uint32_t k = 0; k < t->n_jobs; k++)
				few[n_few++] = t->jobs[k];
	}
	if (n_few == 0)
		return;
	fz_crew_open(l->shared->crew, l->number, l->aead, few, n_few);
	n_few = 0;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; l->trains[i].n_jobs <= FEW && k < l->trains[i].n_jobs; k++)
			l->trains[i].jobs[k].ok = few[n_few++].ok;
}

static void deliver(struct fz_lane *l, struct wg_rx_train *t)
{
	for (uint16_t i = 0; i < t->n; i++) {
		if (t->inner[i].n == 0)
			continue;
		/* FZ_IO_DATAGRAMS trains of WG_TRAIN_MAX packets fit by construction. */
		if (fz_coalesce_add(l->coalesce, t->inner[i]))
			l->counters.rx_packets++;
	}
}

static void queue_writes(struct fz_lane *l)
{
	size_t n = fz_coalesce_end(l->coalesce);
	for (size_t i = 0; i < n && l->turn.n_writes < FZ_IO_WRITES; i++) {
		const struct fz_coalesce_item *item = fz_coalesce_item(l->coalesce, i);
		l->turn.writes[l->turn.n_writes++] = (struct fz_io_write){
			.iov = item->iov, .n_iov = item->n_iov, .len = item->len
		};
	}
	l->n_item_writes = l->turn.n_writes;
	l->counters.tun_writes += n;
}

void fz_lane_receive(struct fz_lane *l, struct fz_now now)
{
	struct fz_lane_shared *s = l->shared;
	uint32_t n = l->turn.n_datagrams;
	unsigned caps = atomic_load_explicit(&s->coalesce_is_refused, memory_order_relaxed)
				? s->tun_caps & FZ_COALESCE_VNET
				: s->tun_caps;
	/* What was WireGuard's header stands before each packet and is of no use any more. */
	static_assert(
		FZ_VNET_HDR_LEN <= sizeof(struct wg_msg_data), "room for the one in the other");
	fz_coalesce_begin(l->coalesce, caps | FZ_COALESCE_HEADROOM);
	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n; i++) {
		if (l->turn.datagrams[i].info.is_truncated)
			wg_device_count_drop(s->device, WG_DROP_TRUNCATED, 1);
		cut(l, &l->turn.datagrams[i], &l->trains[i], now);
		wg_rx_begin(s->device, now, &l->trains[i]);
	}
	pthread_mutex_unlock(&s->lock);

	open_all(l, n);

	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n; i++) {
		wg_rx_finish(s->device, now, &l->trains[i]);
		if (s->hooks.filter)
			s->hooks.filter(s->hooks.user, now, &l->trains[i]);
	}
	pthread_mutex_unlock(&s->lock);
	for (uint32_t i = 0; i < n; i++)
		deliver(l, &l->trains[i]);
	l->counters.rx_trains += n;
	queue_writes(l);
}
