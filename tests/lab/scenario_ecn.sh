#!/usr/bin/env bash
# Congestion marks go through the tunnel: those of the ends both ways, and one that the way itself sets arrives at the far end.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

for host in client resource; do on "$host" sysctl -q -w net.ipv4.tcp_ecn=1; done
# Counters of what arrives inside, by mark; and of what is seen outside.
counts_in() { # HOST INTERFACE
	on "$1" nft -f - <<-EOF
		table inet marks {
			counter ect0 { }
			counter ce { }
			chain input {
				type filter hook input priority filter;
				iifname "$2" ip ecn ect0 counter name "ect0"
				iifname "$2" ip6 ecn ect0 counter name "ect0"
				iifname "$2" ip ecn ce counter name "ce"
				iifname "$2" ip6 ecn ce counter name "ce"
			}
		}
	EOF
}
seen() { # HOST MARK
	on "$1" nft -j list counter inet marks "$2" | /usr/bin/python3 -c '
import json, sys
print(next(c["counter"]["packets"] for c in json.load(sys.stdin)["nftables"] if "counter" in c))'
}
grew() { # HOST MARK BEFORE
	local now
	now=$(seen "$1" "$2")
	echo "$2 at $1: $3, now $now"
	((now > $3))
}
marks_on_the_way() { # on|off: every marked datagram between the boxes was in a queue
	on internet nft flush chain inet weather direct
	[[ $1 == off ]] || on internet nft -f - <<-'EOF'
		add rule inet weather direct meta l4proto udp ip ecn ect0 ip ecn set ce
		add rule inet weather direct meta l4proto udp ip6 ecn ect0 ip6 ecn set ce
	EOF
}
upload() {
	on client bash -c 'head -c 2000000 /dev/urandom >/run/up; test "$(curl -sS -m 60 -T /run/up http://10.20.0.10/upload)" = "$(sha256sum </run/up | cut -d " " -f 1)"'
}

# Seen outside: a class of service, which nobody outside is to learn of.
on internet nft -f - <<'EOF'
table inet outside {
	counter with_class { }
	counter every { }
	chain forward {
		type filter hook forward priority filter;
		meta l4proto udp udp sport != 53 udp dport != 53 counter name "every"
		meta l4proto udp ip dscp != cs0 counter name "with_class"
		meta l4proto udp ip6 dscp != cs0 counter name "with_class"
	}
}
EOF
outside() {
	on internet nft -j list counter inet outside "$1" | /usr/bin/python3 -c '
import json, sys
print(next(c["counter"]["packets"] for c in json.load(sys.stdin)["nftables"] if "counter" in c))'
}
check "marks can be counted" eval 'counts_in client tun-firezone && counts_in resource net20'
check "gateway and client come up" pair_up
for web in http://10.20.0.10 'http://[fd20::10]'; do
	at_client=$(seen client ect0) at_resource=$(seen resource ect0)
	check "a download of marked packets is whole: $web" downloads client 2M "$web"
	check "they arrive with their mark" grew client ect0 "$at_client"
	check "and so do those of the client" grew resource ect0 "$at_resource"
done
check "an upload is whole" upload
check "nobody saw congestion" test "$(seen client ce)$(seen resource ce)" = 00
marks_on_the_way on
check "with congestion on the way a download is whole" downloads client 2M
check "and the client's system learns of it" grew client ce 0
check "an upload is whole" upload
check "and the resource's system learns of it" grew resource ce 0
marks_on_the_way off

before=$(outside every) classed=$(outside with_class) # handshakes have one of their own, as the kernel's
check "packets of a class of their own come through" on client ping -n -q -c 3 -i 0.3 -W 3 -Q 0xb8 10.20.0.10
check "and on the way there are datagrams" test "$(outside every)" -gt "$before"
check "none of which has a class" test "$(outside with_class)" -eq "$classed"
finish
