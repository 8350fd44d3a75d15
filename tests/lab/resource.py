#!/usr/bin/python3
"""What stands behind the lab's gateways and beside its portal: an HTTP server and a DNS server.

  resource.py http PORT...                     on every address, IPv4 and IPv6
      GET /file/SIZE        SIZE bytes (10M, 1k, ...), always the same ones; its SHA-256 is at /sum/SIZE
      GET /slow/SIZE/RATE   the same, so many bytes a second
      GET /rst/SIZE         half of them, then a reset
      GET /whoami           the address the request came from
      PUT /upload           answers with the SHA-256 of what came
  resource.py dns ADDRESS... NAME=IP[,IP...]   UDP and TCP on port 53; names not listed do not exist, *.NAME is allowed
"""
import hashlib
import http.server
import ipaddress
import socket
import socketserver
import struct
import sys
import threading
import time

BLOCK = b"".join(hashlib.sha256(struct.pack(">I", i)).digest() for i in range(32768))  # 1 MiB
UNITS = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_of(text):
    n = int(text[:-1]) * UNITS[text[-1]] if text[-1:] in UNITS else int(text)
    return min(n, 4 << 30)


def blocks(size):
    """Each MiB begins with its number, so that one that is lost, doubled or out of place changes the sum."""
    n = 0
    while size > 0:
        chunk = struct.pack(">Q", n) + BLOCK[8:]
        yield chunk[:size]
        size -= len(chunk)
        n += 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, *args):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        words = self.path.strip("/").split("/")
        try:
            if words[0] == "whoami":
                self.answer(f"{self.client_address[0].removeprefix('::ffff:')}\n".encode())
            elif words[0] == "sum":
                digest = hashlib.sha256()
                for chunk in blocks(size_of(words[1])):
                    digest.update(chunk)
                self.answer(digest.hexdigest().encode() + b"\n")
            elif words[0] in ("file", "slow", "rst"):
                self.stream(words[0], size_of(words[1]), words[2:])
            else:
                self.send_error(404)
        except (ValueError, IndexError):
            self.send_error(400)
        except OSError:
            self.close_connection = True

    def stream(self, how, size, more):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if how == "rst":
            for chunk in blocks(size // 2):
                self.wfile.write(chunk)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        rate = size_of(more[0]) if how == "slow" else 0
        for chunk in blocks(size):
            if not rate:
                self.wfile.write(chunk)
                continue
            step = max(rate // 20, 1)
            for at in range(0, len(chunk), step):
                self.wfile.write(chunk[at:at + step])
                time.sleep(0.05)

    def do_PUT(self):
        left, digest = int(self.headers.get("Content-Length", 0)), hashlib.sha256()
        while left > 0 and (chunk := self.rfile.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        self.answer(digest.hexdigest().encode() + b"\n")


class HttpServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request, client_address):
        pass


# ---- names -------------------------------------------------------------------------------------------------------------

def addresses_of(zone, name):
    if name in zone:
        return zone[name]
    for pattern, found in zone.items():
        if pattern.startswith("*.") and name.endswith(pattern[1:]):
            return found
    return None


def dns_answer(query, zone):
    """One question, its A and AAAA records; NXDOMAIN for names nobody listed."""
    ident, flags, count = struct.unpack(">HHH", query[:6])
    if count != 1 or flags & 0x8000:
        return None
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    question = query[12:at + 5]
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    found = addresses_of(zone, ".".join(labels))
    records = b""
    n = 0
    for ip in found or ():
        if (ip.version, kind) in ((4, 1), (6, 28)):
            records += struct.pack(">HHHIH", 0xC00C, kind, 1, 5, len(ip.packed)) + ip.packed
            n += 1
    code = 3 if found is None else 0
    return struct.pack(">HHHHHH", ident, 0x8580 | code, 1, n, 0, 0) + question + records


class DnsOverUdp(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        try:
            answer = dns_answer(data, self.server.zone)
        except (IndexError, struct.error):
            return
        if answer:
            sock.sendto(answer, self.client_address)


class DnsOverTcp(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        try:
            while len(head := self.rfile.read(2)) == 2:
                answer = dns_answer(self.rfile.read(struct.unpack(">H", head)[0]), self.server.zone)
                if answer:
                    self.wfile.write(struct.pack(">H", len(answer)) + answer)
        except (IndexError, struct.error, OSError):
            pass


def dns_servers(words):
    zone = {}
    for word in words:
        name, equals, ips = word.partition("=")
        if equals:
            zone[name.lower()] = [ipaddress.ip_address(ip) for ip in ips.split(",")]
    for address in (w for w in words if "=" not in w):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for base, handler in ((socketserver.ThreadingUDPServer, DnsOverUdp), (socketserver.ThreadingTCPServer, DnsOverTcp)):
            kind = type("Server", (base,), {"address_family": family, "allow_reuse_address": True, "daemon_threads": True})
            server = kind((address, 53), handler)
            server.zone = zone
            yield server


def main():
    if sys.argv[1:2] == ["http"]:
        servers = [HttpServer(("::", int(port)), Handler) for port in sys.argv[2:]]
    elif sys.argv[1:2] == ["dns"]:
        servers = list(dns_servers(sys.argv[2:]))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
