/* A TURN server for simulations: see path_relay.h. */
#include "sim/path_relay.h"

#include <stdio.h>

#include "base/endian.h"
#include "support/test.h"

struct answer {
	struct sim_relay *r;
	struct sim_relay_client *client;
	const struct fz_stun *m;
	uint8_t key[16];
	bool is_signed;
	uint8_t buf[FZ_STUN_MAX];
	struct fz_writer w;
};

static struct sim_relay_client *client_of(struct sim_relay *r, const struct fz_addr *from)
{
	struct sim_relay_client *room = NULL;
	for (size_t i = 0; i < SIM_RELAY_CLIENTS; i++) {
		if (fz_addr_equal(&r->clients[i].addr, from))
			return &r->clients[i];
		if (!room && r->clients[i].addr.ip.family == FZ_NO_FAMILY)
			room = &r->clients[i];
	}
	CHECK(room);
	*room = (struct sim_relay_client){ .addr = *from };
	return room;
}

static struct sim_relay_client *client_at(struct sim_relay *r, const struct fz_addr *relayed)
{
	for (size_t i = 0; i < SIM_RELAY_CLIENTS; i++) {
		if (r->clients[i].has_allocation && fz_addr_equal(&r->clients[i].relayed, relayed))
			return &r->clients[i];
	}
	return NULL;
}

static void start(struct answer *a, enum fz_stun_class class)
{
	a->w = fz_writer_of(fz_span_of(a->buf, sizeof(a->buf)));
	fz_stun_begin(&a->w, class, a->m->method, &a->m->id);
	fz_stun_put(&a->w, FZ_STUN_SOFTWARE, fz_bytes_of("sim", 3));
}

static void sign(struct answer *a)
{
	if (a->r->lies)
		a->key[0] ^= 1;
	fz_stun_put_integrity(&a->w, fz_bytes_of(a->key, sizeof(a->key)));
}

/* A new one only when the old one is used up, so that requests in flight do not make each other stale. */
static void put_nonce(struct answer *a)
{
	struct test_rng rng = { a->r->rng };
	bool is_used_up = a->r->nonce_lives > 0 && a->client->n_requests > a->r->nonce_lives;
	if (!a->client->has_nonce || is_used_up) {
		test_rng_fill(&rng, a->client->nonce, sizeof(a->client->nonce));
		a->r->rng = rng.s;
		a->client->n_requests = 0;
		a->client->has_nonce = true;
	}
	fz_stun_put(&a->w, FZ_STUN_NONCE, fz_bytes_of(a->client->nonce, sizeof(a->client->nonce)));
}

static void refuse(struct answer *a, uint16_t code)
{
	start(a, FZ_STUN_ERROR);
	fz_stun_put_error(&a->w, code, "no");
	if (code == 401 || code == 438) {
		fz_stun_put(&a->w, FZ_STUN_REALM, fz_bytes_of("firezone", 8));
		put_nonce(a);
	}
	if (a->is_signed && !((code == 401 || code == 438) && a->r->leaves_errors_unsigned))
		sign(a);
}

/* 0, or the error the request deserves. */
static uint16_t check_credentials(struct answer *a)
{
	const struct fz_stun *m = a->m;
	if (a->r->is_strict && m->username.n > 0 && m->nonce.n == 0)
		return 400;
	if (m->username.n == 0 || m->username.n >= sizeof(a->client->username))
		return 401;
	fz_stun_long_term_key(
		m->username, fz_bytes_of("firezone", 8), fz_bytes_of_str(a->r->password), a->key);
	a->is_signed = true;
	if (m->nonce.n == 0)
		return 401;
	bool is_stale = a->r->nonce_lives > 0 && ++a->client->n_requests > a->r->nonce_lives;
	if (is_stale || a->r->calls_all_stale || !a->client->has_nonce ||
		!fz_bytes_equal(m->nonce, fz_bytes_of(a->client->nonce, sizeof(a->client->nonce))))
		return 438;
	if (!fz_stun_is_signed(m, fz_bytes_of(a->key, sizeof(a->key))))
		return 401;
	memcpy(a->client->username, m->username.p, m->username.n);
	a->client->username[m->username.n] = '\0';
	return 0;
}

static uint32_t lifetime_of(const struct sim_relay *r)
{
	return r->lifetime == 0 ? 600 : r->lifetime;
}

/* One allocation per user name: an older one of the same name ends. */
static void evict(struct sim_relay *r, const struct sim_relay_client *keep)
{
	for (size_t i = 0; i < SIM_RELAY_CLIENTS; i++) {
		struct sim_relay_client *c = &r->clients[i];
		if (c != keep && strcmp(c->username, keep->username) == 0)
			c->has_allocation = false;
	}
}

static void allocate(struct answer *a, fz_time now)
{
	struct sim_relay_client *c = a->client;
	if (a->r->refuses_allocate != 0 || c->has_allocation) {
		refuse(a, c->has_allocation ? 437 : a->r->refuses_allocate);
		return;
	}
	evict(a->r, c);
	memset(c->channels, 0, sizeof(c->channels));
	c->has_allocation = true;
	c->relayed = a->r->addr;
	c->relayed.port = (uint16_t)(50000 + a->r->next_port++);
	c->until = fz_time_add(now, FZ_SECONDS(lifetime_of(a->r)));
	start(a, FZ_STUN_SUCCESS);
	fz_stun_put_addr(&a->w, FZ_STUN_XOR_RELAYED_ADDRESS, &c->relayed);
	fz_stun_put_addr(&a->w, FZ_STUN_XOR_MAPPED_ADDRESS, &c->addr);
	fz_stun_put_u32(&a->w, FZ_STUN_LIFETIME, lifetime_of(a->r));
	sign(a);
}

