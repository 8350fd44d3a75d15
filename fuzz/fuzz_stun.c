/* A datagram as STUN: what parses has its ranges inside the datagram, and what is known of it writes and reads back the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "path/demux.h"
#include "path/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct fz_bytes part, struct fz_bytes all)
{
	fz_assert(part.n == 0 || (part.p >= all.p && part.n <= all.n &&
					 (size_t)(part.p - all.p) <= all.n - part.n));
}

static void rewrite(const struct fz_stun *m)
{
	uint8_t buf[FZ_STUN_MAX];
	struct fz_stun again;
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fz_stun_begin(&w, m->class, m->method, &m->id);
	fz_stun_put(&w, FZ_STUN_USERNAME, m->username);
	if (m->mapped.ip.family != FZ_NO_FAMILY)
		fz_stun_put_addr(&w, FZ_STUN_XOR_MAPPED_ADDRESS, &m->mapped);
	if (m->has_priority)
		fz_stun_put_u32(&w, FZ_STUN_PRIORITY, m->priority);
	fz_stun_put_integrity(&w, fz_bytes_of("key", 3));
	fz_stun_put_fingerprint(&w);
	size_t len = fz_stun_finish(&w);
	fz_assert(len > 0);
	fz_assert(fz_stun_parse(fz_bytes_of(buf, len), &again) == FZ_STUN_OK);
	fz_assert(again.class == m->class && again.method == m->method);
	fz_assert(fz_bytes_equal(again.username, m->username));
	fz_assert(fz_addr_equal(&again.mapped, &m->mapped) || m->mapped.ip.family == FZ_NO_FAMILY);
	fz_assert(again.priority == m->priority && again.has_priority == m->has_priority);
	fz_assert(fz_stun_is_signed(&again, fz_bytes_of("key", 3)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fz_bytes pkt = fz_bytes_of(data, size);
	struct fz_stun m;
	enum fz_demux kind = fz_demux_of(pkt, FZ_TURN_PORT);
	if (fz_stun_parse(pkt, &m) != FZ_STUN_OK)
		return 0;
	fz_assert(kind == FZ_DEMUX_STUN);
	const struct fz_bytes parts[] = { m.username, m.realm, m.nonce, m.software };
	for (size_t i = 0; i < FZ_ARRAY_LEN(parts); i++)
		inside(parts[i], pkt);
	/* A signature by a key nobody has would be a miracle; looking must not read outside. */
	fz_assert(!fz_stun_is_signed(&m, fz_bytes_of("\x93\x51no such key", 13)));
	rewrite(&m);
	return 0;
}
