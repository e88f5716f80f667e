/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of a host's GPIO chip, which the kernel simulates: gpio-sim, set up through configfs, whose
 * sysfs files are the world outside the chip. Skipped without it; tests/interop runs this in a
 * guest that has it.
 */
#include <errno.h>
#include <gpiod.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "devices/devices.h"
#include "lib/vhud_server.h"
#include "lines.h"
#include "tap.h"

#define CONFIG "/sys/kernel/config/gpio-sim/avp"
#define LABEL  "avp-test"
#define LINES                                                                                      \
	"a chip:" LABEL "/0,b chip:" LABEL "/b,reset chip:" LABEL "/2 out=1,"                      \
	"low chip:" LABEL "/3 active-low,up chip:" LABEL "/4 pull=up,od chip:" LABEL               \
	"/5 open-drain"

static char sysfs[128]; /* of the chip */

static bool put(const char *path, const char *text)
{
	autofclose FILE *f = fopen(path, "we");

	return f && fputs(text, f) >= 0 && !fflush(f);
}

static bool get(const char *path, char *buf, size_t size)
{
	autofclose FILE *f = fopen(path, "re");

	if (!f || !fgets(buf, (int)size, f))
		return false;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

/* The chip appears, or vanishes. */
static bool live(bool on)
{
	char device[40], chip[40];

	if (!put(CONFIG "/live", on ? "1" : "0"))
		return false;
	if (on && (!get(CONFIG "/dev_name", device, sizeof(device)) ||
			  !get(CONFIG "/bank/chip_name", chip, sizeof(chip))))
		return false;
	if (on)
		snprintf(sysfs, sizeof(sysfs), "/sys/devices/platform/%s/%s", device, chip);
	return true;
}

static bool set_up(void)
{
	mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	return !mkdir(CONFIG, 0755) && !mkdir(CONFIG "/bank", 0755) &&
	       put(CONFIG "/bank/num_lines", "8") && put(CONFIG "/bank/label", LABEL) &&
	       !mkdir(CONFIG "/bank/line1", 0755) && put(CONFIG "/bank/line1/name", "b") &&
	       live(true);
}

/* What the world outside does to a line, and sees on it. */
static bool pull(unsigned line, bool up)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/sim_gpio%u/pull", sysfs, line);
	return put(path, up ? "pull-up" : "pull-down");
}

static int seen(unsigned line)
{
	char path[200], text[8];

	snprintf(path, sizeof(path), "%s/sim_gpio%u/value", sysfs, line);
	return get(path, text, sizeof(text)) ? text[0] - '0' : -1;
}

struct rig {
	struct vhud_server srv;
	struct vhud *d;
	struct vdev_watcher watcher;
	char event[40];
	uint16_t *line;
	uint8_t *status;
};

static void on_event(
	struct vdev_watcher *w, const struct vdev *dev, const char *event, const char *detail)
{
	struct rig *r = container_of(w, struct rig, watcher);

	printf("# event %s %s\n", event, detail);
	snprintf(r->event, sizeof(r->event), "%s", event);
}

static void set_watcher(void *arg)
{
	struct rig *r = arg;

	r->srv.dev->watcher = &r->watcher;
}

static bool rig_open(struct tap *t, struct rig *r)
{
	const struct vhud_opts opts = { .features = F_IRQ, .nqueues = 2 };

	memset(r, 0, sizeof(*r));
	r->watcher.event = on_event;
	if (!CHECK_EQ(t, vhud_serve(&r->srv, &vdev_gpio, "lines", LINES, NULL), 0))
		return false;
	vhud_serve_call(&r->srv, set_watcher, r);
	r->d = vhud_open(r->srv.path);
	if (!CHECK_EQ(t, vhud_start(r->d, &opts), 0))
		return false;
	r->line = vhud_alloc(r->d, 2);
	r->status = vhud_alloc(r->d, 1);
	return true;
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
}

static void unmask(struct tap *t, struct rig *r, uint16_t line)
{
	struct iovec iov[2] = { { r->line, 2 }, { r->status, 1 } };

	*r->line = line;
	*r->status = 0xa5;
	CHECK_EQ(t, vhud_add(r->d, EVENTQ, iov, 1, 1, NULL), 0);
	vhud_kick(r->d, EVENTQ);
}

