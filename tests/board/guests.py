# SPDX-License-Identifier: BSD-3-Clause
"""What the tests on the board share: TAP, guests, a system file in a folder of its own."""
import os
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from avpctl import Failure, System  # noqa: E402,F401

UP_S = 240  # for a guest to reach its prompt, on a machine that is busy with other things


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def need_board():
    """Skips, with the reason, where the board cannot be built."""
    if subprocess.run(["which", "qemu-system-x86_64"], stdout=subprocess.DEVNULL, check=False).returncode:
        skip_all("no qemu-system-x86_64")


def expect(held, detail):
    if not held:
        raise Failure(detail)


class Tap:
    """Runs functions as test cases."""

    def __init__(self):
        self.n = self.failed = 0

    def run(self, name, function, *args):
        self.n += 1
        try:
            function(*args)
            print(f"ok {self.n} - {name}", flush=True)
            return True
        except Exception:  # a failed case, whatever it was
            self.failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {self.n} - {name}", flush=True)
            return False

    def done(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.failed else 0)


class Place:
    """A temporary folder with the guests and the system file of an example, and a run-time folder."""

    def __init__(self, example="two-linux", target="guests", images=ROOT):
        """`target` of the Makefile builds its Linux guests; `images` is where the bare-metal ones are."""
        self.temp = tempfile.TemporaryDirectory(prefix="avp-board-")
        self.path = self.temp.name
        self.runtime = os.path.join(self.path, "run")
        os.mkdir(self.runtime, 0o700)
        subprocess.run(["make", "-s", "-C", ROOT, "BUILD=" + self.path, target], stdout=subprocess.DEVNULL, check=True)
        with open(os.path.join(ROOT, "examples", example + ".yaml"), encoding="utf-8") as f:
            text = f.read().replace("../build/guests/watched/", images + "/").replace("../build/", "")
        self.file = os.path.join(self.path, example + ".yaml")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write("grace: 100s  # a busy machine is no reason for force\n" + text)

    def remains(self):
        """What is left of the system in the run-time folder."""
        found = []
        for base, _, files in os.walk(os.path.join(self.runtime, "avp")):
            found += [os.path.join(base, name) for name in files]
        return found

    def processes(self):
        """Processes whose command line names this place."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if self.path in line and int(pid) != os.getpid():
                found.append(line)
        return found


def shell(system, name):
    """A console with a shell at its prompt."""
    console = system.stream(cmd="console", vm=name, seconds=UP_S)
    console.send(b"\n")
    console.expect(rb"%s:/# " % name.encode(), UP_S)
    return console
