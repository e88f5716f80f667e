/* SPDX-License-Identifier: BSD-3-Clause */
/* The console device (VIRTIO 1.4, 5.3): port 0, further ports, sizes, emergency write. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/iov.h"
#include "base/le.h"
#include "base/util.h"
#include "devices/console.h"
#include "devices/devices.h"
#include "host/chardev.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>

#define VIRTIO_ID_CONSOLE 3

#define VIRTIO_CONSOLE_F_SIZE	     0
#define VIRTIO_CONSOLE_F_MULTIPORT   1
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2

/* VIRTIO 1.4, 5.3.6.2 */
enum control_event {
	CONTROL_DEVICE_READY,
	CONTROL_DEVICE_ADD,
	CONTROL_DEVICE_REMOVE,
	CONTROL_PORT_READY,
	CONTROL_CONSOLE_PORT,
	CONTROL_RESIZE,
	CONTROL_PORT_OPEN,
	CONTROL_PORT_NAME,
};

/* Queues 0 and 1 are port 0's, 2 and 3 the control queues, then pairs for ports 1, 2, ... (5.3.2)
 */
enum { CONTROL_RX = 2, CONTROL_TX = 3, PORT0_QUEUES = 2, CONTROL_QUEUES = 4 };

#define PORTS_MAX     ((VDEV_QUEUES_MAX - CONTROL_QUEUES) / 2 + 1)
#define PORT_NAME_MAX 63u
/* Chains of one queue before other work of the loop gets a turn, and buffers of one call. */
#define TURN_MAX 256
#define IOV_CALL 64u
/* Buffers of the guest that one call fills or sends, and bytes that it sends. */
#define IN_BATCH  64u
#define OUT_BATCH 64u
#define OUT_BYTES 262144u

struct console_config {
	le16 cols, rows;
	le32 max_nr_ports;
	le32 emerg_wr;
};

struct control {
	le32 id;
	le16 event;
	le16 value;
} __attribute__((packed));

/* Largest message: PORT_NAME. */
union control_message {
	struct control head;
	char bytes[sizeof(struct control) + PORT_NAME_MAX];
};

struct console;

/* A port. Messages due to the driver are bits in `due`, by event: none can pile up. */
struct port {
	struct console *con;
	unsigned id;
	char *name; /* NULL: none */
	struct chardev *cd;
	unsigned due;
	bool added;	 /* the driver was told of it */
	bool guest_open; /* a program of the guest has it open */
	size_t expected; /* bytes for which the next read takes buffers */
	/* Output that is not all sent yet, for a host side that takes no more now. */
	struct vq_chain *out;
	struct iov_iter out_rest;
};

struct console {
	struct vdev dev;
	/* Keys. */
	int host;
	char *path;
	char *log_path;
	uint64_t scrollback;
	uint32_t cols, rows;
	struct opt_list port_specs;
	struct tty_line line;
	const struct chardev_carrier *carrier; /* of port 0, in place of a host side; or NULL */

	struct port ports[PORTS_MAX];
	unsigned nports;
	struct ev_task work; /* serves all queues again */
	struct log_limit complaints;
	/* Metrics. */
	uint64_t in_bytes, out_bytes, bad_control;
	struct chardev_stats chars; /* of all ports */
};

static struct console *to_console(struct vdev *dev)
{
	return container_of(dev, struct console, dev);
}

