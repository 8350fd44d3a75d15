#!/usr/bin/env python3
"""bench/firezone.py without a lab: how packets are told apart, how phases and round trips are counted, what is made of figures."""
import pathlib
import socket
import struct
import sys
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import firezone_report as report  # noqa: E402
import fz_parts as parts  # noqa: E402
import fz_probe as probe  # noqa: E402

COOKIE = b"\x21\x12\xa4\x42"


def ip4(src, dst, protocol, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return head + payload


def ip6(protocol, payload):
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + bytes(32) + payload


def udp(src, dst, payload):
    return struct.pack(">HHHH", src, dst, 8 + len(payload), 0) + payload


def tcp(src, dst, flags, payload=b""):
    return struct.pack(">HHIIBBHHH", src, dst, 0, 0, 5 << 4, flags, 0, 0, 0) + payload


def stun(kind):
    return struct.pack(">HH", kind, 0) + COOKIE + bytes(12)


class Packets(unittest.TestCase):
    def name_of(self, packet, is_out=True, is_tunnel=False):
        wire = probe.Wire.__new__(probe.Wire)
        wire.inner = socket.inet_aton("10.20.0.10")
        return wire.name_of(packet, is_out, is_tunnel)

    def test_each_step_of_a_start_is_known(self):
        outer = ("192.168.31.2", "203.0.113.10")
        for name, packet, is_out in (
                ("dns_out", ip4(*outer, 17, udp(5000, 53, bytes(12))), True),
                ("tcp_out", ip4(*outer, 6, tcp(5000, 443, 2)), True),
                ("tcp_in", ip4(*reversed(outer), 6, tcp(443, 5000, 0x12)), False),
                ("tls_out", ip4(*outer, 6, tcp(5000, 443, 0x10, b"hello")), True),
                (None, ip4(*outer, 6, tcp(5000, 443, 0x10)), True),
                (None, ip4(*outer, 6, tcp(5000, 80, 2)), True),
                ("relay_out", ip4(*outer, 17, udp(52625, 3478, stun(3))), True),
                ("relay_allocated", ip4(*outer, 17, udp(3478, 52625, stun(0x103))), False),
                ("check_out", ip6(17, udp(52625, 52625, stun(1))), True),
                ("check_answer_in", ip6(17, udp(52625, 52625, stun(0x101))), False),
                ("handshake_out", ip6(17, udp(52625, 52625, b"\1\0\0\0" + bytes(144))), True),
                ("handshake_answer_in", ip6(17, udp(52625, 52625, b"\2\0\0\0" + bytes(88))), False),
                ("data_out", ip6(17, udp(52625, 52625, b"\4\0\0\0" + bytes(28))), True)):
            self.assertEqual(self.name_of(packet, is_out), name, name)

    def test_inside_the_tunnel_only_the_resource_counts(self):
        to = ip4("100.64.1.1", "10.20.0.10", 1, bytes(8))
        self.assertEqual(self.name_of(to, True, True), "inner_out")
        self.assertIsNone(self.name_of(to, False, True))
        self.assertIsNone(self.name_of(ip6(58, bytes(8)), True, True))

    def test_what_is_cut_off_has_no_name(self):
        self.assertIsNone(self.name_of(b""))
        self.assertIsNone(self.name_of(ip4("1.2.3.4", "5.6.7.8", 17, udp(1, 53, b""))))

    def test_echo_requests_have_a_right_checksum_and_answers_are_known(self):
        request = probe.echo_request(7)
        self.assertEqual(probe.checksum(request), 0)
        answer = bytes(20) + b"\0" + request[1:]
        self.assertEqual(probe.echo_number(answer), 7)
        self.assertIsNone(probe.echo_number(bytes(20) + request))

    def test_netlink_attributes_end_where_they_are_cut_off(self):
        data = struct.pack("=HH4sHHB3x", 8, 1 | 0x8000, b"abcd", 5, 2, 17) + struct.pack("=HH", 0, 9)
        self.assertEqual(probe.attributes(data), {1: b"abcd", 2: b"\x11"})


def start_of(**more):
    r = {f"{n}_round_trips": 0.0 for n in (*report.PORTAL, *report.OURS)}
    return {**r, "wireguard_round_trips": 1.0, "answer_round_trips": 1.0, **more}


class Figures(unittest.TestCase):
    def test_a_phase_needs_both_of_its_ends(self):
        events = {"inner_out": 1.0, "client request_authorization": 1.002, "check_out": 2.0}
        self.assertEqual(list(parts.phases(events, parts.CONNECTING)), ["ask_ms"])
        self.assertAlmostEqual(parts.phases(events, parts.CONNECTING)["ask_ms"], 2)

    def test_iperf_never_runs_for_ever(self):
        self.assertEqual([parts.whole(s) for s in (0.4, 0.5, 1, 1.5, 3)], [1, 1, 1, 2, 3])

    def test_every_phase_is_a_step_of_the_report(self):
        steps = {key for key, _ in report.STEPS} | {"relay"}  # which goes on beside the others
        self.assertEqual({n for n, *_ in parts.STARTING + parts.CONNECTING} - steps, set())

    def test_round_trips_beyond_leave_out_the_portals_and_one_of_wireguards(self):
        results = report.with_sums({"cold_start": [start_of(ice_round_trips=2.0, wireguard_round_trips=1.5, ask_round_trips=0.5)]})
        self.assertAlmostEqual(results["cold_start"][0]["round_trips_beyond"], 2.5)
        self.assertAlmostEqual(results["cold_start"][0]["portal_round_trips"], 0.5)

    def test_goals_are_reached_missed_or_not_measured(self):
        text = report.goals({"throughput": [{"tcp_1": 6.1, "tcp_4": 5.9, "udp_errors_under_tcp": 0}], "first_packet": [{"first_packet_ms": 15.5}]})
        def line(words):
            return next(x for x in text.splitlines() if x.startswith(f"| {words}"))
        self.assertIn("| 6.10 | reached", line("TCP, one stream"))
        self.assertIn("missed", line("four streams"))
        self.assertIn("missed", line("first packet"))
        self.assertIn("reached", line("errors of UDP"))
        self.assertIn("not measured", line("client's peak"))

    def test_tables_and_chart_stand_without_most_parts(self):
        data = {"machine": {"kernel": "6.1", "cpu": "A CPU", "cpus": 2, "when": "now"}, "mtu": 1280, "quick": True, "version": "", "rtt_ms": 40,
                "results": {"throughput": [{"tcp_1": 5.0, "cpu_s_per_gb": 2.0}, {"tcp_1": 6.0, "cpu_s_per_gb": 1.9}]}}
        parts_of_it = report.tables(data)
        self.assertIn("5.50 (5.00-6.00)", parts_of_it["goals"])
        self.assertIn("cpu s per gb", parts_of_it["figures"])
        xml.etree.ElementTree.fromstring(report.chart(data))

    def test_a_document_keeps_what_is_not_between_marks(self):
        document = "a\n<!-- pair goals -->\nold\n<!-- pair end -->\nb\n"
        self.assertEqual(report.refresh(document, {"goals": "new"}), "a\n<!-- pair goals -->\nnew\n<!-- pair end -->\nb\n")
        with self.assertRaises(ValueError):
            report.refresh(document, {})


if __name__ == "__main__":
    unittest.main()
