/* The set of Resources, the table of prefixes made of it, gateways and what is authorized at them. */
#include "daemon/session_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "daemon/session_map_internal.h"

/* ---- Resources as our own ---- */

static void free_resource(struct map_resource *r)
{
	if (!r)
		return;
	free(r->text);
	free(r->r.sites);
	free(r->r.filters);
	free(r->sites);
	free(r);
}

static size_t text_len(const struct fzp_resource *in)
{
	size_t n = strlen(in->name) + strlen(in->address) + 3;
	n += in->description ? strlen(in->description) : 0;
	for (uint32_t i = 0; i < in->n_sites; i++)
		n += strlen(in->sites[i].name) + 1;
	return n;
}

static const char *keep(char **at, const char *text)
{
	char *kept = *at;
	size_t n = text ? strlen(text) : 0;
	if (n > 0)
		memcpy(kept, text, n);
	kept[n] = '\0';
	*at += n + 1;
	return kept;
}

/* A copy that borrows nothing; NULL without memory. */
static struct map_resource *copy_resource(const struct fzp_resource *in)
{
	struct map_resource *r = fz_new(struct map_resource);
	if (!r)
		return NULL;
	r->text = fz_alloc(text_len(in), 1);
	r->r = *in;
	r->r.sites = fz_new_array(struct fzp_site, in->n_sites + 1);
	r->r.filters = fz_new_array(struct fzp_filter, in->n_filters + 1);
	r->sites = fz_new_array(struct fz_session_site, in->n_sites + 1);
	if (!r->text || !r->r.sites || !r->r.filters || !r->sites) {
		free_resource(r);
		return NULL;
	}
	char *at = r->text;
	r->r.name = keep(&at, in->name);
	r->r.address = keep(&at, in->address);
	r->r.description = keep(&at, in->description);
	for (uint32_t i = 0; i < in->n_sites; i++) {
		r->r.sites[i] = (struct fzp_site){ in->sites[i].id, keep(&at, in->sites[i].name) };
		r->sites[i] = (struct fz_session_site){ r->r.sites[i].id.text, r->r.sites[i].name };
	}
	if (in->n_filters > 0)
		memcpy(r->r.filters, in->filters, in->n_filters * sizeof(in->filters[0]));
	r->is_enabled = true;
	return r;
}

/* True if packets go the same way as before; a name may differ. */
static bool is_same(const struct fzp_resource *a, const struct fzp_resource *b)
{
	if (a->type != b->type || strcmp(a->address, b->address) != 0 ||
		a->ip_stack != b->ip_stack || a->n_sites != b->n_sites ||
		a->n_filters != b->n_filters)
		return false;
	for (uint32_t i = 0; i < a->n_sites; i++)
		if (!fzp_id_equal(&a->sites[i].id, &b->sites[i].id))
			return false;
	for (uint32_t i = 0; i < a->n_filters; i++) {
		const struct fzp_filter *x = &a->filters[i], *y = &b->filters[i];
		if (x->protocol != y->protocol || x->from != y->from || x->to != y->to)
			return false;
	}
	return true;
}

static int order_by_id(const void *pa, const void *pb)
{
	const struct map_resource *const *a = pa, *const *b = pb;
	return strcmp((*a)->r.id.text, (*b)->r.id.text);
}

static int order_to_id(const void *key, const void *pb)
{
	const char *id = key;
	const struct map_resource *const *b = pb;
	return strcmp(id, (*b)->r.id.text);
}

struct map_resource *fz_map_find_maybe(const struct fz_map *m, const char *id)
{
	struct map_resource **at =
		m->n ? bsearch(id, m->by_id, m->n, sizeof(struct map_resource *), order_to_id)
		     : NULL;
	return at ? *at : NULL;
}

/* ---- the table ---- */

static void clear_table(struct fz_map *m)
{
	for (uint32_t i = 0; i < m->n_prefixes; i++)
		wg_allowedips_clear(&m->table, &m->prefixes[i].owner);
	free(m->prefixes);
	m->prefixes = NULL;
	m->n_prefixes = 0;
}

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
struct entry {
	struct fz_prefix prefix;
	struct map_resource *resource;
};

/* Shorter prefixes first, equal ones together, larger ids first among them. */
static int order_entries(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	int r = a->prefix.bits - b->prefix.bits;
	r = r ? r : a->prefix.ip.family - b->prefix.ip.family;
	r = r ? r : memcmp(a->prefix.ip.b, b->prefix.ip.b, sizeof(a->prefix.ip.b));
	return r ? r : strcmp(b->resource->r.id.text, a->resource->r.id.text);
}

