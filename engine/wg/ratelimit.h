/*
 * Handshakes per source address under load: a token bucket of 20 per second with a burst of 5 for each IPv4 address or
 * IPv6 /64. Bounded; when it is full, strangers are refused. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/time.h"

#define WG_RATELIMIT_MAX 65536u

struct wg_ratelimit_bucket;

/* A value; its memory is had at the first use and kept. */
struct wg_ratelimit {
	struct fz_hash_key key;
	uint32_t max, n;
	struct wg_ratelimit_bucket *buckets; /* `max` of them */
	uint32_t *heads; /* hash chains, by number of bucket + 1 */
	uint32_t free; /* chain of unused ones */
	struct fz_list by_use; /* the longest unused first */
};

/* `key` is random; max at most WG_RATELIMIT_MAX, a power of two. */
void wg_ratelimit_init(struct wg_ratelimit *r, struct fz_hash_key key, uint32_t max) FZ_NONNULL(1);
void wg_ratelimit_done(struct wg_ratelimit *r) FZ_NONNULL(1);
/* Takes one token of the source; false: none left, or no room (or memory) for one more source. */
bool wg_ratelimit_allow(struct wg_ratelimit *r, const struct fz_ip *source, fz_time now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
