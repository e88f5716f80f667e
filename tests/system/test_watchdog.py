#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The watchdog of a VM under `avp run`: what follows when a guest stops feeding, and that no other guest notices."""
import os
import re
import sys
import time

sys.dont_write_bytecode = True
import test_run  # noqa: E402 (the place and the system of that test)

# Cases of the guest (tests/monitor/payload/watchdog.c): "watchdog-hang" feeds for longer than its watchdog lasts and
# then hangs; "watchdog-count" feeds and counts for ever.


def vm(place, name, case, more):
    serial = os.path.join(place.folder, name + ".serial")
    return place.vm(name, case, f", serial: {serial}, {more}")


def counter(place, name="busy"):
    """The last number that a counting guest has written."""
    try:
        with open(os.path.join(place.folder, name + ".serial"), encoding="ascii", errors="replace") as f:
            return int((re.findall(r"^count ([0-9a-f]+)\n", f.read(), re.M) or ["0"])[-1], 16)
    except FileNotFoundError:
        return 0


def events(s, name):
    return s.ask(cmd="events", name=name)["result"]["events"]


def watchdogs(s, name):
    return [e["action"] for e in events(s, name) if e["event"] == "watchdog"]


def test_a_neighbour_does_not_notice(place):
    """One guest hangs again and again; the other one feeds its own watchdog, counts on, and is never restarted."""
    text = "vms:\n" + vm(place, "hang", "watchdog-hang", "restart-limit: 0, watchdog: {action: reset}")
    text += vm(place, "busy", "watchdog-count", "watchdog: {action: stop}")
    with place.run(text) as s:
        pid = s.state("busy", "running")["pid"]
        for boots in (2, 3):
            before = counter(place)
            s.until(lambda n=boots: s.ps()["hang"]["boots"] >= n, f"boot {boots}")
            assert counter(place) > before, "the other guest has not counted on"
        before = counter(place)
        s.until(lambda: counter(place) > before, "the other guest counts on")
        busy = s.ps()["busy"]
        assert (busy["pid"], busy["boots"], busy["state"]) == (pid, 1, "running"), busy
        assert watchdogs(s, "hang")[:2] == ["reset", "reset"] and not watchdogs(s, "busy"), events(s, "hang")
        assert re.search(r"hang: its watchdog expired; restarted in 0 s \(failure 1\)", s.text()), s.text()
        s.ask(cmd="stop", force=True)
        s.process.wait(test_run.LIMIT)


def test_stop(place):
    with place.run("vms:\n" + vm(place, "one", "watchdog-hang", "restart: always, watchdog: {action: stop}")) as s:
        s.ends(1)
        assert re.search(r"one: its watchdog expired after [0-9.]+ s", s.text()), s.text()
        assert "r14 5afe5afe5afe5afe" in s.text(), "the log says where it hung"
        assert s.text().count("watchdog expired: stop") == 1, s.text()


def test_restart_with_back_off_and_limit(place):
    """The row of failures is that of crashes, too; when it is too long, the fallback takes over."""
    text = "vms:\n" + vm(place, "one", "watchdog-hang", "restart-delay: 300ms, restart-window: 10m, restart-limit: 1, "
                         "fallback: limp, watchdog: {action: restart}")
    text += vm(place, "limp", "watchdog-count", "watchdog: {}")
    with place.run(text) as s:
        s.state("limp", "running")
        assert s.ps()["one"]["state"] == "failed" and s.ps()["one"]["boots"] == 2, s.ps()
        assert "one: its watchdog expired; restarted in 0.3 s (failure 1 of at most 1)" in s.text(), s.text()
        s.until(lambda: counter(place, "limp"), "the fallback counts")
        s.ask(cmd="stop", force=True)
        s.process.wait(test_run.LIMIT)


def test_fallback_at_once(place):
    text = "vms:\n" + vm(place, "one", "watchdog-hang", "restart: always, fallback: limp, watchdog: {action: fallback}")
    text += vm(place, "limp", "watchdog-count", "watchdog: {}")
    with place.run(text) as s:
        s.state("limp", "running")
        assert s.ps()["one"]["boots"] == 1 and s.ps()["one"]["state"] == "failed", s.ps()
        s.ask(cmd="stop", force=True)
        s.process.wait(test_run.LIMIT)


def test_a_paused_guest_is_not_bitten(place):
    with place.run("vms:\n" + vm(place, "one", "watchdog-count", "watchdog: {action: stop}")) as s:
        s.until(lambda: counter(place, "one") > 2, "it counts")
        assert s.ask(cmd="pause", vm="one")["ok"]
        time.sleep(2.5)  # more than its watchdog lasts
        assert s.ask(cmd="resume", vm="one")["ok"]
        before = counter(place, "one")
        s.until(lambda: counter(place, "one") > before + 2, "it counts on")
        assert not watchdogs(s, "one") and s.ps()["one"]["state"] == "running", events(s, "one")
        s.ask(cmd="stop", force=True)
        s.process.wait(test_run.LIMIT)


if __name__ == "__main__":
    sys.exit(test_run.main(globals()))
