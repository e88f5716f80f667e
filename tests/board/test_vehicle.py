#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make demo-vehicle` as a test: the gateway example, every check, nothing left behind.

usage: test_vehicle.py AVP IMAGES none|linux|arm64
IMAGES is the folder of guests/ecu. `none`: bare-metal guests on this computer's KVM; `linux`: two of them are Linux guests, on
the board; `arm64`: bare-metal guests on the arm64 board."""
import os
import re
import subprocess
import sys
import tempfile

import arm64
import guests

CHECKS = 9
ROW = re.compile(r"^(\S.*?)\s{2,}(ok|FAILED)\s")


def need(where, images):
    """Skips, with the reason, where it cannot run."""
    if not os.path.exists(os.path.join(images, "cluster.elf")):
        guests.skip_all("no images of the guests: they need clang and lld")
    if where == "none" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        guests.skip_all("/dev/kvm is missing")
    if where == "linux":
        guests.need_board()
    if where == "arm64":
        arm64.need_board()


def write_example(folder, path, images, where):
    if where == "linux":
        subprocess.run(["make", "-s", "-C", guests.ROOT, "BUILD=" + folder, "guests-vehicle"], stdout=subprocess.DEVNULL, check=True)
    example = "gateway-linux.yaml" if where == "linux" else "gateway.yaml"
    with open(os.path.join(guests.ROOT, "examples", example), encoding="utf-8") as f:
        text = f.read()
    text = text.replace("../build/guests/ecu/", images + "/").replace("../build/guests-vehicle", folder + "/guests-vehicle")
    text = text.replace("replay: drive", f"replay: {guests.ROOT}/examples/drive")
    if where == "arm64":
        text = text.replace(".elf}", ".img}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def check(held, detail=""):
    guests.expect(held, detail)


def main():
    avp, images, where = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
    need(where, images)
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-vehicle-") as folder:
        file = os.path.join(folder, "gateway.yaml")
        runtime = os.path.join(folder, "run")
        os.mkdir(runtime, 0o700)
        write_example(folder, file, images, where)
        run = subprocess.run(
            [os.path.join(guests.ROOT, "tools/demo-vehicle"), "--avp", avp, "--runtime", runtime,
             *(["--board", "none"] if where == "none" else []), file],
            env=arm64.environment(runtime) if where == "arm64" else None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        left = [name for _, _, names in os.walk(os.path.join(runtime, "avp")) for name in names]
    for line in run.stdout.splitlines():
        print(f"# {line}")
    for line in run.stdout.splitlines():
        row = ROW.match(line)
        if row:
            tap.run(row[1], check, row[2] == "ok")
    tap.run(f"{CHECKS} checks", check, tap.n == CHECKS, tap.n)
    tap.run("exit status 0", check, run.returncode == 0, run.returncode)
    tap.run("no file left", check, not left, left)
    tap.done()


if __name__ == "__main__":
    main()
