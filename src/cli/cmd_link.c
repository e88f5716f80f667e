/* SPDX-License-Identifier: BSD-3-Clause */
/* avp link: a serial link as a process, whose ends are the consoles of VMs. */
#include "cli/cli.h"
#include "cli/medium.h"
#include "devices/console.h"
#include "devices/devices.h"
#include "host/link.h"

/* A port as an end of the link. */
struct plug {
	struct vdev *dev;
	struct link_end *end;
	struct chardev_carrier carrier;
};

struct state {
	struct link *link;
	struct link_owner owner;
	struct plug plugs[LINK_ENDS_MAX];
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

/* From the guest to the link. */

static size_t carrier_room(void *arg)
{
	return link_room(((struct plug *)arg)->end);
}

static void carrier_send(void *arg, const struct iovec *iov, unsigned n)
{
	struct plug *p = arg;

	for (unsigned i = 0; i < n; i++)
		link_send(p->end, iov[i].iov_base, iov[i].iov_len);
}

/* From the link to the guest. */

static size_t on_heard(void *arg, const uint8_t *bytes, size_t len)
{
	struct plug *p = arg;

	return chardev_feed(console_stream(p->dev), bytes, len);
}

static void on_room(void *arg)
{
	struct plug *p = arg;

	chardev_more_room(console_stream(p->dev));
}

static int attach_port(struct medium *m, struct medium_port *port, struct err *e)
{
	struct state *s = m->state;
	struct plug *p = &s->plugs[port - m->ports];
	const struct link_end_ops ops = { on_heard, on_room, p };

	p->dev = port->dev;
	p->carrier = (struct chardev_carrier){ carrier_room, carrier_send, p };
	console_attach(p->dev, &p->carrier);
	return link_add(s->link, port->name, &ops, &p->end, e);
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
