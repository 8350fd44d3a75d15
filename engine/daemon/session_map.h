/*
 * Which packet goes to which Resource and gateway: the client's Resources, whom they are authorized at, what waits for an
 * authorization, and the checks on what comes back. Hooks on data threads use it with the node's lock and allocate nothing; the
 * control thread takes the lock for all but the set, which it changes, builds and sweeps without. Firezone's protocol, 5.2 and
 * 5.4. No system calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/list.h"
#include "base/time.h"
#include "control/objects.h"
#include "daemon/session_view.h"

#define FZ_MAP_HELD_MAX   128 /* packets waiting, of all Resources together */
#define FZ_MAP_PACKET_MAX 1280
#define FZ_MAP_BYTES_MAX  (64u << 20) /* of all Resources together, the table left out */

struct fz_map;
struct fz_node_peer;

/* A gateway with a connection; the owner's memory, linked by it. */
struct fz_map_gateway {
	struct fz_map_gateway *next;
	struct fzp_id id, site_id;
	struct fz_ip ipv4, ipv6; /* its own, inside */
	struct fz_node_peer *peer;
	bool said_goodbye;
	struct fz_list resources; /* the map's: authorized at it */
};

void fz_map_free(struct fz_map *m);
struct fz_map *fz_map_new(void) FZ_MUST_CHECK;

void fz_map_set_interface(struct fz_map *m, const struct fz_ip *ipv4, const struct fz_ip *ipv6)
	FZ_NONNULL(1, 2, 3);
/* ---- the set: control thread, without the lock ---- */

/*
 * The whole set; a Resource whose address, sites and filters are as before keeps what it is authorized at. 0; -ENOMEM: the
 * set is as it was; FZ_ERR_LIMIT: what did not fit is left out. At most FZP_RESOURCES_MAX and FZ_MAP_BYTES_MAX.
 */
int fz_map_set_resources(struct fz_map *m, const struct fzp_resource *list, uint32_t n)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* As above; FZ_ERR_LIMIT: it is left out, and what it was before, too. */
int fz_map_upsert(struct fz_map *m, const struct fzp_resource *r) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The same Resource with other filters; none of this id: nothing. */
int fz_map_set_filters(struct fz_map *m, const struct fzp_id *id, const struct fzp_filter *filters,
	uint32_t n) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_map_remove(struct fz_map *m, const struct fzp_id *id) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* What is switched off forgets what it was authorized at. */
int fz_map_set_enabled(struct fz_map *m, const char *id, bool on) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_map_set_internet(struct fz_map *m, bool on) FZ_NONNULL(1) FZ_MUST_CHECK;

/* Packets see none of this until build, swap and sweep were called, in this order and with no change between. */
bool fz_map_has_changed(const struct fz_map *m) FZ_NONNULL(1) FZ_MUST_CHECK;
int fz_map_build(struct fz_map *m) FZ_NONNULL(1) FZ_MUST_CHECK; /* 0 or -ENOMEM: try again */
/* With the lock: its time depends on what was changed and what waits, not on how much there is. */
void fz_map_swap(struct fz_map *m) FZ_NONNULL(1);
void fz_map_sweep(struct fz_map *m) FZ_NONNULL(1); /* what nobody sees any more is freed */

/* ---- authorizations: with the lock, after what changed was made known ---- */

/* True if this Resource was asked for and has no answer yet: an authorization nobody asked for is ignored. */
bool fz_map_is_awaited(const struct fz_map *m, const struct fzp_id *resource)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The Resource is reached by this gateway, which joins the list if it is new. */
void fz_map_authorized(struct fz_map *m, const struct fzp_id *resource, struct fz_map_gateway *g)
	FZ_NONNULL(1, 2, 3);
/* What waited is dropped; packets ask again from `now` + 2 s on, or sooner if every gateway was offline a moment ago. */
void fz_map_refused(struct fz_map *m, const struct fzp_id *resource, bool is_offline, fz_time now)
	FZ_NONNULL(1, 2);
/* Takes it off the list and forgets what was authorized at it; the memory is the caller's again. */
void fz_map_lost(struct fz_map *m, struct fz_map_gateway *g) FZ_NONNULL(1, 2);
struct fz_map_gateway *fz_map_gateways_maybe(struct fz_map *m) FZ_NONNULL(1); /* the first */
/* True if some Resource that is in use is authorized at it, one of the list. */
bool fz_map_is_used(const struct fz_map_gateway *g) FZ_NONNULL(1) FZ_MUST_CHECK;

/* ---- packets: data threads ---- */

enum fz_map_route {
	FZ_MAP_SEND, /* to *ret_gateway */
	FZ_MAP_HELD, /* copied; an event may wait */
	FZ_MAP_REPLY, /* *ret_len bytes of `out` go back into the TUN */
	FZ_MAP_DROP,
};

enum fz_map_route fz_map_route(struct fz_map *m, fz_time now, struct fz_bytes inner,
	struct fz_span out, struct fz_map_gateway **ret_gateway, size_t *ret_len)
	FZ_NONNULL(1, 5, 6) FZ_MUST_CHECK;

enum fz_map_accept { FZ_MAP_DELIVER, FZ_MAP_CONTROL, FZ_MAP_DISCARD };

enum fz_map_accept fz_map_accept(struct fz_map *m, fz_time now, struct fz_map_gateway *g,
	struct fz_bytes inner) FZ_NONNULL(1, 3) FZ_MUST_CHECK;

/* How many were not delivered, by enum fz_session_discard. */
const uint64_t *fz_map_discarded(const struct fz_map *m) FZ_NONNULL(1) FZ_RETURNS_NONNULL;

/* ---- events: control thread ---- */

bool fz_map_has_events(const struct fz_map *m) FZ_NONNULL(1) FZ_MUST_CHECK;
/* A Resource to be asked for; false: none (more). */
bool fz_map_take_request(struct fz_map *m, struct fzp_id *ret_resource)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Where the Resource was authorized last: to be preferred, so that what runs through it may go on. False: nowhere yet. */
bool fz_map_previous_gateway(const struct fz_map *m, const struct fzp_id *resource,
	struct fzp_id *ret_gateway) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* A gateway that said goodbye; NULL: none (more). */
struct fz_map_gateway *fz_map_take_goodbye_maybe(struct fz_map *m) FZ_NONNULL(1);
/* One held packet whose Resource has a gateway now, its length; 0: none (more). */
size_t fz_map_take_held(struct fz_map *m, uint8_t ret_packet[static FZ_MAP_PACKET_MAX],
	struct fz_map_gateway **ret_gateway) FZ_NONNULL(1, 3) FZ_MUST_CHECK;

/* ---- to see ---- */

/* To be freed; 0 or -ENOMEM. */
int fz_map_routes(const struct fz_map *m, struct fz_prefix **ret_prefixes, size_t *ret_n)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
int fz_map_each_route(const struct fz_map *m, fz_session_route_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The path is left to the caller. */
int fz_map_each_resource(const struct fz_map *m, fz_time now, fz_session_resource_fn fn, void *user)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* *ret_gateway is NULL where there is none. The peer is left to the caller. */
void fz_map_explain(struct fz_map *m, fz_time now, const struct fz_ip *ip, const char *resource,
	uint8_t protocol, uint16_t port, struct fz_session_explanation *ret,
	struct fz_map_gateway **ret_gateway) FZ_NONNULL(1, 3, 7, 8);
