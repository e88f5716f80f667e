/* SPDX-License-Identifier: BSD-3-Clause */
/* The CAN device (VIRTIO 1.4, 5.20): a controller at a port of a bus (host/canbus.h). */
#include "devices/can.h"

#include <errno.h>
#include <string.h>

#include "base/iov.h"
#include "base/le.h"
#include "base/util.h"
#include "devices/devices.h"
#include "host/can_socket.h"

#define VIRTIO_ID_CAN 36
#define TXQ	      0
#define RXQ	      1
#define CONTROLQ      2
/* What QEMU 10 asks for: vhost-user has no way to tell a front-end that a ring is too large. */
#define QUEUE_SIZE 1024u

#define VIRTIO_CAN_F_CAN_CLASSIC 0
#define VIRTIO_CAN_F_CAN_FD	 1
#define VIRTIO_CAN_F_RTR_FRAMES	 2
#define VIRTIO_CAN_F_LATE_TX_ACK 3

#define VIRTIO_CAN_TX		       0x0001u
#define VIRTIO_CAN_RX		       0x0101u
#define VIRTIO_CAN_SET_CTRL_MODE_START 0x0201u
#define VIRTIO_CAN_SET_CTRL_MODE_STOP  0x0202u

#define VIRTIO_CAN_FLAGS_RTR	  0x2000u
#define VIRTIO_CAN_FLAGS_FD	  0x4000u
#define VIRTIO_CAN_FLAGS_EXTENDED 0x8000u
#define KNOWN_FLAGS		  (VIRTIO_CAN_FLAGS_RTR | VIRTIO_CAN_FLAGS_FD | VIRTIO_CAN_FLAGS_EXTENDED)

#define VIRTIO_CAN_RESULT_OK	 0
#define VIRTIO_CAN_RESULT_NOT_OK 1

#define VIRTIO_CAN_S_CTRL_BUSOFF 1u

/* Requests of one queue before other work of the loop gets a turn. */
#define TURN_MAX 64u
#define RX_MAX	 1024u

/* struct virtio_can_tx_out and virtio_can_rx (5.20.5.2, 5.20.5.3) up to the SDU. */
struct header {
	le16 msg_type;
	le16 length;
	uint8_t reserved_classic_dlc;
	uint8_t padding;
	le16 reserved_xl_priority;
	le32 flags;
	le32 can_id;
};

struct can {
	struct vdev dev;
	/* Keys. */
	struct canport_config port_config;
	struct canbus_config bus_config; /* of a bus of its own */
	bool brs;
	uint32_t rx_queue;

	struct canbus *own_bus; /* NULL: plugged into another */
	struct canport *port;
	uint16_t status;	   /* of the configuration space */
	struct vq_chain *starting; /* the request for a start that takes its time */
	bool served;		   /* a driver was here in the life of this process */
	struct ev_task work;
	/* Received, without a buffer to put it in: a ring. */
	struct canfd_frame rx[RX_MAX];
	unsigned rx_first, rx_n;
	/* Metrics. */
	uint64_t tx_accepted, tx_refused, rx_delivered, rx_overruns, rx_too_small;
};

static struct can *to_can(struct vdev *dev)
{
	return container_of(dev, struct can, dev);
}

static void answer(struct vq_chain *chain, bool ok)
{
	uint8_t result = ok ? VIRTIO_CAN_RESULT_OK : VIRTIO_CAN_RESULT_NOT_OK;
	struct iov_iter it;

	iov_iter_init(&it, vq_in(chain), chain->n_in);
	iov_write(&it, &result, sizeof(result));
	vq_push(chain->vq, chain, sizeof(result));
}

static void flush(struct can *c, unsigned q)
{
	if (vq_running(c->dev.queues[q]))
		vq_flush(c->dev.queues[q]);
}

/* Transmission (5.20.5.2). */

/* True if frames of this type were negotiated. */
static bool has_type(const struct can *c, const struct canfd_frame *f)
{
	if (f->can_id & CAN_RTR_FLAG && !vdev_has(&c->dev, VIRTIO_CAN_F_RTR_FRAMES))
		return false;
	return vdev_has(&c->dev, can_is_fd(f) ? VIRTIO_CAN_F_CAN_FD : VIRTIO_CAN_F_CAN_CLASSIC);
}

