#!/usr/bin/env bash
# Sticky sources: answers leave from where a peer was heard, until routes or addresses say otherwise.
. "$(dirname "$0")/process_lib.bash"
A=fzp${$}a B=fzp${$}b
for i in 1 2; do
	ip link add "fzl$i" netns "$NS" type veth peer name "fzl$i" netns "$NS2"
	ip -n "$NS" address add "10.100.$i.1/24" dev "fzl$i"
	ip -n "$NS2" address add "10.100.$i.2/24" dev "fzl$i"
	ip -n "$NS" link set "fzl$i" up
	ip -n "$NS2" link set "fzl$i" up
done
for n in "$NS" "$NS2"; do
	for what in all default fzl1 fzl2; do ip netns exec "$n" sysctl -qw "net.ipv4.conf.$what.rp_filter=0"; done
done
ip -n "$NS" address add 10.200.0.1/32 dev lo
ip -n "$NS2" address add 10.200.0.2/32 dev lo
ip -n "$NS2" address add 10.200.0.3/32 dev lo
through() { # LINK: both ways
	ip -n "$NS" route replace 10.200.0.2/31 via "10.100.$1.2" src 10.200.0.1
	ip -n "$NS2" route replace 10.200.0.1 via "10.100.$1.1" src 10.200.0.2
}
through 1
start "$A"
PA=$PID
# The other one lives over there.
LOG_LEVEL=verbose ip netns exec "$NS2" "$WG" -f "$B" </dev/null >"$WORK/$B.log" 2>&1 &
PB=$!
STARTED+=("$(process_of "$PB")")
within 10 ip netns exec "$NS2" wg show "$B"
KA=$(wg genkey) KB=$(wg genkey)
inside wg set "$A" private-key <(echo "$KA") listen-port 1 peer "$(wg pubkey <<<"$KB")" allowed-ips 10.5.0.2/32 endpoint 10.200.0.2:2
ip netns exec "$NS2" wg set "$B" private-key <(echo "$KB") listen-port 2 peer "$(wg pubkey <<<"$KA")" allowed-ips 10.5.0.1/32
ip -n "$NS" address add 10.5.0.1/24 dev "$A"
ip -n "$NS2" address add 10.5.0.2/24 dev "$B"
ip -n "$NS" link set "$A" up
ip -n "$NS2" link set "$B" up
pings() { inside ping -n -q -c 3 -i 0.2 -W 2 10.5.0.2; }
sent() { inside cat "/sys/class/net/$1/statistics/tx_packets"; }
moves_to() { # LINK: what is sent leaves there, not by the other
	local other=$((3 - $1)) before after
	before=$(sent "fzl$other")
	after=$before
	pings || return 1
	after=$(sent "fzl$other")
	echo "packets on the other link: $((after - before))"
	((after - before < 3))
}
check "traffic passes by the first link" moves_to 1
through 2
check "and follows a change of routes to the second" within 10 moves_to 2
through 1
check "and back" within 10 moves_to 1
endpoint_is() { [[ $(inside wg show "$A" endpoints | cut -f 2) == "$1" ]]; }
check "the endpoint is the address that was configured" endpoint_is 10.200.0.2:2
inside wg set "$A" peer "$(wg pubkey <<<"$KB")" endpoint 10.200.0.3:2
check "another address of the peer answers" pings
check "from that address" endpoint_is 10.200.0.3:2
ip -n "$NS2" address delete 10.200.0.3/32 dev lo
ip -n "$NS2" address add 10.200.0.4/32 dev lo
inside wg set "$A" peer "$(wg pubkey <<<"$KB")" endpoint 10.200.0.2:2
check "an address that went away is forgotten" within 10 pings
check "the first one ends in order" stop "$PA"
check "and the second" stop "$PB"
finish
