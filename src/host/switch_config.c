/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a switch and its ports from their configuration, and asking for their state. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "host/pcapng.h"
#include "host/switch.h"
#include "host/switch_priv.h"

#define DENY_MAX    64u
#define LOOKS_PER_S 500u /* at a port that waits for its rate; timers go by milliseconds */

const struct opt switch_opts[] = {
	{ .name = "uplink",
		.type = OPT_STR,
		.offset = offsetof(struct switch_config, uplink),
		.def = "none",
		.help = "none, tap:NAME, passt, or passt:SOCKET" },
	{ .name = "uplink-vlan",
		.type = OPT_U32,
		.offset = offsetof(struct switch_config, uplink_vlan),
		.max = SWITCH_VLAN_MAX,
		.help = "VLAN of untagged frames on the uplink" },
	{ .name = "uplink-trunk",
		.type = OPT_LIST,
		.offset = offsetof(struct switch_config, uplink_trunk),
		.help = "VLANs that pass tagged on the uplink, as in 10,20-29" },
	{ .name = "mirror",
		.type = OPT_PATH,
		.offset = offsetof(struct switch_config, mirror),
		.help = "pcapng file that gets every frame that came in" },
	{ .name = "mirror-ports",
		.type = OPT_LIST,
		.offset = offsetof(struct switch_config, mirror_ports),
		.help = "names of the ports to capture (default: all)" },
	{ .name = "mirror-size",
		.type = OPT_SIZE,
		.offset = offsetof(struct switch_config, mirror_size),
		.def = "64M",
		.min = 4096,
		.help = "bytes after which the capture ends" },
	{ .name = "mirror-snaplen",
		.type = OPT_U32,
		.offset = offsetof(struct switch_config, mirror_snaplen),
		.def = "65535",
		.min = 14,
		.max = 65535,
		.help = "bytes captured of a frame" },
	{ .name = "age",
		.type = OPT_U32,
		.offset = offsetof(struct switch_config, age),
		.def = "300",
		.min = 1,
		.max = 1000000,
		.help = "seconds after which a silent address is forgotten" },
	{ .name = "macs",
		.type = OPT_U32,
		.offset = offsetof(struct switch_config, macs),
		.def = "1024",
		.min = 16,
		.max = 1 << 20,
		.help = "addresses remembered" },
	{ .name = "macs-per-port",
		.type = OPT_U32,
		.offset = offsetof(struct switch_config, macs_per_port),
		.def = "128",
		.min = 1,
		.max = 1 << 20,
		.help = "addresses remembered of one port" },
	OPT_END,
};

const struct switch_counter_name switch_counter_names[] = {
	{ "rx_frames", offsetof(struct switch_counters, rx_frames) },
	{ "rx_bytes", offsetof(struct switch_counters, rx_bytes) },
	{ "tx_frames", offsetof(struct switch_counters, tx_frames) },
	{ "tx_bytes", offsetof(struct switch_counters, tx_bytes) },
	{ "rx_flooded", offsetof(struct switch_counters, rx_flooded) },
	{ "tx_queued", offsetof(struct switch_counters, tx_queued) },
	{ "drop_vlan", offsetof(struct switch_counters, drop_vlan) },
	{ "drop_mac", offsetof(struct switch_counters, drop_mac) },
	{ "drop_flood", offsetof(struct switch_counters, drop_flood) },
	{ "drop_queue", offsetof(struct switch_counters, drop_queue) },
	{ "drop_down", offsetof(struct switch_counters, drop_down) },
	{ "drop_self", offsetof(struct switch_counters, drop_self) },
	{ "not_learned", offsetof(struct switch_counters, not_learned) },
	{ NULL, 0 },
};

