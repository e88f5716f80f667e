#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""I2C and SPI chips of a real guest under `avp run`: the guest and the operator see the same contents, files are found
beside the system file and kept, and a device process that is killed is not missed. Usage: test_process.py AVP GUEST"""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain

AVP, GUEST = (os.path.abspath(path) for path in sys.argv[1:3])
LIMIT = 60  # seconds for anything to happen; more than ever needed

SYSTEM = f"""
name: s
vms:
  body:
    memory: 16M
    boot: {{kernel: {GUEST}}}
    devices:
      - {{type: i2c, devices: ["0x20 registers", "0x48 lm75 temp=21.5", "0x50  eeprom size=4K file=chips/body.rom"]}}
      - {{type: spi, devices: ["1 flash size=64K file=chips/body.nor"]}}
"""


class System:
    """A running `avp run`."""

    def __init__(self, folder):
        os.chmod(folder, 0o755)
        os.makedirs(os.path.join(folder, "chips"), exist_ok=True)
        runtime = os.path.join(folder, "run")
        os.makedirs(runtime, 0o700, exist_ok=True)
        path = os.path.join(folder, "s.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(SYSTEM)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=runtime)
        self.log = os.path.join(folder, "log")
        with open(self.log, "w", encoding="utf-8") as f:
            self.process = subprocess.Popen([AVP, "run", path, "--board", "none"], env=self.env, cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def avp(self, *words):
        return subprocess.run([AVP, *words], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False).stdout

    def shows(self, text, *words):
        """Until `avp tell` says it."""
        end = time.monotonic() + LIMIT
        while (said := self.avp("tell", *words)) != text:
            assert time.monotonic() < end and self.process.poll() is None, f"never: {words}: {text}, but {said}; {self.text()}"
            time.sleep(0.02)

    def ends(self):
        self.avp("stop")
        status = self.process.wait(LIMIT)
        assert status == 0, f"exit status {status}: {self.text()}"


def read(folder, name):
    with open(os.path.join(folder, "chips", name), "rb") as f:
        return f.read()


def test_the_guest_and_the_operator_see_the_same(folder):
    with System(folder) as s:
        s.shows("0x0000: 15 80\n", "body/i2c0", "0x20", "peek", "0", "2")
        s.shows("0x0010: ef 40 10\n", "body/i2c0", "0x20", "peek", "0x10", "3")
        s.shows("0x0020: 6f 6b 21 ff\n", "body/i2c0", "0x20", "peek", "0x20", "4")
        s.shows("0x0030: 00\n", "body/i2c0", "0x20", "peek", "0x30")
        s.avp("tell", "body/i2c0", "0x48", "temp", "-1")
        s.shows("0x0000: ff 00\n", "body/i2c0", "0x20", "peek", "0", "2")
        s.shows("0x0100: 6f 6b 21 ff\n", "body/spi0", "1", "peek", "0x100", "4")
        said = s.avp("tell", "body/i2c0", "list")
        assert said.startswith("0x20 registers size=256") and "0x48 lm75 temp=-1 reads=-1 limit=80" in said, said
        assert s.avp("tell", "body/spi0", "list") == "1 flash size=65536 id=0xef4010\n"
        said = s.avp("tell", "body/i2c0", "0x48", "temp", "hot")
        assert "'hot' is no temperature from -55" in said, said
        s.ends()
    assert read(folder, "body.rom")[:2] == b"\x00\xff" and read(folder, "body.nor")[0x100:0x104] == b"ok!\xff"


def test_contents_are_kept(folder):
    for start in range(3):
        with System(folder) as s:
            s.shows("0x0000: 15 80\n", "body/i2c0", "0x20", "peek", "0", "2")
            s.shows(f"0x0030: {start:02x}\n", "body/i2c0", "0x20", "peek", "0x30")
            s.ends()
        assert read(folder, "body.rom")[0] == start


def test_a_killed_process_is_not_missed(folder):
    with System(folder) as s:
        s.shows("0x0000: 15 80\n", "body/i2c0", "0x20", "peek", "0", "2")
        for _ in range(3):
            devices = json.loads(s.avp("ps", "--json"))["devices"]
            os.kill(next(d["pid"] for d in devices if d["name"] == "body/i2c0"), signal.SIGKILL)
            # The registers are RAM, and go with the process; the guest goes on writing the temperature.
            s.shows("0x0000: 15 80\n", "body/i2c0", "0x20", "peek", "0", "2")
        s.ends()


def test_bad_words_end_the_start(folder):
    path = os.path.join(folder, "bad.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(SYSTEM.replace("lm75 temp=21.5", "lm57"))
    os.makedirs(os.path.join(folder, "chips"))
    done = subprocess.run([AVP, "check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT,
                          check=False)
    assert done.returncode == 0 and f"file={os.path.realpath(folder)}/chips/body.rom" in done.stdout, done.stdout
    done = subprocess.run([AVP, "device", "i2c", "--socket", os.path.join(folder, "s"), "--devices", "0x48 lm57"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1 and "no simulated chip 'lm57'; there are eeprom, lm75 and registers" in done.stdout, done.stdout


def main():
    tests = [test_bad_words_end_the_start]
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        tests += [test_the_guest_and_the_operator_see_the_same, test_contents_are_kept, test_a_killed_process_is_not_missed]
    else:
        print("# no /dev/kvm: no guests")
    return tapmain.main(tests)


if __name__ == "__main__":
    sys.exit(main())
