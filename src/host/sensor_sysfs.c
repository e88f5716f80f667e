/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/sensor_sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define NUMBER_MAX 64u /* bytes of a number in sysfs */
#define ATTR_MAX   128u

/* What a kind of channel measures: unit, and how many of them the kernel's number means (Linux,
 * Documentation/ABI/testing/sysfs-bus-iio and sysfs-class-hwmon). */
struct kind {
	const char *name;
	uint8_t unit;
	double factor;
};

static const struct kind iio_kinds[] = {
	{ "accel", 89, 1 },
	{ "angl", 36, 1 },
	{ "anglvel", 87, 1 },
	{ "current", 6, 1e-3 },
	{ "distance", 31, 1 },
	{ "energy", 8, 1 },
	{ "gravity", 89, 1 },
	{ "humidityrelative", 65, 1e-3 },
	{ "illuminance", 13, 1 },
	{ "magn", 45, 1 },
	{ "power", 7, 1e-3 },
	{ "pressure", 15, 1 },
	{ "proximity", 1, 1 },
	{ "resistance", 49, 1 },
	{ "temp", 2, 1e-3 },
	{ "velocity", 90, 1 },
	{ "voltage", 5, 1e-3 },
	{ NULL, 0, 0 },
};

static const struct kind hwmon_kinds[] = {
	{ "curr", 6, 1e-3 },
	{ "energy", 8, 1e-6 },
	{ "fan", 19, 1 },
	{ "freq", 20, 1 },
	{ "humidity", 65, 1e-3 },
	{ "in", 5, 1e-3 },
	{ "power", 7, 1e-6 },
	{ "temp", 2, 1e-3 },
	{ NULL, 0, 0 },
};

/* Length of the kind in a channel's name: "accel" of "accel_x", "temp" of "temp1". */
static size_t kind_length(const char *channel)
{
	size_t n = 0;

	while (islower((unsigned char)channel[n]))
		n++;
	return n;
}

static const struct kind *find_kind(enum sensor_source source, const char *channel)
{
	size_t n = kind_length(channel);
	const struct kind *k = source == SENSOR_IIO ? iio_kinds : hwmon_kinds;

	for (; k->name; k++)
		if (strlen(k->name) == n && !memcmp(k->name, channel, n))
			return k;
	return NULL;
}

int sysfs_channel_unit(enum sensor_source source, const char *channel, uint8_t *unit)
{
	const struct kind *k = find_kind(source, channel);

	if (!k || strchr(channel, '/'))
		return -EINVAL;
	*unit = k->unit;
	return 0;
}

/* Files. */

