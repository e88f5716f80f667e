# SPDX-License-Identifier: BSD-3-Clause
"""The main program of a test script: functions that raise if something is wrong, each with a folder of its own."""
import tempfile
import traceback


def main(tests):
    """Runs them all, writes TAP; returns the exit status."""
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                good = True
            except Exception:  # whatever it is, the next test is run
                good = False
                for line in traceback.format_exc().splitlines():
                    print("#", line[:1000])
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {test.__name__}", flush=True)
    return 1 if failed else 0
