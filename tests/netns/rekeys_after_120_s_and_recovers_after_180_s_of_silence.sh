#!/usr/bin/env bash
# The protocol's own times, with each implementation as the other side, side by side; once more with them as the initiator. Takes
# six minutes, nearly all of it waiting.
. "$(dirname "$0")/lib.sh"

we_initiate() { # IMPL
	local first
	check "starts beside ours" pair ours "$1"
	check "speaks" within 10 pings4 a b
	first=$(handshake a b)
	check "not one ping in 110 s is lost" at a timeout 130 ping -n -q -c 110 -i 1 -W 5 10.9.0.2
	check "within that time there was one handshake" test "$(handshake a b)" -eq "$first"
	at a ping -n -q -c 25 -i 1 -W 5 10.9.0.2 >"$WORK/ping"
	check "a second handshake replaces it after 120 s" newer a b "$((first + 118))"
	check "and nothing is lost by that" grep -q ' 0% packet loss' "$WORK/ping"
	check "and it comes within 125 s" not newer a b "$((first + 126))"
	# A keepalive that comes late, on a machine this busy, makes the other end ask after 15 s: that still belongs to the traffic.
	sleep 25
	first=$(handshake a b)
	sleep 190
	check "after 190 s of silence it makes no handshake by itself" test "$(handshake a b)" -eq "$first"
	check "and it speaks again when there is something to say" within 15 pings4 b a
	check "with a new handshake" newer a b "$((first + 180))"
	check "ours ends in order" stop a
}
# The initiator alone renews a session: here we only answer, and nothing may be lost by what they do. When they do it is theirs.
they_initiate() { # IMPL
	local first
	spaces a b && wired a b
	check "two devices start" start a
	check "theirs does" start b "$1"
	identity a && identity b
	knows a b
	knows b a endpoint "$(endpoint4 a)" # at once: boringtun cannot change a peer that it has
	check "it calls" within 10 pings4 b a
	first=$(handshake a b)
	check "not one ping in 135 s is lost" at b timeout 160 ping -n -q -c 135 -i 1 -W 5 10.9.0.1
	check "it has renewed the session when that was 120 s old" newer a b "$((first + 118))"
	check "and we have answered again" pings4 a b
	check "ours ends in order" stop a
}
each_peer we_initiate they_initiate
