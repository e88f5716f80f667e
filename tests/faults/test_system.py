#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 in a whole system, `avp run` with a bare-metal guest that writes its disk and checks it: of the monitor, of the
supervisor, and of devices under the real supervisor. The guest says so when a block is not what it must be.

    test_system.py AVP GUEST [KILLS [monitor|supervisor|devices]...]"""
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
PARTS = sys.argv[4:] or ["monitor", "supervisor", "devices"]
LIMIT = 120  # seconds until something has happened: far more than needed
STEADY = 5.5  # seconds after which the supervisor takes a death for a first one
TICK_BLOCKS = 8  # that the guest has written and read back when it says so
UP_BLOCKS = 64   # that it has read when it says that it is up

SYSTEM = """
name: faults
vms:
  one:
    memory: 16M
    boot: {kernel: %s}
    restart: on-failure
    restart-limit: 0
    restart-delay: 1ms
    restart-delay-max: 1ms
    devices:
      - {type: console, host: "%s", log: console.log}
      - {type: blk, image: disk.img}
      - {type: rng}
"""


class Lines:
    """The guest's console, followed through its log."""

    def __init__(self, path):
        open(path, "ab").close()
        self.file = open(path, "rb")
        self.part = b""
        self.checked = 0  # blocks that the guest has read

    def take(self):
        self.part += self.file.read()
        *lines, self.part = self.part.split(b"\n")
        lines = [line.strip().decode("ascii", "replace") for line in lines]
        for line in lines:
            assert "wrong" not in line, f"the guest says: {line}"
            self.checked += {"tick": TICK_BLOCKS, "up": UP_BLOCKS}.get(line.split(" ")[0], 0)
        return lines


class Place:
    def __init__(self, folder, console="null"):
        self.folder, self.process = folder, None
        os.chmod(folder, 0o755)
        self.runtime = os.path.join(folder, "run")
        os.mkdir(self.runtime, 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.runtime)
        with open(os.path.join(folder, "disk.img"), "wb") as f:
            f.truncate(1 << 20)
        with open(os.path.join(folder, "s.yaml"), "w", encoding="utf-8") as f:
            f.write(SYSTEM % (GUEST, console))
        self.lines = Lines(os.path.join(folder, "console.log"))
        self.output = open(os.path.join(folder, "output"), "ab")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def start(self):
        self.process = subprocess.Popen([AVP, "run", "s.yaml", "--board", "none"], env=self.env, cwd=self.folder,
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)

    def until(self, look, what):
        end = time.monotonic() + LIMIT
        while not (value := look()):
            if time.monotonic() > end or self.process.poll() is not None:
                with open(self.output.name, encoding="utf-8") as f:
                    raise AssertionError(f"never happened: {what}\n{f.read()[-2000:]}")
            time.sleep(0.001)
        return value

    def says(self, word):
        """Waits for a line of the guest that begins with a word."""
        self.until(lambda: any(line.startswith(word) for line in self.lines.take()), f"the guest says {word}")

    def pids(self):
        """The processes of the system, by what they are: monitor, console, blk, rng."""
        found = {}
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            children = f.read().split()
        for pid in children:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().decode().split("\0")
            except OSError:
                continue
            if len(words) > 2:
                found["monitor" if words[1] == "monitor" else words[2]] = int(pid)
        return found

    def kill(self, name):
        """At once, wherever it is; returns when that was."""
        pid = self.until(lambda: self.pids().get(name), f"a process {name}")
        self.lines.take()
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.pids().get(name) != pid, f"the end of {name}")
        return begun

    def stop(self):
        done = subprocess.run([AVP, "stop"], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stdout.decode()
        status = self.process.wait(LIMIT)
        assert status == 0, f"avp run ended with {status}"


def lives(pid):
    """False also if it has ended, and whoever has to has not yet asked how."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def told(what, times, lines):
    times = sorted(t * 1000 for t in times)
    print(f"# {what}: {len(times)} kills, {lines.checked} blocks checked; back after p50 {times[len(times) // 2]:.0f} "
          f"p99 {times[len(times) * 99 // 100]:.0f} max {times[-1]:.0f} ms", flush=True)


def test_monitor(folder):
    """The guest begins anew and finds every block that was written."""
    times = []
    with Place(folder) as place:
        place.says("up")
        before = {name: pid for name, pid in place.pids().items() if name != "monitor"}
        for _ in range(KILLS):
            place.says("tick")
            time.sleep(random.random() * 0.03)
            begun = place.kill("monitor")
            place.says("up")
            times.append(time.monotonic() - begun)
        after = {name: pid for name, pid in place.pids().items() if name != "monitor"}
        assert after == before, f"devices were started again: {before} {after}"
        place.says("tick")
        place.stop()
    told("monitor", times, place.lines)


def test_supervisor(folder):
    """All its processes end with it; the next one starts in what it left."""
    times = []
    with Place(folder) as place:
        for _ in range(KILLS):
            place.says("tick")
            time.sleep(random.random() * 0.03)
            pids = place.pids()
            assert len(pids) == 4, pids
            begun = time.monotonic()
            place.process.kill()
            place.process.wait()
            while any(lives(pid) for pid in pids.values()):
                assert time.monotonic() < begun + LIMIT, f"still there: {pids}"
                time.sleep(0.001)
            place.lines.take()  # what the guest said before
            place.start()
            place.says("tick")
            times.append(time.monotonic() - begun)
        place.stop()
    told("supervisor", times, place.lines)


def test_devices(folder):
    """Under the real supervisor and monitor: the guest goes on, and is never started again. The pause between two kills
    of one process is what makes each of them a first death."""
    times, next_time = [], {}
    with Place(folder) as place:
        place.says("up")
        monitor = place.pids()["monitor"]
        for n in range(max(2, KILLS // 25)):
            name = ("blk", "console")[n % 2]
            time.sleep(max(0, next_time.get(name, 0) - time.monotonic()) + random.random() * 0.03)
            begun = place.kill(name)
            place.says("tick")
            place.says("tick")
            times.append(time.monotonic() - begun)
            next_time[name] = time.monotonic() + STEADY
        assert place.pids()["monitor"] == monitor
        place.stop()
    told("devices, until the guest's second tick", times, place.lines)


if __name__ == "__main__":
    if not os.path.exists("/dev/kvm"):
        print("1..0 # SKIP no /dev/kvm")
        sys.exit(0)
    sys.exit(tapmain.main([globals()[f"test_{part}"] for part in PARTS]))