static void refresh(struct answer *a, fz_time now)
{
	if (!a->client->has_allocation) {
		refuse(a, 437);
		return;
	}
	bool ends = a->m->has_lifetime && a->m->lifetime == 0;
	a->client->has_allocation = !ends;
	a->client->until = fz_time_add(now, FZ_SECONDS(lifetime_of(a->r)));
	start(a, FZ_STUN_SUCCESS);
	fz_stun_put_u32(&a->w, FZ_STUN_LIFETIME, ends ? 0 : lifetime_of(a->r));
	sign(a);
}

static void bind_channel(struct answer *a, fz_time now)
{
	struct sim_relay_channel *room = NULL;
	if (!a->client->has_allocation || a->m->channel < 0x4000 || a->m->channel > 0x4fff) {
		refuse(a, a->client->has_allocation ? 400 : 437);
		return;
	}
	if (a->r->refuses_bind != 0) {
		refuse(a, a->r->refuses_bind);
		return;
	}
	for (size_t i = 0; i < SIM_RELAY_CHANNELS; i++) {
		struct sim_relay_channel *ch = &a->client->channels[i];
		bool is_number = ch->number == a->m->channel;
		if (ch->number != 0 && is_number != fz_addr_equal(&ch->peer, &a->m->peer) &&
			!fz_time_reached(now, fz_time_add(ch->until, FZ_SECONDS(300)))) {
			refuse(a, 400);
			return;
		}
		if (is_number || (!room && ch->number == 0))
			room = ch;
	}
	CHECK(room);
	*room = (struct sim_relay_channel){ a->m->channel, a->m->peer,
		fz_time_add(now, FZ_SECONDS(600)) };
	start(a, FZ_STUN_SUCCESS);
	sign(a);
}

static void serve(struct answer *a, fz_time now)
{
	if (a->m->method == FZ_STUN_BINDING) {
		start(a, FZ_STUN_SUCCESS);
		fz_stun_put_addr(&a->w, FZ_STUN_XOR_MAPPED_ADDRESS, &a->client->addr);
		return;
	}
	uint16_t error = check_credentials(a);
	if (error != 0)
		refuse(a, error);
	else if (a->m->method == FZ_STUN_ALLOCATE)
		allocate(a, now);
	else if (a->m->method == FZ_STUN_REFRESH)
		refresh(a, now);
	else if (a->m->method == FZ_STUN_CHANNEL_BIND)
		bind_channel(a, now);
	else
		refuse(a, 400);
}

/* From a client to the peer of a channel. */
static void forward_out(struct sim_relay *r, struct sim_relay_client *c, fz_time now,
	struct fz_bytes pkt, sim_emit emit, void *user)
{
	struct fz_reader rd = fz_reader_of(pkt);
	uint16_t number = fz_reader_be16(&rd), len = fz_reader_be16(&rd);
	struct fz_bytes payload = fz_reader_take(&rd, len);
	for (size_t i = 0; !rd.bad && i < SIM_RELAY_CHANNELS; i++) {
		const struct sim_relay_channel *ch = &c->channels[i];
		if (ch->number == number && !fz_time_reached(now, ch->until)) {
			r->n_relayed++;
			emit(user, &c->relayed, &ch->peer, payload);
		}
	}
}

/* From a peer, to the client that has a channel to it. */
static void forward_in(struct sim_relay *r, struct sim_relay_client *c, fz_time now,
	const struct fz_addr *from, struct fz_bytes pkt, sim_emit emit, void *user)
{
	uint8_t buf[4 + 1500];
	for (size_t i = 0; i < SIM_RELAY_CHANNELS; i++) {
		const struct sim_relay_channel *ch = &c->channels[i];
		if (ch->number == 0 || !fz_addr_equal(&ch->peer, from) ||
			fz_time_reached(now, ch->until))
			continue;
		fz_be16_store(buf, ch->number);
		fz_be16_store(buf + 2, (uint16_t)pkt.n);
		memcpy(buf + 4, pkt.p, pkt.n);
		r->n_relayed++;
		emit(user, &r->addr, &c->addr, fz_bytes_of(buf, 4 + pkt.n));
	}
}

void sim_relay_receive(struct sim_relay *r, fz_time now, const struct fz_addr *from,
	const struct fz_addr *to, struct fz_bytes pkt, sim_emit emit, void *user)
{
	if (r->is_dead || pkt.n > 1500)
		return;
	if (!fz_addr_equal(to, &r->addr)) {
		struct sim_relay_client *c = client_at(r, to);
		if (c && !fz_time_reached(now, c->until))
			forward_in(r, c, now, from, pkt, emit, user);
		return;
	}
	struct fz_stun m;
	struct answer a = { .r = r, .client = client_of(r, from), .m = &m };
	if (a.client->has_allocation && fz_time_reached(now, a.client->until))
		a.client->has_allocation = false;
	if (pkt.n >= 4 && (pkt.p[0] & 0xc0) == 0x40) {
		if (a.client->has_allocation)
			forward_out(r, a.client, now, pkt, emit, user);
		return;
	}
	if (fz_stun_parse(pkt, &m) != FZ_STUN_OK || m.class != FZ_STUN_REQUEST)
		return;
	r->n_seen[m.method & 15]++;
	serve(&a, now);
	size_t len = fz_stun_finish(&a.w);
	CHECK(len > 0);
	emit(user, &r->addr, from, fz_bytes_of(a.buf, len));
}

void sim_relay_restart(struct sim_relay *r)
{
	memset(r->clients, 0, sizeof(r->clients));
}
