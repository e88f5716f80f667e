#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The thermal policy of a running system, with a file in place of a sensor: guests are slowed down and stopped, and go on
when it is cool; a sensor that is lost; what the configuration refuses."""
import os
import sys
import time

sys.dont_write_bytecode = True
import test_run  # noqa: E402 (the place and the system of that test)


class Hot:
    """A system with a thermal policy, and the temperature of its host in degrees."""

    def __init__(self, place, thermal, vms):
        self.place = place
        self.path = os.path.join(place.folder, "temp")
        self.set(40)
        self.text = f"vms:\n{vms}thermal:\n  source: temp\n  poll: 20ms\n{thermal}"

    def set(self, degrees):
        """At once, as sysfs does: a reader never sees half a number."""
        self.write(f"{int(degrees * 1000)}\n")

    def write(self, text):
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(self.path + ".new", self.path)

    def run(self):
        return self.place.run(self.text)


def events(s, **wanted):
    """Those of the log that have these members."""
    found = s.ask(cmd="events")["result"]["events"]
    return [e for e in found if all(e.get(key) == value for key, value in wanted.items())]


def wait_event(s, n=1, **wanted):
    return s.until(lambda: len(found := events(s, **wanted)) >= n and found[-1], f"event {wanted}")


def used(pid):
    """The processor time of a process, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def speed(s, name, other):
    """How much processor time a guest gets for that of another one, which works as hard and meets the same neighbours."""
    pids = [s.ps()[n]["pid"] for n in (name, other)]
    before = [used(pid) for pid in pids]
    s.until(lambda: used(pids[1]) - before[1] > 0.5, f"work of {other}")
    return (used(pids[0]) - before[0]) / (used(pids[1]) - before[1])


def test_a_guest_is_slowed_down_and_let_go(place):
    thermal = "  thresholds:\n    - {at: 80, vm: one, cpu: 10}\n"
    hot = Hot(place, thermal, place.vm("one", "spin") + place.vm("two", "spin"))
    with hot.run() as s:
        s.state("one", "running")
        s.state("two", "running")
        hot.set(85)
        e = wait_event(s, event="thermal", state="exceeded")
        assert (e["name"], e["at"], e["temperature"], e["action"]) == ("one", 80, 85, "throttle"), e
        e = wait_event(s, event="throttle", name="one", cpu=10)
        assert e["by"] in ("cgroup", "monitor"), e
        print(f"# throttled by {e['by']}")
        assert speed(s, "one", "two") < 0.5
        hot.set(76)
        time.sleep(0.2)  # nothing may happen within the hysteresis
        assert not events(s, state="over")
        hot.set(74)
        wait_event(s, event="throttle", name="one", cpu=100)
        s.until(lambda: speed(s, "one", "two") > 0.6, "full speed")
        assert not events(s, name="two", event="throttle") and s.ps()["one"]["state"] == "running"
        s.ask(cmd="stop", force=True)
        s.process.wait(test_run.LIMIT)


def test_a_new_monitor_is_as_slow(place):
    thermal = "  thresholds: [{at: 80, vm: one, cpu: 10}]\n"
    hot = Hot(place, thermal, place.vm("one", "spin", ", restart: on-failure, restart-delay: 10ms")
              + place.vm("two", "spin"))
    with hot.run() as s:
        s.state("one", "running")
        s.state("two", "running")
        hot.set(90)
        wait_event(s, event="throttle", name="one", cpu=10)
        s.ask(cmd="kill", name="one")
        s.until(lambda: (p := s.ps()["one"])["state"] == "running" and p["boots"] == 2, "a new one")
        assert speed(s, "one", "two") < 0.5
        s.ask(cmd="stop", force=True)
        s.process.wait(test_run.LIMIT)


