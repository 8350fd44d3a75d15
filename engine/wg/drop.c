/* Names of the verdicts, as status and metrics show them. */
#include "wg/drop.h"

#include <stddef.h>

#include "base/attr.h"

static const char *const names[WG_DROP_COUNT_] = {
	[WG_KEEP] = "keep",
	[WG_DROP_STAGE] = "stage",
	[WG_DROP_NO_PEER] = "no-peer",
	[WG_DROP_NO_ENDPOINT] = "no-endpoint",
	[WG_DROP_LOOP] = "loop",
	[WG_DROP_DOWN] = "down",
	[WG_DROP_STAGE_FULL] = "stage-full",
	[WG_DROP_TX_INVALID] = "tx-invalid",
	[WG_DROP_TX_FAILED] = "tx-failed",
	[WG_DROP_QUEUED] = "queued",
	[WG_DROP_SHORT] = "short",
	[WG_DROP_TYPE] = "type",
	[WG_DROP_MAC1] = "mac1",
	[WG_DROP_QUEUE_FULL] = "queue-full",
	[WG_DROP_INDEX] = "index",
	[WG_DROP_EXPIRED] = "expired",
	[WG_DROP_AUTH] = "auth",
	[WG_DROP_RATE] = "rate",
	[WG_DROP_COOKIE_SENT] = "cookie-sent",
	[WG_DROP_COOKIE_INVALID] = "cookie-invalid",
	[WG_DROP_UNKNOWN_PEER] = "unknown-peer",
	[WG_DROP_HANDSHAKE_REPLAY] = "handshake-replay",
	[WG_DROP_HANDSHAKE_FLOOD] = "handshake-flood",
	[WG_DROP_HANDSHAKE_STATE] = "handshake-state",
	[WG_DROP_HANDSHAKE_INVALID] = "handshake-invalid",
	[WG_DROP_REPLAY] = "replay",
	[WG_DROP_KEEPALIVE] = "keepalive",
	[WG_DROP_INNER_INVALID] = "inner-invalid",
	[WG_DROP_SOURCE] = "source",
	[WG_DROP_TRUNCATED] = "truncated",
	[WG_DROP_TUN_WRITE] = "tun-write",
	[WG_DROP_TUN_READ] = "tun-read",
};

bool wg_drop_is_loss(enum wg_drop d)
{
	return d != WG_KEEP && d != WG_DROP_STAGE && d != WG_DROP_QUEUED && d != WG_DROP_KEEPALIVE;
}

const char *wg_drop_name(enum wg_drop d)
{
	size_t i = (size_t)d;
	return i < FZ_ARRAY_LEN(names) && names[i] ? names[i] : "unknown";
}
