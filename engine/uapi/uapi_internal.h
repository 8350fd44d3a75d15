/* The connection's state, shared by uapi.c (lines), set.c and get.c. Private to engine/uapi. */
#pragma once

#include "uapi/uapi.h"

enum uapi_state { UAPI_OPERATION, UAPI_SET, UAPI_GET_REQUEST, UAPI_GET };

/* Where a `get` is: by key and count, because peers may go between two pieces. */
struct uapi_cursor {
	bool has_device; /* device lines are written */
	bool has_peer;
	uint8_t peer[32];
	bool has_peer_lines;
	uint32_t n_allowed; /* written so far */
};

struct wg_uapi {
	struct wg_device *device;
	struct wg_uapi_shell shell;
	enum uapi_state state;
	bool closes;

	uint8_t line[WG_UAPI_LINE_MAX];
	size_t line_len;
	bool is_line_too_long;

	int error; /* of the running `set`; once set, the rest is read and ignored */
	struct wg_peer *
		peer; /* the block's; NULL: none, or a dummy that takes everything and keeps nothing */
	bool has_block, is_new_peer;

	struct uapi_cursor cursor;
	uint8_t out[WG_UAPI_CHUNK];
	size_t out_len, out_at;
};

/* One line of a `set`: 0 or a negative errno. */
int wg_uapi_set_line(struct wg_uapi *u, struct fz_bytes key, struct fz_bytes value,
	struct fz_now now) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Writes as much of a `get` as fits; true once it is complete, errno line included. */
bool wg_uapi_get_chunk(struct wg_uapi *u, struct fz_writer *w, struct fz_now now)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
