#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The monitor against QEMU's virt with KVM, both in the same emulated arm64 board (docs/board.md): time to the first
instruction of a guest, and to the user space of Debian's kernel; memory.

Runs alternate A B A B; medians. Guest RAM (a memfd in both) is not counted as memory.
usage: arm64.py AVP FIRST.IMG [ROUNDS]     here: starts the board, where this program runs again as
       arm64.py --inside FOLDER ROUNDS"""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
USER_SPACE = b"AVP-BENCH user space"


def avp_argv(memory, kernel, *boot):
    return ["/avp/avp", "monitor", "--memory", memory, "--kernel", kernel, *boot, "--serial", "-"]


def qemu_argv(memory, kernel, *boot):
    words = [word.replace("--initrd", "-initrd").replace("--cmdline", "-append") for word in boot]
    return ["qemu-system-aarch64", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", "stdio", "-M", "virt,gic-version=3,memory-backend=ram", "-m", memory,
            "-object", f"memory-backend-memfd,id=ram,size={memory}", "-kernel", kernel, *words]


def inside(folder, rounds):
    from measure import compare, measure

    def path(name):
        return os.path.join(folder, name)

    def alternate(rounds, until, *what):
        ours, theirs = [], []
        for i in range(rounds + 1):
            a, b = measure(avp_argv(*what), until), measure(qemu_argv(*what), until)
            if i:  # the first round reads the programs from the host
                ours.append(a)
                theirs.append(b)
        return ours, theirs

    names = ("avp", "QEMU virt")
    compare(names, ("start to first instruction, ms", "processor time until then, ms", "memory (PSS), KiB"),
            *alternate(rounds, b"", "64M", path("first.img")))
    boot = ("--initrd", path("initrd"), "--cmdline", "console=ttyAMA0 quiet")
    compare(names, ("Debian's kernel to user space, ms", "processor time until then, ms", "memory (PSS), KiB"),
            *alternate(max(rounds // 2, 1), USER_SPACE, "256M", path("vmlinuz"), *boot))


def prepare(folder, first):
    """What the guests boot, and a script as their whole user space."""
    script = os.path.join(folder, "test.sh")
    with open(script, "w", encoding="utf-8") as f:
        f.write(f"echo '{USER_SPACE.decode()}'\nsleep 1000\n")
    guest = subprocess.run([os.path.join(ROOT, "guests/linux/build"), "--arch", "arm64"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.strip()
    with open(os.path.join(folder, "initrd"), "wb") as f:
        subprocess.run([os.path.join(ROOT, "guests/linux/pack"), "--arch", "arm64", script], stdout=f, check=True)
    shutil.copy(os.path.join(guest, "vmlinuz"), folder)
    shutil.copy(first, os.path.join(folder, "first.img"))


def main():
    if sys.argv[1] == "--inside":
        inside(sys.argv[2], int(sys.argv[3]))
        return 0
    avp, first, rounds = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "7"
    if not os.path.exists(os.path.join(ROOT, "build-arm64/avp")):
        print("no build-arm64/avp: make arm64 builds it; nothing is measured on the arm64 board")
        return 0
    own = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, first)
        command = [avp, "board", "--arch", "arm64", "--memory", "1G", "--share", folder, "--share", own, "--",
                   "python3", "-B", os.path.join(own, "arm64.py"), "--inside", folder, rounds]
        return subprocess.run(command, check=False,
                              env=dict(os.environ, AVP_BOARD_PACKAGES="python3 qemu-system-arm")).returncode


if __name__ == "__main__":
    sys.exit(main())
