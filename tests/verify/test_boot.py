#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Verified boot: what avp sign covers starts, and whatever is changed, missing, added, cut or signed by somebody else is
refused before the first instruction, by the monitor and by a system that runs. With a bare-metal guest on /dev/kvm."""
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
LIMIT = 60  # seconds for anything to happen; more than ever needed
REFUSED = 14


def run(*args, **more):
    return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=LIMIT, check=False, **more)


def make_key(folder, name, kind="ed25519"):
    private, public = os.path.join(folder, name + ".private"), os.path.join(folder, name + ".public")
    subprocess.run(["openssl", "genpkey", "-algorithm", kind, "-out", private], check=True, stderr=subprocess.PIPE)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)


class Place:
    """A folder with keys, a guest with an initrd, and a system file that says how it is verified."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("good", "evil"):
            make_key(folder, name)
        shutil.copy(GUEST, self.path("kernel"))
        self.write("initrd", b"not read by this guest" * 100)
        self.boot = {"kernel": "kernel", "initrd": "initrd", "cmdline": "off", "key": "good.public", "manifest": "m"}
        self.system = self.write("s.yaml", b"")
        self.describe()
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.path("run"))
        os.mkdir(self.path("run"), 0o700)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def change(self, name, at):
        data = bytearray(self.read(name))
        data[at] ^= 1
        self.write(name, bytes(data))

    def describe(self, more=""):
        boot = ", ".join(f"{key}: {value}" for key, value in self.boot.items())
        self.write("s.yaml", f"vms:\n  one: {{memory: 16M, boot: {{{boot}}}{more}}}\n  two: {{memory: 16M, "
                             f"boot: {{{boot}}}}}\n".encode())

    def sign(self, *more, vm="one", key="good.private"):
        done = run(AVP, "sign", self.system, vm, "--key", self.path(key), *more)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def sign_line(self, line):
        """A manifest by the same key that avp did not write."""
        self.write("line", line + b"\n")
        subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path("good.private"), "-in",
                        self.path("line"), "-out", self.path("signature")], check=True)
        base64 = subprocess.run(["openssl", "base64", "-A", "-in", self.path("signature")], check=True,
                                stdout=subprocess.PIPE).stdout
        self.write("m", line + b'\n{"ed25519":"' + base64 + b'"}\n')

    def monitor(self, **boot):
        """Starts the guest by hand: exit status, what was said, the events, and how many virtual machines came to be."""
        names = {"key": "verify-key", "min-version": "manifest-version"}
        args = [AVP, "monitor", "--name", "one", "--memory", "16M"]
        for key, value in {**self.boot, **boot}.items():
            is_path = key in ("kernel", "initrd", "key", "manifest")
            if value is not None:
                args += ["--" + names.get(key, key), self.path(value) if is_path else str(value)]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(LIMIT)
        with ours, theirs:
            done = run(*args, "--control-fd", str(theirs.fileno()), pass_fds=[theirs.fileno()])
            theirs.close()
            events = []
            while message := ours.recv(65536):
                events.append(json.loads(message))
        return done.returncode, done.stdout, events

    def starts(self, **boot):
        status, text, events = self.monitor(**boot)
        assert status == 0 and "running" in [e["event"] for e in events], f"{status}: {text}"
        return events

    def refuses(self, why, **boot):
        status, text, events = self.monitor(**boot)
        assert status == REFUSED, f"{status}: {text}"
        assert re.search(why, text), f"no '{why}' in: {text}"
        assert text.count("\n") == 1 and "boot refused" in text, text
        assert [e["event"] for e in events] == ["refused", "exit"], events
        assert re.search(why, events[0]["reason"]) and events[1]["reason"] == "refused", events


def test_what_was_signed_starts_and_is_measured_in_order(place):
    said = place.sign()
    assert said == f"{place.path('m')}: version 0 for VM one, covers kernel, initrd, cmdline\n", said
    events = place.starts()
    assert [e["event"] for e in events] == ["measured"] * 3 + ["running", "exit"], events
    expected = [("kernel", place.read("kernel")), ("initrd", place.read("initrd")), ("cmdline", b"off")]
    assert [(e["item"], e["sha256"]) for e in events[:3]] == [(what, hashlib.sha256(data).hexdigest())
                                                             for what, data in expected], events


