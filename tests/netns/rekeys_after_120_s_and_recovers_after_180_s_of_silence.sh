#!/usr/bin/env bash
# The protocol's own times, with each implementation as the other side, side by side. Takes six minutes, nearly all of it
# waiting.
. "$(dirname "$0")/lib.sh"

matrix() { # IMPL
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
each_peer matrix
