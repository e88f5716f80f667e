#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux's virtio_can in two guests on one bus of ours, with can-utils; and the bus on an interface of a real kernel.
usage: test_can.py AVP TEST_CAN_SOCKET"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402


def listen(guest, frames, what="can0", received="all"):
    """Writes so many frames, as they come, to /tmp/dump, at the end of them. `received` is the kernel's list for them."""
    guest.run("killall candump 2>/dev/null; wait; rm -f /tmp/dump; ip link set can0 up; modprobe can-raw; "
              f"{{ candump -L -n {frames} {what} >/tmp/part; mv /tmp/part /tmp/dump; }} & "
              f"while ! grep -q '^ *can0 ' /proc/net/can/rcvlist_{received}; do usleep 50000; done")


def heard(guest, seconds=60):
    """What listen() has got, without the time stamps."""
    text = guest.until("cat /tmp/dump", r"(?s)(\(.*)", seconds).group(1)
    return [line.split(") can0 ")[1].strip() for line in text.splitlines()]


def test_up(one, two):
    """The interface is there, with CAN FD, and comes up without bit timing, which is the bus's."""
    for guest in (one, two):
        guest.until("ls /sys/class/net", r"\bcan0\b")
        guest.run("ip link set can0 up")
        vehicle.expect("mtu 72" in guest.run("ip link show can0"), "can0 has no CAN FD")


def test_frames(one, two):
    frames = ["123#DEADBEEF", "1ABCDEF0#0102030405060708", "7FF#", "700#R", "321##1" + "5A" * 64]
    for sender, receiver in ((one, two), (two, one)):
        listen(receiver, len(frames))
        for frame in frames:
            sender.run(f"cansend can0 {frame}")
        # Whether the bit rate was switched is not said to a guest.
        got = [re.sub("##.", "##1", frame) for frame in heard(receiver)]
        vehicle.expect(got == frames, f"{got}")


def test_log(bus, log):
    """The host's log has all frames, each once: what a guest sends does not come back to it."""
    with open(log, encoding="ascii") as f:
        lines = f.read().splitlines()
    vehicle.expect(len(lines) == 10, f"{len(lines)} lines: {lines}")
    vehicle.expect(all(re.fullmatch(r"\(\d{10}\.\d{6}\) body [0-9A-F]+#.*", line) for line in lines), lines)
    vehicle.expect(bus.stats()["frames"] == 10, bus.stats())


def test_many(one, two):
    """In order, and without a loss: as many as the socket of candump keeps while it does not run."""
    listen(two, 200)
    one.run("cangen can0 -g 0 -n 200 -I 100 -L 2 -D i -p 10", 120)
    data = [frame.split("#")[1] for frame in heard(two, 120)]
    numbers = [int(d[2:] + d[:2], 16) for d in data]
    vehicle.expect(numbers == list(range(200)), f"frames are lost or out of order: {numbers[:10]}...")


def tell(bus, *words):
    """A command of the operator; what the bus answers."""
    bus.events = [e for e in bus.events if e["event"] != "told"]
    bus.control.send("".join(word + "\0" for word in ("tell", "1", *words)).encode())
    return bus.wait_for(lambda event: event["event"] == "told")


def test_bus_off(one, two, bus):
    """Linux sees bus-off, and gets through again once its controller was started."""
    listen(one, 1, "can0,0~0,#FFFFFFFF", "err")
    vehicle.expect("text" in tell(bus, "port", "one", "bus-off"), "bus-off is refused")
    got = heard(one)
    vehicle.expect(got[0].startswith("20000040#"), f"no error frame that says bus-off: {got}")
    vehicle.expect("bus-off" in tell(bus, "show")["text"], "the bus does not show it")
    one.run("ip link set can0 down; ip link set can0 up")
    listen(two, 1)
    one.run("cansend can0 5A5#01")
    got = heard(two)
    vehicle.expect(got == ["5A5#01"], f"after bus-off: {got}")


def test_operator(one, bus):
    listen(one, 1)
    tell(bus, "send", "0AB#C0FFEE")
    got = heard(one)
    vehicle.expect(got == ["0AB#C0FFEE"], f"{got}")


def test_host_side(guest):
    """The bus's own side of a SocketCAN interface, with vcan in this guest's kernel."""
    status, text = guest.ask("modprobe vcan; modprobe can-raw; /test_can_socket", 240)
    vehicle.expect(status == 0 and "ok 1" in text, text)


def test_jail(guest):
    """A jailed bus without a pace of its own on an interface that goes and comes back: a recording goes out, frames come in."""
    guest.run("ip link add vcan1 type vcan; ip link set vcan1 mtu 72 up; "
              "for i in 1 2 3 4 5 6 7 8; do echo \"($i.0) can0 12$i#0$i\"; done >/tmp/drive")
    guest.run("LD_LIBRARY_PATH=/ /avp can-bus --name jailed --host vcan1 --bitrate 0 --replay /tmp/drive --replay-start now "
              "--log /tmp/jailed.log --port name=a,socket=/tmp/a >/tmp/jailed.out 2>&1 &")
    guest.until("cat /tmp/jailed.out", "the interface is up")
    guest.run("candump -L -n 2 vcan1 | grep -q '12[0-9]#0'")
    guest.run("ip link set vcan1 down")
    guest.until("cat /tmp/jailed.out", "host-gone")
    guest.run("ip link del vcan1; ip link add vcan1 type vcan; ip link set vcan1 mtu 72 up")
    guest.until("cat /tmp/jailed.out", "host-back(?s:.)*host-gone(?s:.)*host-back")
    guest.run("cansend vcan1 7A5#ABCD")
    guest.until("cat /tmp/jailed.log", "jailed 7A5#ABCD")


def libraries(avp):
    """What the program needs of libraries that a guest may not have."""
    lines = vehicle.output("ldd", avp).splitlines()
    return [line.split()[2] for line in lines if "=> /" in line and not re.search(r"libc\.so", line)]


def main():
    with vehicle.Bench(sys.argv[1]) as bench:
        paths = {name: bench.file(name) for name in ("one", "two")}
        log = bench.file("body.candump")
        ports = [word for name, path in paths.items() for word in ("--port", f"name={name},socket={path},rx-queue=1024")]
        bus = bench.backend("can-bus", "--name", "body", "--log", log, *ports)
        one, two = (bench.guest(("can", path), files=[*sys.argv[1:3], *libraries(sys.argv[1])]) for path in paths.values())
        bench.case("interfaces", test_up, one, two)
        bench.case("frames both ways", test_frames, one, two)
        bench.case("the host's log", test_log, bus, log)
        bench.case("many frames", test_many, one, two)
        bench.case("bus-off", test_bus_off, one, two, bus)
        bench.case("a frame of the operator", test_operator, one, bus)
        bench.case("an interface of the host", test_host_side, one)
        bench.case("a jailed bus on such an interface", test_jail, two)


main()
