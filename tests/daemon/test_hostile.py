#!/usr/bin/env python3
"""The harm of tests/ipc/test_hostile.py once more, done to firezoned itself: the same answers, memory bounded by the most it
ever had (VmHWM), the others served."""
import os
import subprocess
import sys

import real
from real import fz

import test_hostile as hostile

real.enter()


class Victim(real.Daemon):
    """firezoned, with what the suite asks of a daemon."""

    version = subprocess.run([real.FIREZONED, "--version"], capture_output=True, check=True).stdout.split()[1]

    def __init__(self, *flags):
        assert not flags, flags
        real.reset()
        super().__init__(env={"FIREZONE_ID": "a-test"})

    def stats(self):
        metrics = {m["name"]: m["value"] for m in self.json("metrics")["metrics"]}
        with open(f"/proc/{self.process.pid}/status") as f:
            hwm = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        return {"accepted": metrics["firezone_ipc_accepted"], "turned_away": metrics["firezone_ipc_turned_away"],
                "memory": metrics["firezone_ipc_memory_bytes"], "maxrss_kib": hwm}

    def emit(self):
        """A hundred changes of the state: a sign-in that is begun and given up."""
        c = fz.Raw(self.path)
        for i in range(50):
            c.send(fz.call(4 * i + 1, 20))
            assert c.error_code() == "OK"
            c.send(fz.call(4 * i + 3, 24))
            assert c.error_code() == "OK"
        c.close()


hostile.Harm.Daemon = Victim
hostile.Harm.stuck = 6  # of the eight that one user has
hostile.Harm.roomy = ()
hostile.Harm.maxrss_kib = 24 * 1024

# These start daemons of their own kind; tests/daemon/test_life.py has firezoned's.
OTHERS = {"test_a_second_daemon_refuses_and_a_stale_socket_is_replaced", "test_a_socket_that_was_handed_in_is_served",
          "test_a_directory_others_can_write_to_is_refused_on_both_sides"}
assert OTHERS <= vars(hostile).keys()
globals().update({name: test for name, test in vars(hostile).items() if name.startswith("test_") and name not in OTHERS})


def test_a_directory_others_can_write_to_is_not_trusted():
    with Victim() as d:
        os.chmod("/run/firezone", 0o777)
        assert d.cli("status").returncode == 8
        os.chmod("/run/firezone", 0o755)
        assert d.cli("status").returncode == 0


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
