#!/usr/bin/env bash
# The stock wg(8) against firezone-wg: every verb of it that touches a device.
. "$(dirname "$0")/process_lib.bash"
start
P1=$(wg genkey | wg pubkey) P2=$(wg genkey | wg pubkey) P3=$(wg genkey | wg pubkey) KEY=$(wg genkey) PSK=$(wg genpsk)
w() { inside wg "$@"; }
is() { # WANT COMMAND...
	local want=$1 got
	shift
	got=$("$@" 2>&1)
	[[ $got == "$want" ]] || {
		printf 'got:  %q\nwant: %q\n' "$got" "$want"
		return 1
	}
}
says() { # WORDS COMMAND...: fails, and says so
	local words=$1 out
	shift
	out=$("$@" 2>&1) && return 1
	grep -qF "$words" <<<"$out"
}

check "set everything at once" w set "$IF" private-key <(echo "$KEY") listen-port 5555 fwmark 7 \
	peer "$P1" preshared-key <(echo "$PSK") endpoint 192.0.2.1:51820 persistent-keepalive 25 allowed-ips 10.0.0.9/8,fd00::1/64 \
	peer "$P2" endpoint '[2001:db8::7]:1' allowed-ips 10.1.0.0/16
check "show dump says it" is "$KEY	$(wg pubkey <<<"$KEY")	5555	0x7
$P1	$PSK	192.0.2.1:51820	10.0.0.0/8,fd00::/64	0	0	0	25
$P2	(none)	[2001:db8::7]:1	10.1.0.0/16	0	0	0	off" w show "$IF" dump
check "show says it in words" w show "$IF"
check "show all does too" alone wg show all
w showconf "$IF" >"$WORK/conf"
check "showconf has the private key" grep -q "^PrivateKey = $KEY\$" "$WORK/conf"
w show "$IF" dump >"$WORK/before"
check "setconf takes what showconf gave" w setconf "$IF" "$WORK/conf"
check "and nothing has changed" is "$(<"$WORK/before")" w show "$IF" dump
check "syncconf takes it as well" w syncconf "$IF" "$WORK/conf"
check "and nothing has changed by that" is "$(<"$WORK/before")" w show "$IF" dump
sed "s|10.1.0.0/16|10.2.0.0/16|" "$WORK/conf" >"$WORK/conf2"
check "syncconf changes one allowed-IP" w syncconf "$IF" "$WORK/conf2"
check "that one" is "$P1	10.0.0.0/8 fd00::/64
$P2	10.2.0.0/16" w show "$IF" allowed-ips
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.3.0.0/16\n' "$P3" >"$WORK/more"
check "addconf adds a peer" w addconf "$IF" "$WORK/more"
check "behind the others" is "$P1
$P2
$P3" w show "$IF" peers
check "an allowed-IP moves to who asks last" w set "$IF" peer "$P3" allowed-ips 10.2.0.0/16
check "away from who had it" is "$P1	10.0.0.0/8 fd00::/64
$P2	(none)
$P3	10.2.0.0/16" w show "$IF" allowed-ips
check "a peer is removed" w set "$IF" peer "$P2" remove
check "alone" is "$P1
$P3" w show "$IF" peers
check "removing it again is no error" w set "$IF" peer "$P2" remove
check "our own key as a peer is no error" w set "$IF" peer "$(wg pubkey <<<"$KEY")" allowed-ips 10.9.0.0/16
check "and no peer" is "$P1
$P3" w show "$IF" peers
check "mark, keepalive and preshared key go off" w set "$IF" fwmark off peer "$P1" persistent-keepalive off preshared-key /dev/null
check "they are off" is "off (none) off" bash -c "ip netns exec $NS wg show $IF dump | awk 'NR == 1 { m = \$4 } NR == 2 { print m, \$2, \$8 }'"
check "a zone name becomes an index" w set "$IF" peer "$P1" endpoint '[fe80::1%lo]:9'
check "that reads back" bash -c "ip netns exec $NS wg show $IF endpoints | grep -q 'fe80::1%'"
check "an unknown zone is refused" not w set "$IF" peer "$P1" endpoint '[fe80::1%nowhere]:9'
check "the private key goes" w set "$IF" private-key /dev/null
check "it is gone" is "(none)" w show "$IF" private-key
inside python3 -c '
import socket, sys
c = socket.socket(socket.AF_UNIX)
c.connect(sys.argv[1])
c.sendall(b"set=1\nnonsense=1\n\n")
assert c.recv(99) == b"errno=-22\n\n"' "$SOCKETS/$IF.sock"
check "setconf of an empty file leaves no peer" w setconf "$IF" /dev/null
check "none" is "" w show "$IF" peers
check "it ends in order" stop "$PID"
finish
