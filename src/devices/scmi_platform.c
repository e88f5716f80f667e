/* SPDX-License-Identifier: BSD-3-Clause */
/* What a platform has: resources from the configuration, the agents on it, the operator's words. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_agent.h"
#include "devices/scmi_sensor_priv.h"
#include "devices/scmi_system.h"

#define DETAIL_MAX 200u

/* Resources of one protocol. */
struct set {
	struct scmi_res **v;
	unsigned n;
};

/* A device in the sense of SCMI 4.2.1: resources that belong together. */
struct group {
	struct scmi_res *member[SCMI_WORDS_MAX];
	unsigned n;
};

struct scmi_platform {
	const struct scmi_config *config;
	struct ev_loop *loop;
	const struct log *log;
	struct set sets[SCMI_SLOTS];
	struct group *groups;
	unsigned ngroups;
	struct scmi_agent *agents[SCMI_AGENTS_MAX + 1]; /* by id; 0 is the platform */
	unsigned nagents;
	struct sensors *sensors;
	scmi_event_fn event;
	void *event_arg;
};

/* What the option table describes. */
struct platform_opts {
	struct scmi_config config;
};

/* Where the descriptions of a protocol's resources are. */
static const struct {
	uint8_t protocol;
	size_t list;
	const char *key;
} lists[] = {
	{ SCMI_PROTOCOL_POWER, offsetof(struct scmi_config, power_domains), "power-domains" },
	{ SCMI_PROTOCOL_PERF, offsetof(struct scmi_config, perf), "perf" },
	{ SCMI_PROTOCOL_CLOCK, offsetof(struct scmi_config, clocks), "clocks" },
	{ SCMI_PROTOCOL_SENSOR, offsetof(struct scmi_config, sensor.sensors), "sensors" },
	{ SCMI_PROTOCOL_RESET, offsetof(struct scmi_config, resets), "resets" },
	{ SCMI_PROTOCOL_VOLTAGE, offsetof(struct scmi_config, voltages), "voltages" },
	{ SCMI_PROTOCOL_POWERCAP, offsetof(struct scmi_config, powercaps), "powercaps" },
};

const struct opt scmi_platform_opts[] = {
	SCMI_CONFIG_OPTS(struct platform_opts, config),
	OPT_END,
};

/* Resources. */

static int check_name(const struct set *set, const char *name, struct err *e)
{
	if (strlen(name) >= SCMI_NAME_MAX)
		return err_set(e, -EINVAL, "the name '%.80s' is longer than %u bytes", name,
			SCMI_NAME_MAX - 1);
	if (strpbrk(name, ":*="))
		return err_set(e, -EINVAL, "the name '%.80s' has one of ':', '*' and '='", name);
	for (unsigned i = 0; i < set->n; i++)
		if (!strcmp(set->v[i]->name, name))
			return err_set(e, -EINVAL, "'%.64s' is there twice", name);
	return 0;
}

static void free_res(struct scmi_res *res)
{
	if (res->protocol->close)
		res->protocol->close(res);
	free(res);
}

static int add_res(struct scmi_platform *p, const struct scmi_protocol *protocol,
	struct scmi_words *w, struct err *e)
{
	struct set *set = &p->sets[SCMI_SLOT(protocol->id)];
	int ret = check_name(set, w->name, e);
	struct scmi_res *res, **v;

	if (ret)
		return ret;
	if (set->n == SCMI_RESOURCES_MAX)
		return err_set(e, -EINVAL, "more than %u", SCMI_RESOURCES_MAX);
	v = reallocarray(set->v, set->n + 1, sizeof(*v));
	if (v)
		set->v = v;
	res = calloc(1, protocol->res_size);
	if (!v || !res) {
		free(res);
		return err_set(e, -ENOMEM, "out of memory");
	}
	res->protocol = protocol;
	res->platform = p;
	snprintf(res->name, sizeof(res->name), "%s", w->name);
	ret = protocol->open(res, w, e);
	if (!ret)
		ret = scmi_words_end(w, e);
	if (ret)
		free_res(res);
	else
		set->v[set->n++] = res;
	return ret;
}

static int add_described(struct scmi_platform *p, const struct scmi_protocol *protocol,
	const char *text, struct err *e)
{
	struct scmi_words w;
	int ret = scmi_words_parse(&w, text, e);

	if (!ret)
		ret = add_res(p, protocol, &w, e);
	scmi_words_free(&w);
	return ret;
}

