/* SPDX-License-Identifier: BSD-3-Clause */
/* The input device: what it shows of itself, what operators and scripts cause, and that an update
 * arrives whole or not at all. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "devices/devices.h"
#include "events.h"
#include "lib/ring_cases.h"
#include "lib/vhud_server.h"

#define QUEUE 64u /* entries of the queues */

struct rig {
	struct vhud_server srv;
	struct vhud *d;
	bool ours; /* a device in this process */
};

static uint64_t ring; /* layout of this run of the cases */

static void start(struct tap *t, struct rig *r)
{
	CHECK_EQ(t, vhud_start(r->d, &(struct vhud_opts){ .features = ring, .nqueues = 2 }), 0);
}

/* A device with up to three keys, and a driver. */
static void rig_open(struct tap *t, struct rig *r, const char *k1, const char *v1, const char *k2,
	const char *v2, const char *k3, const char *v3)
{
	memset(r, 0, sizeof(*r));
	CHECK_EQ(t, vhud_serve(&r->srv, &vdev_input, k1, v1, k2, v2, k3, v3, NULL), 0);
	r->ours = true;
	r->d = vhud_open(r->srv.path);
	start(t, r);
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	if (r->ours)
		vhud_serve_end(&r->srv);
}

static void expect_nothing(struct tap *t, struct rig *r)
{
	struct event ev;

	CHECK(t, !event_next(r->d, &ev, 30));
}

/* The operator's command, on the device's thread. */
struct order {
	struct vdev *dev;
	char words[200];
	char answer[1000];
	struct err e;
	int ret;
};

