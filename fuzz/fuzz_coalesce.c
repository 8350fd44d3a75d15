/*
 * A flush of arbitrary packets: caps, then per packet a command byte, a length and bytes. A command can also repeat the
 * packet before with some bytes changed and its sequence carried on, and make checksums right, so that merging
 * happens. Every packet must come out once; what was merged must split into the very bytes that went in.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "offload/coalesce.h"
#include "offload/split.h"
#include "offload/vnet.h"
#include "tests/support/packet.h"

#define N_MAX    200
#define LEN_MAX  400
#define HEADROOM FZ_VNET_HDR_LEN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum command { RAW, NEXT, CHANGED, N_COMMANDS };

struct input {
	size_t n;
	bool is_seen[N_MAX];
	uint8_t *packet[N_MAX];
	size_t len[N_MAX];
};

/* TCP or UDP whose header is inside: then its checksums can be made right and its sequence carried on. */
static bool has_l4(const uint8_t *p, size_t n)
{
	if (n < 40 || (p[0] >> 4 != 4 && (p[0] >> 4 != 6 || n < 60)))
		return false;
	uint8_t proto = p[0] >> 4 == 6 ? p[6] : p[9];
	size_t at = test_packet_l4_at(p);
	return at >= 20 && (proto == 6 || proto == 17) && at + 20 <= n;
}

static void carry_on(uint8_t *p, size_t n)
{
	size_t at = test_packet_l4_at(p);
	bool is_tcp = (p[0] >> 4 == 6 ? p[6] : p[9]) == 6;
	size_t header_len = (size_t)(p[at + 12] >> 4) * 4;
	if (is_tcp && at + header_len <= n)
		fz_be32_store(
			p + at + 4, fz_be32_load(p + at + 4) + (uint32_t)(n - at - header_len));
	if (p[0] >> 4 == 4)
		fz_be16_store(p + 4, (uint16_t)(fz_be16_load(p + 4) + 1));
}

/* A block of exactly its size and the room in front, so that a sanitizer sees the first byte beyond. */
static bool take(struct input *in, struct fz_reader *r)
{
	uint8_t head = fz_reader_u8(r), len_byte = fz_reader_u8(r), *before = NULL;
	enum command command = (enum command)(head % N_COMMANDS);
	size_t n = len_byte * 2u;
	if (command != RAW && in->n > 0) {
		before = in->packet[in->n - 1];
		n = in->len[in->n - 1];
	}
	uint8_t *block = calloc(1, HEADROOM + n + 1);
	if (!block || r->bad) {
		free(block);
		return false;
	}
	uint8_t *p = block + HEADROOM;
	if (before) {
		memcpy(p, before, n);
		if (has_l4(p, n))
			carry_on(p, n);
		if (command == CHANGED && n > 0)
			p[len_byte % n] ^= fz_reader_u8(r);
	} else {
		struct fz_bytes b = fz_reader_take(r, n < r->left ? n : r->left);
		if (b.n > 0)
			memcpy(p, b.p, b.n);
	}
	if ((head & 0x80) && has_l4(p, n))
		test_packet_finish(p, n);
	in->packet[in->n] = p;
	in->len[in->n++] = n;
	return true;
}

static void check_packet(struct input *in, struct fz_bytes p)
{
	for (size_t i = 0; i < in->n; i++) {
		if (in->packet[i] != p.p)
			continue;
		fz_assert(!in->is_seen[i] && in->len[i] == p.n);
		in->is_seen[i] = true;
		return;
	}
	fz_assert(false);
}

static void check_item(const struct fz_coalesce *c, size_t i, struct input *in)
{
	static uint8_t frame[70000], out[2000];
	const struct fz_coalesce_item *it = fz_coalesce_item(c, i);
	size_t n = 0;
	fz_assert(it->n_iov <= FZ_COALESCE_IOV_MAX && it->len <= sizeof(frame));
	for (uint32_t k = 0; k < it->n_iov; k++) {
		if (it->iov[k].iov_len > 0)
			memcpy(frame + n, it->iov[k].iov_base, it->iov[k].iov_len);
		n += it->iov[k].iov_len;
	}
	fz_assert(n == it->len);
	struct fz_split s = { 0 };
	if (it->n_packets > 1) {
		fz_assert(fz_split_init(&s, fz_bytes_of(frame, n)) == FZ_SPLIT_OK);
		fz_assert(s.n == it->n_packets);
	}
	for (uint32_t k = 0; k < it->n_packets; k++) {
		struct fz_bytes p = fz_coalesce_packet(c, i, k);
		check_packet(in, p);
		if (it->n_packets == 1)
			break;
		fz_assert(fz_split_len(&s, k) == p.n);
		fz_split_write(&s, k, out);
		/* With DF the identification has no meaning and is counted up. */
		if (p.p[0] >> 4 == 4 && (p.p[6] & 0x40)) {
			memcpy(out + 4, p.p + 4, 2);
			memcpy(out + 10, p.p + 10, 2);
		}
		fz_assert(memcmp(out, p.p, p.n) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fz_coalesce *c;
	static struct input in;
	if (!c)
		c = fz_coalesce_new();
	if (!c)
		return 0;
	struct fz_reader r = fz_reader_of(fz_bytes_of(data, size));
	memset(&in, 0, sizeof(in));
	fz_coalesce_begin(c, fz_reader_u8(&r) & (FZ_COALESCE_ALL | FZ_COALESCE_HEADROOM));
	while (in.n < N_MAX && r.left > 0 && take(&in, &r))
		fz_assert(fz_coalesce_add(c, fz_span_of(in.packet[in.n - 1], in.len[in.n - 1])));
	size_t n = fz_coalesce_end(c);
	for (size_t i = 0; i < n; i++)
		check_item(c, i, &in);
	for (size_t i = 0; i < in.n; i++) {
		fz_assert(in.is_seen[i]);
		free(in.packet[i] - HEADROOM);
	}
	return 0;
}
