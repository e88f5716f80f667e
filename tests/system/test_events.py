#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The event log: what is in it, `avp events`, following it, its bounds, and a file that outlives the run."""
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import test_run  # noqa: E402 (the place and the system of that test)

AVP, LIMIT = test_run.AVP, test_run.LIMIT
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def states(events, name):
    return [e["state"] for e in events if e.get("name") == name and e["event"] == "state"]


def as_json(done):
    assert done.returncode == 0, done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_states_of_all_processes_in_order(place):
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]")) as s:
        s.state("one", "running")
        before = s.state("one/rng0", "running")
        os.kill(before["pid"], signal.SIGKILL)
        s.until(lambda: s.ps()["one/rng0"]["restarts"] == 1 and s.state("one/rng0", "running"), "a restart")
        events = as_json(place.avp("events", "--json"))
        assert events[0]["event"] == "start" and events[0]["system"] == "s" and "name" not in events[0], events[0]
        assert states(events, "one") == ["waiting", "starting", "running"], events
        assert states(events, "one/rng0") == ["starting", "running", "restarting", "starting", "running"], events
        death = next(e for e in events if e.get("state") == "restarting")
        assert death["exit"] == -signal.SIGKILL and death["failures"] == 1, death
        assert all(STAMP.fullmatch(e["time"]) for e in events), events
        stamps = [e["mono_ns"] for e in events]
        assert stamps == sorted(stamps) and abs(stamps[-1] - time.monotonic_ns()) < 600e9, stamps
        wall = datetime.datetime.fromisoformat(events[-1]["time"][:23] + "+00:00")
        assert abs((datetime.datetime.now(datetime.timezone.utc) - wall).total_seconds()) < 600, events[-1]
        s.ask(cmd="stop")
        s.ends(0)


def test_names_since_and_number(place):
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]") + place.vm("two", "button")) as s:
        s.state("one", "running")
        s.state("two", "running")
        of_one = as_json(place.avp("events", "one", "--json"))
        assert {e["name"] for e in of_one} == {"one", "one/rng0"}, of_one
        assert {e["name"] for e in as_json(place.avp("events", "one/rng0", "--json"))} == {"one/rng0"}
        everything = as_json(place.avp("events", "--json"))
        assert as_json(place.avp("events", "--json", "--lines", "2")) == everything[-2:]
        stamp = everything[3]["time"]
        assert as_json(place.avp("events", "--json", "--since", stamp)) == everything[3:]
        assert as_json(place.avp("events", "--json", "--since", "1h")) == everything
        assert as_json(place.avp("events", "--json", "--since", "2100-01-01")) == []
        for wrong in ("yesterday", "10", "2026", "-5m", "10x", "2026-03-01 12:00"):
            done = place.avp("events", "--since", wrong)
            assert done.returncode == 2 and "--since" in done.stdout, done.stdout
        text = place.avp("events", "two").stdout
        assert re.search(r"^\S+Z two +state state=running boot_us=\d+$", text, re.MULTILINE), text
        s.ask(cmd="stop")
        s.ends(0)


def test_following(place):
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]") + place.vm("two", "button")) as s:
        s.state("one", "running")
        s.state("two", "running")
        reader = subprocess.Popen([AVP, "events", "two", "--follow", "--json"], env=place.env, text=True,
                                  stdout=subprocess.PIPE)
        seen = [json.loads(reader.stdout.readline()) for _ in range(3)]
        assert states(seen, "two") == ["waiting", "starting", "running"], seen
        s.ask(cmd="stop", vm="one")
        s.ask(cmd="stop")
        rest = [json.loads(line) for line in reader.stdout]
        assert reader.wait(LIMIT) == 0 and {e["name"] for e in rest} == {"two"}, rest
        assert states(rest, "two") == ["stopping", "off"] and rest[-1]["exit"] == 0, rest
        s.ends(0)


def test_nonsense_in_the_file(place):
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]")) as s:
        s.state("one", "running")
        path = os.path.join(place.runtime, "avp/s/events.jsonl")
        filler = json.dumps({"time": "2000-01-01T00:00:00.000000000Z", "mono_ns": 1, "event": "filler", "x": "y" * 900})
        with open(path, "a", encoding="utf-8") as f:
            f.write("no json\n{}\n[1]\n" + (filler + "\n") * 700 + "cut off in the mid")
        assert len(as_json(place.avp("events", "--json", "--lines", "5000"))) < 700, "the answer is not bounded"
        assert s.ask(cmd="events", since="2001", max=1)["result"]["events"][0]["event"] == "state"
        s.ask(cmd="stop")
        s.ends(0)


def test_the_event_log_outlives_the_run(place):
    log = os.path.join(place.folder, "events")
    for run in (1, 2):
        with place.run("event-log: events\nvms:\n" + place.vm("one", "off")) as s:
            s.ends(0)
        with open(log, encoding="utf-8") as f:
            seen = [json.loads(line)["event"] for line in f]
        assert seen.count("start") == seen.count("end") == run and seen[-1] == "end", seen
    shown = place.avp("events", "one", "--json", "--file", log).stdout.splitlines()
    assert [json.loads(line).get("state") for line in shown].count("running") == 2, shown
    assert len(place.avp("events", "--file", log, "--lines", "3", "--since", "1h").stdout.splitlines()) == 3
    for args in (("--file", "/nonexistent"), ("--file", log, "--follow")):
        assert place.avp("events", *args).returncode == 2, args
    assert os.stat(log).st_mode & 0o777 == 0o600
    with place.run("event-log: /dev/null\nvms:\n" + place.vm("one", "off")) as s:
        assert s.process.wait(LIMIT) == 1 and "/dev/null is not a regular file" in s.text(), s.text()


if __name__ == "__main__":
    sys.exit(test_run.main(globals()))
