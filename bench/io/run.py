#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long an event takes from one guest's device to another guest's driver, against the least that it could take.

The least is an eventfd to another process and one back: two wake-ups, as the device's and the driver's. Both sides share
one core and wake each other; runs alternate, and each event's figure is compared with the ping-pong of its own round.
usage: run.py AVP LATENCY [EVENTS [ROUNDS]]
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

CORE = max(os.sched_getaffinity(0))
START_LIMIT = 20

# name: what is to be measured, the command that makes both sockets
KINDS = {
    "gpio": ("GPIO edge", lambda s: ["wires", "--nets", "w", "--port", f"name=a,socket={s[0]},lines=out wire:w",
                                     "--port", f"name=b,socket={s[1]},lines=in wire:w"]),
    "scmi": ("SCMI notification", lambda s: ["device", "scmi", "--socket", s[0], "--sensor-socket", s[1],
                                             "--sensors", "s source=socket exponent=0"]),
    "can": ("CAN frame", lambda s: ["can-bus", "--bitrate", "0", "--port", f"name=a,socket={s[0]}",
                                    "--port", f"name=b,socket={s[1]}"]),
}


def pin():
    os.sched_setaffinity(0, {CORE})


def measure(latency, *args):
    """Median, 99th percentile and largest, microseconds."""
    out = subprocess.run([latency, *map(str, args)], preexec_fn=pin, stdout=subprocess.PIPE, check=True).stdout.split()
    return [int(x) / 1000 for x in out]


def wait_for(process, paths):
    end = time.monotonic() + START_LIMIT
    while not all(map(os.path.exists, paths)):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{process.args} did not start")
        time.sleep(0.02)


def measure_kind(avp, latency, kind, events):
    with tempfile.TemporaryDirectory(prefix="avp-bench-") as folder:
        sockets = [os.path.join(folder, n) for n in ("a", "b")]
        process = subprocess.Popen([avp, *KINDS[kind][1](sockets)], preexec_fn=pin, stdin=subprocess.DEVNULL,
                                   env=dict(os.environ, AVP_LOG="error"))
        try:
            wait_for(process, sockets)
            return measure(latency, kind, *sockets, events)
        finally:
            process.kill()
            process.wait()


def compare(avp, latency, kind, events, rounds):
    ours, limit = [], []
    for _ in range(rounds):
        limit.append(measure(latency, "pingpong", events))
        ours.append(measure_kind(avp, latency, kind, events))
    p50, p99, worst = (statistics.median(x) for x in zip(*ours))
    ratio = statistics.median(o[0] / l[0] for o, l in zip(ours, limit))
    ratio99 = statistics.median(o[1] / l[1] for o, l in zip(ours, limit))
    print(f"{KINDS[kind][0]:18} | {p50:6.1f} | {p99:6.1f} | {worst:8.1f} | {statistics.median(l[0] for l in limit):6.1f} |"
          f" {ratio:9.2f} | {ratio99:9.2f}", flush=True)


def main():
    avp, latency = sys.argv[1:3]
    events = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    print("From an event to the driver that waits for it, microseconds, and against the ping-pong of eventfds\n"
          "                   |    p50 |    p99 |      max |  limit | p50/limit | p99/limit")
    for kind in KINDS:
        compare(avp, latency, kind, events, rounds)


if __name__ == "__main__":
    main()
