/* Resources and Peers: what the session knows of both, as messages; switching resources off and on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/client.h"
#include "daemon/resource_row.h"
#include "daemon/rpc.h"

/* ---- one resource ---- */

static char *text_or_null(const char *text)
{
	return text && text[0] ? fz_unconst(text) : NULL;
}

static Fzpb__Resource__Type type_of(enum fz_session_type type)
{
	switch (type) {
	case FZ_SESSION_DNS: return FZPB__RESOURCE__TYPE__DNS;
	case FZ_SESSION_CIDR: return FZPB__RESOURCE__TYPE__CIDR;
	case FZ_SESSION_IP: return FZPB__RESOURCE__TYPE__IP;
	case FZ_SESSION_INTERNET: return FZPB__RESOURCE__TYPE__INTERNET;
	}
	return FZPB__RESOURCE__TYPE__DNS;
}

static Fzpb__Resource__Reach reach_of(enum fz_session_reach reach)
{
	switch (reach) {
	case FZ_SESSION_UNKNOWN: return FZPB__RESOURCE__REACH__UNKNOWN;
	case FZ_SESSION_ONLINE: return FZPB__RESOURCE__REACH__ONLINE;
	case FZ_SESSION_OFFLINE: return FZPB__RESOURCE__REACH__OFFLINE;
	}
	return FZPB__RESOURCE__REACH__UNKNOWN;
}

static const char *path_name(enum fz_session_path path)
{
	switch (path) {
	case FZ_SESSION_NO_PATH: return "";
	case FZ_SESSION_DIRECT: return "direct";
	case FZ_SESSION_RELAYED: return "relayed";
	}
	return "";
}

static void fill_sites(struct fzd_resource_row *row)
{
	const struct fz_session_resource *s = &row->seen;
	size_t n = s->n_sites < FZD_SITES_MAX ? s->n_sites : FZD_SITES_MAX;
	for (size_t i = 0; i < n; i++) {
		fzpb__site__init(&row->sites[i]);
		row->sites[i].id = text_or_null(s->sites[i].id);
		row->sites[i].name = text_or_null(s->sites[i].name);
		row->site_list[i] = &row->sites[i];
	}
	row->msg.sites = row->site_list;
	row->msg.n_sites = n;
	row->msg.site = n ? row->sites[0].name : NULL;
}

void fzd_resource_row_fill(struct fzd_resource_row *row)
{
	const struct fz_session_resource *s = &row->seen;
	Fzpb__Resource *m = &row->msg;
	fzpb__resource__init(m);
	m->id = text_or_null(s->id);
	m->name = text_or_null(s->name);
	m->address = text_or_null(s->address);
	m->address_description = text_or_null(s->description);
	m->has_type = m->has_status = m->has_enabled = true;
	m->type = type_of(s->type);
	m->status = reach_of(s->reach);
	m->enabled = s->is_enabled;
	m->gateway = text_or_null(s->gateway);
	m->path = text_or_null(path_name(s->path));
	fill_sites(row);
	size_t n = s->n_filters < FZ_SESSION_FILTERS_MAX ? s->n_filters : FZ_SESSION_FILTERS_MAX;
	for (size_t i = 0; i < n; i++)
		row->filter_list[i] = row->seen.filters[i];
	m->filters = row->filter_list;
	m->n_filters = n;
}

/* ---- all of them ---- */

struct wanted {
	struct fzd_resources *list;
	const Fzpb__ListResourcesRequest *filter; /* NULL: all */
};

static bool has_site(const struct fz_session_resource *r, const char *site)
{
	for (uint32_t i = 0; i < r->n_sites; i++) {
		if (strcmp(r->sites[i].name, site) == 0 || strcmp(r->sites[i].id, site) == 0)
			return true;
	}
	return false;
}

static bool matches(const Fzpb__ListResourcesRequest *f, const struct fz_session_resource *r)
{
	if (f->pattern && !strcasestr(r->name, f->pattern) && !strcasestr(r->address, f->pattern))
		return false;
	if (f->has_type && type_of(r->type) != f->type)
		return false;
	if (f->site && !has_site(r, f->site))
		return false;
	return !f->has_status || reach_of(r->reach) == f->status;
}

static int add_resource(void *user, const struct fz_session_resource *r)
{
	struct wanted *w = user;
	struct fzd_resources *l = w->list;
	if (w->filter && !matches(w->filter, r))
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct fzd_resource_row *rows = fz_realloc(l->rows, cap, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		l->rows = rows;
		l->cap = cap;
	}
	l->rows[l->n++].seen = *r;
	return 0;
}

void fzd_resources_free(struct fzd_resources *r)
{
	if (!r)
		return;
	free(r->rows);
	free(r->msg.resources);
	free(r);
}

struct fzd_resources *fzd_resources_new_maybe(
	const struct fzd *d, const Fzpb__ListResourcesRequest *filter)
{
	struct fzd_resources *l = fz_new(struct fzd_resources);
	struct wanted w = { .list = l, .filter = filter };
	const struct fz_session *s = fzd_client_session_maybe(d->client);
	if (!l)
		return NULL;
	fzpb__resource_list__init(&l->msg);
	int r = s ? fz_session_each_resource(s, add_resource, &w) : 0;
	if (r == 0)
		l->msg.resources = fz_new_array(Fzpb__Resource *, l->n + 1);
	if (!l->msg.resources) {
		fzd_resources_free(l);
		return NULL;
	}
	for (size_t i = 0; i < l->n; i++) {
		fzd_resource_row_fill(&l->rows[i]);
		l->msg.resources[i] = &l->rows[i].msg;
	}
	l->msg.n_resources = l->n;
	return l;
}

