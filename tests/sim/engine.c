/* The shell's part of a train (claim, header, seal, send; begin, open, finish) with trains of one. */
#include "sim/engine.h"

#include "base/endian.h"
#include "wg/noise.h"

#define WALL_START INT64_C(1790000000)

static void engine_random(void *user, struct fz_span out)
{
	test_rng_fill(user, out.p, out.n);
}

void sim_engine_init(struct sim_engine *e, uint64_t seed, struct fz_addr addr,
	struct sim_hooks hooks, struct fz_now now)
{
	*e = (struct sim_engine){ .rng = { seed }, .addr = addr, .hooks = hooks, .budget = 64 };
	struct wg_device_params params = { .random = engine_random, .user = &e->rng };
	e->device = wg_device_new(&params);
	CHECK(e->device != NULL);
	CHECK_INT(fz_aead_new(FZ_AEAD_SODIUM, &e->aead), 0);
	test_rng_fill(&e->rng, &e->private, sizeof(e->private));
	wg_device_set_private_key(e->device, &e->private, now);
	CHECK(wg_device_public_key(e->device, e->public));
	wg_device_up(e->device, now);
}

void sim_engine_done(struct sim_engine *e)
{
	wg_device_free(e->device);
	fz_aead_free(e->aead);
}

struct wg_peer *sim_engine_add(struct sim_engine *e, const struct sim_engine *other, uint8_t host,
	const struct fz_addr *at)
{
	struct wg_peer *p = NULL;
	struct fz_prefix v4 = { .ip = fz_ip4(10, 0, 0, host), .bits = 32 };
	struct fz_prefix v6 = { .ip = { .family = FZ_IP6, .b = { 0xfd, [15] = host } },
		.bits = 128 };
	CHECK_INT(wg_device_add_peer(e->device, other->public, &p), 0);
	CHECK_INT(wg_peer_add_allowed_ip(p, &v4), 0);
	CHECK_INT(wg_peer_add_allowed_ip(p, &v6), 0);
	if (at)
		wg_peer_set_endpoint(p, at);
	return p;
}

static void send_out(
	struct sim_engine *e, const struct wg_endpoint *to, uint8_t tos, struct fz_bytes pkt)
{
	struct sim_datagram d = { .from = e->addr, .to = to->remote, .tos = tos, .len = pkt.n };
	CHECK(pkt.n <= sizeof(d.bytes));
	memcpy(d.bytes, pkt.p, pkt.n);
	e->hooks.sent(e->hooks.user, e, &d);
}

enum wg_drop sim_engine_send(struct sim_engine *e, struct fz_now now, struct fz_bytes inner)
{
	struct wg_tx_claim c;
	enum wg_drop why = wg_tx_claim(e->device, now, inner, 1, &c);
	if (why == WG_DROP_STAGE)
		wg_tx_stage(e->device, c.peer, inner, now);
	if (why != WG_KEEP)
		return why;
	uint8_t pkt[SIM_DATAGRAM_MAX] = { 0 };
	uint32_t len = (uint32_t)inner.n + wg_tx_padding(e->device, (uint32_t)inner.n);
	CHECK(len + 32 <= sizeof(pkt));
	memcpy(pkt + 16, inner.p, inner.n);
	wg_tx_header(&c, 0, pkt);
	struct fz_aead_job job = { .key = c.key,
		.counter = c.counter,
		.src = pkt + 16,
		.dst = pkt + 16,
		.tag = pkt + 16 + len,
		.len = len };
	fz_aead_seal_many(e->aead, &job, 1);
	struct wg_endpoint to = c.to;
	uint8_t tos = c.tos;
	wg_tx_sent(e->device, now, &c, len + 32, true, inner.n > 0);
	send_out(e, &to, tos, fz_bytes_of(pkt, len + 32));
	return WG_KEEP;
}

