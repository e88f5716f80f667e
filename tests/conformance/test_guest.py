#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The host side of `avp conform guest`, with scripts in place of hypervisors: what becomes of a guest that says its lines,
hangs, dies, starts again, or says nonsense.

usage: test_guest.py AVP"""
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback

AVP = os.path.abspath(sys.argv[1])
GOOD = """
echo 'AVPC begin pci 2 0'
echo 'AVPC run vq.size.one'
echo 'AVPC case vq.size.one split pass 1000 '
echo 'AVPC case vq.size.one packed skip 20 feature bit 34 is not offered'
echo 'AVPC run blk.config.capacity'
echo 'AVPC case blk.config.capacity - fail 300 the capacity is 0'
echo 'AVPC end pci 2 0'
echo 'AVPC done'
"""


def conform(script, *options):
    """Exit status, verdicts, what was printed on both outputs, seconds."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report")
        done = subprocess.run([AVP, "conform", "guest", "--json", path, *options, "--", "/bin/sh", "-c", script, "guest",
                               *(["{cmdline}"] if "$1" in script else [])],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False)
        verdicts = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                verdicts = [v for v in map(json.loads, f) if "verdict" in v]
    return done.returncode, verdicts, done.stdout, time.monotonic() - start


def short(verdicts):
    return [(v["target"], v["transport"], v["case"], v["rings"], v["verdict"]) for v in verdicts]


def test_lines_become_verdicts():
    status, verdicts, out, _ = conform("echo firmware text;" + GOOD)
    assert status == 1, out
    assert short(verdicts) == [
        ("blk", "pci", "vq.size.one", "split", "pass"), ("blk", "pci", "vq.size.one", "packed", "skip"),
        ("blk", "pci", "blk.config.capacity", "-", "fail")], verdicts
    assert verdicts[2]["evidence"] == "the capacity is 0" and verdicts[0]["ns"] == 1000, verdicts
    assert verdicts[0]["proves"].startswith("V"), "the claims of a case come from the runner's own table"


def test_a_run_without_failures_is_status_0():
    status, verdicts, out, _ = conform(GOOD.replace(" fail ", " pass "))
    assert status == 0 and len(verdicts) == 3, out


def test_second_devices_and_unknown_ones_have_names():
    _, verdicts, out, _ = conform(
        "run() { echo AVPC run a.b.c; echo AVPC case a.b.c - pass 1; }; echo AVPC begin mmio 1 1; run;"
        "echo AVPC begin mmio 4242 0; run; echo AVPC begin - 0 0; run; echo AVPC done")
    assert [v["target"] for v in verdicts] == ["net1", "id4242", "platform"], out


def test_the_case_in_which_a_guest_dies_has_failed():
    status, verdicts, out, _ = conform(GOOD.split("echo 'AVPC case vq.size.one packed")[0] + "echo oops; kill -9 $$")
    assert status == 1, out
    assert short(verdicts)[1] == ("blk", "pci", "vq.size.one", "packed", "fail"), verdicts
    assert "killed by signal 9" in verdicts[1]["evidence"] and "oops" in verdicts[1]["evidence"], verdicts


def test_the_case_in_which_a_guest_hangs_has_failed():
    status, verdicts, out, seconds = conform(GOOD.split("echo 'AVPC case blk")[0] + "exec sleep 1000", "--silence", "1")
    assert status == 1 and seconds < 30, out
    assert short(verdicts)[2] == ("blk", "pci", "blk.config.capacity", "-", "fail"), verdicts
    assert "hangs: no output for 1 s" in verdicts[2]["evidence"], verdicts


def test_after_a_hang_the_next_boot_goes_on_behind_it():
    script = """case $1 in
    *from=0*) echo AVPC begin pci 4 0; echo AVPC run a.b.c; echo AVPC case a.b.c - pass 1; echo AVPC run d.e.f; exec sleep 1000;;
    *from=2*) echo AVPC begin pci 4 0; echo AVPC run g.h.i; echo AVPC case g.h.i - pass 1; echo AVPC done;;
    esac"""
    status, verdicts, out, _ = conform(script, "--silence", "1")
    assert status == 1, out
    assert [(v["case"], v["verdict"]) for v in verdicts] == [("a.b.c", "pass"), ("d.e.f", "fail"), ("g.h.i", "pass")], verdicts


