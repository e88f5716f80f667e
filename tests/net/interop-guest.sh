# SPDX-License-Identifier: BSD-3-Clause
# Runs in both guests of interop.py: Linux's own driver on our network device, two guests on one switch. Each line
# "CHECK name" is one check that held; the first that does not ends the run.
set -e
pass()
{
	echo "CHECK $1"
}

read -r line </proc/cmdline
me=${line##*avp.me=}
me=${me%% *}
peer=$((3 - me))

[ "$(cat /sys/class/net/eth0/address)" = "02:00:00:00:00:0$me" ]
ip link set eth0 up
ip addr add 10.0.0.$me/24 dev eth0
pass "guest $me: the interface is up"

if [ $me = 1 ]; then
	avp-guest echo-serve tcp:any:5000 1 >/dev/null &
fi
tries=0
until ping -c 1 -W 1 10.0.0.$peer >/dev/null; do
	tries=$((tries + 1))
	[ $tries -lt 60 ]
done
ping -c 5 -i 0.2 -s 1400 10.0.0.$peer >/dev/null
ping -c 3 -i 0.2 -s 6000 10.0.0.$peer >/dev/null
pass "guest $me: pings its neighbour, in one frame and in fragments"

if [ $me = 1 ]; then
	wait
else
	tries=0
	until avp-guest echo tcp:10.0.0.1:5000 8192; do
		tries=$((tries + 1))
		[ $tries -lt 10 ]
		sleep 1
	done
fi
pass "guest $me: 8 MiB there and back over TCP"
[ "$(cat /sys/class/net/eth0/statistics/rx_errors)" = 0 ]
[ "$(cat /sys/class/net/eth0/statistics/rx_dropped)" = 0 ]
pass "guest $me: no receive errors"
