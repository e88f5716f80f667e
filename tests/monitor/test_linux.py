#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Debian's stock kernel in the monitor, two virtual CPUs, on both transports side by side: drivers bind, data comes
back, power-off ends it. On the host's KVM, or on the board where there is none."""
import os
import shutil
import subprocess
import tempfile

AVP = os.environ["AVP"]
GUESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "guests", "linux")
TRANSPORTS = ("pci", "mmio")
WANTED = ("DEVICE 0x0003 virtio_console 0x0000000f", "DEVICE 0x0002 virtio_blk 0x0000000f",
          "DEVICE 0x0004 virtio_rng 0x0000000f", "CPUS 2", "DISK same", "RNG ok", "AVP-TEST exit 0")
SCRIPT = """
for d in /sys/bus/virtio/devices/*; do
	echo "DEVICE $(cat $d/device) $(readlink $d/driver | sed s,.*/,,) $(cat $d/status)"
done
echo "CPUS $(grep -c ^processor /proc/cpuinfo)"
dd if=/dev/urandom of=/run/x bs=64k count=16 && dd if=/run/x of=/dev/vda bs=64k conv=fsync &&
	echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/vda of=/run/y bs=64k count=16 && cmp /run/x /run/y &&
	echo "DISK same"
for p in /sys/class/virtio-ports/*; do
	[ "$(cat $p/name)" = data ] && echo "through the data port" >/dev/${p##*/}
done
dd if=/dev/hwrng of=/run/z bs=64 count=1 && echo "RNG ok"
"""


def system_file():
    text = "vms:\n"
    for t in TRANSPORTS:
        text += f"""  {t}:
    memory: 192M
    transport: {t}
    cpus: {{count: 2}}
    boot: {{kernel: vmlinuz, initrd: initrd, cmdline: "console=hvc0 quiet panic=-1"}}
    devices: [{{type: console, host: file, path: {t}.txt, ports: ["data=file:{t}.data"]}}, {{type: blk, image: {t}.img}}, {{type: rng}}]
"""
    return text


def prepare(folder):
    with open(f"{folder}/script", "w", encoding="ascii") as f:
        f.write(SCRIPT)
    with open(f"{folder}/initrd", "wb") as f:
        subprocess.run([f"{GUESTS}/pack", f"{folder}/script"], stdout=f, stderr=subprocess.PIPE, check=True)
    built = subprocess.run([f"{GUESTS}/build"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
    shutil.copy(f"{built}/vmlinuz", folder)
    for t in TRANSPORTS:
        with open(f"{folder}/{t}.img", "wb") as f:
            f.truncate(4 << 20)
    with open(f"{folder}/linux.yaml", "w", encoding="ascii") as f:
        f.write(system_file())


def skip_reason():
    if not shutil.which("qemu-system-x86_64"):
        return "no qemu-system-x86_64 for the board"
    return None


def main():
    skip = skip_reason()
    if skip:
        print(f"1..0 # SKIP {skip}")
        return 0
    failed, n = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        run = subprocess.run([AVP, "run", f"{folder}/linux.yaml"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
                             env=dict(os.environ, XDG_RUNTIME_DIR=folder))
        for t in TRANSPORTS:
            try:
                with open(f"{folder}/{t}.txt", encoding="ascii", errors="replace") as f:
                    lines = f.read().splitlines()
            except FileNotFoundError:
                lines = []
            for wanted in WANTED:
                n += 1
                ok = wanted in lines
                failed += not ok
                print(f"{'' if ok else 'not '}ok {n} - {t}: {wanted}")
            n += 1
            with open(f"{folder}/{t}.data", "rb") as f:
                ok = f.read() == b"through the data port\n"
            failed += not ok
            print(f"{'' if ok else 'not '}ok {n} - {t}: a data port of the console")
        n += 1
        failed += run.returncode != 0
        print(f"{'not ' if run.returncode else ''}ok {n} - exit status {run.returncode}")
        if failed:
            print("# " + "\n# ".join(run.stdout.splitlines()))
    print(f"1..{n}")
    return failed > 0


raise SystemExit(main())
