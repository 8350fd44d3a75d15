/*
 * The text protocol that wg(8) speaks with a userspace device: `get=1` and `set=1` over a stream of lines. A machine of
 * bytes: it is fed what a client wrote and asked what the client should read; it neither waits nor allocates while it
 * works. What only a shell can do (bind a port, mark sockets, resolve an interface name) comes out as a question.
 *
 * Grammar: the cross-platform interface of wireguard.com/xplatform. errno is negative in the reply to `set` and
 * positive in the reply to `get`, because that is what wg(8) makes sense of. Lines take effect as they come; one that
 * is refused is answered at once, and the rest of its request is passed over. Secrets are wiped behind each line.
 *
 * Thread: one (control). The device must be locked around feed, answer, output and end, and peers must not be removed
 * behind the back of a client that is being answered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"
#include "wg/device.h"

/* The longest line that can mean anything is under half of this; a longer one is refused, never stored. */
#define UAPI_LINE_MAX   256
/* The least room for uapi_client_output; each item (a peer's head, an allowed-IP) fits. */
#define UAPI_OUTPUT_MIN 1024

struct uapi; /* one per device */
struct uapi_client; /* one per connection */

void uapi_free(struct uapi *u); /* after its clients; accepts NULL */
struct uapi *uapi_new(struct wg_device *device) FZ_NONNULL(1) FZ_MUST_CHECK;
/* What `get` shall say about the sockets; 0 is not shown. */
void uapi_note_sockets(struct uapi *u, uint16_t listen_port, uint32_t fwmark) FZ_NONNULL(1);

enum uapi_want {
	UAPI_WANT_INPUT, /* feed, or end */
	UAPI_WANT_OUTPUT, /* output */
	UAPI_WANT_ANSWER, /* question, then answer */
	UAPI_WANT_CLOSE, /* nothing more to say */
};

enum uapi_ask {
	UAPI_ASK_PORT, /* listen on `number` (0: any); answer 0 or negative errno */
	UAPI_ASK_MARK, /* mark sockets with `number`; the same */
	UAPI_ASK_ZONE, /* index of interface `zone`; anything below 1: there is none */
};

struct uapi_question {
	enum uapi_ask ask;
	uint32_t number;
	const char *zone; /* borrowed until the answer */
};

void uapi_client_free(struct uapi_client *c);
struct uapi_client *uapi_client_new(struct uapi *u) FZ_NONNULL(1) FZ_MUST_CHECK;
enum uapi_want uapi_client_want(const struct uapi_client *c) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Between two requests: nothing read of the next, nothing left to write. */
bool uapi_client_is_idle(const struct uapi_client *c) FZ_NONNULL(1) FZ_MUST_CHECK;
/* How much was used: all, unless something else is wanted first. The caller wipes `in` afterwards. */
size_t uapi_client_feed(struct uapi_client *c, struct fz_now now, struct fz_bytes in)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* The client will write no more. */
void uapi_client_end(struct uapi_client *c) FZ_NONNULL(1);
struct uapi_question uapi_client_question(const struct uapi_client *c) FZ_NONNULL(1);
void uapi_client_answer(struct uapi_client *c, struct fz_now now, int64_t answer) FZ_NONNULL(1);
/* The next piece of the reply, at least one byte if output is wanted. The caller wipes it after it is sent. */
size_t uapi_client_output(struct uapi_client *c, struct fz_now now, struct fz_span out)
	FZ_NONNULL(1) FZ_MUST_CHECK;
