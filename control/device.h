/*
 * What the portal says of connections between clients: pools of devices, who may reach whom, candidates (docs/protocol/portal.md,
 * "Device to device"). Read in full and typed; which of it is acted upon is for the session to say. Strings are borrowed from
 * the parsed JSON, arrays are owned. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "control/objects.h"

#define FZP_POOLS_MAX   4096
#define FZP_DEVICES_MAX 16'384 /* of one pool */

struct fzp_device {
	struct fzp_id client_id;
	struct fz_ip ipv4, ipv6;
};

/* A Resource of type static_device_pool or dynamic_device_pool. */
struct fzp_pool {
	struct fzp_id id;
	const char *name;
	const char *address; /* a pattern of names; NULL: a static pool, whose devices are listed */
	uint32_t n_devices, n_skipped, n_filters;
	struct fzp_device *devices;
	struct fzp_filter *filters; /* none: everything is allowed */
};

struct fzp_pools {
	uint32_t n, n_skipped;
	struct fzp_pool *list;
};

/* UNKNOWN: not the type of a pool. On anything but OK `*ret` is untouched. */
enum fzp_verdict fzp_pool_read(const json_t *object, struct fzp_pool *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;
void fzp_pool_done(struct fzp_pool *p) FZ_NONNULL(1);
/* Those among the Resources of an init. */
enum fzp_verdict fzp_pools_read(const json_t *array, struct fzp_pools *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;
void fzp_pools_done(struct fzp_pools *p) FZ_NONNULL(1);

/* client_device_access_authorized */
struct fzp_device_access {
	struct fzp_id client_id;
	const char *client_name;
	uint8_t client_public_key[FZ_KEY_LEN];
	struct fz_ip client_ipv4, client_ipv6;
	struct fz_key preshared_key;
	struct fzp_ice_credentials local_ice, remote_ice;
	bool is_controlling, use_iceless;
	bool is_target; /* then the rest is set: what the other client may reach here */
	struct fzp_id resource_id;
	uint32_t n_filters;
	struct fzp_filter *filters;
	uint64_t expires_at; /* unix seconds; 0: never */
};

/* client_device_access_denied, client_ice_candidate_error; what is not said is empty. */
struct fzp_device_denied {
	struct fzp_id client_id, resource_id; /* text "": not said */
	struct fz_ip ipv4, ipv6; /* family 0: not said */
	enum fzp_failure reason;
	const char *reason_text;
};

/* resource_filters_updated: of a Resource that others may reach here */
struct fzp_filters_updated {
	struct fzp_id resource_id;
	uint32_t n_filters;
	struct fzp_filter *filters;
};

/* device_pool_domain_resolved, device_pool_domain_resolution_failed */
struct fzp_pool_domain {
	struct fzp_id resource_id;
	const char *domain;
	bool is_resolved;
	struct fz_ip ipv4, ipv6; /* if it is; family 0: none */
	const char *reason_text; /* if not */
};

/* Each false or verdict leaves `*ret` untouched on failure. */
enum fzp_verdict fzp_device_access_read(const json_t *object, struct fzp_device_access *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;
void fzp_device_access_done(struct fzp_device_access *a) FZ_NONNULL(1);
bool fzp_device_denied_read(const json_t *object, struct fzp_device_denied *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;
enum fzp_verdict fzp_filters_updated_read(const json_t *object, struct fzp_filters_updated *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;
bool fzp_pool_domain_read(const json_t *object, bool is_resolved, struct fzp_pool_domain *ret)
	FZ_NONNULL(3) FZ_MUST_CHECK;
