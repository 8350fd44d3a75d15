# Shared by process_*.sh and uapi_*.sh: namespaces with this process's id in their names, devices started and stopped by
# pid, and sentences that hold or do not. Source it with the directory of the programs as $1.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../support/pids.bash"
BIN=$(cd "${1:?usage: $0 BIN_DIR}" && pwd) || exit 1
WG=$BIN/firezone-wg
SOCKETS=/var/run/wireguard
NS=fzp-$$ NS2=fzq-$$
IF=fzp$$
WORK=$(mktemp -d) || exit 1
FAILED=0
STARTED=()

cleanup() {
	local p n
	for p in ${STARTED[@]+"${STARTED[@]}"}; do end_process KILL "$p"; done
	for n in "$NS" "$NS2"; do ip netns pids "$n" 2>/dev/null | xargs -r kill -KILL 2>/dev/null; done
	for n in "$NS" "$NS2"; do ip netns delete "$n" 2>/dev/null; done
	rm -rf "$WORK"
	rm -f "$SOCKETS"/fzp"$$"{,[a-z]*}.sock
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [[ $EUID -ne 0 || ! -c /dev/net/tun ]] || ! ip netns add "$NS" 2>/dev/null || ! ip netns add "$NS2" 2>/dev/null; then
	echo "skipped: needs root, /dev/net/tun and network namespaces"
	exit 77
fi
ip -n "$NS" link set lo up
ip -n "$NS2" link set lo up

inside() { ip netns exec "$NS" "$@"; }

# check SENTENCE COMMAND...: the command's status decides.
check() {
	local sentence=$1
	shift
	if "$@" >"$WORK/out" 2>&1; then
		echo "ok   $sentence"
	else
		echo "FAIL $sentence"
		sed 's/^/       /' "$WORK/out" | tail -n 20
		FAILED=1
	fi
}

# within SECONDS COMMAND...: tries until it holds.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

not() { ! "$@"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
has_link() { ip -n "$NS" link show "$1"; }
# alone COMMAND...: with the socket of $IF as the only one there is, for what asks every device of the machine
alone() {
	inside unshare -m bash -c 'mkdir "$1" && touch "$1/$3.sock" && mount --bind "$2/$3.sock" "$1/$3.sock" &&
		mount --rbind "$1" "$2" && shift 3 && exec "$@"' - "$WORK/alone.$RANDOM" "$SOCKETS" "$IF" "$@"
}
has_socket() { [[ -S $SOCKETS/$1.sock ]]; }

# start [NAME]: in the foreground of a job; PID is the program's, its log is $WORK/NAME.log
start() {
	local name=${1:-$IF}
	LOG_LEVEL=verbose ip netns exec "$NS" "$WG" -f "$name" </dev/null >"$WORK/$name.log" 2>&1 &
	PID=$!
	STARTED+=("$(process_of "$PID")")
	within 10 inside wg show "$name"
}

# stop PID: SIGTERM, and its exit status
stop() {
	kill -TERM "$1" 2>/dev/null
	wait "$1"
}

finish() {
	local log
	[[ $FAILED -ne 0 ]] || exit 0
	for log in "$WORK"/*.log; do
		[[ ! -s $log ]] || echo "$(basename "$log" .log) said last: $(tail -n 5 "$log")"
	done
	exit 1
}
