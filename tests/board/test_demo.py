#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make demo` as a test: all guests, every check, exit status, nothing left behind; with a folder of the images of
guests/watched `make demo-arm64`. usage: test_demo.py AVP [FOLDER]"""
import os
import re
import subprocess
import sys

import arm64
import guests

LINE = re.compile(r"^(\S.*?)?\s+(ivi|cluster|brake)\s+(ok|FAILED)\s")
LINUX, WATCHED = 11, 3  # checks of a guest


def place_for(images):
    """The system, further options of the demo, and how many checks there are."""
    if not images:
        guests.need_board()
        return guests.Place(), [], 2 * LINUX
    arm64.need_board()
    if not os.path.exists(os.path.join(images, "watched.img")):
        guests.skip_all("no image of the guest under a watchdog: it needs clang and lld")
    place = guests.Place("arm64", "guests-arm64", os.path.abspath(images))
    os.environ.update(arm64.environment(place.runtime))
    return place, ["--watched", "brake"], 2 * LINUX + WATCHED


def main():
    place, options, checks = place_for(sys.argv[2] if len(sys.argv) > 2 else None)
    tap = guests.Tap()
    run = subprocess.run([os.path.join(guests.ROOT, "tools/demo"), "--avp", sys.argv[1], "--runtime", place.runtime,
                          *options, place.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    for line in run.stdout.splitlines():
        print(f"# {line}")

    what = ""
    for line in run.stdout.splitlines():
        row = LINE.match(line)
        if row:
            what = row[1] or what
            tap.run(f"{row[2]}: {what}", check, row[3] == "ok")
    tap.run(f"{checks} checks", check, tap.n == checks, tap.n)
    tap.run("exit status 0", check, run.returncode == 0)
    tap.run("no file left", check, not place.remains(), place.remains())
    tap.run("no process left", check, not place.processes(), place.processes())
    tap.done()


def check(held, detail=""):
    if not held:
        raise guests.Failure(detail)


if __name__ == "__main__":
    main()
