#!/usr/bin/env bash
# A portal that means harm, or has lost its mind: the daemons live, say so, and recover when it has come to its senses.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" downloads client 1M
client=$(pid_of client firezoned) gateway=$(pid_of gateway firezone-gateway)
alive() { kill -0 "$client" && kill -0 "$gateway"; }

for words in 'text * {' 'text * []' 'text * {"topic":1}' 'binary * 00ff00ff' 'ping * 6869' 'push * brand_new {"a":1}' 'push * init {}' \
	'push * init []' 'push * phx_error {}' 'push * resource_created_or_updated {"id":"x"}' 'push * relays_presence {"connected":5}' \
	'push * ice_candidates {"gateway_id":"x","candidates":["nonsense"]}'; do
	# shellcheck disable=SC2086 # words
	ctl $words >/dev/null
done
check "malformed messages are skipped" throughout 2 reaches client
check "nobody ended" alive
for raw in ff 0000 c1000000 8180 817fffffffffffffffff 88010102; do
	ctl bytes '*' "$raw" >/dev/null
	within 20 joined client && within 20 joined gateway
done
check "broken framing costs a connection, no more" within 20 joined client
check "nobody ended" alive
check "what flowed goes on" reaches client

ctl garbage '*' 485454502f312e3120313031200d0a0d0a times=1
ctl abort '*'
check "a strange answer is tried again" within 20 joined client
ctl hang '*' times=2
ctl abort '*'
check "no answer is given up" within 60 joined client
check "and by the gateway" within 60 joined gateway

upgrades() { ctl status | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["counts"]["upgrades"])'; }
came_again() { [[ $(upgrades) -ge $(($1 + 2)) ]]; } # once for the abort, once because the init was too long
before=$(upgrades)
ctl flood 1000000
ctl abort client
check "an init of a million resources costs the connection" within 60 came_again "$before"
rss() { [[ $(awk '/VmHWM/ { print $2 }' "/proc/$client/status") -lt 400000 ]]; }
check "a million resources do not eat the memory" rss
check "nobody ended" alive
ctl clear
check "the client comes back" within 90 is_state client up

# One by one they are never longer than a message may be; there are no more of them than a list may have.
ctl upserts client 40000 >/dev/null
is_full() { grep -q 'resource-left-out' "/run/fzlab/$FZ_LAB/log/client.firezoned"; }
check "upserts without end are taken up to a limit" within 60 is_full
check "they do not eat the memory either" rss
check "nobody ended" alive
check "what flowed goes on" reaches client
ctl abort client
check "the next init puts it right" within 60 is_state client up
check "a download works" downloads client 1M
expect_log '^warning: (portal-down|portal-message|message-skipped|resources?-left-out) '
finish
