#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""avp run as a service of systemd, without systemd: the notifications that it sends (sd_notify(3)), and the unit file."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import test_run  # noqa: E402 (the place and the system of that test)

AVP, LIMIT = test_run.AVP, test_run.LIMIT
UNIT = os.path.abspath(sys.argv[3])
BUILD = os.path.abspath(sys.argv[4])


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, place, name):
        self.place = place
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name[0] == "@" else name)
        self.socket.settimeout(LIMIT)
        place.env["NOTIFY_SOCKET"] = name
        self.seen = []

    def wait(self, text):
        while True:
            self.seen.append(self.socket.recv(4096).decode())
            if self.seen[-1] == text:
                return


def test_ready_and_stopping(place):
    manager = Manager(place, os.path.join(place.folder, "notify"))
    with place.run("vms:\n" + place.vm("one", "button") + place.vm("two", "button", ", after: one")) as s:
        manager.wait("READY=1")
        states = {name: p["state"] for name, p in s.ps().items()}
        assert states == {"one": "running", "two": "running"}, states
        assert "STATUS=2 of 2 VMs running, 0 failed" in manager.seen, manager.seen
        assert manager.seen.index("STATUS=1 of 2 VMs running, 0 failed") < len(manager.seen) - 1, manager.seen
        s.process.send_signal(signal.SIGTERM)
        manager.wait("STOPPING=1")
        s.ends(0)
    manager.socket.settimeout(0.1)
    try:
        while True:
            manager.seen.append(manager.socket.recv(4096).decode())
    except TimeoutError:
        pass
    assert manager.seen.count("READY=1") == manager.seen.count("STOPPING=1") == 1, manager.seen
    assert not [text for text in manager.seen if text.startswith("WATCHDOG")], manager.seen


def test_a_guest_that_cannot_start_does_not_hold_up_the_others(place):
    manager = Manager(place, os.path.join(place.folder, "notify"))
    with open(os.path.join(place.folder, "nothing"), "wb") as f:
        f.write(b"no kernel")
    bad = "  bad: {memory: 16M, boot: {kernel: nothing}}\n"
    with place.run("vms:\n" + place.vm("one", "button") + bad) as s:
        manager.wait("READY=1")
        assert s.ps()["bad"]["state"] == "failed" and s.ps()["one"]["state"] == "running", s.ps()
        assert "STATUS=1 of 2 VMs running, 1 failed" in manager.seen, manager.seen
        s.ask(cmd="stop")
        s.process.wait(LIMIT)


def test_stopped_while_it_starts(place):
    manager = Manager(place, os.path.join(place.folder, "notify"))
    with place.run("grace: 60m\nvms:\n" + place.vm("one", "spin") + place.vm("two", "spin", ", after: one")) as s:
        s.says("starting 2 VMs")
        s.process.send_signal(signal.SIGTERM)  # perhaps before the first guest runs
        s.says("stopping all guests")
        s.process.send_signal(signal.SIGTERM)
        s.process.wait(LIMIT)
    manager.wait("STOPPING=1")


def test_abstract_socket(place):
    manager = Manager(place, f"@avp-test-{os.getpid()}")
    with place.run("vms:\n" + place.vm("one", "button")) as s:
        manager.wait("READY=1")
        s.ask(cmd="stop")
        s.ends(0)


def test_watchdog_is_fed(place):
    manager = Manager(place, os.path.join(place.folder, "notify"))
    place.env["WATCHDOG_USEC"] = "100000"
    with place.run("vms:\n" + place.vm("one", "button")) as s:
        manager.wait("READY=1")
        start = time.monotonic()
        for _ in range(10):
            manager.wait("WATCHDOG=1")
        assert time.monotonic() - start > 0.3, "fed much more often than it needs"
        s.ask(cmd="stop")
        s.ends(0)


def test_watchdog_of_another_process(place):
    manager = Manager(place, os.path.join(place.folder, "notify"))
    place.env.update(WATCHDOG_USEC="20000", WATCHDOG_PID="1")
    with place.run("vms:\n" + place.vm("one", "button")) as s:
        manager.wait("READY=1")
        time.sleep(0.1)
        s.ask(cmd="stop")
        manager.wait("STOPPING=1")
        s.ends(0)
    assert "WATCHDOG=1" not in manager.seen, manager.seen


def test_the_processes_of_a_system_cannot_notify(place):
    if os.geteuid() != 0:
        raise test_run.Skip("needs root, to look into a jailed process")
    manager = Manager(place, os.path.join(place.folder, "notify"))
    place.env.update(WATCHDOG_USEC="100000000")
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]")) as s:
        manager.wait("READY=1")
        for name, p in s.ps().items():
            with open(f"/proc/{p['pid']}/environ", "rb") as f:
                assert b"NOTIFY" not in (text := f.read()) and b"WATCHDOG" not in text, name
        s.ask(cmd="stop")
        s.ends(0)


def test_a_manager_that_is_gone_or_none(place):
    manager = Manager(place, os.path.join(place.folder, "notify"))
    manager.socket.close()
    with place.run("vms:\n" + place.vm("one", "off")) as s:
        s.ends(0)
    for name in ("relative", "@", "/" + "x" * 200):
        place.env["NOTIFY_SOCKET"] = name
        with place.run("vms:\n" + place.vm("one", "off")) as s:
            assert s.process.wait(LIMIT) == 1 and "NOTIFY_SOCKET" in s.text(), s.text()
            assert not place.remains()


def test_the_unit_is_right(place):
    if not shutil.which("systemd-analyze"):
        raise test_run.Skip("no systemd-analyze in PATH")
    with open(UNIT, encoding="utf-8") as f:
        text = f.read()
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    program = command.removeprefix("ExecStart=").split()[0]
    assert program.endswith("/bin/avp"), command
    # It is not installed yet, so the program is the one that was built.
    path = os.path.join(place.folder, "avp@x.service")
    for name in (path, os.path.join(place.folder, "avp@.service")):
        with open(name, "w", encoding="utf-8") as f:
            f.write(text.replace(program, AVP))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    if "Failed to" in done.stdout and "bus" in done.stdout:
        raise test_run.Skip(f"systemd-analyze does not work here: {done.stdout.strip()}")
    assert done.returncode == 0 and "avp@" not in done.stdout, done.stdout


def test_the_unit_is_installed(place):
    done = subprocess.run(["meson", "introspect", "--installed", BUILD], stdout=subprocess.PIPE, check=True, text=True,
                          timeout=LIMIT)
    to = {os.path.basename(path): where for path, where in json.loads(done.stdout).items()}
    assert to["avp@.service"].endswith("/lib/systemd/system/avp@.service"), to
    assert to["avp"].endswith("/bin/avp") and to["avp-verify"].endswith("/libexec/avp/avp-verify"), to


if __name__ == "__main__":
    sys.exit(test_run.main(globals()))