/* The frame of a request; false if it is none that may be sent. */
static bool decode(const struct can *c, const struct vq_chain *chain, struct canfd_frame *f)
{
	struct header h;
	struct iov_iter it;
	uint32_t flags, id, length;

	*f = (struct canfd_frame){ 0 };
	iov_iter_init(&it, chain->iov, chain->n_out);
	if (iov_read(&it, &h, sizeof(h)) != sizeof(h) || le16toh(h.msg_type) != VIRTIO_CAN_TX)
		return false;
	flags = le32toh(h.flags);
	id = le32toh(h.can_id);
	length = le16toh(h.length);
	if (flags & ~KNOWN_FLAGS || id & ~CAN_EFF_MASK)
		return false;
	f->can_id = id | (flags & VIRTIO_CAN_FLAGS_EXTENDED ? CAN_EFF_FLAG : 0) |
		    (flags & VIRTIO_CAN_FLAGS_RTR ? CAN_RTR_FLAG : 0);
	if (flags & VIRTIO_CAN_FLAGS_FD)
		f->flags = CANFD_FDF | (c->brs ? CANFD_BRS : 0);
	if (length > (can_is_fd(f) ? CANFD_MAX_DLEN : CAN_MAX_DLEN))
		return false;
	/* A remote frame has a length, but no data. */
	if (!(f->can_id & CAN_RTR_FLAG) && iov_read(&it, f->data, length) != length)
		return false;
	f->len = can_is_fd(f) ? can_fd_len((uint8_t)length) : (uint8_t)length;
	return can_frame_valid(f) && has_type(c, f);
}

static void transmit(struct can *c, struct vq_chain *chain)
{
	bool late = vdev_has(&c->dev, VIRTIO_CAN_F_LATE_TX_ACK);
	struct canfd_frame f;
	int ret = decode(c, chain, &f) ? canport_send(c->port, &f, late ? chain : NULL) : -EINVAL;

	c->tx_accepted += !ret;
	c->tx_refused += ret != 0;
	if (ret || !late)
		answer(chain, !ret);
}

static void serve_tx(struct can *c)
{
	struct vq *vq = c->dev.queues[TXQ];
	struct vq_chain *chain;

	/* What finds no room stays in the queue; can_sent() goes on. */
	for (unsigned n = 0; canport_room(c->port); n++) {
		if (n == TURN_MAX) {
			ev_task_post(&c->work);
			return;
		}
		if (vq_pop_or_kick(vq, &chain) != 1)
			return;
		if (!chain->in_len) {
			vdev_broken(&c->dev, TXQ, "a frame has no room for its result (5.20.5.2)");
			return;
		}
		transmit(c, chain);
	}
}

static void can_sent(void *arg, void *cookie, bool ok)
{
	struct can *c = arg;

	if (cookie)
		answer(cookie, ok);
	ev_task_post(&c->work);
}

/* Reception (5.20.5.3). */

static void put_frame(struct vq_chain *chain, const struct canfd_frame *f)
{
	struct header h = {
		.msg_type = htole16(VIRTIO_CAN_RX),
		.length = htole16(f->len),
		.flags = htole32((f->can_id & CAN_EFF_FLAG ? VIRTIO_CAN_FLAGS_EXTENDED : 0) |
				 (f->can_id & CAN_RTR_FLAG ? VIRTIO_CAN_FLAGS_RTR : 0) |
				 (can_is_fd(f) ? VIRTIO_CAN_FLAGS_FD : 0)),
		.can_id = htole32(f->can_id & CAN_EFF_MASK),
	};
	struct iov_iter it;

	iov_iter_init(&it, vq_in(chain), chain->n_in);
	iov_write(&it, &h, sizeof(h));
	/* The zeroes of a remote frame, too: Linux wants `length` bytes of it. */
	iov_write(&it, f->data, f->len);
	vq_push(chain->vq, chain, (uint32_t)sizeof(h) + f->len);
}

/* False if there is no buffer. */
static bool deliver(struct can *c, const struct canfd_frame *f)
{
	struct vq *vq = c->dev.queues[RXQ];
	struct vq_chain *chain;

	if (c->dev.status & VIRTIO_S_NEEDS_RESET || vq_pop_or_kick(vq, &chain) != 1)
		return false;
	if (chain->n_out || chain->in_len < sizeof(struct header)) {
		vdev_broken(&c->dev, RXQ,
			"a receive buffer is readable or too short for struct virtio_can_rx "
			"(5.20.4.1)");
		return false;
	}
	if (chain->in_len < sizeof(struct header) + f->len) {
		vq_rewind(vq, chain);
		c->rx_too_small++;
		return true;
	}
	put_frame(chain, f);
	c->rx_delivered++;
	return true;
}

static void serve_rx(struct can *c)
{
	while (c->rx_n && deliver(c, &c->rx[c->rx_first])) {
		c->rx_first = (c->rx_first + 1) % RX_MAX;
		c->rx_n--;
	}
}

