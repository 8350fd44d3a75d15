#!/usr/bin/env bash
# A network without UDP: the client says so, lives, and is there at once when UDP passes again.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

says() { # TEXT VERB...
	local text=$1 all
	shift
	all=$(on client "$BIN/firezonectl" "$@" 2>&1)
	echo "$all"
	grep -qi -- "$text" <<<"$all"
}
check "a gateway comes up" gateway_up
lab nat client udp-blocked
check "a client without UDP comes up" client_up
check "it does not reach the resource" reaches_not client
check "its status says why" within 15 says 'no relay answers.*UDP' status
check "and so does the explanation" within 5 says 'no relay answers.*UDP' explain 10.20.0.10:80
check "the portal is still there" throughout 5 is_state client up
client=$(pid_of client firezoned)
check "the client lives" kill -0 "$client"
check "and has logged it once" test "$(grep -c '^warning: no-relays' "/run/fzlab/$FZ_LAB/log/client.firezoned")" -eq 1
lab nat client restricted
check "with UDP again, the resource is reached" within 30 reaches client
check "a download is whole" downloads client 1M
check "its status has nothing to complain of" within 10 not says 'UDP' status

lab nat client udp-blocked
check "blocked in mid-session, the resource is lost" within 10 reaches_not client
check "its status says why" within 40 says 'no relay answers' status
lab nat client restricted
check "and it comes back by itself" within 30 reaches client
check "it is still the same process" kill -0 "$client"
expect_log '^warning: no-relays '
finish