def test_a_changed_byte_anywhere_in_a_file(place):
    place.sign()
    for name in ("kernel", "initrd"):
        size = os.path.getsize(place.path(name))
        for at in (0, size // 2, size - 1):
            place.change(name, at)
            place.refuses(f"the {name} is not what was signed")
            place.change(name, at)
    place.starts()


def test_a_file_that_grew_shrank_or_vanished(place):
    place.sign()
    data = place.read("kernel")
    for changed in (data + b"\0", data[:-1], b""):
        place.write("kernel", changed)
        place.refuses("the kernel is not what was signed: %d bytes" % len(changed))
    os.unlink(place.path("kernel"))
    status, text, events = place.monitor()
    assert status == 1 and "cannot open the kernel" in text and [e["event"] for e in events] == ["exit"], text


def test_another_command_line(place):
    place.sign()
    for cmdline in ("off ", "of", "", "spin"):
        place.refuses("the cmdline is not what was signed", cmdline=cmdline)
    place.refuses("the manifest covers more than this VM is configured with: cmdline", cmdline=None)


def test_missing_and_extra_items(place):
    place.sign()
    place.refuses("covers more than .*: initrd", initrd=None)
    place.boot["initrd"] = None
    del place.boot["initrd"]
    place.describe()
    place.sign()
    place.starts()
    place.refuses("the manifest does not cover the initrd", initrd="initrd")


def test_raw_image_with_its_addresses(place):
    place.write("raw", b"\xf4" * 64)  # hlt
    place.boot = {"kernel": "raw", "load-address": 0x200000, "entry": 0x200010, "key": "good.public", "manifest": "m"}
    place.describe()
    assert "covers kernel, load-address, entry" in place.sign()
    place.refuses("the load-address is not what was signed", **{"load-address": 0x201000, "entry": 0x201010})
    place.refuses("the entry is not what was signed", entry=0x200011)
    place.refuses("covers more than .*: entry", entry=None)


def test_keys_that_are_not_the_right_one(place):
    place.sign()
    place.refuses("signed with another key", key="evil.public")
    make_key(place.folder, "x", "x25519")
    place.refuses("of type X25519, not Ed25519", key="x.public")
    place.refuses("no public key", key="good.private")
    place.write("empty", b"")
    place.refuses("no public key", key="empty")
    place.write("huge", b"\n" * 100000)
    place.refuses("the key is no file of at most", key="huge")
    place.refuses("cannot open the key", key="missing")
    place.refuses("the key is no file", key=".")
    place.sign(key="evil.private")
    place.refuses("signed with another key")


def test_manifests_that_are_none(place):
    place.sign()
    good = place.read("m")
    lines = good.splitlines(keepends=True)
    wrong = [b"", b"\n", b"\0", good[:-1], good[:len(lines[0])], good[:len(lines[0]) - 1], good + b"x", good + good,
             lines[1] + lines[0], lines[0] + b'{"ed25519":""}\n', b"\0" + good, good.replace(b"\n", b"\r\n"),
             good.replace(b'"one"', b'"two"'), good.replace(b'"version":0', b'"version":9'), b"{}\n" + lines[1],
             b"x" * 9000, os.urandom(500)]
    for data in wrong:
        place.write("m", data)
        place.refuses("the manifest ")
    place.refuses("cannot open the manifest", manifest="missing")
    place.refuses("the manifest is no file", manifest=".")
    os.mkfifo(place.path("fifo"))
    place.refuses("the manifest is no file", manifest="fifo")
    place.write("m", good)
    place.starts()


def test_signed_but_in_another_format(place):
    place.sign()
    line = place.read("m").splitlines()[0]
    for changed in (line + b" ", line.replace(b'"manifest":1', b'"manifest":2'), line.replace(b":", b": ", 1),
                    line[:-1] + b',"vm":"two"}'):
        place.sign_line(changed)
        place.refuses("not in the format")
    place.sign_line(line)
    place.starts()


def test_the_manifest_of_another_vm(place):
    place.sign(vm="two")
    place.refuses("the manifest is for VM 'two'")


def test_old_versions(place):
    place.sign("--version", "6")
    place.refuses("the manifest has version 6, at least 7 is asked for", **{"min-version": 7})
    place.starts(**{"min-version": 6})
    place.sign("--version", str(2**53 - 1))
    place.starts(**{"min-version": 2**53 - 1})


def test_a_file_that_changes_while_it_is_checked(place):
    """What runs is what was checked: the guest's first instruction is never one of the other kernel, whose command
    line is the same but which would end with another status."""
    good = place.read("kernel")
    evil = good.replace(b"\x7fELF", b"\x7fELG", 1)
    place.sign()
    stop = threading.Event()

    def flip():
        names = [place.write("kernel.good", good), place.write("kernel.evil", evil)]
        while not stop.is_set():
            for name in names:
                shutil.copy(name, place.path("kernel.new"))
                os.rename(place.path("kernel.new"), place.path("kernel"))

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        statuses = {place.monitor()[0] for _ in range(30)}
    finally:
        stop.set()
        thread.join()
    assert statuses <= {0, REFUSED}, statuses  # 1: the changed kernel passed, and was found not to be one


def test_no_verifier_no_start(place):
    place.sign()
    os.mkdir(place.path("bin"))
    avp = shutil.copy(AVP, place.path("bin/avp"))
    args = [avp, "monitor", "--name", "one", "--kernel", place.path("kernel"), "--initrd", place.path("initrd"), "--cmdline",
            "off", "--memory", "16M", "--verify-key", place.path("good.public"), "--manifest", place.path("m")]
    for script in (None, "exit 0", "echo yes", "kill -9 $$", "echo kernel 00; exit 0", "exit 14", "echo x; exit 3",
                   "yes"):
        if script:
            place.write("bin/avp-verify", f"#!/bin/sh\n{script}\n".encode())
            os.chmod(place.path("bin/avp-verify"), 0o755)
        done = run(*args)
        assert done.returncode == 1 and "avp-verify" in done.stdout, f"{script}: {done.returncode} {done.stdout}"


def test_keys_of_the_configuration(place):
    for boot, why in (({"key": None}, "only the manifest is given"), ({"manifest": None}, "only the key is given"),
                      ({"key": None, "manifest": None, "min-version": 3}, "means nothing without")):
        status, text, _ = place.monitor(**boot)
        assert status == 2 and why in text, text
        saved = dict(place.boot)
        place.boot = {key: value for key, value in {**place.boot, **boot}.items() if value is not None}
        place.describe()
        done = run(AVP, "check", place.system)
        assert done.returncode == 2 and why in done.stdout and "s.yaml:2:" in done.stdout, done.stdout
        place.boot = saved


def test_signing_says_what_is_wrong(place):
    for args, status, why in ((("tow",), 2, "did you mean 'two'"), (("one", "--key", "/nonexistent"), 1, "/nonexistent"),
                              (("one", "--key", place.path("good.public")), 1, "no private key"),
                              (("one", "--out", "/nonexistent/m"), 1, "/nonexistent/m.new"),
                              (("one", "--version", str(2**53)), 2, "version"), ((), 2, "usage")):
        more = () if "--key" in args else ("--key", place.path("good.private"))
        done = run(AVP, "sign", place.system, *args, *more)
        assert done.returncode == status and why in done.stdout, f"{args}: {done.returncode} {done.stdout}"
    done = run(AVP, "sign", place.system, "one")
    assert done.returncode == 2 and "key" in done.stdout, done.stdout
    os.unlink(place.path("initrd"))
    done = run(AVP, "sign", place.system, "one", "--key", place.path("good.private"))
    assert done.returncode == 1 and "cannot open the initrd" in done.stdout, done.stdout
    assert not os.path.exists(place.path("m")) and not os.path.exists(place.path("m.new"))


def test_openssl_verifies_what_avp_signs(place):
    place.sign()
    line, signature = place.read("m").splitlines(keepends=True)
    place.write("line", line)
    with open(place.path("signature"), "wb") as f:
        subprocess.run(["openssl", "base64", "-d", "-A"], input=json.loads(signature)["ed25519"].encode(), stdout=f,
                       check=True)
    done = run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", place.path("good.public"), "-rawin", "-in",
               place.path("line"), "-sigfile", place.path("signature"))
    assert done.returncode == 0, done.stdout


