/* SPDX-License-Identifier: BSD-3-Clause */
/* avp switch: a learning switch as a process, whose ports are the net devices of VMs, so that a
 * frame is copied once from guest to guest. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "cli/medium.h"
#include "devices/devices.h"
#include "devices/net.h"
#include "host/uplink.h"

struct state {
	struct netswitch *sw;
	struct uplink uplink;
};

static int open_switch(struct medium *m, struct err *e)
{
	struct state *s = m->state;

	return switch_create(&s->sw, m->config, m->loop, &m->log, e);
}

static int attach_port(struct medium *m, struct medium_port *p, struct err *e)
{
	struct state *s = m->state;
	struct netport *end;
	int ret = switch_add_port(s->sw, p->name, net_port_config(p->dev), &end, e);

	if (!ret)
		net_attach(p->dev, end);
	return ret;
}

static int open_uplink(struct medium *m, struct err *e)
{
	const struct switch_config *c = m->config;
	struct state *s = m->state;
	struct switch_port_config port;
	struct netport *end;
	int ret = uplink_open(&s->uplink, c->uplink, m->loop, &m->log, e);

	if (ret || !uplink_end(&s->uplink))
		return ret;
	switch_port_defaults(&port);
	port.vlan = c->uplink_vlan;
	port.trunk = c->uplink_trunk;
	ret = switch_add_port(s->sw, "uplink", &port, &end, e);
	if (!ret)
		netport_connect(end, uplink_end(&s->uplink));
	return ret;
}

/* Everything is open by now, except the way to a passt that may be restarted. */
static int add_to_jail(struct medium *m, struct jail_profile *profile, struct err *e)
{
	static const char *const connecting[] = { "socket", "connect", NULL };
	const char *path = ((const struct switch_config *)m->config)->uplink;
	char *folder;

	if (strncmp(path, "passt:", 6) != 0)
		return 0;
	path += 6;
	folder = strndup(path, max_u64((uint64_t)(strrchr(path, '/') - path), 1));
	if (!folder)
		return err_set(e, -ENOMEM, "out of memory");
	profile->paths[profile->npaths++] = folder;
	profile->syscalls = connecting;
	return 0;
}

/* Counters that are zero are left out. */
static void port_counters(const struct netswitch *sw, unsigned port, FILE *f)
{
	const struct switch_counters *count = switch_port_counters(sw, port);

	fprintf(f, "\"up\":%d", switch_port_up(sw, port));
	for (const struct switch_counter_name *k = switch_counter_names; k->name; k++) {
		uint64_t value = *(const uint64_t *)(const void *)((const char *)count + k->offset);

		if (value)
			fprintf(f, ",\"%s\":%llu", k->name, (unsigned long long)value);
	}
	fprintf(f, ",\"queued\":%llu", (unsigned long long)switch_port_queued(sw, port));
}

static void port_stats(struct medium *m, unsigned port, FILE *f)
{
	port_counters(((struct state *)m->state)->sw, port, f);
}

/* The uplink is a port of the switch, but none of ours: it comes after them. */
static void switch_stats(struct medium *m, FILE *f)
{
	struct netswitch *sw = ((struct state *)m->state)->sw;

	fprintf(f, "\"macs\":%u,\"mirror_missed\":%llu", switch_macs(sw),
		(unsigned long long)switch_mirror_missed(sw));
	if (switch_nports(sw) > m->nports) {
		fputs(",\"uplink\":{", f);
		port_counters(sw, m->nports, f);
		fputc('}', f);
	}
}

static void close_switch(struct medium *m)
{
	struct state *s = m->state;

	uplink_close(&s->uplink);
	switch_destroy(s->sw);
}

static const struct medium_spec spec = {
	.command = "switch",
	.about = "Serves the network cards of several guests, connected by a learning switch.",
	.cls = &vdev_net,
	.ports_max = SWITCH_PORTS_MAX,
	.opts = switch_opts,
	.config_size = sizeof(struct switch_config),
	.state_size = sizeof(struct state),
	.open = open_switch,
	.attach = attach_port,
	.complete = open_uplink,
	.jail = add_to_jail,
	.stats = switch_stats,
	.port_stats = port_stats,
	.close = close_switch,
};

int cmd_switch(int argc, char **argv)
{
	return medium_main(&spec, argc, argv);
}
