/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of the input device (VIRTIO 1.4, 5.8). input.c: keys, queues, configuration space;
 * input_caps.c: which events it has; input_group.c: updates on their way to the guest;
 * input_words.c: the words of the operator and of scripts. All on the device's loop.
 */
#pragma once

#include <linux/input.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/le.h"
#include "host/evdev.h"
#include "host/replay.h"
#include "virtio/device.h"

#define INPUT_EVENTQ  0u
#define INPUT_STATUSQ 1u

/* Bytes of a bitmap, and of a string, in the configuration space (5.8.4). */
#define INPUT_BITMAP 128u
#define INPUT_SLOTS  32u /* contacts at most */
/* Axes of a contact: ABS_MT_TOUCH_MAJOR and what follows it. */
#define INPUT_MT_FIRST ABS_MT_TOUCH_MAJOR
#define INPUT_MT_AXES  (ABS_MT_TOOL_Y - ABS_MT_TOUCH_MAJOR + 1)
/* Events of one update; and of all that wait for the guest, of which one update may bring all that
 * the device has: keys, switches, axes, and a position of each contact. */
#define INPUT_GROUP_MAX 256u
#define INPUT_FIFO	2048u
/* Events that the words of an operator can cause. */
#define INPUT_WORDS_MAX 32u
/* Bytes of a line of a script. */
#define INPUT_LINE_MAX 120u

/* struct virtio_input_event (5.8.6). */
struct input_wire {
	le16 type;
	le16 code;
	le32 value;
};

/* An event of Linux's evdev, without its time. */
struct input_ev {
	uint16_t type, code;
	int32_t value;
};

/* The events of some words, in order. */
struct input_list {
	struct input_ev v[INPUT_WORDS_MAX];
	unsigned n;
	unsigned contacts; /* that begin */
};

/* Which events a device has: a bitmap of codes for each type, all zero if it lacks the type. */
struct input_caps {
	uint8_t codes[EV_CNT][INPUT_BITMAP];
	uint8_t props[INPUT_BITMAP];
	struct input_absinfo abs[ABS_CNT]; /* of the axes in codes[EV_ABS]; value is not used */
	struct input_id ids;
	char name[INPUT_BITMAP + 1], serial[INPUT_BITMAP + 1];
};

/* What is pressed, switched and touched. */
struct input_state {
	uint8_t keys[INPUT_BITMAP], switches[INPUT_BITMAP];
	int32_t abs[ABS_CNT];
	int32_t mt[INPUT_SLOTS][INPUT_MT_AXES];
	unsigned slot; /* that following ABS_MT events are of; INPUT_SLOTS: one that is not kept */
};

/* Counters; see input_metrics. */
struct input_counts {
	uint64_t events, updates, dropped_updates, dropped_events, filtered, status_events,
		bad_status;
};

struct input {
	struct vdev dev;
	/* Keys. */
	int profile;
	char *id_name, *serial, *devids, *size;
	uint32_t slots, kept;
	struct opt_list codes, without;
	char *host;
	bool grab;
	struct replay_config script;

	struct input_caps caps;
	uint8_t select, subsel;
	struct evdev *evdev;   /* NULL: no host device is named */
	struct replay *replay; /* NULL: no script is named */
	unsigned contacts;     /* touches so far, for tracking ids */
	struct ev_task work;   /* the rest of the statusq */
	uint8_t leds[INPUT_BITMAP];
	struct log_limit led_events;

	/* input_group.c: the update being put together; updates on their way; what the host's side
	 * is like now, and what the guest makes of all that is on its way. */
	struct input_ev group[INPUT_GROUP_MAX];
	unsigned ngroup;
	bool group_lost; /* this update is too long, or the one before it was lost */
	struct input_ev fifo[INPUT_FIFO];
	unsigned head, nfifo;
	bool behind; /* the guest has to be told of the state once the fifo is empty */
	bool lost;   /* ... because an update was dropped */
	bool guess;  /* ... and nobody knows what it was told before */
	struct input_state now, told;
	struct input_counts count;
};

static inline bool input_bit(const uint8_t *map, unsigned bit)
{
	return map[bit / 8] >> (bit % 8) & 1;
}

static inline void input_set_bit(uint8_t *map, unsigned bit, bool value)
{
	uint8_t mask = (uint8_t)(1u << (bit % 8));

	map[bit / 8] = value ? map[bit / 8] | mask : (uint8_t)(map[bit / 8] & ~mask);
}

/* True if the device has events of this type and code. */
static inline bool input_has(const struct input_caps *caps, unsigned type, unsigned code)
{
	return type < EV_CNT && code < INPUT_BITMAP * 8 && input_bit(caps->codes[type], code);
}

/* input_caps.c */

enum input_profile {
	PROFILE_KEYBOARD,
	PROFILE_TOUCHSCREEN,
	PROFILE_ROTARY,
	PROFILE_CUSTOM,
	PROFILE_HOST
};
extern const char *const input_profiles[];

/* Its Linux name. */
const char *input_code_name(unsigned type, unsigned code);
/* What the keys say, filled into in->caps; the host's device is open if one is named. */
int input_caps_init(struct input *in, struct err *e);
/* Finds a code by its Linux name ("KEY_A", "ABS_X", "REL_DIAL"). -EINVAL with a reason. */
int input_code(const char *name, uint16_t *type, uint16_t *code, struct err *e);
/* The configuration data of this selection (5.8.4); returns its size, 0: there is none. */
unsigned input_config_data(
	const struct input_caps *caps, uint8_t select, uint8_t subsel, uint8_t data[INPUT_BITMAP]);

/* input_group.c */

void input_state_init(struct input_state *s);
/* One event of the host's side. What the device does not have is counted and left out; SYN_REPORT
 * ends the update and hands it on, whole. */
void input_feed(struct input *in, uint16_t type, uint16_t code, int32_t value);
/* Ends all that is held: keys are released, contacts lifted. Switches and axes stay. */
void input_release(struct input *in);
/* A driver begins: fresh, or where an earlier process had stopped serving it (resumed). */
void input_driver(struct input *in, bool resumed);
/* The driver is gone: nothing is on its way to it any more. */
void input_forget(struct input *in);
/* The next event for the guest; false: there is none. */
bool input_next(struct input *in, struct input_ev *ev);

/* input.c: hands what is on its way to the guest, as far as it has room. */
void input_serve(struct input *in);

/* input_words.c */

/*
 * What the words of an operator, or of a line of a script, mean now: `key KEY_A [down|up]`, `tap X
 * Y`, `touch X Y [SLOT]`, `lift [SLOT]`, `turn STEPS`, `set CODE VALUE...`. -EINVAL with a reason.
 */
int input_words(
	struct input *in, unsigned argc, char **argv, struct input_list *out, struct err *e);
/* Does it. */
void input_feed_list(struct input *in, const struct input_list *list);
/* The script (host/replay.h): lines of seconds and words, or those of an evemu recording. */
int input_script_open(struct input *in, struct err *e);
/* The operator's command (struct vdev_class). */
int input_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e);
