/*
 * The client's map of Resources: what finding a packet's Resource costs among 10 and among 10,000, and how long a change of the set
 * holds the lock that packets need. "change and build" is what the control thread does beside them.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "bench/micro/bench.h"
#include "daemon/session_map.h"

#define PACKETS 4096u
#define FLOWS   64u /* to as many Resources */

struct map_bench {
	struct fz_map *m;
	struct fz_map_gateway gateway;
	uint32_t n, n_flows, round;
	bool is_all; /* every Resource changes */
	struct fzp_resource *list;
	char (*addresses)[24];
	uint8_t (*packets)[28];
};

static void settle(struct fz_map *m)
{
	fz_assert(fz_map_build(m) == 0);
	fz_map_swap(m);
	fz_map_sweep(m);
}

static void make_resource(struct map_bench *b, uint32_t i)
{
	struct fzp_resource *r = &b->list[i];
	snprintf(b->addresses[i], sizeof(b->addresses[i]), "10.%u.%u.%u/30", i >> 14, i >> 6 & 255u,
		(i & 63u) << 2);
	*r = (struct fzp_resource){
		.type = FZP_RESOURCE_CIDR, .name = "Resource", .address = b->addresses[i]
	};
	snprintf(r->id.text, sizeof(r->id.text), "00000000-0000-4000-8000-%012u", i);
	fz_assert(fz_prefix_parse(r->address, &r->prefix) == 0);
}

static void make_packet(struct map_bench *b, uint32_t i)
{
	uint8_t *p = b->packets[i];
	const struct fzp_resource *to = &b->list[i % b->n_flows * 2'654'435'761u % b->n];
	memset(p, 0, 28);
	p[0] = 0x45;
	p[3] = 28;
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, (const uint8_t[]){ 100, 64, 0, 2 }, 4);
	memcpy(p + 16, to->prefix.ip.b, 4);
	p[19] |= 1;
}

static struct map_bench *make(uint32_t n, uint32_t n_flows)
{
	struct map_bench *b = fz_new(struct map_bench);
	fz_assert(b);
	b->n = n;
	b->n_flows = n_flows;
	b->m = fz_map_new();
	b->list = fz_new_array(struct fzp_resource, n);
	b->addresses = fz_alloc(n, sizeof(b->addresses[0]));
	b->packets = fz_alloc(PACKETS, sizeof(b->packets[0]));
	fz_assert(b->m && b->list && b->addresses && b->packets);
	struct fz_ip v4 = fz_ip4(100, 64, 0, 2), v6 = { FZ_IP6, { 0xfd, [15] = 2 } };
	fz_map_set_interface(b->m, &v4, &v6);
	for (uint32_t i = 0; i < n; i++)
		make_resource(b, i);
	fz_assert(fz_map_set_resources(b->m, b->list, n) == 0);
	settle(b->m);
	for (uint32_t i = 0; i < n; i++)
		fz_map_authorized(b->m, &b->list[i].id, &b->gateway);
	for (uint32_t i = 0; i < PACKETS; i++)
		make_packet(b, i);
	return b;
}

static void look_up(void *user)
{
	struct map_bench *b = user;
	uint8_t out[64];
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct fz_map_gateway *to = NULL;
		size_t len;
		enum fz_map_route v = fz_map_route(b->m, (fz_time){ 1 },
			fz_bytes_of(b->packets[i], 28), fz_span_of(out, sizeof(out)), &to, &len);
		bench_keep(v == FZ_MAP_SEND);
	}
}

/* Another name for one or for all. */
static void change(struct map_bench *b)
{
	uint32_t n = b->is_all ? b->n : 1;
	b->round++;
	for (uint32_t i = 0; i < n; i++)
		b->list[i].name = b->round & 1 ? "another name" : "Resource";
	int r = b->is_all ? fz_map_set_resources(b->m, b->list, b->n)
			  : fz_map_upsert(b->m, &b->list[0]);
	fz_assert(r == 0);
}

static void prepare_swap(void *user)
{
	struct map_bench *b = user;
	fz_map_sweep(b->m);
	change(b);
	fz_assert(fz_map_build(b->m) == 0);
}

static void swap(void *user)
{
	struct map_bench *b = user;
	fz_map_swap(b->m);
}

static void change_and_build(void *user)
{
	struct map_bench *b = user;
	change(b);
	settle(b->m);
}

void bench_map(struct bench *b)
{
	static const uint32_t sizes[] = { 10, 1000, 10'000 };
	for (size_t i = 0; i < FZ_ARRAY_LEN(sizes); i++)
		bench_add(b, &(struct bench_case){ "map", "packet of 64 flows", sizes[i], PACKETS,
				     look_up, NULL, make(sizes[i], FLOWS) });
	/* None like the one before: what the processor's caches hold decides. */
	for (size_t i = 0; i < FZ_ARRAY_LEN(sizes); i++)
		bench_add(b, &(struct bench_case){ "map", "packet of 4096 flows", sizes[i], PACKETS,
				     look_up, NULL, make(sizes[i], PACKETS) });
	struct map_bench *one = make(10'000, FLOWS), *all = make(10'000, FLOWS),
			 *build = make(10'000, FLOWS);
	all->is_all = true;
	bench_add(b, &(struct bench_case){
			     "map", "lock held, one changed", 10'000, 1, swap, prepare_swap, one });
	bench_add(b, &(struct bench_case){
			     "map", "lock held, all changed", 10'000, 1, swap, prepare_swap, all });
	bench_add(b, &(struct bench_case){
			     "map", "change and build", 10'000, 1, change_and_build, NULL, build });
}