static bool is_same_prefix(const struct fz_prefix *a, const struct fz_prefix *b)
{
	return a->bits == b->bits && fz_ip_equal(&a->ip, &b->ip);
}

static int fill_table(struct fz_map *m, const struct entry *entries, size_t n)
{
	struct map_resource **tail = NULL;
	for (size_t i = 0; i < n; i++) {
		struct map_resource *r = entries[i].resource;
		r->next_same = NULL;
		if (i > 0 && is_same_prefix(&entries[i - 1].prefix, &entries[i].prefix)) {
			*tail = r;
			tail = &r->next_same;
			continue;
		}
		struct map_prefix *p = &m->prefixes[m->n_prefixes++];
		p->prefix = entries[i].prefix;
		p->first = r;
		tail = &r->next_same;
		wg_allowed_owner_init(&p->owner);
		/* Only shorter ones are in the table that could cover it. */
		struct wg_allowed_owner *above = wg_allowedips_find_maybe(
			&m->table, (enum fz_family)p->prefix.ip.family, p->prefix.ip.b);
		p->parent = above ? FZ_CONTAINER_OF(above, struct map_prefix, owner) : NULL;
		int e = wg_allowedips_add(&m->table, &p->prefix, &p->owner);
		if (e < 0)
			return e;
	}
	return 0;
}

static int rebuild(struct fz_map *m)
{
	clear_table(m);
	FZ_CLEANUP(fz_freep) struct entry *entries = fz_new_array(struct entry, 2 * m->n + 1);
	m->prefixes = fz_new_array(struct map_prefix, 2 * m->n + 1);
	if (!entries || !m->prefixes)
		return -ENOMEM;
	size_t n = 0;
	for (uint32_t i = 0; i < m->n; i++) {
		struct fz_prefix prefixes[2];
		uint32_t k = prefixes_of(m, m->list[i], prefixes);
		while (k > 0)
			entries[n++] = (struct entry){ prefixes[--k], m->list[i] };
	}
	qsort(entries, n, sizeof(*entries), order_entries);
	return fill_table(m, entries, n);
}

/* ---- making and freeing ---- */

struct fz_map *fz_map_new(void)
{
	struct fz_map *m = fz_new(struct fz_map);
	if (m)
		wg_allowedips_init(&m->table);
	return m;
}

void fz_map_free(struct fz_map *m)
{
	if (!m)
		return;
	clear_table(m);
	for (uint32_t i = 0; i < m->n; i++)
		free_resource(m->list[i]);
	free(m->list);
	free(m->by_id);
	free(m);
}

void fz_map_set_interface(struct fz_map *m, const struct fz_ip *ipv4, const struct fz_ip *ipv6)
{
	m->ipv4 = *ipv4;
	m->ipv6 = *ipv6;
}

/* ---- the set changes ---- */

static void drop_held_of(struct fz_map *m, const struct map_resource *r)
{
	for (uint32_t i = 0; i < FZ_MAP_HELD_MAX; i++)
		if (m->held[i].resource == r)
			m->held[i].resource = NULL;
}

static void unqueue(struct fz_map *m, const struct map_resource *r)
{
	struct map_resource **at = &m->first_queued;
	while (*at && *at != r)
		at = &(*at)->next_queued;
	if (*at)
		*at = r->next_queued;
}

static void discard(struct fz_map *m, struct map_resource *r)
{
	drop_held_of(m, r);
	unqueue(m, r);
	free_resource(r);
}

/* A Resource that stays keeps everything but its words. */
static void move_state(struct fz_map *m, struct map_resource *from, struct map_resource *to)
{
	to->is_enabled = from->is_enabled;
	to->previous = from->previous;
	if (!is_same(&from->r, &to->r))
		return;
	to->gateway = from->gateway;
	to->is_pending = from->is_pending;
	to->ask_again = from->ask_again;
	to->offline_until = from->offline_until;
	for (uint32_t i = 0; i < FZ_MAP_HELD_MAX; i++)
		if (m->held[i].resource == from)
			m->held[i].resource = to;
	if (from->is_queued)
		fz_map_queue(m, to);
}

