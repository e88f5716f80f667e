#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Isolation for real: spinning bare-metal guests, and how much of the processor each of them gets. What needs the
kernel's controllers runs in the board, too (test_isolation_board.py), where they all are."""
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from avpctl import System  # noqa: E402

LIMIT = 60  # seconds for anything to happen; more than ever needed


class Skip(Exception):
    """A case that cannot be tried here."""


class Place:
    """A folder with a run-time folder."""

    def __init__(self, folder):
        self.folder = folder
        self.runtime = os.path.join(folder, "run")
        os.mkdir(self.runtime, 0o700)
        os.chmod(folder, 0o755)
        self.systems = []

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def run(self, vms, system="", **env):
        """Starts a system of spinning guests: {name: keys in YAML}."""
        text = system + "vms:\n" + "".join(
            f"  {name}: {{memory: 16M, boot: {{kernel: {GUEST}, cmdline: spin}}{', ' if keys else ''}{keys}}}\n"
            for name, keys in vms.items())
        with open(os.path.join(self.folder, "output"), "w", encoding="utf-8") as output:
            saved = dict(os.environ)
            os.environ.update(env)
            try:
                running = System(AVP, self.write("spin.yaml", text), self.runtime, ("--board", "none"), output)
            finally:
                os.environ.clear()
                os.environ.update(saved)
        self.systems.append(running)
        return running

    def text(self):
        with open(os.path.join(self.folder, "output"), encoding="utf-8") as f:
            return f.read()

    def end(self):
        for running in self.systems:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()


def until(condition, what):
    end = time.monotonic() + LIMIT
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.02)
    return value


def pids(running):
    """The monitors' process ids, once all guests run."""
    vms = until(lambda: (v := running.ask(cmd="ps")["vms"]) and all(x["state"] == "running" for x in v) and v, "running")
    return {vm["name"]: vm["pid"] for vm in vms}


def stop(running):
    """Ends a system whose guests listen to no power button."""
    running.ask(cmd="stop", force=True)
    running.process.wait(LIMIT)


def threads(pid):
    """The monitor's threads by name: (seconds of processor time, priority, policy)."""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/stat", encoding="utf-8") as f:
            name, rest = re.fullmatch(r"\d+ \((.*)\) (.*)\n?", f.read()).groups()
        field = rest.split()  # field[0] is the third of proc(5)
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="utf-8") as f:
            seconds = int(f.read().split()[0]) / 1e9
        found[name] = (seconds, int(field[37]), int(field[38]))
    return found


def spent(processes):
    """Processor time that the guests use from now on, in seconds, until their sum is worth comparing."""
    def now():
        return {name: threads(pid)["vcpu0"][0] for name, pid in processes.items()}
    before = now()
    until(lambda: sum(now().values()) - sum(before.values()) > 3, "3 s of processor time")
    return {name: seconds - before[name] for name, seconds in now().items()}


def last_cpu():
    return sorted(os.sched_getaffinity(0))[-1]


