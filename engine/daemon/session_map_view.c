/* What people see of the map: routes, Resources, and why a packet would go where. Control thread, with the lock. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "daemon/session_map.h"
#include "daemon/session_map_internal.h"

/* The ranges of devices, which are always routed. */
static const struct fz_prefix devices[] = {
	{ { FZ_IP4, { 100, 64 } }, 11 },
	{ { FZ_IP6, { 0xfd, 0x00, 0x20, 0x21, 0x11, 0x11 } }, 107 },
};

static const char *name_of(const struct map_resource *r)
{
	return r->r.type == FZP_RESOURCE_INTERNET && !r->r.name[0] ? "Internet Resource"
								   : r->r.name;
}

int fz_map_routes(const struct fz_map *m, struct fz_prefix **ret_prefixes, size_t *ret_n)
{
	struct fz_prefix *out =
		fz_new_array(struct fz_prefix, m->table->n_prefixes + FZ_ARRAY_LEN(devices));
	if (!out)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < FZ_ARRAY_LEN(devices); i++)
		out[n++] = devices[i];
	for (uint32_t i = 0; i < m->table->n_prefixes; i++)
		out[n++] = m->table->prefixes[i].prefix;
	*ret_prefixes = out;
	*ret_n = n;
	return 0;
}

int fz_map_each_route(const struct fz_map *m, fz_session_route_fn fn, void *user)
{
	int r = 0;
	for (size_t i = 0; i < FZ_ARRAY_LEN(devices) && r == 0; i++)
		r = fn(user, &devices[i], "");
	for (uint32_t i = 0; i < m->table->n_prefixes && r == 0; i++)
		r = fn(user, &m->table->prefixes[i].prefix,
			name_of(m->table->prefixes[i].first->resource));
	return r;
}

static void format_filter(const struct fzp_filter *f, char ret[static 24])
{
	const char *protocol = f->protocol == FZP_TCP ? "tcp" : "udp";
	if (f->protocol == FZP_ICMP)
		snprintf(ret, 24, "icmp");
	else if (f->from == 0 && f->to == UINT16_MAX)
		snprintf(ret, 24, "%s", protocol);
	else if (f->from == f->to)
		snprintf(ret, 24, "%s/%u", protocol, f->from);
	else
		snprintf(ret, 24, "%s/%u-%u", protocol, f->from, f->to);
}

static enum fz_session_type type_of(const struct fzp_resource *r)
{
	switch (r->type) {
	case FZP_RESOURCE_DNS: return FZ_SESSION_DNS;
	case FZP_RESOURCE_INTERNET: return FZ_SESSION_INTERNET;
	case FZP_RESOURCE_CIDR: break;
	}
	bool is_host = r->prefix.bits == 8 * fz_ip_len(&r->prefix.ip);
	return is_host ? FZ_SESSION_IP : FZ_SESSION_CIDR;
}

static void describe(const struct fz_map *m, const struct map_resource *r, fz_time now,
	struct fz_session_resource *ret)
{
	bool is_internet = r->r.type == FZP_RESOURCE_INTERNET;
	*ret = (struct fz_session_resource){
		.id = r->r.id.text,
		.name = name_of(r),
		.address = r->r.address,
		.description = r->r.description,
		.type = type_of(&r->r),
		.reach = r->gateway                     ? FZ_SESSION_ONLINE
			 : r->offline_until.ns > now.ns ? FZ_SESSION_OFFLINE
							: FZ_SESSION_UNKNOWN,
		.is_enabled = r->is_enabled && (!is_internet || m->internet),
		.n_sites = r->r.n_sites,
		.sites = r->sites,
		.gateway = r->gateway ? r->gateway->id.text : "",
		.n_filters = r->r.n_filters,
	};
	for (uint32_t i = 0; i < r->r.n_filters && i < FZ_SESSION_FILTERS_MAX; i++)
		format_filter(&r->r.filters[i], ret->filters[i]);
}

int fz_map_each_resource(const struct fz_map *m, fz_time now, fz_session_resource_fn fn, void *user)
{
	int r = 0;
	for (uint32_t i = 0; i < m->n && r == 0; i++) {
		struct fz_session_resource out;
		describe(m, m->list[i], now, &out);
		r = fn(user, &out);
	}
	return r;
}

