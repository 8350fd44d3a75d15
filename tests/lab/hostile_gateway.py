#!/usr/bin/python3
"""A gateway that means harm. Joins the portal and connects to clients as gateways do (node_driver has WireGuard and the ways),
and sends them what no gateway may when it gets SIGUSR1; then it says how many packets that were.

  hostile_gateway.py NODE_DRIVER URL TOKEN NAME CA_FILE

Of what clients ask it for it answers pings to addresses that end in .97, as node_driver does.
"""
import asyncio
import base64
import ipaddress
import json
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import urllib.parse

import aiohttp

TUN, ROUNDS = "tun-hostile", 20


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(src, dst, protocol, body):
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if src.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + src.packed + dst.packed + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, src.packed, dst.packed)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def udp(src, dst, port=9):
    body = struct.pack("!HHHH", 4444, port, 16, 0) + b"harmful!"
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    pseudo = a.packed + b.packed + struct.pack("!IHBB", len(body), 0, 0, 17)
    return packet(src, dst, 17, body[:6] + struct.pack("!H", checksum(pseudo + body)) + body[8:])


def prohibited(src, dst, about):
    """ICMP "administratively prohibited", about a packet to `about` that the client is to have sent."""
    body = struct.pack("!BBHI", 3, 13, 0, 0) + udp(dst, about)
    return packet(src, dst, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def control(event, body=b"", length=None):
    """The in-tunnel protocol: nothing to nobody, protocol 255."""
    payload = bytes([event]) + body
    return struct.pack("!IHBB", 6 << 28, len(payload) if length is None else length, 255, 64) + bytes(32) + payload


def harm(client, own, rng):
    """What goes nowhere: from strange sources, to strange destinations, and control packets that make no sense."""
    four, six = client
    for source in ("10.21.0.5", "8.8.8.8", "100.64.0.99", "100.100.111.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                   "192.168.31.1", "203.0.113.10", four):
        yield udp(source, four)
    for source in ("2001:db8::666", "::1", "fe80::1", "fd20:1::1", "fd00:2021:1111::abc", "ff02::1", six):
        yield udp(source, six)
    for destination in ("10.20.0.10", "127.0.0.1", "192.168.31.2", "100.64.0.99", "224.0.0.1", "255.255.255.255", "0.0.0.0"):
        yield udp(own[0], destination)
    for destination in ("::1", "fd20::10", "ff02::1", "2001:db8:31::2"):
        yield udp(own[1], destination)
    for event in (0, 1, 3, 4, 127, 255):
        yield control(event)
        yield control(event, rng.randbytes(rng.randrange(1200)))
    yield control(1, b"", 0)
    yield control(1, b"\x00\x00\x00\x00", 60)
    yield struct.pack("!IHBB", 6 << 28, 0, 255, 64) + bytes(32)
    yield packet("10.21.0.5", four, 1, rng.randbytes(64))


class Gateway:
    def __init__(self, driver, url, token, name, ca):
        self.url, self.token, self.name, self.ca = url, token, name, ca
        self.driver_path, self.ref, self.answers = driver, 0, asyncio.Queue()
        self.clients, self.own, self.ws = {}, None, None

    async def say(self, event, payload, topic="gateway"):
        await self.ws.send_str(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": self.ref}))
        self.ref += 1

    async def tell(self, command):
        self.driver.stdin.write(command.encode() + b"\n")
        await self.driver.stdin.drain()

    async def ask(self, command, what):
        await self.tell(command)
        while True:
            words = await asyncio.wait_for(self.answers.get(), 20)
            if words[0] == what:
                return words[2] if len(words) > 2 else ""

    async def read_driver(self):
        while line := await self.driver.stdout.readline():
            words = line.decode().rstrip("\n").split(" ", 2)
            if words[0] in ("candidate", "gone"):
                event = "broadcast_ice_candidates" if words[0] == "candidate" else "broadcast_invalidated_ice_candidates"
                await self.say(event, {"client_ids": [words[1]], "candidates": [words[2]]})
            elif words[0] in ("started", "key", "relay", "upsert"):
                self.answers.put_nowait(words)
            else:
                print(*words, flush=True)

    async def on_init(self, p):
        self.own = p["interface"]["ipv4"], p["interface"]["ipv6"]
        subprocess.run(["ip", "address", "replace", self.own[0] + "/32", "dev", TUN], check=True)
        subprocess.run(["ip", "address", "replace", self.own[1] + "/128", "dev", TUN, "nodad"], check=True)
        subprocess.run(["ip", "link", "set", TUN, "up"], check=True)
        for relay in p["relays"][:1]:
            await self.ask(f"relay r {relay['addr']} {relay['username']} {relay['password']}", "relay")

    async def on_create_authorization(self, p):
        client, mine, theirs = p["client"], p["gateway_ice_credentials"], p["client_ice_credentials"]
        key, psk = (base64.b64decode(client[k]).hex() for k in ("public_key", "preshared_key"))
        self.clients[client["id"]] = client["ipv4"], client["ipv6"]
        for _ in range(50):
            how = await self.ask(f"upsert {client['id']} {key} {psk} {mine['username']} {mine['password']} {theirs['username']} "
                                 f"{theirs['password']} controlled", "upsert")
            if how in ("created", "kept", "replaced"):
                break
            await asyncio.sleep(0.2)
        print("authorized", client["id"], how, flush=True)
        await self.say("authorization_created", {"ref": p["ref"]})

    async def hear(self, m):
        if m["event"] == "init":
            await self.on_init(m["payload"])
        elif m["event"] == "create_authorization":
            await self.on_create_authorization(m["payload"])
        elif m["event"] in ("ice_candidates", "invalidate_ice_candidates"):
            word = "candidate" if m["event"] == "ice_candidates" else "gone"
            for text in m["payload"]["candidates"]:
                await self.tell(f"{word} {m['payload']['client_id']} {text}")

    async def beat(self):
        while True:
            await asyncio.sleep(10)
            await self.say("heartbeat", {}, "phoenix")

    def attack(self):
        """First what is allowed, so that it is seen to arrive."""
        rng, n = random.Random(7), 0
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as s:
            def send(data):
                s.sendto(data, (TUN, 0x0800 if data[0] >> 4 == 4 else 0x86DD))
            for client in self.clients.values():
                send(udp(self.own[0], client[0]))
                send(udp(self.own[1], client[1]))
                for _ in range(ROUNDS):
                    for data in harm(client, self.own, rng):
                        send(data)
                        n += 1
                    send(prohibited(self.own[0], client[0], "10.20.0.97"))
                    send(prohibited(self.own[0], client[0], "10.21.0.10"))
        print("sent", n, flush=True)

    async def run(self):
        self.driver = await asyncio.create_subprocess_exec(self.driver_path, TUN, "gateway", stdin=subprocess.PIPE,
                                                           stdout=subprocess.PIPE, env={**os.environ, "NODE_HOSTS": "1"})
        reader = asyncio.create_task(self.read_driver())
        key = base64.b64encode(bytes.fromhex(await self.ask("key", "key"))).decode()
        query = urllib.parse.urlencode({"external_id": self.name, "name": self.name, "public_key": key})
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.attack)
        headers = {"X-Authorization": f"Bearer {self.token}", "User-Agent": "Debian/12.0.0 gateway/1.6.1 (x86_64)"}
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"{self.url}/gateway/v2/websocket?{query}", headers=headers,
                                          ssl=ssl.create_default_context(cafile=self.ca)) as self.ws:
                await self.say("phx_join", None)
                beat = asyncio.create_task(self.beat())
                async for message in self.ws:
                    m = json.loads(message.data)
                    if m["topic"] == "gateway":
                        await self.hear(m)
                beat.cancel()
        reader.cancel()


if __name__ == "__main__":
    asyncio.run(Gateway(*sys.argv[1:6]).run())
