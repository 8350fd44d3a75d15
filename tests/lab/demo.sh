#!/usr/bin/env bash
# The demo: demo.sh BIN_DIR. A lab with a portal, a gateway behind one NAT and firezoned behind another; the client signs in
# with a service's token, fetches files from a resource behind the gateway, over both families, and everything goes away again.
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=$(cd "${1:?usage: demo.sh BIN_DIR}" && pwd) || exit 1
SIZE=${DEMO_SIZE:-100M}
SECONDS_OF_IPERF=${DEMO_SECONDS:-3}
export FZ_BIN=$BIN FZ_LAB=demo$$
FAILED=0
ROWS=()
OUT=$(mktemp) || exit 1
TERMINAL=
[[ ! -t 1 ]] || TERMINAL=$(command -v script || true)
COLUMNS_LEFT=$(($(tput cols 2>/dev/null || echo 120) - 4))

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

lab() { "$HERE/lab" "$@"; }
on() { lab exec "$@"; }
row() { ROWS+=("$1|$2"); }
now() { date +%s%N; }
since() { printf '%d.%02d' $((($(now) - $1) / 1000000000)) $((($(now) - $1) / 10000000 % 100)); }

end() {
	local status=$?
	trap - EXIT
	if [[ -d /run/fzlab/$FZ_LAB ]]; then
		printf '  %s%-46s%s ' "$DIM" "taking the lab down" "$PLAIN"
		timeout 60 "$HERE/lab" down && printf '%sdone%s\n' "$GREEN" "$PLAIN"
	fi
	rm -f "$OUT"
	exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

# step SENTENCE COMMAND...: runs it; what it prints last stands behind the sentence.
step() {
	local sentence=$1 start
	shift
	printf '  %s%-46s%s ' "$DIM" "$sentence" "$PLAIN"
	start=$(now)
	if "$@" >"$OUT" 2>&1; then
		printf '%s%s%s\n' "$GREEN" "$(tail -n 1 "$OUT" | grep . || echo "$(since "$start") s")" "$PLAIN"
		return 0
	fi
	printf '%s%s%s\n' "$RED" "failed" "$PLAIN"
	tail -n 15 "$OUT" | sed 's/^/      /'
	FAILED=1
	return 1
}

# Commands are given a terminal if we have one: there they say "3 s" where other programs get a time stamp.
shown() { # COMMAND...: as a person would type it
	local command=("$BIN/$1" "${@:2}")
	printf '\n  %s$ %s%s\n' "$BOLD" "$*" "$PLAIN"
	[[ -z $TERMINAL ]] || command=(script -qe --echo never -c "stty cols $COLUMNS_LEFT; ${command[*]}" /dev/null)
	on client "${command[@]}" </dev/null 2>&1 | tr -d '\r' | sed 's/^/    /'
	[[ ${PIPESTATUS[0]} -eq 0 ]] || FAILED=1
}

within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

# ---- what is shown -----------------------------------------------------------------------------------------------------

missing() {
	local tool problems=()
	[[ $EUID -eq 0 ]] || problems+=("root: namespaces and TUN devices are made; run it with sudo")
	[[ -c /dev/net/tun ]] || problems+=("/dev/net/tun: modprobe tun, or give the container that device")
	for tool in firezoned firezone-gateway firezonectl; do [[ -x $BIN/$tool ]] || problems+=("$BIN/$tool: ./dev build release"); done
	for tool in ip nft turnserver openssl iperf3 curl nsenter; do command -v "$tool" >/dev/null || problems+=("$tool: ./dev setup"); done
	[[ ${#problems[@]} -gt 0 ]] || return 1
	echo "The demo can't run here. Missing:"
	printf '  - %s\n' "${problems[@]}"
}

gateway_joins() { lab gateway gateway && within 15 bash -c '"$1" portal status | grep -q "\"role\": \"gateway\""' _ "$HERE/lab"; }
client_is_up() { lab client client && within 15 on client "$BIN/firezonectl" wait --for up; }

first_bytes() {
	on client curl -sS --fail -m 15 -o /dev/null -w '%{time_starttransfer}' http://10.20.0.10/whoami | awk '{ printf "%d ms\n", $1 * 1000 }'
}

# download URL_HOST: seconds and rate, if the sum is right
download() {
	local want got start ms
	want=$(on resource curl -sS "http://10.20.0.10/sum/$SIZE") || return 1
	start=$(now)
	on client curl -sS --fail -m 120 -o /run/file "http://$1/file/$SIZE" || return 1
	ms=$((($(now) - start) / 1000000))
	got=$(on client sha256sum /run/file | cut -d ' ' -f 1)
	on client rm -f /run/file
	[[ $got == "$want" ]] || {
		echo "SHA-256 is $got, should be $want"
		return 1
	}
	echo "SHA-256 ${got:0:12}... is right"
	RATE="$(awk -v n="$(numfmt --from=iec "$SIZE")" -v ms="$ms" 'BEGIN { printf "%.2f Gbit/s", n * 8 / ms / 1e6 }'), $ms ms"
}

speed() { # [-R]
	on client timeout 60 iperf3 -c 10.20.0.10 -t "$SECONDS_OF_IPERF" -J "$@" |
		/usr/bin/python3 -c 'import json, sys; print("%.2f Gbit/s" % (json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9))'
}

path() {
	on client "$BIN/firezonectl" peer list --json | /usr/bin/python3 -c '
import json, sys
data = json.load(sys.stdin)
peer = (data["peers"] if isinstance(data, dict) else data)[0]
rtt = peer.get("rtt_us")
print(str(peer.get("path", "?")).lower() + ", " + str(peer.get("endpoint", "?")) + (", %.1f ms" % (int(rtt) / 1000) if rtt else ""))'
}

table() {
	local r
	printf '\n  %s%-34s %s%s\n' "$BOLD" "what was seen" "result" "$PLAIN"
	printf '  %s\n' "----------------------------------------------------------------------"
	for r in "${ROWS[@]}"; do printf '  %-34s %s\n' "${r%%|*}" "${r#*|}"; done
	printf '\n'
}

note() { # NAME SENTENCE COMMAND...: a step whose answer stands in the table
	if step "${@:2}"; then row "$1" "$(tail -n 1 "$OUT")"; fi
}

main() {
	local start
	if missing; then exit 1; fi
	printf '\n  %sFirezone on this machine%s: a portal, a relay, two NATs, a gateway, a client, in namespaces of their own\n\n' "$BOLD" "$PLAIN"
	start=$(now)
	step "making the lab" lab up || exit 1
	row "lab of 12 hosts" "made in $(since "$start") s"
	start=$(now)
	step "firezone-gateway joins the portal" gateway_joins || exit 1
	row "gateway joins the portal" "in $(since "$start") s"
	start=$(now)
	step "firezoned, in service mode, comes up" client_is_up || exit 1
	row "client up (TLS, sign-in, tunnel)" "in $(since "$start") s"
	shown firezonectl status
	shown firezonectl resource list
	printf '\n'
	note "first answer of a resource" "first packet, authorization, ICE, WireGuard" first_bytes
	if step "$SIZE over IPv4, from 10.20.0.10" download 10.20.0.10; then row "download, IPv4" "$RATE, SHA-256 right"; fi
	if step "$SIZE over IPv6, from fd20::10" download '[fd20::10]'; then row "download, IPv6" "$RATE, SHA-256 right"; fi
	note "path" "the way to the gateway by now" path
	note "client to resource, iperf3" "iperf3 for $SECONDS_OF_IPERF s, up" speed
	note "resource to client, iperf3" "iperf3 for $SECONDS_OF_IPERF s, down" speed -R
	shown firezonectl peer list
	shown firezonectl explain 10.20.0.10:80
	table
	[[ $FAILED -eq 0 ]]
}

main "$@"
