/*
 * Cells of 2 KiB from chunks of 64 KiB; a packet is a chain of cells whose first one starts with the packet's place
 * in its queue and in the order of age. Built without pools (FZ_NO_POOL), a chunk is one cell.
 */
#include "wg/staging.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "wg/constants.h"

#if defined(FZ_NO_POOL)
#define CELLS_PER_CHUNK 1u
#else
#define CELLS_PER_CHUNK 32u
#endif
#define CELL_LEN 2048u

struct cell {
	struct cell *next; /* of the packet, or unused in its chunk */
	struct wg_staging_chunk *chunk;
	uint8_t bytes[CELL_LEN - 2 * sizeof(void *)];
};

struct wg_staging_chunk {
	struct fz_node with_room;
	struct cell *free;
	uint32_t n_used;
	struct cell cells[CELLS_PER_CHUNK];
};

struct packet {
	struct fz_node in_queue, in_age;
	struct wg_staging_queue *queue;
	size_t len;
};

#define FIRST_ROOM (sizeof(((struct cell *)0)->bytes) - sizeof(struct packet))
#define MORE_ROOM  sizeof(((struct cell *)0)->bytes)

static struct packet *packet_of(struct cell *c)
{
	return (struct packet *)(void *)c->bytes;
}

static struct cell *cell_of(struct packet *p)
{
	return FZ_CONTAINER_OF(p, struct cell, bytes);
}

void wg_staging_init(struct wg_staging *s, size_t max_bytes)
{
	*s = (struct wg_staging){ .max_chunks =
					  (uint32_t)(max_bytes / (CELLS_PER_CHUNK * CELL_LEN)) };
	fz_list_init(&s->chunks);
	fz_list_init(&s->by_age);
}

void wg_staging_trim(struct wg_staging *s)
{
	free(s->spare);
	s->spare = NULL;
}

void wg_staging_done(struct wg_staging *s)
{
	fz_assert(s->n_chunks == 0);
	wg_staging_trim(s);
}

void wg_staging_queue_init(struct wg_staging_queue *q)
{
	fz_list_init(&q->packets);
	q->n = 0;
}

static bool add_chunk(struct wg_staging *s)
{
	if (s->n_chunks >= s->max_chunks)
		return false;
	struct wg_staging_chunk *chunk = s->spare ? s->spare : fz_new(struct wg_staging_chunk);
	if (!chunk)
		return false;
	s->spare = NULL;
	chunk->free = NULL;
	for (uint32_t i = 0; i < CELLS_PER_CHUNK; i++) {
		chunk->cells[i].chunk = chunk;
		chunk->cells[i].next = chunk->free;
		chunk->free = &chunk->cells[i];
	}
	fz_list_push_back(&s->chunks, &chunk->with_room);
	s->n_chunks++;
	return true;
}

static struct cell *take_cell_maybe(struct wg_staging *s)
{
	if (fz_list_is_empty(&s->chunks) && !add_chunk(s))
		return NULL;
	struct wg_staging_chunk *chunk =
		FZ_CONTAINER_OF(s->chunks.head.next, struct wg_staging_chunk, with_room);
	struct cell *c = chunk->free;
	chunk->free = c->next;
	chunk->n_used++;
	if (!chunk->free)
		fz_list_remove(&chunk->with_room);
	c->next = NULL;
	return c;
}

static void give_cell(struct wg_staging *s, struct cell *c)
{
	struct wg_staging_chunk *chunk = c->chunk;
	if (!chunk->free)
		fz_list_push_back(&s->chunks, &chunk->with_room);
	c->next = chunk->free;
	chunk->free = c;
	if (--chunk->n_used > 0)
		return;
	fz_list_remove(&chunk->with_room);
	s->n_chunks--;
	if (s->spare)
		free(chunk);
	else
		s->spare = chunk;
}

static void give_cells(struct wg_staging *s, struct cell *c)
{
	while (c) {
		struct cell *next = c->next;
		give_cell(s, c);
		c = next;
	}
}

static void drop(struct wg_staging *s, struct packet *p)
{
	fz_list_remove(&p->in_queue);
	fz_list_remove(&p->in_age);
	p->queue->n--;
	give_cells(s, cell_of(p));
}

/* A chain for `len` bytes, NULL if the pool can't hold that many now. */
static struct cell *take_cells_maybe(struct wg_staging *s, size_t len)
{
	struct cell *first = take_cell_maybe(s), *last = first;
	for (size_t room = FIRST_ROOM; last && room < len; room += MORE_ROOM) {
		last->next = take_cell_maybe(s);
		last = last->next;
	}
	if (!last)
		give_cells(s, first);
	return last ? first : NULL;
}

static void fill(struct cell *first, struct fz_bytes in)
{
	size_t n = in.n < FIRST_ROOM ? in.n : FIRST_ROOM;
	if (n > 0)
		memcpy(first->bytes + sizeof(struct packet), in.p, n);
	for (struct cell *c = first->next; c; c = c->next) {
		size_t more = in.n - n < MORE_ROOM ? in.n - n : MORE_ROOM;
		memcpy(c->bytes, in.p + n, more);
		n += more;
	}
	fz_assert(n == in.n);
}

uint32_t wg_staging_push(struct wg_staging *s, struct wg_staging_queue *q, struct fz_bytes packet)
{
	uint32_t n_lost = 0;
	for (; q->n >= WG_MAX_STAGED; n_lost++)
		drop(s, FZ_CONTAINER_OF(q->packets.head.next, struct packet, in_queue));
	struct cell *first = take_cells_maybe(s, packet.n);
	for (; !first && !fz_list_is_empty(&s->by_age); n_lost++) {
		drop(s, FZ_CONTAINER_OF(s->by_age.head.next, struct packet, in_age));
		first = take_cells_maybe(s, packet.n);
	}
	if (!first)
		return n_lost + 1;
	struct packet *p = packet_of(first);
	*p = (struct packet){ .queue = q, .len = packet.n };
	fill(first, packet);
	fz_list_push_back(&q->packets, &p->in_queue);
	fz_list_push_back(&s->by_age, &p->in_age);
	q->n++;
	return n_lost;
}

size_t wg_staging_pop(struct wg_staging *s, struct wg_staging_queue *q, struct fz_span out)
{
	fz_assert(q->n > 0);
	struct packet *p = FZ_CONTAINER_OF(q->packets.head.next, struct packet, in_queue);
	size_t len = p->len, n = len < FIRST_ROOM ? len : FIRST_ROOM;
	fz_assert(len <= out.n);
	memcpy(out.p, cell_of(p)->bytes + sizeof(*p), n);
	for (struct cell *c = cell_of(p)->next; c; c = c->next) {
		size_t more = len - n < MORE_ROOM ? len - n : MORE_ROOM;
		memcpy(out.p + n, c->bytes, more);
		n += more;
	}
	drop(s, p);
	return len;
}

uint32_t wg_staging_purge(struct wg_staging *s, struct wg_staging_queue *q)
{
	uint32_t n = q->n;
	while (q->n > 0)
		drop(s, FZ_CONTAINER_OF(q->packets.head.next, struct packet, in_queue));
	return n;
}
