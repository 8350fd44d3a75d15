/*
 * Which counters of a receiving key were seen: a ring of bits as in RFC 6479. A value inside its keypair. To be asked
 * only about packets that are authentic. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "wg/constants.h"

struct wg_replay {
	uint64_t next; /* the highest accepted counter + 1; 0: none yet */
	uint64_t seen[WG_REPLAY_BITS / 64];
};

/* True exactly once per counter, unless it is too far behind the highest one or beyond WG_REJECT_AFTER_MESSAGES. */
bool wg_replay_accept(struct wg_replay *r, uint64_t counter) FZ_NONNULL(1) FZ_MUST_CHECK;

/* The last legal counter was seen: the key must not open anything any more. */
static inline bool wg_replay_is_used_up(const struct wg_replay *r)
{
	return r->next >= WG_REJECT_AFTER_MESSAGES;
}
