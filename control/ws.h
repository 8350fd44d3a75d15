/*
 * WebSocket framing (RFC 6455) as a machine of bytes: wslay does the framing, this hides its callbacks. Text messages
 * in and out, pings answered, close handled. Sans-I/O; one owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

/* As much as upstream's own devices take: an init with every list at its maximum (control/objects.h) fits. */
#define FZP_WS_MESSAGE_MAX (64u << 20)

struct fzp_ws;

enum fzp_ws_event {
	FZP_WS_NONE, /* nothing more until more bytes arrive */
	FZP_WS_TEXT, /* one whole message, fragments joined */
	FZP_WS_BINARY, /* to be ignored by the caller */
	FZP_WS_CLOSED, /* the peer closed; our answer is in the output */
	FZP_WS_BROKEN, /* framing, UTF-8 or size violated: drop the connection */
};

/* `random` feeds frame masks (RFC 6455, 5.3). NULL without memory. */
void fzp_ws_free(struct fzp_ws *w);
struct fzp_ws *fzp_ws_new(void (*random)(void *user, struct fz_span out), void *user)
	FZ_NONNULL(1) FZ_MUST_CHECK;

/* Feeds received bytes; 0, -ENOMEM or FZ_ERR_LIMIT (then the connection is lost). */
int fzp_ws_received(struct fzp_ws *w, struct fz_bytes in) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Call until NONE, CLOSED or BROKEN. `*ret_message` is borrowed until the next call. */
enum fzp_ws_event fzp_ws_next(struct fzp_ws *w, struct fz_bytes *ret_message)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Queues a text message; 0 or negative errno. */
int fzp_ws_send_text(struct fzp_ws *w, struct fz_bytes text) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Queues a Close frame. If it cannot be had, the end of the connection says the same. */
void fzp_ws_send_close(struct fzp_ws *w, uint16_t code) FZ_NONNULL(1);
/* What is to be written to the connection: borrowed until the next call; then say how much was taken. */
struct fz_bytes fzp_ws_output(struct fzp_ws *w) FZ_NONNULL(1);
void fzp_ws_output_taken(struct fzp_ws *w, size_t n) FZ_NONNULL(1);