enum wg_drop sim_engine_receive(
	struct sim_engine *e, struct fz_now now, const struct sim_datagram *d)
{
	static _Thread_local struct wg_rx_train t;
	uint8_t copy[SIM_DATAGRAM_MAX];
	memcpy(copy, d->bytes, d->len);
	t.from = (struct wg_endpoint){ .remote = d->from, .local = d->to.ip };
	t.ecn = d->tos & 3;
	t.n = 1;
	t.pkt[0] = fz_span_of(copy, d->len);
	wg_rx_begin(e->device, now, &t);
	(void)fz_aead_open_many(e->aead, t.jobs, t.n_jobs);
	wg_rx_finish(e->device, now, &t);
	if (t.verdict[0] == WG_KEEP)
		e->hooks.delivered(e->hooks.user, e, t.owner[0], fz_span_bytes(t.inner[0]));
	else
		CHECK(t.inner[0].p == NULL && t.owner[0] == NULL);
	return t.verdict[0];
}

uint32_t sim_engine_poll(struct sim_engine *e, struct fz_now now)
{
	uint32_t n = 0, budget = e->budget;
	struct wg_output out;
	for (; wg_device_poll(e->device, now, &budget, &out); n++) {
		if (e->is_refused)
			continue;
		send_out(e, &out.to, out.tos, out.pkt);
		if (out.has_data)
			wg_output_sent(e->device, now, now.at, out.session);
	}
	return n;
}

size_t sim_write_ip4(struct fz_span out, uint8_t from, uint8_t to, size_t len, uint64_t mark)
{
	struct fz_writer w = fz_writer_of(out);
	fz_writer_be16(&w, 0x4500);
	fz_writer_be16(&w, (uint16_t)(20 + len));
	fz_writer_be32(&w, 0);
	fz_writer_be32(&w, 64u << 24 | 253u << 16);
	fz_writer_be32(&w, 10u << 24 | from);
	fz_writer_be32(&w, 10u << 24 | to);
	if (len >= 8)
		fz_writer_be64(&w, mark);
	fz_writer_zeros(&w, len >= 8 ? len - 8 : len);
	CHECK(!w.bad);
	return w.len;
}

size_t sim_write_ip6(struct fz_span out, uint8_t from, uint8_t to, size_t len, uint64_t mark)
{
	struct fz_writer w = fz_writer_of(out);
	fz_writer_be32(&w, 6u << 28);
	fz_writer_be16(&w, (uint16_t)len);
	fz_writer_be16(&w, 253u << 8 | 64);
	const uint8_t hosts[2] = { from, to };
	for (int i = 0; i < 2; i++) {
		fz_writer_be64(&w, UINT64_C(0xfd) << 56);
		fz_writer_be64(&w, hosts[i]);
	}
	if (len >= 8)
		fz_writer_be64(&w, mark);
	fz_writer_zeros(&w, len >= 8 ? len - 8 : len);
	CHECK(!w.bad);
	return w.len;
}

uint64_t sim_mark_of(struct fz_bytes inner)
{
	size_t header = inner.p[0] >> 4 == 4 ? 20 : 40;
	return inner.n >= header + 8 ? fz_be64_load(inner.p + header) : 0;
}

struct fz_addr sim_addr(uint8_t host, uint16_t port)
{
	return (struct fz_addr){ .ip = fz_ip4(192, 0, 2, host), .port = port };
}

struct fz_now sim_time(uint64_t ms)
{
	return (struct fz_now){ .at = { ms * 1000000 },
		.wall = { WALL_START * 1000000000 + (int64_t)ms * 1000000 } };
}

uint32_t sim_type_of(const struct sim_datagram *d)
{
	return d->len >= 4 ? fz_le32_load(d->bytes) : 0;
}

static void pair_sent(void *user, struct sim_engine *from, const struct sim_datagram *d)
{
	struct sim_pair *p = user;
	*(from == &p->a ? &p->n_sent_a : &p->n_sent_b) += 1;
	if (p->n < SIM_WIRE_MAX)
		p->wire[p->n++] = *d;
}

