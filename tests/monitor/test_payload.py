#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The monitor with a bare-metal guest on /dev/kvm: boot, devices, interrupts, exit statuses, control."""
import fcntl
import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import tempfile

AVP = os.environ["AVP"]
PAYLOAD = os.environ["PAYLOAD"]
LIMIT = 60
RNG = ["--device", "type=rng,isolate=false"]


class Guest:
    """A running monitor whose COM1 is a file; `control` is our end of its control descriptor."""

    def __init__(self, case, *options, control=False):
        self.dir = tempfile.TemporaryDirectory()
        self.serial = os.path.join(self.dir.name, "serial")
        argv = [AVP, "monitor", "--name", "t", "--memory", "64M", "--kernel", PAYLOAD, "--cmdline", case]
        argv += ["--serial", self.serial, *options]
        self.control, fds = None, ()
        if control:
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.control.settimeout(LIMIT)
            argv += ["--control-fd", str(theirs.fileno())]
            fds = (theirs.fileno(),)
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                        pass_fds=fds)
        if control:
            theirs.close()

    def event(self):
        return json.loads(self.control.recv(4096) or b"{}")

    def wait_event(self, name):
        while True:
            event = self.event()
            if not event or event.get("event") == name:
                return event

    def wait_output(self, text):
        """Returns when the guest has written `text`; the process's end or the limit raise."""
        import time
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if text in self.output():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError("no '%s' in %r" % (text, self.output()))

    def output(self):
        try:
            with open(self.serial, encoding="ascii", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def end(self):
        try:
            _, self.messages = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, self.messages = self.process.communicate()
            raise AssertionError("did not end; its output: %r, messages: %r" % (self.output(), self.messages))
        finally:
            if self.control:
                self.control.close()
        return self.process.returncode


def run(case, *options):
    guest = Guest(case, *options)
    status = guest.end()
    return status, guest.output(), guest.messages


def same(found, wanted):
    if found != wanted:
        raise AssertionError("found %r, wanted %r" % (found, wanted))


def all_ok(case, least, *options):
    """A case that checks itself."""
    status, out, messages = run(case, *options)
    lines = out.split("\n")
    failed = [line for line in lines if line.startswith("FAILED") or "unexpected" in line]
    if failed or status or sum(line.startswith("ok ") for line in lines) < least:
        raise AssertionError("status %d, output:\n%s\nmessages: %s" % (status, out, messages))


def test_start_info():
    with tempfile.NamedTemporaryFile() as initrd:
        initrd.write(b"hello from the host\0")
        initrd.flush()
        status, out, _ = run("info", "--initrd", initrd.name)
    same(status, 0)
    lines = out.split("\n")
    for line in ("magic 336ec578", "version 1", "modules 1", "module-size 14", "module-text hello from the host",
                 "map 0 9fc00 1", "map 100000 3f00000 1", "rsdp e0000"):
        if line not in lines:
            raise AssertionError("no '%s' in %r" % (line, out))


class Elf:
    """The one segment of the payload, for images that are not PVH: its first byte is a 64-bit entry."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.file = f.read()
        self.entry32, phoff = struct.unpack_from("<QQ", self.file, 24)
        kind, _, offset, _, self.paddr, filesz, self.memsz, _ = struct.unpack_from("<IIQQQQQQ", self.file, phoff)
        same(kind, 1)
        self.text = self.file[offset:offset + filesz]

    def elf64(self):
        ident = b"\x7fELF\2\1\1" + bytes(9)
        head = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, self.paddr, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        segment = struct.pack("<IIQQQQQQ", 1, 7, 120, self.paddr, self.paddr, len(self.text), self.memsz, 1)
        return ident + head + segment + self.text

    def elf32(self):
        ident = b"\x7fELF\1\1\1" + bytes(9)
        head = struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, self.entry32, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        segment = struct.pack("<IIIIIIII", 1, 84, self.paddr, self.paddr, len(self.text), self.memsz, 7, 1)
        return ident + head + segment + self.text


def bare(image, *options):
    """An image that is not PVH finds what a PVH guest does: start info, command line, memory map, initrd."""
    with tempfile.NamedTemporaryFile() as kernel, tempfile.NamedTemporaryFile() as initrd:
        kernel.write(image)
        kernel.flush()
        initrd.write(b"for a bare guest\0")
        initrd.flush()
        status, out, messages = run("info", "--kernel", kernel.name, "--initrd", initrd.name, *options)
    lines = out.split("\n")
    for line in ("magic 336ec578", "module-text for a bare guest", "map 100000 3f00000 1", "rsdp e0000"):
        if status or line not in lines:
            raise AssertionError("status %d, no '%s' in %r; %s" % (status, line, out, messages))


def test_elf64_without_pvh():
    bare(Elf(PAYLOAD).elf64())


def test_elf32_without_pvh():
    bare(Elf(PAYLOAD).elf32())


def test_raw_image():
    elf = Elf(PAYLOAD)
    bare(elf.text, "--load-address", hex(elf.paddr))


def test_raw_image_with_entry():
    elf = Elf(PAYLOAD)
    bare(bytes(256) + elf.text, "--load-address", hex(elf.paddr - 256), "--entry", hex(elf.paddr))


def test_raw_image_refused():
    with tempfile.NamedTemporaryFile() as image:
        image.write(bytes(4096))
        image.flush()
        for options, wanted, words in (
                (["--load-address", "0x8000"], 1, "does not fit guest RAM, 0x100000 to 0x4000000"),
                (["--load-address", "0x3fff800"], 1, "does not fit guest RAM"),
                (["--load-address", "0x200000", "--entry", "0x201000"], 1, "0x201000 is outside the image"),
                (["--entry", "0x200000"], 2, "needs load-address"),
                (["--load-address", "0x200000", "--kernel", PAYLOAD], 1, "is an ELF file")):
            status, _, messages = run("info", "--kernel", image.name, *options)
            if status != wanted or words not in messages:
                raise AssertionError("%s: status %d, %r" % (options, status, messages))


def test_memory_above_4g():
    """4 GiB of RAM are 3 below the hole and 1 above; nothing of it is touched, so it costs nothing."""
    status, out, _ = run("info", "--memory", "4G")
    same(status, 0)
    same("map 100000 bff00000 1" in out and "map 100000000 40000000 1" in out, True)


def test_acpi_tables():
    all_ok("tables", 3)


def test_cpuid():
    status, out, _ = run("cpuid", "--cpus", "3")
    same((status, out.split("\n")[0], out.count("ok ")), (0, "cpus 4", 2))


def host_counter():
    """This computer's time stamp counter: rdtsc; shl rdx, 32; or rax, rdx; ret."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))
    return ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()


def test_counter_of_the_host():
    before = host_counter()
    status, out, messages = run("counter", "--counter", "host")
    after = host_counter()
    same((status, out.split()[:1], messages.count("error")), (0, ["counter"], 0))
    if not before < int(out.split()[1], 16) < after:
        raise AssertionError("%r is not between %x and %x" % (out, before, after))


def test_second_cpu():
    status, out, _ = run("ap", "--cpus", "2")
    same((status, out), (0, "second-cpu 2\n"))


def test_unclaimed_addresses():
    all_ok("nothing", 3)


def test_virtio_pci():
    all_ok("pci", 23, *RNG)


def test_virtio_pci_intx():
    all_ok("intx", 19, *RNG)


def test_virtio_mmio():
    all_ok("mmio", 15, "--transport", "mmio", *RNG)


def many(n, *more):
    return [word for _ in range(n) for word in ("--device", ",".join(("type=rng,isolate=false",) + more))]


def served(out):
    """What the guest says about "devices", "served" and "interrupts"."""
    return [int(line.split()[1], 16) for line in out.split("\n") if line]


def test_every_pci_function():
    """30 slots of 8, each with a device in use at the same time, each with its own message interrupt."""
    status, out, messages = run("many-pci", *many(240))
    same((status, served(out), messages), (0, [240] * 3, "t: guest powered off\n"))


def test_every_mmio_slot():
    status, out, messages = run("many-mmio", *many(128, "transport=mmio"))
    same((status, served(out), messages), (0, [128] * 3, "t: guest powered off\n"))


def test_both_transports():
    devices = many(100) + many(100, "transport=mmio")
    for case in ("many-pci", "many-mmio"):
        status, out, _ = run(case, *devices)
        same((status, served(out)), (0, [100] * 3))


def test_pins_of_functions():
    """Four functions in a slot: INTA# to INTD#, each at its own line of the interrupt controller."""
    all_ok("pins", 8, *many(120))


def test_too_many_devices():
    for devices in (many(241), many(129, "transport=mmio")):
        status, _, messages = run("off", *devices)
        same((status, "are taken" in messages), (1, True))
    status, _, messages = run("off", *many(257))
    same((status, "more than 256 devices" in messages), (2, True))


def test_hundred_processes():
    """100 vhost-user processes for one guest, from the usual soft limit of 1024 descriptors."""
    with tempfile.TemporaryDirectory(prefix="avp-many-") as folder:
        for transport in ("pci", "mmio"):
            path = os.path.join(folder, transport)
            with open(path + ".yaml", "w") as f:
                f.write("vms:\n  many:\n    memory: 64M\n    transport: %s\n    serial: %s\n"
                        "    boot: {kernel: %s, cmdline: many-%s}\n    devices:\n"
                        % (transport, path, os.path.abspath(PAYLOAD), transport) + "      - {type: rng}\n" * 100)
            done = subprocess.run(
                [AVP, "run", "--board", "none", path + ".yaml"], env=dict(os.environ, XDG_RUNTIME_DIR=folder),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                preexec_fn=soft_limit, timeout=LIMIT)
            if done.returncode:
                raise AssertionError("status %d:\n%s" % (done.returncode, done.stdout))
            with open(path) as f:
                same(served(f.read()), [100] * 3)


def soft_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))


