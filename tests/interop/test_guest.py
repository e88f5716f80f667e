#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The vehicle guest itself: every driver and tool of it, behind an entropy device (a front-end of QEMU's for it) and a
console of ours (the front-end for any device). usage: test_guest.py AVP ARCH"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

DRIVERS = "i2c-virtio gpio-virtio spi-virtio virtio_can virtio_rtc virtio_input gpio-sim uinput vcan can-raw i2c-dev at24 " \
          "lm75 spi-nor mtdblock"
ARM64 = " scmi_transport_virtio scmi-hwmon scmi_iio"
TOOLS = "cangen candump canplayer cansend evtest gpiodetect gpioget gpioinfo gpiomon gpioset i2cdetect i2cdump i2cget " \
        "i2cset i2ctransfer phc_ctl phc2sys spi-config spi-pipe"


def test_drivers(guest, arch):
    guest.run(f"for name in {DRIVERS}{ARM64 if arch == 'arm64' else ''}; do modprobe $name || exit 1; done")


def test_tools(guest):
    """Each finds its libraries: 127 would be the loader's status."""
    for name in TOOLS.split():
        status, text = guest.ask(f"timeout 5 {name} --help")
        vehicle.expect(status not in (126, 127), f"{name}: {text}")


def test_simulators(guest):
    """The host's sides of devices can be tested in this guest, too: chips that are simulated by the kernel."""
    guest.run("modprobe i2c-stub chip_addr=0x50 && i2cset -y 0 0x50 1 0xa5")
    vehicle.expect(guest.run("i2cget -y 0 0x50 1") == "0xa5\n", "the stub does not keep a byte")
    guest.run("mount -t configfs none /sys/kernel/config; cd /sys/kernel/config/gpio-sim && mkdir -p a/b && "
              "echo 4 >a/b/num_lines && echo 1 >a/live; cd /")
    guest.until("gpiodetect", r"gpio-sim.*\(4 lines\)")
    guest.run("ip link add vcan0 type vcan && ip link set vcan0 up")
    guest.start("candump -n 1 vcan0 & usleep 300000; while ps | grep -q '[c]andump'; do cansend vcan0 123#11; usleep 100000; "
                "done; wait")
    status, text = guest.finish()
    vehicle.expect(status == 0 and "11" in text, text)


def test_rng(guest, rng):
    guest.run("dd if=/dev/hwrng of=/dev/null bs=4096 count=4")
    vehicle.expect(rng.backend.stats()["bytes"] >= 4 * 4096, rng.backend.stats())


def test_any(guest, path):
    guest.run("echo 0123456789 >/dev/hvc1")
    with open(path, encoding="ascii") as f:
        vehicle.expect("0123456789" in f.read(), "what the guest wrote is not in the file")


def main():
    arch = sys.argv[2]
    with vehicle.Bench(sys.argv[1]) as bench:
        rng, path = bench.device("rng"), bench.file("console")
        console = bench.device("console", "--host", "file", "--path", path)
        guest = bench.guest(rng, console, arch=arch)
        bench.case("drivers", test_drivers, guest, arch)
        bench.case("tools", test_tools, guest)
        bench.case("simulators", test_simulators, guest)
        bench.case("an entropy device", test_rng, guest, rng)
        bench.case("a console behind the front-end for any device", test_any, guest, path)


main()
