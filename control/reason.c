/* The table of reasons and the mapping from HTTP refusals (RFC 9457 codes). */
#include "control/reason.h"

#include <string.h>

#include "control/json.h"

#define RETRIES "Nothing to do: it is tried again."

/* clang-format off */
static const struct fzp_reason_info infos[FZP_REASON_COUNT_] = {
	[FZP_REASON_NONE] = { "none", "", "", false, false },
	[FZP_REASON_NO_NETWORK] = { "no_network", "There is no network.", "Connect to a network.", false, false },
	[FZP_REASON_RESOLVE] = { "resolve_failed", "The portal's name could not be resolved.", "Check DNS and the portal's URL.", false, false },
	[FZP_REASON_CONNECT] = { "connect_failed", "The portal could not be reached.", "Check the network, the firewall and the portal's URL.", false, false },
	[FZP_REASON_TLS] = { "tls_failed", "The portal's certificate or TLS handshake was not accepted.", "Check the clock; for a private CA set FIREZONE_CA_FILE.", false, false },
	[FZP_REASON_TIMEOUT] = { "timeout", "The portal did not answer in time.", RETRIES, false, false },
	[FZP_REASON_LOST] = { "connection_lost", "The connection to the portal was lost.", RETRIES " Tunnels go on.", false, false },
	[FZP_REASON_PROTOCOL] = { "protocol_error", "The portal's answer could not be understood.", "Check that the URL is that of a Firezone portal.", false, false },
	[FZP_REASON_INVALID_TOKEN] = { "invalid_token", "The token was refused: it is expired, deleted or of another kind.", "Sign in again, or import a new token.", true, true },
	[FZP_REASON_MISSING_TOKEN] = { "missing_token", "The portal received no token.", "Sign in, or import a token.", true, true },
	[FZP_REASON_AUTHENTICATION] = { "authentication_failed", "Something on the way to the portal asks for authentication.", "Check for a proxy or captive portal; the token is kept.", false, false },
	[FZP_REASON_LIMITS_EXCEEDED] = { "limits_exceeded", "The account is over its plan's limits.", "Ask the account's administrator.", false, false },
	[FZP_REASON_ACCOUNT_DISABLED] = { "account_disabled", "The account is disabled.", "Ask the account's administrator.", false, false },
	[FZP_REASON_UNAUTHENTICATED] = { "unauthenticated", "The portal does not accept this sign-in.", "Ask the account's administrator.", false, false },
	[FZP_REASON_DEVICE_UNTRUSTED] = { "device_untrusted", "This device is not trusted by the account.", "Ask the account's administrator.", false, false },
	[FZP_REASON_CERTIFICATE_REVOKED] = { "certificate_revoked", "This device's certificate was revoked.", "Ask the account's administrator.", false, false },
	[FZP_REASON_FORBIDDEN] = { "forbidden", "The portal refuses this device.", "Ask the account's administrator.", false, false },
	[FZP_REASON_GATEWAY_CONNECTED] = { "gateway_already_connected", "A gateway with this id is already connected.", "Give each gateway an id of its own (FIREZONE_ID).", false, false },
	[FZP_REASON_DEVICE_CONFLICT] = { "device_identity_conflict", "Another device claims this identity.", "Give each device an id of its own (FIREZONE_ID).", false, false },
	[FZP_REASON_INVALID_PARAMS] = { "invalid_connect_params", "The portal refused the connection's parameters.", "Update this program; report it if it stays.", false, false },
	[FZP_REASON_RATE_LIMIT] = { "rate_limit", "The portal asks to wait.", RETRIES, false, false },
	[FZP_REASON_REDIRECT] = { "redirect", "The portal's URL answers with a redirect, which is not followed.", "Check the portal's URL.", false, false },
	[FZP_REASON_REFUSED] = { "refused", "The portal refused the connection.", "Check the portal's URL.", false, false },
	[FZP_REASON_PORTAL_ERROR] = { "portal_error", "The portal has a problem of its own.", RETRIES, false, false },
	[FZP_REASON_JOIN_REFUSED] = { "join_refused", "The portal refused to open the session.", RETRIES, false, false },
	[FZP_REASON_JOIN_TIMEOUT] = { "join_timeout", "The portal did not open the session in time.", RETRIES, false, false },
	[FZP_REASON_HEARTBEAT] = { "heartbeat_lost", "The portal stopped answering.", RETRIES " Tunnels go on.", false, false },
	[FZP_REASON_DISMISSED] = { "dismissed", "The portal ended the session.", RETRIES " The portal then says whether the token has expired.", false, false },
	[FZP_REASON_TOKEN_EXPIRED] = { "token_expired", "The session has ended.", "Sign in again, or import a new token.", true, true },
	[FZP_REASON_PARTITION] = { "partitioned", "The portal could not be reached for longer than max_partition_time.", "Check the network, then: firezonectl up", true, false },
};

/* clang-format on */

const struct fzp_reason_info *fzp_reason_info(enum fzp_reason r)
{
	return (unsigned)r < FZP_REASON_COUNT_ ? &infos[r] : &infos[FZP_REASON_NONE];
}

static enum fzp_reason by_code(uint16_t status, const char *code)
{
	static const struct {
		uint16_t status;
		enum fzp_reason reason;
	} rows[] = {
		{ 401, FZP_REASON_INVALID_TOKEN },
		{ 401, FZP_REASON_MISSING_TOKEN },
		{ 402, FZP_REASON_LIMITS_EXCEEDED },
		{ 403, FZP_REASON_ACCOUNT_DISABLED },
		{ 403, FZP_REASON_UNAUTHENTICATED },
		{ 403, FZP_REASON_DEVICE_UNTRUSTED },
		{ 403, FZP_REASON_CERTIFICATE_REVOKED },
		{ 409, FZP_REASON_GATEWAY_CONNECTED },
		{ 409, FZP_REASON_DEVICE_CONFLICT },
		{ 400, FZP_REASON_INVALID_PARAMS },
		{ 503, FZP_REASON_RATE_LIMIT },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++)
		if (rows[i].status == status && strcmp(infos[rows[i].reason].code, code) == 0)
			return rows[i].reason;
	return FZP_REASON_NONE;
}

enum fzp_reason fzp_reason_of_http(uint16_t status, bool is_problem, struct fz_bytes body)
{
	if (is_problem) {
		FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(body);
		const char *code;
		if (fzp_json_text(root, "code", 128, &code)) {
			enum fzp_reason r = by_code(status, code);
			if (r != FZP_REASON_NONE)
				return r;
		}
	}
	switch (status) {
	case 401: return FZP_REASON_AUTHENTICATION;
	case 402: return FZP_REASON_LIMITS_EXCEEDED;
	case 403: return FZP_REASON_FORBIDDEN;
	case 429: return FZP_REASON_RATE_LIMIT;
	}
	if (status >= 500)
		return FZP_REASON_PORTAL_ERROR;
	if (status >= 400)
		return FZP_REASON_REFUSED;
	return status >= 300 ? FZP_REASON_REDIRECT : FZP_REASON_PROTOCOL;
}
