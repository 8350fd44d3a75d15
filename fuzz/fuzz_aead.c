/*
 * All AEAD backends side by side on a batch cut from the input (per job: length, counter, whether a bit is forged):
 * they seal alike, as the single-shot one does, and refuse the same forgeries. The jobs have one of two keys each.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/handshake_aead.h"

#define N_MAX   70
#define LEN_MAX 1600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct side {
	struct fz_aead *aead;
	struct fz_aead_job jobs[N_MAX];
	uint8_t slab[N_MAX][LEN_MAX];
};

#define SIDES 3

static struct side sides[SIDES];
static size_t n_sides;
static uint8_t plain[N_MAX][LEN_MAX];
static uint16_t forged_at[N_MAX];
static struct fz_key keys[2];

static bool start(void)
{
	static const enum fz_aead_kind kinds[SIDES] = { FZ_AEAD_SODIUM, FZ_AEAD_IPSECMB,
		FZ_AEAD_AVX512 };

	if (n_sides > 0)
		return true;
	for (size_t i = 0; i < SIDES; i++)
		if (fz_aead_new(kinds[i], &sides[n_sides].aead) == 0)
			n_sides++;
	return n_sides > 0;
}

static size_t read_batch(struct fz_reader *r)
{
	size_t n = 0;
	for (; n < N_MAX && r->left > 0; n++) {
		uint16_t len = (uint16_t)(fz_reader_le16(r) % (LEN_MAX - 32));
		uint64_t counter = fz_reader_le64(r);
		uint8_t shift = fz_reader_u8(r);
		forged_at[n] = fz_reader_le16(r);
		struct fz_bytes b = fz_reader_take(r, len < r->left ? len : r->left);
		memset(plain[n], 0, LEN_MAX);
		if (b.n > 0)
			memcpy(plain[n], b.p, b.n);
		for (size_t k = 0; k < n_sides; k++) {
			uint8_t *p = sides[k].slab[n] + shift % 16;
			memcpy(p, plain[n], len);
			sides[k].jobs[n] = (struct fz_aead_job){ &keys[shift >> 7], counter, p, p,
				p + len, len, false };
		}
	}
	return n;
}

/* Half of the values forge a bit of ciphertext or tag. */
static bool forge(size_t i)
{
	bool is_forged = forged_at[i] & 1;
	for (size_t k = 0; is_forged && k < n_sides; k++) {
		struct fz_aead_job *j = &sides[k].jobs[i];
		size_t bit = (size_t)(forged_at[i] >> 1) % (((size_t)j->len + 16) * 8);
		j->dst[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return is_forged;
}

static void check_sealed(size_t n)
{
	static uint8_t want[LEN_MAX];
	for (size_t i = 0; i < n; i++) {
		const struct fz_aead_job *j = &sides[0].jobs[i];
		fz_aead_seal(j->key, j->counter, (struct fz_bytes){ 0 },
			fz_bytes_of(plain[i], j->len), want);
		for (size_t k = 0; k < n_sides; k++)
			fz_assert(memcmp(sides[k].jobs[i].dst, want, j->len + 16u) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!start())
		return 0;
	struct fz_reader r = fz_reader_of(fz_bytes_of(data, size));
	fz_reader_copy(&r, keys[0].b, 32);
	keys[1] = keys[0];
	keys[1].b[0] ^= 1;
	size_t n = read_batch(&r), n_good = 0;
	for (size_t k = 0; k < n_sides; k++)
		fz_aead_seal_many(sides[k].aead, sides[k].jobs, n);
	check_sealed(n);
	bool is_forged[N_MAX];
	for (size_t i = 0; i < n; i++) {
		is_forged[i] = forge(i);
		n_good += !is_forged[i];
	}
	for (size_t k = 0; k < n_sides; k++) {
		fz_assert(fz_aead_open_many(sides[k].aead, sides[k].jobs, n) == n_good);
		for (size_t i = 0; i < n; i++) {
			const struct fz_aead_job *j = &sides[k].jobs[i];
			fz_assert(j->ok != is_forged[i]);
			fz_assert(!j->ok || memcmp(j->dst, plain[i], j->len) == 0);
		}
	}
	return 0;
}
