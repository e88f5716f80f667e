/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I2C adapter device (VIRTIO 1.4, 5.16). What is on the bus is told by facts: "registers" is
 * the address of 256 registers with an 8-bit number that counts on, "absent" one where nothing is.
 */
#include "drivers/i2c.h"
#include "conformance/cases/cases.h"

#define FRESH	 0xa5
#define HEADER	 8u
#define DATA_MAX 128u
#define FLIGHT	 16u /* requests at once; each takes up to three descriptors */
/* One of those that the I2C specification reserves (UM10204, 3.1.12). */
#define ABSENT_DEFAULT 0x7e

#define FAIL_NEXT VIRTIO_I2C_FLAGS_FAIL_NEXT
#define M_RD	  VIRTIO_I2C_FLAGS_M_RD
#define MANDATORY DRV_FEATURE(VIRTIO_I2C_F_ZERO_LENGTH_REQUEST)

/* Memory of a request: its header as the device sees it, data, and the status in a guarded buffer.
 */
struct request {
	uint8_t *header, *data, *status;
	uint32_t len;
	bool read;
};

struct i2c {
	struct cf *c;
	struct drv_queue *q;
	uint8_t absent, registers;
	bool has_registers;
};

static bool fact(struct cf *c, const char *key, uint8_t *addr)
{
	const char *text = cf_fact(c, key);
	uint64_t v;

	if (!text)
		return false;
	if (!cf_check(c, cf_number(text, &v) && v <= 0x7f, "fact %s: no address: %s", key, text))
		return false;
	*addr = (uint8_t)v;
	return true;
}

static bool up(struct i2c *i, struct cf *c)
{
	*i = (struct i2c){ .c = c, .q = cf_up(c, 0, 1), .absent = ABSENT_DEFAULT };
	fact(c, "absent", &i->absent);
	i->has_registers = fact(c, "registers", &i->registers);
	return i->q && !cf_failed(c);
}

/* The same where registers are needed. */
static bool up_registers(struct i2c *i, struct cf *c)
{
	if (!up(i, c))
		return false;
	if (!i->has_registers)
		cf_skip(c, "no fact 'registers' says where memory is");
	return i->has_registers;
}

static void put_header(uint8_t *h, uint16_t addr, uint32_t flags)
{
	cf_fill(h, 0, HEADER);
	cf_copy(h, &addr, sizeof(addr));
	cf_copy(h + 4, &flags, sizeof(flags));
}

static bool make(struct i2c *i, struct request *r, bool read, uint32_t len)
{
	*r = (struct request){ cf_buf(i->c, HEADER), len ? cf_buf(i->c, len) : NULL,
		cf_buf(i->c, 1), len, read };
	return r->header && r->status && (r->data || !len);
}

static bool send(struct i2c *i, struct request *r, uint16_t addr, uint32_t flags)
{
	struct drv_sg sg[3];
	unsigned n = 0;

	put_header(r->header, addr, flags | (r->read ? M_RD : 0));
	*r->status = FRESH;
	if (r->read)
		cf_fill(r->data, FRESH, r->len);
	sg[n++] = cf_sg(i->c, r->header, HEADER);
	if (r->len)
		sg[n++] = cf_sg(i->c, r->data, r->len);
	sg[n++] = cf_sg(i->c, r->status, 1);
	return cf_submit(i->c, i->q, sg, r->read ? 1 : n - 1, r->read ? n - 1 : 1, r);
}

/* Waits for the next one, which must be `r`, and checks what holds for any answer. */
static bool answered(struct i2c *i, const struct request *r)
{
	uint32_t used, room = r->read ? r->len + 1 : 1;
	void *cookie;

	if (!cf_used(i->c, i->q, &cookie, &used) ||
		!cf_check(i->c, cookie == r, "requests are answered in another order") ||
		!cf_check(i->c, *r->status <= VIRTIO_I2C_MSG_ERR,
			"the status is %u, there are 0 and 1", *r->status))
		return false;
	/* An error may leave the data as they were, and then not count them. */
	return *r->status == VIRTIO_I2C_MSG_OK
		       ? cf_eq(i->c, used, room, "the used length")
		       : cf_check(i->c, used <= room, "the used length is %u of %u", used, room);
}