static void run_order(void *arg)
{
	struct order *o = arg;
	char *argv[32], *save = NULL;
	unsigned argc = 0;
	FILE *f = fmemopen(o->answer, sizeof(o->answer), "w");

	for (char *w = strtok_r(o->words, " ", &save); w && argc < 32;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	o->ret = o->dev->cls->command(o->dev, argc, argv, f, &o->e);
	fclose(f);
}

static int say(struct rig *r, const char *words, struct order *o)
{
	struct order mine;

	o = o ? o : &mine;
	memset(o, 0, sizeof(*o));
	o->dev = r->srv.dev;
	snprintf(o->words, sizeof(o->words), "%s", words);
	vhud_serve_call(&r->srv, run_order, o);
	return o->ret;
}

/* Configuration space. */

static unsigned query(struct rig *r, uint8_t select, uint8_t subsel, uint8_t data[128])
{
	uint8_t size = 0xff;

	vhud_config_write(r->d, 0, &select, 1);
	vhud_config_write(r->d, 1, &subsel, 1);
	vhud_config_read(r->d, 2, &size, 1);
	vhud_config_read(r->d, 8, data, 128);
	return size;
}

static bool has(struct rig *r, unsigned type, unsigned code)
{
	uint8_t map[128];

	return code / 8 < query(r, 0x11, (uint8_t)type, map) && (map[code / 8] >> (code % 8) & 1);
}

static void shows_itself(struct tap *t)
{
	static const uint8_t ids[] = { 0x18, 0, 0x16, 0x04, 0x8f, 0x03, 0x01, 0 };
	uint8_t data[128], all[136];
	struct rig r;

	rig_open(t, &r, "id-name", "Centre display", "serial", "A-17", "devids",
		"0018:0416:038f:0001");
	CHECK_EQ(t, query(&r, 1, 0, data), 14);
	CHECK(t, !memcmp(data, "Centre display", 15));
	CHECK_EQ(t, query(&r, 2, 0, data), 4);
	CHECK(t, !memcmp(data, "A-17", 5));
	CHECK_EQ(t, query(&r, 3, 0, data), 8);
	CHECK(t, !memcmp(data, ids, 8));
	CHECK_EQ(t, query(&r, 0x10, 0, data), 0); /* a keyboard has no properties */
	CHECK_EQ(t, query(&r, 0x11, EV_REL, data), 0);
	CHECK_EQ(t, query(&r, 0x12, ABS_X, data), 0);
	CHECK(t, has(&r, EV_KEY, KEY_A) && has(&r, EV_KEY, KEY_MICMUTE));
	CHECK(t, !has(&r, EV_KEY, BTN_TOUCH) && !has(&r, EV_KEY, KEY_RESERVED));
	CHECK(t, has(&r, EV_LED, LED_CAPSL) && has(&r, EV_REP, REP_DELAY));
	CHECK(t, has(&r, EV_SYN, SYN_REPORT) && has(&r, EV_SYN, SYN_DROPPED));
	/* Nothing but select and subsel can be written. */
	query(&r, 1, 0, data);
	memset(all, 0xff, sizeof(all));
	vhud_config_write(r.d, 2, all, sizeof(all) - 2);
	vhud_config_read(r.d, 0, all, sizeof(all));
	CHECK_EQ(t, all[2], 14);
	CHECK(t, !memcmp(all + 8, "Centre display", 15));
	CHECK(t, !all[3] && !all[7] && !all[135]);
	rig_close(&r);
}

/* Every selection that there is not has the size 0 and no data (5.8.5.2). */
static void no_other_selections(struct tap *t)
{
	uint8_t data[128];
	struct rig r;

	rig_open(t, &r, "profile", "touchscreen", NULL, NULL, NULL, NULL);
	for (unsigned select = 0; select < 256; select++)
		for (unsigned subsel = 0; subsel < 256; subsel += select < 0x14 ? 1 : 51) {
			bool some = query(&r, (uint8_t)select, (uint8_t)subsel, data) != 0;
			bool want = (select == 1 && !subsel) || (select == 3 && !subsel) ||
				    (select == 0x10 && !subsel) ||
				    (select == 0x11 && (subsel == EV_SYN || subsel == EV_KEY ||
							       subsel == EV_ABS)) ||
				    (select == 0x12 && has(&r, EV_ABS, subsel));

			CHECK_EQ(t, some, want);
			for (unsigned i = 0; !some && i < sizeof(data); i++)
				CHECK_EQ(t, data[i], 0);
		}
	rig_close(&r);
}

static void touchscreen_axes(struct tap *t)
{
	int32_t a[5];
	uint8_t data[128];
	struct rig r;

	rig_open(t, &r, "profile", "touchscreen", "size", "1280x720", "slots", "5");
	CHECK_EQ(t, query(&r, 0x12, ABS_MT_POSITION_X, data), 20);
	memcpy(a, data, 20);
	CHECK(t, a[0] == 0 && a[1] == 1279 && !a[2] && !a[3] && !a[4]);
	query(&r, 0x12, ABS_MT_POSITION_Y, data);
	memcpy(a, data, 20);
	CHECK_EQ(t, a[1], 719);
	query(&r, 0x12, ABS_MT_SLOT, data);
	memcpy(a, data, 20);
	CHECK_EQ(t, a[1], 4);
	CHECK_EQ(t, query(&r, 0x10, 0, data), 1);
	CHECK_EQ(t, data[0], 1 << INPUT_PROP_DIRECT);
	rig_close(&r);
}

static void custom_lists(struct tap *t)
{
	uint8_t data[128];
	int32_t a[5];
	struct rig r;

	rig_open(t, &r, "profile", "custom", "codes",
		"KEY_POWER,ABS_THROTTLE min=-5 max=1000 fuzz=2 flat=3 res=12,SW_LID,"
		"INPUT_PROP_POINTER,REL_HWHEEL,MSC_SCAN,LED_MUTE",
		"without", "REL_HWHEEL");
	CHECK(t, has(&r, EV_KEY, KEY_POWER) && has(&r, EV_SW, SW_LID) && has(&r, EV_LED, LED_MUTE));
	CHECK(t, has(&r, EV_MSC, MSC_SCAN) && !has(&r, EV_KEY, KEY_A) && !has(&r, EV_ABS, ABS_X));
	CHECK_EQ(t, query(&r, 0x11, EV_REL, data), 0);
	CHECK_EQ(t, query(&r, 0x11, EV_KEY, data), KEY_POWER / 8 + 1);
	CHECK_EQ(t, query(&r, 0x12, ABS_THROTTLE, data), 20);
	memcpy(a, data, 20);
	CHECK(t, a[0] == -5 && a[1] == 1000 && a[2] == 2 && a[3] == 3 && a[4] == 12);
	CHECK_EQ(t, query(&r, 0x10, 0, data), 1);
	CHECK_EQ(t, data[0], 1 << INPUT_PROP_POINTER);
	rig_close(&r);
}

/* Creating a device with these keys fails and says `why`. */
static void refused(struct tap *t, const char *k1, const char *v1, const char *k2, const char *v2,
	const char *why)
{
	const char *const keys[] = { k1, v1, k2, v2 };
	struct ev_loop *loop = NULL;
	struct vdev *dev = NULL;
	struct err e = { 0 };
	struct log log;
	int r;

	log_init(&log, STDERR_FILENO, "input");
	CHECK_EQ(t, ev_loop_create(&loop), 0);
	r = vdev_new(&dev, &vdev_input, &e);
	for (unsigned i = 0; !r && i < 4 && keys[i]; i += 2)
		r = opt_set(vdev_input.opts, dev, keys[i], keys[i + 1], &e);
	if (!r)
		r = vdev_init(dev, loop, &log, &e);
	CHECK(t, r < 0);
	if (!CHECK(t, strstr(e.msg, why)))
		printf("# %s\n", e.msg);
	vdev_destroy(dev);
	ev_loop_destroy(loop);
}

static void keys_are_checked(struct tap *t)
{
	char longest[200];

	memset(longest, 'x', sizeof(longest));
	longest[129] = 0;
	refused(t, "profile", "custom", NULL, NULL, "has no events");
	refused(t, "profile", "mouse", NULL, NULL, "mouse");
	refused(t, "codes", "KEY_NONSENSE", NULL, NULL, "no event code");
	refused(t, "codes", "SYN_REPORT", NULL, NULL, "no event code");
	refused(t, "codes", "FF_RUMBLE", NULL, NULL, "no event code");
	refused(t, "codes", "ABS_X", NULL, NULL, "needs a range");
	refused(t, "codes", "ABS_X min=5 max=5", NULL, NULL, "needs a range");
	refused(t, "codes", "ABS_X max=99999999999", NULL, NULL, "32 bits");
	refused(t, "codes", "ABS_X max=5 low=3", NULL, NULL, "none of min=");
	refused(t, "codes", "KEY_A max=5", NULL, NULL, "only axes");
	refused(t, "codes", "ABS_MT_SLOT max=32", NULL, NULL, "contacts");
	refused(t, "without", "ABS_X max=5", NULL, NULL, "no event code");
	refused(t, "profile", "touchscreen", "size", "1280", "WIDTHxHEIGHT");
	refused(t, "profile", "touchscreen", "size", "1280x720x3", "WIDTHxHEIGHT");
	refused(t, "profile", "touchscreen", "size", "1x720", "WIDTHxHEIGHT");
	refused(t, "slots", "33", NULL, NULL, "33");
	refused(t, "id-name", longest, NULL, NULL, "can be told 128");
	refused(t, "devids", "1:2:3", NULL, NULL, "BUS:VENDOR");
	refused(t, "grab", "true", NULL, NULL, "without host");
	refused(t, "profile", "host", NULL, NULL, "name one");
	refused(t, "host", "/dev/null", NULL, NULL, "no input device");
	refused(t, "host", "/dev/input/there-is-none", NULL, NULL, "there-is-none");
}

/* What an operator says. */

static void keys(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL, NULL, NULL);
	event_offer(r.d, QUEUE);
	CHECK_EQ(t, say(&r, "key KEY_A", NULL), 0);
	EXPECT(t, &r, { EV_KEY, KEY_A, 1 }, SYN, { EV_KEY, KEY_A, 0 }, SYN);
	CHECK_EQ(t, say(&r, "key KEY_POWER down", NULL), 0);
	EXPECT(t, &r, { EV_KEY, KEY_POWER, 1 }, SYN);
	CHECK_EQ(t, say(&r, "key KEY_POWER up", NULL), 0);
	EXPECT(t, &r, { EV_KEY, KEY_POWER, 0 }, SYN);
	expect_nothing(t, &r);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "events"), 8);
	rig_close(&r);
}