static void pair_delivered(
	void *user, struct sim_engine *to, struct wg_peer *owner, struct fz_bytes inner)
{
	struct sim_pair *p = user;
	*(to == &p->a ? &p->n_got_a : &p->n_got_b) += 1;
	memcpy(p->last_inner, inner.p, inner.n);
	p->last_inner_len = inner.n;
	p->last_owner = owner;
}

struct sim_pair *sim_pair_new(uint64_t seed)
{
	struct sim_pair *p = calloc(1, sizeof(*p));
	CHECK(p != NULL);
	struct sim_hooks hooks = { .sent = pair_sent, .delivered = pair_delivered, .user = p };
	struct fz_addr at_a = sim_addr(1, 51820), at_b = sim_addr(2, 51820);
	p->now = sim_time(1000000);
	sim_engine_init(&p->a, seed * 2 + 1, at_a, hooks, p->now);
	sim_engine_init(&p->b, seed * 2 + 2, at_b, hooks, p->now);
	p->peer_b = sim_engine_add(&p->a, &p->b, 2, &at_b);
	p->peer_a = sim_engine_add(&p->b, &p->a, 1, &at_a);
	return p;
}

void sim_pair_free(struct sim_pair *p)
{
	sim_engine_done(&p->a);
	sim_engine_done(&p->b);
	free(p);
}

void sim_pair_poll(struct sim_pair *p)
{
	while (sim_engine_poll(&p->a, p->now) + sim_engine_poll(&p->b, p->now) > 0)
		;
}

struct sim_datagram sim_pair_take(struct sim_pair *p, uint32_t i)
{
	CHECK(i < p->n);
	struct sim_datagram d = p->wire[i];
	memmove(&p->wire[i], &p->wire[i + 1], (p->n - i - 1) * sizeof(p->wire[0]));
	p->n--;
	return d;
}

void sim_pair_pump(struct sim_pair *p)
{
	sim_pair_poll(p);
	while (p->n > 0) {
		struct sim_datagram d = sim_pair_take(p, 0);
		struct sim_engine *to = fz_addr_equal(&d.to, &p->a.addr)   ? &p->a
					: fz_addr_equal(&d.to, &p->b.addr) ? &p->b
									   : NULL;
		if (to)
			(void)sim_engine_receive(to, p->now, &d);
		sim_pair_poll(p);
	}
}

static void pair_wait(struct sim_pair *p, fz_dur d, void (*work)(struct sim_pair *))
{
	struct fz_now end = { fz_time_add(p->now.at, d), { p->now.wall.ns + (int64_t)d.ns } };
	work(p);
	for (;;) {
		fz_time next = fz_time_min(
			wg_device_deadline(p->a.device), wg_device_deadline(p->b.device));
		if (next.ns > end.at.ns)
			break;
		CHECK(next.ns > p->now.at.ns); /* polling leaves nothing due */
		p->now.wall.ns += (int64_t)(next.ns - p->now.at.ns);
		p->now.at = next;
		work(p);
	}
	p->now = end;
	work(p);
}

void sim_pair_wait(struct sim_pair *p, fz_dur d)
{
	pair_wait(p, d, sim_pair_pump);
}

void sim_pair_wait_unplugged(struct sim_pair *p, fz_dur d)
{
	pair_wait(p, d, sim_pair_poll);
}

enum wg_drop sim_pair_ping(struct sim_pair *p, bool from_a, size_t len)
{
	uint8_t inner[SIM_DATAGRAM_MAX];
	size_t n = sim_write_ip4(
		fz_span_of(inner, sizeof(inner)), from_a ? 1 : 2, from_a ? 2 : 1, len, 0x1234);
	enum wg_drop why = sim_engine_send(from_a ? &p->a : &p->b, p->now, fz_bytes_of(inner, n));
	sim_pair_pump(p);
	return why;
}
