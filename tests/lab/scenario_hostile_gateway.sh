#!/usr/bin/env bash
# A gateway that means harm: what it sends from outside of its grants, as others, to others, and what is no control packet at all,
# goes nowhere at the client, is counted, and does not keep it from anything.
source "$(dirname "$0")/lib.sh"
DRIVER=$BIN/../tests/node_driver
[[ -x $DRIVER ]] || skip "needs node_driver"
begin firezoned firezone-gateway firezonectl

HOSTILE=/run/fzlab/$FZ_LAB/log/gateway.hostile
requests() { grep -c '"event": "request_authorization"' "/run/fzlab/$FZ_LAB/transcript.jsonl"; }
arrives() { # NAME: how many packets so far
	on client nft -j list counter inet arrivals "$1" | /usr/bin/python3 -c '
import json, sys
print(next(c["counter"]["packets"] for c in json.load(sys.stdin)["nftables"] if "counter" in c))'
}
discarded() {
	on client "$BIN/firezonectl" metrics --json | /usr/bin/python3 -c '
import json, sys
print(int(sum(m["value"] for m in json.load(sys.stdin)["metrics"] if m["name"] == "firezone_tunnel_discarded")))'
}
pings() { on client ping -n -q -c 3 -i 0.3 -W 2 10.20.0.97; }

# What comes out of the tunnel at the client: from the gateway's own addresses, and from anybody else.
on client nft -f - <<'EOF'
table inet arrivals {
	counter own { }
	counter others { }
	chain inside {
		type filter hook prerouting priority raw;
		iifname "tun-firezone" meta l4proto udp ip saddr 100.64.0.1 udp dport 9 counter name "own" accept
		iifname "tun-firezone" meta l4proto udp ip6 saddr fd00:2021:1111::1 udp dport 9 counter name "own" accept
		iifname "tun-firezone" meta l4proto udp counter name "others"
	}
}
EOF
lab spawn gateway hostile /usr/bin/python3 "$HERE/hostile_gateway.py" "$DRIVER" https://portal.lab.test .lab.gateway.hq hostile \
	/etc/firezone/lab-ca.pem
check "a hostile gateway joins" within 20 joined hostile
check "a client comes up and connects to it" eval 'client_up && within 20 pings'
client=$(pid_of client firezoned) asked=$(requests)

attack() {
	kill -USR1 "$(pid_of gateway hostile)" && within 10 grep -q '^sent [1-9]' "$HOSTILE"
}
check "it sends what it must not" attack
sent=$(awk '$1 == "sent" { print $2 }' "$HOSTILE")
check "its own packets arrive" within 5 eval '(($(arrives own) >= 2))'
check "each of the others is counted" within 5 eval '(($(discarded) >= sent * 8 / 10))'
check "and none arrives" test "$(arrives others)" -eq 0
check "the client lives and reaches what is allowed" eval 'kill -0 "$client" && pings'
check "prohibitions do not make it ask without end" eval '(($(requests) - asked <= 3))'
check "its memory has not grown" eval '(($(awk "/VmRSS/ { print \$2 }" /proc/$client/status) < 60000))'

check "an honest gateway comes up" gateway_up gateway2
lab stop gateway hostile KILL
check "when the hostile one is gone, the client finds the honest one" within 60 reaches client
finish
