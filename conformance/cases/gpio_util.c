/* SPDX-License-Identifier: BSD-3-Clause */
/* See gpio.h. */
#include "conformance/cases/gpio.h"

/* How long nothing must happen. */
#define QUIET_NS UINT64_C(20000000)

bool gpio_up(struct cf *c, struct gpio_end *g, uint64_t want)
{
	*g = (struct gpio_end){ .c = c };
	g->q = cf_up(c, want, want & GPIO_IRQ ? 2 : 1);
	g->req = cf_buf(c, 8);
	g->resp = cf_buf(c, 2);
	if (!g->q || !g->req || !g->resp)
		return false;
	if (want & GPIO_IRQ)
		g->ev = cf_q(c, 1);
	g->n = (uint32_t)cf_config(c, 0, 2);
	return cf_check(c, g->n, "the device has no lines");
}

/* "0:1". */
static bool parse_loop(struct gpio_end *g, const char *text)
{
	uint64_t n[2] = { 0, 0 };
	unsigned i = 0;

	for (; *text; text++) {
		if (*text == ':' && i == 0)
			i++;
		else if (*text >= '0' && *text <= '9')
			n[i] = n[i] * 10 + (uint64_t)(*text - '0');
		else
			return false;
	}
	g->out = (uint16_t)n[0];
	g->in = (uint16_t)n[1];
	return i == 1 && n[0] < g->n && n[1] < g->n;
}

bool gpio_up_loop(struct cf *c, struct gpio_end *g, uint64_t want)
{
	const char *loop = cf_fact(c, "loop");

	if (!loop) {
		cf_skip(c, "no two lines are known to be connected (fact loop=OUT:IN)");
		return false;
	}
	if (!gpio_up(c, g, want))
		return false;
	return cf_check(c, parse_loop(g, loop), "the fact loop is '%s', not OUT:IN of %u lines",
		loop, g->n);
}

void gpio_fill(uint8_t *req, uint16_t type, uint16_t line, uint32_t value)
{
	cf_copy(req, &type, 2);
	cf_copy(req + 2, &line, 2);
	cf_copy(req + 4, &value, 4);
}

bool gpio_ask(struct gpio_end *g, uint16_t type, uint16_t line, uint32_t value)
{
	gpio_fill(g->req, type, line, value);
	cf_fill(g->resp, 0xa5, 2);
	return cf_do(g->c, g->q, g->req, 8, g->resp, 2, 2);
}

bool gpio_ok(struct gpio_end *g, uint16_t type, uint16_t line, uint32_t value, uint8_t answer)
{
	return gpio_ask(g, type, line, value) &&
	       cf_check(g->c, g->resp[0] == VIRTIO_GPIO_STATUS_OK,
		       "message %u for line %u with value %u: status %u, must be OK", type, line,
		       value, g->resp[0]) &&
	       cf_check(g->c, g->resp[1] == answer,
		       "message %u for line %u with value %u: value %u, must be %u", type, line,
		       value, g->resp[1], answer);
}

bool gpio_err(struct gpio_end *g, uint16_t type, uint16_t line, uint32_t value)
{
	return gpio_ask(g, type, line, value) &&
	       cf_check(g->c, g->resp[0] == VIRTIO_GPIO_STATUS_ERR,
		       "message %u for line %u with value %u: status %u, must be ERR", type, line,
		       value, g->resp[0]);
}

bool gpio_drive(struct gpio_end *g, bool high)
{
	return gpio_ok(g, VIRTIO_GPIO_MSG_SET_VALUE, g->out, high, 0) &&
	       gpio_ok(g, VIRTIO_GPIO_MSG_GET_VALUE, g->in, 0, high);
}

bool gpio_wire_up(struct gpio_end *g)
{
	return gpio_ok(g, VIRTIO_GPIO_MSG_SET_DIRECTION, g->in, VIRTIO_GPIO_DIRECTION_IN, 0) &&
	       gpio_ok(g, VIRTIO_GPIO_MSG_SET_VALUE, g->out, 0, 0) &&
	       gpio_ok(g, VIRTIO_GPIO_MSG_SET_DIRECTION, g->out, VIRTIO_GPIO_DIRECTION_OUT, 0) &&
	       gpio_ok(g, VIRTIO_GPIO_MSG_GET_VALUE, g->in, 0, 0);
}

bool gpio_event_new(struct gpio_end *g, struct gpio_event *e, uint16_t line)
{
	e->line = cf_buf(g->c, 2);
	e->status = cf_buf(g->c, 1);
	if (!e->line || !e->status)
		return false;
	cf_copy(e->line, &line, 2);
	return true;
}

bool gpio_unmask(struct gpio_end *g, struct gpio_event *e)
{
	struct drv_sg sg[2] = { cf_sg(g->c, e->line, 2), cf_sg(g->c, e->status, 1) };

	*e->status = 0xa5;
	return cf_submit(g->c, g->ev, sg, 1, 1, e);
}

bool gpio_returned(struct gpio_end *g, const struct gpio_event *e, uint8_t status)
{
	void *cookie = NULL;
	uint32_t len = 0;

	return cf_used(g->c, g->ev, &cookie, &len) &&
	       cf_check(g->c, cookie == e, "the buffer of another line came back") &&
	       cf_eq(g->c, len, 1, "the used length of an event") &&
	       cf_eq(g->c, *e->status, status, "the status of an event");
}

bool gpio_quiet(struct gpio_end *g)
{
	uint32_t len;
	int r = drv_queue_wait(g->ev, NULL, &len, drv_now(cf_dev(g->c)) + QUIET_NS);

	return cf_check(g->c, r == DRV_TIMEOUT, "an event came back that must not");
}
