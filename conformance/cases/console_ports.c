/* SPDX-License-Identifier: BSD-3-Clause */
/* The console device with several ports (VIRTIO 1.4, 5.3.6.2). */
#include "conformance/cases/console.h"

#define PORTS_MAX   7u /* as far as the suite has queues */
#define BUFFER_LEN  128u
#define BUFFERS	    16u
#define MESSAGE_LEN 8u
#define HEARD_MAX   64u /* messages that may come before the one waited for */

struct message {
	uint32_t id;
	uint16_t event, value;
};

/* A driver of all ports. Messages of the device are checked when they are heard. */
struct ports {
	struct con con;
	struct cf *c;
	struct drv_queue *rx, *tx; /* control */
	uint32_t max, expected;	   /* max_nr_ports; ports that must come */
	uint32_t added, consoles;  /* a bit for each of the first 32 */
	struct message *out;
	uint8_t *in; /* BUFFERS of BUFFER_LEN */
	/* The last message heard, and what followed its head. */
	struct message last;
	uint8_t extra[BUFFER_LEN];
	uint32_t extra_len;
};

static bool give_buffer(struct ports *p, uint8_t *buf)
{
	struct drv_sg sg = cf_sg(p->c, buf, BUFFER_LEN);

	cf_fill(buf, 0xa5, BUFFER_LEN);
	return cf_submit(p->c, p->rx, &sg, 0, 1, buf);
}

/* Up to DRIVER_OK. The control receive queue has no buffers yet. */
static bool begin(struct ports *p, struct cf *c)
{
	uint64_t want =
		DRV_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT) | DRV_FEATURE(VIRTIO_CONSOLE_F_SIZE);
	const char *fact = cf_fact(c, "ports");
	uint64_t expected = 1;
	unsigned queues;

	p->c = c;
	p->added = p->consoles = 0;
	if (fact && !cf_check(c, cf_number(fact, &expected), "fact ports: no number: %s", fact))
		return false;
	p->max = (uint32_t)cf_config(c, CON_CFG_MAX_NR_PORTS, 4);
	if (!cf_check(c, p->max > 0, "max_nr_ports is 0"))
		return false;
	p->expected = (uint32_t)expected;
	queues = 2 + 2 * (p->max < PORTS_MAX ? p->max : PORTS_MAX);
	if (!cf_up(c, want, queues) || !con_use(&p->con, c))
		return false;
	p->rx = cf_q(c, CON_CONTROL_RX);
	p->tx = cf_q(c, CON_CONTROL_TX);
	p->out = cf_buf(c, 2 * MESSAGE_LEN);
	p->in = cf_buf(c, BUFFERS * BUFFER_LEN);
	return p->out && p->in;
}

static bool give_buffers(struct ports *p)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		if (!give_buffer(p, p->in + i * BUFFER_LEN))
			return false;
	return true;
}

static bool up(struct ports *p, struct cf *c)
{
	return begin(p, c) && give_buffers(p);
}

static bool tell(struct ports *p, uint32_t id, uint16_t event, uint16_t value)
{
	cf_copy(p->out, &(struct message){ id, event, value }, MESSAGE_LEN);
	return cf_do(p->c, p->tx, p->out, MESSAGE_LEN, NULL, 0, 0);
}

static bool is_added(const struct ports *p, uint32_t id)
{
	return id < 32 && p->added >> id & 1;
}

static bool check_add(struct ports *p, uint32_t id)
{
	if (!cf_check(p->c, id < p->max, "port %u is added, max_nr_ports is %u", id, p->max) ||
		!cf_check(p->c, !is_added(p, id), "port %u is added twice", id))
		return false;
	if (id < 32)
		p->added |= 1u << id;
	return cf_eq(p->c, p->extra_len, 0, "the bytes that follow a DEVICE_ADD");
}

static bool check_name(struct ports *p)
{
	bool nul = false;

	for (uint32_t i = 0; i < p->extra_len; i++)
		nul = nul || !p->extra[i];
	return cf_check(p->c, p->extra_len > 0, "the name of port %u is empty", p->last.id) &&
	       cf_check(p->c, !nul, "the name of port %u contains a NUL", p->last.id);
}

