/*
 * A frame as the TUN might give it, judged and split into blocks of exactly the promised length. Segments of a
 * super-packet have right lengths and header checksums, and their payloads in a row are the frame's.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "offload/csum.h"
#include "offload/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(
	const struct fz_split *s, uint32_t i, const uint8_t *p, uint32_t len, size_t *payload_at)
{
	uint32_t n = len - s->header_len;
	fz_assert(s->header_len < len && *payload_at + n <= s->packet.n);
	fz_assert(memcmp(p + s->header_len, s->packet.p + *payload_at, n) == 0);
	*payload_at += n;
	if (p[0] >> 4 == 6) {
		fz_assert(fz_be16_load(p + 4) + 40u == len);
		return;
	}
	fz_assert(fz_be16_load(p + 2) == len);
	fz_assert(fz_be16_load(p + 4) == (uint16_t)(fz_be16_load(s->packet.p + 4) + i));
	size_t ip_len = (size_t)(p[0] & 15) * 4;
	fz_assert(fz_csum_finish(fz_csum_add(0, fz_bytes_of(p, ip_len))) == 0);
}

static void write_all(const struct fz_split *s)
{
	size_t payload_at = s->header_len;
	fz_assert(s->n >= 1 && s->n <= FZ_SPLIT_N_MAX);
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t len = fz_split_len(s, i);
		uint8_t *p = malloc(len);
		if (!p)
			return;
		fz_split_write(s, i, p);
		if (s->gso_size > 0)
			check_segment(s, i, p, len, &payload_at);
		else
			fz_assert(len == s->packet.n);
		free(p);
	}
	fz_assert(s->gso_size == 0 || payload_at == s->packet.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fz_split s;
	if (fz_split_init(&s, fz_bytes_of(data, size)) == FZ_SPLIT_OK)
		write_all(&s);
	if (fz_split_init_plain(&s, fz_bytes_of(data, size)) == FZ_SPLIT_OK)
		write_all(&s);
	return 0;
}
