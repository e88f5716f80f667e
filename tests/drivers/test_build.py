#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""drivers/ as an RTOS would take it: freestanding on three architectures, nothing needed but four
functions, no data of its own, and small; and the example of docs/drivers.md compiles.
Usage: test_build.py PROJECT_FOLDER"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

TARGETS = (
    ("x86-64", ["--target=x86_64-none-elf", "-mgeneral-regs-only"]),
    ("arm64", ["--target=aarch64-none-elf", "-mgeneral-regs-only"]),
    ("Cortex-R52", ["--target=armv8r-none-eabi", "-mcpu=cortex-r52", "-mfloat-abi=soft"]),
    ("Cortex-R52, Thumb", ["--target=armv8r-none-eabi", "-mcpu=cortex-r52", "-mfloat-abi=soft", "-mthumb"]),
)
FLAGS = ["-std=gnu17", "-ffreestanding", "-nostdlib", "-nostdinc", "-Os", "-Wall", "-Wextra", "-Werror",
         "-Wundef", "-Wshadow", "-Wmissing-prototypes", "-Wcast-align", "-fno-stack-protector"]
# What a compiler may call whatever the source says (GCC and clang both).
ALLOWED = {"memcpy", "memset", "memmove", "memcmp"}
# The same by Arm's names, and division, which every compiler's runtime has.
RUNTIME = re.compile(r"__aeabi_(mem(cpy|set|move|clr)[48]?|u?l?i?div(mod)?)$")
# Lines of code of .c and .h together: neither blank nor comment.
LINES_MAX = 6000


def tool(name):
    return shutil.which(name) or shutil.which(name + "-14") or name


def run(*words):
    p = subprocess.run(words, capture_output=True, text=True, check=False)
    return p.returncode, p.stdout, p.stderr


def headers():
    """Where the compiler's own stddef.h, stdint.h and stdbool.h are; no C library's."""
    return os.path.join(run(tool("clang"), "-print-resource-dir")[1].strip(), "include")


def compile_all(folder, flags, out):
    """None, or what the compiler said."""
    for path in sorted(glob.glob(os.path.join(folder, "*.c"))):
        obj = os.path.join(out, os.path.basename(path)[:-1] + "o")
        code, _, said = run(tool("clang"), *flags, *FLAGS, "-isystem", headers(), "-c", path, "-o", obj)
        if code:
            return said
    return None


def undefined(out):
    """What the objects together need from outside."""
    defined, needed = set(), set()
    for line in run(tool("llvm-nm"), *glob.glob(os.path.join(out, "*.o")))[1].splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "U":
            needed.add(words[1])
        elif len(words) == 3 and words[1] in "TDBRVW":
            defined.add(words[2])
    return needed - defined


def sizes(out):
    """Bytes of code and constants, of data, and of zeroed data."""
    total = [0, 0, 0]
    for line in run(tool("llvm-size"), *glob.glob(os.path.join(out, "*.o")))[1].splitlines()[1:]:
        for i, n in enumerate(line.split()[:3]):
            total[i] += int(n)
    return total


def check_target(name, flags, folder):
    """Lines that say what is wrong."""
    with tempfile.TemporaryDirectory() as out:
        said = compile_all(folder, flags, out)
        if said:
            return said.splitlines()
        text, data, bss = sizes(out)
        print(f"# {name}: {text} bytes of code, {data} of data, {bss} zeroed")
        needed = undefined(out)
        print(f"# {name}: calls {' '.join(sorted(needed))}")
        lines = [f"needs {s}" for s in sorted(needed - ALLOWED) if not RUNTIME.match(s)]
        if data or bss:
            lines.append("has writable data")
        return lines


def lines_of_code(folder, pattern):
    n = 0
    for path in glob.glob(os.path.join(folder, pattern)):
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        n += sum(1 for line in text.splitlines() if line.strip())
    return n


def example_compiles(project):
    """Whether the first block of C in the manual does."""
    with open(os.path.join(project, "docs/drivers.md"), encoding="utf-8") as f:
        text = f.read().split("```c\n")[1].split("```")[0]
    with tempfile.TemporaryDirectory() as out:
        path = os.path.join(out, "example.c")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        flags = [f for f in FLAGS if f != "-Wmissing-prototypes"] + ["-Wno-unused-parameter", "-I", project]
        code, _, said = run(tool("clang"), *TARGETS[1][1], *flags, "-isystem", headers(), "-c", path, "-o", path + ".o")
    for line in said.splitlines():
        print(f"# {line}")
    return code == 0


def main(project):
    folder = os.path.join(project, "drivers")
    failed = 0
    n = 0
    for n, (name, flags) in enumerate(TARGETS, 1):
        wrong = check_target(name, flags, folder)
        for line in wrong:
            print(f"# {line}")
        print(f"{'not ok' if wrong else 'ok'} {n} - {name}")
        failed += bool(wrong)
    code = lines_of_code(folder, "*.[ch]")
    print(f"# {code} lines of code, of which {lines_of_code(folder, '*.h')} in headers")
    print(f"{'ok' if code < LINES_MAX else 'not ok'} {n + 1} - fewer than {LINES_MAX} lines of code")
    good = example_compiles(project)
    print(f"{'ok' if good else 'not ok'} {n + 2} - the example of the manual")
    print(f"1..{n + 2}")
    return failed or code >= LINES_MAX or not good


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1]) else 0)
