/*
 * One text of the portal, read as a client and as a gateway: what is taken is within the bounds its header names, and
 * all of it is released. A frame that is read can be written and reads back the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "control/client_message.h"
#include "control/gateway_message.h"
#include "control/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_id(const struct fzp_id *id)
{
	struct fzp_id again;
	fz_assert(fzp_id_parse(id->text, &again) && fzp_id_equal(id, &again));
}

static void judge_resource(const struct fzp_resource *r)
{
	judge_id(&r->id);
	fz_assert(r->n_filters <= FZP_FILTERS_MAX && r->n_sites <= FZP_SITES_MAX);
	fz_assert(strlen(r->name) <= FZP_NAME_MAX && strlen(r->address) <= FZP_NAME_MAX);
	for (uint32_t i = 0; i < r->n_filters; i++)
		fz_assert(r->filters[i].from <= r->filters[i].to);
	for (uint32_t i = 0; i < r->n_sites; i++)
		judge_id(&r->sites[i].id);
}

static void judge_relays(const struct fzp_relays *r)
{
	fz_assert(r->n <= FZP_RELAYS_MAX);
	for (uint32_t i = 0; i < r->n; i++) {
		judge_id(&r->list[i].id);
		fz_assert(r->list[i].v4.ip.family != 0 || r->list[i].v6.ip.family != 0);
	}
}

static void judge_candidates(const struct fzp_candidates *c)
{
	judge_id(&c->peer);
	fz_assert(c->n <= FZP_CANDIDATES_MAX);
	for (uint32_t i = 0; i < c->n; i++)
		fz_assert(strlen(c->list[i]) <= FZP_CANDIDATE_LEN_MAX);
}

static void judge_pool(const struct fzp_pool *p)
{
	judge_id(&p->id);
	fz_assert(p->n_devices <= FZP_DEVICES_MAX && p->n_filters <= FZP_FILTERS_MAX);
	fz_assert(!p->address || p->n_devices == 0);
	for (uint32_t i = 0; i < p->n_devices; i++) {
		judge_id(&p->devices[i].client_id);
		fz_assert(p->devices[i].ipv4.family == FZ_IP4);
		fz_assert(p->devices[i].ipv6.family == FZ_IP6);
	}
}

static void judge_device(const struct fzp_client_message *m)
{
	if (m->event == FZP_CLIENT_POOL_UPSERTED)
		judge_pool(&m->pool);
	if (m->event == FZP_CLIENT_DEVICE_ACCESS) {
		judge_id(&m->device_access.client_id);
		fz_assert(m->device_access.is_target || m->device_access.n_filters == 0);
	}
	if (m->event == FZP_CLIENT_DEVICE_CANDIDATES)
		judge_candidates(&m->candidates);
	if (m->event == FZP_CLIENT_POOL_DOMAIN)
		fz_assert(!m->pool_domain.is_resolved || m->pool_domain.ipv4.family ||
			  m->pool_domain.ipv6.family);
}

static void as_client(const struct fzp_frame *f)
{
	static struct fzp_client_message m;
	if (fzp_client_message_read(f, &m) != FZP_OK)
		return;
	fz_assert(m.event < FZP_CLIENT_EVENT_COUNT_);
	if (m.event == FZP_CLIENT_INIT) {
		judge_relays(&m.init.relays);
		fz_assert(m.init.resources.n <= FZP_RESOURCES_MAX);
		for (uint32_t i = 0; i < m.init.resources.n; i++)
			judge_resource(&m.init.resources.list[i]);
		fz_assert(m.init.authorizations.n <= FZP_AUTHORIZATIONS_MAX);
		for (uint32_t i = 0; i < m.init.pools.n; i++)
			judge_pool(&m.init.pools.list[i]);
	}
	if (m.event == FZP_CLIENT_RESOURCE_UPSERTED)
		judge_resource(&m.resource);
	if (m.event == FZP_CLIENT_RELAYS_PRESENCE)
		judge_relays(&m.relays.connected);
	if (m.event == FZP_CLIENT_CANDIDATES || m.event == FZP_CLIENT_CANDIDATES_INVALIDATED)
		judge_candidates(&m.candidates);
	judge_device(&m);
	fzp_client_message_done(&m);
}

static void as_gateway(const struct fzp_frame *f)
{
	static struct fzp_gateway_message m;
	if (fzp_gateway_message_read(f, &m) != FZP_OK)
		return;
	fz_assert(m.event < FZP_GATEWAY_EVENT_COUNT_);
	if (m.event == FZP_GATEWAY_INIT) {
		judge_relays(&m.init.relays);
		fz_assert(m.init.authorizations.n <= FZP_AUTHORIZATIONS_MAX);
	}
	if (m.event == FZP_GATEWAY_CREATE_AUTHORIZATION)
		judge_resource(&m.create.resource);
	if (m.event == FZP_GATEWAY_RESOURCE_UPDATED)
		judge_resource(&m.resource);
	if (m.event == FZP_GATEWAY_CANDIDATES || m.event == FZP_GATEWAY_CANDIDATES_INVALIDATED)
		judge_candidates(&m.candidates);
	fzp_gateway_message_done(&m);
}

static void write_again(const struct fzp_frame *f)
{
	if (!f->has_ref || f->ref > INT64_MAX) /* what JSON's integers hold here */
		return;
	char *text = fzp_frame_write(f->topic, f->event, f->payload, f->ref);
	if (!text)
		return;
	json_t *root = fzp_json_parse(fz_bytes_of_str(text));
	struct fzp_frame again;
	fz_assert(root && fzp_frame_read(root, &again));
	fz_assert(again.has_ref && again.ref == f->ref);
	fz_assert(strcmp(again.topic, f->topic) == 0 && strcmp(again.event, f->event) == 0);
	fz_assert(json_equal(again.payload, f->payload));
	json_decref(root);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fzp_frame f;
	json_t *root = fzp_json_parse(fz_bytes_of(data, size));
	if (!root)
		return 0;
	if (fzp_frame_read(root, &f)) {
		fz_assert(f.kind != FZP_FRAME_EVENT || f.payload);
		if (f.kind == FZP_FRAME_EVENT) {
			as_client(&f);
			as_gateway(&f);
			write_again(&f);
		}
	}
	json_decref(root);
	return 0;
}