static bool status_is(struct i2c *i, const struct request *r, uint8_t want)
{
	return answered(i, r) && cf_eq(i->c, *r->status, want, "the status");
}

static bool transfer(struct i2c *i, struct request *r, uint8_t addr, uint8_t want)
{
	return send(i, r, (uint16_t)(addr << 1), 0) && status_is(i, r, want);
}

/* Registers. */

/* Writes `len` bytes of a pattern from register `reg` on. */
static bool put(struct i2c *i, uint8_t reg, uint32_t seed, uint32_t len)
{
	struct request w;

	if (!make(i, &w, false, len + 1))
		return false;
	w.data[0] = reg;
	cf_pattern(w.data + 1, seed, len);
	return transfer(i, &w, i->registers, VIRTIO_I2C_MSG_OK);
}

/* Reads them back in one group with the number. */
static bool holds(struct i2c *i, uint8_t reg, uint32_t seed, uint32_t len)
{
	uint16_t addr = (uint16_t)(i->registers << 1);
	struct request w, r;

	if (!make(i, &w, false, 1) || !make(i, &r, true, len))
		return false;
	w.data[0] = reg;
	return send(i, &w, addr, FAIL_NEXT) && send(i, &r, addr, 0) &&
	       status_is(i, &w, VIRTIO_I2C_MSG_OK) && status_is(i, &r, VIRTIO_I2C_MSG_OK) &&
	       cf_check(i->c, cf_is_pattern(r.data, seed, len),
		       "%u bytes were read that are not those written", len);
}

/* Features. */

static void features(struct cf *c)
{
	cf_check(c, cf_offered(c, VIRTIO_I2C_F_ZERO_LENGTH_REQUEST),
		"ZERO_LENGTH_REQUEST is not offered");
	for (unsigned bit = 1; bit < 24; bit++)
		cf_check(c, !cf_offered(c, bit), "feature bit %u is offered, it is not defined",
			bit);
}

static void mandatory(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	const uint8_t before = VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER;
	uint8_t status = 0;

	if (!cf_check(c, !drv_reset(dev), "the device cannot be reset"))
		return;
	dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE);
	dev->ops->set_status(dev, before);
	if (dev->ops->accept(dev, cf_features(c, 0) & ~MANDATORY) ||
		dev->ops->set_status(dev, before | VIRTIO_S_FEATURES_OK) || !cf_status(c, &status))
		return;
	cf_check(c, !(status & VIRTIO_S_FEATURES_OK),
		"FEATURES_OK stays without ZERO_LENGTH_REQUEST");
}

/* Requests. */

static void zero_length(struct cf *c)
{
	struct request w, r;
	struct i2c i;

	if (!up(&i, c) || !make(&i, &w, false, 0) || !make(&i, &r, true, 0))
		return;
	for (unsigned k = 0; k < 4; k++)
		if (!transfer(&i, &w, i.absent, VIRTIO_I2C_MSG_ERR) ||
			!transfer(&i, &r, i.absent, VIRTIO_I2C_MSG_ERR))
			return;
	if (i.has_registers && transfer(&i, &w, i.registers, VIRTIO_I2C_MSG_OK))
		transfer(&i, &r, i.registers, VIRTIO_I2C_MSG_OK);
}

static void sizes(struct cf *c)
{
	static const uint8_t lens[] = { 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 127 };
	struct i2c i;

	if (!up_registers(&i, c))
		return;
	for (unsigned k = 0; k < sizeof(lens); k++)
		if (!put(&i, (uint8_t)k, 0x100 + k, lens[k]) ||
			!holds(&i, (uint8_t)k, 0x100 + k, lens[k]))
			return;
}

