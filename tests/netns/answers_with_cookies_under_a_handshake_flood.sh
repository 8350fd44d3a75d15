#!/usr/bin/env bash
# A flood of initiations with a valid mac1: ours answers with cookies, does not grow, and everybody who has a cookie still
# gets through. Then the other way round: we take the cookie of who is under load.
. "$(dirname "$0")/lib.sh"

flood() { # FROM ADDRESS PORT KEY SECONDS
	job "$1" "$WORK/flooded" "$PYTHON" "$HERE/net.py" flood "$2" "$3" "$4" "$5"
	FLOODER=$JOB
}
opens_anew() { # A forgets B and shakes hands again
	wgset a peer "${PUB[b]}" remove
	knows a b endpoint "$(endpoint4 b)"
	within 30 pings4 a b
}
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

matrix() { # IMPL
	local before
	check "starts beside ours" pair "$1" ours
	check "speaks" within 10 pings4 a b
	before=$(rss "${PID[b]}")
	flood a 192.0.2.2 "${LISTEN[b]}" "${PUB[b]}" 25
	sleep 2
	check "a session that is up goes on" within 15 pings4 a b
	check "a new handshake gets through our load" opens_anew
	wait "$FLOODER"
	cat "$WORK/flooded"
	check "ours answered with cookies" grep -q 'cookies [1-9]' "$WORK/flooded"
	check "and with nothing else" grep -q 'other 0$' "$WORK/flooded"
	echo "     RSS $before -> $(rss "${PID[b]}") KiB"
	check "ours has not grown by more than 8 MiB" test "$(rss "${PID[b]}")" -lt $((before + 8192))

	flood b 192.0.2.1 "${LISTEN[a]}" "${PUB[a]}" 25
	sleep 2
	wgset b peer "${PUB[a]}" remove
	knows b a endpoint "$(endpoint4 a)"
	check "and ours gets through the load of the other" within 30 pings4 b a
	wait "$FLOODER"
	cat "$WORK/flooded"
	check "ours ends in order" stop b
}
# One after the other: a flood takes all of a CPU, and four at once would starve each other instead of loading us.
status=0
for impl in ${FZ_PEERS:-ours wireguard-go boringtun gotatun}; do
	(FZ_PEERS=$impl each_peer matrix) || status=1
done
exit $status
