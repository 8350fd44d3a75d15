#!/usr/bin/env bash
# 10 % loss, reordering, duplicates and delay, by a seeded relay between the two ends.
. "$(dirname "$0")/lib.sh"
SEED=${FZ_SEED:-7}
echo "seed $SEED"

matrix() { # IMPL
	local relay
	check "starts beside ours" pair ours "$1"
	job b "$WORK/counts" "$PYTHON" "$HERE/net.py" relay 9000 127.0.0.1 "${LISTEN[b]}" "$WORK/relay" "seed=$SEED" \
		loss=10 reorder=10 duplicate=5 delay=2
	relay=$JOB
	within 10 test -e "$WORK/relay"
	wgset a peer "${PUB[b]}" endpoint 192.0.2.2:9000
	check "a handshake gets through" within 60 pings4 a b
	check "a file of ours arrives as it was" sends a b 10.9.0.2 1
	check "and one to us" sends b a fd09::1 1
	wgset a peer "${PUB[b]}" remove
	knows a b endpoint 192.0.2.2:9000
	check "as does the next handshake" within 60 pings4 a b
	kill -TERM "$relay"
	wait "$relay"
	cat "$WORK/counts"
	check "packets were indeed lost" grep -q 'lost=[1-9]' "$WORK/counts"
	check "and reordered" grep -q 'reordered=[1-9]' "$WORK/counts"
	check "ours ends in order" stop a
}
each_peer matrix
