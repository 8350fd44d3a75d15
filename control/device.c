/* Readers of what concerns connections between clients. Addresses come plain or with a full-length prefix: both are read. */
#include "control/device.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/json.h"

/* The portal prints some with their netmask. */
static bool read_ip(
	const json_t *object, const char *name, enum fz_family family, struct fz_ip *ret)
{
	const char *text;
	struct fz_prefix p;
	if (!fzp_json_text(object, name, FZ_PREFIX_TEXT_LEN, &text) ||
		fz_prefix_parse(text, &p) < 0 || p.ip.family != family ||
		p.bits != 8 * fz_ip_len(&p.ip))
		return false;
	*ret = p.ip;
	return true;
}

static bool read_optional_ip(
	const json_t *object, const char *name, enum fz_family family, struct fz_ip *ret)
{
	return fzp_json_is_null(object, name) || read_ip(object, name, family, ret);
}

static bool read_optional_id(const json_t *object, const char *name, struct fzp_id *ret)
{
	return fzp_json_is_null(object, name) || fzp_json_id(object, name, ret);
}

/* ---- pools ---- */

static bool read_device(const json_t *v, struct fzp_device *ret)
{
	struct fzp_device d;
	if (!fzp_json_id(v, "client_id", &d.client_id) || !read_ip(v, "ipv4", FZ_IP4, &d.ipv4) ||
		!read_ip(v, "ipv6", FZ_IP6, &d.ipv6))
		return false;
	*ret = d;
	return true;
}

static enum fzp_verdict read_devices(const json_t *array, struct fzp_pool *p)
{
	size_t n = json_array_size(array), take = n < FZP_DEVICES_MAX ? n : FZP_DEVICES_MAX;
	if (!json_is_array(array))
		return FZP_MALFORMED;
	p->n_skipped = (uint32_t)(n - take);
	p->devices = take > 0 ? fz_new_array(struct fzp_device, take) : NULL;
	if (take > 0 && !p->devices)
		return FZP_NO_MEMORY;
	for (size_t i = 0; i < take; i++) {
		bool ok = read_device(json_array_get(array, i), &p->devices[p->n_devices]);
		p->n_devices += ok;
		p->n_skipped += !ok;
	}
	return FZP_OK;
}

static enum fzp_verdict read_pool(const json_t *object, bool is_dynamic, struct fzp_pool *p)
{
	if (!fzp_json_id(object, "id", &p->id) ||
		!fzp_json_text(object, "name", FZP_NAME_MAX, &p->name))
		return FZP_MALFORMED;
	if (is_dynamic && (!fzp_json_text(object, "address", FZP_NAME_MAX, &p->address) ||
				  p->address[0] == '\0'))
		return FZP_MALFORMED;
	enum fzp_verdict v =
		is_dynamic ? FZP_OK : read_devices(json_object_get(object, "devices"), p);
	if (v == FZP_OK)
		v = fzp_filters_read(
			json_object_get(object, "filters"), &p->filters, &p->n_filters);
	return v;
}

enum fzp_verdict fzp_pool_read(const json_t *object, struct fzp_pool *ret)
{
	const char *type;
	struct fzp_pool p = { 0 };
	if (!fzp_json_text(object, "type", 64, &type))
		return FZP_UNKNOWN;
	bool is_dynamic = strcmp(type, "dynamic_device_pool") == 0;
	if (!is_dynamic && strcmp(type, "static_device_pool") != 0)
		return FZP_UNKNOWN;
	enum fzp_verdict v = read_pool(object, is_dynamic, &p);
	if (v != FZP_OK) {
		fzp_pool_done(&p);
		return v;
	}
	*ret = p;
	return FZP_OK;
}

void fzp_pool_done(struct fzp_pool *p)
{
	free(p->devices);
	free(p->filters);
	p->devices = NULL;
	p->filters = NULL;
}

enum fzp_verdict fzp_pools_read(const json_t *array, struct fzp_pools *ret)
{
	struct fzp_pools out = { 0 };
	uint32_t cap = 0;
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct fzp_pool p;
		enum fzp_verdict v = fzp_pool_read(json_array_get(array, i), &p);
		out.n_skipped += v == FZP_MALFORMED;
		if (v == FZP_OK && out.n == FZP_POOLS_MAX) {
			fzp_pool_done(&p);
			out.n_skipped++;
			continue;
		}
		if (v == FZP_OK && out.n == cap) {
			cap = cap ? 2 * cap : 4;
			struct fzp_pool *more = fz_realloc(out.list, cap, sizeof(*more));
			if (!more) {
				fzp_pool_done(&p);
				v = FZP_NO_MEMORY;
			} else {
				out.list = more;
			}
		}
		if (v == FZP_NO_MEMORY) {
			fzp_pools_done(&out);
			return v;
		}
		if (v == FZP_OK)
			out.list[out.n++] = p;
	}
	*ret = out;
	return FZP_OK;
}

