#!/usr/bin/env bash
# wg-quick(8) with firezone-wg as its implementation: up, save, strip, down, and a default route through the tunnel.
. "$(dirname "$0")/process_lib.bash"
if ! command -v wg-quick >/dev/null || [[ -e /sys/module/wireguard ]]; then
	echo "skipped: allowed: needs wg-quick and a kernel without the WireGuard module, which it would prefer"
	exit 77
fi
export WG_QUICK_USERSPACE_IMPLEMENTATION=$WG
A=fzp${$}a B=fzp${$}b
KA=$(wg genkey) KB=$(wg genkey)
mkdir -p /etc/wireguard
CONF_A=$WORK/$A.conf CONF_B=$WORK/$B.conf
umask 077
cat >"$CONF_A" <<C
[Interface]
PrivateKey = $KA
Address = 10.6.0.1/24, fd06::1/64
MTU = 1380

[Peer]
PublicKey = $(wg pubkey <<<"$KB")
Endpoint = 192.0.2.2:51820
AllowedIPs = 0.0.0.0/0, ::/0
PersistentKeepalive = 20
C
cat >"$CONF_B" <<C
[Interface]
PrivateKey = $KB
Address = 10.6.0.2/24, fd06::2/64
ListenPort = 51820

[Peer]
PublicKey = $(wg pubkey <<<"$KA")
AllowedIPs = 10.6.0.1/32, fd06::1/128
C
ip link add "fzv$$" netns "$NS" type veth peer name "fzw$$" netns "$NS2"
ip -n "$NS" address add 192.0.2.1/24 dev "fzv$$"
ip -n "$NS2" address add 192.0.2.2/24 dev "fzw$$"
ip -n "$NS" link set "fzv$$" up
ip -n "$NS2" link set "fzw$$" up
ip -n "$NS2" address add 203.0.113.9/32 dev lo

check "up" inside wg-quick up "$CONF_A"
check "up on the other side" ip netns exec "$NS2" wg-quick up "$CONF_B"
check "the MTU is the configuration's" bash -c "ip -n $NS link show $A | grep -q 'mtu 1380'"
check "traffic passes" within 10 inside ping -n -q -c 1 -W 2 10.6.0.2
check "over IPv6 as well" within 10 inside ping -n -q -c 1 -W 2 fd06::2
check "the default route leads into the tunnel" within 10 inside ping -n -q -c 1 -W 2 203.0.113.9
check "the mark keeps the tunnel's own packets out of it" test "$(inside wg show "$A" fwmark)" != off
check "save" inside wg-quick save "$CONF_A"
check "keeps the private key" grep -q "^PrivateKey = $KA\$" "$CONF_A"
check "strip leaves what wg understands" bash -c "wg-quick strip $CONF_A | ip netns exec $NS wg syncconf $A /dev/stdin"
check "traffic still passes" within 10 inside ping -n -q -c 1 -W 2 10.6.0.2
check "up again says that it exists" bash -c "! ip netns exec $NS wg-quick up $CONF_A"
check "down" inside wg-quick down "$CONF_A"
check "takes the interface" not has_link "$A"
check "and the socket" within 5 not has_socket "$A"
check "and every process" within 5 bash -c "[[ -z \$(ip netns pids $NS) ]]"
check "up after down" inside wg-quick up "$CONF_A"
check "down after that" inside wg-quick down "$CONF_A"
check "down on the other side" ip netns exec "$NS2" wg-quick down "$CONF_B"
finish
