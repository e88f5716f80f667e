#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""avp device as its users see it: usage, errors, the control descriptor, signals, the jail."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile

AVP = os.environ["AVP"]
TIMEOUT = 30
FOLDER = tempfile.TemporaryDirectory(prefix="avp-device-")


def path(name):
    return os.path.join(FOLDER.name, name)


def avp(*args):
    """Runs to the end: (exit status, stdout, stderr)."""
    p = subprocess.run([AVP, "device", *args], capture_output=True, text=True, timeout=TIMEOUT)
    return p.returncode, p.stdout, p.stderr


def types():
    return re.findall(r"^  (\w+) +\S", avp("--help")[1], re.M)


class Device:
    """A running device process with a control connection."""

    def __init__(self, *args, pass_fds=()):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(TIMEOUT)
        self.process = subprocess.Popen(
            [AVP, "device", "rng", "--control-fd", str(theirs.fileno()), *args],
            pass_fds=(theirs.fileno(), *pass_fds), stderr=subprocess.PIPE, text=True)
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.control.close()

    def message(self):
        return json.loads(self.control.recv(65536))

    def ask(self, text):
        self.control.send(text.encode())
        return self.message()

    def end(self):
        return self.process.wait(TIMEOUT)


def greet(sock):
    """GET_FEATURES; returns the features."""
    sock.settimeout(TIMEOUT)
    sock.sendall(struct.pack("<III", 1, 1, 0))
    reply = sock.recv(20, socket.MSG_WAITALL)
    request, flags, size, features = struct.unpack("<IIIQ", reply)
    assert (request, flags, size) == (1, 5, 8), reply
    return features


def lists_types():
    status, out, _ = avp("--help")
    assert status == 0 and "usage:" in out, out
    assert "rng" in types() and "blk" in types(), out
    status, out, err = avp()
    assert status == 2 and not out and "usage:" in err, err


def each_type_has_help():
    for name in types():
        status, out, err = avp(name, "--help")
        assert status == 0 and not err, err
        assert "--socket PATH" in out and "VIRTIO device id" in out, out
    assert "--source" in avp("rng", "--help")[1]


def usage_errors_explain():
    cases = [
        (("rgn", "--socket", path("s")), "did you mean 'rng'"),
        (("rng",), "--socket PATH and --fd N"),
        (("rng", "--socket", path("s"), "--fd", "0"), "--socket PATH and --fd N"),
        (("rng", "--socket"), "--socket needs a value"),
        (("rng", "--socket", path("s"), "--sauce", "x"), "did you mean 'source'"),
        (("rng", "--socket", path("s"), "--rate", "fast"), "rate"),
        (("rng", "--socket", path("s"), "word"), "'word' is not an option"),
        (("rng", "--fd", "x"), "not a descriptor number"),
        (("rng", "--fd", "77"), "not open"),
        (("rng", "--socket", path("s"), "--jail", "maybe"), "best-effort"),
        (("blk", "--socket", path("s")), "image"),
    ]
    for args, text in cases:
        status, out, err = avp(*args)
        assert status == 2 and not out, (args, status, out, err)
        assert text in err, (args, text, err)


def faults_explain():
    with open(path("file"), "w", encoding="ascii") as f:
        f.write("not a socket")
    status, _, err = avp("rng", "--socket", path("file"))
    assert status == 1 and "not a socket" in err, err
    status, _, err = avp("rng", "--socket", path("s"), "--source", "/nonexistent/hwrng")
    assert status == 1 and "/nonexistent/hwrng" in err, err


def keys_in_both_notations():
    with Device("--socket=" + path("s1"), "--rate=1M", "--name=cluster/rng0") as d:
        assert d.message() == {"event": "ready"}
        d.process.terminate()
        assert d.end() == 0
        assert "cluster/rng0: " in d.process.stderr.read()


def control_descriptor():
    with Device("--socket", path("s2")) as d:
        assert d.message() == {"event": "ready"}
        stats = d.ask("stats")
        assert stats["event"] == "stats", stats
        assert stats["counters"]["requests"] == 0, stats
        assert d.ask("dance")["event"] == "error"
        # The supervisor is gone: nobody would stop this process any more.
        d.control.close()
        assert d.end() == 0


def signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Device("--socket", path("s3")) as d:
            assert d.message() == {"event": "ready"}
            d.process.send_signal(signal.SIGUSR1)
            line = ""
            while "counters" not in line:
                line = d.process.stderr.readline()
                assert line, "no counters after SIGUSR1"
            assert json.loads(line[line.index("{"):])["event"] == "stats", line
            d.process.send_signal(number)
            assert d.end() == 0


def inherited_listening_socket():
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path("s4"))
        listener.listen()
        fd = listener.fileno()
        with Device("--fd", str(fd), pass_fds=(fd,)) as d:
            assert d.message() == {"event": "ready"}
            for _ in range(3):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path("s4"))
                    assert greet(s) & 1 << 32


def inherited_connection():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with Device("--fd", str(theirs.fileno()), pass_fds=(theirs.fileno(),)) as d:
            assert d.message() == {"event": "ready"}
            theirs.close()
            assert greet(ours) & 1 << 32
            # There will be no other front-end.
            ours.close()
            assert d.end() == 0


def socket_is_private():
    with Device("--socket", path("s5")) as d:
        assert d.message() == {"event": "ready"}
        assert os.stat(path("s5")).st_mode & 0o777 == 0o600


def runs_in_a_jail():
    with Device("--socket", path("s6")) as d:
        assert d.message() == {"event": "ready"}
        with open(f"/proc/{d.process.pid}/status", encoding="ascii") as f:
            status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"] == "1", status
        assert status["Seccomp"] == "2", status
        assert int(status["CapEff"], 16) == 0, status
    with Device("--no-jail", "--socket", path("s7")) as d:
        assert d.message() == {"event": "ready"}
        with open(f"/proc/{d.process.pid}/status", encoding="ascii") as f:
            assert "Seccomp:\t2" not in f.read()


CASES = [lists_types, each_type_has_help, usage_errors_explain, faults_explain, keys_in_both_notations,
         control_descriptor, signals, inherited_listening_socket, inherited_connection,
         socket_is_private, runs_in_a_jail]


def main():
    failed = 0
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        try:
            case()
            print(f"ok {number} - {case.__name__}")
        except (AssertionError, OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
            failed += 1
            print(f"# {type(e).__name__}: {e}".replace("\n", "\n# "))
            print(f"not ok {number} - {case.__name__}")
        sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