static void fail_memory(struct fzipc_call *call)
{
	fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "There is no memory left.", NULL);
}

void fzd_list_resources(
	void *user, struct fzipc_call *call, const Fzpb__ListResourcesRequest *request)
{
	struct fzd_resources *l = fzd_resources_new_maybe(user, request);
	if (!l) {
		fail_memory(call);
		return;
	}
	fzipc_reply_list_resources(call, &l->msg);
	fzd_resources_free(l);
}

/* False: the call has been failed. */
static bool find(
	struct fzd *d, struct fzipc_call *call, const char *name, struct fzd_resource_row *ret_row)
{
	const struct fz_session *s = fzd_client_session_maybe(d->client);
	if (!name || !name[0]) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "Which resource?",
			"See: firezonectl resource list");
		return false;
	}
	if (!s || !fz_session_resource(s, name, &ret_row->seen)) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__NOT_FOUND,
			"There is no such resource, or several have that name.",
			"See: firezonectl resource list");
		return false;
	}
	fzd_resource_row_fill(ret_row);
	return true;
}

void fzd_get_resource(void *user, struct fzipc_call *call, const Fzpb__ResourceRequest *request)
{
	struct fzd_resource_row row;
	if (find(user, call, request->resource, &row))
		fzipc_reply_get_resource(call, &row.msg);
}

/* False: the call has been failed. */
static bool set_enabled(struct fzd *d, struct fzipc_call *call, const char *name, bool on,
	struct fzd_resource_row *ret_row)
{
	char message[160];
	if (!find(d, call, name, ret_row))
		return false;
	int r = fz_session_set_resource(fzd_client_session_maybe(d->client), name, on);
	if (r == -EPERM) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__POLICY,
			"Its administrator does not let this resource be switched off.", NULL);
		return false;
	}
	if (r < 0) {
		snprintf(message, sizeof(message), "The choice could not be kept: %s.",
			fz_strerror(r));
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, message, NULL);
		return false;
	}
	fz_log(FZ_LOG_INFO, on ? "resource-enabled" : "resource-disabled", "id=%s by_uid=%u",
		ret_row->msg.id, fzipc_call_who(call)->uid);
	return find(d, call, name, ret_row);
}

void fzd_enable_resource(void *user, struct fzipc_call *call, const Fzpb__ResourceRequest *request)
{
	struct fzd_resource_row row;
	if (set_enabled(user, call, request->resource, true, &row))
		fzipc_reply_enable_resource(call, &row.msg);
}

void fzd_disable_resource(void *user, struct fzipc_call *call, const Fzpb__ResourceRequest *request)
{
	struct fzd_resource_row row;
	if (set_enabled(user, call, request->resource, false, &row))
		fzipc_reply_disable_resource(call, &row.msg);
}

/* ---- the Internet Resource ---- */

static void fill_internet(const struct fzd *d, Fzpb__InternetState *ret_state)
{
	struct fz_session_status st;
	fzpb__internet_state__init(ret_state);
	ret_state->has_available = ret_state->has_enabled = true;
	if (!fzd_client_status(d->client, &st))
		return;
	ret_state->available = st.internet_available;
	ret_state->enabled = st.internet_enabled;
	ret_state->site = text_or_null(st.internet_site);
}

void fzd_get_internet(void *user, struct fzipc_call *call, const Fzpb__InternetRequest *request)
{
	Fzpb__InternetState state;
	(void)request;
	fill_internet(user, &state);
	fzipc_reply_get_internet(call, &state);
}

/* False: the call has been failed. */
static bool set_internet(struct fzd *d, struct fzipc_call *call, bool on)
{
	struct fz_session *s = fzd_client_session_maybe(d->client);
	struct fzd_value v = fzd_settings_get(d->settings, FZ_SETTING_INTERNET_RESOURCE);
	char hint[200];
	bool setting;
	if (fz_setting_bool(v.value, &setting) && setting != on) {
		snprintf(hint, sizeof(hint), "It is set in %.160s.", v.origin);
		fzipc_call_fail(call,
			v.source == FZD_SOURCE_POLICY ? FZPB__ERROR__CODE__POLICY
						      : FZPB__ERROR__CODE__CONFLICT,
			"The setting internet_resource decides this.", hint);
		return false;
	}
	if (!s) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__CONFLICT, "The tunnel is down.",
			"Use: firezonectl up");
		return false;
	}
	int r = fz_session_set_internet(s, on);
	if (r < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "The choice could not be kept.",
			fz_strerror(r));
		return false;
	}
	fz_log(FZ_LOG_INFO, "internet-resource", "on=%d by_uid=%u", on, fzipc_call_who(call)->uid);
	return true;
}

void fzd_enable_internet(void *user, struct fzipc_call *call, const Fzpb__InternetRequest *request)
{
	Fzpb__InternetState state;
	(void)request;
	if (!set_internet(user, call, true))
		return;
	fill_internet(user, &state);
	fzipc_reply_enable_internet(call, &state);
}

void fzd_disable_internet(void *user, struct fzipc_call *call, const Fzpb__InternetRequest *request)
{
	Fzpb__InternetState state;
	(void)request;
	if (!set_internet(user, call, false))
		return;
	fill_internet(user, &state);
	fzipc_reply_disable_internet(call, &state);
}
