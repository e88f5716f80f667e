#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Input devices through Linux's virtio_input behind QEMU's vhost-user-input: evtest sees a scripted gesture, keys and a dial of
the operator, and every bitmap as it was configured; LEDs come back. usage: test_input.py AVP ARCH"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

GESTURE = """# two fingers spread
0.000 touch 400 300 0
0.000 touch 420 300 1
0.020 touch 390 300 0
0.020 touch 430 310 1
0.040 lift 0
0.040 lift 1
"""
# What the kernel makes of it: it leaves out what does not change.
SEEN = [("ABS_MT_TRACKING_ID", 2), ("ABS_MT_POSITION_X", 400), ("ABS_MT_POSITION_Y", 300), ("ABS_MT_PRESSURE", 100),
        ("BTN_TOUCH", 1), "SYN",
        ("ABS_MT_SLOT", 1), ("ABS_MT_TRACKING_ID", 3), ("ABS_MT_POSITION_X", 420), ("ABS_MT_POSITION_Y", 300),
        ("ABS_MT_PRESSURE", 100), "SYN",
        ("ABS_MT_SLOT", 0), ("ABS_MT_POSITION_X", 390), "SYN",
        ("ABS_MT_SLOT", 1), ("ABS_MT_POSITION_X", 430), ("ABS_MT_POSITION_Y", 310), "SYN",
        ("ABS_MT_SLOT", 0), ("ABS_MT_TRACKING_ID", -1), "SYN",
        ("ABS_MT_SLOT", 1), ("ABS_MT_TRACKING_ID", -1), ("BTN_TOUCH", 0), "SYN"]
EVENT = re.compile(r"code \d+ \((\w+)\), value (-?\d+)|(SYN_REPORT)")


def tell(device, words):
    """The operator's command; its answer."""
    answer = device.backend.ask("tell\0" "1\0" + "".join(word + "\0" for word in words.split()), "told")
    vehicle.expect("text" in answer, answer)
    return answer["text"]


class Watch:
    """evtest on the device with this name, while something is done to it."""

    def __init__(self, guest, name):
        self.guest = guest
        text = guest.run("cat /proc/bus/input/devices")
        self.node = re.search(rf'Name="{name}".*?(event\d+)', text, re.S)[1]
        guest.run(f"evtest /dev/input/{self.node} >/tmp/{self.node} 2>&1 </dev/null & echo $! >/tmp/pid")
        guest.until(f"ls -l /proc/$(cat /tmp/pid)/fd; cat /tmp/{self.node}", r"/dev/input/event[\s\S]*Testing|Testing")

    def events(self, last):
        """What came, up to a text."""
        text = self.guest.until(f"cat /tmp/{self.node}", rf"(?s)Testing.*{last}")[0]
        self.guest.run("kill $(cat /tmp/pid)")
        return ["SYN" if syn else (name, int(value)) for name, value, syn in EVENT.findall(text)]

    def description(self):
        return self.guest.run(f"cat /tmp/{self.node}")


def test_gesture(guest, panel):
    """The script was played before there was a guest, which was told where the pointer had been."""
    watch = Watch(guest, "panel")
    tell(panel, "replay start")
    seen = watch.events(r"BTN_TOUCH\), value 0\n.*SYN_REPORT")
    vehicle.expect(seen == SEEN, seen)
    text = watch.description()
    vehicle.expect(re.search(r"ABS_MT_POSITION_X\)\s+Value\s+\d+\s+Min\s+0\s+Max\s+1279", text), text)
    vehicle.expect("INPUT_PROP_DIRECT" in text, text)


def test_keys(guest, keyboard):
    watch = Watch(guest, "avp keyboard")
    tell(keyboard, "key KEY_A")
    tell(keyboard, "key KEY_POWER")
    seen = watch.events(r"KEY_POWER\), value 0\n.*SYN_REPORT")
    vehicle.expect(seen == [("KEY_A", 1), "SYN", ("KEY_A", 0), "SYN", ("KEY_POWER", 1), "SYN", ("KEY_POWER", 0), "SYN"], seen)


