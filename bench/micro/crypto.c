/* Sealing and opening trains of 45 packets, as many packets of a key each, and single ones with each backend; what a handshake is made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "bench/micro/bench.h"
#include "crypto/aead.h"
#include "crypto/x25519.h"

#define TRAIN   45
#define LEN_MAX 8960

struct train {
	struct fz_aead *aead;
	size_t n;
	struct fz_key keys[TRAIN];
	struct fz_aead_job seal[TRAIN], open[TRAIN];
	uint8_t plain[TRAIN][LEN_MAX], sealed[TRAIN][LEN_MAX + FZ_AEAD_TAG_LEN];
};

static void run_seal(void *user)
{
	struct train *t = user;
	fz_aead_seal_many(t->aead, t->seal, t->n);
}

static void run_open(void *user)
{
	struct train *t = user;
	if (fz_aead_open_many(t->aead, t->open, t->n) != t->n) {
		fprintf(stderr, "a packet did not open\n");
		exit(1);
	}
}

static struct train *new_train(struct fz_aead *aead, size_t n, uint32_t len, bool has_keys)
{
	struct train *t = calloc(1, sizeof(*t));
	if (!t)
		exit(1);
	t->aead = aead;
	t->n = n;
	memset(t->keys, 7, sizeof(t->keys));
	for (size_t i = 0; i < TRAIN; i++) {
		uint8_t *tag = t->sealed[i] + len;
		const struct fz_key *key = &t->keys[has_keys ? i : 0];
		t->seal[i] =
			(struct fz_aead_job){ key, i, t->plain[i], t->sealed[i], tag, len, false };
		t->open[i] =
			(struct fz_aead_job){ key, i, t->sealed[i], t->plain[i], tag, len, false };
	}
	run_seal(t);
	return t;
}

static const char *name_of(const struct fz_aead *aead, const char *verb, const char *suffix)
{
	char name[64];
	snprintf(name, sizeof(name), "%s %s%s", fz_aead_name(aead), verb, suffix);
	char *s = strdup(name);
	if (!s)
		exit(1);
	return s;
}

/* What stands behind "seal" and "open": nothing, " 1" or " keys". */
static void add_backend(struct bench *b, struct fz_aead *aead, uint32_t n_jobs, const char *suffix)
{
	static const uint32_t lens[] = { 64, 256, 512, 576, 1280, 1420, 8920 },
			      few[] = { 64, 1280, 1420, 8920 };
	bool is_quick = bench_is_quick(b);
	size_t n = is_quick ? FZ_ARRAY_LEN(few) : FZ_ARRAY_LEN(lens);
	for (size_t i = 0; i < n; i++) {
		uint32_t len = is_quick ? few[i] : lens[i];
		struct bench_case c = { .group = "aead",
			.variant = name_of(aead, "seal", suffix),
			.size = len,
			.items = n_jobs,
			.run = run_seal,
			.user = new_train(aead, n_jobs, len, strcmp(suffix, " keys") == 0) };
		bench_add(b, &c);
		c.variant = name_of(aead, "open", suffix);
		c.run = run_open;
		bench_add(b, &c);
	}
}

void bench_aead(struct bench *b)
{
	static const enum fz_aead_kind kinds[] = { FZ_AEAD_SODIUM, FZ_AEAD_IPSECMB,
		FZ_AEAD_AVX512 };

	for (size_t i = 0; i < FZ_ARRAY_LEN(kinds); i++) {
		struct fz_aead *aead = NULL;
		if (fz_aead_new(kinds[i], &aead) == 0) {
			add_backend(b, aead, TRAIN, "");
			add_backend(b, aead, TRAIN, " keys");
			add_backend(b, aead, 1, " 1");
		} else
			fprintf(stderr, "aead: no backend %zu here\n", i);
	}
}
