#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our vhost-user back-end under somebody else's front-end and driver: QEMU's vhost-user-rng and Linux.

QEMU (TCG, q35) boots Debian's kernel with an entropy device served by `avp device rng`, once with split
and once with packed rings, and runs interop-guest.sh in it. TAP output.
usage: interop.py SOURCE-ROOT, with the program in $AVP.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import stockqemu  # noqa: E402

LIMIT = 120  # seconds for a guest
CHECKS = 4


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


def one_guest(tap, root, folder, initrd, name, options):
    path = os.path.join(folder, name)
    with open(os.path.join(folder, "log"), "w+b") as log:
        process, control = start_backend(path, log)
        with control:
            qemu = stockqemu.boot(root, initrd, "-chardev", f"socket,id=rng,path={path}",
                                "-device", "vhost-user-rng-pci,chardev=rng" + options)
            out = stockqemu.finish(qemu, LIMIT)
            served = counters(control)
            process.terminate()
            code = process.wait(30)
        log.seek(0)
        messages = log.read().decode(errors="replace")
    ok = tap.guest_checks(out, CHECKS, name)
    ok &= tap.check(served["bytes"] >= 2 * 16 * 4096, f"{name}: it was the device that gave the bytes")
    ok &= tap.check(code == 0, f"{name}: the device process ends cleanly")
    if not ok:
        stockqemu.show(out + messages)


def main():
    root = os.path.abspath(sys.argv[1])
    stockqemu.need_qemu()
    tap = stockqemu.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-rng-", dir="/var/tmp") as folder:
        initrd = stockqemu.pack(root, folder, os.path.join(root, "tests/vhost_user/interop-guest.sh"))
        one_guest(tap, root, folder, initrd, "split", "")
        one_guest(tap, root, folder, initrd, "packed", ",packed=on")
    return tap.done()


sys.exit(main())
