#!/usr/bin/env bash
# netns.sh 1 to 7: ping floods, TCP and UDP of both families, several connections at once, huge MTU, outer IPv6, exact
# counters, padding and the route's MTU.
. "$(dirname "$0")/lib.sh"
begin
check "two devices start" pair ours ours

server() { job "$1" "$WORK/server" iperf3 -s -1 -B "$2" && within 10 listening "$1"; }
listening() { at "$1" ss -Hltn 'sport = :5201' | grep -q .; }
iperf() { # FROM TO ADDRESS WORDS...
	local from=$1 to=$2 address=$3
	shift 3
	server "$to" "$address" && at "$from" timeout 30 iperf3 -c "$address" -t 1 "$@"
}
everything() { # a word for the sentences
	check "$1: IPv4 ping flood from a" floods a 10.9.0.2
	check "$1: IPv4 ping flood from b" floods b 10.9.0.1
	check "$1: IPv6 ping flood from a" floods a fd09::2
	check "$1: IPv6 ping flood from b" floods b fd09::1
	check "$1: TCP over IPv4" iperf a b 10.9.0.2
	check "$1: TCP over IPv6" iperf b a fd09::1
	check "$1: UDP over IPv4" iperf b a 10.9.0.1 -u -b 20M
	check "$1: UDP over IPv6" iperf a b fd09::2 -u -b 20M
	check "$1: TCP connections at once" iperf a b 10.9.0.2 -P 4
	check "$1: a file arrives as it was" sends a b fd09::2
}
mtu() { at a ip link set "$(dev a)" mtu "$1" && at b ip link set "$(dev b)" mtu "$1"; }

everything "outside IPv4"
wgset a peer "${PUB[b]}" endpoint "$(endpoint6 b)"
everything "outside IPv6"
check "the endpoint is IPv6 on the other side too" endpoint_is b a "$(endpoint6 a)"

big=$((34816 - 1500 + 1420))
mtu "$big"
everything "MTU $big"
wgset a peer "${PUB[b]}" endpoint "$(endpoint4 b)"
everything "MTU $big over IPv4"
mtu 1420

# ---- exact counters: 20 pings of 56 + 28 bytes are padded to 96, and 32 more are the message's own ----
bytes() { echo "$(field a b 6) $(field a b 7)"; }
counters() {
	local before after
	pings4 a b >/dev/null || return 1
	before=($(bytes))
	at a ping -n -q -c 20 -i 0.01 10.9.0.2 >/dev/null || return 1
	after=($(bytes))
	echo "received $((after[0] - before[0])) sent $((after[1] - before[1])), 2560 expected"
	[[ $((after[0] - before[0])) -eq 2560 && $((after[1] - before[1])) -eq 2560 ]]
}
check "every byte is counted, headers and padding as well" within 3 counters
now() { local d=$(($(date +%s) - $(handshake a b))); ((d >= 0 && d < 200)); }
check "the handshake's time is the wall clock's" now

# ---- padding goes up to the link's MTU and no further: outside, 1360 bytes are the most that is let through ----
at b nft -f - <<'NFT'
table ip small {
	chain in {
		type filter hook input priority 0
		meta length > 1360 drop
	}
}
NFT
mtu 1420
check "a packet too large for the wire is lost" not at a ping -n -q -c 1 -W 1 -s 1280 10.9.0.2
mtu 1299
check "at a smaller MTU nothing is padded beyond it" at a ping -n -q -c 1 -W 3 -s 1269 10.9.0.2
at b nft delete table ip small
mtu 1420

# 65475 and the 32 bytes of a message fill the largest UDP datagram of IPv4.
for m in 576 1280 1500 8920 65475; do
	mtu "$m" || continue
	check "MTU $m: ping of that size" at a ping -n -q -c 2 -W 3 -s "$((m - 28))" 10.9.0.2
	check "MTU $m: a file arrives as it was" sends a b 10.9.0.2 2
done
mtu 65535
check "MTU 65535: what does not fit into a datagram is lost" not at a ping -n -q -c 1 -W 1 -s 65507 10.9.0.2
check "MTU 65535: and what fits is not" at a ping -n -q -c 2 -W 3 -s 60000 10.9.0.2
check "a ends in order" stop a
check "b ends in order" stop b
finish