static bool multiport(const struct console *con)
{
	return vdev_has(&con->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

static unsigned port_rxq(const struct port *p)
{
	return p->id ? CONTROL_QUEUES + 2 * (p->id - 1) : 0;
}

/* The queue if it may be used now. */
static struct vq *running(const struct console *con, unsigned q)
{
	struct vq *vq = q < con->dev.nqueues ? con->dev.queues[q] : NULL;

	return vq && vq_running(vq) && !(con->dev.status & VIRTIO_S_NEEDS_RESET) ? vq : NULL;
}

/* Data. */

/* Output for one call: of buffers that end with it, and maybe the beginning of another. */
struct out {
	struct vq_chain *done[OUT_BATCH];
	unsigned n;
	struct iovec iov[IOV_CALL];
	unsigned niov;
	size_t len;
};

/* The next output, or what is left of the last one. False: there is none, or it is no good. */
static bool next_out(struct port *p, struct vq *vq, unsigned q, const struct out *o)
{
	struct vq_chain *chain;

	if (p->out)
		return true;
	/* While there is something to send, no kick is wanted. */
	if ((o->n ? vq_pop(vq, &chain) : vq_pop_or_kick(vq, &chain)) != 1)
		return false;
	if (chain->n_in) {
		vdev_broken(&p->con->dev, q, "a device-writable buffer in a transmitq (5.3.6.1)");
		return false;
	}
	p->out = chain;
	iov_iter_init(&p->out_rest, chain->iov, chain->n_out);
	return true;
}

/* Takes output as far as there is room for it. False: there is none now. */
static bool out_take(struct port *p, struct vq *vq, unsigned q, struct out *o)
{
	size_t room = min_u64(chardev_room(p->cd), OUT_BYTES), taken;

	o->n = o->niov = 0;
	o->len = 0;
	while (o->len < room && o->niov < IOV_CALL && o->n < OUT_BATCH && next_out(p, vq, q, o)) {
		o->niov += iov_take(
			&p->out_rest, room - o->len, o->iov + o->niov, IOV_CALL - o->niov, &taken);
		o->len += taken;
		if (iov_iter_left(&p->out_rest))
			break;
		o->done[o->n++] = p->out;
		p->out = NULL;
	}
	return o->n || o->len;
}

/* Output of the guest: taken at once, unless it goes to a line, which takes its time. */
static void serve_tx(struct port *p)
{
	struct console *con = p->con;
	unsigned q = port_rxq(p) + 1, n = 0;
	struct vq *vq = running(con, q);
	struct out o;

	if (!vq)
		return;
	for (; n < TURN_MAX && out_take(p, vq, q, &o); n += o.n) {
		chardev_write(p->cd, o.iov, o.niov);
		con->out_bytes += o.len;
		for (unsigned i = 0; i < o.n; i++)
			vq_push(vq, o.done[i], 0);
	}
	vq_flush(vq);
	if (n >= TURN_MAX)
		ev_task_post(&con->work);
}

/* A guest's driver throws away what comes for a port that is not open. */
static bool wants_input(const struct port *p)
{
	return chardev_has_input(p->cd) && (p->guest_open || !multiport(p->con));
}

/* Buffers for one read. */
struct in {
	struct vq_chain *chains[IN_BATCH];
	size_t room[IN_BATCH];
	unsigned n;
	struct iovec iov[IOV_CALL]; /* of all, one after the other */
	unsigned niov;
	size_t total;
};

/* False: it is no buffer for input, or there are too many pieces already. */
static bool in_add(struct in *in, struct vq_chain *chain)
{
	struct iov_iter it;
	size_t taken;

	if (chain->n_out || !chain->in_len || (in->n && in->niov + chain->n_in > IOV_CALL))
		return false;
	iov_iter_init(&it, vq_in(chain), chain->n_in);
	in->niov += iov_take(&it, chain->in_len, in->iov + in->niov, IOV_CALL, &taken);
	in->total += taken;
	in->room[in->n] = taken;
	in->chains[in->n++] = chain;
	return true;
}

/* Takes a buffer, and more if as much is expected. False: there is none, or it is no good. */
static bool in_take(struct port *p, struct vq *vq, struct in *in)
{
	struct vq_chain *chain;

	in->n = in->niov = 0;
	in->total = 0;
	if (vq_pop_or_kick(vq, &chain) != 1)
		return false;
	if (!in_add(in, chain)) {
		vdev_broken(&p->con->dev, port_rxq(p),
			"a device-readable or empty buffer in a receiveq (5.3.6.1)");
		return false;
	}
	while (in->total < p->expected && in->n < IN_BATCH && vq_pop(vq, &chain) == 1) {
		if (in_add(in, chain))
			continue;
		vq_rewind(vq, chain);
		break;
	}
	return true;
}

/* Gives the driver the buffers that `len` bytes fill; the others go back. */
static void in_push(struct in *in, struct vq *vq, size_t len)
{
	size_t unused = in->total;

	while (in->n && unused - in->room[in->n - 1] >= len) {
		unused -= in->room[--in->n];
		vq_rewind(vq, in->chains[in->n]);
	}
	for (unsigned i = 0; i < in->n; i++) {
		size_t part = min_u64(len, in->room[i]);

		len -= part;
		vq_push(vq, in->chains[i], (uint32_t)part);
	}
}

static void serve_rx(struct port *p)
{
	struct vq *vq = running(p->con, port_rxq(p));
	struct in in;

	if (!vq)
		return;
	vq_disable_kick(vq);
	while (wants_input(p) && in_take(p, vq, &in)) {
		size_t len = chardev_read(p->cd, in.iov, in.niov);

		p->con->in_bytes += len;
		p->expected = iov_expect(p->expected, in.total, len);
		in_push(&in, vq, len);
	}
	vq_flush(vq);
}

/* Control messages (5.3.6.2). */

static void due(struct port *p, enum control_event event)
{
	if (!multiport(p->con))
		return;
	p->due |= 1u << event;
	ev_task_post(&p->con->work);
}

/* Makes the message of `event`; returns its length. */
static size_t make_message(const struct port *p, enum control_event event, union control_message *m)
{
	const struct console *con = p->con;
	const le16 size[] = { htole16((uint16_t)con->cols), htole16((uint16_t)con->rows) };
	bool open = p->id == 0 || chardev_attached(p->cd);
	size_t extra = 0;

	m->head = (struct control){ htole32(p->id), htole16((uint16_t)event), htole16(1) };
	if (event == CONTROL_PORT_OPEN)
		m->head.value = htole16(open);
	if (event == CONTROL_RESIZE) {
		extra = sizeof(size);
		memcpy(m->bytes + sizeof(m->head), size, extra);
	}
	if (event == CONTROL_PORT_NAME) {
		extra = strlen(p->name);
		memcpy(m->bytes + sizeof(m->head), p->name, extra);
	}
	return sizeof(m->head) + extra;
}

/* Sends one message of the port. False: there is no buffer, or it was no good. */
static bool send_control(struct port *p, struct vq *vq)
{
	/* A port is added before anything else is said of it. */
	static const enum control_event order[] = { CONTROL_DEVICE_ADD, CONTROL_CONSOLE_PORT,
		CONTROL_PORT_NAME, CONTROL_RESIZE, CONTROL_PORT_OPEN };
	union control_message m;
	struct vq_chain *chain;
	struct iov_iter it;
	unsigned i = 0;
	size_t len;

	while (!(p->due & (1u << order[i])))
		i++;
	if (vq_pop_or_kick(vq, &chain) != 1)
		return false;
	len = make_message(p, order[i], &m);
	iov_iter_init(&it, vq_in(chain), chain->n_in);
	if (chain->n_out || iov_write(&it, &m, len) != len) {
		vdev_broken(&p->con->dev, CONTROL_RX,
			"a control receiveq buffer is device-readable or too short (5.3.6.2)");
		return false;
	}
	p->due &= ~(1u << order[i]);
	vq_push(vq, chain, (uint32_t)len);
	return true;
}

static void serve_control_rx(struct console *con)
{
	struct vq *vq = running(con, CONTROL_RX);
	bool room = true;

	if (!vq || !multiport(con))
		return;
	for (unsigned i = 0; i < con->nports && room; i++)
		while (con->ports[i].due && room)
			room = send_control(&con->ports[i], vq);
	vq_flush(vq);
}

/* True if a message that the guest caused may be written now. */
static bool may_complain(struct console *con)
{
	return log_allowed(&con->complaints, 5);
}

static void device_ready(struct console *con, uint16_t value)
{
	if (value != 1) {
		if (may_complain(con))
			log_warn(con->dev.log,
				"the guest's driver could not set up the console device");
		return;
	}
	for (unsigned i = 0; i < con->nports; i++) {
		struct port *p = &con->ports[i];

		if (!p->added)
			due(p, CONTROL_DEVICE_ADD);
		p->added = true;
	}
}

static void port_ready(struct port *p, uint16_t value)
{
	if (value != 1) {
		if (may_complain(p->con))
			log_warn(p->con->dev.log, "the guest's driver could not set up port %u",
				p->id);
		return;
	}
	if (p->id == 0) {
		due(p, CONTROL_CONSOLE_PORT);
		due(p, CONTROL_RESIZE);
	}
	if (p->name)
		due(p, CONTROL_PORT_NAME);
	due(p, CONTROL_PORT_OPEN);
}

static void bad_control(struct console *con, const struct control *m, const char *why)
{
	con->bad_control++;
	if (may_complain(con))
		log_warn(con->dev.log, "control message ignored: %s (port %u, event %u, value %u)",
			why, le32toh(m->id), le16toh(m->event), le16toh(m->value));
}

static void control_message(struct console *con, const struct control *m)
{
	uint32_t id = le32toh(m->id);
	uint16_t value = le16toh(m->value);
	struct port *p = id < con->nports ? &con->ports[id] : NULL;

	if (le16toh(m->event) == CONTROL_DEVICE_READY) {
		device_ready(con, value);
		return;
	}
	if (!p || !p->added) {
		bad_control(con, m, "there is no such port");
		return;
	}
	switch (le16toh(m->event)) {
	case CONTROL_PORT_READY:
		port_ready(p, value);
		break;
	case CONTROL_PORT_OPEN:
		p->guest_open = value != 0;
		serve_rx(p);
		break;
	default:
		bad_control(con, m, "a driver does not send this");
		break;
	}
}

static void serve_control_tx(struct console *con)
{
	struct vq *vq = running(con, CONTROL_TX);
	struct vq_chain *chain;
	unsigned n = 0;

	if (!vq || !multiport(con))
		return;
	for (; n < TURN_MAX && vq_pop_or_kick(vq, &chain) == 1; n++) {
		struct control m;
		struct iov_iter it;

		if (chain->n_in) {
			vdev_broken(&con->dev, CONTROL_TX,
				"a device-writable buffer in the control transmitq (5.3.6.2)");
			return;
		}
		memset(&m, 0, sizeof(m));
		iov_iter_init(&it, chain->iov, chain->n_out);
		if (iov_read(&it, &m, sizeof(m)) == sizeof(m))
			control_message(con, &m);
		else
			bad_control(con, &m, "it is too short");
		vq_push(vq, chain, 0);
	}
	vq_flush(vq);
	if (n == TURN_MAX)
		ev_task_post(&con->work);
}

/* All queues, and then what the guest broke. */

static void console_work(void *arg)
{
	struct console *con = arg;

	serve_control_tx(con);
	serve_control_rx(con);
	for (unsigned i = 0; i < con->nports; i++) {
		serve_tx(&con->ports[i]);
		serve_rx(&con->ports[i]);
	}
	for (unsigned q = 0; q < con->dev.nqueues; q++)
		if (running(con, q))
			vdev_check(&con->dev, q);
}

static void console_kick(struct vdev *dev, unsigned q)
{
	struct console *con = to_console(dev);
	unsigned pair = q < PORT0_QUEUES ? q : q - CONTROL_QUEUES + PORT0_QUEUES;

	if (q == CONTROL_RX)
		serve_control_rx(con);
	else if (q == CONTROL_TX)
		serve_control_tx(con);
	else if (pair % 2)
		serve_tx(&con->ports[pair / 2]);
	else
		serve_rx(&con->ports[pair / 2]);
}

/* What the host side reports. */

static void on_input(void *arg)
{
	struct port *p = arg;

	serve_rx(p);
	if (running(p->con, port_rxq(p)))
		vdev_check(&p->con->dev, port_rxq(p));
}

static void on_attached(void *arg, bool attached)
{
	struct port *p = arg;

	if (p->added && p->id)
		due(p, CONTROL_PORT_OPEN);
}

static void on_room(void *arg)
{
	struct port *p = arg;

	serve_tx(p);
	if (running(p->con, port_rxq(p) + 1))
		vdev_check(&p->con->dev, port_rxq(p) + 1);
}

static void on_host(void *arg, bool there, const char *why)
{
	struct port *p = arg;

	vdev_event(&p->con->dev, there ? "host-back" : "host-gone", "%s", why);
}

/* The size is port 0's (5.3.6). */
static void on_resized(void *arg, uint16_t cols, uint16_t rows)
{
	struct port *p = arg;
	struct console *con = p->con;

	if (p->id)
		return;
	con->cols = cols;
	con->rows = rows;
	if (p->added)
		due(p, CONTROL_RESIZE);
	vdev_config_changed(&con->dev);
}

static void console_reset(struct vdev *dev)
{
	struct console *con = to_console(dev);

	for (unsigned i = 0; i < con->nports; i++) {
		con->ports[i].due = 0;
		con->ports[i].added = con->ports[i].guest_open = false;
	}
	ev_task_cancel(&con->work);
}

/* The rest of what waits for a line is not sent: the queue is gone with its driver. */
static void console_queue_stop(struct vdev *dev, unsigned q)
{
	struct console *con = to_console(dev);

	for (unsigned i = 0; i < con->nports; i++) {
		struct port *p = &con->ports[i];

		if (port_rxq(p) + 1 != q || !p->out)
			continue;
		con->chars.lost += iov_iter_left(&p->out_rest);
		vq_push(p->out->vq, p->out, 0);
		vq_flush(p->out->vq);
		p->out = NULL;
	}
}

void console_attach(struct vdev *dev, const struct chardev_carrier *carrier)
{
	to_console(dev)->carrier = carrier;
}

struct chardev *console_stream(struct vdev *dev)
{
	return to_console(dev)->ports[0].cd;
}

/* Configuration space (5.3.4). */

static void console_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	const struct console *con = to_console(dev);
	const struct console_config config = {
		.cols = htole16((uint16_t)con->cols),
		.rows = htole16((uint16_t)con->rows),
		.max_nr_ports = htole32(con->nports),
	};

	memcpy(buf, (const char *)&config + offset, len);
}

/* Emergency write: one character, at any time (5.3.5.1). */
static void console_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	const uint32_t at = offsetof(struct console_config, emerg_wr);
	struct iovec iov;

	if (offset > at || offset + len <= at)
		return;
	iov = (struct iovec){ (char *)(uintptr_t)buf + (at - offset), 1 };
	chardev_write(to_console(dev)->ports[0].cd, &iov, 1);
}

