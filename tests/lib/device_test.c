/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/device_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/util.h"

#define WAIT_MS 20000
#define STEP_MS 10

void device_refused(struct tap *t, const struct vdev_class *cls, const char *const base[2],
	const char *key, const char *value, const char *reason)
{
	struct vdev *dev = NULL;
	struct err e = { 0 };

	CHECK_EQ(t, vdev_new(&dev, cls, &e), 0);
	if (base)
		CHECK_EQ(t, opt_set(cls->opts, dev, base[0], base[1], &e), 0);
	CHECK_EQ(t, opt_set(cls->opts, dev, key, value, &e), 0);
	CHECK(t, vdev_init(dev, NULL, NULL, &e) < 0);
	if (!CHECK(t, strstr(e.msg, reason)))
		printf("# '%s' is not in '%s'\n", reason, e.msg);
	vdev_destroy(dev);
}

static void note(
	struct vdev_watcher *w, const struct vdev *dev, const char *event, const char *detail)
{
	struct device_events *ev = container_of(w, struct device_events, watcher);
	size_t len = strlen(ev->text);

	snprintf(ev->text + len, sizeof(ev->text) - len, "%s %s\n", event, detail);
}

struct watch {
	struct vdev *dev;
	struct device_events *ev;
};

static void watch(void *arg)
{
	struct watch *w = arg;

	*w->ev = (struct device_events){ .watcher.event = note };
	w->dev->watcher = &w->ev->watcher;
}

void device_watch(struct vhud_server *srv, struct device_events *ev)
{
	vhud_serve_call(srv, watch, &(struct watch){ srv->dev, ev });
}

struct look {
	const struct device_events *ev;
	const char *text;
	bool found;
};

static void look(void *arg)
{
	struct look *l = arg;

	l->found = strstr(l->ev->text, l->text);
}

bool device_reports(struct vhud_server *srv, struct device_events *ev, const char *text)
{
	struct look l = { ev, text, false };

	for (unsigned ms = 0; !l.found && ms < WAIT_MS; ms += STEP_MS) {
		vhud_serve_call(srv, look, &l);
		if (!l.found)
			usleep(STEP_MS * 1000);
	}
	return l.found;
}

void device_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		exit(1);
	close(fd);
}