static int add_all(struct scmi_platform *p, struct err *e)
{
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
		const struct opt_list *l = (const void *)((const char *)p->config + lists[i].list);

		for (unsigned k = 0; k < l->n; k++) {
			ret = add_described(
				p, scmi_protocols[SCMI_SLOT(lists[i].protocol)], l->v[k], e);
			if (ret) {
				err_prefix(e, "%s", lists[i].key);
				return ret;
			}
		}
	}
	return p->config->system_power ? add_described(p, &scmi_system, "system", e) : 0;
}

/* Groups. */

static int fill_group(struct scmi_platform *p, struct group *g, const char *text, struct err *e)
{
	struct scmi_words w;
	int ret = scmi_words_parse(&w, text, e);

	for (unsigned i = 0; !ret && i < w.n; i++) {
		g->member[g->n] = scmi_platform_find(p, w.word[i].key, e);
		if (!g->member[g->n++])
			ret = -EINVAL;
	}
	scmi_words_free(&w);
	if (ret)
		err_prefix(e, "devices");
	return ret;
}

static int add_groups(struct scmi_platform *p, struct err *e)
{
	const struct opt_list *l = &p->config->devices;
	int ret = 0;

	p->groups = calloc(l->n + 1, sizeof(*p->groups));
	if (!p->groups)
		return err_set(e, -ENOMEM, "out of memory");
	for (; !ret && p->ngroups < l->n; p->ngroups++)
		ret = fill_group(p, &p->groups[p->ngroups], l->v[p->ngroups], e);
	return ret;
}

/* Life. */

static void on_sensor_event(void *arg, const char *event, const char *detail)
{
	scmi_event(arg, event, "%s", detail);
}

int scmi_platform_open(struct scmi_platform **out, const struct scmi_config *config,
	struct ev_loop *loop, const struct log *log, struct err *e)
{
	struct scmi_platform *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->config = config;
	p->loop = loop;
	p->log = log;
	ret = sensors_open(&p->sensors, &config->sensor.set, loop, log, on_sensor_event, p, e);
	if (!ret)
		ret = add_all(p, e);
	if (!ret)
		ret = add_groups(p, e);
	if (!ret)
		ret = sensors_start(p->sensors, e);
	if (ret) {
		scmi_platform_close(p);
		return ret;
	}
	*out = p;
	return 0;
}

void scmi_platform_close(struct scmi_platform *p)
{
	if (!p)
		return;
	for (unsigned s = 0; s < SCMI_SLOTS; s++) {
		for (unsigned i = 0; i < p->sets[s].n; i++)
			free_res(p->sets[s].v[i]);
		free(p->sets[s].v);
	}
	sensors_close(p->sensors);
	free(p->groups);
	free(p);
}

void scmi_platform_watch(struct scmi_platform *p, scmi_event_fn fn, void *arg)
{
	p->event = fn;
	p->event_arg = arg;
}

void scmi_event(struct scmi_platform *p, const char *event, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	if (p->event)
		p->event(p->event_arg, event, detail);
}

/* Agents. */

int scmi_platform_add(struct scmi_platform *p, struct scmi_agent *a, struct err *e)
{
	if (p->nagents == SCMI_AGENTS_MAX)
		return err_set(e, -EINVAL, "a platform has at most %u agents", SCMI_AGENTS_MAX);
	a->id = ++p->nagents;
	p->agents[a->id] = a;
	return 0;
}

void scmi_platform_remove(struct scmi_platform *p, struct scmi_agent *a)
{
	if (p->agents[a->id] == a)
		p->agents[a->id] = NULL;
}

struct scmi_agent *scmi_platform_agent(const struct scmi_platform *p, uint32_t id)
{
	return id <= p->nagents ? p->agents[id] : NULL;
}

unsigned scmi_platform_agents(const struct scmi_platform *p)
{
	return p->nagents;
}

void scmi_platform_up(struct scmi_platform *p, struct scmi_agent *a, bool up)
{
	bool all = true;

	a->up = up;
	for (unsigned id = 1; id <= p->nagents; id++)
		all &= !p->agents[id] || p->agents[id]->up;
	if (all)
		sensors_ready(p->sensors);
}

/* Questions. */

unsigned scmi_platform_count(const struct scmi_platform *p, unsigned slot)
{
	return p->sets[slot].n;
}

