/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of a LIN network on bare metal, one for each role that the command line gives: the master
 * with its schedule, a window lift, a rain sensor. The master closes the window when it rains. When
 * it has done its cycles it sends the others to sleep; who misses that does so by itself.
 */
#include "drivers/console.h"
#include "guests/bare/virtio.h"
#include "guests/lin/lin.h"

#define MS	      UINT64_C(1000000)
#define DEVICE_MEMORY (64u << 10)
/* A node goes to sleep when the line was idle for 4 to 10 s (ISO 17987-2). */
#define IDLE	    (10000 * MS)
#define RAIN_CLOSES 50u /* percent */
#define CYCLES_MAX  1000000u

/* The network. */
enum { WINDOW_COMMAND, WINDOW_STATUS, RAIN_STATUS, REQUEST, FRAMES };

static const struct lin_frame frames[FRAMES] = {
	[WINDOW_COMMAND] = { 0x20, 2 }, /* wanted opening in percent, 0 */
	[WINDOW_STATUS] = { 0x21, 2 },	/* opening in percent, 1: it moves */
	[RAIN_STATUS] = { 0x22, 4 },	/* rain in percent, number of the measurement, 0, 0 */
	[REQUEST] = { LIN_MASTER_REQUEST, 8 },
};

/* The schedule: what the master asks for, one slot each. */
static const uint8_t schedule[] = { WINDOW_COMMAND, WINDOW_STATUS, RAIN_STATUS };

struct counts {
	uint32_t good, silent, bad;
};

struct node {
	struct drv_console line;
	struct lin_reader reader;
	struct counts counts;
	uint64_t slot;	/* length of a slot of the schedule, ns */
	uint64_t heard; /* when the last byte came */
	uint8_t window, wanted, rain, measurement;
};

static struct bare_virtio_list devices;
static struct node node = { .reader = { .frames = frames, .nframes = FRAMES } };

static void put_number(const char *before, uint64_t n)
{
	bare_put(before);
	bare_put_dec(n);
}

static uint32_t number(const char *line, const char *key, uint32_t missing)
{
	char text[16];
	uint32_t v = 0;

	if (bare_word(line, key, text, sizeof(text)) < 1)
		return missing;
	for (const char *s = text; *s >= '0' && *s <= '9' && v < CYCLES_MAX; s++)
		v = 10 * v + (uint32_t)(*s - '0');
	return v;
}

/* The next byte on the line, until `until`. A frame does not go on after half a slot of silence. */
static bool hear(struct node *n, uint8_t *byte, uint64_t until)
{
	uint32_t len;

	if (drv_console_read(&n->line, 0, byte, 1, &len, until))
		return false;
	if (bare_time() - n->heard > n->slot / 2)
		lin_silence(&n->reader);
	n->heard = bare_time();
	return true;
}

/* The master. */

/* Sends a header, and the response if it is the master's to give. */
static void send_frame(struct node *n, unsigned frame, const uint8_t *data)
{
	uint8_t bytes[LIN_HEADER + LIN_DATA_MAX + 1];
	unsigned len = lin_header(bytes, frames[frame].id);

	if (data)
		len += lin_response(bytes + len, &frames[frame], data);
	drv_console_write(&n->line, 0, bytes, len);
}

static void rain(struct node *n, uint8_t percent)
{
	uint8_t wanted = percent >= RAIN_CLOSES ? 0 : 100;

	n->rain = percent;
	if (wanted == n->wanted)
		return;
	n->wanted = wanted;
	put_number("lin: rain ", percent);
	bare_put(wanted ? " %: window opens\n" : " %: window closes\n");
}

static void window(struct node *n, uint8_t percent)
{
	if (percent == n->window)
		return;
	n->window = percent;
	if (percent == n->wanted)
		bare_put(percent ? "lin: window is open\n" : "lin: window is closed\n");
}

static void master_got(struct node *n)
{
	if (n->reader.frame == &frames[RAIN_STATUS])
		rain(n, n->reader.data[0]);
	if (n->reader.frame == &frames[WINDOW_STATUS])
		window(n, n->reader.data[0]);
}