/* The size belongs to port 0, and is that of the configuration space (5.3.6). */
static bool check_resize(struct ports *p)
{
	uint16_t v[2];

	if (!cf_eq(p->c, p->extra_len, sizeof(v), "the bytes that follow a RESIZE"))
		return false;
	cf_copy(v, p->extra, sizeof(v));
	if (p->last.id || !cf_offered(p->c, VIRTIO_CONSOLE_F_SIZE))
		return true;
	return cf_eq(p->c, v[0], cf_config(p->c, CON_CFG_COLS, 2), "the columns of RESIZE") &&
	       cf_eq(p->c, v[1], cf_config(p->c, CON_CFG_ROWS, 2), "the rows of RESIZE");
}

static bool check_message(struct ports *p)
{
	uint32_t id = p->last.id;

	if (p->last.event == VIRTIO_CONSOLE_DEVICE_ADD)
		return check_add(p, id);
	if (!cf_check(p->c, is_added(p, id) || id >= 32,
		    "event %u for port %u, which was not added", p->last.event, id))
		return false;
	switch (p->last.event) {
	case VIRTIO_CONSOLE_DEVICE_REMOVE:
		p->added &= ~(1u << id % 32);
		return true;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		p->consoles |= 1u << id % 32;
		return true;
	case VIRTIO_CONSOLE_RESIZE:
		return check_resize(p);
	case VIRTIO_CONSOLE_PORT_OPEN:
		return cf_check(p->c, p->last.value <= 1, "PORT_OPEN of port %u has value %u", id,
			p->last.value);
	case VIRTIO_CONSOLE_PORT_NAME:
		return check_name(p);
	default:
		return cf_check(p->c, false, "the device sends event %u", p->last.event);
	}
}

/* Waits for a message of the device and gives its buffer back. */
static bool hear(struct ports *p)
{
	void *cookie;
	uint32_t used;

	if (!cf_used(p->c, p->rx, &cookie, &used) ||
		!cf_check(p->c, used >= MESSAGE_LEN && used <= BUFFER_LEN,
			"a control message of %u bytes", used))
		return false;
	cf_copy(&p->last, cookie, MESSAGE_LEN);
	p->extra_len = used - MESSAGE_LEN;
	cf_copy(p->extra, (uint8_t *)cookie + MESSAGE_LEN, p->extra_len);
	return cf_check(p->c, cf_filled((uint8_t *)cookie + used, 0xa5, BUFFER_LEN - used),
		       "the device wrote behind the %u bytes that it reports", used) &&
	       check_message(p) && give_buffer(p, cookie);
}

/* Waits for a certain message; others may come before it. */
static bool hear_event(struct ports *p, uint32_t id, uint16_t event)
{
	for (unsigned i = 0; i < HEARD_MAX; i++) {
		if (!hear(p))
			return false;
		if (p->last.event == event && p->last.id == id)
			return true;
	}
	return cf_check(
		p->c, false, "no event %u for port %u in %u messages", event, id, HEARD_MAX);
}

/* Up, ready, and all ports added that are expected. */
static bool ready(struct ports *p)
{
	if (!tell(p, 0, VIRTIO_CONSOLE_DEVICE_READY, 1))
		return false;
	while ((uint32_t)__builtin_popcount(p->added) < p->expected)
		if (!hear(p))
			return false;
	return true;
}

/* Asks for all about port 0, of which PORT_OPEN is the last: what came before has
 * been heard. */
static bool port0_answers(struct ports *p)
{
	return tell(p, 0, VIRTIO_CONSOLE_PORT_READY, 1) &&
	       hear_event(p, 0, VIRTIO_CONSOLE_PORT_OPEN) &&
	       cf_eq(p->c, p->last.value, 1, "the value of PORT_OPEN of port 0");
}

/* What the device says. */

static void max_nr_ports(struct cf *c)
{
	uint64_t max = cf_config(c, CON_CFG_MAX_NR_PORTS, 4);

	cf_check(c, max > 0, "max_nr_ports is 0");
	cf_note(c, "%u", (unsigned)max);
}

static void ports_added(struct cf *c)
{
	struct ports p;

	if (up(&p, c) && ready(&p))
		cf_note(c, "ports 0x%x of %u", p.added, p.max);
}

