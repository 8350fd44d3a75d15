"""The portal's side of one gateway's connection, in a few lines and without dependencies: for tests of the process.

usage: portal.py PORT DIR      everything happens in files of DIR:
  refuse     if there: HTTP status and problem code for every attempt, e.g. "401 invalid_token"
  init       the payload sent after each join
  push       appended by the test: one JSON frame {"event": ..., "payload": ...} per line, sent as it appears
  drop       created by the test: the connection is cut (and the file removed)
  requests   written here: one line per upgrade request (its first line), token left out
  events     written here: one line per frame received, but heartbeats
"""
import asyncio
import base64
import hashlib
import json
import os
import struct
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PORT, DIR = int(sys.argv[1]), sys.argv[2]


def path(name):
    return os.path.join(DIR, name)


def append(name, line):
    with open(path(name), "a", encoding="utf-8") as f:
        f.write(line + "\n")


def frame(opcode, payload):
    n = len(payload)
    if n < 126:
        head = struct.pack("!BB", 0x80 | opcode, n)
    elif n < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 126, n)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, n)
    return head + payload


async def read_frame(reader):
    first, second = await reader.readexactly(2)
    n = second & 0x7F
    if n == 126:
        (n,) = struct.unpack("!H", await reader.readexactly(2))
    elif n == 127:
        (n,) = struct.unpack("!Q", await reader.readexactly(8))
    mask = await reader.readexactly(4)
    data = await reader.readexactly(n)
    return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def say(writer, topic, event, payload, ref=None):
    text = json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref})
    writer.write(frame(1, text.encode()))


async def push(writer, start):
    """Sends what the test appends; ends when it asks for a cut."""
    at = start
    while True:
        if os.path.exists(path("drop")):
            os.unlink(path("drop"))
            writer.close()
            return
        if os.path.exists(path("push")):
            with open(path("push"), encoding="utf-8") as f:
                f.seek(at)
                for line in f:
                    if not line.endswith("\n"):
                        break
                    at += len(line.encode())
                    m = json.loads(line)
                    say(writer, "gateway", m["event"], m["payload"])
        await writer.drain()
        await asyncio.sleep(0.05)


async def talk(reader, writer):
    start = os.path.getsize(path("push")) if os.path.exists(path("push")) else 0
    pusher = None
    try:
        while True:
            opcode, data = await read_frame(reader)
            if opcode == 8:
                append("events", "close")
                return
            if opcode != 1:
                continue
            m = json.loads(data)
            if m["event"] != "heartbeat":
                append("events", json.dumps([m["event"], m["payload"]]))
            if m["event"] in ("heartbeat", "phx_join"):
                say(writer, m["topic"], "phx_reply", {"status": "ok", "response": {}}, m["ref"])
            if m["event"] == "phx_join":
                with open(path("init"), encoding="utf-8") as f:
                    say(writer, "gateway", "init", json.load(f))
                pusher = asyncio.create_task(push(writer, start))
            await writer.drain()
    finally:
        if pusher:
            pusher.cancel()


async def serve(reader, writer):
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        fields = {k.lower(): v for k, v in fields.items()}
        append("requests", f'{head[0]} agent={fields.get("user-agent")}')
        if os.path.exists(path("refuse")):
            with open(path("refuse"), encoding="utf-8") as f:
                status, code = f.read().split()
            body = json.dumps({"type": "about:blank", "status": int(status), "code": code})
            writer.write(
                f"HTTP/1.1 {status} Refused\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            await writer.drain()
            return
        accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + GUID).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        await talk(reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError, KeyError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    append("requests", "listening")
    async with server:
        await server.serve_forever()


asyncio.run(main())
