#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest goes on, and its data is right, whatever the one beside it does. The short form of bench/neighbours, which measures.
usage: test_neighbours.py AVP GUESTLOAD"""
import os
import sys
import time

from place import ATTACKS, LIMIT_S, Place, end

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP, GUESTLOAD = (os.path.abspath(path) for path in sys.argv[1:3])
OPERATIONS = 2000  # that a guest gets done beside each attack


def goes_on(place, what):
    """So many more operations, none of them wrong."""
    before, deadline = place.counted()[0], time.monotonic() + LIMIT_S
    while place.counted()[0] < before + OPERATIONS:
        assert time.monotonic() < deadline, f"{what}: {place.counted()} after {before} operations"
        time.sleep(0.01)
    assert place.counted()[1] == 0, f"{what}: {place.counted()[1]} operations with wrong data"


def beside_attacks(folder, kind, per_ms):
    with Place(AVP, GUESTLOAD, folder) as place:
        load = place.load(kind, per_ms)
        try:
            for attack in ATTACKS:
                guest = place.attack(attack)
                try:
                    goes_on(place, attack)
                    assert guest.poll() is None, f"{attack}: the attacker has ended"
                finally:
                    end(guest)
                assert place.alive() and load.poll() is None, f"{attack}: a device or the guest has ended"
            goes_on(place, "after the attacks")
        finally:
            end(load)


def test_a_disk_goes_on(folder):
    beside_attacks(folder, "blk", 0)


def test_frames_go_on(folder):
    beside_attacks(folder, "net", 0)


def test_a_few_frames_go_on(folder):
    beside_attacks(folder, "net", 16)


sys.exit(tapmain.main([test_a_disk_goes_on, test_frames_go_on, test_a_few_frames_go_on]))