/* Reads a short file from its beginning, without the newline. */
static int read_text(int fd, char *buf, size_t len)
{
	ssize_t n = pread(fd, buf, len - 1, 0);

	if (n < 0)
		return -errno;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

static int read_number(int fd, double *v)
{
	char text[NUMBER_MAX], *end;
	int ret = read_text(fd, text, sizeof(text));

	if (ret)
		return ret;
	*v = strtod(text, &end);
	return end == text || *end ? -EIO : 0;
}

/* Opens the attribute `prefix``name``suffix`, with `len` bytes of the name. */
static int open_attr(int dir, const char *prefix, const char *name, size_t len, const char *suffix)
{
	char file[ATTR_MAX];
	int n = snprintf(file, sizeof(file), "%s%.*s%s", prefix, (int)len, name, suffix), fd;

	if (n < 0 || (size_t)n >= sizeof(file))
		return -ENAMETOOLONG;
	fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool has_text(int dir, const char *file, const char *wanted)
{
	char text[SENSOR_NAME_MAX] = "";
	autoclose int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && !read_text(fd, text, sizeof(text)) && !strcmp(text, wanted);
}

/* Devices. */

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Is the device in folder `name` of `dir` the one that is called `wanted`? Returns its folder, or
 * -1. */
static int open_if_called(const char *dir, const char *name, const char *wanted)
{
	char path[PATH_MAX];
	autoclose int fd = -1;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -1;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!strcmp(name, wanted) || has_text(fd, "name", wanted) || has_text(fd, "label", wanted))
		return steal_fd(&fd);
	return -1;
}

/* The folder of the first device that has this name, or -ENODEV. */
static int find_device(const char *dir, const char *wanted)
{
	struct dirent **list;
	int n = scandir(dir, &list, not_hidden, versionsort), fd = -1;

	if (n < 0)
		return -ENODEV;
	for (int i = 0; i < n; i++) {
		if (fd < 0)
			fd = open_if_called(dir, list[i]->d_name, wanted);
		free(list[i]);
	}
	free(list);
	return fd < 0 ? -ENODEV : fd;
}

/* Channels. */

/* A factor or offset of an IIO channel: its own, or that of all channels of its kind; left alone
 * if there is none. */
static int read_iio_factor(int dir, const char *channel, const char *suffix, double *v)
{
	autoclose int fd = open_attr(dir, "in_", channel, strlen(channel), suffix);

	if (fd < 0)
		fd = open_attr(dir, "in_", channel, kind_length(channel), suffix);
	return fd < 0 ? 0 : read_number(fd, v);
}

static int open_iio(struct sysfs_sensor *s, unsigned axis, int dir, const char *channel)
{
	size_t len = strlen(channel);
	int ret;

	/* What the driver has converted already. */
	s->fd[axis] = open_attr(dir, "in_", channel, len, "_input");
	if (s->fd[axis] >= 0)
		return 0;
	s->fd[axis] = open_attr(dir, "in_", channel, len, "_raw");
	if (s->fd[axis] < 0)
		return s->fd[axis];
	ret = read_iio_factor(dir, channel, "_scale", &s->scale[axis]);
	return ret ? ret : read_iio_factor(dir, channel, "_offset", &s->offset[axis]);
}

static int open_hwmon(struct sysfs_sensor *s, unsigned axis, int dir, const char *channel)
{
	s->fd[axis] = open_attr(dir, "", channel, strlen(channel), "_input");
	if (s->fd[axis] < 0)
		s->fd[axis] = open_attr(dir, "", channel, strlen(channel), "_average");
	return s->fd[axis] < 0 ? s->fd[axis] : 0;
}

static int open_channel(struct sysfs_sensor *s, unsigned axis, int dir)
{
	const struct sensor_config *c = s->config;
	char channel[SENSOR_NAME_MAX + 4];
	int ret;

	s->scale[axis] = 1;
	s->offset[axis] = 0;
	if (c->axes > 1)
		snprintf(channel, sizeof(channel), "%s_%c", c->channel, "xyz"[axis]);
	else
		snprintf(channel, sizeof(channel), "%s", c->channel);
	ret = c->source == SENSOR_IIO ? open_iio(s, axis, dir, channel)
				      : open_hwmon(s, axis, dir, channel);
	s->scale[axis] *= find_kind(c->source, c->channel)->factor;
	return ret;
}

int sysfs_sensor_open(
	struct sysfs_sensor *s, const struct sensor_config *c, const char *root, struct err *e)
{
	char path[PATH_MAX];
	autoclose int dir = -1;
	int ret = 0;

	*s = (struct sysfs_sensor){ .config = c, .fd = { -1, -1, -1 }, .open = true };
	snprintf(path, sizeof(path), "%s/%s", root,
		c->source == SENSOR_IIO ? "bus/iio/devices" : "class/hwmon");
	dir = find_device(path, c->device);
	if (dir < 0) {
		sysfs_sensor_close(s);
		return err_set(e, -ENODEV, "there is no device '%s' in %s", c->device, path);
	}
	for (unsigned i = 0; !ret && i < c->axes; i++)
		ret = open_channel(s, i, dir);
	if (ret) {
		sysfs_sensor_close(s);
		return err_sys(e, ret, "device '%s' in %s has no readable channel '%s'%s",
			c->device, path, c->channel, c->axes > 1 ? " with three axes" : "");
	}
	return 0;
}

void sysfs_sensor_close(struct sysfs_sensor *s)
{
	for (unsigned i = 0; s->open && i < SENSOR_AXES_MAX; i++)
		close_fd(&s->fd[i]);
	s->open = false;
}

int sysfs_sensor_read(struct sysfs_sensor *s, int64_t *value, struct err *e)
{
	const struct sensor_config *c = s->config;

	for (unsigned i = 0; i < c->axes; i++) {
		double raw = 0;
		int ret = read_number(s->fd[i], &raw);

		if (!ret)
			ret = sensor_scale(
				(raw + s->offset[i]) * s->scale[i], c->exponent, &value[i]);
		if (ret)
			return err_sys(e, ret, "reading channel '%s' of device '%s'", c->channel,
				c->device);
	}
	return 0;
}
