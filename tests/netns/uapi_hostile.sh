#!/usr/bin/env bash
# Clients who stall, babble, flood or hang up: the right errno, nobody else is held up, nothing grows, traffic goes on.
. "$(dirname "$0")/process_lib.bash"
ulimit -n 4096
start
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$PID/status"; }
inside wg set "$IF" private-key <(wg genkey) listen-port 7100
ip -n "$NS" link set "$IF" up

cat >"$WORK/client.py" <<'P'
import os, select, socket, struct, sys, time

PATH = sys.argv[2]

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 20, 0))
    s.connect(PATH)  # blocking, so that it waits for its turn
    s.settimeout(20)
    return s

def heard(s):
    out = b""
    while not out.endswith(b"\n\n"):
        piece = s.recv(65536)
        if not piece:
            break
        out += piece
    return out

def ask(text):
    s = connect()
    s.sendall(text)
    out = heard(s)
    s.close()
    return out

def expect(text, want):
    got = ask(text)
    assert got == want, (text[:60], got[:60], want)

def bad_lines():
    k = b"public_key=" + b"1" * 64 + b"\n"
    for line, error in ((b"nonsense=1", -22), (b"nonsense", -71), (b"private_key=zz", -22), (b"private_key=" + b"g" * 64, -22),
                        (k + b"allowed_ip=10.0.0.0/33", -22), (k + b"allowed_ip=x", -22), (k + b"endpoint=localhost:1", -22),
                        (b"listen_port=65536", -22), (b"fwmark=x", -22), (b"replace_peers=no", -22), (b"a" * 5000, -71)):
        expect(b"set=1\n" + line + b"\n\n", b"errno=%d\n\n" % error)

def mebibyte():
    s = connect()
    s.sendall(b"set=1\n" + b"a" * (1 << 20))
    assert heard(s) == b"errno=-71\n\n"
    s.sendall(b"a" * (1 << 20) + b"\n\nget=1\n\n")
    assert heard(s).endswith(b"errno=0\n\n")
    expect(b"set=1\nprivate_key=" + b"1" * (1 << 20) + b"\n\n", b"errno=-22\n\n")

def unknown_operation():
    assert ask(b"what=1\n\n") == b""

def empty_connections():
    for _ in range(500):
        connect().close()

def thousand():
    held = [connect() for _ in range(1000)]
    assert ask(b"get=1\n\n").endswith(b"errno=0\n\n")
    for s in held:
        s.sendall(b"get=1\n\n")
    for s in held:
        assert heard(s).endswith(b"errno=0\n\n")
    for s in held[::2]:
        s.close()
    for s in held[1::2]:
        s.sendall(b"get=1\n")
        s.close()

def too_many():
    held = [connect() for _ in range(1500)]
    assert ask(b"get=1\n\n").endswith(b"errno=0\n\n")
    held[-1].sendall(b"get=1\n\n")
    assert heard(held[-1]).endswith(b"errno=0\n\n")

def stalled():
    half = connect()
    half.sendall(b"set=1\npublic_key=11")
    deaf = connect()
    deaf.setblocking(False)
    try:
        while True:
            deaf.send(b"get=1\n\n" * 500)
    except BlockingIOError:
        pass
    start = time.monotonic()
    expect(b"set=1\n\n", b"errno=0\n\n")
    assert time.monotonic() - start < 5
    half.settimeout(30)
    assert half.recv(100) == b""
    select.select([deaf], [], [], 30)

def half_a_set():
    s = connect()
    s.sendall(b"set=1\nprivate_key=" + b"1" * 30)
    s.shutdown(socket.SHUT_WR)
    assert heard(s) == b"errno=-5\n\n"

def deaf_and_gone():
    for _ in range(200):
        s = connect()
        s.sendall(b"get=1\n\n")
        s.close()

def random_bytes():
    for i in range(300):
        s = connect()
        try:
            s.sendall((b"set=1\n" if i % 2 else b"") + os.urandom(2000))
        except (BrokenPipeError, ConnectionResetError):
            pass
        s.close()

globals()[sys.argv[1]]()
P
try() { inside timeout 100 python3 "$WORK/client.py" "$1" "$SOCKETS/$IF.sock"; }
# Another device far away, and pings to it all the while.
ip link add far netns "$NS" type veth peer name far netns "$NS2"
for i in 1 2; do
	n=$([[ $i -eq 1 ]] && echo "$NS" || echo "$NS2")
	ip -n "$n" address add "192.0.2.$i/24" dev far
	ip -n "$n" link set far up
done
OTHER=${IF}b KEY=$(wg genkey)
ip netns exec "$NS2" "$WG" -f "$OTHER" </dev/null >"$WORK/$OTHER.log" 2>&1 &
STARTED+=("$(process_of "$!")")
within 10 ip netns exec "$NS2" wg show "$OTHER"
inside wg set "$IF" peer "$(wg pubkey <<<"$KEY")" allowed-ips 10.5.0.2/32 endpoint 192.0.2.2:7101
ip netns exec "$NS2" wg set "$OTHER" private-key <(echo "$KEY") listen-port 7101 peer "$(inside wg show "$IF" public-key)" allowed-ips 10.5.0.1/32
ip -n "$NS" address add 10.5.0.1/24 dev "$IF"
ip -n "$NS2" address add 10.5.0.2/24 dev "$OTHER"
ip -n "$NS2" link set "$OTHER" up
check "traffic flows" inside ping -n -q -c 3 -i 0.2 -W 3 10.5.0.2
ip netns exec "$NS" ping -n -q -i 0.1 -W 5 10.5.0.2 </dev/null >"$WORK/pings" 2>&1 & # not by a function: it is to hear a signal
PINGS=$!
STARTED+=("$(process_of "$PINGS")")
nothing_was_lost() { # the last one may still be on its way
	kill -INT "$PINGS"
	wait "$PINGS"
	cat "$WORK/pings"
	awk '/packets transmitted/ { exit !($1 > 100 && $1 - $4 <= 1) }' "$WORK/pings"
}

# What traffic changes is left out: handshake and bytes.
state() { inside wg show "$IF" dump | awk -F '\t' -v OFS='\t' 'NR > 1 { $5 = $6 = $7 = "-" } { print }'; }
state >"$WORK/before"
same() { state | cmp - "$WORK/before"; }
within 5 same
try empty_connections
try thousand
BEFORE=$(rss)
check "each bad line has its errno" try bad_lines
inside wg set "$IF" peer ERERERERERERERERERERERERERERERERERERERERERE= remove 2>/dev/null
check "a line of a mebibyte is refused, and the next request served" try mebibyte
check "an unknown operation gets no answer" try unknown_operation
check "500 connections without a word are normal" try empty_connections
check "1,000 clients at once are all answered" try thousand
check "1,500 clients: the idle ones give way to the new" try too_many
check "a stalled client holds up nobody and is dropped" try stalled
check "a set that breaks off is an input error" try half_a_set
check "clients who never read their answer are forgotten" try deaf_and_gone
check "random bytes do no harm" try random_bytes
check "all the while nothing was lost in the tunnel" nothing_was_lost
check "after all that the device is what it was" same
AFTER=$(rss)
echo "memory before $BEFORE kB, after $AFTER kB"
check "and memory has not grown by a mebibyte" test "$((AFTER - BEFORE))" -lt 1024
check "it ends in order" stop "$PID"
finish
