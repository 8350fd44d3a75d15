#!/usr/bin/env bash
# Two clients at one gateway: each has its own grants, and one that claims the other's address is not believed.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and two clients come up" eval 'pair_up && client_up client2'
check "both download at once" eval 'downloads client 5M & a=$!; downloads client2 5M && wait $a'
from_port() { fetch "$1" "$WEB/slow/100k/50k" --local-port 40000 -o /dev/null; }
check "the same source port of both at the same time" eval 'from_port client & a=$!; from_port client2 && wait $a'
ctl deny office forbidden
ctl reject @client office
check "one loses its grant" within 15 reaches_not client
check "the other keeps its own" reaches client2
ctl allow

address() { on "$1" ip -4 -o address show dev tun-firezone | awk '{ print $4 }' | cut -d / -f 1; }
ONE=$(address client) TWO=$(address client2)
echo "addresses: $ONE $TWO"
check "they have addresses of their own" test -n "$ONE" -a "$ONE" != "$TWO"
on client2 ip address add "$ONE/32" dev tun-firezone
check "one that claims the other's address gets no answer" not on client2 ping -n -q -c 3 -i 0.3 -W 1 -I "$ONE" 10.20.0.53
check "and with its own it does" on client2 ping -n -q -c 2 -W 3 -I "$TWO" 10.20.0.53
check "a client does not reach another one" not on client ping -n -q -c 2 -W 1 "$TWO"
finish
