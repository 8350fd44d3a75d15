/*
 * What a gateway lets through: its clients, what each was granted until when, and what becomes of a packet. Told by the
 * portal's messages, asked for every packet. Firezone's protocol, sections 2.5 and 5.3 to 5.5 without DNS Resources:
 * their control packets are answered Inactive by silence, their addresses as not granted.
 *
 * A client is known from its first grant until it is removed; its pointer stays the same. Pure; one owner, who locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/time.h"
#include "gateway/resource.h"

#define GW_TABLE_CLIENTS_MAX 65'536
#define GW_TABLE_GRANTS_MAX  4096 /* of one client */
#define GW_TABLE_ANSWER_MAX  1280

struct gw_table;
struct gw_client;

void gw_table_free(struct gw_table *g);
struct gw_table *gw_table_new(struct fz_hash_key key) FZ_MUST_CHECK;

/* The gateway's own tunnel addresses; a family without one is 0. */
void gw_table_set_interface(struct gw_table *g, const struct fz_ip *v4, const struct fz_ip *v6)
	FZ_NONNULL(1, 2, 3);

struct gw_table_grant {
	const char *client, *resource; /* ids, below GW_ID_LEN */
	struct fz_ip v4, v6; /* the client's tunnel addresses */
	enum gw_resource_type type;
	struct fz_prefix prefix; /* CIDR alone */
	const struct gw_filter *filters; /* none: everything is allowed */
	uint32_t n_filters;
	uint64_t expires_at; /* unix seconds; 0: never */
};

/* Adds or replaces; 0, -EINVAL, -ENOMEM or FZ_ERR_LIMIT. */
int gw_table_authorize(struct gw_table *g, const struct gw_table_grant *grant,
	struct gw_client **ret_client) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* Ends one grant; the last one ends the client: an event tells. */
void gw_table_reject(struct gw_table *g, const char *client, const char *resource)
	FZ_NONNULL(1, 2, 3);
/* New filters of a Resource, for all who were granted it. 0 or -ENOMEM, and then nobody is granted it any more. */
int gw_table_update(struct gw_table *g, const char *resource, const struct gw_filter *filters,
	uint32_t n_filters) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* The complete set of live grants: begin, keep each of them with its expiry, end. What was not kept is revoked. */
void gw_table_init_begin(struct gw_table *g) FZ_NONNULL(1);
void gw_table_init_keep(struct gw_table *g, const char *client, const char *resource,
	uint64_t expires_at) FZ_NONNULL(1, 2, 3);
void gw_table_init_end(struct gw_table *g) FZ_NONNULL(1);

struct gw_client *gw_table_find_maybe(const struct gw_table *g, const char *client)
	FZ_NONNULL(1, 2);
/* With all grants and without an event: it said goodbye, or was told. The pointer is dead. */
void gw_table_remove(struct gw_table *g, struct gw_client *c) FZ_NONNULL(1, 2);
const char *gw_client_id(const struct gw_client *c) FZ_NONNULL(1);
/* The owner's pointer, e.g. its connection; NULL at first. */
void gw_client_set_user(struct gw_client *c, void *user) FZ_NONNULL(1);
void *gw_client_user(const struct gw_client *c) FZ_NONNULL(1);

/* ---- packets --------------------------------------------------------------------------------------------------- */

enum gw_table_verdict {
	GW_TABLE_KEEP, /* to the TUN */
	GW_TABLE_REPLY, /* *ret_len bytes of `out` go back to the client */
	GW_TABLE_CONTROL, /* was for us; events may wait */
	GW_TABLE_DROP_MALFORMED,
	GW_TABLE_DROP_SOURCE, /* not the client's address */
	GW_TABLE_DROP_MULTICAST,
	GW_TABLE_DROP_ICMP_ERROR, /* clients have no errors to tell */
	GW_TABLE_DROP_UNKNOWN, /* from the TUN: to nobody we know */
	GW_TABLE_DROP_NOT_GRANTED, /* from the TUN: from an address the client was not granted */
	GW_TABLE_DROP_SILENTLY, /* an answer was due and could not be made */
	GW_TABLE_VERDICT_COUNT_
};

enum gw_table_verdict gw_table_from_client(struct gw_table *g, struct gw_client *c,
	struct fz_bytes inner, struct fz_span out, size_t *ret_len)
	FZ_NONNULL(1, 2, 5) FZ_MUST_CHECK;
/* *ret_client is set for KEEP. */
enum gw_table_verdict gw_table_from_tun(struct gw_table *g, struct fz_bytes inner,
	struct gw_client **ret_client) FZ_NONNULL(1, 3) FZ_MUST_CHECK;
const uint64_t *gw_table_counts(const struct gw_table *g) FZ_NONNULL(1); /* by verdict */

/* The control packet that ends a connection. */
#define GW_GOODBYE_LEN 48
void gw_table_write_goodbye(uint8_t ret_packet[static GW_GOODBYE_LEN]);

/* ---- time and events ------------------------------------------------------------------------------------------- */

/* Ends what has expired. */
void gw_table_poll(struct gw_table *g, uint64_t now_unix) FZ_NONNULL(1);
/* Unix seconds at which to poll: not after the next expiry, at times before it. UINT64_MAX: nothing expires. */
uint64_t gw_table_deadline(const struct gw_table *g) FZ_NONNULL(1);

enum gw_table_event_kind {
	GW_TABLE_SAY_GOODBYE, /* the last grant is gone: say it, take the connection down, remove the client */
	GW_TABLE_HEARD_GOODBYE, /* the client left: take the connection down, remove the client */
};

struct gw_table_event {
	enum gw_table_event_kind kind;
	struct gw_client *client;
};

/* One client per call that the caller then removes; false: none. */
bool gw_table_take_event(struct gw_table *g, struct gw_table_event *ret_event)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

uint32_t gw_table_n_clients(const struct gw_table *g) FZ_NONNULL(1);
uint32_t gw_table_n_grants(const struct gw_table *g) FZ_NONNULL(1);
