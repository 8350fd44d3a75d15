#!/usr/bin/env bash
# How firezone-wg starts, what it keeps, and all the ways in which it ends.
. "$(dirname "$0")/process_lib.bash"

status_is() { # WANT COMMAND...
	local want=$1 got=0
	shift
	"$@" || got=$?
	[[ $got -eq $want ]] || {
		echo "status $got, want $want"
		return 1
	}
}
daemon_pid() { ip netns pids "$NS" | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline" | grep -q "firezone-wg $IF " && echo "$p"; done; }

check "it says its version" "$WG" --version
check "help is no error" "$WG" --help
check "no name is a mistake" status_is 2 "$WG"
for name in a/b .. sixteen-letters- 'w g' 'wg%d' -x; do
	check "the name '$name' is refused" status_is 2 inside "$WG" "$name"
done
check "a bad FIREZONE_IO is refused" status_is 2 env FIREZONE_IO=aio "$WG" -f "$IF"
check "a bad FIREZONE_AEAD is refused" status_is 2 env FIREZONE_AEAD=rot13 "$WG" -f "$IF"
check "a bad FIREZONE_THREADS is refused" status_is 2 env FIREZONE_THREADS=none "$WG" -f "$IF"

# ---- the daemon ----
start_daemon() { # what a captured output would hang on
	local out
	out=$(inside timeout 20 "$WG" "$IF" 2>&1) && has_link "$IF" >/dev/null && has_socket "$IF" && inside wg show "$IF" >/dev/null || {
		echo "said: $out"
		return 1
	}
}
check "when the daemon's parent is done, TUN and socket are there" start_daemon
D=$(daemon_pid)
STARTED+=("$(process_of "$D")")
check "a second one for the same name fails" status_is 1 inside "$WG" "$IF"
check "and leaves the first one alone" inside wg show "$IF"
is_listed() { alone wg show interfaces | grep -qw "$IF"; }
check "wg show interfaces lists it" is_listed
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
check "it keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE only" test "$(field "$D" CapEff) $(field "$D" CapPrm) $(field "$D" CapInh)" = "0000000000001400 0000000000001400 0000000000000000"
check "in every thread" bash -c "! grep -h CapEff /proc/$D/task/*/status | grep -v 0000000000001400"
check "it can't gain privileges" test "$(field "$D" NoNewPrivs)" = 1
check "it leaves no core dump" grep -Eq "^Max core file size +0 +0 " "/proc/$D/limits"
check "its socket is for its user alone" test "$(stat -c %a "$SOCKETS/$IF.sock")" = 700
check "the directory is open to look at" test "$(stat -c %a "$SOCKETS")" = 755
# Pages that are locked (lo), left out of core dumps (dd) and wiped by fork (wf): KiB of them
secret_pages() {
	awk '/^Size:/ { size = $2 } /^VmFlags:/ && / lo( |$)/ && / dd( |$)/ && / wf( |$)/ { sum += size } END { print sum + 0 }' "/proc/$D/smaps"
}
check "it has pages for secrets: locked, not dumped, wiped by fork" test "$(secret_pages)" -ge 4
check "MTU is 1420" bash -c "ip -n $NS link show $IF | grep -q 'mtu 1420'"
switches() { cat /proc/"$D"/task/*/status | awk '/_ctxt_switches/ { n += $2 } END { print n }'; }
is_quiet() {
	inside wg show "$IF" >/dev/null && sleep 0.5
	local before after
	before=$(switches) && sleep 3 && after=$(switches)
	echo "context switches in 3 s: $((after - before))"
	[[ $after -eq $before ]]
}
check "an idle device does not wake up" is_quiet
check "SIGTERM ends it" bash -c "kill -TERM $D"
check "within a moment" within 5 is_gone "$D"
check "and takes its socket along" not has_socket "$IF"
check "and its interface" not has_link "$IF"

# ---- other ends ----
start
check "SIGINT ends it with success" bash -c "kill -INT $PID"
check "and status 0" wait "$PID"
start
ip -n "$NS" link set "$IF" up
check "a deleted interface ends it" ip -n "$NS" link delete "$IF"
check "with success" wait "$PID"
check "and without its socket" not has_socket "$IF"
start
check "a deleted interface that was never up ends it" ip -n "$NS" link delete "$IF"
check "with success too" wait "$PID"
start
check "a deleted socket file ends it" rm "$SOCKETS/$IF.sock"
check "in order" wait "$PID"
check "with its interface" not has_link "$IF"
start
kill -KILL "$PID"
wait "$PID" 2>/dev/null
check "a killed one leaves a stale socket" has_socket "$IF"
check "which the next one replaces" start
check "and removes" stop "$PID"
check "at its end" not has_socket "$IF"

# ---- wg(8) removes sockets that are silent; one that is being made is none ----
under_watch() {
	unshare -m bash -s "$WG" "$IF" "$NS" "$SOCKETS" <<'S'
	mount -t tmpfs none "$4" || exit 1
	watch() { while :; do wg show interfaces >/dev/null 2>&1; done; }
	watch & w1=$!
	watch & w2=$!
	status=0
	for ((i = 0; i < 25 && status == 0; i++)); do
		ip netns exec "$3" "$1" "$2" || status=1
		ip -n "$3" link delete "$2"
		for ((t = 0; t < 100; t++)); do [[ -e $4/$2.sock ]] || break; sleep 0.05; done
	done
	kill "$w1" "$w2"
	echo "$i starts, $(ls "$4" | wc -l) files left"
	[[ $status -eq 0 && -z $(ls "$4") ]]
S
}
check "it starts while others look at all sockets" under_watch

# ---- descriptors from outside ----
handed_over() {
	inside python3 - "$WG" "$IF" <<'P'
import fcntl, os, socket, struct, subprocess, sys, time
program, name = sys.argv[1:]
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0001 | 0x1000))
path = f"/var/run/wireguard/{name}.sock"
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(5)
env = dict(os.environ, WG_TUN_FD=str(tun), WG_UAPI_FD=str(s.fileno()))
p = subprocess.Popen([program, "-f", name], env=env, pass_fds=(tun, s.fileno()))
os.close(tun)
s.close()
c = socket.socket(socket.AF_UNIX)
c.connect(path)
c.sendall(b"get=1\n\n")
assert c.recv(100) == b"errno=0\n\n"
p.terminate()
assert p.wait(10) == 0
assert not os.path.exists(path)
P
}
check "a TUN without virtio headers and a socket may be handed over" handed_over
nonsense_fd() { WG_TUN_FD=0 inside "$WG" -f "$IF" </dev/null; }
check "a descriptor that is no TUN is refused" status_is 1 nonsense_fd
finish