static void touches(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, "profile", "touchscreen", NULL, NULL, NULL, NULL);
	event_offer(r.d, QUEUE);
	CHECK_EQ(t, say(&r, "tap 100 200", NULL), 0);
	EXPECT(t, &r, { EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, 0 },
		{ EV_ABS, ABS_MT_POSITION_X, 100 }, { EV_ABS, ABS_X, 100 },
		{ EV_ABS, ABS_MT_POSITION_Y, 200 }, { EV_ABS, ABS_Y, 200 },
		{ EV_ABS, ABS_MT_PRESSURE, 100 }, { EV_KEY, BTN_TOUCH, 1 }, SYN,
		{ EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		{ EV_KEY, BTN_TOUCH, 0 }, SYN);
	/* Two fingers: the second is no pointer. */
	CHECK_EQ(t, say(&r, "touch 10 20", NULL) | say(&r, "touch 30 40 1", NULL), 0);
	EXPECT(t, &r, { EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, 1 },
		{ EV_ABS, ABS_MT_POSITION_X, 10 }, { EV_ABS, ABS_X, 10 },
		{ EV_ABS, ABS_MT_POSITION_Y, 20 }, { EV_ABS, ABS_Y, 20 },
		{ EV_ABS, ABS_MT_PRESSURE, 100 }, { EV_KEY, BTN_TOUCH, 1 }, SYN,
		{ EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_TRACKING_ID, 2 },
		{ EV_ABS, ABS_MT_POSITION_X, 30 }, { EV_ABS, ABS_MT_POSITION_Y, 40 },
		{ EV_ABS, ABS_MT_PRESSURE, 100 }, SYN);
	CHECK_EQ(t, say(&r, "lift", NULL) | say(&r, "lift 1", NULL), 0);
	EXPECT(t, &r, { EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 }, SYN,
		{ EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		{ EV_KEY, BTN_TOUCH, 0 }, SYN);
	expect_nothing(t, &r);
	rig_close(&r);
}

static void dial(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, "profile", "rotary", NULL, NULL, NULL, NULL);
	event_offer(r.d, QUEUE);
	CHECK_EQ(t, say(&r, "turn +3", NULL) | say(&r, "turn -1", NULL), 0);
	EXPECT(t, &r, { EV_REL, REL_DIAL, 3 }, SYN, { EV_REL, REL_DIAL, -1 }, SYN);
	CHECK_EQ(t, say(&r, "set REL_WHEEL 2 KEY_ENTER 1", NULL), 0);
	EXPECT(t, &r, { EV_REL, REL_WHEEL, 2 }, { EV_KEY, KEY_ENTER, 1 }, SYN);
	rig_close(&r);
}

