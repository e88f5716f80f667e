# SPDX-License-Identifier: BSD-3-Clause
"""What the tests on the arm64 board share: where its avp is, a system of control units."""
import os
import shutil
import subprocess

import guests

BUILD = os.environ.get("AVP_ARM64_BUILD", os.path.join(guests.ROOT, "build-arm64"))


def need_board():
    """Skips, with the reason, where the board cannot be built."""
    if not shutil.which("qemu-system-aarch64"):
        guests.skip_all("no qemu-system-aarch64")
    if not os.path.exists(os.path.join(BUILD, "avp")):
        guests.skip_all(f"no avp for arm64 in {BUILD}: make arm64 builds it")


def environment(runtime):
    return dict(os.environ, XDG_RUNTIME_DIR=runtime, AVP_BOARD_AVP=os.path.join(BUILD, "avp"))


def on_board(avp, runtime, command, limit, *options):
    """Runs a program in the board; its status, and output and errors as text."""
    done = subprocess.run([avp, "board", "--arch", "arm64", *options, "--", *command], env=environment(runtime),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=limit, check=False)
    return done.returncode, done.stdout
