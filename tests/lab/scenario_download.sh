#!/usr/bin/env bash
# A file through the tunnel: whole, both families, both ways, many at once, broken off; and filters hold.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "10 MB arrive whole" downloads client 10M
check "10 MB arrive whole over IPv6" downloads client 10M 'http://[fd20::10]'
check "the resource sees the gateway's address" test "$(fetch client "$WEB/whoami")" = 10.20.0.1
upload() {
	on client bash -c 'head -c 5000000 /dev/urandom >/run/up; test "$(curl -sS -m 60 -T /run/up http://10.20.0.10/upload)" = "$(sha256sum </run/up | cut -d " " -f 1)"'
}
check "5 MB go up whole" upload
many() {
	local i pids=() bad=0
	for i in 1 2 3 4 5 6 7 8; do
		downloads client 3M >/dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || bad=1; done
	return $bad
}
check "eight downloads at once arrive whole" many
broken_off() { ! fetch client "$WEB/rst/4M" -m 20 >/dev/null 2>"$WORK/rst" && grep -qi 'reset' "$WORK/rst"; }
check "a reset by the server is a reset at the client" broken_off
check "and the next download is whole" downloads client 1M

check "a filtered resource's open port is reached" reaches client http://10.20.0.80/whoami
check "what its filter does not permit goes by the wider resource" reaches client http://10.20.0.80:8080/whoami
ctl resource lab office '{"type": "cidr", "address": "10.20.0.0/26", "site": "hq"}'
check "without one its other ports are not reached" within 10 reaches_not client http://10.20.0.80:8080/whoami
check "but the open one" reaches client http://10.20.0.80/whoami
check "nor by ping" not on client ping -n -q -c 2 -W 2 10.20.0.80
check "a resource without filters answers pings" on client ping -n -q -c 3 -W 3 10.20.0.10
check "what is no resource goes its own way" fetch client https://portal.lab.test/lab --cacert /etc/firezone/lab-ca.pem

# Afterwards nothing spins, and the kernel refused no datagram.
ticks() { # HOST NAME: of processor time so far
	cut -d ' ' -f 14,15 "/proc/$(pid_of "$1" "$2")/stat" | tr ' ' +
}
rests() {
	local before after
	before=$(($(ticks "$1" "$2")))
	sleep 3
	after=$(($(ticks "$1" "$2")))
	echo "$((after - before)) ticks in 3 s"
	((after - before < 30))
}
udp_errors() { on "$1" nstat -a -s -z UdpInErrors UdpRcvbufErrors UdpSndbufErrors Udp6InErrors Udp6RcvbufErrors Udp6SndbufErrors; }
no_udp_errors() {
	udp_errors "$1"
	[[ $(udp_errors "$1" | awk '/^Udp/ { n += $2 } END { print n + 0 }') -eq 0 ]]
}
check "the client sleeps when nothing is to be done" within 5 rests client firezoned
check "and the gateway" within 5 rests gateway firezone-gateway
check "no datagram was refused at the client" no_udp_errors client
check "nor at the gateway" no_udp_errors gateway
finish
