# Shared by the scenarios that need two devices and more: sourced with the directory of the programs as $1.
#
# A space is a network namespace named by a letter; its number (a = 1, b = 2, ...) is the last part of its addresses:
#   outside  192.0.2.N/24 and 2001:db8::N/64      inside  10.9.0.N/24 and fd09::N/64
# The WireGuard device of a space is "$(dev a)": unique on the machine, since every device's socket lies in one directory.
# Everything carries $ID, a process id; `begin` takes a new one, so that subshells can work side by side (see each_peer).
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../support/pids.bash"
BIN=$(cd "${1:?usage: $0 BIN_DIR}" && pwd) || exit 1
PYTHON=/usr/bin/python3
[[ -x $PYTHON ]] || PYTHON=python3
SOCKETS=/var/run/wireguard
declare -A PID=() DEVICE=() KEY=() PUB=() LISTEN=()

begin() {
	ID=$BASHPID
	FAILED=0
	STARTED=()
	SPACES=()
	WORK=$(mktemp -d) || exit 1
	trap cleanup EXIT
	trap 'exit 130' INT TERM
}

cleanup() {
	local p s
	for p in ${STARTED[@]+"${STARTED[@]}"}; do end_process KILL "$p"; done
	for s in ${SPACES[@]+"${SPACES[@]}"}; do
		ip netns pids "$s" 2>/dev/null | xargs -r kill -KILL 2>/dev/null
		ip netns delete "$s" 2>/dev/null
	done
	rm -rf "$WORK"
	rm -f "$SOCKETS/n$ID"?.sock
}

skip() {
	echo "skipped: $*"
	exit 77
}

# ---- sentences ---------------------------------------------------------------------------------------------------------

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
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

# throughout SECONDS COMMAND...: must hold each time it is tried.
throughout() {
	local end=$((SECONDS + $1))
	shift
	while ((SECONDS < end)); do
		"$@" || return 1
		sleep 0.5
	done
}

not() { ! "$@"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

finish() {
	local log
	[[ $FAILED -ne 0 ]] || exit 0
	for log in "$WORK"/?.log; do
		[[ ! -s $log ]] || echo "the device of $(basename "$log" .log) said last: $(tail -n 5 "$log")"
	done
	exit 1
}

# ---- spaces and wires ----------------------------------------------------------------------------------------------------

number() { echo $(($(printf '%d' "'$1") - 96)); }
space_of() { echo "fzn-$ID-$1"; }
dev() { echo "n$ID$1"; }
at() { # SPACE COMMAND...
	local s
	s=$(space_of "$1")
	shift
	ip netns exec "$s" "$@"
}

# job SPACE OUTPUT COMMAND...: in the background; JOB is its process id, that of the command itself
job() {
	local s out=$2
	s=$(space_of "$1")
	shift 2
	ip netns exec "$s" "$@" </dev/null >"$out" 2>&1 &
	JOB=$!
	STARTED+=("$(process_of "$JOB")")
}

spaces() { # LETTER...
	local a
	if [[ $EUID -ne 0 || ! -c /dev/net/tun ]]; then skip "needs root and /dev/net/tun"; fi
	for a in "$@"; do
		ip netns add "$(space_of "$a")" || skip "network namespaces cannot be made"
		SPACES+=("$(space_of "$a")")
		at "$a" ip link set lo up
		KEY[$a]=$(wg genkey)
		PUB[$a]=$(wg pubkey <<<"${KEY[$a]}")
		LISTEN[$a]=$((51820 + $(number "$a")))
	done
}

# wire A B: a veth, called to-b in A and to-a in B, without addresses
wire() {
	ip link add "to-$2" netns "$(space_of "$1")" type veth peer name "to-$1" netns "$(space_of "$2")" || return 1
	at "$1" ip link set "to-$2" up
	at "$2" ip link set "to-$1" up
}

# wired A B: the same with their outside addresses
wired() {
	wire "$1" "$2" || return 1
	outside "$1" "to-$2"
	outside "$2" "to-$1"
}

outside() { # SPACE INTERFACE
	at "$1" ip address add "192.0.2.$(number "$1")/24" dev "$2"
	at "$1" ip address add "2001:db8::$(number "$1")/64" dev "$2" nodad
}

# ---- devices -------------------------------------------------------------------------------------------------------------

# program IMPL: its path, or failure
program() {
	case $1 in
	ours) echo "$BIN/firezone-wg" ;;
	wireguard-go)
		"$HERE/peers.sh" wireguard-go 2>/dev/null || command -v wireguard-go
		;;
	*) "$HERE/peers.sh" "$1" 2>/dev/null ;;
	esac
}

# start SPACE [IMPL]: the device of that space, in the foreground of a job; $WORK/SPACE.log is what it says. Ours has one try;
# how somebody else's program starts is not what is tested here: it has three.
start() {
	local try
	start_once "$@" && return
	[[ ${2:-ours} != ours ]] || return 1
	for try in 2 3; do
		end_process KILL "${DEVICE[$1]}"
		echo "try $try"
		start_once "$@" && return
	done
	return 1
}

start_once() {
	local a=$1 path args=(-f)
	path=$(program "${2:-ours}") || {
		echo "there is no $2"
		return 1
	}
	[[ ${2:-ours} != boringtun && ${2:-ours} != gotatun ]] || args=(-f --disable-drop-privileges)
	LOG_LEVEL=${LOG_LEVEL:-error} ip netns exec "$(space_of "$a")" ${LAUNCHER:-} "$path" "${args[@]}" "$(dev "$a")" \
		</dev/null >"$WORK/$a.log" 2>&1 &
	PID[$a]=$!
	DEVICE[$a]=$(process_of "$!")
	STARTED+=("${DEVICE[$a]}")
	disown "$!"
	within 30 at "$a" wg show "$(dev "$a")" >/dev/null 2>&1 || {
		is_running "${DEVICE[$a]}" && echo "it runs, but cannot be asked" || echo "it has ended"
		cat "$WORK/$a.log"
		return 1
	}
}

