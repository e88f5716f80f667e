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

CHECKS = {"client": 7, "server": 1}
LIMIT = 120  # seconds for the first guest
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
BULK = 2 << 20


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
        end = time.monotonic() + 20
        while not os.path.exists(self.socket(kind)) and p.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        return p

    def boot(self, kernel, initrd):
        command = [QEMU, "-accel", "tcg", "-M", "q35,memory-backend=mem", "-m", "192M", "-smp", "1",
                   "-object", "memory-backend-memfd,id=mem,size=192M,share=on", "-nodefaults",
                   "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
                   "-append", f"console=ttyS0 panic=-1 quiet mitigations=off role={self.name}"]
        for kind in ("vsock", "rng"):
            command += ["-chardev", f"socket,id={kind},path={self.socket(kind)}",
                        "-device", f"vhost-user-{kind}-pci,chardev={kind}"]
        self.qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)

    def wait(self, end):
        try:
            self.out = self.qemu.communicate(timeout=max(1, end - time.monotonic()))[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            self.qemu.kill()
            self.out = self.qemu.communicate()[0].decode(errors="replace") + "\n(time limit)\n"

    def stop(self):
        for p in self.devices:
            p.terminate()
        return [p.wait(20) for p in self.devices]


def report(tap, guest):
    lines = [l.strip() for l in guest.out.splitlines()]
    checks = [l[6:] for l in lines if l.startswith("CHECK ")]
    for name in checks:
        tap.check(True, name)
    ok = tap.check("AVP-TEST exit 0" in lines and len(checks) == CHECKS[guest.name],
                   f"guest '{guest.name}' went through everything")
    if not ok:
        for line in guest.out.splitlines():
            print("#", line)


def build_initrd(root, program, folder):
    kernel = subprocess.run([os.path.join(root, "guests/linux/build")], stdout=subprocess.PIPE,
                            check=True).stdout.decode().strip()
    copy = os.path.join(folder, "interop-seq")
    shutil.copy(program, copy)
    initrd = os.path.join(folder, "initrd")
    with open(initrd, "wb") as f:
        subprocess.run([os.path.join(root, "guests/linux/pack"),
                        os.path.join(root, "tests/vsock/interop-guest.sh"), copy], stdout=f, check=True)
    return os.path.join(kernel, "vmlinuz"), initrd


def main():
    root, program = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(QEMU):
        skip(f"{QEMU} is not installed (make deps)")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="avp-vsock-", dir="/var/tmp") as folder:
        kernel, initrd = build_initrd(root, program, folder)
        with open(os.path.join(folder, "log"), "w+b") as log:
            guests = [Guest(folder, "client", 3, 4, log), Guest(folder, "server", 4, 3, log)]
            client = guests[0]
            echo_server(listen(client.uds + "_5000", socket.SOCK_STREAM))
            echo_server(listen(client.uds + "_5001", socket.SOCK_SEQPACKET))
            called = []
            caller = threading.Thread(target=call_guest, args=(client.uds, 7001, called), daemon=True)
            caller.start()
            for g in guests:
                g.boot(kernel, initrd)
            client.wait(time.monotonic() + LIMIT)
            guests[1].wait(time.monotonic() + 10)
            caller.join(5)
            codes = [g.stop() for g in guests]
            log.seek(0)
            messages = log.read().decode(errors="replace")
        for g in guests:
            report(tap, g)
        tap.check(called == [True], "the host called the guest and got everything back")
        tap.check(codes == [[0, 0], [0, 0]], "the device processes end cleanly")
        left = [n for n in os.listdir(folder) if n.startswith("peer")] + \
            [n for n in os.listdir(os.path.dirname(client.uds)) if not n.startswith("vsock_")]
        tap.check(not left, f"no socket is left behind {left or ''}")
        if tap.failed:
            for line in messages.splitlines():
                print("#", line)
    return tap.done()


sys.exit(main())
