/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPIO device (VIRTIO 1.4, 5.18): configuration, names, requests. */
#include "conformance/cases/gpio.h"

#define NAMES_MAX 200000u /* bytes of names that a case looks at */
#define FLIGHT	  16u

enum {
	GET_NAMES = VIRTIO_GPIO_MSG_GET_LINE_NAMES,
	GET_DIRECTION = VIRTIO_GPIO_MSG_GET_DIRECTION,
	SET_DIRECTION = VIRTIO_GPIO_MSG_SET_DIRECTION,
	GET_VALUE = VIRTIO_GPIO_MSG_GET_VALUE,
	SET_VALUE = VIRTIO_GPIO_MSG_SET_VALUE,
	SET_IRQ = VIRTIO_GPIO_MSG_SET_IRQ_TYPE,
	NONE = VIRTIO_GPIO_DIRECTION_NONE,
	OUT = VIRTIO_GPIO_DIRECTION_OUT,
	IN = VIRTIO_GPIO_DIRECTION_IN,
};

static void features(struct cf *c)
{
	for (unsigned bit = 1; bit < 24; bit++)
		cf_check(c, !cf_offered(c, bit), "feature bit %u is offered, none is defined", bit);
}

static void config(struct cf *c)
{
	const char *fact = cf_fact(c, "ngpio");
	struct gpio_end g;
	uint64_t n;

	if (!gpio_up(c, &g, 0))
		return;
	cf_eq(c, cf_config(c, 2, 1), 0, "padding[0]");
	cf_eq(c, cf_config(c, 3, 1), 0, "padding[1]");
	n = cf_config(c, 4, 4);
	cf_check(c, !n || n >= g.n,
		"gpio_names_size is %u, but each of %u lines takes one byte at least", (unsigned)n,
		g.n);
	if (fact && cf_check(c, cf_number(fact, &n), "the fact ngpio is no number"))
		cf_eq(c, g.n, n, "ngpio");
}

/* Fetches the block of names into new memory; NULL if the case is over. */
static uint8_t *fetch_names(struct gpio_end *g, uint32_t *size)
{
	uint8_t *block;

	*size = (uint32_t)cf_config(g->c, 4, 4);
	if (!*size || *size > NAMES_MAX) {
		cf_skip(g->c, "gpio_names_size is %u", *size);
		return NULL;
	}
	block = cf_buf(g->c, 1 + *size);
	if (!block)
		return NULL;
	gpio_fill(g->req, GET_NAMES, 0, 0);
	return cf_do(g->c, g->q, g->req, 8, block, 1 + *size, 1 + *size) &&
			       cf_eq(g->c, *block, VIRTIO_GPIO_STATUS_OK, "status")
		       ? block + 1
		       : NULL;
}

/* The name at `at` differs from all that begin at `from` or later, unless it is empty. */
static bool unique(const uint8_t *names, uint32_t size, uint32_t at, uint32_t from)
{
	while (names[at] && from < size) {
		if (cf_text_same((const char *)names + at, (const char *)names + from))
			return false;
		while (names[from++])
			;
	}
	return true;
}

static void check_name_fact(struct cf *c, uint32_t line, const char *name)
{
	const char *fact;
	char key[24];

	if (line > 16) /* as many as a user says something of */
		return;
	cf_format(key, sizeof(key), "name.%u", line);
	fact = cf_fact(c, key);
	if (fact)
		cf_check(c, cf_text_same(fact, name), "line %u is '%s', must be '%s'", line, name,
			fact);
}

static void names(struct cf *c)
{
	struct gpio_end g;
	uint32_t size, at = 0, lines = 0;
	uint8_t *block;

	if (!gpio_up(c, &g, 0))
		return;
	block = fetch_names(&g, &size);
	if (!block || !cf_eq(c, block[size - 1], 0, "the last byte of the names"))
		return;
	for (uint32_t i = 0; i < size; i++)
		if (!cf_check(c, block[i] < 128, "byte %u of the names is no ASCII", i))
			return;
	while (at < size) {
		uint32_t next = at;

		while (block[next++])
			;
		cf_check(c, unique(block, size, at, next), "two lines have the name '%s'",
			(const char *)block + at);
		check_name_fact(c, lines, (const char *)block + at);
		at = next;
		lines++;
	}
	cf_eq(c, lines, g.n, "the number of names");
}

/* Without names the size is 0, and there is nothing to be had. */
static void no_names(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up(c, &g, 0))
		return;
	if (cf_config(c, 4, 4))
		cf_skip(c, "the lines have names");
	else
		gpio_err(&g, GET_NAMES, 0, 0);
}

