#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux's own drivers of I2C and SPI controllers and of the chips behind them: at24, lm75, spidev, spi-nor; and
our devices on i2c-dev and spidev of that kernel. usage: test_chips.py AVP TEST_I2C_KERNEL"""
import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402
from vehicle import expect  # noqa: E402

EEPROM_AT = 100
EEPROM_TEXT = "over the edge between two pages"


class Chips:
    def __init__(self, bench, programs):
        self.image, self.flash = bench.file("eeprom"), bench.file("flash")
        with open(self.image, "wb") as f:
            f.write(bytes(range(256)) * 16)
        self.i2c = bench.device("i2c", "--devices", f"0x50 eeprom size=4K page=32 file={self.image}",
                                "--devices", "0x48 lm75 temp=21.5", "--devices", "0x20 registers")
        self.spi = bench.device("spi", "--devices", "0 loopback", "--devices", f"1 flash size=1M file={self.flash}")
        self.files = vehicle.with_libraries(programs, bench.file("host"))
        self.guest = bench.guest(self.i2c, self.spi, files=self.files)


def test_i2c_detect(chips):
    """By reads, and by writes of no bytes."""
    chips.guest.run("modprobe i2c-dev")
    for mode in ("-r", "-q"):
        text = chips.guest.run(f"i2cdetect -y {mode} 0")
        found = re.findall(r"(?<= )[0-9a-f]{2}(?= )", "\n".join(line[3:] + " " for line in text.split("\n")[1:]))
        expect(found == ["20", "48", "50"], text)


def test_i2c_registers(chips):
    """Bytes, words and groups; the operator sees and sets the same. Nobody answers at another address."""
    guest, tell = chips.guest, chips.i2c.backend.tell
    guest.run("i2cset -y 0 0x20 0x10 0xa5 && i2cset -y 0 0x20 0x11 0x1234 w")
    got = guest.run("i2ctransfer -y 0 w1@0x20 0x10 r4").split()
    expect(got == ["0xa5", "0x34", "0x12", "0x00"], got)
    expect("a5 34 12" in str(tell("0x20", "peek", "0x10", "3")), "the operator sees other bytes")
    tell("0x20", "poke", "0x80", "0x42")
    expect(guest.run("i2cget -y 0 0x20 0x80").strip() == "0x42", "what the operator wrote is not there")
    text = guest.run("i2ctransfer -y 0 w1@0x33 0 r1")
    expect("only 0/2 messages sent" in text, text)


def test_i2c_eeprom(chips):
    """The at24 driver reads and writes; the host's file has it."""
    chips.guest.run("modprobe at24 && echo 24c32 0x50 >/sys/bus/i2c/devices/i2c-0/new_device")
    path = "/sys/bus/i2c/devices/0-0050/eeprom"
    text = chips.guest.run(f"dd if={path} bs=16 skip=1 count=1 2>/dev/null | hexdump -v -e '16/1 \"%02x\"'")
    expect(bytes.fromhex(text) == bytes(range(16, 32)), text)
    chips.guest.run(f"printf '{EEPROM_TEXT}' | dd of={path} bs=1 seek={EEPROM_AT} conv=notrunc 2>/dev/null")
    text = chips.guest.run(f"dd if={path} bs=1 skip={EEPROM_AT} count={len(EEPROM_TEXT)} 2>/dev/null")
    expect(text == EEPROM_TEXT, text)
    with open(chips.image, "rb") as f:
        f.seek(EEPROM_AT)
        expect(f.read(len(EEPROM_TEXT)) == EEPROM_TEXT.encode(), "the file of the host is not what was written")


