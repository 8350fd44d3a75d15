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
refused 400 invalid_connect_params connecting ''
refused 402 limits_exceeded connecting limit
refused 403 account_disabled connecting disabled
refused 403 unauthenticated connecting ''
refused 403 device_untrusted connecting ''
refused 403 certificate_revoked connecting ''
refused 409 device_identity_conflict connecting ''
refused 429 rate_limit connecting ''
refused 500 unhandled_connect_error connecting ''
refused 503 rate_limit connecting ''
refused 302 found connecting ''
ctl clear
check "when it no longer says no, the client comes up by itself" within 20 is_state client up
refused 401 invalid_token error token
refused 401 missing_token error token
ctl clear
check "a service's bad token is not tried again by itself" throughout 3 not is_state client up

lab stop client firezoned
check "the client comes up" client_up
ctl disconnect client certificate_revoked
check "an unknown reason ends one connection only" within 20 is_state client up
ctl disconnect client
check "token_expired ends the session" within 15 says error token
ctl clear

lab stop client firezoned
ctl refuse client 503 rate_limit times=1 retry-after=4
start=$SECONDS
check "after Retry-After the client comes up" client_up
check "and not sooner" test $((SECONDS - start)) -ge 3
finish
