/* The portal's objects, each read member by member into plain values. */
#include "control/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/json.h"
#include "control/url.h"

bool fzp_id_parse(const char *text, struct fzp_id *ret_id)
{
	struct fzp_id id;
	for (size_t i = 0; i < 36; i++) {
		char c = text[i];
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (c >= 'A' && c <= 'F')
			c = (char)(c + 32);
		bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
		if (is_dash ? c != '-' : !is_hex)
			return false;
		id.text[i] = c;
	}
	if (text[36] != '\0')
		return false;
	id.text[36] = '\0';
	*ret_id = id;
	return true;
}

bool fzp_id_equal(const struct fzp_id *a, const struct fzp_id *b)
{
	return memcmp(a->text, b->text, sizeof(a->text)) == 0;
}

bool fzp_json_id(const json_t *object, const char *name, struct fzp_id *ret_id)
{
	const char *text;
	return fzp_json_text(object, name, 36, &text) && fzp_id_parse(text, ret_id);
}

bool fzp_json_key(const json_t *object, const char *name, uint8_t ret_key[static FZ_KEY_LEN])
{
	const char *text;
	return fzp_json_text(object, name, FZP_KEY_TEXT_LEN - 1, &text) &&
	       fzp_base64_decode(text, ret_key, FZ_KEY_LEN) == 0;
}

bool fzp_ice_read(const json_t *object, const char *name, struct fzp_ice_credentials *ret)
{
	const json_t *v = json_object_get(object, name);
	struct fzp_ice_credentials c;
	if (!fzp_json_text(v, "username", 256, &c.username) ||
		!fzp_json_text(v, "password", 256, &c.password))
		return false;
	if (c.username[0] == '\0' || c.password[0] == '\0' || strchr(c.username, ':'))
		return false;
	*ret = c;
	return true;
}

static bool read_filter(const json_t *v, struct fzp_filter *ret)
{
	const char *protocol;
	uint64_t from = 0, to = UINT16_MAX;
	struct fzp_filter f = { .to = UINT16_MAX };
	if (!fzp_json_text(v, "protocol", 16, &protocol))
		return false;
	if (strcmp(protocol, "icmp") == 0) {
		f.protocol = FZP_ICMP;
		*ret = f;
		return true;
	}
	if (strcmp(protocol, "tcp") == 0)
		f.protocol = FZP_TCP;
	else if (strcmp(protocol, "udp") == 0)
		f.protocol = FZP_UDP;
	else
		return false;
	if (!fzp_json_is_null(v, "port_range_start") &&
		!fzp_json_uint(v, "port_range_start", UINT16_MAX, &from))
		return false;
	if (!fzp_json_is_null(v, "port_range_end") &&
		!fzp_json_uint(v, "port_range_end", UINT16_MAX, &to))
		return false;
	if (from > to)
		return false;
	f.from = (uint16_t)from;
	f.to = (uint16_t)to;
	*ret = f;
	return true;
}

/* A filter we cannot read makes its Resource malformed: dropping it alone could open more than the portal meant. */
enum fzp_verdict fzp_filters_read(
	const json_t *array, struct fzp_filter **ret_filters, uint32_t *ret_n)
{
	size_t n = json_array_size(array);
	if (!array || json_is_null(array))
		return FZP_OK;
	if (!json_is_array(array) || n > FZP_FILTERS_MAX)
		return FZP_MALFORMED;
	if (n == 0)
		return FZP_OK;
	struct fzp_filter *filters = fz_new_array(struct fzp_filter, n);
	if (!filters)
		return FZP_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		if (!read_filter(json_array_get(array, i), &filters[i])) {
			free(filters);
			return FZP_MALFORMED;
		}
	}
	*ret_filters = filters;
	*ret_n = (uint32_t)n;
	return FZP_OK;
}

bool fzp_reject_access_read(const json_t *object, struct fzp_reject_access *ret)
{
	struct fzp_reject_access r;
	if (!fzp_json_id(object, "client_id", &r.client_id) ||
		!fzp_json_id(object, "resource_id", &r.resource_id))
		return false;
	*ret = r;
	return true;
}

enum fzp_failure fzp_failure_of(const char *text)
{
	static const struct {
		const char *text;
		enum fzp_failure reason;
	} reasons[] = {
		{ "not_found", FZP_FAILURE_NOT_FOUND },
		{ "offline", FZP_FAILURE_OFFLINE },
		{ "version_mismatch", FZP_FAILURE_VERSION_MISMATCH },
		{ "forbidden", FZP_FAILURE_FORBIDDEN },
		{ "disabled", FZP_FAILURE_DISABLED },
		{ "ambiguous_address", FZP_FAILURE_ADDRESS },
		{ "missing_address", FZP_FAILURE_ADDRESS },
		{ "invalid_address", FZP_FAILURE_ADDRESS },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(reasons); i++)
		if (strcmp(text, reasons[i].text) == 0)
			return reasons[i].reason;
	return FZP_FAILURE_UNKNOWN;
}

