/* One reader per event, found in a table by name; the table is the list of what a client understands. */
#include "control/client_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/ct.h"
#include "control/json.h"

static void read_do53(const json_t *array, struct fzp_interface *i)
{
	for (size_t k = 0; k < json_array_size(array) && i->n_resolvers < FZP_RESOLVERS_MAX; k++) {
		const char *text;
		struct fz_addr a = { .port = 53 };
		if (fzp_json_text(json_array_get(array, k), "ip", FZ_IP_TEXT_LEN, &text) &&
			fz_ip_parse(text, &a.ip) == 0)
			i->resolvers[i->n_resolvers++] = a;
	}
}

static void read_legacy_dns(const json_t *array, struct fzp_interface *i)
{
	for (size_t k = 0; k < json_array_size(array) && i->n_resolvers < FZP_RESOLVERS_MAX; k++) {
		const char *text;
		if (fzp_json_text(json_array_get(array, k), "address", FZ_ADDR_TEXT_LEN, &text) &&
			fz_addr_parse(text, &i->resolvers[i->n_resolvers]) == 0)
			i->n_resolvers++;
	}
}

static bool read_interface(const json_t *v, struct fzp_interface *i)
{
	if (!fzp_json_ip(v, "ipv4", FZ_IP4, &i->ipv4) || !fzp_json_ip(v, "ipv6", FZ_IP6, &i->ipv6))
		return false;
	read_do53(json_object_get(v, "upstream_do53"), i);
	if (i->n_resolvers == 0)
		read_legacy_dns(json_object_get(v, "upstream_dns"), i);
	const json_t *doh = json_object_get(v, "upstream_doh");
	for (size_t k = 0; k < json_array_size(doh) && i->n_doh < FZP_RESOLVERS_MAX; k++)
		if (fzp_json_text(json_array_get(doh, k), "url", FZP_NAME_MAX, &i->doh[i->n_doh]))
			i->n_doh++;
	if (!fzp_json_text(v, "search_domain", 253, &i->search_domain) ||
		i->search_domain[0] == '\0')
		i->search_domain = NULL;
	return true;
}

static void init_done(struct fzp_client_init *init)
{
	fzp_resources_done(&init->resources);
	fzp_pools_done(&init->pools);
	free(init->authorizations.list);
	init->authorizations = (struct fzp_authorizations){ 0 };
}

static enum fzp_verdict read_init(const json_t *p, struct fzp_client_message *m)
{
	if (!read_interface(json_object_get(p, "interface"), &m->init.interface))
		return FZP_MALFORMED;
	fzp_relays_read(json_object_get(p, "relays"), &m->init.relays);
	const json_t *resources = json_object_get(p, "resources");
	enum fzp_verdict v = fzp_resources_read(resources, &m->init.resources);
	if (v == FZP_OK)
		v = fzp_pools_read(resources, &m->init.pools);
	if (v == FZP_OK)
		v = fzp_authorizations_read(
			json_object_get(p, "authorizations"), &m->init.authorizations);
	if (v != FZP_OK)
		init_done(&m->init);
	return v;
}

static enum fzp_verdict read_config_changed(const json_t *p, struct fzp_client_message *m)
{
	return read_interface(json_object_get(p, "interface"), &m->interface) ? FZP_OK
									      : FZP_MALFORMED;
}

static enum fzp_verdict read_resource_upserted(const json_t *p, struct fzp_client_message *m)
{
	enum fzp_verdict v = fzp_pool_read(p, &m->pool);
	if (v == FZP_UNKNOWN)
		return fzp_resource_read(p, FZP_UNKNOWN, &m->resource);
	m->event = FZP_CLIENT_POOL_UPSERTED;
	return v;
}

/* The payload is the bare id, not an object. */
static enum fzp_verdict read_resource_deleted(const json_t *p, struct fzp_client_message *m)
{
	return json_is_string(p) && fzp_id_parse(json_string_value(p), &m->resource_id)
		       ? FZP_OK
		       : FZP_MALFORMED;
}

static enum fzp_verdict read_relays(const json_t *p, struct fzp_client_message *m)
{
	if (!json_is_object(p))
		return FZP_MALFORMED;
	fzp_relays_presence_read(p, &m->relays);
	return FZP_OK;
}

