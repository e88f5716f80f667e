# SPDX-License-Identifier: BSD-3-Clause
"""The main program of a test script: functions that raise if something is wrong, each with a folder of its own."""
import tempfile
import traceback


def run(number, name, case):
    """One case, which raises if something is wrong; returns whether it passed."""
    try:
        case()
        good = True
    except Exception:  # whatever it is, the next case is run
        good = False
        for line in traceback.format_exc().splitlines():
            print("#", line[:1000])
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    return good


def cases(listed):
    """Runs (name, function, why it cannot run here or None), writes TAP; returns the exit status."""
    failed = 0
    print(f"1..{len(listed)}")
    for number, (name, case, why) in enumerate(listed, 1):
        if why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        else:
            failed += not run(number, name, case)
    return 1 if failed else 0


def main(tests):
    """Runs them all, writes TAP; returns the exit status."""
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            failed += not run(number, test.__name__, lambda test=test, folder=folder: test(folder))
    return 1 if failed else 0
