/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPIO device (VIRTIO 1.4, 5.18): interrupts. All need two lines that are connected. */
#include "conformance/cases/gpio.h"

enum {
	SET_DIRECTION = VIRTIO_GPIO_MSG_SET_DIRECTION,
	SET_IRQ = VIRTIO_GPIO_MSG_SET_IRQ_TYPE,
	NONE = VIRTIO_GPIO_DIRECTION_NONE,
	OUT = VIRTIO_GPIO_DIRECTION_OUT,
	IN = VIRTIO_GPIO_DIRECTION_IN,
	OFF = VIRTIO_GPIO_IRQ_TYPE_NONE,
	RISING = VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING,
	FALLING = VIRTIO_GPIO_IRQ_TYPE_EDGE_FALLING,
	BOTH = VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH,
	HIGH = VIRTIO_GPIO_IRQ_TYPE_LEVEL_HIGH,
	LOW = VIRTIO_GPIO_IRQ_TYPE_LEVEL_LOW,
	VALID = VIRTIO_GPIO_IRQ_STATUS_VALID,
	INVALID = VIRTIO_GPIO_IRQ_STATUS_INVALID,
};

/* Up, with a buffer for the input and both lines low. */
static bool up(struct cf *c, struct gpio_end *g, struct gpio_event *e)
{
	return gpio_up_loop(c, g, GPIO_IRQ) && gpio_wire_up(g) && gpio_event_new(g, e, g->in);
}

static bool enable(struct gpio_end *g, uint8_t type)
{
	return gpio_ok(g, SET_IRQ, g->in, type, 0);
}

/* Disables, which gives the buffer back. */
static bool disable(struct gpio_end *g, const struct gpio_event *e)
{
	return enable(g, OFF) && gpio_returned(g, e, INVALID);
}

/* The output moves; the buffer comes back as VALID and is made available again, or nothing does. */
static bool step(struct gpio_end *g, struct gpio_event *e, bool high, bool event)
{
	if (!gpio_drive(g, high))
		return false;
	return event ? gpio_returned(g, e, VALID) && gpio_unmask(g, e) : gpio_quiet(g);
}

static void edges(struct cf *c)
{
	static const uint8_t types[] = { RISING, FALLING, BOTH };
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e))
		return;
	for (unsigned i = 0; i < sizeof(types); i++) {
		bool rises = types[i] & RISING, falls = types[i] & FALLING;

		if (!enable(&g, types[i]) || !gpio_unmask(&g, &e) || !gpio_quiet(&g) ||
			!step(&g, &e, true, rises) || !step(&g, &e, false, falls) ||
			!step(&g, &e, true, rises) || !step(&g, &e, true, false) ||
			!step(&g, &e, false, falls) || !disable(&g, &e))
			return;
	}
}

static void levels(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e))
		return;
	for (unsigned i = 0; i < 2; i++) {
		bool active = !i;

		if (!gpio_drive(&g, !active) || !enable(&g, active ? HIGH : LOW) ||
			!gpio_unmask(&g, &e) || !gpio_quiet(&g) || !gpio_drive(&g, active))
			return;
		/* As long as it is active, each time it is unmasked. */
		for (unsigned n = 0; n < 3; n++)
			if (!gpio_returned(&g, &e, VALID) || !gpio_unmask(&g, &e))
				return;
		if (!gpio_returned(&g, &e, VALID) || !gpio_drive(&g, !active) ||
			!gpio_unmask(&g, &e) || !gpio_quiet(&g) || !disable(&g, &e))
			return;
	}
}

/* One event for all edges that came while it was masked. */
static void latch(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, RISING))
		return;
	for (unsigned n = 1; n < 4; n++) {
		for (unsigned i = 0; i < n; i++)
			if (!gpio_drive(&g, true) || !gpio_drive(&g, false))
				return;
		if (!gpio_quiet(&g) || !gpio_unmask(&g, &e) || !gpio_returned(&g, &e, VALID))
			return;
		/* It is gone now. */
		if (!gpio_unmask(&g, &e) || !gpio_quiet(&g) || !gpio_drive(&g, true) ||
			!gpio_returned(&g, &e, VALID) || !gpio_drive(&g, false))
			return;
	}
}

