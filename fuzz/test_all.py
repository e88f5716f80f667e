#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""No device type is forgotten. Usage: test_all.py FUZZ_TARGET..."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "lib"))
import seeds  # noqa: E402
import tapmain  # noqa: E402

TARGETS = {os.path.basename(exe).removeprefix("fuzz-") for exe in sys.argv[1:]}


def devices():
    with open(os.path.join(os.path.dirname(HERE), "src", "devices", "registry.c"), encoding="utf-8") as f:
        return set(re.findall(r"^\t&vdev_(\w+),", f.read(), re.MULTILINE))


def every_device_type_has_a_target(_):
    missing = {f"dev-{name}" for name in devices()} - TARGETS
    assert devices() and not missing, f"no fuzz target for {missing}; see fuzz/meson.build"


def every_device_target_has_seeds(_):
    missing = {t for t in TARGETS if t.startswith("dev-")} - set(seeds.TARGETS)
    assert not missing, f"no seeds for {missing}; see fuzz/seeds.py"


sys.exit(tapmain.main([every_device_type_has_a_target, every_device_target_has_seeds]))