/* Takes the n new ones in `list` as the set; the old ones go. */
static int replace(struct fz_map *m, struct map_resource **list, uint32_t n)
{
	struct map_resource **by_id = fz_new_array(struct map_resource *, n + 1);
	if (!by_id) {
		for (uint32_t i = 0; i < n; i++)
			free_resource(list[i]);
		free(list);
		return -ENOMEM;
	}
	memcpy(by_id, list, n * sizeof(struct map_resource *));
	qsort(by_id, n, sizeof(struct map_resource *), order_by_id);
	clear_table(m);
	for (uint32_t i = 0; i < n; i++) {
		struct map_resource *old = fz_map_find_maybe(m, list[i]->r.id.text);
		if (old)
			move_state(m, old, list[i]);
	}
	for (uint32_t i = 0; i < m->n; i++)
		discard(m, m->list[i]);
	free(m->list);
	free(m->by_id);
	m->list = list;
	m->by_id = by_id;
	m->n = n;
	return rebuild(m);
}

static bool is_listed(struct map_resource *const *list, uint32_t n, const struct fzp_id *id)
{
	for (uint32_t i = 0; i < n; i++)
		if (fzp_id_equal(&list[i]->r.id, id))
			return true;
	return false;
}

static int order_pointers(const void *pa, const void *pb)
{
	const struct fzp_resource *const *a = pa, *const *b = pb;
	return strcmp((*a)->id.text, (*b)->id.text);
}

/* True if no two have one id. */
static bool are_distinct(const struct fzp_resource **sorted, uint32_t n)
{
	qsort(sorted, n, sizeof(*sorted), order_pointers);
	for (uint32_t i = 1; i < n; i++)
		if (fzp_id_equal(&sorted[i - 1]->id, &sorted[i]->id))
			return false;
	return true;
}

int fz_map_set_resources(struct fz_map *m, const struct fzp_resource *list, uint32_t n)
{
	struct map_resource **new = fz_new_array(struct map_resource *, n + 1);
	FZ_CLEANUP(fz_freep)
	const struct fzp_resource **sorted = fz_new_array(const struct fzp_resource *, n + 1);
	uint32_t made = 0;
	int result = new &&sorted ? 0 : -ENOMEM;
	if (result < 0) {
		free(new);
		return result;
	}
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = &list[i];
	/* Only a portal that repeats itself pays for looking each one up. */
	bool distinct = are_distinct(sorted, n);
	for (uint32_t i = 0; i < n; i++) {
		if (!distinct && is_listed(new, made, &list[i].id))
			continue;
		new[made] = copy_resource(&list[i]);
		if (!new[made]) {
			result = -ENOMEM;
			break;
		}
		made++;
	}
	int r = replace(m, new, made);
	return r < 0 ? r : result;
}

/* The set as it is, with one put in, exchanged (at its place) or left out. */
static int change(struct fz_map *m, const struct fzp_id *id, const struct fzp_resource *with)
{
	struct fzp_resource *list = fz_new_array(struct fzp_resource, m->n + 1);
	uint32_t n = 0;
	bool found = false;
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n; i++) {
		bool is_it = fzp_id_equal(&m->list[i]->r.id, id);
		found |= is_it;
		if (!is_it)
			list[n++] = m->list[i]->r;
		else if (with)
			list[n++] = *with;
	}
	if (!found && with)
		list[n++] = *with;
	int r = fz_map_set_resources(m, list, n);
	free(list);
	return r;
}

int fz_map_upsert(struct fz_map *m, const struct fzp_resource *r)
{
	return change(m, &r->id, r);
}

int fz_map_remove(struct fz_map *m, const struct fzp_id *id)
{
	return fz_map_find_maybe(m, id->text) ? change(m, id, NULL) : 0;
}

static void forget(struct fz_map *m, struct map_resource *r)
{
	r->gateway = NULL;
	r->is_pending = false;
	r->ask_again = (fz_time){ 0 }; /* at once when it is used again: this was no answer */
	drop_held_of(m, r);
}

int fz_map_set_enabled(struct fz_map *m, const char *id, bool on)
{
	struct map_resource *r = fz_map_find_maybe(m, id);
	if (!r || r->is_enabled == on)
		return 0;
	r->is_enabled = on;
	if (!on)
		forget(m, r);
	return rebuild(m);
}

int fz_map_set_internet(struct fz_map *m, bool on)
{
	if (m->internet == on)
		return 0;
	m->internet = on;
	for (uint32_t i = 0; i < m->n && !on; i++)
		if (m->list[i]->r.type == FZP_RESOURCE_INTERNET)
			forget(m, m->list[i]);
	return rebuild(m);
}

/* ---- authorizations ---- */

