#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""avp efivar: what a user asks for, on stores of both firmwares, and what is refused."""
import fcntl
import json
import os
import subprocess
import sys
import tempfile

AVP = os.environ["AVP"]
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
OURS = "6c6f1e53-2d0b-4a3c-9d55-7e1f0a8b4c21"
OTHER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
SYSTEM = """
name: car
vms:
  edk2: {boot: {firmware: edk2}}
  uboot: {boot: {firmware: u-boot, vars: state/uboot.vars}}
  own: {boot: {firmware: my.fd}}
  linux: {boot: {kernel: vmlinuz}}
"""


class Folder:
    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        os.mkdir(self.path("state"))
        with open(self.path("car.yaml"), "w") as f:
            f.write(SYSTEM)

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def run(self, *words, data=None):
        done = subprocess.run([AVP, "efivar", *words], cwd=self.dir.name, capture_output=True, timeout=60, input=data)
        return done.returncode, done.stdout, done.stderr.decode()

    def vm(self, name, *words, data=None):
        return self.run("car.yaml", name, *words, data=data)

    def done(self, *words, data=None):
        status, out, err = self.vm(*words, data=data)
        same((status, err), (0, ""))
        return out.decode()


def same(found, wanted):
    if found != wanted:
        raise AssertionError("found %r, wanted %r" % (found, wanted))


def refused(result, status, words):
    if result[0] != status or words not in result[2] or result[1]:
        raise AssertionError("wanted status %d and '%s', found %r" % (status, words, result))


def life(folder, vm, path):
    """All that can be done with a variable, in a store that is made on the way."""
    same(folder.done(vm, "list"), "")
    same(os.stat(folder.path(path)).st_mode & 0o7777, 0o600)
    folder.done(vm, "set", "AndroidBootMode", "--text", "recovery")
    same(folder.done(vm, "get", "AndroidBootMode"), '"recovery"\n')
    folder.done(vm, "set", "Title-" + OTHER, "--utf16", "Ger\u00e4t")
    same(folder.vm(vm, "get", "Title", "--raw")[1], "Ger\u00e4t\0".encode("utf-16le"))
    folder.done(vm, "set", "Timeout", "--hex", "0500", "--attributes", "nv,bs")
    folder.done(vm, "set", "Blob", "--from", "-", data=bytes(range(200)))
    same(json.loads(folder.done(vm, "list", "--json")), [
        {"name": "AndroidBootMode", "guid": OURS, "attributes": "nv,bs,rt", "size": 8, "value": b"recovery".hex()},
        {"name": "Title", "guid": OTHER, "attributes": "nv,bs,rt", "size": 12,
         "value": "Ger\u00e4t\0".encode("utf-16le").hex()},
        {"name": "Timeout", "guid": GLOBAL, "attributes": "nv,bs", "size": 2, "value": "0500"},
        {"name": "Blob", "guid": OURS, "attributes": "nv,bs,rt", "size": 200, "value": bytes(range(200)).hex()}])
    # Another value keeps attributes and GUID.
    folder.done(vm, "set", "Timeout", "--hex", "00")
    same(json.loads(folder.done(vm, "get", "Timeout", "--json"))["attributes"], "nv,bs")
    folder.done(vm, "set", "Title-" + GLOBAL, "--text", "x")
    refused(folder.vm(vm, "get", "Title"), 2, "there are several variables 'Title'")
    same(folder.done(vm, "get", "Title-" + GLOBAL), '"x"\n')
    folder.done(vm, "delete", "Title-" + OTHER)
    same(folder.done(vm, "get", "Title"), '"x"\n')
    refused(folder.vm(vm, "delete", "Title-" + OTHER), 1, "there is no variable 'Title'")
    same(len(json.loads(folder.done(vm, "list", "--json"))), 4)
    same(os.stat(folder.path(path)).st_mode & 0o7777, 0o600)
    return folder.path(path)


def test_edk2(folder):
    path = life(folder, "edk2", "car.edk2.efivars")
    same(os.stat(path).st_size, 64 << 20)
    same(os.stat(path).st_blocks < 4096, True)
    same(folder.run("--file", path, "get", "AndroidBootMode"), (0, b'"recovery"\n', ""))


def test_uboot(folder):
    path = life(folder, "uboot", "state/uboot.vars")
    same(os.stat(path).st_size, 1 << 20)
    with open(path, "rb") as f:
        same(f.read().count(b"UbEfiVa\1"), 1)
    same(os.listdir(folder.path("state")), ["uboot.vars"])