/* 5.16.6.4: neither the header nor the data of a write change, whatever the answer is. */
static void nothing_changes(struct cf *c)
{
	static const uint32_t flags[] = { 0, 4, 0x80000000, 0xfffffffc };
	struct request w;
	struct i2c i;

	if (!up(&i, c) || !make(&i, &w, false, 32))
		return;
	cf_pattern(w.data, 7, 32);
	w.data[0] = 0;
	for (unsigned k = 0; k < 4; k++) {
		uint8_t addr = i.has_registers && k % 2 == 0 ? i.registers : i.absent;
		uint8_t header[HEADER], data[32];

		put_header(header, (uint16_t)(addr << 1), flags[k]);
		cf_copy(data, w.data, 32);
		if (!send(&i, &w, (uint16_t)(addr << 1), flags[k]) || !answered(&i, &w) ||
			!cf_check(c, cf_same(w.header, header, HEADER), "the header was changed") ||
			!cf_check(c, cf_same(w.data, data, 32), "the data of a write were changed"))
			return;
	}
}

/* Header, data and status in elements of one byte (2.7.4.1). */
static void pieces(struct cf *c)
{
	struct drv_sg sg[HEADER + 4];
	struct request w;
	uint32_t used;
	struct i2c i;

	if (!up_registers(&i, c) || !put(&i, 0x20, 3, 2) || !make(&i, &w, false, 3))
		return;
	put_header(w.header, (uint16_t)(i.registers << 1), 0);
	w.data[0] = 0x20;
	cf_pattern(w.data + 1, 99, 2);
	for (unsigned k = 0; k < HEADER; k++)
		sg[k] = cf_sg(c, w.header + k, 1);
	for (unsigned k = 0; k < 3; k++)
		sg[HEADER + k] = cf_sg(c, w.data + k, 1);
	sg[HEADER + 3] = cf_sg(c, w.status, 1);
	if (cf_submit(c, i.q, sg, HEADER + 3, 1, &w) && cf_used(c, i.q, NULL, &used) &&
		cf_eq(c, used, 1, "the used length") &&
		cf_eq(c, *w.status, VIRTIO_I2C_MSG_OK, "the status"))
		holds(&i, 0x20, 99, 2);
}

/* Groups. */

/* The middle one fails: what is behind it is not executed, and the next group is sound. */
static void failed_group(struct cf *c)
{
	struct request w[3];
	uint16_t addr;
	struct i2c i;

	if (!up_registers(&i, c) || !put(&i, 0x40, 1, 4))
		return;
	addr = (uint16_t)(i.registers << 1);
	for (unsigned k = 0; k < 3; k++) {
		if (!make(&i, &w[k], false, 2))
			return;
		w[k].data[0] = (uint8_t)(0x40 + k);
		w[k].data[1] = 0x3c;
	}
	if (!send(&i, &w[0], addr, FAIL_NEXT) ||
		!send(&i, &w[1], (uint16_t)(i.absent << 1), FAIL_NEXT) ||
		!send(&i, &w[2], addr, 0) || !status_is(&i, &w[0], VIRTIO_I2C_MSG_OK) ||
		!status_is(&i, &w[1], VIRTIO_I2C_MSG_ERR) || !answered(&i, &w[2]))
		return;
	cf_note(c, "what follows the failed request has status %u", *w[2].status);
	/* 0x40 was written, 0x42 was not. */
	w[1].read = true;
	w[0].data[0] = 0x40;
	w[0].len = 1;
	w[1].len = 1;
	if (send(&i, &w[0], addr, FAIL_NEXT) && send(&i, &w[1], addr, 0) &&
		status_is(&i, &w[0], VIRTIO_I2C_MSG_OK) &&
		status_is(&i, &w[1], VIRTIO_I2C_MSG_OK) &&
		cf_eq(c, *w[1].data, 0x3c, "register 0x40")) {
		uint8_t pattern[4];

		cf_pattern(pattern, 1, 4);
		w[0].data[0] = 0x42;
		if (send(&i, &w[0], addr, FAIL_NEXT) && send(&i, &w[1], addr, 0) &&
			status_is(&i, &w[0], VIRTIO_I2C_MSG_OK) &&
			status_is(&i, &w[1], VIRTIO_I2C_MSG_OK))
			cf_eq(c, *w[1].data, pattern[2],
				"register 0x42, which a failed group would have written,");
	}
}

