"""What the scenarios need on the wire and no standard tool does. Python's own library only.

  take ADDRESS PORT FILE READY       accept one connection, write what comes to FILE (READY is made when it listens)
  give ADDRESS PORT FILE             send FILE and wait until the other end has all of it
  hear ADDRESS PORT READY            print the length of each datagram that comes, a line each
  relay PORT TO_ADDRESS TO_PORT READY [seed=N] [loss=%] [reorder=%] [duplicate=%] [delay=ms] [rate=kbit/s]
                                     a UDP relay, one upstream socket per client; prints its counts on SIGTERM
  flood ADDRESS PORT PUBLIC_KEY SECONDS
                                     initiations with a valid mac1 and rubbish in the rest; prints "sent N cookies N other N"
  noise ADDRESS PORT PUBLIC_KEY COUNT SEED
                                     malformed datagrams of every kind; prints "sent N answers N"
  noring PROGRAM ...                 run PROGRAM where io_uring_setup(2) fails with EPERM, as container engines do
  noenter PROGRAM ...                the same, but rings can be made and only io_uring_enter(2) fails
  noipv6 PROGRAM ...                 run PROGRAM where socket(AF_INET6, ...) fails with EAFNOSUPPORT
  handshakes SOCKET PEER_HEX ENDPOINT COUNT
                                     forget and meet a peer COUNT times, each time waiting for its handshake
"""
import base64
import ctypes
import errno
import hashlib
import heapq
import os
import random
import select
import signal
import socket
import struct
import sys
import time


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def touch(path):
    open(path, "w").close()


def take(address, port, path, ready):
    server = socket.create_server((address, int(port)), family=family(address))
    touch(ready)
    client, _ = server.accept()
    with open(path, "wb") as out:
        while data := client.recv(1 << 18):
            out.write(data)
    client.sendall(b"k")


def give(address, port, path):
    with socket.create_connection((address, int(port)), 30) as s, open(path, "rb") as f:
        s.settimeout(100)
        s.sendfile(f)
        s.shutdown(socket.SHUT_WR)
        if s.recv(1) != b"k":
            sys.exit("the other end did not take it all")


def hear(address, port, ready):
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.bind((address, int(port)))
        touch(ready)
        while True:
            print(len(s.recv(65535)), flush=True)


class Relay:
    """Datagrams wait in a heap until their time; reordered ones get a later time than those behind them."""

    def __init__(self, port, to, options):
        self.to = to
        self.o = {"seed": 1, "loss": 0, "reorder": 0, "duplicate": 0, "delay": 0, "rate": 0}
        self.o.update((k, float(v)) for k, v in (o.split("=") for o in options))
        self.random = random.Random(int(self.o["seed"]))
        self.front = socket.socket(family(to[0]), socket.SOCK_DGRAM)
        self.front.bind(("::" if ":" in to[0] else "0.0.0.0", port))
        self.upstream = {}
        self.clients = {}
        self.queue = []
        self.order = 0
        self.free_at = 0.0
        self.counts = dict(passed=0, lost=0, reordered=0, duplicated=0)

    def happens(self, what):
        return self.random.random() * 100 < self.o[what]

    def accept(self, data, out, to):
        if self.happens("loss"):
            self.counts["lost"] += 1
            return
        at = time.monotonic() + self.o["delay"] / 1000
        if self.o["rate"]:
            self.free_at = max(self.free_at, at) + len(data) * 8 / (self.o["rate"] * 1000)
            at = self.free_at
        if self.happens("reorder"):
            self.counts["reordered"] += 1
            at += self.random.uniform(0.001, 0.02)
        copies = 2 if self.happens("duplicate") else 1
        self.counts["duplicated"] += copies - 1
        for _ in range(copies):
            self.order += 1
            heapq.heappush(self.queue, (at, self.order, data, out, to))
        self.counts["passed"] += 1

    def hear(self, s):
        data, source = s.recvfrom(65535)
        if s is not self.front:
            self.accept(data, self.front, self.clients[s])
            return
        if source not in self.upstream:
            up = socket.socket(self.front.family, socket.SOCK_DGRAM)
            up.connect(self.to)
            self.upstream[source] = up
            self.clients[up] = source
        self.accept(data, self.upstream[source], None)

    def deliver(self):
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            _, _, data, out, to = heapq.heappop(self.queue)
            try:
                out.send(data) if to is None else out.sendto(data, to)
            except OSError:
                pass

    def run(self):
        while True:
            wait = max(0.0, self.queue[0][0] - time.monotonic()) if self.queue else None
            for s in select.select([self.front, *self.clients], [], [], wait)[0]:
                try:
                    self.hear(s)
                except OSError:
                    pass
            self.deliver()


