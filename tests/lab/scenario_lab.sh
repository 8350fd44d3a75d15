#!/usr/bin/env bash
# The lab itself: it leaves nothing behind, however it ended.
source "$(dirname "$0")/lib.sh"
begin

left() { ls -d "/run/fzlab/$1" 2>/dev/null || ip netns | grep -w "fzlab-$1-[a-z0-9-]*" || grep "/run/fzlab/$1" /proc/mounts; }
check "hosts have files of their own" eval 'on client touch /etc/firezone/mark && ! on client2 test -e /etc/firezone/mark && ! test -e /etc/firezone/mark'
check "names are found" on client getent hosts portal.lab.test
check "the portal's certificate holds" on client curl -sS --fail -o /dev/null --cacert /etc/firezone/lab-ca.pem https://portal.lab.test/lab
check "clients do not reach resources by themselves" reaches_not client
check "gateways do" reaches gateway
half_made() {
	local p i
	FZ_LAB=$FZ_LAB-b timeout 60 "$HERE/lab" up >/dev/null 2>&1 &
	p=$!
	for i in 1 2 3 4 5 6 7 8 9 10; do
		[[ ! -e /run/netns/fzlab-$FZ_LAB-b-client ]] || break
		sleep 0.2
	done
	kill -KILL "$p"
	wait "$p" 2>/dev/null
	FZ_LAB=$FZ_LAB-b timeout 60 "$HERE/lab" down
	not left "$FZ_LAB-b"
}
check "one whose making was killed goes away" half_made
check "this one is as it was" reaches gateway
check "down removes it" lab down
check "nothing is left" not left "$FZ_LAB"
finish