static void can_receive(void *arg, const struct canfd_frame *f)
{
	struct can *c = arg;

	if (!vq_running(c->dev.queues[RXQ]) || !has_type(c, f))
		return;
	ev_task_post(&c->work);
	if (!c->rx_n && deliver(c, f))
		return;
	if (c->rx_n >= c->rx_queue) {
		c->rx_overruns++;
		return;
	}
	c->rx[(c->rx_first + c->rx_n++) % RX_MAX] = *f;
}

/* Controller mode (5.20.5.1). */

static void set_mode(struct can *c, struct vq_chain *chain)
{
	struct iov_iter it;
	le16 type = 0;

	iov_iter_init(&it, chain->iov, chain->n_out);
	iov_read(&it, &type, sizeof(type));
	switch (chain->out_len < sizeof(type) ? 0 : le16toh(type)) {
	case VIRTIO_CAN_SET_CTRL_MODE_START:
		c->status = 0;
		if (canport_start(c->port))
			answer(chain, true);
		else
			c->starting = chain;
		break;
	case VIRTIO_CAN_SET_CTRL_MODE_STOP:
		canport_stop(c->port);
		answer(chain, true);
		break;
	default:
		answer(chain, false);
	}
}

/* In order: nothing overtakes a start that takes its time. */
static void serve_control(struct can *c)
{
	struct vq *vq = c->dev.queues[CONTROLQ];
	struct vq_chain *chain;

	for (unsigned n = 0; !c->starting; n++) {
		if (n == TURN_MAX) {
			ev_task_post(&c->work);
			return;
		}
		if (vq_pop_or_kick(vq, &chain) != 1)
			return;
		if (!chain->in_len) {
			vdev_broken(&c->dev, CONTROLQ,
				"a control message has no room for its result (5.20.5.1)");
			return;
		}
		set_mode(c, chain);
	}
}

static void can_started(void *arg)
{
	struct can *c = arg;

	if (c->starting)
		answer(c->starting, true);
	c->starting = NULL;
	ev_task_post(&c->work);
}

/* 5.20.5.4 */
static void can_bus_off(void *arg)
{
	struct can *c = arg;

	c->status |= VIRTIO_CAN_S_CTRL_BUSOFF;
	vdev_config_changed(&c->dev);
}

static void can_event(void *arg, const char *event, const char *detail)
{
	struct can *c = arg;

	vdev_event(&c->dev, event, "%s", detail);
}

static const struct canport_ops can_port_ops = {
	.receive = can_receive,
	.sent = can_sent,
	.started = can_started,
	.bus_off = can_bus_off,
	.event = can_event,
};

/* The device. */

static void can_kick(struct vdev *dev, unsigned q)
{
	struct can *c = to_can(dev);

	/* Before the first request: see can_queue_started(). */
	if (!vq_running(dev->queues[CONTROLQ]))
		return;
	c->served = true;
	if (q == TXQ)
		serve_tx(c);
	else if (q == RXQ)
		serve_rx(c);
	else
		serve_control(c);
	/* A stop gives back what waited before it is confirmed. */
	flush(c, TXQ);
	flush(c, q);
}

static void can_work(void *arg)
{
	struct can *c = arg;

	for (unsigned q = 0; q < c->dev.nqueues; q++)
		vdev_kick(&c->dev, q);
}

/* A driver that goes on after another process died had its controller running, as far as can be
 * known: what it wants is not kept anywhere else. */
static void can_queue_started(struct vdev *dev, unsigned q)
{
	struct can *c = to_can(dev);

	if (q != CONTROLQ)
		return;
	if (vq_resumed(dev->queues[q]) && !c->served)
		canport_start(c->port);
	ev_task_post(&c->work);
}

static void can_queue_stop(struct vdev *dev, unsigned q)
{
	struct can *c = to_can(dev);

	if (q == TXQ && vdev_has(dev, VIRTIO_CAN_F_LATE_TX_ACK))
		canport_cancel(c->port);
	if (q == CONTROLQ && c->starting) {
		answer(c->starting, false);
		c->starting = NULL;
	}
	flush(c, q);
}

static void can_reset(struct vdev *dev)
{
	struct can *c = to_can(dev);

	canport_stop(c->port);
	ev_task_cancel(&c->work);
	c->status = 0;
	c->rx_n = 0;
}

/* "It is required that at least one of CAN_CLASSIC and CAN_FD is negotiated" (5.20.3.1). */
static int can_features_ok(struct vdev *dev)
{
	bool classic = vdev_has(dev, VIRTIO_CAN_F_CAN_CLASSIC);

	if (!classic && !vdev_has(dev, VIRTIO_CAN_F_CAN_FD))
		return -EINVAL;
	return !classic && vdev_has(dev, VIRTIO_CAN_F_RTR_FRAMES) ? -EINVAL : 0;
}

