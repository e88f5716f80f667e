#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The LIN example: three bare guests on one wire. The window follows the rain; what the operator breaks is noticed; the log has
every frame with its right checksum.

usage: test_lin.py AVP IMAGES"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

AVP, IMAGES = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
LIMIT = 100
# Where each instruction of a guest is emulated, an answer takes its time.
SLOT, CYCLES = 150, 32

SYSTEM = """
links:
  lin1: {{mode: bus, baud: 19200, log: {folder}/wire}}
vms:
"""
VM = """  {role}:
    memory: 32M
    boot: {{kernel: {images}/lin.elf, cmdline: "role={role} slot={slot} cycles={cycles}"}}
    serial: {folder}/{role}
    devices: [{{type: console, link: lin1}}]
"""


def text(folder, name):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return ""
    with open(path, encoding="ascii") as f:
        return f.read().replace("\r", "")


def wait_for(what, *args):
    end = time.monotonic() + LIMIT
    while not what(*args):
        assert time.monotonic() < end, "nothing in time"
        time.sleep(0.05)


def tell(env, *words):
    done = subprocess.run([AVP, "tell", *words, "--system", "lin"], env=env, capture_output=True, text=True, timeout=LIMIT,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def frames(wire):
    """All whole frames of the log, whoever sent their parts: (identifier, data, checksum right)."""
    data = bytes.fromhex("".join(re.findall(r"lin1 \S+ (.*)\n", wire)))
    lengths = {0x20: 2, 0x21: 2, 0x22: 4, 0x3c: 8}
    at, found = 0, []
    while at + 4 <= len(data):
        length = lengths.get(data[at + 2] & 0x3f)
        end = at + 3 + (length or 0)
        if data[at:at + 2] != b"\0\x55" or length is None or end >= len(data):
            at += 1
            continue
        total = (0 if data[at + 2] == 0x3c else data[at + 2]) + sum(data[at + 3:end])
        while total > 255:
            total = (total & 255) + (total >> 8)
        right = data[end] == ~total & 255
        if right:
            found.append((data[at + 2] & 0x3f, data[at + 3:end]))
        at = end + 1 if right else at + 1
    return found


def run(folder):
    env = dict(os.environ, XDG_RUNTIME_DIR=folder)
    path = os.path.join(folder, "lin.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(SYSTEM.format(folder=folder))
        for role in "window", "rain", "master":
            f.write(VM.format(role=role, images=IMAGES, folder=folder, slot=SLOT, cycles=CYCLES))
    with subprocess.Popen([AVP, "run", path, "--board", "none"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as avp:
        try:
            wait_for(lambda: "window is open" in text(folder, "master"))
            code, shown = tell(env, "lin1", "show")
            assert code == 0 and "19200 baud, a byte takes 520 us" in shown and "window/console0" in shown, shown
            code, said = tell(env, "lin1", "drop", "many")
            assert code != 0 and "number of bytes" in said, said
            code, said = tell(env, "lin1", "corrupt", "9", "0x10")
            assert code == 0, said
            out, _ = avp.communicate(timeout=LIMIT)
        finally:
            avp.kill()
    return out


def checks(folder):
    out = run(folder)
    master = text(folder, "master")
    yield "the window opens, and closes when it rains", (
        "window closes" in master and "window is closed" in master and "window is open" in master), master
    counts = re.search(r"frames good: (\d+), without answer: (\d+), wrong: (\d+)", master)
    yield "the master counts frames", counts is not None and sum(map(int, counts.groups())) == 3 * CYCLES + 1, master
    yield "most are good, and those that were corrupted are not", int(counts[1]) > CYCLES and int(counts[2]) + int(counts[3]) > 0, master
    yield "all go to sleep", all("sleeps" in text(folder, role) for role in ("master", "window", "rain")), out
    yield "the system ends by itself", out.count("guest powered off") == 3, out
    wire = text(folder, "wire")
    seen = frames(wire)
    opening = [data[0] for id_, data in seen if id_ == 0x21]
    yield "the log has the frames", opening and max(opening) == 100 and {0x20, 0x21, 0x22, 0x3c} <= {id_ for id_, _ in seen}, wire
    times = [float(t) for t in re.findall(r"^\((\d+\.\d{6})\)", wire, re.M)]
    yield "in the order of time", times == sorted(times) and 2 < times[-1] - times[0] < LIMIT, wire[:2000]


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("1..0 # SKIP /dev/kvm is missing")
        return 0
    folder = tempfile.mkdtemp(prefix="avp-lin-")
    failed = n = 0
    try:
        for n, (name, ok, evidence) in enumerate(checks(folder), 1):
            print(f"{'ok' if ok else 'not ok'} {n} - {name}", flush=True)
            failed += not ok
            if not ok:
                print("".join(f"# {line}\n" for line in str(evidence).splitlines()))
    finally:
        shutil.rmtree(folder)
    print(f"1..{n}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
