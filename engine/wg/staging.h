/*
 * Packets that wait for a session: up to 128 per peer, the oldest gives way. Their memory is one bounded pool per
 * device, had when packets wait and given back when they are gone; when all of it is used, the packet that waited
 * longest, whoever's it is, gives way. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/list.h"

#define WG_STAGING_MAX_BYTES (UINT32_C(16) * 1024 * 1024)

struct wg_staging_chunk;

/* Of a device; use _init. */
struct wg_staging {
	struct fz_list chunks; /* with room */
	struct fz_list by_age; /* every packet of every queue */
	struct wg_staging_chunk
		*spare; /* an empty chunk, so that one waiting packet at a time does not allocate */
	uint32_t n_chunks, max_chunks;
};

/* Of a peer; use _queue_init. Only valid together with the pool it was used with. */
struct wg_staging_queue {
	struct fz_list packets;
	uint32_t n;
};

void wg_staging_init(struct wg_staging *s, size_t max_bytes) FZ_NONNULL(1);
/* All queues must be empty. */
void wg_staging_done(struct wg_staging *s) FZ_NONNULL(1);
/* Gives back what is not in use. */
void wg_staging_trim(struct wg_staging *s) FZ_NONNULL(1);

void wg_staging_queue_init(struct wg_staging_queue *q) FZ_NONNULL(1);
/* Copies the packet to the end. Returns how many packets were lost for it (or itself, if there is no memory at all). */
uint32_t wg_staging_push(struct wg_staging *s, struct wg_staging_queue *q, struct fz_bytes packet)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Moves the oldest packet to `out` (which must be large enough) and returns its length; the queue is not empty. */
size_t wg_staging_pop(struct wg_staging *s, struct wg_staging_queue *q, struct fz_span out)
	FZ_NONNULL(1, 2);
/* Drops everything and returns how many that were. */
uint32_t wg_staging_purge(struct wg_staging *s, struct wg_staging_queue *q) FZ_NONNULL(1, 2);