static enum fzp_verdict read_sites(const json_t *object, struct fzp_resource *r)
{
	const json_t *array = json_object_get(object, "sites");
	if (!array)
		array = json_object_get(object, "gateway_groups");
	if (!array)
		return FZP_OK;
	size_t n = json_array_size(array);
	if (!json_is_array(array) || n > FZP_SITES_MAX)
		return FZP_MALFORMED;
	r->sites = fz_new_array(struct fzp_site, n ? n : 1);
	if (!r->sites)
		return FZP_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(array, i);
		if (!fzp_json_id(v, "id", &r->sites[i].id) ||
			!fzp_json_text(v, "name", FZP_NAME_MAX, &r->sites[i].name))
			return FZP_MALFORMED;
	}
	r->n_sites = (uint32_t)n;
	return FZP_OK;
}

static bool read_ip_stack(const json_t *v, enum fzp_ip_stack *ret)
{
	static const char *const names[] = { "dual", "ipv4_only", "ipv6_only" };
	const char *text;
	if (fzp_json_is_null(v, "ip_stack"))
		return true;
	if (!fzp_json_text(v, "ip_stack", 16, &text))
		return false;
	for (size_t i = 0; i < FZ_ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum fzp_ip_stack)i;
			return true;
		}
	}
	return false;
}

static bool read_address(const json_t *v, struct fzp_resource *r)
{
	if (!fzp_json_text(v, "name", FZP_NAME_MAX, &r->name) ||
		!fzp_json_text(v, "address", FZP_NAME_MAX, &r->address))
		return false;
	if (!fzp_json_text(v, "address_description", FZP_NAME_MAX, &r->description))
		r->description = NULL;
	if (r->type == FZP_RESOURCE_DNS)
		return r->address[0] != '\0' && read_ip_stack(v, &r->ip_stack);
	if (fz_prefix_parse(r->address, &r->prefix) < 0)
		return false;
	fz_prefix_mask(&r->prefix);
	return true;
}

enum fzp_verdict fzp_resource_read(
	const json_t *object, enum fzp_verdict if_unknown, struct fzp_resource *ret)
{
	const char *type;
	struct fzp_resource r = { .name = "Internet Resource", .address = "" };
	if (!fzp_json_text(object, "type", 64, &type) || !fzp_json_id(object, "id", &r.id))
		return FZP_MALFORMED;
	if (strcmp(type, "dns") == 0)
		r.type = FZP_RESOURCE_DNS;
	else if (strcmp(type, "cidr") == 0 || strcmp(type, "ip") == 0)
		r.type = FZP_RESOURCE_CIDR;
	else if (strcmp(type, "internet") == 0)
		r.type = FZP_RESOURCE_INTERNET;
	else
		return if_unknown;

	if (r.type == FZP_RESOURCE_INTERNET) {
		(void)fzp_json_text(object, "name", FZP_NAME_MAX, &r.name);
		(void)fzp_json_bool(object, "can_be_disabled", &r.can_be_disabled);
	} else if (!read_address(object, &r)) {
		return FZP_MALFORMED;
	}
	enum fzp_verdict v = read_sites(object, &r);
	if (v == FZP_OK)
		v = fzp_filters_read(json_object_get(object, "filters"), &r.filters, &r.n_filters);
	if (v != FZP_OK) {
		fzp_resource_done(&r);
		return v;
	}
	*ret = r;
	return FZP_OK;
}

void fzp_resource_done(struct fzp_resource *r)
{
	free(r->sites);
	free(r->filters);
	r->sites = NULL;
	r->filters = NULL;
}

enum fzp_verdict fzp_resources_read(const json_t *array, struct fzp_resources *ret)
{
	struct fzp_resources out = { 0 };
	size_t n = json_array_size(array), take = n < FZP_RESOURCES_MAX ? n : FZP_RESOURCES_MAX;
	out.n_skipped = (uint32_t)(n - take);
	if (take > 0) {
		out.list = fz_new_array(struct fzp_resource, take);
		if (!out.list)
			return FZP_NO_MEMORY;
	}
	for (size_t i = 0; i < take; i++) {
		enum fzp_verdict v =
			fzp_resource_read(json_array_get(array, i), FZP_UNKNOWN, &out.list[out.n]);
		if (v == FZP_NO_MEMORY) {
			fzp_resources_done(&out);
			return v;
		}
		out.n += v == FZP_OK;
		out.n_skipped += v == FZP_MALFORMED;
	}
	*ret = out;
	return FZP_OK;
}

