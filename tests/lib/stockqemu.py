# SPDX-License-Identifier: BSD-3-Clause
"""What the interop tests share: Debian's QEMU (TCG, q35) as somebody else's hypervisor, booting the guest of guests/linux
with a test script packed into its initrd, and TAP output."""
import os
import shutil
import subprocess
import sys
import time

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def check(self, ok, name):
        self.count += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}", flush=True)
        return ok

    def guest_checks(self, out, expected, name):
        """A case for each "CHECK text" that the guest printed, and one that it went through all `expected` of them."""
        lines = [line.strip() for line in out.splitlines()]
        checks = [line[6:] for line in lines if line.startswith("CHECK ")]
        for check in checks:
            self.check(True, f"{name}: {check}")
        return self.check("AVP-TEST exit 0" in lines and len(checks) == expected,
                          f"{name} went through everything")

    def done(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def need_qemu():
    if not shutil.which(QEMU):
        print(f"1..0 # SKIP {QEMU} is not installed (make deps)")
        sys.exit(0)


def show(text):
    for line in text.splitlines():
        print("#", line)


def guest_folder(root):
    """The folder with vmlinuz and root.img."""
    return subprocess.run([os.path.join(root, "guests/linux/build")], stdout=subprocess.PIPE,
                          check=True).stdout.decode().strip()


def pack(root, folder, *files):
    """An initrd that runs the first of the files, a script, and holds the others."""
    initrd = os.path.join(folder, "initrd")
    with open(initrd, "wb") as f:
        subprocess.run([os.path.join(root, "guests/linux/pack"), *files], stdout=f, check=True)
    return initrd


def wait_for_files(paths, process, seconds=20):
    """Until the sockets are there, or the process that makes them is gone."""
    end = time.monotonic() + seconds
    while not all(map(os.path.exists, paths)) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def boot(root, initrd, *options, append="", out=subprocess.PIPE):
    """Starts QEMU with shared guest memory; its serial port is the process's output.

    On a busy host emulation looks to the kernel's timer check like a broken timer."""
    return subprocess.Popen(
        [QEMU, "-accel", "tcg", "-M", "q35,memory-backend=mem", "-m", "192M", "-smp", "1",
         "-object", "memory-backend-memfd,id=mem,size=192M,share=on", "-nodefaults", "-display", "none",
         "-serial", "stdio", "-no-reboot", "-kernel", os.path.join(guest_folder(root), "vmlinuz"), "-initrd", initrd,
         "-append", f"console=ttyS0 panic=-1 quiet mitigations=off no_timer_check {append}", *options],
        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)


def finish(qemu, seconds):
    """What the guest printed until it ended, or until its time was over."""
    try:
        return qemu.communicate(timeout=max(1, seconds))[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        qemu.kill()
        return qemu.communicate()[0].decode(errors="replace") + "\n(time limit)\n"
