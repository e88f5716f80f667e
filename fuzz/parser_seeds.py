# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of the fuzz targets of parsers whose inputs are not text: real images, messages and register accesses, each made
here from the fields of its format. By target: a function that returns {name: bytes}."""
import struct


def images():
    arm64, raw, initrd = 1, 2, 4
    header = bytearray(b"\x90" * 0x1F1 + bytes(0x10F))
    setup = {0x1F1: b"\3", 0x1FE: b"\x55\xaa", 0x200: b"\xeb\x6a", 0x202: b"HdrS", 0x206: b"\x0f\2", 0x211: b"\1",
             0x22C: struct.pack("<I", 0x7FFFFFFF), 0x230: struct.pack("<I", 0x200000), 0x234: b"\1",
             0x236: b"\1\0", 0x238: struct.pack("<I", 2047), 0x258: struct.pack("<Q", 0x200000),
             0x260: struct.pack("<I", 1 << 20)}
    for at, value in setup.items():
        header[at:at + len(value)] = value
    bzimage = bytes(header).ljust(4 * 512, b"\0") + b"\x90" * 1024
    image = struct.pack("<IIQQQQQQII", 0x91005A4D, 0, 0, 1 << 20, 10, 0, 0, 0, 0x644D5241, 0) + b"\0" * 64
    return {
        "bzimage": bytes([initrd]) + bzimage,
        "image": bytes([arm64 | initrd]) + image,
        "raw": bytes([raw]) + b"\xf4" * 32,
        "raw-arm64": bytes([arm64 | raw]) + b"\0" * 32,
        "elf64": bytes([initrd]) + elf64(62, pvh=True),
        "elf64-bare": b"\0" + elf64(62, pvh=False),
        "elf32": b"\0" + elf32(),
        "elf-arm64": bytes([arm64]) + elf64(183, pvh=False, base=0x40200000),
    }


def elf64(machine, pvh, base=0x200000):
    note = struct.pack("<III", 4, 8, 18) + b"Xen\0" + struct.pack("<Q", base)
    count = 2 if pvh else 1
    head = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base, 64, 0, 0, 64, 56, count,
                                                            64, 0, 0)
    code = 64 + 56 * count
    load = struct.pack("<IIQQQQQQ", 1, 5, code, base, base, 32, 4096, 4096)
    notes = struct.pack("<IIQQQQQQ", 4, 4, code + 32, base + 32, base + 32, len(note), len(note), 4)
    return head + load + (notes if pvh else b"") + b"\xf4" * 32 + note


def elf32():
    base = 0x200000
    head = b"\x7fELF\1\1\1".ljust(16, b"\0") + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base, 52, 0, 0, 52, 32, 1, 40, 0, 0)
    return head + struct.pack("<IIIIIIII", 1, 84, base, base, 16, 64, 5, 4096) + b"\xf4" * 16


VERSION, NEED_REPLY = 1, 8
MEMORY, SMALL, EVENT, SOCKET = range(4)


def message(request, payload=b"", fds=(), flags=VERSION):
    what = len(fds) | sum(kind << (2 + 2 * i) for i, kind in enumerate(fds))
    return struct.pack("<BBBH", request, flags, what, len(payload)) + payload


def u64(v):
    return struct.pack("<Q", v)


def state(index, num):
    return struct.pack("<II", index, num)


def ring(index=0, size=4, packed=False):
    addresses = struct.pack("<IIQQQQ", index, 0, 0x1000, 0x3000, 0x2000, 0)
    return (message(8, state(index, size)) + message(9, addresses) + message(10, state(index, 0x80008000 if packed else 0))
            + message(13, u64(index), [EVENT]) + message(12, u64(index), [EVENT]) + message(18, state(index, 1)))


# MQ, REPLY_ACK, BACKEND_REQ, CONFIG, INFLIGHT_SHMFD, RESET_DEVICE, CONFIGURE_MEM_SLOTS, STATUS: what both sides have.
PROTOCOL = sum(1 << bit for bit in (0, 3, 5, 9, 12, 13, 15, 16))


def backend():
    hello = (message(1) + message(15) + message(16, u64(PROTOCOL)) + message(17) + message(3)
             + message(2, u64(1 << 32 | 1 << 30 | 1 << 28)))
    region = struct.pack("<QQQQ", 0, 1 << 20, 0, 0)
    table = message(5, struct.pack("<II", 1, 0) + region, [MEMORY])
    inflight = struct.pack("<QQHHI", 0, 0, 1, 4, 0)
    return {
        "hello": hello,
        "run": hello + table + ring() + message(39, u64(15)) + message(40) + message(11, state(0, 0)) + message(34),
        "slots": hello + message(36) + message(37, u64(0) + region, [MEMORY], VERSION | NEED_REPLY) + ring()
        + message(38, u64(0) + region, flags=VERSION | NEED_REPLY),
        "inflight": hello + message(31, inflight) + message(32, struct.pack("<QQHHI", 4096, 0, 1, 4, 0), [MEMORY]) + table
        + ring(),
        "packed": hello + message(2, u64(1 << 34 | 1 << 32 | 1 << 30)) + table + ring(packed=True),
        "config": message(24, struct.pack("<III", 0, 8, 0) + bytes(8)) + message(25, struct.pack("<III", 0, 8, 0) + bytes(8)),
        "channel": hello + message(21, fds=[SOCKET]),
        "small": hello + message(5, struct.pack("<II", 1, 0) + region, [SMALL], VERSION | NEED_REPLY),
    }


WITH_MEMORY, HEADER, HALF, CHANNEL, ENDS = 32, 64, 128, 192, 224
FEATURES_OK, NEEDS_RESET = 11, 79  # device status with all bits before it


def answer(payload, kind=0):
    return bytes([kind, len(payload)]) + payload


def frontend():
    """What a network device's back-end answers, in the order in which a front-end asks."""
    features = 1 << 32 | 1 << 30 | 1 << 28
    hello = answer(u64(features))
    ok = answer(u64(0))
    config = answer(struct.pack("<III", 0, 28, 0) + bytes(28))
    rest = answer(u64(PROTOCOL)) + ok + answer(u64(3)) + config * 2 + ok * 2 + answer(u64(FEATURES_OK))
    agreed = hello + rest
    inflight = answer(struct.pack("<QQHHI", 4096, 0, 3, 4, 0), WITH_MEMORY)
    changed = answer(struct.pack("<III", 2, VERSION | NEED_REPLY, 0), CHANNEL)
    return {
        "plain": answer(u64(1 << 32)) + ok * 12,
        "old": hello + answer(u64(0)) + ok * 12,
        "run": agreed + ok * 40,
        "inflight": agreed + inflight + ok * 40,
        "packed": answer(u64(features | 1 << 34)) + rest + inflight + ok * 40,
        "changed": agreed + inflight + ok * 8 + changed + config + answer(u64(NEEDS_RESET)) + ok * 40,
        "again": agreed + inflight + ok * 8 + answer(b"", ENDS) + agreed + inflight + ok * 40,
        "half": hello + answer(u64(0), HALF),
        "header": hello + answer(struct.pack("<II", 5, 0xFFFFFFFF), HEADER),
        "refuses": agreed + inflight + answer(u64(1)) * 20,
    }


