#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sensors as processes: avp sensors by hand, and a platform in its jail with all sources of values."""
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP = os.path.abspath(sys.argv[1])
LIMIT_S = 60


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def hwmon(folder, number, value):
    path = f"{folder}/class/hwmon/hwmon{number}"
    write(f"{path}/name", "acpitz\n")
    write(f"{path}/temp1_input", value)
    return path


def start_reader(folder, *sensors):
    args = [word for sensor in sensors for word in ("--sensor", sensor)]
    return subprocess.Popen([AVP, "sensors", "--sysfs", folder, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True)


def until(reader, wanted):
    """The first line that begins so."""
    deadline = time.monotonic() + LIMIT_S
    for line in reader.stdout:
        if line.startswith(wanted):
            return line
        assert time.monotonic() < deadline, f"{wanted} does not come, but {line}"
    raise AssertionError("the reader has ended")


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_reader_prints_samples(folder):
    hwmon(folder, 0, "41500\n")
    iio = f"{folder}/bus/iio/devices/iio:device0"
    for name, text in ("name", "bmi160"), ("in_accel_x_raw", "1"), ("in_accel_y_raw", "-2"), ("in_accel_z_raw", "3"), \
            ("in_accel_scale", "0.5"):
        write(f"{iio}/{name}", text)
    reader = start_reader(folder, "cpu source=hwmon device=acpitz channel=temp1 interval=10ms exponent=-1",
                          "accel source=iio device=bmi160 channel=accel axes=3 interval=10ms exponent=-2")
    try:
        first, second = until(reader, "cpu 41.5 @"), until(reader, "cpu 41.5 @")
        assert 0.005 < float(second.split("@")[1]) - float(first.split("@")[1]) < LIMIT_S, (first, second)
        assert until(reader, "accel ").startswith("accel 0.50 -1.00 1.50 @")
    finally:
        end(reader)


def test_a_device_comes_and_goes(folder):
    reader = start_reader(folder, "cpu source=hwmon device=acpitz channel=temp1 interval=10ms")
    try:
        assert "there is no device 'acpitz'" in until(reader, "cpu gone ")
        path = hwmon(folder, 3, "1000\n")
        until(reader, "cpu 1.000 @")
        write(f"{path}/temp1_input", "broken\n")
        assert "Input/output error" in until(reader, "cpu gone ")
        os.rename(path, f"{folder}/class/hwmon/hwmon9")
        write(f"{folder}/class/hwmon/hwmon9/temp1_input", "2000\n")
        until(reader, "cpu 2.000 @")
    finally:
        end(reader)


def test_reader_ends_with_who_reads(folder):
    hwmon(folder, 0, "41500\n")
    reader = start_reader(folder, "cpu source=hwmon device=acpitz channel=temp1 interval=10s")
    until(reader, "cpu ")
    reader.stdout.close()
    reader.wait(LIMIT_S)


def test_wrong_arguments(folder):
    for args, says in (
            ([], "name a sensor with --sensor"),
            (["--sensor", "a source=sine from=0 to=1 period=1s"], "'a': source is neither iio nor hwmon"),
            (["--sensor", "a source=hwmon device=x"], "source=hwmon needs channel="),
            (["--sensor", "a source=hwmon device=x channel=y1"], "channel=y1: not a kind of channel"),
            (["--sensor", "a source=hwmon device=x channel=temp1 more"], "'more' is not known here"),
            (["--sensor", "a source=hwmon device=x channel=temp1", "--fd", "999"], "cannot watch descriptor 999")):
        done = subprocess.run([AVP, "sensors", "--sysfs", folder, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 2 and says in done.stdout, (args, done)


class Platform:
    """avp scmi-platform with one port, and the supervisor's line to it."""

    def __init__(self, folder, *args):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [AVP, "scmi-platform", "--name", "vehicle", "--port", f"name=a/scmi0,socket={folder}/port,grants=*", "--control-fd",
             str(theirs.fileno()), *args], pass_fds=(theirs.fileno(),), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()
        self.wait_for(lambda event: event["event"] == "ready")

    def wait_for(self, wanted):
        deadline = time.monotonic() + LIMIT_S
        while select.select([self.control], [], [], max(0, deadline - time.monotonic()))[0]:
            data = self.control.recv(65536)
            assert data, "the platform has ended"
            event = json.loads(data)
            if wanted(event):
                return event
        raise AssertionError("no such event")

    def tell(self, *words):
        self.control.send(("\0".join(["tell", "1", *words]) + "\0").encode())
        return self.wait_for(lambda event: event["event"] == "told")

    def shows(self, name, text):
        """Waits until a sensor says so."""
        deadline = time.monotonic() + LIMIT_S
        while text not in (told := self.tell("sensor", name).get("text", "")):
            assert time.monotonic() < deadline, f"{name} does not come to {text}: {told}"
            time.sleep(0.01)

    def helper(self):
        """The process that reads the host's sensors."""
        children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], stdout=subprocess.PIPE, text=True,
                                  check=True).stdout
        return next(int(line.split()[0]) for line in children.splitlines() if " sensors --fd" in line)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.control.close()


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_platform_with_all_sources(folder):
    write(f"{folder}/drive.csv", "time,v\n0,1.5\n0.02,2.5\n")
    hwmon(folder, 0, "41500\n")
    sensors = ["speed exponent=-1 source=replay column=v", "wave exponent=0 source=ramp from=5 to=5 period=1s",
               "fuel exponent=0 source=socket", "cpu source=hwmon device=acpitz channel=temp1 interval=10ms"]
    p = Platform(folder, "--replay", f"{folder}/drive.csv", "--replay-start", "now", "--sensor-socket", f"{folder}/feed",
                 "--sensor-sysfs", folder, *(word for s in sensors for word in ("--sensors", s)))
    try:
        p.wait_for(lambda event: event["event"] == "replay-end")
        p.shows("speed", "value=2.5 ")
        p.shows("wave", "value=5 ")
        p.shows("cpu", "value=41.500 ")
        p.shows("fuel", "no-value-yet")
        assert p.tell("replay")["text"] == "replay stopped record 2 of 2 length=0.020s\n"
        with socket.socket(socket.AF_UNIX) as feed:
            feed.connect(f"{folder}/feed")
            feed.sendall(b"fuel 60\n")
            p.shows("fuel", "value=60 ")
            # Only who may give a value gives it.
            feed.sendall(b"speed 9\n")
            text = b""
            while b"\n" not in text or b"error" not in text:
                text += feed.recv(1000)
            assert b"error there is no sensor with such a source: speed" in text, text
        gone = p.wait_for(lambda event: event["event"] == "host-gone")
        assert gone["detail"] == "sensor fuel: its process has ended", gone
        p.shows("fuel", "gone")
        helper = p.helper()
        os.kill(helper, signal.SIGKILL)
        gone = p.wait_for(lambda event: event["event"] == "host-gone")
        assert gone["detail"] == "sensor cpu: its process has ended", gone
        p.shows("wave", "value=5 ")
    finally:
        p.end()


def test_helper_ends_with_its_platform(folder):
    hwmon(folder, 0, "41500\n")
    p = Platform(folder, "--sensor-sysfs", folder, "--sensors", "cpu source=hwmon device=acpitz channel=temp1 interval=10s")
    helper = p.helper()
    p.end()
    deadline = time.monotonic() + LIMIT_S
    while not ended(helper):
        assert time.monotonic() < deadline, "the helper goes on"
        time.sleep(0.01)


TESTS = [test_reader_prints_samples, test_a_device_comes_and_goes, test_reader_ends_with_who_reads, test_wrong_arguments,
         test_platform_with_all_sources, test_helper_ends_with_its_platform]

if __name__ == "__main__":
    sys.exit(tapmain.main(TESTS))
