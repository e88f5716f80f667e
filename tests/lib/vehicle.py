# SPDX-License-Identifier: BSD-3-Clause
"""Linux's own drivers in front of our vehicle devices (docs/vehicle-guest.md): device processes, the vehicle guest under
Debian's QEMU 11 (TCG) with stock front-ends, a shell in it, and TAP output."""
import contextlib
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/board"), os.path.join(ROOT, "tools")]
from avpctl import Stream, System  # noqa: E402,F401
from guests import Failure, Tap, expect, need_board, skip_all  # noqa: E402,F401

BOOT_S = 240      # for a guest to have its shell, on a machine that is busy with other things
COMMAND_S = 60    # for a command in it
READY = rb"AVP-SHELL ready\r?\n"

# QEMU's name of the front-end for a class of devices. What has none: VIRTIO id, queues, bytes of configuration space.
FRONTENDS = {"gpio": "vhost-user-gpio-pci", "i2c": "vhost-user-i2c-pci", "input": "vhost-user-input-pci",
             "rng": "vhost-user-rng-pci", "rtc": "vhost-user-rtc-pci", "scmi": "vhost-user-scmi-pci",
             "spi": "vhost-user-spi-pci"}
ANY = {"can": (36, 3, 2), "console": (3, 2, 12)}

MACHINES = {
    "x86_64": ("amd64", "qemu-system-x86_64", "console=ttyS0 no_timer_check mitigations=off", "-M", "q35,memory-backend=mem"),
    "arm64": ("arm64", "qemu-system-aarch64", "console=ttyAMA0", "-M", "virt,memory-backend=mem,gic-version=3", "-cpu",
              "cortex-a76"),
}

# What the guest runs: a shell that reads commands from the first console, without prompts. Its input is no terminal; busybox's
# cat would not do, as it holds lines back (sendfile).
SHELL = """exec 3<>/dev/hvc0
stty raw -echo <&3
echo "AVP-SHELL ready" >&3
while IFS= read -r line; do echo "$line"; done <&3 | sh -s >&3 2>&3
"""


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def qemu(program):
    """The command line of Debian's QEMU 11, unpacked into the cache: it needs its own loader."""
    tree = output(f"{ROOT}/guests/tree", "--suites", "trixie trixie-backports", "amd64", "qemu-system-x86", "qemu-system-arm")
    return [f"{tree}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", f"{tree}/usr/lib/x86_64-linux-gnu",
            f"{tree}/usr/bin/{program}", "-L", f"{tree}/usr/share/qemu", "-L", f"{tree}/usr/share/seabios"]


def need_qemu():
    """Skips, with the reason, where the emulator cannot run."""
    if output("dpkg", "--print-architecture") != "amd64":
        skip_all("Debian's QEMU 11 is unpacked for x86-64 computers only")


def image(folder, arch="x86_64", *files):
    """Puts `vmlinuz` and `initrd` of a vehicle guest into the folder; it runs a shell for Shell on its first virtio
    console, and has the files at /."""
    script = os.path.join(folder, "test.sh")
    with open(script, "w", encoding="ascii") as f:
        f.write(SHELL)
    options = ["--arch", MACHINES[arch][0], "--vehicle"]
    shutil.copy(os.path.join(output(f"{ROOT}/guests/linux/build", *options), "vmlinuz"), folder)
    with open(os.path.join(folder, "initrd"), "wb") as f:
        subprocess.run([f"{ROOT}/guests/linux/pack", *options, script, *files], stdout=f, check=True)


def with_libraries(programs, folder):
    """Copies of programs and of all that they are loaded with, under the names by which it is looked for."""
    os.mkdir(folder)
    text = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, text=True, check=True).stdout
    paths = [*programs, *sorted(set(re.findall(r"(/\S+) \(0x", text)))]
    return [shutil.copy(path, os.path.join(folder, os.path.basename(path))) for path in paths]


