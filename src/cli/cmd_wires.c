/* SPDX-License-Identifier: BSD-3-Clause */
/* avp wires: nets between GPIO lines as a process, whose ports are the GPIO devices of VMs: an
 * output of one guest is an input of others. */
#include "cli/cli.h"
#include "cli/medium.h"
#include "devices/devices.h"
#include "devices/gpio.h"
#include "host/wires.h"

struct state {
	struct wires *wires;
	struct wires_host host;
};

static void on_event(void *arg, const char *event, const char *detail)
{
	medium_event(arg, event, "%s", detail);
}

static int open_wires(struct medium *m, struct err *e)
{
	struct state *s = m->state;

	s->host = (struct wires_host){ .arg = m, .event = on_event };
	return wires_create(&s->wires, m->name ? m->name : m->spec->command, m->config, &s->host,
		m->loop, &m->log, e);
}

static int attach_port(struct medium *m, struct medium_port *p, struct err *e)
{
	struct state *s = m->state;

	gpio_attach(p->dev, s->wires, p->name);
	return 0;
}

static int complete(struct medium *m, struct err *e)
{
	struct state *s = m->state;

	return wires_start(s->wires, e);
}

/* For lines of the host that the devices have besides. */
static int add_to_jail(struct medium *m, struct jail_profile *profile, struct err *e)
{
	profile->ioctls = vdev_gpio.sandbox->ioctls;
	return 0;
}

static void wires_stats(struct medium *m, FILE *f)
{
	const struct wires_counters *c = wires_counters(((struct state *)m->state)->wires);

	fprintf(f, "\"changes\":%llu,\"conflicts\":%llu", (unsigned long long)c->changes,
		(unsigned long long)c->conflicts);
}

static int obey(struct medium *m, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct state *s = m->state;

	return wires_command(s->wires, argc, argv, answer, e);
}

static void close_wires(struct medium *m)
{
	struct state *s = m->state;

	wires_destroy(s->wires);
}

static const struct medium_spec spec = {
	.command = "wires",
	.about = "Serves the GPIO devices of several guests, whose lines are connected by nets.",
	.cls = &vdev_gpio,
	.ports_max = MEDIUM_PORTS_MAX,
	.opts = wires_opts,
	.config_size = sizeof(struct wires_config),
	.state_size = sizeof(struct state),
	.open = open_wires,
	.attach = attach_port,
	.complete = complete,
	.jail = add_to_jail,
	.stats = wires_stats,
	.obey = obey,
	.close = close_wires,
};

int cmd_wires(int argc, char **argv)
{
	return medium_main(&spec, argc, argv);
}
