/* The shell's part, as small as it can be. */
#include "wg_duo.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void duo_random(void *user, struct fz_span out)
{
	uint64_t *s = user;
	for (size_t i = 0; i < out.n; i++) {
		uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		out.p[i] = (uint8_t)((z ^ z >> 27) * UINT64_C(0x94d049bb133111eb) >> 56);
	}
}

static void start(struct duo *d, struct duo_side *s, uint64_t seed)
{
	s->rng = seed;
	struct wg_device_params params = { .random = duo_random, .user = &s->rng, .max_peers = 16 };
	s->device = wg_device_new(&params);
	fz_assert(s->device);
	duo_random(&s->rng, fz_span_of(&s->private, sizeof(s->private)));
	wg_device_set_private_key(s->device, &s->private, d->now);
	fz_assert(wg_device_public_key(s->device, s->public));
	wg_device_set_mtu(s->device, 1420);
	wg_device_up(s->device, d->now);
}

static void meet(struct duo_side *s, const struct duo_side *other, uint8_t host)
{
	struct fz_prefix nets[2] = { { .ip = fz_ip4(10, 0, 0, host), .bits = 24 },
		{ .ip = { .family = FZ_IP6, .b = { 0xfd } }, .bits = 64 } };
	struct fz_addr at = { .ip = fz_ip4(192, 0, 2, host), .port = 51820 };
	int r = wg_device_add_peer(s->device, other->public, &s->peer);
	fz_assert(r == 0);
	for (int i = 0; i < 2; i++) {
		r = wg_peer_add_allowed_ip(s->peer, &nets[i]);
		fz_assert(r == 0);
	}
	wg_peer_set_endpoint(s->peer, &at);
}

struct duo *duo_new(void)
{
	struct duo *d = calloc(1, sizeof(*d));
	fz_assert(d);
	d->now = (struct fz_now){ .at = { UINT64_C(1000000000000) },
		.wall = { INT64_C(1790000000000000000) } };
	/* One for all runs: making it includes its self-test. */
	static struct fz_aead *aead;
	int r = aead ? 0 : fz_aead_new(FZ_AEAD_SODIUM, &aead);
	fz_assert(r == 0);
	d->aead = aead;
	start(d, &d->us, 1);
	start(d, &d->them, 2);
	meet(&d->us, &d->them, 2);
	meet(&d->them, &d->us, 1);
	return d;
}

void duo_free(struct duo *d)
{
	if (d->train.n_jobs > 0)
		wg_rx_finish(d->us.device, d->now, &d->train);
	wg_device_free(d->us.device);
	wg_device_free(d->them.device);
	free(d);
}

void duo_receive(struct duo *d, struct duo_side *at, struct fz_bytes datagram, uint16_t from_port)
{
	static struct wg_rx_train t;
	static uint8_t copy[DUO_LEN];
	if (datagram.n > sizeof(copy))
		return;
	if (datagram.n > 0)
		memcpy(copy, datagram.p, datagram.n);
	t.n = 1;
	t.ecn = from_port & 3;
	t.from =
		(struct wg_endpoint){ .remote = { .ip = fz_ip4(192, 0, 2, 9), .port = from_port } };
	t.pkt[0] = fz_span_of(copy, datagram.n);
	wg_rx_begin(at->device, d->now, &t);
	fz_assert(t.n_jobs <= 1);
	(void)fz_aead_open_many(d->aead, t.jobs, t.n_jobs);
	wg_rx_finish(at->device, d->now, &t);
	fz_assert((t.verdict[0] == WG_KEEP) == (t.inner[0].p != NULL));
	if (t.verdict[0] != WG_KEEP)
		return;
	fz_assert(t.owner[0] == at->peer && t.inner[0].n >= 20 && t.inner[0].n + 32 <= datagram.n);
	d->n_delivered++;
}

static void keep(struct duo_side *s, struct fz_bytes pkt)
{
	struct duo_datagram *k = &s->kept[s->n_kept++ % DUO_KEPT];
	k->len = pkt.n < sizeof(k->bytes) ? pkt.n : sizeof(k->bytes);
	memcpy(k->bytes, pkt.p, k->len);
}

void duo_poll(struct duo *d, struct duo_side *s)
{
	uint32_t budget = 64;
	struct wg_output out;
	while (wg_device_poll(s->device, d->now, &budget, &out)) {
		fz_assert(out.pkt.n >= 32 && out.to.remote.ip.family != FZ_NO_FAMILY);
		keep(s, out.pkt);
		if (out.has_data)
			wg_output_sent(s->device, d->now, d->now.at, out.session);
	}
	if (budget > 0)
		fz_assert(wg_device_deadline(s->device).ns > d->now.at.ns);
}

void duo_send(struct duo *d, struct duo_side *s, struct fz_bytes inner, bool raw)
{
	static const uint8_t good[20] = { 0x45, [3] = 20, [12] = 10, [16] = 10, 0, 0, 7 };
	uint8_t pkt[DUO_LEN] = { 0 };
	struct wg_tx_claim c;
	struct fz_bytes head = raw ? fz_bytes_of(good, sizeof(good)) : inner;
	uint32_t padding = raw ? 0 : wg_tx_padding(s->device, (uint32_t)inner.n);
	if (inner.n + padding + 32 > sizeof(pkt))
		return;
	enum wg_drop why = wg_tx_claim(s->device, d->now, head, 1, &c);
	if (why == WG_DROP_STAGE)
		wg_tx_stage(s->device, c.peer, inner, d->now);
	if (why == WG_DROP_NO_PEER)
		fz_assert(wg_icmp_unreachable(s->device, d->now.at, inner,
				  fz_span_of(pkt, WG_ICMP_MAX)) <= WG_ICMP_MAX);
	if (why != WG_KEEP)
		return;
	uint32_t len = (uint32_t)inner.n + padding;
	if (inner.n > 0)
		memcpy(pkt + 16, inner.p, inner.n);
	wg_tx_header(&c, 0, pkt);
	struct fz_aead_job job = { .key = c.key,
		.counter = c.counter,
		.src = pkt + 16,
		.dst = pkt + 16,
		.tag = pkt + 16 + len,
		.len = len };
	fz_aead_seal_many(d->aead, &job, 1);
	wg_tx_sent(s->device, d->now, &c, len + 32, true, len > 0);
	keep(s, fz_bytes_of(pkt, len + 32));
}

struct fz_bytes duo_kept(const struct duo_side *s, size_t i)
{
	if (i >= s->n_kept || i >= DUO_KEPT)
		return fz_bytes_of(NULL, 0);
	const struct duo_datagram *k = &s->kept[(s->n_kept - 1 - i) % DUO_KEPT];
	return fz_bytes_of(k->bytes, k->len);
}

void duo_wait(struct duo *d, fz_dur by)
{
	d->now.at = fz_time_add(d->now.at, by);
	d->now.wall.ns += (int64_t)by.ns;
}

void duo_pump(struct duo *d)
{
	struct duo_side *sides[2] = { &d->us, &d->them };
	size_t n_handed[2] = { d->us.n_kept, d->them.n_kept };
	for (bool moves = true; moves;) {
		moves = false;
		for (int i = 0; i < 2; i++) {
			duo_poll(d, sides[i]);
			while (n_handed[i] < sides[i]->n_kept) {
				struct fz_bytes sent =
					duo_kept(sides[i], sides[i]->n_kept - 1 - n_handed[i]++);
				duo_receive(d, sides[1 - i], sent, 51820);
				moves = true;
			}
		}
	}
}
