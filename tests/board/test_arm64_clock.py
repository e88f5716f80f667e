#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cross-timestamps with Linux's virtio_rtc on the arm64 board: a VM whose counter is the host's, a clock device that knows
it. What they say is what KVM's own clock says, and the guest's clock is set by them.
usage: test_arm64_clock.py AVP"""
import os
import re
import sys
import tempfile

import arm64
import guests

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

AVP = os.path.abspath(sys.argv[1])
LIMIT = 500  # seconds, on a machine that is busy with other things
UTC, MONOTONIC = "Virtio PTP type 0/", "Virtio PTP type 2/"
SYSTEM = """grace: 100s
vms:
  ecu:
    memory: 256M
    counter: host
    boot: {kernel: vmlinuz, initrd: initrd, cmdline: "console=ttyAMA0 quiet panic=-1"}
    serial: ecu.log
    devices:
      - {type: console}
      - {type: rtc, clocks: [utc, monotonic], counter: arm-vct}
"""


def ptp(guest, name):
    """The PTP clock with this name: its device."""
    names = guest.run("head -v -n 1 /sys/class/ptp/*/clock_name", LIMIT)
    return "/dev/" + re.search(rf"(ptp\d+)/clock_name <==\n{name}", names)[1]


def offset(guest, clock):
    """How far the guest's clock is from it, nanoseconds."""
    return int(re.search(r"offset from CLOCK_REALTIME is (-?\d+)ns", guest.run(f"phc_ctl {clock} cmp", LIMIT))[1])


def cross_reads(system):
    return system.ask(cmd="stats", name="ecu/rtc0")["ecu/rtc0"]["cross_reads"]


def offered(guest):
    for kind in UTC, MONOTONIC:
        text = guest.run(f"phc_ctl {ptp(guest, kind)} caps", LIMIT)
        guests.expect("has cross timestamping support" in text, text)


def right(guest, system):
    """KVM has a clock of its own for arm64 guests that does the same: both say how far the guest's clock is from UTC."""
    kvm, ours = ptp(guest, "KVM virtual PTP"), ptp(guest, UTC)
    before = cross_reads(system)
    apart = sorted(abs(offset(guest, ours) - offset(guest, kvm)) for _ in range(8))
    guests.expect(cross_reads(system) >= before + 8, "the driver reads without the counter")
    print(f"# cross-timestamps differ from ptp_kvm's by {apart[4]} ns (median), {apart[-1]} (most)")
    # Without the counter it would be the time of a request: hundreds of microseconds on the board.
    guests.expect(apart[4] < 20000, apart)


def follow(guest):
    """phc2sys sets the guest's clock by it."""
    text = guest.run(f"timeout 8 phc2sys -s {ptp(guest, UTC)} -c CLOCK_REALTIME -O 0 -R 2 -m -q -l 6; true", LIMIT)
    found = re.findall(r"phc offset +(-?\d+) s2 freq +[-+]\d+ delay +(\d+)", text)
    guests.expect(len(found) > 4 and all(delay == "0" for _, delay in found), text)
    apart = sorted(abs(int(value)) for value, _ in found)
    print(f"# phc2sys keeps the guest's clock within {apart[-1]} ns of the host's")
    guests.expect(apart[len(apart) // 2] < 50000, text)


def main():
    arm64.need_board()
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-clock-") as folder, open(f"{folder}/output", "wb") as output:
        vehicle.image(folder, "arm64")
        with open(f"{folder}/clock.yaml", "w", encoding="ascii") as f:
            f.write(SYSTEM)
        os.environ.update(arm64.environment(folder), AVP_BOARD_KERNEL="6.12")  # counter: host takes Linux 6.4
        system = guests.System(AVP, f"{folder}/clock.yaml", folder, ("--board", "arm64"), output)
        try:
            system.wait_running(LIMIT)
            guest = vehicle.Shell(system.stream(cmd="console", vm="ecu"), LIMIT)
            guest.until("cat /sys/class/ptp/*/clock_name", MONOTONIC, LIMIT)
            tap.run("both clocks offer cross-timestamps", offered, guest)
            tap.run("they are as right as KVM's own", right, guest, system)
            tap.run("the guest's clock follows", follow, guest)
            guest.stream.send(b"poweroff -f\n")
            tap.run("it powers off", lambda: guests.expect(system.wait(LIMIT) == 0, "the system ended with an error"))
        finally:
            system.end()
            if tap.failed or not tap.n:
                for name in "output", "ecu.log":
                    if os.path.exists(f"{folder}/{name}"):
                        with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as f:
                            print("".join(f"# {name}: {line}" for line in f.readlines()[-40:]))
    tap.done()


main()