void fzp_resources_done(struct fzp_resources *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		fzp_resource_done(&r->list[i]);
	free(r->list);
	*r = (struct fzp_resources){ 0 };
}

static bool read_relay(const json_t *v, struct fzp_relay *ret)
{
	const char *type, *addr;
	struct fz_addr a;
	struct fzp_relay r = { 0 };
	if (!fzp_json_id(v, "id", &r.id) || !fzp_json_text(v, "type", 16, &type) ||
		strcmp(type, "turn") != 0)
		return false;
	if (!fzp_json_text(v, "addr", FZ_ADDR_TEXT_LEN, &addr) || fz_addr_parse(addr, &a) < 0 ||
		a.port == 0)
		return false;
	if (!fzp_json_text(v, "username", 512, &r.username) ||
		!fzp_json_text(v, "password", 512, &r.password))
		return false;
	(void)fzp_json_uint(v, "expires_at", UINT64_MAX, &r.expires_at);
	if (a.ip.family == FZ_IP4)
		r.v4 = a;
	else
		r.v6 = a;
	*ret = r;
	return true;
}

void fzp_relays_read(const json_t *array, struct fzp_relays *ret)
{
	*ret = (struct fzp_relays){ 0 };
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct fzp_relay r, *last = ret->n > 0 ? &ret->list[ret->n - 1] : NULL;
		bool is_read = read_relay(json_array_get(array, i), &r);
		if (is_read && last && fzp_id_equal(&last->id, &r.id)) {
			if (r.v4.ip.family)
				last->v4 = r.v4;
			if (r.v6.ip.family)
				last->v6 = r.v6;
		} else if (is_read && ret->n < FZP_RELAYS_MAX) {
			ret->list[ret->n++] = r;
		} else {
			ret->n_skipped++;
		}
	}
}

void fzp_relays_presence_read(const json_t *object, struct fzp_relays_presence *ret)
{
	*ret = (struct fzp_relays_presence){ 0 };
	const json_t *gone = json_object_get(object, "disconnected_ids");
	for (size_t i = 0; i < json_array_size(gone) && ret->n_gone < FZP_RELAYS_MAX; i++) {
		const char *text = json_string_value(json_array_get(gone, i));
		if (text && fzp_id_parse(text, &ret->gone[ret->n_gone]))
			ret->n_gone++;
	}
	fzp_relays_read(json_object_get(object, "connected"), &ret->connected);
}

enum fzp_verdict fzp_authorizations_read(const json_t *array, struct fzp_authorizations *ret)
{
	struct fzp_authorizations out = { 0 };
	size_t n = json_array_size(array);
	if (n > FZP_AUTHORIZATIONS_MAX) {
		out.n_skipped = (uint32_t)(n - FZP_AUTHORIZATIONS_MAX);
		n = FZP_AUTHORIZATIONS_MAX;
	}
	if (n > 0) {
		out.list = fz_new_array(struct fzp_authorization, n);
		if (!out.list)
			return FZP_NO_MEMORY;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(array, i);
		struct fzp_authorization *a = &out.list[out.n];
		bool ok = fzp_json_id(v, "client_id", &a->client_id) &&
			  fzp_json_id(v, "resource_id", &a->resource_id);
		if (ok && !fzp_json_is_null(v, "expires_at"))
			ok = fzp_json_uint(v, "expires_at", UINT64_MAX, &a->expires_at);
		out.n += ok;
		out.n_skipped += !ok;
	}
	*ret = out;
	return FZP_OK;
}

bool fzp_candidates_read(const json_t *object, const char *id_name, struct fzp_candidates *ret)
{
	struct fzp_candidates out = { 0 };
	const json_t *array = json_object_get(object, "candidates");
	if (!fzp_json_id(object, id_name, &out.peer) || !json_is_array(array))
		return false;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *v = json_array_get(array, i);
		bool ok = json_is_string(v) && json_string_length(v) <= FZP_CANDIDATE_LEN_MAX &&
			  strlen(json_string_value(v)) == json_string_length(v) &&
			  out.n < FZP_CANDIDATES_MAX;
		if (ok)
			out.list[out.n++] = json_string_value(v);
		out.n_skipped += !ok;
	}
	*ret = out;
	return true;
}
