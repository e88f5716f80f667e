#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our switch under somebody else's hypervisor and driver: two guests of QEMU's vhost-user-net, and Linux.

`avp switch` serves a port for each; both QEMUs (TCG, q35) boot Debian's kernel and run interop-guest.sh. The second
guest takes no offloads, so that the switch has to make checksums and segments for it. TAP output.
usage: interop.py SOURCE-ROOT, with the program in $AVP.
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import stockqemu  # noqa: E402

LIMIT = 150  # seconds for the guests
CHECKS = 8
PLAIN = ",csum=off,guest_csum=off,host_tso4=off,host_tso6=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,host_ecn=off"


def start_switch(folder, log):
    sockets = [os.path.join(folder, f"port{i}") for i in (1, 2)]
    command = [os.environ["AVP"], "switch", "--mirror", os.path.join(folder, "mirror.pcapng")]
    for i, socket in enumerate(sockets):
        command += ["--port", f"name=guest{i + 1},socket={socket},mac=02:00:00:00:00:0{i + 1},anti-spoof=true"]
    switch = subprocess.Popen(command, stdout=log, stderr=log)
    stockqemu.wait_for_files(sockets, switch)
    return switch, sockets


def start_guest(root, folder, number, initrd, socket):
    """QEMU, and the file that gets what its guest prints."""
    options = ",packed=on" if number == 1 else PLAIN
    name = os.path.join(folder, f"out{number}")
    with open(name, "wb") as out:
        qemu = stockqemu.boot(
            root, initrd, "-chardev", f"socket,id=c,path={socket}", "-netdev", "vhost-user,id=n,chardev=c",
            "-device", f"virtio-net-pci,netdev=n,vectors=0,mac=02:00:00:00:00:0{number}{options}",
            append=f"avp.me={number} end", out=out)
    return qemu, name


def run_guests(root, folder, initrd, sockets):
    """What each of the two printed."""
    guests = [start_guest(root, folder, i + 1, initrd, sockets[i]) for i in (0, 1)]
    end = time.monotonic() + LIMIT
    texts = []
    for qemu, name in guests:
        try:
            qemu.wait(max(1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.wait()
        with open(name, encoding="utf-8", errors="replace") as f:
            texts.append(f.read())
    return texts


def main():
    root = os.path.abspath(sys.argv[1])
    stockqemu.need_qemu()
    tap = stockqemu.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-net-", dir="/var/tmp") as folder:
        initrd = stockqemu.pack(root, folder, os.path.join(root, "tests/net/interop-guest.sh"))
        with open(os.path.join(folder, "log"), "w+b") as log:
            switch, sockets = start_switch(folder, log)
            texts = run_guests(root, folder, initrd, sockets)
            switch.terminate()
            code = switch.wait(20)
            log.seek(0)
            messages = log.read().decode(errors="replace")
        for number, text in enumerate(texts, 1):
            tap.guest_checks(text, CHECKS // 2, f"guest {number}")
        size = os.path.getsize(os.path.join(folder, "mirror.pcapng"))
        tap.check(size > 16 << 20, "the capture has what they sent")
        tap.check(code == 0, "the switch ends cleanly")
        if tap.failed:
            stockqemu.show("\n".join(texts) + messages)
    return tap.done()


sys.exit(main())
