/*
 * As much HTTP/1.1 (RFC 9112) as a WebSocket handshake (RFC 6455, 4.1) needs: one request, one response head, and
 * the body of a refusal (RFC 9457). Sans-I/O; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"

#define FZP_HEAD_MAX 16384
#define FZP_BODY_MAX 16384

struct fzp_upgrade {
	const char *host; /* without port, as upstream sends it */
	const char *target;
	const char *key; /* Sec-WebSocket-Key: base64 of 16 random bytes */
	struct fz_bytes token; /* white space is left out; empty: no header */
	const char *user_agent;
};

/* Writes the request; w->bad if it did not fit. */
void fzp_upgrade_request(struct fz_writer *w, const struct fzp_upgrade *u) FZ_NONNULL(1, 2);

enum fzp_head_verdict { FZP_HEAD_MORE, FZP_HEAD_OK, FZP_HEAD_BAD };

struct fzp_head {
	uint16_t status;
	size_t len; /* of the head, with its empty line */
	bool is_chunked; /* then content_length says nothing */
	bool has_length;
	uint64_t content_length;
	bool is_problem; /* application/problem+json, readable as it comes */
	bool upgrades; /* Upgrade: websocket and Connection: upgrade */
	char accept[64]; /* Sec-WebSocket-Accept, "" if absent */
	char retry_after[64]; /* as sent, "" if absent */
};

/* Looks at what has arrived so far. `*ret_head` is set for OK only. */
enum fzp_head_verdict fzp_head_parse(struct fz_bytes in, struct fzp_head *ret_head)
	FZ_NONNULL(2) FZ_MUST_CHECK;

/*
 * A chunked body (RFC 9112, 7.1) as far as it has arrived: what it carries goes to `w`, if there is one; w->bad if it did
 * not fit, and then what did is there. OK: it is complete.
 */
enum fzp_head_verdict fzp_chunked_read(struct fz_bytes in, struct fz_writer *w) FZ_MUST_CHECK;

/* Retry-After (RFC 9110, 10.2.3): seconds or an HTTP date, a past one gives 0. False if it is neither. At most a day. */
bool fzp_retry_after(const char *text, fz_wall now, fz_dur *ret_wait)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
