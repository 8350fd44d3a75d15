/* IPv4 says where its header ends; IPv6 is walked header by header, bounded. */
#include "wg/transport.h"

#define IP4_HEADER  20u
#define IP6_HEADER  40u
#define HOP_OPTIONS 0
#define ROUTING     43
#define FRAGMENT    44
#define DESTINATION 60

static bool find4(struct fz_bytes packet, struct wg_transport *t)
{
	struct fz_reader r = fz_reader_of(packet);
	size_t header = (size_t)(packet.p[0] & 15u) * 4;
	fz_reader_skip(&r, 6);
	t->is_later_fragment = (fz_reader_be16(&r) & 0x1fffu) != 0;
	fz_reader_skip(&r, 1);
	t->protocol = fz_reader_u8(&r);
	if (header < IP4_HEADER)
		return false;
	fz_reader_skip(&r, header - 10);
	if (!t->is_later_fragment)
		t->at = r;
	return !r.bad;
}

static bool is_extension(uint8_t next)
{
	return next == HOP_OPTIONS || next == ROUTING || next == FRAGMENT || next == DESTINATION;
}

static bool find6(struct fz_bytes packet, struct wg_transport *t)
{
	struct fz_reader r = fz_reader_of(packet);
	fz_reader_skip(&r, 6);
	t->protocol = fz_reader_u8(&r);
	fz_reader_skip(&r, IP6_HEADER - 7);
	for (unsigned i = 0; is_extension(t->protocol); i++) {
		bool is_fragment = t->protocol == FRAGMENT;
		if (i == WG_TRANSPORT_EXTENSIONS_MAX || r.bad)
			return false;
		t->protocol = fz_reader_u8(&r);
		uint8_t words = fz_reader_u8(&r);
		uint16_t offset = fz_reader_be16(&r);
		fz_reader_skip(&r, 4);
		if (!is_fragment)
			fz_reader_skip(&r, (size_t)words * 8);
		t->is_later_fragment = is_fragment && offset >> 3;
		if (t->is_later_fragment)
			return !r.bad; /* what follows belongs to the middle of something */
	}
	t->at = r;
	return !r.bad;
}

bool wg_transport_find(struct fz_bytes packet, enum fz_family family, struct wg_transport *ret)
{
	struct wg_transport t = { 0 };
	if (packet.n < (family == FZ_IP4 ? IP4_HEADER : IP6_HEADER))
		return false;
	if (!(family == FZ_IP4 ? find4(packet, &t) : find6(packet, &t)))
		return false;
	*ret = t;
	return true;
}
