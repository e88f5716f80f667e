#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The bare-metal guest under a watchdog (guests/watched) on QEMU's machines: it feeds the watchdog, hangs when it is told to,
and hears the power button."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

IMAGES = os.path.abspath(sys.argv[1])
LIMIT = 60  # seconds for anything to happen; more than ever needed
Q35 = ["qemu-system-x86_64", "-M", "q35", "-kernel", os.path.join(IMAGES, "watched.elf")]
VIRT = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a57",
        "-kernel", os.path.join(IMAGES, "watched.img")]
DOG = ["-device", "i6300esb", "-watchdog-action", "reset"]


class Guest:
    """A machine whose serial port is a file, and its QMP."""

    def __init__(self, machine, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="avp-watched-")
        self.serial = os.path.join(self.folder.name, "serial")
        qmp = os.path.join(self.folder.name, "qmp")
        with open(self.serial, "w", encoding="ascii"):
            pass
        self.process = subprocess.Popen(
            machine + ["-accel", "tcg", "-m", "64M", "-nodefaults", "-no-reboot", "-display", "none",
                       "-serial", "file:" + self.serial, "-qmp", f"unix:{qmp},server=on,wait=on", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.qmp = socket.socket(socket.AF_UNIX)
        self.qmp.settimeout(LIMIT)
        end = time.monotonic() + LIMIT
        while True:
            try:
                self.qmp.connect(qmp)
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.02)
        self.lines = self.qmp.makefile("r")
        self.command("qmp_capabilities")

    def command(self, name):
        """A machine that has ended meanwhile hears nothing; what waits for it will see that."""
        try:
            self.qmp.sendall(json.dumps({"execute": name}).encode() + b"\n")
        except BrokenPipeError:
            pass

    def event(self, name):
        """True when it comes, False if the machine ends without. It may end before it has read all that was sent."""
        try:
            return any(json.loads(line).get("event") == name for line in self.lines)
        except ConnectionResetError:
            return False

    def output(self):
        with open(self.serial, encoding="ascii", errors="replace") as f:
            return f.read().replace("\r", "")

    def wait_output(self, text):
        end = time.monotonic() + LIMIT
        while text not in self.output():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"no {text!r} in {self.output()!r}")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qmp.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def hangs():
    """Twenty feedings last longer than the watchdog alone would wait; after them it bites."""
    start = time.monotonic()
    with Guest(Q35, *DOG, "-append", "timeout=1000 period=100 feed=20") as guest:
        bitten = guest.event("WATCHDOG")
    wanted = "watched: i6300ESB watchdog\nwatched: feeding\nwatched: hanging\n"
    if not bitten or guest.output() != wanted or time.monotonic() - start < 2:
        raise AssertionError(f"watchdog: {bitten}, output {guest.output()!r}")


def fed():
    """As long as it is fed nothing happens, and the power button is heard."""
    with Guest(Q35, *DOG, "-append", "timeout=3000 period=300") as guest:
        guest.wait_output("feeding")
        time.sleep(7)  # more than two timeouts
        guest.command("system_powerdown")
        bitten = guest.event("WATCHDOG")
    if bitten or not guest.output().endswith("watched: switching off\n"):
        raise AssertionError(f"watchdog: {bitten}, output {guest.output()!r}")


def no_watchdog():
    for machine in (Q35, VIRT):
        with Guest(machine) as guest:
            guest.event("SHUTDOWN")
        if "this machine has no watchdog" not in guest.output():
            raise AssertionError(guest.output())


def main():
    why = None if all(shutil.which(m[0]) for m in (Q35, VIRT)) else "no QEMU (make deps)"
    return tapmain.cases([("bites when the guest hangs", hangs, why), ("nothing while it is fed; power button", fed, why),
                          ("a machine without a watchdog", no_watchdog, why)])


if __name__ == "__main__":
    sys.exit(main())