def test_power_off():
    status, _, messages = run("off")
    same((status, messages), (0, "t: guest powered off\n"))


def test_reset_register():
    status, out, messages = run("reset")
    same((status, out, "reset" in messages), (10, "", True))


def test_reset_keyboard_controller():
    status, out, _ = run("i8042")
    same((status, out), (10, ""))


def test_triple_fault():
    status, _, messages = run("triple")
    same((status, "triple fault on CPU 0" in messages), (11, True))


def test_power_button_by_sigterm():
    guest = Guest("button")
    guest.wait_output("waiting")
    guest.process.send_signal(signal.SIGTERM)
    same((guest.end(), guest.output()), (0, "waiting\npressed\nok status-cleared\n"))


def test_power_button_by_command():
    guest = Guest("button", control=True)
    event = guest.wait_event("running")
    same(0 < event["us"] < LIMIT * 1000000, True)
    guest.wait_output("waiting")
    guest.control.send(b"powerbutton")
    same(guest.wait_event("exit"), {"event": "exit", "reason": "poweroff"})
    same(guest.end(), 0)


def sleeping(case, *options):
    """A guest that has suspended itself to RAM, as its sleep button told it."""
    guest = Guest(case, *options, control=True)
    guest.wait_output("waiting")
    guest.control.send(b"suspend")
    same(guest.wait_event("suspended"), {"event": "suspended"})
    guest.control.send(b"status")
    same(guest.wait_event("status")["state"], "suspended")
    return guest


