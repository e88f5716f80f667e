#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our switch, polled, against DPDK's testpmd and Open vSwitch with DPDK: one core each, the load generator on another.

testpmd only carries frames from one port to the next; it is the same in all rows, with or without tags and rates. Open
vSwitch has one bridge that learns addresses, as ours. The generator is our own and checks every frame, or DPDK's
virtio-user driver (testpmd again, which sends on what it receives, 256 frames in each direction). Runs alternate
A B C A B C; a run in which one side had less than nine tenths of its core is thrown away.
usage: polled.py AVP NETPOLL [SECONDS [ROUNDS [ROW...]]]
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from peers import GENERATOR, OVS, Avp, HugePages, OpenVswitch, Testpmd, cpu_seconds, pinned

TRIES = 4
SHARE = 0.9
TAGGED = 10

# Name, netpoll's arguments (None: virtio-user, packed or not), ports, keys of our ports, columns of Open vSwitch's.
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
    ("virtio-user, 64 B", 64, 2, PLAIN),
    ("virtio-user, 64 B, packed", -64, 2, PLAIN),
    ("virtio-user, 1500 B", 1500, 2, PLAIN),
    ("virtio-user, 1500 B, packed", -1500, 2, PLAIN),
]


def run_netpoll(netpoll, arguments, seconds, sockets):
    """Frames per second, and the share of its core that the generator had."""
    out = subprocess.run([netpoll, "-t", str(seconds)] + arguments + sockets, preexec_fn=pinned(GENERATOR),
                         stdout=subprocess.PIPE, check=False).stdout.split()
    if len(out) != 5:
        raise SystemExit("netpoll failed")
    frames, wall, share = int(out[0]), float(out[1]), float(out[4])
    return frames / wall, share


def run_virtio_user(pages, size, seconds, sockets):
    """The same with DPDK's driver: size < 0 means packed rings."""
    with tempfile.NamedTemporaryFile(prefix="avp-bench-", mode="r", encoding="utf-8") as log:
        command = ["dpdk-testpmd", "--lcores", f"0@{GENERATOR},1@{GENERATOR}", "--no-pci", "--file-prefix",
                   os.path.basename(log.name)] + pages.dpdk(512)
        for i, socket in enumerate(sockets):
            command += ["--vdev", f"net_virtio_user{i},path={socket},mac=02:00:00:00:00:0{i},queue_size=256,"
                        f"packed_vq={int(size < 0)},in_order=0"]
        command += ["--", "-i", "--forward-mode=io", "--nb-cores=1", "--total-num-mbufs=16384", "--no-flush-rx",
                    "--eth-peer=0,02:00:00:00:00:01", "--eth-peer=1,02:00:00:00:00:00", f"--txpkts={abs(size)}"]
        child = subprocess.Popen(command, preexec_fn=pinned(GENERATOR), stdin=subprocess.PIPE, stdout=log.fileno(),
                                 stderr=subprocess.STDOUT, text=True)
        try:
            def say(line, wait):
                child.stdin.write(line + "\n")
                child.stdin.flush()
                time.sleep(wait)
            time.sleep(1.5)
            say("start tx_first 8", 0.5)
            say("show port stats all", 0.05)
            before = cpu_seconds(child.pid)
            start = time.monotonic()
            time.sleep(seconds)
            share = (cpu_seconds(child.pid) - before) / (time.monotonic() - start)
            say("show port stats all", 0.2)
        finally:
            child.kill()
            child.wait()
        rates = re.findall(r"Rx-pps: +(\d+)", log.read())
    if len(rates) != 4:
        raise SystemExit("virtio-user did not report")
    return sum(map(int, rates[2:])), share


def measure(backend, tools, load, seconds):
    """Million frames per second, of a run in which both sides had their cores."""
    netpoll, pages = tools
    for _ in range(TRIES):
        with backend() as b:
            before, start = cpu_seconds(b.main.pid), time.monotonic()
            if isinstance(load, list):
                rate, share = run_netpoll(netpoll, load, seconds, b.sockets)
            else:
                rate, share = run_virtio_user(pages, load, seconds, b.sockets)
            theirs = (cpu_seconds(b.main.pid) - before) / (time.monotonic() - start)
        if min(share, theirs) >= SHARE:
            return rate / 1e6
    raise SystemExit(f"the machine is too busy: the two sides had {share:.2f} and {theirs:.2f} of their cores")


def compare(program, tools, row, seconds, rounds):
    name, load, ports, (ours, theirs) = row
    pages = tools[1]
    backends = [lambda: Avp(program, ports, ours), lambda: Testpmd(pages, ports),
                lambda: OpenVswitch(pages, ports, theirs)]
    results = [[] for _ in backends]
    for _ in range(rounds):
        for i, backend in enumerate(backends):
            results[i].append(measure(backend, tools, load, seconds))
    avp, testpmd, ovs = map(statistics.median, results)
    print(f"{name:31} | {avp:6.2f} | {testpmd:7.2f} | {avp / testpmd:5.2f} | {ovs:6.2f} | {avp / ovs:5.2f}", flush=True)


def main():
    program, netpoll = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 1
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    wanted = sys.argv[5:]
    if not shutil.which("dpdk-testpmd") or not os.path.exists(OVS):
        raise SystemExit("dpdk and openvswitch-switch-dpdk are not installed (make deps)")
    pages = HugePages(1024)
    print(f"{'Million frames per second':31} |    avp | testpmd | ratio |    OVS | ratio")
    try:
        for row in ROWS:
            if not wanted or row[0] in wanted:
                compare(program, (netpoll, pages), row, seconds, rounds)
    finally:
        pages.release()


if __name__ == "__main__":
    main()
