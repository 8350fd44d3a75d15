/* wslay's event API between two byte buffers. Messages are bounded by FZP_WS_MESSAGE_MAX; permessage-deflate is never offered. */
#include "control/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/alloc.h"
#include "base/bytebuf.h"
#include "base/err.h"

#define INPUT_MAX  (FZP_WS_MESSAGE_MAX + 65'536)
#define QUEUE_MAX  (2u * INPUT_MAX)
#define KEEP_MAX   (1u << 20) /* an empty buffer that has grown beyond this is given back */
#define OUTPUT_MAX (4u << 20)

/* Before each queued message: its length and kind. wslay may deliver several messages for one read. */
struct queued {
	uint32_t len;
	uint32_t event; /* enum fzp_ws_event */
};

struct fzp_ws {
	wslay_event_context_ptr ctx;
	struct fz_bytebuf in, out, queue;
	size_t in_used; /* taken by wslay, removed in bulk */
	size_t popped; /* bytes of the queue handed to the caller, removed on the next call */
	void (*random)(void *user, struct fz_span out);
	void *user;
	bool is_broken;
};

static ssize_t read_input(
	wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
	(void)flags;
	struct fzp_ws *w = user;
	size_t left = w->in.len - w->in_used;
	if (left == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	size_t n = len < left ? len : left;
	memcpy(buf, w->in.p + w->in_used, n);
	w->in_used += n;
	return (ssize_t)n;
}

static ssize_t write_output(
	wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *user)
{
	(void)flags;
	struct fzp_ws *w = user;
	if (fz_bytebuf_append(&w->out, fz_bytes_of(data, len)) < 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	return (ssize_t)len;
}

static int make_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *user)
{
	(void)ctx;
	struct fzp_ws *w = user;
	w->random(w->user, fz_span_of(buf, len));
	return 0;
}

static enum fzp_ws_event kind_of(uint8_t opcode)
{
	switch (opcode) {
	case WSLAY_TEXT_FRAME: return FZP_WS_TEXT;
	case WSLAY_BINARY_FRAME: return FZP_WS_BINARY;
	case WSLAY_CONNECTION_CLOSE: return FZP_WS_CLOSED;
	}
	return FZP_WS_NONE; /* pings are answered by wslay */
}

static void on_message(
	wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
	(void)ctx;
	struct fzp_ws *w = user;
	enum fzp_ws_event event = kind_of(arg->opcode);
	if (event == FZP_WS_NONE)
		return;
	size_t len = event == FZP_WS_TEXT ? arg->msg_length : 0;
	struct queued head = { .len = (uint32_t)len, .event = event };
	if (fz_bytebuf_append(&w->queue, fz_bytes_of(&head, sizeof(head))) < 0 ||
		fz_bytebuf_append(&w->queue, fz_bytes_of(arg->msg, len)) < 0)
		w->is_broken = true;
}

void fzp_ws_free(struct fzp_ws *w)
{
	if (!w)
		return;
	if (w->ctx)
		wslay_event_context_free(w->ctx);
	fz_bytebuf_done(&w->in);
	fz_bytebuf_done(&w->out);
	fz_bytebuf_done(&w->queue);
	free(w);
}

struct fzp_ws *fzp_ws_new(void (*random)(void *user, struct fz_span out), void *user)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = read_input,
		.send_callback = write_output,
		.genmask_callback = make_mask,
		.on_msg_recv_callback = on_message,
	};
	struct fzp_ws *w = fz_new(struct fzp_ws);
	if (!w)
		return NULL;
	fz_bytebuf_init(&w->in, INPUT_MAX);
	fz_bytebuf_init(&w->out, OUTPUT_MAX);
	fz_bytebuf_init(&w->queue, QUEUE_MAX);
	w->random = random;
	w->user = user;
	if (wslay_event_context_client_init(&w->ctx, &callbacks, w) != 0) {
		w->ctx = NULL;
		fzp_ws_free(w);
		return NULL;
	}
	wslay_event_config_set_max_recv_msg_length(w->ctx, FZP_WS_MESSAGE_MAX);
	return w;
}

static void consume(struct fz_bytebuf *b, size_t n)
{
	size_t max = b->max;
	fz_bytebuf_consume(b, n);
	if (b->len > 0 || b->cap <= KEEP_MAX)
		return;
	fz_bytebuf_done(b);
	fz_bytebuf_init(b, max);
}

int fzp_ws_received(struct fzp_ws *w, struct fz_bytes in)
{
	consume(&w->in, w->in_used);
	w->in_used = 0;
	return fz_bytebuf_append(&w->in, in);
}

static enum fzp_ws_event pop(struct fzp_ws *w, struct fz_bytes *ret_message)
{
	consume(&w->queue, w->popped);
	w->popped = 0;
	struct queued head;
	if (w->queue.len < sizeof(head))
		return FZP_WS_NONE;
	memcpy(&head, w->queue.p, sizeof(head));
	w->popped = sizeof(head) + head.len;
	*ret_message = fz_bytes_of(w->queue.p + sizeof(head), head.len);
	return (enum fzp_ws_event)head.event;
}

enum fzp_ws_event fzp_ws_next(struct fzp_ws *w, struct fz_bytes *ret_message)
{
	enum fzp_ws_event event = pop(w, ret_message);
	if (event != FZP_WS_NONE)
		return event;
	if (w->is_broken || wslay_event_recv(w->ctx) != 0)
		w->is_broken = true;
	event = pop(w, ret_message);
	if (event != FZP_WS_NONE)
		return event;
	/* wslay answers bad frames with a Close of its own and then reads no more. */
	if (!wslay_event_get_read_enabled(w->ctx))
		w->is_broken = true;
	return w->is_broken ? FZP_WS_BROKEN : FZP_WS_NONE;
}

int fzp_ws_send_text(struct fzp_ws *w, struct fz_bytes text)
{
	struct wslay_event_msg m = {
		.opcode = WSLAY_TEXT_FRAME, .msg = text.p, .msg_length = text.n
	};
	int r = wslay_event_queue_msg(w->ctx, &m);
	if (r == WSLAY_ERR_NOMEM)
		return -ENOMEM;
	if (r != 0)
		return -EPIPE;
	return wslay_event_send(w->ctx) == 0 ? 0 : FZ_ERR_LIMIT;
}

void fzp_ws_send_close(struct fzp_ws *w, uint16_t code)
{
	if (wslay_event_queue_close(w->ctx, code, NULL, 0) == 0)
		(void)wslay_event_send(w->ctx);
}

struct fz_bytes fzp_ws_output(struct fzp_ws *w)
{
	if (wslay_event_want_write(w->ctx))
		(void)wslay_event_send(w->ctx);
	return fz_bytebuf_bytes(&w->out);
}

void fzp_ws_output_taken(struct fzp_ws *w, size_t n)
{
	fz_bytebuf_consume(&w->out, n);
}
