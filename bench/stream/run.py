#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vsock, console and rng against what is beneath them: a unix socket, a PTY, getrandom().

In every case one process plays the guest (or has one end of the unix socket or PTY) and another one is the program of
the host; both, and the device's process, share one core. Runs alternate A B A B; medians. The first ratio is of what gets through on
that core, three processes against two. `CPU` is the ratio of processor time: of the process that has one end of the unix
socket or PTY, against that of the device's process, which makes the same system calls. Counted besides: how often all
processes together went to sleep for each message, which is how often one had to be woken.
usage: run.py AVP STREAMLOAD LATENCY [SCALE [ROUNDS]]
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

CORE = max(os.sched_getaffinity(0))
START_LIMIT = 20
MESSAGE = 65536


def pin():
    os.sched_setaffinity(0, {CORE})


def load(program, *args):
    out = subprocess.run([program, *map(str, args)], preexec_fn=pin, stdout=subprocess.PIPE, check=True).stdout.split()
    return [int(x) for x in out]


def wait_for(process, path):
    end = time.monotonic() + START_LIMIT
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{process.args} did not start")
        time.sleep(0.02)


def cpu_ns(pid):
    """Processor time of all threads of a process."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def sleeps(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    return total


# name: the device's type and keys, and what the load generator is told after the socket of the device
DEVICES = {
    "vsock": (["vsock", "--cid", "3", "--uds", "{}/host"], ["vsock", "{}/device", "{}/host", MESSAGE]),
    "vsock-4k": (["vsock", "--cid", "3", "--uds", "{}/host"], ["vsock", "{}/device", "{}/host", 4096]),
    "console": (["console", "--path", "{}/host", "--scrollback", "256K"], ["console", "{}/device", "{}/host"]),
    "tty": (["console", "--host", "pty", "--path", "{}/host", "--scrollback", "256K"], ["tty", "{}/device", "{}/host"]),
    "rng": (["rng"], ["{}/device"]),
}


class Bench:
    def __init__(self, avp, program, latency, scale, rounds):
        self.avp, self.program, self.latency, self.scale, self.rounds = avp, program, latency, scale, rounds

    def device(self, kind, make):
        """Runs the load on a new device; its last figures are then the device's processor time, and all sleeps."""
        with tempfile.TemporaryDirectory(prefix="avp-bench-") as folder:
            keys, args = ([str(x).format(folder) for x in part] for part in DEVICES[kind])
            process = subprocess.Popen([self.avp, "device", *keys, "--socket", f"{folder}/device"], preexec_fn=pin,
                                       stdin=subprocess.DEVNULL, env=dict(os.environ, AVP_LOG="error"))
            try:
                wait_for(process, f"{folder}/device")
                time.sleep(0.05)
                before, cpu = sleeps(process.pid), cpu_ns(process.pid)
                out = load(self.program, *make(args))
                return out[:-2] + [cpu_ns(process.pid) - cpu, out[-1] + sleeps(process.pid) - before]
            finally:
                process.kill()
                process.wait()

    def both(self, kind, beneath, make):
        """Medians of the device's and of the limit's figures, and of the ratios of the first ones and of CPU time."""
        ours, limit = [], []
        for _ in range(self.rounds):
            limit.append(load(self.program, *make(beneath)))
            ours.append(self.device(kind, make))
        ratios = [statistics.median(l[i] / o[i] for o, l in zip(ours, limit)) for i in (0, -2)]
        return [[statistics.median(x) for x in zip(*r)] for r in (ours, limit)] + [ratios]

    def throughput(self, name, kind, beneath, way, n):
        n = max(int(n * self.scale), 20)
        ours, limit, ratios = self.both(kind, beneath, lambda args: [way, *args, n])
        self.rates(name, *(n * MESSAGE / x[0] * 1000 for x in (ours, limit)), ratios, ours[-1] / n, limit[-1] / n)

    @staticmethod
    def rates(name, ours, limit, ratios, sleeps_ours, sleeps_limit):
        print(f"{name:36} | {ours:7.0f} | {limit:7.0f} | {ratios[0]:5.2f} | {ratios[1]:5.2f} | {sleeps_ours:6.2f} |"
              f" {sleeps_limit:6.2f}", flush=True)

    def entropy(self, size, n):
        """Each request's median, since the generator itself takes more time now and then."""
        n = max(int(n * self.scale), 20)
        return self.both("rng", [], lambda args: ["random", size, n, *args]) + [n]

    def pingpong(self):
        """Microseconds of one wake-up: half of an eventfd to another process and one back."""
        return statistics.median(load(self.latency, "pingpong", 20000)[0] for _ in range(self.rounds)) / 2000

    def answer(self, name, ours, limit, n, wake):
        more = (ours[0] - limit[0]) / 1000
        print(f"{name:36} | {ours[0] / 1000:7.1f} | {limit[0] / 1000:7.1f} | {more:5.1f} | {more / wake:6.2f} |"
              f" {(ours[-1] - limit[-1]) / n:6.2f}", flush=True)

    def run(self):
        print("Messages of 64 KiB, one way, every one checked, MB per second\n"
              f"{'':36} |     avp | beneath | ratio |   CPU | sleeps | beneath")
        for name, kind, beneath, way, n in (
                ("vsock to the host / unix socket", "vsock", ["unix"], "out", 20000),
                ("vsock to the guest / unix socket", "vsock", ["unix"], "in", 20000),
                ("the same, buffers of 4 KiB", "vsock-4k", ["unix"], "in", 20000),
                ("console to a socket / unix socket", "console", ["unix"], "out", 20000),
                ("console from a socket / unix socket", "console", ["unix"], "in", 20000),
                ("console to a PTY / PTY", "tty", ["pty"], "out", 1000),
                ("console from a PTY / PTY", "tty", ["pty"], "in", 1000)):
            self.throughput(name, kind, beneath, way, n)
        ours, limit, ratios, n = self.entropy(MESSAGE, 2000)
        self.rates("rng / getrandom", MESSAGE / ours[0] * 1000, MESSAGE / limit[0] * 1000, ratios, ours[-1] / n,
                   limit[-1] / n)
        wake = self.pingpong()
        print(f"\n64 bytes there and back, microseconds; one wake-up takes {wake:.1f}\n"
              f"{'':36} |     avp | beneath |  more | wake-ups more, by time | by count")
        for name, kind, beneath in (("vsock / unix socket", "vsock", ["unix"]),
                                    ("console on a socket / unix socket", "console", ["unix"]),
                                    ("console on a PTY / PTY", "tty", ["pty"])):
            n = max(int(20000 * self.scale), 20)
            ours, limit, _ = self.both(kind, beneath, lambda args: ["ping", *args, n])
            self.answer(name, ours, limit, n, wake)
        ours, limit, _, n = self.entropy(64, 20000)
        self.answer("rng / getrandom", ours, limit, n, wake)


def main():
    scale = float(sys.argv[4]) if len(sys.argv) > 4 else 1
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    Bench(*sys.argv[1:4], scale, rounds).run()


if __name__ == "__main__":
    main()