READ, WRITE, PORT = 0, 1, 8
ECAM, ECAM_VIRTIO, ECAM_WDT, BAR, WDT, MMIO, KEYS, UART, CLOCK, REFRESH, CONTROL, FLASH = range(12)
COM1, KEYBOARD, PCI, PM1 = range(4)


def read(device, offset, width=4, how=READ):
    return struct.pack("<BBI", how | (width.bit_length() - 1) << 1, device, offset)


def write(device, offset, value, width=4, how=WRITE):
    return read(device, offset, width, how | WRITE) + u64(value)


def board():
    features = b"".join(write(BAR, 0x08, i) + write(BAR, 0x0C, 0xFFFFFFFF) for i in (0, 1))
    modern = b"".join(write(MMIO, at, v) for at, v in ((0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, 0),
                                                       (0x38, 8), (0x80, 0x1000), (0x90, 0x2000), (0xA0, 0x3000),
                                                       (0x44, 1), (0x70, 15), (0x50, 0)))
    return {
        "pci": b"".join(read(device, at) for device in (ECAM, ECAM_VIRTIO, ECAM_WDT) for at in range(0, 0x80, 4))
        + write(ECAM_VIRTIO, 0x10, 0xFFFFFFFF) + read(ECAM_VIRTIO, 0x10) + write(ECAM_VIRTIO, 4, 6, 2),
        "virtio-pci": write(ECAM_VIRTIO, 4, 6, 2) + features + b"".join(write(BAR, 0x14, s, 1) for s in (1, 3, 11, 15, 0)),
        "virtio-mmio": modern + read(MMIO, 0x60) + write(MMIO, 0x64, 3) + read(MMIO, 0x100, 1) + write(MMIO, 0x70, 0),
        "serial": write(COM1, 1, 15, 1, PORT) + write(COM1, 2, 7, 1, PORT) + write(COM1, 0, 65, 1, PORT)
        + b"".join(read(COM1, at, 1, PORT) for at in range(8)),
        "power": write(PM1, 2, 0x100, 2, PORT) + write(PM1, 4, 0x2001 | 5 << 10, 2, PORT) + write(KEYBOARD, 4, 0xFE, 1, PORT)
        + write(PCI, 1, 6, 1, PORT) + write(PCI, 0, 0x80000800, 4, PORT) + read(PCI, 4, 4, PORT),
        "watchdog": write(ECAM_WDT, 4, 2, 2) + write(WDT, 0xC, 0x80, 2) + write(WDT, 0xC, 0x86, 2) + write(WDT, 0, 10)
        + write(ECAM_WDT, 0x68, 2, 1) + read(WDT, 8, 4, 0x30) + read(WDT, 8, 4, 0x30),
        "primecells": b"".join(read(device, at) for device in (KEYS, UART, CLOCK) for at in (0, 0x18, 0xFE0, 0xFFC))
        + write(UART, 0x38, 0x7FF) + write(UART, 0, 65) + write(CLOCK, 4, 1) + write(CLOCK, 0x10, 1) + write(KEYS, 0x410, 255),
        "sbsa": write(CONTROL, 8, 100) + write(CONTROL, 0, 1) + write(REFRESH, 0, 1) + read(CONTROL, 0, 4, 0x30),
        "flash": write(FLASH, 0, 0x00900090) + read(FLASH, 0) + write(FLASH, 0, 0x00980098) + read(FLASH, 0x40)
        + write(FLASH, 0, 0x00200020) + write(FLASH, 0, 0x00D000D0) + write(FLASH, 0, 0x00E800E8) + write(FLASH, 0, 0)
        + write(FLASH, 0, 0x12345678) + write(FLASH, 0, 0x00D000D0) + write(FLASH, 0, 0x00FF00FF) + read(FLASH, 0, 8),
    }


