#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our switch against QEMU's hub: frames from one port to another, one way, none lost.

Both connect two ports of the same load generator. Ours has what guests have, two vhost-user network devices, and does
the whole of VIRTIO, learning, VLANs and counters; the hub has QEMU's own stream sockets, the cheapest way into it that
an outside process has, and only repeats frames. Switch and generator share one core and wake each other; runs
alternate A B A B. The figure that counts is frames per second of CPU time that the switch's process used. How often
the switch slept for each batch of frames that the generator handed over is printed, too: once is what it takes.
usage: run.py AVP NETLOAD [SECONDS [ROUNDS]]
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CORE = max(os.sched_getaffinity(0))
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
SIZES = [64, 1500]


def pin():
    os.sched_setaffinity(0, {CORE})


def avp(program, sockets):
    command = [program, "switch"]
    for i, socket in enumerate(sockets):
        command += ["--port", f"name=p{i},socket={socket}"]
    return command


def qemu(_, sockets):
    command = [QEMU, "-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"]
    for i, socket in enumerate(sockets):
        command += ["-netdev", f"stream,id=s{i},server=on,addr.type=unix,addr.path={socket}",
                    "-netdev", f"hubport,id=h{i},hubid=0,netdev=s{i}"]
    return command


def cpu_seconds(pid):
    """CPU time of all threads of a process, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)


def sleeps(pid):
    """How often a process with one thread gave up its processor to wait."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)[1])


def run_once(make, kind, program, netload, size, seconds):
    """Frames per CPU second of the switch, and per second; sleeps of the switch per batch."""
    with tempfile.TemporaryDirectory(prefix="avp-bench-") as folder:
        sockets = [os.path.join(folder, n) for n in ("a", "b")]
        env = dict(os.environ, AVP_LOG="error")
        switch = subprocess.Popen(make(program, sockets), preexec_fn=pin, env=env, stdin=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL if make is qemu else None)
        try:
            end = time.monotonic() + 20
            while not all(map(os.path.exists, sockets)):
                if switch.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{make.__name__} did not start")
                time.sleep(0.05)
            time.sleep(0.2)
            before, slept = cpu_seconds(switch.pid), sleeps(switch.pid)
            out = subprocess.run([netload, kind] + sockets + [str(size), str(seconds)], preexec_fn=pin,
                                 stdout=subprocess.PIPE, check=True).stdout.split()
            cpu = cpu_seconds(switch.pid) - before
            slept = sleeps(switch.pid) - slept
        finally:
            switch.kill()
            switch.wait()
    return int(out[0]) / cpu, int(out[0]) / float(out[1]), slept / max(int(out[2]), 1)


def compare(program, netload, size, seconds, rounds):
    kinds = [(avp, "vhost"), (qemu, "stream")]
    results = {make: [] for make, _ in kinds}
    for _ in range(rounds):
        for make, kind in kinds:
            results[make].append(run_once(make, kind, program, netload, size, seconds))
    figures = {make: [statistics.median(x) for x in zip(*r)] for make, r in results.items()}
    ours, theirs = figures[avp], figures[qemu]
    print(f"{size:5} B | {ours[0] / 1e3:8.0f} | {theirs[0] / 1e3:8.0f} | {ours[0] / theirs[0]:6.2f} |"
          f" {ours[1] / 1e3:8.0f} | {theirs[1] / 1e3:8.0f} | {ours[1] / theirs[1]:6.2f} | {ours[2]:6.2f}", flush=True)


def main():
    program, netload = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 2
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    if not shutil.which(QEMU):
        raise SystemExit(f"{QEMU} is not installed (make deps)")
    print("Frames through a switch, thousands: per CPU second of the switch, and per second\n"
          "        | avp/CPU  | QEMU/CPU |  ratio | avp/s    | QEMU/s   |  ratio | sleeps per batch")
    for size in SIZES:
        compare(program, netload, size, seconds, rounds)


if __name__ == "__main__":
    main()
