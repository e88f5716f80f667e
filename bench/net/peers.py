# SPDX-License-Identifier: BSD-3-Clause
"""What the network benchmarks start: our switch and its peers, each on one core, with vhost-user sockets as ports."""
import os
import shutil
import subprocess
import tempfile
import time

CORES = sorted(os.sched_getaffinity(0))
BACKEND, GENERATOR = CORES[-1], CORES[0]
HUGEPAGES = "/proc/sys/vm/nr_hugepages"
OVS = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
OVS_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
OVS_OPTIONS = {"dpdk-init": "true", "dpdk-lcore-mask": hex(1 << GENERATOR), "pmd-cpu-mask": hex(1 << BACKEND)}


def cpu_seconds(pid):
    """CPU time of all threads of a process, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)


def pinned(*cores):
    """For the child: only these processors, and there before everybody else where that is allowed."""
    def prepare():
        os.sched_setaffinity(0, cores)
        try:
            os.nice(-20)
            with open("/proc/self/autogroup", "w", encoding="ascii") as f:
                f.write("-20")
        except OSError:
            pass
    return prepare


class HugePages:
    """Reserves memory for DPDK's packets while it exists; `usable` is false where that is not allowed."""

    def __init__(self, pages=640):
        self.before = None
        try:
            with open(HUGEPAGES, encoding="ascii") as f:
                before = f.read()
            if int(before) < pages:
                self.set(str(pages))
                self.before = before
            with open(HUGEPAGES, encoding="ascii") as f:
                self.usable = int(f.read()) >= pages
        except OSError:
            self.usable = False

    @staticmethod
    def set(pages):
        with open(HUGEPAGES, "w", encoding="ascii") as f:
            f.write(pages)

    def release(self):
        if self.before is not None:
            self.set(self.before)

    def dpdk(self, megabytes):
        return ["--in-memory", "--single-file-segments", "-m", str(megabytes)] if self.usable else ["--no-huge", "-m", str(megabytes)]


class Backend:
    """A process with sockets a, b, ... in a folder of its own. Use with `with`."""

    def __init__(self, ports):
        self.folder = tempfile.mkdtemp(prefix="avp-bench-")
        self.sockets = [os.path.join(self.folder, "abcd"[i]) for i in range(ports)]
        self.children = []

    def spawn(self, command, cores=(BACKEND,), **options):
        out = open(os.path.join(self.folder, "log"), "ab")
        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(command, preexec_fn=pinned(*cores), stdout=out, stderr=out, **options)
        out.close()
        self.children.append(child)
        return child

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def ready(self):
        return all(map(os.path.exists, self.sockets))

    def __enter__(self):
        try:
            self.main = self.start()
            end = time.monotonic() + 30
            while not self.ready():
                if self.main.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{type(self).__name__} did not start:\n{self.log()}")
                time.sleep(0.05)
            time.sleep(0.2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.kill()
            child.wait()
        shutil.rmtree(self.folder)


class Avp(Backend):
    """`port_options` are keys of --port for each port, in turn."""

    def __init__(self, program, ports, port_options=("",), poll="always"):
        super().__init__(ports)
        self.command = [program, "switch", "--poll", poll]
        for i, socket in enumerate(self.sockets):
            more = port_options[i % len(port_options)]
            self.command += ["--port", f"name=p{i},socket={socket}" + (f",{more}" if more else "")]

    def start(self):
        return self.spawn(self.command, env=dict(os.environ, AVP_LOG="error"))


class Testpmd(Backend):
    """Takes frames at one port and sends them at the next, looking at nothing."""

    def __init__(self, pages, ports):
        super().__init__(ports)
        self.command = ["dpdk-testpmd", "--lcores", f"0@{GENERATOR},1@{BACKEND}", "--no-pci", "--file-prefix",
                        os.path.basename(self.folder)] + pages.dpdk(512)
        for i, socket in enumerate(self.sockets):
            self.command += ["--vdev", f"net_vhost{i},iface={socket}"]
        self.command += ["--", "--forward-mode=io", "--nb-cores=1", "--total-num-mbufs=32768"]

    def start(self):
        return self.spawn(self.command, (GENERATOR, BACKEND), stdin=subprocess.PIPE)

    def ready(self):
        return "Checking link statuses" in self.log()


class OpenVswitch(Backend):
    """One bridge that learns, its forwarding thread on one core. `port_options` are columns of Port."""

    def __init__(self, pages, ports, port_options=((),)):
        super().__init__(ports)
        self.pages = pages
        self.port_options = port_options
        self.env = dict(os.environ, OVS_RUNDIR=self.folder, OVS_LOGDIR=self.folder, OVS_DBDIR=self.folder)

    def control(self, *words):
        subprocess.run(["ovs-vsctl", f"--db=unix:{self.folder}/db", "--no-wait"] + list(words), env=self.env, check=True)

    def start(self):
        db = os.path.join(self.folder, "conf.db")
        subprocess.run(["ovsdb-tool", "create", db, OVS_SCHEMA], env=self.env, check=True)
        self.spawn(["ovsdb-server", db, f"--remote=punix:{self.folder}/db", "--no-chdir"], (GENERATOR,), env=self.env)
        while not os.path.exists(os.path.join(self.folder, "db")):
            time.sleep(0.02)
        self.control("init")
        extra = "--no-pci " + " ".join(self.pages.dpdk(512))
        for key, value in dict(OVS_OPTIONS, **{"dpdk-extra": f'"{extra}"'}).items():
            self.control("set", "Open_vSwitch", ".", f"other_config:{key}={value}")
        main = self.spawn([OVS, f"unix:{self.folder}/db", "--no-chdir"], (GENERATOR, BACKEND), env=self.env)
        self.control("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        for i, socket in enumerate(self.sockets):
            name = os.path.basename(socket)
            self.control("add-port", "br0", name, *self.port_options[i % len(self.port_options)], "--", "set",
                         "Interface", name, "type=dpdkvhostuser")
        return main
