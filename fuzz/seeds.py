#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of the fuzz targets of device types: what drivers ask for, as programs in the encoding of device.h.
Usage: seeds.py TARGET FOLDER writes them there; also a module of tools/fuzz and fuzz/test.py."""
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import parser_seeds  # noqa: E402

SECOND = POLLED = 0x80
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

    def poke(self, where, data):
        return self.act("POKE", struct.pack("<I", where) + data)

    def chain(self, queue, pieces, shape=0):
        """Pieces are offset in guest memory, length, flags."""
        return self.act("CHAIN", bytes([queue, shape]) + b"".join(struct.pack("<IHBB", *p, 0) for p in pieces))

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
    for name, without in (("resume", F_PACKED), ("resume-packed", F_IN_ORDER)):
        seeds[name] = fill(Program(setup).act("INFLIGHT", b"\1").boot(without))
        for queue in range(3):
            seeds[name].act("CRASH", bytes([queue])).act("STOP", bytes([queue])).act("RESUME", bytes([queue]))
        fill(seeds[name])
    for name, without in (("polled", F_PACKED), ("polled-packed", F_IN_ORDER)):
        seeds[name] = fill(fill(Program(setup | POLLED).boot(without)).run(8))
    seeds["memory"] = fill(fill(Program(setup).boot()).act("UNMAP", b"\1").act("MAP", b"\1"))
    seeds["reset"] = fill(fill(Program(setup).boot()).act("RESET").boot(size=4))
    return seeds


def rng():
    def some(p):
        return p.request(0, ins=[64]).request(0, ins=[16, 200], shape=INDIRECT).fill(0, 4, 32).time(20)
    return layouts(some) | {"rate": some(Program(1).boot()).time(1000)}


def blk():
    def head(kind, sector=0):
        return struct.pack("<IIQ", kind, 0, sector)

    def some(p):
        p.config(96).request(0, head(0), [512, 1], 1).request(0, head(0, 2), [512, 512, 1], 2 | INDIRECT)
        p.request(0, head(1, 3) + bytes(200), [1], 1)
        # Whole sectors do not fit an action.
        p.poke(0x40000, head(1, 4)).chain(0, [(0x40000, 16, 1), (0x41000, 1024, 1), (0x42000, 1, 2)])
        p.request(0, head(4), [1]).request(0, head(8), [20, 1])  # flush, identification
        for kind in (11, 13, 14):  # discard, write zeroes, secure erase
            p.request(0, head(kind) + struct.pack("<QII", 8, 8, kind == 13), [1], 1)
        p.request(0, head(10), [24, 1])  # lifetime
        return p.run().config_write(32, b"\0")  # write cache off
    return layouts(some) | {f"setup{i}": some(some(Program(i).boot()).boot(F_PACKED)) for i in (1, 2, 3)}


def can():
    def frame(ident, flags, data):
        return struct.pack("<HHBBHII", 1, len(data), 0, 0, 0, flags, ident) + data

    def some(p):
        p.second().boot().fill(1, 4, 96).request(2, struct.pack("<H", 0x201), [1])
        p.second(False).fill(1, 4, 96).config(4).request(2, struct.pack("<H", 0x201), [1])
        p.request(0, frame(0x123, 0, b"12345678"), [1]).request(0, frame(0x1abcdef, 0x8000, b""), [1])
        p.request(0, frame(0x10, 0x4000, bytes(64)), [1]).request(0, frame(0x7ff, 0x2000, b""), [1]).time(1)
        p.second().request(0, frame(0x100, 0, b"ab"), [1]).second(False).time(5)
        p.tell("bus-off").time(100).tell("medium send 123#1122").tell("medium show").time(1)
        return p.request(2, struct.pack("<H", 0x202), [1])
    return layouts(some) | {f"setup{i}": some(Program(i).boot()) for i in range(1, 5)}


def console():
    def control(port, event, value):
        return struct.pack("<IHH", port, event, value)

    def some(p):
        p.fill(0, 2, 64).host(b"\0\0\0").request(1, b"login: ").host(b"\0\2\0root\n").run()
        p.config(12).fill(2, 6, 64).request(3, control(0, 0, 1)).run()  # DEVICE_READY
        for port in range(3):
            p.request(3, control(port, 3, 1)).request(3, control(port, 6, 1))  # PORT_READY, PORT_OPEN
        p.fill(4, 2, 64).host(b"\1\0\1").request(5, b"$GPRMC", shape=3).host(b"\1\2\1data").run()
        return p.host(b"\0\3\0").host(b"\0\5\0").host(b"\1\5\1").run()
    return layouts(some) | {f"setup{i}": some(Program(i).boot()) for i in (1, 2, 3)}


def link():
    def some(p):
        p.second().boot().fill(0, 4, 32).second(False).fill(0, 4, 32)
        p.request(1, b"\x55\x80hello").time(3).second().request(1, b"world", shape=3).time(20)
        p.second(False).tell("medium show").tell("medium break").tell("medium noise 1").request(1, bytes(40)).time(50)
        return p
    return layouts(some) | {"bus-" + n: v for n, v in layouts(some, 1).items()}


def gpio():
    def ask(p, kind, line, value=0):
        return p.request(0, struct.pack("<HHI", kind, line, value), [2])

    def some(p):
        p.second().boot().config(8)
        ask(ask(p, 3, 1, 1), 5, 1, 1)
        p.second(False).config(8).request(0, struct.pack("<HHI", 1, 0, 0), [64])  # names
        for line in range(6):
            ask(ask(ask(p, 3, line, 2), 6, line, 3), 2, line)
            p.request(1, struct.pack("<H", line), [1])
        p.tell("set a 1").tell("medium set w 1").tell("medium stuck x 0").second()
        ask(p, 5, 1, 0)
        p.second(False).request(1, struct.pack("<H", 3), [1]).tell("get").tell("medium get w")
        return ask(ask(p, 6, 3, 8), 4, 3)
    return layouts(some) | {f"setup{i}": some(Program(i).boot()) for i in (1, 2)}


def i2c():
    def write(p, addr, data, flags=0):
        return p.request(0, struct.pack("<HHI", addr << 1, 0, flags) + data, [1])

    def read(p, addr, length, flags=2):
        return p.request(0, struct.pack("<HHI", addr << 1, 0, flags), [length, 1])

    def some(p):
        for addr in (0x50, 0x48, 0x20, 0x49, 0x21, 0x33):
            write(p, addr, b"\0\1abc").time(6)
            read(write(p, addr, b"\0\0", 1), addr, 16)
            read(p, addr, 300)
        write(p, 0x50, b"")
        return p.tell("list").tell("0x48 temp 30").tell("0x50 peek 0 8").tell("0x20 poke 1 ff").time(10)
    return layouts(some) | {"setup1": some(Program(1).boot())}


def spi():
    def transfer(p, cs, out, length, change=0, bits=8, mode=0):
        head = struct.pack("<BBBBB3xIIIIII", cs, bits, change, 0, 0, mode, 0, 0, 0, 0, 0)
        return p.request(0, head + out, [length, 1] if length else [1])

    def some(p):
        p.config(40)
        for cs in (0, 1, 2):
            transfer(p, cs, b"\x9f\0\0\0", 4)  # identification
            transfer(p, cs, b"\x06", 1)  # write enable
            transfer(p, cs, b"\x02\0\1\0page", 8).time(5)
            transfer(p, cs, b"\x05\0", 2)
            transfer(transfer(p, cs, b"\x06", 0), cs, b"\x20\0\0\0", 0).time(100)
            transfer(transfer(p, cs, b"\x03\0\1\0", 0, 1), cs, b"", 32)
            transfer(p, cs, b"12345678", 8, 0, 16, 8 | 3)
        return p.tell("list").tell("1 peek 0 8").tell("1 poke 0 ff")
    return layouts(some) | {"setup1": some(Program(1).boot())}


def input_device():
    def some(p):
        for select, subsel in ((1, 0), (2, 0), (3, 0), (0x10, 0), (0x11, 1), (0x11, 3), (0x12, 0)):
            p.config_write(0, bytes([select, subsel])).config(136)
        p.fill(0, 8, 8).tell("key KEY_A").tell("tap 10 20").tell("touch 1 2 1").tell("lift 1").tell("turn -3").time(600)
        p.request(1, struct.pack("<HHI", 0x11, 0, 1)).tell("state").tell("replay start").time(2000).fill(0, 8, 8)
        return p.tell("set ABS_X 5").tell("replay stop")
    return layouts(some) | {f"setup{i}": some(Program(i).boot()) for i in (1, 2, 3)}


def net():
    def eth(dst, src, rest, kind=0x800):
        return bytes([2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src]) + struct.pack(">H", kind) + rest

    ip = bytes.fromhex("4500003c00004000400600000a0000010a000002") + bytes.fromhex("10002000000000000000000050020000") + bytes(4)
    gso = struct.pack("<BBHHHH", 1, 1, 54, 100, 34, 16)
    plain = bytes(12)

    def some(p, pairs=1):
        ctrl = 2 * pairs
        p.second().boot().fill(0, 8, 1526).second(False).fill(0, 8, 1526).config(20)
        p.request(1, plain + eth(2, 1, ip + bytes(26)), shape=5).request(1, plain + b"\xff" * 6 + eth(2, 1, ip)[6:])
        p.request(1, gso + bytes(2) + eth(2, 1, ip + bytes(180)), shape=5 | INDIRECT)
        p.request(1, plain + eth(2, 1, struct.pack(">HH", 0x2014, 0x800) + ip, 0x8100))
        p.host(b"\0" + eth(1, 9, ip + bytes(100))).host(b"\1" + gso + eth(1, 9, ip + bytes(150))).host(b"\2")
        p.second().request(1, plain + eth(1, 2, ip), shape=3).request(1, plain + eth(9, 2, ip)).host(b"\3").second(False)
        for class_command, data in ((b"\0\0", b"\1"), (b"\0\1", b"\1"), (b"\1\0", struct.pack("<I6sI", 1, b"\2abcde", 0)),
                                    (b"\1\1", b"\2abcdf"), (b"\2\0", b"\5\0"), (b"\2\1", b"\5\0"), (b"\3\0", b""),
                                    (b"\4\0", b"\2\0"), (b"\5\0", struct.pack("<Q", 1 << 1))):
            p.request(ctrl, class_command + data, [1])
        return p.time(10).time(1000)
    seeds = layouts(some) | {f"setup{i}": some(Program(i).boot()) for i in (1, 2, 3)}
    return seeds | {"pairs": some(Program(1).boot(), 2), "small": some(Program().boot().fill(0, 16, 100))}


def rtc():
    def some(p):
        def ask(kind, rest=b"", room=24):
            p.request(0, struct.pack("<H6x", kind) + rest, [room])
        p.fill(1, 3, 16)
        ask(0x1000)
        for clock in range(3):
            number = struct.pack("<H6x", clock)
            ask(0x1001, number)
            ask(1, number)
            ask(0x1002, struct.pack("<HB5x", clock, 1))
            ask(2, struct.pack("<HB5x", clock, 1), 32)
            ask(0x1004, struct.pack("<QHB5x", 1750000002000000000, clock, 1))
            ask(0x1003, number, 32)
            ask(0x1005, struct.pack("<HB5x", clock, 1))
        return p.time(3000).tell("step 3600").tell("show").tell("set 2026-01-01T00:00:00Z").fill(1, 1, 16).time(90000000)
    return layouts(some) | {f"setup{i}": some(Program(i).boot()) for i in (1, 2, 3)}


def scmi():
    def ask(p, protocol, message, *words):
        data = struct.pack(f"<{1 + len(words)}I", message | protocol << 10 | 5 << 18, *words)
        return p.request(0, data, [128])

    def protocol(number, value=1):
        """All messages, of each length: one of them is right."""
        def some(p):
            p.second().boot().fill(1, 4, 128).second(False).fill(1, 4, 128)
            for message in range(0x15):
                for words in range(5):
                    ask(p, number, message, *[value] * words)
                p.act("RUN", b"\1")
            return p.time(1).second().tell("show").second(False).tell("medium show").fill(1, 4, 128)
        return some
    seeds = {}
    for setup in (0, 1, 2):
        for n in range(0x10, 0x19):
            for v in (0, 1):
                seeds[f"setup{setup}-{n:x}-{v}"] = protocol(n, v)(Program(setup).boot(size=64))
    words = ("power gpu off", "clock cam rate 48000000", "voltage vdd level 900000", "perf cpu level 800",
             "perf cpu limits 400 400", "powercap soc cap 2000", "powercap soc power 500", "reset camera reset",
             "sensor cabin value 30", "sensor cabin gone", "shutdown graceful 10s", "suspend", "replay start")
    tells = Program().boot().fill(1, 8, 128)
    for w in words:
        tells.tell("medium " + w).tell(w).time(1)
    return layouts(protocol(0x14)) | seeds | {"tell": tells}


# Which the device gives to programs of the host.
HOST_PORTS = ((1 << 30) + 1, (1 << 30) + 2)


def vsock():
    def pkt(op, dst=2, dst_port=80, src=3, kind=1, data=b"", flags=0, port=1000):
        return struct.pack("<QQIIIHHIII", src, dst, port, dst_port, len(data), kind, op, flags, 65536, 0) + data

    def some(p):
        p.second().boot().fill(0, 6, 200).second(False).fill(0, 6, 200).fill(2, 1, 4).config(8)
        p.request(1, pkt(1)).run().host(b"\6\0").request(1, pkt(5, data=b"to the host"), shape=6).run()
        p.host(b"\2\0to the guest").run().host(b"\3\0").request(1, pkt(7)).request(1, pkt(6)).run()
        p.request(1, pkt(4, flags=3)).run().host(b"\5\0").run().fill(0, 6, 200)
        p.host(b"\0\1").host(b"\2\1CONNECT 22\n").run()
        for port in HOST_PORTS:
            p.request(1, pkt(2, dst_port=port, port=22)).run()
        p.host(b"\2\1hello").run().host(b"\4\1").run().time(3000)
        p.request(1, pkt(1, 4, 90)).run().second().request(1, pkt(2, 3, 1000, 4, port=90)).run().second(False)
        p.request(1, pkt(5, 4, 90, data=b"guest to guest")).run().request(1, pkt(3, 4, 90)).run()
        messages(p.fill(0, 6, 200))
        return p.fill(0, 4, 100).time(10000)

    def messages(p):
        """Connections of type SEQPACKET: with the other guest, and with a program of the host."""
        p.second().fill(0, 6, 200).second(False).request(1, pkt(1, 4, 91, kind=2)).run()
        p.second().request(1, pkt(2, 3, 1000, 4, port=91, kind=2)).run().second(False)
        for flags in (0, 1, 3):
            p.request(1, pkt(5, 4, 91, kind=2, data=b"message", flags=flags)).run()
        p.request(1, pkt(5, 4, 91, kind=2, flags=3)).second().request(1, pkt(6, 3, 1000, 4, port=91, kind=2)).run()
        p.host(b"\1\2").host(b"\2\2CONNECT 23\n").run().second(False)
        for port in HOST_PORTS:
            p.request(1, pkt(2, dst_port=port, port=23, kind=2)).run()
        p.second().host(b"\2\2a message").run().host(b"\4\2").run().second(False)
        for port in HOST_PORTS:
            p.request(1, pkt(5, dst_port=port, port=23, kind=2, data=b"an answer", flags=1)).run()
    return layouts(some) | {"setup1": some(Program(1).boot())}


# By target; those that are not here have only files.
TARGETS = {
    "dev-blk": blk,
    "dev-can": can,
    "dev-console": console,
    "dev-gpio": gpio,
    "dev-i2c": i2c,
    "dev-input": input_device,
    "dev-link": link,
    "dev-net": net,
    "dev-rng": rng,
    "dev-rtc": rtc,
    "dev-scmi": scmi,
    "dev-spi": spi,
    "dev-vsock": vsock,
}


def write(target, folder):
    """Writes the seeds of a target into a folder; returns their number."""
    if target in TARGETS:
        seeds = {name: program.data for name, program in TARGETS[target]().items()}
        seeds |= {f"open{setup}": bytes([setup]) for setup in range(8)}
    else:
        seeds = parser_seeds.TARGETS[target]() if target in parser_seeds.TARGETS else {}
    os.makedirs(folder, exist_ok=True)
    for name, data in seeds.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    return len(seeds)


if __name__ == "__main__":
    sys.exit(0 if write(sys.argv[1], sys.argv[2]) else f"no seeds for {sys.argv[1]}")
