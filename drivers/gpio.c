/* SPDX-License-Identifier: BSD-3-Clause */
/* GPIO device. See gpio.h. */
#include "gpio.h"

#define TIMEOUT_NS UINT64_C(1000000000)
#define REQUESTQ   0
#define EVENTQ	   1

/* Of an event's buffer. */
enum { FREE, OFFERED, FIRED, DISABLED };

struct config {
	uint16_t nlines;
	uint8_t padding[2];
	uint32_t names_size;
};

struct request {
	uint16_t type, line;
	uint32_t value;
};

struct response {
	uint8_t status, value;
};

/* What is in a buffer of eventq: the line for the device, its answer. */
struct irq {
	uint16_t line;
	uint8_t status, pad;
};

static int status_result(uint8_t status)
{
	return status == VIRTIO_GPIO_STATUS_OK	  ? 0
	       : status == VIRTIO_GPIO_STATUS_ERR ? DRV_ERROR
						  : DRV_BROKEN;
}

static int ask(struct drv_gpio *g, uint16_t type, uint16_t line, uint32_t value, uint8_t *answer)
{
	const struct request req = { type, line, value };
	struct response resp = { 0xff, 0 };
	uint32_t used = 0;
	int r;

	if (line >= g->nlines)
		return DRV_INVALID;
	r = drv_req_do(&g->requests, &req, sizeof(req), &resp, sizeof(resp), &used,
		drv_now(g->dev) + g->timeout);
	if (r)
		return r;
	if (used != sizeof(resp))
		return DRV_BROKEN;
	if (answer)
		*answer = resp.value;
	return status_result(resp.status);
}

/* Opening. */

static int read_names(struct drv_gpio *g, uint32_t size)
{
	const struct request req = { .type = VIRTIO_GPIO_MSG_GET_LINE_NAMES };
	uint32_t used = 0;
	uint8_t *block;
	int r;

	if (!size || size > DRV_GPIO_NAMES_MAX)
		return 0;
	block = drv_alloc(g->dev, 1 + size, 1);
	if (!block)
		return DRV_NO_MEMORY;
	r = drv_req_do(&g->requests, &req, sizeof(req), block, 1 + size, &used,
		drv_now(g->dev) + g->timeout);
	if (!r && used != 1 + size)
		r = DRV_BROKEN;
	if (!r)
		r = status_result(block[0]);
	if (r)
		return r;
	g->names = (const char *)block + 1;
	g->names_size = size;
	return 0;
}

int drv_gpio_open(struct drv_gpio *g, struct drv_dev *dev)
{
	/* Events do not come back in the order of their buffers. */
	const uint64_t want = (DRV_COMMON_FEATURES & ~DRV_FEATURE(VIRTIO_F_IN_ORDER)) |
			      DRV_FEATURE(VIRTIO_GPIO_F_IRQ);
	struct config config = { 0 };
	uint32_t room;
	int r = dev->id == DRV_ID_GPIO ? drv_begin(dev, want, 0) : DRV_INVALID;

	*g = (struct drv_gpio){ .dev = dev, .timeout = TIMEOUT_NS };
	if (!r)
		r = drv_config(dev, 0, &config, sizeof(config));
	room = config.names_size <= DRV_GPIO_NAMES_MAX ? config.names_size + 1 : 0;
	if (room < sizeof(struct response))
		room = sizeof(struct response);
	g->nlines = config.nlines;
	if (!r)
		r = drv_req_queue(
			&g->requests, dev, REQUESTQ, (uint32_t)sizeof(struct request) + room);
	if (!r && drv_has(dev, VIRTIO_GPIO_F_IRQ))
		r = drv_pool_open(
			&g->events, dev, EVENTQ, DRV_GPIO_IRQS, 2, (uint32_t)sizeof(struct irq));
	if (!r)
		r = drv_run(dev);
	return r ? r : read_names(g, config.names_size);
}

int drv_gpio_find(const struct drv_gpio *g, const char *name, uint16_t *line)
{
	uint32_t at = 0;

	if (!g->names)
		return DRV_UNSUPPORTED;
	for (uint32_t i = 0; i < g->nlines && at < g->names_size; i++) {
		uint32_t n = 0;

		while (at + n < g->names_size && g->names[at + n] && g->names[at + n] == name[n])
			n++;
		if (at + n < g->names_size && !g->names[at + n] && !name[n]) {
			*line = (uint16_t)i;
			return 0;
		}
		while (at < g->names_size && g->names[at])
			at++;
		at++;
	}
	return DRV_GONE;
}

/* Lines. */

int drv_gpio_direction(struct drv_gpio *g, uint16_t line, uint8_t *direction)
{
	int r = ask(g, VIRTIO_GPIO_MSG_GET_DIRECTION, line, 0, direction);

	return !r && *direction > VIRTIO_GPIO_DIRECTION_IN ? DRV_BROKEN : r;
}

int drv_gpio_set_direction(struct drv_gpio *g, uint16_t line, uint8_t direction)
{
	return ask(g, VIRTIO_GPIO_MSG_SET_DIRECTION, line, direction, NULL);
}

