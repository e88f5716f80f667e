/* SPDX-License-Identifier: BSD-3-Clause */
/* Loop devices and file systems on them, for tests; only root may set them up. */
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "base/util.h"

/* A loop device on `path`; its number, or -1 where that is not allowed. */
static inline int loop_attach(const char *path, int *loop_fd)
{
	autoclose int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	autoclose int backing = open(path, O_RDWR | O_CLOEXEC);
	struct loop_config c = { .fd = (uint32_t)backing, .info.lo_flags = LO_FLAGS_AUTOCLEAR };

	for (unsigned i = 0; control >= 0 && i < 10; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);
		char dev[32];

		snprintf(dev, sizeof(dev), "/dev/loop%d", n);
		*loop_fd = n < 0 ? -1 : open(dev, O_RDWR | O_CLOEXEC);
		if (*loop_fd < 0)
			return -1;
		if (!ioctl(*loop_fd, LOOP_CONFIGURE, &c))
			return n;
		close_fd(loop_fd);
	}
	return -1;
}

/* A file system of its own, in a mount namespace that ends with this program. */
static inline bool mount_ext4(char *folder, const char *image)
{
	char command[160], dev[32];
	int loop_fd = -1, n;

	snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 %s 32M",
		image);
	if (!mkdtemp(folder) || system(command) || unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	n = loop_attach(image, &loop_fd);
	snprintf(dev, sizeof(dev), "/dev/loop%d", n);
	n = n < 0 ? -1 : mount(dev, folder, "ext4", 0, NULL);
	close_fd(&loop_fd);
	return !n;
}
