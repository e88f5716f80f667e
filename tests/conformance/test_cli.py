#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The command line of `avp conform`: wrong usage, choosing cases, exit statuses, back-ends that break, and finding
avp-conform.

usage: test_cli.py AVP"""
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP = os.path.abspath(sys.argv[1])
RNG = ["--type", "rng", "--", AVP, "device", "rng", "--socket", "{socket}"]
VHOST = [AVP, "conform", "vhost-user"]


def run(*argv, **kw):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, check=False, **kw)
    return done.returncode, done.stdout, done.stderr


def fails(status, text, *argv):
    got, out, err = run(*argv)
    assert got == status, (argv, got, out, err)
    assert text in err, (argv, err)


def verdicts(folder, *argv, status=0):
    path = os.path.join(folder, "run.json")
    if os.path.exists(path):
        os.unlink(path)
    got, out, err = run(*argv[:3], "--json", path, *argv[3:])
    assert got == status, (got, out, err)
    with open(path, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    assert "end" in lines[-1], lines[-1:]
    return lines[:-1]


def wrong_usage_is_status_2(folder):
    fails(2, "usage: avp conform", AVP, "conform")
    fails(2, "no command 'selv'", AVP, "conform", "selv")
    fails(2, "--type is missing", *VHOST, "--socket", "/tmp/x")
    fails(2, "--socket PATH or -- COMMAND", *VHOST, "--type", "blk")
    fails(2, "did you mean 'rng'?", *VHOST, "--type", "rgn", "--", "true")
    fails(2, "did you mean '--socket'?", *VHOST, "--type", "rng", "--sockt", "x")
    fails(2, "unexpected 'word'", *VHOST, "word")
    fails(2, "fits no case", *VHOST, "--only", "no.such.case", *RNG)
    fails(2, "fits no case", AVP, "conform", "self", "--only", "no.such.case")
    fails(2, "did you mean 'console-ports'?", AVP, "conform", "self", "--type", "console-port")
    fails(2, "only one report", *VHOST, "--tap", "-", "--json", "-", *RNG)


def help_is_status_0(folder):
    for command in ([], ["vhost-user"], ["self"], ["diff"]):
        status, out, err = run(AVP, "conform", *command, "--help")
        assert status == 0 and out.startswith("usage: avp conform") and not err, (command, out, err)


def cases_are_listed_with_their_claims(folder):
    status, out, err = run(*VHOST, "--list")
    assert status == 0 and not err
    rows = [line.split() for line in out.splitlines()]
    assert all(len(row) >= 2 and row[0].count(".") == 2 for row in rows), rows
    names = [row[0] for row in rows]
    assert len(set(names)) == len(names)
    _, out, _ = run(*VHOST, "--list", "--type", "rng", "--only", "device.*", "--skip", "*.answers")
    assert out.split()[0] == "device.probe.all_features" and len(out.splitlines()) == 1, out
    # Cases of other classes are not listed for a type.
    _, rng, _ = run(*VHOST, "--list", "--type", "rng")
    assert 0 < len(rng.splitlines()) < len(names)
    assert not any(line.startswith("net.") for line in rng.splitlines())


def patterns_choose_cases(folder):
    rows = verdicts(folder, *VHOST, "--only", "device.*", *RNG)
    assert {row["case"] for row in rows} == {"device.probe.answers", "device.probe.all_features"}, rows
    assert {(row["target"], row["transport"], row["verdict"]) for row in rows} == {("rng", "vhost-user", "pass")}, rows
    rows = verdicts(folder, *VHOST, "--name", "mine", "--only", "device.*", "--skip", "*.answers", *RNG)
    assert {(row["case"], row["target"]) for row in rows} == {("device.probe.all_features", "mine")}, rows
    assert {row["rings"] for row in rows} == {"split", "packed"}


def a_socket_may_be_there_already(folder):
    path = os.path.join(folder, "socket")
    with subprocess.Popen([AVP, "device", "rng", "--socket", path]) as backend:
        try:
            rows = verdicts(folder, *VHOST, "--only", "device.*", "--type", "rng", "--socket", path)
        finally:
            backend.terminate()
    assert {row["verdict"] for row in rows} == {"pass"}, rows


# A back-end that negotiates and exits as soon as features are agreed. The runner starts it again each time.
BREAKS = r"""
import socket, struct, subprocess, sys, threading
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    c = listener.accept()[0]
    n = 0
    while True:
        head = c.recv(12, socket.MSG_WAITALL)
        if len(head) < 12:
            break
        request, flags, size = struct.unpack("=III", head)
        body = c.recv(size, socket.MSG_WAITALL) if size else b""
        if request in (1, 15):  # GET_FEATURES, GET_PROTOCOL_FEATURES
            value = 1 << 32 | 1 << 30 if request == 1 else 1 << 3 | 1 << 16
            c.sendall(struct.pack("=IIIQ", request, 5, 8, value))
        elif request == 40:  # GET_STATUS
            c.sendall(struct.pack("=IIIQ", request, 5, 8, 0))
        elif flags & 8:
            c.sendall(struct.pack("=IIIQ", request, 5, 8, 0))
            n += request == 2  # SET_FEATURES
            if n:
                sys.exit(7)
    c.close()