def pieces(*parts):
    return b"".join(bytes([len(p)]) + p for p in parts)


def lines():
    return {
        "command": pieces(b'{"id":1,"cmd":"ps"}\n'),
        "pieces": pieces(b'{"id":"x","cm', b'd":"logs","name":"ivi","lines":20}\n{"cmd"', b':"stats"}\n'),
        "nested": pieces(b'{"a":[[[{"b":{"c":[1e308,-0.5,null,true,"\\u0041\\ud83d\\ude00"]}}]]]}\n'),
        "no-object": pieces(b"[1,2]\n"),
    }


def requests():
    return {"stats": struct.pack("<H", 5) + b"stats",
            "tell": struct.pack("<H", 21) + b"tell\0" + b"7\0set\0door\0" + b"1\0more",
            "unknown": struct.pack("<H", 3) + b"new"}


RUN, SEND, ASK, CLOSE, SAY, LINE, END, REFUSE, TIME, ACCEPT, ANSWER, HANG_UP = range(12)
SWITCH, CONSOLE, VSOCK, NET, RNG, A, B, C = range(8)  # the processes of control.c


def acts(*steps):
    """Steps are (action, who, bytes)."""
    return b"".join(struct.pack("<BBH", action, who, len(data)) + data for action, who, data in steps)


def send(text, client=0):
    return SEND, client, text.encode() + b"\n"


def say(who, text):
    return SAY, who, text.encode()


