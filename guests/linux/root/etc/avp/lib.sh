# SPDX-License-Identifier: BSD-3-Clause
# Helpers of the guest's scripts.

# argument NAME: the value of NAME=VALUE on the kernel command line.
argument()
{
	for word in $(cat /proc/cmdline); do
		case $word in
		"$1="*) echo "${word#*=}" ;;
		esac
	done
}

# wait_for TENTHS COMMAND...: until the command succeeds.
wait_for()
{
	tenths=$1
	shift
	until "$@"; do
		[ $tenths -gt 0 ] || return 1
		tenths=$((tenths - 1))
		usleep 100000
	done
}

# Milliseconds since boot.
uptime_ms()
{
	read -r seconds idle </proc/uptime
	echo "${seconds%.*}${seconds#*.}0"
}

# check NAME COMMAND...: runs it and prints "AVP-CHECK NAME ok|fail MILLISECONDS DETAIL".
check()
{
	name=$1
	shift
	start=$(uptime_ms)
	if detail=$("$@" 2>&1); then
		verdict=ok
	else
		verdict=fail
	fi
	echo "AVP-CHECK $name $verdict $(($(uptime_ms) - start)) $(echo "$detail" | tail -n 1)"
	[ $verdict = ok ]
}
