#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Systems of arm64 guests on the emulated arm64 board, bare-metal ones, which take seconds: the board is chosen by itself,
ps, console, stop, exit status, nothing left behind. usage: test_arm64.py AVP FOLDER-OF-THE-ECU'S-IMAGES"""
import os
import re
import subprocess
import sys
import tempfile

import arm64
import guests
from guests import Failure

LIMIT = 120  # seconds for anything to happen, on a machine that is busy with other things
AVP, IMAGES = (os.path.abspath(path) for path in sys.argv[1:3])
ECU = """  {name}:
    memory: 32M
    boot: {{kernel: {kernel}}}
    serial: {name}.log
    devices:
      - {{type: blk, image: {name}.img}}
      - {{type: net, switch: car}}
      - {{type: console}}
      - {{type: rng}}
"""


class Place:
    """A folder with control units, and a run-time folder."""

    def __init__(self, folder):
        self.path = folder
        self.runtime = os.path.join(folder, "run")
        self.file = os.path.join(folder, "car.yaml")
        os.mkdir(self.runtime, 0o700)

    def write(self, kernel="ecu.img", **units):
        """A system of units: name=configuration."""
        text = "grace: 20s\nvms:\n"
        for name, config in units.items():
            text += ECU.format(name=name, kernel=os.path.join(IMAGES, kernel))
            with open(os.path.join(self.path, f"{name}.img"), "wb") as f:
                f.write(f"name={name} {config}\n".encode())
                f.truncate(1 << 20)
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text + "switches:\n  car: {}\n")

    def serial(self, name):
        with open(os.path.join(self.path, f"{name}.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def avp(self, *args):
        return subprocess.run([AVP, *args], env=arm64.environment(self.runtime), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)

    def expect_nothing_left(self):
        left = [os.path.join(where, name) for where, _, names in os.walk(self.runtime) for name in names]
        if left:
            raise Failure(f"left: {left}")

    def start(self, output, *args):
        os.environ.update(arm64.environment(self.runtime))
        return guests.System(AVP, self.file, self.runtime, args, output)


def expect(held, detail):
    if not held:
        raise Failure(detail)


def test_by_itself(place):
    """Two units that count their frames and power off: the board of their architecture is chosen, and ends with them."""
    place.write(left="period=200 frames=10", right="period=300 frames=12")
    done = place.avp("run", place.file)
    expect(done.returncode == 0, f"status {done.returncode}:\n{done.stdout}")
    expect("the guests are for arm64" in done.stdout, done.stdout)
    for name, frames in (("left", 10), ("right", 12)):
        expect(f"frames sent: {frames}" in place.serial(name), f"{name}: {place.serial(name)}")
    place.expect_nothing_left()


def test_mixed(place):
    """One system cannot have guests of two architectures."""
    place.write(left="frames=1")
    with open(place.file, encoding="utf-8") as f:
        text = f.read()
    with open(place.file, "w", encoding="utf-8") as f:
        f.write(text.replace("switches:", ECU.format(name="right", kernel=os.path.join(IMAGES, "ecu.elf")) + "switches:"))
    done = place.avp("run", place.file)
    expect(done.returncode == 1 and "'left' is for arm64, VM 'right' for x86-64" in done.stdout,
           f"status {done.returncode}: {done.stdout}")


def test_missing_program(place):
    """Without an avp for arm64 nothing starts, and it says what to do."""
    place.write(left="frames=1")
    done = subprocess.run([AVP, "run", place.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(arm64.environment(place.runtime), AVP_BOARD_AVP=os.path.join(place.path, "none")),
                          timeout=LIMIT, check=False)
    expect(done.returncode == 1 and "none" in done.stdout and "No such file" in done.stdout,
           f"status {done.returncode}: {done.stdout}")


def test_verified(place):
    """Of two units with signed kernels and device trees the one whose tree was changed is refused, and the other one
    runs."""
    place.write(left="period=200 frames=10", right="period=200 frames=10")
    private, public = os.path.join(place.path, "private.pem"), os.path.join(place.path, "public.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    with open(place.file, encoding="utf-8") as f:
        text = f.read()
    for name in ("left", "right"):
        tree = os.path.join(place.path, f"{name}.dtb")
        done = place.avp("dtb", place.file, name, "--out", tree)
        expect(done.returncode == 0, done.stdout)
        head, rest = text.split(f"  {name}:")
        text = f"{head}  {name}:" + rest.replace("ecu.img}", f"ecu.img, dtb: {tree}, key: {public}, "
                                                 f"manifest: {name}.manifest}}", 1)
    with open(place.file, "w", encoding="utf-8") as f:
        f.write(text)
    for name in ("left", "right"):
        done = place.avp("sign", place.file, name, "--key", private)
        expect(done.returncode == 0 and "covers kernel, dtb" in done.stdout, done.stdout)
    with open(os.path.join(place.path, "right.dtb"), "r+b") as f:
        f.seek(100)
        byte = f.read(1)[0]
        f.seek(100)
        f.write(bytes([byte ^ 1]))
    done = place.avp("run", place.file)
    expect(done.returncode == 1 and "right: error: boot refused" in done.stdout, f"{done.returncode}:\n{done.stdout}")
    expect("the dtb is not what was signed" in done.stdout and "left: boot verified" in done.stdout, done.stdout)
    expect("frames sent: 10" in place.serial("left"), place.serial("left"))
    place.expect_nothing_left()


def test_board_command(place):
    """Any program, with its output and its status."""
    status, output = arm64.on_board(AVP, place.runtime, ["sh", "-c", "uname -m; exit 7"], LIMIT)
    expect(status == 7 and "\naarch64\n" in "\n" + output, f"status {status}: {output}")
    place.expect_nothing_left()


def test_commands(place, log):
    """ps, console, stop, and an end by force, whose status is 1."""
    place.write(left="period=500 frames=100000", right="period=500 frames=100000")
    system = place.start(log, "--board", "arm64")
    try:
        system.wait_running(LIMIT)
        shown = place.avp("ps")
        expect(re.search(r"\bleft\b.*running", shown.stdout) and "right/rng0" in shown.stdout, shown.stdout)
        console = system.stream(cmd="console", vm="left", seconds=LIMIT)
        console.send(b"x")
        console.expect(rb"left is running", LIMIT)
        console.send(b"q")  # switches it off
        shown = place.avp("stop", "right", "--force")
        expect(shown.returncode == 0, shown.stdout)
        expect(system.wait(LIMIT) == 1, "a guest that was ended by force is a status of 1")
    finally:
        system.end()
    place.expect_nothing_left()


def case(tap, name, function, *args):
    with tempfile.TemporaryDirectory(prefix="avp-arm64-") as folder:
        tap.run(name, function, Place(folder), *args)


def main():
    arm64.need_board()
    if not os.path.exists(os.path.join(IMAGES, "ecu.img")):
        guests.skip_all("no images of the control unit: they need clang and lld")
    tap = guests.Tap()
    case(tap, "two units: the board by itself, to the end", test_by_itself)
    case(tap, "guests of two architectures are refused", test_mixed)
    case(tap, "no avp for arm64", test_missing_program)
    case(tap, "verified boot with a device tree", test_verified)
    case(tap, "avp board", test_board_command)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        case(tap, "ps, console, stop by force", test_commands, log)
        log.seek(0)
        for line in log.read().splitlines() if tap.failed else ():
            print(f"# {line}")
    tap.done()


if __name__ == "__main__":
    main()
