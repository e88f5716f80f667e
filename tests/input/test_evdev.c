/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices of the host: the kernel's evdev, with devices that are made by uinput. It skips where
 * there is no /dev/uinput; tests/input/test_evdev_board.py runs it on the board's kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "devices/devices.h"
#include "events.h"
#include "lib/vhud_server.h"

#define BUFFERS 60u
#define NODE	"/dev/input/event"

/* A device of this kernel, and our driver of the device that a guest sees of it. */
struct bed {
	int ui;
	char node[64];
	struct vhud_server srv;
	struct vhud *d;
};

/* The number of the input device, from its folder in sysfs: the node that is not there yet comes.
 */
static bool find_node(struct bed *b)
{
	char name[32] = "", command[200];
	FILE *f;

	if (ioctl(b->ui, UI_GET_SYSNAME(sizeof(name)), name) < 0)
		return false;
	snprintf(command, sizeof(command), "ls /sys/devices/virtual/input/%s | grep event", name);
	f = popen(command, "r");
	if (!f || fscanf(f, "event%31s", name) != 1)
		name[0] = 0;
	if (f)
		pclose(f);
	snprintf(b->node, sizeof(b->node), NODE "%s", name);
	for (unsigned i = 0; i < 200 && access(b->node, R_OK | W_OK); i++)
		usleep(10000);
	return name[0] && !access(b->node, R_OK | W_OK);
}

static bool set_axis(int ui, unsigned code, int max)
{
	struct uinput_abs_setup abs = { .code = (uint16_t)code,
		.absinfo = { .maximum = max, .resolution = 7 } };

	return ioctl(ui, UI_SET_ABSBIT, code) >= 0 && ioctl(ui, UI_ABS_SETUP, &abs) >= 0;
}

/* A panel with a key, an LED and two contacts. */
static bool plug(struct bed *b, const char *name)
{
	static const unsigned axes[][2] = { { ABS_X, 799 }, { ABS_MT_SLOT, 1 },
		{ ABS_MT_TRACKING_ID, 65535 }, { ABS_MT_POSITION_X, 799 } };
	struct uinput_setup setup = { .id = { BUS_USB, 0x1234, 0x5678, 3 } };
	bool ok = true;

	b->ui = open("/dev/uinput", O_RDWR | O_CLOEXEC);
	if (b->ui < 0)
		return false;
	snprintf(setup.name, sizeof(setup.name), "%s", name);
	ok = ioctl(b->ui, UI_SET_EVBIT, EV_KEY) >= 0 &&
	     ioctl(b->ui, UI_SET_KEYBIT, KEY_MENU) >= 0 &&
	     ioctl(b->ui, UI_SET_KEYBIT, KEY_HOME) >= 0 &&
	     ioctl(b->ui, UI_SET_EVBIT, EV_LED) >= 0 &&
	     ioctl(b->ui, UI_SET_LEDBIT, LED_MUTE) >= 0 &&
	     ioctl(b->ui, UI_SET_EVBIT, EV_ABS) >= 0 &&
	     ioctl(b->ui, UI_SET_PROPBIT, INPUT_PROP_DIRECT) >= 0;
	for (unsigned i = 0; i < ARRAY_LEN(axes); i++)
		ok = ok && set_axis(b->ui, axes[i][0], (int)axes[i][1]);
	return ok && ioctl(b->ui, UI_DEV_SETUP, &setup) >= 0 && ioctl(b->ui, UI_DEV_CREATE) >= 0 &&
	       find_node(b);
}

static void unplug(struct bed *b)
{
	close_fd(&b->ui);
}

static void happen(struct bed *b, uint16_t type, uint16_t code, int32_t value)
{
	struct input_event ev = { .type = type, .code = code, .value = value };

	if (write(b->ui, &ev, sizeof(ev)) != sizeof(ev))
		printf("# uinput: %s\n", strerror(errno));
}

static void key(struct bed *b, uint16_t code, int32_t value)
{
	happen(b, EV_KEY, code, value);
	happen(b, EV_SYN, SYN_REPORT, 0);
}

/* Whether this event comes, maybe behind others. */
static bool comes(struct bed *b, uint16_t type, uint16_t code, int32_t value)
{
	struct event ev;

	for (unsigned i = 0; i < BUFFERS; i++) {
		if (!event_next(b->d, &ev, VHUD_TIMEOUT_MS))
			return false;
		if (ev.type == type && ev.code == code && ev.value == value)
			return true;
	}
	return false;
}

/* A guest's device of it, with one more key ("grab", ...). */
static bool open_bed(struct tap *t, struct bed *b, const char *key1, const char *value1)
{
	*b = (struct bed){ .ui = -1 };
	if (!CHECK(t, plug(b, "avp test panel")))
		return false;
	if (!CHECK(t, !vhud_serve(&b->srv, &vdev_input, "host", b->node, "profile", "host", key1,
			      value1, NULL)))
		return false;
	b->d = vhud_open(b->srv.path);
	CHECK_EQ(t, vhud_start(b->d, &(struct vhud_opts){ .nqueues = 2 }), 0);
	return true;
}

