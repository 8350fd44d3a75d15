#!/bin/bash
# Starts coturn in a network namespace of this run's own and lets our TURN client use it: allocation, channel data both
# ways, a nonce that goes stale, wrong credentials, and two ICE agents that reach each other through it alone.
#
#   namespace fzturn-<pid>:  10.99.0.1:3478 coturn   10.99.0.2 first device   10.99.0.3 second device and peer
#
# Usage: coturn_relay.sh DRIVER.  Status 77: skipped, the reason is on stderr.
set -u

driver=${1:?usage: coturn_relay.sh DRIVER}
ns=fzturn-$$
turn_pid=
dir=

skip() {
	echo "skipped: $1" >&2
	exit 77
}

cleanup() {
	if [ -n "$turn_pid" ]; then
		kill "$turn_pid" 2>/dev/null
		wait "$turn_pid" 2>/dev/null
	fi
	ip netns del "$ns" 2>/dev/null
	[ -n "$dir" ] && rm -rf "$dir"
}

[ "$(id -u)" -eq 0 ] || skip "needs root for a network namespace"
command -v turnserver >/dev/null || skip "needs coturn"
ip netns add "$ns" 2>/dev/null || skip "cannot make network namespaces here"
trap cleanup EXIT
trap 'exit 1' INT TERM

in_ns() {
	ip netns exec "$ns" "$@"
}

set -e
dir=$(mktemp -d)
in_ns ip link set lo up
for host in 1 2 3; do
	in_ns ip addr add "10.99.0.$host/32" dev lo
done
set +e

# `exec`: the process in the background is coturn itself, so that its id is the one to end.
(exec ip netns exec "$ns" turnserver -n --no-cli --no-tls --no-dtls --no-tcp --no-tcp-relay --verbose \
	--log-file=stdout --pidfile="$dir/pid" --userdb="$dir/db" \
	--listening-ip=10.99.0.1 --relay-ip=10.99.0.1 --listening-port=3478 --realm=firezone --lt-cred-mech \
	--user=alice:secret --user=bob:secret --stale-nonce=2 --min-port=50000 --max-port=50100 \
	>"$dir/out" 2>&1) &
turn_pid=$!

failed=0
for scenario in allocate stale wrong-password connect; do
	if timeout 30 ip netns exec "$ns" "$driver" "$scenario"; then
		echo "ok: $scenario"
	else
		echo "FAILED: $scenario"
		failed=1
	fi
done
if [ "$failed" -ne 0 ]; then
	tail -n 40 "$dir/out" 2>/dev/null
fi
exit "$failed"