/* No message before the driver is ready; output of port 0, which always exists, goes meanwhile. */
static void silent_before_ready(struct cf *c)
{
	struct ports p;

	if (!up(&p, c))
		return;
	for (unsigned i = 0; i < 20; i++)
		if (!con_send(&p.con, p.con.marker, 1))
			return;
	cf_check(c, !drv_ring_used(&p.rx->ring), "a control message came before DEVICE_READY");
}

/* DEVICE_READY with 0 means that the driver failed. */
static void driver_failed(struct cf *c)
{
	struct ports p;

	if (!up(&p, c) || !tell(&p, 0, VIRTIO_CONSOLE_DEVICE_READY, 0) ||
		!con_send(&p.con, p.con.marker, 1))
		return;
	cf_check(c, !drv_ring_used(&p.rx->ring), "a control message came without DEVICE_READY");
	ready(&p);
}

static void port0_ready(struct cf *c)
{
	struct ports p;

	if (up(&p, c) && ready(&p))
		port0_answers(&p);
}

static bool all_ready(struct ports *p)
{
	for (uint32_t id = 0; id < 32; id++)
		if (is_added(p, id) && (!tell(p, id, VIRTIO_CONSOLE_PORT_READY, 1) ||
					       !hear_event(p, id, VIRTIO_CONSOLE_PORT_OPEN)))
			return false;
	return true;
}

static void all_ports_ready(struct cf *c)
{
	struct ports p;

	if (up(&p, c) && ready(&p))
		all_ready(&p);
}

/* One of them at least is a text console. */
static void console_nominated(struct cf *c)
{
	struct ports p;

	if (!up(&p, c) || !ready(&p) || !all_ready(&p))
		return;
	cf_check(c, p.consoles != 0, "no CONSOLE_PORT for any port");
	cf_note(c, "ports 0x%x", p.consoles);
}

/* The names are those that the user says: fact port.1 and so on. */
static void names(struct cf *c)
{
	struct ports p;
	char key[16];
	bool any = false;

	if (!up(&p, c) || !ready(&p))
		return;
	for (uint32_t id = 0; id < 32; id++) {
		const char *name;
		uint32_t len = 0;

		cf_format(key, sizeof(key), "port.%u", id);
		if (!is_added(&p, id) || !(name = cf_fact(c, key)))
			continue;
		any = true;
		while (name[len])
			len++;
		if (!tell(&p, id, VIRTIO_CONSOLE_PORT_READY, 1) ||
			!hear_event(&p, id, VIRTIO_CONSOLE_PORT_NAME) ||
			!cf_check(c, p.extra_len == len && cf_same(p.extra, name, len),
				"the name of port %u is not '%s'", id, name))
			return;
	}
	if (!any)
		cf_skip(c, "names of ports were not said (fact port.1)");
}

/* Being ready twice adds no port twice. */
static void added_once(struct cf *c)
{
	struct ports p;

	if (!up(&p, c) || !ready(&p))
		return;
	for (unsigned i = 0; i < 3; i++)
		if (!tell(&p, 0, VIRTIO_CONSOLE_DEVICE_READY, 1) || !port0_answers(&p))
			return;
}

static void added_after_reset(struct cf *c)
{
	struct ports p;

	for (unsigned i = 0; i < 3; i++)
		if (!up(&p, c) || !ready(&p) || !port0_answers(&p))
			return;
}

/* Messages wait for buffers. */
static void buffers_late(struct cf *c)
{
	struct ports p;

	if (begin(&p, c) && tell(&p, 0, VIRTIO_CONSOLE_DEVICE_READY, 1) &&
		con_send(&p.con, p.con.marker, 1) && give_buffers(&p) && ready(&p))
		port0_answers(&p);
}

