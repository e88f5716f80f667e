#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Devices of the host in a guest, both with Linux's own drivers: on a board whose kernel simulates GPIO lines, I2C chips, a CAN
interface and a keyboard, a system of ours gives them to a vehicle guest (docs/vehicle-guest.md). The part of this program
that runs on the board plays the hardware. usage: test_simulators.py AVP"""
import fcntl
import glob
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/lib"))
import vehicle  # noqa: E402
from vehicle import expect  # noqa: E402

LIMIT = 800  # seconds for all of it, on a machine that is busy with other things
BUSYBOX = "/busybox/busybox"
SYSTEM = """
grace: 100s
vms:
  ecu:
    memory: 256M
    boot: {kernel: vmlinuz, initrd: initrd, cmdline: "console=ttyS0 quiet panic=-1"}
    serial: ecu.serial
    devices:
      - {type: console}
      - {type: gpio, lines: ["ignition chip:%(chip)s/0", "lamp chip:%(chip)s/1"]}
      - {type: i2c, adapter: /dev/i2c-0, allow: ["0x48", "0x50"]}
      - {type: can, bus: body}
      - {type: input, profile: host, host: %(keyboard)s}
can-buses:
  body: {host: vcan0, log: body.candump}
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def run(*command):
    return subprocess.run([BUSYBOX, *command], check=True, stdout=subprocess.PIPE).stdout.decode()


class Lines:
    """A GPIO chip of gpio-sim."""

    def __init__(self):
        config = "/sys/kernel/config/gpio-sim/panel"
        os.makedirs(f"{config}/bank")
        write(f"{config}/bank/num_lines", "2")
        write(f"{config}/live", "1")
        self.chip = read(f"{config}/bank/chip_name")
        self.path = f"/sys/devices/platform/{read(f'{config}/dev_name')}/{self.chip}"

    def pull(self, line, level):
        write(f"{self.path}/sim_gpio{line}/pull", "pull-up" if level else "pull-down")

    def level(self, line):
        return read(f"{self.path}/sim_gpio{line}/value")


class Keyboard:
    """A keyboard with one key, of uinput."""

    SET_EVBIT, SET_KEYBIT, CREATE = 0x40045564, 0x40045565, 0x5501
    EV_SYN, EV_KEY, KEY_HOMEPAGE = 0, 1, 172

    def __init__(self):
        self.fd = os.open("/dev/uinput", os.O_WRONLY)
        fcntl.ioctl(self.fd, self.SET_EVBIT, self.EV_KEY)
        fcntl.ioctl(self.fd, self.SET_KEYBIT, self.KEY_HOMEPAGE)
        os.write(self.fd, struct.pack("80s4HI256i", b"panel", 3, 1, 1, 1, 0, *[0] * 256))
        fcntl.ioctl(self.fd, self.CREATE)
        name = next(p for p in glob.glob("/sys/class/input/event*/device/name") if read(p) == "panel")
        self.path = "/dev/input/" + name.split("/")[4]

    def press(self):
        for value in 1, 0:
            for kind, code, data in (self.EV_KEY, self.KEY_HOMEPAGE, value), (self.EV_SYN, 0, 0):
                os.write(self.fd, struct.pack("qqHHi", 0, 0, kind, code, data))


class Can:
    """A node at the host's interface."""

    def __init__(self):
        run("ip", "link", "add", "vcan0", "type", "vcan")
        run("ip", "link", "set", "vcan0", "up")
        self.sock = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        self.sock.bind(("vcan0",))
        self.sock.settimeout(60)

    def send(self, can_id, data):
        self.sock.send(struct.pack("=IB3x8s", can_id, len(data), data))

    def receive(self):
        can_id, length, data = struct.unpack("=IB3x8s", self.sock.recv(16))
        return can_id, data[:length]


def test_gpio_input(guest, lines):
    for level in 1, 0:
        lines.pull(0, level)
        guest.until("gpioget gpiochip0 0", f"^{level}$")


def test_gpio_interrupt(guest, lines):
    guest.run("gpiomon -n 2 gpiochip0 0 >/tmp/edges &")
    guest.until("gpioinfo gpiochip0", r'"ignition" +"gpiomon"')
    for level in 1, 0:
        lines.pull(0, level)
        time.sleep(2)  # the driver reads the level after the interrupt
    text = guest.run("wait; cat /tmp/edges")
    expect(re.findall("(RISING|FALLING) EDGE", text) == ["RISING", "FALLING"], text)


def test_gpio_output(guest, lines):
    for level in "1", "0", "1":
        guest.run(f"gpioset -m signal gpiochip0 1={level} &")
        deadline = time.monotonic() + 60
        while lines.level(1) != level:
            expect(time.monotonic() < deadline, f"the host's line does not become {level}")
            time.sleep(0.1)
        guest.run("kill %1; wait")


