#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The block device against qemu-storage-daemon's vhost-user-blk export and the limits beneath both.

Interrupt-driven runs: back-end and load generator share one core and wake each other by eventfd; what counts is
operations per second of CPU time that the back-end used. Polled runs: one core each, nobody sleeps; what counts is
operations per second. Runs alternate A B A B, medians count, all data is checked. A run during which other processes
used more than a tenth of the machine is repeated, up to --tries times.

usage: run.py AVP BLKLOAD BLKIOLOAD LIMITS [--seconds S] [--rounds N] [WORD...]
Words choose rows: null, cached, direct, polled, interrupts, randread, read, 1, 32, ...; all that are given must fit.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 256
CORES = sorted(os.sched_getaffinity(0))
GENERATOR, BACKEND = CORES[0], CORES[-1]
QSD = os.environ.get("QSD", "qemu-storage-daemon")
OTHERS_MAX = 0.1
SPDK = {  # thousand operations per second and core, measured once on such a machine; SPDK is not in Debian
    ("null", "randread", 1): 988, ("null", "randread", 32): 3877, ("null", "randwrite", 32): 3926,
    ("cached", "randread", 1): 361, ("cached", "randread", 32): 502, ("cached", "randwrite", 32): 450,
    ("cached", "read", 8): 52}
LOADS = [("randread", 4096, 1), ("randread", 4096, 32), ("randwrite", 4096, 1), ("randwrite", 4096, 32),
         ("read", 131072, 8)]


def pin(core):
    return lambda: os.sched_setaffinity(0, {core})


def avp(args, socket, image, storage, polled):
    return [args.avp, "device", "blk", "--socket", socket, "--image", "null" if storage == "null" else image,
            "--cache", "none" if storage == "direct" else "writeback", "--poll", "always" if polled else "0"]


def qsd(_, socket, image, storage, __):
    disk = "driver=null-co,size=68719476736,read-zeroes=off" if storage == "null" else f"driver=file,filename={image},aio=io_uring"
    cache = ",cache.direct=on" if storage == "direct" else ""
    return [QSD, "--blockdev", f"{disk}{cache},node-name=disk", "--export",
            f"type=vhost-user-blk,id=export,node-name=disk,writable=on,addr.type=unix,addr.path={socket}"]


def cpu_seconds(pid):
    """CPU time of all threads of a process, also those that have ended, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)


def sleeps(pid):
    n = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            n += sum(int(l.split()[1]) for l in f if l.startswith("voluntary"))
    return n


def busy_seconds():
    """What all cores together spent working, or had stolen from them."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def start_backend(command, socket):
    if os.path.exists(socket):
        os.unlink(socket)
    backend = subprocess.Popen(command, preexec_fn=pin(BACKEND), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = time.monotonic() + 10
    while not os.path.exists(socket):
        if backend.poll() is not None or time.monotonic() > end:
            backend.kill()
            sys.exit(f"{command[0]} does not start: {backend.stderr.read().decode()}")
        time.sleep(0.01)
    return backend


def libblkio():
    """A driver that is not ours, of Debian 13; None if it cannot be had."""
    tree = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "guests", "tree")
    done = subprocess.run([tree, "--suites", "trixie", "amd64", "libblkio1"], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.DEVNULL, encoding="utf-8")
    path = os.path.join(done.stdout.strip(), "usr/lib/x86_64-linux-gnu/libblkio.so.1")
    return path if not done.returncode and os.path.exists(path) else None


