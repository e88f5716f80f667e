#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Peers that stop reading: a console's client, clients of the control socket, a follower of events, a front-end of
vhost-user. The guest goes on, everybody else is answered, and nobody's memory grows.

    test_peers.py AVP GUEST"""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import test_system  # noqa: E402 (the place and the guest of that test)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

LIMIT = test_system.LIMIT
GROWTH = 12 << 10  # KiB that a process may grow by: two answers that piled up, and what the sanitizers add
GET_FEATURES = struct.pack("<III", 1, 1, 0)  # a vhost-user message: request, version 1, no payload


def memory(pid):
    """Private memory of a process, KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+)", f.read(), re.M))


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(LIMIT)
    s.connect(path)
    return s


def control(place):
    return connect(os.path.join(place.runtime, "avp/faults/control.sock"))


def ask(place, **request):
    with control(place) as s:
        s.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(s.makefile("rb").readline())


def flood(sock, data):
    """Sends until nobody takes any more, or the other end has had enough. Returns the bytes sent."""
    sock.setblocking(False)
    sent, idle, limit = 0, 0, time.monotonic() + LIMIT
    while idle < 40 and sent < 64 << 20 and time.monotonic() < limit:
        try:
            sent += sock.send(data)
            idle = 0
        except BlockingIOError:
            idle += 1
            time.sleep(0.005)
        except OSError:
            break
    return sent


def goes_on(place):
    place.lines.take()
    for _ in range(3):
        place.says("tick")
    answer = ask(place, cmd="ps")
    assert answer["ok"] and answer["result"]["vms"][0]["state"] == "running", answer


def test_clients_of_the_control_socket(folder):
    with test_system.Place(folder) as place:
        place.says("up")
        goes_on(place)
        before = memory(place.process.pid)
        clients = [control(place) for _ in range(8)]
        sent = [flood(s, b'{"cmd":"ps"}\n' * 500) for s in clients]
        followers = [control(place) for _ in range(4)]
        for s in followers:
            s.sendall(b'{"cmd":"events","follow":true}\n{"cmd":"logs","follow":true}\n')
        goes_on(place)
        grown = memory(place.process.pid) - before
        print(f"# {len(clients)} clients sent {sum(sent) >> 10} KiB of requests and read nothing; avp run grew by {grown} KiB")
        assert grown < len(clients) * 1024 + GROWTH, f"avp run grew by {grown} KiB"
        for s in clients + followers:
            s.close()
        goes_on(place)
        place.stop()


def test_a_client_of_the_console(folder):
    """The guest's output goes on, in the log, whoever does not read it."""
    with test_system.Place(folder, console="socket") as place:
        place.says("up")
        pid = place.pids()["console"]
        clients = []
        for _ in range(4):
            s = control(place)
            s.sendall(b'{"cmd":"console","vm":"one"}\n')
            clients.append(s)
        for s in clients[:2]:
            flood(s, b"nobody reads this\n" * 100)
        before = memory(pid)
        for _ in range(3):
            goes_on(place)
        grown = memory(pid) - before
        assert grown < GROWTH, f"the console grew by {grown} KiB"
        assert place.pids()["console"] == pid
        for s in clients:
            s.close()
        place.stop()


def test_a_front_end(folder):
    """One that asks and asks and does not read: the process holds what it owes until it is gone, and serves the next."""
    path = os.path.join(folder, "rng")
    device = subprocess.Popen([test_system.AVP, "device", "rng", "--socket", path], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT
        while not os.path.exists(path):
            assert time.monotonic() < end and device.poll() is None
            time.sleep(0.01)
        before = memory(device.pid)
        for _ in range(3):
            with connect(path) as s:
                sent = flood(s, GET_FEATURES * 100)
            assert sent < 64 << 20, "a peer that reads nothing can send without end"
        with connect(path) as s:
            s.sendall(GET_FEATURES)
            answer = s.recv(20, socket.MSG_WAITALL)
            assert len(answer) == 20 and answer[:4] == GET_FEATURES[:4], answer
        grown = memory(device.pid) - before
        assert grown < GROWTH, f"the device grew by {grown} KiB"
        assert device.poll() is None
    finally:
        device.kill()
        device.wait()


if __name__ == "__main__":
    if not os.path.exists("/dev/kvm"):
        print("1..0 # SKIP no /dev/kvm")
        sys.exit(0)
    sys.exit(tapmain.main([test_clients_of_the_control_socket, test_a_client_of_the_console, test_a_front_end]))