class Shell:
    """The shell of a vehicle guest at the other end of a stream."""

    def __init__(self, stream, seconds=BOOT_S):
        self.stream = stream
        self.commands = 0
        self.stream.expect(READY, seconds)

    def start(self, command):
        """Sends a command; finish() waits for its end."""
        self.commands += 1
        self.stream.send(f"{{ {command}\n}} </dev/null 2>&1; echo AVP-END {self.commands} $?\n".encode())

    def finish(self, seconds=COMMAND_S):
        """Status and output of the command."""
        start = self.stream.seen
        try:
            found = self.stream.expect(rb"AVP-END %d (\d+)\r?\n" % self.commands, seconds)
        except Failure as e:
            raise Failure(f"the command does not end: {e}") from None
        text = self.stream.text[start:self.stream.seen - len(found.group())]
        return int(found.group(1)), text.decode(errors="replace").replace("\r\n", "\n")

    def ask(self, command, seconds=COMMAND_S):
        """Runs a command; its status and what it wrote."""
        self.start(command)
        return self.finish(seconds)

    def run(self, command, seconds=COMMAND_S):
        """What a command wrote that has to succeed."""
        status, text = self.ask(command, seconds)
        expect(status == 0, f"'{command}' ends with status {status}:\n{text}")
        return text

    def until(self, command, pattern, seconds=COMMAND_S):
        """Runs a command again and again until its output has the pattern; returns the match."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.ask(command, seconds)[1]
            found = re.search(pattern, text)
            if found:
                return found
            expect(time.monotonic() < deadline, f"'{command}' does not come to say {pattern!r}, but:\n{text}")


class Backend:
    """A process of avp that serves devices, ready to be connected to, and its control connection."""

    def __init__(self, avp, log, *args):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.events = []
        self.process = subprocess.Popen([avp, *args, "--control-fd", str(theirs.fileno())], stdin=subprocess.DEVNULL,
                                        pass_fds=(theirs.fileno(),), stdout=log, stderr=log)
        theirs.close()
        self.wait_for(lambda event: event["event"] == "ready", 60)

    def receive(self, deadline):
        """The next message, or None."""
        if not select.select([self.control], [], [], max(0, deadline - time.monotonic()))[0]:
            return None
        data = self.control.recv(65536)
        if not data:
            raise Failure("the device process has ended")
        self.events.append(json.loads(data))
        return self.events[-1]

    def wait_for(self, wanted, seconds=COMMAND_S):
        """The first message, of all so far and those to come, that `wanted` is true for."""
        deadline = time.monotonic() + seconds
        for event in self.events:
            if wanted(event):
                return event
        while event := self.receive(deadline):
            if wanted(event):
                return event
        raise Failure(f"what was waited for does not come, but {self.events[-5:]}")

    def ask(self, word, kind):
        """Sends a word of docs/control-socket.md; the answer is the next message of a kind."""
        self.events = [e for e in self.events if e["event"] != kind]
        self.control.send(word.encode())
        return self.wait_for(lambda event: event["event"] == kind)

    def stats(self):
        return self.ask("stats", "stats")["counters"]

    def tell(self, *words):
        """The answer to an operator's command (`avp tell`)."""
        answer = self.ask("\0".join(["tell", "1", *words, ""]), "told")
        expect("text" in answer, f"{words}: {answer.get('error')}")
        return answer["text"]

    def end(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.control.close()
        return self.process.wait()


class Guest(Shell):
    """A vehicle guest under QEMU."""

    def __init__(self, arch, folder, devices, log, memory="256M", options=()):
        """`devices` are pairs of a class of devices and the socket of a process that serves one."""
        _, program, words, *machine = MACHINES[arch]
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [*qemu(program), "-accel", "tcg", *machine, "-m", memory, "-smp", "1",
             "-object", f"memory-backend-memfd,id=mem,size={memory},share=on", "-nodefaults", "-display", "none", "-no-reboot",
             "-serial", f"file:{log}.serial", "-chardev", "stdio,id=shell,signal=off",
             "-device", "virtio-serial-pci,max_ports=1", "-device", "virtconsole,chardev=shell",
             "-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd", "-append", f"{words} quiet panic=-1",
             *self.frontends(devices), *options],
            stdin=theirs, stdout=theirs, stderr=open(log, "wb"))
        theirs.close()
        try:
            super().__init__(Stream(ours))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    @staticmethod
    def frontends(devices):
        options = []
        for number, (kind, path) in enumerate(devices):
            if kind in ANY:
                name = "vhost-user-test-device-pci,virtio-id=%d,num_vqs=%d,config_size=%d" % ANY[kind]
            else:
                name = FRONTENDS[kind]
            options += ["-chardev", f"socket,id=dev{number},path={path}", "-device", f"{name},chardev=dev{number}"]
        return options

    def end(self):
        """Powers it off; whatever happened, leaves no process behind."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.stream.send(b"poweroff -f\n")
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.stream.close()
        return self.process.wait()


class Bench:
    """A place for device processes and guests, all of which end with it; and test cases.

        with vehicle.Bench(sys.argv[1]) as bench:
            rng = bench.device("rng")
            guest = bench.guest(rng)
            bench.case("entropy", test_entropy, guest)
    """

    def __init__(self, avp):
        need_qemu()
        self.avp = os.path.abspath(avp)
        self.temp = tempfile.TemporaryDirectory(prefix="avp-vehicle-", dir="/var/tmp")
        self.path = self.temp.name
        self.tap = Tap()
        self.stack = contextlib.ExitStack()
        self.count = 0
        self.images = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stack.close()
        if self.tap.failed or kind:
            self.show_logs()
        self.temp.cleanup()
        if not kind:
            self.tap.done()

    def show_logs(self):
        for name in sorted(os.listdir(self.path)):
            if ".log" in name:
                with open(os.path.join(self.path, name), encoding="utf-8", errors="replace") as f:
                    for line in f.read().splitlines()[-60:]:
                        print(f"# {name}: {line}")

    def case(self, name, function, *args):
        return self.tap.run(name, function, *args)

    def file(self, name):
        """A new path in the bench's folder."""
        self.count += 1
        return os.path.join(self.path, f"{self.count}-{name}")

    def backend(self, *args):
        """A process of avp with these arguments."""
        with open(self.file(f"{args[0]}.log"), "wb") as log:
            backend = Backend(self.avp, log, *args)
        self.stack.callback(backend.end)
        return backend

    def medium(self, command, kind, ports, *options):
        """A medium, `avp COMMAND`, with a port for each of `ports`: words of `--port` besides name and socket. Returns its
        Backend, and for each port what guest() takes."""
        sockets = [self.file(kind + ".sock") for _ in ports]
        args = []
        for number, (path, words) in enumerate(zip(sockets, ports)):
            args += ["--port", f"name=g{number},socket={path}" + (f",{words}" if words else "")]
        return self.backend(command, *options, *args), [(kind, path) for path in sockets]

    def device(self, kind, *options):
        """`avp device KIND`: what guest() takes; its Backend is `.backend`."""
        return Device(self, kind, options)

    def guest(self, *devices, arch="x86_64", files=(), options=()):
        """Boots a guest with these devices, or pairs of a class and a socket, and waits for its shell. The files are at /
        in every guest of this architecture, and have to be the same in all of them."""
        if arch not in self.images:
            self.images[arch] = os.path.join(self.path, arch)
            os.mkdir(self.images[arch])
            image(self.images[arch], arch, *files)
        guest = Guest(arch, self.images[arch], [tuple(device) for device in devices], self.file("guest.log"), options=options)
        self.stack.callback(guest.end)
        return guest


class Device(tuple):
    """A pair of class and socket, and the process behind it."""

    def __new__(cls, bench, kind, options):
        path = bench.file(kind + ".sock")
        device = super().__new__(cls, (kind, path))
        device.backend = bench.backend("device", kind, "--socket", path, *options)
        return device
