#!/usr/bin/env python3
"""Clients that mean harm: the daemon answers with the right error or closes, stays within its memory, and keeps
serving the others. tests/daemon/test_hostile.py does the same to firezoned, with what stands in Harm changed."""
import os
import random
import socket
import struct
import sys
import threading
import time

import fz

SEED = int(os.environ.get("FZ_SEED", "20261124"))


class Harm:
    """To whom it is done, and how much of it."""

    Daemon = fz.Daemon
    stuck = 20  # connections that stop in the middle of a frame
    roomy = ("--per-user", "60")  # flags that let one user have that many
    missed = 1000  # events that a reader who never reads misses, at the least
    maxrss_kib = 32 * 1024


def served(daemon):
    result = fz.cli(daemon, "--json", "status")
    assert result.returncode == 0, result.stderr
    return True


def check_memory(daemon):
    stats = daemon.stats()
    assert int(stats["memory"]) < 2 << 20, stats
    assert int(stats["maxrss_kib"]) < Harm.maxrss_kib or fz.is_sanitized(), stats


def test_a_frame_of_length_zero_is_refused():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(struct.pack("<I", 0))
        assert c.error_code() == "BAD_FRAME"
        assert c.read() is None and served(d)


def test_a_frame_of_four_gigabytes_is_refused_without_memory():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(struct.pack("<I", 0xffffffff) + b"x" * 1000)
        assert c.error_code() == "BAD_FRAME"
        assert served(d)
        check_memory(d)


def test_a_frame_one_byte_above_the_limit_is_refused():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(struct.pack("<I", (1 << 20) + 1))
        assert c.error_code() == "BAD_FRAME"


def test_a_first_frame_that_is_no_greeting_is_refused():
    with Harm.Daemon() as d:
        for data in (fz.call(1, 1), fz.frame(fz.field(1, 0) + fz.field(2, fz.field(1, "HTTP")))):
            c = fz.Raw(d.path, greet=False)
            c.send(data)
            assert c.error_code() == "BAD_ENVELOPE"


def test_a_foreign_major_version_is_told_ours():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path, greet=False)
        c.send(fz.hello(major=2))
        error = fz.fields(c.read()[6][0])
        assert fz.error_name(error[1][0]) == "UNSUPPORTED" and error[7] == [1] and error[9] == [Harm.Daemon.version]


def test_a_newer_minor_version_is_met_at_ours():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path, greet=False)
        c.send(fz.hello(minor=7))
        assert fz.fields(c.read()[3][0])[2] == [0]


def test_an_unknown_method_fails_alone():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(fz.call(1, 9999))
        assert c.error_code() == "UNKNOWN_METHOD"
        c.send(fz.call(3, 1))
        assert c.error_code() == "OK"


