#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""SCMI through the drivers of a stock arm64 kernel: clocks, power, performance, reset and voltage domains, system power.
Sensors are in test_sensors.py."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import vehicle  # noqa: E402

DEVICE = ["--clocks", "uart rates=24000000/48000000 rate=48000000",
          "--clocks", "camera-pixel-clock-long range=1000000/9000000/500000",
          "--power-domains", "gpu", "--power-domains", "hidden", "--power-domains", "dsp state=on",
          "--perf", "cpu levels=400:50:20/800:210:20/1200:400:20", "--resets", "camera",
          "--voltages", "vdd range=800000/1200000/12500 level=900000 state=on", "--voltages", "vio levels=1800000/3300000",
          "--system-power", "true", "--grants", "*", "--grants", "power:hidden=none"]

# Protocols as our own device tree has them (src/machine/arm64/dtree.c), and what refers to their resources by number.
CELLS = {"11": "#power-domain-cells", "12": None, "13": "#power-domain-cells", "14": "#clock-cells", "16": "#reset-cells",
         "17": None}
PHANDLES = {"11": "71", "14": "74"}
SCMI = "/firmware/scmi"
CONSUMER = "sram@b000000"
DRIVER = "/sys/bus/platform/drivers/sram"


class Tree:
    """A device tree in a file."""

    def __init__(self, path):
        self.path = path

    def node(self, name):
        subprocess.run(["fdtput", "-c", self.path, name], check=True)

    def put(self, kind, node, name, *values):
        subprocess.run(["fdtput", "-t", kind, self.path, node, name, *values], check=True)


def add_protocols(tree):
    tree.node("/firmware")
    tree.node(SCMI)
    tree.put("s", SCMI, "compatible", "arm,scmi-virtio")
    tree.put("u", SCMI, "#address-cells", "1")
    tree.put("u", SCMI, "#size-cells", "0")
    for number, cells in CELLS.items():
        node = f"{SCMI}/protocol@{number}"
        tree.node(node)
        tree.put("x", node, "reg", number)
        if cells:
            tree.put("u", node, cells, "1")
        if number in PHANDLES:
            tree.put("x", node, "phandle", PHANDLES[number])
    regulators = f"{SCMI}/protocol@17/regulators"
    tree.node(regulators)
    tree.put("u", regulators, "#address-cells", "1")
    tree.put("u", regulators, "#size-cells", "0")
    for i in "01":
        tree.node(f"{regulators}/regulator@{i}")
        tree.put("x", f"{regulators}/regulator@{i}", "reg", i)


def add_consumer(tree):
    """A device that needs the first power domain, and the first clock, at 24 MHz: a memory that nobody touches."""
    node = "/" + CONSUMER
    tree.node(node)
    tree.put("s", node, "compatible", "mmio-sram")
    tree.put("x", node, "reg", "0", "b000000", "0", "1000")
    tree.put("x", node, "clocks", PHANDLES["14"], "0")
    tree.put("x", node, "assigned-clocks", PHANDLES["14"], "0")
    tree.put("u", node, "assigned-clock-rates", "24000000")
    tree.put("x", node, "power-domains", PHANDLES["11"], "0")


def device_tree(bench):
    """QEMU's own, with ours in it."""
    path = bench.file("virt.dtb")
    _, program, _, *machine = vehicle.MACHINES["arm64"]
    subprocess.run([*vehicle.qemu(program), *machine[:-3], machine[-3] + f",dumpdtb={path}", *machine[-2:], "-m", "256M",
                    "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-smp", "1", "-display", "none"],
                   check=True, stderr=subprocess.DEVNULL)
    add_protocols(Tree(path))
    add_consumer(Tree(path))
    return path


def tell(scmi, *words):
    """What the operator would say by `avp tell`."""
    answer = scmi.backend.ask("\0".join(["tell", "1", *words]) + "\0", "told")
    vehicle.expect("text" in answer, str(answer))
    return answer["text"]


def shows(scmi, text):
    shown = tell(scmi, "show")
    vehicle.expect(text in shown, f"'{text}' is not in:\n{shown}")


def test_platform(guest, scmi):
    guest.until("dmesg", r"SCMI Protocol v2\.1 'avp:' Firmware version 0x1")
    bad = [line for line in guest.run("dmesg").split("\n") if "scmi" in line.lower() and "module verification" not in line and
           any(word in line.lower() for word in ("fail", "error", "timed out", "malformed", "spurious", "bug"))]
    # Linux complains about what is denied, once.
    vehicle.expect(len(bad) == 1 and "failed to get state for domain 1" in bad[0], "\n".join(bad))


