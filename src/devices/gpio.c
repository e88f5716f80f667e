/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPIO device (VIRTIO 1.4, 5.18): requests, configuration, registration. */
#include <errno.h>
#include <linux/gpio.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"
#include "devices/devices.h"
#include "devices/gpio_priv.h"

enum {
	MSG_GET_NAMES = 1,
	MSG_GET_DIRECTION,
	MSG_SET_DIRECTION,
	MSG_GET_VALUE,
	MSG_SET_VALUE,
	MSG_SET_IRQ_TYPE,
};

/* A pair of buffers for each of so many lines can be in eventq at once. */
#define QUEUE_SIZE 1024u
/* Requests before other work of the loop gets a turn. */
#define TURN_REQUESTS 256u

/* Requests. */

/* Forgets all about the line (5.18.6.9). */
static uint8_t deactivate(struct gpio_line *l)
{
	gpio_irq_disable(l);
	l->direction = GPIO_NONE;
	l->value = false;
	return gpio_line_apply(l) ? GPIO_STATUS_ERR : GPIO_STATUS_OK;
}

static uint8_t set_direction(struct gpio_line *l, uint32_t direction)
{
	uint8_t before = l->direction;

	if (l->kind == GPIO_GAP)
		return GPIO_STATUS_ERR;
	if (direction == GPIO_NONE)
		return deactivate(l);
	/* A line with an interrupt stays an input (5.18.6.8). */
	if (direction == GPIO_IN ? l->no_in : direction != GPIO_OUT || l->no_out || l->irq)
		return GPIO_STATUS_ERR;
	l->direction = (uint8_t)direction;
	if (!gpio_line_apply(l))
		return GPIO_STATUS_OK;
	l->direction = before;
	gpio_line_apply(l);
	return GPIO_STATUS_ERR;
}

static uint8_t set_value(struct gpio_line *l, uint32_t value)
{
	bool before = l->value;

	if (value > 1 || l->kind == GPIO_GAP || l->no_out)
		return GPIO_STATUS_ERR;
	l->value = value;
	if (l->direction != GPIO_OUT || !gpio_line_apply(l))
		return GPIO_STATUS_OK;
	/* A chip that is gone gets what the guest believes when it is back. */
	l->value = before;
	gpio_line_apply(l);
	return GPIO_STATUS_ERR;
}

static struct virtio_gpio_response get_value(struct gpio_line *l)
{
	int level = gpio_line_sense(l);

	if (level < 0)
		return (struct virtio_gpio_response){ .status = GPIO_STATUS_ERR };
	return (struct virtio_gpio_response){ .value = (uint8_t)level };
}

static struct virtio_gpio_response answer(struct gpio *g, const struct virtio_gpio_request *req)
{
	unsigned number = le16toh(req->gpio);
	uint32_t value = le32toh(req->value);
	struct virtio_gpio_response resp = { .status = GPIO_STATUS_ERR };
	struct gpio_line *l;

	if (number >= g->n)
		return resp;
	l = &g->lines[number];
	switch (le16toh(req->type)) {
	case MSG_GET_DIRECTION:
		resp = (struct virtio_gpio_response){ GPIO_STATUS_OK, l->direction };
		break;
	case MSG_SET_DIRECTION:
		resp.status = set_direction(l, value);
		break;
	case MSG_GET_VALUE:
		resp = get_value(l);
		break;
	case MSG_SET_VALUE:
		resp.status = set_value(l, value);
		break;
	case MSG_SET_IRQ_TYPE:
		resp.status = gpio_irq_set_type(l, value);
		break;
	default:
		break;
	}
	gpio_state_save(l);
	return resp;
}

/* The block of names, after a status (5.18.6.1). A buffer that is too short for it gets an error
 * and zeroes. Returns the bytes written. */
static uint32_t answer_names(struct gpio *g, struct iov_iter *out, size_t room)
{
	uint8_t status = g->names_size && room > g->names_size ? GPIO_STATUS_OK : GPIO_STATUS_ERR;

	iov_write(out, &status, sizeof(status));
	if (status == GPIO_STATUS_ERR) {
		size_t rest = g->names_size ? room - 1 : sizeof(struct virtio_gpio_response) - 1;

		g->errors++;
		return 1 + (uint32_t)iov_zero(out, rest);
	}
	for (unsigned i = 0; i < g->n; i++) {
		const char *name = g->lines[i].name ? g->lines[i].name : "";

		iov_write(out, name, strlen(name) + 1);
	}
	return 1 + g->names_size;
}

