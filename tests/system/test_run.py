#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`avp run` with real device processes and a bare-metal guest, where there is a /dev/kvm: start, control socket,
deaths and restarts, the end, and that nothing is left."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
LIMIT = 60  # seconds for anything to happen; more than ever needed

# Cases of the guest (tests/monitor/payload): "off" powers off at once, "button" when its power button is pressed,
# "spin" never, "reset" resets, "triple" crashes.
DEVICES = "[{type: rng}, {type: console}, {type: vsock, cid: 5}, {type: blk, image: disk.img}]"


class Skip(Exception):
    """A case that cannot be tried here."""


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def run(self, function):
        self.n += 1
        name = function.__name__.removeprefix("test_").replace("_", " ")
        try:
            with tempfile.TemporaryDirectory(prefix="avp-run-") as folder:
                function(Place(folder))
            print(f"ok {self.n} - {name}", flush=True)
        except Skip as why:
            print(f"ok {self.n} - {name} # SKIP {why}", flush=True)
        except Exception:  # whatever it was, the case failed
            self.failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {self.n} - {name}", flush=True)


class Place:
    """A folder with a disk, and a run-time folder."""

    def __init__(self, folder):
        self.folder = folder
        self.runtime = os.path.join(folder, "run")
        os.mkdir(self.runtime, 0o700)
        os.chmod(folder, 0o755)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.runtime)
        self.command, self.guest = [AVP], GUEST
        self.how = {}  # further arguments of subprocess: as whom the command runs
        with open(os.path.join(folder, "disk.img"), "wb") as f:
            f.truncate(1 << 20)

    def write(self, text):
        path = os.path.join(self.folder, "s.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def vm(self, name, case, more=""):
        return f"  {name}: {{memory: 16M, boot: {{kernel: {self.guest}, cmdline: {case}}}{more}}}\n"

    def run(self, text):
        return System(self, self.write(text))

    def avp(self, *args):
        return subprocess.run([*self.command, *args], env=self.env, **self.how, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)

    def remains(self):
        """Everything in the run-time folder but the folder of all systems itself."""
        return [os.path.join(where, name) for where, folders, names in os.walk(self.runtime)
                for name in folders + names if os.path.join(where, name) != os.path.join(self.runtime, "avp")]


class System:
    """A running `avp run`."""

    def __init__(self, place, path):
        self.place = place
        self.output = open(os.path.join(place.folder, "output"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([*place.command, "run", path, "--board", "none"], env=place.env, **place.how,
                                        cwd="/", stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        self.control = os.path.join(place.runtime, "avp/s/control.sock")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def text(self):
        with open(self.output.name, encoding="utf-8") as f:
            return f.read()

    def until(self, condition, what):
        end = time.monotonic() + LIMIT
        while not (value := condition()):
            if time.monotonic() > end or (self.process.poll() is not None):
                raise AssertionError(f"never happened: {what}; output:\n{self.text()}")
            time.sleep(0.02)
        return value

    def says(self, pattern):
        return self.until(lambda: re.search(pattern, self.text()), pattern)

    def connect(self):
        def attempt():
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(LIMIT)
            try:
                s.connect(self.control)
                return s
            except OSError:
                s.close()
                return None
        return self.until(attempt, "control socket")

    def ask(self, **request):
        with self.connect() as s:
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(s.makefile("rb").readline())

    def ps(self):
        result = self.ask(cmd="ps")["result"]
        return {p["name"]: p for kind in ("vms", "devices", "media") for p in result[kind]}

    def state(self, name, state):
        return self.until(lambda: (p := self.ps()[name])["state"] == state and p, f"{name} {state}")

    def ends(self, status):
        got = self.process.wait(LIMIT)
        assert got == status, f"exit status {got} instead of {status}:\n{self.text()}"
        left = self.place.remains()
        assert not left, f"left behind: {left}"


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        return f.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_power_off_of_all_guests_ends_with_0(place):
    with place.run("vms:\n" + place.vm("one", "off", f", devices: {DEVICES}") + place.vm("two", "off")) as s:
        s.ends(0)
        for line in (r"s: starting 2 VMs, 4 devices, 0 media", r"one: running, [0-9.]+ ms after",
                     r"one: powered off after", r"two: powered off after"):
            assert re.search(line, s.text()), f"no '{line}' in:\n{s.text()}"


def test_switch_and_ports(place):
    ports = ", devices: [{type: net, switch: car}]"
    with place.run("vms:\n" + place.vm("one", "button", ports) + place.vm("two", "button", ports)
                   + "switches: {car: {uplink: none}}\n") as s:
        s.state("one", "running")
        s.state("two", "running")
        s.state("car", "running")
        answer = s.ask(cmd="stats", name="car")
        assert "car" in answer["result"], answer
        assert s.ask(cmd="stop")["ok"]
        s.ends(0)


def test_tell_finds_whoever_serves_the_device(place):
    """A process of its own, a thread of the monitor, a port of a medium: each answers for itself."""
    devices = ", devices: [{type: rng}, {type: rng, isolate: false}, {type: net, switch: car}]"
    with place.run("vms:\n" + place.vm("one", "button", devices) + "switches: {car: }\n") as s:
        s.state("one", "running")
        for name, text in (("one/rng0", "one/rng0: a rng device takes no commands"),
                           ("one/rng1", "one: a rng device takes no commands"),
                           ("one/net0", "car: a net device takes no commands"),
                           ("car", "car: a switch takes no commands of its own"),
                           ("one", "must be a device or a medium"), ("one/rng2", "must be a device or a medium")):
            done = place.avp("tell", name, "set", "it")
            assert done.returncode and text in done.stdout, f"{name}: {done.stdout}"
        assert not s.ask(cmd="tell", name="one/rng0", words=["x" * 5000])["ok"]
        place.avp("stop")
        s.ends(0)


VEHICLE = [  # type, keys, a command, what its answer has to hold
    ("can", "", "show", "stopped"), ("gpio", "lines: ['key sim in']", "set key 1; get", "key 1 driven by the operator"),
    ("i2c", "devices: ['0x48 lm75 temp=21.5']", "0x48 temp 30; list", "0x48"),
    ("spi", "devices: ['1 loopback']", "list", "loopback"), ("rtc", "", "step 3600; show", "shifted by +3600"),
    ("input", "profile: keyboard", "key KEY_A down; state", "KEY_A"),
    ("scmi", "clocks: ['uart rate=48000000']", "clock uart on; show", "clock uart")]


def tell_vehicle(place, isolate):
    devices = ", ".join(f"{{type: {t}, isolate: {isolate}{', ' if keys else ''}{keys}}}" for t, keys, *_ in VEHICLE)
    with place.run("vms:\n" + place.vm("one", "button", f", devices: [{devices}]")) as s:
        s.state("one", "running")
        for kind, _, words, wanted in VEHICLE:
            for command in words.split("; "):
                done = place.avp("tell", f"one/{kind}0", *command.split())
                assert done.returncode == 0, f"{kind} {command}: {done.stdout}"
            assert wanted in done.stdout, f"{kind} {command}: {done.stdout}"
        place.avp("stop")
        s.ends(0)


def test_vehicle_devices_obey_as_processes(place):
    tell_vehicle(place, "true")


def test_vehicle_devices_obey_as_threads_of_the_monitor(place):
    tell_vehicle(place, "false")


def test_crash_ends_with_1(place):
    with place.run("vms:\n" + place.vm("one", "triple")) as s:
        s.ends(1)
        assert "one: the guest crashed" in s.text(), s.text()


def test_restart_on_failure_up_to_the_limit(place):
    with place.run("vms:\n" + place.vm("one", "triple", ", restart: on-failure, restart-limit: 2")) as s:
        s.ends(1)
        assert s.text().count("restarted") == 2, s.text()


def test_reset_starts_the_guest_again(place):
    with place.run("vms:\n" + place.vm("one", "reset")) as s:
        s.until(lambda: s.text().count("reset by the guest") >= 3, "three resets")
        assert s.ask(cmd="stop", force=True)["ok"]
        s.process.wait(LIMIT)


def test_configuration_that_a_device_refuses(place):
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: blk, image: missing.img}]")) as s:
        assert s.process.wait(LIMIT) in (1, 2)
        assert "one/blk0 did not start" in s.text() and "missing.img" in s.text(), s.text()
        assert not place.remains()


def test_interrupt_presses_the_power_button(place):
    with place.run("vms:\n" + place.vm("one", "button", f", devices: {DEVICES}") + place.vm("two", "button")) as s:
        s.state("one", "running")
        s.state("two", "running")
        s.process.send_signal(signal.SIGINT)
        s.ends(0)


def test_grace_then_force(place):
    with place.run("grace: 200ms\nvms:\n" + place.vm("one", "spin")) as s:
        s.state("one", "running")
        s.process.send_signal(signal.SIGTERM)
        s.ends(1)
        assert "one: stopped by force" in s.text(), s.text()


def test_second_interrupt_forces_at_once(place):
    with place.run("grace: 60m\nvms:\n" + place.vm("one", "spin")) as s:
        s.state("one", "running")
        s.process.send_signal(signal.SIGINT)
        s.says("stopping all guests")
        s.process.send_signal(signal.SIGINT)
        s.ends(1)


def test_killed_device_is_restarted(place):
    with place.run("vms:\n" + place.vm("one", "button", f", devices: {DEVICES}")) as s:
        s.state("one", "running")
        for _ in range(3):
            before = s.state("one/rng0", "running")
            os.kill(before["pid"], signal.SIGKILL)
            s.until(lambda b=before: (p := s.ps()["one/rng0"])["state"] == "running" and p["restarts"] > b["restarts"],
                    "restart")
        assert s.ps()["one"]["state"] == "running"
        assert s.ask(cmd="stop", vm="one")["ok"]
        s.ends(0)


def test_killed_monitor_is_a_failure(place):
    with place.run("vms:\n" + place.vm("one", "button") + place.vm("two", "button", ", restart: on-failure")) as s:
        one, two = s.state("one", "running"), s.state("two", "running")
        os.kill(one["pid"], signal.SIGKILL)
        os.kill(two["pid"], signal.SIGKILL)
        s.state("one", "failed")
        s.until(lambda: (p := s.ps()["two"])["state"] == "running" and p["boots"] == 2, "second boot")
        assert s.ask(cmd="stop")["ok"]
        s.ends(1)


def test_stop_and_restart_of_one_guest(place):
    with place.run("vms:\n" + place.vm("one", "button") + place.vm("two", "button")) as s:
        s.state("one", "running")
        s.state("two", "running")
        done = place.avp("stop", "one")
        assert done.returncode == 0, done.stdout
        assert s.ps()["one"]["state"] == "off" and s.ps()["two"]["state"] == "running"
        for name, boots in (("one", 2), ("two", 2)):
            done = place.avp("restart", name)
            assert done.returncode == 0, done.stdout
            assert s.ps()[name]["state"] == "running" and s.ps()[name]["boots"] == boots, s.ps()
        done = place.avp("stop")
        assert done.returncode == 0, done.stdout
        s.ends(0)


def test_commands_find_the_system(place):
    assert place.avp("ps").returncode == 2
    with place.run("vms:\n" + place.vm("one", "button", f", devices: {DEVICES}")) as s:
        s.state("one", "running")
        for args, text in ((("ps",), "one/blk0"), (("ps", "--json"), '"uptime_ms"'), (("ps", "--system", "s"), "running"),
                           (("stats", "one/rng0"), "requests"), (("logs", "one/rng0"), "one/rng0: serving")):
            done = place.avp(*args)
            assert done.returncode == 0 and text in done.stdout, f"{args}: {done.stdout}"
        for args, text in ((("stop", "radio"), "there is no VM 'radio'"), (("ps", "--system", "x"), "is not running"),
                           (("console", "radio"), "radio"), (("connect", "one", "x"), "is no port")):
            done = place.avp(*args)
            assert done.returncode in (1, 2) and text in done.stdout, f"{args}: {done.stdout}"
        again = place.avp("run", place.write("vms:\n" + place.vm("one", "off")), "--board", "none")
        assert again.returncode == 1 and "running already" in again.stdout, again.stdout
        assert s.ps()["one"]["state"] == "running"
        place.avp("stop")
        s.ends(0)


def test_no_hardware_virtualization(place):
    """It is said why the board is used, and what the board needs."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        if re.search(r"^flags.* (vmx|svm)( |$)", f.read(), re.MULTILINE):
            raise Skip("there is hardware virtualization here")
    done = subprocess.run([AVP, "run", place.write("vms:\n" + place.vm("one", "off"))], timeout=LIMIT, check=False,
                          env=dict(place.env, PATH="/nonexistent"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode == 1 and not place.remains(), done
    assert re.search(r"no hardware virtualization.*(?s:.*)no qemu-system-x86_64 in PATH", done.stdout), done.stdout


def test_control_socket_answers_nonsense(place):
    with place.run("vms:\n" + place.vm("one", "button")) as s:
        s.state("one", "running")
        assert os.stat(s.control).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(s.control)).st_mode & 0o777 == 0o700
        for request in ({"cmd": "dance"}, {}, {"cmd": 7}, {"cmd": "restart"}, {"cmd": "stop", "vm": 3},
                        {"cmd": "console", "vm": "one"}, {"cmd": "connect", "vm": "one", "port": -1},
                        {"cmd": "logs", "name": "../lock"}, {"cmd": "kill"}):
            answer = s.ask(id="x", **request)
            assert answer["ok"] is False and answer["error"] and answer["id"] == "x", f"{request}: {answer}"
        for data in (b"\n", b"[]\n", b"x" * (1 << 17), b"{}" * 10 + b"\n", b"\0\n"):
            with s.connect() as c:
                try:
                    c.sendall(data)
                    assert c.recv(100) == b"", data[:20]
                except ConnectionError:
                    pass  # closed while we still sent
        idle = [s.connect() for _ in range(40)]
        for c in idle:
            c.close()
        assert s.ps()["one"]["state"] == "running"
        assert s.ask(cmd="shutdown", id=1)["id"] == 1
        s.ends(0)


def test_control_socket_of_another_user(place):
    if os.geteuid() != 0:
        raise Skip("needs root, to be another user")
    with place.run("vms:\n" + place.vm("one", "button")) as s:
        s.state("one", "running")
        # Even if the folders let them: the peer's user is what counts.
        for path in (place.runtime, place.runtime + "/avp", place.runtime + "/avp/s"):
            os.chmod(path, 0o755)
        os.chmod(s.control, 0o666)
        pid = os.fork()
        if pid == 0:
            os.setresuid(65534, 65534, 65534)
            try:
                c = socket.socket(socket.AF_UNIX)
                c.settimeout(LIMIT)
                c.connect(s.control)
                c.sendall(b'{"cmd":"ps"}\n')
                os._exit(0 if c.recv(100) == b"" else 1)
            except ConnectionError:
                os._exit(0)
            except BaseException:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        s.says("connection refused: another user")
        s.ask(cmd="stop")
        s.ends(0)


def test_console_and_vsock_streams(place):
    with place.run("vms:\n" + place.vm("one", "button", f", devices: {DEVICES}")) as s:
        s.state("one", "running")
        with s.connect() as c:
            c.sendall(b'{"cmd":"console","vm":"one"}\n')
            answer = json.loads(c.makefile("rb", buffering=0).readline())
            assert answer["ok"], answer
            c.settimeout(0.2)
            try:
                assert c.recv(1) != b"", "the console closed"
            except TimeoutError:
                pass
        # No driver answers in the guest, so the connection cannot be made; the client hears of it or leaves.
        with s.connect() as c:
            c.sendall(b'{"cmd":"connect","vm":"one","port":9}\n')
        s.ask(cmd="stop")
        s.ends(0)


def test_console_is_waited_for(place):
    """Asked for before its process is there, it is attached to, and not refused."""
    with place.run("vms:\n" + place.vm("one", "button", f", devices: {DEVICES}")) as s:
        with s.connect() as c:
            c.sendall(b'{"cmd":"console","vm":"one"}\n')
            answer = json.loads(c.makefile("rb", buffering=0).readline())
            assert answer["ok"], answer
        s.state("one", "running")
        device = s.state("one/console0", "running")
        os.kill(device["pid"], signal.SIGKILL)
        s.until(lambda: s.ps()["one/console0"].get("pid") != device["pid"], "the end of the process")
        with s.connect() as c:
            c.sendall(b'{"cmd":"console","vm":"one","id":1}\n')
            answer = json.loads(c.makefile("rb", buffering=0).readline())
            assert answer["ok"], answer
        s.ask(cmd="stop")
        s.ends(0)


def test_paths_of_console_ports(place):
    """They start at the file's folder, whether a process serves them or the monitor."""
    devices = (", devices: [{type: console, ports: ['a=file:a.out', 'b=socket:b.sock']},"
               " {type: console, isolate: false, ports: ['c=file:c.out']}]")
    with place.run("vms:\n" + place.vm("one", "button", devices)) as s:
        s.state("one", "running")
        for name in ("a.out", "b.sock", "c.out"):
            assert os.path.exists(os.path.join(place.folder, name)), os.listdir(place.folder)
        counters = s.ask(cmd="stats", name="one/console0")["result"]["one/console0"]
        assert counters["dropped_bytes"] == counters["lost_bytes"] == 0, counters
        s.ask(cmd="stop")
        s.ends(0)


@contextlib.contextmanager
def somebody_elses_rng(place):
    """A daemon on r,1.sock that the system did not start."""
    path = os.path.join(place.folder, "r,1.sock")
    daemon = subprocess.Popen([AVP, "device", "rng", "--socket", path], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT
        while not os.path.exists(path):
            assert time.monotonic() < end and daemon.poll() is None, "the daemon does not listen"
            time.sleep(0.02)
        yield
    finally:
        daemon.terminate()
        daemon.wait()


FOREIGN = "{type: foreign, id: 4, queues: 1, socket: 'r,1.sock'}"


def test_device_of_somebody_else(place):
    """The guest's driver meets a daemon that the system only knows by socket, device id and queues."""
    with somebody_elses_rng(place), place.run("vms:\n" + place.vm("one", "pci", f", serial: out.txt, devices: [{FOREIGN}]")) as s:
        s.ends(0)
    with open(os.path.join(place.folder, "out.txt"), encoding="ascii") as f:
        lines = f.read().splitlines()
    assert sum(line.startswith("ok ") for line in lines) >= 23, lines
    assert not [line for line in lines if line.startswith("FAILED")], lines


def test_nobody_tells_a_device_of_somebody_else(place):
    with somebody_elses_rng(place), place.run("vms:\n" + place.vm("one", "button", f", devices: [{FOREIGN}]")) as s:
        s.state("one", "running")
        done = place.avp("tell", "one/foreign0", "set", "it")
        assert done.returncode and "must be a device or a medium" in done.stdout, done.stdout
        s.ask(cmd="stop")
        s.ends(0)


def test_logs_are_followed(place):
    with place.run("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]")) as s:
        s.state("one", "running")
        with s.connect() as c:
            stream = c.makefile("rb")
            c.sendall(b'{"cmd":"logs","name":"one/rng0","follow":true}\n')
            assert json.loads(stream.readline())["result"]["lines"] == ["one/rng0: serving"]
            assert s.ask(cmd="kill", name="one/rng0")["ok"]
            event = json.loads(stream.readline())
            assert event == {"event": "log", "line": "one/rng0: serving"}, event
        s.ask(cmd="stop")
        s.ends(0)


def test_output_that_nobody_reads(place):
    path = place.write("vms:\n" + place.vm("one", "button", ", devices: [{type: rng}]"))
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, bytes(4096))
    except BlockingIOError:
        os.set_blocking(write, True)
    process = subprocess.Popen([AVP, "run", path, "--board", "none"], env=place.env, stdin=subprocess.DEVNULL,
                               stdout=write, stderr=write)
    try:
        end = time.monotonic() + LIMIT
        while place.avp("stop").returncode != 0:
            assert time.monotonic() < end, "the system does not answer"
            time.sleep(0.02)
        assert process.wait(LIMIT) in (0, 1)  # it may have been asked before the guest listened
    finally:
        process.kill()
        process.wait()
        os.close(read)
        os.close(write)


def test_killed_supervisor_takes_all_along(place):
    with place.run("vms:\n" + place.vm("one", "spin", f", devices: {DEVICES}")) as s:
        s.state("one", "running")
        pids = [p["pid"] for p in s.ps().values()]
        assert len(pids) == 5
        s.process.kill()
        s.process.wait()
        end = time.monotonic() + LIMIT
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < end, f"still there: {[pid for pid in pids if alive(pid)]}"
            time.sleep(0.02)
        assert place.remains(), "a killed supervisor cannot tidy up"
    # The next run does.
    with place.run("vms:\n" + place.vm("one", "off")) as s:
        s.ends(0)


def test_processes_have_only_their_descriptors(place):
    if os.geteuid() != 0:
        raise Skip("needs root, to look into a jailed process")
    with place.run("vms:\n" + place.vm("one", "button", f", devices: {DEVICES}")) as s:
        s.state("one", "running")
        for name, p in s.ps().items():
            links = {}
            for fd in os.listdir(f"/proc/{p['pid']}/fd"):
                try:
                    links[int(fd)] = os.readlink(f"/proc/{p['pid']}/fd/{fd}")
                except FileNotFoundError:
                    pass
            assert links[0] == "/dev/null", f"{name}: {links}"
            foreign = [link for link in links.values() if "control.sock" in link or link.endswith((".log", "/lock"))]
            assert not foreign, f"{name}: {links}"
        s.ask(cmd="stop")
        s.ends(0)


def main(names):
    """Runs the functions of a module that are called test_...; the exit status."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("1..0 # SKIP no /dev/kvm that can be opened")
        return 0
    tap = Tap()
    for name, function in list(names.items()):
        if name.startswith("test_") and callable(function):
            tap.run(function)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
