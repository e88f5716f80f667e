#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The example of a bare-metal control unit (guests/ecu) on our monitor, on QEMU's arm64 virt and x86-64 microvm, and as an
EFI application: it reads its configuration, sends its frames, answers on its console, and powers off."""
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP, IMAGES = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
LIMIT = 60  # seconds for anything to happen; more than ever needed
MAC = "52:54:00:00:00:2a"
NAME = "brake-left"


def pcap(path):
    """Frames of a capture of QEMU's filter-dump."""
    with open(path, "rb") as f:
        data = f.read()
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def pcapng(path):
    """Frames of a capture of our switch."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at + 12 <= len(data):
        kind, block = struct.unpack_from("<II", data, at)
        if kind == 6:
            length = struct.unpack_from("<I", data, at + 20)[0]
            yield data[at + 28:at + 28 + length]
        at += block


class Machine:
    """A machine with the image, a disk with its configuration, a console and a captured network."""

    capture = staticmethod(pcap)

    def __init__(self, folder, config):
        self.folder = folder
        self.console = os.path.join(folder, "console")
        with open(self.path("disk.img"), "wb") as f:
            f.write(config.encode())
            f.truncate(1 << 20)
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, XDG_RUNTIME_DIR=folder))

    def path(self, name):
        return os.path.join(self.folder, name)

    def attach(self):
        """A connection to the console."""
        end = time.monotonic() + LIMIT
        while True:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(LIMIT)
            try:
                s.connect(self.console)
                return s
            except OSError:
                s.close()
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def finish(self):
        """Its end; what it wrote to the serial port."""
        try:
            out, _ = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
            raise AssertionError(f"did not end; output:\n{out.decode(errors='replace')}") from None
        return self.process.returncode, self.serial(out.decode(errors="replace"))

    def serial(self, out):
        return out

    def frames(self):
        return list(self.capture(self.path("capture")))


class Avp(Machine):
    capture = staticmethod(pcapng)

    @staticmethod
    def missing():
        return None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "/dev/kvm is missing"

    def command(self):
        with open(self.path("ecu.yaml"), "w", encoding="utf-8") as f:
            f.write(f"""
vms:
  ecu:
    memory: 32M
    boot: {{kernel: {IMAGES}/ecu.elf}}
    serial: {self.path("serial")}
    devices:
      - {{type: blk, image: disk.img}}
      - {{type: net, switch: car, mac: "{MAC}"}}
      - {{type: console, path: {self.console}}}
      - {{type: rng}}
switches:
  car: {{mirror: {self.path("capture")}}}
""")
        return [AVP, "run", self.path("ecu.yaml"), "--board", "none"]

    def serial(self, out):
        with open(self.path("serial"), encoding="ascii") as f:
            return f.read() + out


class Qemu(Machine):
    def options(self):
        bus = "device" if self.mmio else "pci"
        return ["-m", "256M", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
                "-global", "virtio-mmio.force-legacy=false",
                "-drive", f"if=none,id=disk,format=raw,file={self.path('disk.img')}",
                "-device", f"virtio-blk-{bus},drive=disk",
                "-netdev", "user,id=net,restrict=on", "-device", f"virtio-net-{bus},netdev=net,mac={MAC}",
                "-object", f"filter-dump,id=dump,netdev=net,file={self.path('capture')}",
                "-device", f"virtio-serial-{bus}", "-chardev", f"socket,id=con,path={self.console},server=on,wait=off",
                "-device", "virtconsole,chardev=con", "-device", f"virtio-rng-{bus}"]

    @classmethod
    def missing(cls):
        if not shutil.which(cls.machine[0]):
            return f"{cls.machine[0]} is not installed (make deps)"
        return next((f"{p} is missing (make deps)" for p in cls.files if not os.path.exists(p)), None)

    files = []
    mmio = False

    def command(self):
        return self.machine + ["-accel", "tcg", "-kernel", os.path.join(IMAGES, self.image), *self.options()]


class Microvm(Qemu):
    machine = ["qemu-system-x86_64", "-M", "microvm"]
    image, mmio = "ecu.elf", True


class Virt(Qemu):
    machine = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"]
    image = "ecu.img"


class VirtGic3(Qemu):
    machine = ["qemu-system-aarch64", "-M", "virt,gic-version=3,virtualization=on", "-cpu", "cortex-a76"]
    image, mmio = "ecu.img", True


class Q35Efi(Qemu):
    files = ["/usr/share/OVMF/OVMF_CODE.fd"]
    machine = ["qemu-system-x86_64", "-M", "q35", "-drive", "if=pflash,format=raw,readonly=on,file=" + files[0]]
    image = "ecu.efi"


class VirtEfi(Qemu):
    files = ["/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"]
    machine = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-bios", files[0]]
    image = "ecu-arm64.efi"


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def check_frames(frames, least, most):
    """Numbered status frames, all of one session; returns it."""
    ours = [f for f in frames if f[12:14] == b"\x88\xb5"]
    if not least <= len(ours) <= most:
        raise AssertionError(f"{len(ours)} frames, wanted {least} to {most}")
    sessions, last = set(), -1
    for i, frame in enumerate(ours):
        session, number, uptime = struct.unpack_from("<IIQ", frame, 30)
        same(frame[:6], b"\xff" * 6, "destination")
        same(frame[6:12].hex(":"), MAC, "source")
        same(frame[14:30].rstrip(b"\0").decode(), NAME, "name")
        same((len(frame), number), (60, i), "length and number of a frame")
        if uptime <= last:
            raise AssertionError(f"the uptime went from {last} to {uptime}")
        sessions.add(session)
        last = uptime
    same(len(sessions), 1, "sessions")
    return sessions.pop()


def run_to_the_end(machine):
    """Sends as many frames as its disk says, then powers off. Returns the session."""
    with tempfile.TemporaryDirectory() as folder:
        m = machine(folder, f"name={NAME} period=5 frames=12\n")
        status, serial = m.finish()
        if f"ecu: {NAME} starts" not in serial or "ecu: frames sent: 12" not in serial:
            raise AssertionError(f"the serial port says:\n{serial}")
        same(status, 0, "exit status")
        return check_frames(m.frames(), 12, 12)


def run_until_asked(machine):
    """Answers on its console, and ends when it is told to."""
    with tempfile.TemporaryDirectory() as folder:
        m = machine(folder, f"name={NAME} period=10 frames=100000\n")
        with m.attach() as console:
            console.sendall(b"a")
            answer = b""
            while not answer.endswith(b"\r\n"):
                part = console.recv(100)
                if not part:
                    raise AssertionError(f"the console ended after {answer!r}")
                answer += part
            same(answer, f"{NAME} is running\r\n".encode(), "answer")
            console.sendall(b"q")
            status, serial = m.finish()
        same(status, 0, "exit status")
        if "ecu: frames sent: " not in serial:
            raise AssertionError(f"the serial port says:\n{serial}")
        check_frames(m.frames(), 1, 100000)


def cases(machine):
    """Those of a machine, as tapmain.cases() takes them."""
    sessions, why = [], machine.missing()
    return [(f"{machine.__name__}: {name}", case, why) for name, case in [
        ("sends what its disk says, then powers off", lambda: sessions.append(run_to_the_end(machine))),
        ("answers on its console", lambda: run_until_asked(machine)),
        ("has another session at each start",
         lambda: same(run_to_the_end(machine) in sessions, False, "the same session"))]]


def main():
    machines = [Avp, Microvm, Virt, VirtGic3, Q35Efi, VirtEfi]
    return tapmain.cases([case for machine in machines for case in cases(machine)])


if __name__ == "__main__":
    sys.exit(main())