def control():
    up = [say(who, '{"event":"ready"}') for who in (SWITCH, CONSOLE, VSOCK, NET, RNG)]
    up += [say(A, '{"event":"running","us":20000}'), (ACCEPT, 0, b""), (ANSWER, 0, b"up\n"),
           say(B, '{"event":"running","us":1}')]
    plain = ["ps", "stats", "events", "logs", "none", "shutdown"]
    of_vm = ["pause", "resume", "suspend", "wakeup", "restart", "start", "stop"]
    states = ["paused", "running", "suspended", "running"]
    moved = [step for cmd, state in zip(of_vm, states)
             for step in (send(f'{{"id":"x","cmd":"{cmd}","vm":"a"}}'), say(A, f'{{"event":"status","state":"{state}"}}'))]
    told = [send('{"id":2,"cmd":"tell","name":"s","words":["port","a/net0"]}'),
            say(SWITCH, '{"event":"told","token":"1","text":"done"}'),
            send('{"id":3,"cmd":"tell","name":"b/console0","words":["clear"]}'),
            say(B, '{"event":"told","token":"2","error":"no"}'), (TIME, 0, b"\xff\x7f")]
    console = [send('{"id":1,"cmd":"console","vm":"a"}'), (ACCEPT, 1, b""), (ANSWER, 1, b"login: "), send("root"),
               (HANG_UP, 1, b"")]
    # More than its socket's queue takes, and it accepts none.
    silent = [step for _ in range(24) for step in (send('{"cmd":"console","vm":"a"}'), (CLOSE, 0, b""))]
    dial = [send('{"id":1,"cmd":"connect","vm":"a","port":22}'), (ACCEPT, 4, b""), (ANSWER, 0, b"OK 1024\nhello"),
            send('{"id":1,"cmd":"connect","vm":"a","port":22}', 1), (TIME, 0, b"\xff\x7f")]
    crashes = [step for _ in range(4) for step in ((END, A, b"\x0b"), (TIME, 0, b"\xff\x7f"),
                                                   say(A, '{"event":"running","us":1}'))]
    deaths = [step for who in (CONSOLE, SWITCH, RNG) for step in ((END, who, b"\x88"), say(who, '{"event":"ready"}'))]
    follow = [send('{"cmd":"logs","follow":true}'), send('{"cmd":"events","follow":true,"name":"a"}'),
              (LINE, A, b"a: word"), (LINE, RNG, b"word"), say(A, '{"event":"watchdog","n":1,"text":"x","deep":{"a":1}}')]
    ends = [(END, who, b"\0") for who in (A, B, C, RNG, NET, VSOCK, CONSOLE, SWITCH)]
    return {
        "plain": acts(*up, *[send(f'{{"id":1,"cmd":"{cmd}"}}') for cmd in plain], *ends),
        "vm": acts(*up, *moved, *[send(f'{{"cmd":"{cmd}","vm":"b"}}') for cmd in of_vm]),
        "missing": acts(*[send(f'{{"cmd":"{cmd}"}}') for cmd in of_vm + ["tell", "kill", "console", "connect"]]),
        "tell": acts(*up, *told),
        "stats": acts(*up, send('{"id":1,"cmd":"stats"}'), say(SWITCH, '{"event":"stats","counters":{"frames":1}}'),
                      say(RNG, '{"event":"stats","counters":7}'), (TIME, 0, b"\xff\x7f")),
        "console": acts(*up, *console, send('{"cmd":"console-size","vm":"a","cols":80,"rows":25}', 1)),
        "console-early": acts(send('{"cmd":"console","vm":"b"}'), *up),
        "console-silent": acts(*up, *silent),
        "connect": acts(*up, *dial),
        "kill": acts(*up, send('{"cmd":"kill","name":"a/console0"}'), (END, CONSOLE, b"\x88"), *crashes),
        "deaths": acts(*up, *deaths, *crashes, *crashes),
        "follow": acts(*up, *follow),
        "late": acts(*up[:6], (TIME, 0, b"\xff\x7f"), (END, A, b"\x0c"), (TIME, 0, b"\xff\x7f")),
        "refuse": acts((REFUSE, 1, b""), (TIME, 0, b"\1\0"), send('{"cmd":"start","vm":"c"}')),
        "stop": acts(*up, send('{"id":9,"cmd":"stop"}'), *ends, send('{"cmd":"ps"}')),
        "ask": acts(*up, *[(ASK, 1, bytes([cmd, 0, 0, 5, 1, 6, 0, 2, 6, 4, 9, 4, 2, 1, 2])) for cmd in range(18)]),
    }


def stores():
    guid = bytes(range(16))
    name = "Boot0000".encode("utf-16-le") + b"\0\0"
    data = b"\1\0\0\0file"
    var = struct.pack("<IIQ", len(data), 7, 0) + guid + name + data
    var += bytes(-len(var) % 8)
    import zlib
    head = struct.pack("<QQII", 0, 0x0161566966456255, 24 + len(var), zlib.crc32(var))
    fv = struct.pack("<IB", 0x48, 4) + b"\xaa\x55\x3f\0"
    return {"uboot": b"\0" + head + var, "flash-empty": b"\1" + fv, "disk-empty": b"\2",
            "flash": b"\1" + struct.pack("<IB", 0x64, 60 + 18) + b"\xaa\x55\x3f\0" + struct.pack("<I", 7) + bytes(28)
            + struct.pack("<II", 18, 4) + guid + name}


TARGETS = {"board": board, "control": control, "efistore": stores, "image": images, "jsonl": lines, "line": requests,
           "vhu-backend": backend, "vhu-frontend": frontend}