# stop SPACE: SIGTERM and the end of it
stop() {
	end_process TERM "${DEVICE[$1]}" || return 1
	within 10 not is_running "${DEVICE[$1]}"
}

wgset() { # SPACE WORDS...
	local a=$1
	shift
	at "$a" wg set "$(dev "$a")" "$@"
}

# identity SPACE: its key and port; the inside addresses; up
identity() {
	wgset "$1" private-key <(echo "${KEY[$1]}") listen-port "${LISTEN[$1]}" || return 1
	at "$1" ip address add "10.9.0.$(number "$1")/24" dev "$(dev "$1")"
	at "$1" ip address add "fd09::$(number "$1")/64" dev "$(dev "$1")" nodad
	at "$1" ip link set "$(dev "$1")" up
}

# knows A B [WORDS...]: B becomes A's peer, with the allowed-IPs of its inside
knows() {
	local a=$1 b=$2
	shift 2
	wgset "$a" peer "${PUB[$b]}" allowed-ips "10.9.0.$(number "$b")/32,fd09::$(number "$b")/128" "$@"
}

endpoint4() { echo "192.0.2.$(number "$1"):${LISTEN[$1]}"; }
endpoint6() { echo "[2001:db8::$(number "$1")]:${LISTEN[$1]}"; }

# pair IMPL_A IMPL_B: spaces a and b, wired, a device in each, that know each other; a has b's endpoint
pair() {
	spaces a b && wired a b && start a "$1" && start b "$2" && identity a && identity b || return 1
	knows b a && knows a b endpoint "$(endpoint4 b)"
}

# ---- traffic -------------------------------------------------------------------------------------------------------------

# pings A B [WORDS...]: one answered ping is enough; both families
pings() { pings4 "$@" && pings6 "$@"; }
pings4() {
	local a=$1 b=$2
	shift 2
	at "$a" ping -n -q -c 3 -i 0.2 -W 3 "$@" "10.9.0.$(number "$b")"
}
pings6() {
	local a=$1 b=$2
	shift 2
	at "$a" ping -n -q -c 3 -i 0.2 -W 3 "$@" "fd09::$(number "$b")"
}

# floods FROM ADDRESS: every one must come back, in one of three tries: a CPU's queue of arrivals is shared with everybody on it
floods() {
	local try
	for try in 1 2 3; do
		at "$1" ping -n -q -f -c 200 -W 2 "$2" >"$WORK/flood" || true
		cat "$WORK/flood"
		! grep -q ' 0% packet loss' "$WORK/flood" || return 0
	done
	return 1
}

# sends A B ADDRESS [MIB]: a file over TCP, compared by its sum
sends() {
	local listener
	dd if=/dev/urandom of="$WORK/sent" bs=1M count="${4:-4}" 2>/dev/null
	rm -f "$WORK/got" "$WORK/listening"
	job "$2" "$WORK/taken" timeout 120 "$PYTHON" "$HERE/net.py" take "$3" 7000 "$WORK/got" "$WORK/listening"
	listener=$JOB
	within 20 test -e "$WORK/listening" || return 1
	at "$1" timeout 120 "$PYTHON" "$HERE/net.py" give "$3" 7000 "$WORK/sent" || return 1
	wait "$listener"
	cmp "$WORK/sent" "$WORK/got"
}

# field SPACE PEER NUMBER: of `wg show dump` (3 endpoint, 4 allowed-IPs, 5 handshake, 6 received, 7 sent)
field() { at "$1" wg show "$(dev "$1")" dump | awk -F '\t' -v k="${PUB[$2]}" -v f="$3" '$1 == k { print $f }'; }
handshake() { field "$1" "$2" 5; }
newer() { [[ $(handshake "$1" "$2") -gt $3 ]]; }
endpoint_is() { # SPACE PEER ENDPOINT
	[[ $(field "$1" "$2" 3) == "$3" ]] || {
		echo "endpoint $(field "$1" "$2" 3), expected $3"
		return 1
	}
}

# ---- peers of others -------------------------------------------------------------------------------------------------------

# each_peer FUNCTION...: each FUNCTION IMPL in a subshell for us and everybody else that can be had, side by side; then what they said.
each_peer() {
	local impl what at_once=() dir status=0 had=0
	dir=$(mktemp -d) || exit 1
	for impl in ${FZ_PEERS:-ours wireguard-go boringtun gotatun}; do
		if ! program "$impl" >/dev/null; then
			echo "skipped: $impl can neither be built nor found here" >"$dir/$impl"
			[[ ${CI:-} != true ]] || status=1
			continue
		fi
		had=1
		for what in "$@"; do
			(
				begin
				"$what" "$impl"
				finish
			) </dev/null >"$dir/$impl$([[ $# -eq 1 ]] || echo " $what")" 2>&1 &
			at_once+=("$!")
		done
	done
	for impl in ${at_once[@]+"${at_once[@]}"}; do wait "$impl" || status=1; done
	for impl in "$dir"/*; do sed "s/^/$(basename "$impl"): /" "$impl"; done
	rm -rf "$dir"
	[[ $had -eq 1 ]] || status=1
	exit "$status"
}
