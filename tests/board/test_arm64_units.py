#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The unit tests of the arm64 build, on the arm64 board: one start of it for all. usage: test_arm64_units.py AVP"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import arm64
import guests

AVP = os.path.abspath(sys.argv[1])
LIMIT = 3600  # for all of them, on a machine that is busy with other things
PATIENCE = 10  # times a test's own limit, which is made for a processor that is not emulated
# Minutes of random damage, deaths and combinations that are the same on every processor,
ELSEWHERE = {"virtio-hostile", "virtio-property", "vhost_user_frontend", "vhost_user_hostile", "drivers-hostile",
             "drivers-classes"}
# and what needs a file system on a disk, the programs of this computer, or a device of its kernel (uinput).
ELSEWHERE |= {"disk", "blk", "blk-process", "net-process", "conformance-target", "sensor", "scmi-sensors", "evdev"}
INSIDE = "/avp"  # where the board has the build


def inside(path):
    return path.replace(arm64.BUILD, INSIDE)


def unit_tests():
    """The programs among the tests of the arm64 build: name, command in the board, limit."""
    listed = subprocess.run(["meson", "introspect", "--tests", arm64.BUILD], stdout=subprocess.PIPE, check=True)
    for test in json.loads(listed.stdout):
        if test["cmd"][0].startswith(os.path.join(arm64.BUILD, "tests")) and test["name"] not in ELSEWHERE:
            words = ["env"] + [f"{key}={inside(value)}" for key, value in test["env"].items()]
            words += ["timeout", str(PATIENCE * test["timeout"])] + [inside(word) for word in test["cmd"]]
            yield test["name"], shlex.join(words)


def script(tests):
    lines = ["cd /tmp"]
    for name, command in tests:
        lines.append(f"{command} >$1/{name}.out 2>&1; echo $? >$1/{name}.status")
    return "\n".join(lines) + "\n"


def read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def expect_passed(folder, name):
    status, output = read(folder, f"{name}.status").strip(), read(folder, f"{name}.out")
    lines = output.splitlines()
    bad = [line for i, line in enumerate(lines) if any(after.startswith("not ok") for after in lines[i:i + 6])]
    if status != "0" or bad or not re.search(r"(?m)^1\.\.\d+", output):
        raise guests.Failure(f"status {status or 'none: it did not run'}\n" + "\n".join((bad or lines)[-60:]))


def main():
    arm64.need_board()
    tests = list(unit_tests())
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-arm64-") as folder:
        runtime = os.path.join(folder, "run")
        os.mkdir(runtime, 0o700)
        path = os.path.join(folder, "all.sh")
        with open(path, "w", encoding="utf-8") as f:
            f.write(script(tests))
        _, output = arm64.on_board(AVP, runtime, ["sh", path, folder], LIMIT, "--share", folder)
        for line in output.splitlines():
            print(f"# {line}")
        for name, _ in tests:
            tap.run(name, expect_passed, folder, name)
    tap.done()


if __name__ == "__main__":
    main()
