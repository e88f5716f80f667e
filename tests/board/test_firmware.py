#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""All ways to boot an arm64 guest but Linux's own, on one emulated board: a disk with an EFI system partition through EDK2
and through U-Boot to user space, UEFI variables from the host to firmware and Linux and back, over restarts; an ELF program and
a raw image. usage: test_firmware.py AVP"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

import arm64
import guests
from guests import Failure

AVP = os.path.abspath(sys.argv[1])
LIMIT = 800  # seconds for both guests together
GUID = "6c6f1e53-2d0b-4a3c-9d55-7e1f0a8b4c21"
GUEST_BUILD = os.path.join(guests.ROOT, "guests/linux")
SYSTEM = """
name: firmware
grace: 100s
vms:
  edk2:
    memory: 256M
    boot: {firmware: edk2}
    serial: edk2.log
    devices: [{type: blk, image: edk2.img}]
  uboot:
    memory: 256M
    boot: {firmware: u-boot, vars: uboot.vars}
    serial: uboot.log
    devices: [{type: blk, image: uboot.img}]
  elf:
    memory: 32M
    boot: {kernel: bare.elf}
    serial: elf.log
  raw:
    arch: arm64
    memory: 32M
    boot: {kernel: bare.bin, load-address: 0x40000000}
    serial: raw.log
"""
# In the guest: what the host has set, then the guest's own variable. Under EDK2 Linux sets it and starts again to see it
# the second time; under U-Boot it was set by a script of the boot loader.
SCRIPT = f"""
vars=/sys/firmware/efi/efivars
show()
{{
	[ ! -e $vars/$1-{GUID} ] || echo "$1=$(tail -c +5 $vars/$1-{GUID})"
}}
cat /proc/cmdline
show Parameter
show Answer
[ -e $vars/Answer-{GUID} ] && exit 0
printf '\\007\\000\\000\\000from-linux' >$vars/Answer-{GUID} && echo stored
sync
reboot -f
"""
# A legacy image of U-Boot with a script; the loader goes on with EFI when it ends.
UBOOT_SCRIPT = f"setenv -e -nv -bs -rt -guid {GUID} Answer from-u-boot\n".encode()


def uboot_image(script):
    data = struct.pack(">II", len(script), 0) + script

    def header(crc):
        return struct.pack(">IIIIIIIBBBB32s", 0x27051956, crc, 0, len(data), 0, 0, zlib.crc32(data), 5, 22, 6, 0, b"test")
    return header(zlib.crc32(header(0))) + data


