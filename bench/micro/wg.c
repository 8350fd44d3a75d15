/* The replay window, the allowed-IPs table, and handshakes answered per second against the X25519 in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/endian.h"
#include "bench/micro/bench.h"
#include "crypto/x25519.h"
#include "wg/allowedips.h"
#include "wg/device.h"
#include "wg/replay.h"

#define BATCH 256

/* splitmix64: the same tables and keys in every run. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void random_bytes(void *user, struct fz_span out)
{
	for (size_t i = 0; i < out.n; i++)
		out.p[i] = (uint8_t)next_random(user);
}

struct window {
	struct wg_replay replay;
	uint64_t next;
	bool is_reordered;
};

/* In order, or every two packets swapped. */
static void run_replay(void *user)
{
	struct window *w = user;
	uint64_t n_new = 0;
	for (uint64_t i = 0; i < BATCH; i++)
		n_new += wg_replay_accept(&w->replay, w->next + (w->is_reordered ? i ^ 1 : i));
	w->next += BATCH;
	if (n_new != BATCH)
		exit(1);
}

void bench_replay(struct bench *b)
{
	static struct window in_order, swapped = { .is_reordered = true };
	bench_add(b, &(struct bench_case){
			     "replay", "in order", 0, BATCH, run_replay, NULL, &in_order });
	bench_add(b,
		&(struct bench_case){ "replay", "swapped", 0, BATCH, run_replay, NULL, &swapped });
}

struct table {
	struct wg_allowedips ips;
	struct wg_allowed_owner owner;
	uint8_t addrs[BATCH][4];
};

static void run_trie(void *user)
{
	struct table *t = user;
	uint64_t n_found = 0;
	for (size_t i = 0; i < BATCH; i++)
		n_found += wg_allowedips_find_maybe(&t->ips, FZ_IP4, t->addrs[i]) != NULL;
	if (n_found != BATCH)
		exit(1);
}

/* Prefixes of 17 to 32 bits all over 10.0.0.0/8 and one for all of it; look-ups of a few or of many addresses. */
static struct table *new_table(uint32_t n_prefixes, uint32_t n_addrs)
{
	struct table *t = calloc(1, sizeof(*t));
	uint64_t rng = n_prefixes;
	if (!t)
		exit(1);
	wg_allowedips_init(&t->ips);
	wg_allowed_owner_init(&t->owner);
	for (uint32_t i = 0; i < n_prefixes; i++) {
		uint32_t r = (uint32_t)next_random(&rng);
		struct fz_prefix p = { fz_ip4(10, (uint8_t)r, (uint8_t)(r >> 8),
					       (uint8_t)(r >> 16)),
			i == 0 ? 8 : (uint8_t)(17 + r % 16) };
		fz_prefix_mask(&p);
		if (wg_allowedips_add(&t->ips, &p, &t->owner) < 0)
			exit(1);
	}
	for (uint32_t i = 0; i < BATCH; i++) {
		uint64_t one = i % n_addrs;
		fz_be32_store(t->addrs[i], 0x0a000000u | ((uint32_t)next_random(&one) & 0xffffff));
	}
	return t;
}

void bench_trie(struct bench *b)
{
	static const uint32_t sizes[] = { 1, 1000, 100000 };
	for (size_t i = 0; i < FZ_ARRAY_LEN(sizes); i++) {
		bench_add(b, &(struct bench_case){ "trie", "4 addresses", sizes[i], BATCH, run_trie,
				     NULL, new_table(sizes[i], 4) });
		bench_add(b, &(struct bench_case){ "trie", "256 addresses", sizes[i], BATCH,
				     run_trie, NULL, new_table(sizes[i], BATCH) });
	}
}

struct pair {
	uint64_t rng;
	struct wg_device *initiator, *responder;
	struct wg_peer *to_responder;
	struct fz_now now;
	struct wg_rx_train train;
	uint8_t initiation[256];
};

/* Time goes on by six seconds, so that nothing is refused for being too early, and a fresh initiation is made. */
static void prepare_initiation(void *user)
{
	struct pair *p = user;
	struct wg_output out;
	uint32_t budget = 8;
	p->now.at.ns += 6000000000u;
	p->now.wall.ns += 6000000000;
	wg_peer_expire(p->to_responder);
	wg_peer_start_handshake(p->to_responder, p->now);
	if (!wg_device_poll(p->initiator, p->now, &budget, &out) || out.pkt.n != 148)
		exit(1);
	memcpy(p->initiation, out.pkt.p, out.pkt.n);
}

static void run_response(void *user)
{
	struct pair *p = user;
	struct wg_output out;
	uint32_t budget = 8;
	p->train.n = 1;
	p->train.pkt[0] = fz_span_of(p->initiation, 148);
	wg_rx_begin(p->responder, p->now, &p->train);
	if (!wg_device_poll(p->responder, p->now, &budget, &out) || out.pkt.n != 92) {
		fprintf(stderr, "no response\n");
		exit(1);
	}
}

static struct wg_device *new_device(struct pair *p, struct fz_key *key, uint8_t pub[static 32])
{
	struct wg_device *d = wg_device_new(
		&(struct wg_device_params){ .random = random_bytes, .user = &p->rng });
	if (!d)
		exit(1);
	random_bytes(&p->rng, fz_span_of(key->b, sizeof(key->b)));
	fz_x25519_public(pub, key);
	wg_device_set_private_key(d, key, p->now);
	wg_device_up(d, p->now);
	return d;
}

static struct pair *new_pair(void)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct fz_key key;
	uint8_t pub_i[32], pub_r[32];
	struct wg_peer *back;
	struct fz_addr at = { .ip = fz_ip4(192, 0, 2, 1), .port = 51820 };
	if (!p)
		exit(1);
	p->now = (struct fz_now){ { 1000000000 }, { 1700000000000000000 } };
	p->initiator = new_device(p, &key, pub_i);
	p->responder = new_device(p, &key, pub_r);
	if (wg_device_add_peer(p->initiator, pub_r, &p->to_responder) < 0 ||
		wg_device_add_peer(p->responder, pub_i, &back) < 0)
		exit(1);
	wg_peer_set_endpoint(p->to_responder, &at);
	p->train.from.remote = at;
	return p;
}

struct curve {
	struct fz_key key;
	uint8_t point[32];
};

static void run_multiply(void *user)
{
	struct curve *c = user;
	uint8_t out[32];
	if (!fz_x25519(out, &c->key, c->point))
		exit(1);
	memcpy(c->point, out, sizeof(out));
}

static void run_public(void *user)
{
	struct curve *c = user;
	uint8_t out[32];
	fz_x25519_public(out, &c->key);
	memcpy(c->key.b, out, sizeof(out));
}

void bench_handshake(struct bench *b)
{
	static struct curve multiply = { { { 9 } }, { 9 } }, public = { { { 9 } }, { 0 } };
	bench_add(b,
		&(struct bench_case){ "handshake", "x25519", 0, 1, run_multiply, NULL, &multiply });
	bench_add(b, &(struct bench_case){
			     "handshake", "x25519 public key", 0, 1, run_public, NULL, &public });
	bench_add(b, &(struct bench_case){ "handshake", "initiation to response", 0, 1,
			     run_response, prepare_initiation, new_pair() });
}