def test_guests_are_stopped_in_order_and_started_again(place):
    thermal = ("  thresholds:\n    - {at: 80, action: stop, vm: one}\n"
               "    - {at: 90, action: stop, vm: two, start-again: true}\n")
    hot = Hot(place, thermal, "".join(place.vm(name, "button", ", restart: always") for name in ("one", "two", "three")))
    with hot.run() as s:
        for name in ("one", "two", "three"):
            s.state(name, "running")
        hot.set(95)
        s.state("one", "off")
        s.state("two", "off")
        exceeded = [e["name"] for e in events(s, event="thermal", state="exceeded")]
        assert exceeded == ["one", "two"], exceeded
        hot.set(20)
        s.until(lambda: (p := s.ps()["two"])["state"] == "running" and p["boots"] == 2, "two again")
        assert s.ps()["one"]["state"] == "off" and s.ps()["three"]["boots"] == 1
        s.ask(cmd="stop")
        s.ends(0)


def test_without_a_vm_it_is_for_all(place):
    hot = Hot(place, "  thresholds: [{at: 100, action: stop}]\n", place.vm("one", "button") + place.vm("two", "button"))
    with hot.run() as s:
        s.state("one", "running")
        s.state("two", "running")
        hot.set(100)
        s.ends(0)


def test_hot_from_the_beginning(place):
    hot = Hot(place, "  thresholds: [{at: 100, action: stop, vm: one}]\n", place.vm("one", "button")
              + place.vm("two", "button"))
    hot.set(110)
    with hot.run() as s:
        s.state("one", "off")
        s.state("two", "running")
        s.ask(cmd="stop")
        s.ends(0)


def test_a_sensor_that_is_lost(place):
    thermal = "  lost: throttle\n  thresholds:\n    - {at: 80, cpu: 30}\n    - {at: 90, action: stop}\n"
    hot = Hot(place, thermal, place.vm("one", "button"))
    with hot.run() as s:
        s.state("one", "running")
        for n, break_it in enumerate((lambda: os.unlink(hot.path), lambda: hot.write("much"), lambda: hot.write("")), 1):
            break_it()
            e = wait_event(s, n, event="thermal-lost")
            assert e["source"] == hot.path and e["reason"] and "name" not in e, e
            wait_event(s, n, event="throttle", name="one", cpu=30)
            hot.set(40)
            wait_event(s, n, event="thermal-found")
            wait_event(s, n, event="throttle", name="one", cpu=100)
        assert s.ps()["one"]["state"] == "running"
        s.ask(cmd="stop")
        s.ends(0)


def test_a_lost_sensor_may_stop_all(place):
    hot = Hot(place, "  lost: stop\n  thresholds: [{at: 90, action: stop}]\n", place.vm("one", "button"))
    with hot.run() as s:
        s.state("one", "running")
        os.unlink(hot.path)
        s.ends(0)


def test_what_the_file_may_say(place):
    for thermal, why in (
            ("{}", "needs 'source'"), ("{source: t}", "needs 'source', a file, and 'thresholds'"), ("hot", "must be a map"),
            ("{source: t, thresholds: []}", None), ("{source: t, thresholds: 5}", "must be a list"),
            ("{source: t, thresholds: [5]}", "a threshold must be a map"), ("{source: t, thresholds: [{}]}", "at"),
            ("{source: t, thresholds: [{at: 0}]}", "at"), ("{source: t, thresholds: [{at: 80, vm: on}]}", "no VM 'on'"),
            ("{source: t, thresholds: [{at: 80, action: melt}]}", "melt"),
            ("{source: t, thresholds: [{at: 80, cpu: 100}]}", "cpu"),
            ("{source: t, thresholds: [{at: 80, action: stop, cpu: 5}]}", "'cpu' is for"),
            ("{source: t, thresholds: [{at: 80, start-again: true}]}", "'start-again' is for"),
            ("{source: t, thresholds: [{at: 80}, {at: 79}]}", "lower than in the threshold before"),
            ("{source: t, lost: panic, thresholds: []}", "panic"), ("{source: t, poll: 1ms, thresholds: []}", "poll"),
            ("{source: t, thresholds: [{at: 80, vm: one}, {at: 80, action: stop, start-again: yes}]}", None)):
        path = place.write("vms:\n" + place.vm("one", "off") + f"thermal: {thermal}\n")
        done = place.avp("check", path)
        if why:
            assert done.returncode == 2 and f"{path}:3:" in done.stdout and why in done.stdout, f"{thermal}: {done.stdout}"
        else:
            assert done.returncode == 0, f"{thermal}: {done.stdout}"


if __name__ == "__main__":
    sys.exit(test_run.main(globals()))
