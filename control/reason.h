/*
 * Why there is no portal connection, in words for the user. Every HTTP status and disconnect reason of the protocol
 * has a row (docs/protocol/portal.md, "Refusals"). Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum fzp_reason {
	FZP_REASON_NONE,
	/* the way there */
	FZP_REASON_NO_NETWORK,
	FZP_REASON_RESOLVE, /* the portal's name has no address */
	FZP_REASON_CONNECT,
	FZP_REASON_TLS, /* handshake or certificate */
	FZP_REASON_TIMEOUT,
	FZP_REASON_LOST, /* an established connection ended */
	FZP_REASON_PROTOCOL, /* the answer made no sense */
	/* HTTP refusals */
	FZP_REASON_INVALID_TOKEN, /* 401 that names the token: the only ones that drop it */
	FZP_REASON_MISSING_TOKEN,
	FZP_REASON_AUTHENTICATION, /* 401 by something else, e.g. a proxy: the token is kept */
	FZP_REASON_LIMITS_EXCEEDED,
	FZP_REASON_ACCOUNT_DISABLED,
	FZP_REASON_UNAUTHENTICATED,
	FZP_REASON_DEVICE_UNTRUSTED,
	FZP_REASON_CERTIFICATE_REVOKED,
	FZP_REASON_FORBIDDEN,
	FZP_REASON_GATEWAY_CONNECTED,
	FZP_REASON_DEVICE_CONFLICT,
	FZP_REASON_INVALID_PARAMS,
	FZP_REASON_RATE_LIMIT,
	FZP_REASON_REDIRECT,
	FZP_REASON_REFUSED, /* any other 4xx */
	FZP_REASON_PORTAL_ERROR, /* 5xx */
	/* after the upgrade */
	FZP_REASON_JOIN_REFUSED,
	FZP_REASON_JOIN_TIMEOUT,
	FZP_REASON_HEARTBEAT, /* the portal stopped answering */
	FZP_REASON_DISMISSED, /* disconnect{token_expired}: whether it is true, the next attempt tells */
	FZP_REASON_TOKEN_EXPIRED, /* it was: the next attempt was refused for the token */
	FZP_REASON_PARTITION, /* away for longer than was allowed */
	FZP_REASON_COUNT_
};

struct fzp_reason_info {
	const char *code; /* stable, lower case with underscores */
	const char *text; /* what happened */
	const char *hint; /* what to do */
	bool ends_session; /* not retried: sign in again */
	bool drops_token;
};

/* Never NULL. */
const struct fzp_reason_info *fzp_reason_info(enum fzp_reason r) FZ_RETURNS_NONNULL;
/* `body` is the refusal's body, a problem+json document if `is_problem`. */
enum fzp_reason fzp_reason_of_http(
	uint16_t status, bool is_problem, struct fz_bytes body) FZ_MUST_CHECK;