/* A response that has no room for the names. */
static void names_short(struct cf *c)
{
	struct gpio_end g;
	uint32_t size, used;
	uint8_t *block;

	if (!gpio_up(c, &g, 0))
		return;
	size = (uint32_t)cf_config(c, 4, 4);
	if (size < 2 || size > NAMES_MAX) {
		cf_skip(c, "gpio_names_size is %u", size);
		return;
	}
	block = cf_buf(c, size);
	gpio_fill(g.req, GET_NAMES, 0, 0);
	if (block && cf_do_len(c, g.q, g.req, 8, block, size, &used)) {
		cf_check(c, used >= 1 && used <= size, "the used length is %u of %u", used, size);
		cf_eq(c, *block, VIRTIO_GPIO_STATUS_ERR, "status");
	}
	gpio_ask(&g, GET_DIRECTION, 0, 0);
}

/* gpio_ask() sees that both bytes are written and no more, in good responses and in bad ones. */
static void responses(struct cf *c)
{
	static const uint16_t types[] = { GET_DIRECTION, GET_VALUE, SET_VALUE, SET_DIRECTION,
		SET_IRQ, 0, 7, 0xffff };
	struct gpio_end g;

	if (!gpio_up(c, &g, cf_offered(c, VIRTIO_GPIO_F_IRQ) ? GPIO_IRQ : 0))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
		uint32_t value = types[i] == SET_DIRECTION ? IN : 0;

		if (!gpio_ask(&g, types[i], 0, value) ||
			!cf_check(c, g.resp[0] <= VIRTIO_GPIO_STATUS_ERR,
				"message %u: status %u does not exist", types[i], g.resp[0]) ||
			!cf_check(c, g.resp[1] != 0xa5, "message %u: the value was not set",
				types[i]))
			return;
	}
}

/* In two parts each, the first of them empty or not. */
static void pieces(struct cf *c)
{
	struct gpio_end g;
	struct drv_sg sg[4];
	uint8_t *in;
	uint32_t used;

	if (!gpio_up(c, &g, 0) || !(in = cf_buf(c, 1)))
		return;
	gpio_fill(g.req, GET_DIRECTION, 0, 0);
	sg[0] = cf_sg(c, g.req, 3);
	sg[1] = cf_sg(c, g.req + 3, 5);
	sg[2] = cf_sg(c, in, 1);
	sg[3] = cf_sg(c, g.resp, 1);
	if (!cf_submit(c, g.q, sg, 2, 2, in) || !cf_used(c, g.q, NULL, &used))
		return;
	cf_eq(c, used, 2, "the used length");
	cf_eq(c, *in, VIRTIO_GPIO_STATUS_OK, "status");
	cf_eq(c, g.resp[0], NONE, "the direction after a reset");
}

static void directions(struct cf *c)
{
	static const uint8_t steps[] = { IN, OUT, IN, NONE, OUT, NONE, OUT, OUT, NONE, NONE };
	struct gpio_end g;

	if (!gpio_up_loop(c, &g, 0) || !gpio_ok(&g, GET_DIRECTION, g.out, 0, NONE))
		return;
	for (unsigned i = 0; i < sizeof(steps); i++)
		if (!gpio_ok(&g, SET_DIRECTION, g.out, steps[i], 0) ||
			!gpio_ok(&g, GET_DIRECTION, g.out, 0, steps[i]))
			return;
}

static void values(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up_loop(c, &g, 0) || !gpio_wire_up(&g))
		return;
	for (unsigned i = 0; i < 16; i++)
		if (!gpio_drive(&g, i & 1) || !gpio_ok(&g, GET_VALUE, g.out, 0, i & 1))
			return;
}

/* A value that is set before the direction is used with it (5.18.6.5). */
static void value_first(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up_loop(c, &g, 0))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (!gpio_ok(&g, SET_DIRECTION, g.in, IN, 0) ||
			!gpio_ok(&g, SET_DIRECTION, g.out, i & 2 ? IN : NONE, 0) ||
			!gpio_ok(&g, SET_VALUE, g.out, i & 1, 0) ||
			!gpio_ok(&g, SET_DIRECTION, g.out, OUT, 0) ||
			!gpio_ok(&g, GET_VALUE, g.in, 0, i & 1))
			return;
}

/* The value does not outlive NONE (5.18.6.9). */
static void none_forgets(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up_loop(c, &g, 0) || !gpio_wire_up(&g) || !gpio_drive(&g, true))
		return;
	if (gpio_ok(&g, SET_DIRECTION, g.out, NONE, 0) &&
		gpio_ok(&g, GET_DIRECTION, g.out, 0, NONE) &&
		gpio_ok(&g, SET_DIRECTION, g.out, OUT, 0))
		gpio_ok(&g, GET_VALUE, g.in, 0, 0);
}