/* The driver's messages in a buffer of eight elements, and longer than they need to be. */
static void message_layouts(struct cf *c)
{
	struct ports p;
	struct drv_sg sg[MESSAGE_LEN];
	uint32_t used;

	if (!up(&p, c) || !ready(&p))
		return;
	cf_copy(p.out, &(struct message){ 0, VIRTIO_CONSOLE_PORT_READY, 1 }, MESSAGE_LEN);
	for (unsigned i = 0; i < MESSAGE_LEN; i++)
		sg[i] = cf_sg(c, (uint8_t *)p.out + i, 1);
	if (!cf_submit(c, p.tx, sg, MESSAGE_LEN, 0, sg) || !cf_used(c, p.tx, NULL, &used) ||
		!cf_eq(c, used, 0, "the used length") ||
		!hear_event(&p, 0, VIRTIO_CONSOLE_PORT_OPEN))
		return;
	if (cf_do(c, p.tx, p.out, 2 * MESSAGE_LEN, NULL, 0, 0))
		hear_event(&p, 0, VIRTIO_CONSOLE_PORT_OPEN);
}

/* Data. */

static void echo(struct cf *c)
{
	struct ports p;
	uint8_t *buf = cf_buf(c, 2 * 4096);

	if (!buf || !up(&p, c) || !ready(&p) || !port0_answers(&p) ||
		!tell(&p, 0, VIRTIO_CONSOLE_PORT_OPEN, 1) || !con_sync(&p.con))
		return;
	for (uint32_t i = 0; i < 8; i++)
		if (!con_echoes(&p.con, buf, 4096, i))
			return;
}

/* Ports other than 0 carry data of their own. */
static void echo_others(struct cf *c)
{
	const char *fact = cf_fact(c, "echoes");
	uint8_t *buf = cf_buf(c, 2 * 1000);
	uint64_t n = 0;
	struct ports p;

	if (!fact || !cf_number(fact, &n) || n < 2) {
		cf_skip(c, "how many ports have an echo was not said (fact echoes)");
		return;
	}
	if (!buf || !up(&p, c) || !ready(&p) || !all_ready(&p))
		return;
	for (uint32_t id = 1; id < n && cf_q(c, CON_PORT1_TX + 2 * (id - 1)); id++) {
		p.con.rx = cf_q(c, CON_PORT1_RX + 2 * (id - 1));
		p.con.tx = cf_q(c, CON_PORT1_TX + 2 * (id - 1));
		if (!tell(&p, id, VIRTIO_CONSOLE_PORT_OPEN, 1) || !con_sync(&p.con))
			return;
		for (uint32_t i = 0; i < 8; i++)
			if (!con_echoes(&p.con, buf, 1000, 100 * id + i))
				return;
	}
}

/* What is written to a port that is not open, or not even ready, is taken. */
static void output_closed(struct cf *c)
{
	struct ports p;

	if (!up(&p, c) || !ready(&p))
		return;
	for (unsigned q = CON_PORT1_TX; cf_q(c, q); q += 2)
		for (unsigned i = 0; i < 8; i++)
			if (!cf_do(c, cf_q(c, q), p.con.marker, 16, NULL, 0, 0))
				return;
	port0_answers(&p);
}

/* Opened and closed in turn. */
static void open_close(struct cf *c)
{
	struct ports p;

	if (!up(&p, c) || !ready(&p))
		return;
	for (uint32_t i = 0; i < 40; i++)
		for (uint32_t id = 0; id < p.max && id < 32; id++)
			if (is_added(&p, id) && !tell(&p, id, VIRTIO_CONSOLE_PORT_OPEN, i % 2))
				return;
	port0_answers(&p);
}

/* What no driver says is ignored. */

static void unknown_events(struct cf *c)
{
	static const uint16_t large[] = { 0x0100, 0x0300, 0x0600, 0x7fff, 0x8000, 0xffff };
	struct ports p;

	if (!up(&p, c) || !ready(&p))
		return;
	for (uint16_t event = VIRTIO_CONSOLE_PORT_NAME + 1; event < 64; event++)
		if (!tell(&p, 0, event, 1))
			return;
	for (unsigned i = 0; i < sizeof(large) / sizeof(*large); i++)
		if (!tell(&p, 0, large[i], 1))
			return;
	port0_answers(&p);
}

