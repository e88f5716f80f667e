#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""test_evdev on the kernel of the emulated board, which has uinput. usage: test_evdev_board.py AVP TEST_EVDEV"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/board"))
import guests  # noqa: E402


def main():
    guests.need_board()
    avp, program = (os.path.abspath(path) for path in sys.argv[1:3])
    shares = {os.path.dirname(avp), os.path.dirname(program)} - {ROOT}
    command = [avp, "board", *(f"--share={path}" for path in sorted(shares)), "--", "/usr/bin/env", "AVP=" + avp, program]
    cases = 0
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as board:
        for line in board.stdout:
            cases += bool(re.match(r"(not )?ok \d", line))
            print(line if re.match(r"(not )?ok \d|1\.\.\d|#", line) else f"# {line}", end="", flush=True)
    # It skips where there is no uinput; the board is there for that.
    sys.exit(board.returncode or not cases)


if __name__ == "__main__":
    main()