def test_suspend_to_ram_and_wake():
    import time
    guest = sleeping("suspend", "--cpus", "2")
    before = cpu_ticks(guest.process.pid)
    time.sleep(0.3)
    same(cpu_ticks(guest.process.pid) - before <= 2, True)
    guest.control.send(b"wakeup")
    same(guest.wait_event("resumed"), {"event": "resumed"})
    guest.wait_output("woken")
    guest.control.send(b"powerbutton")
    same(guest.wait_event("exit")["reason"], "poweroff")
    same((guest.end(), guest.output().count("ok ")), (0, 4))
    same("FAILED" in guest.output(), False)


def test_power_button_wakes():
    guest = sleeping("suspend")
    guest.control.send(b"powerbutton")
    same(guest.wait_event("resumed"), {"event": "resumed"})
    same((guest.end(), "woken" in guest.output()), (0, True))


def test_wake_without_a_place_to_wake_at():
    guest = sleeping("suspend-lost")
    guest.control.send(b"wakeup")
    same(guest.wait_event("exit")["reason"], "reset")
    same((guest.end(), "waking vector is 0x0" in guest.messages), (10, True))


def test_quit_while_suspended():
    guest = sleeping("suspend", "--cpus", "4")
    guest.control.send(b"quit")
    same(guest.wait_event("exit")["reason"], "forced")
    same(guest.end(), 12)


def test_quit_by_command():
    guest = Guest("spin", "--cpus", "2", control=True)
    guest.wait_output("spinning")
    guest.control.send(b"quit")
    same(guest.wait_event("exit"), {"event": "exit", "reason": "forced"})
    same(guest.end(), 12)


