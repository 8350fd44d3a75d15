#!/usr/bin/env bash
# netns.sh 20 to 23: the source of outer packets sticks while it exists and is right, and no longer.
. "$(dirname "$0")/lib.sh"
begin
check "two devices start" pair ours ours
check "they speak" within 10 pings a b
# 20: the address goes, comes and is replaced
for family in 4 6; do
	if [[ $family == 4 ]]; then first=192.0.2.1/24 second=192.0.2.21/24 seen='192.0.2.21:' to=$(endpoint4 b); else
		first=2001:db8::1/64 second=2001:db8::21/64 seen='[2001:db8::21]:' to=$(endpoint6 b)
	fi
	wgset a peer "${PUB[b]}" endpoint "$to"
	check "20: IPv$family speaks" within 10 pings4 a b
	at a ip "-$family" address flush dev to-b scope global
	check "20: IPv$family without any address it does not" not pings4 a b
	at a ip address add "$first" dev to-b $([[ $family == 6 ]] && echo nodad)
	check "20: IPv$family with it again it does" within 15 pings4 a b
	at a ip address add "$second" dev to-b $([[ $family == 6 ]] && echo nodad)
	check "20: IPv$family beside a second one the first goes on" pings4 a b
	at a ip "-$family" address flush dev to-b scope global
	at a ip address add "$second" dev to-b $([[ $family == 6 ]] && echo nodad)
	check "20: IPv$family with the second alone it goes on" within 15 pings4 a b
	check "20: IPv$family and b hears it from there" test "$(field b a 3)" = "$seen${LISTEN[a]}"
done
# 21, 22: an answer has the source to which the question came, also one that lies on another interface
at a ip address add 192.0.2.1/24 dev to-b
at a ip address add 198.51.100.7/32 dev lo
at b ip route add 198.51.100.7/32 via 192.0.2.1
for address in 192.0.2.1 192.0.2.21 198.51.100.7; do
	wgset b peer "${PUB[a]}" endpoint "$address:${LISTEN[a]}"
	check "21, 22: asked at $address" within 10 pings4 b a
	check "21, 22: it answers from $address" endpoint_is b a "$address:${LISTEN[a]}"
done
# 23: a better route appears over another link
ip link add second netns "$(space_of a)" type veth peer name second netns "$(space_of b)"
at a ip address add 203.0.113.1/24 dev second
at b ip address add 203.0.113.2/24 dev second
at b ip address add 198.51.100.2/32 dev lo
at a ip link set second up
at b ip link set second up
at b ip route add default via 192.0.2.1
at a ip route add 198.51.100.2/32 via 192.0.2.2
wgset b peer "${PUB[a]}" endpoint "192.0.2.1:${LISTEN[a]}"
wgset a peer "${PUB[b]}" endpoint "198.51.100.2:${LISTEN[b]}"
check "23: over the first link" within 15 pings4 a b
count() { at a cat /sys/class/net/second/statistics/tx_packets; }
at a ip route replace 198.51.100.2/32 via 203.0.113.2
pings4 a b >/dev/null
before=$(count)
check "23: over the better route of another" within 15 pings4 a b
check "23: indeed over that" test "$(count)" -gt "$before"
# The same by a rule, which changes no route
at a ip address add 2001:db8:3::1/64 dev second nodad
at b ip address add 2001:db8:3::2/64 dev second nodad
at b ip address add 198.51.100.3/32 dev lo
at b ip address add 2001:db8:77::3/128 dev lo
at b ip -6 route add default via 2001:db8::21
for family in 4 6; do
	if [[ $family == 4 ]]; then far=198.51.100.3 first=192.0.2.2 second=203.0.113.2 to=198.51.100.3:${LISTEN[b]}; else
		far=2001:db8:77::3 first=2001:db8::2 second=2001:db8:3::2 to=[2001:db8:77::3]:${LISTEN[b]}
	fi
	at a ip "-$family" route add "$far" via "$first"
	at a ip "-$family" route add "$far" via "$second" table 99
	wgset a peer "${PUB[b]}" endpoint "$to"
	check "23: IPv$family without a rule over the first link" within 15 pings4 a b
	before=$(count)
	check "23: IPv$family and over that alone" eval 'pings4 a b && [[ $(count) -le $((before + 3)) ]]'
	at a ip "-$family" rule add to "$far" table 99
	over_second() { before=$(count) && pings4 a b && [[ $(count) -ge $((before + 3)) ]]; }
	check "23: IPv$family with a rule over the second" within 10 over_second
done
check "a ends in order" stop a
check "b ends in order" stop b
finish
