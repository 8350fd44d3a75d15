/* SipHash-2-4, section 2 of the paper; vectors of its appendix A are in the test. */
#include "base/hash.h"

#include "base/endian.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void rounds(struct sip *s, int n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v2 = rotl(s->v2, 32);
	}
}

uint64_t fz_siphash(struct fz_hash_key key, struct fz_bytes in)
{
	struct sip s = {
		.v0 = key.k0 ^ 0x736f6d6570736575u,
		.v1 = key.k1 ^ 0x646f72616e646f6du,
		.v2 = key.k0 ^ 0x6c7967656e657261u,
		.v3 = key.k1 ^ 0x7465646279746573u,
	};
	size_t i = 0;
	for (; in.n - i >= 8; i += 8) {
		uint64_t m = fz_le64_load(in.p + i);
		s.v3 ^= m;
		rounds(&s, 2);
		s.v0 ^= m;
	}
	uint64_t last = (uint64_t)in.n << 56;
	for (unsigned shift = 0; i < in.n; i++, shift += 8)
		last |= (uint64_t)in.p[i] << shift;
	s.v3 ^= last;
	rounds(&s, 2);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