def need_tools():
    arm64.need_board()
    for tool in ("mcopy", "sfdisk", "aarch64-linux-gnu-gcc"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
            guests.skip_all(f"no {tool}: make deps installs it")


class Place:
    """A folder with the system file, and a disk for each of its two guests."""

    def __init__(self, folder):
        self.path = folder
        self.runtime = self.file("run")
        os.mkdir(self.runtime, 0o700)
        with open(self.file("car.yaml"), "w", encoding="utf-8") as f:
            f.write(SYSTEM)
        self.make_disks()
        self.make_programs()

    def file(self, name):
        return os.path.join(self.path, name)

    def make_disks(self):
        built = subprocess.run([os.path.join(GUEST_BUILD, "build"), "--arch", "arm64"], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.strip()
        with open(self.file("test.sh"), "w", encoding="utf-8") as f:
            f.write(SCRIPT)
        source = self.file("disk")
        os.mkdir(source)
        for name in os.listdir(built):
            if name != "initrd":
                os.symlink(os.path.join(built, name), os.path.join(source, name))
        with open(os.path.join(source, "initrd"), "wb") as f:
            subprocess.run([os.path.join(GUEST_BUILD, "pack"), "--arch", "arm64", self.file("test.sh")], stdout=f, check=True)
        subprocess.run([os.path.join(GUEST_BUILD, "efi-disk"), source, self.file("edk2.img"),
                        "console=ttyAMA0 quiet panic=-1 from=esp"], stdout=subprocess.DEVNULL, check=True)
        subprocess.run(["cp", "--sparse=always", self.file("edk2.img"), self.file("uboot.img")], check=True)
        with open(self.file("boot.scr"), "wb") as f:
            f.write(uboot_image(UBOOT_SCRIPT))
        subprocess.run(["mcopy", "-i", self.file("uboot.img") + "@@1M", self.file("boot.scr"), "::/boot.scr"], check=True)

    def make_programs(self):
        """A program that is linked for the middle of RAM, and its bytes alone, which run anywhere."""
        subprocess.run(["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-n",
                        "-Wl,-Ttext=0x40400000", "-o", self.file("bare.elf"),
                        os.path.join(guests.ROOT, "tests/boot/bare_arm64.S")], check=True)
        subprocess.run(["aarch64-linux-gnu-objcopy", "-O", "binary", self.file("bare.elf"), self.file("bare.bin")], check=True)

    def avp(self, *args, limit=60):
        return subprocess.run([AVP, *args], cwd=self.path, env=arm64.environment(self.runtime), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit, check=False)

    def efivar(self, *args):
        done = self.avp("efivar", "car.yaml", *args)
        expect(done.returncode == 0, f"efivar {args}: status {done.returncode}: {done.stdout}")
        return done.stdout

    def serial(self, vm):
        if not os.path.exists(self.file(f"{vm}.log")):
            return ""
        with open(self.file(f"{vm}.log"), encoding="utf-8", errors="replace") as f:
            return f.read()


def expect(held, detail):
    if not held:
        raise Failure(detail)


def expect_lines(text, *lines):
    """In this order, each once more at least."""
    rest = text
    for line in lines:
        expect(line in rest, f"no '{line}' (after the ones before it) in:\n{text[-4000:]}")
        rest = rest.split(line, 1)[1]


def test_boot(place):
    place.efivar("edk2", "set", "Parameter", "--text", "for-edk2")
    place.efivar("uboot", "set", "Parameter", "--text", "for-u-boot")
    done = place.avp("run", "car.yaml", limit=LIMIT)
    expect(done.returncode == 0, f"status {done.returncode}:\n{done.stdout[-4000:]}\n"
           f"edk2: {place.serial('edk2')[-2000:]}\nuboot: {place.serial('uboot')[-2000:]}")


def test_edk2(place):
    """The host's value is seen; the guest's own is there after a restart, and on the host afterwards."""
    expect_lines(place.serial("edk2"), "from=esp", "Parameter=for-edk2", "stored", "Parameter=for-edk2", "Answer=from-linux",
                 "AVP-TEST exit 0")
    expect(place.efivar("edk2", "get", "Answer") == '"from-linux"\n', place.efivar("edk2", "list"))
    names = {v["name"] for v in json.loads(place.efivar("edk2", "list", "--json"))}
    expect({"Parameter", "Answer", "BootOrder", "Timeout"} <= names, names)


def test_uboot(place):
    expect_lines(place.serial("uboot"), "U-Boot 20", "from=esp", "Parameter=for-u-boot", "Answer=from-u-boot", "AVP-TEST exit 0")
    expect(place.efivar("uboot", "get", "Answer") == '"from-u-boot"\n', place.efivar("uboot", "list"))
    expect(place.efivar("uboot", "get", "Parameter") == '"for-u-boot"\n', place.efivar("uboot", "list"))


def test_bare(place):
    """Both start as docs/boot.md says; the raw image is where the device tree would be."""
    for name in ("elf", "raw"):
        expect(place.serial(name) == "EL1, MMU off, device tree in X0, done\n", f"{name}: {place.serial(name)}")


def test_private(place):
    """Files of variables are for their owner only."""
    for name in ("firmware.edk2.efivars", "uboot.vars"):
        expect(os.stat(place.file(name)).st_mode & 0o7777 == 0o600, name)


def main():
    need_tools()
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-firmware-") as folder:
        place = Place(folder)
        if tap.run("all guests boot and power off", test_boot, place):
            tap.run("EDK2: variables from host to Linux and back", test_edk2, place)
            tap.run("U-Boot: variables from host to Linux, from U-Boot to host", test_uboot, place)
            tap.run("files of variables are private", test_private, place)
            tap.run("an ELF program and a raw image", test_bare, place)
    tap.done()


if __name__ == "__main__":
    main()
