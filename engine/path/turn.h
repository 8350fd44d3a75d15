/*
 * One relay as its client sees it (STUN of RFC 8489, TURN of RFC 8656 as far as Firezone's relays go): BINDING for our
 * reflexive address and the round-trip time, an allocation under long-term credentials of realm "firezone", channels to
 * peers, and what keeps all of that alive. Permissions come with channels; Send and Data indications are not used.
 *
 * Pure: given datagrams and the present, it gives back datagrams to the relay. One owner; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"
#include "path/candidate.h"
#include "path/stun.h"

#define FZ_TURN_REALM          "firezone"
#define FZ_TURN_CHANNEL_FIRST  0x4000
#define FZ_TURN_CHANNELS_MAX   0x1000
#define FZ_TURN_CHANNEL_HEADER 4
#define FZ_TURN_CREDENTIAL_MAX 256 /* with NUL */

struct fz_turn;

struct fz_turn_params {
	void (*random)(void *user, struct fz_span out);
	void *user;
	struct fz_addr server4, server6; /* family 0: none; at least one */
	const char *username,
		*password; /* copied; the password is not kept, only the key made of it */
};

enum fz_turn_state {
	FZ_TURN_PROBING, /* no answer yet */
	FZ_TURN_ALLOCATING,
	FZ_TURN_ALLOCATED,
	FZ_TURN_FAILED /* for good: remove it */
};

enum fz_turn_failure {
	FZ_TURN_FAILURE_NONE,
	FZ_TURN_FAILURE_SILENT,
	FZ_TURN_FAILURE_CREDENTIALS,
	FZ_TURN_FAILURE_REFUSED
};

enum fz_turn_verdict {
	FZ_TURN_TAKEN,
	FZ_TURN_DROP_UNASKED,
	FZ_TURN_DROP_UNSIGNED,
	FZ_TURN_DROP_MALFORMED,
	FZ_TURN_DROP_CHANNEL, /* channel data of no channel of ours */
	FZ_TURN_VERDICT_COUNT_
};

/* NULL: no memory, or no server, or credentials beyond FZ_TURN_CREDENTIAL_MAX. */
struct fz_turn *fz_turn_new(const struct fz_turn_params *params, fz_time now)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* Wipes the key; accepts NULL. */
void fz_turn_free(struct fz_turn *t);

enum fz_turn_state fz_turn_state(const struct fz_turn *t) FZ_NONNULL(1);
enum fz_turn_failure fz_turn_failure(const struct fz_turn *t) FZ_NONNULL(1);
/* True once any answer came: the relay may be given to connections. */
bool fz_turn_has_answered(const struct fz_turn *t) FZ_NONNULL(1);
fz_dur fz_turn_rtt(const struct fz_turn *t) FZ_NONNULL(1);
bool fz_turn_is_server(const struct fz_turn *t, const struct fz_addr *a) FZ_NONNULL(1, 2);
/* The server address in use; family 0 before the first answer. */
const struct fz_addr *fz_turn_server(const struct fz_turn *t) FZ_NONNULL(1);
/* Our socket's address by which the server is reached. */
const struct fz_addr *fz_turn_local(const struct fz_turn *t) FZ_NONNULL(1);

/* What the relay taught us. Slots are fixed, so that two snapshots can be compared; family 0: none. */
enum fz_turn_slot {
	FZ_TURN_HOST4,
	FZ_TURN_HOST6,
	FZ_TURN_SRFLX4,
	FZ_TURN_SRFLX6,
	FZ_TURN_RELAY4,
	FZ_TURN_RELAY6,
	FZ_TURN_SLOT_COUNT_
};

void fz_turn_candidates(
	const struct fz_turn *t, struct fz_candidate ret[static FZ_TURN_SLOT_COUNT_]) FZ_NONNULL(1);
/* The allocated address of this IP version; family 0: none. */
const struct fz_addr *fz_turn_relayed(const struct fz_turn *t, enum fz_family family) FZ_NONNULL(1);

/* A STUN message from one of the servers to our socket `local`. */
enum fz_turn_verdict fz_turn_receive(struct fz_turn *t, fz_time now, const struct fz_addr *local,
	const struct fz_addr *server, const struct fz_stun *m) FZ_NONNULL(1, 3, 4, 5) FZ_MUST_CHECK;

/* The next datagram due to *ret_server, written to `out` (FZ_TURN_MESSAGE_MAX bytes of room); 0: none. */
#define FZ_TURN_MESSAGE_MAX 1024
size_t fz_turn_poll(struct fz_turn *t, fz_time now, struct fz_span out, struct fz_addr *ret_server)
	FZ_NONNULL(1, 4) FZ_MUST_CHECK;
fz_time fz_turn_deadline(const struct fz_turn *t) FZ_NONNULL(1);

/* Asks at once whether the allocation still lives (network change, word from the portal). */
void fz_turn_probe(struct fz_turn *t, fz_time now) FZ_NONNULL(1);
/* The network changed: forgets all it learned and starts as if new. */
void fz_turn_restart(struct fz_turn *t, fz_time now) FZ_NONNULL(1);
/* Gives the allocation back: the next poll says so to the server. The relay is of no use afterwards. */
void fz_turn_release(struct fz_turn *t, fz_time now) FZ_NONNULL(1);

/*
 * The channel to a peer, bound if need be; data may be sent on it at once. 0: no allocation of that IP version, or no
 * number left.
 */
uint16_t fz_turn_channel(struct fz_turn *t, const struct fz_addr *peer, fz_time now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* Writes the header that goes before `len` bytes of payload on a channel. */
static inline void fz_turn_channel_header(uint16_t channel, uint16_t len, uint8_t out[static 4])
{
	out[0] = (uint8_t)(channel >> 8);
	out[1] = (uint8_t)channel;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
}

/* Channel data was sent to the server: no keepalive is due for a while. */
void fz_turn_sent(struct fz_turn *t, fz_time now) FZ_NONNULL(1);
/* Channel data from the server: who sent it, to which of our relayed addresses, and what. Borrowed from pkt. */
enum fz_turn_verdict fz_turn_unwrap(struct fz_turn *t, fz_time now, struct fz_bytes pkt,
	struct fz_addr *ret_peer, struct fz_addr *ret_relayed, struct fz_bytes *ret_payload)
	FZ_NONNULL(1, 4, 5, 6) FZ_MUST_CHECK;