static void first_of_group_fails(struct cf *c)
{
	struct request w[4];
	struct i2c i;

	if (!up(&i, c))
		return;
	for (unsigned k = 0; k < 4; k++)
		if (!make(&i, &w[k], false, 1))
			return;
	for (unsigned k = 0; k < 4; k++)
		if (!send(&i, &w[k], (uint16_t)(i.absent << 1), k < 3 ? FAIL_NEXT : 0))
			return;
	if (!status_is(&i, &w[0], VIRTIO_I2C_MSG_ERR))
		return;
	for (unsigned k = 1; k < 4; k++)
		if (!answered(&i, &w[k]))
			return;
}

/* Writes to one register, as many as go at once: the last one counts, and answers come in order. */
static void in_order(struct cf *c)
{
	struct request w[FLIGHT];
	struct i2c i;

	if (!up_registers(&i, c))
		return;
	for (unsigned k = 0; k < FLIGHT; k++) {
		if (!make(&i, &w[k], false, 2))
			return;
		w[k].data[0] = 0x10;
		w[k].data[1] = (uint8_t)(0x80 + k);
	}
	for (unsigned k = 0; k < FLIGHT; k++)
		if (!send(&i, &w[k], (uint16_t)(i.registers << 1), 0))
			return;
	for (unsigned k = 0; k < FLIGHT; k++)
		if (!status_is(&i, &w[k], VIRTIO_I2C_MSG_OK))
			return;
	w[0].len = 1;
	w[1].read = true;
	w[1].len = 1;
	if (transfer(&i, &w[0], i.registers, VIRTIO_I2C_MSG_OK) &&
		transfer(&i, &w[1], i.registers, VIRTIO_I2C_MSG_OK))
		cf_eq(c, *w[1].data, 0x80 + FLIGHT - 1, "the register after all writes");
}

/* Load. */

static bool launch(struct i2c *i, struct request *w)
{
	for (unsigned k = 0; k < FLIGHT; k++)
		if (!send(i, &w[k], (uint16_t)(i->absent << 1), k % 3 ? FAIL_NEXT : 0))
			return false;
	return true;
}

static bool make_flight(struct i2c *i, struct request *w)
{
	for (unsigned k = 0; k < FLIGHT; k++)
		if (!make(i, &w[k], false, 4))
			return false;
	return true;
}

static void reset_under_load(struct cf *c)
{
	struct request w[FLIGHT];
	struct i2c i;

	if (!up(&i, c) || !make_flight(&i, w))
		return;
	for (unsigned round = 0; round < 8; round++) {
		if (!launch(&i, w) ||
			!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		for (unsigned k = 0; k < FLIGHT; k++)
			*w[k].status = 0x77;
		i.q = cf_up(c, 0, 1);
		if (!i.q || !cf_probe_works(c, i.q))
			return;
		for (unsigned k = 0; k < FLIGHT; k++)
			if (!cf_eq(c, *w[k].status, 0x77, "a status of before the reset"))
				return;
	}
}

static void killed(struct cf *c)
{
	struct cf_target *t = cf_target(c);
	struct request w[FLIGHT];
	struct i2c i;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!up(&i, c) || !make_flight(&i, w))
		return;
	for (unsigned round = 0; round < 4; round++) {
		if (!launch(&i, w) || !cf_check(c, t->kill(t), "the back-end cannot be replaced"))
			return;
		for (unsigned k = 0; k < FLIGHT; k++)
			if (!answered(&i, &w[k]))
				return;
	}
}

/* What is wrong. */

static bool raw(struct i2c *i, const void *out, uint32_t out_len, uint8_t *in, uint32_t in_len,
	uint8_t *status)
{
	uint32_t used;

	cf_fill(in, FRESH, in_len);
	if (!cf_do_len(i->c, i->q, out, out_len, in, in_len, &used) ||
		!cf_check(i->c, used <= in_len, "the used length is %u of %u", used, in_len))
		return false;
	*status = in[in_len - 1];
	return true;
}

