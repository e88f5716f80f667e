#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our vhost-user back-end under somebody else's front-end and driver: QEMU's vhost-user-rng and Linux.

QEMU (TCG, q35) boots Debian's kernel with an entropy device served by `avp device rng`, once with split
and once with packed rings, and runs interop-guest.sh in it. TAP output.
usage: interop.py SOURCE-ROOT, with the program in $AVP.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

LIMIT = 120  # seconds for a guest
CHECKS = 4
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def check(self, ok, name):
        self.count += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}", flush=True)
        return ok

    def done(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def build_guest(root, folder):
    guest = subprocess.run([os.path.join(root, "guests/linux/build")], stdout=subprocess.PIPE,
                           check=True).stdout.decode().strip()
    with open(os.path.join(folder, "initrd"), "wb") as f:
        subprocess.run([os.path.join(root, "guests/linux/pack"),
                        os.path.join(root, "tests/vhost_user/interop-guest.sh")], stdout=f, check=True)
    return guest


def start_backend(path, log):
    """The process and its control connection, once it says that it is ready."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    process = subprocess.Popen(
        [os.environ["AVP"], "device", "rng", "--socket", path, "--control-fd", str(theirs.fileno())],
        pass_fds=(theirs.fileno(),), stdout=log, stderr=log)
    theirs.close()
    assert json.loads(ours.recv(4096)) == {"event": "ready"}
    return process, ours


def counters(control):
    control.send(b"stats")
    return json.loads(control.recv(4096))["counters"]


def run_guest(folder, guest, path, options):
    command = [QEMU, "-accel", "tcg", "-M", "q35,memory-backend=mem", "-m", "256M", "-smp", "1",
               "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-nodefaults",
               "-display", "none", "-serial", "stdio", "-no-reboot",
               "-kernel", os.path.join(guest, "vmlinuz"), "-initrd", os.path.join(folder, "initrd"),
               "-append", "console=ttyS0 panic=-1 quiet mitigations=off",
               "-chardev", f"socket,id=rng,path={path}",
               "-device", "vhost-user-rng-pci,chardev=rng" + options]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT, check=False
                              ).stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode(errors="replace") + "\n(time limit)\n"


def one_guest(tap, folder, guest, name, options):
    path = os.path.join(folder, name)
    with open(os.path.join(folder, "log"), "w+b") as log:
        process, control = start_backend(path, log)
        with control:
            out = run_guest(folder, guest, path, options)
            served = counters(control)
            process.terminate()
            code = process.wait(30)
        log.seek(0)
        messages = log.read().decode(errors="replace")
    lines = [l.strip() for l in out.splitlines()]
    checks = [l[6:] for l in lines if l.startswith("CHECK ")]
    for check in checks:
        tap.check(True, f"{name}: {check}")
    ok = tap.check("AVP-TEST exit 0" in lines and len(checks) == CHECKS,
                   f"{name}: the guest went through everything")
    ok &= tap.check(served["bytes"] >= 2 * 16 * 4096, f"{name}: it was the device that gave the bytes")
    ok &= tap.check(code == 0, f"{name}: the device process ends cleanly")
    if not ok:
        for line in (out + messages).splitlines():
            print("#", line)


def main():
    root = os.path.abspath(sys.argv[1])
    if not shutil.which(QEMU):
        print(f"1..0 # SKIP {QEMU} is not installed (make deps)")
        return 0
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="avp-rng-", dir="/var/tmp") as folder:
        guest = build_guest(root, folder)
        one_guest(tap, folder, guest, "split", "")
        one_guest(tap, folder, guest, "packed", ",packed=on")
    return tap.done()


sys.exit(main())
