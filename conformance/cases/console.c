/* SPDX-License-Identifier: BSD-3-Clause */
/* The console device (VIRTIO 1.4, 5.3) with one port: data both ways, size, emergency write. */
#include "conformance/cases/console.h"

#define FRESH	   0xa5
#define MARKER_LEN 16u
#define INPUT_LEN  256u
#define STALE_MAX  (1u << 20)
/* Silence after which a line has lost the marker, a multiple of what a way there and back takes. */
#define LOST_NS	  500000000
#define TRIES_MAX 4u

bool con_use(struct con *k, struct cf *c)
{
	k->c = c;
	k->rx = cf_q(c, CON_RX);
	k->tx = cf_q(c, CON_TX);
	k->marker = cf_buf(c, MARKER_LEN);
	k->input = cf_buf(c, INPUT_LEN);
	return k->rx && k->tx && k->marker && k->input;
}

bool con_up(struct con *k, struct cf *c, uint64_t want)
{
	return cf_up(c, want & ~DRV_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT), 2) && con_use(k, c);
}

bool con_send(struct con *k, const void *p, uint32_t len)
{
	return cf_do(k->c, k->tx, p, len, NULL, 0, 0);
}

/* One buffer; `*used` of its bytes came. */
static bool receive_some(struct con *k, uint8_t *buf, uint32_t len, uint32_t *used)
{
	cf_fill(buf, FRESH, len);
	return cf_do_len(k->c, k->rx, NULL, 0, buf, len, used) &&
	       cf_check(k->c, *used >= 1 && *used <= len, "the used length is %u, must be 1 to %u",
		       *used, len) &&
	       cf_check(k->c, cf_filled(buf + *used, FRESH, len - *used),
		       "the device wrote behind the %u bytes that it reports", *used);
}

bool con_receive(struct con *k, uint8_t *buf, uint32_t len, uint32_t most)
{
	uint32_t used;

	for (; len; buf += used, len -= used)
		if (!receive_some(k, buf, len < most ? len : most, &used))
			return false;
	return true;
}

bool con_echoes(struct con *k, uint8_t *buf, uint32_t len, uint32_t seed)
{
	cf_pattern(buf, seed, len);
	return con_send(k, buf, len) && con_receive(k, buf + len, len, len) &&
	       cf_check(k->c, cf_is_pattern(buf + len, seed, len),
		       "%u bytes do not come back as they were sent", len);
}

/* A marker that no earlier case has used: the time is in it. */
static void make_marker(struct con *k)
{
	uint64_t now = drv_now(cf_dev(k->c));

	cf_pattern(k->marker, (uint32_t)now, MARKER_LEN);
	cf_copy(k->marker, &now, sizeof(now));
}

static bool send_marker(struct con *k)
{
	make_marker(k);
	return con_send(k, k->marker, MARKER_LEN);
}

/* One buffer of input. A serial line loses what comes while its receiver's buffer is full, the
 * marker, too: then there is another. */
static bool receive_marked(struct con *k, unsigned *tries, uint32_t *used)
{
	struct drv_sg sg = cf_sg(k->c, k->input, INPUT_LEN);

	if (!cf_submit(k->c, k->rx, &sg, 0, 1, k))
		return false;
	for (; *tries && !cf_has_used(k->c, k->rx, LOST_NS); --*tries)
		if (!send_marker(k))
			return false;
	return cf_used(k->c, k->rx, NULL, used) &&
	       cf_check(k->c, *used >= 1 && *used <= INPUT_LEN,
		       "the used length is %u, must be 1 to %u", *used, INPUT_LEN);
}

bool con_sync(struct con *k)
{
	uint8_t last[MARKER_LEN] = { 0 };
	unsigned tries = TRIES_MAX;
	uint32_t used, total = 0;

	if (!send_marker(k))
		return false;
	while (!cf_same(last, k->marker, MARKER_LEN)) {
		if (!receive_marked(k, &tries, &used))
			return false;
		total += used;
		for (uint32_t i = 0; i < used; i++) {
			for (uint32_t j = 1; j < MARKER_LEN; j++)
				last[j - 1] = last[j];
			last[MARKER_LEN - 1] = k->input[i];
		}
		if (!cf_check(k->c, total < STALE_MAX, "input does not end"))
			return false;
	}
	return true;
}

bool con_config_write(struct cf *c, uint32_t offset, uint32_t value, unsigned len)
{
	struct drv_dev *dev = cf_dev(c);
	int r = dev->ops->config_write(dev, offset, &value, len);

	if (r == DRV_UNSUPPORTED) {
		cf_skip(c, "configuration space cannot be written");
		return false;
	}
	return cf_check(c, !r, "configuration byte %u cannot be written (%d)", offset, r);
}

