#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""avp dtb as a command (its contents are tests/monitor/test_dtree.c), and guests for another processor than the host's.
usage: test_dtb.py AVP"""
import os
import platform
import struct
import subprocess
import sys
import tempfile

AVP = os.path.abspath(sys.argv[1])
SYSTEM = """vms:
  cluster: {arch: arm64, memory: 64M, serial: c.log, watchdog: {}, boot: {kernel: none, cmdline: "the command line"}}
  mmio: {arch: arm64, transport: mmio, boot: {kernel: none}, devices: [{type: rng}, {type: rng}]}
  firmware: {boot: {firmware: edk2}}
  pc: {arch: x86-64, boot: {kernel: none}}
  image: {boot: {kernel: image}}
  agent: {arch: arm64, boot: {kernel: none}, devices: [{type: scmi, platform: vehicle, grants: ["clock:uart", "voltage=read"]}]}
  stranger: {arch: arm64, boot: {kernel: none}, devices: [{type: scmi, platform: vehicle}]}
  alone: {arch: arm64, boot: {kernel: none}, devices: [{type: scmi, resets: [camera], sensors: ["cabin value=1"]}]}
scmi-platforms:
  vehicle: {clocks: ["uart rate=1", "spi rate=1"], power-domains: [gpu], voltages: ["a levels=1", "b levels=1"], system-power: true}
"""
IMAGE = b"\0" * 56 + b"ARM\x64" + b"\0" * 4  # the header of a Linux Image for arm64


def avp(folder, *args):
    done = subprocess.run([AVP, *args], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def test_writes(folder):
    status, tree, errors = avp(folder, "dtb", "car.yaml", "cluster")
    assert status == 0 and not errors, errors
    magic, size = struct.unpack(">II", tree[:8])
    assert magic == 0xd00dfeed and size == len(tree), (hex(magic), size, len(tree))
    for part in (b"the command line\0", b"arm,pl011\0", b"arm,sbsa-gwdt\0"):
        assert part in tree, part
    # Whoever builds a guest with it gets the same tomorrow.
    assert b"kaslr-seed" not in tree and avp(folder, "dtb", "car.yaml", "cluster")[1] == tree
    assert avp(folder, "dtb", "car.yaml", "cluster", "--out", "c.dtb") == (0, b"", "")
    with open(os.path.join(folder, "c.dtb"), "rb") as f:
        assert f.read() == tree


def test_describes_the_vm(folder):
    tree = avp(folder, "dtb", "car.yaml", "mmio")[1]
    assert b"virtio_mmio@a000200\0" in tree and b"virtio_mmio@a000400\0" not in tree
    assert b"arm,pl011\0" not in tree and b"arm,sbsa-gwdt\0" not in tree and b"cfi-flash\0" not in tree
    assert b"cfi-flash\0" in avp(folder, "dtb", "car.yaml", "firmware")[1]
    # The kernel says what it is made for.
    assert avp(folder, "dtb", "car.yaml", "image")[0] == 0


def test_scmi(folder):
    """What a VM finds behind its SCMI device, by its grants; Linux has no driver without."""
    def protocols(vm):
        tree = avp(folder, "dtb", "car.yaml", vm)[1]
        assert (b"arm,scmi-virtio\0" in tree) == (vm != "cluster"), vm
        return [n for n in range(0x10, 0x20) if b"protocol@%x\0" % n in tree], tree.count(b"regulator@")

    assert protocols("cluster") == ([], 0)
    assert protocols("agent") == ([0x14, 0x17], 2), protocols("agent")
    assert protocols("stranger") == ([], 0)
    assert protocols("alone") == ([0x15, 0x16], 0), protocols("alone")


def test_refuses(folder):
    for args, status, words in (
            (("car.yaml", "pc"), 2, "VM pc is for x86-64, which has ACPI tables"),
            (("car.yaml", "clustr"), 2, "no VM 'clustr' (did you mean 'cluster'?)"),
            (("none.yaml", "pc"), 2, "none.yaml"),
            (("car.yaml",), 2, "usage"),
            (("car.yaml", "cluster", "--out", "no/where"), 1, "cannot write no/where")):
        got, out, errors = avp(folder, "dtb", *args)
        assert got == status and words in errors and not out, f"{args}: {got} {errors}"


def test_monitor_of_another_processor(folder):
    other = "arm64" if platform.machine() == "x86_64" else "x86-64"
    status, _, errors = avp(folder, "monitor", "--arch", other, "--kernel", "image")
    assert status == 1 and f"image is a guest for {other}" in errors and f"--board {other}" in errors, errors


def main():
    failed = 0
    tests = [test_writes, test_describes_the_vm, test_scmi, test_refuses, test_monitor_of_another_processor]
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory(prefix="avp-dtb-") as folder:
        with open(os.path.join(folder, "car.yaml"), "w", encoding="ascii") as f:
            f.write(SYSTEM)
        with open(os.path.join(folder, "image"), "wb") as f:
            f.write(IMAGE)
        for n, test in enumerate(tests, 1):
            try:
                test(folder)
                print(f"ok {n} - {test.__name__}")
            except AssertionError as e:
                failed = 1
                print(f"not ok {n} - {test.__name__}")
                for line in str(e).splitlines():
                    print(f"# {line}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