static void device_events(struct cf *c)
{
	static const uint8_t events[] = { VIRTIO_CONSOLE_DEVICE_ADD, VIRTIO_CONSOLE_DEVICE_REMOVE,
		VIRTIO_CONSOLE_CONSOLE_PORT, VIRTIO_CONSOLE_RESIZE, VIRTIO_CONSOLE_PORT_NAME };
	struct ports p;

	if (!up(&p, c) || !ready(&p))
		return;
	for (unsigned i = 0; i < sizeof(events); i++)
		for (uint32_t id = 0; id <= p.max && id < 4; id++)
			if (!tell(&p, id, events[i], 1))
				return;
	port0_answers(&p);
}

static void bad_ports(struct cf *c)
{
	static const uint32_t ids[] = { 32, 255, 256, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe,
		0xffffffff };
	static const uint8_t events[] = { VIRTIO_CONSOLE_PORT_READY, VIRTIO_CONSOLE_PORT_OPEN };
	struct ports p;

	if (!up(&p, c) || !ready(&p))
		return;
	for (unsigned e = 0; e < sizeof(events); e++) {
		if (!tell(&p, p.max, events[e], 1) || !tell(&p, p.max + 1, events[e], 1))
			return;
		for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++)
			if (ids[i] >= p.max && !tell(&p, ids[i], events[e], 1))
				return;
	}
	port0_answers(&p);
}

/* A port that has not been added is none. */
static void before_ready(struct cf *c)
{
	struct ports p;

	if (!up(&p, c) || !tell(&p, 0, VIRTIO_CONSOLE_PORT_READY, 1) ||
		!tell(&p, 0, VIRTIO_CONSOLE_PORT_OPEN, 1) || !con_send(&p.con, p.con.marker, 1))
		return;
	cf_check(c, !drv_ring_used(&p.rx->ring), "a control message for a port that was not added");
	if (ready(&p))
		port0_answers(&p);
}

static void short_messages(struct cf *c)
{
	struct ports p;

	/* Until nothing is left to be told: there may be more ports than were expected. */
	if (!up(&p, c) || !ready(&p) || !port0_answers(&p))
		return;
	cf_copy(p.out, &(struct message){ 0, VIRTIO_CONSOLE_PORT_READY, 1 }, MESSAGE_LEN);
	for (uint32_t len = 1; len < MESSAGE_LEN; len++)
		if (!cf_do(c, p.tx, p.out, len, NULL, 0, 0))
			return;
	cf_check(
		c, !drv_ring_used(&p.rx->ring), "a control message was answered that is too short");
	port0_answers(&p);
}

/* Thousands of questions without room for answers: those that are due do not pile up. */
static void flood(struct cf *c)
{
	struct ports p;
	unsigned heard = 0;

	if (!begin(&p, c) || !tell(&p, 0, VIRTIO_CONSOLE_DEVICE_READY, 1))
		return;
	for (unsigned i = 0; i < 2000; i++)
		if (!tell(&p, i % 2, i % 3 ? VIRTIO_CONSOLE_PORT_READY : VIRTIO_CONSOLE_PORT_OPEN,
			    1))
			return;
	if (!give_buffers(&p) || !tell(&p, 0, VIRTIO_CONSOLE_PORT_READY, 1))
		return;
	while (!cf_failed(c) && heard < 100 && drv_ring_used(&p.rx->ring) && hear(&p))
		heard++;
	cf_check(c, heard < 100, "%u control messages were waiting", heard);
	if (!cf_failed(c) && up(&p, c) && ready(&p))
		port0_answers(&p);
}

/* The wrong way. */

static void control_writable(struct cf *c)
{
	struct ports p;
	struct drv_sg sg[2];

	if (!up(&p, c) || !ready(&p))
		return;
	cf_copy(p.out, &(struct message){ 0, VIRTIO_CONSOLE_PORT_READY, 1 }, MESSAGE_LEN);
	cf_fill(p.con.input, 0x77, MESSAGE_LEN);
	sg[0] = cf_sg(c, p.out, MESSAGE_LEN);
	sg[1] = cf_sg(c, p.con.input, MESSAGE_LEN);
	if (!cf_submit(c, p.tx, sg, 1, 1, sg))
		return;
	cf_must_break(c, p.tx);
	cf_check(c, cf_filled(p.con.input, 0x77, MESSAGE_LEN),
		"the device wrote to a transmit buffer");
}

