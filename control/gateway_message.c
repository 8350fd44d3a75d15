/* One reader per event, found in a table by name; the table is the list of what a gateway understands. */
#include "control/gateway_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/ct.h"
#include "control/json.h"

static enum fzp_verdict read_init(const json_t *p, struct fzp_gateway_message *m)
{
	const json_t *interface = json_object_get(p, "interface");
	if (!fzp_json_ip(interface, "ipv4", FZ_IP4, &m->init.ipv4) ||
		!fzp_json_ip(interface, "ipv6", FZ_IP6, &m->init.ipv6))
		return FZP_MALFORMED;
	if (!fzp_json_text(p, "account_slug", FZP_NAME_MAX, &m->init.account_slug))
		m->init.account_slug = "";
	fzp_relays_read(json_object_get(p, "relays"), &m->init.relays);
	return fzp_authorizations_read(
		json_object_get(p, "authorizations"), &m->init.authorizations);
}

static bool read_create_client(const json_t *client, struct fzp_create_authorization *c)
{
	return fzp_json_id(client, "id", &c->client_id) &&
	       fzp_json_key(client, "public_key", c->client_public_key) &&
	       fzp_json_key(client, "preshared_key", c->preshared_key.b) &&
	       fzp_json_ip(client, "ipv4", FZ_IP4, &c->client_ipv4) &&
	       fzp_json_ip(client, "ipv6", FZ_IP6, &c->client_ipv6);
}

static enum fzp_verdict read_create(const json_t *p, struct fzp_gateway_message *m)
{
	struct fzp_create_authorization *c = &m->create;
	bool ok = fzp_json_text(p, "ref", 65'536, &c->ref) &&
		  read_create_client(json_object_get(p, "client"), c) &&
		  fzp_ice_read(p, "client_ice_credentials", &c->client_ice) &&
		  fzp_ice_read(p, "gateway_ice_credentials", &c->gateway_ice);
	if (ok && !fzp_json_is_null(p, "expires_at"))
		ok = fzp_json_uint(p, "expires_at", UINT64_MAX, &c->expires_at);
	(void)fzp_json_bool(p, "use_iceless", &c->use_iceless);
	if (!ok)
		return FZP_MALFORMED;
	return fzp_resource_read(json_object_get(p, "resource"), FZP_MALFORMED, &c->resource);
}

static enum fzp_verdict read_reject(const json_t *p, struct fzp_gateway_message *m)
{
	return fzp_reject_access_read(p, &m->reject) ? FZP_OK : FZP_MALFORMED;
}

static enum fzp_verdict read_resource_updated(const json_t *p, struct fzp_gateway_message *m)
{
	return fzp_resource_read(p, FZP_UNKNOWN, &m->resource);
}

static enum fzp_verdict read_relays(const json_t *p, struct fzp_gateway_message *m)
{
	if (!json_is_object(p))
		return FZP_MALFORMED;
	fzp_relays_presence_read(p, &m->relays);
	return FZP_OK;
}

static enum fzp_verdict read_candidates(const json_t *p, struct fzp_gateway_message *m)
{
	return fzp_candidates_read(p, "client_id", &m->candidates) ? FZP_OK : FZP_MALFORMED;
}

static const struct {
	const char *name;
	enum fzp_gateway_event event;
	enum fzp_verdict (*read)(const json_t *payload, struct fzp_gateway_message *m);
} readers[] = {
	{ "init", FZP_GATEWAY_INIT, read_init },
	{ "create_authorization", FZP_GATEWAY_CREATE_AUTHORIZATION, read_create },
	{ "authorize_flow", FZP_GATEWAY_CREATE_AUTHORIZATION, read_create },
	{ "reject_access", FZP_GATEWAY_REJECT_ACCESS, read_reject },
	{ "resource_updated", FZP_GATEWAY_RESOURCE_UPDATED, read_resource_updated },
	{ "relays_presence", FZP_GATEWAY_RELAYS_PRESENCE, read_relays },
	{ "ice_candidates", FZP_GATEWAY_CANDIDATES, read_candidates },
	{ "invalidate_ice_candidates", FZP_GATEWAY_CANDIDATES_INVALIDATED, read_candidates },
};

enum fzp_verdict fzp_gateway_message_read(
	const struct fzp_frame *f, struct fzp_gateway_message *ret)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(readers); i++) {
		if (strcmp(f->event, readers[i].name) != 0)
			continue;
		*ret = (struct fzp_gateway_message){ .event = readers[i].event };
		enum fzp_verdict v = readers[i].read(f->payload, ret);
		if (v != FZP_OK)
			fz_wipe(ret, sizeof(*ret));
		return v;
	}
	return FZP_UNKNOWN;
}

void fzp_gateway_message_done(struct fzp_gateway_message *m)
{
	if (m->event == FZP_GATEWAY_INIT) {
		free(m->init.authorizations.list);
		m->init.authorizations.list = NULL;
	} else if (m->event == FZP_GATEWAY_CREATE_AUTHORIZATION) {
		fzp_resource_done(&m->create.resource);
		fz_key_wipep(&m->create.preshared_key);
	} else if (m->event == FZP_GATEWAY_RESOURCE_UPDATED) {
		fzp_resource_done(&m->resource);
	}
}

json_t *fzp_authorization_created_reply(const char *ref)
{
	return json_pack("{s:s}", "ref", ref);
}

json_t *fzp_client_candidates(const struct fzp_id *client, const char *const *candidates, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < n; i++) {
		if (json_array_append_new(list, json_string(candidates[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:[s],s:o}", "client_ids", client->text, "candidates", list);
}