static void request(struct gpio *g, struct vq_chain *c)
{
	struct virtio_gpio_request req = { 0 };
	struct virtio_gpio_response resp = { .status = GPIO_STATUS_ERR };
	struct iov_iter in, out;
	bool whole;

	iov_iter_init(&in, c->iov, c->n_out);
	iov_iter_init(&out, vq_in(c), c->n_in);
	whole = iov_read(&in, &req, sizeof(req)) == sizeof(req);
	g->requests++;
	if (whole && le16toh(req.type) == MSG_GET_NAMES) {
		vq_push(c->vq, c, answer_names(g, &out, c->in_len));
		return;
	}
	if (whole)
		resp = answer(g, &req);
	g->errors += resp.status != GPIO_STATUS_OK;
	iov_write(&out, &resp, sizeof(resp));
	vq_push(c->vq, c, sizeof(resp));
}

/* True if there may be more. */
static bool serve_requests(struct gpio *g)
{
	struct vq *vq = g->dev.queues[GPIO_REQUESTQ];
	struct vq_chain *c;
	unsigned i;

	for (i = 0; i < TURN_REQUESTS && vq_pop_or_kick(vq, &c) == 1; i++) {
		if (c->in_len < sizeof(struct virtio_gpio_response)) {
			vdev_broken(&g->dev, GPIO_REQUESTQ,
				"a request has no room for its response (5.18.6.8)");
			return false;
		}
		request(g, c);
	}
	vq_flush(vq);
	return i == TURN_REQUESTS;
}

static void gpio_kick(struct vdev *dev, unsigned q)
{
	struct gpio *g = to_gpio(dev);

	if (q == GPIO_REQUESTQ ? serve_requests(g) : gpio_irq_serve(g))
		ev_timer_set(&g->again, 0);
}

static void gpio_again(void *arg)
{
	struct gpio *g = arg;

	vdev_kick(&g->dev, GPIO_REQUESTQ);
	vdev_kick(&g->dev, GPIO_EVENTQ);
}

/* The device. */

static void guests_up(struct gpio *g, bool up)
{
	wires_guest_up(&g->guest, up);
	wires_guest_up(&g->shared_guest, up);
}

static void gpio_start(struct vdev *dev)
{
	guests_up(to_gpio(dev), true);
}

static void gpio_reset(struct vdev *dev)
{
	struct gpio *g = to_gpio(dev);

	ev_timer_stop(&g->again);
	guests_up(g, false);
	/* What the file has may still be for a driver that goes on. */
	if (!g->touched)
		return;
	for (unsigned i = 0; i < g->n; i++) {
		struct gpio_line *l = &g->lines[i];

		if (l->direction == GPIO_NONE && !l->irq && !l->value)
			continue;
		l->direction = GPIO_NONE;
		l->value = l->latched = false;
		l->irq = GPIO_IRQ_NONE;
		gpio_line_apply(l);
		gpio_state_save(l);
	}
	g->touched = false;
}

/* A ring that goes on where another process left it has a driver that knows of its lines. */
static void gpio_queue_started(struct vdev *dev, unsigned q)
{
	struct gpio *g = to_gpio(dev);

	if (q != GPIO_REQUESTQ || g->touched)
		return;
	g->touched = true;
	if (vq_resumed(dev->queues[q]))
		gpio_state_restore(g);
}

static void gpio_queue_stop(struct vdev *dev, unsigned q)
{
	if (q == GPIO_EVENTQ)
		gpio_irq_forget(to_gpio(dev));
}

static void gpio_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	const struct gpio *g = to_gpio(dev);
	const struct virtio_gpio_config config = {
		.ngpio = htole16((uint16_t)g->n),
		.gpio_names_size = htole32(g->names_size),
	};

	memcpy(buf, (const char *)&config + offset, len);
}

static void on_event(void *arg, const char *event, const char *detail)
{
	struct gpio *g = arg;

	vdev_event(&g->dev, event, "%s", detail);
}

void gpio_attach(struct vdev *dev, struct wires *wires, const char *name)
{
	struct gpio *g = to_gpio(dev);

	g->shared = wires;
	g->port = name;
}

static void close_all(struct gpio *g)
{
	gpio_state_close(g);
	gpio_lines_close(g);
	wires_remove_guest(&g->guest);
	wires_remove_guest(&g->shared_guest);
	gpiochips_destroy(g->chips);
	wires_destroy(g->wires);
	g->chips = NULL;
	g->wires = NULL;
}