static void close_bed(struct bed *b)
{
	vhud_close(b->d);
	vhud_serve_end(&b->srv);
	unplug(b);
}

static unsigned query(struct bed *b, uint8_t select, uint8_t subsel, uint8_t data[128])
{
	uint8_t size = 0xff;

	vhud_config_write(b->d, 0, &select, 1);
	vhud_config_write(b->d, 1, &subsel, 1);
	vhud_config_read(b->d, 2, &size, 1);
	vhud_config_read(b->d, 8, data, 128);
	return size;
}

static void mirrors_what_it_has(struct tap *t)
{
	static const uint8_t ids[] = { BUS_USB, 0, 0x34, 0x12, 0x78, 0x56, 3, 0 };
	uint8_t data[128];
	int32_t a[5];
	struct bed b;

	if (!open_bed(t, &b, NULL, NULL))
		return;
	CHECK_EQ(t, query(&b, 1, 0, data), 14);
	CHECK(t, !memcmp(data, "avp test panel", 14));
	CHECK_EQ(t, query(&b, 3, 0, data), 8);
	CHECK(t, !memcmp(data, ids, 8));
	CHECK_EQ(t, query(&b, 0x10, 0, data), 1);
	CHECK_EQ(t, data[0], 1 << INPUT_PROP_DIRECT);
	CHECK_EQ(t, query(&b, 0x11, EV_KEY, data), KEY_MENU / 8 + 1);
	CHECK(t,
		data[KEY_MENU / 8] == 1 << KEY_MENU % 8 && data[KEY_HOME / 8] == 1 << KEY_HOME % 8);
	CHECK_EQ(t, query(&b, 0x11, EV_LED, data), 1);
	CHECK_EQ(t, query(&b, 0x12, ABS_X, data), 20);
	memcpy(a, data, sizeof(a));
	CHECK(t, a[0] == 0 && a[1] == 799 && a[4] == 7);
	CHECK_EQ(t, query(&b, 0x12, ABS_Y, data), 0);
	close_bed(&b);
}

static void events_arrive(struct tap *t)
{
	struct bed b;

	if (!open_bed(t, &b, NULL, NULL))
		return;
	event_offer(b.d, BUFFERS);
	key(&b, KEY_MENU, 1);
	key(&b, KEY_MENU, 0);
	EXPECT(t, &b, { EV_KEY, KEY_MENU, 1 }, SYN, { EV_KEY, KEY_MENU, 0 }, SYN);
	happen(&b, EV_ABS, ABS_MT_SLOT, 1);
	happen(&b, EV_ABS, ABS_MT_TRACKING_ID, 5);
	happen(&b, EV_ABS, ABS_MT_POSITION_X, 300);
	happen(&b, EV_SYN, SYN_REPORT, 0);
	EXPECT(t, &b, { EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_TRACKING_ID, 5 },
		{ EV_ABS, ABS_MT_POSITION_X, 300 }, SYN);
	close_bed(&b);
}

/* The kernel keeps a few dozen events for a reader that is slow; what they led to arrives. */
static void lost_events_are_made_up_for(struct tap *t)
{
	struct event ev = { 0 };
	bool home = false, menu = true;
	struct bed b;

	if (!open_bed(t, &b, NULL, NULL))
		return;
	event_offer(b.d, BUFFERS);
	for (unsigned i = 0; i < 2000; i++)
		key(&b, KEY_MENU, i % 2 ? 0 : 1);
	key(&b, KEY_HOME, 1);
	while (!home || menu) {
		REQUIRE(t, event_next(b.d, &ev, VHUD_TIMEOUT_MS));
		home = ev.type == EV_KEY && ev.code == KEY_HOME ? ev.value : home;
		menu = ev.type == EV_KEY && ev.code == KEY_MENU ? ev.value : menu;
		event_offer(b.d, 1);
	}
	close_bed(&b);
}

