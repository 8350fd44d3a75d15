#!/usr/bin/env bash
# Loss, NATs of every kind, and a path through the relay alone.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" downloads client 1M
lab loss 10
check "with 10 % loss a download is whole" downloads client 2M
lab loss 0

# IPv6 passes without translation: only IPv4 shows what a NAT does.
for host in client gateway; do on "nat-$host" ip -6 route add blackhole 2001:db8::/32 metric 1; done
kinds() {
	lab nat client "$1" && lab nat gateway "$2" || return 1
	lab stop client firezoned && lab stop gateway firezone-gateway && pair_up && within 20 reaches client && downloads client 1M
}
for pair in "none none" "cone restricted" "restricted restricted" "cone symmetric" "restricted symmetric" "symmetric symmetric"; do
	# shellcheck disable=SC2086 # two words
	check "client behind ${pair% *}, gateway behind ${pair#* }" kinds $pair
done
lab direct off
check "with only the relay between them" kinds restricted restricted
finish
