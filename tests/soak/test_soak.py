#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The short form of tools/soak: a few rounds of all guests and an operator; no more descriptors and threads at the end.
usage: test_soak.py AVP"""
import importlib.machinery
import importlib.util
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
import tapmain  # noqa: E402

AVP = os.path.abspath(sys.argv[1])
loader = importlib.machinery.SourceFileLoader("soak", os.path.join(HERE, "../../tools/soak"))
soak = importlib.util.module_from_spec(importlib.util.spec_from_loader("soak", loader))
loader.exec_module(soak)


def test_nothing_grows(folder):
    s = soak.soak(AVP, os.path.dirname(AVP), folder, "best-effort", 0, soak.SHORT)
    assert not s.problems, "\n".join(s.problems)


if __name__ == "__main__":
    if not os.path.exists("/dev/kvm"):
        print("1..0 # SKIP no /dev/kvm")
        sys.exit(0)
    sys.exit(tapmain.main([test_nothing_grows]))
