#!/usr/bin/env bash
# The WireGuard demo: demo.sh BIN_DIR [WIREGUARD_GO]. Two devices in two network namespaces, configured with stock wg(8), a
# file each way over IPv4 and IPv6, iperf3, and a table; then the same with wireguard-go as the other side.
set -uo pipefail

BIN=$(cd "${1:?usage: demo.sh BIN_DIR [WIREGUARD_GO]}" && pwd) || exit 1
OTHER=${2:-}
FILE_MIB=${DEMO_FILE_MIB:-64}
SECONDS_OF_IPERF=${DEMO_SECONDS:-5}
LEFT=fz-left-$$ RIGHT=fz-right-$$
WORK= PIDS=() RESULTS=() FAILED=0

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
step() { printf '  %s%-46s%s ' "$DIM" "$1" "$PLAIN"; }
good() { say "$GREEN$*$PLAIN"; }
bad() {
	say "$RED$*$PLAIN"
	FAILED=1
}

stop_all() {
	local p
	for p in ${PIDS[@]+"${PIDS[@]}"}; do kill "$p" 2>/dev/null; done
	for p in ${PIDS[@]+"${PIDS[@]}"}; do wait "$p" 2>/dev/null; done
	PIDS=()
}

remove_namespaces() {
	ip netns delete "$LEFT" 2>/dev/null
	ip netns delete "$RIGHT" 2>/dev/null
}

cleanup() {
	stop_all
	remove_namespaces
	[[ -z $WORK ]] || rm -rf "$WORK"
}

# ---- what is needed -------------------------------------------------------------------------------------------------

