# SPDX-License-Identifier: BSD-3-Clause
# Runs in the guest of interop.py: Linux's own driver on our block devices. Each line "CHECK name" is one check
# that held; the first that does not ends the run.
set -e
pass()
{
	echo "CHECK $1"
}

disk=/sys/block/vda
[ "$(cat $disk/size)" = 131072 ]
[ "$(cat $disk/serial)" = AVP-INTEROP ]
[ "$(ls $disk/mq | wc -l)" -ge 1 ]
[ "$(cat $disk/cache_type)" = "write back" ]
pass "the driver sees size, serial number and write cache"

avp-guest disk /dev/vda 48
pass "written, flushed and read back past the cache"

echo "write through" >$disk/cache_type
[ "$(cat $disk/cache_type)" = "write through" ]
avp-guest disk /dev/vda 8
pass "the same with the cache switched to write through"

for i in 0 1 2 3; do
	(
		dd if=/dev/urandom of=/run/part$i bs=1M count=4 2>/dev/null
		dd if=/run/part$i of=/dev/vda bs=64k seek=$((i * 64)) conv=fsync,notrunc 2>/dev/null
	) &
done
wait
echo 3 >/proc/sys/vm/drop_caches
for i in 0 1 2 3; do
	[ "$(dd if=/dev/vda bs=1M skip=$((i * 4)) count=4 2>/dev/null | sha256sum)" = "$(sha256sum </run/part$i)" ]
done
echo "SUM $(cat /run/part0 /run/part1 /run/part2 /run/part3 | sha256sum)"
pass "four writers at once"

[ "$(cat $disk/queue/discard_max_bytes)" -gt 0 ]
[ "$(cat $disk/queue/write_zeroes_max_bytes)" -gt 0 ]
blkdiscard -o $((32 << 20)) -l $((16 << 20)) /dev/vda
pass "discard"

mount -t ext4 /dev/vdb /mnt
avp-guest soak /mnt/soak 8 2
umount /mnt
mount -t ext4 /dev/vdb /mnt
[ -s /mnt/soak ]
umount /mnt
pass "an ext4 file system under random direct writes"

[ "$(cat /sys/block/vdc/ro)" = 1 ]
! dd if=/dev/zero of=/dev/vdc bs=512 count=1 conv=fsync 2>/dev/null
[ "$(dd if=/dev/vdc bs=1M 2>/dev/null | sha256sum | cut -d' ' -f1)" = "$(cat /readonly.sum)" ]
pass "a read-only disk"
