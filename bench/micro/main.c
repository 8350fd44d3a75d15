/*
 * firezone-bench: what the parts of the packet path cost, each alone. Arguments: groups to run (all without any),
 * --quick (fewer sizes and rounds), --json (one object on stdout instead of the table).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "bench/micro/bench.h"
#include "crypto/selftest.h"

#define CASES_MAX  128
#define ROUNDS_MAX 15

struct measured {
	struct bench_case c;
	uint32_t repeats; /* per round */
	double ns[ROUNDS_MAX]; /* per item */
};

struct bench {
	bool is_quick, is_json;
	size_t n_cases, n_rounds;
	struct measured cases[CASES_MAX];
};

static const struct group {
	const char *name;
	void (*add)(struct bench *b);
} groups[] = {
	{ "aead", bench_aead },
	{ "csum", bench_csum },
	{ "split", bench_split },
	{ "coalesce", bench_coalesce },
	{ "replay", bench_replay },
	{ "trie", bench_trie },
	{ "handshake", bench_handshake },
	{ "io", bench_io },
	{ "map", bench_map },
};

void bench_add(struct bench *b, const struct bench_case *c)
{
	if (b->n_cases == CASES_MAX) {
		fprintf(stderr, "more than %d cases\n", CASES_MAX);
		exit(1);
	}
	b->cases[b->n_cases++].c = *c;
}

bool bench_is_quick(const struct bench *b)
{
	return b->is_quick;
}

void bench_keep(uint64_t value)
{
	__asm__ __volatile__("" : : "r"(value));
}

/* CPU time of ours alone: what else the machine does then shows in the caches only. */
static double now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* With a preparation only the run itself is timed, at the price of two clock readings each. */
static double time_runs(const struct bench_case *c, uint32_t repeats)
{
	double total = 0, start = now_ns();
	for (uint32_t i = 0; i < repeats; i++) {
		if (c->prepare) {
			c->prepare(c->user);
			start = now_ns();
		}
		c->run(c->user);
		if (c->prepare)
			total += now_ns() - start;
	}
	return c->prepare ? total : now_ns() - start;
}

static void calibrate(struct measured *m, double round_ns)
{
	m->repeats = 1;
	for (;;) {
		double ns = time_runs(&m->c, m->repeats);
		if (ns >= round_ns / 4 || m->repeats > 1u << 24) {
			double factor = round_ns / (ns + 1);
			m->repeats = (uint32_t)((double)m->repeats * factor) + 1;
			return;
		}
		m->repeats *= 2;
	}
}

static void run_all(struct bench *b)
{
	double round_ns = b->is_quick ? 4e6 : 20e6;
	bool is_watched = isatty(STDERR_FILENO);
	for (size_t i = 0; i < b->n_cases; i++)
		calibrate(&b->cases[i], round_ns);
	for (size_t r = 0; r < b->n_rounds; r++) {
		if (is_watched)
			fprintf(stderr, "round %zu of %zu\r", r + 1, b->n_rounds);
		for (size_t i = 0; i < b->n_cases; i++) {
			struct measured *m = &b->cases[i];
			m->ns[r] = time_runs(&m->c, m->repeats) / m->repeats / m->c.items;
		}
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* "model name : ..." of the first CPU. */
static void read_cpu_name(char *buf, size_t len)
{
	char line[256];
	snprintf(buf, len, "unknown");
	FILE *f = fopen("/proc/cpuinfo", "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		colon[strcspn(colon, "\n\"\\")] = 0;
		snprintf(buf, len, "%s", colon + 2);
		break;
	}
	(void)fclose(f);
}

static void print_json(struct bench *b, const char *cpu, double load)
{
	printf("{\n  \"cpu\": \"%s\",\n  \"load\": %.2f,\n  \"rounds\": %zu,\n  \"cases\": [", cpu,
		load, b->n_rounds);
	for (size_t i = 0; i < b->n_cases; i++) {
		const struct measured *m = &b->cases[i];
		printf("%s\n    { \"group\": \"%s\", \"variant\": \"%s\", \"size\": %u, "
		       "\"ns\": %.2f, \"min_ns\": %.2f, \"max_ns\": %.2f }",
			i ? "," : "", m->c.group, m->c.variant, m->c.size, m->ns[b->n_rounds / 2],
			m->ns[0], m->ns[b->n_rounds - 1]);
	}
	printf("\n  ]\n}\n");
}

static void print_table(struct bench *b, const char *cpu, double load)
{
	printf("%s, load %.2f, medians of %zu rounds\n", cpu, load, b->n_rounds);
	printf("%-10s %-26s %7s %12s %12s %12s\n", "group", "variant", "size", "ns per item",
		"least", "most");
	for (size_t i = 0; i < b->n_cases; i++) {
		const struct measured *m = &b->cases[i];
		printf("%-10s %-26s %7u %12.1f %12.1f %12.1f\n", m->c.group, m->c.variant,
			m->c.size, m->ns[b->n_rounds / 2], m->ns[0], m->ns[b->n_rounds - 1]);
	}
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	bool is_any_named = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		is_any_named = true;
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return !is_any_named;
}

static bool parse(struct bench *b, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool is_known = false;
		for (size_t g = 0; g < FZ_ARRAY_LEN(groups); g++)
			is_known |= strcmp(argv[i], groups[g].name) == 0;
		if (strcmp(argv[i], "--quick") == 0)
			b->is_quick = true;
		else if (strcmp(argv[i], "--json") == 0)
			b->is_json = true;
		else if (!is_known)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static struct bench b;
	char cpu[256];
	double load = 0;
	if (!parse(&b, argc, argv)) {
		fprintf(stderr, "usage: firezone-bench [--quick] [--json] [aead] [csum] [split] "
				"[coalesce] [replay] [trie] [handshake] [io] [map]\n");
		return 2;
	}
	if (fz_crypto_selftest() < 0)
		return 1;
	b.n_rounds = b.is_quick ? 5 : ROUNDS_MAX;
	for (size_t g = 0; g < FZ_ARRAY_LEN(groups); g++)
		if (is_wanted(groups[g].name, argc, argv))
			groups[g].add(&b);
	read_cpu_name(cpu, sizeof(cpu));
	(void)getloadavg(&load, 1);
	run_all(&b);
	for (size_t i = 0; i < b.n_cases; i++)
		qsort(b.cases[i].ns, b.n_rounds, sizeof(double), by_value);
	if (b.is_json)
		print_json(&b, cpu, load);
	else
		print_table(&b, cpu, load);
	return 0;
}
