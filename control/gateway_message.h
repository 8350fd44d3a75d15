/*
 * What the portal tells a gateway and what a gateway tells the portal (docs/protocol/portal.md, "Gateway").
 * Both the current words and the older spellings are read; only the current ones are written. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "control/frame.h"
#include "control/objects.h"

enum fzp_gateway_event {
	FZP_GATEWAY_INIT,
	FZP_GATEWAY_CREATE_AUTHORIZATION,
	FZP_GATEWAY_REJECT_ACCESS,
	FZP_GATEWAY_RESOURCE_UPDATED,
	FZP_GATEWAY_RELAYS_PRESENCE,
	FZP_GATEWAY_CANDIDATES,
	FZP_GATEWAY_CANDIDATES_INVALIDATED,
	FZP_GATEWAY_EVENT_COUNT_
};

struct fzp_gateway_init {
	struct fz_ip ipv4, ipv6;
	const char *account_slug; /* "" if absent */
	struct fzp_relays relays;
	struct fzp_authorizations authorizations; /* the complete set of live grants */
};

struct fzp_create_authorization {
	const char *ref; /* opaque: goes back in authorization_created */
	struct fzp_resource resource;
	struct fzp_id client_id;
	uint8_t client_public_key[FZ_KEY_LEN];
	struct fz_key preshared_key;
	struct fz_ip client_ipv4, client_ipv6;
	struct fzp_ice_credentials client_ice, gateway_ice;
	uint64_t expires_at; /* unix seconds; 0: never */
	bool use_iceless;
};

struct fzp_gateway_message {
	enum fzp_gateway_event event;

	union {
		struct fzp_gateway_init init;
		struct fzp_create_authorization create;
		struct fzp_reject_access reject;
		struct fzp_resource resource;
		struct fzp_relays_presence relays;
		struct fzp_candidates candidates;
	};
};

/* UNKNOWN: an event we do not handle, to be ignored. Whatever is not OK leaves nothing to release. */
enum fzp_verdict fzp_gateway_message_read(
	const struct fzp_frame *f, struct fzp_gateway_message *ret) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void fzp_gateway_message_done(struct fzp_gateway_message *m) FZ_NONNULL(1);

/* Payloads, to be released with json_decref; NULL without memory. */
json_t *fzp_authorization_created_reply(const char *ref) FZ_NONNULL(1) FZ_MUST_CHECK;
/* For broadcast_ice_candidates and broadcast_invalidated_ice_candidates. */
json_t *fzp_client_candidates(const struct fzp_id *client, const char *const *candidates, size_t n)
	FZ_NONNULL(1) FZ_MUST_CHECK;