void fzp_pools_done(struct fzp_pools *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		fzp_pool_done(&p->list[i]);
	free(p->list);
	*p = (struct fzp_pools){ 0 };
}

/* ---- access ---- */

static bool read_role(const json_t *object, bool *ret_is_controlling)
{
	const char *role;
	if (!fzp_json_text(object, "ice_role", 16, &role))
		return false;
	*ret_is_controlling = strcmp(role, "controlling") == 0;
	return *ret_is_controlling || strcmp(role, "controlled") == 0;
}

static bool read_connection(const json_t *o, struct fzp_device_access *a)
{
	(void)fzp_json_bool(o, "use_iceless", &a->use_iceless);
	return fzp_json_id(o, "client_id", &a->client_id) &&
	       fzp_json_text(o, "client_name", FZP_NAME_MAX, &a->client_name) &&
	       fzp_json_key(o, "client_public_key", a->client_public_key) &&
	       read_ip(o, "client_ipv4", FZ_IP4, &a->client_ipv4) &&
	       read_ip(o, "client_ipv6", FZ_IP6, &a->client_ipv6) &&
	       fzp_json_key(o, "preshared_key", a->preshared_key.b) &&
	       fzp_ice_read(o, "local_ice_credentials", &a->local_ice) &&
	       fzp_ice_read(o, "remote_ice_credentials", &a->remote_ice) &&
	       read_role(o, &a->is_controlling);
}

/* On the target's side alone. */
static enum fzp_verdict read_target(const json_t *o, struct fzp_device_access *a)
{
	const json_t *resource = json_object_get(o, "resource");
	if (!resource || json_is_null(resource))
		return FZP_OK;
	a->is_target = true;
	if (!fzp_json_id(resource, "id", &a->resource_id))
		return FZP_MALFORMED;
	if (!fzp_json_is_null(o, "expires_at") &&
		!fzp_json_uint(o, "expires_at", UINT64_MAX, &a->expires_at))
		return FZP_MALFORMED;
	return fzp_filters_read(json_object_get(resource, "filters"), &a->filters, &a->n_filters);
}

enum fzp_verdict fzp_device_access_read(const json_t *object, struct fzp_device_access *ret)
{
	struct fzp_device_access a = { 0 };
	enum fzp_verdict v = read_connection(object, &a) ? read_target(object, &a) : FZP_MALFORMED;
	if (v == FZP_OK)
		*ret = a;
	else
		free(a.filters);
	fz_key_wipep(&a.preshared_key);
	return v;
}

void fzp_device_access_done(struct fzp_device_access *a)
{
	fz_key_wipep(&a->preshared_key);
	free(a->filters);
	a->filters = NULL;
}

bool fzp_device_denied_read(const json_t *object, struct fzp_device_denied *ret)
{
	struct fzp_device_denied d = { 0 };
	if (!fzp_json_text(object, "reason", 256, &d.reason_text) ||
		!read_optional_id(object, "client_id", &d.client_id) ||
		!read_optional_id(object, "resource_id", &d.resource_id) ||
		!read_optional_ip(object, "ipv4", FZ_IP4, &d.ipv4) ||
		!read_optional_ip(object, "ipv6", FZ_IP6, &d.ipv6))
		return false;
	d.reason = fzp_failure_of(d.reason_text);
	*ret = d;
	return true;
}

enum fzp_verdict fzp_filters_updated_read(const json_t *object, struct fzp_filters_updated *ret)
{
	struct fzp_filters_updated u = { 0 };
	const json_t *filters = json_object_get(object, "filters");
	/* None would mean that everything is allowed: it has to be said. */
	if (!fzp_json_id(object, "id", &u.resource_id) || !json_is_array(filters))
		return FZP_MALFORMED;
	enum fzp_verdict v = fzp_filters_read(filters, &u.filters, &u.n_filters);
	if (v == FZP_OK)
		*ret = u;
	else
		free(u.filters);
	return v;
}

/* ---- names of a dynamic pool ---- */

bool fzp_pool_domain_read(const json_t *object, bool is_resolved, struct fzp_pool_domain *ret)
{
	struct fzp_pool_domain d = { .is_resolved = is_resolved, .reason_text = "" };
	if (!fzp_json_id(object, "resource_id", &d.resource_id) ||
		!fzp_json_text(object, "domain", 253, &d.domain))
		return false;
	if (!is_resolved) {
		if (!fzp_json_text(object, "reason", 256, &d.reason_text))
			return false;
	} else if (!read_optional_ip(object, "ipv4", FZ_IP4, &d.ipv4) ||
		   !read_optional_ip(object, "ipv6", FZ_IP6, &d.ipv6) ||
		   (d.ipv4.family == FZ_NO_FAMILY && d.ipv6.family == FZ_NO_FAMILY)) {
		return false;
	}
	*ret = d;
	return true;
}