static uint64_t real_clock(void *arg, clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void switch_port_defaults(struct switch_port_config *c)
{
	*c = (struct switch_port_config){ 0 };
	opt_parse_size(SWITCH_BURST, &c->burst);
	opt_parse_size(SWITCH_QUEUE, &c->queue);
}

static int parse_vlans(struct port *p, const char *word, struct err *e)
{
	unsigned first, last;
	int used = -1;

	if (sscanf(word, "%4u-%4u%n", &first, &last, &used) != 2 || word[used]) {
		used = -1;
		if (sscanf(word, "%4u%n", &first, &used) != 1 || word[used])
			first = 0;
		last = first;
	}
	if (!first || first > last || last > SWITCH_VLAN_MAX)
		return err_set(e, -EINVAL,
			"port %s: '%.32s' is no VLAN: trunk takes numbers from 1 to %u and ranges "
			"as 20-29",
			p->name, word, SWITCH_VLAN_MAX);
	for (unsigned vid = first; vid <= last; vid++)
		p->vlans[vid / 64] |= UINT64_C(1) << (vid % 64);
	return 0;
}

static int set_vlans(struct port *p, const struct switch_port_config *c, struct err *e)
{
	p->trunk = c->trunk.n;
	for (unsigned i = 0; i < c->trunk.n; i++) {
		int ret = parse_vlans(p, c->trunk.v[i], e);

		if (ret)
			return ret;
	}
	p->native = (uint16_t)c->vlan;
	if (!c->vlan && !p->trunk)
		p->native = SWITCH_VLAN_DEFAULT;
	if (p->native)
		p->vlans[p->native / 64] |= UINT64_C(1) << (p->native % 64);
	return 0;
}

static int bad_mac(const struct port *p, const char *key, const char *word, struct err *e)
{
	return err_set(e, -EINVAL,
		"port %s: '%.32s' in %s is no address: six hexadecimal bytes, as in "
		"52:54:00:12:34:56",
		p->name, word, key);
}

static int set_deny(struct port *p, const struct opt_list *list, struct err *e)
{
	if (list->n > DENY_MAX)
		return err_set(e, -EINVAL, "port %s: deny-macs has %u addresses, at most %u work",
			p->name, list->n, DENY_MAX);
	if (!list->n)
		return 0;
	p->deny = calloc(list->n, sizeof(*p->deny));
	if (!p->deny)
		return err_set(e, -ENOMEM, "port %s: out of memory", p->name);
	for (unsigned i = 0; i < list->n; i++)
		if (opt_parse_mac(list->v[i], p->deny[i]))
			return bad_mac(p, "deny-macs", list->v[i], e);
	p->ndeny = list->n;
	return 0;
}

static int fix_mac(struct port *p, const uint8_t mac[6], struct err *e)
{
	for (unsigned vid = 1; vid <= SWITCH_VLAN_MAX; vid++) {
		int ret = switch_in_vlan(p, vid)
				  ? mac_fix(&p->sw->macs, mac_key(mac, vid), p->index)
				  : 0;

		if (ret == -EEXIST)
			return err_set(e, ret,
				"port %s: an address of static-macs is another port's", p->name);
		if (ret)
			return err_set(e, ret,
				"port %s: no room for static-macs; raise the switch's macs",
				p->name);
	}
	return 0;
}

static int set_static(struct port *p, const struct opt_list *list, struct err *e)
{
	for (unsigned i = 0; i < list->n; i++) {
		uint8_t mac[6];
		int ret;

		if (opt_parse_mac(list->v[i], mac))
			return bad_mac(p, "static-macs", list->v[i], e);
		ret = fix_mac(p, mac, e);
		if (ret)
			return ret;
	}
	return 0;
}

static int set_mirror(struct port *p, struct err *e)
{
	const struct opt_list *only = &p->sw->mirror_ports;
	bool wanted = !only->n;

	p->mirror = -1;
	for (unsigned i = 0; i < only->n; i++)
		wanted |= !strcmp(only->v[i], p->name);
	if (!p->sw->mirror || !wanted)
		return 0;
	p->mirror = pcapng_interface(p->sw->mirror, p->name);
	if (p->mirror < 0)
		return err_sys(e, p->mirror, "port %s: cannot write to the capture file", p->name);
	return 0;
}

/* With less saved up than comes in until the port is looked at again, the rate is not reached. */
static void init_rate(struct tokens *t, uint64_t kbits, uint64_t burst)
{
	const uint64_t rate = kbits * 125;

	tokens_init(t, rate, max_u64(burst, rate / LOOKS_PER_S));
}

static int port_init(struct port *p, const struct switch_port_config *c, struct err *e)
{
	int ret;

	p->pcp = (uint8_t)c->pcp;
	init_rate(&p->in, c->rate_in, c->burst);
	init_rate(&p->out, c->rate_out, c->burst);
	tokens_init(&p->flood, c->flood_rate, c->flood_rate);
	ev_timer_init(p->sw->loop, &p->in_timer, switch_in_ready, p);
	ev_timer_init(p->sw->loop, &p->out_timer, switch_out_ready, p);
	for (unsigned i = 0; i < PRIORITIES; i++)
		if (fifo_init(&p->queues[i], c->queue))
			return err_set(e, -ENOMEM, "port %s: out of memory for its queue", p->name);
	ret = set_vlans(p, c, e);
	if (!ret)
		ret = set_deny(p, &c->deny_macs, e);
	if (!ret)
		ret = set_static(p, &c->static_macs, e);
	return ret ? ret : set_mirror(p, e);
}

static void port_free(struct port *p)
{
	netport_disconnect(&p->end);
	ev_timer_stop(&p->in_timer);
	ev_timer_stop(&p->out_timer);
	for (unsigned i = 0; i < PRIORITIES; i++)
		fifo_finish(&p->queues[i]);
	free(p->deny);
	free(p);
}

int switch_add_port(struct netswitch *s, const char *name, const struct switch_port_config *c,
	struct netport **end, struct err *e)
{
	struct port *p;
	int ret;

	if (s->nports == SWITCH_PORTS_MAX)
		return err_set(e, -ENOSPC, "port %s: a switch has at most %u ports", name,
			SWITCH_PORTS_MAX);
	for (unsigned i = 0; i < s->nports; i++)
		if (!strcmp(s->ports[i]->name, name))
			return err_set(e, -EEXIST, "port %s: the name is taken", name);
	if (!*name || strlen(name) >= NAME_LEN)
		return err_set(
			e, -EINVAL, "port '%.64s': a name has 1 to %d bytes", name, NAME_LEN - 1);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, "port %s: out of memory", name);
	strcpy(p->name, name);
	p->sw = s;
	p->index = s->nports;
	p->end = (struct netport){
		.ops = &switch_port_ops,
		.accepts = NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6 | NET_ACCEPT_ECN,
		.up = true,
	};
	ret = port_init(p, c, e);
	if (ret) {
		port_free(p);
		return ret;
	}
	s->ports[s->nports++] = p;
	*end = &p->end;
	return 0;
}

