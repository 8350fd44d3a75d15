/* What must hold in a simulated world, whatever happens. Each ends the test, with the seed, if it does not. */
#pragma once

#include "sim/world.h"

/* No counter of a session is used twice, no dead key is used, answers are no longer than questions. */
void world_check_sent(struct world *w, size_t engine, const struct sim_datagram *d);
/* Every packet comes out at most once, as it went in, at the engine it was sent to, from the peer who sent it. */
void world_check_delivered(
	struct world *w, size_t engine, struct wg_peer *p, struct fz_bytes inner);
/* Keys are gone in time, slots are as they may be, memory is bounded, and a poll leaves nothing due. */
void world_check_engine(struct world *w, size_t engine);
/* In good times everything recovers within the protocol's own bound, and from then on nothing is lost. */
void world_check_phase_begins(struct world *w);
void world_check_phase_ends(struct world *w);
