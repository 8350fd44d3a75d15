/* Why a packet went no further. A packet from a stranger is not an error: it is judged, counted and forgotten. */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

enum wg_drop {
	WG_KEEP,
	/* sending */
	WG_DROP_STAGE, /* not dropped: waits for a session */
	WG_DROP_NO_PEER, /* no allowed-IP covers the destination */
	WG_DROP_NO_ENDPOINT,
	WG_DROP_LOOP, /* our own datagram, on its way to the peer it is meant for: it would go round for ever */
	WG_DROP_DOWN, /* device is down or has no private key */
	WG_DROP_STAGE_FULL, /* the oldest waiting packet gave way, or a handshake gave up */
	WG_DROP_TX_INVALID, /* not an IP packet */
	WG_DROP_TX_FAILED, /* the socket refused */
	/* receiving, before authentication */
	WG_DROP_QUEUED, /* not dropped: a handshake message that wg_device_poll will handle */
	WG_DROP_SHORT,
	WG_DROP_TYPE,
	WG_DROP_MAC1,
	WG_DROP_QUEUE_FULL, /* handshake queue */
	WG_DROP_INDEX, /* receiver index unknown */
	WG_DROP_EXPIRED, /* key too old or used up */
	WG_DROP_AUTH, /* AEAD tag */
	/* handshakes */
	WG_DROP_RATE, /* token bucket of the source under load */
	WG_DROP_COOKIE_SENT, /* answered with a cookie instead */
	WG_DROP_COOKIE_INVALID, /* a cookie reply that answers nothing of ours */
	WG_DROP_UNKNOWN_PEER,
	WG_DROP_HANDSHAKE_REPLAY, /* timestamp not newer */
	WG_DROP_HANDSHAKE_FLOOD, /* under 20 ms after the last one */
	WG_DROP_HANDSHAKE_STATE, /* answers nothing we sent */
	WG_DROP_HANDSHAKE_INVALID, /* decryption or a low-order point */
	/* receiving, after authentication */
	WG_DROP_REPLAY,
	WG_DROP_KEEPALIVE, /* not dropped: empty by design */
	WG_DROP_INNER_INVALID, /* not an IP packet, or its length lies */
	WG_DROP_SOURCE, /* allowed-IPs give this source to another peer or none */
	/* shell */
	WG_DROP_TRUNCATED,
	WG_DROP_TUN_WRITE,
	WG_DROP_TUN_READ, /* malformed virtio header */
	WG_DROP_COUNT_
};

/* False for what is counted but goes on, waits or is empty by design. */
bool wg_drop_is_loss(enum wg_drop d);
/* Stable lower-case name, e.g. "no-peer"; "unknown" outside the enum. */
const char *wg_drop_name(enum wg_drop d) FZ_RETURNS_NONNULL;