def test_not_while_it_runs(folder):
    folder.done("edk2", "set", "a", "--text", "b")
    with open(folder.path("car.edk2.efivars"), "r+b") as f:
        # As a monitor has it. OFD locks: struct flock with l_type, l_whence, l_start, l_len, l_pid.
        import struct
        fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        for action in (["list"], ["get", "a"], ["set", "a", "--text", "c"], ["delete", "a"]):
            refused(folder.vm("edk2", *action), 1, "is in use")
    same(folder.done("edk2", "get", "a"), '"b"\n')


def test_wrong_usage(folder):
    refused(folder.vm("linux", "list"), 2, "VM 'linux' of car.yaml has no firmware")
    refused(folder.vm("nobody", "list"), 1, "car.yaml has no VM 'nobody'")
    refused(folder.vm("own", "list"), 1, "cannot find the UEFI variables")
    refused(folder.run("--file", "nothing", "list"), 1, "cannot find the UEFI variables nothing")
    refused(folder.run("--file", "car.yaml", "list"), 2, "has no UEFI variables")
    for words in (["edk2"], ["edk2", "dance"], ["edk2", "get"], ["edk2", "list", "x"], []):
        refused(folder.run("car.yaml", *words), 2, "usage: avp efivar SYSTEM.yaml VM")
    for words, message in (
            (["x"], "one of --text"), (["x", "--text", "a", "--hex", "00"], "one of --text"),
            (["x", "--hex", "0"], "pairs of hexadecimal"), (["x", "--hex", "0g"], "pairs of hexadecimal"),
            (["x", "--text", ""], "use delete"), (["x", "--text", "a", "--attributes", "rt"], "nv,bs or nv,bs,rt")):
        refused(folder.vm("edk2", "set", *words), 2, message)
    refused(folder.vm("edk2", "set", "n" * 600, "--text", "a"), 1, "1 to 512 characters")
    refused(folder.vm("edk2", "set", "big", "--from", "-", data=bytes(9000)), 1, "this firmware takes 8192")
    refused(folder.vm("uboot", "set", "big", "--from", "-", data=bytes(17000)), 1, "U-Boot reads 16384 bytes")
    same(folder.done("edk2", "list"), "")


def test_authenticated_variables(folder):
    """One that the firmware checks signatures of is shown, but neither set nor deleted."""
    folder.done("edk2", "set", "db", "--text", "signed")
    with open(folder.path("car.edk2.efivars"), "r+b") as f:
        f.seek(0x64 + 4)
        f.write(b"\x27")
    same(json.loads(folder.done("edk2", "get", "db", "--json"))["attributes"], "nv,bs,rt,time-auth")
    refused(folder.vm("edk2", "set", "db", "--text", "x"), 1, "authenticated variable")
    refused(folder.vm("edk2", "delete", "db"), 1, "authenticated variable")


def test_damaged(folder):
    folder.done("edk2", "set", "a", "--text", "b")
    with open(folder.path("car.edk2.efivars"), "r+b") as f:
        f.seek(0x64 + 40)
        f.write(b"\0\0\0\x7f")
    refused(folder.vm("edk2", "list"), 2, "does not fit the store")
    before = open(folder.path("car.edk2.efivars"), "rb").read(1 << 20)
    refused(folder.vm("edk2", "set", "c", "--text", "d"), 2, "does not fit the store")
    same(open(folder.path("car.edk2.efivars"), "rb").read(1 << 20) == before, True)
    folder.done("uboot", "set", "a", "--text", "b")
    path = folder.path("state/uboot.vars")
    data = open(path, "rb").read()
    at = data.index(b"UbEfiVa\1")
    with open(path, "r+b") as f:
        f.seek(at + 20)
        f.write(b"x")
    refused(folder.vm("uboot", "list"), 2, "CRC-32 is wrong")


def main():
    tests = [(name, f) for name, f in globals().items() if name.startswith("test_")]
    print("1..%d" % len(tests))
    failed = 0
    for n, (name, function) in enumerate(tests, 1):
        try:
            function(Folder())
            print("ok %d - %s" % (n, name), flush=True)
        except Exception as e:
            failed += 1
            print("# " + "\n# ".join(str(e).split("\n")))
            print("not ok %d - %s" % (n, name), flush=True)
    return failed > 0


sys.exit(main())
