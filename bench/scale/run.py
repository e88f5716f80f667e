#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many virtual machines on one computer: what each process needs of memory and of processor time while its guest sleeps, and
how long the n-th takes to start.

Each guest uses its devices once (a block, a frame, random bytes, ...) and then sleeps for ever. The VMs are started one after
the other, so that the n-th one starts beside n - 1 that sleep. usage: run.py AVP GUEST [VMS...]
"""
import os
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/scale"))
from sleepers import System, measure  # noqa: E402

SIZES = [1, 8, 32, 64]
SETTLE_S = 2
IDLE_S = 10


def report(vms, table, starts):
    for kind, (memory, wakes, cpu) in table.items():
        print(f"{vms:4} {kind:14} {len(memory):4} {statistics.median(memory):9.0f} {max(memory):9.0f} "
              f"{statistics.mean(wakes):10.2f} {max(wakes):8.2f} {statistics.mean(cpu):10.3f}")
    if starts:
        part = max(1, min(8, len(starts) // 2))
        print(f"{vms:4} start, ms: {statistics.median(starts[:part]):.1f} (median of the second to VM {part + 1}), "
              f"{statistics.median(starts[-part:]):.1f} (of the last {part})", flush=True)


def run(avp, guest, vms):
    """One system; prints what all of its processes need once all VMs were started."""
    with tempfile.TemporaryDirectory(prefix="avp-scale-") as folder:
        os.chmod(folder, 0o755)
        with System(avp, guest, folder, vms) as system:
            starts = system.start_all()
            time.sleep(SETTLE_S)
            report(vms, measure(system, IDLE_S), starts)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    avp, guest = (os.path.abspath(path) for path in sys.argv[1:3])
    print(f"{'VMs':>4} {'process':14} {'n':>4} {'KiB (PSS)':>9} {'max':>9} {'wake-ups/s':>10} {'max':>8} {'CPU ms/s':>10}")
    for vms in map(int, sys.argv[3:] or SIZES):
        run(avp, guest, vms)


if __name__ == "__main__":
    main()