static enum fzp_verdict read_created(const json_t *p, struct fzp_client_message *m)
{
	struct fzp_authorization_created *a = &m->authorization;
	bool ok = fzp_json_id(p, "resource_id", &a->resource_id) &&
		  fzp_json_id(p, "gateway_id", &a->gateway_id) &&
		  (fzp_json_id(p, "site_id", &a->site_id) ||
			  fzp_json_id(p, "gateway_group_id", &a->site_id)) &&
		  fzp_json_key(p, "gateway_public_key", a->gateway_public_key) &&
		  fzp_json_ip(p, "gateway_ipv4", FZ_IP4, &a->gateway_ipv4) &&
		  fzp_json_ip(p, "gateway_ipv6", FZ_IP6, &a->gateway_ipv6) &&
		  fzp_json_key(p, "preshared_key", a->preshared_key.b) &&
		  fzp_ice_read(p, "client_ice_credentials", &a->client_ice) &&
		  fzp_ice_read(p, "gateway_ice_credentials", &a->gateway_ice);
	(void)fzp_json_bool(p, "use_iceless", &a->use_iceless);
	return ok ? FZP_OK : FZP_MALFORMED;
}

static enum fzp_verdict read_failed(const json_t *p, struct fzp_client_message *m)
{
	struct fzp_authorization_failed *a = &m->failed;
	if (!fzp_json_id(p, "resource_id", &a->resource_id))
		return FZP_MALFORMED;
	if (!fzp_json_text(p, "reason", 256, &a->reason_text))
		a->reason_text = "";
	a->reason = fzp_failure_of(a->reason_text);
	const json_t *violated = json_object_get(p, "violated_properties");
	for (size_t i = 0; i < json_array_size(violated) && a->n_violated < FZP_VIOLATED_MAX; i++) {
		const json_t *v = json_array_get(violated, i);
		if (json_is_string(v) && json_string_length(v) <= 128)
			a->violated[a->n_violated++] = json_string_value(v);
	}
	return FZP_OK;
}

static enum fzp_verdict read_candidates(const json_t *p, struct fzp_client_message *m)
{
	return fzp_candidates_read(p, "gateway_id", &m->candidates) ? FZP_OK : FZP_MALFORMED;
}

/* ---- device to device ---- */

static enum fzp_verdict read_device_access(const json_t *p, struct fzp_client_message *m)
{
	return fzp_device_access_read(p, &m->device_access);
}

static enum fzp_verdict read_device_denied(const json_t *p, struct fzp_client_message *m)
{
	return fzp_device_denied_read(p, &m->device_denied) ? FZP_OK : FZP_MALFORMED;
}

static enum fzp_verdict read_device_candidates(const json_t *p, struct fzp_client_message *m)
{
	return fzp_candidates_read(p, "client_id", &m->candidates) ? FZP_OK : FZP_MALFORMED;
}

static enum fzp_verdict read_candidate_error(const json_t *p, struct fzp_client_message *m)
{
	return fzp_device_denied_read(p, &m->device_denied) &&
			       m->device_denied.client_id.text[0] != '\0'
		       ? FZP_OK
		       : FZP_MALFORMED;
}

static enum fzp_verdict read_filters_updated(const json_t *p, struct fzp_client_message *m)
{
	return fzp_filters_updated_read(p, &m->filters_updated);
}

static enum fzp_verdict read_reject(const json_t *p, struct fzp_client_message *m)
{
	return fzp_reject_access_read(p, &m->reject) ? FZP_OK : FZP_MALFORMED;
}

static enum fzp_verdict read_domain(const json_t *p, struct fzp_client_message *m)
{
	return fzp_pool_domain_read(p, true, &m->pool_domain) ? FZP_OK : FZP_MALFORMED;
}

static enum fzp_verdict read_no_domain(const json_t *p, struct fzp_client_message *m)
{
	return fzp_pool_domain_read(p, false, &m->pool_domain) ? FZP_OK : FZP_MALFORMED;
}