def test_clocks(guest, scmi):
    clk = "/sys/kernel/debug/clk"
    guest.until(f"cat {clk}/uart/clk_rate", r"^24000000$")
    guest.until(f"cat {clk}/uart/clk_enable_count", r"^1$")
    shows(scmi, "clock uart rate=24000000 state=on")
    vehicle.expect(guest.run(f"cat {clk}/camera-pixel-clock-long/clk_rate") == "1000000\n", "the long name's clock")


def test_power_domains(guest, scmi):
    text = guest.run("cat /sys/kernel/debug/pm_genpd/pm_genpd_summary")
    lines = {line.split()[0]: line.split()[1] for line in text.split("\n") if line and len(line.split()) > 1}
    vehicle.expect(lines.get("gpu") == "on" and lines.get("dsp") == "on" and "hidden" not in lines, text)
    shows(scmi, "power gpu state=on")
    # The consumer goes, and with it the need for domain and clock.
    guest.run(f"echo b000000.sram >{DRIVER}/unbind")
    guest.until("grep -w gpu /sys/kernel/debug/pm_genpd/pm_genpd_summary", r"off")
    shows(scmi, "power gpu state=off")
    shows(scmi, "clock uart rate=24000000 state=off")
    guest.run(f"echo b000000.sram >{DRIVER}/bind")
    shows(scmi, "power gpu state=on")


def test_performance(guest, scmi):
    guest.until("ls /sys/kernel/debug/pm_genpd", r"\bcpu_0\b")


def test_denied(guest, scmi):
    event = scmi.backend.wait_for(lambda event: event["event"] == "denied")
    vehicle.expect("of hidden" in event["detail"], str(event))
    vehicle.expect(scmi.backend.stats()["denied"] >= 1, "not counted")


def test_regulators(guest, scmi):
    guest.run("modprobe scmi-regulator")
    path = guest.until("grep -lx vdd /sys/class/regulator/*/name", r"(\S+)/name").group(1)
    vehicle.expect(guest.run(f"cat {path}/microvolts {path}/state") == "900000\nenabled\n", "vdd")
    tell(scmi, "voltage", "vdd", "level", "1100000")
    vehicle.expect(guest.run(f"cat {path}/microvolts") == "1100000\n", "vdd after the platform changed it")
    path = guest.until("grep -lx vio /sys/class/regulator/*/name", r"(\S+)/name").group(1)
    vehicle.expect(guest.run(f"cat {path}/num_users {path}/state") == "0\ndisabled\n", "vio")


def test_many_commands(guest, scmi):
    before = scmi.backend.stats()["commands"]
    guest.run("for i in $(seq 50); do cat /sys/class/regulator/*/microvolts; done >/dev/null")
    stats = scmi.backend.stats()
    vehicle.expect(stats["commands"] > before + 50, f"{stats}, {before} before")


def test_shutdown(guest, scmi):
    # After three quarters of the time Linux does it without asking its processes, of which there is no init here.
    guest.run("modprobe scmi_power_control")
    vehicle.expect(tell(scmi, "shutdown", "graceful", "4s") == "told scmi\n", "Linux does not listen")
    start = time.monotonic()
    guest.process.wait(vehicle.COMMAND_S)
    print(f"# off {time.monotonic() - start:.1f} s after it was told to")


def main():
    with vehicle.Bench(sys.argv[1]) as bench:
        scmi = bench.device("scmi", *DEVICE)
        guest = bench.guest(scmi, arch="arm64", options=["-dtb", device_tree(bench)])
        guest.run("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug")
        guest.run("modprobe scmi_transport_virtio")
        bench.case("the platform is found, without complaints", test_platform, guest, scmi)
        bench.case("clocks have their rates", test_clocks, guest, scmi)
        bench.case("power domains go on and off", test_power_domains, guest, scmi)
        bench.case("performance domains are there", test_performance, guest, scmi)
        bench.case("what is denied is recorded", test_denied, guest, scmi)
        bench.case("regulators follow the platform", test_regulators, guest, scmi)
        bench.case("many commands", test_many_commands, guest, scmi)
        bench.case("the guest shuts down when it is told to", test_shutdown, guest, scmi)


main()
