#!/usr/bin/env bash
# alone: for less than a second it switches io_uring off for the whole machine (kernel.io_uring_disabled, since Linux 6.6).
. "$(dirname "$0")/lib.sh"
SWITCH=/proc/sys/kernel/io_uring_disabled
[[ -w $SWITCH ]] || skip "allowed: this kernel cannot switch io_uring off"
begin
exec 9>/tmp/lab.lock # others on this machine may be at work with rings
spaces a b
wired a b
check "a device starts" start b
identity b
BEFORE=$(cat "$SWITCH")
switched_off() { # COMMAND...
	local status=0
	flock 9
	trap 'echo "$BEFORE" >"$SWITCH"; cleanup' EXIT
	echo 2 >"$SWITCH"
	"$@" || status=$?
	echo "$BEFORE" >"$SWITCH"
	trap cleanup EXIT
	flock -u 9
	return "$status"
}
export FIREZONE_IO=auto LOG_LEVEL=verbose
check "with io_uring switched off a device starts all the same" switched_off start a
identity a
knows b a
knows a b endpoint "$(endpoint4 b)"
check "and speaks" within 15 pings a b
check "with one line that names the switch" test "$(grep -c 'kernel.io_uring_disabled' "$WORK/a.log")" -eq 1
cat "$WORK/a.log"
check "the switch is as it was" test "$(cat "$SWITCH")" = "$BEFORE"
check "it ends in order" stop a
refuses() { FIREZONE_IO=uring timeout 10 ip netns exec "$(space_of a)" "$BIN/firezone-wg" -f "$(dev a)" 2>"$WORK/refused"; [[ $? -eq 1 ]]; }
check "where io_uring is demanded it refuses" switched_off refuses
check "and says which switch it was" grep -q 'kernel.io_uring_disabled' "$WORK/refused"
finish
