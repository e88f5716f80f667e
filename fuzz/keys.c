/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets a device up with keys that the fuzzer makes. See keys.h. */
#include "keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "virtio/device.h"

#define FILE_NAME "data"
#define ROUNDS	  8u

/* No path but that of the file, no sensor of the host, no interface of it. */
static bool harmless(const char *key, const char *value)
{
	static const char *const out[] = { "/", "..", "iio", "hwmon", "@" };

	for (unsigned i = 0; i < ARRAY_LEN(out); i++)
		if (strstr(value, out[i]))
			return false;
	for (const char *f = value; (f = strstr(f, "file=")); f++)
		if (strncmp(f + 5, FILE_NAME, strlen(FILE_NAME)) != 0)
			return false;
	return strcmp(key, "host") != 0;
}

static void set(struct vdev *dev, char *line)
{
	char *value = strchr(line, '=');
	const struct opt *o;
	struct err e = { 0 };

	if (!value)
		return;
	*value++ = '\0';
	o = opt_find(dev->cls->opts, line);
	if (!harmless(line, value))
		return;
	if (opt_set(dev->cls->opts, dev, line, o && o->type == OPT_PATH ? FILE_NAME : value, &e) &&
		!e.msg[0])
		fuzz_fail("a key was refused without a reason");
}

static void set_all(struct vdev *dev, char *text)
{
	char *at;

	for (char *l = strtok_r(text, "\n", &at); l; l = strtok_r(NULL, "\n", &at))
		set(dev, l);
}

static void run(struct vdev *dev, struct ev_loop *loop)
{
	struct err e = { 0 };

	if (opt_check(dev->cls->opts, dev, &e) || vdev_init(dev, loop, fuzz_log(), &e)) {
		if (!e.msg[0])
			fuzz_fail("a device was refused without a reason");
		return;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		fuzz_clock_advance(1000000000);
		ev_run_once(loop, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memmem(data, size, "\n\n", 2);
	struct fuzz_in in = { data, end ? (size_t)(end - data) : size };
	autofree char *text = fuzz_text(&in);
	struct ev_loop *loop;
	struct vdev *dev;

	if (!text || chdir(fuzz_folder()) ||
		fuzz_file(
			FILE_NAME, end ? end + 2 : data, end ? size - (size_t)(end + 2 - data) : 0))
		return 0;
	fuzz_clock_start();
	if (ev_loop_create(&loop))
		abort();
	if (!vdev_new(&dev, vdev_class_find(fuzz_keys_type), NULL)) {
		set_all(dev, text);
		run(dev, loop);
		vdev_destroy(dev);
	}
	ev_loop_destroy(loop);
	fuzz_clock_stop();
	return 0;
}
