/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/evdev.h"

#include <errno.h>
#include <libevdev/libevdev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "host/hostdev.h"

/* Events read before other work of the loop gets a turn. */
#define TURN_MAX 256u

struct evdev {
	char *path;
	bool grab;
	struct ev_loop *loop;
	struct evdev_events on;
	const struct log *log;
	int fd;		      /* -1: gone */
	struct libevdev *lib; /* what it is, also while it is gone */
	struct ev_fd watch;
	struct hostdev node; /* which opens it again */
	struct log_limit complaints;
};

static int grab(const struct evdev *dev, struct libevdev *lib, struct err *e)
{
	int r = dev->grab ? libevdev_grab(lib, LIBEVDEV_GRAB) : 0;

	return r ? err_sys(e, r, "grabbing the input device %s (does somebody else have it?)",
			   dev->path)
		 : 0;
}

/* Makes sure that the node is one of evdev's, and asks it what it has. */
static int identify(const struct evdev *dev, int fd, struct libevdev **lib, struct err *e)
{
	int version, r;

	if (ioctl(fd, EVIOCGVERSION, &version))
		return err_set(e, -ENOTTY,
			"%s is no input device; wanted is one of /dev/input/event*", dev->path);
	r = libevdev_new_from_fd(fd, lib);
	if (r)
		return err_sys(e, r, "asking the input device %s what it has", dev->path);
	r = grab(dev, *lib, e);
	if (r) {
		libevdev_free(*lib);
		*lib = NULL;
	}
	return r;
}

static void lose(struct evdev *dev, const char *why)
{
	ev_fd_del(&dev->watch);
	close_fd(&dev->fd);
	hostdev_lost(&dev->node, 0);
	dev->on.present(dev->on.arg, false, why);
}

static void report(const struct evdev *dev, const struct input_event *ev)
{
	dev->on.event(dev->on.arg, ev->type, ev->code, ev->value);
}

/* What libevdev says after the kernel dropped events: those that lead to the state as it is. */
static int resync(struct evdev *dev)
{
	struct input_event ev;
	int r;

	while ((r = libevdev_next_event(dev->lib, LIBEVDEV_READ_FLAG_SYNC, &ev)) ==
		LIBEVDEV_READ_STATUS_SYNC)
		report(dev, &ev);
	return r == -EAGAIN ? 0 : r;
}

static void readable(void *arg, uint32_t events)
{
	struct evdev *dev = arg;
	struct input_event ev;
	int r = 0;

	for (unsigned i = 0; i < TURN_MAX && r >= 0; i++) {
		r = libevdev_next_event(dev->lib, LIBEVDEV_READ_FLAG_NORMAL, &ev);
		if (r == LIBEVDEV_READ_STATUS_SUCCESS)
			report(dev, &ev);
		else if (r == LIBEVDEV_READ_STATUS_SYNC)
			r = resync(dev);
	}
	if (r < 0 && r != -EAGAIN && r != -EINTR)
		lose(dev, strerror(-r));
}

/* From nothing to the state as it is. */
static void report_state(const struct evdev *dev)
{
	static const uint16_t types[] = { EV_KEY, EV_SW };
	int slots = libevdev_get_num_slots(dev->lib);

	for (unsigned t = 0; t < ARRAY_LEN(types); t++)
		for (int c = 0; c <= libevdev_event_type_get_max(types[t]); c++)
			if (libevdev_get_event_value(dev->lib, types[t], (unsigned)c))
				dev->on.event(dev->on.arg, types[t], (uint16_t)c, 1);
	for (unsigned c = 0; c < ABS_MT_SLOT; c++)
		if (libevdev_has_event_code(dev->lib, EV_ABS, c))
			dev->on.event(dev->on.arg, EV_ABS, (uint16_t)c,
				libevdev_get_event_value(dev->lib, EV_ABS, c));
	for (int s = 0; s < slots; s++) {
		if (libevdev_get_slot_value(dev->lib, (unsigned)s, ABS_MT_TRACKING_ID) < 0)
			continue;
		dev->on.event(dev->on.arg, EV_ABS, ABS_MT_SLOT, s);
		for (unsigned c = ABS_MT_TOUCH_MAJOR; c <= ABS_MT_TOOL_Y; c++)
			if (libevdev_has_event_code(dev->lib, EV_ABS, c))
				dev->on.event(dev->on.arg, EV_ABS, (uint16_t)c,
					libevdev_get_slot_value(dev->lib, (unsigned)s, c));
	}
	if (slots > 0)
		dev->on.event(
			dev->on.arg, EV_ABS, ABS_MT_SLOT, libevdev_get_current_slot(dev->lib));
	dev->on.event(dev->on.arg, EV_SYN, SYN_REPORT, 0);
}

void evdev_start(struct evdev *dev)
{
	int r;

	report_state(dev);
	r = ev_fd_add(dev->loop, &dev->watch, dev->fd, EPOLLIN, readable, dev);
	if (r)
		lose(dev, strerror(-r));
}

