#!/usr/bin/env bash
# Space a is ours, space b is each other implementation in turn (and ours): both roles of the handshake, both families inside
# and outside, preshared key, keepalive, roaming, restart of either side, MTU.
. "$(dirname "$0")/lib.sh"

again() { # SPACE IMPL: ends it and starts it with the same identity; the peers are not told again
	stop "$1" && start "$1" "$2" && identity "$1"
}
received_more() { [[ $(field "$1" "$2" 6) -gt $3 ]]; }
sent_more() { [[ $(field "$1" "$2" 7) -ge $(($3 + 64)) ]]; } # two keepalives
mtu() { # MTU IMPL: prints who refuses it
	at a ip link set "$(dev a)" mtu "$1" 2>/dev/null || { echo ours && return 1; }
	at b ip link set "$(dev b)" mtu "$1" 2>/dev/null || { echo "$2" && return 1; }
}

matrix() { # IMPL
	local impl=$1 psk sent out m who
	check "starts beside ours" pair ours "$impl"
	check "we initiate" within 10 pings4 a b
	check "IPv6 inside" pings6 a b
	check "TCP from us" sends a b 10.9.0.2
	check "TCP to us" sends b a fd09::1
	wgset a peer "${PUB[b]}" endpoint "$(endpoint6 b)"
	check "IPv6 outside" within 10 pings a b
	check "TCP over IPv6 outside" sends a b 10.9.0.2
	check "it hears of our address there" endpoint_is b a "$(endpoint6 a)"

	# ---- roaming ----
	wgset a peer "${PUB[b]}" endpoint "$(endpoint4 b)"
	pings4 a b >/dev/null
	wgset a listen-port 4001
	check "goes on when our port changes" within 10 pings4 a b
	check "it follows us there" endpoint_is b a 192.0.2.1:4001
	# gotatun loses its interface when its port is changed.
	if [[ $impl != gotatun ]]; then
		wgset b listen-port 4002
		check "goes on when its port changes" within 10 pings4 b a
		check "we follow it there" endpoint_is a b 192.0.2.2:4002
		at b ip address del 192.0.2.2/24 dev to-a
		at b ip address add 192.0.2.77/24 dev to-a
		# boringtun's sockets are connected, and so keep the address that is gone until it starts anew.
		[[ $impl == boringtun ]] || check "goes on when its address changes" within 15 pings4 b a
		[[ $impl == boringtun ]] || check "we follow it to that as well" endpoint_is a b 192.0.2.77:4002
		at b ip address add 192.0.2.2/24 dev to-a
		LISTEN[b]=4002
	fi

	# ---- restarts ----
	check "ours restarts" again a ours
	knows a b endpoint "$(endpoint4 b)"
	check "and speaks at once" within 15 pings4 a b
	check "it restarts" again b "$impl"
	knows b a endpoint "$(endpoint4 a)"
	check "and it initiates" within 15 pings4 b a
	check "with IPv6 inside" pings6 b a
	check "TCP after it initiated" sends b a 10.9.0.1

	# ---- preshared key ----
	psk=$(wg genpsk)
	stop a && start a ours && identity a
	knows a b endpoint "$(endpoint4 b)" preshared-key <(echo "$psk")
	check "a preshared key on one side only keeps it shut" not pings4 a b
	stop b && start b "$impl" && identity b
	knows b a preshared-key <(echo "$psk")
	check "the same on both sides opens it" within 20 pings4 a b
	check "and carries TCP" sends a b fd09::2

	# ---- keepalive ----
	# Forgotten and met again: boringtun cannot change a peer that it has.
	wgset b peer "${PUB[a]}" remove
	knows b a endpoint "$(endpoint4 a)" preshared-key <(echo "$psk") persistent-keepalive 1
	sent=$(field a b 6)
	check "its keepalives arrive" within 10 received_more a b "$sent"
	wgset b peer "${PUB[a]}" remove
	knows b a endpoint "$(endpoint4 a)" preshared-key <(echo "$psk")
	check "it meets us anew" within 15 pings4 b a # our session is none of its own now
	wgset a peer "${PUB[b]}" persistent-keepalive 1
	sent=$(field b a 6) out=$(field a b 7)
	# boringtun and its descendant count payload alone, which a keepalive has none of.
	case $impl in
	boringtun | gotatun) check "ours are sent" within 10 sent_more a b "$out" ;;
	*) check "ours arrive there" within 10 received_more b a "$sent" ;;
	esac

	# 65475: the largest whose datagrams fit into IPv4
	for m in 576 1280 8920 65475; do
		if who=$(mtu "$m" "$impl"); then
			check "MTU $m" sends a b 10.9.0.2 1
			if [[ $impl == gotatun && $m -gt 4096 ]]; then
				echo "     MTU $m back is refused by gotatun: it reads 4,096 bytes of a packet"
			else
				check "MTU $m, and back" sends b a 10.9.0.1 1
			fi
		else
			echo "     MTU $m is refused by $who"
			check "MTU $m is not refused by ours" test "$who" != ours
		fi
	done
	check "ours ends in order" stop a
}
each_peer matrix
