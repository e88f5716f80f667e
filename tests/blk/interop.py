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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import stockqemu  # noqa: E402

MIB = 1 << 20
CHECKS = 7
LIMIT = 120  # seconds for the guest


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
            [os.environ["AVP"], "device", "blk", "--socket", socket, "--image", image,
             "--queue-size", "1024"] + keys[name],
            stdout=log, stderr=log))
        stockqemu.wait_for_files([socket], processes[-1])
    return processes


def boot(root, folder, initrd):
    options = []
    for name in ("vda", "vdb", "vdc"):
        queues = ",num-queues=2" if name == "vda" else ""
        options += ["-chardev", f"socket,id={name},path={os.path.join(folder, name)}",
                    "-device", f"vhost-user-blk-pci,chardev={name},queue-size=1024{queues}"]
    return stockqemu.boot(root, initrd, *options)


def prepare(root, folder):
    """The images, and an initrd that knows what is in the read-only one."""
    images = make_images(folder, stockqemu.guest_folder(root))
    sums = os.path.join(folder, "readonly.sum")
    with open(sums, "w") as f:
        f.write(sha256(images["vdc"]) + "\n")
    return images, stockqemu.pack(root, folder, os.path.join(root, "tests/blk/interop-guest.sh"), sums)


def main():
    root = os.path.abspath(sys.argv[1])
    stockqemu.need_qemu()
    tap = stockqemu.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-blk-", dir="/var/tmp") as folder:
        images, initrd = prepare(root, folder)
        before = sha256(images["vdc"])
        with open(os.path.join(folder, "log"), "w+b") as log:
            processes = start_backends(folder, images, log)
            out = stockqemu.finish(boot(root, folder, initrd), LIMIT)
            for p in processes:
                p.terminate()
            codes = [p.wait(20) for p in processes]
            log.seek(0)
            messages = log.read().decode(errors="replace")
        tap.guest_checks(out, CHECKS, "the guest")
        sums = [line.split()[1] for line in out.splitlines() if line.startswith("SUM ")]
        tap.check(sums == [sha256(images["vda"], 0, 16 * MIB)], "the image holds what the guest wrote")
        tap.check(os.stat(images["vda"]).st_blocks * 512 <= 33 * MIB, "discarded blocks were given back")
        tap.check(sha256(images["vdc"]) == before, "the read-only image is as before")
        tap.check(codes == [0, 0, 0], "the device processes end cleanly")
        if tap.failed:
            stockqemu.show(out + messages)
    return tap.done()


sys.exit(main())
