#!/usr/bin/env bash
# What happens to the interface while firezone-wg runs: up, down, MTU, another namespace, no IPv6, ports that are taken.
. "$(dirname "$0")/process_lib.bash"
A=fzp${$}a B=fzp${$}b

bound() { inside ss -Hlun "sport = :$1" | grep -q .; }
port_of() { inside wg show "$1" listen-port; }

# ---- up and down ----
start "$A"
PA=$PID
inside wg set "$A" private-key <(wg genkey) listen-port 7001
check "nothing is bound while the link is down" not bound 7001
ip -n "$NS" link set "$A" up
check "up binds the port" within 5 bound 7001
ip -n "$NS" link set "$A" down
check "down lets go of it" within 5 not bound 7001
ip -n "$NS" link set "$A" up
check "and up again takes it back" within 5 bound 7001
check "another port is taken at once" inside wg set "$A" listen-port 7002
check "this one" within 5 bound 7002
check "and the old one is free" not bound 7001

# ---- a port that is taken ----
inside python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 7003))
print(flush=True)
time.sleep(60)' >"$WORK/taken" &
TAKER=$!
STARTED+=("$(process_of "$TAKER")")
within 5 test -s "$WORK/taken"
refuses() { inside wg set "$A" listen-port 7003 >"$WORK/refused" 2>&1 || grep "Address already in use" "$WORK/refused"; }
check "a port in use is refused with the right words" refuses
check "and the device goes on where it was" bound 7002
check "get still says so" test "$(port_of "$A")" = 7002
check "a privileged port can be had" inside wg set "$A" listen-port 443
check "indeed" bound 443
check "any port can be had" inside wg set "$A" listen-port 0
any_port() { local p; p=$(port_of "$A"); [[ $p -gt 0 && $p -ne 443 ]] && bound "$p"; }
check "and is told" any_port
check "a mark can be set" inside wg set "$A" fwmark 0x42
check "is told" test "$(inside wg show "$A" fwmark)" = 0x42
check "and is on the socket" bash -c "ip netns exec $NS ss -Hlune 'sport = :$(port_of "$A")' | grep -q 'fwmark:0x42'"
kill "$TAKER"
ip -n "$NS" link set "$A" down
inside wg set "$A" listen-port 7001 fwmark off
ip -n "$NS" link set "$A" up

# ---- two devices, MTU, another namespace ----
start "$B"
PB=$PID
KA=$(wg genkey) KB=$(wg genkey)
inside wg set "$A" private-key <(echo "$KA") peer "$(wg pubkey <<<"$KB")" allowed-ips 10.5.0.2/32 endpoint 127.0.0.1:7005
inside wg set "$B" private-key <(echo "$KB") listen-port 7005 peer "$(wg pubkey <<<"$KA")" allowed-ips 10.5.0.1/32
ip -n "$NS" address add 10.5.0.1/24 dev "$A"
ip -n "$NS" link set "$B" netns "$NS2"
ip -n "$NS2" address add 10.5.0.2/24 dev "$B"
ip -n "$NS2" link set "$B" up
pings() { inside ping -n -q -c 2 -i 0.2 -W 3 "$@" 10.5.0.2; }
check "a TUN moved to another namespace carries traffic" within 10 pings
check "while its sockets stay" bound 7005
check "and wg still finds it" inside wg show "$B"
ip -n "$NS2" link set "$B" down
check "down there is seen here" within 5 not bound 7005
ip -n "$NS2" link set "$B" up
check "and up as well" within 5 bound 7005
# The side that was down has forgotten its keys, so it is the one that starts; the other would after 15 s.
check "traffic comes back" within 10 ip netns exec "$NS2" ping -n -q -c 2 -i 0.2 -W 3 10.5.0.1
for mtu in 576 1280 9000 65535 1420; do
	ip -n "$NS" link set "$A" mtu "$mtu"
	ip -n "$NS2" link set "$B" mtu "$mtu"
	size=$((mtu - 28))
	((size > 65444)) && size=65444 # what fits into one UDP datagram with 32 bytes around it, padded to 16
	check "MTU $mtu at run time: a full packet passes" within 10 pings -M do -s "$size"
done
ip -n "$NS2" link set "$B" name "${B}x"
check "a renamed interface goes on" within 10 pings
ip -n "$NS2" link delete "${B}x"
check "a TUN deleted over there ends the process" wait "$PB"
check "in order" not has_socket "$B"

# ---- traffic and SIGTERM ----
start "$B"
PB=$PID
inside wg set "$B" private-key <(echo "$KB") listen-port 7005 peer "$(wg pubkey <<<"$KA")" allowed-ips 10.5.0.1/32
ip -n "$NS" link set "$B" netns "$NS2"
ip -n "$NS2" address add 10.5.0.2/24 dev "$B"
ip -n "$NS2" link set "$B" up
within 10 pings
ip netns exec "$NS2" iperf3 -s -D -I "$WORK/iperf.pid" >/dev/null 2>&1
inside timeout 20 iperf3 -c 10.5.0.2 -t 10 -P 4 >/dev/null 2>&1 &
IPERF=$!
STARTED+=("$(process_of "$IPERF")")
busy() { [[ $(inside wg show "$A" transfer | cut -f 3) -gt 1000000 ]]; }
check "traffic flows" within 10 busy
check "SIGTERM in the middle of it ends one side" stop "$PB"
check "and leaves the other" kill -0 "$PA"
check "which ends as well" stop "$PA"
check "without sockets" not has_socket "$A"
kill "$IPERF" 2>/dev/null

# ---- no IPv6 ----
inside sysctl -qw net.ipv6.conf.all.disable_ipv6=1
start "$A"
inside wg set "$A" private-key <(wg genkey) listen-port 7001
ip -n "$NS" link set "$A" up
check "without IPv6 it serves IPv4" within 5 bound 7001
check "and ends" stop "$PID"
finish