static void control_readable(struct cf *c)
{
	struct ports p;
	struct drv_sg sg;

	if (!begin(&p, c))
		return;
	sg = cf_sg(c, p.in, BUFFER_LEN);
	if (!cf_submit(c, p.rx, &sg, 1, 0, p.in) || !tell(&p, 0, VIRTIO_CONSOLE_DEVICE_READY, 1))
		return;
	cf_must_break(c, p.rx);
	cf_check(c, cf_filled(p.in, 0xa5, BUFFER_LEN), "the device wrote to what it may only read");
}

/* A receive buffer that no message fits into. */
static void control_small(struct cf *c)
{
	struct ports p;
	struct drv_sg sg;

	if (!begin(&p, c))
		return;
	sg = cf_sg(c, p.in, MESSAGE_LEN - 1);
	if (!cf_submit(c, p.rx, &sg, 0, 1, p.in) || !tell(&p, 0, VIRTIO_CONSOLE_DEVICE_READY, 1))
		return;
	cf_must_break(c, p.rx);
}

#define PORTS DRV_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT)

const struct cf_case cf_cases_console_ports[] = {
	{ "console.ports.max_nr_ports", "CON-1", max_nr_ports, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.ports.added", "CON-1 V5.3.6.2.1-1", ports_added, DRV_ID_CONSOLE,
		.flags = CF_RINGS, .needs = PORTS },
	{ "console.ports.silent_before_ready", "CON-1", silent_before_ready, DRV_ID_CONSOLE,
		.needs = PORTS },
	{ "console.ports.driver_failed", "CON-1", driver_failed, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.ports.port0_ready", "CON-1 V5.3.6.2.1-2", port0_ready, DRV_ID_CONSOLE,
		.flags = CF_RINGS, .needs = PORTS },
	{ "console.ports.all_ready", "CON-1 CON-2", all_ports_ready, DRV_ID_CONSOLE,
		.needs = PORTS },
	{ "console.ports.console_nominated", "CON-1", console_nominated, DRV_ID_CONSOLE,
		.needs = PORTS },
	{ "console.ports.names", "CON-2", names, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.ports.added_once", "V5.3.6.2.1-1", added_once, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.ports.added_after_reset", "CON-1 ROB-6", added_after_reset, DRV_ID_CONSOLE,
		.needs = PORTS },
	{ "console.ports.buffers_late", "CON-1", buffers_late, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.ports.message_layouts", "V2.7.4.1-1", message_layouts, DRV_ID_CONSOLE,
		.flags = CF_RINGS, .needs = PORTS },
	{ "console.ports.echo", "CON-2", echo, DRV_ID_CONSOLE, .flags = CF_ECHO | CF_RINGS,
		.needs = PORTS },
	{ "console.ports.echo_others", "CON-2", echo_others, DRV_ID_CONSOLE, .flags = CF_ECHO,
		.needs = PORTS },
	{ "console.ports.output_closed", "CON-1", output_closed, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.ports.open_close", "CON-1", open_close, DRV_ID_CONSOLE, .needs = PORTS },
	{ "console.control.unknown_events", "ROB-10", unknown_events, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE, .needs = PORTS },
	{ "console.control.device_events", "ROB-10", device_events, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE, .needs = PORTS },
	{ "console.control.bad_ports", "ROB-10", bad_ports, DRV_ID_CONSOLE, .flags = CF_HOSTILE,
		.needs = PORTS },
	{ "console.control.before_ready", "ROB-10", before_ready, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE, .needs = PORTS },
	{ "console.control.short", "ROB-10", short_messages, DRV_ID_CONSOLE, .flags = CF_HOSTILE,
		.needs = PORTS },
	{ "console.control.flood", "ROB-1", flood, DRV_ID_CONSOLE, .flags = CF_HOSTILE,
		.needs = PORTS },
	{ "console.control.writable", "ROB-25", control_writable, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE | CF_RINGS, .needs = PORTS },
	{ "console.control.readable", "ROB-25", control_readable, DRV_ID_CONSOLE,
		.flags = CF_HOSTILE, .needs = PORTS },
	{ "console.control.small", "ROB-11", control_small, DRV_ID_CONSOLE, .flags = CF_HOSTILE,
		.needs = PORTS },
	{ 0 },
};