def need_controllers(*names):
    """The folder of this process's group, which must be able to have groups with these controllers."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        mounts = [line.split()[4] for line in f if " - cgroup2 " in line]
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        own = [line[3:].strip() for line in f if line.startswith("0::")]
    if not mounts or not own:
        raise Skip("no control groups of version 2 here; the board has them")
    path = mounts[0] + own[0].rstrip("/")
    with open(f"{path}/cgroup.controllers", encoding="utf-8") as f:
        missing = set(names) - set(f.read().split())
    if missing or not os.access(path, os.W_OK):
        raise Skip(f"{path} has no controller {', '.join(sorted(missing))} for us; the board has them"
                   if missing else f"{path} is not ours")
    return path


def test_what_the_host_lacks_is_said(place):
    lacking = place.write("cgroup/cgroup.controllers", "hugetlb\n")
    place.write("cgroup/cgroup.subtree_control", "\n")
    env = {"AVP_CGROUP": os.path.dirname(lacking), "AVP_RESCTRL": "/nonexistent"}
    keys = "cgroup: {cpu-weight: 300, memory-max: 1G}, resctrl: {l3: 50%}"
    running = place.run({"a": keys, "b": ""}, **env)
    pids(running)
    told = running.ask(cmd="events", name="a")
    stop(running)
    text = place.text()
    assert "a: cgroup: " in text and "no controller 'cpu, memory'" in text, text
    assert "a: resctrl: no resource control at /nonexistent" in text and "going on without it" in text, text
    shortfalls = {e["key"] for e in told["events"] if e["event"] == "shortfall"}
    assert shortfalls == {"cgroup", "resctrl"}, told
    # The same, but one VM must have it: nothing starts, not even the other.
    running = place.run({"a": keys + ", isolation: required", "b": ""}, **env)
    assert running.process.wait(LIMIT) == 2, place.text()
    assert "starting" not in place.text() and "running" not in place.text(), place.text()
    assert "'isolation: required' cannot be met" in place.text(), place.text()
    running = place.run({"a": keys, "b": ""}, "isolation: required\n", **env)
    assert running.process.wait(LIMIT) == 2, place.text()
    # ... unless it is said to be of no importance for this one.
    running = place.run({"a": keys + ", isolation: best-effort", "b": ""}, "isolation: required\n", **env)
    pids(running)
    stop(running)


def test_check_looks_at_the_host(place):
    running = place.run({"a": "resctrl: {mb: 50}, isolation: required", "b": ""}, AVP_RESCTRL="/nonexistent")
    running.process.wait(LIMIT)
    path = os.path.join(place.folder, "spin.yaml")
    for args, status in ((["check", path], 0), (["check", path, "--host"], 2)):
        done = subprocess.run([AVP, *args, "--json"], env=dict(os.environ, AVP_RESCTRL="/nonexistent"), timeout=LIMIT,
                              stdout=subprocess.PIPE, check=False)
        assert done.returncode == status, (args, done.returncode)
    host = json.loads(done.stdout)["host"]
    assert [(h["vm"], h["key"], h["required"]) for h in host] == [("a", "resctrl", True)], host


def test_shares_of_cache_and_bandwidth(place):
    tree = os.path.join(place.folder, "resctrl")
    for name, text in (("info/L3/cbm_mask", "fffff"), ("info/L3/min_cbm_bits", "1"), ("info/MB/min_bandwidth", "10"),
                       ("schemata", "    MB:0=100\n    L3:0=fffff\n")):
        place.write(f"resctrl/{name}", text)
    os.mkdir(f"{tree}/avp.spin.gone")  # of a killed predecessor
    running = place.run({"a": "resctrl: {l3: 25%, mb: 30}, devices: [{type: rng}]", "b": "resctrl: {l3: 50%}"},
                        AVP_RESCTRL=tree)
    pids(running)

    def read(name):
        with open(f"{tree}/{name}", encoding="utf-8") as f:
            return f.read()
    assert read("avp.spin.a/schemata") == "L3:0=f8000\nMB:0=30\n", read("avp.spin.a/schemata")
    assert read("avp.spin.b/schemata") == "L3:0=7fe0\n", read("avp.spin.b/schemata")
    assert read("avp.spin.a/tasks") == "00" and read("avp.spin.b/tasks") == "0"  # the device and the monitor
    assert not os.path.exists(f"{tree}/avp.spin.gone")
    stop(running)
    assert sorted(os.listdir(tree)) == ["info", "schemata"], os.listdir(tree)


def test_weights(place):
    """100 to 300 on one processor: a quarter and three quarters of it, whatever else runs on this computer."""
    group = need_controllers("cpu")
    pin = f"cpus: {{host: {last_cpu()}}}"
    running = place.run({"low": f"{pin}, cgroup: {{cpu-weight: 100}}", "high": f"{pin}, cgroup: {{cpu-weight: 300}}"},
                        "isolation: required\n")
    used = spent(pids(running))
    share = used["high"] / sum(used.values())
    with open(f"{group}/avp/spin/high/cpu.weight", encoding="utf-8") as f:
        assert f.read().strip() == "300"
    stop(running)
    print(f"# {used}: {share:.3f} for weight 300 of 400")
    assert 0.65 < share < 0.85, used


def test_processor_limit(place):
    """20 percent of one processor, on a host that has more to give."""
    group = need_controllers("cpu")
    running = place.run({"a": "cgroup: {cpu-max: 20}"}, "isolation: required\n")
    pids(running)
    stat = f"{group}/avp/spin/a/cpu.stat"

    def read():
        with open(stat, encoding="utf-8") as f:
            return dict((k, int(v)) for k, v in (line.split() for line in f))
    before, start = read(), time.monotonic()
    until(lambda: read()["nr_throttled"] >= before["nr_throttled"] + 30, "throttled in 30 periods")
    used, seconds = read()["usage_usec"] - before["usage_usec"], time.monotonic() - start
    stop(running)
    print(f"# {used / 1e6:.2f} s in {seconds:.2f} s")
    assert used / 1e6 < 0.25 * seconds + 0.05


def test_memory_limit(place):
    """A guest that would need more than its group may have is ended by the kernel; its neighbour is not."""
    need_controllers("memory")
    running = place.run({"a": "lock-memory: true, cgroup: {memory-max: 8M}", "b": ""}, "isolation: required\n")
    until(lambda: "Killed" in place.text() or "cannot get" in place.text(), "the end of a")
    until(lambda: {v["name"]: v["state"] for v in running.ask(cmd="ps")["vms"]} == {"a": "failed", "b": "running"}, "b runs")
    stop(running)


def test_groups_of_a_killed_system(place):
    group = need_controllers("cpu")
    running = place.run({"a": "cgroup: {cpu-weight: 50}, devices: [{type: rng}]"}, "isolation: required\n")
    members = {pids(running)["a"], running.ask(cmd="ps")["devices"][0]["pid"]}
    with open(f"{group}/avp/spin/a/cgroup.procs", encoding="utf-8") as f:
        assert members <= {int(pid) for pid in f}  # and a helper thread of the kernel's KVM
    running.process.kill()
    running.process.wait()
    assert os.path.isdir(f"{group}/avp/spin/a")
    running = place.run({"b": "cgroup: {cpu-weight: 50}"}, "isolation: required\n")
    pids(running)
    assert not os.path.exists(f"{group}/avp/spin/a") and os.path.isdir(f"{group}/avp/spin/b")
    stop(running)
    assert not os.path.exists(f"{group}/avp"), os.listdir(f"{group}/avp")


def test_delegated_group(place):
    """Not in the root group: what systemd's Delegate=yes gives. The supervisor moves aside, and back in the end."""
    group = f"{need_controllers('cpu')}/delegated-{os.getpid()}"
    os.mkdir(group)
    with open(f"{os.path.dirname(group)}/cgroup.subtree_control", "w", encoding="utf-8") as f:
        f.write("+cpu")
    running = place.run({"a": "cgroup: {cpu-weight: 50}"}, "isolation: required\n", AVP_CGROUP=group)
    pids(running)
    with open(f"/proc/{running.process.pid}/cgroup", encoding="utf-8") as f:
        assert f.read().rstrip().endswith("/avp/spin/@system")
    stop(running)
    assert running.process.returncode == 1, place.text()  # guests by force
    os.rmdir(group)


