/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a bus and its ports from their configuration, and asking for their state. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/canbus_priv.h"

const char *const canbus_ack_words[] = { "always", "nodes", NULL };
const char *const canbus_gone_words[] = { "fault", "continue", NULL };
const char *const canport_order_words[] = { "fifo", "id", NULL };
const char *const canport_babble_words[] = { "hold", "bus-off", NULL };

static const struct canport_ops nobody;

struct keys {
	struct canbus_config bus;
};

const struct opt canbus_opts[] = { CANBUS_OPTS(struct keys, bus), OPT_END };

/* The log's files move up; an interface comes back. */
const char *const canbus_syscalls[] = { "openat", "renameat", "renameat2", "bind", NULL };

#define COUNTER(type, member)                                                                      \
	{                                                                                          \
#member, offsetof(struct type, member)                                             \
	}

const struct canbus_counter_name canport_counter_names[] = {
	COUNTER(canport_counters, tx_frames),
	COUNTER(canport_counters, tx_bytes),
	COUNTER(canport_counters, rx_frames),
	COUNTER(canport_counters, tx_errors),
	COUNTER(canport_counters, arbitration_lost),
	COUNTER(canport_counters, rx_filtered),
	COUNTER(canport_counters, tx_denied),
	COUNTER(canport_counters, tx_cancelled),
	COUNTER(canport_counters, held),
	COUNTER(canport_counters, bus_off),
	{ NULL, 0 },
};

const struct canbus_counter_name canbus_counter_names[] = {
	COUNTER(canbus_counters, frames),
	COUNTER(canbus_counters, bytes),
	COUNTER(canbus_counters, errors),
	COUNTER(canbus_counters, busy_ns),
	COUNTER(canbus_counters, replayed),
	COUNTER(canbus_counters, replay_dropped),
	COUNTER(canbus_counters, host_rx),
	COUNTER(canbus_counters, host_tx),
	COUNTER(canbus_counters, host_dropped),
	COUNTER(canbus_counters, host_gone),
	COUNTER(canbus_counters, log_missed),
	{ NULL, 0 },
};

static uint64_t real_clock(void *arg, clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int check(const struct canbus_config *c, struct err *e)
{
	if (c->bitrate && c->bitrate < 1000)
		return err_set(e, -EINVAL,
			"bitrate: %u bit/s; allowed: 0 (no pace), 1000 to 1000000", c->bitrate);
	if (c->data_bitrate && c->data_bitrate < c->bitrate)
		return err_set(e, -EINVAL,
			"data-bitrate: %u bit/s is less than the bitrate of %u bit/s",
			c->data_bitrate, c->bitrate);
	return 0;
}

int canbus_create(struct canbus **out, const struct canbus_config *c, const char *name,
	struct ev_loop *loop, const struct log *log, struct err *e)
{
	struct canbus *b;
	int ret = check(c, e);

	if (ret)
		return ret;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(e, -ENOMEM, "no memory for a CAN bus");
	b->loop = loop;
	b->log = log;
	b->config = *c;
	b->clock = real_clock;
	b->timer_fd = -1;
	snprintf(b->name, sizeof(b->name), "%s", name);
	ret = canbus_start_timer(b);
	if (ret)
		err_sys(e, ret, "a timer for the CAN bus");
	else
		ret = canbus_open_sides(b, e);
	if (ret) {
		canbus_destroy(b);
		return ret;
	}
	*out = b;
	return 0;
}

void canbus_destroy(struct canbus *b)
{
	if (!b)
		return;
	canbus_close_sides(b);
	ev_task_cancel(&b->task);
	ev_fd_del(&b->timer);
	close_fd(&b->timer_fd);
	for (unsigned i = 0; i < b->nports; i++)
		free(b->ports[i]);
	free(b);
}

static bool same(const struct opt *o, const void *a, const void *b)
{
	const void *at = (const char *)a + o->offset, *bt = (const char *)b + o->offset;

	if (o->type == OPT_BOOL)
		return *(const bool *)at == *(const bool *)bt;
	if (o->type == OPT_STR || o->type == OPT_PATH) {
		const char *s = *(char *const *)at, *t = *(char *const *)bt;

		return s && t ? !strcmp(s, t) : s == t;
	}
	return !memcmp(at, bt, o->type == OPT_SIZE ? sizeof(uint64_t) : sizeof(uint32_t));
}

int canbus_check_unset(const struct canbus_config *c, struct err *e)
{
	struct keys is = { *c }, def = { 0 };
	const char *other = NULL;
	int ret = opt_defaults(canbus_opts, &def, e);

	for (const struct opt *o = canbus_opts; !ret && o->name && !other; o++)
		if (!same(o, &is, &def))
			other = o->name;
	opt_free(canbus_opts, &def);
	if (other)
		return err_set(e, -EINVAL,
			"%s: a key of the bus, not of a controller that is plugged into it", other);
	return ret;
}

void canbus_on_event(struct canbus *b,
	void (*event)(void *arg, const char *event, const char *detail), void *arg)
{
	b->event = event;
	b->event_arg = arg;
}

void canport_defaults(struct canport_config *c)
{
	*c = (struct canport_config){ .tx_queue = 16 };
}

static int check_port(
	const struct canbus *b, const char *name, const struct canport_config *c, struct err *e)
{
	for (unsigned i = 0; i < b->nports; i++)
		if (!strcmp(b->ports[i]->name, name))
			return err_set(e, -EINVAL, "there are two ports '%s'", name);
	if (b->nports == ARRAY_LEN(b->ports))
		return err_set(e, -ENOSPC, "a CAN bus has at most %u ports", CANBUS_PORTS_MAX);
	if (strlen(name) >= CANBUS_NAME_MAX)
		return err_set(e, -EINVAL, "the port's name '%.20s...' is too long", name);
	if (c->max_load && !b->config.bitrate)
		return err_set(e, -EINVAL,
			"port %s: max-load has no meaning on a bus with bitrate 0", name);
	return 0;
}

int canbus_add_port(struct canbus *b, const char *name, const struct canport_config *c,
	struct canport **out, struct err *e)
{
	struct canport *p;
	int ret = check_port(b, name, c, e);

	if (ret)
		return ret;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, "no memory for a port");
	p->bus = b;
	p->config = *c;
	p->state = CAN_STATE_STOPPED;
	p->ops = &nobody;
	snprintf(p->name, sizeof(p->name), "%s", name);
	ret = can_filters_parse(&p->filter, &c->filters, "filters", e);
	if (!ret)
		ret = can_filters_parse(&p->tx_filter, &c->tx_filters, "tx-filters", e);
	if (ret) {
		free(p);
		return ret;
	}
	b->ports[b->nports++] = p;
	*out = p;
	return 0;
}

void canport_connect(struct canport *p, const struct canport_ops *ops, void *arg)
{
	p->ops = ops ? ops : &nobody;
	p->arg = arg;
}

struct canbus *canport_bus(const struct canport *p)
{
	return p->bus;
}

const char *canport_name(const struct canport *p)
{
	return p->name;
}

const struct canport_counters *canport_counters(const struct canport *p)
{
	return &p->count;
}

unsigned canbus_nports(const struct canbus *b)
{
	return b->nports;
}

struct canport *canbus_port(const struct canbus *b, unsigned i)
{
	return b->ports[i];
}

const struct canbus_counters *canbus_counters(struct canbus *b)
{
	if (b->file)
		b->count.log_missed = can_log_missed(b->file);
	return &b->count;
}

bool canbus_has_fd(const struct canbus *b)
{
	return b->config.fd;
}