int switch_create(struct netswitch **out, const struct switch_config *c, struct ev_loop *loop,
	const struct log *log, struct err *e)
{
	struct netswitch *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory for a switch");
	s->loop = loop;
	s->log = log;
	s->clock = real_clock;
	s->mirror_ports = c->mirror_ports;
	ev_task_init(loop, &s->round, switch_end_of_round, s);
	ret = mac_table_init(&s->macs, c->macs, c->age, c->macs_per_port);
	if (ret)
		err_sys(e, ret, "cannot make a table of %u addresses", c->macs);
	else if (c->mirror)
		ret = pcapng_create(&s->mirror, c->mirror, c->mirror_size, c->mirror_snaplen, e);
	if (ret) {
		switch_destroy(s);
		return ret;
	}
	*out = s;
	return 0;
}

void switch_destroy(struct netswitch *s)
{
	if (!s)
		return;
	ev_task_cancel(&s->round);
	for (unsigned i = 0; i < s->nports; i++)
		port_free(s->ports[i]);
	pcapng_destroy(s->mirror);
	mac_table_finish(&s->macs);
	free(s);
}

unsigned switch_nports(const struct netswitch *s)
{
	return s->nports;
}

const char *switch_port_name(const struct netswitch *s, unsigned port)
{
	return s->ports[port]->name;
}

const struct switch_counters *switch_port_counters(const struct netswitch *s, unsigned port)
{
	return &s->ports[port]->count;
}

uint64_t switch_port_queued(const struct netswitch *s, unsigned port)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < PRIORITIES; i++)
		bytes += fifo_used(&s->ports[port]->queues[i]);
	return bytes;
}

bool switch_port_up(const struct netswitch *s, unsigned port)
{
	return netport_peer_up(&s->ports[port]->end);
}

uint32_t switch_macs(struct netswitch *s)
{
	switch_refresh(s);
	return mac_count(&s->macs, s->now_s);
}

uint64_t switch_mirror_missed(const struct netswitch *s)
{
	return s->mirror ? pcapng_missed(s->mirror) : 0;
}

void switch_set_clock(struct netswitch *s, uint64_t (*clock)(void *arg, clockid_t id), void *arg)
{
	s->clock = clock;
	s->clock_arg = arg;
}
