/* Clients in three hash tables (id, both addresses) that grow together; grants in an array of their client. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "gateway/table_internal.h"

#define BUCKETS_FIRST 64

static uint32_t slot(const struct gw_table *g, const void *p, size_t n)
{
	return (uint32_t)fz_siphash(g->key, fz_bytes_of(p, n)) & (g->n_buckets - 1);
}

static void link_client(struct gw_table *g, struct gw_client *c)
{
	uint32_t i = slot(g, c->id, strlen(c->id));
	c->next_by_id = g->by_id[i];
	g->by_id[i] = c;
	i = slot(g, c->v4.b, 4);
	c->next_by_v4 = g->by_v4[i];
	g->by_v4[i] = c;
	i = slot(g, c->v6.b, 16);
	c->next_by_v6 = g->by_v6[i];
	g->by_v6[i] = c;
}

static void unlink_client(struct gw_table *g, struct gw_client *c)
{
	struct gw_client **at = &g->by_id[slot(g, c->id, strlen(c->id))];
	while (*at != c)
		at = &(*at)->next_by_id;
	*at = c->next_by_id;
	at = &g->by_v4[slot(g, c->v4.b, 4)];
	while (*at != c)
		at = &(*at)->next_by_v4;
	*at = c->next_by_v4;
	at = &g->by_v6[slot(g, c->v6.b, 16)];
	while (*at != c)
		at = &(*at)->next_by_v6;
	*at = c->next_by_v6;
}

static int make_buckets(struct gw_table *g, uint32_t n)
{
	struct gw_client **a = fz_new_array(struct gw_client *, n),
			 **b = fz_new_array(struct gw_client *, n),
			 **c = fz_new_array(struct gw_client *, n);
	if (!a || !b || !c) {
		free(a);
		free(b);
		free(c);
		return -ENOMEM;
	}
	free(g->by_id);
	free(g->by_v4);
	free(g->by_v6);
	g->by_id = a;
	g->by_v4 = b;
	g->by_v6 = c;
	g->n_buckets = n;
	FZ_LIST_EACH(&g->all, node)
		link_client(g, FZ_CONTAINER_OF(node, struct gw_client, in_all));
	return 0;
}

static void grant_done(struct grant *grant)
{
	free(grant->filters);
	grant->filters = NULL;
}

static void client_free(struct gw_client *c)
{
	for (uint32_t i = 0; i < c->n_grants; i++)
		grant_done(&c->grants[i]);
	free(c->grants);
	free(c);
}

void gw_table_free(struct gw_table *g)
{
	if (!g)
		return;
	FZ_LIST_EACH_SAFE(&g->all, node, after)
		client_free(FZ_CONTAINER_OF(node, struct gw_client, in_all));
	free(g->by_id);
	free(g->by_v4);
	free(g->by_v6);
	free(g);
}

struct gw_table *gw_table_new(struct fz_hash_key key)
{
	struct gw_table *g = fz_new(struct gw_table);
	if (!g)
		return NULL;
	g->key = key;
	g->look_at = UINT64_MAX;
	fz_list_init(&g->all);
	fz_list_init(&g->events);
	if (make_buckets(g, BUCKETS_FIRST) < 0) {
		gw_table_free(g);
		return NULL;
	}
	return g;
}

void gw_table_set_interface(struct gw_table *g, const struct fz_ip *v4, const struct fz_ip *v6)
{
	g->v4 = *v4;
	g->v6 = *v6;
}

struct gw_client *gw_table_find_maybe(const struct gw_table *g, const char *client)
{
	struct gw_client *c = g->by_id[slot(g, client, strlen(client))];
	while (c && strcmp(c->id, client) != 0)
		c = c->next_by_id;
	return c;
}

struct gw_client *gw_table_find_ip_maybe(
	const struct gw_table *g, enum fz_family family, const uint8_t *ip)
{
	struct gw_client *c;
	if (family == FZ_IP4) {
		c = g->by_v4[slot(g, ip, 4)];
		while (c && memcmp(c->v4.b, ip, 4) != 0)
			c = c->next_by_v4;
	} else {
		c = g->by_v6[slot(g, ip, 16)];
		while (c && memcmp(c->v6.b, ip, 16) != 0)
			c = c->next_by_v6;
	}
	return c;
}

void gw_table_remove(struct gw_table *g, struct gw_client *c)
{
	unlink_client(g, c);
	fz_list_remove(&c->in_all);
	if (fz_node_is_linked(&c->in_events))
		fz_list_remove(&c->in_events);
	g->n_clients--;
	client_free(c);
}

const char *gw_client_id(const struct gw_client *c)
{
	return c->id;
}

void gw_client_set_user(struct gw_client *c, void *user)
{
	c->user = user;
}

void *gw_client_user(const struct gw_client *c)
{
	return c->user;
}

/* ---- grants ---- */