/* Another device at the same path is not the one that went: the guest was told what that had. */
static bool same(struct libevdev *a, struct libevdev *b)
{
	for (unsigned type = 0; type < EV_CNT; type++) {
		int max = libevdev_event_type_get_max(type);

		for (int c = 0; c <= max; c++)
			if (libevdev_has_event_code(a, type, (unsigned)c) !=
				libevdev_has_event_code(b, type, (unsigned)c))
				return false;
	}
	return !strcmp(libevdev_get_name(a), libevdev_get_name(b)) &&
	       libevdev_get_id_bustype(a) == libevdev_get_id_bustype(b) &&
	       libevdev_get_id_vendor(a) == libevdev_get_id_vendor(b) &&
	       libevdev_get_id_product(a) == libevdev_get_id_product(b);
}

/* Its node is not what was opened, although nothing was read from it. */
static void node_gone(void *arg, unsigned i)
{
	struct evdev *dev = arg;

	if (dev->fd >= 0)
		lose(dev, strerror(ENODEV));
}

/* What is at the path now is not to be used. It is looked at again: it may change once more. */
static void reject(struct evdev *dev, int fd, const char *why)
{
	if (log_allowed(&dev->complaints, 1))
		log_warn(dev->log, "%s", why);
	close(fd);
	hostdev_lost(&dev->node, 0);
}

static void node_back(void *arg, unsigned i, int fd)
{
	struct evdev *dev = arg;
	struct libevdev *lib = NULL;
	struct err e = { 0 };

	if (!identify(dev, fd, &lib, &e) && !same(dev->lib, lib))
		err_set(&e, -ENODEV, "%s is '%s' now, another device than before; it is not used",
			dev->path, libevdev_get_name(lib));
	if (e.code) {
		libevdev_free(lib);
		reject(dev, fd, e.msg);
		return;
	}
	libevdev_free(dev->lib);
	dev->lib = lib;
	dev->fd = fd;
	dev->on.present(dev->on.arg, true, libevdev_get_name(lib));
	evdev_start(dev);
}

static const struct hostdev_events node_events = { .gone = node_gone, .back = node_back };

static int open_all(struct evdev *dev, struct err *e)
{
	const char *const path = dev->path;
	int r;

	if (!path)
		return err_set(e, -ENOMEM, "out of memory for an input device");
	r = hostdev_open(&dev->node, &path, 1, &dev->fd, e);
	if (!r)
		r = identify(dev, dev->fd, &dev->lib, e);
	return r ? r : hostdev_watch(&dev->node, dev->loop, &node_events, dev, e);
}

int evdev_open(struct evdev **out, const char *path, bool grab_it, struct ev_loop *loop,
	const struct evdev_events *events, const struct log *log, struct err *e)
{
	struct evdev *dev = calloc(1, sizeof(*dev));
	int r;

	if (!dev)
		return err_set(e, -ENOMEM, "out of memory for the input device %s", path);
	*dev = (struct evdev){ .path = strdup(path),
		.grab = grab_it,
		.loop = loop,
		.on = *events,
		.log = log,
		.fd = -1 };
	r = open_all(dev, e);
	if (r) {
		evdev_close(dev);
		return r;
	}
	*out = dev;
	return 0;
}

void evdev_close(struct evdev *dev)
{
	if (!dev)
		return;
	hostdev_close(&dev->node);
	ev_fd_del(&dev->watch);
	libevdev_free(dev->lib);
	close_fd(&dev->fd);
	free(dev->path);
	free(dev);
}

const char *evdev_name(const struct evdev *dev)
{
	return libevdev_get_name(dev->lib);
}

const char *evdev_serial(const struct evdev *dev)
{
	const char *uniq = libevdev_get_uniq(dev->lib);

	return uniq ? uniq : "";
}

struct input_id evdev_ids(const struct evdev *dev)
{
	return (struct input_id){
		.bustype = (uint16_t)libevdev_get_id_bustype(dev->lib),
		.vendor = (uint16_t)libevdev_get_id_vendor(dev->lib),
		.product = (uint16_t)libevdev_get_id_product(dev->lib),
		.version = (uint16_t)libevdev_get_id_version(dev->lib),
	};
}

bool evdev_has(const struct evdev *dev, unsigned type, unsigned code)
{
	return libevdev_has_event_code(dev->lib, type, code);
}

bool evdev_has_property(const struct evdev *dev, unsigned prop)
{
	return libevdev_has_property(dev->lib, prop);
}

struct input_absinfo evdev_abs(const struct evdev *dev, unsigned code)
{
	return *libevdev_get_abs_info(dev->lib, code);
}

void evdev_send(struct evdev *dev, uint16_t type, uint16_t code, int32_t value)
{
	const struct input_event ev[] = { { .type = type, .code = code, .value = value },
		{ .type = EV_SYN, .code = SYN_REPORT } };

	if (dev->fd >= 0 && write(dev->fd, ev, sizeof(ev)) < 0 && log_allowed(&dev->complaints, 1))
		log_warn(
			dev->log, "writing to the input device %s: %s", dev->path, strerror(errno));
}
