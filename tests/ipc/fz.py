"""Helpers of the tests of socket and command line: a fake daemon, and the wire by hand, so that the tests do not
trust the code they test."""
import array
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("FZ_BUILD", "build")
SOURCE = os.environ.get("FZ_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
CLI = os.path.join(BUILD, "bin", "firezonectl")
FAKE = os.path.join(BUILD, "bin", "fake_daemon")
GEN = os.path.join(BUILD, "gen")
GROUP = 61010
MEMBER, OTHER_MEMBER, OUTSIDER = 61001, 61002, 61003

ERROR_CODES = {}


def is_sanitized():
    with open(FAKE, "rb") as f:
        text = f.read()
    return b"__asan_" in text or b"__tsan_" in text or b"__gcov_" in text


def skip(why):
    """Of a whole program."""
    print("skipped:", why)
    sys.exit(77)


class Skip(Exception):
    """Of one test, raised with what is missing. It fails under CI, unless the reason begins with "allowed:"."""


class Nowhere:
    """In place of a daemon: nobody listens."""

    path = "/nonexistent/firezoned.sock"


class Daemon:
    """The fake daemon in a directory of its own; `with Daemon('--service-mode') as d`."""

    version = b"0.1.0"

    def __init__(self, *flags, limit_kib=0):
        self.dir = tempfile.mkdtemp(prefix="fz-ipc-")
        os.chmod(self.dir, 0o755)
        self.path = os.path.join(self.dir, "firezoned.sock")
        self.log = open(os.path.join(self.dir, "log"), "w+")
        self.process = subprocess.Popen([FAKE, "--socket", self.path, *flags], stdout=subprocess.PIPE, stderr=self.log,
                                        text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.log.seek(0)
            raise RuntimeError("fake daemon: " + line + self.log.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        shutil.rmtree(self.dir)
        assert code == 0, f"the daemon ended with {code}"

    def stats(self):
        self.process.send_signal(signal.SIGUSR2)
        return dict(pair.split("=") for pair in self.process.stdout.readline().split())

    def emit(self):
        self.process.send_signal(signal.SIGUSR1)

    def log_text(self):
        self.log.seek(0)
        return self.log.read()


def cli(daemon, *args, env=None, input=None, **more):
    """Runs firezonectl; daemon may be a path."""
    path = daemon if isinstance(daemon, str) else daemon.path
    full = {"PATH": os.environ["PATH"], "FIREZONE_SOCKET": path, "LC_ALL": "C.UTF-8", **(env or {})}
    return subprocess.run([CLI, *args], env=full, input=input, capture_output=True, text=True, timeout=30, **more)


def schema_validator():
    """Of everything firezonectl prints as JSON."""
    try:
        import jsonschema
    except ImportError as error:
        raise Skip("python3-jsonschema is not here") from error
    with open(os.path.join(GEN, "cli", "firezonectl.schema.json")) as f:
        return jsonschema.Draft202012Validator(json.load(f))


def as_user(uid, groups=()):
    def become():
        os.setgroups(list(groups))
        os.setgid(uid)
        os.setuid(uid)
    return become


# ---- the wire ----

def varint(n):
    out = b""
    while True:
        byte, n = n & 127, n >> 7
        if n:
            out += bytes([byte | 128])
        else:
            return out + bytes([byte])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(payload):
    return struct.pack("<I", len(payload)) + payload


def hello(major=1, minor=0):
    body = field(1, "FZRP") + field(2, major) + field(3, minor) + field(4, "test") + field(5, "1")
    return frame(field(1, 0) + field(2, body))


def call(stream, method, request=b"", credit=None):
    body = field(1, method) + field(2, request)
    if credit is not None:
        body += field(4, credit)
    return frame(field(1, stream) + field(4, body))


def fields(data):
    """The fields of a serialized message as {number: [values]}."""
    out, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            value = number()
        elif tag & 7 == 2:
            n = number()
            value, at = data[at:at + n], at + n
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            value, at = data[at:at + 4], at + 4
        out.setdefault(tag >> 3, []).append(value)
    return out


class Raw:
    """A connection on which anything can be sent."""

    def __init__(self, path, greet=True, timeout=10):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", timeout, 0))
        self.s.connect(path)  # blocking, so that it waits for its turn
        self.s.settimeout(timeout)
        if greet:
            self.s.sendall(hello())
            assert 3 in self.read(), "a greeting is answered"

    def read_frame(self):
        head = self.take(4)
        if head is None:
            return None
        return self.take(struct.unpack("<I", head)[0])

    def take(self, n):
        out = b""
        while len(out) < n:
            try:
                more = self.s.recv(n - len(out))
            except ConnectionResetError:
                return None
            if not more:
                return None
            out += more
        return out

    def read(self):
        """The next envelope as fields, or None at the end."""
        payload = self.read_frame()
        return None if payload is None else fields(payload)

    def send(self, data, fds=()):
        if fds:
            self.s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        else:
            self.s.sendall(data)

    def error_code(self):
        """The code of the next error frame; None if the connection ends first."""
        while True:
            envelope = self.read()
            if envelope is None:
                return None
            if 6 in envelope:
                return error_name(fields(envelope[6][0])[1][0])
            if 7 in envelope:
                return "OK"

    def close(self):
        self.s.close()


def golden_lines():
    with open(os.path.join(GEN, "golden.txt")) as f:
        return f.read().splitlines()


def error_name(code):
    if not ERROR_CODES:
        for line in golden_lines():
            words = line.split()
            if words[:2] == ["enum", "Error.Code"]:
                ERROR_CODES[int(words[2])] = words[3]
    return ERROR_CODES.get(code, str(code))


def methods():
    """Every method of firezone.proto with its rule."""
    out, names = [], {}
    for line in golden_lines():
        words = line.split()
        if words[0] == "method":
            names[words[1]] = words[2]
        elif words[0] == "rule":
            rule = dict(w.split("=") for w in words[2:] if "=" in w)
            rule.update(id=int(words[1]), name=names[words[1]], served="not-yet-served" not in words)
            out.append(rule)
    return out


def run_tests(module):
    """Runs every function test_* in order; each is a sentence. Exit 1 if any fails, or if CI skips one."""
    passed = failed = skipped = 0
    strict = os.environ.get("CI") == "true"
    chosen = sys.argv[1:]
    for name, test in [(n, f) for n, f in vars(module).items() if n.startswith("test_")]:
        if chosen and name not in chosen:
            continue
        sentence = name[5:].replace("_", " ")
        try:
            test()
            passed += 1
            print("ok  ", sentence)
        except Skip as reason:
            skipped += 1
            if strict and not str(reason).startswith("allowed:"):
                failed += 1
            print(f"skipped: {reason}: {sentence}")
        except Exception as error:
            failed += 1
            import traceback
            traceback.print_exc()
            print("FAIL", sentence, "-", error)
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
