/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the block device. The image keeps what earlier inputs wrote. */
#include <string.h>

#include "device.h"
#include "devices/devices.h"

#define IMAGE_SIZE (256u << 10)

static const char *const *const setups[] = {
	(const char *const[]){ "image", "@disk", "serial", "fuzz", NULL },
	(const char *const[]){ "image", "@disk", "readonly", "true", NULL },
	(const char *const[]){ "image", "@disk", "queues", "2", "cache", "writethrough",
		"secure-erase", "overwrite", NULL },
	(const char *const[]){ "image", "@disk", "block-size", "4096", "discard", "false", NULL },
	NULL,
};

static int prepare(void)
{
	static uint8_t image[IMAGE_SIZE];

	memset(image, 0x5a, sizeof(image));
	return fuzz_file("disk", image, sizeof(image));
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_blk, .guests = 1, .setups = setups, .prepare = prepare
};
