#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/check-includes on this tree and on broken ones; tests/summary.py on logs of every kind."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CHECK = os.path.join(ROOT, "tools", "check-includes")
SUMMARY = os.path.join(ROOT, "tests", "summary.py")


def run(*argv):
    done = subprocess.run([sys.executable, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def test_this_tree():
    status, out = run(CHECK, ROOT)
    assert status == 0, out


def test_broken_trees():
    for path, include, good in (
            ("src/devices/x.c", '#include "transport/pci.h"', False),
            ("src/devices/x.c", '#include "engine/kvm.h"', False),
            ("src/transport/x.c", '  #  include "devices/blk.h"', False),
            ("src/base/x.h", '#include "virtio/queue.h"', False),
            ("src/host/x.h", '#include "virtio/queue.h"', False),
            ("src/engine/x.c", '#include "err.h"', False),
            ("drivers/x.c", '#include "base/err.h"', False),
            ("src/kernel/x.c", "", False),
            ("src/devices/x.c", '#include "host/disk.h"\n#include <linux/virtio_ids.h>', True),
            ("src/cli/x.c", '#include "engine/kvm.h"', True),
            ("drivers/x.c", '#include "ring.h"', True)):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "src"))
            write(os.path.join(root, path), include + "\n")
            status, out = run(CHECK, root)
            assert (status == 0) == good, f"{path} {include}: {status} {out}"
            assert good or path.split("/x")[0] in out, out


def summarize(*entries):
    with tempfile.TemporaryDirectory() as root:
        path = os.path.join(root, "build", "meson-logs", "testlog.json")
        write(path, "".join(json.dumps(entry) + "\n" for entry in entries))
        status, out = run(SUMMARY, path)
    return status, out.splitlines()


def entry(name, result, stdout):
    return {"name": name, "result": result, "stdout": stdout}


def test_summary_counts():
    status, lines = summarize(entry("a", "OK", "ok 1 - x\nok 2 - y # SKIP no disk\n1..2\n"),
                              entry("b", "FAIL", "1..2\nok 1 - x\n# why\nnot ok 2 - y\n"),
                              entry("c", "SKIP", "1..0 # SKIP no KVM\n"), entry("d", "OK", ""))
    assert status == 1 and lines[-1] == "3 passed, 1 failed, 2 skipped", lines
    assert "failed: build: b: y" in lines and any("no KVM" in line for line in lines), lines


def test_summary_of_what_passed():
    status, lines = summarize(entry("a", "OK", "ok 1 - x\n1..1\n"))
    assert status == 0 and lines == ["1 passed, 0 failed, 0 skipped"], lines


def test_summary_of_failures_without_a_case():
    for result, text in (("TIMEOUT", "ok 1 - x\n"), ("ERROR", "ok 1 - x\n1..1\n"), ("FAIL", ""),
                         ("ERROR", "ok 1 - x\n1..3\n"), ("ERROR", "Bail out! no\n")):
        status, lines = summarize(entry("a", result, text))
        assert status == 1 and " 1 failed, " in lines[-1], (result, text, lines)


def test_summary_without_log():
    status, out = run(SUMMARY, "/nonexistent/log.json")
    assert status == 1 and "1 failed" in out, out
    status, lines = summarize()
    assert status == 1 and "0 passed, 1 failed" in lines[-1], lines


def main():
    tests = [(name, f) for name, f in globals().items() if name.startswith("test_")]
    failed = 0
    for n, (name, function) in enumerate(tests, 1):
        try:
            function()
            print(f"ok {n} - {name[5:].replace('_', ' ')}")
        except AssertionError as e:
            failed += 1
            print("".join(f"# {line}\n" for line in str(e).splitlines()) + f"not ok {n} - {name[5:].replace('_', ' ')}")
    print(f"1..{len(tests)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
