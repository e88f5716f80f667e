/* SPDX-License-Identifier: BSD-3-Clause */
/* The input device (VIRTIO 1.4, 5.8): keyboard, touch screen, rotary controller, or any set of
 * events of Linux's evdev. docs/devices/input.md is its manual. */
#include "devices/input_priv.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/iov.h"
#include "base/util.h"
#include "devices/devices.h"

#define VIRTIO_ID_INPUT 18
#define QUEUE_SIZE	1024u
/* Status events taken before other work of the loop gets a turn. */
#define TURN_MAX 256u
/* Changes of LEDs that become events, per second. */
#define LED_EVENTS_MAX 8u

/* struct virtio_input_config */
struct input_config {
	uint8_t select, subsel, size, reserved[5];
	uint8_t data[INPUT_BITMAP];
};

static struct input *to_input(struct vdev *dev)
{
	return container_of(dev, struct input, dev);
}

/* The queue if it may be used now: not before DRIVER_OK (2.1.2). */
static struct vq *running(const struct input *in, unsigned q)
{
	struct vq *vq = in->dev.queues[q];
	uint8_t status = in->dev.status;

	if (!vq || !vq_running(vq) || (status & VIRTIO_S_NEEDS_RESET))
		return NULL;
	return !status || (status & VIRTIO_S_DRIVER_OK) ? vq : NULL;
}

static void put_event(struct vq_chain *c, const struct input_ev *ev)
{
	const struct input_wire wire = { htole16(ev->type), htole16(ev->code),
		htole32((uint32_t)ev->value) };
	struct iov_iter it;

	iov_iter_init(&it, vq_in(c), c->n_in);
	iov_write(&it, &wire, sizeof(wire));
	vq_push(c->vq, c, sizeof(wire));
}

void input_serve(struct input *in)
{
	struct vq *vq = running(in, INPUT_EVENTQ);
	struct vq_chain *c;

	if (!vq)
		return;
	vq_disable_kick(vq);
	while ((in->nfifo || in->behind) && vq_pop_or_kick(vq, &c) == 1) {
		struct input_ev ev;

		if (c->n_out || c->in_len < sizeof(struct input_wire)) {
			vdev_broken(&in->dev, INPUT_EVENTQ,
				"an eventq buffer is device-readable or too short (5.8.6.1)");
			return;
		}
		if (!input_next(in, &ev)) {
			vq_rewind(vq, c);
			break;
		}
		put_event(c, &ev);
	}
	vq_flush(vq);
	vdev_check(&in->dev, INPUT_EVENTQ);
}

/* Without a device of the host that could show it, it is an event. */
static void set_led(struct input *in, uint16_t code, bool on)
{
	bool changed = input_bit(in->leds, code) != on;

	input_set_bit(in->leds, code, on);
	if (changed && !in->evdev && log_allowed(&in->led_events, LED_EVENTS_MAX))
		vdev_event(
			&in->dev, "led", "%s %s", input_code_name(EV_LED, code), on ? "on" : "off");
}

/* LEDs and the like (5.8.6). */
static void status_event(struct input *in, const struct input_wire *wire)
{
	uint16_t type = le16toh(wire->type), code = le16toh(wire->code);
	int32_t value = (int32_t)le32toh(wire->value);

	in->count.status_events++;
	if (!input_has(&in->caps, type, code) || type == EV_SYN)
		return;
	if (type == EV_LED)
		set_led(in, code, value != 0);
	if (in->evdev && (type == EV_LED || type == EV_SND))
		evdev_send(in->evdev, type, code, value);
}

static void serve_status(struct input *in)
{
	struct vq *vq = running(in, INPUT_STATUSQ);
	struct input_wire wire;
	struct vq_chain *c;
	struct iov_iter it;
	unsigned n = 0;

	if (!vq)
		return;
	for (; n < TURN_MAX && vq_pop_or_kick(vq, &c) == 1; n++) {
		iov_iter_init(&it, c->iov, c->n_out);
		if (c->n_in) {
			vdev_broken(&in->dev, INPUT_STATUSQ,
				"a device-writable buffer in the statusq (5.8.6.1)");
			return;
		}
		if (iov_read(&it, &wire, sizeof(wire)) == sizeof(wire))
			status_event(in, &wire);
		else
			in->count.bad_status++;
		vq_push(vq, c, 0);
	}
	vq_flush(vq);
	if (n == TURN_MAX)
		ev_task_post(&in->work);
}

static void input_work(void *arg)
{
	struct input *in = arg;

	vdev_kick(&in->dev, INPUT_STATUSQ);
}

static void input_kick(struct vdev *dev, unsigned q)
{
	struct input *in = to_input(dev);

	if (q == INPUT_EVENTQ)
		input_serve(in);
	else
		serve_status(in);
}

static void input_queue_started(struct vdev *dev, unsigned q)
{
	struct input *in = to_input(dev);

	if (q != INPUT_EVENTQ)
		return;
	input_driver(in, vq_resumed(dev->queues[q]));
	if (in->replay && in->script.start_when == REPLAY_READY)
		replay_start(in->replay);
}

static void input_queue_stop(struct vdev *dev, unsigned q)
{
	struct input *in = to_input(dev);

	if (q == INPUT_EVENTQ)
		input_forget(in);
	else
		ev_task_cancel(&in->work);
}

static void input_reset(struct vdev *dev)
{
	struct input *in = to_input(dev);

	in->select = in->subsel = 0;
}

static void input_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	const struct input *in = to_input(dev);
	struct input_config config = { .select = in->select, .subsel = in->subsel };

	config.size = (uint8_t)input_config_data(&in->caps, in->select, in->subsel, config.data);
	memcpy(buf, (const char *)&config + offset, len);
}

