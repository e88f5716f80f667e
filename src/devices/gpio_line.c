/* SPDX-License-Identifier: BSD-3-Clause */
/* What is behind a GPIO line: a net or a line of the host, in the state the driver asked for. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/gpio_priv.h"

/* Messages per second about lines of the host. */
#define FAILURE_BURST 2u

static int failed(struct gpio_line *l, int r)
{
	struct gpio *g = l->gpio;

	g->host_errors++;
	/* That its chip is gone was said when it went. */
	if (r != -ENODEV && log_allowed(&g->failures, FAILURE_BURST))
		log_error(g->dev.log, "line %u%s%s of the host: %s", l->number, l->name ? ", " : "",
			l->name ? l->name : "",
			r == -EBUSY ? "somebody else has it" : strerror(-r));
	return r;
}

/* What the line drives: -1: nothing. */
static int output(const struct gpio_line *l)
{
	return l->direction == GPIO_OUT ? l->value : l->safe;
}

static int apply_net(struct gpio_line *l)
{
	static const enum wire_drive drives[] = { WIRE_Z, WIRE_LOW, WIRE_HIGH };
	int out = output(l);

	if (l->open_drain && out == 1)
		out = -1;
	wire_drive(&l->end, drives[out + 1]);
	return 0;
}

static int apply_host(struct gpio_line *l)
{
	int out = output(l);
	enum chipline_use use = out >= 0		  ? CHIPLINE_OUT
				: l->irq		  ? CHIPLINE_EDGES
				: l->direction == GPIO_IN ? CHIPLINE_IN
							  : CHIPLINE_OFF;
	int r = chipline_use(&l->host, use, out == 1);

	return r ? failed(l, r) : 0;
}

int gpio_line_apply(struct gpio_line *l)
{
	switch ((enum gpio_kind)l->kind) {
	case GPIO_NET:
		return apply_net(l);
	case GPIO_HOST:
		return apply_host(l);
	case GPIO_GAP:
	default:
		return -ENODEV;
	}
}

int gpio_line_sense(struct gpio_line *l)
{
	int r = -ENODEV;

	if (l->kind == GPIO_NET)
		return wire_level(l->end.wire);
	if (l->kind == GPIO_HOST)
		r = chipline_get(&l->host);
	return r < 0 ? failed(l, r) : r;
}

void gpio_line_net_changed(struct wire_end *end, bool level)
{
	gpio_irq_level(container_of(end, struct gpio_line, end), level);
}

void gpio_line_host_changed(struct chipline *host, bool level)
{
	gpio_irq_level(container_of(host, struct gpio_line, host), level);
}