static void no_latched_levels(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, HIGH) || !gpio_drive(&g, true) ||
		!gpio_drive(&g, false) || !gpio_unmask(&g, &e))
		return;
	gpio_quiet(&g);
}

/* What was latched goes with the interrupt, whichever way that is disabled. */
static void forgets(struct cf *c, uint16_t message)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, BOTH) || !gpio_drive(&g, true) || !gpio_drive(&g, false))
		return;
	if (!gpio_ok(&g, message, g.in, 0, 0) || !gpio_ok(&g, SET_DIRECTION, g.in, IN, 0) ||
		!enable(&g, BOTH) || !gpio_unmask(&g, &e))
		return;
	if (gpio_quiet(&g) && gpio_drive(&g, true))
		gpio_returned(&g, &e, VALID);
}

static void disable_forgets(struct cf *c)
{
	forgets(c, SET_IRQ);
}

static void none_forgets(struct cf *c)
{
	forgets(c, SET_DIRECTION);
}

/* Edges before it is enabled are not its own. */
static void not_enabled(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !gpio_drive(&g, true) || !gpio_drive(&g, false) ||
		!enable(&g, RISING) || !gpio_unmask(&g, &e))
		return;
	gpio_quiet(&g);
}

/* Enabled, but no buffer: nothing can come, and no buffer is made up. */
static void masked(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, HIGH) || !gpio_drive(&g, true) || !gpio_quiet(&g))
		return;
	if (gpio_unmask(&g, &e) && gpio_returned(&g, &e, VALID))
		gpio_quiet(&g);
}

static void disable_returns(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e))
		return;
	for (unsigned i = 0; i < 3; i++)
		if (!enable(&g, i ? HIGH : FALLING) || !gpio_unmask(&g, &e) || !disable(&g, &e))
			return;
	/* None is there, none comes back. */
	if (enable(&g, RISING) && enable(&g, OFF))
		gpio_quiet(&g);
}

/* So does NONE, which forgets the interrupt (5.18.6.9). */
static void none_returns(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, BOTH) || !gpio_unmask(&g, &e) ||
		!gpio_ok(&g, SET_DIRECTION, g.in, NONE, 0) || !gpio_returned(&g, &e, INVALID))
		return;
	if (gpio_ok(&g, SET_DIRECTION, g.in, IN, 0) && gpio_drive(&g, true))
		gpio_quiet(&g);
}

/* Unmasked, but never enabled (5.18.6.6): the buffer comes back as INVALID, or waits. */
static void unmasked_only(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !gpio_unmask(&g, &e) || !gpio_drive(&g, true) ||
		!gpio_returned(&g, &e, INVALID))
		return;
	gpio_quiet(&g);
}

/* Buffers come back in the order of the lines' interrupts, not in that of the queue. */
static void two_lines(struct cf *c)
{
	struct gpio_event in, out;
	struct gpio_end g;

	if (!up(c, &g, &in) || !gpio_event_new(&g, &out, g.out) || !enable(&g, RISING) ||
		!gpio_unmask(&g, &in) || !gpio_ok(&g, SET_DIRECTION, g.out, IN, 0) ||
		!gpio_ok(&g, SET_IRQ, g.out, RISING, 0) || !gpio_unmask(&g, &out))
		return;
	if (gpio_ok(&g, SET_IRQ, g.out, OFF, 0) && gpio_returned(&g, &out, INVALID))
		disable(&g, &in);
}

static void many(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, BOTH) || !gpio_unmask(&g, &e))
		return;
	for (unsigned i = 0; i < 500; i++)
		if (!step(&g, &e, !(i & 1), true))
			return;
}

