# SPDX-License-Identifier: BSD-3-Clause
"""A good guest and a hostile one (guestload.c), each with a disk, on one switch: device processes that stay, load generators
that come and go."""
import os
import struct
import subprocess
import time

ATTACKS = ["spin", "kicks", "abuse", "full", "storm", "thrash"]
LIMIT_S = 60  # for anything to happen, on a machine that is busy with other things
CORES = sorted(os.sched_getaffinity(0))


def start(argv, group, core):
    """A process in a control group, if there is one, on one core."""
    def enter():
        if group:
            with open(f"{group}/cgroup.procs", "w", encoding="ascii") as f:
                f.write("0")
        os.sched_setaffinity(0, {core})
    return subprocess.Popen(argv, preexec_fn=enter, stdin=subprocess.DEVNULL, env=dict(os.environ, AVP_LOG="error"))


def end(process):
    process.kill()
    process.wait()


def wait_for(path):
    deadline = time.monotonic() + LIMIT_S
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} did not appear")
        time.sleep(0.01)


class Place:
    """The processes that stay."""

    def __init__(self, avp, guestload, folder, groups=("", "", ""), apart=False, rate_in=0):
        """`groups` are control groups of the good guest, the hostile one, and the switch. `apart`: the hostile one has a core
        of its own. `rate_in`: of its port, kbit/s."""
        self.guestload, self.folder = guestload, folder
        self.good_core, self.evil_core = CORES[-1], CORES[0] if apart else CORES[-1]
        self.good, self.evil, switch = groups
        self.tally = os.path.join(folder, "tally")
        for name in ("good", "evil"):
            subprocess.run([guestload, "fill", f"{folder}/{name}.img"], check=True)
        rate = f",rate-in={rate_in}" if rate_in else ""
        ports = [word for n, more in (("a", ""), ("b", ""), ("evil", rate))
                 for word in ("--port", f"name={n},socket={folder}/{n}{more}")]
        self.processes = [start([avp, "switch", *ports], switch, self.good_core)]
        for name, group, core in (("good", self.good, self.good_core), ("evil", self.evil, self.evil_core)):
            self.processes.append(start([avp, "device", "blk", "--socket", f"{folder}/{name}-disk",
                                         "--image", f"{folder}/{name}.img"], group, core))
        for name in ("a", "b", "evil", "good-disk", "evil-disk"):
            wait_for(os.path.join(folder, name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            end(process)

    def alive(self):
        return all(process.poll() is None for process in self.processes)

    def load(self, kind, per_ms):
        """Starts a load of the good guest: "blk" or "net", operations per millisecond, 0 for as many as possible."""
        sockets = [f"{self.folder}/good-disk"] if kind == "blk" else [f"{self.folder}/a", f"{self.folder}/b"]
        if os.path.exists(self.tally):
            os.unlink(self.tally)
        process = start([self.guestload, kind, self.tally, str(per_ms), *sockets], self.good, self.good_core)
        wait_for(self.tally)
        return process

    def attack(self, kind):
        """Starts what the hostile guest does: "idle" or one of ATTACKS."""
        return start([self.guestload, "attack", kind, f"{self.folder}/evil-disk", f"{self.folder}/evil"], self.evil,
                     self.evil_core)

    def counted(self):
        """Operations of the load so far: done, with wrong data, lost."""
        with open(self.tally, "rb") as f:
            return struct.unpack("QQQ", f.read(24))
