# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks of the monitor share: one start of a monitor measured, medians in a table."""
import os
import re
import statistics
import subprocess
import time


def pss_kib(pid):
    """Proportional set size without memfds, which are the guest's RAM."""
    total, counted = 0, False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                counted = "/memfd:" not in line
            elif line.startswith("Pss:") and counted:
                total += int(line.split()[1])
    return total


def cpu_ms(pid):
    """Of the whole process, to the nanosecond where the kernel says so."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e6


def measure(argv, until=b""):
    """One start: milliseconds to the first byte of the serial port, or to some text, processor time until then, memory."""
    start = time.monotonic()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        try:
            seen = b""
            while not seen or until not in seen:
                more = os.read(p.stdout.fileno(), 4096)
                if not more:
                    raise RuntimeError(f"{argv[0]}: {(seen + p.stderr.read()).decode(errors='replace')[-300:]}")
                seen += more
            wall = (time.monotonic() - start) * 1000
            return wall, cpu_ms(p.pid), pss_kib(p.pid)
        finally:
            p.kill()


def compare(names, rows, ours, theirs):
    """Prints medians of what measure() returned, and their ratios."""
    print(f"{'':34} {names[0]:>9} {names[1]:>13} {'ratio':>6}   ({len(ours)} rounds)")
    for i, what in enumerate(rows):
        a = statistics.median(x[i] for x in ours)
        b = statistics.median(x[i] for x in theirs) if theirs else float("nan")
        print(f"{what:34} {a:9.1f} {b:13.1f} {b / a:6.1f}", flush=True)
