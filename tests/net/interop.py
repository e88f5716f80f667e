#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our switch under somebody else's hypervisor and driver: two guests of QEMU's vhost-user-net, and Linux.

`avp switch` serves a port for each; both QEMUs (TCG, q35) boot Debian's kernel and run interop-guest.sh. The second
guest takes no offloads, so that the switch has to make checksums and segments for it. TAP output.
usage: interop.py SOURCE-ROOT, with the program in $AVP.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

LIMIT = 150  # seconds for the guests
CHECKS = 8
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
PLAIN = ",csum=off,guest_csum=off,host_tso4=off,host_tso6=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,host_ecn=off"


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


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def build_guest(root, folder):
    guest = subprocess.run([os.path.join(root, "guests/linux/build")], stdout=subprocess.PIPE,
                           check=True).stdout.decode().strip()
    initrd = os.path.join(folder, "initrd")
    with open(initrd, "wb") as f:
        subprocess.run([os.path.join(root, "guests/linux/pack"),
                        os.path.join(root, "tests/net/interop-guest.sh")], stdout=f, check=True)
    return os.path.join(guest, "vmlinuz"), initrd


def start_switch(folder, log):
    sockets = [os.path.join(folder, f"port{i}") for i in (1, 2)]
    command = [os.environ["AVP"], "switch", "--mirror", os.path.join(folder, "mirror.pcapng")]
    for i, socket in enumerate(sockets):
        command += ["--port", f"name=guest{i + 1},socket={socket},mac=02:00:00:00:00:0{i + 1},anti-spoof=true"]
    switch = subprocess.Popen(command, stdout=log, stderr=log)
    end = time.monotonic() + 20
    while not all(map(os.path.exists, sockets)) and switch.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    return switch, sockets


def start_guest(number, kernel, initrd, socket, out):
    options = ",packed=on" if number == 1 else PLAIN
    return subprocess.Popen(
        [QEMU, "-accel", "tcg", "-M", "q35,memory-backend=mem", "-m", "192M", "-smp", "1",
         "-object", "memory-backend-memfd,id=mem,size=192M,share=on", "-nodefaults",
         "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
         "-append", f"console=ttyS0 panic=-1 quiet mitigations=off avp.me={number} end",
         "-chardev", f"socket,id=c,path={socket}", "-netdev", "vhost-user,id=n,chardev=c",
         "-device", f"virtio-net-pci,netdev=n,vectors=0,mac=02:00:00:00:00:0{number}{options}"],
        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)


def run_guests(folder, kernel, initrd, sockets):
    """What each of the two printed."""
    names = [os.path.join(folder, f"out{i}") for i in (1, 2)]
    files = [open(name, "wb") for name in names]
    guests = [start_guest(i + 1, kernel, initrd, sockets[i], files[i]) for i in (0, 1)]
    end = time.monotonic() + LIMIT
    for guest in guests:
        try:
            guest.wait(max(1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            guest.kill()
            guest.wait()
    for f in files:
        f.close()
    texts = []
    for name in names:
        with open(name, encoding="utf-8", errors="replace") as f:
            texts.append(f.read())
    return texts


def main():
    root = os.path.abspath(sys.argv[1])
    if not shutil.which(QEMU):
        skip(f"{QEMU} is not installed (make deps)")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="avp-net-", dir="/var/tmp") as folder:
        kernel, initrd = build_guest(root, folder)
        with open(os.path.join(folder, "log"), "w+b") as log:
            switch, sockets = start_switch(folder, log)
            texts = run_guests(folder, kernel, initrd, sockets)
            switch.terminate()
            code = switch.wait(20)
            log.seek(0)
            messages = log.read().decode(errors="replace")
        checks = [c.strip() for text in texts for c in re.findall(r"^CHECK (.*)$", text, re.M)]
        for name in checks:
            tap.check(True, name)
        ok = tap.check(all("AVP-TEST exit 0" in t for t in texts) and len(checks) == CHECKS,
                       "both guests went through everything")
        size = os.path.getsize(os.path.join(folder, "mirror.pcapng"))
        ok &= tap.check(size > 16 << 20, "the capture has what they sent")
        ok &= tap.check(code == 0, "the switch ends cleanly")
        if not ok:
            for line in ("\n".join(texts) + messages).splitlines():
                print("#", line)
    return tap.done()


sys.exit(main())
