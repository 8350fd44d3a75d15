/* Sending: whitepaper 5.4.6 and 6.1; counters are reserved a train at a time. Also the ICMP answers for what can't be sent. */
#include <string.h>

#include "base/assert.h"
#include "wg/constants.h"
#include "wg/device.h"
#include "wg/device_internal.h"
#include "wg/icmp.h"
#include "wg/messages.h"
#include "wg/packet.h"
#include "wg/peer.h"

#define ICMP_COST_NS UINT64_C(10000000) /* 100 per second */
#define ICMP_BURST   50

static enum wg_drop drop_n(struct wg_device *d, enum wg_drop why, uint32_t n)
{
	wg_device_drop(d, why, n);
	return why;
}

/* The counters of n packets, or false and a session has been asked for. */
static bool reserve(struct wg_peer *p, fz_time now, uint32_t n, uint64_t *ret_first)
{
	struct wg_keypair *k = p->current;
	if (!k || !wg_keypair_can_send(k, now) || !wg_keypair_reserve(k, n, ret_first)) {
		if (k)
			k->may_send = false;
		wg_peer_want_initiation(p, now, false);
		return false;
	}
	return true;
}

/*
 * A route that leads to a peer's endpoint through this very tunnel: each datagram would come back, longer. Packets of others
 * to the same place (a tunnel within the tunnel) are none of ours: they come from another port.
 */
static bool is_loop(const struct wg_peer *p, const struct wg_inner *inner, struct fz_bytes packet)
{
	const struct fz_addr *to = &p->endpoint.remote;
	if (to->ip.family != inner->family || memcmp(inner->dst, to->ip.b, fz_ip_len(&to->ip)) != 0)
		return false;
	uint16_t src, dst;
	return wg_inner_udp_ports(packet, &src, &dst) && dst == to->port && src == p->device->port;
}

static enum wg_drop claim(struct wg_peer *p, fz_time now, const struct wg_inner *inner,
	struct fz_bytes packet, uint32_t n, struct wg_tx_claim *ret_claim)
{
	fz_assert(n > 0);
	if (p->endpoint.remote.ip.family == FZ_NO_FAMILY)
		return drop_n(p->device, WG_DROP_NO_ENDPOINT, n);
	if (is_loop(p, inner, packet))
		return drop_n(p->device, WG_DROP_LOOP, n);
	*ret_claim = (struct wg_tx_claim){ .peer = p };
	if (p->staged.n > 0) {
		/* Packets that came earlier still wait: stay behind them. */
		wg_peer_want_flush(p);
		return WG_DROP_STAGE;
	}
	uint64_t first;
	if (!reserve(p, now, n, &first))
		return WG_DROP_STAGE;
	struct wg_keypair *k = p->current;
	ret_claim->keypair = wg_keypair_ref(k);
	ret_claim->key = &k->keys->send;
	ret_claim->counter = first;
	ret_claim->receiver = k->remote_index;
	ret_claim->to = p->endpoint;
	ret_claim->at = now;
	ret_claim->tos = wg_ecn_encapsulate(inner->ecn);
	return WG_KEEP;
}

static bool is_able(const struct wg_device *d)
{
	return d->is_up && d->secret->self.is_set;
}

enum wg_drop wg_tx_claim(struct wg_device *d, struct fz_now now, struct fz_bytes inner, uint32_t n,
	struct wg_tx_claim *ret_claim)
{
	struct wg_inner header;
	if (!wg_inner_parse(inner, &header))
		return drop_n(d, WG_DROP_TX_INVALID, n);
	if (!is_able(d))
		return drop_n(d, WG_DROP_DOWN, n);
	struct wg_allowed_owner *o =
		wg_allowedips_find_maybe(&d->allowed, header.family, header.dst);
	if (!o)
		return drop_n(d, WG_DROP_NO_PEER, n);
	return claim(
		FZ_CONTAINER_OF(o, struct wg_peer, allowed), now.at, &header, inner, n, ret_claim);
}