def test_text_that_is_not_utf8_fails_alone():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        for bad in (b"\xff", b"a\x00b", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
            stream = 1 if bad == b"\xff" else stream + 2
            c.send(fz.call(stream, 100, fz.field(1, bad)))
            assert c.error_code() == "BAD_TEXT", bad
        c.send(fz.call(stream + 2, 100))
        assert c.error_code() == "OK"


def test_a_field_of_the_wrong_wire_type_fails_alone():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(fz.call(1, 100, fz.field(1, 5)))
        assert c.error_code() == "BAD_WIRE_TYPE"
        c.send(fz.call(3, 1))
        assert c.error_code() == "OK"


def test_a_request_cut_short_fails_alone():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(fz.call(1, 100, b"\x0a\x7fabc"))
        assert c.error_code() == "BAD_ENVELOPE"


def test_a_request_above_its_methods_size_fails_alone():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(fz.call(1, 1, fz.field(15, "x" * 100)))
        assert c.error_code() == "TOO_LARGE"
        c.send(fz.call(3, 1))
        assert c.error_code() == "OK"


def test_stream_numbers_never_go_back():
    with Harm.Daemon() as d:
        for streams in ((2,), (3, 3), (5, 1)):
            c = fz.Raw(d.path)
            codes = []
            for s in streams:
                c.send(fz.call(s, 1))
                codes.append(c.error_code())
            assert codes[-1] == "BAD_ENVELOPE", (streams, codes)


def test_descriptors_are_counted_and_never_leak():
    def n_open():
        return len(os.listdir(f"/proc/{d.process.pid}/fd"))

    def settled():
        """A daemon that has just started still opens and closes what it needs."""
        seen = []
        while len(seen) < 500 and (len(seen) < 10 or len(set(seen[-10:])) > 1):
            time.sleep(0.02)
            seen.append(n_open())
        return seen[-1]

    with Harm.Daemon() as d:
        assert served(d)
        base = settled()
        null = os.memfd_create("m")
        for fds, method, want in (((null,), 1, "BAD_DESCRIPTOR"), ((), 103, "BAD_DESCRIPTOR"),
                                  ((null, null), 103, "BAD_DESCRIPTOR"), ((null,), 103, "OK"),
                                  ((null,) * 5, 103, "BAD_DESCRIPTOR"), ((null,) * 200, 103, "BAD_DESCRIPTOR")):
            c = fz.Raw(d.path)
            c.send(fz.call(1, method), fds)
            assert c.error_code() == want, (len(fds), method)
            c.close()
        c = fz.Raw(d.path)  # in the middle of a frame
        data = fz.call(1, 103)
        c.send(data[:6])
        time.sleep(0.1)
        c.send(data[6:], (null,))
        assert c.error_code() == "BAD_DESCRIPTOR"
        c.close()
        for _ in range(100):
            if n_open() == base:
                break
            time.sleep(0.02)
        assert n_open() == base


def test_a_descriptor_that_could_make_the_daemon_wait_is_refused():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        a, b = socket.socketpair()
        reader, writer = os.pipe()
        bad = [a.fileno(), reader, os.open("/", os.O_RDONLY), os.open(__file__, os.O_RDONLY),
               os.open("/dev/null", os.O_RDWR)]
        for i, fd in enumerate(bad):
            for k, method in enumerate((103, 123, 150)):
                c.send(fz.call(6 * i + 2 * k + 1, method), (fd,))
                assert c.error_code() == "BAD_DESCRIPTOR", (i, method)
        assert served(d)


def test_a_descriptor_stays_with_its_frame_among_others():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        bad = os.memfd_create("bad")
        os.write(bad, b"bad = 1\n")
        os.lseek(bad, 0, os.SEEK_SET)
        c.send(fz.call(1, 1) + fz.call(3, 1))
        c.send(fz.call(5, 103), (bad,))
        c.send(fz.call(7, 1))
        answers = {}
        for _ in range(8):
            envelope = c.read()
            if 5 in envelope:
                answers[envelope[1][0]] = fz.fields(envelope[5][0])
        assert answers[5][1] == [0], "the file was read: not valid"


def test_a_writer_that_stops_in_the_middle_holds_up_nobody():
    with Harm.Daemon(*Harm.roomy) as d:
        stuck = []
        for i in range(Harm.stuck):
            c = fz.Raw(d.path)
            c.send(struct.pack("<I", 1000) + b"x" * (i * 40))
            stuck.append(c)
        assert served(d)


def test_who_does_not_greet_is_shown_out():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path, greet=False, timeout=20)
        assert c.error_code() == "TIMEOUT"


def test_one_user_gets_eight_connections():
    with Harm.Daemon() as d:
        kept = [fz.Raw(d.path) for _ in range(8)]
        ninth = fz.Raw(d.path, greet=False)
        assert ninth.error_code() == "LIMIT"
        kept[0].close()
        time.sleep(0.2)
        assert served(d)


def test_a_reader_that_never_reads_is_bounded_and_gets_a_snapshot_later():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path)
        c.send(fz.call(1, 5, credit=3))
        for _ in range(20):
            d.emit()
            time.sleep(0.02)
        check_memory(d)
        kinds = []
        for _ in range(3):
            event = fz.fields(c.read()[5][0])
            kinds.append(10 if 10 in event else 15)
        assert kinds == [10, 10, 10]
        c.send(fz.frame(fz.field(1, 1) + fz.field(9, fz.field(1, 5))))
        event = fz.fields(c.read()[5][0])
        assert 15 in event, "one snapshot in place of the backlog"
        missed = fz.fields(event[15][0])[1][0]
        assert missed > Harm.missed, missed


def test_who_asks_without_reading_stops_being_heard():
    with Harm.Daemon() as d:
        c = fz.Raw(d.path, timeout=2)
        stream, data = 1, b""
        try:
            for _ in range(20000):
                c.send(fz.call(stream, 1))
                stream += 2
        except (TimeoutError, socket.timeout):
            pass
        check_memory(d)
        assert served(d)


