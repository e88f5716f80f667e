#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make demo` as a test: both guests, every check, exit status, nothing left behind."""
import os
import re
import subprocess
import sys

import guests

LINE = re.compile(r"^(\S.*?)?\s+(ivi|cluster)\s+(ok|FAILED)\s")


def main():
    guests.need_board()
    tap = guests.Tap()
    place = guests.Place()
    run = subprocess.run([os.path.join(guests.ROOT, "tools/demo"), "--avp", sys.argv[1], "--runtime", place.runtime,
                          place.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    for line in run.stdout.splitlines():
        print(f"# {line}")

    what = ""
    for line in run.stdout.splitlines():
        row = LINE.match(line)
        if row:
            what = row[1] or what
            tap.run(f"{row[2]}: {what}", check, row[3] == "ok")
    tap.run("ten checks in each of two guests", check, tap.n == 20)
    tap.run("exit status 0", check, run.returncode == 0)
    tap.run("no file left", check, not place.remains(), place.remains())
    tap.run("no process left", check, not place.processes(), place.processes())
    tap.done()


def check(held, detail=""):
    if not held:
        raise guests.Failure(detail)


if __name__ == "__main__":
    main()
