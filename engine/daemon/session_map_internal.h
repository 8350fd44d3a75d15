/* Inside the map: session_map.c (the set), session_map_table.c (prefixes), _data.c (packets), _view.c (people). */
#pragma once

#include "daemon/session_map.h"
#include "wg/allowedips.h"

#define REQUEST_INTERVAL FZ_SECONDS(2)
#define OFFLINE_INTERVAL FZ_MILLISECONDS(100) /* the first one; it doubles up to the above */
#define OFFLINE_LASTS    FZ_SECONDS(300)

struct held_packet {
	struct map_resource *resource; /* NULL: free */
	uint64_t order;
	uint16_t len;
	uint8_t packet[FZ_MAP_PACKET_MAX];
};

/*
 * One Resource as the portal last said it. It never changes: another word makes another object, which takes the place of the old
 * one, and from fz_map_swap on what was known of it.
 */
struct map_resource {
	/* the control thread's */
	struct fzp_resource r; /* its strings and arrays are in `text` and after it */
	char *text;
	struct fz_session_site *sites;
	size_t n_bytes;
	bool is_enabled;
	bool is_seen; /* packets may know it: from the swap that brought it to the one that takes it away */
	struct map_resource *before; /* the one packets know, until the swap */
	struct map_resource *after; /* what it becomes at the swap; NULL: nothing */
	bool is_same; /* `after` goes the same way: it inherits what follows */
	bool starts_anew; /* and does not inherit, whatever went before */
	bool is_kept; /* while a whole set is drafted: it stays, or */
	struct map_resource *replacement; /* this one will take its place */
	struct map_resource *next_leaving;
	/* with the lock */
	struct fz_map_gateway *gateway;
	struct fz_node at_gateway; /* in its list */
	bool is_pending; /* asked for, or about to be */
	bool is_queued; /* for take_request */
	bool is_leaving; /* during the swap */
	struct map_resource *next_queued;
	fz_time ask_again; /* not before */
	fz_time offline_until;
	uint8_t n_offline; /* answers of that kind in a row */
	struct fzp_id previous; /* the gateway it was authorized at last; empty: none */
};

struct map_entry {
	struct map_resource *resource;
	struct map_entry *next; /* of the same prefix, larger ids first */
};

/* One prefix of the table, with the next shorter one that covers it. */
struct map_prefix {
	struct wg_allowed_owner owner; /* first: found by the table */
	struct fz_prefix prefix;
	struct map_prefix *parent;
	struct map_entry *first;
};

/* What packets are looked up in; made anew for every change of the set. */
struct map_table {
	struct wg_allowedips trie;
	uint32_t n_prefixes;
	struct map_prefix *prefixes;
	struct map_entry *entries;
};

struct fz_map {
	/* the control thread's: the set as it is to be */
	uint32_t n, cap;
	size_t n_bytes; /* of all in `list` */
	struct map_resource **list; /* in the portal's order */
	struct map_resource **by_id; /* sorted */
	struct map_resource *leaving; /* seen by packets, not in the list any more */
	bool internet;
	bool has_changed;
	struct map_table *next, *old; /* between build and swap, between swap and sweep */
	/* with the lock: as packets see it */
	struct map_table *table;
	struct fz_ip ipv4, ipv6;
	struct fz_map_gateway *gateways;
	struct map_resource *first_queued;
	bool has_goodbye;
	uint64_t n_held_ever;
	uint64_t discarded[FZ_SESSION_DISCARD_COUNT_];
	struct held_packet held[FZ_MAP_HELD_MAX];
};

/* session_map_table.c: of the set as it is now, NULL without memory. */
struct map_table *fz_map_table_new(const struct fz_map *m) FZ_NONNULL(1) FZ_MUST_CHECK;
void fz_map_table_free(struct map_table *t);

struct map_resource *fz_map_find_maybe(const struct fz_map *m, const char *id) FZ_NONNULL(1, 2);
void fz_map_queue(struct fz_map *m, struct map_resource *r) FZ_NONNULL(1, 2);

/* What of a packet decides. */
struct map_flow {
	struct fz_ip src, dst;
	uint8_t protocol; /* IPPROTO_TCP, _UDP, _ICMP (of either family); 0: any */
	uint16_t port; /* 0: not seen */
};

/*
 * The Resource for a destination. *ret_denied: one that would be it, but for its filters (NULL: none); only if NULL is
 * returned.
 */
struct map_resource *fz_map_choose_maybe(struct fz_map *m, const struct map_flow *f,
	struct map_resource **ret_denied) FZ_NONNULL(1, 2, 3);
bool fz_map_is_device(const struct fz_ip *ip)
	FZ_NONNULL(1); /* in the ranges of clients and gateways */
