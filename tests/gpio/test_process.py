#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""GPIO lines of real guests under `avp run`: an interrupt crosses a wire from one guest to another, operator and script
drive lines, faults are seen, and a process that is killed is not missed. Usage: test_process.py AVP GUEST"""
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
LIMIT = 60  # seconds for anything to happen; more than ever needed

SYSTEM = """
name: s
vms:
  body:
    {{memory: 16M, boot: {{kernel: {guest}, cmdline: "in=key out=door"}},
     devices: [{{type: gpio, wires: panel, lines: ["key sim in", gap 2, "door wire:door"]}}]}}
  cluster:
    {{memory: 16M, boot: {{kernel: {guest}, cmdline: "in=door out=lamp"}},
     devices: [{{type: gpio, wires: panel, lines: ["door wire:door in", "lamp wire:lamp out=0"]}}]}}
wires:
  panel: {{nets: [door, lamp]{keys}}}
"""


class System:
    """A running `avp run`."""

    def __init__(self, folder, keys=""):
        os.chmod(folder, 0o755)
        runtime = os.path.join(folder, "run")
        os.mkdir(runtime, 0o700)
        path = os.path.join(folder, "s.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(SYSTEM.format(guest=GUEST, keys=keys))
        self.env = dict(os.environ, XDG_RUNTIME_DIR=runtime)
        self.log = os.path.join(folder, "log")
        with open(self.log, "w", encoding="utf-8") as f:
            self.process = subprocess.Popen([AVP, "run", path, "--board", "none"], env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def avp(self, *words):
        return subprocess.run([AVP, *words], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False).stdout

    def until(self, condition, what):
        end = time.monotonic() + LIMIT
        while not (value := condition()):
            assert time.monotonic() < end and self.process.poll() is None, f"never: {what}; {self.text()}"
            time.sleep(0.02)
        return value

    def shows(self, pattern, *words):
        self.until(lambda: re.search(pattern, self.avp(*words), re.M), f"{words}: {pattern}: {self.avp(*words)}")

    def up(self):
        """Both guests have their lines."""
        self.shows(r"3 door: out", "tell", "body/gpio0", "get")
        self.shows(r"1 lamp: out", "tell", "cluster/gpio0", "get")

    def lamp(self, level):
        self.shows(rf"^1 lamp: out; net lamp {level} ", "tell", "cluster/gpio0", "get")

    def ends(self):
        self.avp("stop")
        status = self.process.wait(LIMIT)
        assert status == 0, f"exit status {status}: {self.text()}"
        left = [name for _, _, names in os.walk(self.env["XDG_RUNTIME_DIR"]) for name in names]
        assert not left, f"left behind: {left}"


def test_an_interrupt_crosses_a_wire_between_two_guests(folder):
    with System(folder) as s:
        s.up()
        for i in range(20):
            level = (i + 1) % 2
            assert s.avp("tell", "body/gpio0", "set", "key", str(level)) == ""
            s.lamp(level)
        s.avp("tell", "body/gpio0", "set", "key", "1")
        s.lamp(1)
        text = s.avp("tell", "panel", "get")
        assert text == ("door 1 driven by body/gpio0 door: 1\n"
                        "lamp 1 driven by cluster/gpio0 lamp: 1\n"), text
        stats = s.avp("stats", "panel")
        assert re.search(r"irqs\W+2[0-9]", stats), stats
        s.ends()


def test_a_killed_process_is_not_missed(folder):
    with System(folder) as s:
        s.up()
        s.avp("tell", "body/gpio0", "set", "key", "1")
        s.lamp(1)
        for i in range(4):
            pid = json.loads(s.avp("ps", "--json"))["media"][0]["pid"]
            os.kill(pid, signal.SIGKILL)
            s.until(lambda: re.search(r"door: out", s.avp("tell", "body/gpio0", "get")), "it is back")
            # The operator's hand went with the process.
            s.avp("tell", "body/gpio0", "set", "key", str(i % 2))
            s.lamp(i % 2)
        s.ends()


def test_faults(folder):
    with System(folder) as s:
        s.up()
        s.avp("tell", "body/gpio0", "set", "key", "1")
        s.lamp(1)
        s.avp("tell", "panel", "set", "door", "0")
        s.lamp(0)
        events = s.avp("events")
        assert re.search(r"panel.*wire-conflict.*net door: the operator drives 0, body/gpio0 door drives 1, so it "
                         r"reads 0", events) or "body/gpio0 door drives 1, the operator drives 0" in events, events
        s.avp("tell", "panel", "set", "door", "z")
        s.lamp(1)
        s.avp("tell", "panel", "stuck", "door", "0")
        s.lamp(0)
        assert "door 0 stuck driven by body/gpio0 door: 1" in s.avp("tell", "panel", "get")
        s.avp("tell", "panel", "stuck", "door", "off")
        s.lamp(1)
        assert "no net 'dor' (did you mean 'door'?)" in s.avp("tell", "panel", "set", "dor", "1")
        # A guest that is gone drives nothing but what is safe.
        s.avp("stop", "cluster")
        s.shows("^lamp 0 driven by cluster/gpio0 lamp: 0$", "tell", "panel", "get")
        s.ends()


def test_a_script_waits_for_both_guests_and_is_traced(folder):
    with open(os.path.join(folder, "drive"), "w", encoding="utf-8") as f:
        f.write("0 door 1\n0.3 door 0\n0.6 door z\n")
    with System(folder, ", trace: panel.vcd, replay: drive") as s:
        s.until(lambda: "at its end" in s.text(), "the end of the script")
        s.lamp(0)
        s.ends()
    with open(os.path.join(folder, "panel.vcd"), encoding="utf-8") as f:
        trace = f.read()
    assert "$scope module panel $end\n$var wire 1 ! door $end\n$var wire 1 \" lamp $end\n" in trace, trace
    times = {}
    for part in trace.split("#0\n", 1)[1].split("#")[1:]:
        lines = part.splitlines()
        for change in lines[1:]:
            times.setdefault(change, int(lines[0]))
    # The guest drives the net low all the time: the script's 1 is a conflict, which reads 0.
    assert "x!" in times, trace


def test_what_does_not_fit_is_refused(folder):
    def check(keys, lines):
        path = os.path.join(folder, "bad.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"vms:\n  one: {{boot: {{kernel: {GUEST}}}, devices: [{{type: gpio, {lines}}}]}}\n"
                    f"wires: {{panel: {{{keys}}}}}\n")
        return subprocess.run([AVP, "check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=LIMIT, check=False)
    assert check("nets: [door]", "wires: panel, lines: [door wire:door]").returncode == 0
    done = check("nets: [door]", "wires: pannel, lines: [door wire:door]")
    assert done.returncode == 2 and "did you mean 'panel'" in done.stdout, done.stdout
    done = check("nets: [door]", "wires: panel")
    assert done.returncode == 2 and "lines" in done.stdout, done.stdout
    done = subprocess.run([AVP, "wires", "--nets", "door", "--port",
                           f"name=a,socket={folder}/s,lines=d wire:doro"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 2 and "no net 'doro' (did you mean 'door'?)" in done.stdout, done.stdout


def main():
    tests = [test_what_does_not_fit_is_refused]
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        tests += [test_an_interrupt_crosses_a_wire_between_two_guests, test_a_killed_process_is_not_missed, test_faults,
                  test_a_script_waits_for_both_guests_and_is_traced]
    else:
        print("# no /dev/kvm: no guests")
    return tapmain.main(tests)


if __name__ == "__main__":
    sys.exit(main())