def test_random_frames_do_no_harm():
    rng = random.Random(SEED)
    print("     seed", SEED)
    good = [fz.call(1, 1), fz.call(1, 100, fz.field(1, "api_url")), fz.call(1, 5, credit=4),
            fz.frame(fz.field(1, 1) + fz.field(8, b"")), fz.frame(fz.field(1, 1) + fz.field(9, fz.field(1, 9)))]
    with Harm.Daemon(*Harm.roomy) as d:
        for i in range(600):
            c = fz.Raw(d.path, greet=i % 3 > 0)
            for _ in range(rng.randrange(1, 5)):
                data = bytearray(rng.choice(good))
                for _ in range(rng.randrange(0, 6)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
                if rng.random() < 0.3:
                    data = data[:rng.randrange(len(data) + 1)]
                if rng.random() < 0.1:
                    data += rng.randbytes(rng.randrange(64))
                try:
                    c.send(bytes(data))
                except (BrokenPipeError, ConnectionResetError):
                    break
            c.close()
        assert served(d)


def flood(path, stop_at):
    """In a process of somebody outside the group: connections as fast as they go, eight times 125 at once."""
    fz.as_user(fz.OUTSIDER if os.geteuid() == 0 else os.getuid())()

    def one():
        while time.monotonic() < stop_at:
            held = []
            try:
                for _ in range(125):
                    s = socket.socket(socket.AF_UNIX)
                    s.setblocking(False)
                    s.connect(path)
                    s.send(os.urandom(20))
                    held.append(s)
            except OSError:
                pass
            time.sleep(0.001)
            for s in held:
                s.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def test_a_thousand_connections_leave_room_for_status():
    with Harm.Daemon() as d:
        os.chmod(d.path, 0o666)
        pid = os.fork()
        if pid == 0:
            flood(d.path, time.monotonic() + 3)
            os._exit(0)
        n = 0
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            assert served(d)
            n += 1
        stats = d.stats()
        print(f"     accepted {stats['accepted']}, turned away {stats['turned_away']}, {n} times status meanwhile; "
              f"daemon {stats['maxrss_kib']} KiB at most")
        assert int(stats["accepted"]) + int(stats["turned_away"]) >= 1000 and n > 0
        check_memory(d)


def test_a_second_daemon_refuses_and_a_stale_socket_is_replaced():
    with Harm.Daemon() as d:
        second = fz.subprocess.run([fz.FAKE, "--socket", d.path], capture_output=True, text=True)
        assert second.returncode == 1 and "in use" in second.stderr, second.stderr
        assert served(d)
        d.process.kill()
        d.process.wait()
        assert os.path.exists(d.path)
        d.process = fz.subprocess.Popen([fz.FAKE, "--socket", d.path], stdout=fz.subprocess.PIPE, text=True)
        assert d.process.stdout.readline() == "ready\n"
        assert served(d)


def test_a_socket_that_was_handed_in_is_served():
    directory = fz.tempfile.mkdtemp(prefix="fz-ipc-")
    s = socket.socket(socket.AF_UNIX)
    s.bind(directory + "/s.sock")
    s.listen()

    def start(fd):
        return fz.subprocess.Popen([fz.FAKE, "--socket", directory + "/s.sock", "--listen-fd", str(fd)], pass_fds=[fd],
                                   stdout=fz.subprocess.PIPE, stderr=fz.subprocess.PIPE, text=True)
    p = start(s.fileno())
    assert p.stdout.readline() == "ready\n"
    assert fz.cli(directory + "/s.sock", "status").returncode == 0
    p.terminate()
    assert p.wait(10) == 0 and os.path.exists(directory + "/s.sock"), "what it did not make it does not remove"
    p = start(os.open("/dev/null", os.O_RDWR))
    assert p.wait(10) == 1, "only a listening Unix socket will do"
    fz.shutil.rmtree(directory)


def test_a_directory_others_can_write_to_is_refused_on_both_sides():
    with Harm.Daemon() as d:
        os.chmod(d.dir, 0o777)
        assert fz.cli(d, "status").returncode == 8
        third = fz.subprocess.run([fz.FAKE, "--socket", d.dir + "/x.sock"], capture_output=True, text=True)
        assert third.returncode == 1 and "not permitted" in third.stderr
        os.chmod(d.dir, 0o755)


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
