/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the clock device. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ NULL },
	(const char *const[]){ "clocks", "utc,tai,monotonic,utc-maybe-smeared,smeared-noon",
		"leap-seconds", "@leap", "counter", "x86-tsc", NULL },
	(const char *const[]){ "clocks", "utc,monotonic", "state", "@alarms", NULL },
	(const char *const[]){
		"clocks", "smeared-sls", "leap-seconds", "@leap", "alarm", "false", NULL },
	NULL,
};

static int prepare(void)
{
	/* In seconds since 1900; the last one is a leap that comes while inputs run. */
	static const char leap[] = "#$ 3945196800\n#@ 4102444800\n2272060800 10\n3692217600 11\n"
				   "3958998400 12\n";

	return fuzz_file("leap", leap, strlen(leap));
}

static int forget_alarms(struct fuzz_bed *b)
{
	autofree char *path = fuzz_path("alarms");

	if (path)
		unlink(path);
	return 0;
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_rtc, .guests = 1, .setups = setups, .prepare = prepare, .open = forget_alarms
};
