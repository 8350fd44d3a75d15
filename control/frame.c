/* Frames in and out. Unknown keys are ignored; a reply whose reference is not a number cannot be matched and is no frame. */
#include "control/frame.h"

#include <string.h>

#include "control/json.h"

static bool read_reply(const json_t *payload, struct fzp_frame *f)
{
	const char *status;
	if (!f->has_ref || !fzp_json_text(payload, "status", 32, &status))
		return false;
	const json_t *response = json_object_get(payload, "response");
	if (strcmp(status, "ok") == 0) {
		f->kind = FZP_FRAME_OK;
		/* A join answered with null is no acknowledgement: the portal sends an empty object. */
		return json_is_object(response);
	}
	if (strcmp(status, "error") != 0)
		return false;
	f->kind = FZP_FRAME_ERROR;
	if (!fzp_json_text(response, "reason", 256, &f->reason))
		f->reason = "";
	return true;
}

bool fzp_frame_read(const json_t *root, struct fzp_frame *ret_frame)
{
	struct fzp_frame f = { .reason = "" };
	if (!fzp_json_text(root, "topic", FZP_TOPIC_MAX, &f.topic) ||
		!fzp_json_text(root, "event", FZP_EVENT_MAX, &f.event))
		return false;
	const json_t *ref = json_object_get(root, "ref");
	f.has_ref = fzp_json_uint(root, "ref", UINT64_MAX, &f.ref);
	if (!f.has_ref && ref && !json_is_null(ref))
		return false;
	f.payload = json_object_get(root, "payload");
	if (!f.payload)
		f.payload = json_null();
	if (strcmp(f.event, "phx_reply") == 0) {
		if (!read_reply(f.payload, &f))
			return false;
	} else {
		f.kind = FZP_FRAME_EVENT;
	}
	*ret_frame = f;
	return true;
}

char *fzp_frame_write(const char *topic, const char *event, const json_t *payload, uint64_t ref)
{
	json_t *copy = json_incref(fz_unconst(payload)); /* jansson's counts are not const */
	FZ_CLEANUP(fzp_json_unrefp)
	json_t *root = json_pack("{s:s,s:s,s:o?,s:I}", "topic", topic, "event", event, "payload",
		copy ? copy : json_null(), "ref", (json_int_t)ref);
	return root ? json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
}
