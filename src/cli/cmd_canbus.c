/* SPDX-License-Identifier: BSD-3-Clause */
/* avp can-bus: a CAN bus as a process, whose ports are the CAN controllers of VMs. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "cli/medium.h"
#include "devices/can.h"
#include "devices/devices.h"

struct state {
	struct canbus *bus;
};

static struct canbus *bus_of(const struct medium *m)
{
	return ((const struct state *)m->state)->bus;
}

static void on_event(void *arg, const char *event, const char *detail)
{
	medium_event(arg, event, "%s", detail);
}

static int open_bus(struct medium *m, struct err *e)
{
	struct state *s = m->state;
	int ret =
		canbus_create(&s->bus, m->config, m->name ? m->name : "can0", m->loop, &m->log, e);

	if (!ret)
		canbus_on_event(s->bus, on_event, m);
	return ret;
}

static int attach_port(struct medium *m, struct medium_port *p, struct err *e)
{
	struct canport *port;
	int ret = canbus_add_port(bus_of(m), p->name, can_port_config(p->dev), &port, e);

	if (!ret)
		can_attach(p->dev, port);
	return ret;
}

/* The files of a full log move up. */
static int add_to_jail(struct medium *m, struct jail_profile *profile, struct err *e)
{
	const struct canbus_config *c = m->config;

	return c->log ? jail_add_folder(profile, c->log, e) : 0;
}

/* Counters that are zero are left out. */
static void write_counters(
	const struct canbus_counter_name *names, const void *counters, const char *sep, FILE *f)
{
	for (; names->name; names++) {
		uint64_t value =
			*(const uint64_t *)(const void *)((const char *)counters + names->offset);

		if (!value)
			continue;
		fprintf(f, "%s\"%s\":%llu", sep, names->name, (unsigned long long)value);
		sep = ",";
	}
}

static void bus_stats(struct medium *m, FILE *f)
{
	fprintf(f, "\"bitrate\":%u", ((const struct canbus_config *)m->config)->bitrate);
	write_counters(canbus_counter_names, canbus_counters(bus_of(m)), ",", f);
}

static void port_stats(struct medium *m, unsigned port, FILE *f)
{
	const struct vdev *dev = m->ports[port].dev;

	line_device_stats(dev, f);
	write_counters(canport_counter_names, canport_counters(can_port(dev)), ",", f);
}

static int obey(struct medium *m, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	return canbus_tell(bus_of(m), argc, argv, answer, e);
}

static void close_bus(struct medium *m)
{
	canbus_destroy(bus_of(m));
}

static const struct medium_spec spec = {
	.command = "can-bus",
	.about = "Serves the CAN controllers of several guests, connected by a bus.",
	.cls = &vdev_can,
	.ports_max = CANBUS_PORTS_MAX,
	.opts = canbus_opts,
	.config_size = sizeof(struct canbus_config),
	.state_size = sizeof(struct state),
	.open = open_bus,
	.attach = attach_port,
	.jail = add_to_jail,
	.stats = bus_stats,
	.port_stats = port_stats,
	.obey = obey,
	.close = close_bus,
};

int cmd_canbus(int argc, char **argv)
{
	return medium_main(&spec, argc, argv);
}
