/*
 * TUN to UDP: a frame is split straight into a slab, each packet behind room for its header and before room for its tag, sealed in
 * place, and the slab is one GSO send. Frames of one size and destination follow each other in one slab, of whatever sessions: peers
 * behind one relay or one address share it, as their packets could on the way (a receiver's GRO merges by addresses alone).
 */
#include <string.h>

#include "io/lane.h"
#include "offload/split.h"
#include "offload/vnet.h"

#define HEADER_LEN     16
#define OVERHEAD       (HEADER_LEN + FZ_AEAD_TAG_LEN)
#define TRAIN_SEGMENTS 64
/*
 * With the headers of UDP, IPv6, Ethernet and a VLAN it stays below a device's usual gso_max_size of 65,536, that length included: the kernel
 * cuts what reaches it, before it is sent.
 */
#define TRAIN_BYTES    (65'535 - 8 - 40 - 18)

/* The train being built. */
struct train {
	uint32_t send; /* index; FZ_LANE_NO_SEND */
	uint32_t n, len;
	uint16_t segment;
	bool is_closed;
};

/* Together, whatever trains they are in: several short ones cost as little as a long one. */
static void seal(struct fz_lane *l)
{
	fz_crew_seal(l->shared->crew, l->number, l->aead, l->jobs, l->n_jobs);
	l->n_jobs = 0;
}

/* What the kernel is told once for the whole train: one destination, one source, one TOS. A relay's channel stands in each packet. */
static bool may_follow(
	const struct fz_lane *l, const struct train *t, const struct wg_tx_claim *c, uint32_t len)
{
	if (t->send == FZ_LANE_NO_SEND || t->is_closed)
		return false;
	const struct fz_io_send *s = &l->turn.sends[t->send];
	return s->tos == c->tos && len <= t->segment && t->n < TRAIN_SEGMENTS &&
	       t->len + len <= TRAIN_BYTES && fz_addr_equal(&s->to.remote, &c->to.remote) &&
	       fz_ip_equal(&s->to.local, &c->to.local) && s->to.ifindex == c->to.ifindex;
}

static void begin_train(
	struct fz_lane *l, struct train *t, const struct wg_tx_claim *c, uint32_t len)
{
	if (fz_lane_has_to_flush(l))
		seal(l);
	uint8_t *slab = fz_lane_slab(l);
	uint32_t i = l->turn.n_sends++;
	l->turn.sends[i] = (struct fz_io_send){
		.to = c->to, .tos = c->tos, .data = { slab, 0 }, .segment = (uint16_t)len
	};
	*t = (struct train){ .send = i,
		.segment = (uint16_t)len,
		.is_closed = !fz_lane_may_train(l, &c->to.remote) };
	l->counters.tx_trains++;
}

static void add_packet(struct fz_lane *l, struct train *t, const struct wg_tx_claim *c,
	const struct fz_split *split, uint32_t i, uint32_t padding)
{
	uint32_t plain = fz_split_len(split, i), message = plain + padding + OVERHEAD;
	uint32_t head = fz_lane_channel_header_len(&c->to), len = head + message;
	if (!may_follow(l, t, c, len))
		begin_train(l, t, c, len);
	struct fz_io_send *s = &l->turn.sends[t->send];
	uint8_t *at = s->data.p + t->len + head;
	if (head > 0)
		fz_lane_write_channel_header(&c->to, message, s->data.p + t->len);
	wg_tx_header(c, i, at);
	fz_split_write(split, i, at + HEADER_LEN);
	memset(at + HEADER_LEN + plain, 0, padding);
	if (l->n_jobs == FZ_LANE_JOBS)
		seal(l);
	l->jobs[l->n_jobs++] = (struct fz_aead_job){ .key = c->key,
		.counter = c->counter + i,
		.src = at + HEADER_LEN,
		.dst = at + HEADER_LEN,
		.tag = at + HEADER_LEN + plain + padding,
		.len = plain + padding };
	t->len += len;
	t->n++;
	t->is_closed = t->is_closed || len < t->segment;
	s->data.n = t->len;
}

static void carry(struct fz_lane *l, struct train *t, const struct fz_split *split,
	struct fz_lane_claim *c, const uint32_t padding[2])
{
	for (uint32_t i = 0; i < split->n; i++) {
		bool is_last = i + 1 == split->n;
		add_packet(l, t, &c->claim, split, i, padding[is_last]);
		c->bytes += fz_split_len(split, i) + padding[is_last] + OVERHEAD;
	}
	c->send = t->send;
	l->counters.tx_packets += split->n;
}

/* No session yet: each packet waits in the device, whole. */
static void stage(
	struct fz_lane *l, const struct fz_split *split, struct wg_peer *peer, struct fz_now now)
{
	for (uint32_t i = 0; i < split->n; i++) {
		fz_split_write(split, i, l->scratch);
		wg_tx_stage(l->shared->device, peer,
			fz_bytes_of(l->scratch, fz_split_len(split, i)), now);
	}
}