static bool returned(struct tap *t, struct rig *r, uint8_t status)
{
	return CHECK_EQ(t, vhud_wait(r->d, EVENTQ, NULL, NULL, WAIT_MS), 1) &&
	       CHECK_EQ(t, *r->status, status);
}

static bool quiet(struct tap *t, struct rig *r)
{
	return CHECK_EQ(t, vhud_wait(r->d, EVENTQ, NULL, NULL, 50), 0);
}

static void input(struct tap *t)
{
	struct rig r;

	REQUIRE(t, rig_open(t, &r));
	for (uint16_t i = 0; i < 2; i++) {
		/* Not in use: its level can be asked for all the same. */
		CHECK(t, pull(i, true));
		CHECK_EQ(t, gpio_level(r.d, i), 1);
		CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, i, IN), OK);
		CHECK_EQ(t, gpio_level(r.d, i), 1);
		CHECK(t, pull(i, false));
		CHECK_EQ(t, gpio_level(r.d, i), 0);
	}
	CHECK(t, pull(3, false));
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 3, IN), OK);
	CHECK_EQ(t, gpio_level(r.d, 3), 1);
	/* The chip's own pull-up. */
	CHECK(t, pull(4, false));
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 4, IN), OK);
	CHECK_EQ(t, gpio_level(r.d, 4), 1);
	rig_close(&r);
}

static void output(struct tap *t)
{
	struct rig r;

	CHECK(t, pull(0, false) && pull(2, false));
	REQUIRE(t, rig_open(t, &r));
	CHECK_EQ(t, seen(2), 1); /* safe from the start */
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 1), OK);
	CHECK_EQ(t, seen(0), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, seen(0), 1);
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 0), OK);
	CHECK_EQ(t, seen(0), 0);
	/* There and back. */
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), OK);
	CHECK(t, pull(0, true));
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, seen(0), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 2, OUT), OK);
	CHECK_EQ(t, seen(2), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 2, NONE), OK);
	CHECK_EQ(t, seen(2), 1);
	rig_close(&r);
}

static void interrupts(struct tap *t)
{
	struct rig r;

	CHECK(t, pull(0, false));
	REQUIRE(t, rig_open(t, &r));
	for (uint32_t type = RISING; type <= HIGH; type++) {
		CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), OK);
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, type), OK);
		unmask(t, &r, 0);
		CHECK(t, quiet(t, &r));
		CHECK(t, pull(0, true));
		if (type == FALLING)
			CHECK(t, quiet(t, &r));
		else
			CHECK(t, returned(t, &r, VALID));
		if (type != FALLING)
			unmask(t, &r, 0);
		if (type == HIGH && returned(t, &r, VALID))
			unmask(t, &r, 0);
		if (type == HIGH)
			CHECK(t, returned(t, &r, VALID));
		CHECK(t, pull(0, false));
		if (type == FALLING || type == BOTH)
			CHECK(t, returned(t, &r, VALID));
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, 0), OK);
		if (type == RISING)
			CHECK(t, returned(t, &r, INVALID));
	}
	/* The level can be asked for while edges are watched; active-low turns them round. */
	CHECK(t, pull(3, true));
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 3, RISING), OK);
	CHECK_EQ(t, gpio_level(r.d, 3), 0);
	CHECK(t, pull(3, false));
	CHECK_EQ(t, gpio_level(r.d, 3), 1);
	unmask(t, &r, 3);
	CHECK(t, returned(t, &r, VALID));
	rig_close(&r);
}

/* Somebody else has the line. */
static void busy(struct tap *t)
{
	struct gpiod_chip *chip = gpiod_chip_open_lookup(LABEL);
	struct gpiod_line *line = chip ? gpiod_chip_get_line(chip, 0) : NULL;
	struct rig r;

	REQUIRE(t, line && !gpiod_line_request_input(line, "other"));
	REQUIRE(t, rig_open(t, &r));
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), ERR);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), NONE << 8);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), ERR);
	CHECK_EQ(t, gpio_level(r.d, 0), -1);
	gpiod_chip_close(chip);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), OK);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "host_errors") >= 3, 1);
	rig_close(&r);
}

static bool event_comes(struct rig *r, const char *event)
{
	for (unsigned i = 0; i < 1000 && strcmp(r->event, event) != 0; i++)
		usleep(10000);
	return !strcmp(r->event, event);
}

