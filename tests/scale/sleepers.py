# SPDX-License-Identifier: BSD-3-Clause
"""A system of many VMs whose guests (guest.c) sleep, and what its processes use meanwhile."""
import collections
import json
import os
import re
import socket
import subprocess
import time

LIMIT_S = 120  # for a VM to start, or the system to end, on a machine that is busy with other things
DEVICES = ["blk", "net", "console", "rng", "vsock", "can", "gpio"]


def system_file(folder, guest, vms):
    """The first VM starts with the system, the others when they are told to."""
    text = "name: scale\nswitches: {car: {uplink: none}}\ncan-buses: {body: {bitrate: 500000}}\nvms:\n"
    for n in range(vms):
        start = "manual" if n else "auto"
        text += (f"  vm{n}:\n    memory: 16M\n    boot: {{kernel: {guest}}}\n    serial: vm{n}.log\n    start: {start}\n    devices:\n"
                 f"      - {{type: blk, image: vm{n}.img}}\n      - {{type: net, switch: car}}\n      - {{type: console}}\n"
                 f"      - {{type: rng}}\n      - {{type: vsock, cid: {n + 3}}}\n      - {{type: can, bus: body}}\n"
                 "      - {type: gpio, lines: [\"key sim in\"]}\n")
        with open(os.path.join(folder, f"vm{n}.img"), "wb") as f:
            f.truncate(1 << 20)
    path = os.path.join(folder, "scale.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class System:
    """A running system of so many VMs."""

    def __init__(self, avp, guest, folder, vms):
        self.folder, self.vms = folder, vms
        runtime = os.path.join(folder, "run")
        os.mkdir(runtime, 0o700)
        self.control = os.path.join(runtime, "avp/scale/control.sock")
        self.log = open(os.path.join(folder, "output"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([avp, "run", system_file(folder, guest, vms), "--board", "none"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=dict(os.environ, XDG_RUNTIME_DIR=runtime))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.ask(cmd="stop", force=True)
        self.process.wait(LIMIT_S)
        self.log.close()

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.control)
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(s.makefile("rb").readline())

    def fail(self, why):
        self.log.seek(0)
        raise RuntimeError(f"{why}; output:\n{self.log.read()[-3000:]}")

    def wait_until_used(self, n):
        """The guest of a VM has used all its devices, and sleeps from then on."""
        deadline = time.monotonic() + LIMIT_S
        path = os.path.join(self.folder, f"vm{n}.log")
        while not os.path.exists(path) or f"used {len(DEVICES)}\n" not in open(path, encoding="ascii").read():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.fail(f"vm{n} never said that it has used its devices")
            time.sleep(0.01)

    def start_all(self):
        """Milliseconds that each VM but the first took, with its device processes, until its first instruction had run."""
        took = []
        self.wait_until_used(0)
        for n in range(1, self.vms):
            begin = time.monotonic()
            answer = self.ask(cmd="start", vm=f"vm{n}")
            took.append((time.monotonic() - begin) * 1000)
            if not answer["ok"]:
                self.fail(f"vm{n} does not start: {answer}")
            self.wait_until_used(n)
        return took

    def processes(self):
        """Kind and number of each process."""
        result = self.ask(cmd="ps")["result"]
        found = [("supervisor", self.process.pid)]
        found += [("monitor", vm["pid"]) for vm in result["vms"]]
        found += [(d["type"], d["pid"]) for d in result["devices"] if d.get("pid")]
        return found + [(m["type"], m["pid"]) for m in result["media"] if m.get("pid")]


def pss_kib(pid):
    """Memory of a process without the guest's RAM, which is a memfd."""
    total, counted = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                counted = "/memfd:" not in line
            elif line.startswith("Pss:") and counted:
                total += int(line.split()[1])
    return total


def scheduled(pid):
    """Nanoseconds on a processor, and how often the threads of a process were put on one."""
    ns = times = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            used, _, count = map(int, f.read().split())
        ns, times = ns + used, times + count
    return ns, times


def measure(system, idle_s):
    """Per kind of process, lists of: KiB, wake-ups per second, milliseconds of processor time per second."""
    processes = system.processes()
    before = {pid: scheduled(pid) for _, pid in processes}
    start = time.monotonic()
    time.sleep(idle_s)
    seconds = time.monotonic() - start
    table = collections.defaultdict(list)
    for kind, pid in processes:
        ns, times = (now - then for now, then in zip(scheduled(pid), before[pid]))
        table[kind].append((times / seconds, ns / 1e6 / seconds))
    # Reading the tables of a process makes its threads run, so this comes last.
    memory = collections.defaultdict(list)
    for kind, pid in processes:
        memory[kind].append(pss_kib(pid))
    return {kind: (memory[kind], *zip(*rows)) for kind, rows in table.items()}
