#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A hundred virtio devices in one arm64 guest, on PCI and on virtio-mmio, all in use at the same time; tests/monitor does it for
x86-64. usage: test_many.py AVP FOLDER-OF-IMAGES"""
import os
import subprocess
import sys
import tempfile

import arm64
import guests

LIMIT = 500  # seconds, on a machine that is busy with other things
AVP, IMAGES = (os.path.abspath(path) for path in sys.argv[1:3])
N = 100


def system(folder):
    """Each device on PCI is a process of its own, those on virtio-mmio are threads."""
    text = "vms:\n"
    for transport, isolate in (("pci", "true"), ("mmio", "false")):
        text += (f"  {transport}:\n    memory: 64M\n    transport: {transport}\n    serial: {transport}.log\n"
                 f"    boot: {{kernel: {IMAGES}/many.img}}\n    devices:\n" +
                 f"      - {{type: rng, isolate: {isolate}}}\n" * N)
    path = os.path.join(folder, "many.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def run(path, runtime):
    done = subprocess.run([AVP, "run", "--board", "arm64", path], env=arm64.environment(runtime), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise guests.Failure(f"status {done.returncode}:\n{done.stdout[-4000:]}")


def check(folder, transport):
    with open(os.path.join(folder, transport + ".log"), encoding="ascii", errors="replace") as f:
        text = f.read()
    pci = N if transport == "pci" else 0
    for line in (f"devices {N}", f"of them on PCI {pci}", f"with interrupts {N}", f"open {N}", f"served {N}"):
        if f"many: {line}\n" not in text:
            raise guests.Failure(f"no '{line}' in:\n{text}")


def main():
    arm64.need_board()
    if not os.path.exists(os.path.join(IMAGES, "many.img")):
        guests.skip_all("no image of the guest: it needs clang and lld")
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-many-") as folder:
        runtime = os.path.join(folder, "run")
        os.mkdir(runtime, 0o700)
        if tap.run(f"two guests with {N} devices each run and power off", run, system(folder), runtime):
            for transport in ("pci", "mmio"):
                tap.run(f"{N} devices on {transport} are found, interrupt and serve", check, folder, transport)
    tap.done()


if __name__ == "__main__":
    main()