static const struct {
	const char *name;
	enum fzp_client_event event;
	enum fzp_verdict (*read)(const json_t *payload, struct fzp_client_message *m);
} readers[] = {
	{ "init", FZP_CLIENT_INIT, read_init },
	{ "config_changed", FZP_CLIENT_CONFIG_CHANGED, read_config_changed },
	{ "resource_created_or_updated", FZP_CLIENT_RESOURCE_UPSERTED, read_resource_upserted },
	{ "resource_deleted", FZP_CLIENT_RESOURCE_DELETED, read_resource_deleted },
	{ "relays_presence", FZP_CLIENT_RELAYS_PRESENCE, read_relays },
	{ "authorization_created", FZP_CLIENT_AUTHORIZATION_CREATED, read_created },
	{ "flow_created", FZP_CLIENT_AUTHORIZATION_CREATED, read_created },
	{ "authorization_creation_failed", FZP_CLIENT_AUTHORIZATION_FAILED, read_failed },
	{ "flow_creation_failed", FZP_CLIENT_AUTHORIZATION_FAILED, read_failed },
	{ "ice_candidates", FZP_CLIENT_CANDIDATES, read_candidates },
	{ "gateway_ice_candidates", FZP_CLIENT_CANDIDATES, read_candidates },
	{ "invalidate_ice_candidates", FZP_CLIENT_CANDIDATES_INVALIDATED, read_candidates },
	{ "invalidate_gateway_ice_candidates", FZP_CLIENT_CANDIDATES_INVALIDATED, read_candidates },
	{ "client_device_access_authorized", FZP_CLIENT_DEVICE_ACCESS, read_device_access },
	{ "client_device_access_denied", FZP_CLIENT_DEVICE_DENIED, read_device_denied },
	{ "client_ice_candidates", FZP_CLIENT_DEVICE_CANDIDATES, read_device_candidates },
	{ "invalidate_client_ice_candidates", FZP_CLIENT_DEVICE_CANDIDATES_INVALIDATED,
		read_device_candidates },
	{ "client_ice_candidate_error", FZP_CLIENT_DEVICE_CANDIDATE_ERROR, read_candidate_error },
	{ "resource_filters_updated", FZP_CLIENT_FILTERS_UPDATED, read_filters_updated },
	{ "reject_access", FZP_CLIENT_REJECT_ACCESS, read_reject },
	{ "device_pool_domain_resolved", FZP_CLIENT_POOL_DOMAIN, read_domain },
	{ "device_pool_domain_resolution_failed", FZP_CLIENT_POOL_DOMAIN, read_no_domain },
};

enum fzp_verdict fzp_client_message_read(const struct fzp_frame *f, struct fzp_client_message *ret)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(readers); i++) {
		if (strcmp(f->event, readers[i].name) != 0)
			continue;
		*ret = (struct fzp_client_message){ .event = readers[i].event };
		enum fzp_verdict v = readers[i].read(f->payload, ret);
		if (v != FZP_OK)
			fz_wipe(ret, sizeof(*ret));
		return v;
	}
	return FZP_UNKNOWN;
}

void fzp_client_message_done(struct fzp_client_message *m)
{
	if (m->event == FZP_CLIENT_INIT)
		init_done(&m->init);
	else if (m->event == FZP_CLIENT_RESOURCE_UPSERTED)
		fzp_resource_done(&m->resource);
	else if (m->event == FZP_CLIENT_AUTHORIZATION_CREATED)
		fz_key_wipep(&m->authorization.preshared_key);
	else if (m->event == FZP_CLIENT_POOL_UPSERTED)
		fzp_pool_done(&m->pool);
	else if (m->event == FZP_CLIENT_DEVICE_ACCESS)
		fzp_device_access_done(&m->device_access);
	else if (m->event == FZP_CLIENT_FILTERS_UPDATED)
		free(m->filters_updated.filters);
}

json_t *fzp_request_authorization(
	const struct fzp_id *resource, const struct fzp_id *connected, size_t n_connected)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < n_connected; i++) {
		if (json_array_append_new(list, json_string(connected[i].text)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:s,s:o}", "resource_id", resource->text, "connected_gateway_ids", list);
}

json_t *fzp_gateway_candidates(
	const struct fzp_id *gateway, const char *const *candidates, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < n; i++) {
		if (json_array_append_new(list, json_string(candidates[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:s,s:o}", "gateway_id", gateway->text, "candidates", list);
}
