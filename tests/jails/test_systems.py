#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Running systems with every type of device and every medium, started by root and by a plain user: each process is in
its jail, with all of its threads. usage: test_systems.py AVP GUEST"""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
import test_run  # noqa: E402 (the place and the system of that test)

NOBODY = 65534
ROOT = os.geteuid() == 0

# Keys of a device, and of a device that is plugged into a medium: without a host's hardware.
DEVICES = {"blk": "image: disk.img", "can": "", "console": "", "gpio": "lines: ['key sim in']",
           "i2c": "devices: ['0x48 lm75 temp=21.5']", "input": "profile: keyboard", "net": "", "rng": "", "rtc": "",
           "scmi": "clocks: ['uart rate=48000000']", "spi": "devices: ['0 loopback']", "vsock": "cid: 5"}
MEDIA = {"can-bus": ("can-buses", "can", "bus", "", ""), "switch": ("switches", "net", "switch", "", ""),
         "scmi-platform": ("scmi-platforms", "scmi", "platform", "", "clocks: ['uart rate=48000000']"),
         "wires": ("wires", "gpio", "wires", "lines: ['key wire:n in']", "nets: ['n']"),
         "link": ("links", "console", "link", "", "host: pty, path: end")}


def words_of_help(*args):
    """The names that a help text lists, each with two spaces before and after it."""
    text = subprocess.run([test_run.AVP, *args], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"(?m)^  ([a-z0-9-]+) +[A-Za-z]", text)


def test_no_type_is_forgotten(_):
    assert set(words_of_help("device", "--help")) == set(DEVICES), words_of_help("device", "--help")
    media = re.findall(r"(?m)^  ([a-z-]+) +serve the ", subprocess.run([test_run.AVP, "--help"], stdout=subprocess.PIPE,
                                                                        text=True, check=True).stdout)
    assert set(media) == set(MEDIA), media


def device(kind, *more):
    return f"{{{', '.join(filter(None, (f'type: {kind}', *more)))}}}"


def everything(place, jail):
    """A VM with all devices as processes, one with the ports of all media, one with devices on its threads."""
    own = ", ".join(device(kind, keys) for kind, keys in DEVICES.items())
    ports = ", ".join(device(kind, f"{plug}: m{i}", keys) for i, (_, kind, plug, keys, _) in enumerate(MEDIA.values()))
    threads = ", ".join(device(kind, "isolate: false") for kind in ("rng", "console", "can"))
    media = "".join(f"{section}: {{m{i}: {{{keys}}}}}\n" for i, (section, *_, keys) in enumerate(MEDIA.values()))
    return (f"jail: {jail}\nvms:\n" + place.vm("one", "button", f", devices: [{own}]")
            + place.vm("two", "button", f", devices: [{ports}]") + place.vm("three", "button", f", devices: [{threads}]")
            + media)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def status(path):
    return dict(line.split(":\t", 1) for line in read(path).splitlines() if ":\t" in line)


def children(pid):
    """All processes below this one."""
    below = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        for child in read(f"/proc/{pid}/task/{thread}/children").split():
            below += [int(child), *children(child)]
    return below


def expect_jailed(name, pid, user, bounded):
    for thread in os.listdir(f"/proc/{pid}/task"):
        has = status(f"/proc/{pid}/task/{thread}/status")
        got = {key: has[key] for key in ("NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        wanted = dict.fromkeys(got, "0" * 16) | {"NoNewPrivs": "1", "Seccomp": "2"}
        if not bounded:  # nobody but a namespace's owner may lower what exec could give if it could give anything
            del got["CapBnd"], wanted["CapBnd"]
        assert got == wanted, f"{name}, thread {thread} ({has['Name']}): {got}"
    if user is not None:
        assert has["Uid"].split() == [str(user)] * 4, f"{name}: {has['Uid']}"


def expect_alone(name, pid, spaces):
    """Its namespaces are nobody else's; its root is empty but for folders that lead to its own."""
    for space in spaces:
        own, its = (os.readlink(f"/proc/{p}/ns/{space}") for p in ("self", pid))
        assert own != its, f"{name} is in the namespace {its}"
    assert not set(os.listdir(f"/proc/{pid}/root")) & {"etc", "proc", "dev", "usr"}, name