def generate(args, backend, command, core):
    """One load on a running back-end."""
    busy, start = busy_seconds(), time.monotonic()
    cpu, slept = cpu_seconds(backend.pid), sleeps(backend.pid)
    with subprocess.Popen(command, preexec_fn=pin(core), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as generator:
        line = generator.stdout.readline().split()
        cpu, slept = cpu_seconds(backend.pid) - cpu, sleeps(backend.pid) - slept
        elapsed = time.monotonic() - start
        busy = busy_seconds() - busy - cpu_seconds(generator.pid) - cpu
        generator.stdin.close()
    if not line:
        sys.exit("the load generator failed")
    ops, wall = int(line[0]), float(line[1])
    return {"rate": ops / wall / 1e3, "cpu": ops / cpu / 1e3, "sleeps": slept / ops,
            **{k: int(v) / ops for k, v in zip(("kicks", "interrupts"), line[2:])},
            "others": max(0.0, busy / elapsed / os.cpu_count())}


def one_run(args, program, folder, storage, load, polled, driver):
    socket, image = os.path.join(folder, "socket"), os.path.join(folder, "image")
    mib, facts = "0" if storage == "null" else str(MIB), [*map(str, load), str(args.seconds)]
    if driver == "libblkio":
        command = [args.blkioload, args.libblkio, socket, mib, *facts[1:]] + ["poll"] * polled
    else:
        command = [args.blkload, "run", socket, mib, *facts] + ["poll"] * polled + ["packed"] * (driver == "packed")
    backend = start_backend(program(args, socket, image, storage, polled), socket)
    try:
        return generate(args, backend, command, GENERATOR if polled else BACKEND)
    finally:
        backend.terminate()
        backend.wait(10)


def quiet(run, args, *arguments):
    """Repeats a run that others disturbed; of all, the least disturbed one."""
    results = []
    while len(results) < args.tries and (not results or results[-1]["others"] > OTHERS_MAX):
        results.append(run(args, *arguments))
    return min(results, key=lambda r: r["others"])


def limit(args, *words):
    busy, start = busy_seconds(), time.monotonic()
    out = subprocess.run([args.limits, *map(str, words), str(args.seconds)], preexec_fn=pin(BACKEND), check=True,
                         stdout=subprocess.PIPE).stdout.split()
    elapsed = time.monotonic() - start
    return {"rate": int(out[0]) / float(out[1]) / 1e3, "cpu": int(out[0]) / float(out[2]) / 1e3,
            "others": max(0.0, (busy_seconds() - busy - elapsed) / elapsed / os.cpu_count())}


def median(runs, key):
    return statistics.median(r[key] for r in runs)


class Table:
    def __init__(self):
        print("| storage | load | mode | back-end | k ops/s | k ops per CPU s | us | kicks | interrupts | sleeps | others | ratio |")
        print("|---|---|---|---|---|---|---|---|---|---|---|---|")

    def row(self, storage, load, mode, name, runs, ratio=""):
        cells = [f"{median(runs, 'rate'):.0f}"]
        cells += [f"{median(runs, 'cpu'):.0f}", f"{1e3 / median(runs, 'rate'):.2f}"]
        cells += [f"{median(runs, k):.3f}" if k in runs[0] else "" for k in ("kicks", "interrupts", "sleeps")]
        print(f"| {storage} | {load} | {mode} | {name} | " + " | ".join(cells) +
              f" | {median(runs, 'others'):.0%} | {ratio} |", flush=True)


def load_name(load):
    return f"{load[1] // 1024}k {load[0]}, {load[2]}"


def file_limit(args, folder, load):
    call, name = ("pwrite", "limit") if "write" in load[0] else ("pread", "image")
    return quiet(limit, args, call, os.path.join(folder, name), load[1], "rand" if load[0].startswith("rand") else "seq", load[2])


def bench(args, table, folder, storage, load, polled):
    """One line of the matrix: each back-end, and what limits both."""
    programs = {"avp": (avp, ""), "qemu-storage-daemon": (qsd, "")}
    if polled and storage == "null":
        programs["avp, packed ring"] = (avp, "packed")
    if args.libblkio and load[0] == "randread" and storage != "direct":
        programs |= {"avp, libblkio": (avp, "libblkio"), "qemu-storage-daemon, libblkio": (qsd, "libblkio")}
    runs, limits = {name: [] for name in programs}, []
    for _ in range(args.rounds):
        for name, (program, driver) in programs.items():
            runs[name].append(quiet(one_run, args, program, folder, storage, load, polled, driver))
        if storage == "cached":
            limits.append(file_limit(args, folder, load))
        elif storage == "null" and not polled and load[2] == 1:
            limits.append(quiet(limit, args, "eventfd"))
    report(table, storage, load, polled, runs, limits)


def report(table, storage, load, polled, runs, limits):
    key, mode = ("rate", "polled") if polled else ("cpu", "interrupts")
    ours = median(runs["avp"], key)
    for name, results in runs.items():
        ratio = "" if name == "avp" else f"{ours / median(results, key):.2f}"
        if name == "avp, packed ring":
            ratio = f"{median(results, key) / median(runs['qemu-storage-daemon'], key):.2f} of the daemon"
        elif name == "avp, libblkio":
            ratio = ""
        elif "libblkio" in name:
            ratio = f"{median(runs['avp, libblkio'], key) / median(results, key):.2f}"
        table.row(storage, load_name(load), mode, name, results, ratio)
    if limits and storage == "cached":
        table.row(storage, load_name(load), mode, "limit: pwrite" if "write" in load[0] else "limit: pread", limits,
                  f"{ours / median(limits, key):.2f}")
    elif limits:
        wakeup = 1e3 / median(limits, "rate") / 2
        table.row(storage, load_name(load), mode, "limit: eventfd round trip", limits,
                  f"{1e3 / median(runs['avp'], 'rate') / wakeup - 2:.2f} wake-ups more")
    spdk = SPDK.get((storage, load[0], load[2]))
    if polled and spdk:
        print(f"| {storage} | {load_name(load)} | {mode} | SPDK, a constant | {spdk} | | | | | | | {ours / spdk:.2f} |", flush=True)


def fits(args, *facts):
    return all(word in map(str, facts) for word in args.words)


def fill(args, folder):
    """One file for all, since how fast one is depends on where its pages lie, by up to two thirds. The limit of writes has
    another one: it leaves no data that could be checked."""
    for name in ("image", "limit"):
        subprocess.run([args.blkload, "fill", os.path.join(folder, name), str(MIB)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("avp", "blkload", "blkioload", "limits"):
        parser.add_argument(name)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tries", type=int, default=2)
    parser.add_argument("words", nargs="*")
    args = parser.parse_intermixed_args()
    if not shutil.which(QSD):
        sys.exit(f"{QSD} is not installed (make deps)")
    args.libblkio = libblkio()
    if len(CORES) < 2:
        sys.exit("two cores are needed")
    table = Table()
    for storage in ("null", "cached", "direct"):
        rows = [(load, polled) for polled in (False, True) for load in LOADS
                if fits(args, storage, *load, "polled" if polled else "interrupts")
                and not (storage == "null" and load[0] == "read")]
        if not rows:
            continue
        where = "/var/tmp" if storage == "direct" else "/dev/shm"
        with tempfile.TemporaryDirectory(prefix="avp-bench-", dir=where) as folder:
            if storage != "null":
                fill(args, folder)
            for load, polled in rows:
                bench(args, table, folder, storage, load, polled)


main()
