/*
 * What the portal tells a client and what a client tells the portal (docs/protocol/portal.md, "Client").
 * Both the current words and the older spellings are read; only the current ones are written. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "control/device.h"
#include "control/frame.h"
#include "control/objects.h"

enum fzp_client_event {
	FZP_CLIENT_INIT,
	FZP_CLIENT_CONFIG_CHANGED,
	FZP_CLIENT_RESOURCE_UPSERTED,
	FZP_CLIENT_RESOURCE_DELETED,
	FZP_CLIENT_RELAYS_PRESENCE,
	FZP_CLIENT_AUTHORIZATION_CREATED,
	FZP_CLIENT_AUTHORIZATION_FAILED,
	FZP_CLIENT_CANDIDATES,
	FZP_CLIENT_CANDIDATES_INVALIDATED,
	/* device to device: control/device.h */
	FZP_CLIENT_POOL_UPSERTED,
	FZP_CLIENT_DEVICE_ACCESS,
	FZP_CLIENT_DEVICE_DENIED,
	FZP_CLIENT_DEVICE_CANDIDATES,
	FZP_CLIENT_DEVICE_CANDIDATES_INVALIDATED,
	FZP_CLIENT_DEVICE_CANDIDATE_ERROR,
	FZP_CLIENT_FILTERS_UPDATED,
	FZP_CLIENT_REJECT_ACCESS,
	FZP_CLIENT_POOL_DOMAIN,
	FZP_CLIENT_EVENT_COUNT_
};

struct fzp_interface {
	struct fz_ip ipv4, ipv6;
	uint32_t n_resolvers; /* upstream_do53, or the legacy upstream_dns */
	struct fz_addr resolvers[FZP_RESOLVERS_MAX];
	uint32_t n_doh;
	const char *doh[FZP_RESOLVERS_MAX];
	const char *search_domain; /* NULL: none */
};

struct fzp_client_init {
	struct fzp_interface interface;
	struct fzp_resources resources;
	struct fzp_pools pools; /* the device pools among the Resources */
	struct fzp_relays relays;
	struct fzp_authorizations authorizations; /* all that other clients may reach here */
};

struct fzp_authorization_created {
	struct fzp_id resource_id, gateway_id, site_id;
	uint8_t gateway_public_key[FZ_KEY_LEN];
	struct fz_ip gateway_ipv4, gateway_ipv6;
	struct fz_key preshared_key;
	struct fzp_ice_credentials client_ice, gateway_ice;
	bool use_iceless;
};

#define FZP_VIOLATED_MAX 8

struct fzp_authorization_failed {
	struct fzp_id resource_id;
	enum fzp_failure reason;
	const char *reason_text;
	uint32_t n_violated;
	const char *violated[FZP_VIOLATED_MAX];
};

/* Large (relays, candidates): keep it off small stacks. */
struct fzp_client_message {
	enum fzp_client_event event;

	union {
		struct fzp_client_init init;
		struct fzp_interface interface;
		struct fzp_resource resource;
		struct fzp_id resource_id;
		struct fzp_relays_presence relays;
		struct fzp_authorization_created authorization;
		struct fzp_authorization_failed failed;
		struct fzp_candidates candidates;
		struct fzp_pool pool;
		struct fzp_device_access device_access;
		struct fzp_device_denied device_denied;
		struct fzp_filters_updated filters_updated;
		struct fzp_reject_access reject;
		struct fzp_pool_domain pool_domain;
	};
};

/* UNKNOWN: an event we do not handle, to be ignored. Whatever is not OK leaves `*ret` untouched. */
enum fzp_verdict fzp_client_message_read(const struct fzp_frame *f, struct fzp_client_message *ret)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Releases arrays and wipes the preshared key; the borrowed strings end with the JSON tree. */
void fzp_client_message_done(struct fzp_client_message *m) FZ_NONNULL(1);

/* Payloads, to be released with json_decref; NULL without memory. */
json_t *fzp_request_authorization(const struct fzp_id *resource, const struct fzp_id *connected,
	size_t n_connected) FZ_NONNULL(1) FZ_MUST_CHECK;
/* For new_gateway_ice_candidates and invalidate_gateway_ice_candidates. */
json_t *fzp_gateway_candidates(const struct fzp_id *gateway, const char *const *candidates,
	size_t n) FZ_NONNULL(1) FZ_MUST_CHECK;