def test_quit_by_two_interrupts():
    guest = Guest("spin")
    guest.wait_output("spinning")
    guest.process.send_signal(signal.SIGINT)
    while "power button" not in guest.process.stderr.readline():
        pass
    guest.process.send_signal(signal.SIGINT)
    same(guest.end(), 12)


def test_deaf_guest_is_warned_of_once():
    guest = Guest("spin", control=True)
    guest.wait_output("spinning")
    for _ in range(5):
        guest.control.send(b"powerbutton")
        guest.wait_event("status")
    guest.control.send(b"quit")
    same(guest.end(), 12)
    same(guest.messages.count("power button"), 1)


def test_guest_memory_is_sealed():
    """Nobody it is shared with can take it away: a shorter file would be SIGBUS."""
    guest = Guest("spin", "--jail", "off", control=True)
    guest.wait_output("spinning")
    seals = []
    folder = "/proc/%d/fd" % guest.process.pid
    for name in os.listdir(folder):
        if "memfd:guest-ram" in os.readlink(os.path.join(folder, name)):
            with open(os.path.join(folder, name), "rb") as f:
                seals.append(fcntl.fcntl(f, fcntl.F_GET_SEALS))
    guest.control.send(b"quit")
    same(guest.end(), 12)
    wanted = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    same([seal & wanted for seal in seals], [wanted])


def test_huge_pages():
    """They are taken, or it is said that there are none; what that means is configured."""
    with open("/proc/meminfo") as f:
        lines = f.read()
    free = int(lines.split("HugePages_Free:")[1].split()[0]) if "Hugepagesize:       2048" in lines else 0
    status, _, messages = run("off", "--memory", "4M", "--hugepages")
    if free >= 2:
        same(status, 0)
    else:
        same((status, "nr_hugepages" in messages, "going on without" in messages), (0, True, True))
        status, _, messages = run("off", "--memory", "4M", "--hugepages", "--isolation", "required")
        same((status, "nr_hugepages" in messages), (2, True))
    status, _, messages = run("off", "--memory", "5M", "--hugepages")
    same((status, "not a multiple of 2M" in messages), (2, True))


def test_virtual_cpus_are_bound():
    cpus = sorted(os.sched_getaffinity(0))
    guest = Guest("spin", "--cpus", "2", "--cpu-host", str(cpus[-1]), control=True)
    guest.wait_output("spinning")
    bound = {}
    for task in os.listdir("/proc/%d/task" % guest.process.pid):
        with open("/proc/%d/task/%s/comm" % (guest.process.pid, task)) as f:
            name = f.read().strip()
        if name.startswith("vcpu"):
            bound[name] = os.sched_getaffinity(int(task))
    guest.control.send(b"quit")
    same(guest.end(), 12)
    same(bound, {"vcpu0": {cpus[-1]}, "vcpu1": {cpus[-1]}})
    for word, isolation, wanted in (("two", "best-effort", 2), ("1023", "best-effort", 0), ("1023", "required", 2)):
        status, _, messages = run("off", "--cpu-host", word, "--isolation", isolation)
        same((status, "cpu-host" in messages or word in messages), (wanted, True))


def test_supervisor_gone():
    guest = Guest("spin", control=True)
    guest.wait_output("spinning")
    guest.control.close()
    guest.control = None
    same(guest.end(), 12)


