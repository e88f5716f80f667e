#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Supervision with bare-metal guests (tests/system/guest): who starts after whom, readiness, restarts and back-off,
fallback, the order of the end, pause and resume, deaths of monitors and of the supervisor."""
import json
import os
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True
import test_run  # noqa: E402 (the place and the system of that test)

LIMIT, PAYLOAD = test_run.LIMIT, os.path.abspath(sys.argv[3])
CONSOLE = "devices: [{type: console, scrollback: 256}]"
VSOCK = "devices: [{type: vsock, cid: 5}]"


def vms(*lines):
    return "vms:\n" + "".join(f"  {line}\n" for line in lines)


def vm(name, words="", more=""):
    boot = f"boot: {{kernel: {test_run.GUEST}, cmdline: '{words}'}}"
    return f"{name}: {{memory: 16M, {boot}{', ' if more else ''}{more}}}"


def events(s, **request):
    return s.ask(cmd="events", **request)["result"]["events"]


def states(s, name):
    return [e["state"] for e in events(s, name=name) if e["event"] == "state" and e["name"] == name]


def when(s, name, event="state", state=None):
    """Seconds at which something first happened."""
    for e in events(s):
        if e.get("name") == name and e["event"] == event and (state is None or e.get("state") == state):
            return e["mono_ns"] / 1e9
    raise AssertionError(f"{name} {event} {state} is not in {events(s)}")


def stops(s, status=0):
    assert s.ask(cmd="stop")["ok"]
    s.ends(status)


def test_order_of_start_and_end(place):
    """Ready is what `after` waits for; the end goes the other way round."""
    text = vms(vm("last", more="after: [middle, {vm: first, state: running}]"),
               vm("middle", more="after: first"),
               vm("first", "wait=300 say=up", f"ready: {{console: console0, line: 'says up'}}, {CONSOLE}"))
    with place.run(text) as s:
        s.state("first", "running")
        waiting = s.ps()["last"]
        assert waiting["state"] == "waiting" and "middle (ready)" in waiting["waits_for"], waiting
        s.state("last", "running")
        assert all(s.ps()[name]["ready"] for name in ("first", "middle", "last")), s.ps()
        ready, middle = when(s, "first", "ready"), when(s, "middle", state="starting")
        assert when(s, "first", state="running") < ready <= middle
        assert when(s, "middle", state="running") <= when(s, "last", state="starting")
        assert "first: ready, " in s.text(), s.text()
        with s.connect() as c:
            stream = c.makefile("rb")
            c.sendall(b'{"cmd":"events","follow":true}\n')
            assert json.loads(stream.readline())["ok"]
            assert s.ask(cmd="shutdown")["ok"]
            seen = [e["entry"] for e in map(json.loads, stream)]
        order = [(e["name"], e["state"]) for e in seen if e["event"] == "state" and "/" not in e["name"]]
        assert order == [(name, state) for name in ("last", "middle", "first") for state in ("stopping", "off")], order
        s.ends(0)


def test_after_a_guest_has_ended(place):
    with place.run(vms(vm("flash", "wait=200 end=off"), vm("main", more="after: {vm: flash, state: off}"))) as s:
        s.state("main", "running")
        assert when(s, "flash", state="off") <= when(s, "main", state="starting")
        stops(s)


def test_what_can_never_start_is_said(place):
    """One that waits for one that failed, and one that waits for that one."""
    text = vms(vm("last", more="after: next"), vm("next", more="after: {vm: bad, state: off}"), vm("bad", "end=crash"),
               vm("other"))
    with place.run(text) as s:
        s.says("next: not started: bad has failed, which it needs")
        s.says("last: not started: next has failed, which it needs")
        assert s.ps()["next"]["state"] == s.ps()["last"]["state"] == "failed" and s.ps()["last"]["boots"] == 0
        answer = s.ask(cmd="start", vm="next")
        assert not answer["ok"], answer
        s.state("other", "running")
        stops(s, 1)


def test_ready_by_console(place):
    """The text of an earlier boot does not count, the time until a guest is ready is limited, and a guest that is not
    ready in time has failed."""
    text = vms(vm("one", "wait=150 say=up", f"ready: {{console: console0, line: 'it says up'}}, {CONSOLE}"),
               vm("mute", "say=down", "restart: on-failure, restart-limit: 1, restart-delay: 10ms, "
                  f"ready: {{console: console0, line: it says up, timeout: 200ms}}, {CONSOLE}"),
               vm("lax", "say=down",
                  f"ready: {{console: console0, line: up, timeout: 200ms, on-timeout: ignore}}, {CONSOLE}"))
    with place.run(text) as s:
        s.state("mute", "failed")
        assert s.text().count("mute: not ready within 0.2 s") == 2, s.text()
        assert [e["event"] for e in events(s, name="mute") if e["event"] != "state" and e["name"] == "mute"].count(
            "not-ready") == 2, events(s, name="mute")
        s.until(lambda: s.ps()["lax"]["ready"], "lax counts as ready")
        s.until(lambda: s.ps()["one"]["ready"], "one is ready")
        assert s.ask(cmd="restart", vm="one")["ok"]
        s.until(lambda: s.ps()["one"]["ready"], "one is ready again")
        ready = [e["ms"] for e in events(s, name="one") if e["event"] == "ready"]
        assert len(ready) == 2 and all(ms >= 100 for ms in ready), ready
        stops(s, 1)


def test_ready_by_console_of_the_monitor(place):
    device = "devices: [{type: console, isolate: false}]"
    with place.run(vms(vm("one", "say=up", f"ready: {{console: console0, line: up}}, {device}"))) as s:
        s.until(lambda: s.ps()["one"]["ready"], "ready")
        stops(s)


def test_ready_by_vsock_of_the_host(place):
    text = vms(vm("one", "wait=100 notify=7000", f"ready: {{vsock: 7000}}, {VSOCK}"),
               vm("two", more="after: one"))
    with place.run(text) as s:
        s.state("two", "running")
        assert when(s, "one", "ready") <= when(s, "two", state="starting")
        os.kill(s.ps()["one"]["pid"], signal.SIGKILL)
        s.state("one", "failed")
        assert s.ask(cmd="start", vm="one")["ok"]
        s.until(lambda: s.ps()["one"]["ready"], "ready again")
        assert len([e for e in events(s, name="one") if e["event"] == "ready"]) == 2
        stops(s, 1)


def test_nonsense_on_the_port_is_not_ready(place):
    """Whoever can connect may say anything, much of it, and leave when he likes."""
    with place.run(vms(vm("one", "", f"ready: {{vsock: 7000, timeout: 60m}}, {VSOCK}"))) as s:
        s.state("one", "running")
        port = os.path.join(place.runtime, "avp/s/one/vsock_7000")
        for text in (b"", b"READY=0\n", b"NOTREADY=1\nREADY=11\n", b"x" * 5000, b"READY=1" + b"x" * 2000):
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(port)
                try:
                    c.sendall(text)
                except ConnectionError:
                    pass  # too much
        idle = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for c in idle:
            c.connect(port)
        assert s.ps()["one"]["ready"] is False
        for c in idle:
            c.close()

        def say():
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(port)
                c.sendall(b"STATUS=x\nREADY=1")
            return s.ps()["one"]["ready"]
        s.until(say, "ready")
        stops(s)
        assert not os.path.exists(port)


def test_ready_by_vsock_of_the_guest(place):
    text = vms(vm("one", "wait=300 listen=22", f"ready: {{vsock-guest: 22}}, {VSOCK}"), vm("two", more="after: one"))
    with place.run(text) as s:
        s.state("two", "running")
        assert when(s, "one", "ready") - when(s, "one", state="running") > 0.2
        stops(s)


def test_back_off_and_limit(place):
    more = "restart: on-failure, restart-limit: 4, restart-delay: 50ms, restart-delay-max: 150ms"
    with place.run(vms(vm("bad", "end=crash", more), vm("other"))) as s:
        s.state("bad", "failed")
        log = [e for e in events(s, name="bad") if e["event"] == "state"]
        ends = [e["mono_ns"] / 1e6 for e in log if e["state"] == "restarting"]
        starts = [e["mono_ns"] / 1e6 for e in log if e["state"] == "starting"]
        waits = [start - end for end, start in zip(ends, starts[1:])]
        assert len(starts) == 5 and len(waits) == 4, log
        assert all(wait >= least - 1 for wait, least in zip(waits, (50, 100, 150, 150))), waits
        assert s.ps()["bad"]["failures"] == 5 and s.ps()["other"]["state"] == "running", s.ps()
        # It can be tried again, with a new row of failures.
        assert s.ask(cmd="start", vm="bad")["ok"]
        s.until(lambda: states(s, "bad").count("failed") == 2, "given up once more")
        assert len([x for x in states(s, "bad") if x == "starting"]) == 10
        stops(s, 1)


def test_a_guest_that_ran_begins_a_new_row(place):
    more = "restart: on-failure, restart-limit: 1, restart-delay: 10ms, restart-window: 50ms"
    with place.run(vms(vm("bad", "wait=200 end=crash", more))) as s:
        s.until(lambda: s.ps()["bad"]["boots"] >= 4, "more restarts than the limit")
        assert s.ask(cmd="stop", force=True)["ok"]
        s.process.wait(LIMIT)


def test_fallback(place):
    text = vms(vm("main", "end=crash", "restart: on-failure, restart-limit: 1, restart-delay: 10ms, fallback: limp"),
               vm("limp", "say=limping", f"after: helper, {CONSOLE}"), vm("helper", more="start: manual"))
    with place.run(text) as s:
        s.state("limp", "running")
        assert s.ps()["main"]["state"] == "failed" and s.ps()["main"]["boots"] == 2, s.ps()
        assert states(s, "limp")[0] == "standby" or when(s, "limp", state="starting") > when(s, "main", state="failed")
        # What it comes after was not started either; it is now.
        assert when(s, "helper", state="running") <= when(s, "limp", state="starting")
        assert [e["vm"] for e in events(s, name="main") if e["event"] == "fallback"] == ["limp"]
        assert "main: given up; its fallback is limp" in s.text()
        stops(s, 1)


def test_fallback_that_is_not_needed(place):
    """It does not keep the system alive, and neither it nor its devices ever start."""
    with place.run(vms(vm("main", "wait=300 end=off", "fallback: limp"), vm("limp", more=CONSOLE))) as s:
        s.state("main", "running")
        assert s.ps()["limp"]["state"] == s.ps()["limp/console0"]["state"] == "standby", s.ps()
        s.ends(0)


def test_system_stop_on_failure(place):
    with place.run(vms(vm("main", "wait=300 end=crash", "on-failure: system-stop"), vm("other"))) as s:
        s.ends(1)
        assert "main: given up; stopping the system" in s.text() and "other: powered off" in s.text(), s.text()


def test_start_by_hand(place):
    with place.run(vms(vm("one"), vm("two", "say=up", f"start: manual, {CONSOLE}"))) as s:
        s.state("one", "running")
        assert s.ps()["two"]["state"] == s.ps()["two/console0"]["state"] == "standby"
        for args, status, text in ((("start", "two"), 0, ""), (("start", "two"), 1, "two is running"),
                                   (("start", "three"), 1, "there is no VM 'three'"), (("stop", "two"), 0, ""),
                                   (("start", "two"), 0, "")):
            done = place.avp(*args)
            assert done.returncode == status and text in done.stdout, f"{args}: {done.stdout}"
        assert s.ps()["two"]["boots"] == 2
        stops(s)


def test_a_device_that_does_not_start_fails_only_its_manual_vm(place):
    more = "start: manual, devices: [{type: blk, image: missing.img}]"
    with place.run(vms(vm("one"), vm("two", more=more))) as s:
        s.state("one", "running")
        answer = s.ask(cmd="start", vm="two")
        assert not answer["ok"] and s.ps()["two"]["state"] == "failed", answer
        assert "two: not started: two/blk0 has failed, which it needs" in s.text(), s.text()
        with open(os.path.join(place.folder, "missing.img"), "wb") as f:
            f.truncate(1 << 20)
        assert s.ask(cmd="start", vm="two")["ok"]
        assert s.ps()["one"]["boots"] == 1
        s.ask(cmd="stop")
        assert s.process.wait(LIMIT) in (1, 2) and not place.remains()


def test_grace_of_one_vm(place):
    with place.run("grace: 60m\n" + vms(vm("one", "end=deaf", "grace: 300ms"))) as s:
        s.state("one", "running")
        begin = time.monotonic()
        assert s.ask(cmd="stop")["ok"]
        assert time.monotonic() - begin >= 0.3
        s.ends(1)
        assert "one: stopped by force" in s.text(), s.text()


def processor_time(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_pause_and_resume(place):
    """A paused guest takes no processor time, its time until it must be ready stands still, and it can be stopped."""
    spin = vm("spin", "button").replace(test_run.GUEST, PAYLOAD)
    text = vms(spin, vm("mute", "", f"ready: {{console: console0, line: up, timeout: 3s}}, {CONSOLE}"))
    with place.run(text) as s:
        s.state("mute", "running")
        assert place.avp("pause", "mute").returncode == 0
        pid = s.state("spin", "running")["pid"]
        done = place.avp("pause", "spin")
        assert done.returncode == 0 and s.ps()["spin"]["state"] == "paused", done.stdout
        assert place.avp("pause", "spin").returncode == 0, "it is what was asked for"
        before = processor_time(pid)
        time.sleep(3.5)
        assert processor_time(pid) - before <= 5, "a paused guest runs"
        assert s.ps()["mute"]["state"] == "paused", s.ps()
        done = place.avp("resume", "mute")
        assert done.returncode == 0 and s.ps()["mute"]["state"] == "running", done.stdout
        s.says("mute: not ready within 3 s")
        assert "running paused running" in " ".join(states(s, "mute")), states(s, "mute")
        for cmd in ("wakeup", "suspend"):
            answer = s.ask(cmd=cmd, vm="spin")
            assert not answer["ok"] and "spin is paused" in answer["error"], answer
        stops(s, 1)  # the paused one, too
        assert "spin: powered off" in s.text(), s.text()


def test_suspend_and_wakeup(place):
    """A guest that its sleep button makes suspend itself, one that does not listen to it, and stopping one that
    sleeps."""
    text = vms(vm("one", "suspend").replace(test_run.GUEST, PAYLOAD), vm("deaf", "button").replace(
        test_run.GUEST, PAYLOAD), vm("three", "suspend").replace(test_run.GUEST, PAYLOAD))
    with place.run(text) as s:
        for name in ("one", "deaf", "three"):
            s.state(name, "running")
        for name in ("one", "three"):
            done = place.avp("suspend", name)
            assert done.returncode == 0 and s.ps()[name]["state"] == "suspended", done.stdout
            assert place.avp("resume", name).returncode == 1, "it is not paused"
        done = place.avp("wakeup", "one")
        assert done.returncode == 0 and s.ps()["one"]["state"] == "running", done.stdout
        assert states(s, "one")[-2:] == ["suspended", "running"], states(s, "one")
        with s.connect() as c:
            c.sendall(b'{"cmd":"suspend","vm":"deaf","id":1}\n')
            assert s.ask(cmd="stop", vm="deaf")["ok"]
            answer = json.loads(c.makefile("rb").readline())
            assert not answer["ok"] and "deaf has ended instead" in answer["error"], answer
        # Both have to hear their power button: the one that is awake, and the one that sleeps.
        stops(s)
        assert "three: powered off" in s.text() and "one: powered off" in s.text(), s.text()


def test_killed_monitor(place):
    """The supervisor starts it again, and nothing of it is left: no process, no socket, no file."""
    devices = "devices: [{type: rng}, {type: console, isolate: false}, {type: vsock, cid: 5, isolate: false}]"
    with place.run(vms(vm("one", "", f"restart: on-failure, restart-delay: 10ms, {devices}"), vm("two"))) as s:
        s.state("one", "running")
        before, files = s.ps(), None
        for boots in (2, 3):
            files = files or sorted(place.remains())
            pid = s.ps()["one"]["pid"]
            os.kill(pid, signal.SIGKILL)
            s.until(lambda n=boots: (p := s.ps()["one"])["state"] == "running" and p["boots"] == n, "a restart")
            assert not test_run.alive(pid)
            s.until(lambda: sorted(place.remains()) == files, f"the files of before, {files}, not {place.remains()}")
        for name in ("one/rng0", "two"):
            assert s.ps()[name]["pid"] == before[name]["pid"], f"{name} was touched"
        stops(s)


def test_killed_supervisor_leaves_nothing_running(place):
    text = vms(vm("one", "end=deaf", f"ready: {{vsock: 7000, timeout: 60m}}, {VSOCK}"), vm("two"),
               vm("three", more="after: one"))
    with place.run(text) as s:
        s.state("one", "running")
        s.ask(cmd="pause", vm="two")
        pids = [p["pid"] for p in s.ps().values() if "pid" in p]
        assert len(pids) == 3
        s.process.kill()
        s.process.wait()
        end = time.monotonic() + LIMIT
        while any(test_run.alive(pid) for pid in pids):
            assert time.monotonic() < end, f"still there: {[pid for pid in pids if test_run.alive(pid)]}"
            time.sleep(0.02)
    with place.run(vms(vm("one", "end=off"))) as s:
        s.ends(0)


if __name__ == "__main__":
    sys.exit(test_run.main(globals()))
