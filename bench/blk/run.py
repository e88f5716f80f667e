#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The block device against qemu-storage-daemon's vhost-user-blk export, on a file in memory.

Back-end and load generator share one core and wake each other by eventfd, as guest and back-end do without
polling; runs alternate A B A B. The figure that counts is operations per second of CPU time that the back-end's
process used, from its own clock. All data is checked. usage: run.py AVP BLKLOAD [SECONDS [ROUNDS]]
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 256
CORE = max(os.sched_getaffinity(0))
QSD = os.environ.get("QSD", "qemu-storage-daemon")
TARGET = 1.3
LOADS = [  # name, operation, size, depth
    ("4 KiB random read, depth 32", "randread", 4096, 32),
    ("4 KiB random read, depth 1", "randread", 4096, 1),
    ("4 KiB random write, depth 32", "randwrite", 4096, 32),
    ("128 KiB sequential read, depth 8", "read", 131072, 8),
]


def pin():
    os.sched_setaffinity(0, {CORE})


def avp(program, socket, image):
    return [program, "device", "blk", "--socket", socket, "--image", image]


def qsd(_, socket, image):
    return [QSD, "--blockdev", f"driver=file,node-name=disk,filename={image},aio=io_uring",
            "--export", f"type=vhost-user-blk,id=export,node-name=disk,writable=on,addr.type=unix,addr.path={socket}"]


def cpu_seconds(pid):
    """CPU time of all threads of a process, also those that have ended, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)


def sleeps(pid):
    n = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            n += sum(int(l.split()[1]) for l in f if l.startswith("voluntary"))
    return n


def busy_ticks():
    """Clock ticks that all cores together spent working, or stolen from them."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return sum(v) - v[3] - v[4]


def one_run(command, load, blkload, folder, seconds):
    socket = os.path.join(folder, "socket")
    if os.path.exists(socket):
        os.unlink(socket)
    backend = subprocess.Popen(command, preexec_fn=pin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 10
        while not os.path.exists(socket):
            if backend.poll() is not None or time.monotonic() > end:
                backend.kill()
                sys.exit(f"{command[0]} does not start: {backend.stderr.read().decode()}")
            time.sleep(0.01)
        busy, start = busy_ticks(), time.monotonic()
        cpu, slept = cpu_seconds(backend.pid), sleeps(backend.pid)
        with subprocess.Popen([blkload, "run", socket, str(MIB), *map(str, load[1:]), str(seconds)],
                              preexec_fn=pin, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as generator:
            line = generator.stdout.readline().split()
            cpu, slept = cpu_seconds(backend.pid) - cpu, sleeps(backend.pid) - slept
            busy = (busy_ticks() - busy) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start)
            own = cpu_seconds(generator.pid)
            generator.stdin.close()
            if not line:
                sys.exit("the load generator failed")
        ops, wall = int(line[0]), float(line[1])
        return {"per_cpu": ops / cpu / 1e3, "rate": ops / wall / 1e3, "sleeps": slept / ops,
                "others": max(0.0, busy - (cpu + own) / wall) / os.cpu_count()}
    finally:
        backend.terminate()
        backend.wait(10)


def quiet_run(*args):
    """Repeats a run that others disturbed, a few times."""
    for _ in range(3):
        result = one_run(*args)
        if result["others"] < 0.1:
            break
    return result


def median(runs, key):
    return statistics.median(r[key] for r in runs)


def bench(program, blkload, seconds, rounds):
    backends = [("avp", avp), ("qemu-storage-daemon", qsd)]
    with tempfile.TemporaryDirectory(prefix="avp-bench-", dir="/dev/shm") as folder:
        for name, _ in backends:  # one each, since both lock theirs
            subprocess.run([blkload, "fill", os.path.join(folder, name), str(MIB)], check=True)
        print(f"{'':34} {'back-end':20} {'k ops per CPU s':>15} {'k ops/s':>9} {'sleeps/op':>9} {'others':>7}")
        for load in LOADS:
            results = {name: [] for name, _ in backends}
            for _ in range(rounds):
                for name, command in backends:
                    line = command(program, os.path.join(folder, "socket"), os.path.join(folder, name))
                    results[name].append(quiet_run(line, load, blkload, folder, seconds))
            for name, runs in results.items():
                print(f"{load[0]:34} {name:20} {median(runs, 'per_cpu'):15.1f} {median(runs, 'rate'):9.1f} "
                      f"{median(runs, 'sleeps'):9.3f} {median(runs, 'others'):7.0%}")
            ours, theirs = (median(results[n], "per_cpu") for n, _ in backends)
            goal = f" (goal: {TARGET})" if load is LOADS[0] else ""
            print(f"{load[0]:34} ratio per CPU second: {ours / theirs:.2f}{goal}", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if not shutil.which(QSD):
        sys.exit(f"{QSD} is not installed (make deps)")
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 2
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    bench(sys.argv[1], sys.argv[2], seconds, rounds)


main()