static void reset(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	for (unsigned i = 0; i < 4; i++) {
		if (!up(c, &g, &e) || !enable(&g, BOTH) || !gpio_unmask(&g, &e))
			return;
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		*e.status = 0x77;
		if (!up(c, &g, &e) || !gpio_drive(&g, true) || !gpio_unmask(&g, &e) ||
			!gpio_returned(&g, &e, INVALID))
			return;
	}
}

/* The back-end dies with an interrupt waiting: its lines are what they were, its buffer is there.
 */
static void killed(struct cf *c)
{
	struct cf_target *t = cf_target(c);
	struct gpio_event e;
	struct gpio_end g;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!up(c, &g, &e) || !enable(&g, BOTH))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (!gpio_unmask(&g, &e) ||
			!cf_check(c, t->kill(t), "the back-end cannot be replaced") ||
			!gpio_ok(&g, VIRTIO_GPIO_MSG_GET_DIRECTION, g.out, 0, OUT) ||
			!gpio_drive(&g, !(i & 1)) || !gpio_returned(&g, &e, VALID))
			return;
}

/* Hostile. */

static void second_buffer(struct cf *c)
{
	struct gpio_event e, second;
	struct gpio_end g;

	if (!up(c, &g, &e) || !gpio_event_new(&g, &second, g.in) || !enable(&g, RISING) ||
		!gpio_unmask(&g, &e) || !gpio_unmask(&g, &second))
		return;
	/* The line has one interrupt: one buffer for it, INVALID for the other. */
	if (gpio_returned(&g, &second, INVALID) && gpio_drive(&g, true))
		gpio_returned(&g, &e, VALID);
	cf_must_go_on(c, g.q);
}

static void unknown_line(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!gpio_up(c, &g, GPIO_IRQ) || !gpio_event_new(&g, &e, 0xffff))
		return;
	if (g.n < 0xffff && gpio_unmask(&g, &e))
		gpio_returned(&g, &e, INVALID);
	cf_must_go_on(c, g.q);
}

static void short_buffer(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !enable(&g, HIGH))
		return;
	for (unsigned n = 0; n < 2; n++) {
		struct drv_sg sg[2] = { cf_sg(c, e.line, 1), cf_sg(c, e.status, 1) };

		*e.status = 0xa5;
		if (!cf_submit(c, g.ev, n ? sg : sg + 1, n, 1, &e) ||
			!gpio_returned(&g, &e, INVALID))
			return;
	}
	cf_must_go_on(c, g.q);
}

static void no_room(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;
	struct drv_sg sg;

	if (!gpio_up(c, &g, GPIO_IRQ) || !gpio_event_new(&g, &e, 0))
		return;
	sg = cf_sg(c, e.line, 2);
	if (cf_submit(c, g.ev, &sg, 1, 0, &e))
		cf_must_break(c, g.ev);
}

/* Another type without disabling first (5.18.6.8): refused or not, one of the two is in force. */
static void other_type(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;
	bool taken;

	if (!up(c, &g, &e) || !enable(&g, RISING) || !gpio_ask(&g, SET_IRQ, g.in, FALLING) ||
		!cf_check(c, g.resp[0] <= VIRTIO_GPIO_STATUS_ERR, "status %u does not exist",
			g.resp[0]))
		return;
	taken = g.resp[0] == VIRTIO_GPIO_STATUS_OK;
	if (gpio_unmask(&g, &e) && step(&g, &e, true, !taken) && step(&g, &e, false, taken))
		disable(&g, &e);
	cf_must_go_on(c, g.q);
}

/* An interrupt of an output (5.18.6.8). */
static void of_an_output(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!up(c, &g, &e) || !gpio_err(&g, SET_IRQ, g.out, BOTH))
		return;
	gpio_drive(&g, true);
	cf_must_go_on(c, g.q);
}

/* Many buffers for lines that have no interrupt do not keep requests from being served. */
static void flood(struct cf *c)
{
	struct gpio_event e;
	struct gpio_end g;

	if (!gpio_up(c, &g, GPIO_IRQ) || !gpio_event_new(&g, &e, 0))
		return;
	for (unsigned i = 0; i < 1000; i++)
		if (!gpio_unmask(&g, &e) || !gpio_returned(&g, &e, INVALID))
			return;
	cf_must_go_on(c, g.q);
}