/* Every malformed request is answered with an error, and the queue goes on. */
static void malformed(struct cf *c)
{
	struct {
		uint16_t addr;
		uint32_t flags;
		uint32_t out, in; /* bytes of data */
	} bad[] = {
		{ 0x41, 0, 1, 0 },	/* bit 0 of the address */
		{ 0x8040, 0, 1, 0 },	/* upper bits of a 7-bit address */
		{ 0xffff, M_RD, 0, 1 }, /* all of them */
		{ 0, M_RD, 4, 0 },	/* a read with data to send only */
		{ 0, M_RD, 1, 1 },	/* and with both */
		{ 0, 0, 0, 4 },		/* a write with room only */
		{ 0, 0, 1, 1 },		/* and with both */
	};
	uint8_t *out, *in, status;
	struct i2c i;

	if (!up(&i, c) || !(out = cf_buf(c, HEADER + 4)) || !(in = cf_buf(c, 5)))
		return;
	for (unsigned k = 0; k < sizeof(bad) / sizeof(*bad); k++) {
		uint8_t addr = i.has_registers ? i.registers : i.absent;

		put_header(out, bad[k].addr ? bad[k].addr : (uint16_t)(addr << 1), bad[k].flags);
		cf_fill(out + HEADER, 0, 4);
		if (!raw(&i, out, HEADER + bad[k].out, in, bad[k].in + 1, &status) ||
			!cf_check(c, status == VIRTIO_I2C_MSG_ERR,
				"malformed request %u has status %u, must be 1", k, status))
			return;
	}
	cf_must_go_on(c, i.q);
}

static void short_header(struct cf *c)
{
	uint8_t *out, *in, status;
	struct i2c i;

	if (!up(&i, c) || !(out = cf_buf(c, HEADER)) || !(in = cf_buf(c, 1)))
		return;
	put_header(out, (uint16_t)(i.absent << 1), 0);
	for (unsigned len = 0; len < HEADER; len++)
		if (!raw(&i, out, len, in, 1, &status) ||
			!cf_eq(c, status, VIRTIO_I2C_MSG_ERR, "the status"))
			return;
	cf_must_go_on(c, i.q);
}

static void no_status(struct cf *c)
{
	struct drv_sg sg;
	struct i2c i;
	uint8_t *out;

	if (!up(&i, c) || !(out = cf_buf(c, HEADER)))
		return;
	put_header(out, (uint16_t)(i.absent << 1), 0);
	sg = cf_sg(c, out, HEADER);
	if (cf_submit(c, i.q, &sg, 1, 0, out))
		cf_must_break(c, i.q);
}

const struct cf_case cf_cases_i2c[] = {
	{ "i2c.features.defined", "V5.16.6.4-1", features, DRV_ID_I2C },
	{ "i2c.features.mandatory", "V5.16.6.4-1", mandatory, DRV_ID_I2C, .flags = CF_STATUS },
	{ "i2c.request.zero_length", "V5.16.6.4-1 ROB-8", zero_length, DRV_ID_I2C,
		.flags = CF_RINGS },
	{ "i2c.request.sizes", "V5.16.6.4-5 ROB-8", sizes, DRV_ID_I2C, .flags = CF_RINGS },
	{ "i2c.request.nothing_changes", "V5.16.6.4-3 V5.16.6.4-4 ROB-4", nothing_changes,
		DRV_ID_I2C, .flags = CF_RINGS },
	{ "i2c.request.pieces", "V2.7.4.1-1", pieces, DRV_ID_I2C, .flags = CF_RINGS },
	{ "i2c.group.fails", "V5.16.6.4-7 V5.16.6.4-8", failed_group, DRV_ID_I2C,
		.flags = CF_RINGS },
	{ "i2c.group.first_fails", "V5.16.6.4-7", first_of_group_fails, DRV_ID_I2C,
		.flags = CF_RINGS },
	{ "i2c.order.kept", "V5.16.6.4-6", in_order, DRV_ID_I2C, .flags = CF_RINGS },
	{ "i2c.load.reset", "ROB-18", reset_under_load, DRV_ID_I2C, .flags = CF_RINGS },
	{ "i2c.kill.in_flight", "ROB-7", killed, DRV_ID_I2C, .flags = CF_RINGS },
	{ "i2c.malformed.request", "ROB-10", malformed, DRV_ID_I2C,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "i2c.malformed.header", "ROB-10", short_header, DRV_ID_I2C,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "i2c.malformed.no_status", "ROB-11", no_status, DRV_ID_I2C,
		.flags = CF_HOSTILE | CF_RINGS },
	{ 0 },
};