/* Configuration. */

static void size_is(struct cf *c, const char *key, uint64_t got)
{
	const char *fact = cf_fact(c, key);
	uint64_t said;

	cf_check(c, got > 0, "%s is 0", key);
	if (fact && cf_check(c, cf_number(fact, &said), "fact %s: no number: %s", key, fact))
		cf_eq(c, got, said, key);
}

static void size(struct cf *c)
{
	uint64_t cols = cf_config(c, CON_CFG_COLS, 2), rows = cf_config(c, CON_CFG_ROWS, 2);

	if (!cf_up(c, DRV_FEATURE(VIRTIO_CONSOLE_F_SIZE), 2))
		return;
	size_is(c, "cols", cf_config(c, CON_CFG_COLS, 2));
	size_is(c, "rows", cf_config(c, CON_CFG_ROWS, 2));
	cf_eq(c, cols, cf_config(c, CON_CFG_COLS, 2), "cols before FEATURES_OK");
	cf_eq(c, rows, cf_config(c, CON_CFG_ROWS, 2), "rows before FEATURES_OK");
	cf_note(c, "%ux%u", (unsigned)cols, (unsigned)rows);
}

static void read_only_fields(struct cf *c)
{
	static const uint8_t fields[][2] = { { CON_CFG_COLS, 2 }, { CON_CFG_ROWS, 2 },
		{ CON_CFG_MAX_NR_PORTS, 4 } };
	struct drv_queue *q = cf_up(c, DRV_FEATURE(VIRTIO_CONSOLE_F_SIZE), 2);

	for (unsigned i = 0; q && i < sizeof(fields) / sizeof(*fields); i++) {
		uint64_t was = cf_config(c, fields[i][0], fields[i][1]);

		if (!con_config_write(c, fields[i][0], ~(uint32_t)was, fields[i][1]))
			return;
		cf_check(c, cf_config(c, fields[i][0], fields[i][1]) == was,
			"the configuration field at %u was changed by a write", fields[i][0]);
	}
	if (q)
		cf_must_go_on(c, cf_q(c, CON_TX));
}

/* Output. */

static void output_sizes(struct cf *c)
{
	static const uint32_t len[] = { 1, 2, 3, 63, 64, 65, 1000, 4095, 4096, 4097, 20000 };
	struct con k;
	uint8_t *buf = cf_buf(c, 20000);

	if (!buf || !con_up(&k, c, 0))
		return;
	cf_fill(buf, 'o', 20000);
	for (unsigned i = 0; i < sizeof(len) / sizeof(*len); i++)
		if (!con_send(&k, buf, len[i]))
			return;
	cf_check(c, cf_filled(buf, 'o', 20000), "the device wrote to what it may only read");
}

#define OUTPUTS 32u /* at once at most */

static void output_in_flight(struct cf *c)
{
	struct con k;
	uint8_t *buf = cf_buf(c, OUTPUTS);
	uint32_t used, seen = 0, n;
	void *cookie;

	if (!buf || !con_up(&k, c, 0))
		return;
	n = k.tx->ring.size < OUTPUTS ? k.tx->ring.size : OUTPUTS;
	for (unsigned round = 0; round < 20; round++, seen = 0) {
		for (unsigned i = 0; i < n; i++) {
			struct drv_sg sg = cf_sg(c, buf + i, 1);

			if (!cf_submit(c, k.tx, &sg, 1, 0, buf + i))
				return;
		}
		for (unsigned i = 0; i < n; i++) {
			if (!cf_used(c, k.tx, &cookie, &used) ||
				!cf_eq(c, used, 0, "the used length"))
				return;
			seen |= 1u << ((uint8_t *)cookie - buf);
		}
		if (!cf_eq(c, seen, UINT32_MAX >> (32 - n), "the set of buffers that were used"))
			return;
	}
}

/* A guest that writes without anybody who reads is not held up. */
static void output_without_end(struct cf *c)
{
	struct con k;
	uint8_t *buf = cf_buf(c, 4096);

	if (cf_target(c)->echo) {
		cf_skip(c, "somebody reads here");
		return;
	}
	for (unsigned i = 0; buf && con_up(&k, c, 0) && i < 1; i++)
		for (unsigned n = 0; n < 256; n++)
			if (!con_send(&k, buf, 4096))
				return;
}

/* Both ways. */

