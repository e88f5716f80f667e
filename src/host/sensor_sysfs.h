/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's sensors as Linux shows them in sysfs: Industrial I/O and hardware monitoring. Reading
 * one may take as long as its bus does, so that this is for a process of its own (`avp sensors`).
 */
#pragma once

#include "host/sensor.h"

/* A sensor's files. Zero-initialised; private fields. */
struct sysfs_sensor {
	const struct sensor_config *config;
	int fd[SENSOR_AXES_MAX];       /* valid if `open` */
	double scale[SENSOR_AXES_MAX]; /* to the unit, with the offset added before */
	double offset[SENSOR_AXES_MAX];
	bool open;
};

/* The unit in which a channel of iio or hwmon measures, by its name: "accel_x", "temp1". -EINVAL
 * for a kind of channel that is not known. */
int sysfs_channel_unit(enum sensor_source source, const char *channel, uint8_t *unit);
/* Finds and opens the files of the sensor `c` below `root`. -ENODEV: no such device; -ENOENT: no
 * such channel; -EIO: a file has no number; with a reason. */
int sysfs_sensor_open(
	struct sysfs_sensor *s, const struct sensor_config *c, const char *root, struct err *e);
/* Idempotent. */
void sysfs_sensor_close(struct sysfs_sensor *s);
/* Measures all axes. -errno with a reason: the device is gone or failed. */
int sysfs_sensor_read(struct sysfs_sensor *s, int64_t *value, struct err *e);