/* Configuration. */

static int open_port(struct console *con, const struct chardev_config *config, struct err *e)
{
	struct port *p = &con->ports[con->nports];
	const struct chardev_events events = { .input = on_input,
		.attached = on_attached,
		.resized = on_resized,
		.room = on_room,
		.host = on_host,
		.arg = p };
	int r;

	p->con = con;
	p->id = con->nports;
	r = chardev_open(&p->cd, con->dev.loop, config, &events, con->dev.log, e);
	if (r < 0)
		return err_prefix(e, "port %u", p->id);
	con->nports++;
	return 0;
}

/* "NAME", which is a socket at PATH.NAME; or "NAME=KIND:PATH". */
static int parse_port(const struct console *con, char *spec, struct chardev_config *config,
	char **path, struct err *e)
{
	char *eq = strchr(spec, '='), *colon = eq ? strchr(eq, ':') : NULL;
	unsigned kind = 0;

	if (strcspn(spec, "=") == 0 || strcspn(spec, "=/") > PORT_NAME_MAX)
		return err_set(e, -EINVAL, "ports has '%s': a name of 1 to %u characters is wanted",
			spec, PORT_NAME_MAX);
	if (!eq) {
		if (!con->path)
			return err_set(e, -EINVAL,
				"ports has '%s' without a host side, so path is wanted, or "
				"%s=socket:PATH",
				spec, spec);
		return asprintf(path, "%s.%s", con->path, spec) < 0 ? -ENOMEM : 0;
	}
	*eq = '\0';
	if (colon)
		*colon = '\0';
	while (chardev_kinds[kind] && strcmp(chardev_kinds[kind], eq + 1))
		kind++;
	if (!chardev_kinds[kind] || kind == CHARDEV_STDIO || kind == CHARDEV_TTY)
		return err_set(e, -EINVAL,
			"port '%s' has host side '%s'; it may be socket, pty, file or null", spec,
			eq + 1);
	config->kind = (enum chardev_kind)kind;
	if (!colon)
		return 0;
	*path = strdup(colon + 1);
	return *path ? 0 : -ENOMEM;
}