bool fz_map_is_awaited(const struct fz_map *m, const struct fzp_id *resource)
{
	const struct map_resource *r = fz_map_find_maybe(m, resource->text);
	return r && r->is_pending;
}

void fz_map_authorized(struct fz_map *m, const struct fzp_id *resource, struct fz_map_gateway *g)
{
	struct map_resource *r = fz_map_find_maybe(m, resource->text);
	struct fz_map_gateway *at = m->gateways;
	while (at && at != g)
		at = at->next;
	if (!at) {
		g->next = m->gateways;
		m->gateways = g;
	}
	if (!r)
		return;
	r->gateway = g;
	r->previous = g->id;
	r->is_pending = false;
	r->offline_until = (fz_time){ 0 };
	r->n_offline = 0;
}

/*
 * A gateway that restarts is away for a moment: traffic asks soon again, then ever less often. (Upstream asks for every packet.)
 */
static fz_dur rest_after(struct map_resource *r, bool is_offline)
{
	fz_dur rest = FZ_NANOSECONDS(OFFLINE_INTERVAL.ns << r->n_offline);
	if (!is_offline || !fz_dur_less(rest, REQUEST_INTERVAL)) {
		r->n_offline = is_offline ? r->n_offline : 0;
		return REQUEST_INTERVAL;
	}
	r->n_offline++;
	return rest;
}

void fz_map_refused(struct fz_map *m, const struct fzp_id *resource, bool is_offline, fz_time now)
{
	struct map_resource *r = fz_map_find_maybe(m, resource->text);
	if (!r)
		return;
	r->is_pending = false;
	r->ask_again = fz_time_add(now, rest_after(r, is_offline));
	drop_held_of(m, r);
	if (is_offline)
		r->offline_until = fz_time_add(now, OFFLINE_LASTS);
}

void fz_map_lost(struct fz_map *m, struct fz_map_gateway *g)
{
	struct fz_map_gateway **at = &m->gateways;
	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
	g->next = NULL;
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->list[i]->gateway != g)
			continue;
		m->list[i]->gateway = NULL;
		m->list[i]->ask_again = (fz_time){ 0 }; /* at once: this was no answer */
	}
}

struct fz_map_gateway *fz_map_gateways_maybe(struct fz_map *m)
{
	return m->gateways;
}

bool fz_map_is_used(const struct fz_map *m, const struct fz_map_gateway *g)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->list[i]->gateway == g)
			return true;
	return false;
}

/* ---- events ---- */

void fz_map_queue(struct fz_map *m, struct map_resource *r)
{
	if (r->is_queued)
		return;
	r->is_queued = true;
	r->next_queued = m->first_queued;
	m->first_queued = r;
}

bool fz_map_has_events(const struct fz_map *m)
{
	return m->first_queued || m->has_goodbye;
}

bool fz_map_take_request(struct fz_map *m, struct fzp_id *ret_resource)
{
	struct map_resource *r = m->first_queued;
	if (!r)
		return false;
	m->first_queued = r->next_queued;
	r->is_queued = false;
	*ret_resource = r->r.id;
	return true;
}

bool fz_map_previous_gateway(
	const struct fz_map *m, const struct fzp_id *resource, struct fzp_id *ret_gateway)
{
	const struct map_resource *r = fz_map_find_maybe(m, resource->text);
	if (!r || !r->previous.text[0])
		return false;
	*ret_gateway = r->previous;
	return true;
}

struct fz_map_gateway *fz_map_take_goodbye_maybe(struct fz_map *m)
{
	m->has_goodbye = false;
	for (struct fz_map_gateway *g = m->gateways; g; g = g->next) {
		if (!g->said_goodbye)
			continue;
		g->said_goodbye = false;
		m->has_goodbye = true; /* there may be another */
		return g;
	}
	return NULL;
}

size_t fz_map_take_held(struct fz_map *m, uint8_t ret_packet[static FZ_MAP_PACKET_MAX],
	struct fz_map_gateway **ret_gateway)
{
	struct held_packet *oldest = NULL;
	for (uint32_t i = 0; i < FZ_MAP_HELD_MAX; i++) {
		struct held_packet *h = &m->held[i];
		if (h->resource && h->resource->gateway && (!oldest || h->order < oldest->order))
			oldest = h;
	}
	if (!oldest)
		return 0;
	memcpy(ret_packet, oldest->packet, oldest->len);
	*ret_gateway = oldest->resource->gateway;
	oldest->resource = NULL;
	return oldest->len;
}
