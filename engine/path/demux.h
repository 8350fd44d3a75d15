/*
 * What a datagram on our UDP sockets is, by its first byte (RFC 7983 with WireGuard's types in it): STUN 0 to 3, WireGuard
 * 1 to 4 with three zero bytes, TURN channel data 64 to 79. STUN and WireGuard never meet: the zero bytes would be a STUN
 * message of 20 bytes, and no WireGuard message is that short. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/endian.h"

#define FZ_TURN_PORT 3478 /* channel data comes from here alone */

enum fz_demux { FZ_DEMUX_OTHER, FZ_DEMUX_STUN, FZ_DEMUX_CHANNEL_DATA, FZ_DEMUX_WIREGUARD };

static inline bool fz_demux_is_wireguard(struct fz_bytes pkt)
{
	if (pkt.n < 32)
		return false;
	switch (fz_le32_load(pkt.p)) {
	case 1: return pkt.n == 148;
	case 2: return pkt.n == 92;
	case 3: return pkt.n == 64;
	case 4: return true;
	default: return false;
	}
}

static inline enum fz_demux fz_demux_of(struct fz_bytes pkt, uint16_t from_port)
{
	if (pkt.n >= 4 && (pkt.p[0] & 0xf0) == 0x40 && from_port == FZ_TURN_PORT)
		return FZ_DEMUX_CHANNEL_DATA;
	if (pkt.n >= 20 && (pkt.p[0] & 0xc0) == 0 && fz_be32_load(pkt.p + 4) == 0x2112a442u &&
		fz_be16_load(pkt.p + 2) == pkt.n - 20)
		return FZ_DEMUX_STUN;
	return fz_demux_is_wireguard(pkt) ? FZ_DEMUX_WIREGUARD : FZ_DEMUX_OTHER;
}