static int open_extra_port(struct console *con, const char *text, struct err *e)
{
	struct chardev_config config = {
		.scrollback = con->scrollback,
		.in_place = true,
		.stats = &con->chars,
	};
	autofree char *spec = strdup(text);
	autofree char *path = NULL;
	struct port *p = &con->ports[con->nports];
	int r;

	if (!spec)
		return err_set(e, -ENOMEM, "out of memory");
	r = parse_port(con, spec, &config, &path, e);
	if (r < 0)
		return e && e->code ? r : err_set(e, r, "out of memory");
	config.path = path;
	p->name = steal_ptr(&spec);
	return open_port(con, &config, e);
}

static int open_ports(struct console *con, struct err *e)
{
	const struct chardev_config first = {
		.kind = con->carrier ? CHARDEV_LINK : (enum chardev_kind)con->host,
		.path = con->path,
		.log = con->log_path,
		.scrollback = con->scrollback,
		.in_place = true,
		.line = con->line,
		.carrier = con->carrier,
		.stats = &con->chars,
	};
	int r;

	if (con->port_specs.n > PORTS_MAX - 1)
		return err_set(e, -EINVAL, "ports has %u names; at most %u are possible",
			con->port_specs.n, PORTS_MAX - 1);
	r = open_port(con, &first, e);
	for (unsigned i = 0; i < con->port_specs.n && !r; i++)
		r = open_extra_port(con, con->port_specs.v[i], e);
	return r;
}