enum wg_drop wg_tx_claim_peer(struct wg_peer *p, struct fz_now now, struct fz_bytes inner,
	uint32_t n, struct wg_tx_claim *ret_claim)
{
	struct wg_inner header;
	if (!wg_inner_parse(inner, &header))
		return drop_n(p->device, WG_DROP_TX_INVALID, n);
	if (!is_able(p->device))
		return drop_n(p->device, WG_DROP_DOWN, n);
	return claim(p, now.at, &header, inner, n, ret_claim);
}

void wg_tx_stage(struct wg_device *d, struct wg_peer *p, struct fz_bytes inner, struct fz_now now)
{
	struct wg_inner header;
	if (inner.n > UINT16_MAX || !wg_inner_parse(inner, &header)) {
		wg_device_drop(d, WG_DROP_TX_INVALID, 1);
		return;
	}
	wg_device_drop(d, WG_DROP_STAGE_FULL, wg_staging_push(&d->staging, &p->staged, inner));
	if (p->current && wg_keypair_can_send(p->current, now.at))
		wg_peer_want_flush(p);
}

uint32_t wg_tx_padding(const struct wg_device *d, uint32_t len)
{
	uint32_t mtu = d->mtu;
	if (mtu > 0 && len > mtu)
		len %= mtu;
	uint32_t padded = (len + WG_PADDING - 1) & ~(WG_PADDING - 1);
	if (mtu > 0 && padded > mtu)
		padded = mtu;
	return padded - len;
}

void wg_tx_header(const struct wg_tx_claim *c, uint32_t i, uint8_t out[static 16])
{
	struct wg_msg_data m = {
		.type = fz_le32_of(WG_MESSAGE_DATA),
		.receiver = fz_le32_of(c->receiver),
		.counter = fz_le64_of(c->counter + i),
	};
	memcpy(out, &m, sizeof(m));
}

void wg_peer_sent(struct wg_peer *p, fz_time now, fz_time since, uint64_t bytes, bool has_data)
{
	p->tx_bytes += bytes;
	wg_timers_any_sent(p, now, since);
	if (has_data)
		wg_timers_data_sent(p, now, since);
	wg_peer_keep_key_fresh_sent(p, now);
}

void wg_tx_sent(struct wg_device *d, struct fz_now now, struct wg_tx_claim *c, uint64_t bytes,
	bool sent, bool had_data)
{
	(void)d;
	struct wg_peer *p = c->keypair->peer; /* not c->peer, which may be gone since the claim */
	if (p)
		wg_peer_sent(p, now.at, c->at, bytes, sent && had_data);
	wg_keypair_unref(c->keypair);
	c->keypair = NULL;
	c->key = NULL;
	c->peer = NULL;
}

void wg_tx_source_failed(struct wg_device *d, const struct wg_tx_claim *c)
{
	(void)d;
	struct wg_peer *p = c->keypair ? c->keypair->peer : NULL;
	/* Unless it has moved on meanwhile. */
	if (p && fz_ip_equal(&p->endpoint.local, &c->to.local) &&
		p->endpoint.ifindex == c->to.ifindex)
		wg_peer_clear_source(p);
}

size_t wg_icmp_unreachable(
	struct wg_device *d, fz_time now, struct fz_bytes inner, struct fz_span out)
{
	const uint64_t full = ICMP_COST_NS * ICMP_BURST;
	uint64_t idle = fz_time_since(now, d->icmp_last).ns;
	uint64_t tokens = idle < full ? d->icmp_tokens + idle : full;
	d->icmp_tokens = tokens < full ? tokens : full;
	d->icmp_last = now;
	if (d->icmp_tokens < ICMP_COST_NS)
		return 0;
	size_t n = wg_icmp_write_unreachable(inner, out);
	if (n > 0)
		d->icmp_tokens -= ICMP_COST_NS;
	return n;
}
