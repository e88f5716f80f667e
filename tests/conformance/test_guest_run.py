#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The suite in real guests.

usage: test_guest_run.py AVP avp            everything on our own platform: no failure, no hang, in less than ten minutes
       test_guest_run.py AVP hostile        a hostile guest beside a neighbour: nobody is harmed
       test_guest_run.py AVP harmed         the same while somebody harms the neighbour: that is seen
       test_guest_run.py AVP qemu MACHINE   some of it on QEMU's devices: what fails is known (qemu_known.toml)"""
import contextlib
import fnmatch
import glob
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

AVP = os.path.abspath(sys.argv[1])
KNOWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qemu_known.toml")
CLASSES = {"platform", "blk", "net", "rng", "console", "vsock"}
# Behind them the rest is judged by its own cases: the generic ones would find the same transport again.
MAIN = ",".join(sorted(CLASSES))
# Judged without processes of their own. Queries of an input device's configuration are a minute of exits here.
VEHICLE = {"can", "gpio", "i2c", "input", "scmi", "spi"}
VEHICLE_CASES = ",".join(f"{t}.*" for t in sorted(VEHICLE))
# What virtio-mmio does differently; the rest is the same devices behind another door.
MMIO = "mmio.*,device.*,status.*,features.*,config.*,reset.*,event.*,vq.notify.*,platform.*,*.config.*,blk.power.*"
# Some of everything that QEMU's machines are asked.
QEMU = "platform.*,pci.*,mmio.*,device.*,status.*,config.*,vq.size.*,vq.framing.two,rng.*,*.config.*,blk.rw.*,blk.id.*," \
       "blk.power.*"
# Not asked: what depends on when QEMU's console has something to say and on how busy the host is; and what makes QEMU 7.2
# loop for ever once a packed ring is broken (docs/results.md), each of which takes a guest and half a minute.
NOT_QEMU = "pci.msix.vector_masked,pci.msix.delivered,platform.clock.rate,status.needs_reset.*,blk.rw.empty_elements"


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def check(self, ok, name, *why):
        self.n += 1
        self.failed += not ok
        for line in () if ok else why:
            print("#", line)
        print(f"{'ok' if ok else 'not ok'} {self.n} - {name}", flush=True)

    def done(self):
        print(f"1..{self.n}")
        return self.failed > 0


def skip(why):
    print(f"1..0 # SKIP {why}")
    raise SystemExit(0)