/* One slot: the frame is whole, wrong, or nobody answers. All bytes are heard, also our own. */
static void slot(struct node *n, unsigned frame, const uint8_t *data, uint64_t end)
{
	bool whole = false, wrong = false;
	uint8_t byte;

	lin_silence(&n->reader);
	send_frame(n, frame, data);
	while (hear(n, &byte, end)) {
		enum lin_event event = lin_read(&n->reader, byte);

		whole |= event == LIN_GOT_FRAME && n->reader.frame == &frames[frame];
		wrong |= event > LIN_GOT_FRAME;
		if (event == LIN_GOT_FRAME)
			master_got(n);
	}
	n->counts.good += whole;
	n->counts.bad += !whole && wrong;
	n->counts.silent += !whole && !wrong;
}

static void master(struct node *n, const char *cmdline)
{
	static const uint8_t sleep[LIN_DATA_MAX] = { LIN_SLEEP, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff };
	uint32_t cycles = number(cmdline, "cycles", 100);
	uint64_t next = bare_time();

	n->wanted = 100;
	for (uint32_t i = 0; i < cycles; i++)
		for (unsigned k = 0; k < sizeof(schedule); k++) {
			const uint8_t command[] = { n->wanted, 0 };

			next += n->slot;
			if (next < bare_time() + n->slot / 2)
				next = bare_time() + n->slot; /* late: no slot is cut short */
			slot(n, schedule[k], schedule[k] == WINDOW_COMMAND ? command : NULL, next);
		}
	slot(n, REQUEST, sleep, bare_time() + n->slot);
	put_number("lin: frames good: ", n->counts.good);
	put_number(", without answer: ", n->counts.silent);
	put_number(", wrong: ", n->counts.bad);
	bare_put("\n");
}

/* The slaves. */

static void answer(struct node *n, unsigned frame, const uint8_t *data)
{
	uint8_t bytes[LIN_DATA_MAX + 1];

	drv_console_write(&n->line, 0, bytes, lin_response(bytes, &frames[frame], data));
}

/* A window moves by 10 % from one question to the next. */
static void answer_window(struct node *n)
{
	uint8_t step = n->window < n->wanted ? 10 : n->window > n->wanted ? (uint8_t)-10 : 0;
	const uint8_t data[] = { n->window = (uint8_t)(n->window + step), step != 0 };

	answer(n, WINDOW_STATUS, data);
}

/* Rain comes and goes: 0, 5, ... 100, 95, ... 0. */
static void answer_rain(struct node *n)
{
	unsigned at = n->measurement++ % 40u;
	const uint8_t data[4] = { (uint8_t)(5 * (at < 20 ? at : 40 - at)), n->measurement };

	answer(n, RAIN_STATUS, data);
}

/* False: it is told to sleep. */
static bool slave_got(struct node *n)
{
	if (n->reader.frame == &frames[WINDOW_COMMAND] && n->reader.data[0] <= 100)
		n->wanted = n->reader.data[0];
	return n->reader.frame != &frames[REQUEST] || n->reader.data[0] != LIN_SLEEP;
}

static void slave(struct node *n, unsigned frame, void (*give)(struct node *n))
{
	uint8_t byte;

	for (;;) {
		enum lin_event event;

		if (!hear(n, &byte, bare_time() + 1000 * MS)) {
			if (n->heard && bare_time() - n->heard > IDLE)
				return;
			continue;
		}
		event = lin_read(&n->reader, byte);
		if (event == LIN_GOT_HEADER && n->reader.frame == &frames[frame])
			give(n);
		if (event == LIN_GOT_FRAME && !slave_got(n))
			return;
		n->counts.good += event == LIN_GOT_FRAME;
		n->counts.bad += event > LIN_GOT_FRAME;
	}
}

int bare_main(struct bare_info *info)
{
	struct bare_virtio *console;
	char role[16] = "";
	int r;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	console = bare_virtio_get(&devices, DRV_ID_CONSOLE, 0);
	r = console ? drv_console_open(&node.line, console->dev, 1) : DRV_GONE;
	node.slot = number(info->cmdline, "slot", 20) * MS;
	bare_word(info->cmdline, "role", role, sizeof(role));
	bare_put(r ? "lin: no console\n" : "lin: ");
	bare_put(r ? "" : role);
	bare_put(r ? "" : " starts\n");
	if (r)
		return r;
	switch (role[0]) {
	case 'm':
		master(&node, info->cmdline);
		break;
	case 'w':
		slave(&node, WINDOW_STATUS, answer_window);
		break;
	case 'r':
		slave(&node, RAIN_STATUS, answer_rain);
		break;
	default:
		bare_put("lin: role=master, window or rain is wanted\n");
		return DRV_INVALID;
	}
	bare_put("lin: sleeps\n");
	return 0;
}
