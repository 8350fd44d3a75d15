#!/usr/bin/env bash
# Every way the portal says no, and what the user is told: the state, the reason in words, whether it is tried again.
source "$(dirname "$0")/lib.sh"
begin firezoned firezonectl

says() { # STATE TEXT: state and a part of what is said about it
	local all
	all=$(on client "$BIN/firezonectl" status --json 2>&1)
	echo "$all"
	[[ $(field client state | tr A-Z a-z) == "$1" ]] && grep -qi -- "$2" <<<"$all"
}
refused() { # STATUS CODE STATE TEXT
	lab stop client firezoned
	ctl clear
	ctl refuse client "$1" "$2" >/dev/null
	lab client client
	check "$1 $2: $3, \"$4\"" within 15 says "$3" "$4"
}

check "the client comes up" client_up
refused 400 invalid_connect_params connecting "refused the connection's parameters"
refused 402 limits_exceeded connecting "over its plan's limits"
refused 403 account_disabled connecting 'account is disabled'
refused 403 unauthenticated connecting 'does not accept this sign-in'
refused 403 device_untrusted connecting 'not trusted by the account'
refused 403 something_new connecting 'refuses this device'
refused 403 certificate_revoked connecting 'certificate was revoked'
refused 409 device_identity_conflict connecting 'Another device claims this identity'
refused 429 rate_limit connecting 'asks to wait'
refused 500 unhandled_connect_error connecting 'problem of its own'
refused 503 rate_limit connecting 'asks to wait'
refused 302 found connecting 'answers with a redirect'
ctl clear
check "when it no longer says no, the client comes up by itself" within 20 is_state client up
refused 401 invalid_token error 'token was refused'
refused 401 missing_token error 'received no token'
ctl clear
check "a service's bad token is not tried again by itself" throughout 3 not is_state client up

lab stop client firezoned
check "the client comes up" client_up
ctl disconnect client certificate_revoked
check "an unknown reason ends one connection only" within 20 is_state client up
before=$(ctl status | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["counts"]["upgrades"])')
came_again() { [[ $(ctl status | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["counts"]["upgrades"])') -gt $before ]]; }
ctl disconnect client
check "token_expired alone makes the client ask again" within 15 came_again
check "and with a good token it is let in" within 20 is_state client up
ctl refuse client 401 invalid_token
ctl disconnect client
check "with one that is refused the session ends" within 15 says error 'session has ended'
ctl clear

lab stop client firezoned
ctl refuse client 503 rate_limit times=1 retry-after=4
start=$SECONDS
check "after Retry-After the client comes up" client_up
check "and not sooner" test $((SECONDS - start)) -ge 3
expect_log '^(err|warning): session-ended '
finish
