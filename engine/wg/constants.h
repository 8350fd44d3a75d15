/* The protocol's numbers: WireGuard whitepaper section 6.1, and the limits the kernel driver adds to them. */
#pragma once

#include <stdint.h>

#include "base/time.h"

#define WG_REKEY_AFTER_MESSAGES  (UINT64_C(1) << 60)
#define WG_REPLAY_BITS           8192u
/* One word of the ring is always being refilled, so this many counters behind the newest are remembered. */
#define WG_REPLAY_WINDOW         (WG_REPLAY_BITS - 64u)
#define WG_REJECT_AFTER_MESSAGES (UINT64_MAX - WG_REPLAY_WINDOW - 1)

#define WG_REKEY_AFTER_TIME      FZ_SECONDS(120)
#define WG_REJECT_AFTER_TIME     FZ_SECONDS(180)
#define WG_REKEY_TIMEOUT         FZ_SECONDS(5)
#define WG_KEEPALIVE_TIMEOUT     FZ_SECONDS(10)
#define WG_NEW_HANDSHAKE_TIMEOUT FZ_SECONDS(15) /* keepalive timeout + rekey timeout */
#define WG_LAST_MINUTE_REKEY     FZ_SECONDS(165) /* reject - keepalive - rekey timeout */
#define WG_ZERO_KEYS_AFTER       FZ_SECONDS(540) /* three times reject-after-time */
#define WG_JITTER_MAX_NS         UINT64_C(333333333) /* exclusive */
#define WG_MAX_RETRANSMITS       18 /* attempts beyond this give up: 20 initiations in all */
#define WG_INITIATION_GAP        FZ_MILLISECONDS(20)

#define WG_COOKIE_SECRET_AGE FZ_SECONDS(120)
#define WG_COOKIE_USABLE     FZ_SECONDS(115) /* secret age less 5 s of latency */
#define WG_LOAD_HYSTERESIS   FZ_SECONDS(1)

#define WG_MAX_PEERS       (UINT32_C(1) << 20)
#define WG_MAX_STAGED      128u
#define WG_MAX_HANDSHAKES  4096u /* queued */
#define WG_LOAD_HANDSHAKES (WG_MAX_HANDSHAKES / 8)
#define WG_MAX_EVENTS      1024u
#define WG_PADDING         16u
#define WG_TOS_HANDSHAKE   0x88 /* DSCP AF41 */