/* Requests for one line, all at once: in order, and each sees what the ones before it did. */
static void in_order(struct cf *c)
{
	struct gpio_end g;
	uint8_t *bufs;
	unsigned n;

	if (!gpio_up_loop(c, &g, 0) || !gpio_wire_up(&g) || !(bufs = cf_buf(c, FLIGHT * 16)))
		return;
	n = g.q->ring.size / 2 < FLIGHT ? g.q->ring.size / 2 : FLIGHT;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *b = bufs + (size_t)i * 16;
		struct drv_sg sg[2] = { cf_sg(c, b, 8), cf_sg(c, b + 8, 2) };

		/* Set 1, get, set 0, get, ... */
		gpio_fill(b, i & 1 ? GET_VALUE : SET_VALUE, g.out, i & 1 ? 0 : !(i & 2));
		if (!cf_submit(c, g.q, sg, 1, 1, b))
			return;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t *b = bufs + (size_t)i * 16;
		void *cookie;
		uint32_t used;

		if (!cf_used(c, g.q, &cookie, &used) ||
			!cf_check(c, cookie == b, "response %u is not that of request %u", i, i) ||
			!cf_eq(c, used, 2, "the used length") ||
			!cf_eq(c, b[8], VIRTIO_GPIO_STATUS_OK, "status") ||
			!cf_eq(c, b[9], i & 1 ? !(i & 2) : 0, "value"))
			return;
	}
}

static void reset(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up_loop(c, &g, 0) || !gpio_wire_up(&g) || !gpio_drive(&g, true))
		return;
	if (!gpio_up_loop(c, &g, 0) || !gpio_ok(&g, GET_DIRECTION, g.out, 0, NONE) ||
		!gpio_ok(&g, GET_DIRECTION, g.in, 0, NONE) ||
		!gpio_ok(&g, SET_DIRECTION, g.in, IN, 0) ||
		!gpio_ok(&g, SET_DIRECTION, g.out, OUT, 0))
		return;
	gpio_ok(&g, GET_VALUE, g.in, 0, 0);
}

/* Hostile. */

static void bad_lines(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up(c, &g, cf_offered(c, VIRTIO_GPIO_F_IRQ) ? GPIO_IRQ : 0))
		return;
	for (unsigned type = GET_DIRECTION; type <= SET_IRQ; type++)
		if (g.n < 0xffff && (!gpio_err(&g, (uint16_t)type, (uint16_t)g.n, 0) ||
					    !gpio_err(&g, (uint16_t)type, 0xffff, 1)))
			return;
	cf_must_go_on(c, g.q);
}

static void bad_types(struct cf *c)
{
	static const uint16_t types[] = { 0, 7, 8, 0x100, 0x102, 0x8000, 0xffff };
	struct gpio_end g;

	if (!gpio_up(c, &g, 0))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!gpio_err(&g, types[i], 0, 0))
			return;
	cf_must_go_on(c, g.q);
}

static void bad_values(struct cf *c)
{
	static const uint32_t values[] = { 3, 0x100, 0x101, 0x10001, 0x80000000, 0xffffffff };
	struct gpio_end g;
	bool irq = cf_offered(c, VIRTIO_GPIO_F_IRQ);

	if (!gpio_up_loop(c, &g, irq ? GPIO_IRQ : 0) || !gpio_wire_up(&g))
		return;
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (!gpio_err(&g, SET_DIRECTION, g.out, values[i]) ||
			!gpio_err(&g, SET_VALUE, g.out, values[i]) ||
			(irq && i && !gpio_err(&g, SET_IRQ, g.in, values[i])) ||
			!gpio_ok(&g, GET_DIRECTION, g.out, 0, OUT) ||
			!gpio_ok(&g, GET_VALUE, g.in, 0, 0))
			return;
	gpio_err(&g, SET_VALUE, g.out, 2);
	cf_must_go_on(c, g.q);
}

static void short_request(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up(c, &g, 0))
		return;
	gpio_fill(g.req, GET_DIRECTION, 0, 0);
	for (uint32_t n = 0; n < 8; n++) {
		cf_fill(g.resp, 0xa5, 2);
		if (!cf_do(c, g.q, g.req, n, g.resp, 2, 2) ||
			!cf_eq(c, g.resp[0], VIRTIO_GPIO_STATUS_ERR, "status"))
			return;
	}
	cf_must_go_on(c, g.q);
}

