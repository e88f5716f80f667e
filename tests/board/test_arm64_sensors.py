#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two stock Linux guests on the arm64 board that share an SCMI platform: scmi-hwmon and scmi_iio show each what it was
granted, and both get the rows of one recording with the same time stamps. usage: test_arm64_sensors.py AVP"""
import os
import shutil
import struct
import sys
import tempfile
import time

import arm64
import guests

sys.path.insert(0, os.path.join(guests.ROOT, "tests/lib"))
import vehicle  # noqa: E402

AVP = os.path.abspath(sys.argv[1])
LIMIT_S = 400  # on a machine that is busy with other things
ROWS = 50
SYSTEM = """grace: 60s
vms:
  cluster:
    memory: 224M
    boot: {kernel: vmlinuz, initrd: initrd, cmdline: "console=ttyAMA0 quiet panic=-1"}
    serial: cluster.log
    devices: [{type: console}, {type: scmi, platform: vehicle, grants: ["sensor:coolant", "sensor:accel=read",
          "power:gpu", "voltage:vdd=read", "system"]}]
  gateway:
    memory: 224M
    boot: {kernel: vmlinuz, initrd: initrd, cmdline: "console=ttyAMA0 quiet panic=-1"}
    serial: gateway.log
    devices: [{type: console}, {type: scmi, platform: vehicle, grants: ["sensor:*", "clock", "power"]}]
scmi-platforms:
  vehicle:
    clocks: ["uart rates=24000000/48000000"]
    power-domains: ["camera state=on", "gpu"]
    voltages: ["vio levels=1800000", "vdd range=800000/1200000/12500 level=900000 state=on"]
    system-power: true
    replay: drive.csv
    replay-loop: true
    sensors:
      - "coolant unit=celsius exponent=-1 source=replay column=coolant"
      - "battery unit=volt exponent=-3 value=12.6"
      - "accel unit=meter-per-second-squared exponent=-2 axes=3 interval=10ms source=replay column=accel_x/accel_y/accel_z"