int drv_gpio_get(struct drv_gpio *g, uint16_t line, bool *high)
{
	uint8_t value = 0;
	int r = ask(g, VIRTIO_GPIO_MSG_GET_VALUE, line, 0, &value);

	*high = value;
	return !r && value > 1 ? DRV_BROKEN : r;
}

int drv_gpio_set(struct drv_gpio *g, uint16_t line, bool high)
{
	return ask(g, VIRTIO_GPIO_MSG_SET_VALUE, line, high, NULL);
}

int drv_gpio_output(struct drv_gpio *g, uint16_t line, bool high)
{
	int r = drv_gpio_set(g, line, high);

	return r ? r : drv_gpio_set_direction(g, line, VIRTIO_GPIO_DIRECTION_OUT);
}

/* Interrupts. */

static struct drv_gpio_event *event_of(struct drv_gpio *g, const uint8_t *buf)
{
	return &g->event[(size_t)(buf - g->events.mem) / g->events.len];
}

static uint8_t *buffer_of(struct drv_gpio *g, const struct drv_gpio_event *e)
{
	return g->events.mem + (size_t)(e - g->event) * g->events.len;
}

static void release(struct drv_gpio *g, struct drv_gpio_event *e)
{
	e->state = FREE;
	drv_pool_free(&g->events, buffer_of(g, e));
}

/* Takes one buffer that came back. Only a line that is still enabled has fired. */
static int take(struct drv_gpio *g, uint64_t until)
{
	struct drv_gpio_event *e;
	uint8_t *buf, status;
	uint32_t used;
	int r = drv_pool_take(&g->events, &buf, &used, until);

	if (r)
		return r;
	e = event_of(g, buf);
	status = ((const volatile struct irq *)(const void *)buf)->status;
	if (used != 1 || status > VIRTIO_GPIO_IRQ_STATUS_VALID) {
		release(g, e);
		return DRV_BROKEN;
	}
	if (e->state == OFFERED && status == VIRTIO_GPIO_IRQ_STATUS_VALID)
		e->state = FIRED;
	else
		release(g, e);
	return 0;
}

/* Takes all that came back. */
static int collect(struct drv_gpio *g)
{
	int r = 0;

	for (unsigned i = 0; !r && i < DRV_GPIO_IRQS; i++)
		r = take(g, 0);
	return r == DRV_TIMEOUT ? 0 : r;
}

int drv_gpio_unmask(struct drv_gpio *g, uint16_t line)
{
	uint8_t *buf;
	int r;

	if (!drv_has(g->dev, VIRTIO_GPIO_F_IRQ))
		return DRV_UNSUPPORTED;
	if (line >= g->nlines)
		return DRV_INVALID;
	r = collect(g);
	if (r)
		return r;
	for (unsigned i = 0; i < DRV_GPIO_IRQS; i++)
		if ((g->event[i].state == OFFERED || g->event[i].state == FIRED) &&
			g->event[i].line == line)
			return 0;
	if (!g->events.nfree)
		return g->events.q.ring.broken ? DRV_BROKEN : DRV_FULL;
	/* Not drv_pool_get(), which drops what comes back. */
	buf = g->events.mem + (size_t)g->events.free[--g->events.nfree] * g->events.len;
	*(struct irq *)(void *)buf = (struct irq){ .line = line, .status = 0xff };
	*event_of(g, buf) = (struct drv_gpio_event){ line, OFFERED };
	r = drv_pool_offer(&g->events, buf, sizeof(line), 1);
	if (r)
		event_of(g, buf)->state = FREE;
	return r;
}

static int disable(struct drv_gpio *g, uint16_t line)
{
	int r = ask(g, VIRTIO_GPIO_MSG_SET_IRQ_TYPE, line, VIRTIO_GPIO_IRQ_TYPE_NONE, NULL);

	for (unsigned i = 0; i < DRV_GPIO_IRQS; i++) {
		struct drv_gpio_event *e = &g->event[i];

		if (e->line != line)
			continue;
		if (e->state == FIRED)
			release(g, e);
		else if (e->state == OFFERED)
			e->state = DISABLED;
	}
	return r ? r : collect(g);
}

int drv_gpio_irq(struct drv_gpio *g, uint16_t line, uint8_t type)
{
	int r;

	if (!drv_has(g->dev, VIRTIO_GPIO_F_IRQ))
		return DRV_UNSUPPORTED;
	if (line >= g->nlines)
		return DRV_INVALID;
	if (!type)
		return disable(g, line);
	r = collect(g);
	if (!r && !g->events.nfree)
		r = DRV_FULL;
	if (!r)
		r = ask(g, VIRTIO_GPIO_MSG_SET_IRQ_TYPE, line, type, NULL);
	return r ? r : drv_gpio_unmask(g, line);
}

int drv_gpio_wait(struct drv_gpio *g, uint16_t *line, uint64_t until)
{
	int r;

	if (!drv_has(g->dev, VIRTIO_GPIO_F_IRQ))
		return DRV_UNSUPPORTED;
	do {
		for (unsigned i = 0; i < DRV_GPIO_IRQS; i++)
			if (g->event[i].state == FIRED) {
				*line = g->event[i].line;
				release(g, &g->event[i]);
				return 0;
			}
		r = take(g, until);
	} while (!r);
	return r;
}
