/*
 * The set of Resources, gateways and what is authorized at them. The set is changed on the control thread in objects that packets do
 * not know yet; one swap of pointers under the lock makes them known, however large it is.
 */
#include "daemon/session_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
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

static size_t bytes_of(const struct fzp_resource *in)
{
	return sizeof(struct map_resource) + text_len(in) +
	       in->n_sites * (sizeof(struct fzp_site) + sizeof(struct fz_session_site)) +
	       in->n_filters * sizeof(struct fzp_filter);
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
	r->n_bytes = bytes_of(in);
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

static bool is_same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Nothing at all is new. */
static bool is_identical(const struct fzp_resource *a, const struct fzp_resource *b)
{
	if (!is_same(a, b) || !is_same_text(a->name, b->name) ||
		!is_same_text(a->description, b->description) ||
		a->can_be_disabled != b->can_be_disabled)
		return false;
	for (uint32_t i = 0; i < a->n_sites; i++)
		if (!is_same_text(a->sites[i].name, b->sites[i].name))
			return false;
	return true;
}

/* Where the id is among the sorted, or would be. */
static uint32_t slot_of(const struct fz_map *m, const char *id)
{
	uint32_t from = 0, to = m->n;
	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		if (strcmp(m->by_id[mid]->r.id.text, id) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

struct map_resource *fz_map_find_maybe(const struct fz_map *m, const char *id)
{
	uint32_t at = slot_of(m, id);
	return at < m->n && strcmp(m->by_id[at]->r.id.text, id) == 0 ? m->by_id[at] : NULL;
}

/* As packets know it. */
static struct map_resource *seen_maybe(const struct fz_map *m, const struct fzp_id *id)
{
	struct map_resource *r = fz_map_find_maybe(m, id->text);
	return r && !r->is_seen ? r->before : r;
}

/* ---- making and freeing ---- */

struct fz_map *fz_map_new(void)
{
	struct fz_map *m = fz_new(struct fz_map);
	if (!m)
		return NULL;
	m->table = fz_map_table_new(m);
	if (!m->table) {
		free(m);
		return NULL;
	}
	return m;
}

static void free_leaving(struct fz_map *m)
{
	struct map_resource *next;
	for (struct map_resource *r = m->leaving; r; r = next) {
		next = r->next_leaving;
		free_resource(r);
	}
	m->leaving = NULL;
}

void fz_map_free(struct fz_map *m)
{
	if (!m)
		return;
	fz_map_table_free(m->table);
	fz_map_table_free(m->next);
	fz_map_table_free(m->old);
	free_leaving(m);
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

/* ---- the set changes: packets know nothing of it yet ---- */

/* It is no longer in the list; `after` takes its place there, or nothing does. */
static void leave(struct fz_map *m, struct map_resource *r, struct map_resource *after)
{
	struct map_resource *seen = r->is_seen ? r : r->before;
	m->n_bytes -= r->n_bytes;
	if (after) {
		after->before = seen;
		after->starts_anew |= !r->is_seen && r->starts_anew;
	}
	if (seen)
		seen->after = after;
	if (r->is_seen) {
		r->next_leaving = m->leaving;
		m->leaving = r;
	} else {
		free_resource(r);
	}
}

static int reserve(struct fz_map *m, uint32_t n)
{
	if (n <= m->cap)
		return 0;
	uint32_t cap = m->cap ? 2 * m->cap : 16;
	cap = cap < n ? n : cap;
	struct map_resource **list = fz_realloc(m->list, cap, sizeof(struct map_resource *));
	if (!list)
		return -ENOMEM;
	m->list = list;
	struct map_resource **by_id = fz_realloc(m->by_id, cap, sizeof(struct map_resource *));
	if (!by_id)
		return -ENOMEM;
	m->by_id = by_id;
	m->cap = cap;
	return 0;
}

static uint32_t place_of(const struct fz_map *m, const struct map_resource *r)
{
	uint32_t at = 0;
	while (m->list[at] != r)
		at++;
	return at;
}

static void take_place(struct fz_map *m, struct map_resource *old, struct map_resource *with)
{
	m->list[place_of(m, old)] = with;
	m->by_id[slot_of(m, old->r.id.text)] = with;
	m->n_bytes += with->n_bytes;
	m->has_changed = true;
	leave(m, old, with);
}

static void append(struct fz_map *m, struct map_resource *r)
{
	uint32_t at = slot_of(m, r->r.id.text);
	memmove(&m->by_id[at + 1], &m->by_id[at], (m->n - at) * sizeof(struct map_resource *));
	m->by_id[at] = r;
	m->list[m->n++] = r;
	m->n_bytes += r->n_bytes;
	m->has_changed = true;
}

static void take_out(struct fz_map *m, struct map_resource *r)
{
	uint32_t at = place_of(m, r), slot = slot_of(m, r->r.id.text);
	m->n--;
	memmove(&m->list[at], &m->list[at + 1], (m->n - at) * sizeof(struct map_resource *));
	memmove(&m->by_id[slot], &m->by_id[slot + 1],
		(m->n - slot) * sizeof(struct map_resource *));
	m->has_changed = true;
	leave(m, r, NULL);
}

int fz_map_upsert(struct fz_map *m, const struct fzp_resource *r)
{
	struct map_resource *old = fz_map_find_maybe(m, r->id.text);
	size_t had = old ? old->n_bytes : 0;
	if (old && is_identical(&old->r, r))
		return 0;
	if ((!old && m->n >= FZP_RESOURCES_MAX) ||
		m->n_bytes - had + bytes_of(r) > FZ_MAP_BYTES_MAX) {
		if (old) /* what it was it is no longer */
			take_out(m, old);
		return FZ_ERR_LIMIT;
	}
	int e = old ? 0 : reserve(m, m->n + 1);
	struct map_resource *copy = e < 0 ? NULL : copy_resource(r);
	if (!copy)
		return -ENOMEM;
	if (!old) {
		append(m, copy);
		return 0;
	}
	copy->is_enabled = old->is_enabled;
	take_place(m, old, copy);
	return 0;
}

int fz_map_set_filters(
	struct fz_map *m, const struct fzp_id *id, const struct fzp_filter *filters, uint32_t n)
{
	const struct map_resource *r = fz_map_find_maybe(m, id->text);
	if (!r)
		return 0;
	struct fzp_resource with = r->r;
	with.filters = fz_unconst(filters); /* copied, not changed */
	with.n_filters = n;
	return fz_map_upsert(m, &with);
}

int fz_map_remove(struct fz_map *m, const struct fzp_id *id)
{
	struct map_resource *r = fz_map_find_maybe(m, id->text);
	if (r)
		take_out(m, r);
	return 0;
}

/* It stays, but nothing is known of it any more. 0 or -ENOMEM. */
static int start_anew(struct fz_map *m, struct map_resource *r, bool is_enabled)
{
	struct map_resource *with = r;
	if (r->is_seen) {
		with = copy_resource(&r->r);
		if (!with)
			return -ENOMEM;
		take_place(m, r, with);
	}
	with->is_enabled = is_enabled;
	with->starts_anew = true;
	return 0;
}

int fz_map_set_enabled(struct fz_map *m, const char *id, bool on)
{
	struct map_resource *r = fz_map_find_maybe(m, id);
	if (!r || r->is_enabled == on)
		return 0;
	m->has_changed = true;
	if (!on)
		return start_anew(m, r, false);
	r->is_enabled = true;
	return 0;
}

int fz_map_set_internet(struct fz_map *m, bool on)
{
	if (m->internet == on)
		return 0;
	m->internet = on;
	m->has_changed = true;
	int e = 0;
	for (uint32_t i = 0; i < m->n && !on && e == 0; i++)
		if (m->list[i]->r.type == FZP_RESOURCE_INTERNET)
			e = start_anew(m, m->list[i], m->list[i]->is_enabled);
	return e;
}

/* ---- a whole set ---- */

static int order_by_id(const void *pa, const void *pb)
{
	const struct map_resource *const *a = pa, *const *b = pb;
	return strcmp((*a)->r.id.text, (*b)->r.id.text);
}

/* By id, of one id in the order given. */
static int order_given(const void *pa, const void *pb)
{
	const struct fzp_resource *const *a = pa, *const *b = pb;
	int r = strcmp((*a)->id.text, (*b)->id.text);
	return r ? r : (*a > *b) - (*a < *b);
}

/* ret[i]: an earlier one has this id. */
static int find_repeated(const struct fzp_resource *list, uint32_t n, bool *ret)
{
	FZ_CLEANUP(fz_freep)
	const struct fzp_resource **sorted = fz_new_array(const struct fzp_resource *, n + 1);
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = &list[i];
	qsort(sorted, n, sizeof(*sorted), order_given);
	for (uint32_t i = 1; i < n; i++)
		if (fzp_id_equal(&sorted[i - 1]->id, &sorted[i]->id))
			ret[sorted[i] - list] = true;
	return 0;
}

struct draft {
	struct map_resource **list;
	uint32_t n;
	size_t n_bytes;
};

/* The object for `in`: the one there is, if nothing about it is new. */
static int draft_one(struct fz_map *m, struct draft *d, const struct fzp_resource *in)
{
	struct map_resource *old = fz_map_find_maybe(m, in->id.text);
	bool is_kept = old && is_identical(&old->r, in);
	struct map_resource *r = is_kept ? old : NULL;
	if (d->n == FZP_RESOURCES_MAX || d->n_bytes + bytes_of(in) > FZ_MAP_BYTES_MAX)
		return FZ_ERR_LIMIT;
	if (!r)
		r = copy_resource(in);
	if (!r)
		return -ENOMEM;
	if (old) {
		old->is_kept = is_kept;
		old->replacement = is_kept ? NULL : r;
		r->is_enabled = old->is_enabled;
	}
	d->list[d->n++] = r;
	d->n_bytes += r->n_bytes;
	return 0;
}

/* From here on the draft is the set. */
static void adopt(struct fz_map *m, const struct draft *d)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct map_resource *old = m->list[i], *with = old->replacement;
		bool is_kept = old->is_kept;
		old->is_kept = false;
		old->replacement = NULL;
		if (!is_kept)
			leave(m, old, with);
	}
	m->n = d->n;
	m->n_bytes = d->n_bytes;
	if (m->n > 0) {
		memcpy(m->list, d->list, m->n * sizeof(struct map_resource *));
		memcpy(m->by_id, d->list, m->n * sizeof(struct map_resource *));
		qsort(m->by_id, m->n, sizeof(struct map_resource *), order_by_id);
	}
	m->has_changed = true;
}

/* There is no memory for all of it: the set stays. */
static void throw_away(struct fz_map *m, const struct draft *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (!d->list[i]->is_kept)
			free_resource(d->list[i]);
	for (uint32_t i = 0; i < m->n; i++) {
		m->list[i]->is_kept = false;
		m->list[i]->replacement = NULL;
	}
}

int fz_map_set_resources(struct fz_map *m, const struct fzp_resource *list, uint32_t n)
{
	FZ_CLEANUP(fz_freep)
	struct map_resource **made = fz_new_array(struct map_resource *, n + 1);
	FZ_CLEANUP(fz_freep) bool *is_repeated = fz_new_array(bool, n + 1);
	struct draft d = { .list = made };
	int e = made && is_repeated ? reserve(m, n) : -ENOMEM;
	if (e == 0)
		e = find_repeated(list, n, is_repeated);
	int limit = 0;
	for (uint32_t i = 0; i < n && e == 0; i++) {
		if (is_repeated[i])
			continue;
		e = draft_one(m, &d, &list[i]);
		if (e == FZ_ERR_LIMIT) {
			limit = e;
			e = 0;
		}
	}
	if (e < 0) {
		throw_away(m, &d);
		return e;
	}
	adopt(m, &d);
	return limit;
}

/* ---- and is made known ---- */

bool fz_map_has_changed(const struct fz_map *m)
{
	return m->has_changed;
}

int fz_map_build(struct fz_map *m)
{
	if (!m->has_changed)
		return 0;
	struct map_table *table = fz_map_table_new(m);
	if (!table)
		return -ENOMEM;
	fz_map_table_free(m->next);
	m->next = table;
	for (struct map_resource *r = m->leaving; r; r = r->next_leaving)
		r->is_same = r->after && !r->after->starts_anew && is_same(&r->r, &r->after->r);
	return 0;
}

static void at_gateway(struct map_resource *r, struct fz_map_gateway *g)
{
	if (r->gateway)
		fz_list_remove(&r->at_gateway);
	r->gateway = g;
	if (g)
		fz_list_push_back(&g->resources, &r->at_gateway);
}

static struct map_resource *heir_maybe(const struct map_resource *r)
{
	return r->is_same ? r->after : NULL;
}

/* One that only has other words keeps everything else. */
static void hand_over(struct map_resource *r)
{
	struct map_resource *heir = heir_maybe(r);
	struct fz_map_gateway *g = r->gateway;
	at_gateway(r, NULL);
	r->is_leaving = true;
	if (r->after)
		r->after->previous = r->previous;
	if (!heir)
		return;
	at_gateway(heir, g);
	heir->is_pending = r->is_pending;
	heir->ask_again = r->ask_again;
	heir->offline_until = r->offline_until;
	heir->n_offline = r->n_offline;
}

static void hand_over_queue(struct fz_map *m)
{
	struct map_resource **at = &m->first_queued;
	while (*at) {
		struct map_resource *r = *at, *heir = r->is_leaving ? heir_maybe(r) : r;
		if (!heir) {
			*at = r->next_queued;
			continue;
		}
		heir->is_queued = true;
		heir->next_queued = r->next_queued;
		*at = heir;
		at = &heir->next_queued;
	}
}

void fz_map_swap(struct fz_map *m)
{
	if (!m->next)
		return;
	for (struct map_resource *r = m->leaving; r; r = r->next_leaving)
		hand_over(r);
	if (m->leaving)
		hand_over_queue(m);
	for (uint32_t i = 0; i < FZ_MAP_HELD_MAX && m->leaving; i++) {
		struct held_packet *h = &m->held[i];
		if (h->resource && h->resource->is_leaving)
			h->resource = heir_maybe(h->resource);
	}
	m->old = m->table;
	m->table = m->next;
	m->next = NULL;
}

void fz_map_sweep(struct fz_map *m)
{
	if (!m->old)
		return;
	fz_map_table_free(m->old);
	m->old = NULL;
	free_leaving(m);
	for (uint32_t i = 0; i < m->n; i++) {
		m->list[i]->is_seen = true;
		m->list[i]->starts_anew = false;
		m->list[i]->before = NULL;
	}
	m->has_changed = false;
}

/* ---- authorizations ---- */

static void drop_held_of(struct fz_map *m, const struct map_resource *r)
{
	for (uint32_t i = 0; i < FZ_MAP_HELD_MAX; i++)
		if (m->held[i].resource == r)
			m->held[i].resource = NULL;
}

bool fz_map_is_awaited(const struct fz_map *m, const struct fzp_id *resource)
{
	const struct map_resource *r = seen_maybe(m, resource);
	return r && r->is_pending;
}

void fz_map_authorized(struct fz_map *m, const struct fzp_id *resource, struct fz_map_gateway *g)
{
	struct map_resource *r = seen_maybe(m, resource);
	struct fz_map_gateway *at = m->gateways;
	while (at && at != g)
		at = at->next;
	if (!at) {
		fz_list_init(&g->resources);
		g->next = m->gateways;
		m->gateways = g;
	}
	if (!r)
		return;
	at_gateway(r, g);
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
	struct map_resource *r = seen_maybe(m, resource);
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
	if (!*at)
		return; /* nothing was ever authorized at it */
	*at = g->next;
	g->next = NULL;
	FZ_LIST_EACH_SAFE(&g->resources, node, after) {
		struct map_resource *r = FZ_CONTAINER_OF(node, struct map_resource, at_gateway);
		at_gateway(r, NULL);
		r->ask_again = (fz_time){ 0 }; /* at once: this was no answer */
	}
}

struct fz_map_gateway *fz_map_gateways_maybe(struct fz_map *m)
{
	return m->gateways;
}

bool fz_map_is_used(const struct fz_map_gateway *g)
{
	return !fz_list_is_empty(&g->resources);
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
	const struct map_resource *r = seen_maybe(m, resource);
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
