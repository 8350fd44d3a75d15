#!/usr/bin/env bash
# netns.sh 8 to 12: roaming of both families, the source check, and that what it refuses has moved the endpoint all the same;
# a new private key takes effect at once.
. "$(dirname "$0")/lib.sh"
begin
check "two devices start" pair ours ours
check "they speak" within 10 pings a b
at b ip address add 192.0.2.12/24 dev to-a
at b ip address add 2001:db8::12/64 dev to-a nodad
at a ip address add 192.0.2.11/24 dev to-b
at a ip address add 2001:db8::11/64 dev to-b nodad

# ---- roaming ----
wgset a listen-port 9999
check "a moves to another port" pings4 a b
check "b follows" endpoint_is b a 192.0.2.1:9999
wgset b listen-port 9997
check "b moves to another port" pings4 b a
check "a follows" endpoint_is a b 192.0.2.2:9997
wgset a peer "${PUB[b]}" endpoint 192.0.2.12:9997
check "a speaks to another address of b" pings4 a b
check "and keeps that one" endpoint_is a b 192.0.2.12:9997
at a ip address flush dev to-b
at a ip address add 192.0.2.11/24 dev to-b
check "a has another address" within 15 pings4 a b
check "b follows there" endpoint_is b a 192.0.2.11:9999
at a ip address add 2001:db8::1/64 dev to-b nodad
wgset a peer "${PUB[b]}" endpoint '[2001:db8::2]:9997'
check "a moves to IPv6" pings a b
check "b follows" endpoint_is b a '[2001:db8::1]:9999'
at a ip address flush dev to-b
at a ip address add 2001:db8::11/64 dev to-b nodad
check "and to another address of that" within 15 pings6 a b
check "b follows again" endpoint_is b a '[2001:db8::11]:9999'
wgset b listen-port 9998
check "b moves to another port of IPv6" within 15 pings6 b a
# Which of its addresses b then speaks from is its routing's choice.
check "a follows" bash -c "[[ '$(field a b 3)' == '[2001:db8::'*':9998' ]]"

# ---- what is refused moves the endpoint ----
at a ip address add 192.0.2.1/24 dev to-b
wgset a peer "${PUB[b]}" endpoint 192.0.2.2:9998
pings4 a b >/dev/null
check "b knows a at IPv4 again" endpoint_is b a 192.0.2.1:9999
other=$(wg genkey | wg pubkey)
wgset b peer "$other" allowed-ips 10.9.0.128/25
at a ip address add 10.9.0.200/32 dev "$(dev a)"
check "a source that is another peer's is refused" not at a ping -n -q -c 2 -i 0.2 -W 1 -I 10.9.0.200 10.9.0.2
wgset a listen-port 9996
check "and still refused from another port" not at a ping -n -q -c 2 -i 0.2 -W 1 -I 10.9.0.200 10.9.0.2
check "but b has followed to that port" endpoint_is b a 192.0.2.1:9996
wgset b peer "$other" remove
wgset b peer "${PUB[a]}" allowed-ips 10.9.0.1/32,fd09::1/128,10.9.0.200/32
check "it is let through once it is a's" at a ping -n -q -c 2 -i 0.2 -W 2 -I 10.9.0.200 10.9.0.2

# ---- another private key ----
first=$(handshake a b)
new=$(wg genkey)
wgset b peer "$(wg pubkey <<<"$new")" allowed-ips 10.9.0.1/32,fd09::1/128
sleep 1.1
wgset a private-key <(echo "$new")
check "a has another key and speaks at once" pings4 a b
check "by a new handshake" newer a b "$first"
check "b counts it for the new key" test "$(at b wg show "$(dev b)" latest-handshakes | awk -v k="$(wg pubkey <<<"$new")" '$1 == k { print $2 }')" -gt 0
check "a ends in order" stop a
check "b ends in order" stop b
finish
