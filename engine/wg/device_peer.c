/* What a caller may ask of one peer: settings, statistics, allowed-IPs. Sessions and timers: peer.c, timers.c. */
#include <errno.h>

#include "base/assert.h"
#include "base/ct.h"
#include "wg/constants.h"
#include "wg/device.h"
#include "wg/device_internal.h"
#include "wg/peer.h"

const uint8_t *wg_peer_public_key(const struct wg_peer *p)
{
	return p->secret->noise.public;
}

void wg_peer_set_psk(struct wg_peer *p, const struct fz_key *psk)
{
	p->secret->noise.psk = *psk;
}

void wg_peer_psk(const struct wg_peer *p, struct fz_key *ret_psk)
{
	*ret_psk = p->secret->noise.psk;
}

void wg_peer_set_endpoint(struct wg_peer *p, const struct fz_addr *remote)
{
	bool is_first = p->endpoint.remote.ip.family == FZ_NO_FAMILY;
	p->endpoint = (struct wg_endpoint){ .remote = *remote };
	if (!p->device->is_up)
		return;
	/* What had nowhere to go until now, or went nowhere. */
	if (is_first && p->keepalive_seconds > 0)
		wg_peer_want_keepalive(p);
	wg_peer_want_flush(p);
}

bool wg_peer_endpoint(const struct wg_peer *p, struct wg_endpoint *ret_ep)
{
	if (p->endpoint.remote.ip.family == FZ_NO_FAMILY)
		return false;
	*ret_ep = p->endpoint;
	return true;
}

void wg_peer_set_keepalive(struct wg_peer *p, uint16_t seconds, struct fz_now now)
{
	(void)now;
	bool turned_on = p->keepalive_seconds == 0 && seconds > 0;
	p->keepalive_seconds = seconds;
	if (turned_on && p->device->is_up)
		wg_peer_want_keepalive(p);
}

uint16_t wg_peer_keepalive(const struct wg_peer *p)
{
	return p->keepalive_seconds;
}

void wg_peer_clear_source(struct wg_peer *p)
{
	if (p->has_way)
		return; /* the source is a part of it */
	p->endpoint.local = (struct fz_ip){ 0 };
	p->endpoint.ifindex = 0;
}

void wg_peer_set_user(struct wg_peer *p, void *user)
{
	p->user = user;
}

void *wg_peer_user(const struct wg_peer *p)
{
	return p->user;
}

void wg_peer_set_managed(struct wg_peer *p, uint32_t initiations)
{
	fz_assert(initiations >= 2);
	p->is_managed = true;
	p->max_retransmits = initiations - 2;
}

void wg_peer_set_way(struct wg_peer *p, const struct wg_endpoint *way)
{
	fz_assert(p->is_managed);
	p->has_way = way != NULL;
	if (!way)
		return;
	p->endpoint = *way;
	if (p->device->is_up)
		wg_peer_want_flush(p);
}

void wg_peer_start_handshake(struct wg_peer *p, struct fz_now now)
{
	if (p->device->is_up)
		wg_peer_want_initiation(p, now.at, false);
}

void wg_peer_expire(struct wg_peer *p)
{
	wg_peer_wipe_sessions(p);
	wg_peer_purge_staged(p);
	wg_timers_stop(p);
	p->wants_initiation = false;
	p->initiation_allowed = (fz_time){ 0 };
}

int wg_peer_add_allowed_ip(struct wg_peer *p, const struct fz_prefix *prefix)
{
	return wg_allowedips_add(&p->device->allowed, prefix, &p->allowed);
}

void wg_peer_remove_allowed_ip(struct wg_peer *p, const struct fz_prefix *prefix)
{
	wg_allowedips_remove(&p->device->allowed, prefix, &p->allowed);
}

void wg_peer_clear_allowed_ips(struct wg_peer *p)
{
	wg_allowedips_clear(&p->device->allowed, &p->allowed);
}

bool wg_peer_next_allowed_ip(
	const struct wg_peer *p, const void **cursor, struct fz_prefix *ret_prefix)
{
	return wg_allowed_owner_next(&p->allowed, cursor, ret_prefix);
}

void wg_peer_stats(const struct wg_peer *p, fz_time now, struct wg_peer_stats *ret_stats)
{
	*ret_stats = (struct wg_peer_stats){
		.rx_bytes = p->rx_bytes,
		.tx_bytes = p->tx_bytes,
		.last_handshake = p->last_handshake,
		.last_rx = p->last_rx,
		.last_tx = p->last_tx,
		.has_session = p->current && wg_keypair_can_send(p->current, now),
	};
}
