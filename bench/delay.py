#!/usr/bin/env python3
"""Distance for the lab: on its host "internet", everything that comes by one of the named interfaces waits so long before it
goes on. (The kernel's netem is not everywhere.)  delay.py MILLISECONDS INTERFACE...; the first line is "ready".

What comes in is routed to a TUN device of ours, kept, written back and then routed as it would have been.
"""
import collections
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time

TABLE, PRIORITY, DEVICE = "77", "77", "distance"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, stdout=subprocess.DEVNULL, stderr=None if check else subprocess.DEVNULL)


def rules(verb, interfaces):
    for family in ("-4", "-6"):
        for name in interfaces:
            ip(family, "rule", verb, "iif", name, "priority", PRIORITY, "lookup", TABLE, check=verb == "add")


def carry(fd, seconds):
    waiting = collections.deque()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        left = waiting[0][0] - time.monotonic() if waiting else 60
        if left > 0 and poll.poll(max(left * 1000 - 0.3, 0)):
            at = time.monotonic() + seconds
            try:
                while True:
                    waiting.append((at, os.read(fd, 65536)))
            except BlockingIOError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(fd, waiting.popleft()[1])


def main():
    seconds, interfaces = float(sys.argv[1]) / 1000, sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    ip("link", "set", DEVICE, "mtu", "9000", "txqueuelen", "10000", "up")
    with open(f"/proc/sys/net/ipv4/conf/{DEVICE}/rp_filter", "w", encoding="ascii") as f:
        f.write("0")
    for family in ("-4", "-6"):
        ip(family, "route", "add", "default", "dev", DEVICE, "table", TABLE)
    try:
        rules("add", interfaces)
        print("ready", flush=True)
        carry(fd, seconds)
    finally:
        rules("del", interfaces)


if __name__ == "__main__":
    main()