/* Whether another reader on the host gets a key. */
static bool others_see_it(struct bed *b)
{
	int fd = open(b->node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool seen;

	event_offer(b->d, 4);
	key(b, KEY_MENU, 1);
	key(b, KEY_MENU, 0);
	seen = poll(&p, 1, 100) == 1;
	close(fd);
	return seen;
}

static void shares_or_grabs(struct tap *t)
{
	struct event ev;
	struct bed b;

	if (!open_bed(t, &b, "grab", "false"))
		return;
	CHECK(t, others_see_it(&b));
	CHECK(t, event_next(b.d, &ev, VHUD_TIMEOUT_MS));
	close_bed(&b);
	if (!open_bed(t, &b, "grab", "true"))
		return;
	CHECK(t, !others_see_it(&b));
	CHECK(t, event_next(b.d, &ev, VHUD_TIMEOUT_MS));

	struct vhud_server second;

	CHECK(t, vhud_serve(&second, &vdev_input, "host", b.node, "grab", "true", NULL) == -EBUSY);
	close_bed(&b);
}

/* Only what the profile has gets through. */
static void is_limited(struct tap *t)
{
	struct bed b = { .ui = -1 };
	uint64_t before;

	REQUIRE(t, plug(&b, "avp test panel"));
	REQUIRE(t, !vhud_serve(&b.srv, &vdev_input, "host", b.node, "profile", "custom", "codes",
			   "KEY_HOME", NULL));
	b.d = vhud_open(b.srv.path);
	CHECK_EQ(t, vhud_start(b.d, &(struct vhud_opts){ .nqueues = 2 }), 0);
	event_offer(b.d, BUFFERS);
	before = vhud_serve_metric(&b.srv, "filtered"); /* of the state at the start */
	key(&b, KEY_MENU, 1);
	happen(&b, EV_KEY, KEY_HOME, 1);
	happen(&b, EV_ABS, ABS_X, 5);
	happen(&b, EV_SYN, SYN_REPORT, 0);
	EXPECT(t, &b, { EV_KEY, KEY_HOME, 1 }, SYN);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "filtered"), before + 2);
	close_bed(&b);
}

static void leds_reach_it(struct tap *t)
{
	const struct event on = { EV_LED, LED_MUTE, 1 };
	struct input_event ev = { 0 };
	struct bed b;

	if (!open_bed(t, &b, NULL, NULL))
		return;
	CHECK_EQ(t, vhud_do(b.d, STATUSQ, &on, sizeof(on), NULL, 0), 0);
	while (ev.type != EV_LED) {
		struct pollfd p = { .fd = b.ui, .events = POLLIN };

		REQUIRE(t, poll(&p, 1, VHUD_TIMEOUT_MS) == 1);
		REQUIRE(t, read(b.ui, &ev, sizeof(ev)) == sizeof(ev));
	}
	CHECK(t, ev.code == LED_MUTE && ev.value == 1);
	close_bed(&b);
}

/* Unplugged: what was held is released. Plugged in again, it works as before; a process in its jail
 * finds it, too. */
static void comes_and_goes(struct tap *t)
{
	struct bed b = { .ui = -1 };
	struct vhud_proc p;
	char node[64];

	REQUIRE(t, plug(&b, "avp test panel"));
	snprintf(node, sizeof(node), "%s", b.node);
	REQUIRE(t, !vhud_spawn(&p, "input", "--host", b.node, "--profile", "host", NULL));
	b.d = vhud_open(p.path);
	CHECK_EQ(t, vhud_start(b.d, &(struct vhud_opts){ .nqueues = 2 }), 0);
	event_offer(b.d, BUFFERS);
	key(&b, KEY_MENU, 1);
	happen(&b, EV_ABS, ABS_MT_TRACKING_ID, 9);
	happen(&b, EV_SYN, SYN_REPORT, 0);
	EXPECT(t, &b, { EV_KEY, KEY_MENU, 1 }, SYN, { EV_ABS, ABS_MT_TRACKING_ID, 9 }, SYN);
	unplug(&b);
	/* The kernel may have released the key before. */
	CHECK(t, comes(&b, EV_KEY, KEY_MENU, 0));
	CHECK(t, comes(&b, EV_ABS, ABS_MT_TRACKING_ID, -1));
	/* Another one in its place is not taken for it. */
	REQUIRE(t, plug(&b, "another panel"));
	CHECK(t, !strcmp(node, b.node));
	usleep(1200000);
	key(&b, KEY_MENU, 1);
	unplug(&b);
	REQUIRE(t, plug(&b, "avp test panel"));
	CHECK(t, !strcmp(node, b.node));
	/* Held, until it has been noticed. */
	key(&b, KEY_HOME, 1);
	CHECK(t, comes(&b, EV_KEY, KEY_HOME, 1));
	key(&b, KEY_HOME, 0);
	CHECK(t, comes(&b, EV_KEY, KEY_HOME, 0));
	vhud_close(b.d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	unplug(&b);
}

int main(void)
{
	struct tap t = { 0 };

	if (access("/dev/uinput", R_OK | W_OK)) {
		printf("1..0 # SKIP no /dev/uinput\n");
		return 0;
	}
	TAP_RUN(&t, mirrors_what_it_has);
	TAP_RUN(&t, events_arrive);
	TAP_RUN(&t, lost_events_are_made_up_for);
	TAP_RUN(&t, shares_or_grabs);
	TAP_RUN(&t, is_limited);
	TAP_RUN(&t, leds_reach_it);
	TAP_RUN(&t, comes_and_goes);
	return tap_done(&t);
}
