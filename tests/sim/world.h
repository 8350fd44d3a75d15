/*
 * Several engines, a hostile network and virtual days. Engines 0 and 1 have fixed addresses; the others sit behind
 * NATs that forget them, and each of those talks to both of the first. Bad times (loss, delay, reordering, copies,
 * forgeries, outages, floods, rebinding, restarts) alternate with good ones, in which everything has to recover, and
 * with silence, in which keys have to go. Everything follows from one seed. A broken invariant ends the test and
 * prints that seed; SIM_SEED and SIM_HOURS repeat it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/engine.h"

#define WORLD_ENGINES 4
#define WORLD_FIXED   2

enum world_phase { WORLD_BAD, WORLD_GOOD, WORLD_SILENT };

struct world_flight {
	uint64_t at_ns;
	struct sim_datagram d;
};

/* One direction between two engines. Packets are numbered from 0. */
struct world_flow {
	uint64_t n_sent, n_delivered;
	uint8_t *delivered; /* a bit per packet */
	size_t capacity; /* bytes of it */
	uint64_t
		good_from; /* first packet sent after the recovery bound of the present good phase */
	uint64_t n_good; /* of those delivered */
	bool has_recovered; /* something sent in this phase arrived within the bound */
};

struct world_counter {
	uint64_t key; /* engine and receiver index, + 1; 0: unused */
	uint64_t next; /* lowest counter that may follow */
};

struct world {
	uint64_t seed, now_ns, wall_offset_ns[WORLD_ENGINES];
	struct test_rng rng;
	struct sim_engine engine[WORLD_ENGINES];
	struct fz_key private[WORLD_ENGINES];
	uint8_t public[WORLD_ENGINES][32];
	uint16_t next_port;
	uint64_t incarnation;

	enum world_phase phase;
	uint64_t phase_start_ns, phase_end_ns, next_talk_ns, next_mishap_ns;
	uint32_t loss, copies, garble; /* of 1000 */
	uint64_t delay_ns, jitter_ns;
	bool is_cut;

	struct world_flight **flights; /* a heap by arrival */
	size_t n_flights, flight_capacity;
	struct world_flow flow[WORLD_ENGINES][WORLD_ENGINES];
	struct world_counter *counters; /* open addressing */
	size_t n_counters, counter_mask;

	uint64_t n_steps, n_datagrams, n_delivered, n_handshakes, n_cookies, n_restarts;
};

struct world *world_new(uint64_t seed);
void world_free(struct world *w);
/* Lets `hours` pass. */
void world_run(struct world *w, uint64_t hours);
