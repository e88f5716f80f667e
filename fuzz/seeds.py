#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of the fuzz targets of device types: what drivers ask for, as programs in the encoding of device.h.
Usage: seeds.py TARGET FOLDER writes them there; also a module of tools/fuzz and fuzz/test.py."""
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SECOND = 0x80
INDIRECT, NO_KICK, BORDER = 8, 16, 32
# Feature bits that BOOT can leave out.
F_INDIRECT, F_EVENT_IDX, F_PACKED, F_IN_ORDER = (1 << n for n in (28, 29, 34, 35))


def codes():
    """The action codes, in the order of the enumeration in device.h."""
    with open(os.path.join(HERE, "device.h"), encoding="utf-8") as f:
        enum = re.search(r"enum fuzz_action \{(.*?)\n\};", f.read(), re.DOTALL).group(1)
    names = re.findall(r"^\tFUZZ_(\w+)", enum, re.MULTILINE)
    return {name: code for code, name in enumerate(names)}


CODES = codes()


class Program:
    """Bytes of one input; each method appends an action."""

    def __init__(self, setup=0):
        self.data = bytes([setup])
        self.guest = 0

    def act(self, name, operands=b""):
        assert len(operands) < 256
        self.data += bytes([CODES[name] | (SECOND if self.guest else 0), len(operands)]) + operands
        return self

    def second(self, second=True):
        """What follows is of the second guest."""
        self.guest = second
        return self

    def boot(self, without=F_PACKED | F_IN_ORDER, size=16):
        return self.act("BOOT", struct.pack("<QB", without, size.bit_length() - 1))

    def request(self, queue, out=b"", ins=(), shape=0):
        lens = b"".join(struct.pack("<H", n) for n in ins)
        return self.act("REQUEST", bytes([queue, shape, len(ins)]) + lens + out)

    def fill(self, queue, count, length):
        return self.act("FILL", struct.pack("<BBH", queue, count, length))

    def kick(self, queue):
        return self.act("KICK", bytes([queue]))

    def run(self, rounds=4):
        return self.act("RUN", bytes([rounds]))

    def time(self, ms):
        return self.act("TIME", struct.pack("<I", ms))

    def host(self, operands):
        return self.act("HOST", operands)

    def tell(self, words):
        return self.act("TELL", words.encode())

    def config(self, length=32):
        return self.act("CONFIG_READ", struct.pack("<HB", 0, length))

    def config_write(self, offset, data):
        return self.act("CONFIG_WRITE", struct.pack("<H", offset) + data)


def layouts(fill, setup=0):
    """The same actions on split and packed rings, with and without the other features of rings, and what happens to
    any device: stop and resume, memory that goes, reset. `fill(program)` appends what the device is for."""
    seeds = {}
    for name, without in (("split", F_PACKED | F_IN_ORDER | F_EVENT_IDX), ("packed", F_IN_ORDER),
                          ("order", F_PACKED | F_INDIRECT), ("packed-order", 0)):
        seeds[name] = fill(Program(setup).boot(without))
    seeds["resume"] = fill(Program(setup).act("INFLIGHT", b"\1").boot(F_IN_ORDER))
    for queue in range(3):
        seeds["resume"].act("STOP", bytes([queue])).act("RESUME", bytes([queue]))
    seeds["memory"] = fill(fill(Program(setup).boot()).act("UNMAP", b"\1").act("MAP", b"\1"))
    seeds["reset"] = fill(fill(Program(setup).boot()).act("RESET").boot(size=4))
    return seeds


def rng():
    def some(p):
        return p.request(0, ins=[64]).request(0, ins=[16, 200], shape=INDIRECT).fill(0, 4, 32).time(20)
    return layouts(some) | {"rate": some(Program(1).boot()).time(1000)}


# By target; those that are not here have only files.
TARGETS = {
    "dev-rng": rng,
}


def write(target, folder):
    """Writes the seeds of a target into a folder; returns their number."""
    seeds = TARGETS[target]() if target in TARGETS else {}
    os.makedirs(folder, exist_ok=True)
    for name, program in seeds.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(program.data)
    return len(seeds)


if __name__ == "__main__":
    sys.exit(0 if write(sys.argv[1], sys.argv[2]) else f"no seeds for {sys.argv[1]}")
