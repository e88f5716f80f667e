#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our switch, polled, against DPDK's testpmd and Open vSwitch with DPDK: one core each, the load generator on another.

testpmd only carries frames from one port to the next: it knows neither tags nor rates. Open vSwitch has one
bridge that learns addresses, as ours. The generator checks every frame. DPDK's own driver, virtio-user, cannot be it:
a switch of ours serves several guests and takes only memory that its owner has sealed against shrinking, which DPDK's
is not. Runs alternate A B C A B C; a run in which one side had less than nine tenths of its core is thrown away. The
figures are those of each one's best run: the distance of a virtual machine's processors changes within seconds and halves
a rate, and nothing raises it.
usage: polled.py AVP NETPOLL [SECONDS [ROUNDS [ROW...]]]
"""
import os
import shutil
import subprocess
import sys
import time

from peers import GENERATOR, OVS, Avp, HugePages, OpenVswitch, Testpmd, cpu_seconds, pinned

TRIES = 4
SHARE = 0.9
TAGGED = 10

# Name, netpoll's arguments, ports, keys of our ports and columns of Open vSwitch's, in turn.
VLAN = ["vlan=10", "trunk=10"], [("tag=10",), ("trunks=10", "vlan_mode=trunk")]
RATE = ["rate-in=1000000000,rate-out=1000000000"], [()]
PLAIN = [""], [()]
ROWS = [
    ("64 B", ["-s", "64"], 2, PLAIN),
    ("64 B, packed", ["-s", "64", "-p"], 2, PLAIN),
    ("64 B, one way", ["-s", "64", "-o"], 2, PLAIN),
    ("64 B, 4 ports", ["-s", "64"], 4, PLAIN),
    ("64 B, a tag added or removed", ["-s", "64", "-v", str(TAGGED)], 2, VLAN),
    ("64 B, rates", ["-s", "64"], 2, RATE),
    ("1500 B", ["-s", "1500"], 2, PLAIN),
    ("1500 B, packed", ["-s", "1500", "-p"], 2, PLAIN),
    ("1500 B, 4 ports", ["-s", "1500"], 4, PLAIN),
    ("1500 B, a tag added or removed", ["-s", "1500", "-v", str(TAGGED)], 2, VLAN),
    ("1500 B, rates", ["-s", "1500"], 2, RATE),
]


class Busy(Exception):
    pass


def run_netpoll(netpoll, arguments, seconds, backend):
    """Frames per second, and the share of its core that the generator had."""
    out = subprocess.run([netpoll, "-t", str(seconds)] + arguments + backend.sockets, preexec_fn=pinned(GENERATOR),
                         stdout=subprocess.PIPE, check=False).stdout.split()
    if len(out) != 5:
        raise SystemExit(f"netpoll failed at {type(backend).__name__}")
    frames, wall, share = int(out[0]), float(out[1]), float(out[4])
    return frames / wall, share


def measure(backend, netpoll, arguments, seconds):
    """Million frames per second, of a run in which both sides had their cores."""
    for _ in range(TRIES):
        with backend() as b:
            before, start = cpu_seconds(b.main.pid), time.monotonic()
            rate, share = run_netpoll(netpoll, arguments, seconds, b)
            theirs = (cpu_seconds(b.main.pid) - before) / (time.monotonic() - start)
        if min(share, theirs) >= SHARE:
            return rate / 1e6
    raise Busy(f"the machine is too busy: the two sides had {share:.2f} and {theirs:.2f} of their cores")


def compare(program, netpoll, pages, row, seconds, rounds):
    name, arguments, ports, (ours, theirs) = row
    backends = [lambda: Avp(program, ports, ours), lambda: Testpmd(pages, ports),
                lambda: OpenVswitch(pages, ports, theirs)]
    untagged = arguments[:arguments.index("-v")] if "-v" in arguments else arguments
    results = [[] for _ in backends]
    for _ in range(rounds):
        for i, backend in enumerate(backends):
            frames = untagged if backend is backends[1] else arguments
            results[i].append(measure(backend, netpoll, frames, seconds))
    avp, testpmd, ovs = map(max, results)
    print(f"{name:31} | {avp:6.2f} | {testpmd:7.2f} | {avp / testpmd:5.2f} | {ovs:6.2f} | {avp / ovs:5.2f}", flush=True)


def main():
    program, netpoll = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.4
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 6
    wanted = sys.argv[5:]
    if not shutil.which("dpdk-testpmd") or not os.path.exists(OVS):
        raise SystemExit("dpdk and openvswitch-switch-dpdk are not installed (make deps)")
    pages = HugePages(1024)
    print(f"{'Million frames per second':31} |    avp | testpmd | ratio |    OVS | ratio")
    try:
        for row in ROWS:
            if not wanted or row[0] in wanted:
                try:
                    compare(program, netpoll, pages, row, seconds, rounds)
                except Busy as e:
                    print(f"{row[0]:31} | {e}", flush=True)
    finally:
        pages.release()


if __name__ == "__main__":
    main()
