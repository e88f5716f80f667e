/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What else is on the bus besides the devices of VMs: an interface of the host, a recording, and
 * the operator. Each has a port of its own and is subject to the same rules.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "host/canbus_priv.h"

/* A frame of a recording. */
struct recorded {
	struct canfd_frame frame;
};

bool canbus_is_side(const struct canbus *b, const struct canport *p)
{
	return p == b->host_port || p == b->replay_port || p == b->operator_port;
}

void canbus_event(struct canbus *b, const char *event, const char *detail)
{
	if (b->event)
		b->event(b->event_arg, event, detail);
}

/* These controllers always come back. */
static void back_again(void *arg)
{
	canport_start(arg);
}

static const struct canport_ops side_ops = { .bus_off = back_again };

static int add_side(struct canbus *b, const char *name, struct canport **out, struct err *e)
{
	struct canport_config c;
	int ret;

	canport_defaults(&c);
	c.tx_queue = CANBUS_QUEUE_MAX;
	ret = canbus_add_port(b, name, &c, out, e);
	if (ret)
		return ret;
	canport_connect(*out, &side_ops, *out);
	return 0;
}

/* The host's interface. */

static void host_receive(void *arg, const struct canfd_frame *f)
{
	struct canbus *b = arg;

	b->count.host_rx++;
	if (b->config.bitrate) {
		b->count.host_dropped += canport_send(b->host_port, f, NULL) != 0;
		return;
	}
	/* It was on the bus already. */
	if (b->short_circuit || (can_is_fd(f) && !b->config.fd))
		b->count.host_dropped++;
	else
		canbus_deliver(b, b->host_port, f, canbus_now(b));
}

static void host_sent(void *arg, bool ok)
{
	struct canbus *b = arg;

	b->count.host_tx += ok;
	b->count.host_dropped += !ok;
	canbus_host_done(b, ok);
}

static void host_state(void *arg, bool up, const char *why)
{
	struct canbus *b = arg;

	b->host_up = up;
	b->count.host_gone += !up;
	log_warn(b->log, "interface %s: %s", b->config.host, why);
	canbus_event(b, up ? "host-back" : "host-gone", why);
	canbus_wake(b);
}

bool canbus_to_host(struct canbus *b, const struct canfd_frame *f)
{
	bool confirm = !b->config.bitrate;
	int ret = can_socket_send(b->host, f, confirm);

	b->count.host_dropped += ret != 0;
	b->count.host_tx += !ret && !confirm;
	return !ret && confirm;
}

void canbus_leave_host(struct canbus *b)
{
	if (b->at_host)
		can_socket_forget(b->host);
	b->at_host = false;
}

static int open_host(struct canbus *b, struct err *e)
{
	static const struct can_socket_ops ops = { host_receive, host_sent, host_state };
	int ret = add_side(b, "host", &b->host_port, e);

	if (!ret)
		ret = can_socket_open(&b->host, b->config.host, &ops, b, b->loop, b->log, e);
	if (!ret)
		canport_start(b->host_port);
	return ret;
}

/* The recording. */

/* "(1436509052.249713) can0 123#DEADBEEF", and a direction that some versions of candump write. */
static int parse_line(
	void *arg, char *line, unsigned number, void *record, uint64_t *time_ns, struct err *e)
{
	const struct canbus *b = arg;
	const char *only = b->config.replay_interface, *at = line + strspn(line, " \t");
	struct recorded *r = record;
	size_t len;

	if (!*at || *at == '#')
		return 0;
	if (*at != '(' || replay_parse_seconds(at + 1, &at, time_ns) || *at != ')')
		return err_set(e, -EINVAL, "no time stamp as in (1436509052.249713)");
	at += 1 + strspn(at + 1, " \t");
	len = strcspn(at, " \t");
	if (!len || !at[len])
		return err_set(e, -EINVAL, "no interface and frame behind the time stamp");
	if (only && (strlen(only) != len || strncmp(at, only, len) != 0))
		return 0;
	at += len + strspn(at + len, " \t");
	if (can_frame_parse(at, &at, &r->frame, e))
		return -EINVAL;
	if (can_is_fd(&r->frame) && !b->config.fd)
		return err_set(e, -EINVAL, "a CAN FD frame, on a bus with `can-fd: false`");
	return !(r->frame.can_id & CAN_ERR_FLAG); /* an error is no frame to be sent */
}

static void recorded_due(void *arg, const void *record)
{
	const struct recorded *r = record;
	struct canbus *b = arg;

	if (canport_send(b->replay_port, &r->frame, NULL))
		b->count.replay_dropped++;
	else
		b->count.replayed++;
}

static void recording_ended(void *arg)
{
	canbus_event(arg, "replay-end", "the recording was played to its end");
}

static int open_replay(struct canbus *b, struct err *e)
{
	static const struct replay_ops ops = { sizeof(struct recorded), parse_line, recorded_due,
		recording_ended };
	int ret = add_side(b, "replay", &b->replay_port, e);

	if (!ret)
		ret = replay_open(&b->replay, &b->config.replay, &ops, b, b->loop, b->log, e);
	if (ret)
		return ret;
	b->replay_waits = b->config.replay.start_when == REPLAY_READY;
	canport_start(b->replay_port);
	if (!b->replay_waits)
		replay_start(b->replay);
	return 0;
}

void canbus_port_joined(struct canbus *b)
{
	if (!b->replay_waits)
		return;
	for (unsigned i = 0; i < b->nports; i++)
		if (!b->ports[i]->joined && !canbus_is_side(b, b->ports[i]))
			return;
	/* One of our own, before the others are there. */
	if (b->nports <= 1u + !!b->host_port + !!b->replay_port)
		return;
	b->replay_waits = false;
	replay_start(b->replay);
}

/* The log. */

static int open_log(struct canbus *b, struct err *e)
{
	const struct can_log_opts opts = {
		.path = b->config.log,
		.name = b->name,
		.size = b->config.log_size,
		.files = b->config.log_files,
	};

	return can_log_open(&b->file, &opts, b->loop, b->log, e);
}

int canbus_open_sides(struct canbus *b, struct err *e)
{
	int ret = add_side(b, "operator", &b->operator_port, e);

	if (!ret)
		canport_start(b->operator_port);
	if (!ret && b->config.log)
		ret = open_log(b, e);
	if (!ret && b->config.host)
		ret = open_host(b, e);
	if (!ret && b->config.replay.file)
		ret = open_replay(b, e);
	return ret;
}

void canbus_close_sides(struct canbus *b)
{
	replay_close(b->replay);
	can_socket_close(b->host);
	can_log_close(b->file);
}