def expect_all_jailed(s, user=None, spaces=()):
    known = {p["pid"]: name for name, p in s.ps().items()}
    below = children(s.process.pid)
    assert len(below) == len(DEVICES) + len(MEDIA) + 3 and set(below) == set(known), f"not in ps, or gone: {set(below) ^ set(known)}"
    for pid, name in known.items():
        expect_jailed(name, pid, user, bool(spaces))
        if ROOT and spaces:
            expect_alone(name, pid, spaces)


def try_system(place, jail, **checks):
    with place.run(everything(place, jail)) as s:
        for vm in ("one", "two", "three"):
            s.state(vm, "running")
        expect_all_jailed(s, **checks)
        # The operator's commands reach a process, a medium and a thread.
        for name, words in (("one/gpio0", "get"), ("m0", "show"), ("three/can0", "show")):
            done = place.avp("tell", name, *words.split())
            assert done.returncode == 0, f"{name}: {done.stdout}"
        text = s.text()
        assert place.avp("stop").returncode == 0, s.text()
        s.ends(0)
        return text


SPACES = ("mnt", "net", "ipc", "uts", "cgroup")


def test_started_by_root(place):
    if not ROOT:
        raise test_run.Skip("this is not root")
    text = try_system(place, "required", spaces=SPACES)
    assert "jail: without" not in text, text


def plain_user(place):
    """Whatever the place runs is run by a user who has no rights, but may use /dev/kvm."""
    program = os.path.join(place.folder, "avp")
    shutil.copy(test_run.AVP, program)
    place.command = [program]
    if not ROOT:
        return os.geteuid()
    shutil.copy(test_run.GUEST, place.folder)
    place.guest = os.path.join(place.folder, os.path.basename(test_run.GUEST))
    for path in (place.folder, place.runtime, os.path.join(place.folder, "disk.img")):
        os.chown(path, NOBODY, NOBODY)
    place.how = {"user": NOBODY, "group": NOBODY, "extra_groups": [os.stat("/dev/kvm").st_gid]}
    return NOBODY


def users_have_namespaces(place):
    done = subprocess.run(["unshare", "--user", "--net", "true"], stderr=subprocess.DEVNULL, check=False, **place.how)
    return done.returncode == 0


def test_started_by_a_plain_user(place):
    user = plain_user(place)
    if not users_have_namespaces(place):
        raise test_run.Skip("plain users may make no namespaces on this computer")
    text = try_system(place, "required", user=user, spaces=(*SPACES, "user"))
    assert "jail: without" not in text, text


def without_namespaces(place):
    user = plain_user(place)
    if not users_have_namespaces(place):
        raise test_run.Skip("plain users may make no namespaces on this computer")
    confine = shutil.copy(os.path.join(HERE, "confine.py"), place.folder)
    place.command = ["/usr/bin/python3", confine, *place.command]
    return user


def test_plain_user_without_namespaces(place):
    """What is left then: no new privileges, no capabilities, Landlock, and the filter."""
    user = without_namespaces(place)
    text = try_system(place, "best-effort", user=user)
    lost = set(re.findall(r"jail: without ([^:]*):", text))
    assert lost == {"namespaces"}, f"{lost}: {text}"


def test_required_jail_without_namespaces_is_refused(place):
    without_namespaces(place)
    with place.run("jail: required\nvms:\n" + place.vm("one", "off", ", devices: [{type: rng}]")) as s:
        assert s.process.wait(test_run.LIMIT) == 1, s.text()
        assert "jail: namespaces (jail: best-effort goes on without): cannot create" in s.text(), s.text()


if __name__ == "__main__":
    sys.exit(test_run.main(globals()))
