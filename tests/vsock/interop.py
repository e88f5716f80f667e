#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our socket and entropy devices under somebody else's hypervisor and drivers: QEMU's vhost-user-vsock and
vhost-user-rng, and Linux.

Two QEMU (TCG, q35) boot Debian's kernel with devices served by jailed `avp device` processes and run interop-guest.sh;
the first guest talks to this program in both directions, and to the second guest. TAP output.
usage: interop.py SOURCE-ROOT GUEST-PROGRAM, with the program avp in $AVP.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import stockqemu  # noqa: E402

CHECKS = {"client": 7, "server": 1}
LIMIT = 120  # seconds for the first guest
BULK = 2 << 20


def listen(path, kind):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    s.listen()
    return s


def echo_server(listener):
    """Sends back what comes: bytes of a stream, or whole messages."""
    def serve():
        conn, _ = listener.accept()
        while True:
            data = conn.recv(1 << 18)
            if not data:
                break
            conn.sendall(data)
        conn.close()
    threading.Thread(target=serve, daemon=True).start()


def call_guest(uds, port, result):
    """The host's side: connects in Firecracker's convention, as soon as the guest listens, and has BULK echoed."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(uds)
            s.sendall(b"CONNECT %d\n" % port)
            if s.recv(64).startswith(b"OK "):
                break
        except OSError:
            pass
        s.close()
        time.sleep(0.2)
    else:
        return
    data, got = os.urandom(BULK), bytearray()

    def send():
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    threading.Thread(target=send, daemon=True).start()
    while chunk := s.recv(1 << 16):
        got += chunk
    s.close()
    result.append(bytes(got) == data)


class Guest:
    """A guest of the name, its device processes and its QEMU."""

    def __init__(self, folder, name, cid, peer, log):
        self.name, self.cid, self.folder = name, cid, folder
        os.mkdir(os.path.join(folder, name))
        self.uds = os.path.join(folder, name, "vsock")
        self.devices = [
            self.device("vsock", log, "--cid", str(cid), "--uds", self.uds, "--peers", str(peer),
                        "--peer-uds", os.path.join(folder, "peer")),
            self.device("rng", log)]

    def socket(self, kind):
        return os.path.join(self.folder, f"{self.name}-{kind}")

    def device(self, kind, log, *keys):
        p = subprocess.Popen([os.environ["AVP"], "device", kind, "--socket", self.socket(kind),
                              "--name", f"{self.name}/{kind}", *keys], stdout=log, stderr=log)
        stockqemu.wait_for_files([self.socket(kind)], p)
        return p

    def boot(self, root, initrd):
        options = []
        for kind in ("vsock", "rng"):
            options += ["-chardev", f"socket,id={kind},path={self.socket(kind)}",
                        "-device", f"vhost-user-{kind}-pci,chardev={kind}"]
        self.qemu = stockqemu.boot(root, initrd, *options, append=f"role={self.name}")

    def wait(self, end):
        self.out = stockqemu.finish(self.qemu, end - time.monotonic())

    def stop(self):
        for p in self.devices:
            p.terminate()
        return [p.wait(20) for p in self.devices]


def main():
    root, program = os.path.abspath(sys.argv[1]), sys.argv[2]
    stockqemu.need_qemu()
    tap = stockqemu.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-vsock-", dir="/var/tmp") as folder:
        script = os.path.join(root, "tests/vsock/interop-guest.sh")
        initrd = stockqemu.pack(root, folder, script, shutil.copy(program, os.path.join(folder, "interop-seq")))
        with open(os.path.join(folder, "log"), "w+b") as log:
            guests = [Guest(folder, "client", 3, 4, log), Guest(folder, "server", 4, 3, log)]
            client = guests[0]
            echo_server(listen(client.uds + "_5000", socket.SOCK_STREAM))
            echo_server(listen(client.uds + "_5001", socket.SOCK_SEQPACKET))
            called = []
            caller = threading.Thread(target=call_guest, args=(client.uds, 7001, called), daemon=True)
            caller.start()
            for g in guests:
                g.boot(root, initrd)
            client.wait(time.monotonic() + LIMIT)
            guests[1].wait(time.monotonic() + 10)
            caller.join(5)
            codes = [g.stop() for g in guests]
            log.seek(0)
            messages = log.read().decode(errors="replace")
        for g in guests:
            if not tap.guest_checks(g.out, CHECKS[g.name], f"guest '{g.name}'"):
                stockqemu.show(g.out)
        tap.check(called == [True], "the host called the guest and got everything back")
        tap.check(codes == [[0, 0], [0, 0]], "the device processes end cleanly")
        left = [n for n in os.listdir(folder) if n.startswith("peer")] + \
            [n for n in os.listdir(os.path.dirname(client.uds)) if not n.startswith("vsock_")]
        tap.check(not left, f"no socket is left behind {left or ''}")
        if tap.failed:
            stockqemu.show(messages)
    return tap.done()


sys.exit(main())