def test_a_system_does_not_start_it_again_and_again(place):
    """One VM of a system is refused, for good; the other one runs, and the event log says what happened."""
    place.boot["cmdline"] = "button"
    place.boot["manifest"] = "one.m"
    place.describe(more=", restart: always, restart-limit: 0")
    place.sign()
    text = place.read("s.yaml").decode()
    head, two = text.split("  two:")
    place.write("s.yaml", (head + "  two:" + two.replace("one.m", "two.m")).encode())
    place.sign(vm="two")
    place.change("one.m", 30)
    with open(place.path("output"), "w+", encoding="utf-8") as output:
        process = subprocess.Popen([AVP, "run", place.system, "--board", "none"], env=place.env, stdout=output,
                                   stderr=output, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + LIMIT
            states = {}
            while states.get("one") != ("failed", 1) or states.get("two") != ("running", 1):
                assert time.monotonic() < end and process.poll() is None, f"{states}:\n{place.read('output').decode()}"
                done = run(AVP, "ps", "--json", env=place.env)
                if done.returncode == 0:
                    states = {vm["name"]: (vm["state"], vm["boots"]) for vm in json.loads(done.stdout)["vms"]}
                time.sleep(0.02)
            events = [json.loads(line) for line in run(AVP, "events", "--json", env=place.env).stdout.splitlines()]
            of_one = [e for e in events if e.get("name") == "one" and e.get("state") != "waiting"]
            assert [e["event"] for e in of_one] == ["state", "refused", "exit", "state"], of_one
            assert of_one[-1]["state"] == "failed" and of_one[-1]["exit"] == REFUSED, of_one
            measured = [e["item"] for e in events if e.get("name") == "two" and e["event"] == "measured"]
            assert measured == ["kernel", "initrd", "cmdline"], events
            run(AVP, "stop", env=place.env)
            assert process.wait(LIMIT) == 1
        finally:
            process.kill()
            process.wait()


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("1..0 # SKIP no /dev/kvm that can be opened")
        return 0
    tests = [(name, function) for name, function in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, function) in enumerate(tests, 1):
        title = name.removeprefix("test_").replace("_", " ")
        try:
            with tempfile.TemporaryDirectory(prefix="avp-verify-") as folder:
                function(Place(folder))
            print(f"ok {number} - {title}", flush=True)
        except Exception:  # whatever it was, the case failed
            failed += 1
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"not ok {number} - {title}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
