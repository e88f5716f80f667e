#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of a monitor's start goes: its system calls by perf trace, between marks that every start has.

Tracing makes system calls slower, so look at the shares. Times before the first mark of a phase that another process had
the core are in it. Besides: what the monitor's memory (PSS) consists of, without the guest's RAM.
usage: profile.py AVP PAYLOAD [ROUNDS]
"""
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from run import avp_argv

CORE = max(os.sched_getaffinity(0))
# Phases: what, and the first call after it.
PHASES = [
    ("program and libraries", r"prctl\(option: SET_NAME"),
    ("options, loop, kind of image", r"KVM_GET_API_VERSION"),
    ("virtual machine, interrupt controllers", r"KVM_SET_USER_MEMORY_REGION"),
    ("guest memory", None),
    ("devices, board, image", r"KVM_CREATE_VCPU"),
    ("virtual processor", r"SET_NO_NEW_PRIVS"),
    ("jail: namespaces, empty root, Landlock", r"CAPBSET_DROP"),
    ("jail: limits and capabilities", r"seccomp\("),
    ("jail: seccomp filter", r"clone"),
    ("threads", r"KVM_RUN"),
]
CALL = re.compile(r" *(\d+\.\d+) \( *([\d.]*) ?(?:ms)? *\): (\S+?)/(\d+) +(.*)")


def calls(text):
    """Start, duration in ms and text of the calls of avp's threads."""
    out = [(float(m[1]), float(m[2] or 0), m[5]) for m in map(CALL.match, text.splitlines())
           if m and m[3].startswith(("avp", "vcpu"))]
    if not out:
        raise SystemExit("perf trace shows no system calls: may this user trace?")
    return sorted(out)


def phases(trace):
    """Milliseconds of each phase."""
    at, out, index = trace[0][0], [], 0
    for _, mark in PHASES:
        if mark is None:  # the call that begins it is all of it
            end = trace[index][0] + trace[index][1]
        else:
            index = next(i for i in range(index, len(trace)) if re.search(mark, trace[i][2]))
            end = trace[index][0]
        out.append(end - at)
        at = end
    return out


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def memory(pid):
    """PSS in KiB by what is mapped."""
    out, what = {}, None
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)", line)
            if head:
                name = os.path.basename(head[1])
                what = ("guest" if "memfd:" in head[1] else "libraries" if ".so" in name else
                        "program" if name == "avp" else "heap" if name == "[heap]" else
                        "stacks and other anonymous memory")
            elif line.startswith("Pss:"):
                out[what] = out.get(what, 0) + int(line.split()[1])
    out.pop("guest", None)
    return out


def start(avp, payload):
    """One start: phases and memory when the guest has written its first byte."""
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        perf = subprocess.Popen(["perf", "trace", "-T", "-o", trace, "--", *avp_argv(avp, payload)],
                                preexec_fn=lambda: os.sched_setaffinity(0, {CORE}), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            os.read(perf.stdout.fileno(), 1)
            pids = children(perf.pid)
            kib = memory(pids[0])
        finally:
            for pid in children(perf.pid):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
            perf.send_signal(signal.SIGINT)
            perf.wait()
        with open(trace) as f:
            return phases(calls(f.read())), kib


def main():
    avp, payload = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    if shutil.which("perf") is None:
        print("perf is not installed (package linux-perf): no profile")
        return
    starts = [start(avp, payload) for _ in range(rounds)]
    times = [statistics.median(x) for x in zip(*(s[0] for s in starts))]
    print(f"{'start of the monitor':40} {'ms':>6} {'share':>6}   ({rounds} rounds, traced)")
    for (what, _), ms in zip(PHASES, times):
        print(f"{what:40} {ms:6.2f} {100 * ms / sum(times):5.0f}%")
    print(f"\n{'memory (PSS)':40} {'KiB':>6}")
    for what, kib in starts[-1][1].items():
        print(f"{what:40} {kib:6}")


if __name__ == "__main__":
    main()
