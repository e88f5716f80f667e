#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile guest costs its neighbour: disk and network of a good guest while another one attacks, in per cent of what
they are beside an idle one.

A guest is a load generator with its device process, in a cgroup of the same processor weight as the other's; both have a port
on one switch, which has a group of its own. All on one core, or the attacker with its devices on the other one (the switch
stays with the good guest). Windows alternate, idle neighbour, attack, idle neighbour, ...; medians. All data is checked.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/neighbours"))
from place import ATTACKS, CORES, Place, end  # noqa: E402

# Load of the good guest: kind, operations per millisecond (0: as many as possible).
LOADS = [("blk", 0), ("net", 0), ("blk", 20), ("net", 64)]
SETTLE_S = 0.2
V1, V2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"


class Groups:
    """Control groups for the processor, all of the default weight."""

    def __init__(self):
        v2 = os.path.exists(f"{V2}/cgroup.controllers") and "cpu" in open(f"{V2}/cgroup.subtree_control").read().split()
        if not v2 and not os.path.isdir(V1):
            sys.exit("neighbours: no cgroups with a processor controller here, so there are no weights")
        self.root = os.path.join(V2 if v2 else V1, f"avp-neighbours-{os.getpid()}")
        self.paths = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path in self.paths:
            os.rmdir(path)

    def add(self, name):
        path = f"{self.root}-{name}"
        os.mkdir(path)
        self.paths.append(path)
        return path


def window(place, kind, wanted_s):
    """Operations per second of the load beside a guest that does this, and those lost."""
    guest = place.attack(kind)
    try:
        time.sleep(SETTLE_S)
        begin, before = time.monotonic(), place.counted()
        time.sleep(wanted_s)
        after, seconds = place.counted(), time.monotonic() - begin
        if guest.poll() is not None or not place.alive():
            sys.exit(f"neighbours: the attacker '{kind}' or a device has ended")
    finally:
        end(guest)
    if after[1]:
        sys.exit(f"neighbours: {after[1]} operations had wrong data beside '{kind}'")
    return (after[0] - before[0]) / seconds, (after[2] - before[2]) / seconds


def compare(place, load, attack, args):
    """Thousands of operations per second beside an idle neighbour, beside the attack, and lost ones."""
    process = place.load(*load)
    try:
        rows = [(window(place, "idle", args.seconds)[0], *window(place, attack, args.seconds)) for _ in range(args.rounds)]
        if process.poll() is not None:
            sys.exit(f"neighbours: the load has ended beside '{attack}'")
    finally:
        end(process)
    return [statistics.median(row[i] for row in rows) / 1000 for i in range(3)]


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("avp", type=os.path.abspath)
    p.add_argument("guestload", type=os.path.abspath)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=0.5)
    p.add_argument("--place", choices=["same", "apart"], action="append")
    p.add_argument("--attack", choices=ATTACKS, action="append")
    p.add_argument("--rate-in", type=int, default=0)
    return p.parse_args()


def main():
    args = arguments()
    places = [p for p in args.place or ["same", "apart"] if p == "same" or len(CORES) > 1]
    print(f"{'cores':6} {'load':12} {'attack':8} {'idle k/s':>9} {'attacked':>9} {'of it':>6} {'lost k/s':>9}")
    for where in places:
        with tempfile.TemporaryDirectory(prefix="avp-neighbours-", dir="/dev/shm") as folder, Groups() as groups:
            with Place(args.avp, args.guestload, folder, [groups.add(n) for n in ("good", "evil", "switch")],
                       where == "apart", args.rate_in) as place:
                for load in LOADS:
                    for attack in args.attack or ATTACKS:
                        idle, attacked, lost = compare(place, load, attack, args)
                        name = load[0] + (f" {load[1]}/ms" if load[1] else " flat out")
                        print(f"{where:6} {name:12} {attack:8} {idle:9.1f} {attacked:9.1f} {attacked / idle:6.0%} {lost:9.1f}",
                              flush=True)


if __name__ == "__main__":
    main()