static void console_finish(struct vdev *dev)
{
	struct console *con = to_console(dev);

	for (unsigned i = 0; i < PORTS_MAX; i++) {
		chardev_close(con->ports[i].cd);
		free(con->ports[i].name);
	}
	ev_task_cancel(&con->work);
}

static int console_init(struct vdev *dev, struct err *e)
{
	struct console *con = to_console(dev);
	int r;

	ev_task_init(dev->loop, &con->work, console_work, con);
	r = open_ports(con, e);
	if (r < 0) {
		console_finish(dev);
		return r;
	}
	dev->features = FEATURE(VIRTIO_CONSOLE_F_SIZE) | FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE);
	dev->nqueues = PORT0_QUEUES;
	if (con->nports > 1) {
		dev->features |= FEATURE(VIRTIO_CONSOLE_F_MULTIPORT);
		dev->nqueues = (uint16_t)(CONTROL_QUEUES + 2 * (con->nports - 1));
	}
	dev->config_len = sizeof(struct console_config);
	return 0;
}

static const struct opt console_opts[] = {
	{ "host", OPT_ENUM, offsetof(struct console, host), .def = "socket", .words = chardev_kinds,
		.help = "what port 0 is on the host" },
	{ "path", OPT_PATH, offsetof(struct console, path),
		.help = "the socket, the link to the PTY, the file, or the terminal device" },
	TTY_OPTS(struct console, line),
	{ "log", OPT_PATH, offsetof(struct console, log_path),
		.help = "file to append all output of port 0 to" },
	{ "scrollback", OPT_SIZE, offsetof(struct console, scrollback), .def = "64K", .min = 256,
		.max = 16777216, .help = "output kept for those who attach late, bytes" },
	{ "cols", OPT_U32, offsetof(struct console, cols), .def = "80", .min = 1, .max = 65535,
		.help = "width in characters until somebody attaches" },
	{ "rows", OPT_U32, offsetof(struct console, rows), .def = "25", .min = 1, .max = 65535,
		.help = "height in characters until somebody attaches" },
	{ "ports", OPT_LIST, offsetof(struct console, port_specs),
		.help = "further ports: NAME (a socket at PATH.NAME) or "
			"NAME=socket|pty|file|null:PATH" },
	OPT_END,
};