missing() {
	local problems=() tool
	[[ $EUID -eq 0 ]] || problems+=("root: network namespaces and TUN devices are made; run it with sudo")
	[[ -x $BIN/firezone-wg ]] || problems+=("$BIN/firezone-wg: cmake --preset release && cmake --build --preset release")
	for tool in "ip iproute2" "wg wireguard-tools" "iperf3 iperf3" "ping iputils-ping" "python3 python3" "sha256sum coreutils"; do
		command -v "${tool% *}" >/dev/null || problems+=("${tool% *}: apt-get install ${tool#* }")
	done
	[[ -c /dev/net/tun ]] || problems+=("/dev/net/tun: modprobe tun, or give the container that device")
	if [[ ${#problems[@]} -eq 0 ]] && ! ip netns add "$LEFT" 2>"$WORK/netns"; then
		problems+=("network namespaces: $(<"$WORK/netns")")
	fi
	remove_namespaces
	[[ ${#problems[@]} -gt 0 ]] || return 1
	say "The demo can't run here. Missing:"
	printf '  - %s\n' "${problems[@]}"
}

# ---- two ends and a wire -----------------------------------------------------------------------------------------------

lay_wire() {
	ip netns add "$LEFT" && ip netns add "$RIGHT" || return 1
	ip link add "fzl$$" netns "$LEFT" type veth peer name "fzr$$" netns "$RIGHT" || return 1
	ip -n "$LEFT" address add 192.0.2.1/24 dev "fzl$$"
	ip -n "$RIGHT" address add 192.0.2.2/24 dev "fzr$$"
	ip -n "$LEFT" link set "fzl$$" up && ip -n "$RIGHT" link set "fzr$$" up
	ip -n "$LEFT" link set lo up && ip -n "$RIGHT" link set lo up
}

# start_device NAMESPACE PROGRAM INTERFACE LOG: in the foreground of its own job, until its socket answers.
start_device() {
	local program=$2
	LOG_LEVEL=verbose WG_PROCESS_FOREGROUND=1 ip netns exec "$1" "$program" -f "$3" </dev/null >"$4" 2>&1 &
	PIDS+=($!)
	local i
	for ((i = 0; i < 100; i++)); do
		ip netns exec "$1" wg show "$3" >/dev/null 2>&1 && return 0
		kill -0 "${PIDS[-1]}" 2>/dev/null || break
		sleep 0.05
	done
	tail -n 3 "$4" >&2
	return 1
}

# configure NAMESPACE INTERFACE PRIVATE_KEY_FILE PORT PEER_PUBLIC INSIDE_4 INSIDE_6 PEER_4 PEER_6 [ENDPOINT]
configure() {
	local psk=$WORK/psk
	ip netns exec "$1" wg set "$2" private-key "$3" listen-port "$4" peer "$5" preshared-key "$psk" \
		allowed-ips "$8/32,$9/128" ${10:+endpoint "${10}"} || return 1
	ip -n "$1" address add "$6/24" dev "$2"
	ip -n "$1" address add "$7/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
}

# transfer FROM_NAMESPACE TO_NAMESPACE ADDRESS: sends $WORK/file, prints seconds; the receiver's sum must be the sender's.
transfer() {
	rm -f "$WORK/received" "$WORK/listening"
	ip netns exec "$2" timeout 60 python3 -c '
import socket, sys
s = socket.create_server((sys.argv[1], 7000), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
open(sys.argv[3], "w").close()
c, _ = s.accept()
with open(sys.argv[2], "wb") as f:
    while data := c.recv(1 << 20):
        f.write(data)
c.sendall(b"k")' "$3" "$WORK/received" "$WORK/listening" &
	local receiver=$! i seconds
	for ((i = 0; i < 100; i++)); do
		[[ -e $WORK/listening ]] && break
		sleep 0.05
	done
	seconds=$(ip netns exec "$1" timeout 60 python3 -c '
import socket, sys, time
start = time.monotonic()
s = socket.create_connection((sys.argv[1], 7000), 20)
s.sendfile(open(sys.argv[2], "rb"))
s.shutdown(socket.SHUT_WR)
s.recv(1)
print(f"{time.monotonic() - start:.2f}")' "$3" "$WORK/file") || {
		kill "$receiver" 2>/dev/null
		wait "$receiver" 2>/dev/null
		return 1
	}
	wait "$receiver"
	[[ $(sha256sum <"$WORK/received") == "$SUM" ]] && echo "$seconds"
}

# iperf FROM_NAMESPACE TO_NAMESPACE ADDRESS: prints Gbit/s
iperf() {
	ip netns exec "$2" iperf3 -s -1 >/dev/null 2>&1 &
	local server=$! i rate=
	for ((i = 0; i < 20 && ${#rate} == 0; i++)); do
		sleep 0.1
		rate=$(ip netns exec "$1" timeout 60 iperf3 -c "$3" -t "$SECONDS_OF_IPERF" -J 2>/dev/null |
			python3 -c 'import json, sys; print("%.2f" % (json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9))' 2>/dev/null)
	done
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	[[ -n $rate ]] && echo "$rate"
}

# ---- one run -----------------------------------------------------------------------------------------------------------

result() { RESULTS+=("$1|$2|$3"); } # column, row, value

check_ping() { # COLUMN ADDRESS NAME
	local out
	step "ping over $3"
	if out=$(ip netns exec "$LEFT" ping -n -c 5 -i 0.2 -W 5 "$2" 2>&1); then
		out=$(sed -nE 's|^rtt .* = [^/]*/([^/]*)/.*|\1|p' <<<"$out")
		good "$out ms"
		result "$1" "ping $3, round trip" "$out ms"
	else
		bad "no answer"
		result "$1" "ping $3, round trip" "no answer"
	fi
}

check_file() { # COLUMN FROM TO ADDRESS NAME
	local seconds
	step "$FILE_MIB MiB file, $5"
	if seconds=$(transfer "$2" "$3" "$4") && [[ -n $seconds ]]; then
		good "$seconds s, SHA-256 equal"
		result "$1" "$FILE_MIB MiB file, $5" "$seconds s, same SHA-256"
	else
		bad "did not arrive whole"
		result "$1" "$FILE_MIB MiB file, $5" "FAILED"
	fi
}

check_iperf() { # COLUMN FROM TO ADDRESS NAME
	local rate
	step "iperf3 TCP, $5"
	if rate=$(iperf "$2" "$3" "$4"); then
		good "$rate Gbit/s"
		result "$1" "iperf3 TCP, $5" "$rate Gbit/s"
	else
		bad "failed"
		result "$1" "iperf3 TCP, $5" "FAILED"
	fi
}

run() { # COLUMN LEFT_PROGRAM RIGHT_PROGRAM
	local column=$1 a=fzA$$ b=fzB$$
	say "$BOLD${column/,/  <->  }$PLAIN"
	step "two namespaces, a wire, two devices"
	if ! { lay_wire && start_device "$LEFT" "$2" "$a" "$WORK/left.log" && start_device "$RIGHT" "$3" "$b" "$WORK/right.log"; }; then
		bad "failed"
		return
	fi
	good "up"
	step "keys and peers with wg(8)"
	if ! { configure "$LEFT" "$a" "$WORK/left.key" 51820 "$(wg pubkey <"$WORK/right.key")" 10.77.0.1 fd77::1 10.77.0.2 fd77::2 192.0.2.2:51821 &&
		configure "$RIGHT" "$b" "$WORK/right.key" 51821 "$(wg pubkey <"$WORK/left.key")" 10.77.0.2 fd77::2 10.77.0.1 fd77::1; }; then
		bad "failed"
		return
	fi
	good "set"
	check_ping "$column" 10.77.0.2 IPv4
	check_ping "$column" fd77::2 IPv6
	check_file "$column" "$LEFT" "$RIGHT" 10.77.0.2 "-> IPv4"
	check_file "$column" "$RIGHT" "$LEFT" 10.77.0.1 "<- IPv4"
	check_file "$column" "$LEFT" "$RIGHT" fd77::2 "-> IPv6"
	check_file "$column" "$RIGHT" "$LEFT" fd77::1 "<- IPv6"
	check_iperf "$column" "$LEFT" "$RIGHT" 10.77.0.2 "->"
	check_iperf "$column" "$RIGHT" "$LEFT" 10.77.0.1 "<-"
	say
	ip netns exec "$LEFT" wg show "$a" | sed 's/^/    /'
	say
	stop_all
	remove_namespaces
}

table() {
	printf '%s\n' "${RESULTS[@]}" | BOLD=$BOLD PLAIN=$PLAIN python3 -c '
import os, sys
columns, rows, cells = [], [], {}
for line in sys.stdin.read().splitlines():
    column, row, value = line.split("|")
    columns += [column] if column not in columns else []
    rows += [row] if row not in rows else []
    cells[column, row] = value
first = max(map(len, rows))
widths = [max([len(c)] + [len(cells.get((c, r), "-")) for r in rows]) for c in columns]
titles = [c.replace(",", " <-> ") for c in columns]
widths = [max(w, len(t)) for w, t in zip(widths, titles)]
rule = "  " + "-" * (first + sum(w + 3 for w in widths))
print("  " + " " * first + "".join("   " + os.environ["BOLD"] + t.rjust(w) + os.environ["PLAIN"] for t, w in zip(titles, widths)))
print(rule)
for r in rows:
    print("  " + r.ljust(first) + "".join("   " + cells.get((c, r), "-").rjust(w) for c, w in zip(columns, widths)))
print(rule)'
}

WORK=$(mktemp -d) || exit 1
trap cleanup EXIT
trap 'exit 130' INT TERM
missing && exit 1

umask 077
wg genkey >"$WORK/left.key" && wg genkey >"$WORK/right.key" && (umask 077 && wg genpsk >"$WORK/psk") || exit 1
head -c "$((FILE_MIB << 20))" /dev/urandom >"$WORK/file" && SUM=$(sha256sum <"$WORK/file") || exit 1

say
run firezone-wg,firezone-wg "$BIN/firezone-wg" "$BIN/firezone-wg"
OURS=$(sed -n 's/^info: plane-started //p' "$WORK/left.log" | head -n 1)
if [[ -n $OTHER && -x $OTHER ]]; then
	stop_all
	remove_namespaces
	run firezone-wg,wireguard-go "$BIN/firezone-wg" "$OTHER"
else
	say "  wireguard-go is not here, so its run is left out: apt-get install wireguard-go, or Go 1.23"
	say
fi

[[ ${#RESULTS[@]} -eq 0 ]] || table
say "  ${DIM}this machine: $(nproc) CPUs shared by both ends, Linux $(uname -r); data plane: ${OURS:-unknown}$PLAIN"
say
if [[ $FAILED -eq 0 ]]; then
	say "  ${GREEN}Everything arrived whole.$PLAIN"
else
	say "  ${RED}Something failed: see above.$PLAIN"
fi
exit "$FAILED"
