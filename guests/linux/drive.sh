# SPDX-License-Identifier: BSD-3-Clause
# What the vehicle guests of examples/gateway-linux.yaml do in place of everything else: avp.role=gateway or avp.role=cluster on
# the command line. They are guests/ecu/gateway.c and cluster.c with Linux's drivers and tools.
. /etc/avp/lib.sh
END=7F0

up()
{
	wait_for 300 test -e "/sys/class/net/$1" && ip link set "$1" up
}

# Somebody listens to the interface, by a filter of this kind.
heard()
{
	grep -q "^ *$1 " "/proc/net/can/rcvlist_$2"
}

# The end of the drive, however long it takes.
wait_for_end()
{
	candump -n 1 "$1,$END:7FF" >/dev/null
	sleep 1 # what is still on its way
}

gateway()
{
	up can0 && up can1 || return 1
	candump -L can0 >/run/all &
	candump -L can0,0C9:7FF,120:7FE,$END:7FF | tee /run/passed | canplayer -t can1=can0 &
	for list in all sff fil; do
		wait_for 300 heard can0 $list
	done
	echo "gateway: ready"
	wait_for_end can0
	passed=$(wc -l </run/passed)
	echo "gateway: drive over, forwarded $passed frames, blocked $(($(wc -l </run/all) - passed))"
}

# A little-endian number of so many bytes in hexadecimal digits.
number()
{
	digits=$1 number=
	while [ "$digits" ]; do
		number=${digits:0:2}$number
		digits=${digits:2}
	done
	number=$((0x$number))
}

# signal NAME UNIT SCALE DATA: value, number and time of measurement (guests/ecu/signals.h).
signal()
{
	number "${4:0:8}"; value=$((number * $3))
	number "${4:16:16}"; time=$number
	printf 'cluster: %s %d.%02d %s, measured at %d.%09d s\n' "$1" $((value / 100)) $((value % 100)) "$2" \
		$((time / 1000000000)) $((time % 1000000000))
}

show_lamp()
{
	while read -r line; do
		case $line in
		*RISING*) echo "cluster: brake lamp on" ;;
		*FALLING*) echo "cluster: brake lamp off" ;;
		esac
	done
}

show_frames()
{
	speeds=0 coolants=0 engines=0 lost=0
	while read -r _ _ frame; do
		data=${frame#*#}
		case $frame in
		0C9#*) engines=$((engines + 1)) ;;
		120#*)
			number "${data:10:8}"; lost=$((lost + number - speeds)); speeds=$((number + 1))
			signal speed m/s 1 "${data:2}" ;;
		121#*) coolants=$((coolants + 1)); signal coolant C 10 "${data:2}" ;;
		$END#*) break ;;
		esac
	done
	echo "cluster: drive over, got $((speeds - lost)) of speed, $coolants of coolant, $engines of the engine, $lost lost"
}

cluster()
{
	up can0 || return 1
	mkfifo /run/frames
	candump -L can0 >/run/frames &
	gpiomon -b gpiochip0 0 | show_lamp &
	exec 4</run/frames
	wait_for 300 heard can0 all
	echo "cluster: ready"
	show_frames <&4
}

modprobe can-raw
$(argument avp.role)
