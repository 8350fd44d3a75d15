#!/usr/bin/env bash
# netns.sh 24 to 30: large configurations come back whole, keys are set, cleared and clamped, allowed-IPs move, low-order keys
# give no packet, and a namespace can go.
. "$(dirname "$0")/lib.sh"
begin
check "two devices start" pair ours ours
w() { at a wg "$@"; }
D=$(dev a)
P=()
for ((i = 0; i < 40; i++)); do P+=("$(head -c 32 /dev/urandom | base64)"); done

# 24
for ((i = 0; i < 256; i++)); do for ((j = 0; j < 255; j++)); do printf '10.%d.%d.1/32,fd%02x::%x/128,' "$i" "$j" "$i" "$j"; done; done >"$WORK/ips"
{
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = ' "${P[0]}"
	sed 's/,$//' "$WORK/ips"
	echo
} >"$WORK/conf"
check "24: 130,560 allowed-IPs of one peer" w setconf "$D" "$WORK/conf"
count_ips() { w show "$D" allowed-ips | tr ' \t' '\n\n' | grep -cE '/[0-9]+$'; }
check "24: all of them come back" test "$(count_ips)" -eq 130560
for ((i = 0; i < 40; i++)); do
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = ' "${P[i]}"
	for ((j = 0; j < 52; j++)); do printf '%s10.%d.%d.0/24' "$([[ $j -gt 0 ]] && echo ,)" "$i" "$j"; done
	echo
done >"$WORK/conf"
check "24: 40 peers of 52" w setconf "$D" "$WORK/conf"
check "24: all of them come back" test "$(count_ips)" -eq 2080
check "24: 40 peers do" test "$(w show "$D" peers | wc -l)" -eq 40
# 25
{
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = ' "${P[0]}"
	for ((i = 1; i <= 197; i++)); do printf '%sabcd::%x/128' "$([[ $i -gt 1 ]] && echo ,)" "$i"; done
	echo
} >"$WORK/conf"
check "25: 197 allowed-IPs" w setconf "$D" "$WORK/conf"
check "25: all of them come back" test "$(count_ips)" -eq 197
# 26
check "26: a device that is not there is an error" not w show "nowhere$ID"
check "26: also to set" not w set "nowhere$ID" listen-port 1
# 27
w setconf "$D" /dev/null
w set "$D" private-key <(echo "${KEY[a]}") peer "${P[1]}" preshared-key <(wg genpsk)
check "27: the key is there" test "$(w show "$D" private-key)" = "${KEY[a]}"
w set "$D" private-key /dev/null peer "${P[1]}" preshared-key /dev/null
check "27: and gone" test "$(w show "$D" private-key)" = "(none)"
check "27: the preshared one too" test "$(w show "$D" preshared-keys | cut -f2)" = "(none)"
w set "$D" peer "${PUB[a]}"
w set "$D" private-key <(echo "${KEY[a]}")
check "27: who has our own key goes when we take it" bash -c "! ip netns exec $(space_of a) wg show $D peers | grep -qF '${PUB[a]}'"
w set "$D" private-key <("$PYTHON" -c 'import base64; print(base64.b64encode(b"\xff" * 32).decode())')
check "27: keys are clamped" test "$(w show "$D" private-key | base64 -d | od -An -tx1 | awk 'NR == 1 { f = $1 } { l = $NF } END { print f l }')" = f87f
# 28
w setconf "$D" /dev/null
w set "$D" peer "${P[2]}" allowed-ips 1.2.3.0/24,2.0.0.0/8,fe80::/16 peer "${P[3]}" allowed-ips 1.2.3.0/24,2.0.0.0/9
check "28: what two peers ask for is the last one's" test "$(w show "$D" allowed-ips | tr '\t\n' '  ')" = "${P[2]} 2.0.0.0/8 fe80::/16 ${P[3]} 1.2.3.0/24 2.0.0.0/9 "
# 29: the seven points of small order, as Montgomery coordinates
low=(AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA= X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=)
mapfile -t -O 4 low < <("$PYTHON" -c '
import base64
for n in (2**255 - 20, 2**255 - 19, 2**255 - 18): print(base64.b64encode(n.to_bytes(32, "little")).decode())')
w setconf "$D" /dev/null
w set "$D" private-key <(echo "${KEY[a]}") listen-port "${LISTEN[a]}"
# Whoever has a socket hears what comes: nothing but the peers' datagrams goes to that port.
job b "$WORK/heard" timeout 60 "$PYTHON" "$HERE/net.py" hear 192.0.2.2 51999 "$WORK/hears"
within 20 test -e "$WORK/hears"
for k in "${low[@]}"; do w set "$D" peer "$k" persistent-keepalive 1 endpoint 192.0.2.2:51999; done
sleep 3
check "29: seven peers of small order are there" test "$(w show "$D" peers | wc -l)" -eq 7
check "29: and nothing is sent to them" test ! -s "$WORK/heard"
w set "$D" peer "${P[5]}" persistent-keepalive 1 endpoint 192.0.2.2:51999
check "29: while to a sound key there is" within 10 grep -qx 148 "$WORK/heard"
# 30
ip netns delete "$(space_of b)"
check "30: the device of a namespace that lost its name goes on" at a wg show "$D"
check "30: and the other too" kill -0 "${PID[b]}"
check "30: a ends in order" stop a
check "30: b ends in order" stop b
finish
