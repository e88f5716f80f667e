#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The cases of test_isolation.py that need the kernel's controllers of processor and memory, in the emulated board,
whose kernel has them all. It has one processor, so a real-time guest is not tried there."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/board"))
import guests  # noqa: E402

CASES = ["weights", "processor_limit", "memory_limit", "groups_of_a_killed_system", "delegated_group", "policies",
         "locked_memory"]


def main():
    guests.need_board()
    avp, payload = (os.path.abspath(path) for path in sys.argv[1:3])
    shares = {os.path.dirname(avp), os.path.dirname(payload)} - {ROOT}
    command = [avp, "board", *(f"--share={path}" for path in sorted(shares)), "--", "/usr/bin/python3",
               os.path.join(HERE, "test_isolation.py"), avp, payload, *CASES]
    cases = 0
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as board:
        for line in board.stdout:
            tap = re.match(r"(not )?ok \d|1\.\.\d|#", line)
            cases += bool(re.match(r"(not )?ok \d", line))
            print(line if tap else f"# {line}", end="", flush=True)
    # Everything was tried, and for that the board is there: a case that is skipped would be no news.
    sys.exit(board.returncode or cases != len(CASES))


if __name__ == "__main__":
    main()
