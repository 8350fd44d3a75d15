#!/usr/bin/env bash
# A network where the web is reached through a proxy alone: client and gateway reach the portal by CONNECT; no_proxy is honoured.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

LOG=/run/fzlab/$FZ_LAB/log/relay.proxy
PROXY=http://office:s3cret@203.0.113.20:3128
connects() { # STATUS: how often so far
	grep -c "^portal.lab.test:443 $1" "$LOG" || true
}
without_proxy() { ! on "$1" curl -sS -o /dev/null -m 3 --cacert /etc/firezone/lab-ca.pem https://portal.lab.test/lab; }
says() {
	on client "$BIN/firezonectl" status --json >"$WORK/status"
	cat "$WORK/status"
	grep -qi -- "$1" "$WORK/status"
}
lab spawn relay proxy /usr/bin/python3 "$HERE/connect_proxy.py" 3128 office:s3cret
on internet nft -f - <<'EOF'
add rule inet weather direct ip saddr != 203.0.113.20 ip daddr 203.0.113.10 tcp dport 443 reject with tcp reset
add rule inet weather direct ip6 saddr != 2001:db8::20 ip6 daddr 2001:db8::10 tcp dport 443 reject with tcp reset
EOF
check "the portal is not reached without the proxy" eval 'without_proxy client && without_proxy gateway'

check "a gateway comes up by the proxy" gateway_up gateway https_proxy="$PROXY"
check "and a client" client_up client https_proxy="$PROXY"
check "both asked the proxy to connect them" eval '(($(connects 200) >= 2))'
check "a download through the tunnel is whole" within 20 downloads client 1M
n=$(connects 200)
ctl abort '*'
check "connections that break are made again by the proxy" eval 'within 20 joined client && within 20 joined gateway && (($(connects 200) >= n + 2))'

lab stop client firezoned
lab client client https_proxy=http://office:wrong@203.0.113.20:3128
check "with a wrong password the client says that the proxy refuses it" within 15 says 'proxy.*password'
lab stop client firezoned
lab client client https_proxy=http://203.0.113.20:9
check "with a proxy that is not there it says so, and goes on trying" within 15 says 'connecting'
lab stop client firezoned

n=$(connects 200)
lab client client https_proxy="$PROXY" no_proxy=localhost,.lab.test
check "with the portal's domain in no_proxy the proxy is not asked" within 15 says 'connecting'
on internet nft flush chain inet weather direct
check "and with the way open the client comes up without it" within 20 is_state client up
check "the proxy was not asked" test "$(connects 200)" -eq "$n"
check "a download is whole" within 20 downloads client 1M
expect_log '^warning: portal-down '
finish
