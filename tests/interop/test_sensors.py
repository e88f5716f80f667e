#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""SCMI sensors through Linux's own drivers: scmi-hwmon and scmi_iio of a stock arm64 kernel, with values of a recording, of
another process, and of the host's sysfs."""
import csv
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

DRIVE = os.path.join(vehicle.ROOT, "examples/drive.csv")
ROWS = 40  # that are captured, of a recording at ten a second

SENSORS = [
    "coolant unit=celsius exponent=-1 source=replay column=coolant",
    "accel unit=meter-per-second-squared exponent=-2 axes=3 source=replay column=accel_x/accel_y/accel_z interval=10ms "
    "min=-20 max=20",
    "battery unit=volt exponent=-3 source=socket",
    "board source=hwmon device=acpitz channel=temp1 interval=50ms",
]


def columns(*names):
    """Values of the recording, row by row, those that are there."""
    with open(DRIVE, encoding="utf-8") as f:
        lines = [line for line in f if not line.startswith("#")]
    return [[row[name] for name in names] for row in csv.DictReader(lines) if all(row[name] for name in names)]


def device_tree(bench):
    """QEMU's own, and the node by which Linux finds the SCMI device (Linux, arm,scmi.yaml)."""
    path = bench.file("virt.dtb")
    _, program, _, *machine = vehicle.MACHINES["arm64"]
    subprocess.run([*vehicle.qemu(program), *machine[:-3], machine[-3] + f",dumpdtb={path}", *machine[-2:], "-m", "256M",
                    "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-smp", "1", "-display", "none"],
                   check=True, stderr=subprocess.DEVNULL)
    for node in "/firmware", "/firmware/scmi", "/firmware/scmi/protocol@15":
        subprocess.run(["fdtput", "-c", path, node], check=True)
    for kind, node, name, value in [("s", "/firmware/scmi", "compatible", "arm,scmi-virtio"),
                                    ("u", "/firmware/scmi", "#address-cells", "1"),
                                    ("u", "/firmware/scmi", "#size-cells", "0"),
                                    ("x", "/firmware/scmi/protocol@15", "reg", "15")]:
        subprocess.run(["fdtput", "-t", kind, path, node, name, value], check=True)
    return path


def make_sysfs(bench):
    root = bench.file("sysfs")
    os.makedirs(f"{root}/class/hwmon/hwmon0")
    for name, text in ("name", "acpitz\n"), ("temp1_input", "41500\n"):
        with open(f"{root}/class/hwmon/hwmon0/{name}", "w", encoding="ascii") as f:
            f.write(text)
    return root