"""


def a_backend_that_breaks_fails_each_case(folder):
    rows = verdicts(folder, *VHOST, "--only", "device.*", "--type", "rng", "--", sys.executable, "-c", BREAKS, "{socket}",
                    status=1)
    failed = [row for row in rows if row["verdict"] == "fail"]
    assert {row["case"] for row in failed} == {"device.probe.answers", "device.probe.all_features"}, rows
    assert all(row["evidence"] for row in failed), failed


def judge_hostile(folder, what, only="device.probe.answers"):
    backend = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile_backend.py")
    rows = verdicts(folder, *VHOST, "--only", only, "--limit", "300", "--type", "rng", "--", sys.executable, backend, "{socket}",
                    what, status=1)
    assert all(row["evidence"] for row in rows if row["verdict"] != "pass"), rows
    return [row["evidence"] for row in rows if row["verdict"] == "fail"]


def a_backend_can_be_as_bad_as_it_likes(folder):
    for what, says in (("silent", "does not answer"), ("other", "Protocol error"), ("short", "Protocol error"),
                       ("twice", "Protocol error|nobody asked for"), ("babble", "Message too long"), ("record", "Protocol error"),
                       ("fds", "no buffer used"), ("flood", "no buffer used"), ("channel", "no buffer used")):
        for evidence in judge_hostile(folder, what):
            assert any(text in evidence for text in says.split("|")), (what, evidence)


def descriptors_do_not_pile_up(folder):
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limit))
    try:
        said = judge_hostile(folder, "fds", "[ds][et][va]*.*")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    assert said and not any("Too many open files" in evidence for evidence in said), said


def a_flood_of_interrupts_is_counted(folder):
    # 2^32 of them are not none, and nothing waits for what the back-end has made blocking.
    said = judge_hostile(folder, "flood", "event.*")
    assert said, said


def a_backend_that_stays_away_ends_the_run(folder):
    said = judge_hostile(folder, "dies", "*.*.*")
    assert 3 <= len(said) <= 8 and said[-1] == "the back-end does not come back: not all cases have run", said


def a_backend_that_does_not_start_is_in_the_reports(folder):
    rows = verdicts(folder, *VHOST, "--type", "rng", "--", "/bin/sh", "-c", "printf '\\033[31mno such thing\\n'; exit 3", status=1)
    assert [(row["target"], row["case"], row["verdict"]) for row in rows] == [("rng", "run.complete", "fail")], rows
    assert "exited with status 3" in rows[0]["evidence"] and "it said:  [31mno such thing" in rows[0]["evidence"], rows
    status, out, _ = run(*VHOST, "--tap", "-", "--type", "rng", "--", "false")
    assert status == 1 and out.startswith("not ok 1 - rng: run.complete") and out.endswith("\n1..1\n"), out


def nothing_judged_is_no_success(folder):
    # Cases that there are, but none for this device.
    rows = verdicts(folder, *VHOST, "--only", "net.*", *RNG, status=1)
    assert [row["evidence"] for row in rows] == ["no case was run"], rows
    fails(2, "fits no case", AVP, "conform", "guest", "--only", "no.such.case")
    fails(2, "at most 107 bytes", *VHOST, "--type", "rng", "--socket", "/" + "x" * 107)


def a_type_that_is_wrong_fails(folder):
    rows = verdicts(folder, *VHOST, "--only", "device.*", "--limit", "300", "--type", "blk", *RNG[2:], status=1)
    assert any(row["verdict"] == "fail" for row in rows), rows


def self_judges_another_avp(folder):
    broken = os.path.join(folder, "avp")
    with open(broken, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\necho nothing works >&2\nexit 1\n")
    os.chmod(broken, 0o755)
    rows = verdicts(folder, AVP, "conform", "self", "--avp", broken, "--type", "rng,vsock", status=1)
    assert [(row["target"], row["verdict"]) for row in rows] == [("rng", "fail"), ("vsock", "fail")], rows
    assert "nothing works" in rows[0]["evidence"], rows
    fails(1, "the avp to judge", AVP, "conform", "self", "--avp", os.path.join(folder, "none"))


def self_has_one_report_for_all(folder):
    rows = verdicts(folder, AVP, "conform", "self", "--only", "device.*")
    assert [row["target"] for row in rows] == sorted(row["target"] for row in rows), rows
    assert {row["target"] for row in rows} >= {
        "blk", "blk-readonly", "can", "console", "console-ports", "gpio", "i2c", "input", "net", "rng", "rtc", "scmi",
        "spi", "spi-plain", "vsock"}
    assert {row["verdict"] for row in rows} == {"pass"}, rows


def a_signal_ends_it_in_good_order(folder):
    tmp = tempfile.mkdtemp(dir="/tmp")
    command = [AVP, "conform", "self", "--tap", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=tmp)) as runner:
        # Of the runner and of a target that it has started.
        while len(os.listdir(tmp)) < 2:
            assert runner.poll() is None
        runner.terminate()
        out, _ = runner.communicate(timeout=60)
    left = os.listdir(tmp)
    shutil.rmtree(tmp)
    assert runner.returncode == 1 and not left, (runner.returncode, left)
    assert any("not ok" in line and "self: run.complete" in line for line in out.splitlines()), out


def backends_do_not_outlive_the_runner(folder):
    script = os.path.join(folder, "pid")
    command = ["/bin/sh", "-c", f"echo $$ >{script}; exec sleep 300"]
    with subprocess.Popen([*VHOST, "--type", "rng", "--", *command], stderr=subprocess.DEVNULL) as runner:
        while not os.path.exists(script) or not os.path.getsize(script):
            assert runner.poll() is None
        with open(script, encoding="utf-8") as f:
            pid = int(f.read())
        runner.send_signal(signal.SIGKILL)
        runner.wait()
    for _ in range(1000):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} still runs")


def avp_finds_avp_conform(folder):
    os.mkdir(os.path.join(folder, "bin"))
    avp = shutil.copy(AVP, os.path.join(folder, "bin", "avp"))
    conform = os.path.join(os.path.dirname(AVP), "avp-conform")
    fails(1, "avp-conform is needed", avp, "conform", "--help")
    os.makedirs(os.path.join(folder, "libexec", "avp"))
    os.symlink(conform, os.path.join(folder, "libexec", "avp", "avp-conform"))
    assert run(avp, "conform", "--help")[0] == 0
    assert run(avp, "spec", "--help")[0] == 0


TESTS = [wrong_usage_is_status_2, help_is_status_0, cases_are_listed_with_their_claims, patterns_choose_cases,
         a_socket_may_be_there_already, a_backend_that_breaks_fails_each_case, a_backend_can_be_as_bad_as_it_likes,
         descriptors_do_not_pile_up, a_flood_of_interrupts_is_counted, a_backend_that_stays_away_ends_the_run,
         a_backend_that_does_not_start_is_in_the_reports, nothing_judged_is_no_success, a_type_that_is_wrong_fails,
         self_judges_another_avp, self_has_one_report_for_all, a_signal_ends_it_in_good_order, backends_do_not_outlive_the_runner,
         avp_finds_avp_conform]


if __name__ == "__main__":
    sys.exit(tapmain.main(TESTS))
