/* Packets that wait: order, bounds, and memory that comes back. */
#include "support/test.h"
#include "wg/constants.h"
#include "wg/staging.h"

static uint8_t buf[65535], out[65535];

static void push_n(struct wg_staging *s, struct wg_staging_queue *q, uint32_t mark, size_t len,
	uint32_t want_lost)
{
	memset(buf, (int)mark, len);
	memcpy(buf, &mark, sizeof(mark));
	CHECK_UINT(wg_staging_push(s, q, fz_bytes_of(buf, len)), want_lost);
}

static uint32_t pop(struct wg_staging *s, struct wg_staging_queue *q, size_t want_len)
{
	uint32_t mark;
	CHECK_UINT(wg_staging_pop(s, q, fz_span_of(out, sizeof(out))), want_len);
	memcpy(&mark, out, sizeof(mark));
	for (size_t i = sizeof(mark); i < want_len; i++)
		CHECK_UINT(out[i], mark & 0xff);
	return mark;
}

TEST(staging, packets_of_every_length_come_back_in_order)
{
	static const size_t lens[] = { 4, 100, 1420, 1980, 1984, 1985, 2031, 2032, 2033, 4000, 4016,
		9000, 65535 };
	struct wg_staging s;
	struct wg_staging_queue q;
	wg_staging_init(&s, WG_STAGING_MAX_BYTES);
	wg_staging_queue_init(&q);
	for (uint32_t i = 0; i < FZ_ARRAY_LEN(lens); i++)
		push_n(&s, &q, i, lens[i], 0);
	for (uint32_t i = 0; i < FZ_ARRAY_LEN(lens); i++)
		CHECK_UINT(pop(&s, &q, lens[i]), i);
	CHECK_UINT(s.n_chunks, 0);
	wg_staging_done(&s);
}

TEST(staging, the_129th_packet_pushes_out_the_oldest)
{
	struct wg_staging s;
	struct wg_staging_queue q;
	wg_staging_init(&s, WG_STAGING_MAX_BYTES);
	wg_staging_queue_init(&q);
	for (uint32_t i = 0; i < 130; i++)
		push_n(&s, &q, i, 60, i < 128 ? 0 : 1);
	CHECK_UINT(q.n, 128);
	CHECK_UINT(pop(&s, &q, 60), 2);
	CHECK_UINT(wg_staging_purge(&s, &q), 127);
	CHECK_UINT(s.n_chunks, 0);
	wg_staging_done(&s);
}

TEST(staging, a_full_pool_drops_whoever_waited_longest)
{
	struct wg_staging s;
	struct wg_staging_queue a, b;
	wg_staging_init(&s, 128 * 1024);
	wg_staging_queue_init(&a);
	wg_staging_queue_init(&b);
	push_n(&s, &a, 1, 20, 0);
	for (uint32_t i = 0; i < 63; i++)
		push_n(&s, &b, i, 1400, 0);
	push_n(&s, &b, 63, 1400, 1);
	CHECK_UINT(a.n, 0);
	push_n(&s, &a, 2, 4000, 2); /* two cells: two small packets go */
	CHECK_UINT(b.n, 62);
	CHECK_UINT(pop(&s, &b, 1400), 2);
	CHECK_UINT(wg_staging_purge(&s, &a) + wg_staging_purge(&s, &b), 62);
	wg_staging_done(&s);
}

TEST(staging, what_can_never_fit_costs_everybody_and_is_counted)
{
	struct wg_staging s;
	struct wg_staging_queue q;
	wg_staging_init(&s, 64 * 1024 - 1); /* room for no chunk, or few cells */
	wg_staging_queue_init(&q);
	push_n(&s, &q, 1, 65535, 1);
	CHECK_UINT(q.n, 0);
	wg_staging_done(&s);
}

TEST(staging, memory_is_had_when_packets_wait_and_given_back)
{
	struct wg_staging s;
	struct wg_staging_queue q;
	wg_staging_init(&s, WG_STAGING_MAX_BYTES);
	wg_staging_queue_init(&q);
	CHECK(s.spare == NULL && s.n_chunks == 0);
	for (uint32_t i = 0; i < 100; i++)
		push_n(&s, &q, i, 1400, 0);
	CHECK(s.n_chunks > 0);
	while (q.n > 0)
		(void)wg_staging_pop(&s, &q, fz_span_of(out, sizeof(out)));
	CHECK_UINT(s.n_chunks, 0);
	wg_staging_trim(&s);
	CHECK(s.spare == NULL);
	wg_staging_done(&s);
}

TEST(staging, survives_random_use_by_many_queues)
{
	enum { Q = 16 };
	static struct wg_staging_queue queues[Q];
	struct test_rng rng = { 5 };
	struct wg_staging s;
	uint64_t in = 0, gone = 0;
	wg_staging_init(&s, 512 * 1024);
	for (int i = 0; i < Q; i++)
		wg_staging_queue_init(&queues[i]);
	for (int i = 0; i < 20000; i++) {
		struct wg_staging_queue *q = &queues[test_rng_below(&rng, Q)];
		if (q->n > 0 && test_rng_below(&rng, 3) == 0) {
			(void)wg_staging_pop(&s, q, fz_span_of(out, sizeof(out)));
			gone++;
			continue;
		}
		in++;
		gone += wg_staging_push(&s, q, fz_bytes_of(buf, 1 + test_rng_below(&rng, 9000)));
		CHECK(s.n_chunks <= s.max_chunks);
	}
	for (int i = 0; i < Q; i++)
		gone += wg_staging_purge(&s, &queues[i]);
	CHECK_UINT(in, gone);
	CHECK(fz_list_is_empty(&s.by_age));
	wg_staging_done(&s);
}
