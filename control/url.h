/*
 * The portal's address and what is said in it: base URL, login path and query, user agent (docs/protocol/portal.md).
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZP_HOST_MAX   253
#define FZP_PATH_MAX   512
#define FZP_TARGET_MAX 2048 /* path and query of the upgrade request */

struct fzp_url {
	bool tls; /* wss or https */
	char host[FZP_HOST_MAX + 1]; /* without brackets for IPv6 literals */
	bool host_is_ipv6;
	uint16_t port; /* explicit, or 443 for either scheme */
	char path[FZP_PATH_MAX + 1]; /* prefix without a trailing slash; "" if none */
};

/*
 * Accepts ws, wss, http and https; a query or fragment is refused, so is user info. -EINVAL, and `*ret_url` is
 * untouched, for anything else.
 */
int fzp_url_parse(const char *text, struct fzp_url *ret_url) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

enum fzp_role { FZP_CLIENT, FZP_GATEWAY };

struct fzp_login {
	enum fzp_role role;
	const char *external_id; /* as it goes on the wire: see fzp_external_id */
	const char *name;
	const char *device_serial; /* NULL: left out; clients only */
	const char *device_uuid;
	const uint8_t *public_key; /* 32 bytes */
};

/* Writes path and query; -ENOSPC if they do not fit. */
int fzp_login_target(const struct fzp_url *url, const struct fzp_login *login,
	char ret_target[static FZP_TARGET_MAX]) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/*
 * "<OS>/<x.y.z> <component>/<version> (<arch>; <kernel>)"; bytes outside printable ASCII are left out, a version is
 * made three plain numbers where it starts like one (24.04 becomes 24.4.0). Always NUL-terminated.
 */
struct fzp_agent {
	const char *os_name, *os_version, *component, *version, *arch, *kernel;
};

#define FZP_AGENT_MAX 256
void fzp_user_agent(const struct fzp_agent *agent, char ret_text[static FZP_AGENT_MAX])
	FZ_NONNULL(1);

/* Form-urlencoded: letters, digits, '-', '_', '.', '*' as they are, a blank as '+', else %XX. */
void fzp_form_encode(struct fz_writer *w, const char *text) FZ_NONNULL(1, 2);
/* Decodes %XX and '+' into a NUL-terminated text; -EINVAL for bad escapes and NUL, -ENOSPC if too long. */
int fzp_form_decode(struct fz_bytes in, char *ret_text, size_t cap) FZ_NONNULL(2) FZ_MUST_CHECK;

/* Standard base64 with padding. Decoding accepts exactly `n` bytes' worth; -EINVAL otherwise. */
#define FZP_KEY_TEXT_LEN 45 /* 32 bytes, with NUL */
void fzp_base64_encode(struct fz_writer *w, struct fz_bytes in) FZ_NONNULL(1);
int fzp_base64_decode(const char *text, uint8_t *ret_bytes, size_t n)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