def cpu_ticks(pid):
    """Of the whole process, from user and system time in /proc."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_pause_and_resume():
    import time
    guest = Guest("spin", control=True)
    guest.wait_output("spinning")
    guest.control.send(b"pause")
    while guest.wait_event("status").get("state") != "paused":
        pass
    # The processor leaves the guest within a moment; then the process uses no time at all.
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        before = cpu_ticks(guest.process.pid)
        time.sleep(0.2)
        if cpu_ticks(guest.process.pid) == before:
            break
    else:
        raise AssertionError("a paused guest uses processor time")
    guest.control.send(b"resume")
    same(guest.wait_event("status")["state"], "running")
    end = time.monotonic() + LIMIT
    while cpu_ticks(guest.process.pid) == before:
        if time.monotonic() > end:
            raise AssertionError("a resumed guest does not run")
        time.sleep(0.05)
    guest.control.send(b"quit")
    same(guest.end(), 12)


def test_watchdog_ends_the_guest():
    """All actions that do, side by side; each fed guest had lived longer than its watchdog lasts."""
    guests = {action: Guest("watchdog-hang", "--watchdog", "--watchdog-action", action, control=True)
              for action in ("reset", "restart", "stop", "fallback")}
    for action, guest in guests.items():
        same(guest.wait_event("watchdog"), {"event": "watchdog", "action": action})
        same(guest.wait_event("exit"), {"event": "exit", "reason": "watchdog"})
        same((guest.end(), guest.output()), (13, "ok watchdog-id\nok fed\nhanging\n"))
        for words in ("watchdog expired: " + action, "CPU 0: rip 0000000000", "r14 5afe5afe5afe5afe"):
            same((words, words in guest.messages), (words, True))


def test_watchdog_lets_the_guest_go_on():
    guests = {action: Guest("watchdog-late", "--watchdog", "--watchdog-action", action, "--watchdog-pretimeout", "log",
                            control=True) for action in ("none", "log", "dump")}
    for action, guest in guests.items():
        same(guest.wait_event("watchdog"), {"event": "watchdog", "action": "pretimeout"})
        same(guest.wait_event("watchdog"), {"event": "watchdog", "action": action})
        same(guest.wait_event("exit"), {"event": "exit", "reason": "poweroff"})
        same((guest.end(), guest.output()), (0, "ok watchdog-id\nlate\nexpired\n"))
        same("watchdog not fed: first stage" in guest.messages, True)
        same("watchdog expired" in guest.messages, action != "none")
        same(guest.messages.count("cr3"), 1 if action == "dump" else 0)


def test_watchdog_warns_by_nmi():
    all_ok("watchdog-nmi", 3, "--watchdog", "--watchdog-pretimeout", "nmi")


def test_watchdog_rests_while_paused():
    import time
    guest = Guest("watchdog-count", "--watchdog", control=True)
    guest.wait_output("count 3")
    guest.control.send(b"pause")
    while guest.wait_event("status").get("state") != "paused":
        pass
    time.sleep(2.5)  # longer than the watchdog lasts: nothing may happen
    guest.control.send(b"status")
    same(guest.event(), {"event": "status", "state": "paused"})
    counted = guest.output().count("count ")
    guest.control.send(b"resume")
    guest.wait_output("count %x" % (counted + 3))
    guest.control.send(b"quit")
    same(guest.wait_event("exit"), {"event": "exit", "reason": "forced"})
    same(guest.end(), 12)


def test_no_watchdog_unless_wanted():
    status, out, _ = run("watchdog-late")
    same("FAILED watchdog-id" in out, True)
    status, _, messages = run("off", "--watchdog-action", "stop")
    same((status, "no watchdog" in messages), (2, True))


def test_unknown_command():
    guest = Guest("spin", control=True)
    guest.wait_event("running")
    guest.control.send(b"dance")
    same(guest.event(), {"event": "error", "reason": "unknown command"})
    guest.control.send(b"status")
    same(guest.event(), {"event": "status", "state": "running"})
    guest.control.send(b"quit")
    same(guest.end(), 12)


def test_usage():
    for options, words in (
            (["--kernal", "x"], "kernel"), (["--memory", "3000000"], "multiple of 4K"), (["--cpus", "0"], "cpus"),
            (["--device", "type=rng"], "socket"), (["--device", "type=frobnicator,isolate=false"], "frobnicator"),
            (["--device", "type=rng,isolate=false,colour=red"], "colour"), (["extra"], "extra"),
            (["--kernel", "/nonexistent/kernel"], "/nonexistent/kernel")):
        status, _, messages = run("off", *options)
        if status not in (1, 2) or words not in messages:
            raise AssertionError("%s: status %d, %r" % (options, status, messages))


def kvm_missing():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as e:
        return "/dev/kvm cannot be opened: %s" % e.strerror
    return None


def main():
    tests = [(name, f) for name, f in globals().items() if name.startswith("test_")]
    print("1..%d" % len(tests))
    skip, failed = kvm_missing(), 0
    for n, (name, function) in enumerate(tests, 1):
        if skip:
            print("ok %d - %s # SKIP %s" % (n, name, skip))
            continue
        try:
            function()
            print("ok %d - %s" % (n, name), flush=True)
        except Exception as e:
            failed += 1
            print("# " + "\n# ".join(str(e).split("\n")))
            print("not ok %d - %s" % (n, name), flush=True)
    return failed > 0


raise SystemExit(main())
