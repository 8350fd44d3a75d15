/*
 * Who this device is to the portal: a stable id, computed from /etc/machine-id or made up once and kept, and its form
 * on the wire (docs/protocol/portal.md, "Address and user agent"). Shell; control thread.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "control/url.h"

#define FZP_DEVICE_ID_MAX 256 /* longest configured id */

/* Hex of HMAC-SHA256 over the whole of `machine_id` (with its newline), keyed by the role's well-known id. */
void fzp_device_id_compute(enum fzp_role role, struct fz_bytes machine_id, char ret_id[static 65]);

/* As it goes on the wire: a UUID becomes the hex SHA-256 of its text, anything else stays. -EINVAL if empty or too long. */
int fzp_external_id(const char *id, char ret_external_id[static FZP_DEVICE_ID_MAX + 1])
	FZ_NONNULL(1) FZ_MUST_CHECK;

struct fzp_device_id_params {
	enum fzp_role role;
	const char *configured; /* FIREZONE_ID; NULL or "": none */
	const char *file; /* {"id":"..."}; read if there, written if an id had to be made up */
	const char *machine_id_file; /* NULL: /etc/machine-id */
};

/*
 * In this order: configured, file, computed, made up (then written, mode 0600). 0, -EINVAL (configured or kept id is
 * unusable) or what reading and writing said.
 */
int fzp_device_id_get(const struct fzp_device_id_params *params,
	char ret_id[static FZP_DEVICE_ID_MAX + 1]) FZ_NONNULL(1) FZ_MUST_CHECK;