static const struct vdev_metric console_metrics[] = {
	{ "in_bytes", offsetof(struct console, in_bytes), "bytes to the guest" },
	{ "out_bytes", offsetof(struct console, out_bytes), "bytes from the guest" },
	{ "dropped_bytes", offsetof(struct console, chars.dropped),
		"output that was overwritten before a slow program read it" },
	{ "lost_bytes", offsetof(struct console, chars.lost),
		"output that could not be written to a file" },
	{ "bad_control", offsetof(struct console, bad_control), "control messages ignored" },
	{ NULL, 0, NULL },
};

static const char *const console_syscalls[] = { "accept4", "writev", "unlink", "unlinkat", NULL };
static const unsigned long console_ioctls[] = { TIOCGWINSZ, TCGETS, TCSETS, TCGETS2, TCSETS2, 0 };
static const char *const console_paths[] = { NULL };
static const struct vdev_sandbox console_sandbox = {
	.syscalls = console_syscalls,
	.ioctls = console_ioctls,
	.paths = console_paths,
};

const struct vdev_class vdev_console = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000, /* communication controller, other */
	.summary = "console device: text console and data ports",
	.size = sizeof(struct console),
	.opts = console_opts,
	.metrics = console_metrics,
	.sandbox = &console_sandbox,
	.init = console_init,
	.finish = console_finish,
	.reset = console_reset,
	.queue_stop = console_queue_stop,
	.kick = console_kick,
	.config_read = console_config_read,
	.config_write = console_config_write,
};
