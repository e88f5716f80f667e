#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux's virtio_rtc with our clock device behind QEMU's front-end for it: its PTP clocks and its RTC read the host's time,
follow a step, and wake by alarm; and two guests have one time base. usage: test_rtc.py AVP"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

LEAPS = "2272060800 10\n3692217600 37 # 1 Jan 2017, whatever was between\n"
# Types of VIRTIO 1.4, 5.23.6.3.1, as the driver names its clocks.
UTC, TAI, MONOTONIC = 0, 1, 2


def leap_file(bench):
    """TAI - UTC grows by one at a time: years 1972 to 2017, on any days."""
    path = bench.file("leap-seconds.list")
    with open(path, "w", encoding="ascii") as f:
        for i in range(28):
            f.write(f"{2272060800 + i * (3692217600 - 2272060800) // 27} {10 + i}\n")
    return path


def ptp(guest, kind):
    """The PTP clock of a type: its number."""
    names = guest.until("head -v -n 1 /sys/class/ptp/*/clock_name", rf"(?s)(.*Virtio PTP type {kind}/.*)")[1]
    return re.search(rf"ptp(\d+)/clock_name <==\nVirtio PTP type {kind}/", names)[1]


def reading(guest, kind):
    """Seconds of a PTP clock, and the host's clocks before and after."""
    number = ptp(guest, kind)
    before = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    text = guest.run(f"phc_ctl /dev/ptp{number} get")
    after = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(re.search(r"clock time is (\d+\.\d+)", text)[1]), before, after


def test_utc(guest):
    got, before, after = reading(guest, UTC)
    vehicle.expect(before[0] <= got <= after[0], f"{got} is not between {before[0]} and {after[0]}")


def test_tai(guest):
    got, before, after = reading(guest, TAI)
    vehicle.expect(before[0] + 37 <= got <= after[0] + 37, f"{got} is not 37 s more than {before[0]} to {after[0]}")


def test_monotonic(guest):
    got, before, after = reading(guest, MONOTONIC)
    vehicle.expect(before[1] <= got <= after[1], f"{got} is not between {before[1]} and {after[1]}")


def test_one_time_base(first, second):
    """What one guest reads fits between two readings of the other, though they run apart."""
    a, b, c = (reading(guest, MONOTONIC)[0] for guest in (first, second, first))
    vehicle.expect(a < b < c, (a, b, c))
    print(f"# the middle reading of three is {1e3 * (b - a):.1f} ms after the first, {1e3 * (c - b):.1f} ms before the last")


def rtc(guest):
    """The number of the RTC that virtio_rtc made: of the smeared clock, as others may step on a leap second."""
    return guest.until("for r in /sys/class/rtc/*; do echo $r $(cat $r/name); done", r"rtc(\d+) virtio")[1]


def test_rtc_class(guest):
    number = rtc(guest)
    before = int(time.time())
    got = int(guest.run(f"cat /sys/class/rtc/rtc{number}/since_epoch"))
    vehicle.expect(before <= got <= time.time(), f"{got} is not {before}")


def test_alarm(guest, device):
    """The alarm comes when its time has come, as an interrupt and once."""
    number = rtc(guest)
    count = device.backend.stats()["notifications"]
    guest.run(f"cd /sys/class/rtc/rtc{number}; echo 0 >wakealarm; echo +2 >wakealarm; cat wakealarm; cd /")
    at = time.monotonic()
    guest.until(f"cat /sys/class/rtc/rtc{number}/wakealarm; echo .", r"^\.")
    took = time.monotonic() - at
    vehicle.expect(took > 0.9, f"an alarm two seconds ahead came after {took} s")
    vehicle.expect(device.backend.stats()["notifications"] == count + 1, device.backend.stats())


def tell(device, *words):
    answer = device.backend.ask("\0".join(["tell", "1", *words]) + "\0", "told")
    vehicle.expect("text" in answer, answer)
    return answer["text"]


def test_step(guest, device):
    """The operator sets UTC, MONOTONIC goes on; an alarm in what was jumped over is due."""
    number = rtc(guest)
    guest.run(f"cd /sys/class/rtc/rtc{number}; echo 0 >wakealarm; echo +3000 >wakealarm; cd /")
    count = device.backend.stats()["notifications"]
    tell(device, "step", "3600.5")
    device.backend.wait_for(lambda event: event["event"] == "clock-stepped")
    got, before, after = reading(guest, UTC)
    vehicle.expect(before[0] + 3600.5 <= got <= after[0] + 3600.5, f"{got} is not an hour more than {before[0]}")
    guest.until(f"cat /sys/class/rtc/rtc{number}/wakealarm; echo .", r"^\.")
    vehicle.expect(device.backend.stats()["notifications"] == count + 1, device.backend.stats())
    test_monotonic(guest)
    tell(device, "host")
    test_utc(guest)


def test_no_cross(guest):
    """What an emulated processor counts is nothing that the device could know."""
    number = ptp(guest, UTC)
    caps = guest.run(f"phc_ctl /dev/ptp{number} caps")
    vehicle.expect("doesn't have cross timestamping support" in caps, caps)


def main():
    with vehicle.Bench(sys.argv[1]) as bench:
        options = ["--clocks", "utc,tai,monotonic,smeared-sls", "--leap-seconds", leap_file(bench)]
        device, other = bench.device("rtc", *options), bench.device("rtc", *options)
        guest, second = bench.guest(device), bench.guest(other)
        bench.case("UTC", test_utc, guest)
        bench.case("TAI", test_tai, guest)
        bench.case("the monotonic clock", test_monotonic, guest)
        bench.case("two guests, one time base", test_one_time_base, guest, second)
        bench.case("an RTC", test_rtc_class, guest)
        bench.case("its alarm", test_alarm, guest, device)
        bench.case("a clock that is set", test_step, guest, device)
        bench.case("cross-timestamps are not offered", test_no_cross, guest)


main()