/* More bytes than a request and a response have. */
static void long_request(struct cf *c)
{
	struct gpio_end g;
	uint8_t *req, *resp;

	if (!gpio_up(c, &g, 0) || !(req = cf_buf(c, 64)) || !(resp = cf_buf(c, 64)))
		return;
	gpio_fill(req, GET_DIRECTION, 0, 0);
	if (cf_do(c, g.q, req, 64, resp, 64, 2)) {
		cf_eq(c, resp[0], VIRTIO_GPIO_STATUS_OK, "status");
		cf_check(c, cf_filled(resp + 2, 0xa5, 62), "the device wrote behind its response");
	}
	cf_must_go_on(c, g.q);
}

static void no_room(struct cf *c)
{
	struct gpio_end g;
	struct drv_sg sg[2];

	if (!gpio_up(c, &g, 0))
		return;
	gpio_fill(g.req, GET_DIRECTION, 0, 0);
	sg[0] = cf_sg(c, g.req, 8);
	if (cf_submit(c, g.q, sg, 1, 0, g.req))
		cf_must_break(c, g.q);
}

static void half_a_response(struct cf *c)
{
	struct gpio_end g;
	struct drv_sg sg[2];

	if (!gpio_up(c, &g, 0))
		return;
	gpio_fill(g.req, GET_DIRECTION, 0, 0);
	sg[0] = cf_sg(c, g.req, 8);
	sg[1] = cf_sg(c, g.resp, 1);
	if (!cf_submit(c, g.q, sg, 1, 1, g.req))
		return;
	cf_must_break(c, g.q);
	cf_check(c, g.resp[0] == 0xa5, "the device wrote to a broken request");
}

/* Interrupts without the feature (5.18.6.8). */
static void irq_not_negotiated(struct cf *c)
{
	struct gpio_end g;

	if (!gpio_up(c, &g, 0))
		return;
	gpio_err(&g, SET_IRQ, 0, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH);
	cf_must_go_on(c, g.q);
}

const struct cf_case cf_cases_gpio[] = {
	{ "gpio.features.none_undefined", "GPIO-1", features, DRV_ID_GPIO },
	{ "gpio.config.fields", "GPIO-1 V5.18.6.9-2", config, DRV_ID_GPIO },
	{ "gpio.names.block", "V5.18.6.9-4 V5.18.6.9-5", names, DRV_ID_GPIO, .flags = CF_RINGS },
	{ "gpio.names.absent", "V5.18.6.9-3", no_names, DRV_ID_GPIO },
	{ "gpio.request.responses", "V5.18.6.9-1 ROB-8", responses, DRV_ID_GPIO,
		.flags = CF_RINGS },
	{ "gpio.request.pieces", "V5.18.6.9-1 V2.7.4.1-1", pieces, DRV_ID_GPIO, .flags = CF_RINGS },
	{ "gpio.request.in_order", "V5.18.6.9-6", in_order, DRV_ID_GPIO, .flags = CF_RINGS },
	{ "gpio.direction.set", "GPIO-1", directions, DRV_ID_GPIO },
	{ "gpio.direction.none_forgets", "V5.18.6.9-8", none_forgets, DRV_ID_GPIO },
	{ "gpio.value.set", "GPIO-1", values, DRV_ID_GPIO },
	{ "gpio.value.before_direction", "GPIO-1", value_first, DRV_ID_GPIO },
	{ "gpio.reset.forgets", "ROB-6", reset, DRV_ID_GPIO },
	{ "gpio.hostile.lines", "ROB-10", bad_lines, DRV_ID_GPIO, .flags = CF_HOSTILE },
	{ "gpio.hostile.types", "ROB-10", bad_types, DRV_ID_GPIO, .flags = CF_HOSTILE },
	{ "gpio.hostile.values", "ROB-10", bad_values, DRV_ID_GPIO, .flags = CF_HOSTILE },
	{ "gpio.hostile.short", "ROB-10", short_request, DRV_ID_GPIO,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "gpio.hostile.long", "ROB-8", long_request, DRV_ID_GPIO, .flags = CF_HOSTILE | CF_RINGS },
	{ "gpio.hostile.names_short", "ROB-10", names_short, DRV_ID_GPIO, .flags = CF_HOSTILE },
	{ "gpio.hostile.no_room", "ROB-11", no_room, DRV_ID_GPIO, .flags = CF_HOSTILE | CF_RINGS },
	{ "gpio.hostile.half_a_response", "ROB-11", half_a_response, DRV_ID_GPIO,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "gpio.hostile.irq_not_negotiated", "ROB-10", irq_not_negotiated, DRV_ID_GPIO,
		.flags = CF_HOSTILE },
	{ 0 },
};
