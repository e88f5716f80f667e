#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A system on the board as its user meets it: ps, console, a device process killed under load, Ctrl-C."""
import os
import re
import signal
import subprocess
import sys
import time

import guests
from guests import Failure

SOAK_S = 20


def avp_command(place, avp, *args):
    return subprocess.run([avp, *args], env=dict(os.environ, XDG_RUNTIME_DIR=place.runtime), timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def test_up(system, consoles):
    system.wait_running(guests.UP_S)
    for name in ("ivi", "cluster"):
        consoles[name] = guests.shell(system, name)


def test_ps(system, place, avp):
    result = system.ask(cmd="ps")
    states = {vm["name"]: vm["state"] for vm in result["vms"]}
    if states != {"ivi": "running", "cluster": "running"}:
        raise Failure(f"states: {states}")
    shown = avp_command(place, avp, "ps")
    if shown.returncode or not all(re.search(rf"\b{name}\b.*running", shown.stdout) for name in states):
        raise Failure(f"avp ps, status {shown.returncode}:\n{shown.stdout}")


def test_console(consoles):
    for name, console in consoles.items():
        console.send(b"hostname; echo $((6 * 7))\n")
        console.expect(rb"\n%s\r?\n42\r?\n" % name.encode(), 60)


def test_unknown_guest(place, avp):
    shown = avp_command(place, avp, "restart", "radio")
    if shown.returncode == 0 or "radio" not in shown.stdout:
        raise Failure(f"status {shown.returncode}: {shown.stdout}")


def device(system, name):
    return next(d for d in system.ask(cmd="ps")["devices"] if d["name"] == name)


def test_kill_device(system, consoles):
    """kill -9 of the disk's process, again and again while the guest writes and compares: no request may be lost or
    answered twice. The process is in the board; there, the supervisor kills it."""
    consoles["ivi"].send(b"avp-guest soak /root/soak.bin 16 %d; echo SOAK-$?\n" % SOAK_S)
    kills = 0
    end = time.monotonic() + SOAK_S - 5
    while time.monotonic() < end:
        time.sleep(2)  # the pace of the kills, not a wait for anything
        before = device(system, "ivi/blk0")
        if before["state"] == "running":
            system.ask(cmd="kill", name="ivi/blk0")
            kills += 1
    consoles["ivi"].expect(rb"every block as last written\r?\nSOAK-0", 240)
    restarts = device(system, "ivi/blk0")["restarts"]
    if kills < 3 or restarts < kills - 1:
        raise Failure(f"{kills} kills, {restarts} restarts")


def state(system, name):
    return next(vm for vm in system.ask(cmd="ps")["vms"] if vm["name"] == name)["state"]


def test_suspend(system, consoles, place, avp):
    """A stock Linux suspends itself to RAM (ACPI S3), takes no interrupt until it is woken, and then has its memory
    and its devices again. The other guest notices nothing."""
    consoles["ivi"].send(b"echo kept >/run/x; echo mem >/sys/power/state; echo WOKEN-$?\n")
    end = time.monotonic() + 120
    while state(system, "ivi") != "suspended":
        if time.monotonic() > end:
            raise Failure(f"ivi is {state(system, 'ivi')}")
        time.sleep(0.5)
    shown = avp_command(place, avp, "wakeup", "ivi")
    if shown.returncode:
        raise Failure(f"status {shown.returncode}: {shown.stdout}")
    consoles["ivi"].expect(rb"WOKEN-0", 120)
    consoles["ivi"].send(b"cat /run/x; avp-guest soak /root/again.bin 4 2; echo SOAK-$?\n")
    consoles["ivi"].expect(rb"\nkept\r?\n", 120)
    consoles["ivi"].expect(rb"every block as last written\r?\nSOAK-0", 240)
    consoles["ivi"].send(b"ping -c 3 -W 20 192.168.7.2 >/dev/null; echo PING-$?\n")
    consoles["ivi"].expect(rb"\nPING-0", 120)
    if state(system, "cluster") != "running":
        raise Failure(f"cluster is {state(system, 'cluster')}")


def test_interrupt(system, place):
    """Ctrl-C: both guests power off by themselves, status 0, nothing is left."""
    system.process.send_signal(signal.SIGINT)
    status = system.wait(120)
    if status != 0:
        raise Failure(f"status {status}")
    if place.remains() or place.processes():
        raise Failure(f"left: {place.remains()} {place.processes()}")


def main():
    guests.need_board()
    tap = guests.Tap()
    avp = os.path.abspath(sys.argv[1])
    place = guests.Place()
    log = open(os.path.join(place.path, "output"), "w+", encoding="utf-8")
    system = guests.System(avp, place.file, place.runtime, output=log)
    consoles = {}
    try:
        if tap.run("both guests have a shell on their console", test_up, system, consoles):
            tap.run("avp ps", test_ps, system, place, avp)
            tap.run("consoles", test_console, consoles)
            tap.run("a guest that does not exist", test_unknown_guest, place, avp)
            tap.run("kill -9 of a disk process under load", test_kill_device, system, consoles)
            tap.run("suspend to RAM and wake", test_suspend, system, consoles, place, avp)
            tap.run("Ctrl-C", test_interrupt, system, place)
    finally:
        system.end()
        log.seek(0)
        for line in log.read().splitlines():
            print(f"# {line}")
    tap.done()


if __name__ == "__main__":
    main()
