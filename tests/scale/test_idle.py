#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Processes of a system whose guests sleep: they sleep, too. The short form of bench/scale. usage: test_idle.py AVP GUEST"""
import os
import sys

from sleepers import System, measure

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
VMS = 3
IDLE_S = 4
TRIES = 4  # on a busy machine the start may not be over yet; what ticks is seen each time


def too_often(table):
    return [f"{kind}: {max(wakes):.2f} wake-ups per second" for kind, (_, wakes, _) in table.items() if max(wakes) >= 1]


def test_no_process_wakes_once_a_second(folder):
    os.chmod(folder, 0o755)
    with System(AVP, GUEST, folder, VMS) as system:
        system.start_all()
        table = measure(system, IDLE_S)
        assert len(table["monitor"][0]) == VMS and len(table["blk"][0]) == VMS, table
        assert len(table["switch"][0]) == len(table["can-bus"][0]) == len(table["supervisor"][0]) == 1, table
        for _ in range(TRIES):
            if not too_often(table):
                return
            table = measure(system, IDLE_S)
        raise AssertionError(f"while all guests sleep: {too_often(table)}")


if not os.access("/dev/kvm", os.R_OK | os.W_OK):
    print("1..0 # SKIP no /dev/kvm that can be opened")
    sys.exit(0)
sys.exit(tapmain.main([test_no_process_wakes_once_a_second]))
