/* The table of prefixes that packets are looked up in. Made in whole of a set, without the lock: nobody sees it yet. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "daemon/session_map_internal.h"

static uint32_t prefixes_of(
	const struct fz_map *m, const struct map_resource *r, struct fz_prefix ret[static 2])
{
	if (!r->is_enabled)
		return 0;
	switch (r->r.type) {
	case FZP_RESOURCE_CIDR: ret[0] = r->r.prefix; return 1;
	case FZP_RESOURCE_INTERNET:
		ret[0] = (struct fz_prefix){ .ip.family = FZ_IP4 };
		ret[1] = (struct fz_prefix){ .ip.family = FZ_IP6 };
		return m->internet ? 2 : 0;
	case FZP_RESOURCE_DNS: return 0;
	}
	return 0;
}

/* One line of the table before equal prefixes become one. */
struct line {
	struct fz_prefix prefix;
	struct map_resource *resource;
};

/* Shorter prefixes first, equal ones together, larger ids first among them. */
static int order_lines(const void *pa, const void *pb)
{
	const struct line *a = pa, *b = pb;
	int r = a->prefix.bits - b->prefix.bits;
	r = r ? r : a->prefix.ip.family - b->prefix.ip.family;
	r = r ? r : memcmp(a->prefix.ip.b, b->prefix.ip.b, sizeof(a->prefix.ip.b));
	return r ? r : strcmp(b->resource->r.id.text, a->resource->r.id.text);
}

static bool is_same_prefix(const struct fz_prefix *a, const struct fz_prefix *b)
{
	return a->bits == b->bits && fz_ip_equal(&a->ip, &b->ip);
}

static int fill(struct map_table *t, const struct line *lines, size_t n)
{
	struct map_entry **tail = NULL;
	for (size_t i = 0; i < n; i++) {
		struct map_entry *e = &t->entries[i];
		e->resource = lines[i].resource;
		if (i > 0 && is_same_prefix(&lines[i - 1].prefix, &lines[i].prefix)) {
			*tail = e;
			tail = &e->next;
			continue;
		}
		struct map_prefix *p = &t->prefixes[t->n_prefixes++];
		p->prefix = lines[i].prefix;
		p->first = e;
		tail = &e->next;
		wg_allowed_owner_init(&p->owner);
		/* Only shorter ones are in the table that could cover it. */
		struct wg_allowed_owner *above = wg_allowedips_find_maybe(
			&t->trie, (enum fz_family)p->prefix.ip.family, p->prefix.ip.b);
		p->parent = above ? FZ_CONTAINER_OF(above, struct map_prefix, owner) : NULL;
		int e2 = wg_allowedips_add(&t->trie, &p->prefix, &p->owner);
		if (e2 < 0)
			return e2;
	}
	return 0;
}

void fz_map_table_free(struct map_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n_prefixes; i++)
		wg_allowedips_clear(&t->trie, &t->prefixes[i].owner);
	free(t->prefixes);
	free(t->entries);
	free(t);
}

struct map_table *fz_map_table_new(const struct fz_map *m)
{
	FZ_CLEANUP(fz_freep) struct line *lines = fz_new_array(struct line, 2 * m->n + 1);
	struct map_table *t = fz_new(struct map_table);
	if (!lines || !t) {
		free(t);
		return NULL;
	}
	wg_allowedips_init(&t->trie);
	size_t n = 0;
	for (uint32_t i = 0; i < m->n; i++) {
		struct fz_prefix prefixes[2];
		uint32_t k = prefixes_of(m, m->list[i], prefixes);
		while (k > 0)
			lines[n++] = (struct line){ prefixes[--k], m->list[i] };
	}
	qsort(lines, n, sizeof(*lines), order_lines);
	t->prefixes = fz_new_array(struct map_prefix, n + 1);
	t->entries = fz_new_array(struct map_entry, n + 1);
	if (!t->prefixes || !t->entries || fill(t, lines, n) < 0) {
		fz_map_table_free(t);
		return NULL;
	}
	return t;
}