const struct cf_case cf_cases_gpio_irq[] = {
	{ "gpio.irq.edges", "V5.18.7.3-1", edges, DRV_ID_GPIO, .flags = CF_RINGS,
		.needs = GPIO_IRQ },
	{ "gpio.irq.levels", "V5.18.7.3-1", levels, DRV_ID_GPIO, .flags = CF_RINGS,
		.needs = GPIO_IRQ },
	{ "gpio.irq.latch", "V5.18.6.9-9", latch, DRV_ID_GPIO, .flags = CF_RINGS,
		.needs = GPIO_IRQ },
	{ "gpio.irq.no_latched_levels", "V5.18.6.9-10", no_latched_levels, DRV_ID_GPIO,
		.needs = GPIO_IRQ },
	{ "gpio.irq.disable_forgets", "V5.18.6.9-11", disable_forgets, DRV_ID_GPIO,
		.needs = GPIO_IRQ },
	{ "gpio.irq.none_forgets", "V5.18.6.9-8", none_forgets, DRV_ID_GPIO, .needs = GPIO_IRQ },
	{ "gpio.irq.not_enabled", "V5.18.7.3-1", not_enabled, DRV_ID_GPIO, .needs = GPIO_IRQ },
	{ "gpio.irq.masked", "V5.18.7.3-1", masked, DRV_ID_GPIO, .needs = GPIO_IRQ },
	{ "gpio.irq.disable_returns", "V5.18.7.3-2", disable_returns, DRV_ID_GPIO,
		.flags = CF_RINGS, .needs = GPIO_IRQ },
	{ "gpio.irq.none_returns", "V5.18.6.9-8", none_returns, DRV_ID_GPIO, .needs = GPIO_IRQ },
	{ "gpio.irq.unmasked_only", "V5.18.7.3-1", unmasked_only, DRV_ID_GPIO, .needs = GPIO_IRQ },
	{ "gpio.irq.two_lines", "V5.18.7.3-2", two_lines, DRV_ID_GPIO, .flags = CF_RINGS,
		.needs = GPIO_IRQ },
	{ "gpio.irq.many", "V5.18.7.3-1", many, DRV_ID_GPIO, .flags = CF_RINGS, .needs = GPIO_IRQ },
	{ "gpio.irq.reset", "ROB-18 ROB-6", reset, DRV_ID_GPIO, .flags = CF_RINGS,
		.needs = GPIO_IRQ },
	{ "gpio.kill.waiting", "ROB-7", killed, DRV_ID_GPIO, .flags = CF_RINGS, .needs = GPIO_IRQ },
	{ "gpio.hostile.second_buffer", "ROB-10", second_buffer, DRV_ID_GPIO, .flags = CF_HOSTILE,
		.needs = GPIO_IRQ },
	{ "gpio.hostile.unknown_line", "ROB-10", unknown_line, DRV_ID_GPIO, .flags = CF_HOSTILE,
		.needs = GPIO_IRQ },
	{ "gpio.hostile.short_buffer", "ROB-10", short_buffer, DRV_ID_GPIO, .flags = CF_HOSTILE,
		.needs = GPIO_IRQ },
	{ "gpio.hostile.event_no_room", "ROB-11", no_room, DRV_ID_GPIO,
		.flags = CF_HOSTILE | CF_RINGS, .needs = GPIO_IRQ },
	{ "gpio.hostile.other_type", "ROB-1", other_type, DRV_ID_GPIO, .flags = CF_HOSTILE,
		.needs = GPIO_IRQ },
	{ "gpio.hostile.of_an_output", "ROB-10", of_an_output, DRV_ID_GPIO, .flags = CF_HOSTILE,
		.needs = GPIO_IRQ },
	{ "gpio.hostile.flood", "ROB-19", flood, DRV_ID_GPIO, .flags = CF_HOSTILE | CF_RINGS,
		.needs = GPIO_IRQ },
	{ 0 },
};