def test_i2c_temperature(chips):
    """The lm75 driver's hwmon file follows the operator."""
    chips.guest.run("modprobe lm75 && echo lm75 0x48 >/sys/bus/i2c/devices/i2c-0/new_device")
    path = chips.guest.run("echo /sys/bus/i2c/devices/0-0048/hwmon/hwmon*/temp1_input").strip()
    chips.guest.until(f"cat {path}", r"^21500$")
    chips.i2c.backend.tell("0x48", "temp", "85.5")
    chips.guest.until(f"cat {path}", r"^85500$")
    expect("overtemperature" in str(chips.i2c.backend.tell("0x48")), "85.5 is not too much")
    chips.guest.run(f"echo 90000 >{path.replace('input', 'max')}; echo 88000 >{path.replace('input', 'max_hyst')}")
    text = str(chips.i2c.backend.tell("0x48"))
    expect("limit=90 hysteresis=88" in text and "overtemperature" not in text, text)


def test_spi_loopback(chips):
    # The status of these tools says nothing.
    chips.guest.run("spi-config -d /dev/spidev0.0 -m 0 -s 1000000; head -c 2000 /dev/urandom >/tmp/out; "
                    "spi-pipe -d /dev/spidev0.0 -b 100 </tmp/out >/tmp/in; cmp /tmp/in /tmp/out")
    expect(chips.spi.backend.stats()["transfers"] >= 20, chips.spi.backend.stats())


def test_spi_flash(chips):
    """The spi-nor driver identifies the flash, erases, writes and reads it."""
    chip = "/sys/bus/spi/devices/spi0.1"
    chips.guest.run("modprobe spi-nor && modprobe mtdblock && echo spi0.1 >/sys/bus/spi/drivers/spidev/unbind && "
                    f"echo spi-nor >{chip}/driver_override && echo spi0.1 >/sys/bus/spi/drivers/spi-nor/bind")
    expect("00100000" in chips.guest.run("cat /proc/mtd"), "no MTD of 1 MiB")
    chips.guest.run("head -c 20000 /dev/urandom >/tmp/out && "
                    "dd if=/tmp/out of=/dev/mtdblock0 bs=4096 seek=3 conv=fsync 2>/dev/null")
    chips.guest.run("dd if=/dev/mtd0 bs=4096 skip=3 count=5 2>/dev/null | head -c 20000 >/tmp/in && cmp /tmp/in /tmp/out")
    digest = chips.guest.run("sha256sum </tmp/out").split()[0]
    with open(chips.flash, "rb") as f:
        f.seek(3 * 4096)
        expect(hashlib.sha256(f.read(20000)).hexdigest() == digest, "the file of the host is not what was written")


def test_host(chips):
    """Our devices on this kernel's adapters (tests/i2c/test_kernel.c), one of them simulated by the kernel."""
    names = [os.path.basename(path) for path in chips.files]
    loader = next(name for name in names if name.startswith("ld-linux"))
    chips.guest.run(f"modprobe i2c-stub chip_addr=0x60; mkdir -p /tmp /dev/shm /lib64; [ -e /lib64/{loader} ] || cp /{loader} /lib64")
    stub = chips.guest.until("i2cdetect -l", r"(i2c-\d+)\s.*SMBus stub").group(1)
    status, text = chips.guest.ask(f"LD_LIBRARY_PATH=/ AVP=/{names[0]} /{names[1]} /dev/i2c-0 /dev/{stub} /dev/spidev0.0", 240)
    for line in text.splitlines():
        print("#", line)
    expect(status == 0 and "not ok" not in text and re.search(r"^ok 5 ", text, re.M), status)


def main():
    with vehicle.Bench(sys.argv[1]) as bench:
        chips = Chips(bench, sys.argv[1:3])
        bench.case("i2cdetect", test_i2c_detect, chips)
        bench.case("registers", test_i2c_registers, chips)
        bench.case("an EEPROM", test_i2c_eeprom, chips)
        bench.case("a temperature sensor", test_i2c_temperature, chips)
        bench.case("what is sent comes back", test_spi_loopback, chips)
        bench.case("a flash", test_spi_flash, chips)
        bench.case("adapters and chips of a host", test_host, chips)


main()