def test_i2c(guest):
    """The guest's at24 and lm75 read what the host put into the chips; an address that is not allowed is not there."""
    for at, value in enumerate(b"host"):
        run("i2cset", "-y", "0", "0x50", str(at), str(value))
    run("i2cset", "-y", "0", "0x48", "0", "0x8019", "w")  # 25.5 degrees, high byte first
    guest.run("modprobe i2c-dev && modprobe at24 && modprobe lm75")
    bus = guest.run("i2cdetect -l | grep virtio").split()[0]
    found = re.findall(r"\b(48|50)\b(?!:)", guest.run(f"i2cdetect -y -r {bus[4:]} 0x40 0x57").split("\n", 1)[1])
    expect(found == ["48", "50"], found)
    devices = f"/sys/bus/i2c/devices/{bus}/new_device"
    guest.run(f"echo 24c02 0x50 >{devices}; echo lm75 0x48 >{devices}")
    # The stub speaks SMBus only: at most 32 bytes at once.
    text = guest.run(f"dd if=/sys/bus/i2c/devices/{bus[4:]}-0050/eeprom bs=4 count=1 2>/dev/null")
    expect(text == "host", text)
    guest.until(f"cat /sys/bus/i2c/devices/{bus[4:]}-0048/hwmon/hwmon*/temp1_input", "^25500$")


def test_can(guest, can):
    guest.run("ip link set can0 up; modprobe can-raw; candump -L -n 1 can0 >/tmp/frames &")
    guest.until("cat /proc/net/can/rcvlist_all", "(?m)^ *can0 ")
    can.send(0x123, b"\xde\xad")
    text = guest.run("wait; cat /tmp/frames")
    expect("123#DEAD" in text, text)
    guest.run("cansend can0 456#0102")
    got = can.receive()
    expect(got == (0x456, b"\1\2"), got)


def test_can_interface_goes_and_comes(guest, can, system):
    def seen(event):
        deadline = time.monotonic() + 60
        while not any(e["event"] == event for e in system.ask(cmd="events")["events"]):
            expect(time.monotonic() < deadline, f"no event {event}: {system.ask(cmd='events')}")
            time.sleep(0.2)

    run("ip", "link", "set", "vcan0", "down")
    seen("host-gone")
    run("ip", "link", "set", "vcan0", "up")
    seen("host-back")


def test_key(guest, keyboard):
    device = guest.run("grep -l panel /sys/class/input/event*/device/name").split("/")[4]
    guest.run(f"timeout 60 dd if=/dev/input/{device} of=/tmp/keys bs=24 count=4 2>/dev/null &")
    guest.until("readlink /proc/$(pidof dd)/fd/0", f"/dev/input/{device}")
    keyboard.press()
    data = bytes.fromhex(guest.run("wait; hexdump -v -e '24/1 \"%02x\"' /tmp/keys"))
    got = [struct.unpack_from("HHi", data, at + 16) for at in range(0, len(data), 24)]
    expect(got == [(1, keyboard.KEY_HOMEPAGE, 1), (0, 0, 0), (1, keyboard.KEY_HOMEPAGE, 0), (0, 0, 0)], got)


def inside(folder):
    """On the board."""
    lines, keyboard, can = Lines(), Keyboard(), Can()
    with open(f"{folder}/host.yaml", "w", encoding="ascii") as f:
        f.write(SYSTEM % {"chip": lines.chip, "keyboard": keyboard.path})
    tap = vehicle.Tap()
    system = vehicle.System("/avp/avp", f"{folder}/host.yaml", args=["--board", "none"],
                            output=open(f"{folder}/output", "w", encoding="utf-8"))
    try:
        system.wait_running(vehicle.BOOT_S)
        guest = vehicle.Shell(system.stream(cmd="console", vm="ecu", seconds=vehicle.BOOT_S))
        tap.run("levels of the host's lines", test_gpio_input, guest, lines)
        tap.run("edges of the host's lines are interrupts", test_gpio_interrupt, guest, lines)
        tap.run("the guest sets a line of the host", test_gpio_output, guest, lines)
        tap.run("chips on the host's adapter", test_i2c, guest)
        tap.run("frames from and to the host's interface", test_can, guest, can)
        tap.run("the interface goes down and comes up", test_can_interface_goes_and_comes, guest, can, system)
        tap.run("keys of the host's keyboard", test_key, guest, keyboard)
    finally:
        system.end()
    tap.done()


def main():
    avp = os.path.abspath(sys.argv[1])
    vehicle.need_board()
    with tempfile.TemporaryDirectory(prefix="avp-simulators-", dir="/var/tmp") as folder:
        os.mkdir(f"{folder}/run", 0o700)
        vehicle.image(folder)
        environment = dict(os.environ, XDG_RUNTIME_DIR=f"{folder}/run", AVP_BOARD_SIMULATORS="1")
        done = subprocess.run([avp, "board", "--memory", "768M", "--share", folder, "--share", ROOT, "--", "/usr/bin/python3",
                               os.path.abspath(__file__), "--inside", folder], env=environment, stdin=subprocess.DEVNULL,
                              cwd=folder, timeout=LIMIT, check=False)
        for name in ("output", "ecu.serial"):
            if done.returncode and os.path.exists(f"{folder}/{name}"):
                with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as f:
                    for line in f.read().splitlines()[-60:]:
                        print(f"# {name}: {line}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(sys.argv[2])
    else:
        main()
