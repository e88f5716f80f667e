/* SPDX-License-Identifier: BSD-3-Clause */
/* avp link: a serial link as a process, whose ends are the consoles of VMs. */
#include "cli/cli.h"
#include "cli/medium.h"
#include "devices/console_link.h"
#include "devices/devices.h"

struct state {
	struct link *link;
	struct link_owner owner;
	struct console_plug plugs[LINK_ENDS_MAX];
};

static void on_event(void *arg, const char *event, const char *detail)
{
	medium_event(arg, event, "%s", detail);
}

static int open_link(struct medium *m, struct err *e)
{
	struct state *s = m->state;

	s->owner = (struct link_owner){ .arg = m, .event = on_event };
	return link_create(&s->link, m->name ? m->name : m->spec->command, m->config, &s->owner,
		m->loop, &m->log, e);
}

static int attach_port(struct medium *m, struct medium_port *port, struct err *e)
{
	struct state *s = m->state;

	return console_plug_in(&s->plugs[port - m->ports], port->dev, s->link, port->name, e);
}

static void link_stats(struct medium *m, FILE *f)
{
	const struct link_counters *c = link_counters(((struct state *)m->state)->link);

	fprintf(f, "\"bytes\":%llu,\"collisions\":%llu,\"dropped\":%llu,\"corrupted\":%llu",
		(unsigned long long)c->bytes, (unsigned long long)c->collisions,
		(unsigned long long)c->dropped, (unsigned long long)c->corrupted);
}

static int obey(struct medium *m, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct state *s = m->state;

	return link_command(s->link, argc, argv, answer, e);
}

static void close_link(struct medium *m)
{
	struct state *s = m->state;

	link_destroy(s->link);
}

static const struct medium_spec spec = {
	.command = "link",
	.about = "Serves the consoles of several guests, connected by a serial link.",
	.cls = &vdev_console,
	.ports_max = LINK_ENDS_MAX,
	.opts = link_opts,
	.config_size = sizeof(struct link_config),
	.state_size = sizeof(struct state),
	.open = open_link,
	.attach = attach_port,
	.stats = link_stats,
	.obey = obey,
	.close = close_link,
};

int cmd_link(int argc, char **argv)
{
	return medium_main(&spec, argc, argv);
}
