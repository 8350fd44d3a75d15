/* Lines and operations. Input stops being taken while an answer waits, so a client that never reads costs its fixed buffers and no more. */
#include "uapi/uapi.h"

#include <errno.h>

#include "base/ct.h"
#include "base/secret.h"
#include "uapi/uapi_internal.h"

void wg_uapi_free(struct wg_uapi *u)
{
	fz_secret_free(u, sizeof(*u));
}

struct wg_uapi *wg_uapi_new(struct wg_device *device, const struct wg_uapi_shell *shell)
{
	struct wg_uapi *u = fz_secret_new(sizeof(*u)); /* lines and answers hold keys */
	if (!u)
		return NULL;
	u->device = device;
	u->shell = *shell;
	return u;
}

static bool is_text(struct fz_bytes b, const char *text)
{
	return fz_bytes_equal(b, fz_bytes_of_str(text));
}

static void answer_errno(struct wg_uapi *u)
{
	struct fz_writer w = fz_writer_of(fz_span_of(u->out, sizeof(u->out)));
	fz_writer_format(&w, "errno=%d\n\n", u->error);
	u->out_len = w.len;
	u->out_at = 0;
}

static void begin_set(struct wg_uapi *u)
{
	u->state = UAPI_SET;
	u->error = 0;
	u->peer = NULL;
	u->has_block = u->is_new_peer = false;
}

static void on_operation(struct wg_uapi *u, struct fz_bytes line)
{
	if (line.n == 0)
		return; /* a stray empty line between operations */
	if (is_text(line, "set=1"))
		begin_set(u);
	else if (is_text(line, "get=1"))
		u->state = UAPI_GET_REQUEST;
	else
		u->closes = true;
}

static void on_set(struct wg_uapi *u, struct fz_bytes line, struct fz_now now)
{
	if (line.n == 0 && !u->is_line_too_long) {
		answer_errno(u);
		u->state = UAPI_OPERATION;
		return;
	}
	if (u->error)
		return;
	const uint8_t *equals = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;
	if (u->is_line_too_long) {
		u->error = -EINVAL;
	} else if (!equals) {
		u->error = -EPROTO;
	} else {
		size_t n = (size_t)(equals - line.p);
		u->error = wg_uapi_set_line(
			u, fz_bytes_of(line.p, n), fz_bytes_of(equals + 1, line.n - n - 1), now);
	}
}

static void on_get_request(struct wg_uapi *u, struct fz_bytes line)
{
	if (line.n == 0) {
		u->state = UAPI_GET;
		u->cursor = (struct uapi_cursor){ 0 };
		return;
	}
	u->error = EINVAL; /* positive in answers to get: wg(8) reads digits only */
	answer_errno(u);
	u->state = UAPI_OPERATION;
	u->closes = true;
}

static void on_line(struct wg_uapi *u, struct fz_now now)
{
	struct fz_bytes line = fz_bytes_of(u->line, u->line_len);
	switch (u->state) {
	case UAPI_OPERATION: on_operation(u, line); break;
	case UAPI_SET: on_set(u, line, now); break;
	case UAPI_GET_REQUEST: on_get_request(u, line); break;
	case UAPI_GET: break;
	}
	fz_wipe(u->line, u->line_len);
	u->line_len = 0;
	u->is_line_too_long = false;
}

static bool is_answering(const struct wg_uapi *u)
{
	return u->state == UAPI_GET || u->out_at < u->out_len;
}

bool wg_uapi_received(struct wg_uapi *u, struct fz_bytes in, struct fz_now now, size_t *ret_taken)
{
	size_t i = 0;
	for (; i < in.n && !u->closes && !is_answering(u); i++) {
		if (in.p[i] == '\n')
			on_line(u, now);
		else if (u->line_len < sizeof(u->line))
			u->line[u->line_len++] = in.p[i];
		else
			u->is_line_too_long = true;
	}
	*ret_taken = i;
	return !u->closes;
}

struct fz_bytes wg_uapi_output(struct wg_uapi *u, struct fz_now now)
{
	if (u->out_at == u->out_len && u->state == UAPI_GET) {
		struct fz_writer w = fz_writer_of(fz_span_of(u->out, sizeof(u->out)));
		if (wg_uapi_get_chunk(u, &w, now))
			u->state = UAPI_OPERATION;
		u->out_len = w.len;
		u->out_at = 0;
	}
	return fz_bytes_of(u->out + u->out_at, u->out_len - u->out_at);
}

void wg_uapi_output_taken(struct wg_uapi *u, size_t n)
{
	u->out_at += n;
	if (u->out_at < u->out_len)
		return;
	fz_wipe(u->out, u->out_len);
	u->out_at = u->out_len = 0;
}