static struct grant *find_grant_maybe(struct gw_client *c, const char *resource)
{
	for (uint32_t i = 0; i < c->n_grants; i++)
		if (strcmp(c->grants[i].resource, resource) == 0)
			return &c->grants[i];
	return NULL;
}

/* Negative: `a` is asked before `b`. Clients choose in the same order (firezone's protocol, 5.2). */
static int order(const struct grant *a, const struct grant *b)
{
	static const int ranks[] = {
		[GW_RESOURCE_CIDR] = 0,
		[GW_RESOURCE_DNS] = 1,
		[GW_RESOURCE_INTERNET] = 2,
	};

	int r = ranks[a->type] - ranks[b->type];
	if (r == 0 && a->type == GW_RESOURCE_CIDR)
		r = b->prefix.bits - a->prefix.bits;
	return r ? r : strcmp(b->resource, a->resource);
}

/* There is room. */
static void insert(struct gw_client *c, const struct grant *grant)
{
	uint32_t at = c->n_grants++;
	for (; at > 0 && order(grant, &c->grants[at - 1]) < 0; at--)
		c->grants[at] = c->grants[at - 1];
	c->grants[at] = *grant;
}

static void take_out(struct gw_client *c, const struct grant *grant)
{
	uint32_t at = (uint32_t)(grant - c->grants);
	c->n_grants--;
	memmove(&c->grants[at], &c->grants[at + 1], (c->n_grants - at) * sizeof(*grant));
}

static int copy_filters(const struct gw_filter *filters, uint32_t n, struct gw_filter **ret)
{
	struct gw_filter *copy = NULL;
	if (n > 0) {
		copy = fz_new_array(struct gw_filter, n);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, filters, n * sizeof(*copy));
	}
	*ret = copy;
	return 0;
}

static void end_if_bare(struct gw_table *g, struct gw_client *c)
{
	if (c->n_grants == 0 && !fz_node_is_linked(&c->in_events))
		fz_list_push_back(&g->events, &c->in_events);
}

static void drop_grant(struct gw_table *g, struct gw_client *c, struct grant *grant)
{
	grant_done(grant);
	take_out(c, grant);
	end_if_bare(g, c);
}

static int make_client(
	struct gw_table *g, const struct gw_table_grant *grant, struct gw_client **ret)
{
	if (g->n_clients == GW_TABLE_CLIENTS_MAX)
		return FZ_ERR_LIMIT;
	if (g->n_clients >= g->n_buckets && make_buckets(g, 2 * g->n_buckets) < 0)
		return -ENOMEM;
	struct gw_client *c = fz_new(struct gw_client);
	if (!c)
		return -ENOMEM;
	memcpy(c->id, grant->client, strlen(grant->client) + 1);
	c->v4 = grant->v4;
	c->v6 = grant->v6;
	fz_list_push_back(&g->all, &c->in_all);
	g->n_clients++;
	link_client(g, c);
	*ret = c;
	return 0;
}

/* Room for one more. */
static int grow(struct gw_client *c)
{
	if (c->n_grants < c->cap_grants)
		return 0;
	if (c->n_grants == GW_TABLE_GRANTS_MAX)
		return FZ_ERR_LIMIT;
	uint32_t cap = c->cap_grants ? 2 * c->cap_grants : 4;
	struct grant *grants = fz_realloc(c->grants, cap, sizeof(*grants));
	if (!grants)
		return -ENOMEM;
	c->grants = grants;
	c->cap_grants = cap;
	return 0;
}

static int put_grant(struct gw_client *c, const struct gw_table_grant *from)
{
	struct grant *at = find_grant_maybe(c, from->resource);
	int r = at ? 0 : grow(c);
	struct gw_filter *filters = NULL;
	if (r == 0)
		r = copy_filters(from->filters, from->n_filters, &filters);
	if (r < 0)
		return r;
	if (at) {
		grant_done(at);
		take_out(c, at);
	}
	struct grant grant = {
		.type = from->type,
		.prefix = from->prefix,
		.filters = filters,
		.n_filters = from->n_filters,
		.expires_at = from->expires_at,
	};
	memcpy(grant.resource, from->resource, strlen(from->resource) + 1);
	insert(c, &grant);
	return 0;
}

/* Kept while grants come, so that a thousand clients do not have all grants looked through a thousand times. */
static void expect(struct gw_table *g, uint64_t expires_at)
{
	if (expires_at != 0 && expires_at < g->look_at)
		g->look_at = expires_at;
}