def test_dial(guest, dial):
    watch = Watch(guest, "avp rotary controller")
    tell(dial, "turn +3")
    tell(dial, "turn -1")
    tell(dial, "key KEY_ENTER")
    seen = watch.events(r"KEY_ENTER\), value 0\n.*SYN_REPORT")
    vehicle.expect(seen == [("REL_DIAL", 3), "SYN", ("REL_DIAL", -1), "SYN", ("KEY_ENTER", 1), "SYN", ("KEY_ENTER", 0), "SYN"], seen)


def bits(text, name, kind):
    """The numbers of the bits that /proc/bus/input/devices shows, in words of the kernel's long."""
    device = next(part for part in text.split("\n\n") if f'Name="{name}"' in part)
    found = re.search(rf"B: {kind}=([0-9a-f ]+)", device)
    words = [int(word, 16) for word in found[1].split()] if found else []
    value = 0
    for word in words:
        value = value << 64 | word
    return {i for i in range(value.bit_length()) if value >> i & 1}


def test_bitmaps(guest):
    text = guest.run("cat /proc/bus/input/devices")
    custom = {kind: bits(text, "console dial", kind) for kind in ("EV", "KEY", "REL", "ABS", "SW", "LED", "MSC", "PROP")}
    wanted = {"EV": {0, 1, 2, 3, 5}, "KEY": {116, 0x100}, "REL": {7}, "ABS": {6}, "SW": {0}, "LED": set(), "MSC": set(),
              "PROP": {0}}
    vehicle.expect(custom == wanted, custom)
    vehicle.expect(bits(text, "panel", "ABS") == {0, 1, 0x2f, 0x35, 0x36, 0x39, 0x3a}, text)
    vehicle.expect('Uniq=C-1' in text and "I: Bus=0018 Vendor=0416 Product=038f Version=0001" in text, text)


def test_leds(guest, keyboard):
    text = guest.run("cat /proc/bus/input/devices")
    device = re.search(r'Name="avp keyboard".*?Sysfs=\S*/(input\d+)', text, re.S)[1]
    for value, word in (1, "on"), (0, "off"):
        guest.run(f"echo {value} >/sys/class/leds/{device}::capslock/brightness")
        keyboard.backend.wait_for(lambda e: e["event"] == "led" and e["detail"] == f"LED_CAPSL {word}")


def test_overload(guest, panel):
    """A gesture as fast as it goes, without end: the driver may lose updates, but no finger stays on the screen."""
    watch = Watch(guest, "panel")
    for _ in range(100):
        for i in range(8):
            tell(panel, f"touch {10 + i} 10 {i}")
        for i in range(8):
            tell(panel, f"lift {i}")
    watch.events(r"BTN_TOUCH\), value 0\n.*SYN_REPORT")
    guest.until(f"evtest --query /dev/input/{watch.node} EV_KEY BTN_TOUCH; echo is $?", "is 0")


def main():
    arch = sys.argv[2]
    with vehicle.Bench(sys.argv[1]) as bench:
        script = bench.file("gesture")
        with open(script, "w", encoding="ascii") as f:
            f.write(GESTURE)
        panel = bench.device("input", "--profile", "touchscreen", "--size", "1280x720", "--slots", "8", "--id-name", "panel",
                             "--replay", script, "--replay-start", "now", "--replay-speed", "1000")
        keyboard = bench.device("input")
        dial = bench.device("input", "--profile", "rotary")
        custom = bench.device("input", "--profile", "custom", "--id-name", "console dial", "--serial", "C-1",
                              "--devids", "0018:0416:038f:0001", "--codes",
                              "KEY_POWER,BTN_0,REL_DIAL,ABS_THROTTLE min=0 max=100,SW_LID,INPUT_PROP_POINTER")
        guest = bench.guest(panel, keyboard, dial, custom, arch=arch)
        guest.run("modprobe evdev 2>/dev/null; true")
        guest.until("ls /dev/input", "event3")
        bench.case("every bitmap as configured", test_bitmaps, guest)
        bench.case("a scripted touch gesture", test_gesture, guest, panel)
        bench.case("keys of the operator", test_keys, guest, keyboard)
        bench.case("a dial", test_dial, guest, dial)
        bench.case("LEDs", test_leds, guest, keyboard)
        bench.case("many updates", test_overload, guest, panel)


main()
