#!/usr/bin/env bash
# A download goes on while the client's network becomes another one: another address, another box, an explicit reset.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" within 20 downloads client 1M
outer() { on internet cat "/sys/class/net/to-nat-$1/statistics/rx_packets"; }
keys() { grep -o '"path": "/client/v2/websocket[^"]*public_key=[^"]*' "/run/fzlab/$FZ_LAB/transcript.jsonl" | sed 's/.*=//' | sort -u | wc -l; }

slowly client 40M 2M
sleep 2
check "the client's host gets another address" eval 'on client ip address del 192.168.31.2/24 dev to-nat-client &&
	on client ip -6 address del 2001:db8:31::2/64 dev to-nat-client &&
	on client ip address add 192.168.31.77/24 dev to-nat-client &&
	on client ip -6 address add 2001:db8:31::77/64 dev to-nat-client nodad &&
	on client ip route replace default via 192.168.31.1 && on client ip -6 route replace default via 2001:db8:31::1'
check "and reaches the resource from there" within 30 reaches client
before=$(outer client2)
check "it moves to another network" lab roam client client2
check "and reaches the resource from there" within 30 reaches client
check "by that network's way" test $(($(outer client2) - before)) -gt 20
check "the client is up" within 20 is_state client up
n=$(keys)
check "a reset is asked for" on client "$BIN/firezonectl" reset
check "and the resource is reached" within 30 reaches client
check "with a key of its own" within 10 eval '(($(keys) > n))'
check "it comes home" lab roam client client
check "and reaches the resource" within 30 reaches client
check "the download that saw all of it ends whole" finished_well
check "the client is up" within 20 is_state client up
# coturn keeps an allocation for whom it was made: back at an address of before, with another key and name, none is had there.
expect_log '^warning: no-relays '
finish
