# SPDX-License-Identifier: BSD-3-Clause
# Runs in the guest of interop.py: Linux's own driver on our entropy device. Each line "CHECK name" is one check
# that held; the first that does not ends the run.
set -e
pass()
{
	echo "CHECK $1"
}

read_some()
{
	dd if=/dev/hwrng bs=4096 count=$1 2>/dev/null | sha256sum
}

driver=/sys/bus/virtio/drivers/virtio_rng
device=$(basename $(readlink -f /sys/class/misc/hw_random/device 2>/dev/null || echo $driver/virtio*))
[ -e $driver/$device ] || device=$(cd $driver && echo virtio*)
[ "$(cat /sys/class/misc/hw_random/rng_current)" = virtio_rng.0 ]
pass "the driver finds the device"

[ "$(cut -c33 /sys/bus/virtio/devices/$device/features)" = 1 ]
pass "VERSION_1 is agreed"

[ "$(read_some 16)" != "$(read_some 16)" ]
pass "random bytes"

# Unbinding resets the device: QEMU stops the ring and starts it from the beginning.
for i in 1 2 3 4 5; do
	echo $device >$driver/unbind
	echo $device >$driver/bind
	[ "$(read_some 4)" != "$(read_some 4)" ]
done
pass "after the driver was unbound and bound, five times"
