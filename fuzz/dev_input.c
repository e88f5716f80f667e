/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the input device; events come from the operator's words and a recording. */
#include <string.h>

#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ NULL },
	(const char *const[]){
		"profile", "touchscreen", "size", "800x480", "slots", "3", "queue", "64", NULL },
	(const char *const[]){ "profile", "rotary", "codes", "KEY_POWER", "codes",
		"ABS_X min=0 max=1023", "devids", "3:1234:5678:1", NULL },
	(const char *const[]){ "replay", "@script", "replay-loop", "true", "serial", "1", NULL },
	NULL,
};

static int prepare(void)
{
	static const char script[] = "0.0 key KEY_A\n0.5 key KEY_B down\n1.0 key KEY_B up\n";

	return fuzz_file("script", script, strlen(script));
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_input, .guests = 1, .setups = setups, .prepare = prepare
};
