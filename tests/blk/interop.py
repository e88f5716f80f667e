#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our block device under somebody else's hypervisor and driver: QEMU's vhost-user-blk and Linux.

QEMU (TCG, q35) boots Debian's kernel with three disks served by `avp device blk` and runs
interop-guest.sh in it; then the images are compared with what the guest says it wrote. TAP output.
usage: interop.py SOURCE-ROOT, with the program in $AVP.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
CHECKS = 7
LIMIT = 120  # seconds for the guest
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


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def sha256(path, start=0, length=None):
    with open(path, "rb") as f:
        f.seek(start)
        return hashlib.sha256(f.read(length)).hexdigest()


def make_images(folder, guest):
    """The image of each disk, by the name of its socket."""
    raw, readonly, ext4 = (os.path.join(folder, n) for n in ("raw.img", "readonly.img", "ext4.img"))
    with open(raw, "wb") as f:
        f.truncate(64 * MIB)
    with open(readonly, "wb") as f:
        f.write(os.urandom(4 * MIB))
    shutil.copy(os.path.join(guest, "root.img"), ext4)
    return {"vda": raw, "vdb": ext4, "vdc": readonly}


def start_backends(folder, images, log):
    keys = {"vda": ["--serial", "AVP-INTEROP", "--queues", "2"], "vdb": ["--cache", "none"],
            "vdc": ["--readonly", "true"]}
    processes = []
    for name, image in images.items():
        socket = os.path.join(folder, name)
        processes.append(subprocess.Popen(
            [os.environ["AVP"], "device", "blk", "--socket", socket, "--image", image] + keys[name],
            stdout=log, stderr=log))
    end = time.monotonic() + 20
    while not all(os.path.exists(os.path.join(folder, n)) for n in images):
        if time.monotonic() > end or any(p.poll() is not None for p in processes):
            break
        time.sleep(0.02)
    return processes


def run_guest(folder, guest, initrd):
    command = [QEMU, "-accel", "tcg", "-M", "q35,memory-backend=mem", "-m", "256M", "-smp", "1",
               "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-nodefaults",
               "-display", "none", "-serial", "stdio", "-no-reboot",
               "-kernel", os.path.join(guest, "vmlinuz"), "-initrd", initrd,
               "-append", "console=ttyS0 panic=-1 quiet mitigations=off"]
    for name in ("vda", "vdb", "vdc"):
        queues = ",num-queues=2" if name == "vda" else ""
        command += ["-chardev", f"socket,id={name},path={os.path.join(folder, name)}",
                    "-device", f"vhost-user-blk-pci,chardev={name}{queues}"]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
        return result.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode(errors="replace") + "\n(time limit)\n"


def build_guest(root, folder, images):
    guest = subprocess.run([os.path.join(root, "guests/linux/build")], stdout=subprocess.PIPE,
                           check=True).stdout.decode().strip()
    images.update(make_images(folder, guest))
    with open(os.path.join(folder, "readonly.sum"), "w") as f:
        f.write(sha256(images["vdc"]) + "\n")
    initrd = os.path.join(folder, "initrd")
    with open(initrd, "wb") as f:
        subprocess.run([os.path.join(root, "guests/linux/pack"),
                        os.path.join(root, "tests/blk/interop-guest.sh"),
                        os.path.join(folder, "readonly.sum")], stdout=f, check=True)
    return guest, initrd


def main():
    root = os.path.abspath(sys.argv[1])
    if not shutil.which(QEMU):
        skip(f"{QEMU} is not installed (make deps)")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="avp-blk-", dir="/var/tmp") as folder:
        images = {}
        guest, initrd = build_guest(root, folder, images)
        before = sha256(images["vdc"])
        with open(os.path.join(folder, "log"), "w+b") as log:
            processes = start_backends(folder, images, log)
            out = run_guest(folder, guest, initrd)
            for p in processes:
                p.terminate()
            codes = [p.wait(20) for p in processes]
            log.seek(0)
            messages = log.read().decode(errors="replace")
        lines = [l.strip() for l in out.splitlines()]
        checks = [l[6:] for l in lines if l.startswith("CHECK ")]
        for name in checks:
            tap.check(True, name)
        sums = [l.split()[1] for l in lines if l.startswith("SUM ")]
        ok = tap.check("AVP-TEST exit 0" in lines and len(checks) == CHECKS, "the guest went through everything")
        tap.check(sums == [sha256(images["vda"], 0, 16 * MIB)], "the image holds what the guest wrote")
        tap.check(os.stat(images["vda"]).st_blocks * 512 <= 33 * MIB, "discarded blocks were given back")
        tap.check(sha256(images["vdc"]) == before, "the read-only image is as before")
        ok &= tap.check(codes == [0, 0, 0], "the device processes end cleanly")
        if not ok:
            for line in (out + messages).splitlines():
                print("#", line)
    return tap.done()


sys.exit(main())
