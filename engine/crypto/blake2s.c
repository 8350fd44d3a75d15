/* BLAKE2s after RFC 7693, sections 3.1 to 3.3: ten rounds of G over a 16-word state, one block at a time. */
#include "crypto/blake2s.h"

#include "base/assert.h"
#include "base/ct.h"
#include "base/endian.h"

static const uint32_t iv[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* clang-format off */
static const uint8_t sigma[10][16] = {
	{  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3 },
	{ 11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4 },
	{  7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8 },
	{  9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13 },
	{  2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9 },
	{ 12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11 },
	{ 13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10 },
	{  6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5 },
	{ 10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0 },
};

/* clang-format on */

static FZ_ALWAYS_INLINE uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static FZ_ALWAYS_INLINE void mix(uint32_t v[static 16], unsigned a, unsigned b, unsigned c,
	unsigned d, uint32_t x, uint32_t y)
{
	v[a] += v[b] + x;
	v[d] = rotr(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotr(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = rotr(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = rotr(v[b] ^ v[c], 7);
}

static void compress(
	struct fz_blake2s *s, const uint8_t block[static FZ_BLAKE2S_BLOCK_LEN], bool is_last)
{
	uint32_t m[16], v[16];
	for (unsigned i = 0; i < 16; i++)
		m[i] = fz_le32_load(block + 4 * i);
	for (unsigned i = 0; i < 8; i++) {
		v[i] = s->h[i];
		v[i + 8] = iv[i];
	}
	v[12] ^= (uint32_t)s->n;
	v[13] ^= (uint32_t)(s->n >> 32);
	if (is_last)
		v[14] = ~v[14];
	for (unsigned r = 0; r < 10; r++) {
		const uint8_t *w = sigma[r];
		mix(v, 0, 4, 8, 12, m[w[0]], m[w[1]]);
		mix(v, 1, 5, 9, 13, m[w[2]], m[w[3]]);
		mix(v, 2, 6, 10, 14, m[w[4]], m[w[5]]);
		mix(v, 3, 7, 11, 15, m[w[6]], m[w[7]]);
		mix(v, 0, 5, 10, 15, m[w[8]], m[w[9]]);
		mix(v, 1, 6, 11, 12, m[w[10]], m[w[11]]);
		mix(v, 2, 7, 8, 13, m[w[12]], m[w[13]]);
		mix(v, 3, 4, 9, 14, m[w[14]], m[w[15]]);
	}
	for (unsigned i = 0; i < 8; i++)
		s->h[i] ^= v[i] ^ v[i + 8];
	fz_wipe(m, sizeof(m));
	fz_wipe(v, sizeof(v));
}

void fz_blake2s_init(struct fz_blake2s *s, size_t out_len, struct fz_bytes key)
{
	fz_assert(out_len >= 1 && out_len <= FZ_BLAKE2S_LEN && key.n <= FZ_BLAKE2S_LEN);
	*s = (struct fz_blake2s){ .out_len = (uint32_t)out_len };
	memcpy(s->h, iv, sizeof(iv));
	s->h[0] ^= 0x01010000u ^ (uint32_t)key.n << 8 ^ (uint32_t)out_len;
	if (key.n > 0) {
		memcpy(s->block, key.p, key.n);
		s->block_len = FZ_BLAKE2S_BLOCK_LEN;
	}
}

void fz_blake2s_update(struct fz_blake2s *s, struct fz_bytes in)
{
	while (in.n > 0) {
		/* A full block waits until more comes: the last one is compressed differently. */
		if (s->block_len == FZ_BLAKE2S_BLOCK_LEN) {
			s->n += FZ_BLAKE2S_BLOCK_LEN;
			compress(s, s->block, false);
			s->block_len = 0;
		}
		size_t room = FZ_BLAKE2S_BLOCK_LEN - s->block_len, n = in.n < room ? in.n : room;
		memcpy(s->block + s->block_len, in.p, n);
		s->block_len += (uint32_t)n;
		in.p += n;
		in.n -= n;
	}
}

void fz_blake2s_final(struct fz_blake2s *s, uint8_t *ret_hash)
{
	uint8_t out[FZ_BLAKE2S_LEN];
	s->n += s->block_len;
	memset(s->block + s->block_len, 0, FZ_BLAKE2S_BLOCK_LEN - s->block_len);
	compress(s, s->block, true);
	for (unsigned i = 0; i < 8; i++)
		fz_le32_store(out + 4 * i, s->h[i]);
	memcpy(ret_hash, out, s->out_len);
	fz_wipe(out, sizeof(out));
	fz_wipe(s, sizeof(*s));
}

void fz_blake2s_hash(uint8_t ret_hash[static FZ_BLAKE2S_LEN], struct fz_bytes in)
{
	struct fz_blake2s s;
	fz_blake2s_init(&s, FZ_BLAKE2S_LEN, (struct fz_bytes){ 0 });
	fz_blake2s_update(&s, in);
	fz_blake2s_final(&s, ret_hash);
}

void fz_blake2s_mac(uint8_t ret_mac[static 16], struct fz_bytes key, struct fz_bytes in)
{
	struct fz_blake2s s;
	fz_blake2s_init(&s, 16, key);
	fz_blake2s_update(&s, in);
	fz_blake2s_final(&s, ret_mac);
}
