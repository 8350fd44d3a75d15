/*
 * The two halves against each other: whatever is gathered and then split as a kernel would gives the same packets, in
 * the same order within each flow; and what is split can be gathered into the same frame again.
 */
#include "offload/coalesce.h"
#include "offload/split.h"
#include "support/packet.h"
#include "support/test.h"

#define N_FLOWS   6
#define N_PACKETS 300
#define ROOM      1600

static uint8_t slab[N_PACKETS][ROOM], out[TEST_PACKET_MAX], frame[TEST_PACKET_MAX + 10];
static size_t slab_len[N_PACKETS];
static unsigned slab_flow[N_PACKETS];

static void start_flow(struct test_rng *rng, struct test_packet *t, unsigned f)
{
	*t = (struct test_packet){ .is_v6 = test_rng_below(rng, 2),
		.is_udp = test_rng_below(rng, 2),
		.src = (uint8_t)(f + 1),
		.dst = 200,
		.sport = (uint16_t)test_rng_next(rng),
		.dport = 443,
		.id = (uint16_t)test_rng_next(rng),
		.fragment = test_rng_below(rng, 2) ? 0x4000 : 0,
		.seq = (uint32_t)test_rng_next(rng),
		.options_len = (uint8_t)(4 * test_rng_below(rng, 4)),
		.payload_len = (uint32_t)(1 + test_rng_below(rng, 1400)) };
}

/* The next packet of a flow: mostly plain, sometimes everything that ends an item. */
static void write_next(struct test_rng *rng, struct test_packet *t, size_t k)
{
	struct test_packet p = *t;
	switch (test_rng_below(rng, 24)) {
	case 0: p.flags = TEST_ACK | TEST_PSH; break;
	case 1: p.payload_len = (uint32_t)test_rng_below(rng, p.payload_len + 1); break;
	case 2: p.flags = TEST_ACK | TEST_FIN; break;
	case 3: t->tos ^= 3; break;
	case 4: t->window++; break;
	case 5: p.seq += 5; break;
	case 6: p.ttl = 5; break;
	case 7: p.fragment = 7; break;
	default: break;
	}
	slab_len[k] = test_packet_write(&p, out);
	if (test_rng_below(rng, 40) == 0)
		out[slab_len[k] - 1] ^= 1;
	memcpy(slab[k], out, slab_len[k]);
	t->seq += p.payload_len;
	t->id++;
}

static size_t gather(const struct fz_coalesce_item *it)
{
	size_t n = 0;
	for (uint32_t i = 0; i < it->n_iov; i++) {
		memcpy(frame + n, it->iov[i].iov_base, it->iov[i].iov_len);
		n += it->iov[i].iov_len;
	}
	CHECK_UINT(n, it->len);
	return n;
}

/* Splits item i and ticks off each packet: equal bytes, and later in its flow than the one before it. */
static void check_item(const struct fz_coalesce *c, size_t i, size_t last_of_flow[N_FLOWS])
{
	const struct fz_coalesce_item *it = fz_coalesce_item(c, i);
	struct fz_split s;
	CHECK_INT(fz_split_init(&s, fz_bytes_of(frame, gather(it))), FZ_SPLIT_OK);
	CHECK_UINT(s.n, it->n_packets);
	for (uint32_t k = 0; k < s.n; k++) {
		struct fz_bytes was = fz_coalesce_packet(c, i, k);
		size_t at = (size_t)(was.p - slab[0]) / ROOM;
		size_t *last = &last_of_flow[slab_flow[at]];
		CHECK(*last == SIZE_MAX || *last < at);
		*last = at;
		CHECK_UINT(fz_split_len(&s, k), was.n);
		fz_split_write(&s, k, out);
		CHECK_MEM(out, was.p, was.n);
	}
}

static void run_seed(struct fz_coalesce *c, uint64_t seed)
{
	struct test_rng rng = { seed };
	struct test_packet flows[N_FLOWS];
	for (unsigned f = 0; f < N_FLOWS; f++)
		start_flow(&rng, &flows[f], f);
	fz_coalesce_begin(c, FZ_COALESCE_ALL);
	unsigned f = 0;
	for (size_t k = 0; k < N_PACKETS; k++) {
		if (test_rng_below(&rng, 4) == 0)
			f = (unsigned)test_rng_below(&rng, N_FLOWS);
		slab_flow[k] = f;
		write_next(&rng, &flows[f], k);
		CHECK(fz_coalesce_add(c, fz_span_of(slab[k], slab_len[k])));
	}
	size_t last_of_flow[N_FLOWS], n = fz_coalesce_end(c), n_packets = 0;
	memset(last_of_flow, 0xff, sizeof(last_of_flow));
	for (size_t i = 0; i < n; i++) {
		check_item(c, i, last_of_flow);
		n_packets += fz_coalesce_item(c, i)->n_packets;
	}
	CHECK_UINT(n_packets, N_PACKETS);
	CHECK(n < N_PACKETS * 9 / 10);
}

TEST(split_coalesce, splitting_what_was_gathered_gives_the_same_packets_in_order)
{
	struct fz_coalesce *c = fz_coalesce_new();
	CHECK(c);
	for (uint64_t seed = 1; seed <= 200; seed++) {
		fprintf(stderr, "seed %" PRIu64 "\r", seed);
		run_seed(c, seed);
	}
	fz_coalesce_free(c);
}

TEST(split_coalesce, gathering_what_was_split_gives_the_same_frame)
{
	struct fz_coalesce *c = fz_coalesce_new();
	CHECK(c);
	static uint8_t whole[TEST_PACKET_MAX + 10];
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct test_rng rng = { seed };
		struct test_packet t;
		start_flow(&rng, &t, 0);
		t.flags = test_rng_below(&rng, 2) ? TEST_ACK : TEST_ACK | TEST_PSH;
		uint16_t gso_size = (uint16_t)t.payload_len;
		t.payload_len = (uint32_t)(1 + test_rng_below(&rng, 40u * gso_size));
		size_t n = test_packet_write_frame(&t, gso_size, whole);
		struct fz_split s;
		CHECK_INT(fz_split_init(&s, fz_bytes_of(whole, n)), FZ_SPLIT_OK);
		fz_coalesce_begin(c, FZ_COALESCE_ALL);
		for (uint32_t i = 0; i < s.n; i++) {
			fz_split_write(&s, i, slab[i]);
			CHECK(fz_coalesce_add(c, fz_span_of(slab[i], fz_split_len(&s, i))));
		}
		CHECK_UINT(fz_coalesce_end(c), 1);
		if (s.n == 1)
			continue;
		CHECK_UINT(gather(fz_coalesce_item(c, 0)), n);
		memcpy(whole + 2, frame + 2, 2); /* hdr_len is a hint */
		CHECK_MEM(frame, whole, n);
	}
	fz_coalesce_free(c);
}
