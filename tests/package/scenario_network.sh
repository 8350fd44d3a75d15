#!/usr/bin/env bash
# The packaged client with a real portal, gateway and NATs: a host of the lab is a booted Debian 12, and then a container, so that
# all a session does is done below the unit's sandbox, and below a filter without io_uring.
source "$(dirname "$0")/lib.sh"
begin systemd-nspawn podman buildah runc openssl turnserver iperf3 nft

export FZ_LAB=pkg$$ FZ_BIN=$WORK/bin
lab() { "$HERE/../lab/lab" "$@"; }
at_end() {
	[[ ! -d $WORK/storage ]] || end_engine
	timeout 120 "$HERE/../lab/lab" down
}
journal() { inside journalctl --no-pager -o cat -u firezoned; }
json() { inside firezonectl --json "$@"; }
has() { # KEY VALUE ARGS...
	says "\"$1\": *\"?$2\"?[,}]?" json "${@:3}"
}
# What the tunnel is for: a file from behind the gateway, by a program of this machine in the client's network.
downloads() {
	local want got
	want=$(lab exec resource curl -sS -m 30 http://10.20.0.10/sum/20M)
	got=$(lab exec client curl -sS --fail --connect-timeout 20 -m 120 http://10.20.0.10/file/20M | sha256sum | cut -d ' ' -f 1)
	echo "wanted $want, got $got"
	[[ -n $want && $got == "$want" ]]
}
reaches_not() { ! lab exec client curl -sS --connect-timeout 2 -m 2 http://10.20.0.10/whoami >/dev/null 2>&1; }
host_of_client() { lab exec client sh -c 'ip -o link; ip -o address; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all' |
	grep -v -e 'proto ra' -e expires | sed 's/^[0-9]*: \([^ ]*\) /\1 /' | sort; }

# The programs of the packages, for the gateway, and to show that they run as they are.
programs() {
	local name
	for name in firezone-cli firezone-gateway; do dpkg-deb -x "$WORK/system/packages/$name.deb" "$WORK/unpacked" || return 1; done
	mkdir "$WORK/bin" && cp "$WORK"/unpacked/usr/*bin/* "$WORK/bin/"
}
check "the packages have the programs" programs || finish
check "a lab comes up" lab up || finish
check "and a gateway in it" lab gateway gateway || finish
cp /dev/null "$WORK/system/etc/resolv.conf"
printf 'nameserver 203.0.113.53\nnameserver 2001:db8::53\n' >"$WORK/system/etc/resolv.conf"
host_of_client >"$WORK/before"
check "the client's network can be looked at" grep 192.168.31.2 "$WORK/before"
check "a Debian 12 boots there" boot --network-namespace-path="/run/netns/fzlab-$FZ_LAB-client" || finish
check "apt installs the client" apt install /packages/firezone-cli.deb || finish

# ---- in the unit's sandbox -----------------------------------------------------------------------------------------------

cp "/run/fzlab/$FZ_LAB/ca.pem" "$WORK/system/etc/firezone/lab-ca.pem"
cat >"$WORK/system/etc/firezone/firezoned.conf.d/10-lab.conf" <<-'CONF'
	api_url = wss://portal.lab.test/
	ca_file = /etc/firezone/lab-ca.pem
	device_name = packaged
CONF
mkdir -p "$WORK/system/etc/credstore"
echo .lab.client.robot >"$WORK/system/etc/credstore/firezone-token"
chmod 600 "$WORK/system/etc/credstore/firezone-token"
check "the service starts" inside systemctl start firezoned
check "it comes up by itself" within 20 has state up status
check "packets go by io_uring" says 'node-started .*io=uring' journal
check "a file comes through the tunnel" downloads
check "what it did to the host is as it should be" inside firezonectl host show
check "and to be seen" eval 'host_of_client | grep tun-firezone'
check "no system call was barred" not says 'not permitted|denied|barred' journal
check "it restarts" inside systemctl restart firezoned
check "and comes up" within 20 has state up status
check "a file comes through the new tunnel" downloads
inside systemctl kill --signal=KILL firezoned
check "killed, it comes up again" within 20 has state up status
check "and carries files" downloads
check "it stops" inside systemctl stop firezoned
check "and leaves the network as it was" eval 'host_of_client >"$WORK/after"; diff "$WORK/before" "$WORK/after"'
check "without it nothing is reached" reaches_not
check "the system ends" halt

# ---- in a container --------------------------------------------------------------------------------------------------------

source "$HERE/engine.sh"
check "the image is built" make_image || finish
chmod 644 "$WORK/system/etc/firezone/lab-ca.pem"
check "its container runs in the client's network" start client --network "ns:/run/netns/fzlab-$FZ_LAB-client" \
	-v "$WORK/system/etc/firezone/lab-ca.pem:/etc/firezone/lab-ca.pem:ro" -v "$WORK/system/etc/resolv.conf:/etc/resolv.conf:ro" \
	-e FIREZONE_API_URL=wss://portal.lab.test/ -e FIREZONE_CA_FILE=/etc/firezone/lab-ca.pem -e FIREZONE_TOKEN=.lab.client.robot
check "it comes up by itself" within 20 says '"state": *"up"' on client --json status
check "packets go by epoll" says 'node-started .*io=epoll' log client
check "a file comes through the tunnel" downloads
check "it stops" engine stop --time 20 client
check "and leaves the network as it was" eval 'host_of_client >"$WORK/after"; diff "$WORK/before" "$WORK/after"'
finish