static void words_are_checked(struct tap *t)
{
	static const char *const bad[] = { "", "jump", "key", "key KEY_NONE", "key REL_X",
		"key KEY_ENTER up down", "key KEY_ENTER sideways", "key REL_DIAL", "key KEY_A",
		"turn", "turn x", "turn 1001", "turn 1 2", "tap 1 2", "touch 1 2", "set",
		"set KEY_ENTER", "set KEY_ENTER x", "set KEY_ENTER 1 REL_DIAL", "set SYN_REPORT 0",
		"lift 1", "lift x", "lift 0 0", "state now", "replay start" };
	static const char *const untouchable[] = { "tap 1920 0", "tap -1 0", "tap 0 1080", "tap 1",
		"tap 1 2 3", "touch 1 2 10", "touch 1 2 -1", "touch a 2", "turn 1" };
	struct order o;
	struct rig r;

	rig_open(t, &r, "profile", "rotary", NULL, NULL, NULL, NULL);
	event_offer(r.d, QUEUE);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		if (!CHECK(t, say(&r, bad[i], &o) == -EINVAL && o.e.msg[0]))
			printf("# '%s': %d %s\n", bad[i], o.ret, o.e.msg);
	expect_nothing(t, &r);
	CHECK_EQ(t, say(&r, "set KEY_ENTER 1", NULL), 0);
	CHECK_EQ(t, say(&r, "state", &o), 0);
	CHECK(t, strstr(o.answer, "held: KEY_ENTER;"));
	rig_close(&r);
	rig_open(t, &r, "profile", "touchscreen", NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(untouchable); i++)
		CHECK_EQ(t, say(&r, untouchable[i], NULL), -EINVAL);
	CHECK_EQ(t, say(&r, "touch 7 8 3", NULL), 0);
	CHECK_EQ(t, say(&r, "state", &o), 0);
	CHECK(t, strstr(o.answer, "contact 3 at 7 8"));
	rig_close(&r);
}

