#!/usr/bin/env python3
"""What is made of a run's figures: goals, tables, the chart and the comparison of two builds, also where much was not measured."""
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import chart  # noqa: E402
import e2e  # noqa: E402
import figures  # noqa: E402
import goals  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402

MACHINE = {"kernel": "6.1", "cpu": "A CPU", "cpus": 2, "when": "2026-01-01T00:00:00Z", "load_at_start": 0.1}


def run_of(results, **more):
    return {"schema": "firezone.Bench/3", "machine": dict(MACHINE), "mtu": 1420, "rounds": 5, "quick": False, "version": "v", "results": results,
            **more}


def rounds(key, *values):
    return [{"round": n, key: v} for n, v in enumerate(values)]


def row(data, words):
    return next(r for r in goals.rows(data) if r.what == words)


def script(name):
    loader = importlib.machinery.SourceFileLoader(name, str(HERE / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Ratios(unittest.TestCase):
    def test_a_ratio_is_of_the_same_round(self):
        # Both drift alike: by round always twice, by medians of all not.
        data = run_of({"ours": rounds("tcp_1", 2, 4, 20), "wireguard-go": rounds("tcp_1", 1, 2, 10)})
        self.assertEqual(row(data, "TCP, one stream, MTU 1420, against wireguard-go").reached(), (2, 2, 2))

    def test_a_round_that_one_lacks_is_left_out(self):
        data = run_of({"ours": rounds("tcp_1", 2, 4, 20), "wireguard-go": rounds("tcp_1", 1, None, 5)})
        self.assertEqual(row(data, "TCP, one stream, MTU 1420, against wireguard-go").reached(), (3, 2, 4))

    def test_pieces_of_a_round_are_one_round(self):
        self.assertEqual(figures.by_round([{"round": 1, "a": 1}, {"round": 1, "b": 2}, {"round": 0, "b": 3}], "b"), {1: 2, 0: 3})

    def test_the_best_peer_is_chosen_in_each_round(self):
        data = run_of({"ours": rounds("udp_64_pps", 40, 40), "gotatun": rounds("udp_64_pps", 10, 4), "boringtun": rounds("udp_64_pps", 5, 8)})
        self.assertEqual(row(data, "UDP 64 B, under 0.1 % loss, against the best peer").reached(), (4.5, 4, 5))


class Goals(unittest.TestCase):
    def verdict_of_cpu(self, ours):
        data = run_of({"ours": rounds("cpu_s_per_gb", ours), "wireguard-go": rounds("cpu_s_per_gb", 10)})
        return row(data, "CPU per GB, both ends, against wireguard-go").verdict()

    def test_less_cpu_is_better(self):
        self.assertEqual([self.verdict_of_cpu(x) for x in (2.9, 3.1, 4.4, 4.6)], ["goal", "floor", "floor", "missed"])

    def test_more_throughput_is_better(self):
        for gbit, verdict in ((3.3, "goal"), (2.6, "floor"), (2.4, "missed")):
            data = run_of({"ours": rounds("tcp_4", gbit), "wireguard-go": rounds("tcp_4", 1)})
            self.assertEqual(row(data, "TCP, four streams, MTU 1420, against wireguard-go").verdict(), verdict)

    def test_what_was_not_measured_is_said_to_be_so(self):
        self.assertEqual({r.verdict() for r in goals.rows(run_of({}))}, {"not measured"})

    def test_handshakes_are_held_against_four_x25519_of_the_same_run(self):
        data = run_of({"ours uring 1": rounds("handshakes_per_s", 5000), "micro": rounds("x25519_us", 25.0)})
        self.assertAlmostEqual(row(data, "handshakes answered, against four X25519 alone").reached()[0], 0.5)

    def test_the_limit_of_the_aead_follows_from_its_own_figures(self):
        # Two CPUs at 7 Gbit/s are 0.286 s per Gbit; 24 Gbit/s both ways are 0.083 more.
        ns = 1420 * 8 / 24
        data = run_of({"no crypto": rounds("tcp_1", 7.0), "micro": [{"round": 0, "aead_fast_seal_1420_ns": ns, "aead_fast_open_1420_ns": ns,
                                                                   "aead_slow_seal_1420_ns": 9 * ns, "aead_slow_open_1420_ns": 9 * ns}]})
        self.assertAlmostEqual(goals.limit_of_aead(data["results"], "tcp_1", 1420, 2), 0.774, 3)

    def test_every_row_of_a_full_run_has_a_verdict(self):
        keys = [f"{way}{at}" for way, _ in goals.WAYS for at in ("", "_mtu1280", "_mtu8920")]
        keys += ["udp_64_pps", "udp_1350_pps", "cpu_s_per_gb", "ping_idle_us", "ping_loaded_p99_us", "ping_up_p99_us", "ping_down_p99_us", "rss_mib",
                 "flood_under", "flood_calm", "handshakes_per_s", "x25519_us"]
        keys += [f"{way}_64_{end}" for way in ("receive", "send") for end in ("pps", "most_pps")]
        keys += [f"peers_{n}_{end}" for n in (1, 1000, 10000) for end in ("receive_pps", "send_pps", "send_apart_pps", "configure_s")]
        keys += [f"{name}_{way}_us_per_packet" for name in ("peers_1", "peers_10000", "flows_100", "flows_10000", "prefixes_100000")
                 for way in ("receive", "send", "send_apart")]
        names = ("ours", goals.NULL, *goals.PEERS, goals.URING, goals.EPOLL, "micro")
        data = run_of({name: [{"round": 0, **dict.fromkeys(keys, 1.0)}] for name in names})
        self.assertEqual([r.what for r in goals.rows(data) if r.verdict() == "not measured"], [])


class Report(unittest.TestCase):
    PARTIAL = {"ours": [{"round": 0, "tcp_1": 5.0}, {"round": 0, "flood_calm": 4.0, "flood_under": 3.0}],
               "ours uring 1": [{"round": 0, "send_64_pps": 1e5, "handshakes_per_s": 1e4}], "micro": [{"round": 0, "x25519_us": 30.0}],
               "gotatun": []}

    def test_a_contestant_of_one_part_alone_breaks_no_table_and_no_chart(self):
        data = run_of(self.PARTIAL)
        self.assertIn("| ours | 5.00 |", report.markdown(data, "wireguard-go"))
        xml.etree.ElementTree.fromstring(chart.chart(data))

    def test_nothing_measured_is_an_empty_chart(self):
        xml.etree.ElementTree.fromstring(chart.chart(run_of({})))

    def test_marks_show_the_least_and_the_most(self):
        one, two = (chart.chart(run_of({"ours": rounds("tcp_1", *v)})) for v in ((5.0,), (4.0, 5.0, 6.0)))
        self.assertNotIn('class="mark"', one)
        self.assertIn('class="mark"', two)

    def test_a_line_over_the_number_of_peers(self):
        ours = [{"round": 0, "peers_1_receive_pps": 3e5, "peers_1000_receive_pps": 2e5, "peers_1_send_pps": 2e5, "peers_1000_send_pps": 1e5}]
        self.assertIn("1,000 peers", chart.chart(run_of({"ours": ours})))

    def test_a_busy_machine_is_told_of(self):
        quiet = {"niced_by_others": 0.0, "stolen": 0.0, "busy_between_runs": [0.0, 0.1]}
        self.assertEqual(report.busy(run_of({}, busy=[quiet])), "")
        for more in ({"niced_by_others": 0.3}, {"stolen": 0.1}, {"busy_between_runs": [0.9, 0.9]}):
            self.assertIn("The machine was busy", report.busy(run_of({}, busy=[quiet, {**quiet, **more}])))

    def test_a_failure_is_told_of(self):
        failures = [{"round": 1, "part": "udp", "contestant": "gotatun", "why": "waited 15 s"}]
        self.assertIn("gotatun udp in round 2: waited 15 s", report.circumstances(run_of({}, failures=failures)))

    def test_a_document_gets_its_tables_and_keeps_its_text(self):
        document = "before\n<!-- bench speed -->\nstale\n<!-- bench end -->\nafter\n"
        fresh = report.refresh(document, run_of(self.PARTIAL), "wireguard-go")
        self.assertTrue(fresh.startswith("before\n<!-- bench speed -->\n| contestant |") and fresh.endswith("<!-- bench end -->\nafter\n"), fresh)
        self.assertNotIn("stale", fresh)
        self.assertEqual(report.refresh(fresh, run_of(self.PARTIAL), "wireguard-go"), fresh)
        self.assertRaises(ValueError, report.refresh, document.replace("speed", "sped"), run_of({}), "wireguard-go")

    def test_the_command_writes_what_it_is_asked_for(self):
        with tempfile.TemporaryDirectory() as place:
            place = pathlib.Path(place)
            (place / "r.json").write_text(json.dumps(run_of(self.PARTIAL)))
            words = [sys.executable, "-B", str(HERE / "report.py"), str(place / "r.json"), "--md", str(place / "r.md"), "--svg", str(place / "r.svg")]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            self.assertIn("## Goals", (place / "r.md").read_text())
            self.assertTrue((place / "r.svg").read_text().startswith("<svg"))


class Comparison(unittest.TestCase):
    def judge(self, old, new, higher=True):
        return figures.judge(dict(enumerate(old)), dict(enumerate(new)), higher)[0]

    def test_a_clear_difference_is_seen_through_drift(self):
        self.assertEqual(self.judge([10, 5, 8, 20, 9], [9, 4.5, 7.1, 18, 8.1]), "worse")
        self.assertEqual(self.judge([10, 5, 8, 20, 9], [11, 5.6, 8.8, 22, 10]), "better")
        self.assertEqual(self.judge([10, 5, 8, 20, 9], [11, 5.6, 8.8, 22, 10], higher=False), "worse")

    def test_noise_is_no_difference(self):
        self.assertEqual(self.judge([10, 10, 10, 10, 10], [8, 12, 9.5, 11, 9]), "same")
        self.assertEqual(self.judge([10, 10, 10, 10, 10], [9.9, 9.8, 9.85, 9.9, 9.8]), "same")

    def test_one_disturbed_round_hides_nothing(self):
        self.assertEqual(self.judge([10, 10, 10, 10, 10], [9, 9.1, 14, 9, 8.9]), "worse")

    def test_three_rounds_prove_nothing(self):
        self.assertEqual(self.judge([10, 10, 10], [5, 5, 5]), "too few")

    def test_what_looks_worse_has_to_be_worse_again(self):
        compare, n = script("compare"), range(10)
        old = [{"round": r, "tcp_1": 10.0, "tcp_4": 10.0} for r in n]
        new = [{"round": r, "tcp_1": 8.0 + r / 100, "tcp_4": (8.0 if r < 5 else 10.0) + r / 100} for r in n]
        results = {"old": old, "new": new}
        self.assertEqual({row[0]: row[3] for row in compare.confirmed(results, 5)}, {"tcp_1": "worse", "tcp_4": "same"})

    def test_the_command_fails_if_a_figure_became_worse(self):
        old = [{"round": n, "tcp_1": 10.0 + n, "cpu_s_per_gb": 1.0} for n in range(5)]
        slower = [{"round": n, "tcp_1": 8.0 + n * 0.8, "cpu_s_per_gb": 1.0} for n in range(5)]
        for new, code in ((old, 0), (slower, 1)):
            with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
                json.dump(run_of({"old": old, "new": new}), f)
                f.flush()
                done = subprocess.run([sys.executable, "-B", str(HERE / "compare"), "--json", f.name], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn("tcp_1", done.stdout)

    def test_what_is_better_is_known_of_each_figure(self):
        compare = script("compare")
        for key in ("tcp_1", "tcp_4_mtu1280", "udp_64_pps", "receive_64_most_pps", "peers_1000_send_pps", "flood_under"):
            self.assertTrue(compare.is_more_better(key), key)
        for key in ("cpu_s_per_gb", "cpu_us_per_packet_64", "ping_idle_us", "rss_mib", "send_64_us_per_packet", "syscalls_per_packet_64"):
            self.assertFalse(compare.is_more_better(key), key)


class Rounds(unittest.TestCase):
    """Which parts are asked of whom and what is kept of them; nothing is measured."""

    def setUp(self):
        self.lab, self.asked = unittest.mock.Mock(), []
        for part in (*e2e.BOTH_ENDS, *e2e.ALONE):
            self.patch(measure, part, lambda *args, part=part: self.take(part, *args))
        self.patch(measure, "x25519", lambda _: {"x25519_us": 1.0})
        self.patch(measure, "aead", lambda _: {})
        self.patch(e2e.Machine, "sample_idle", lambda _: None)
        self.patch(sys, "stderr", open("/dev/null", "w", encoding="ascii"))
        self.addCleanup(sys.stderr.close)
        self.failing = ()

    def patch(self, where, name, what):
        patcher = unittest.mock.patch.object(where, name, what)
        patcher.start()
        self.addCleanup(patcher.stop)

    def take(self, part, _, *args):
        name = args[0]["name"] if len(args) == 2 else None
        self.asked.append((part, name))
        if part in self.failing:
            raise RuntimeError("waited in vain")
        return {part: 1.0}

    def run_with(self, contestants, **more):
        options = types.SimpleNamespace(**{"parts": {*e2e.BOTH_ENDS, *e2e.ALONE}, "only": None, "alone": None, "all": False, "quick": False,
                                           "rounds": 2, "round": None, **more})
        rounds = e2e.Rounds(self.lab, options, {})
        for number in range(options.rounds):
            rounds.round(number, [{"name": n} for n in contestants])
        return rounds

    def test_a_part_that_fails_costs_no_other(self):
        self.failing = ("pings",)
        rounds = self.run_with(["ours"])
        self.assertEqual(set(figures.keys_of(rounds.results["ours"])), {*e2e.BOTH_ENDS, "flooded", "many_peers", "growth"} - {"pings"})
        self.assertEqual({(f["part"], f["contestant"]) for f in rounds.failures}, {("pings", "ours")})
        self.assertEqual(self.lab.raise_tunnel.call_count, 4)  # a new one after the failure, in both rounds

    def test_who_goes_first_changes_with_the_round(self):
        self.run_with(["ours uring 1", "ours epoll 1"], parts={"one_end"})
        self.assertEqual([name for _, name in self.asked], ["ours uring 1", "ours epoll 1", "ours epoll 1", "ours uring 1"])

    def test_a_comparison_asks_old_and_new_of_one_end_too(self):
        self.run_with(["ours", "old", "new"], parts={"one_end", "pings"}, only="^(old|new)$", alone=["old", "new"], rounds=1)
        self.assertEqual(self.asked, [("pings", None), ("pings", None), ("one_end", "old"), ("one_end", "new")])

    def test_only_who_takes_part_has_to_be_there(self):
        options = types.SimpleNamespace(bin="/nowhere", peer=["old=/bin/true", "new=/bin/true", "gotatun=/nowhere"], parts={"one_end", "pings"},
                                        only="^(old|new)$", alone=["old", "new"], all=False)
        self.assertEqual([c["name"] for c in e2e.contestants_of(options)], ["old", "new"])
        options.only = None
        self.assertRaises(SystemExit, e2e.contestants_of, options)

    def test_each_piece_says_its_round(self):
        rounds = self.run_with(["ours"], parts={"pings"})
        self.assertEqual(figures.by_round(rounds.results["ours"], "pings"), {0: 1.0, 1: 1.0})


class Streams(unittest.TestCase):
    def test_a_run_is_never_of_no_seconds(self):
        # To iperf3 that means for ever.
        for wanted, given in ((0.8, "1"), (1, "1"), (1.5, "2"), (3, "3")):
            lab = unittest.mock.Mock(congestion=("-C", "cubic"))
            lab.cpu_seconds.return_value = (1.0, 1.0)
            lab.on.return_value = '{"end": {"sum_received": {"bits_per_second": 2e9, "bytes": 1e9}}}'
            self.assertEqual(measure.tcp(lab, wanted)[0], 2.0)
            words = lab.on.call_args.args
            self.assertEqual(words[words.index("-t") + 1], given)
            self.assertEqual(words[words.index("-C") + 1], "cubic")

    def test_a_run_without_a_result_is_a_failure(self):
        lab = unittest.mock.Mock(congestion=())
        lab.cpu_seconds.return_value = (1.0, 1.0)
        lab.on.return_value = '{"end": {}, "error": "the server is busy"}'
        self.assertRaisesRegex(RuntimeError, "the server is busy", measure.tcp, lab, 1)


class Search(unittest.TestCase):
    """A tunnel that carries up to 100,000 packets a second."""

    def setUp(self):
        self.n = 0

    def attempt(self, pps):
        return (pps, pps) if pps <= 100_000 else (min(pps * 0.99, 104_500), pps)

    def hiccup(self, every):
        def attempt(pps):
            self.n += 1
            got, sent = self.attempt(pps)
            return (got * 0.9 if self.n % every == 0 else got), sent
        return attempt

    def test_the_limit_is_found(self):
        low, most = measure.search(self.attempt, 1e6, 8)
        self.assertTrue(95_000 <= low <= 100_000, low)
        self.assertAlmostEqual(most, 104_500)

    def test_hiccups_do_not_halve_it(self):
        for every in (2, 3, 5):
            low, _ = measure.search(self.hiccup(every), 1e6, 8)
            self.assertGreaterEqual(low, 90_000)

    def test_few_steps_end_with_a_rate_all_the_same(self):
        low, _ = measure.search(lambda pps: (pps, pps) if pps <= 9_000 else (pps * 0.95, pps), 1e6, 2)
        self.assertTrue(4_000 <= low <= 9_000, low)

    def test_a_source_that_can_do_no_more_ends_it(self):
        low, _ = measure.search(lambda pps: (min(pps, 50_000), min(pps, 50_000)), 1e6, 8)
        self.assertLessEqual(low, 50_000)
        self.assertGreaterEqual(low, 40_000)

    def test_nothing_gets_through_a_dead_tunnel(self):
        self.assertEqual(measure.search(lambda pps: (0, pps), 1e6, 8), (0.0, 0))


if __name__ == "__main__":
    unittest.main()