/* Only select and subsel can be written (5.8.5.1). */
static void input_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	struct input *in = to_input(dev);
	const uint8_t *bytes = buf;

	for (uint32_t i = 0; i < len; i++) {
		if (offset + i == offsetof(struct input_config, select))
			in->select = bytes[i];
		if (offset + i == offsetof(struct input_config, subsel))
			in->subsel = bytes[i];
	}
}

/* The host's device. */

static void host_event(void *arg, uint16_t type, uint16_t code, int32_t value)
{
	input_feed(arg, type, code, value);
}

static void host_present(void *arg, bool present, const char *why)
{
	struct input *in = arg;

	if (!present)
		input_release(in);
	vdev_event(&in->dev, present ? "host-back" : "host-gone", "%s: %s", in->host, why);
	for (unsigned i = 0; present && i < LED_CNT; i++)
		if (input_has(&in->caps, EV_LED, i))
			evdev_send(in->evdev, EV_LED, (uint16_t)i, input_bit(in->leds, i));
}

static int open_host(struct input *in, struct err *e)
{
	const struct evdev_events events = { host_event, host_present, in };

	if (!in->host && in->grab)
		return err_set(e, -EINVAL, "grab without host: name the device to be grabbed");
	return in->host ? evdev_open(&in->evdev, in->host, in->grab, in->dev.loop, &events,
				  in->dev.log, e)
			: 0;
}

static void input_finish(struct vdev *dev)
{
	struct input *in = to_input(dev);

	ev_task_cancel(&in->work);
	replay_close(in->replay);
	evdev_close(in->evdev);
}

static int input_init(struct vdev *dev, struct err *e)
{
	struct input *in = to_input(dev);
	int r;

	ev_task_init(dev->loop, &in->work, input_work, in);
	input_state_init(&in->now);
	input_state_init(&in->told);
	dev->nqueues = 2;
	dev->queue_size_max = QUEUE_SIZE;
	dev->config_len = sizeof(struct input_config);
	r = open_host(in, e);
	if (!r)
		r = input_caps_init(in, e);
	if (!r && in->script.file)
		r = input_script_open(in, e);
	if (r) {
		input_finish(dev);
		return r;
	}
	if (in->evdev)
		evdev_start(in->evdev);
	if (in->replay && in->script.start_when == REPLAY_NOW)
		replay_start(in->replay);
	return 0;
}

static const struct opt input_opts[] = {
	{ "profile", OPT_ENUM, offsetof(struct input, profile), .def = "keyboard",
		.words = input_profiles, .help = "which events the guest's device has" },
	{ "codes", OPT_LIST, offsetof(struct input, codes),
		.help = "further events by their Linux names: KEY_POWER, REL_DIAL, "
			"\"ABS_X min=0 max=1023\"" },
	{ "without", OPT_LIST, offsetof(struct input, without),
		.help = "events taken from the profile, by their Linux names" },
	{ "size", OPT_STR, offsetof(struct input, size), .def = "1920x1080",
		.help = "of the touch screen, WIDTHxHEIGHT" },
	{ "slots", OPT_U32, offsetof(struct input, slots), .def = "10", .min = 1,
		.max = INPUT_SLOTS, .help = "contacts that the touch screen tells apart" },
	{ "id-name", OPT_STR, offsetof(struct input, id_name),
		.help = "name of the device in the guest" },
	{ "serial", OPT_STR, offsetof(struct input, serial), .help = "its serial number" },
	{ "devids", OPT_STR, offsetof(struct input, devids),
		.help = "BUS:VENDOR:PRODUCT:VERSION, hexadecimal" },
	{ "host", OPT_PATH, offsetof(struct input, host),
		.help = "device of the host that events come from, as /dev/input/event3" },
	{ "grab", OPT_BOOL, offsetof(struct input, grab), .def = "false",
		.help = "nobody else on the host gets its events" },
	{ "queue", OPT_U32, offsetof(struct input, kept), .def = "512", .min = 64,
		.max = INPUT_FIFO, .help = "events kept while the guest has no buffers" },
	REPLAY_OPTS(struct input, script),
	OPT_END,
};

static const struct vdev_metric input_metrics[] = {
	{ "events", offsetof(struct input, count.events), "events given to the guest" },
	{ "updates", offsetof(struct input, count.updates), "updates of the host's side" },
	{ "dropped_updates", offsetof(struct input, count.dropped_updates),
		"updates that the guest had no room for" },
	{ "dropped_events", offsetof(struct input, count.dropped_events), "their events" },
	{ "filtered", offsetof(struct input, count.filtered),
		"events that the guest's device does not have" },
	{ "status_events", offsetof(struct input, count.status_events),
		"events from the guest, as LEDs" },
	{ "bad_status", offsetof(struct input, count.bad_status),
		"status buffers that were too short for an event" },
	{ NULL, 0, NULL },
};

static const struct vdev_sandbox input_sandbox = { .ioctl_type = EVDEV_IOCTLS };

const struct vdev_class vdev_input = {
	.name = "input",
	.id = VIRTIO_ID_INPUT,
	.pci_class = 0x098000, /* input device controller, other */
	.summary = "input device: keyboard, touch screen, rotary controller",
	.size = sizeof(struct input),
	.opts = input_opts,
	.metrics = input_metrics,
	.sandbox = &input_sandbox,
	.init = input_init,
	.finish = input_finish,
	.reset = input_reset,
	.queue_started = input_queue_started,
	.queue_stop = input_queue_stop,
	.kick = input_kick,
	.command = input_command,
	.config_read = input_config_read,
	.config_write = input_config_write,
};