/* Too few buffers. */

/* Buffers come one by one: all events, in order. */
static void waits_for_buffers(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL, NULL, NULL);
	CHECK_EQ(t, say(&r, "key KEY_A", NULL) | say(&r, "key KEY_B", NULL), 0);
	for (unsigned i = 0; i < 8; i++) {
		static const struct event want[] = { { EV_KEY, KEY_A, 1 }, SYN,
			{ EV_KEY, KEY_A, 0 }, SYN, { EV_KEY, KEY_B, 1 }, SYN, { EV_KEY, KEY_B, 0 },
			SYN };

		event_offer(r.d, 1);
		event_expect(t, r.d, &want[i], 1);
	}
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_updates"), 0);
	rig_close(&r);
}

/* More than is kept: what was kept comes whole, then SYN_DROPPED, then what has changed since. */
static void drops_whole_updates(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, "queue", "64", NULL, NULL, NULL, NULL);
	CHECK_EQ(t, say(&r, "key KEY_LEFTSHIFT down", NULL), 0);
	/* 15 updates of 4 events each fit behind the first, which has 2: 62 of 64. */
	for (unsigned i = 0; i < 15; i++)
		CHECK_EQ(t, say(&r, "set KEY_A 1 KEY_B 1 KEY_C 1", NULL), 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_updates"), 0);
	CHECK_EQ(t, say(&r, "set KEY_A 0 KEY_B 0 KEY_D 1", NULL), 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_updates"), 1);
	/* This one would fit, but after a drop none is kept. */
	CHECK_EQ(t, say(&r, "key KEY_LEFTSHIFT up", NULL), 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_updates"), 2);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_events"), 6);
	event_offer(r.d, 62);
	EXPECT(t, &r, { EV_KEY, KEY_LEFTSHIFT, 1 }, SYN);
	for (unsigned i = 0; i < 15; i++)
		EXPECT(t, &r, { EV_KEY, KEY_A, 1 }, { EV_KEY, KEY_B, 1 }, { EV_KEY, KEY_C, 1 },
			SYN);
	event_offer(r.d, QUEUE - 1);
	EXPECT(t, &r, { EV_SYN, SYN_DROPPED, 0 }, SYN, { EV_KEY, KEY_A, 0 }, { EV_KEY, KEY_D, 1 },
		{ EV_KEY, KEY_LEFTSHIFT, 0 }, { EV_KEY, KEY_B, 0 }, SYN);
	CHECK_EQ(t, say(&r, "key KEY_D up", NULL), 0);
	EXPECT(t, &r, { EV_KEY, KEY_D, 0 }, SYN);
	expect_nothing(t, &r);
	rig_close(&r);
}

/* A finger that moved and one that was exchanged for another while updates were lost. */
static void contacts_after_a_drop(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, "profile", "touchscreen", "queue", "64", NULL, NULL);
	event_offer(r.d, 15);
	CHECK_EQ(t, say(&r, "touch 10 10", NULL) | say(&r, "touch 50 50 1", NULL), 0);
	for (unsigned i = 0; i < 15; i++) {
		struct event ev;

		CHECK(t, event_next(r.d, &ev, VHUD_TIMEOUT_MS));
	}
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(t, say(&r, "set ABS_MT_SLOT 1 ABS_MT_POSITION_X 51", NULL), 0);
	CHECK_EQ(t, say(&r, "touch 11 12 0", NULL), 0);
	CHECK_EQ(t, say(&r, "lift 1", NULL) | say(&r, "touch 70 71 1", NULL), 0);
	CHECK(t, vhud_serve_metric(&r.srv, "dropped_updates") >= 3);
	event_offer(r.d, 63);
	for (unsigned i = 0; i < 20; i++)
		EXPECT(t, &r, { EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_POSITION_X, 51 }, SYN);
	event_offer(r.d, QUEUE - 3);
	EXPECT(t, &r, { EV_SYN, SYN_DROPPED, 0 }, SYN, { EV_ABS, ABS_MT_SLOT, 0 },
		{ EV_ABS, ABS_MT_TRACKING_ID, 0 }, { EV_ABS, ABS_MT_POSITION_X, 11 },
		{ EV_ABS, ABS_MT_POSITION_Y, 12 }, { EV_ABS, ABS_MT_PRESSURE, 100 },
		{ EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		{ EV_ABS, ABS_MT_TRACKING_ID, 2 }, { EV_ABS, ABS_MT_POSITION_X, 70 },
		{ EV_ABS, ABS_MT_POSITION_Y, 71 }, { EV_ABS, ABS_MT_PRESSURE, 100 }, SYN);
	expect_nothing(t, &r);
	rig_close(&r);
}

