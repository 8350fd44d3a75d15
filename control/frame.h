/*
 * Phoenix channel frames, object form (docs/protocol/portal.md, "Frames"): {"topic","event","payload","ref"} with
 * numeric references and no join_ref. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZP_TOPIC_MAX 64
#define FZP_EVENT_MAX 128

enum fzp_frame_kind {
	FZP_FRAME_EVENT, /* a push from the portal: event and payload */
	FZP_FRAME_OK, /* phx_reply, status ok: ref */
	FZP_FRAME_ERROR, /* phx_reply, status error: ref, reason */
};

struct fzp_frame {
	enum fzp_frame_kind kind;
	const char *topic, *event; /* borrowed from the tree */
	const json_t *payload; /* borrowed; never NULL for events */
	bool has_ref;
	uint64_t ref;
	const char *reason; /* of an error reply; "" if it gave none */
};

/* `root` is the parsed text and must outlive the frame. False: not a frame. */
bool fzp_frame_read(const json_t *root, struct fzp_frame *ret_frame) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/*
 * The text of one frame, keys in upstream's order, to be freed with free(); NULL without memory. `payload` is
 * borrowed; NULL becomes null.
 */
char *fzp_frame_write(const char *topic, const char *event, const json_t *payload, uint64_t ref)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
