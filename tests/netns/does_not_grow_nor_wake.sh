#!/usr/bin/env bash
# Memory over a million packets (a leak takes 32 bytes a packet or more) and 1,000 handshakes; wake-ups of a device that has nothing to do.
. "$(dirname "$0")/lib.sh"
begin
check "two devices start" pair ours ours
check "they speak" within 10 pings a b
rss() { awk '/^VmRSS/ { print $2 }' "/proc/${PID[$1]}/status"; }
# Over all its threads.
wakes() { cat /proc/"${PID[$1]}"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'; }
packets() { at a timeout 200 "$PYTHON" "$HERE/net.py" burst 10.9.0.2 "$1"; } # N
packets 200000
A=$(rss a) B=$(rss b) tx=$(at a cat "/sys/class/net/$(dev a)/statistics/tx_packets")
# What finds the interface's queue full does not count.
crossed() { echo $(($(at a cat "/sys/class/net/$(dev a)/statistics/tx_packets") - tx)); }
million() { local i; for i in 1 2 3 4 5 6 7 8 9 10; do [[ $(crossed) -lt 1000000 ]] || return 0; packets 400000; done; return 1; }
check "a million packets" million
echo "     RSS: $A -> $(rss a) and $B -> $(rss b) KiB over $(crossed) packets"
check "a has not grown by 2 MiB" test "$(rss a)" -lt $((A + 2048))
check "b has not grown by 2 MiB" test "$(rss b)" -lt $((B + 2048))

hex=$(base64 -d <<<"${PUB[b]}" | od -An -v -tx1 | tr -d ' \n')
again() { at a timeout 200 "$PYTHON" "$HERE/net.py" handshakes "$SOCKETS/$(dev a).sock" "$hex" "$(endpoint4 b)" "$1"; }
again 50
A=$(rss a) B=$(rss b)
check "1,000 handshakes" again 1000
echo "     RSS: $A -> $(rss a) and $B -> $(rss b) KiB over 1,000 handshakes"
check "a has not grown by a MiB by them" test "$(rss a)" -lt $((A + 1024))
check "b has not grown by a MiB by them" test "$(rss b)" -lt $((B + 1024))

at a ip link set to-b down
wgset a peer "${PUB[b]}" remove
wgset b peer "${PUB[a]}" remove
# The host's own search for routers is no wake-up of ours.
for end in a b; do at $end sysctl -qw "net.ipv6.conf.$(dev $end).router_solicitations=0"; done
sleep 2
A=$(wakes a) B=$(wakes b)
sleep 20
echo "     wake-ups in 20 s: $(($(wakes a) - A)) and $(($(wakes b) - B))"
check "a without peers sleeps" test "$(wakes a)" -le $((A + 2))
check "b without peers sleeps" test "$(wakes b)" -le $((B + 2))
# With a peer it wakes for what the protocol wants of it: here for a keepalive each ten seconds, one sends and one hears.
at a ip link set to-b up
at a ip address add 2001:db8::1/64 dev to-b nodad 2>/dev/null
knows b a
knows a b endpoint "$(endpoint4 b)" persistent-keepalive 10
check "they speak anew" within 15 pings4 a b
sleep 11 # what the pings owe each other
# A question wakes who answers it, and its lanes: none within the time that is counted.
heard=$(field b a 6)
sleep 1
A=$(wakes a) B=$(wakes b)
sleep 40
A=$(($(wakes a) - A)) B=$(($(wakes b) - B)) heard=$((($(field b a 6) - heard) / 32))
echo "     wake-ups in 40 s: $A and $B for $heard keepalives"
check "four keepalives or so came" test "$heard" -ge 3 -a "$heard" -le 5
check "a wakes twice for each at most" test "$A" -le $((2 * heard + 2))
check "b wakes twice for each at most" test "$B" -le $((2 * heard + 2))
check "a ends in order" stop a
check "b ends in order" stop b
finish