/* A driver that starts is told what is held, and nothing of before. */
static void told_at_the_start(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, "profile", "custom", "codes",
		"KEY_A,KEY_B,SW_LID,REL_DIAL,ABS_THROTTLE max=100", NULL, NULL);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	CHECK_EQ(t, say(&r, "key KEY_A down", NULL) | say(&r, "key KEY_B", NULL), 0);
	CHECK_EQ(t, say(&r, "set SW_LID 1 ABS_THROTTLE 40", NULL) | say(&r, "turn 1", NULL), 0);
	start(t, &r);
	event_offer(r.d, QUEUE);
	EXPECT(t, &r, { EV_KEY, KEY_A, 1 }, { EV_SW, SW_LID, 1 }, { EV_ABS, ABS_THROTTLE, 40 },
		SYN);
	expect_nothing(t, &r);
	rig_close(&r);
}

static void nothing_before_driver_ok(struct tap *t)
{
	struct vhud_opts opts = { .features = ring, .nqueues = 2 };
	struct event ev;
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL, NULL, NULL);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	CHECK_EQ(t, vhud_negotiate(r.d, &opts), 0);
	CHECK_EQ(
		t, vhud_queue_start(r.d, EVENTQ, QUEUE) | vhud_queue_start(r.d, STATUSQ, QUEUE), 0);
	event_offer(r.d, 8);
	CHECK_EQ(t, say(&r, "key KEY_A down", NULL), 0);
	CHECK(t, !event_next(r.d, &ev, 30));
	CHECK_EQ(t, vhud_driver_ok(r.d), 0);
	EXPECT(t, &r, { EV_KEY, KEY_A, 1 }, SYN);
	rig_close(&r);
}

/* From the guest. */

static void leds(struct tap *t)
{
	const struct event on = { EV_LED, LED_CAPSL, 1 }, unknown = { EV_SND, SND_BELL, 1 };
	const struct event junk = { 0xffff, 0xffff, -1 };
	struct order o;
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL, NULL, NULL);
	CHECK_EQ(t, vhud_do(r.d, STATUSQ, &on, sizeof(on), NULL, 0), 0);
	CHECK_EQ(t, vhud_do(r.d, STATUSQ, &unknown, sizeof(on), NULL, 0), 0);
	CHECK_EQ(t, vhud_do(r.d, STATUSQ, &junk, sizeof(on), NULL, 0), 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "status_events"), 3);
	CHECK_EQ(t, vhud_do(r.d, STATUSQ, &on, 7, NULL, 0), 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "bad_status"), 1);
	CHECK_EQ(t, say(&r, "state", &o), 0);
	CHECK(t, strstr(o.answer, "LEDs: LED_CAPSL\n"));
	rig_close(&r);
}