static void chip_vanishes(struct tap *t)
{
	struct rig r;

	CHECK(t, pull(0, false));
	REQUIRE(t, rig_open(t, &r));
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 1, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, OUT), OK);
	CHECK(t, live(false));
	CHECK(t, event_comes(&r, "host-gone"));
	CHECK_EQ(t, gpio_level(r.d, 0), -1);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 1, 0), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 4, IN), ERR);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 1, 0), OUT << 8);
	unmask(t, &r, 0);
	CHECK(t, quiet(t, &r));
	CHECK(t, live(true));
	CHECK(t, event_comes(&r, "host-back"));
	CHECK_EQ(t, seen(1), 1);
	CHECK_EQ(t, seen(2), 1);
	CHECK(t, pull(0, true));
	CHECK(t, returned(t, &r, VALID));
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	/* While nobody uses a line, too. */
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, 0), OK);
	CHECK(t, live(false));
	CHECK(t, event_comes(&r, "host-gone"));
	CHECK(t, live(true));
	CHECK(t, event_comes(&r, "host-back"));
	rig_close(&r);
}

/* The same in a process of its own, in its jail, which no chip can be opened from again. */
static void jailed(struct tap *t)
{
	const struct vhud_opts opts = { .features = F_IRQ, .nqueues = 2 };
	struct vhud_proc p;
	struct rig r = { .event = "" };

	CHECK(t, pull(0, false));
	if (!getenv("AVP")) {
		tap_skip(t, "AVP is not set");
		return;
	}
	REQUIRE(t, !vhud_spawn(&p, "gpio", "--lines", LINES, NULL));
	r.d = vhud_open(p.path);
	REQUIRE(t, r.d && !vhud_start(r.d, &opts));
	r.line = vhud_alloc(r.d, 2);
	r.status = vhud_alloc(r.d, 1);
	CHECK_EQ(t, seen(2), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 1, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, OUT), OK);
	CHECK_EQ(t, seen(1), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, IN), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, NONE), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 4, IN), OK);
	CHECK_EQ(t, gpio_level(r.d, 4), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, BOTH), OK);
	unmask(t, &r, 0);
	CHECK(t, pull(0, true));
	CHECK(t, returned(t, &r, VALID));
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	CHECK(t, live(false));
	for (unsigned i = 0; i < 500 && gpio_level(r.d, 0) >= 0; i++)
		usleep(10000);
	CHECK(t, live(true));
	usleep(2500000); /* it looks every second */
	CHECK_EQ(t, gpio_level(r.d, 0), -1);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 2, 0), NONE << 8);
	vhud_close(r.d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

static void refused(struct tap *t)
{
	static const struct {
		const char *lines, *says;
	} bad[] = {
		{ "a chip:" LABEL "/8", "lines 0 to 7" },
		{ "a chip:" LABEL "/c", "has no line 'c'" },
		{ "a chip:" LABEL "/1,b chip:" LABEL "/b", "used twice" },
		{ "a chip:" LABEL "x/1", "cannot open" },
	};
	struct ev_loop *loop;

	REQUIRE(t, !ev_loop_create(&loop));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		struct vdev *dev;

		REQUIRE(t, !vdev_new(&dev, &vdev_gpio, &e));
		CHECK_EQ(t, opt_set(vdev_gpio.opts, dev, "lines", bad[i].lines, &e), 0);
		if (!CHECK(t, vdev_init(dev, loop, NULL, &e) < 0) ||
			!CHECK(t, strstr(e.msg, bad[i].says)))
			printf("# '%s': %s\n", bad[i].lines, e.msg);
		vdev_destroy(dev);
	}
	ev_loop_destroy(loop);
}

static void no_chip(struct tap *t)
{
	tap_skip(t, "this kernel has no gpio-sim");
}

int main(void)
{
	struct tap t = { 0 };

	if (!set_up()) {
		TAP_RUN(&t, no_chip);
		return tap_done(&t);
	}
	TAP_RUN(&t, refused);
	TAP_RUN(&t, input);
	TAP_RUN(&t, output);
	TAP_RUN(&t, interrupts);
	TAP_RUN(&t, busy);
	TAP_RUN(&t, chip_vanishes);
	TAP_RUN(&t, jailed);
	live(false);
	rmdir(CONFIG "/bank/line1");
	rmdir(CONFIG "/bank");
	rmdir(CONFIG);
	return tap_done(&t);
}
