#!/usr/bin/env bash
# The Internet Resource, on and off; what is next door stays next door, and other people's rules and routes are let be.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

lab spawn portal whoami /usr/bin/python3 "$HERE/resource.py" http 8081
FAR=http://203.0.113.10:8081/whoami FAR6='http://[2001:db8::10]:8081/whoami'
comes_from() { # ADDRESS [URL]
	local got
	got=$(fetch client "${2:-$FAR}" -m 10)
	echo "from $got"
	[[ $got == "$1" ]]
}
on client ip rule add pref 5000 to 198.51.100.0/24 lookup 777
on client ip route add 198.51.100.0/24 via 192.168.31.1 table 777
rules() { on client ip rule && on client ip -6 rule && on client ip route show table 777 && on client ip route show table main; }
theirs_are_there() { on client ip rule | grep '^5000:.*198.51.100.0/24 lookup 777' && on client ip route show table 777 | grep 192.168.31.1; }

check "off the tunnel, requests come from the client's own box" within 10 comes_from 203.0.113.31
before=$(rules)
check "gateway and client come up" pair_up
check "with the Internet Resource off they still do" comes_from 203.0.113.31
check "it is turned on" on client "$BIN/firezonectl" internet-resource enable
check "then they come from the gateway's box" within 15 comes_from 203.0.113.41
check "over IPv6, too, from the gateway" within 15 comes_from 2001:db8:41::2 "$FAR6"
check "the portal's connection stays" throughout 3 is_state client up
check "the neighbour is reached" on client ping -n -q -c 2 -W 2 192.168.31.1
check "other people's rules are there" theirs_are_there
check "a CIDR resource is reached" reaches client
check "it is turned off" on client "$BIN/firezonectl" internet-resource disable
check "and requests come from the client's own box again" within 15 comes_from 203.0.113.31
check "firezoned ends" lab stop client firezoned
after=$(rules)
check "and leaves rules and routes as they were" test "$before" == "$after"
finish