struct scmi_res *scmi_platform_res(const struct scmi_platform *p, unsigned slot, unsigned i)
{
	return i < p->sets[slot].n ? p->sets[slot].v[i] : NULL;
}

static const struct scmi_protocol *protocol_named(const char *name, size_t len)
{
	for (unsigned s = 0; s < SCMI_SLOTS; s++) {
		const struct scmi_protocol *p = scmi_protocols[s];

		if (p && strlen(p->name) == len && !memcmp(p->name, name, len))
			return p;
	}
	return NULL;
}

struct scmi_res *scmi_platform_find(const struct scmi_platform *p, const char *text, struct err *e)
{
	size_t len = strcspn(text, ":");
	const struct scmi_protocol *protocol = protocol_named(text, len);
	const struct set *set = protocol ? &p->sets[SCMI_SLOT(protocol->id)] : NULL;

	for (unsigned i = 0; set && text[len] && i < set->n; i++)
		if (!strcmp(set->v[i]->name, text + len + 1))
			return set->v[i];
	err_set(e, -EINVAL, "'%.64s' is nothing that the platform has; as in clock:uart", text);
	return NULL;
}

unsigned scmi_platform_devices(const struct scmi_platform *p)
{
	return p->ngroups;
}

struct scmi_res *scmi_platform_member(const struct scmi_platform *p, unsigned device, unsigned i)
{
	return i < p->groups[device].n ? p->groups[device].member[i] : NULL;
}

struct sensors *scmi_platform_sensors(const struct scmi_platform *p)
{
	return p->sensors;
}

struct ev_loop *scmi_loop(const struct scmi_platform *p)
{
	return p->loop;
}

const struct log *scmi_log(const struct scmi_platform *p)
{
	return p->log;
}

const struct scmi_config *scmi_config(const struct scmi_platform *p)
{
	return p->config;
}

/* The operator. */

static void show_res(const struct scmi_res *res, FILE *f)
{
	fprintf(f, "%s %s ", res->protocol->name, res->name);
	res->protocol->show(res, f);
	fputc('\n', f);
}

static void show_all(const struct scmi_platform *p, FILE *f)
{
	for (unsigned id = 1; id <= p->nagents; id++)
		if (p->agents[id])
			fprintf(f, "agent %u %s denied=%llu%s\n", id, p->agents[id]->name,
				(unsigned long long)p->agents[id]->denied,
				p->agents[id]->trusted ? " trusted" : "");
	for (unsigned s = 0; s < SCMI_SLOTS; s++)
		for (unsigned i = 0; i < p->sets[s].n; i++)
			show_res(p->sets[s].v[i], f);
}

/* "clock uart [WORDS...]" */
static int tell_res(
	struct scmi_platform *p, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	char text[SCMI_NAME_MAX + 32];
	struct scmi_res *res;

	if (argc < 2)
		return err_set(e, -EINVAL, "'%.32s' needs the name of one; try show", argv[0]);
	snprintf(text, sizeof(text), "%s:%s", argv[0], argv[1]);
	res = scmi_platform_find(p, text, e);
	if (!res)
		return -EINVAL;
	if (argc > 2) {
		int ret = res->protocol->tell ? res->protocol->tell(res, argc - 2, argv + 2, e)
					      : err_set(e, -EINVAL, "%s cannot be changed", text);

		if (ret)
			return ret;
	}
	show_res(res, answer);
	return 0;
}

int scmi_platform_command(
	struct scmi_platform *p, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	if (!strcmp(argv[0], "show") && argc == 1) {
		show_all(p, answer);
		return 0;
	}
	if (!strcmp(argv[0], "replay"))
		return scmi_sensor_replay_command(p->sensors, argc, argv, answer, e);
	if (scmi_system_is_command(argv[0]))
		return scmi_system_command(scmi_platform_res(p, SCMI_SLOT(SCMI_PROTOCOL_SYSTEM), 0),
			NULL, argc, argv, answer, e);
	if (protocol_named(argv[0], strlen(argv[0])))
		return tell_res(p, argc, argv, answer, e);
	return err_set(e, -EINVAL,
		"'%.32s' is no command; possible: show, replay, shutdown, reboot, suspend, and "
		"clock, power, perf, reset, sensor, voltage, powercap with a name",
		argv[0]);
}
