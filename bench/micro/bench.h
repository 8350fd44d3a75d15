/*
 * Small measurements: cases are registered, then run round by round, one after the other, so that a disturbance hits
 * all alike; medians and extremes are reported per item. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench;

/* Does the measured work once; it holds `items` items. Its state is `user`. */
typedef void bench_fn(void *user);
/* What each run needs anew and is not measured; NULL if nothing. */
typedef void bench_prepare_fn(void *user);

struct bench_case {
	const char *group; /* "aead" */
	const char *variant; /* "ipsecmb-avx512 seal" */
	uint32_t size; /* bytes, entries: what the group varies; 0 if nothing */
	uint32_t items;
	bench_fn *run;
	bench_prepare_fn *prepare;
	void *user;
};

/* Copied; the strings must live as long as the program. */
void bench_add(struct bench *b, const struct bench_case *c);
/* True: not all sizes are to be measured. */
bool bench_is_quick(const struct bench *b);
/* Prevents that a result is optimised away. */
void bench_keep(uint64_t value);

/* The groups. Each registers its cases; the state they make is never freed: the program ends after the run. */
void bench_aead(struct bench *b);
void bench_csum(struct bench *b);
void bench_split(struct bench *b);
void bench_coalesce(struct bench *b);
void bench_replay(struct bench *b);
void bench_trie(struct bench *b);
void bench_handshake(struct bench *b);
void bench_io(struct bench *b);
void bench_map(struct bench *b);
