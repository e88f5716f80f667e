# SPDX-License-Identifier: BSD-3-Clause
# Runs in the guests of interop.py: Linux's own drivers on our socket and entropy devices. Each line "CHECK name" is
# one check that held; the first that does not ends the run.
. /etc/avp/lib.sh
set -e
pass()
{
	echo "CHECK $1"
}

if [ "$(argument role)" = server ]; then
	avp-guest echo-serve vsock:any:7000 1
	pass "the other guest came"
	exit 0
fi

[ "$(cat /sys/class/misc/hw_random/rng_current)" = virtio_rng.0 ]
avp-guest rng /dev/hwrng 4096
pass "random bytes through /dev/hwrng"

avp-guest echo-serve vsock:any:7001 1 &
avp-guest echo vsock:2:5000 4096
pass "stream to the host"

/interop-seq 2 5001
pass "messages to the host, polled together with a pipe"

! /interop-seq 2 5999 2>/dev/null
pass "no listener on the host: refused"

! /interop-seq 5 7000 2>/dev/null
pass "a guest that is not among the peers: refused"

avp-guest echo vsock:4:7000 2048
pass "stream to the other guest"

wait
pass "the host called and went"
