/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers of Linux 7.2 (virtio_rtc, spi-virtio) find missing in 6.12; included before them. */
#ifndef COMPAT_H
#define COMPAT_H

#include <linux/device.h>
#include <linux/pm_wakeup.h>
#include <linux/slab.h>
#include <linux/spi/spi.h>
#include <linux/timekeeping.h>

#define VIRTIO_ID_SPI 45

#ifndef kzalloc_obj
#define kzalloc_obj(object) ((typeof(object) *)kzalloc(sizeof(object), GFP_KERNEL))
#endif

static inline void compat_disable_wakeup(void *dev)
{
	device_init_wakeup(dev, false);
}

static inline int devm_device_init_wakeup(struct device *dev)
{
	device_init_wakeup(dev, true);
	return devm_add_action_or_reset(dev, compat_disable_wakeup, dev);
}

/* 6.12 relates cross-timestamps to CLOCK_REALTIME only, and their struct has no other clock. */
#define ktime_get_snapshot_id(clock, snapshot) ktime_get_snapshot(snapshot)

/*
 * Linux learns from the firmware's tables which chips a controller has, and 6.12 does not look for
 * them at a virtio device: here each chip select gets a chip for user space (/dev/spidevB.C), by
 * one of the names that the spidev driver takes. sysfs can give it to another driver.
 */
static inline int compat_register(struct device *dev, struct spi_controller *controller)
{
	int rc = devm_spi_register_controller(dev, controller);

	for (u16 cs = 0; !rc && cs < controller->num_chipselect; cs++) {
		struct spi_board_info chip = { .modalias = "dh2228fv", .chip_select = cs };

		if (!spi_new_device(controller, &chip))
			dev_warn(dev, "no chip at chip select %u\n", cs);
	}
	return rc;
}
#define devm_spi_register_controller compat_register

#endif