static void can_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	le16 status = htole16(to_can(dev)->status);

	memcpy(buf, (const uint8_t *)&status + offset, len);
}

static int can_command(struct vdev *dev, unsigned argc, char **argv, FILE *out, struct err *e)
{
	struct can *c = to_can(dev);

	if (c->own_bus && !strcmp(argv[0], "bus"))
		return canbus_tell(c->own_bus, argc - 1, argv + 1, out, e);
	return canport_tell(c->port, argc, argv, out, e);
}

static int own_bus(struct can *c, struct err *e)
{
	int ret = canbus_create(&c->own_bus, &c->bus_config, "can0", c->dev.loop, c->dev.log, e);

	if (ret)
		return ret;
	canbus_on_event(c->own_bus, can_event, c);
	ret = canbus_add_port(c->own_bus, "can0", &c->port_config, &c->port, e);
	if (ret) {
		canbus_destroy(c->own_bus);
		c->own_bus = NULL;
	}
	return ret;
}

static int can_init(struct vdev *dev, struct err *e)
{
	struct can *c = to_can(dev);
	int ret = c->port ? canbus_check_unset(&c->bus_config, e) : own_bus(c, e);

	if (ret)
		return ret;
	canport_connect(c->port, &can_port_ops, c);
	ev_task_init(dev->loop, &c->work, can_work, c);
	dev->features = FEATURE(VIRTIO_CAN_F_CAN_CLASSIC) | FEATURE(VIRTIO_CAN_F_RTR_FRAMES) |
			FEATURE(VIRTIO_CAN_F_LATE_TX_ACK);
	if (canbus_has_fd(canport_bus(c->port)))
		dev->features |= FEATURE(VIRTIO_CAN_F_CAN_FD);
	dev->nqueues = 3;
	dev->queue_size_max = QUEUE_SIZE;
	dev->config_len = sizeof(le16);
	return 0;
}

static void can_finish(struct vdev *dev)
{
	struct can *c = to_can(dev);

	ev_task_cancel(&c->work);
	if (c->own_bus)
		canbus_destroy(c->own_bus);
	else
		canport_connect(c->port, NULL, NULL);
}

void can_attach(struct vdev *dev, struct canport *port)
{
	to_can(dev)->port = port;
}

const struct canport_config *can_port_config(const struct vdev *dev)
{
	return &container_of(dev, const struct can, dev)->port_config;
}

struct canport *can_port(const struct vdev *dev)
{
	return container_of(dev, const struct can, dev)->port;
}

static const struct opt can_opts[] = {
	CANPORT_OPTS(struct can, port_config),
	{ "brs", OPT_BOOL, offsetof(struct can, brs), .def = "true",
		.help = "CAN FD frames of the guest use the data bit rate" },
	{ "rx-queue", OPT_U32, offsetof(struct can, rx_queue), .def = "64", .min = 1, .max = RX_MAX,
		.help = "received frames that are kept while the guest has no buffer" },
	CANBUS_OPTS(struct can, bus_config),
	OPT_END,
};

static const struct vdev_metric can_metrics[] = {
	{ "tx_accepted", offsetof(struct can, tx_accepted), "frames of the guest taken" },
	{ "tx_refused", offsetof(struct can, tx_refused), "frames answered NOT_OK at once" },
	{ "rx_delivered", offsetof(struct can, rx_delivered), "frames given to the guest" },
	{ "rx_overruns", offsetof(struct can, rx_overruns),
		"frames lost because the guest had no buffer for too long" },
	{ "rx_too_small", offsetof(struct can, rx_too_small),
		"frames lost because the guest's buffer is too short for them" },
	{ NULL, 0, NULL },
};

static const char *const can_paths[] = { "log", NULL };
static const struct vdev_sandbox can_sandbox = {
	.syscalls = canbus_syscalls, .ioctls = can_socket_ioctls, .paths = can_paths
};

const struct vdev_class vdev_can = {
	.name = "can",
	.id = VIRTIO_ID_CAN,
	.pci_class = 0x0c0900, /* serial bus, CAN */
	.summary = "CAN controller on a bus of several VMs, or of its own",
	.size = sizeof(struct can),
	.opts = can_opts,
	.metrics = can_metrics,
	.sandbox = &can_sandbox,
	.init = can_init,
	.finish = can_finish,
	.features_ok = can_features_ok,
	.reset = can_reset,
	.queue_started = can_queue_started,
	.queue_stop = can_queue_stop,
	.kick = can_kick,
	.config_read = can_config_read,
	.command = can_command,
};
