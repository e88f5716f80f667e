#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Debian's stock kernel with its own watchdog driver, on the board: a program feeds the watchdog for longer than it
lasts, is stopped, and the guest is restarted. usage: test_watchdog.py AVP x86-64|arm64"""
import os
import shutil
import subprocess
import sys
import tempfile

import arm64
import guests

AVP, ARCH = os.path.abspath(sys.argv[1]), sys.argv[2]
LIMIT = 400
# The small x86-64 kernel of Debian has no i6300esb.
DEBIAN, PACKAGE, CONSOLE, DRIVER = {
    "x86-64": ("amd64", "linux-image-amd64", "ttyS0", "i6300ESB timer"),
    "arm64": ("arm64", "linux-image-arm64", "ttyAMA0", "SBSA Generic Watchdog"),
}[ARCH]
SECONDS = 10  # until the watchdog bites; feeding takes longer
SCRIPT = f"""
echo "DRIVER $(cat /sys/class/watchdog/watchdog0/identity)"
if [ "$(head -c 5 /dev/vda)" = again ]; then
	echo SECOND BOOT
	exit 0
fi
printf again | dd of=/dev/vda conv=fsync,notrunc 2>/dev/null
watchdog -F -T {SECONDS} -t 1 /dev/watchdog0 &
sleep {SECONDS + 3}
echo FED
kill -STOP $!
sleep {6 * SECONDS}
echo NOT BITTEN
"""
SYSTEM = f"""vms:
  linux:
    memory: 192M
    boot: {{kernel: vmlinuz, initrd: initrd, cmdline: "console={CONSOLE} quiet panic=-1"}}
    serial: linux.log
    devices: [{{type: blk, image: linux.img}}]
    watchdog: {{action: restart}}
"""


def prepare(folder):
    env = dict(os.environ, AVP_GUEST_KERNEL=PACKAGE)
    linux = os.path.join(guests.ROOT, "guests/linux")
    with open(f"{folder}/script", "w", encoding="ascii") as f:
        f.write(SCRIPT)
    with open(f"{folder}/initrd", "wb") as f:
        subprocess.run([f"{linux}/pack", "--arch", DEBIAN, f"{folder}/script"], stdout=f, env=env, check=True)
    built = subprocess.run([f"{linux}/build", "--arch", DEBIAN], stdout=subprocess.PIPE, text=True, env=env, check=True)
    shutil.copy(f"{built.stdout.split()[-1]}/vmlinuz", folder)
    with open(f"{folder}/linux.img", "wb") as f:
        f.truncate(1 << 20)
    with open(f"{folder}/linux.yaml", "w", encoding="ascii") as f:
        f.write(SYSTEM)


def bitten(folder):
    """The whole story, in the guest's words and in avp's."""
    prepare(folder)
    env = arm64.environment(folder) if ARCH == "arm64" else dict(os.environ, XDG_RUNTIME_DIR=folder)
    run = subprocess.run([AVP, "run", f"{folder}/linux.yaml"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="replace", timeout=LIMIT, check=False,
                         env=env)
    guests.expect(os.path.exists(f"{folder}/linux.log"), f"exit status {run.returncode}:\n{run.stdout}")
    with open(f"{folder}/linux.log", encoding="ascii", errors="replace") as f:
        said = [line for line in f.read().splitlines() if line.split(" ")[0] in ("DRIVER", "FED", "NOT", "SECOND", "AVP-TEST")]
    guests.expect(said == [f"DRIVER {DRIVER}", "FED", f"DRIVER {DRIVER}", "SECOND BOOT", "AVP-TEST exit 0"],
                  f"the guest said {said};\n{run.stdout}")
    for words in ("linux: warn: watchdog expired: restart", "CPU 0: ",
                  "linux: its watchdog expired; restarted in 0.1 s (failure 1 of at most 5)"):
        guests.expect(words in run.stdout, f"'{words}' is not in\n{run.stdout}")
    guests.expect(run.returncode == 0, f"exit status {run.returncode}:\n{run.stdout}")


def main():
    if ARCH == "arm64":
        arm64.need_board()
    else:
        guests.need_board()
    tap = guests.Tap()
    with tempfile.TemporaryDirectory(prefix="avp-watchdog-") as folder:
        tap.run(f"{DRIVER}: not fed, restarted", bitten, folder)
    tap.done()


if __name__ == "__main__":
    main()
