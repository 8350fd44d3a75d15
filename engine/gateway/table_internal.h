/* What the files of the gateway's table share. */
#pragma once

#include "base/list.h"
#include "gateway/table.h"

struct grant {
	char resource[GW_ID_LEN];
	enum gw_resource_type type;
	struct fz_prefix prefix;
	struct gw_filter *filters;
	uint32_t n_filters;
	uint64_t expires_at;
	bool is_kept; /* between init_begin and init_end */
};

struct gw_client {
	struct fz_node in_all, in_events;
	struct gw_client *next_by_id, *next_by_v4, *next_by_v6;
	char id[GW_ID_LEN];
	struct fz_ip v4, v6;
	void *user;
	bool has_left;
	uint32_t n_grants, cap_grants;
	/* The longest prefix first, of equal ones the larger id; DNS Resources, and last the Internet's. */
	struct grant *grants;
};

struct gw_table {
	struct fz_hash_key key;
	struct fz_ip v4, v6;
	struct fz_list all, events;
	uint32_t n_clients, n_buckets;
	uint64_t look_at; /* no grant ends before; UINT64_MAX: none ends */
	struct gw_client **by_id, **by_v4, **by_v6;
	uint64_t counts[GW_TABLE_VERDICT_COUNT_];
};

struct gw_client *gw_table_find_ip_maybe(
	const struct gw_table *g, enum fz_family family, const uint8_t *ip);
