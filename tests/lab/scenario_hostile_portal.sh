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

ctl flood 1000000
ctl abort client
sleep 8
rss() { [[ $(awk '/VmHWM/ { print $2 }' "/proc/$client/status") -lt 400000 ]]; }
check "a million resources do not eat the memory" rss
check "nobody ended" alive
ctl clear
check "the client comes back" within 90 is_state client up
check "a download works" downloads client 1M
expect_log '^warning: (portal-down|portal-message|message-skipped|resources-left-out) '
finish
