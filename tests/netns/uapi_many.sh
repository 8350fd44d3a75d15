#!/usr/bin/env bash
# Large configurations: 10,000 peers in under 64 MiB, 130,000 allowed-IPs, and answers while traffic flows.
. "$(dirname "$0")/process_lib.bash"
start
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$PID/status"; }
EMPTY=$(rss)
python3 - "$WORK" <<'P'
import base64, sys
def conf(name, peers, ips):
    with open(f"{sys.argv[1]}/{name}", "w") as f:
        n = 0
        for i in range(peers):
            key = base64.b64encode((i + 9).to_bytes(31, "little") + b"\x01").decode()
            f.write(f"[Peer]\nPublicKey = {key}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = ")
            f.write(", ".join(f"{1 + (n + k) // 65536}.{(n + k) // 256 % 256}.{(n + k) % 256}.1/32" for k in range(ips)) + "\n")
            n += ips
conf("peers", 10000, 1)
conf("ips", 1, 130560)
conf("netns", 40, 52)
P
inside wg set "$IF" private-key <(wg genkey)
ip -n "$NS" link set "$IF" up
check "10,000 peers are set" inside wg setconf "$IF" "$WORK/peers"
check "and are there" test "$(inside wg show "$IF" peers | wc -l)" = 10000
RSS=$(rss)
echo "memory: empty $EMPTY kB, with 10,000 peers $RSS kB"
check "in under 64 MiB" test "$RSS" -lt 65536
check "syncconf of the same changes nothing" inside wg syncconf "$IF" "$WORK/peers"
check "with the peers there still" test "$(inside wg show "$IF" peers | wc -l)" = 10000
check "one peer with 130,560 allowed-IPs replaces them" inside wg setconf "$IF" "$WORK/ips"
check "all of them" test "$(inside wg show "$IF" allowed-ips | tr ' ' '\n' | grep -c /32)" = 130560
check "40 peers with 52 each" inside wg setconf "$IF" "$WORK/netns"
check "all of those" test "$(inside wg show "$IF" allowed-ips | tr ' \t' '\n\n' | grep -c /32)" = 2080
check "nothing at last" inside wg setconf "$IF" /dev/null
check "really" test -z "$(inside wg show "$IF" peers)"
check "it ends in order" stop "$PID"
finish
