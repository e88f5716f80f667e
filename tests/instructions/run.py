#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares how many instructions devices execute for each request with the file `counts`, by callgrind.

More than recorded by the tolerance or more fails; fewer is said. Counts depend on compiler and C library, so with
others than the recorded ones the test skips. `make instructions` records what is, with --update.
usage: run.py REQUESTS COMPILER BUILDTYPE SANITIZER [--update]
"""
import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

COUNTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "counts")
TOLERANCE = 0.05
REQUESTS = 100  # as in inproc.c
# memcpy() and its like are the same on every processor.
TUNABLES = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM"
HEAD = "# Instructions that a device executes for one request, its turns of the event loop included; system calls count as one.\n"


def toolchain(compiler):
    valgrind = subprocess.run(["valgrind", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"{compiler}, {os.confstr('CS_GNU_LIBC_VERSION')}, {valgrind}, {platform.machine()}"


def recorded():
    """Toolchain and counts by name."""
    if not os.path.exists(COUNTS):
        return "", {}
    with open(COUNTS) as f:
        lines = f.read().splitlines()
    with_what = [line.partition(": ")[2] for line in lines if line.startswith("# with: ")]
    return with_what[0], {name: int(count) for count, name in
                          (line.split(maxsplit=1) for line in lines if line and line[0] != "#")}


def measure(program):
    """Instructions of a request by its name, in the order in which they were counted."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out", program],
            env={"PATH": os.environ["PATH"], "GLIBC_TUNABLES": TUNABLES}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise SystemExit("Bail out! " + result.stdout[-800:].replace("\n", "\n# "))
        counts = {}
        for path in sorted(glob.glob(f"{folder}/out.*"), key=lambda p: int(p.rpartition(".")[2])):
            with open(path) as f:
                text = f.read()
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
            if name and total:
                counts[name[1]] = round(int(total[1]) / REQUESTS)
        return counts


def record(counts, with_what):
    with open(COUNTS, "w") as f:
        f.write(f"{HEAD}# with: {with_what}\n")
        f.writelines(f"{count:7} {name}\n" for name, count in counts.items())


def compare(counts, old):
    """TAP; True if nothing costs more."""
    names = list(counts) + [name for name in old if name not in counts]
    good = 0
    print(f"1..{len(names)}")
    for i, name in enumerate(names, 1):
        now, before = counts.get(name), old.get(name)
        ok = None not in (now, before) and now <= before * (1 + TOLERANCE)
        good += ok
        print(f"{'ok' if ok else 'not ok'} {i} - {name}")
        if None in (now, before) or abs(now - before) > before * TOLERANCE:
            print(f"# {name}: {now} instructions, recorded {before}; make instructions records what is")
    return good == len(names)


def main():
    program, compiler, buildtype, sanitizer = sys.argv[1:5]
    why = None
    if shutil.which("valgrind") is None:
        why = "valgrind is not installed (make deps)"
    elif sanitizer != "none" or buildtype != "debugoptimized":
        why = f"only -O2 without sanitizers is compared, not {buildtype} with {sanitizer}"
    elif "--update" not in sys.argv and recorded()[0] != toolchain(compiler):
        why = f"recorded with {recorded()[0]}, this is {toolchain(compiler)}"
    if why:
        print("1..0 # SKIP", why)
        return 0
    counts = measure(program)
    if "--update" in sys.argv:
        record(counts, toolchain(compiler))
        return 0
    return 0 if compare(counts, recorded()[1]) else 1


if __name__ == "__main__":
    sys.exit(main())
