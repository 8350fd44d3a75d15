/*
 * Tokens are nanoseconds: one handshake costs 50 ms, a bucket holds 250 ms. A source unused for a second has a full
 * bucket again, so forgetting it changes nothing; the list by use makes that O(1) and needs no timer.
 */
#include "wg/ratelimit.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/endian.h"

#define COST  UINT64_C(50000000)
#define BURST 5
#define FULL  (COST * BURST)

struct wg_ratelimit_bucket {
	struct fz_node in_use;
	uint64_t net; /* address or upper half of it */
	uint64_t tokens;
	fz_time last;
	uint32_t family;
	uint32_t next; /* in its hash chain or the free one, + 1 */
};

void wg_ratelimit_init(struct wg_ratelimit *r, struct fz_hash_key key, uint32_t max)
{
	fz_assert(max > 0 && max <= WG_RATELIMIT_MAX && (max & (max - 1)) == 0);
	*r = (struct wg_ratelimit){ .key = key, .max = max };
	fz_list_init(&r->by_use);
}

void wg_ratelimit_done(struct wg_ratelimit *r)
{
	free(r->buckets);
	free(r->heads);
	*r = (struct wg_ratelimit){ 0 };
}

static bool have_memory(struct wg_ratelimit *r)
{
	if (r->heads)
		return true;
	struct wg_ratelimit_bucket *buckets = fz_new_array(struct wg_ratelimit_bucket, r->max);
	uint32_t *heads = fz_new_array(uint32_t, r->max);
	if (!buckets || !heads) {
		free(buckets);
		free(heads);
		return false;
	}
	for (uint32_t i = 0; i < r->max; i++)
		buckets[i].next = i + 1 < r->max ? i + 2 : 0;
	r->buckets = buckets;
	r->heads = heads;
	r->free = 1;
	return true;
}

static uint32_t *chain_of(struct wg_ratelimit *r, uint64_t net, uint32_t family)
{
	uint8_t in[12];
	fz_le64_store(in, net);
	fz_le32_store(in + 8, family);
	return &r->heads[fz_siphash(r->key, fz_bytes_of(in, sizeof(in))) & (r->max - 1)];
}

static void forget(struct wg_ratelimit *r, struct wg_ratelimit_bucket *b)
{
	uint32_t number = (uint32_t)(b - r->buckets) + 1;
	uint32_t *link = chain_of(r, b->net, b->family);
	while (*link != number)
		link = &r->buckets[*link - 1].next;
	*link = b->next;
	fz_list_remove(&b->in_use);
	b->next = r->free;
	r->free = number;
	r->n--;
}

static void forget_idle(struct wg_ratelimit *r, fz_time now)
{
	/* Two at a time keep pace with at most one that is added. */
	for (int i = 0; i < 2 && !fz_list_is_empty(&r->by_use); i++) {
		struct wg_ratelimit_bucket *oldest =
			FZ_CONTAINER_OF(r->by_use.head.next, struct wg_ratelimit_bucket, in_use);
		if (!fz_dur_less(FZ_SECONDS(1), fz_time_since(now, oldest->last)))
			break;
		forget(r, oldest);
	}
}

static bool take_token(struct wg_ratelimit *r, struct wg_ratelimit_bucket *b, fz_time now)
{
	uint64_t idle = fz_time_since(now, b->last).ns;
	uint64_t tokens =
		idle < FULL ? b->tokens + idle : FULL; /* capped first: the sum can't overflow */
	b->tokens = tokens < FULL ? tokens : FULL;
	b->last = now;
	fz_list_remove(&b->in_use);
	fz_list_push_back(&r->by_use, &b->in_use);
	if (b->tokens < COST)
		return false;
	b->tokens -= COST;
	return true;
}

bool wg_ratelimit_allow(struct wg_ratelimit *r, const struct fz_ip *source, fz_time now)
{
	if (!have_memory(r))
		return false;
	forget_idle(r, now);
	uint32_t family = source->family;
	uint64_t net = family == FZ_IP4 ? fz_be32_load(source->b) : fz_be64_load(source->b);
	uint32_t *chain = chain_of(r, net, family);
	for (uint32_t at = *chain; at != 0; at = r->buckets[at - 1].next) {
		struct wg_ratelimit_bucket *b = &r->buckets[at - 1];
		if (b->net == net && b->family == family)
			return take_token(r, b, now);
	}
	if (r->free == 0)
		return false;
	uint32_t number = r->free;
	struct wg_ratelimit_bucket *b = &r->buckets[number - 1];
	r->free = b->next;
	*b = (struct wg_ratelimit_bucket){ .net = net,
		.family = family,
		.tokens = COST * (BURST - 1),
		.last = now,
		.next = *chain };
	*chain = number;
	r->n++;
	fz_list_push_back(&r->by_use, &b->in_use);
	return true;
}
