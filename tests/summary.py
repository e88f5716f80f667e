#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the cases of all tests from meson's logs (testlog.json of one or several builds).

Lists the reasons of skips, then failures with what they said, so that the end of a long log is what has to be read; the
last line is "N passed, N failed, N skipped". Exit status 1 if anything failed, or if a log is missing or says nothing."""
import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b[ \t]*\d*[ \t]*-?[ \t]*(.*?)(?:\s*#\s*(SKIP)\b\S*\s*(.*))?$", re.IGNORECASE)
BAIL_OUT = re.compile(r"^Bail out!\s*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*SKIP\S*\s*(.*))?$", re.IGNORECASE)
GOOD = ("OK", "SKIP", "EXPECTEDFAIL")
SAID = 20  # lines of a failed program's diagnostics, and of its standard error, that are repeated


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = {}  # reason: cases
        self.said = []  # what programs with failures said

    def skip(self, what, why):
        self.skipped.setdefault(why or "no reason given", []).append(what)


def count_case(count, test, match):
    failed, what, skipped, why = match.groups()
    name = f"{test}: {what}"
    if skipped:
        count.skip(name, why)
    elif failed:
        count.failed.append(name)
    else:
        count.passed += 1


def count_tap(count, test, text):
    """Counts the cases of one program's output; returns their number, and how many there should have been."""
    cases, planned = 0, None
    for line in text.splitlines():
        plan = PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
            if planned == 0:
                count.skip(test, plan.group(2))
                return 1, 1
        match = CASE.match(line)
        if match:
            cases += 1
            count_case(count, test, match)
        bail = BAIL_OUT.match(line)
        if bail:
            count.failed.append(f"{test}: {bail.group(1)}")
    return cases, planned


def words_of(entry):
    """What a program with failures said of them: the diagnostics before and after failed cases, the end of its errors."""
    words, before, failed = [], [], False
    for line in (entry.get("stdout") or "").splitlines():
        match = CASE.match(line)
        if match:
            failed = bool(match.group(1)) and not match.group(3)
            words += before + [line] if failed else []
            before = []
        elif line.startswith("#"):
            (words if failed else before).append(line)
    return words[-SAID:] + (entry.get("stderr") or "").splitlines()[-SAID:]


def count_test(count, build, entry):
    test = f"{build}: {entry['name']}"
    result = entry["result"]
    before = len(count.failed)
    cases, planned = count_tap(count, test, entry.get("stdout") or "")
    if cases == 0 and result == "OK":
        count.passed += 1
    elif cases == 0 and result == "SKIP":
        count.skip(test, None)
    elif planned is not None and planned > cases:
        count.failed.append(f"{test}: only {cases} of {planned} cases were run")
    # A program that fails as a whole (time limit, crash, sanitizer) is a failure even if all its cases passed.
    if result not in GOOD and len(count.failed) == before:
        count.failed.append(f"{test}: {result.lower()}")
    if len(count.failed) > before:
        count.said += [f"{test}: {line}" for line in words_of(entry)]


def count_log(count, path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            entries = [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError) as e:
        count.failed.append(f"{path}: {e}")
        return
    if not entries:
        count.failed.append(f"{path}: no test was run")
    build = path.split("/")[-3] if path.count("/") >= 2 else path
    for entry in entries:
        count_test(count, build, entry)


def main(paths):
    count = Count()
    for path in paths:
        count_log(count, path)
    if not paths:
        count.failed.append("usage: summary.py testlog.json...")
    for why, names in count.skipped.items():
        print(f"skipped ({len(names)}): {why}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    for line in count.said:
        print(f"said: {line}")
    for name in count.failed:
        print(f"failed: {name}")
    skipped = sum(len(names) for names in count.skipped.values())
    print(f"{count.passed} passed, {len(count.failed)} failed, {skipped} skipped")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
