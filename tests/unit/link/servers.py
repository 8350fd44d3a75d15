#!/usr/bin/env python3
"""The other ends a portal link may meet, for test_link*.c: portals, TLS servers that are wrong in one way each, a proxy, a
name server. Runs in the network namespace of one test, on fixed ports; ends when its standard input does.

    servers.py DIR MODE...      MODE: NAME:PORT, or dns
"""

import asyncio
import base64
import hashlib
import ipaddress
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import warnings

DIR = sys.argv[1]
warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is spoken on purpose


# ---- certificates ----------------------------------------------------------------------------------------------------

def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def path(name):
    return os.path.join(DIR, name)


def make_ca(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", path(name + ".key"), "-out", path(name + ".pem"),
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")


def make_cert(name, ca, san, start=None, end=None):
    """A server certificate; `start` and `end` as YYYYMMDDHHMMSSZ."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name,
            "-keyout", path(name + ".key"), "-out", path(name + ".csr"))
    with open(path(name + ".ext"), "w") as f:
        f.write(f"subjectAltName={san}\nextendedKeyUsage=serverAuth\n")
    if start:
        os.makedirs(path(name + ".d"), exist_ok=True)
        open(path(name + ".d/index"), "w").close()
        with open(path(name + ".conf"), "w") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={path(name + '.d/index')}\nnew_certs_dir={path(name + '.d')}\n"
                    "default_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-config", path(name + ".conf"), "-cert", path(ca + ".pem"), "-keyfile", path(ca + ".key"),
                "-startdate", start, "-enddate", end, "-in", path(name + ".csr"), "-out", path(name + ".pem"),
                "-extfile", path(name + ".ext"), "-notext")
    else:
        openssl("x509", "-req", "-days", "20", "-in", path(name + ".csr"), "-CA", path(ca + ".pem"), "-CAkey",
                path(ca + ".key"), "-CAcreateserial", "-out", path(name + ".pem"), "-extfile", path(name + ".ext"))


SAN = "DNS:portal.example,DNS:*.wild.example,IP:127.0.0.1,IP:::1"
made = set()


def context(name, ca="ca", san=SAN, **dates):
    if ca not in made:
        make_ca(ca)
    if name not in made:
        make_cert(name, ca, san, **dates)
    made.update((ca, name))
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(path(name + ".pem"), path(name + ".key"))
    return c


# ---- a portal --------------------------------------------------------------------------------------------------------

def ws_frame(opcode, data):
    n = len(data)
    head = bytes([0x80 | opcode])
    if n < 126:
        head += bytes([n])
    elif n < 65536:
        head += bytes([126]) + struct.pack("!H", n)
    else:
        head += bytes([127]) + struct.pack("!Q", n)
    return head + data


async def ws_read(reader):
    a, b = await reader.readexactly(2)
    n = b & 127
    if n == 126:
        n = struct.unpack("!H", await reader.readexactly(2))[0]
    elif n == 127:
        n = struct.unpack("!Q", await reader.readexactly(8))[0]
    mask = await reader.readexactly(4) if b & 128 else bytes(4)
    data = bytes(c ^ mask[i % 4] for i, c in enumerate(await reader.readexactly(n)))
    return a & 15, data


def problem(status, code, extra=""):
    body = json.dumps({"type": "about:blank", "title": "no", "status": status, "code": code}).encode()
    return (f"HTTP/1.1 {status} No\r\nContent-Type: application/problem+json\r\n{extra}Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n").encode() + body


class Portal:
    """What it does is in the token: X-Authorization: Bearer .WORD"""

    seen = 0
    keys = []
    is_expired = False  # said so: the next attempt is refused

    async def serve(self, reader, writer):
        try:
            await self.talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def talk(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in head.split("\r\n")[1:-2])}
        word = headers.get("x-authorization", "").removeprefix("Bearer .")
        Portal.seen += 1
        Portal.keys.append(head.split("public_key=", 1)[1].split(" ")[0])
        if word == "refused" or Portal.is_expired:
            Portal.is_expired = False
            writer.write(problem(401, "invalid_token"))
            await writer.drain()
            return
        if word == "busy" and Portal.seen == 1:
            writer.write(problem(503, "rate_limit", "Retry-After: 0\r\n"))
            await writer.drain()
            return
        accept = base64.b64encode(hashlib.sha1(
            (headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

        def script(name):
            """The pushes of a file [[event, payload], ...]; "!close" among them ends the connection."""
            try:
                with open(path(name)) as f:
                    pushes = json.load(f)
            except OSError:
                return False
            for event, payload in pushes:
                if event == "!close":
                    return True
                push(event, payload)
            return False

        def push(event, payload, topic="client", ref=None):
            if payload == {"reason": "token_expired"}:
                Portal.is_expired = True
            writer.write(ws_frame(1, json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref}).encode()))

        while True:
            opcode, data = await ws_read(reader)
            if opcode == 8:
                with open(path("closed"), "wb") as f:
                    f.write(data)
                return
            if opcode != 1:
                continue
            m = json.loads(data)
            if m["event"] == "phx_join":
                push("phx_reply", {"status": "ok", "response": {}}, ref=m["ref"])
                if word == "once" and Portal.seen == 1:
                    await writer.drain()
                    return
                if word == "big":
                    push("big", {"text": "x" * (3 << 20)})
                if word == "many":
                    for i in range(2000):
                        push("one", {"i": i})
                if word == "script" and script("on_join_%d" % Portal.seen):
                    await writer.drain()
                    return
                if word == "expired":
                    push("disconnect", {"reason": "token_expired"})
            elif m["topic"] == "phoenix":
                push("phx_reply", {"status": "ok", "response": {}}, topic="phoenix", ref=m["ref"])
            elif word == "script":
                with open(path("heard"), "a") as f:
                    f.write(json.dumps([m["event"], m["payload"]], separators=(",", ":")) + "\n")
                if script("on_" + m["event"]):
                    await writer.drain()
                    return
            else:
                push("echo", {"event": m["event"], "payload": m["payload"], "n": Portal.seen, "keys": Portal.keys})
            await writer.drain()


async def portal(port, tls=None):
    for host in ("127.0.0.1", "::1"):
        await asyncio.start_server(Portal().serve, host, port, ssl=tls)


# ---- servers that are wrong ------------------------------------------------------------------------------------------

async def swallow(reader, writer):
    try:
        while await reader.read(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    writer.close()


async def reset(reader, writer):
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(reader, writer):
    await reader.read(1)
    writer.close()


async def silent(reader, _writer):
    await reader.read(-1)


def says(data):
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(data)
        try:
            await writer.drain()
            await reader.read(-1)
        except ConnectionError:
            pass
        writer.close()
    return serve


def dripping(tls):
    """TLS and the portal behind it, every byte in a segment of its own."""
    async def serve(reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", tls)

        async def down():
            while data := await up_reader.read(65536):
                for b in data:
                    writer.write(bytes([b]))
                    await writer.drain()
                    await asyncio.sleep(0)
            writer.close()
        task = asyncio.create_task(down())
        try:
            while data := await reader.read(65536):
                up_writer.write(data)
        except ConnectionError:
            pass
        up_writer.close()
        task.cancel()
    return serve


def proxy(word):
    async def serve(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        with open(path("proxied"), "a") as f:
            f.write(head)
        answers = {
            "407": b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            "502": b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "garbage": os.urandom(64) + b"\r\n\r\n",
            "endless": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10000,
            "chatty": b"HTTP/1.1 200 OK\r\n\r\nhello",
        }
        wanted = "Basic " + base64.b64encode(b"user:p@ss").decode()
        if word == "auth" and wanted not in head:
            answers["auth"] = answers["407"]
        if word in answers:
            writer.write(answers[word])
            try:
                await reader.read(-1)
            except ConnectionError:
                pass
            writer.close()
            return
        host, port = head.split()[1].rsplit(":", 1)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.0 200 Connection established\r\n\r\n")

        async def pipe(r, w):
            try:
                while data := await r.read(65536):
                    w.write(data)
                    await w.drain()
            except ConnectionError:
                pass
            w.close()
        await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))
    return serve


def serve_tls11(port):
    """By plain sockets: asyncio drops the connection before the alert is out."""
    c = context("good")
    c.set_ciphers("ALL:@SECLEVEL=0")
    c.minimum_version = ssl.TLSVersion.TLSv1
    c.maximum_version = ssl.TLSVersion.TLSv1_1
    listener = socket.create_server(("127.0.0.1", port))

    def serve():
        while True:
            s, _ = listener.accept()
            try:
                c.wrap_socket(s, server_side=True).read(1)
            except OSError:
                s.close()
    threading.Thread(target=serve, daemon=True).start()


# ---- a name server ---------------------------------------------------------------------------------------------------

def name_bytes(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


def record(name, kind, data):
    return name_bytes(name) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def dns_reply(query, answers=(), rcode=0, tc=False, ident=None, name=None):
    end = query.index(0, 12) + 5
    question = query[12:end] if name is None else name_bytes(name) + query[end - 4:end]
    flags = 0x8180 | rcode | (0x0200 if tc else 0)
    qid = struct.unpack("!H", query[:2])[0] if ident is None else ident
    return struct.pack("!HHHHHH", qid, flags, 1, len(answers), 0, 0) + question + b"".join(answers)


def dns_answers(query, tcp):
    """The replies to one query, in order; by the first label of the name."""
    labels, at = [], 12
    while n := query[at]:
        labels.append(query[at + 1:at + 1 + n].decode())
        at += 1 + n
    name, kind = ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])[0]
    ip = ipaddress.ip_address("127.0.0.1" if kind == 1 else "::1")
    good = record(name, kind, ip.packed)
    word = labels[0].lower()
    qid = struct.unpack("!H", query[:2])[0]
    if word == "silent" or (word == "noaaaa" and kind == 28) or (word == "halfdead" and tcp is None):
        return []
    if word == "nx":
        return [dns_reply(query, rcode=3)]
    if word == "refused":
        return [dns_reply(query, rcode=5)]
    if word == "empty":
        return [dns_reply(query)]
    if word == "v4only" and kind == 28:
        return [dns_reply(query)]
    if word == "truncated" and not tcp:
        return [dns_reply(query, tc=True)]
    if word == "alias":
        return [dns_reply(query, [record("b.example", 5, name_bytes("c.example")), record("c.example", kind, ip.packed),
                                  record(name, 5, name_bytes("b.example"))])]
    if word == "loop":
        return [dns_reply(query, [record(name, 5, name_bytes("b.example")), record("b.example", 5, name_bytes(name))])]
    if word == "other":
        return [dns_reply(query, [record("other.name", kind, ip.packed)])]
    if word == "liar":
        evil = record(name, kind, (b"\x06" * 16)[:len(ip.packed)])
        return [dns_reply(query, [evil], ident=qid ^ 1), dns_reply(query, [evil], name="not.this"), query, b"\0" * 5,
                dns_reply(query, [good])]
    if word == "garbage":
        return [query[:2] + b"\x81\x80" + os.urandom(40)]
    if word == "many":
        return [dns_reply(query, [record(name, kind, ip.packed[:-1] + bytes([1 + i])) for i in range(25)])]
    return [dns_reply(query, [good])]


class NameServer(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        for reply in dns_answers(data, False):
            self.transport.sendto(reply, addr)


async def dns_tcp(reader, writer):
    try:
        n = struct.unpack("!H", await reader.readexactly(2))[0]
        query = await reader.readexactly(n)
        for reply in dns_answers(query, True):
            data = struct.pack("!H", len(reply)) + reply
            for i in range(0, len(data), 7):
                writer.write(data[i:i + 7])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def dns():
    loop = asyncio.get_running_loop()
    for host in ("127.0.0.1", "::1"):
        await loop.create_datagram_endpoint(NameServer, local_addr=(host, 53))
        await asyncio.start_server(dns_tcp, host, 53)


# ---- main ------------------------------------------------------------------------------------------------------------

async def start(mode):
    name, _, port = mode.partition(":")
    port = int(port or 0)
    if name == "dns":
        await dns()
    elif name == "plain":
        await portal(port)
    elif name == "tls":
        await portal(port, context("good"))
    elif name == "tls12":
        c = context("good")
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        await portal(port, c)
    elif name == "tls11":
        serve_tls11(port)
    elif name == "wrong-host":
        await asyncio.start_server(swallow, "127.0.0.1", port, ssl=context("wrong", san="DNS:other.example,IP:127.0.0.9"))
    elif name == "expired":
        await asyncio.start_server(swallow, "127.0.0.1", port,
                                   ssl=context("old", start="20200101000000Z", end="20210101000000Z"))
    elif name == "future":
        await asyncio.start_server(swallow, "127.0.0.1", port,
                                   ssl=context("new", start="20900101000000Z", end="20910101000000Z"))
    elif name == "untrusted":
        await asyncio.start_server(swallow, "127.0.0.1", port, ssl=context("stranger", ca="otherca"))
    elif name == "drip":
        await portal(port + 1, context("good"))
        await asyncio.start_server(dripping(port + 1), "127.0.0.1", port)
    elif name.startswith("proxy-"):
        await asyncio.start_server(proxy(name[6:]), "127.0.0.1", port)
    else:
        servers = {"reset": reset, "hang-up": hang_up, "silent": silent, "garbage": says(os.urandom(4096)),
                   "http": says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")}
        await asyncio.start_server(servers[name], "127.0.0.1", port)


async def main():
    if "ca" not in made:
        make_ca("ca")
        made.add("ca")
    for mode in sys.argv[2:]:
        await start(mode)
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read(1)
    os._exit(0)


asyncio.run(main())