"""


def labels(guest):
    return set(guest.run("cat /sys/class/hwmon/hwmon*/*_label").split())


def each_sees_what_it_was_granted(cluster, gateway):
    for guest in cluster, gateway:
        guest.run("modprobe scmi_transport_virtio && modprobe scmi-hwmon && modprobe scmi_iio")
        guest.until("cat /sys/bus/iio/devices/*/name", "^accel$")
    guests.expect(labels(cluster) == {"coolant"}, labels(cluster))
    guests.expect(labels(gateway) == {"coolant", "battery"}, labels(gateway))


def the_operator_decides(system, cluster, gateway):
    def input_of(guest, label):
        return guest.run(f"f=$(grep -lx {label} /sys/class/hwmon/hwmon*/*_label); cat ${{f%_label}}_input").strip()

    guests.expect(input_of(gateway, "battery") == "12600", "the battery has not 12.6 V")
    system.ask(cmd="tell", name="vehicle", words=["sensor", "battery", "value", "11.9"])
    guests.expect(input_of(gateway, "battery") == "11900", "the battery has not 11.9 V")
    system.ask(cmd="tell", name="vehicle", words=["sensor", "coolant", "value", "104"])
    for guest in cluster, gateway:
        guests.expect(input_of(guest, "coolant") == "104000", "the coolant has not 104 degrees")
    system.ask(cmd="tell", name="vehicle", words=["sensor", "coolant", "follow"])


def start_capture(guest):
    guest.run("cd /sys/bus/iio/devices/iio:device0; for f in scan_elements/*_en; do echo 1 >$f; done; echo 256 >buffer/length; "
              "echo 100 >in_accel_sampling_frequency; echo 1 >buffer/enable")
    guest.start(f"dd if=/dev/iio:device0 bs=32 count={ROWS} 2>/dev/null | hexdump -v -e '32/1 \"%02x\" \"\\n\"'")


def finish_capture(guest):
    """Values by time stamp."""
    status, text = guest.finish(LIMIT_S)
    guests.expect(status == 0, text)
    data = bytes.fromhex("".join(text.split()))
    samples = [struct.unpack_from("<4q", data, at) for at in range(0, len(data), 32)]
    return {s[3]: s[:3] for s in samples}


def both_get_the_same_rows_at_the_same_time(cluster, gateway):
    start_capture(cluster)
    start_capture(gateway)
    a, b = finish_capture(cluster), finish_capture(gateway)
    both = sorted(set(a) & set(b))
    print(f"# {len(both)} of {ROWS} rows are in both captures")
    guests.expect(len(a) > ROWS - 2 and len(both) > ROWS // 2, f"stamps {sorted(a)} and {sorted(b)}")
    guests.expect(all(a[stamp] == b[stamp] for stamp in both), "one time, two values")
    gaps = [(y - x) / 1e6 for x, y in zip(both, both[1:])]
    guests.expect(90 < sum(gaps) / len(gaps) < 110, f"rows are {gaps} ms apart, not 100")


def domains(guest):
    lines = guest.run("cat /sys/kernel/debug/pm_genpd/pm_genpd_summary").split("\n")
    return {line.split()[0]: line.split()[1] for line in lines if line.startswith(("gpu", "camera"))}


def one_platform_two_views(system, cluster, gateway):
    """Our device tree has the protocols of each; what Linux has built in needs no more."""
    for guest in cluster, gateway:
        guest.run("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug")
    guests.expect(list(domains(cluster)) == ["gpu"], domains(cluster))
    guests.expect(set(domains(gateway)) == {"gpu", "camera"} and domains(gateway)["camera"] == "on", domains(gateway))
    tree = "/proc/device-tree/firmware/scmi"
    guests.expect(set(cluster.run(f"cd {tree}; echo protocol@*").split()) == {f"protocol@{n}" for n in (11, 12, 15, 17)},
                  cluster.run(f"ls {tree}"))
    guests.expect(set(gateway.run(f"cd {tree}; echo protocol@*").split()) == {f"protocol@{n}" for n in (11, 14, 15)},
                  gateway.run(f"ls {tree}"))
    guests.expect(gateway.run("cat /sys/kernel/debug/clk/uart/clk_rate") == "24000000\n", "the clock has not 24 MHz")
    system.ask(cmd="tell", name="vehicle", words=["clock", "uart", "rate", "48000000"])
    gateway.until("cat /sys/kernel/debug/clk/uart/clk_rate", "^48000000$")
    cluster.run("modprobe scmi-regulator")
    path = cluster.until("grep -lx vdd /sys/class/regulator/*/name", r"(\S+)/name").group(1)
    guests.expect(cluster.run(f"cat {path}/microvolts {path}/state") == "900000\nenabled\n", "vdd")


def one_guest_shuts_down(system, cluster):
    cluster.run("modprobe scmi_power_control")
    told = system.ask(cmd="tell", name="cluster/scmi0", words=["shutdown", "graceful", "8s"])
    guests.expect("told cluster" in str(told), told)
    deadline = time.monotonic() + LIMIT_S
    while True:
        states = {vm["name"]: vm["state"] for vm in system.ask(cmd="ps")["vms"]}
        if states["cluster"] not in ("running", "stopping"):
            break
        guests.expect(time.monotonic() < deadline, f"the guest does not end: {states}")
        time.sleep(0.5)
    guests.expect(states["gateway"] == "running", states)


def main():
    arm64.need_board()
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-sensors-", dir="/var/tmp") as folder, \
            tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        vehicle.image(folder, "arm64")
        shutil.copy(f"{guests.ROOT}/examples/drive.csv", folder)
        with open(f"{folder}/sensors.yaml", "w", encoding="ascii") as f:
            f.write(SYSTEM)
        os.environ.update(arm64.environment(folder))
        system = guests.System(AVP, f"{folder}/sensors.yaml", folder, ("--board", "arm64"), log)
        try:
            system.wait_running(LIMIT_S)
            shells = [vehicle.Shell(system.stream(cmd="console", vm=name), LIMIT_S) for name in ("cluster", "gateway")]
            tap.run("each guest sees what it was granted", each_sees_what_it_was_granted, *shells)
            tap.run("the operator decides", the_operator_decides, system, *shells)
            tap.run("both get the same rows at the same time", both_get_the_same_rows_at_the_same_time, *shells)
            tap.run("one platform, two views of it", one_platform_two_views, system, *shells)
            tap.run("one of them shuts down when it is told to", one_guest_shuts_down, system, shells[0])
        except guests.Failure as e:
            print(f"# {e}")
            tap.failed += 1
        finally:
            system.end()
        log.seek(0)
        for line in log.read().splitlines() if tap.failed else ():
            print(f"# {line}")
    tap.done()


if __name__ == "__main__":
    main()
