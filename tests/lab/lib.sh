# Shared by the lab's scenarios: sourced with the directory of the programs as $1. A scenario gets a lab of its own, named after
# its process, and says sentences; what a failed one needs to be understood is printed at the end.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=$(cd "${1:?usage: $0 BIN_DIR}" && pwd) || exit 1
export FZ_BIN=$BIN FZ_LAB=s$$
FAILED=0
WORK=

skip() {
	echo "skipped: $*"
	exit 77
}

lab() { "$HERE/lab" "$@"; }
ctl() { lab portal "$@"; }
on() { lab exec "$@"; }

# begin [PROGRAM...]: a lab is up when this returns
begin() {
	local tool
	[[ $EUID -eq 0 && -c /dev/net/tun ]] || skip "needs root and /dev/net/tun"
	for tool in "$@"; do [[ -x $BIN/$tool ]] || skip "needs $tool"; done
	WORK=$(mktemp -d) || exit 1
	trap end EXIT
	trap 'exit 130' INT TERM
	timeout 240 "$HERE/lab" up || exit 1
}

end() {
	local status=$? file
	trap - EXIT
	if [[ $status -ne 0 && $status -ne 77 ]]; then
		for file in "/run/fzlab/$FZ_LAB"/log/*.{firezoned,firezone-gateway,portal,relay}; do
			[[ -s $file ]] || continue
			echo "---- ${file##*/}"
			tail -n 25 "$file" | cut -c 1-300
		done
	fi
	[[ -z ${FZ_LAB_KEEP:-} ]] || cp -r "/run/fzlab/$FZ_LAB/log" "$FZ_LAB_KEEP/$(basename "$0" .sh)"
	timeout 120 "$HERE/lab" down
	[[ -z $WORK ]] || rm -rf "$WORK"
	exit "$status"
}

# Warnings and errors of our own programs that belong to a scenario are named by it before its end; any other fails it.
EXPECTED='^$'
expect_log() { # REGEX...: of lines "LEVEL: EVENT ..."
	local word
	for word in "$@"; do EXPECTED+="|$word"; done
}
complaints() {
	local file
	for file in "/run/fzlab/$FZ_LAB"/log/*.{firezoned,firezone-gateway}; do
		[[ -s $file ]] || continue
		grep -v -E '^(info|debug): ' "$file" | grep -v -E "$EXPECTED" | sed "s/^/${file##*/}: /" || true
	done
}
says_nothing_unexpected() {
	local lines
	lines=$(complaints)
	echo "$lines"
	[[ -z $lines ]]
}

finish() {
	[[ ! -d /run/fzlab/$FZ_LAB ]] || check "no program of ours warned of anything unexpected" says_nothing_unexpected
	[[ $FAILED -eq 0 ]]
	exit
}

# ---- sentences ---------------------------------------------------------------------------------------------------------

check() { # SENTENCE COMMAND...
	local sentence=$1
	shift
	if "$@" >"$WORK/out" 2>&1; then
		echo "ok   $sentence"
	else
		echo "FAIL $sentence"
		tail -n 20 "$WORK/out" | sed 's/^/       /'
		FAILED=1
	fi
}

# SECONDS are those of an idle machine; a busy one gets four times as many before it is a failure.
within() { # SECONDS COMMAND...
	local end=$((SECONDS + 4 * $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

throughout() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	while ((SECONDS < end)); do
		"$@" || return 1
		sleep 0.3
	done
}

not() { ! "$@"; }

# ---- devices -----------------------------------------------------------------------------------------------------------

# field HOST PATH: of the daemon's status, e.g. portal.state; empty if there is none
field() {
	on "$1" "$BIN/firezonectl" status --json 2>/dev/null | /usr/bin/python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value.get(name, "") if isinstance(value, dict) else ""
print(value)' "$2" 2>/dev/null
}
is_state() { [[ $(field "$1" state | tr A-Z a-z) == "$2" ]]; }
has_text() { [[ $(field "$1" "$2") == *"$3"* ]]; }
joined() { # NAME: as the portal sees it
	ctl status | /usr/bin/python3 -c '
import json, sys
sys.exit(not any(c["name"] == sys.argv[1] and c["joined"] for c in json.load(sys.stdin)["connections"]))' "$1"
}
granted() { # how many grants the portal has given
	ctl status | /usr/bin/python3 -c 'import json, sys; print(len(json.load(sys.stdin)["grants"]))'
}

client_up() { # [HOST [VAR=VALUE...]]
	local host=${1:-client}
	lab client "$host" "${@:2}" && within 20 is_state "$host" up
}
gateway_up() { # [HOST [VAR=VALUE...]]
	local host=${1:-gateway}
	lab gateway "$host" "${@:2}" && within 20 joined "$host"
}
pair_up() { gateway_up && client_up; }
pid_of() { cut -d ' ' -f 1 "/run/fzlab/$FZ_LAB/pid/$1.$2"; }

# ---- traffic -----------------------------------------------------------------------------------------------------------

WEB=http://10.20.0.10
fetch() { # HOST URL [curl words]
	on "$1" curl -sS --fail --connect-timeout 20 -m 120 "${@:3}" "$2"
}
reaches() { fetch "$1" "${2:-$WEB/whoami}" -m 10 >/dev/null; }
reaches_not() { ! on "$1" curl -sS --connect-timeout 3 -m 3 "${2:-$WEB/whoami}" >/dev/null 2>&1; }
sum_of() { on resource curl -sS -m 30 "http://10.20.0.10/sum/$1"; }

# downloads HOST SIZE [BASE]: and the sum is right
downloads() {
	local want got
	want=$(sum_of "$2")
	got=$(fetch "$1" "${3:-$WEB}/file/$2" | sha256sum | cut -d ' ' -f 1)
	echo "wanted $want, got $got"
	[[ -n $want && $got == "$want" ]]
}

# A download that takes a while, in the background: DOWNLOAD is its process; finished_well waits for it.
slowly() { # HOST SIZE RATE
	local want
	want=$(sum_of "$2")
	(
		got=$(on "$1" curl -sS --fail --connect-timeout 20 -m 240 "$WEB/slow/$2/$3" | sha256sum | cut -d ' ' -f 1)
		echo "wanted $want, got $got" >"$WORK/slow"
		[[ $got == "$want" ]]
	) &
	DOWNLOAD=$!
}
finished_well() {
	wait "$DOWNLOAD" || {
		cat "$WORK/slow"
		return 1
	}
}
