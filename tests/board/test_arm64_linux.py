#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two stock Linux guests on the arm64 board, in one run: one with PCI devices (MSI-X through the ITS) that suspends itself
to RAM and is woken by its clock, by command and by the power button; one with virtio-mmio devices and a device tree of its
own that resets itself. usage: test_arm64_linux.py AVP"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import arm64
import guests

AVP = os.path.abspath(sys.argv[1])
LIMIT = 500  # seconds for all of it, on a machine that is busy with other things
# An alarm before the guest sleeps is a wake-up event: then it does not sleep, and tries again.
PCI = """
echo "CPUS $(grep -c ^processor /proc/cpuinfo)"
for i in 0 1 2 3 4; do
	grep -q "ITS-MSI.* virtio$i" /proc/interrupts && echo "MSI $i"
done
dd if=/dev/vda of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null && echo DISK
dd if=/dev/hwrng of=/dev/null bs=64 count=2 2>/dev/null && echo RNG
clock=/sys/class/rtc/rtc0/wakealarm
for seconds in 10 20 40 80; do
	count=$(cat /sys/power/wakeup_count)
	echo 0 >$clock
	echo +$seconds >$clock
	echo $count >/sys/power/wakeup_count && echo mem >/sys/power/state && break
done && echo "WOKEN by the clock"
echo "SLEEP until the command"
echo mem >/sys/power/state && echo "WOKEN by the command"
dd if=/dev/vda of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null && echo DISK
echo "CPUS $(grep -c ^processor /proc/cpuinfo)"
dd if=/dev/input/event0 of=/dev/null bs=24 count=1 2>/dev/null &
echo "SLEEP until the button"
echo mem >/sys/power/state && echo "WOKEN by the button"
wait && echo KEY
"""
MMIO = """
echo "TREE $(cat /proc/device-tree/mode1)"
grep -q "GICv3.* virtio1" /proc/interrupts && echo LINES
if [ "$(head -c 5 /dev/vda)" = again ]; then
	echo "BOOT 2"
	exit 0
fi
printf again | dd of=/dev/vda conv=fsync,notrunc 2>/dev/null
echo "BOOT 1"
reboot -f
"""
SYSTEM = """grace: 100s
vms:
  pci:
    memory: 224M
    cpus: 2
    boot: {kernel: vmlinuz, initrd: pci.initrd, cmdline: "console=ttyAMA0 quiet panic=-1"}
    serial: pci.log
    devices: [{type: console}, {type: blk, image: pci.img}, {type: net, switch: car}, {type: rng}, {type: vsock, cid: 4}]
  mmio:
    memory: 192M
    transport: mmio
    boot: {kernel: vmlinuz, initrd: mmio.initrd, cmdline: "console=ttyAMA0 quiet panic=-1"%s}
    serial: mmio.log
    devices: [{type: blk, image: mmio.img}, {type: rng}]
switches:
  car: {uplink: none}
"""


class Place:
    def __init__(self, path):
        self.path = path
        self.file = f"{path}/two.yaml"

    def write(self, name, text):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as f:
            f.write(text)

    def prepare(self):
        linux = os.path.join(guests.ROOT, "guests/linux")
        built = subprocess.run([f"{linux}/build", "--arch", "arm64"], stdout=subprocess.PIPE, text=True, check=True)
        shutil.copy(f"{built.stdout.split()[-1]}/vmlinuz", self.path)
        for name, script in (("pci", PCI), ("mmio", MMIO)):
            self.write(name, script)
            with open(f"{self.path}/{name}.initrd", "wb") as f:
                subprocess.run([f"{linux}/pack", "--arch", "arm64", f"{self.path}/{name}"], stdout=f, check=True)
            with open(f"{self.path}/{name}.img", "wb") as f:
                f.truncate(8 << 20)
        self.write("two.yaml", SYSTEM % "")
        self.own_tree()
        self.write("two.yaml", SYSTEM % ", dtb: own.dtb")

    def own_tree(self):
        """What avp dtb writes, but for the name of the property "model", which is in the block of strings."""
        subprocess.run([AVP, "dtb", self.file, "mmio", "--out", f"{self.path}/own.dtb"], check=True)
        with open(f"{self.path}/own.dtb", "r+b") as f:
            tree = f.read()
            guests.expect(tree.count(b"model\0") == 1, "no property 'model' in the tree")
            f.seek(tree.index(b"model\0"))
            f.write(b"mode1\0")

    def said(self, name):
        try:
            with open(f"{self.path}/{name}.log", encoding="ascii", errors="replace") as f:
                return [line.strip() for line in f if line.split(" ")[0].strip().isupper()]
        except FileNotFoundError:
            return []

    def wait(self, system, text, state):
        """Until the guest with PCI devices has said `text` and is in that state."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if text in self.said("pci"):
                vm = next(v for v in system.ask(cmd="ps")["vms"] if v["name"] == "pci")
                if vm["state"] == state:
                    return
                guests.expect(vm["state"] in ("running", "suspended"), f"pci is {vm['state']}")
            time.sleep(0.5)
        raise guests.Failure(f"no '{text}' with state {state}: {self.said('pci')}")


def run(place, output):
    place.prepare()
    os.environ.update(arm64.environment(place.path))
    system = guests.System(AVP, place.file, place.path, ("--board", "arm64"), output)
    try:
        system.wait_running(LIMIT)
        place.wait(system, "SLEEP until the command", "suspended")
        system.ask(cmd="wakeup", vm="pci")
        place.wait(system, "SLEEP until the button", "suspended")
        system.ask(cmd="stop", vm="pci")
        status = system.wait(LIMIT)
    finally:
        system.end()
    guests.expect(status == 0, f"exit status {status}; {place.said('pci')}, {place.said('mmio')}")


def pci(place):
    wanted = ["CPUS 2"] + [f"MSI {i}" for i in range(5)] + ["DISK", "RNG", "WOKEN by the clock", "SLEEP until the command",
              "WOKEN by the command", "DISK", "CPUS 2", "SLEEP until the button", "WOKEN by the button", "KEY", "AVP-TEST exit 0"]
    guests.expect(place.said("pci") == wanted, f"the guest said {place.said('pci')}")


def mmio(place):
    wanted = ["TREE avp", "LINES", "BOOT 1", "TREE avp", "LINES", "BOOT 2", "AVP-TEST exit 0"]
    guests.expect(place.said("mmio") == wanted, f"the guest said {place.said('mmio')}")


def main():
    arm64.need_board()
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-arm64-") as folder, tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        place = Place(folder)
        tap.run("both power off by themselves, one by its button", run, place, log)
        tap.run("PCI, MSI-X, two processors; woken by clock, command and button", pci, place)
        tap.run("virtio-mmio, a device tree of its own, reset", mmio, place)
        log.seek(0)
        for line in log.read().splitlines() if tap.failed else ():
            print(f"# {line}")
    tap.done()


if __name__ == "__main__":
    main()
