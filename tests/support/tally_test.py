#!/usr/bin/env python3
"""The counter of tests, on logs in which something went wrong."""
import os
import pathlib
import subprocess
import tempfile
import unittest

TALLY = pathlib.Path(__file__).resolve().parent / "tally"
GOOD = "1: [====] Synthesis: Tested: 3 | Passing: 3 | Failing: 0 | Crashing: 0\n1/1 Test #1: base ......   Passed    0.02 sec\n"


class Tally(unittest.TestCase):
    def counts(self, text, ci="true"):
        with tempfile.NamedTemporaryFile("w", suffix=".log") as f:
            f.write(text)
            f.flush()
            out = subprocess.run([str(TALLY), f.name], env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False)
        return out.stdout.strip().splitlines()[-1], out.returncode

    def test_counts_the_tests_of_a_suite(self):
        self.assertEqual(self.counts(GOOD), ("3 passed, 0 failed, 0 skipped", 0))

    def test_a_failing_test_fails(self):
        text = GOOD.replace("Passing: 3 | Failing: 0", "Passing: 1 | Failing: 2").replace("Passed", "***Failed")
        self.assertEqual(self.counts(text), ("1 passed, 2 failed, 0 skipped", 1))

    def test_a_leak_that_criterion_calls_passing_fails(self):
        self.assertEqual(self.counts(GOOD.replace("Passed", "***Failed")), ("3 passed, 1 failed, 0 skipped", 1))

    def test_a_suite_without_tests_fails(self):
        self.assertEqual(self.counts(GOOD.replace("3", "0")), ("0 passed, 1 failed, 0 skipped", 1))

    def test_a_test_that_could_not_start_fails(self):
        self.assertEqual(self.counts("1/1 Test #1: base ......***Not Run   0.00 sec\n"), ("0 passed, 1 failed, 0 skipped", 1))

    def test_a_time_out_fails(self):
        self.assertEqual(self.counts("1/1 Test #1: base ......***Timeout 300.01 sec\n"), ("0 passed, 1 failed, 0 skipped", 1))

    def test_a_program_without_words_counts_as_one(self):
        self.assertEqual(self.counts("1: 4 inputs replayed\n1/1 Test #1: replay_ws ...   Passed    0.02 sec\n"), ("1 passed, 0 failed, 0 skipped", 0))

    def test_a_skip_is_a_failure_in_ci_unless_allowed(self):
        self.assertEqual(self.counts("1: skipped: no TUN here\n" + GOOD), ("3 passed, 1 failed, 0 skipped", 1))
        self.assertEqual(self.counts("1: skipped: allowed: no AVX512\n" + GOOD), ("3 passed, 0 failed, 1 skipped", 0))
        self.assertEqual(self.counts("1: skipped: no TUN here\n" + GOOD, ci=""), ("3 passed, 0 failed, 1 skipped", 0))

    def test_a_script_is_counted_by_its_closing_line(self):
        self.assertEqual(self.counts("ok roaming\n7 passed, 0 failed, 0 skipped\n"), ("7 passed, 0 failed, 0 skipped", 0))
        self.assertEqual(self.counts("7 passed, 2 failed, 0 skipped\n"), ("7 passed, 2 failed, 0 skipped", 1))

    def test_an_empty_log_fails(self):
        self.assertEqual(self.counts(""), ("0 passed, 1 failed, 0 skipped", 1))


if __name__ == "__main__":
    unittest.main()
