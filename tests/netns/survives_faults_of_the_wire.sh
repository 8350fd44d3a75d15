#!/usr/bin/env bash
# UDP errors, malformed datagrams, SIGTERM in the middle of traffic, a deleted interface, and io_uring that is barred.
. "$(dirname "$0")/lib.sh"
begin
LOG_LEVEL=verbose
# idles SPACE: in two seconds its threads take less than one of a CPU's
ticks() { awk '{ print $14 + $15 }' "/proc/${PID[$1]}/stat"; }
idles() {
	local before
	before=$(ticks "$1") || return 1
	sleep 2
	echo "$(($(ticks "$1") - before)) ticks"
	[[ $(ticks "$1") -lt $((before + $(getconf CLK_TCK))) ]]
}
check "two devices start" pair ours ours
check "they speak" within 10 pings a b
at a ip link set to-b down
check "nothing passes while the link is down" not pings4 a b
at a ip link set to-b up
at a ip address add 2001:db8::1/64 dev to-b nodad 2>/dev/null
check "it goes on when it is up again" within 15 pings a b
at a ip route add unreachable 192.0.2.2/32
check "nothing passes without a route" not pings4 a b
at a ip route del unreachable 192.0.2.2/32
check "it goes on when there is one" within 15 pings a b
at a ip link set to-b mtu 1280
at b ip link set to-a mtu 1280
check "a smaller link is no end either" within 15 pings4 a b -s 1300
at a ip link set to-b mtu 1500
at b ip link set to-a mtu 1500
wgset a peer "${PUB[b]}" endpoint 255.255.255.255:9
check "an endpoint that may not be sent to is no end" not pings4 a b
wgset a peer "${PUB[b]}" endpoint "$(endpoint4 b)"
check "it goes on with the right one" within 15 pings4 a b

# What the device says by itself is refused with EINVAL: on a black-holed route, and to port 0.
at a ip route add blackhole 192.0.2.2/32
wgset a peer "${PUB[b]}" persistent-keepalive 1
check "nothing passes into a black hole" not pings4 a b
sleep 2
check "and it does not work itself hot over its keepalives" idles a
at a ip route del blackhole 192.0.2.2/32
check "it goes on when the hole is gone" within 15 pings4 a b
wgset a peer "${PUB[b]}" endpoint 192.0.2.2:0
check "nothing passes to port 0" not pings4 a b
sleep 2
check "which does not make it hot either" idles a
wgset a peer "${PUB[b]}" endpoint "$(endpoint4 b)"
check "it goes on with a port" within 15 pings4 a b
at a ip route add blackhole 192.0.2.2/32
sleep 2
says_drops() { kill -USR1 "${PID[a]}" && sleep 0.2 && grep 'dropped why=tx-failed packets=[1-9]' "$WORK/a.log"; }
check "asked by SIGUSR1 it says how many could not be sent" within 5 says_drops
check "and said so by itself, but not each time" test "$(grep -c udp-send-failed "$WORK/a.log")" -ge 1 -a "$(grep -c udp-send-failed "$WORK/a.log")" -le 5
check "SIGTERM over a black hole ends it" stop a
at a ip route del blackhole 192.0.2.2/32
check "it starts again" start a
identity a
knows a b endpoint "$(endpoint4 b)"
check "and speaks again" within 15 pings4 a b

at a "$PYTHON" "$HERE/net.py" noise 192.0.2.2 "${LISTEN[b]}" "${PUB[b]}" 20000 "${FZ_SEED:-3}" >"$WORK/noise"
cat "$WORK/noise"
check "20,000 malformed datagrams get no answer" grep -q 'answers 0$' "$WORK/noise"
check "and do no harm" within 10 pings a b

job b "$WORK/server" iperf3 -s
within 10 bash -c "ip netns exec $(space_of b) ss -Hltn 'sport = :5201' | grep -q ."
job a "$WORK/client" iperf3 -c 10.9.0.2 -t 30
sleep 2
check "SIGTERM in the middle of traffic ends it" stop a
check "its socket is gone" not test -e "$SOCKETS/$(dev a).sock"
check "its interface too" not at a ip link show "$(dev a)"
check "the other one is there" at b wg show "$(dev b)"
check "the same name starts again" start a
identity a
knows a b endpoint "$(endpoint4 b)"
check "and speaks" within 15 pings4 a b
job a "$WORK/client2" iperf3 -c 10.9.0.2 -t 30
sleep 1
at a ip link delete "$(dev a)"
check "deleting the interface in the middle of traffic ends it" within 10 is_gone "${PID[a]}"
check "and removes its socket" not test -e "$SOCKETS/$(dev a).sock"

export FIREZONE_IO=auto
for filter in noring noenter; do
	LAUNCHER="$PYTHON $HERE/net.py $filter"
	check "$filter: where io_uring is barred it starts all the same" start a
	identity a
	knows a b endpoint "$(endpoint4 b)"
	check "$filter: and speaks" within 15 pings a b
	check "$filter: with one line that says so" test "$(grep -ciE 'io_uring|uring' "$WORK/a.log")" -eq 1
	grep -iE uring "$WORK/a.log"
	check "$filter: it ends in order" stop a
	check "$filter: where it is demanded it refuses" not env FIREZONE_IO=uring ip netns exec "$(space_of a)" $LAUNCHER "$BIN/firezone-wg" -f "$(dev a)"
done
# Without -f and without LOG_LEVEL: whoever starts it by hand is told.
start_by_hand() {
	local said
	said=$(env -u LOG_LEVEL ip netns exec "$(space_of a)" timeout 20 $LAUNCHER "$BIN/firezone-wg" "$(dev a)" 2>&1) || return 1
	echo "$said"
	at a ip link delete "$(dev a)"
	[[ $(wc -l <<<"$said") -eq 1 && $said == *"using=epoll"* ]]
}
check "the line is seen without LOG_LEVEL" start_by_hand
within 10 test ! -e "$SOCKETS/$(dev a).sock"

LAUNCHER="$PYTHON $HERE/net.py noipv6"
check "without IPv6 sockets it starts" start a
identity a
knows a b endpoint "$(endpoint4 b)"
check "with a socket for IPv4 alone" test "$(at a ss -Hlun "sport = :${LISTEN[a]}" | awk '{ print $4 }')" = "0.0.0.0:${LISTEN[a]}"
check "and speaks over IPv4" within 15 pings a b
wgset a peer "${PUB[b]}" endpoint "$(endpoint6 b)"
pings4 a b >/dev/null # b may be quicker to tell it where it is
check "an endpoint it cannot reach is no end" at a wg show "$(dev a)"
wgset a peer "${PUB[b]}" endpoint "$(endpoint4 b)"
check "it goes on with one that it can" within 15 pings4 a b
check "and ends in order" stop a
LAUNCHER=
check "b ends in order" stop b
finish
