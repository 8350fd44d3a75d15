/* Chooses a backend, checks it against a known answer before it is trusted with anything, and forwards whole batches. */
#include "crypto/aead.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/ct.h"
#include "base/err.h"
#include "crypto/aead_backend.h"
#include "crypto/handshake_aead.h"

struct fz_aead {
	const struct fz_aead_backend *backend;
	const char *name;
	uint8_t context[] FZ_ALIGNED(64);
};

int fz_aead_kind_parse(const char *text, enum fz_aead_kind *ret_kind)
{
	if (strcmp(text, "auto") == 0)
		*ret_kind = FZ_AEAD_AUTO;
	else if (strcmp(text, "sodium") == 0)
		*ret_kind = FZ_AEAD_SODIUM;
	else if (strcmp(text, "ipsecmb") == 0)
		*ret_kind = FZ_AEAD_IPSECMB;
	else if (strcmp(text, "avx512") == 0)
		*ret_kind = FZ_AEAD_AVX512;
	else
		return -EINVAL;
	return 0;
}

void fz_aead_free(struct fz_aead *a)
{
	if (!a)
		return;
	a->backend->done(a->context);
	free(a);
}

#define TEST_SINGLE  19
#define TEST_JOBS    (TEST_SINGLE + 27)
#define TEST_LEN_MAX 1456

/*
 * Lengths around every block boundary and the two that matter most, keys in turn; then a train of one key, longer than
 * any backend takes at once. Keys and bytes are arbitrary.
 */
static uint32_t test_len(size_t i)
{
	static const uint32_t lens[TEST_SINGLE] = { 0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129,
		255, 256, 257, 511, 513, 1024, 1420, TEST_LEN_MAX };
	return i < TEST_SINGLE ? lens[i] : (uint32_t)(i % 9 == 0 ? 1420 : 200 + i);
}

static size_t test_key(size_t i)
{
	return i < TEST_SINGLE ? i % 2 : 0;
}

struct self_test {
	struct fz_key keys[2];
	struct fz_aead_job jobs[TEST_JOBS];
	uint8_t plain[TEST_LEN_MAX], want[TEST_LEN_MAX + FZ_AEAD_TAG_LEN];
	uint8_t sealed[TEST_JOBS][TEST_LEN_MAX], opened[TEST_JOBS][TEST_LEN_MAX],
		tags[TEST_JOBS][FZ_AEAD_TAG_LEN];
};

static void prepare(struct self_test *t)
{
	for (size_t i = 0; i < sizeof(t->keys); i++)
		t->keys[i / 32].b[i % 32] = (uint8_t)(i * 7 + 1);
	for (size_t i = 0; i < TEST_LEN_MAX; i++)
		t->plain[i] = (uint8_t)(i * 13 + 5);
	for (size_t i = 0; i < TEST_JOBS; i++)
		t->jobs[i] = (struct fz_aead_job){ .key = &t->keys[test_key(i)],
			.counter = i * 0x0101010101u,
			.src = t->plain,
			.dst = t->sealed[i],
			.tag = t->tags[i],
			.len = test_len(i) };
}

static bool agrees_with_reference(struct self_test *t)
{
	for (size_t i = 0; i < TEST_JOBS; i++) {
		uint32_t n = test_len(i);
		fz_aead_seal(&t->keys[test_key(i)], t->jobs[i].counter, (struct fz_bytes){ 0 },
			fz_bytes_of(t->plain, n), t->want);
		if (!fz_ct_equal(t->want, t->sealed[i], n) ||
			!fz_ct_equal(t->want + n, t->tags[i], FZ_AEAD_TAG_LEN))
			return false;
	}
	return true;
}

static bool opens_and_refuses(struct fz_aead *a, struct self_test *t)
{
	for (size_t i = 0; i < TEST_JOBS; i++) {
		t->jobs[i].src = t->sealed[i];
		t->jobs[i].dst = t->opened[i];
	}
	if (fz_aead_open_many(a, t->jobs, TEST_JOBS) != TEST_JOBS)
		return false;
	for (size_t i = 0; i < TEST_JOBS; i++)
		if (!t->jobs[i].ok || !fz_ct_equal(t->opened[i], t->plain, test_len(i)))
			return false;
	for (size_t i = 0; i < TEST_JOBS; i++)
		t->tags[i][i % FZ_AEAD_TAG_LEN] ^= 1;
	return fz_aead_open_many(a, t->jobs, TEST_JOBS) == 0;
}

static int self_test(struct fz_aead *a)
{
	struct self_test *t = fz_new(struct self_test);
	if (!t)
		return -ENOMEM;
	prepare(t);
	fz_aead_seal_many(a, t->jobs, TEST_JOBS);
	bool ok = agrees_with_reference(t) && opens_and_refuses(a, t);
	free(t);
	return ok ? 0 : FZ_ERR_SELFTEST;
}

int fz_aead_new_with(const struct fz_aead_backend *backend, struct fz_aead **ret_aead)
{
	size_t len = (sizeof(struct fz_aead) + backend->context_len + 63) & ~(size_t)63;
	struct fz_aead *a = fz_alloc_aligned(64, len);
	if (!a)
		return -ENOMEM;
	a->backend = backend;
	a->name = backend->name;
	int r = backend->init(a->context, &a->name);
	if (r < 0) {
		free(a);
		return r;
	}
	r = self_test(a);
	if (r < 0) {
		fz_aead_free(a);
		return r;
	}
	*ret_aead = a;
	return 0;
}

static int make_ipsecmb(struct fz_aead **ret_aead)
{
#if defined(FZ_HAVE_IPSECMB)
	return fz_aead_new_with(&fz_aead_backend_ipsecmb, ret_aead);
#else
	(void)ret_aead;
	return FZ_ERR_UNSUPPORTED;
#endif
}

static int make_avx512(struct fz_aead **ret_aead)
{
#if defined(FZ_HAVE_AVX512)
	return fz_aead_new_with(&fz_aead_backend_avx512, ret_aead);
#else
	(void)ret_aead;
	return FZ_ERR_UNSUPPORTED;
#endif
}

static bool is_absent(int r)
{
	return r == FZ_ERR_UNSUPPORTED || r == FZ_ERR_SELFTEST;
}

int fz_aead_new(enum fz_aead_kind kind, struct fz_aead **ret_aead)
{
	int r;
	switch (kind) {
	case FZ_AEAD_AVX512: return make_avx512(ret_aead);
	case FZ_AEAD_IPSECMB: return make_ipsecmb(ret_aead);
	case FZ_AEAD_SODIUM: return fz_aead_new_with(&fz_aead_backend_sodium, ret_aead);
	case FZ_AEAD_AUTO:
		r = make_avx512(ret_aead);
		if (is_absent(r))
			r = make_ipsecmb(ret_aead);
		if (is_absent(r))
			r = fz_aead_new_with(&fz_aead_backend_sodium, ret_aead);
		return r;
	}
	return -EINVAL;
}

const char *fz_aead_name(const struct fz_aead *a)
{
	return a->name;
}

void fz_aead_seal_many(struct fz_aead *a, struct fz_aead_job *jobs, size_t n)
{
	a->backend->seal_many(a->context, jobs, n);
}

size_t fz_aead_open_many(struct fz_aead *a, struct fz_aead_job *jobs, size_t n)
{
	return a->backend->open_many(a->context, jobs, n);
}
