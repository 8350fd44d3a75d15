#!/usr/bin/env bash
# Runs the scenarios in network namespaces: every *.sh here that is one, several side by side, since they mostly wait.
#   run.sh BIN_DIR [PATTERN]      FZ_NETNS_JOBS: how many at once (default: two per CPU)
# One line per scenario (ok, FAIL or skip, seconds, name), the heart and the end of a failed one's output, and a closing line with counts.
# A scenario is given BIN_DIR, exits 0, 77 (skipped, the last line says why) or anything else. With CI=true a skip is a failure
# unless its reason starts with "allowed:".
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=$(cd "${1:?usage: run.sh BIN_DIR [PATTERN]}" && pwd)
PATTERN=${2:-}
JOBS=${FZ_NETNS_JOBS:-$(($(nproc) * 2))}
LIMIT=${FZ_NETNS_SECONDS:-900}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

is_scenario() {
	case $(basename "$1") in
	run.sh | peers.sh | demo.sh | lib.sh) return 1 ;;
	esac
	[[ -z $PATTERN || $(basename "$1" .sh) =~ $PATTERN ]]
}

run_one() { # SCRIPT
	local name start=$SECONDS status=0 word
	name=$(basename "$1" .sh)
	timeout -k 10 "$LIMIT" bash "$1" "$BIN" </dev/null >"$WORK/$name.log" 2>&1 || status=$?
	case $status in
	0) word=ok ;;
	77)
		word=skip
		[[ ${CI:-} != true ]] || tail -n 1 "$WORK/$name.log" | grep -q 'allowed:' || word=FAIL
		;;
	*) word=FAIL ;;
	esac
	# One write, so that lines of parallel scenarios do not mix.
	{
		printf '%-4s %4d s  %s' "$word" $((SECONDS - start)) "$name"
		[[ $status -ne 77 ]] || printf '  (%s)' "$(tail -n 1 "$WORK/$name.log")"
		printf '\n'
		[[ $word != FAIL ]] || {
			printf '      exit status %d\n' "$status"
			# What failed and what the devices said of it, then the end.
			grep -E 'FAIL|said last' -B 1 -A 3 "$WORK/$name.log" | head -n 40 | sed 's/^/      | /'
			printf '      ...\n'
			tail -n 20 "$WORK/$name.log" | sed 's/^/      | /'
		}
	} >"$WORK/$name.line"
	cat "$WORK/$name.line"
	echo "$word" >"$WORK/$name.word"
}
export -f run_one
export WORK BIN LIMIT

list=()
for script in "$HERE"/*.sh; do
	if is_scenario "$script"; then list+=("$script"); fi
done
[[ ${#list[@]} -gt 0 ]] || {
	echo "no scenario matches '$PATTERN'"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
# A scenario that changes the whole machine says so in its second line, and runs when the others are done.
beside=() alone=()
for script in "${list[@]}"; do
	if sed -n 2p "$script" | grep -q '^# alone:'; then alone+=("$script"); else beside+=("$script"); fi
done
[[ ${#beside[@]} -eq 0 ]] || printf '%s\0' "${beside[@]}" | xargs -0 -P "$JOBS" -I{} bash -euo pipefail -c 'run_one {}' || true
for script in ${alone[@]+"${alone[@]}"}; do run_one "$script"; done

# Others' load makes a timing go wrong now and then: what failed beside others is tried once more, alone, and shown twice.
for script in "${list[@]}"; do
	[[ $(cat "$WORK/$(basename "$script" .sh).word") != FAIL ]] || run_one "$script"
done

count() { cat "$WORK"/*.word 2>/dev/null | grep -c "^$1\$" || true; }
passed=$(count ok) skipped=$(count skip)
failed=$((${#list[@]} - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
