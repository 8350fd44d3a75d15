#!/usr/bin/env bash
# netns.sh 13 to 19: a tunnel through a tunnel, routing loops, NAT with short memory, marks and rules, a default route as
# wg-quick makes it, an unreachable host told through NAT.
. "$(dirname "$0")/lib.sh"

sent_by() { at a wg show "$(dev "$1")" transfer | awk '{ n += $3 } END { print n }'; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
# In a loop a packet may come out of the tunnel itself, and a peer is where it was heard last: then both ends are inside, and the
# loop feeds itself. So both go down, which ends it, and are told anew where the other is.
out_of_the_loop() {
	at a ip link set "$(dev x)" down
	at b ip link set "$(dev y)" down
	at a wg set "$(dev x)" peer "$(wg pubkey <<<"${KEY[y]}")" endpoint 10.9.0.2:7002
	at b wg set "$(dev y)" peer "$(wg pubkey <<<"${KEY[x]}")" endpoint 10.9.0.1:7001
	at a ip link set "$(dev x)" up
	at b ip link set "$(dev y)" up
}

through_itself() { # 13: c's packets go through a's device; 14, 17: loops end
	local before sent PIDX
	check "13: two devices start" pair ours ours
	check "13: they speak" within 10 pings4 a b
	KEY[x]=$(wg genkey) KEY[y]=$(wg genkey)
	job a "$WORK/x.log" "$BIN/firezone-wg" -f "$(dev x)"
	PIDX=$JOB
	job b "$WORK/y.log" "$BIN/firezone-wg" -f "$(dev y)"
	within 10 at a wg show "$(dev x)" >/dev/null 2>&1
	within 10 at b wg show "$(dev y)" >/dev/null 2>&1
	at a wg set "$(dev x)" private-key <(echo "${KEY[x]}") listen-port 7001 peer "$(wg pubkey <<<"${KEY[y]}")" \
		allowed-ips 10.8.0.2/32 endpoint 10.9.0.2:7002
	at b wg set "$(dev y)" private-key <(echo "${KEY[y]}") listen-port 7002 peer "$(wg pubkey <<<"${KEY[x]}")" \
		allowed-ips 10.8.0.1/32 endpoint 10.9.0.1:7001
	at a ip address add 10.8.0.1/24 dev "$(dev x)"
	at b ip address add 10.8.0.2/24 dev "$(dev y)"
	at a ip link set "$(dev x)" mtu 1340 up
	at b ip link set "$(dev y)" mtu 1340 up
	check "13: a tunnel through a tunnel" within 10 at a ping -n -q -c 3 -i 0.2 -W 3 10.8.0.2
	check "13: with a file" sends a b 10.8.0.2 2

	# The endpoint is routed into the device itself: every packet comes back. The device knows its own datagrams and drops them.
	before=$(rss "${PIDX}") sent=$(sent_by x)
	at a wg set "$(dev x)" peer "$(wg pubkey <<<"${KEY[y]}")" endpoint 10.8.0.2:7002
	at a ping -n -q -c 1 -W 1 -s 100 10.8.0.2 >/dev/null
	at a ping -n -q -c 1 -W 1 -s 4000 10.8.0.2 >/dev/null # in fragments, too
	echo "     through the loop went $(($(sent_by x) - sent)) bytes"
	check "14: a routing loop is cut short" test "$(sent_by x)" -lt $((sent + 70000))
	check "14: in a routing loop the device still listens to wg(8)" timeout 5 ip netns exec "$(space_of a)" wg show "$(dev x)"
	check "14: and does not grow" test "$(rss "$PIDX")" -lt $((before + 8192))
	out_of_the_loop
	check "14: without the loop it carries again" within 20 at a ping -n -q -c 3 -i 0.2 -W 2 10.8.0.2
	# Two devices, each routed through the other.
	wgset a peer "${PUB[b]}" endpoint 10.8.0.2:"${LISTEN[b]}"
	check "17: an onion of loops carries nothing" not at a ping -n -q -c 2 -i 0.2 -W 1 10.9.0.2
	wgset a peer "${PUB[b]}" endpoint "$(endpoint4 b)"
	out_of_the_loop
	check "17: and when it is undone all is as before" within 20 pings4 a b
	check "17: inside as well" within 20 at a ping -n -q -c 2 -W 2 10.8.0.2
	finish
}

behind_nat() { # 15: a (192.168.1.1) behind r (192.168.1.2 | 192.0.2.3), b outside; 19 on the same wires
	spaces a b c
	wire a c
	wire c b
	at a ip address add 192.168.1.1/24 dev to-c
	at c ip address add 192.168.1.2/24 dev to-a
	outside c to-b
	outside b to-c
	at a ip route add default via 192.168.1.2
	at c sysctl -qw net.ipv4.ip_forward=1
	at c nft -f - <<'NFT'
table ip nat {
	chain post {
		type nat hook postrouting priority 100
		ip saddr 192.168.1.0/24 masquerade
	}
}
NFT
	at c sysctl -qw net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2 || skip "allowed: no connection tracking in this kernel"
	check "15: two devices start" start a
	start b
	identity a
	identity b
	knows a b endpoint "$(endpoint4 b)" persistent-keepalive 1
	knows b a
	check "15: they speak through NAT" within 10 pings4 a b
	sleep 4
	check "15: after the NAT's memory would be gone b still reaches a" pings4 b a
	wgset a peer "${PUB[b]}" persistent-keepalive 0
	sleep 4
	check "15: and without keepalives it does not" not pings4 b a

	# 19: the peer is unknown and the packet's source was translated: the answer must find its sender.
	at c sysctl -qw net.netfilter.nf_conntrack_udp_timeout=30 net.netfilter.nf_conntrack_udp_timeout_stream=120
	check "19: a peer without an endpoint makes hosts unreachable" unreachable
	finish
}
unreachable() {
	wgset a peer "${PUB[b]}" remove
	knows a b
	at a ping -n -c 1 -W 2 10.9.0.2 >"$WORK/ping"
	cat "$WORK/ping"
	grep -qE '^From 10\.9\.0\.2 icmp_seq=1 Destination Host Unreachable$' "$WORK/ping" || return 1
	at a ping -n -c 1 -W 2 fd09::2 >"$WORK/ping"
	cat "$WORK/ping"
	grep -qE '^From fd09::2 icmp_seq=1 Destination unreachable: Address unreachable$' "$WORK/ping"
}

unreachable_through_nat() { # 19 in full: b forwards for a, and its device takes nobody's packets for 10.77.0.1
	spaces a b
	wired a b
	at b sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	check "19: a device starts" start b
	identity b
	at b ip route add 10.77.0.0/16 dev "$(dev b)"
	at a ip route add 10.77.0.0/16 via 192.0.2.2
	at b ip -6 route add fd77::/16 dev "$(dev b)"
	at a ip -6 route add fd77::/16 via 2001:db8::2
	at b nft -f - <<'NFT'
table inet nat {
	chain post {
		type nat hook postrouting priority 100
		ip saddr 192.0.2.1 masquerade
		ip6 saddr 2001:db8::1 masquerade
	}
}
NFT
	told() { # ADDRESS WORDS: what comes back has the far address itself as its source
		at a ping -n -c 2 -i 0.3 -W 2 "$1" >"$WORK/ping"
		cat "$WORK/ping"
		grep -qE "^From $1:? icmp_seq=[0-9]+ $2\$" "$WORK/ping"
	}
	check "19: whom no peer takes is told unreachable through NAT" within 10 told 10.77.0.1 'Destination Host Unreachable'
	check "19: over IPv6 as well" within 10 told fd77::1 'Destination unreachable: Address unreachable'
	finish
}

by_marks() { # 16, 18: the outer packets follow the mark, everything else the tunnel
	check "16: two devices start" pair ours ours
	check "16: they speak" within 10 pings4 a b
	# A socket bound to the device; and the same when a mark in the OUTPUT chain has the packet routed anew.
	check "16: a socket bound to the device" pings a b -I "$(dev a)"
	at a nft -f - <<'NFT'
table inet mangle {
	chain out {
		type route hook output priority mangle
		meta mark set 1
	}
}
NFT
	check "16: with a mark that reroutes" pings a b
	check "16: with such a mark, bound to the device" pings a b -I "$(dev a)"
	at a nft delete table inet mangle
	wgset a fwmark 51820
	at a ip rule add fwmark 51820 blackhole priority 10
	check "16: a rule on the mark takes the packets away" not pings4 a b
	at a ip rule del fwmark 51820 blackhole priority 10
	check "16: and gives them back" within 15 pings4 a b
	at b ip address add 10.66.0.1/32 dev lo
	wgset a peer "${PUB[b]}" allowed-ips 0.0.0.0/0,::/0
	at a ip route add default dev "$(dev a)" table 51820
	at a ip rule add not fwmark 51820 table 51820
	at a ip rule add table main suppress_prefixlength 0
	check "18: everything goes through the tunnel" within 10 at a ping -n -q -c 3 -i 0.2 -W 2 10.66.0.1
	at a ping -n -q -f -c 1000 10.66.0.1 >"$WORK/flood"
	check "18: a ping flood as well" grep -q ' 0% packet loss' "$WORK/flood"
	check "18: and the tunnel itself does not" test "$(field a b 7)" -gt 100000
	finish
}

DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
at_once=() status=0
for part in through_itself behind_nat unreachable_through_nat by_marks; do
	(
		begin
		"$part"
	) </dev/null >"$DIR/$part" 2>&1 &
	at_once+=("$!")
done
for part in "${at_once[@]}"; do wait "$part" || status=1; done
cat "$DIR"/*
exit "$status"
