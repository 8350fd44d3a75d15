/* Inside the map: session_map.c (the set), session_map_data.c (packets), session_map_view.c (people). */
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

struct map_resource {
	struct fzp_resource r; /* its strings and arrays are in `text` and after it */
	char *text;
	bool is_enabled;
	struct fz_map_gateway *gateway;
	struct fzp_id previous; /* the gateway it was authorized at last; empty: none */
	bool is_pending; /* asked for, or about to be */
	bool is_queued; /* for take_request */
	struct map_resource *next_queued;
	fz_time ask_again; /* not before */
	fz_time offline_until;
	uint8_t n_offline; /* answers of that kind in a row */
	struct map_resource *next_same; /* of the same prefix, larger ids first */
	struct fz_session_site *sites;
};

/* One prefix of the table, with the next shorter one that covers it. */
struct map_prefix {
	struct wg_allowed_owner owner; /* first: found by the table */
	struct fz_prefix prefix;
	struct map_prefix *parent;
	struct map_resource *first;
};

struct fz_map {
	struct fz_ip ipv4, ipv6;
	bool internet;
	uint32_t n;
	struct map_resource **list; /* in the portal's order */
	struct map_resource **by_id; /* sorted */
	struct wg_allowedips table;
	uint32_t n_prefixes;
	struct map_prefix *prefixes;
	struct fz_map_gateway *gateways;
	struct map_resource *first_queued;
	bool has_goodbye;
	uint64_t n_held_ever;
	uint64_t discarded[FZ_SESSION_DISCARD_COUNT_];
	struct held_packet held[FZ_MAP_HELD_MAX];
};

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