/* ---- why ---- */

static void say(struct fz_session_explanation *e, enum fz_session_verdict verdict, const char *why)
{
	e->verdict = verdict;
	snprintf(e->reason, sizeof(e->reason), "%s", why);
}

static void say_chosen(const struct map_resource *r, fz_time now, struct fz_session_explanation *e)
{
	if (!r->is_enabled)
		say(e, FZ_SESSION_BLOCKED, "the Resource is switched off on this device");
	else if (r->gateway)
		say(e, FZ_SESSION_TUNNEL, "");
	else if (r->offline_until.ns > now.ns)
		say(e, FZ_SESSION_UNREACHABLE, "every gateway of the site is offline");
	else if (r->is_pending)
		say(e, FZ_SESSION_TUNNEL, "the portal has been asked for a gateway");
	else
		say(e, FZ_SESSION_TUNNEL, "the first packet will ask the portal for a gateway");
}

static void explain_resource(const struct fz_map *m, const struct map_resource *r, fz_time now,
	struct fz_session_explanation *e)
{
	bool is_internet = r->r.type == FZP_RESOURCE_INTERNET;
	if (r->r.type == FZP_RESOURCE_DNS)
		say(e, FZ_SESSION_UNREACHABLE, "Resources by name are not reached yet");
	else if (is_internet && !m->internet)
		say(e, FZ_SESSION_BLOCKED, "the Internet Resource is off");
	else
		say_chosen(r, now, e);
	if (r->r.type == FZP_RESOURCE_CIDR)
		fz_prefix_format(&r->r.prefix, e->rule);
}

static bool covers(const struct map_resource *r, const struct fz_ip *ip)
{
	return r->r.type == FZP_RESOURCE_CIDR && fz_prefix_contains(&r->r.prefix, ip);
}

/* No Resource in use has the address: perhaps one that is switched off would. */
static struct map_resource *switched_off_maybe(const struct fz_map *m, const struct fz_ip *ip)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (!m->list[i]->is_enabled && covers(m->list[i], ip))
			return m->list[i];
	return NULL;
}

static struct map_resource *explain_ip(
	struct fz_map *m, const struct map_flow *f, fz_time now, struct fz_session_explanation *e)
{
	struct map_resource *denied, *r = fz_map_choose_maybe(m, f, &denied);
	if (!r && !denied)
		r = switched_off_maybe(m, &f->dst);
	if (r) {
		explain_resource(m, r, now, e);
	} else if (denied) {
		r = denied;
		say(e, FZ_SESSION_BLOCKED, "the Resource's filters do not allow this");
		snprintf(e->rule, sizeof(e->rule), "filters of %.60s", name_of(r));
	} else {
		say(e, FZ_SESSION_PLAIN, "no Resource has this address");
	}
	return r;
}

static struct fz_map_gateway *device_maybe(const struct fz_map *m, const struct fz_ip *ip)
{
	for (struct fz_map_gateway *g = m->gateways; g; g = g->next)
		if (fz_ip_equal(ip->family == FZ_IP4 ? &g->ipv4 : &g->ipv6, ip))
			return g;
	return NULL;
}

void fz_map_explain(struct fz_map *m, fz_time now, const struct fz_ip *ip, const char *resource,
	uint8_t protocol, uint16_t port, struct fz_session_explanation *ret,
	struct fz_map_gateway **ret_gateway)
{
	struct map_flow f = { .dst = *ip, .protocol = protocol, .port = port };
	struct map_resource *r = resource ? fz_map_find_maybe(m, resource) : NULL;
	*ret_gateway = NULL;
	if (r) {
		explain_resource(m, r, now, ret);
	} else if (ip->family && fz_map_is_device(ip)) {
		*ret_gateway = device_maybe(m, ip);
		if (*ret_gateway)
			say(ret, FZ_SESSION_TUNNEL, "a gateway's own address");
		else
			say(ret, FZ_SESSION_UNREACHABLE,
				"no device with this address is connected");
	} else if (ip->family) {
		r = explain_ip(m, &f, now, ret);
	} else {
		say(ret, FZ_SESSION_PLAIN, "no Resource has this name");
	}
	if (!r)
		return;
	*ret_gateway = r->gateway;
	ret->has_resource = true;
	describe(m, r, now, &ret->resource);
}