static int open_all(struct gpio *g, struct err *e)
{
	struct vdev *dev = &g->dev;
	int r;

	if (!g->port)
		g->port = dev->log ? dev->log->name : "gpio";
	g->wires_host = (struct wires_host){ .arg = g, .event = on_event };
	g->chips_host = (struct gpiochips_host){ .arg = g, .event = on_event };
	r = wires_create(
		&g->wires, g->port, &g->wires_config, &g->wires_host, dev->loop, dev->log, e);
	if (r)
		return r;
	wires_add_guest(g->wires, &g->guest);
	if (g->shared)
		wires_add_guest(g->shared, &g->shared_guest);
	r = gpiochips_create(&g->chips, &g->chips_host, dev->loop, dev->log);
	if (r)
		return err_sys(e, r, "GPIO chips");
	r = gpio_lines_open(g, e);
	if (!r)
		r = gpio_state_open(g, e);
	return r ? r : wires_start(g->wires, e);
}

static int gpio_init(struct vdev *dev, struct err *e)
{
	struct gpio *g = to_gpio(dev);
	int r;

	ev_timer_init(dev->loop, &g->again, gpio_again, g);
	r = open_all(g, e);
	if (r) {
		close_all(g);
		return r;
	}
	dev->features = FEATURE(VIRTIO_GPIO_F_IRQ);
	/* Buffers of eventq come back when their lines move, not in the order they were queued. */
	dev->masked |= FEATURE(VIRTIO_F_IN_ORDER);
	dev->nqueues = 2;
	dev->queue_size_max = QUEUE_SIZE;
	dev->config_len = sizeof(struct virtio_gpio_config);
	return 0;
}

static void gpio_finish(struct vdev *dev)
{
	struct gpio *g = to_gpio(dev);

	ev_timer_stop(&g->again);
	close_all(g);
}

static const struct opt gpio_opts[] = {
	{ "lines", OPT_LIST, offsetof(struct gpio, list), .flags = OPT_REQUIRED,
		.help = "lines: NAME sim|wire:NET|chip:CHIP/LINE [WORD...], or gap [N]" },
	{ "state", OPT_PATH, offsetof(struct gpio, state_path),
		.help = "file that keeps the lines' state while the process is replaced" },
	WIRES_OPTS(struct gpio, wires_config.),
	OPT_END,
};

static const struct vdev_metric gpio_metrics[] = {
	{ "requests", offsetof(struct gpio, requests), "requests answered" },
	{ "errors", offsetof(struct gpio, errors), "requests answered with an error" },
	{ "irqs", offsetof(struct gpio, irqs), "interrupts delivered" },
	{ "irqs_latched", offsetof(struct gpio, irqs_latched),
		"edges remembered while their interrupt was masked" },
	{ "irqs_returned", offsetof(struct gpio, irqs_returned),
		"buffers of eventq returned as invalid" },
	{ "host_errors", offsetof(struct gpio, host_errors), "failures of lines of the host" },
	{ NULL, 0, NULL },
};

static const unsigned long gpio_ioctls[] = { GPIO_GET_LINEINFO_IOCTL, GPIO_GET_LINEHANDLE_IOCTL,
	GPIO_GET_LINEEVENT_IOCTL, GPIOHANDLE_GET_LINE_VALUES_IOCTL,
	GPIOHANDLE_SET_LINE_VALUES_IOCTL, GPIOHANDLE_SET_CONFIG_IOCTL, 0 };
static const char *const gpio_paths[] = { NULL };
static const struct vdev_sandbox gpio_sandbox = { .ioctls = gpio_ioctls, .paths = gpio_paths };

const struct vdev_class vdev_gpio = {
	.name = "gpio",
	.id = VIRTIO_ID_GPIO,
	.pci_class = 0x088000, /* base system peripheral, other */
	.summary = "GPIO lines: simulated, wired between guests, or the host's",
	.size = sizeof(struct gpio),
	.opts = gpio_opts,
	.metrics = gpio_metrics,
	.sandbox = &gpio_sandbox,
	.init = gpio_init,
	.finish = gpio_finish,
	.start = gpio_start,
	.reset = gpio_reset,
	.queue_started = gpio_queue_started,
	.queue_stop = gpio_queue_stop,
	.kick = gpio_kick,
	.config_read = gpio_config_read,
	.command = gpio_command,
};