static void every_byte(struct cf *c)
{
	struct con k;
	uint8_t *buf = cf_buf(c, 512);

	if (!buf || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	for (unsigned i = 0; i < 256; i++)
		buf[i] = (uint8_t)i;
	if (!con_send(&k, buf, 256) || !con_receive(&k, buf + 256, 256, 256))
		return;
	for (unsigned i = 0; i < 256; i++)
		if (!cf_check(c, buf[256 + i] == i, "byte 0x%02x comes back as 0x%02x", i,
			    buf[256 + i]))
			return;
}

/* What terminals treat in their own way: ends of lines, ^C, ^D, ^S, ^Q, ^Z, escapes, 8 bits. */
static void terminal_bytes(struct cf *c)
{
	static const uint8_t bytes[] =
		"\r\n\n\r\r\n\x03\x04\x11\x13\x1a\x1c\x7f\b\t\0\x1b[6n\xff\xff"
		"\xc3\x28\x1d.";
	struct con k;
	uint8_t *buf = cf_buf(c, 2 * sizeof(bytes));

	if (!buf || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	cf_copy(buf, bytes, sizeof(bytes));
	if (con_send(&k, buf, sizeof(bytes)) &&
		con_receive(&k, buf + sizeof(bytes), sizeof(bytes), sizeof(bytes)))
		cf_check(c, cf_same(buf + sizeof(bytes), bytes, sizeof(bytes)),
			"control characters do not come back as they were sent");
}

static void echo_large(struct cf *c)
{
	struct con k;
	uint8_t *buf = cf_buf(c, 2 * 8192);

	if (!buf || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	for (uint32_t i = 0; i < 32; i++)
		if (!con_echoes(&k, buf, 8192, i))
			return;
}

static void echo_sizes(struct cf *c)
{
	static const uint16_t len[] = { 1, 2, 3, 15, 16, 17, 100, 1000, 4095, 4096, 4097 };
	struct con k;
	uint8_t *buf = cf_buf(c, 2 * 4097);

	if (!buf || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	for (unsigned i = 0; i < sizeof(len) / sizeof(*len); i++)
		if (!con_echoes(&k, buf, len[i], i))
			return;
}

/* Input waits until there are buffers for it. */
static void input_waits(struct cf *c)
{
	struct con k;
	uint8_t *buf = cf_buf(c, 2000);

	if (!buf || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	cf_pattern(buf, 5, 1000);
	for (unsigned i = 0; i < 10; i++)
		if (!con_send(&k, buf + i * 100, 100))
			return;
	if (con_receive(&k, buf + 1000, 1000, 7))
		cf_check(c, cf_is_pattern(buf + 1000, 5, 1000),
			"what came while there were no buffers is not what was sent");
}

/* Buffers of one byte that lie ready are used in turn. */
static void input_bytewise(struct cf *c)
{
	enum { N = 8 };
	struct con k;
	uint8_t *in = cf_buf(c, N), *out = cf_buf(c, N);
	uint32_t used;
	void *cookie;

	if (!in || !out || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	for (unsigned i = 0; i < N; i++) {
		struct drv_sg sg = cf_sg(c, in + i, 1);

		if (!cf_submit(c, k.rx, &sg, 0, 1, in + i))
			return;
	}
	cf_pattern(out, 9, N);
	if (!con_send(&k, out, N))
		return;
	for (unsigned i = 0; i < N; i++)
		if (!cf_used(c, k.rx, &cookie, &used) || !cf_eq(c, used, 1, "the used length") ||
			!cf_check(c, cookie == in + i, "receive buffers are used out of order"))
			return;
	cf_check(c, cf_is_pattern(in, 9, N), "the bytes are not those that were sent");
}

/* A receive buffer of several elements is filled from its start. */
static void input_pieces(struct cf *c)
{
	static const uint8_t len[] = { 1, 2, 29, 32 };
	struct con k;
	struct drv_sg sg[4];
	uint8_t *in[4], *out = cf_buf(c, 64), got[64];
	uint32_t used, at = 0;

	if (!out || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	for (unsigned i = 0; i < 4; i++) {
		if (!(in[i] = cf_buf(c, len[i])))
			return;
		sg[i] = cf_sg(c, in[i], len[i]);
	}
	cf_pattern(out, 11, 64);
	if (!cf_submit(c, k.rx, sg, 0, 4, sg) || !con_send(&k, out, 64) ||
		!cf_used(c, k.rx, NULL, &used) ||
		!cf_check(
			c, used >= 1 && used <= 64, "the used length is %u, must be 1 to 64", used))
		return;
	for (unsigned i = 0; i < 4; at += len[i++])
		cf_copy(got + at, in[i], len[i]);
	cf_check(c, cf_is_pattern(got, 11, used), "the bytes are not those that were sent");
	cf_check(c, cf_filled(got + used, FRESH, 64 - used),
		"the device wrote behind the %u bytes that it reports", used);
}

/* Output in a buffer of several elements. */
static void output_pieces(struct cf *c)
{
	struct con k;
	struct drv_sg sg[16];
	uint8_t *out = cf_buf(c, 16 * 16), *in = cf_buf(c, 256);
	uint32_t at = 0, used;

	if (!out || !in || !con_up(&k, c, 0) || !con_sync(&k))
		return;
	cf_pattern(out, 13, 256);
	for (uint32_t i = 0; i < 16; i++) {
		sg[i] = cf_sg(c, out + at, i + 1);
		at += i + 1;
	}
	if (cf_submit(c, k.tx, sg, 16, 0, sg) && cf_used(c, k.tx, NULL, &used) &&
		cf_eq(c, used, 0, "the used length") && con_receive(&k, in, at, at))
		cf_check(c, cf_is_pattern(in, 13, at), "the bytes are not those that were sent");
}

/* Emergency write. */

static void emergency_early(struct cf *c)
{
	struct con k;

	for (unsigned i = 0; i < 3; i++)
		if (!con_config_write(c, CON_CFG_EMERG_WR, '!', 4))
			return;
	if (con_up(&k, c, 0))
		cf_must_go_on(c, k.tx);
}

static bool emergency_arrives(struct con *k, uint32_t value)
{
	struct cf *c = k->c;

	if (!con_config_write(c, CON_CFG_EMERG_WR, value, 4) || !con_receive(k, k->input, 1, 1))
		return false;
	return cf_eq(c, k->input[0], value & 0xff, "the character written to emerg_wr");
}

/* The lower byte counts, and each is one character. */
static void emergency_running(struct cf *c)
{
	static const uint32_t values[] = { 'E', 0x12345658, 0xffffff00, 0x100000ff, '\n' };
	struct con k;

	if (!con_up(&k, c, 0) || !con_sync(&k))
		return;
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (!emergency_arrives(&k, values[i]))
			return;
}

/* Written to a device that is reset, it is there before what is sent later. */
static void emergency_in_reset(struct cf *c)
{
	struct con k;

	if (!con_up(&k, c, 0) || !con_sync(&k) ||
		!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset") ||
		!con_config_write(c, CON_CFG_EMERG_WR, 'R', 4) || !con_up(&k, c, 0))
		return;
	k.input[1] = '.';
	if (con_send(&k, k.input + 1, 1) && con_receive(&k, k.input, 2, 2)) {
		cf_eq(c, k.input[0], 'R', "the character written to emerg_wr");
		cf_eq(c, k.input[1], '.', "the character sent after it");
	}
}

/* For what went wrong with the rings it must work, too. */
static void emergency_broken(struct cf *c)
{
	struct con k;
	struct drv_sg sg;

	if (!con_up(&k, c, 0) || !con_sync(&k))
		return;
	sg = cf_sg(c, k.input, 1);
	if (!cf_submit(c, k.tx, &sg, 0, 1, &k) ||
		!cf_status_becomes(c, VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET) ||
		!con_config_write(c, CON_CFG_EMERG_WR, 'B', 4) || !con_up(&k, c, 0))
		return;
	if (con_receive(&k, k.input, 1, 1))
		cf_eq(c, k.input[0], 'B', "the character written to emerg_wr");
}

/* The wrong way. */

static void output_writable(struct cf *c)
{
	struct con k;
	struct drv_sg sg;

	if (!con_up(&k, c, 0))
		return;
	sg = cf_sg(c, k.input, INPUT_LEN);
	if (!cf_submit(c, k.tx, &sg, 0, 1, &k))
		return;
	cf_must_break(c, k.tx);
	cf_check(c, cf_filled(k.input, FRESH, INPUT_LEN), "the device wrote to a transmit buffer");
}

static void output_writable_last(struct cf *c)
{
	struct con k;
	struct drv_sg sg[2];

	if (!con_up(&k, c, 0))
		return;
	sg[0] = cf_sg(c, k.marker, MARKER_LEN);
	sg[1] = cf_sg(c, k.input, INPUT_LEN);
	if (!cf_submit(c, k.tx, sg, 1, 1, &k))
		return;
	cf_must_break(c, k.tx);
	cf_check(c, cf_filled(k.input, FRESH, INPUT_LEN), "the device wrote to a transmit buffer");
}

/* Found out at the latest when there is input for it. */
static void input_readable(struct cf *c)
{
	struct con k;
	struct drv_sg sg;

	if (!con_up(&k, c, 0) || !con_sync(&k))
		return;
	sg = cf_sg(c, k.input, INPUT_LEN);
	cf_fill(k.input, 0x77, INPUT_LEN);
	if (!cf_submit(c, k.rx, &sg, 1, 0, &k) || !con_send(&k, k.marker, 1))
		return;
	cf_must_break(c, k.rx);
	cf_check(c, cf_filled(k.input, 0x77, INPUT_LEN),
		"the device wrote to what it may only read");
}

static void killed(struct cf *c)
{
	enum { N = 4 };
	struct cf_target *t = cf_target(c);
	struct con k;
	uint32_t used;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!con_up(&k, c, 0))
		return;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < N; i++) {
			struct drv_sg sg = cf_sg(c, k.input + i, 1);

			if (!cf_submit(c, k.tx, &sg, 1, 0, &k))
				return;
		}
		if (!cf_check(c, t->kill(t), "the back-end cannot be replaced"))
			return;
		for (unsigned i = 0; i < N; i++)
			if (!cf_used(c, k.tx, NULL, &used) || !cf_eq(c, used, 0, "the used length"))
				return;
	}
}

#define F(name) DRV_FEATURE(VIRTIO_CONSOLE_F_##name)

const struct cf_case cf_cases_console[] = {
	{ "console.config.size", "CON-1 V2.5.2-1", size, DRV_ID_CONSOLE, .needs = F(SIZE) },
	{ "console.config.read_only", "ROB-16", read_only_fields, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE, .needs = F(SIZE) },
	{ "console.output.sizes", "CON-1 ROB-8", output_sizes, DRV_ID_CONSOLE, .flags = CF_RINGS },
	{ "console.output.in_flight", "CON-1", output_in_flight, DRV_ID_CONSOLE,
		.flags = CF_RINGS },
	{ "console.output.without_end", "CON-1", output_without_end, DRV_ID_CONSOLE },
	{ "console.output.pieces", "V2.7.4.1-1", output_pieces, DRV_ID_CONSOLE,
		.flags = CF_ECHO | CF_RINGS },
	{ "console.echo.every_byte", "CON-2 PLAT-8", every_byte, DRV_ID_CONSOLE,
		.flags = CF_ECHO | CF_RINGS },
	{ "console.echo.terminal_bytes", "CON-2 PLAT-8", terminal_bytes, DRV_ID_CONSOLE,
		.flags = CF_ECHO },
	{ "console.echo.sizes", "CON-1 CON-2", echo_sizes, DRV_ID_CONSOLE, .flags = CF_ECHO },
	{ "console.echo.large", "CON-2", echo_large, DRV_ID_CONSOLE, .flags = CF_ECHO | CF_RINGS },
	{ "console.input.waits", "CON-1", input_waits, DRV_ID_CONSOLE, .flags = CF_ECHO },
	{ "console.input.bytewise", "CON-1 ROB-8", input_bytewise, DRV_ID_CONSOLE,
		.flags = CF_ECHO | CF_RINGS },
	{ "console.input.pieces", "V2.7.4.1-1 ROB-8", input_pieces, DRV_ID_CONSOLE,
		.flags = CF_ECHO | CF_RINGS },
	{ "console.emergency.early", "V5.3.5.1-1", emergency_early, DRV_ID_CONSOLE,
		.needs = F(EMERG_WRITE) },
	{ "console.emergency.running", "V5.3.5.1-2", emergency_running, DRV_ID_CONSOLE,
		.flags = CF_ECHO, .needs = F(EMERG_WRITE) },
	{ "console.emergency.in_reset", "V5.3.5.1-1 V5.3.5.1-2", emergency_in_reset, DRV_ID_CONSOLE,
		.flags = CF_ECHO, .needs = F(EMERG_WRITE) },
	{ "console.emergency.broken", "V5.3.5.1-2", emergency_broken, DRV_ID_CONSOLE,
		.flags = CF_ECHO | CF_HOSTILE | CF_STATUS, .needs = F(EMERG_WRITE) },
	{ "console.direction.output_writable", "ROB-25", output_writable, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "console.direction.output_writable_last", "ROB-25", output_writable_last, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE },
	{ "console.direction.input_readable", "ROB-25", input_readable, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE | CF_ECHO },
	{ "console.kill.output", "ROB-7", killed, DRV_ID_CONSOLE, .flags = CF_RINGS },
	{ 0 },
};