/* Room for an answer to the TUN; empty: one a turn is enough, they are rate-limited anyway. */
static struct fz_span answer_room(struct fz_lane *l)
{
	bool is_full = l->turn.n_writes >= FZ_IO_WRITES || l->icmp_iov[0].iov_len > 0;
	return fz_span_of(l->icmp + FZ_VNET_HDR_LEN, is_full ? 0 : WG_ICMP_MAX);
}

static void queue_answer(struct fz_lane *l, size_t n)
{
	uint8_t *out = l->icmp + FZ_VNET_HDR_LEN;
	bool has_vnet = (l->shared->tun_caps & FZ_COALESCE_VNET) != 0;
	l->icmp_iov[0] = has_vnet ? (struct iovec){ l->icmp, FZ_VNET_HDR_LEN + n }
				  : (struct iovec){ out, n };
	l->turn.writes[l->turn.n_writes++] = (struct fz_io_write){
		.iov = l->icmp_iov, .n_iov = 1, .len = (uint32_t)l->icmp_iov[0].iov_len
	};
}

static void answer_unreachable(struct fz_lane *l, const struct fz_split *split, struct fz_now now)
{
	struct fz_span out = answer_room(l);
	size_t n =
		out.n == 0 ? 0 : wg_icmp_unreachable(l->shared->device, now.at, split->packet, out);
	if (n > 0)
		queue_answer(l, n);
}

static bool split_frame(struct fz_lane *l, const struct fz_io_frame *f, struct fz_split *ret)
{
	bool has_vnet = (l->shared->tun_caps & FZ_COALESCE_VNET) != 0;
	struct fz_bytes frame = fz_bytes_of(f->buf.p, f->len);
	return (has_vnet ? fz_split_init(ret, frame) : fz_split_init_plain(ret, frame)) ==
	       FZ_SPLIT_OK;
}

static bool claim_by_allowed_ip(
	struct fz_lane *l, const struct fz_split *split, struct fz_now now, struct wg_tx_claim *ret)
{
	switch ((int)wg_tx_claim(l->shared->device, now, split->packet, split->n, ret)) {
	case WG_KEEP: return true;
	case WG_DROP_STAGE: stage(l, split, ret->peer, now); return false;
	case WG_DROP_NO_PEER:
	case WG_DROP_NO_ENDPOINT: answer_unreachable(l, split, now); return false;
	default: return false;
	}
}

/* The hook sees a complete packet, so that it can keep it or answer it. */
static bool claim_by_hook(
	struct fz_lane *l, const struct fz_split *split, struct fz_now now, struct wg_tx_claim *ret)
{
	const struct fz_plane_hooks *h = &l->shared->hooks;
	struct fz_bytes first = split->packet;
	struct fz_span room = answer_room(l);
	size_t n = 0;
	if (!fz_split_is_whole(split)) {
		fz_split_write(split, 0, l->scratch);
		first = fz_bytes_of(l->scratch, fz_split_len(split, 0));
	}
	switch (h->outbound(h->user, now, first, split->n, room, ret, &n)) {
	case FZ_PLANE_CARRY: return true;
	case FZ_PLANE_STAGE: stage(l, split, ret->peer, now); break;
	case FZ_PLANE_HELD:
		for (uint32_t i = 1; i < split->n; i++) {
			fz_split_write(split, i, l->scratch);
			h->hold(h->user, now, fz_bytes_of(l->scratch, fz_split_len(split, i)));
		}
		break;
	case FZ_PLANE_ANSWER:
		if (n > 0 && n <= room.n)
			queue_answer(l, n);
		break;
	case FZ_PLANE_REFUSE: break;
	}
	return false;
}

/* Under the lock: who gets it, and with which counters. False: nothing to carry. */
static bool place(struct fz_lane *l, const struct fz_split *split, struct fz_now now,
	struct fz_lane_claim *ret, uint32_t ret_padding[2])
{
	*ret = (struct fz_lane_claim){ .send = FZ_LANE_NO_SEND };
	if (l->shared->hooks.outbound ? !claim_by_hook(l, split, now, &ret->claim)
				      : !claim_by_allowed_ip(l, split, now, &ret->claim))
		return false;
	ret_padding[0] = wg_tx_padding(l->shared->device, split->first_len);
	ret_padding[1] = wg_tx_padding(l->shared->device, split->last_len);
	return true;
}

void fz_lane_transmit(struct fz_lane *l, struct fz_now now)
{
	struct fz_lane_shared *s = l->shared;
	struct train train = { .send = FZ_LANE_NO_SEND };
	uint32_t n = l->turn.n_frames;

	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n; i++) {
		bool is_frame = split_frame(l, &l->turn.frames[i], &l->splits[i]);
		if (!is_frame)
			wg_device_count_drop(s->device, WG_DROP_TUN_READ, 1);
		if (!is_frame || !place(l, &l->splits[i], now, &l->claims[i], l->padding[i])) {
			l->splits[i].n = 0;
			l->claims[i].claim.keypair = NULL;
		}
	}
	l->n_claims = n;
	pthread_mutex_unlock(&s->lock);

	for (uint32_t i = 0; i < n; i++)
		if (l->splits[i].n > 0)
			carry(l, &train, &l->splits[i], &l->claims[i], l->padding[i]);
	seal(l);
	l->counters.tx_frames += n;
}
