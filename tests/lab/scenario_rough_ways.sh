#!/usr/bin/env bash
# Loss, NATs of every kind, and a path through the relay alone.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" within 20 downloads client 1M
lab loss 10
check "with 10 % loss a download is whole" downloads client 1M
# A lost train is all that was on its way, and TCP waits twice as long after each: what is larger may take minutes.
lab loss 20
check "with 20 % loss a download is whole" downloads client 200k
lab loss 0

# IPv6 passes without translation: only IPv4 shows what a NAT does.
restart() { lab stop client firezoned && lab stop gateway firezone-gateway && "$@" && pair_up; }
no_ipv6() { for host in client gateway; do on "nat-$host" ip -6 route add blackhole 2001:db8::/32 metric 1 || return 1; done; }
nats() { lab nat client "$1" && lab nat gateway "$2"; }
goes() { # PATH: how packets go by now
	reaches client && on client "$BIN/firezonectl" peer list | grep " $1 "
}
kinds() { # NAT NAT PATH
	restart nats "$1" "$2" && within 20 reaches client && within 20 downloads client 1M && within 10 goes "$3"
}
check "client and gateway start again without IPv6" restart no_ipv6
for row in "none none direct" "cone restricted direct" "restricted restricted direct" "cone symmetric direct" \
	"restricted symmetric relayed" "symmetric symmetric relayed"; do
	# shellcheck disable=SC2086 # three words
	set -- $row
	check "client behind $1, gateway behind $2: $3" kinds "$@"
done
lab direct off
check "with only the relay between them" kinds restricted restricted relayed
lab direct on
finish