int gw_table_authorize(
	struct gw_table *g, const struct gw_table_grant *grant, struct gw_client **ret_client)
{
	if (strlen(grant->client) >= GW_ID_LEN || strlen(grant->resource) >= GW_ID_LEN ||
		grant->v4.family != FZ_IP4 || grant->v6.family != FZ_IP6)
		return -EINVAL;
	struct gw_client *c = gw_table_find_maybe(g, grant->client);
	bool is_new = !c;
	int r = is_new ? make_client(g, grant, &c) : 0;
	if (r == 0)
		r = put_grant(c, grant);
	if (r < 0) {
		if (is_new && c)
			gw_table_remove(g, c);
		return r;
	}
	if (!fz_ip_equal(&c->v4, &grant->v4) || !fz_ip_equal(&c->v6, &grant->v6)) {
		unlink_client(g, c);
		c->v4 = grant->v4;
		c->v6 = grant->v6;
		link_client(g, c);
	}
	if (fz_node_is_linked(&c->in_events) && !c->has_left)
		fz_list_remove(&c->in_events);
	expect(g, grant->expires_at);
	*ret_client = c;
	return 0;
}

void gw_table_reject(struct gw_table *g, const char *client, const char *resource)
{
	struct gw_client *c = gw_table_find_maybe(g, client);
	struct grant *grant = c ? find_grant_maybe(c, resource) : NULL;
	if (grant)
		drop_grant(g, c, grant);
}

int gw_table_update(struct gw_table *g, const char *resource, const struct gw_filter *filters,
	uint32_t n_filters)
{
	int result = 0;
	FZ_LIST_EACH(&g->all, node) {
		struct gw_client *c = FZ_CONTAINER_OF(node, struct gw_client, in_all);
		struct grant *grant = find_grant_maybe(c, resource);
		struct gw_filter *copy;
		if (!grant)
			continue;
		int r = copy_filters(filters, n_filters, &copy);
		if (r < 0) {
			drop_grant(g, c, grant);
			result = r;
			continue;
		}
		grant_done(grant);
		grant->filters = copy;
		grant->n_filters = n_filters;
	}
	return result;
}

void gw_table_init_begin(struct gw_table *g)
{
	g->look_at = UINT64_MAX;
	FZ_LIST_EACH(&g->all, node) {
		struct gw_client *c = FZ_CONTAINER_OF(node, struct gw_client, in_all);
		for (uint32_t i = 0; i < c->n_grants; i++)
			c->grants[i].is_kept = false;
	}
}

void gw_table_init_keep(
	struct gw_table *g, const char *client, const char *resource, uint64_t expires_at)
{
	struct gw_client *c = gw_table_find_maybe(g, client);
	struct grant *grant = c ? find_grant_maybe(c, resource) : NULL;
	if (!grant)
		return;
	grant->is_kept = true;
	grant->expires_at = expires_at;
	expect(g, expires_at);
}

void gw_table_init_end(struct gw_table *g)
{
	FZ_LIST_EACH(&g->all, node) {
		struct gw_client *c = FZ_CONTAINER_OF(node, struct gw_client, in_all);
		for (uint32_t i = c->n_grants; i > 0; i--)
			if (!c->grants[i - 1].is_kept)
				drop_grant(g, c, &c->grants[i - 1]);
	}
}

/* ---- time and events ---- */

void gw_table_poll(struct gw_table *g, uint64_t now_unix)
{
	if (now_unix < g->look_at)
		return;
	g->look_at = UINT64_MAX;
	FZ_LIST_EACH(&g->all, node) {
		struct gw_client *c = FZ_CONTAINER_OF(node, struct gw_client, in_all);
		for (uint32_t i = c->n_grants; i > 0; i--) {
			struct grant *grant = &c->grants[i - 1];
			if (grant->expires_at != 0 && grant->expires_at <= now_unix)
				drop_grant(g, c, grant);
			else
				expect(g, grant->expires_at);
		}
	}
}

uint64_t gw_table_deadline(const struct gw_table *g)
{
	return g->look_at;
}

bool gw_table_take_event(struct gw_table *g, struct gw_table_event *ret_event)
{
	if (fz_list_is_empty(&g->events))
		return false;
	struct gw_client *c = FZ_CONTAINER_OF(g->events.head.next, struct gw_client, in_events);
	fz_list_remove(&c->in_events);
	*ret_event = (struct gw_table_event){
		c->has_left ? GW_TABLE_HEARD_GOODBYE : GW_TABLE_SAY_GOODBYE,
		c,
	};
	return true;
}

uint32_t gw_table_n_clients(const struct gw_table *g)
{
	return g->n_clients;
}

uint32_t gw_table_n_grants(const struct gw_table *g)
{
	uint32_t n = 0;
	FZ_LIST_EACH(&g->all, node)
		n += FZ_CONTAINER_OF(node, struct gw_client, in_all)->n_grants;
	return n;
}

const uint64_t *gw_table_counts(const struct gw_table *g)
{
	return g->counts;
}
