#!/usr/bin/env python3
"""Runs on the lab's client beside the daemon: does one thing and says when what of it was on the wire. Nothing of the daemon's
own is asked, so that the times are those of the packets.

  fz_probe.py first IP              everything is up: one echo request, until it is answered
  fz_probe.py cold IP PATH          nothing runs yet: a request over HTTP as soon as there is a route through the tunnel
  fz_probe.py echoes IP SECONDS     an echo request every 10 ms; which were answered when
  fz_probe.py forget                on a router: it knows no flow between devices any more

The first line is "ready", the last one a JSON object; times are CLOCK_MONOTONIC in seconds.
"""
import errno
import json
import os
import select
import socket
import struct
import sys
import threading
import time

COOKIE = b"\x21\x12\xa4\x42"
TIMESTAMPNS = 35  # SO_TIMESTAMPNS
OUTGOING = 4  # PACKET_OUTGOING
PATIENCE = 40


class Wire(threading.Thread):
    """The first packet of each kind, on every interface of this namespace."""

    def __init__(self, inner):
        super().__init__(daemon=True)
        self.inner, self.first = socket.inet_aton(inner), {}
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.offset = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)

    def run(self):
        while True:
            packet, ancillary, _, (device, _, kind, *_) = self.sock.recvmsg(2048, 128)
            if device == "lo":
                continue
            at = time.clock_gettime(time.CLOCK_REALTIME)
            for level, what, data in ancillary:
                if level == socket.SOL_SOCKET and what == TIMESTAMPNS:
                    seconds, ns = struct.unpack("qq", data[:16])
                    at = seconds + ns / 1e9
            name = self.name_of(packet, kind == OUTGOING, device.startswith("tun-"))
            if name:
                self.first.setdefault(name, at - self.offset)

    def name_of(self, p, is_out, is_tunnel):
        way = "out" if is_out else "in"
        if not p:
            return None
        version = p[0] >> 4
        if is_tunnel:
            far = p[16:20] if is_out else p[12:16]
            return f"inner_{way}" if version == 4 and far == self.inner else None
        protocol, at = (p[9], (p[0] & 15) * 4) if version == 4 else (p[6], 40)
        if protocol == socket.IPPROTO_TCP:
            return self.name_of_tcp(p[at:], is_out)
        if protocol != socket.IPPROTO_UDP or len(p) < at + 12:
            return None
        far = struct.unpack(">H", p[at + 2:at + 4] if is_out else p[at:at + 2])[0]
        return self.name_of_udp(p[at + 8:], far, way)

    @staticmethod
    def name_of_tcp(segment, is_out):
        near, far = struct.unpack(">HH", segment[:4])
        if (far if is_out else near) != 443:
            return None
        is_syn, has_data = segment[13] & 2, len(segment) > (segment[12] >> 4) * 4
        if is_syn:
            return "tcp_out" if is_out else "tcp_in"
        return ("tls_out" if is_out else "tls_in") if has_data else None

    @staticmethod
    def name_of_udp(data, far, way):
        if far == 53:
            return f"dns_{way}"
        if data[4:8] == COOKIE:
            kind = struct.unpack(">H", data[:2])[0]
            if far == 3478:
                return {0x0103: "relay_allocated"}.get(kind, f"relay_{way}")
            return f"check_{way}" if kind == 1 else f"check_answer_{way}"
        if data[1:4] == b"\0\0\0" and data[0] in (1, 2, 4):
            return {1: "handshake", 2: "handshake_answer", 4: "data"}[data[0]] + f"_{way}"
        return None


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def echo_request(number):
    head = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xffff, number)
    body = bytes(8)
    return head[:2] + struct.pack(">H", checksum(head + body)) + head[4:] + body


def echo_number(packet):
    """Of an answer to one of ours, else None."""
    kind, ident, number = packet[20], *struct.unpack(">HH", packet[24:28])
    return number if kind == 0 and ident == os.getpid() & 0xffff else None


def first(ip):
    wire = Wire(ip)
    wire.start()
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.settimeout(PATIENCE)
    print("ready", flush=True)
    began = time.monotonic()
    s.sendto(echo_request(1), (ip, 0))
    while echo_number(s.recv(2048)) != 1:
        pass
    ended = time.monotonic()
    time.sleep(0.02)
    return {"began": began, "ended": ended, **wire.first}


def wait_for_route(ip):
    """Until packets to it would leave with an address of Firezone's."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((ip, 9))
            if s.getsockname()[0].startswith("100."):
                return time.monotonic()
        time.sleep(0.0003)
    raise TimeoutError("no route through the tunnel")


def cold(ip, path):
    wire = Wire(ip)
    wire.start()
    print("ready", flush=True)
    routed = wait_for_route(ip)
    with socket.create_connection((ip, 80), PATIENCE) as s:
        connected = time.monotonic()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {ip}\r\nConnection: close\r\n\r\n".encode())
        if not s.recv(1):
            raise ConnectionError("closed without an answer")
    ended = time.monotonic()
    time.sleep(0.05)
    return {"routed": routed, "connected": connected, "ended": ended, **wire.first}


def echoes(ip, seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.setblocking(False)
    print("ready", flush=True)
    answered, number, began = [], 0, time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        if now >= began + number * 0.01:
            number += 1
            try:
                s.sendto(echo_request(number & 0xffff), (ip, 0))
            except OSError as e:  # no route for a moment
                if e.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM):
                    raise
        if select.select([s], [], [], 0.002)[0] and echo_number(s.recv(2048)) is not None:
            answered.append(time.monotonic())
    return {"sent": number, "answered": answered}


def attributes(data):
    """{type: value} of netlink attributes."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack("=HH", data[:4])
        if length < 4:
            break
        found[kind & 0x3fff] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def conntrack(s, kind, flags, family=0, body=b""):
    """One request to the kernel's table of flows (nfnetlink's subsystem 1); its messages, each with its family."""
    s.send(struct.pack("=IHHII4s", 20 + len(body), 1 << 8 | kind, flags, 1, 0, bytes([family, 0, 0, 0])) + body)
    while True:
        data = s.recv(1 << 18)
        while data:
            length, what = struct.unpack("=IH", data[:6])
            if what in (2, 3):  # NLMSG_ERROR (also "done"), NLMSG_DONE
                return
            yield data[16], data[20:length]
            data = data[(length + 3) & ~3:]


def forget():
    """Of UDP between the devices: relays go on, and TCP to the portal."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:  # NETLINK_NETFILTER
        flows = list(conntrack(s, 1, 0x301))  # IPCTNL_MSG_CT_GET; REQUEST and DUMP
        for family, body in flows:
            original = attributes(body)[1]
            protocol = attributes(attributes(original)[2])
            if protocol[1] != b"\x11" or struct.unpack(">H", protocol[3])[0] in (53, 3478):
                continue
            nested = struct.pack("=HH", 4 + len(original), 1 | 0x8000) + original  # CTA_TUPLE_ORIG
            list(conntrack(s, 2, 5, family, nested))  # IPCTNL_MSG_CT_DELETE; REQUEST and ACK


def main():
    if sys.argv[1:] == ["forget"]:
        forget()
        return
    what, ip, *rest = sys.argv[1:]
    result = {"first": first, "cold": cold, "echoes": lambda ip, s: echoes(ip, float(s))}[what](ip, *rest)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
