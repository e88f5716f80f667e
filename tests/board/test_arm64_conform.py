#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The conformance suite on arm64, on the arm64 board: over vhost-user, and from inside a guest on KVM what depends on the
processor and its machine. The rest is the same code on both; `avp board --arch arm64 -- avp conform guest` runs all of it.
usage: test_arm64_conform.py AVP"""
import json
import os
import sys
import tempfile

import arm64
import guests

AVP = os.path.abspath(sys.argv[1])
LIMIT = 3600  # seconds for all of it, on a machine that is busy with other things
# Registers and interrupts of both transports, the machine's description and clock, the order of memory accesses.
GUEST = "platform.*,pci.*,mmio.*,device.*,status.*,config.*,event.*,vq.notify.*,rng.*,reset.load.*,reset.queue.*"
RUNS = {
    "self": ("avp", "conform", "self", "--type", "rng", "--limit", "20000", "--skip", "hostile*"),
    "guest": ("avp", "conform", "guest", "--type", "rng", "--limit", "20000", "--only", GUEST),
}


def verdicts(folder, name):
    try:
        with open(os.path.join(folder, f"{name}.json"), encoding="utf-8") as f:
            return [v for v in map(json.loads, f) if "verdict" in v]
    except FileNotFoundError:
        return []


def expect_conformance(folder, name, least):
    """No failure; and so many cases passed that they did run."""
    found = verdicts(folder, name)
    failed = [f"{v['target']} {v['transport']} {v['case']} [{v['rings']}] {v['evidence']}" for v in found
              if v["verdict"] not in ("pass", "skip")]
    passed = sum(v["verdict"] == "pass" for v in found)
    if failed or passed < least:
        raise guests.Failure("\n".join([f"{passed} passed, at least {least} should", *failed]))


def main():
    arm64.need_board()
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-arm64-") as folder:
        runtime = os.path.join(folder, "run")
        os.mkdir(runtime, 0o700)
        script = os.path.join(folder, "all.sh")
        with open(script, "w", encoding="utf-8") as f:
            for name, command in RUNS.items():
                words = " ".join(f"'{word}'" for word in command)
                f.write(f"{words} --json {folder}/{name}.json || echo {name}: $?\n")
        _, output = arm64.on_board(AVP, runtime, ["sh", script], LIMIT, "--share", folder)
        for line in output.splitlines():
            print(f"# {line}")
        tap.run("our devices over vhost-user", expect_conformance, folder, "self", 100)
        tap.run("our platform, from inside a guest on KVM", expect_conformance, folder, "guest", 100)
    tap.done()


if __name__ == "__main__":
    main()
