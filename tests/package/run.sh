#!/usr/bin/env bash
# Runs the package scenarios: every scenario_*.sh here, on packages as `./dev package` makes them.
#   run.sh PACKAGES_DIR [PATTERN]      FZ_PACKAGE_JOBS: how many at once (default: one per CPU)
# One line per scenario (ok, FAIL or skip, seconds, name), the end of a failed one's output, and a closing line with counts. With
# CI=true a skip is a failure unless its reason starts with "allowed:".
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PACKAGES=$(cd "${1:?usage: run.sh PACKAGES_DIR [PATTERN]}" && pwd)
PATTERN=${2:-}
JOBS=${FZ_PACKAGE_JOBS:-$(nproc)}
LIMIT=${FZ_PACKAGE_SECONDS:-900}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

run_one() { # SCRIPT
	local name start=$SECONDS status=0 word
	name=$(basename "$1" .sh)
	timeout -k 70 "$LIMIT" bash "$1" "$PACKAGES" </dev/null >"$WORK/$name.log" 2>&1 || status=$?
	case $status in
	0) word=ok ;;
	77)
		word=skip
		[[ ${CI:-} != true ]] || tail -n 1 "$WORK/$name.log" | grep -q 'allowed:' || word=FAIL
		;;
	*) word=FAIL ;;
	esac
	{
		printf '%-4s %4d s  %s' "$word" $((SECONDS - start)) "$name"
		[[ $status -ne 77 ]] || printf '  (%s)' "$(tail -n 1 "$WORK/$name.log")"
		printf '\n'
		[[ $word != FAIL ]] || {
			printf '      exit status %d\n' "$status"
			{ grep '^FAIL' -A 5 "$WORK/$name.log" || true; tail -n 60 "$WORK/$name.log"; } | sed 's/^/      | /'
		}
	} >"$WORK/$name.line"
	cat "$WORK/$name.line"
	echo "$word" >"$WORK/$name.word"
}
export -f run_one
export WORK PACKAGES LIMIT

list=()
for script in "$HERE"/scenario_*.sh; do
	[[ -n $PATTERN && ! $(basename "$script" .sh) =~ $PATTERN ]] || list+=("$script")
done
[[ ${#list[@]} -gt 0 ]] || {
	echo "no scenario matches '$PATTERN'"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
printf '%s\0' "${list[@]}" | xargs -0 -P "$JOBS" -I{} bash -euo pipefail -c 'run_one {}' || true

count() { cat "$WORK"/*.word 2>/dev/null | grep -c "^$1\$" || true; }
passed=$(count ok) skipped=$(count skip)
failed=$((${#list[@]} - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
