/* Checksums, and one TSO read or train of 45 segments split and gathered again. */
#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "bench/micro/bench.h"
#include "offload/coalesce.h"
#include "offload/csum_isa.h"
#include "offload/split.h"
#include "tests/support/packet.h"

#define TRAIN 45
#define ROOM  1600

static uint8_t from[TRAIN * ROOM], to[TRAIN * ROOM];

typedef uint64_t sum_fn(struct fz_bytes b);

struct sum {
	uint32_t len;
	sum_fn *sum;
};

static uint64_t sum_plain(struct fz_bytes b)
{
	return fz_csum_add_plain(0, b);
}

static uint64_t copy_plain(struct fz_bytes b)
{
	return fz_csum_copy_plain(0, to, b);
}

static uint64_t sum_chosen(struct fz_bytes b)
{
	return fz_csum_add(0, b);
}

static uint64_t copy_chosen(struct fz_bytes b)
{
	return fz_csum_copy(0, to, b);
}

static void run_sum(void *user)
{
	const struct sum *s = user;
	uint64_t total = 0;
	for (size_t i = 0; i < TRAIN; i++)
		total += s->sum(fz_bytes_of(from + i * ROOM, s->len));
	bench_keep(total);
}

void bench_csum(struct bench *b)
{
	static const struct {
		const char *name;
		sum_fn *sum;
	} variants[] = { { "plain", sum_plain }, { "chosen", sum_chosen },
		{ "plain with copy", copy_plain }, { "chosen with copy", copy_chosen } };

	static const uint32_t lens[] = { 20, 64, 1420 };
	for (size_t v = 0; v < FZ_ARRAY_LEN(variants); v++) {
		for (size_t l = 0; l < FZ_ARRAY_LEN(lens); l++) {
			struct sum *s = malloc(sizeof(*s));
			if (!s)
				exit(1);
			*s = (struct sum){ lens[l], variants[v].sum };
			bench_add(b, &(struct bench_case){ "csum", variants[v].name, lens[l], TRAIN,
					     run_sum, NULL, s });
		}
	}
}

/* A super-packet of TRAIN segments, and the packets it consists of. */
struct flow {
	struct fz_split split;
	struct fz_coalesce *coalesce;
	size_t frame_len;
	uint8_t frame[TEST_PACKET_MAX + 10];
	uint8_t packets[TRAIN][ROOM];
};

static void run_split(void *user)
{
	struct flow *f = user;
	struct fz_split s;
	if (fz_split_init(&s, fz_bytes_of(f->frame, f->frame_len)) != FZ_SPLIT_OK)
		exit(1);
	for (uint32_t i = 0; i < s.n; i++)
		fz_split_write(&s, i, f->packets[i]);
}

static void run_coalesce(void *user)
{
	struct flow *f = user;
	fz_coalesce_begin(f->coalesce, FZ_COALESCE_ALL);
	for (uint32_t i = 0; i < f->split.n; i++)
		if (!fz_coalesce_add(
			    f->coalesce, fz_span_of(f->packets[i], fz_split_len(&f->split, i))))
			exit(1);
	if (fz_coalesce_end(f->coalesce) != 1)
		exit(1);
}

static struct flow *new_flow(bool is_v6, bool is_udp, uint32_t mtu)
{
	uint32_t payload = mtu - (is_v6 ? 40 : 20) - (is_udp ? 8 : 20);
	struct test_packet t = { .is_v6 = is_v6,
		.is_udp = is_udp,
		.src = 1,
		.dst = 2,
		.fragment = 0x4000,
		.payload_len = TRAIN * payload };
	struct flow *f = calloc(1, sizeof(*f));
	if (!f)
		exit(1);
	f->coalesce = fz_coalesce_new();
	f->frame_len = test_packet_write_frame(&t, (uint16_t)payload, f->frame);
	if (!f->coalesce || fz_split_init(&f->split, fz_bytes_of(f->frame, f->frame_len)))
		exit(1);
	run_split(f);
	return f;
}

static void add_flows(struct bench *b, const char *group, bench_fn *run)
{
	static const char *const names[] = { "tcp4", "tcp6", "udp4", "udp6" };
	static const uint32_t mtus[] = { 128, 1280, 1420 };
	for (unsigned kind = 0; kind < 4; kind++) {
		for (size_t m = bench_is_quick(b) ? 2 : 0; m < FZ_ARRAY_LEN(mtus); m++)
			bench_add(b, &(struct bench_case){ group, names[kind], mtus[m], TRAIN, run,
					     NULL, new_flow(kind & 1, kind & 2, mtus[m]) });
	}
}

void bench_split(struct bench *b)
{
	add_flows(b, "split", run_split);
}

void bench_coalesce(struct bench *b)
{
	add_flows(b, "coalesce", run_coalesce);
}