def run(*options):
    """Exit status, verdicts, output, seconds."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report")
        done = subprocess.run([AVP, "conform", "guest", "--json", path, *options], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        with open(path, encoding="utf-8") as f:
            verdicts = [v for v in map(json.loads, f) if "verdict" in v]
    return done.returncode, verdicts, done.stdout, time.monotonic() - start


def line(v):
    return f"{v['target']} {v['transport']} {v['case']} [{v['rings']}] {v['evidence']}"


def count(verdicts, verdict):
    return sum(v["verdict"] == verdict for v in verdicts)


def need_image():
    done = subprocess.run([AVP, "conform", "image", "--format", "pvh", "--out", "/dev/null"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        skip(done.stdout.strip())


def need_kvm():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as e:
        skip(f"/dev/kvm cannot be opened: {e.strerror}")


def judge_avp(tap, transport, least, *options):
    status, verdicts, out, seconds = run("--transport", transport, "--time", "2000", *options)
    bad = [line(v) for v in verdicts if v["verdict"] == "fail"]
    summary = f"{count(verdicts, 'pass')} passed, {count(verdicts, 'skip')} skipped in {seconds:.0f} s"
    tap.check(not bad, f"{transport}: nothing fails ({summary})", *bad)
    tap.check(status == (1 if bad else 0), f"{transport}: the exit status is the verdicts'", out)
    tap.check(count(verdicts, "pass") >= least, f"{transport}: at least {least} pass", out)
    return verdicts


def on_avp(tap):
    start = time.monotonic()
    verdicts = judge_avp(tap, "pci", 400, "--type", MAIN)
    tap.check({v["target"] for v in verdicts} >= CLASSES, "pci: all classes of devices were judged")
    tap.check(any(v["case"] == "blk.power.flushed" and v["verdict"] == "pass" for v in verdicts),
              "pci: what was flushed survives a power cut")
    verdicts = judge_avp(tap, "pci", 180, "--type", ",".join(sorted(VEHICLE)), "--only", f"{VEHICLE_CASES},device.*",
                         "--skip", "input.config.*", "--isolate=false")
    tap.check({v["target"] for v in verdicts} == VEHICLE, "pci: the vehicle's devices were judged, on threads of the monitor")
    verdicts = judge_avp(tap, "mmio", 100, "--only", MMIO, "--type", MAIN)
    tap.check({v["target"] for v in verdicts} >= CLASSES, "mmio: all classes of devices were judged")
    print(f"# {time.monotonic() - start:.0f} s in all")


def hostile(tap):
    for transport, options in (("pci", ["--type", MAIN]), ("mmio", ["--type", "blk,net"])):
        verdicts = judge_avp(tap, transport, 50, "--hostile", *options)
        last = verdicts[-1] if verdicts else {"case": "none", "evidence": ""}
        tap.check(last["case"] == "isolation.neighbour.unharmed" and last["verdict"] == "pass",
                  f"{transport}: the neighbour went on: {last['evidence']}")


def wait_for(path, lines, run):
    """Until the report has that many lines; False if the run has ended before."""
    while run.poll() is None:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                if len(f.readlines()) >= lines:
                    return True
        time.sleep(0.1)
    return False


def pid_of(folder, name):
    env = dict(os.environ, XDG_RUNTIME_DIR=glob.glob(f"{folder}/avp-conform-*/run")[0])
    ps = json.loads(subprocess.run([AVP, "ps", "--json"], env=env, stdout=subprocess.PIPE, check=True).stdout)
    return next(p["pid"] for p in ps["devices"] if p["name"] == name)


def harm(how):
    """A hostile run in which the neighbour's disk process gets a signal. Exit status, verdicts, output."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report")
        with subprocess.Popen([AVP, "conform", "guest", "--hostile", "--transport", "pci", "--type", "rng", "--json", path],
                              env=dict(os.environ, TMPDIR=folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as suite:
            if wait_for(path, 3, suite):
                pidfd = os.pidfd_open(pid_of(folder, "neighbour/blk0"))
                how(pidfd)
                os.close(pidfd)
            out = suite.communicate()[0]
        with open(path, encoding="utf-8") as f:
            return suite.returncode, [v for v in map(json.loads, f) if "verdict" in v], out


def kill(pidfd):
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def stall(pidfd):
    """For longer than the 15 s that the neighbour may be held up, unless the run is over before."""
    signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
    if not select.select([pidfd], [], [], 20)[0]:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)


def harmed(tap):
    for how, seen in ((kill, "neighbour/blk0 died"), (stall, "the neighbour")):
        status, verdicts, out = harm(how)
        bad = [v for v in verdicts if v["verdict"] == "fail"]
        tap.check(status == 1 and bad and bad[-1]["case"] == "isolation.neighbour.unharmed",
                  f"{how.__name__}: the neighbour's case fails", out)
        tap.check(bad and seen in bad[0]["evidence"], f"{how.__name__}: the evidence says why", *map(line, bad))
        if how is kill:
            tap.check(len(bad) <= 2, "kill: it is charged to one case", *map(line, bad))


def version_of(program):
    text = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return text.split("version ")[1].split()[0]


def is_known(known, v):
    return any(fnmatch.fnmatchcase(v["case"], k["case"]) and k.get("rings", v["rings"]) == v["rings"] for k in known)


def on_qemu(tap, machine):
    program = "qemu-system-aarch64" if machine == "virt" else "qemu-system-x86_64"
    if not shutil.which(program):
        skip(f"{program} is not installed (make deps)")
    version = version_of(program)
    with open(KNOWN, "rb") as f:
        known = [k for k in tomllib.load(f)["failure"] if version.startswith(k["qemu"])]
    status, verdicts, out, seconds = run("--on", machine, "--only", QEMU, "--skip", NOT_QEMU, "--limit", "300", "--silence", "30")
    lost = [line(v) for v in verdicts if "hangs" in v["evidence"] or v["case"] == "run.complete"]
    tap.check(not lost, f"{machine}: no guest is lost", out, *lost)
    tap.check(status in (0, 1) and count(verdicts, "pass") >= 30, f"{machine}: verdicts ({count(verdicts, 'pass')} passed, "
              f"{count(verdicts, 'fail')} failed in {seconds:.0f} s)", out)
    tap.check({v["target"] for v in verdicts} >= {"blk", "net", "rng", "console"}, f"{machine}: all classes were judged", out)
    if not known:
        print(f"# nothing is known of QEMU {version}")
        return
    new = [line(v) for v in verdicts if v["verdict"] == "fail" and not is_known(known, v)]
    tap.check(not new, f"{machine}: what QEMU {version} fails in is known", *new)


def main():
    tap = Tap()
    need_image()
    if sys.argv[2] == "qemu":
        on_qemu(tap, sys.argv[3])
    else:
        need_kvm()
        {"avp": on_avp, "hostile": hostile, "harmed": harmed}[sys.argv[2]](tap)
    return tap.done()


raise SystemExit(main())