/* Buffers that a driver must not give (5.8.6.1): the device needs a reset, and then works. */
static void wrong_buffers(struct tap *t)
{
	static const struct {
		unsigned q, n_out, n_in, len;
	} bad[] = { { EVENTQ, 1, 0, 8 }, { EVENTQ, 0, 1, 7 }, { EVENTQ, 1, 1, 8 },
		{ STATUSQ, 0, 1, 8 }, { STATUSQ, 1, 1, 8 } };

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct iovec iov[2];
		struct rig r;

		rig_open(t, &r, NULL, NULL, NULL, NULL, NULL, NULL);
		for (unsigned k = 0; k < 2; k++)
			iov[k] = (struct iovec){ vhud_alloc(r.d, 64), bad[i].len };
		CHECK_EQ(t, vhud_add(r.d, bad[i].q, iov, bad[i].n_out, bad[i].n_in, NULL), 0);
		vhud_kick(r.d, bad[i].q);
		CHECK_EQ(t, say(&r, "key KEY_A", NULL), 0);
		CHECK(t, vhud_needs_reset(r.d));
		CHECK_EQ(t, vhud_reset(r.d), 0);
		start(t, &r);
		event_offer(r.d, 8);
		CHECK_EQ(t, say(&r, "key KEY_B", NULL), 0);
		EXPECT(t, &r, { EV_KEY, KEY_B, 1 }, SYN, { EV_KEY, KEY_B, 0 }, SYN);
		rig_close(&r);
	}
}

/* An event in pieces, and in a buffer that is longer. */
static void odd_buffers(struct tap *t)
{
	struct event ev;
	uint32_t len = 0;
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL, NULL, NULL);
	uint8_t *mem = vhud_alloc(r.d, 256);
	struct iovec iov[] = { { mem, 1 }, { mem + 10, 4 }, { mem + 20, 100 } };

	CHECK_EQ(t, vhud_add(r.d, EVENTQ, iov, 0, 3, NULL), 0);
	vhud_kick(r.d, EVENTQ);
	CHECK_EQ(t, say(&r, "key KEY_F12 down", NULL), 0);
	CHECK_EQ(t, vhud_wait(r.d, EVENTQ, NULL, &len, VHUD_TIMEOUT_MS), 1);
	CHECK_EQ(t, len, sizeof(ev));
	memcpy(&ev, mem, 1);
	memcpy((uint8_t *)&ev + 1, mem + 10, 4);
	memcpy((uint8_t *)&ev + 5, mem + 20, 3);
	CHECK(t, ev.type == EV_KEY && ev.code == KEY_F12 && ev.value == 1);
	CHECK(t, !mem[1] && !mem[14] && !mem[23]);
	rig_close(&r);
}

/* Scripts. */

static void write_script(struct tap *t, char path[64], const char *text)
{
	snprintf(path, 64, "/tmp/avp-input-%d", (int)getpid());
	FILE *f = fopen(path, "w");

	REQUIRE(t, f && fputs(text, f) >= 0 && !fclose(f));
}

static void plays_a_script(struct tap *t)
{
	char path[64];
	struct order o;
	struct rig r;

	write_script(t, path,
		"# two kinds of lines\n"
		"N: a panel\nI: 0003 0001 0001 0001\nB: 00 0b 00\n\n"
		"E: 7.000000 0003 0039 0012\t# EV_ABS / ABS_MT_TRACKING_ID\n"
		"E: 7.000000 0003 0035 0300\n"
		"E: 7.000000 0000 0000 0000\n"
		"7.05 lift # by hand\n"
		"7.060 tap 1 2\n");
	rig_open(t, &r, "profile", "touchscreen", "replay", path, NULL, NULL);
	uint64_t begin = ev_now_ns();

	event_offer(r.d, QUEUE);
	EXPECT(t, &r, { EV_ABS, ABS_MT_TRACKING_ID, 12 }, { EV_ABS, ABS_MT_POSITION_X, 300 }, SYN,
		{ EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		{ EV_KEY, BTN_TOUCH, 0 }, SYN, { EV_ABS, ABS_MT_SLOT, 0 },
		{ EV_ABS, ABS_MT_TRACKING_ID, 0 }, { EV_ABS, ABS_MT_POSITION_X, 1 });
	CHECK(t, ev_now_ns() - begin >= 40 * UINT64_C(1000000));
	CHECK_EQ(t, say(&r, "replay stop", &o), 0);
	CHECK(t, !strcmp(o.answer, "script: 5 of 5 lines, not playing\n"));
	CHECK_EQ(t, say(&r, "replay twice", NULL), -EINVAL);
	/* The next driver sees it from the beginning. */
	CHECK_EQ(t, vhud_reset(r.d), 0);
	start(t, &r);
	event_offer(r.d, QUEUE);
	EXPECT(t, &r, { EV_ABS, ABS_X, 1 }, { EV_ABS, ABS_Y, 2 }, SYN,
		{ EV_ABS, ABS_MT_TRACKING_ID, 12 });
	rig_close(&r);
	unlink(path);
}

static void scripts_are_checked(struct tap *t)
{
	static const char *const bad[] = { "tap 1 2\n", "1.0\n", "1.0 tap\n", "1.0 key KEY_A\n",
		"1.0tap 1 2\n", "E: 1.0 3\n", "E: x 0003 0039 1\n", "2 tap 1 2\n1 tap 1 2\n",
		"# none\n",
		"1 set ABS_X 1 ABS_X 1 ABS_X 1 ABS_X 1 ABS_X 1 ABS_X 1 ABS_X 1 ABS_X 1 ABS_X 1\n" };
	char path[64], longest[200];

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		write_script(t, path, bad[i]);
		refused(t, "profile", "touchscreen", "replay", path, path);
	}
	snprintf(longest, sizeof(longest), "1 tap 1 %120d\n", 2);
	write_script(t, path, longest);
	refused(t, "profile", "touchscreen", "replay", path, "at most 119");
	unlink(path);
	refused(t, "replay", path, NULL, NULL, path);
}

