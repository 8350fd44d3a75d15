#!/bin/busybox sh
# The first process of the emulated machine: makes two namespaces, ours on one side and the kernel's WireGuard on the
# other, and says one sentence per thing that works. See run.sh.
/bin/busybox --install /bin 2>/dev/null
export PATH=/programs:/bin
# The shell would take its own of the same name.
ip() { /programs/ip "$@"; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /run
mount -t tmpfs tmp /tmp
mkdir -p /dev/net /run/netns /var/run
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
while read -r module; do insmod "/modules/$module"; done </modules/order
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200

passed=0
failed=0
check() { # SENTENCE COMMAND...
	sentence=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		echo "ok $sentence"
		passed=$((passed + 1))
	else
		echo "FAIL $sentence"
		sed 's/^/# /' /tmp/out | tail -n 15
		failed=$((failed + 1))
	fi
}

within() { # SECONDS COMMAND...: until it succeeds
	left=$1
	shift
	while [ "$left" -gt 0 ]; do
		"$@" && return 0
		sleep 1
		left=$((left - 1))
	done
	return 1
}

ours() { ip netns exec ours "$@"; }
theirs() { ip netns exec theirs "$@"; }

set_up() {
	ip netns add ours
	ip netns add theirs
	ip link add veth0 netns ours type veth peer name veth0 netns theirs
	ours ip address add 10.0.0.1/24 dev veth0
	ours ip address add fd00::1/64 dev veth0 nodad
	theirs ip address add 10.0.0.2/24 dev veth0
	theirs ip address add fd00::2/64 dev veth0 nodad
	for side in ours theirs; do
		ip -n $side link set lo up
		ip -n $side link set veth0 up
		wg genkey >/tmp/$side.key
		wg pubkey </tmp/$side.key >/tmp/$side.pub
	done
	wg genpsk >/tmp/psk
	ip -n theirs link add wg0 type wireguard
	theirs wg set wg0 listen-port 51820 private-key /tmp/theirs.key peer "$(cat /tmp/ours.pub)" allowed-ips 10.9.0.1/32,fd09::1/128
	theirs ip address add 10.9.0.2/24 dev wg0
	theirs ip address add fd09::2/64 dev wg0 nodad
	ip -n theirs link set wg0 up
}

start_ours() { # BACKEND AEAD
	FIREZONE_IO=$1 FIREZONE_AEAD=$2 FIREZONE_THREADS=1 ours firezone-wg wg0 || return 1
	within 10 ours ip link show wg0 || return 1
	ours wg set wg0 listen-port 51821 private-key /tmp/ours.key peer "$(cat /tmp/theirs.pub)" \
		allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 10.0.0.2:51820 || return 1
	ours ip address add 10.9.0.1/24 dev wg0
	ours ip address add fd09::1/64 dev wg0 nodad
	ours ip link set wg0 up
}

# The process that holds the TUN of namespace ours.
our_pid() { pidof firezone-wg; }

stop_ours() {
	pid=$(our_pid)
	[ -n "$pid" ] && kill "$pid" || return 1
	within 10 is_gone
}
is_gone() { [ -z "$(our_pid)" ] && [ ! -e /var/run/wireguard/wg0.sock ]; }

send() { # FROM TO ADDRESS-OF-TO: 4 MiB, compared by checksum
	dd if=/dev/urandom of=/tmp/sent bs=1M count=4 2>/dev/null
	rm -f /tmp/got
	ip netns exec "$2" socat -u TCP-LISTEN:7000,reuseaddr CREATE:/tmp/got &
	receiver=$!
	ip netns exec "$1" socat -u -T 60 FILE:/tmp/sent "TCP:$3:7000,retry=20,connect-timeout=5"
	wait "$receiver"
	[ "$(sha256sum </tmp/sent)" = "$(sha256sum </tmp/got)" ]
}

pings() { ip netns exec "$1" ping -n -c 3 -i 0.3 -W 5 "$2"; }
pings_large() { ip netns exec "$1" ping -n -c 2 -i 0.3 -W 5 -s 4000 "$2"; }
has_handshake() { [ "$(ip netns exec "$1" wg show wg0 latest-handshakes | cut -f2)" -gt 0 ]; }
set_psk() {
	theirs wg set wg0 peer "$(cat /tmp/ours.pub)" preshared-key /tmp/psk &&
		ours wg set wg0 peer "$(cat /tmp/theirs.pub)" preshared-key /tmp/psk
}
unset_psk() { theirs wg set wg0 peer "$(cat /tmp/ours.pub)" preshared-key /dev/null; }

round() { # BACKEND AEAD
	check "$1, $2: starts and makes its interface" start_ours "$1" "$2"
	check "$1, $2: answers through the tunnel over IPv4 (we initiate)" within 10 pings ours 10.9.0.2
	check "$1, $2: answers through the tunnel over IPv6" pings ours fd09::2
	check "$1, $2: both sides count a handshake" has_handshake theirs
	check "$1, $2: carries packets larger than its MTU in fragments" pings_large theirs 10.9.0.1
	check "$1, $2: a file arrives unchanged at the kernel's side" send ours theirs 10.9.0.2
	check "$1, $2: a file arrives unchanged at ours" send theirs ours 10.9.0.1
	check "$1, $2: goes on with a preshared key" set_psk
	check "$1, $2: the session with it works" within 15 pings ours 10.9.0.2
	unset_psk
	check "$1, $2: ends on SIGTERM and takes its socket along" stop_ours
}

set_up
check "the kernel's WireGuard is there" theirs wg show wg0
check "the two namespaces reach each other" pings ours 10.0.0.2
round uring ipsecmb
round epoll sodium
start_ours auto auto
check "after a restart the kernel can initiate" within 30 pings theirs 10.9.0.1
echo "$passed passed, $failed failed, 0 skipped"
sync
poweroff -f
