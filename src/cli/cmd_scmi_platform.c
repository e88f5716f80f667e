/* SPDX-License-Identifier: BSD-3-Clause */
/* avp scmi-platform: clocks, power domains, sensors and so on that several VMs share; each of its
 * ports is the SCMI device of a VM, and an agent. */
#include "cli/cli.h"
#include "cli/medium.h"
#include "devices/devices.h"
#include "devices/scmi.h"

struct state {
	struct scmi_platform *platform;
};

static void on_event(void *arg, const char *event, const char *detail)
{
	medium_event(arg, event, "%s", detail);
}

static int open_platform(struct medium *m, struct err *e)
{
	struct state *s = m->state;
	int ret = scmi_platform_open(&s->platform, m->config, m->loop, &m->log, e);

	if (!ret)
		scmi_platform_watch(s->platform, on_event, m);
	return ret;
}

static int attach_agent(struct medium *m, struct medium_port *p, struct err *e)
{
	scmi_attach(p->dev, ((struct state *)m->state)->platform);
	return 0;
}

static int obey(struct medium *m, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	return scmi_platform_command(((struct state *)m->state)->platform, argc, argv, answer, e);
}

static void close_platform(struct medium *m)
{
	scmi_platform_close(((struct state *)m->state)->platform);
}

static const struct medium_spec spec = {
	.command = "scmi-platform",
	.about = "Serves the SCMI devices of several guests, agents of one platform.",
	.cls = &vdev_scmi,
	.ports_max = MEDIUM_PORTS_MAX,
	.opts = scmi_platform_opts,
	.config_size = sizeof(struct scmi_config),
	.state_size = sizeof(struct state),
	.open = open_platform,
	.attach = attach_agent,
	.obey = obey,
	.close = close_platform,
};

int cmd_scmi_platform(int argc, char **argv)
{
	return medium_main(&spec, argc, argv);
}