class Feed:
    """A process that gives values."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)

    def say(self, line):
        self.sock.sendall(line.encode() + b"\n")

    def close(self):
        self.sock.close()


def tell(scmi, *words):
    """What the operator would say by `avp tell`."""
    answer = scmi.backend.ask("\0".join(["tell", "1", *words]) + "\0", "told")
    vehicle.expect("text" in answer, str(answer))
    return answer["text"]


def hwmon(guest, label):
    """Which file has the sensor with this label."""
    found = guest.until(f"grep -lx {label} /sys/class/hwmon/hwmon*/*_label", r"(\S+)_label")
    return found.group(1) + "_input"


def test_hwmon_follows_the_recording(guest, scmi):
    path = hwmon(guest, "coolant")
    tell(scmi, "replay", "start")
    seen = [int(guest.run(f"cat {path}"))]
    while len(seen) < 5:
        seen.append(int(guest.until(f"cat {path}", r"^(?!%d\n)(\d+)$" % seen[-1]).group(1)))
    expected = [round(float(value) * 1000) for (value,) in columns("coolant")]
    # The first one may be of the time before the start.
    vehicle.expect(all(value in expected for value in seen) and seen[1:] == sorted(seen[1:]), f"{seen}, not of {expected}")


def iio(guest):
    return guest.until("grep -lx accel /sys/bus/iio/devices/*/name", r"(\S+)/name").group(1)


def test_iio_describes_the_axes(guest, scmi):
    path = iio(guest)
    text = guest.run(f"cd {path}; cat in_accel_x_scale in_accel_raw_available in_accel_sampling_frequency_available")
    lines = text.split("\n")
    vehicle.expect(float(lines[0]) == 0.01, text)
    vehicle.expect(lines[1] == "[-2000 1 2000]", text)
    vehicle.expect(lines[2].split()[0] == "100.000000", text)
    vehicle.expect(guest.run(f"cat {path}/in_accel_z_raw") == "981\n", "z is not 9.81")


def test_iio_buffer_gets_each_row_once(guest, scmi):
    path = iio(guest)
    size = ROWS * 32
    guest.run(f"cd {path}; for f in scan_elements/*_en; do echo 1 >$f; done; echo 100 >buffer/length; "
              "echo 100 >in_accel_sampling_frequency; echo 1 >buffer/enable")
    guest.start(f"dd if=/dev/{os.path.basename(path)} bs=32 count={ROWS} 2>/dev/null | hexdump -v -e '32/1 \"%02x\" \"\\n\"'")
    tell(scmi, "replay", "start")
    status, text = guest.finish()
    data = bytes.fromhex("".join(text.split()))
    guest.run(f"echo 0 >{path}/buffer/enable")
    vehicle.expect(status == 0 and len(data) == size, f"{len(data)} bytes, not {size}")
    samples = [struct.unpack_from("<4q", data, at) for at in range(0, size, 32)]
    rows = [tuple(round(float(v) * 100) for v in row) for row in columns("accel_x", "accel_y", "accel_z")]
    # What was there before the recording began may come first.
    got = [s[:3] for s in samples][1:]
    first = rows.index(got[0])
    vehicle.expect(first <= 2 and got == rows[first:first + len(got)], f"{got}\nnot\n{rows[:ROWS]}")
    gaps = [(b[3] - a[3]) / 1e6 for a, b in zip(samples[2:], samples[3:])]
    vehicle.expect(90 < sum(gaps) / len(gaps) < 110 and min(gaps) > 0, f"rows are {gaps} ms apart, not 100")


def test_another_process_gives_values(guest, feed, scmi):
    path = hwmon(guest, "battery")
    status, text = guest.ask(f"cat {path}")
    vehicle.expect(status and "error" in text, f"a value before there was one: {text}")
    process = Feed(feed)
    process.say("battery 13.8")
    guest.until(f"cat {path}", r"^13800$")
    process.close()
    guest.until(f"cat {path}", r"error")
    scmi.backend.wait_for(lambda event: event["event"] == "host-gone" and "battery" in event["detail"])
    process = Feed(feed)
    process.say("battery 12.1")
    guest.until(f"cat {path}", r"^12100$")
    scmi.backend.wait_for(lambda event: event["event"] == "host-back" and "battery" in event["detail"])
    process.close()


def test_the_hosts_sensor_comes_and_goes(guest, sysfs, scmi):
    path = hwmon(guest, "board")
    folder = f"{sysfs}/class/hwmon/hwmon0"
    guest.until(f"cat {path}", r"^41500$")
    with open(f"{folder}/temp1_input", "w", encoding="ascii") as f:
        f.write("\n")
    guest.until(f"cat {path}", r"error")
    with open(f"{folder}/temp1_input", "w", encoding="ascii") as f:
        f.write("43000\n")
    guest.until(f"cat {path}", r"^43000$")


def test_the_operator_decides(guest, scmi):
    path = hwmon(guest, "coolant")
    tell(scmi, "sensor", "coolant", "value", "119.5")
    vehicle.expect(guest.run(f"cat {path}") == "119500\n", "not what the operator said")
    tell(scmi, "sensor", "coolant", "gone")
    status, text = guest.ask(f"cat {path}")
    vehicle.expect(status and "error" in text, f"a value of a sensor that is gone: {text}")
    tell(scmi, "sensor", "coolant", "follow")
    guest.run(f"cat {path}")


def main():
    with vehicle.Bench(sys.argv[1]) as bench:
        feed, sysfs = bench.file("feed"), make_sysfs(bench)
        scmi = bench.device("scmi", "--replay", DRIVE, "--sensor-socket", feed, "--sensor-sysfs", sysfs,
                            *(word for sensor in SENSORS for word in ("--sensors", sensor)))
        start = time.monotonic()
        guest = bench.guest(scmi, arch="arm64", options=["-dtb", device_tree(bench)])
        guest.run("modprobe scmi_transport_virtio && modprobe scmi-hwmon && modprobe scmi_iio")
        print(f"# the guest was there after {time.monotonic() - start:.1f} s")
        bench.case("hwmon follows the recording", test_hwmon_follows_the_recording, guest, scmi)
        bench.case("IIO describes the axes", test_iio_describes_the_axes, guest, scmi)
        bench.case("each row of the recording comes once", test_iio_buffer_gets_each_row_once, guest, scmi)
        bench.case("another process gives values", test_another_process_gives_values, guest, feed, scmi)
        bench.case("a sensor of the host comes and goes", test_the_hosts_sensor_comes_and_goes, guest, sysfs, scmi)
        bench.case("the operator decides", test_the_operator_decides, guest, scmi)


main()
