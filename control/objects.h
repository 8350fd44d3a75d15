/*
 * What the portal's messages are made of (docs/protocol/portal.md, "Objects"). Strings are borrowed from the parsed
 * JSON; arrays are owned by the message that holds them. A malformed member of a list is skipped and counted, a type
 * we do not know is skipped silently (forward compatibility). Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"

#define FZP_RESOURCES_MAX                                                                          \
	32'000 /* twice as many are routes for a moment (FZ_HOST_ROUTES_MAX): one set after another */
#define FZP_AUTHORIZATIONS_MAX 262'144
#define FZP_RELAYS_MAX         32
#define FZP_FILTERS_MAX        256
#define FZP_SITES_MAX          16
#define FZP_CANDIDATES_MAX     128
#define FZP_CANDIDATE_LEN_MAX  256
#define FZP_NAME_MAX           1024
#define FZP_RESOLVERS_MAX      16

/* A UUID in lower-case text. */
struct fzp_id {
	char text[37];
};

bool fzp_id_parse(const char *text, struct fzp_id *ret_id) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
bool fzp_id_equal(const struct fzp_id *a, const struct fzp_id *b) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
bool fzp_json_id(const json_t *object, const char *name, struct fzp_id *ret_id) FZ_MUST_CHECK;

enum fzp_verdict { FZP_OK, FZP_UNKNOWN, FZP_MALFORMED, FZP_NO_MEMORY };

enum fzp_protocol { FZP_TCP, FZP_UDP, FZP_ICMP };

struct fzp_filter {
	enum fzp_protocol protocol;
	uint16_t from, to; /* ports, inclusive; 0 to 65535 for ICMP */
};

/* None, or null: everything is allowed. One that cannot be read makes all of them malformed. To be freed. */
enum fzp_verdict fzp_filters_read(const json_t *array, struct fzp_filter **ret_filters,
	uint32_t *ret_n) FZ_NONNULL(2, 3) FZ_MUST_CHECK;

struct fzp_site {
	struct fzp_id id;
	const char *name;
};

enum fzp_resource_type { FZP_RESOURCE_DNS, FZP_RESOURCE_CIDR, FZP_RESOURCE_INTERNET };

enum fzp_ip_stack { FZP_STACK_DUAL, FZP_STACK_IPV4, FZP_STACK_IPV6 };

struct fzp_resource {
	enum fzp_resource_type type;
	struct fzp_id id;
	const char *name;
	const char *address; /* DNS pattern or CIDR text; "" for the Internet Resource */
	const char *description; /* NULL: none */
	struct fz_prefix prefix; /* CIDR only, host bits zeroed */
	enum fzp_ip_stack ip_stack;
	bool can_be_disabled;
	uint32_t n_sites, n_filters;
	struct fzp_site *sites;
	struct fzp_filter *filters; /* none: everything is allowed */
};

struct fzp_resources {
	uint32_t n;
	uint32_t n_skipped; /* malformed, or beyond the limit */
	struct fzp_resource *list;
};

/* On anything but OK `*ret` is untouched. A gateway's Resource must have filters and has no sites. */
enum fzp_verdict fzp_resource_read(const json_t *object, enum fzp_verdict if_unknown,
	struct fzp_resource *ret) FZ_NONNULL(3) FZ_MUST_CHECK;
void fzp_resource_done(struct fzp_resource *r) FZ_NONNULL(1);
enum fzp_verdict fzp_resources_read(const json_t *array, struct fzp_resources *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;
void fzp_resources_done(struct fzp_resources *r) FZ_NONNULL(1);

/* Adjacent entries of one id (a dual-stack relay) become one. */
struct fzp_relay {
	struct fzp_id id;
	struct fz_addr v4, v6; /* family 0: none */
	const char *username, *password;
	uint64_t expires_at; /* unix seconds */
};

struct fzp_relays {
	uint32_t n, n_skipped;
	struct fzp_relay list[FZP_RELAYS_MAX];
};

void fzp_relays_read(const json_t *array, struct fzp_relays *ret) FZ_NONNULL(2);

struct fzp_relays_presence {
	uint32_t n_gone;
	struct fzp_id gone[FZP_RELAYS_MAX];
	struct fzp_relays connected;
};

void fzp_relays_presence_read(const json_t *object, struct fzp_relays_presence *ret) FZ_NONNULL(2);

struct fzp_authorization {
	struct fzp_id client_id, resource_id;
	uint64_t expires_at; /* unix seconds; 0: never */
};

struct fzp_authorizations {
	uint32_t n, n_skipped;
	struct fzp_authorization *list;
};

enum fzp_verdict fzp_authorizations_read(const json_t *array, struct fzp_authorizations *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;

/* Ends one grant of one client, at a gateway or at another client. */
struct fzp_reject_access {
	struct fzp_id client_id, resource_id;
};

bool fzp_reject_access_read(const json_t *object, struct fzp_reject_access *ret)
	FZ_NONNULL(2) FZ_MUST_CHECK;

/* Why an authorization was refused. */
enum fzp_failure {
	FZP_FAILURE_UNKNOWN,
	FZP_FAILURE_NOT_FOUND,
	FZP_FAILURE_OFFLINE,
	FZP_FAILURE_VERSION_MISMATCH,
	FZP_FAILURE_FORBIDDEN,
	FZP_FAILURE_DISABLED,
	FZP_FAILURE_ADDRESS, /* ambiguous, missing or invalid */
};

enum fzp_failure fzp_failure_of(const char *text) FZ_NONNULL(1) FZ_MUST_CHECK;

struct fzp_ice_credentials {
	const char *username, *password;
};

bool fzp_ice_read(const json_t *object, const char *name, struct fzp_ice_credentials *ret)
	FZ_NONNULL(3) FZ_MUST_CHECK;

struct fzp_candidates {
	struct fzp_id peer; /* gateway, or client for a gateway */
	uint32_t n, n_skipped;
	const char *list[FZP_CANDIDATES_MAX];
};

bool fzp_candidates_read(const json_t *object, const char *id_name, struct fzp_candidates *ret)
	FZ_NONNULL(3) FZ_MUST_CHECK;

/* base64 of 32 bytes. */
bool fzp_json_key(
	const json_t *object, const char *name, uint8_t ret_key[static FZ_KEY_LEN]) FZ_MUST_CHECK;