def real_time():
    """Skips where threads of this user cannot have a real-time priority."""
    if subprocess.run(["chrt", "-f", "1", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip("this user may have no real-time priority (RLIMIT_RTPRIO, CAP_SYS_NICE)")


def test_policies(place):
    real_time()
    running = place.run({"a": "sched: {policy: fifo, priority: 7}"}, "isolation: required\n")
    found = {name: t[1:] for name, t in threads(pids(running)["a"]).items()}
    stop(running)
    assert found["vcpu0"] == (7, os.SCHED_FIFO) and found["avp-monitor"] == (0, os.SCHED_OTHER), found
    running = place.run({"a": "sched: {policy: rr, priority: 5, devices: true}, devices: [{type: rng}]"},
                        "isolation: required\n")
    found = {name: t[1:] for name, t in threads(pids(running)["a"]).items()}
    pid = running.ask(cmd="ps")["devices"][0]["pid"]
    device = os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority
    stop(running)
    assert found["vcpu0"] == found["avp-monitor"] == (5, os.SCHED_RR), found
    assert device == (os.SCHED_RR, 5), device


def test_real_time_guest_goes_first(place):
    """Beside a SCHED_FIFO guest the other one gets what the kernel keeps for the others: a twentieth."""
    real_time()
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("one processor: a real-time guest would keep it from this test, too")
    pin = f"cpus: {{host: {last_cpu()}}}"
    running = place.run({"rt": f"{pin}, sched: {{policy: fifo, priority: 10}}", "other": pin}, "isolation: required\n")
    used = spent(pids(running))
    stop(running)
    print(f"# {used}")
    assert used["other"] < 0.12 * used["rt"], used


def ram_mapping(pid):
    """What /proc/PID/smaps says of the largest mapping of a memfd, which is the guest's RAM; KiB."""
    mappings = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            key, *rest = line.split()
            if not key.endswith(":"):
                mappings.append({"Size": 0, "name": line})
            elif rest[-1:] == ["kB"]:
                mappings[-1][key[:-1]] = int(rest[0])
    return max((m for m in mappings if "memfd:" in m["name"]), key=lambda m: m["Size"])


def test_locked_memory(place):
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] < 16 << 20 and os.geteuid():
        raise Skip("this user may lock less than 16 MiB")
    with open(AVP, "rb") as f:
        if b"__asan_init" in f.read():
            raise Skip("the address sanitizer leaves out mlock()")
    running = place.run({"a": "lock-memory: true"}, "isolation: required\n")
    ram = ram_mapping(pids(running)["a"])
    stop(running)
    # Not /proc/PID/status, whose counters the kernel brings up to date now and then.
    assert ram["Rss"] == ram["Locked"] == 16384, ram


def totals(text):
    found = re.search(r"llc-budget: held in (\d+) of (\d+) periods; (\d+) misses in all", text)
    assert found, text
    return map(int, found.groups())


def test_regulator(place):
    """With processor time in nanoseconds as what is counted, since there may be no counter of misses: 2 ms in each
    10 ms. The guest gets that, and no more, and is never stopped for good."""
    budget = "llc-budget: {misses: 2000000, period: 10ms, event: cpu-clock}"
    real_time()
    running = place.run({"a": budget, "b": ""}, "isolation: required\n")
    pid = pids(running)["a"]
    before, start = threads(pid)["vcpu0"][0], time.monotonic()
    until(lambda: threads(pid)["vcpu0"][0] - before > 0.5, "half a second of processor time")
    used, seconds = threads(pid)["vcpu0"][0] - before, time.monotonic() - start
    stop(running)
    held, periods, count = totals(place.text())
    print(f"# {used:.2f} s in {seconds:.2f} s; held in {held} of {periods} periods, {count} ns")
    assert used < 0.35 * seconds, "not held"
    assert count < 1.5 * 2e6 * periods + 2e7, "more than the budget"
    assert held > 20


def test_regulator_of_a_paused_guest(place):
    """Pause and resume by the owner are not mixed up with those of the regulator."""
    running = place.run({"a": "llc-budget: {misses: 3000000, period: 10ms, event: cpu-clock}, cpus: 2"},
                        "isolation: required\n")
    pid = pids(running)["a"]
    running.ask(cmd="pause", vm="a")
    until(lambda: next(v for v in running.ask(cmd="ps")["vms"])["state"] == "paused", "paused")

    def used():
        return sum(t[0] for name, t in threads(pid).items() if name.startswith("vcpu"))
    before, start = used(), time.monotonic()
    until(lambda: time.monotonic() - start > 0.5, "half a second")  # in which nothing may happen
    assert used() - before < 0.05, (before, used())
    running.ask(cmd="resume", vm="a")
    until(lambda: used() - before > 0.2, "the guest goes on")
    stop(running)


def test_regulator_without_counters(place):
    running = place.run({"a": "llc-budget: {misses: 1000000}"})
    pids(running)
    stop(running)
    if "no hardware counter" not in place.text():
        held, periods, _ = totals(place.text())
        print(f"# this computer counts misses: held in {held} of {periods} periods")
        return
    assert re.search(r"llc-budget: this computer has no hardware counter for misses of the last-level cache.*going on",
                     place.text()), place.text()
    running = place.run({"a": "llc-budget: {misses: 1000000}, isolation: required"})
    assert running.process.wait(LIMIT) == 2, place.text()


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("1..0 # SKIP no /dev/kvm")
        return
    wanted = sys.argv[3:]
    tests = [f for n, f in globals().items() if n.startswith("test_") and (not wanted or n[5:] in wanted)]
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__[5:].replace("_", " ")
        with tempfile.TemporaryDirectory(prefix="avp-iso-") as folder:
            place = Place(folder)
            try:
                test(place)
                print(f"ok {number} - {name}", flush=True)
            except Skip as why:
                print(f"ok {number} - {name} # SKIP {why}", flush=True)
            except Exception:  # whatever it was, the case failed
                failed += 1
                for line in traceback.format_exc().splitlines() + place.text().splitlines():
                    print(f"# {line}")
                print(f"not ok {number} - {name}", flush=True)
            finally:
                place.end()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