def relay(port, address, to_port, ready, *options):
    r = Relay(int(port), (address, int(to_port)), options)

    def end(*_):
        print(" ".join(f"{k}={v}" for k, v in r.counts.items()), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    touch(ready)
    r.run()


def initiation(rng, key, index):
    head = struct.pack("<BxxxI", 1, index) + rng.randbytes(32 + 48 + 28)
    mac1 = hashlib.blake2s(head, key=hashlib.blake2s(b"mac1----" + key).digest(), digest_size=16).digest()
    return head + mac1 + bytes(16)


def client_of(address, port):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    s.setblocking(False)
    return s


def drain(s, limit=1 << 30):
    got = []
    while len(got) < limit:
        try:
            got.append(s.recv(65535))
        except BlockingIOError:
            break
        except OSError:
            continue
    return got


def flood(address, port, public, seconds):
    key, rng = base64.b64decode(public), random.Random(1)
    s, sent, cookies, other = client_of(address, port), 0, 0, 0
    end = time.monotonic() + float(seconds)
    batch = [initiation(rng, key, i) for i in range(3000)]
    while time.monotonic() < end:
        for packet in batch:
            try:
                s.send(packet)
                sent += 1
            except OSError:
                pass
        for answer in drain(s, 5000):
            if len(answer) == 64 and answer[0] == 3:
                cookies += 1
            else:
                other += 1
        time.sleep(0.05)
    print(f"sent {sent} cookies {cookies} other {other}")


def malformed(rng, key):
    kind = rng.randrange(8)
    good = bytearray(initiation(rng, key, rng.randrange(1 << 32)))
    if kind == 0:
        return rng.randbytes(rng.choice((0, 1, 3, 4, 15, 16, 31, 32, 63, 64, 91, 92, 93, 147, 148, 149, 1472)))
    if kind == 1:
        return bytes((rng.choice((1, 2, 3, 4)), 0, 0, 0)) + rng.randbytes(rng.choice((0, 4, 12, 28, 60, 88, 144, 1400)))
    if kind == 2:
        return bytes(good[:rng.randrange(148)])
    if kind == 3:
        good[rng.randrange(116, 132)] ^= 1 << rng.randrange(8)
        return bytes(good)
    if kind == 4:
        good[rng.randrange(1, 4)] = rng.randrange(1, 256)
        return bytes(good)
    if kind == 5:
        return bytes(good) + rng.randbytes(rng.randrange(1, 40))
    if kind == 6:
        return struct.pack("<BxxxIQ", 4, rng.randrange(1 << 32), rng.randrange(1 << 64)) + rng.randbytes(16 * rng.randrange(1, 80))
    # mac1 holds and nothing else does: no answer either while there is no load
    return bytes(good)


def noise(address, port, public, count, seed):
    key, rng = base64.b64decode(public), random.Random(int(seed))
    s, answers, sent = client_of(address, port), 0, 0
    for i in range(int(count)):
        try:
            s.send(malformed(rng, key))
            sent += 1
        except OSError:
            pass
        if i % 20 == 0:
            time.sleep(0.02)
            answers += len(drain(s))
    time.sleep(0.5)
    print(f"sent {sent} answers {answers + len(drain(s))}")


def burst(address, count):
    """So many datagrams of 100 bytes to a port where nobody listens."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        for i in range(int(count)):
            s.sendto(i.to_bytes(100, "big"), (address, 9))


def barred(command, call, error, first_argument=None):
    """Run it under a filter that fails one system call, if its first argument is the one given."""
    load, equal, leave = 0x20, 0x15, 0x06
    rows = [(load, 0, 0, 0), (equal, 0, 1 if first_argument is None else 3, call)]
    if first_argument is not None:
        rows += [(load, 0, 0, 16), (equal, 0, 1, first_argument)]
    rows += [(leave, 0, 0, 0x00050000 | error), (leave, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *r) for r in rows))
    prog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.addressof(prog), 0, 0):
        sys.exit("no seccomp: " + os.strerror(ctypes.get_errno()))
    os.execvp(command[0], command)


# x86-64 and arm64 share the numbers of newer calls.
def noring(*command):
    barred(command, 425, errno.EPERM)


def noenter(*command):
    barred(command, 426, errno.EPERM)


def noipv6(*command):
    barred(command, 41 if os.uname().machine == "x86_64" else 198, errno.EAFNOSUPPORT, socket.AF_INET6)


def uapi(path, text):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(text.encode())
        data = b""
        while not data.endswith(b"\n\n"):
            more = s.recv(65536)
            if not more:
                break
            data += more
    if b"errno=0\n" not in data:
        sys.exit("refused: " + data.decode())
    return data.decode()


def handshakes(path, peer, endpoint, count):
    for i in range(int(count)):
        uapi(path, f"set=1\npublic_key={peer}\nremove=true\n\n")
        uapi(path, f"set=1\npublic_key={peer}\nendpoint={endpoint}\npersistent_keepalive_interval=600\nallowed_ip=10.9.0.2/32\n\n")
        end = time.monotonic() + 30
        while "last_handshake_time_sec=0\n" in uapi(path, "get=1\n\n"):
            if time.monotonic() > end:
                sys.exit(f"no handshake in round {i}")
            time.sleep(0.005)
        time.sleep(0.05)  # two initiations within 20 ms are a flood to the other end
    print(f"{count} handshakes")


if __name__ == "__main__":
    {f.__name__: f for f in (take, give, relay, flood, noise, noring, noenter, noipv6, handshakes, burst, hear)}[sys.argv[1]](*sys.argv[2:])
