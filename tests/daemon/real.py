"""Helpers of the tests of firezoned: the real daemon in a mount and network namespace of the test's own, in which
/etc, /run and /var/lib are this test's. The test program runs itself again inside."""
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ipc"))
import fz  # noqa: E402

FIREZONED = os.path.join(fz.BUILD, "bin", "firezoned")
SOCKET = "/run/firezone/firezoned.sock"
ETC, STATE = "/etc/firezone", "/var/lib/firezone"
SERVICE_USER = 61020
KEPT_OF_ETC = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "machine-id", "os-release",
               "localtime", "hosts", "resolv.conf", "alternatives", "ssl", "python3", "python3.11")


def enter():
    """Once per program: into the namespaces, with directories of our own."""
    if os.geteuid() != 0:
        fz.skip("needs root for namespaces")
    if os.environ.get("FZ_INSIDE") != "1":
        done = subprocess.run(["unshare", "-m", "-n", sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]],
                              env={**os.environ, "FZ_INSIDE": "1"})
        sys.exit(done.returncode)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    os.mkdir("/run/etc")
    for name in KEPT_OF_ETC:
        path = "/etc/" + name
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.copytree(path, "/run/etc/" + name, symlinks=True)
        elif os.path.lexists(path):
            shutil.copy(path, "/run/etc/" + name)
    with open("/run/etc/group", "a") as f:
        f.write(f"firezone:x:{fz.GROUP}:\n")
    with open("/run/etc/passwd", "a") as f:
        f.write(f"firezoned:x:{SERVICE_USER}:{SERVICE_USER}::/:/usr/sbin/nologin\n")
    for source, target in (("/run/etc", "/etc"),):
        subprocess.run(["mount", "--bind", source, target], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def reset():
    """As if nothing had ever run here."""
    for path in (ETC, STATE, "/run/firezone", "/run/credentials"):
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(ETC)


def put(path, text, mode=0o644, uid=0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.remove(path)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    os.chown(path, uid, -1)


def listen():
    """A socket as the service manager would make it."""
    os.makedirs("/run/firezone", mode=0o755, exist_ok=True)
    os.chmod("/run/firezone", 0o755)
    if os.path.exists(SOCKET):
        os.remove(SOCKET)
    s = socket.socket(socket.AF_UNIX)
    s.bind(SOCKET)
    os.chmod(SOCKET, 0o660)
    os.chown(SOCKET, 0, fz.GROUP)
    s.listen(16)
    return s


# A shell puts the socket at descriptor 3 and its own id where sd_listen_fds looks for it.
ACTIVATE = ["sh", "-c", 'exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"]


def service_state():
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    os.chown(STATE, SERVICE_USER, SERVICE_USER)


class Notify:
    """The service manager's end of sd_notify; read at once, as a full socket would stop the daemon."""

    def __init__(self):
        self.path = "/run/notify.sock"
        if os.path.exists(self.path):
            os.remove(self.path)
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(self.path)
        os.chmod(self.path, 0o777)
        self.queue = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            text = self.s.recv(4096).decode()
            if text == "end":
                return
            self.queue.put(text)

    def wait_for(self, word):
        """The next message with a line that begins so; those before it are dropped."""
        while True:
            try:
                text = self.queue.get(timeout=20)
            except queue.Empty as error:
                raise TimeoutError(word) from error
            if any(line.startswith(word) for line in text.splitlines()):
                return text

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.path)
        self.thread.join()
        self.s.close()
        os.remove(self.path)


class Daemon:
    """`with Daemon(env={...}) as d`: started, ready, and ended with SIGTERM and exit code 0."""

    path = SOCKET

    def __init__(self, env=None, wrap=(), clean=True, ends=True, **popen):
        if clean and not os.path.isdir(ETC):
            reset()
        self.notify = Notify()
        self.ends = ends
        self.log_path = "/run/firezoned.log"
        self.log = open(self.log_path, "w")
        full = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.notify.path, "LC_ALL": "C.UTF-8", **(env or {})}
        self.process = subprocess.Popen([*wrap, FIREZONED], env=full, stderr=self.log, stdout=self.log, **popen)
        try:
            self.notify.wait_for("READY=1")
        except TimeoutError as error:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("not ready: " + self.log_text()) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.ends and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            code = "no end within 20 s"
        self.notify.close()
        self.log.close()
        assert not self.ends or code == 0, f"the daemon ended with {code}: {self.log_text()}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log_text(self):
        with open(self.log_path) as f:
            return f.read()

    def cli(self, *args, **more):
        return fz.cli(SOCKET, *args, **more)

    def json(self, *args):
        result = self.cli("--json", *args)
        assert result.returncode == 0, (args, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def status(self):
        return self.json("status")


def fails_to_start(env=None, wrap=(), **popen):
    """Exit code and what it said of a daemon that ends by itself."""
    done = subprocess.run([*wrap, FIREZONED], env={"PATH": os.environ["PATH"], **(env or {})}, capture_output=True, text=True,
                          timeout=20, **popen)
    return done.returncode, done.stderr


def as_service(*more):
    """A command that runs the rest as the service's user with the one capability it has."""
    return ["setpriv", "--reuid", str(SERVICE_USER), "--regid", str(SERVICE_USER), "--clear-groups", "--inh-caps",
            "-all,+net_admin", "--ambient-caps", "-all,+net_admin", "--bounding-set", "-all,+net_admin", *more]


def context_switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            total += sum(int(line.split()[1]) for line in f if "voluntary_ctxt_switches" in line)
    return total


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def wait_until(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
