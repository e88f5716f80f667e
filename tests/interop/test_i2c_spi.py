#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux's i2c-virtio and spi-virtio on simulated chips of ours: i2c-tools, at24 and lm75; spidev and spi-nor.
usage: test_i2c_spi.py AVP"""
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

FLASH = 256 << 10


def tell(device, *words):
    """What the device answers to the operator."""
    device.backend.control.send("".join(word + "\0" for word in ("tell", "1", *words)).encode())
    told = device.backend.wait_for(lambda event: event["event"] == "told" and event.get("token") == "1")
    device.backend.events.remove(told)
    vehicle.expect("error" not in told, told)
    return told["text"]


def test_bus(guest):
    """i2cdetect finds what is there, by writes of no bytes and by reads."""
    guest.run("modprobe i2c-dev; modprobe at24; modprobe lm75")
    number = guest.until("i2cdetect -l", r"i2c-(\d+)\s.*[Vv]irtio").group(1)
    guest.run(f"bus={number}")
    for mode in ("-q", "-r"):
        found = [word for line in guest.run(f"i2cdetect -y {mode} $bus").splitlines()[1:] for word in line.split()[1:]
                 if word != "--"]
        vehicle.expect(found == ["20", "48", "50"], f"{mode}: {found}")


def test_registers(guest, i2c):
    guest.run("i2cset -y $bus 0x20 0x10 0xa5 && i2cset -y $bus 0x20 0x11 0x1234 w")
    vehicle.expect(guest.run("i2cget -y $bus 0x20 0x10").strip() == "0xa5", "a byte is not kept")
    got = guest.run("i2ctransfer -y $bus w1@0x20 0x10 r4").split()
    vehicle.expect(got == ["0xa5", "0x34", "0x12", "0x00"], got)
    vehicle.expect(tell(i2c, "0x20", "peek", "0x10", "3") == "0x0010: a5 34 12\n", "the operator sees other bytes")
    tell(i2c, "0x20", "poke", "0x80", "0x42")
    vehicle.expect(guest.run("i2cget -y $bus 0x20 0x80").strip() == "0x42", "what the operator wrote is not there")
    text = guest.run("i2ctransfer -y $bus w1@0x33 0 r1")
    vehicle.expect("only 0/2 messages sent" in text, text)


def test_eeprom(guest, path):
    """The whole chip through at24, in pages, with waiting for each write cycle."""
    guest.run("echo 24c32 0x50 >/sys/bus/i2c/devices/i2c-$bus/new_device")
    guest.run("rom=/sys/bus/i2c/devices/$bus-0050/eeprom; dd if=/dev/urandom of=/tmp/rom bs=1024 count=4 && "
              "dd if=/tmp/rom of=$rom bs=4096 && cmp /tmp/rom $rom", 120)
    said = guest.run("sha256sum </tmp/rom").split()[0]
    with open(path, "rb") as f:
        vehicle.expect(hashlib.sha256(f.read()).hexdigest() == said, "the file of the EEPROM has other contents")


def test_temperature(guest, i2c):
    guest.run("echo lm75 0x48 >/sys/bus/i2c/devices/i2c-$bus/new_device; "
              "hwmon=$(echo /sys/bus/i2c/devices/$bus-0048/hwmon/hwmon*)")
    vehicle.expect(guest.run("cat $hwmon/temp1_input") == "21500\n", "another temperature at first")
    tell(i2c, "0x48", "temp", "-7.5")
    guest.until("cat $hwmon/temp1_input", r"^-7500\b")
    guest.run("echo 30000 >$hwmon/temp1_max; echo 28000 >$hwmon/temp1_max_hyst")
    tell(i2c, "0x48", "temp", "31")
    said = tell(i2c, "0x48")
    vehicle.expect("limit=30 hysteresis=28" in said and "overtemperature" in said, said)


def test_loopback(guest):
    guest.until("ls /dev", r"spidev\d+\.0")
    guest.run("spi=$(basename /dev/spidev*.0); spi=${spi#spidev}; spi=${spi%.0}; dd if=/dev/urandom of=/tmp/out bs=1000 count=8")
    guest.run("spi-pipe -d /dev/spidev$spi.0 -b 500 -n 16 </tmp/out >/tmp/in && cmp /tmp/out /tmp/in")


def test_flash(guest, path):
    """spi-nor finds the chip by its ID or by SFDP; mtdblock erases and programs it."""
    guest.run("modprobe spi-nor; modprobe mtdblock; chip=spi$spi.1; echo $chip >/sys/bus/spi/drivers/spidev/unbind; "
              "echo spi-nor >/sys/bus/spi/devices/$chip/driver_override; echo $chip >/sys/bus/spi/drivers/spi-nor/bind")
    guest.until("cat /proc/mtd", r"mtd0: 00040000 0000(1000|8000) ")
    guest.until("ls /dev", r"\bmtdblock0\b")
    guest.run("dd if=/dev/urandom of=/tmp/image bs=64k count=2 && dd if=/tmp/image of=/dev/mtdblock0 bs=64k seek=1 && sync && "
              "echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/mtdblock0 of=/tmp/back bs=64k skip=1 count=2 && "
              "cmp /tmp/image /tmp/back", 240)
    said = guest.run("sha256sum </tmp/image").split()[0]
    with open(path, "rb") as f:
        data = f.read()
    vehicle.expect(len(data) == FLASH, f"the file has {len(data)} bytes")
    vehicle.expect(hashlib.sha256(data[65536:3 * 65536]).hexdigest() == said, "the file has other contents")
    vehicle.expect(data[:65536] == b"\xff" * 65536, "more was programmed than was written")


def main():
    with vehicle.Bench(sys.argv[1]) as bench:
        rom, nor = bench.file("rom"), bench.file("nor")
        i2c = bench.device("i2c", "--devices", "0x20 registers", "--devices", "0x48 lm75 temp=21.5", "--devices",
                           f"0x50 eeprom size=4K page=32 file={rom}")
        spi = bench.device("spi", "--devices", "0 loopback", "--devices", f"1 flash size=256K file={nor}",
                           "--max-frequency", "50000000")
        guest = bench.guest(i2c, spi)
        bench.case("i2cdetect", test_bus, guest)
        bench.case("registers by i2c-tools", test_registers, guest, i2c)
        bench.case("at24", test_eeprom, guest, rom)
        bench.case("lm75", test_temperature, guest, i2c)
        bench.case("spidev on a loopback", test_loopback, guest)
        bench.case("spi-nor and mtdblock", test_flash, guest, nor)


main()
