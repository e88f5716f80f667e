#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The monitor against QEMU's microvm: time to the first output of the same bare-metal guest, memory, size.

Runs alternate A B A B; medians. Guest RAM (64 MiB, a memfd in both) is not counted as memory.
usage: run.py AVP PAYLOAD [ROUNDS]
"""
import glob
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure import compare, measure, pss_kib

LIMIT = 30
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def avp_argv(avp, payload, *more):
    return [avp, "monitor", "--memory", "64M", "--kernel", payload, "--cmdline", "spin", "--serial", "-", *more]


def qemu_argv(payload, accel):
    return [QEMU, "-accel", accel, "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
            "-M", "microvm,memory-backend=ram,rtc=off,pic=off,pit=off", "-m", "64M",
            "-object", "memory-backend-memfd,id=ram,size=64M", "-kernel", payload, "-append", "spin"]


def qemu_accel(payload):
    """KVM if QEMU can use the one of this host, else TCG."""
    for accel in ("kvm", "tcg"):
        try:
            measure(qemu_argv(payload, accel))
            return accel
        except RuntimeError:
            continue
    return None


def with_device(avp, payload):
    """Memory of the monitor and of one jailed device process, together."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rng")
        device = subprocess.Popen([avp, "device", "rng", "--socket", path], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + LIMIT
            while not os.path.exists(path) and time.monotonic() < deadline:
                time.sleep(0.01)
            argv = avp_argv(avp, payload, "--device", f"type=rng,socket={path}")
            with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
                try:
                    os.read(p.stdout.fileno(), 1)
                    return pss_kib(p.pid) + pss_kib(device.pid)
                finally:
                    p.kill()
        finally:
            device.kill()
            device.wait()


def stripped_size(avp):
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run(["strip", "-o", f.name, avp], check=True)
        return os.path.getsize(f.name)


def source_lines():
    """Per room, without blank lines and pure comments."""
    rooms = {}
    for room in ("base", "virtio", "transport", "machine", "engine", "host", "devices", "system", "cli", "verify"):
        paths = sorted(glob.glob(os.path.join(ROOT, "src", room, "**", "*.[ch]"), recursive=True))
        text = "".join(open(path).read() for path in paths)
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        rooms[room] = sum(1 for line in text.split("\n") if line.strip())
    return rooms


def main():
    avp, payload = sys.argv[1], sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as e:
        print(f"/dev/kvm cannot be opened ({e.strerror}): start times are not measured")
        return
    accel = qemu_accel(payload) if shutil.which(QEMU) else None
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(measure(avp_argv(avp, payload)))
        if accel:
            theirs.append(measure(qemu_argv(payload, accel)))
    print(f"QEMU with {accel}")
    compare(("avp", "QEMU microvm"), ("start to first output, ms", "processor time until then, ms", "memory (PSS), KiB"),
            ours, theirs)
    both = statistics.median(with_device(avp, payload) for _ in range(3))
    print(f"{'monitor + one device (PSS), KiB':34} {both:9.0f} {'':13} target under 5120")
    print(f"{'stripped binary, KiB':34} {stripped_size(avp) / 1024:9.0f} {'':13} target under 1024")
    rooms = source_lines()
    print("source lines: " + ", ".join(f"{room} {n}" for room, n in rooms.items()))
    trusted = sum(rooms[room] for room in ("base", "virtio", "transport", "machine", "engine"))
    print(f"of the monitor with its transports: {trusted}; all of avp: {sum(rooms.values())}")


if __name__ == "__main__":
    main()
