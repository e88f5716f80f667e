#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux's gpio-virtio and the libgpiod tools: lines of two guests that are wired to each other, and our lines of a host's
chip on a kernel that simulates one. usage: test_gpio.py AVP TEST_HOST"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

BODY = "lines=key sim in,,gap 2,,door wire:door,,'Red LED Vdd' sim"
CLUSTER = "lines=door wire:door in,,lamp wire:lamp out=0,,button wire:button"


def tell(panel, *words):
    """A command of the operator; what he is answered."""
    answer = panel.ask("\0".join(["tell", "1", *words]), "told")
    vehicle.expect("text" in answer, answer)
    return answer["text"]


def chip(guest):
    """Ours, by its driver's label."""
    return guest.until("gpiodetect", r"(gpiochip\d+) \[[^\n]*\] \((\d+) lines\)")


def test_names_and_directions(body):
    found = chip(body)
    vehicle.expect(found[2] == "5", found[0])
    info = body.run("gpioinfo " + found[1])
    for line, name in ((0, '"key"'), (1, "unnamed"), (2, "unnamed"), (3, '"door"'), (4, '"Red LED Vdd"')):
        vehicle.expect(re.search(rf"line +{line}: +{name} ", info), info)
    body.run(f"gpiofind 'Red LED Vdd' | grep -x '{found[1]} 4'")


def test_values(body, panel):
    name = chip(body)[1]
    vehicle.expect(body.run(f"gpioget {name} 0") == "0\n", "the key is not 0")
    tell(panel, "port", "body", "set", "key", "1")
    vehicle.expect(body.run(f"gpioget {name} 0") == "1\n", "the key is not 1")
    tell(panel, "port", "body", "set", "key", "0")
    status, text = body.ask(f"gpioset {name} 0=1")
    vehicle.expect(status != 0, "a line that is an input only was set: " + text)
    status, text = body.ask(f"gpioget {name} 1")
    vehicle.expect(status != 0, "a line that is not there was read: " + text)


def hold(body, level):
    """The guest drives its line until let_go()."""
    body.run(f"gpioset -m signal {chip(body)[1]} 3={level} </dev/null >/dev/null 2>&1 & echo $! >/tmp/held")


def let_go(body):
    body.run("kill $(cat /tmp/held); wait")


def test_wire(body, cluster):
    into = chip(cluster)[1]
    for level in "1010":
        hold(body, level)
        cluster.until(f"gpioget {into} 0", f"^{level}$")
        let_go(body)
    cluster.until(f"gpioget {into} 0", "^0$")


def wait_for_line(panel, pattern):
    """Until the operator sees of the cluster's line what is waited for."""
    deadline = time.monotonic() + vehicle.COMMAND_S
    while not re.search(pattern, text := tell(panel, "port", "cluster", "get", "door")):
        vehicle.expect(time.monotonic() < deadline, f"the line does not become {pattern!r}: {text}")
        time.sleep(0.05)


def monitor(cluster, panel, edges):
    """Starts a gpiomon, which has its interrupt when this returns."""
    cluster.start(f"timeout 50 gpiomon -n {edges} {chip(cluster)[1]} 0")
    wait_for_line(panel, "irq=both;")


def monitored(cluster, kinds):
    status, text = cluster.finish()
    vehicle.expect(status == 0 and re.findall(r"(RISING|FALLING)", text) == kinds, f"status {status}: {text}")


def test_interrupts(body, cluster, panel):
    """Each edge is an event of its kind, in order. One that comes while the interrupt is masked would be remembered, and
    fall together with the next one: each waits until the guest has unmasked it again."""
    before = panel.stats()["ports"]["cluster"]["irqs"]
    monitor(cluster, panel, 6)
    for level in (1, 0, 1, 0, 1):
        tell(panel, "set", "door", str(level))
        wait_for_line(panel, "irq=both;")
    tell(panel, "set", "door", "0")
    monitored(cluster, ["RISING", "FALLING"] * 3)
    tell(panel, "set", "door", "z")
    # And from guest to guest.
    monitor(cluster, panel, 2)
    hold(body, 1)
    wait_for_line(panel, "irq=both; net door 1")
    let_go(body)
    monitored(cluster, ["RISING", "FALLING"])
    vehicle.expect(panel.stats()["ports"]["cluster"]["irqs"] >= before + 8, panel.stats())
    # gpiomon is done: the interrupt is disabled again.
    wait_for_line(panel, "door: (in|unused);")


def test_conflict(body, panel):
    out = chip(body)[1]
    tell(panel, "set", "door", "0")
    body.run(f"gpioset {out} 3=1")
    event = panel.wait_for(lambda e: "wire-conflict" in str(e))
    vehicle.expect("body door drives 1" in str(event), event)
    tell(panel, "set", "door", "z")


def test_host(guest, files):
    """Our side of a host's chip, on a kernel that simulates one (tests/gpio/test_host.c)."""
    names = [os.path.basename(path) for path in files]
    loader = next(name for name in names if name.startswith("ld-linux"))
    guest.run(f"modprobe gpio-sim; mkdir -p /tmp /dev/shm /lib64; [ -e /lib64/{loader} ] || cp /{loader} /lib64")
    status, text = guest.ask(f"LD_LIBRARY_PATH=/ AVP=/{names[0]} /{names[1]}", 240)
    for line in text.splitlines():
        print("#", line)
    vehicle.expect(status == 0 and "not ok" not in text and "SKIP" not in text and re.search(r"^ok 7 ", text, re.M), status)


def main():
    avp, program = sys.argv[1:3]
    with vehicle.Bench(avp) as bench:
        sockets = {name: bench.file(name + ".sock") for name in ("body", "cluster")}
        panel = bench.backend("wires", "--name", "panel", "--nets", "door,lamp,button pull=up",
                              "--port", f"name=body,socket={sockets['body']},{BODY}",
                              "--port", f"name=cluster,socket={sockets['cluster']},{CLUSTER}")
        files = vehicle.with_libraries([avp, program], bench.file("host"))
        body = bench.guest(("gpio", sockets["body"]), files=files)
        cluster = bench.guest(("gpio", sockets["cluster"]), files=files)
        bench.case("names, gaps and directions", test_names_and_directions, body)
        bench.case("values", test_values, body, panel)
        bench.case("a wire between two guests", test_wire, body, cluster)
        bench.case("interrupts across a wire", test_interrupts, body, cluster, panel)
        bench.case("a conflict", test_conflict, body, panel)
        bench.case("lines of a host's chip", test_host, body, files)


main()
