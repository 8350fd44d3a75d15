#!/usr/bin/env bash
# What the gateway does to a host, in namespaces: rules as nft(8) sees them, masquerading and routing of both families
# proven by answers, other tables left alone, a second gateway refused, nothing left after an end or a kill.
#   tun (100.64.0.2) === tun-firezone-gw [gw] site === [site] 10.9.0.5, fd09::5, which knows no way back to 100.64.0.0/11
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../support/pids.bash"
DRIVER=${1:?usage: $0 HOST_DRIVER}
ID=$BASHPID FAILED=0 STARTED=() WORK=$(mktemp -d) || exit 1
IF=tun-firezone-gw TABLE="inet firezone-gateway" MARK=0x00f17e02
TUN=fzg-$ID-t GW=fzg-$ID-g SITE=fzg-$ID-s

cleanup() {
	local p n
	for p in ${STARTED[@]+"${STARTED[@]}"}; do end_process KILL "$p"; done
	for n in "$TUN" "$GW" "$SITE"; do ip netns delete "$n" 2>/dev/null; done
	rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

skip() {
	echo "skipped: $*"
	exit 77
}
check() {
	local sentence=$1
	shift
	if "$@" >"$WORK/out" 2>&1; then
		echo "ok   $sentence"
	else
		echo "FAIL $sentence"
		sed 's/^/       /' "$WORK/out" | tail -n 20
		FAILED=1
	fi
}
# Six times the seconds that an idle machine needs at most: a busy one fails nothing by being slow.
within() {
	local end=$((SECONDS + 6 * $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}
not() { ! "$@"; }
in_ns() { ip netns exec "$@"; }

[[ $EUID -eq 0 ]] || skip "needs root"
ip netns add "$GW" 2>/dev/null || skip "network namespaces cannot be made"
in_ns "$GW" nft list ruleset >/dev/null 2>&1 || skip "needs nft(8) and nf_tables"
ip netns add "$TUN" && ip netns add "$SITE" || exit 1
for n in "$GW" "$TUN" "$SITE"; do ip -n "$n" link set lo up; done

ip link add tun netns "$TUN" type veth peer name "$IF" netns "$GW"
ip link add site netns "$GW" type veth peer name gw netns "$SITE"
ip -n "$TUN" address add 100.64.0.2/32 dev tun
ip -n "$TUN" address add fd00:2021:1111::2/128 dev tun nodad
ip -n "$GW" address add 10.9.0.1/24 dev site
ip -n "$GW" address add fd09::1/64 dev site nodad
ip -n "$SITE" address add 10.9.0.5/24 dev gw
ip -n "$SITE" address add fd09::5/64 dev gw nodad
ip -n "$TUN" link set tun up
ip -n "$GW" link set "$IF" up
ip -n "$GW" link set site up
ip -n "$SITE" link set gw up
ip -n "$TUN" route add default via 100.64.0.1 dev tun onlink
ip -n "$TUN" -6 route add default via fd00:2021:1111::1 dev tun onlink

# begin NAME [WORDS...]: the driver with a pipe as its input, whose end stops it; it has said "ready" or ended.
declare -A PID=() PIPE=()
begin() {
	local name=$1
	shift
	mkfifo "$WORK/$name.in" 2>/dev/null
	rm -f "$WORK/$name.out" # what an earlier one said counts for nothing
	ip netns exec "$GW" "$DRIVER" "$IF" "$WORK/journal" "$@" <"$WORK/$name.in" >"$WORK/$name.out" 2>&1 &
	PID[$name]=$!
	STARTED+=("$(process_of "$!")")
	exec {fd}>"$WORK/$name.in"
	PIPE[$name]=$fd
	within 10 said "$name"
}
said() { grep -qE '^(ready|refused)' "$WORK/$1.out" 2>/dev/null || ! kill -0 "${PID[$1]}" 2>/dev/null; }
finish() {
	local fd=${PIPE[$1]}
	exec {fd}>&-
	wait "${PID[$1]}"
}
forget() { # after a kill
	local fd=${PIPE[$1]}
	exec {fd}>&-
	wait "${PID[$1]}" 2>/dev/null
	rm -f "$WORK/$1.in"
}
output() { grep -q "$2" "$WORK/$1.out" || { cat "$WORK/$1.out"; false; }; }
table() { in_ns "$GW" nft list table $TABLE; }
rule() { table | grep -F -- "$1" >/dev/null || { table; false; }; }
ping4() { in_ns "$TUN" ping -n -q -c 1 -W 3 10.9.0.5; }
ping6() { in_ns "$TUN" ping -n -q -c 1 -W 3 fd09::5; }
foreign() { in_ns "$GW" nft list ruleset | sed "/^table $TABLE /,/^}/d"; }
rules_of_ours() { ip -n "$GW" "$1" rule | grep -E '^(10000|10001|10900):'; }
sysctl_is() { [[ $(in_ns "$GW" cat "/proc/sys/$1") == "$2" ]]; }

in_ns "$GW" nft -f - <<'RULES'
table inet theirs {
	chain forward {
		type filter hook forward priority 10; policy drop;
		accept
	}
	set blocked {
		type ipv4_addr
		elements = { 192.0.2.66 }
	}
}
table ip firezone-gateway {
	chain c {
	}
}
RULES
foreign >"$WORK/foreign.before"

check "without a gateway nothing is forwarded" not ping4
begin one
check "the table is made and belongs to the process" within 10 output one '^ready owned 0'
check "a chain of others that drops is told" within 10 output one '^drops inet theirs forward'
check "nft sees the mark" rule "iifname \"$IF\" meta mark set $MARK ct mark set $MARK"
check "nft sees the way back" rule "iifname != \"$IF\" ct mark $MARK meta mark set $MARK"
check "nft sees IPv4 masqueraded" rule "ip saddr 100.64.0.0/11 masquerade"
check "nft sees IPv6 masqueraded" rule "ip6 saddr fd00:2021:1111::/107 masquerade"
check "nft sees the guard against a client's tunnel" rule 'oifname "tun-firezone" reject'
check "IPv4 is forwarded" sysctl_is net/ipv4/ip_forward 1
check "IPv6 is forwarded" sysctl_is net/ipv6/conf/all/forwarding 1
check "marks count for the reverse path" sysctl_is net/ipv4/conf/all/src_valid_mark 1
check "interfaces go on hearing router advertisements" sysctl_is net/ipv6/conf/site/accept_ra 2
check "IPv4 reaches the site and comes back" within 10 ping4
check "IPv6 reaches the site and comes back" within 10 ping6

check "the site sees the gateway's address, not the client's" bash -c "
	ip netns exec $SITE nft -f - <<'RULES'
table ip count {
	chain in {
		type filter hook input priority 0
		ip saddr 100.64.0.0/11 counter drop
		ip saddr 10.9.0.1 counter accept
	}
}
RULES
	ip netns exec $TUN ping -n -q -c 2 -i 0.2 -W 3 10.9.0.5 &&
	ip netns exec $SITE nft list table ip count | grep 'saddr 100.64.0.0/11 counter packets 0 ' &&
	ip netns exec $SITE nft list table ip count | grep 'saddr 10.9.0.1 counter packets 2 '"

# A client's policy rules on the same host would take everything that is not marked as its own.
for f in -4 -6; do
	ip -n "$GW" "$f" rule add not fwmark 0x00f17e01 lookup 999 priority 10100
	ip -n "$GW" "$f" route add blackhole default table 999
done
check "beside a client's rules IPv4 still goes out and comes back" within 10 ping4
check "beside a client's rules IPv6 still goes out and comes back" within 10 ping6
for f in -4 -6; do
	ip -n "$GW" "$f" rule del priority 10100
	ip -n "$GW" "$f" route flush table 999
done

ip -n "$GW" link add tun-firezone type veth peer name elsewhere && ip -n "$GW" link set tun-firezone up && ip -n "$GW" link set elsewhere up
ip -n "$GW" route add 10.77.0.0/16 dev tun-firezone
prohibited() { [[ $(in_ns "$TUN" ping -n -c 1 -W 3 10.77.0.1) == *Unreachable* ]]; }
check "what would loop into a client's tunnel is refused at once" within 10 prohibited

begin two own-table-only
check "a second gateway is refused with the reason" within 10 output two '^refused -1 .*another running gateway'
finish two
in_ns "$GW" nft flush ruleset
check "flushing the rules of others leaves the table" rule "masquerade"
check "and the traffic" within 10 ping4
in_ns "$GW" nft -f - <"$WORK/foreign.before"

check "the driver ends well" finish one
check "at the end the table is gone" not table
check "and the IPv4 rules" not rules_of_ours -4
check "and the IPv6 rules" not rules_of_ours -6
check "other tables are as before" bash -c "diff $WORK/foreign.before <(ip netns exec $GW nft list ruleset)"

rm -f "$WORK/one.in"
begin one
check "it starts again" within 10 output one '^ready owned 0'
kill -KILL "${PID[one]}"
forget one
check "a kill takes the table along" within 10 not table
check "the rules stay behind a kill" rules_of_ours -4
begin one
check "the next start finds its way" within 10 output one '^ready owned 0'
check "and traffic flows" within 10 ping4
check "it ends well again" finish one
check "nothing of the killed run is left" not rules_of_ours -4

# What a kernel without owned tables leaves after a kill: a table of that name that belongs to nobody.
in_ns "$GW" nft -f - <<RULES
table $TABLE {
	chain stale {
		type filter hook forward priority 0; policy drop;
	}
}
RULES
rm -f "$WORK/one.in"
begin one
check "a table left by an earlier run is replaced" within 10 not rule "chain stale"
check "and traffic flows then" within 10 ping4
finish one

check "without privileges it is refused with the reason" bash -c "
	ip netns exec $GW setpriv --bounding-set -all --inh-caps -all --reuid 65534 --clear-groups --no-new-privs \
		$DRIVER $IF $WORK/journal own-table-only </dev/null | grep '^refused -1 not allowed: either CAP_NET_ADMIN'"

# ---- a client on the same host: what leaves by its tunnel comes out of the gateway's, both in one namespace ------------
finish_all() { ip -n "$GW" link delete tun-firezone 2>/dev/null; ip -n "$GW" link delete "$IF"; }
finish_all
ip -n "$GW" link add tun-firezone type veth peer name "$IF"
ip -n "$GW" address add 100.64.0.2/32 dev tun-firezone
ip -n "$GW" address add fd00:2021:1111::2/128 dev tun-firezone nodad
ip -n "$GW" link set tun-firezone up
ip -n "$GW" link set "$IF" up
HOP=$(ip -n "$GW" -br link show "$IF" | awk '{ print $3 }')
ip -n "$GW" neighbour add 169.254.7.7 lladdr "$HOP" dev tun-firezone
ip -n "$GW" neighbour add fe80::7:7 lladdr "$HOP" dev tun-firezone
ip -n "$GW" route add default via 169.254.7.7 dev tun-firezone onlink src 100.64.0.2 table 999
ip -n "$GW" -6 route add default via fe80::7:7 dev tun-firezone onlink src fd00:2021:1111::2 table 999
for f in -4 -6; do ip -n "$GW" "$f" rule add not fwmark 0x00f17e01 lookup 999 priority 10100; done
in_ns "$GW" sysctl -q -w net.ipv4.conf.all.rp_filter=1
rm -f "$WORK/one.in"
begin one
forwarded() { in_ns "$GW" nstat -a -s -z "$1" | awk -v n="$1" '$1 == n { print $2 }'; }
through4() {
	before=$(forwarded IpForwDatagrams)
	in_ns "$GW" ping -n -q -c 3 -i 0.2 -W 3 10.9.0.5 && after=$(forwarded IpForwDatagrams)
}
before=0 after=0
check "with a client on the host its IPv4 goes through both tunnels" within 10 through4
check "each packet is forwarded once: nothing loops" test $((after - before)) -le 3 -a $((after - before)) -ge 1
check "its IPv6, too" within 10 in_ns "$GW" ping -n -q -c 3 -i 0.2 -W 3 fd09::5
# Without the pipe to the driver, which would not end as long as it is open here.
(
	exec {fd}>&-
	exec ip netns exec "$SITE" timeout 280 socat TCP-LISTEN:7000,fork,reuseaddr SYSTEM:"cat" >/dev/null 2>&1
) &
STARTED+=("$(process_of "$!")")
echoed() { [[ $(echo hello | in_ns "$GW" timeout 5 socat -t 2 - TCP:10.9.0.5:7000) == hello ]]; }
check "a TCP connection of it is masqueraded by the second pass" within 10 echoed
finish one
check "nothing is left of that either" not rules_of_ours -4

[[ $FAILED -eq 0 ]]