/* As a process in its jail; one that dies with a finger on the screen leaves none there. */
static void process(struct tap *t)
{
	char path[64];
	struct vhud_proc p;
	struct rig r = { 0 };

	write_script(t, path, "0 touch 5 6\n0.001 touch 7 8 1\n100 lift\n");
	REQUIRE(t, !vhud_spawn(&p, "input", "--profile", "touchscreen", "--replay", path, "--slots",
			   "2", NULL));
	r.d = vhud_open(p.path);
	start(t, &r);
	event_offer(r.d, 60);
	for (unsigned i = 0; i < 15; i++) {
		struct event ev;

		REQUIRE(t, event_next(r.d, &ev, VHUD_TIMEOUT_MS));
	}
	vhud_kill(&p);
	write_script(t, path, "0 set ABS_MT_SLOT 0 ABS_MT_PRESSURE 1\n");
	REQUIRE(t, !vhud_respawn(&p) && !vhud_reconnect(r.d));
	EXPECT(t, &r, { EV_SYN, SYN_DROPPED, 0 }, SYN, { EV_ABS, ABS_MT_SLOT, 0 },
		{ EV_ABS, ABS_MT_TRACKING_ID, -1 }, { EV_ABS, ABS_MT_SLOT, 1 },
		{ EV_ABS, ABS_MT_TRACKING_ID, -1 }, { EV_ABS, ABS_MT_SLOT, 0 },
		{ EV_KEY, BTN_TOUCH, 0 }, { EV_ABS, ABS_X, 0 }, { EV_ABS, ABS_Y, 0 }, SYN,
		{ EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_PRESSURE, 1 }, SYN);
	vhud_close(r.d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	unlink(path);
}

int main(void)
{
	static const struct ring_case cases[] = {
		{ "keys", keys },
		{ "touches", touches },
		{ "dial", dial },
		{ "waits for buffers", waits_for_buffers },
		{ "drops whole updates", drops_whole_updates },
		{ "contacts after a drop", contacts_after_a_drop },
		{ "told at the start", told_at_the_start },
		{ "nothing before DRIVER_OK", nothing_before_driver_ok },
		{ "LEDs", leds },
		{ "wrong buffers", wrong_buffers },
		{ "odd buffers", odd_buffers },
	};
	struct tap t = { 0 };

	TAP_RUN(&t, shows_itself);
	TAP_RUN(&t, no_other_selections);
	TAP_RUN(&t, touchscreen_axes);
	TAP_RUN(&t, custom_lists);
	TAP_RUN(&t, keys_are_checked);
	TAP_RUN(&t, words_are_checked);
	TAP_RUN(&t, plays_a_script);
	TAP_RUN(&t, scripts_are_checked);
	tap_run_rings(&t, cases, ARRAY_LEN(cases), &ring);
	TAP_RUN(&t, process);
	return tap_done(&t);
}
