/* Device ids as upstream makes them, so that a device that changes to this client stays the same one to its portal. */
#include "control/io/device_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/io/sock.h"
#include "control/io/tls.h"
#include "control/json.h"
#include "control/objects.h"

#define FILE_MAX 65'536

static void to_hex(const uint8_t digest[static 32], char ret_text[static 65])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < 32; i++) {
		ret_text[2 * i] = digits[digest[i] >> 4];
		ret_text[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_text[64] = '\0';
}

void fzp_device_id_compute(enum fzp_role role, struct fz_bytes machine_id, char ret_id[static 65])
{
	/* The hex text itself is the key. */
	const char *app = role == FZP_CLIENT ? "e1e465ce763e4759945c650ac334501f"
					     : "753b38f9f96947ef8083802d5909a372";
	uint8_t digest[32];
	fzp_hmac_sha256(fz_bytes_of_str(app), machine_id, digest);
	to_hex(digest, ret_id);
}

/* Printable ASCII without a blank: it becomes part of a URL and of a person's list of devices. */
static bool is_usable(const char *id)
{
	size_t n = strnlen(id, FZP_DEVICE_ID_MAX + 1);
	if (n == 0 || n > FZP_DEVICE_ID_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (id[i] <= ' ' || id[i] > '~')
			return false;
	return true;
}

int fzp_external_id(const char *id, char ret_external_id[static FZP_DEVICE_ID_MAX + 1])
{
	struct fzp_id uuid;
	uint8_t digest[32];
	if (!is_usable(id))
		return -EINVAL;
	if (fzp_id_parse(id, &uuid)) {
		/* The text as it is written, also in upper case. */
		fzp_sha256(fz_bytes_of_str(id), digest);
		to_hex(digest, ret_external_id);
	} else {
		memcpy(ret_external_id, id, strlen(id) + 1);
	}
	return 0;
}

static int read_kept(const char *path, char *ret_id)
{
	FZ_CLEANUP(fz_freep) uint8_t *text = NULL;
	size_t len = 0;
	int r = fzp_read_file(path, FILE_MAX, &text, &len);
	if (r < 0)
		return r;
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of(text, len));
	const char *id;
	if (!fzp_json_text(root, "id", FZP_DEVICE_ID_MAX, &id) || !is_usable(id))
		return -EINVAL;
	memcpy(ret_id, id, strlen(id) + 1);
	return 0;
}

static int write_kept(const char *path, const char *id)
{
	char text[FZP_DEVICE_ID_MAX + 16];
	snprintf(text, sizeof(text), "{\"id\":\"%s\"}\n", id);
	return fzp_write_file(path, fz_bytes_of_str(text));
}

int fzp_device_id_get(
	const struct fzp_device_id_params *params, char ret_id[static FZP_DEVICE_ID_MAX + 1])
{
	if (params->configured && params->configured[0]) {
		if (!is_usable(params->configured))
			return -EINVAL;
		memcpy(ret_id, params->configured, strlen(params->configured) + 1);
		return 0;
	}
	int r = params->file ? read_kept(params->file, ret_id) : -ENOENT;
	if (r != -ENOENT)
		return r;

	FZ_CLEANUP(fz_freep) uint8_t *machine_id = NULL;
	size_t len = 0;
	const char *path = params->machine_id_file ? params->machine_id_file : "/etc/machine-id";
	/* systemd writes "uninitialized" there before the first boot is through: not an id. */
	if (fzp_read_file(path, FILE_MAX, &machine_id, &len) == 0 && len >= 32) {
		fzp_device_id_compute(params->role, fz_bytes_of(machine_id, len), ret_id);
		return 0;
	}
	uint8_t random[32];
	char made_up[65];
	fzp_random(NULL, fz_span_of(random, sizeof(random)));
	to_hex(random, made_up);
	r = params->file ? write_kept(params->file, made_up) : 0;
	if (r == 0)
		memcpy(ret_id, made_up, sizeof(made_up));
	return r;
}