def test_a_guest_that_is_lost_again_and_again_is_given_up():
    status, verdicts, out, _ = conform("echo AVPC begin pci 4 0; echo AVPC run a.b.c; : $1")
    assert status == 1 and verdicts[-1]["case"] == "run.complete", out
    assert len(verdicts) < 40 and all(v["verdict"] == "fail" for v in verdicts), verdicts


def test_no_guest_at_all():
    status, verdicts, out, _ = conform("echo no such machine; exit 3")
    assert status == 1 and len(verdicts) == 1, out
    assert "exited with status 3" in verdicts[0]["evidence"] and "no such machine" in verdicts[0]["evidence"], verdicts


def test_a_program_that_does_not_exist():
    done = subprocess.run([AVP, "conform", "guest", "--", "/nonexistent/hypervisor"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "/nonexistent/hypervisor" in done.stdout, done.stdout


def test_a_qemu_that_does_not_exist():
    start = time.monotonic()
    done = subprocess.run([AVP, "conform", "guest", "--on", "q35", "--qemu", "/nonexistent/qemu"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if "clang and lld were missing" not in done.stdout:
        assert done.returncode == 1 and "/nonexistent/qemu" in done.stdout, done.stdout
        assert time.monotonic() - start < 20, done.stdout


def test_nonsense_is_no_verdict():
    lines = ["AVPC", "AVPC ", "AVPC case", "AVPC case x", "AVPC case x split maybe 1", "AVPC case x neither pass 1",
             "AVPC case x split pass many", "AVPC begin", "AVPC begin pci x 0", "AVPC beat 1 2 3", "XAVPCcase"]
    script = "".join(f"echo '{line}';" for line in lines)
    script += "head -c 100000 /dev/zero; head -c 20000 /dev/zero | tr '\\0' x; printf '\\33[2J\\377\\n';" + GOOD
    status, verdicts, out, _ = conform(script)
    assert status == 1 and len(verdicts) == 3, out


def test_the_time_for_a_run():
    status, verdicts, out, seconds = conform("while :; do echo AVPC run a.b.c; sleep 0.1; done", "--time", "2")
    assert status == 1 and seconds < 30 and "the time for the whole run" in verdicts[-1]["evidence"], out


def test_usage():
    for options, words in ((["--on", "vax"], "microvm"), (["--type", "floppy"], "floppy"), (["--only", "a b"], "a b"),
                           (["--fact", "serial"], "TYPE.KEY=VALUE"), (["--on", "q35", "--transport", "mmio"], "mmio"),
                           (["extra"], "extra"), (["--only", "vq.*", "--", "true"], "{cmdline}")):
        done = subprocess.run([AVP, "conform", "guest", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, check=False)
        assert done.returncode == 2 and words in done.stdout, f"{options}: {done.returncode} {done.stdout}"


def test_images():
    magic = {"pvh": b"\x7fELF", "efi": b"MZ", "arm64-efi": b"MZ"}
    with tempfile.TemporaryDirectory() as folder:
        for form in ("pvh", "efi", "arm64", "arm64-efi"):
            path = os.path.join(folder, form)
            done = subprocess.run([AVP, "conform", "image", "--format", form, "--out", path], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
            if "clang and lld were missing" in done.stdout:
                return
            assert done.returncode == 0, done.stdout
            with open(path, "rb") as f:
                image = f.read()
            assert image.startswith(magic.get(form, b"")) and 20000 < len(image) < 1 << 20, (form, len(image))
            assert form != "arm64" or image[56:60] == b"ARM\x64", image[:64]


def test_nothing_is_left_behind():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([AVP, "conform", "guest", "--", "/bin/sh", "-c", GOOD], env=dict(os.environ, TMPDIR=folder),
                       stdout=subprocess.DEVNULL, timeout=60, check=False)
        assert os.listdir(folder) == [], os.listdir(folder)


def main():
    tests = [(name, f) for name, f in globals().items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = 0
    for n, (name, function) in enumerate(tests, 1):
        try:
            function()
            result = "ok"
        except Exception:  # whatever it was, the case failed
            failed += 1
            result = "not ok"
            for line in traceback.format_exc().splitlines():
                print("#", line)
        print(f"{result} {n} - {name.removeprefix('test_').replace('_', ' ')}", flush=True)
    return failed > 0


raise SystemExit(main())
