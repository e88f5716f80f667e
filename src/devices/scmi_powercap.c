/* SPDX-License-Identifier: BSD-3-Clause */
/* Power capping and monitoring protocol (SCMI 4.10): caps, averaging intervals, measurements. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_agent.h"

#define VERSION 0x20000u

#define DOMAIN_ATTRIBUTES   0x3
#define CAP_GET		    0x4
#define CAP_SET		    0x5
#define PAI_GET		    0x6
#define PAI_SET		    0x7
#define DOMAIN_NAME_GET	    0x8
#define MEASUREMENTS_GET    0x9
#define CAP_NOTIFY	    0xa
#define MEASUREMENTS_NOTIFY 0xb
/* Notifications, and who wants them. */
#define CAP_CHANGED	     0x0
#define MEASUREMENTS_CHANGED 0x1
#define WANTS_CAPS	     1u
#define WANTS_MEASUREMENTS   2u

#define ATTR_CAP_NOTIFY		 (1u << 31)
#define ATTR_MEASUREMENTS_NOTIFY (1u << 30)
#define ATTR_ASYNC		 (1u << 29)
#define ATTR_NAME		 (1u << 28)
#define ATTR_CAP_SET		 (1u << 27)
#define ATTR_MONITORING		 (1u << 26)
#define ATTR_PAI_SET		 (1u << 25)
#define ATTR_MILLIWATT		 (2u << 23)

#define FLAG_NO_DELAYED 1u
#define FLAG_ASYNC	2u

#define NO_PARENT      UINT32_MAX
#define PAI_DEFAULT_US 1000000u
#define LATENCY_MAX_US 10000000u

/* Thresholds of an agent: struct scmi_grant, limit[]. */
enum { LOW, HIGH, ZONE };
enum zone { BELOW, WITHIN, ABOVE };

/* Values that can be set. */
struct steps {
	uint32_t min, max, step;
};

struct powercap {
	struct scmi_res res;
	const struct scmi_res *parent;
	struct steps caps;     /* milliwatts */
	struct steps pais;     /* microseconds */
	uint32_t initial, cap; /* 0: none */
	uint32_t pai;
	uint32_t power; /* measured */
	uint32_t sustainable, accuracy, latency_us;
};

static struct powercap *to_powercap(const struct scmi_res *res)
{
	return container_of(res, struct powercap, res);
}

static bool fits(const struct steps *s, uint32_t v)
{
	return v >= s->min && v <= s->max && (!s->step || (v - s->min) % s->step == 0);
}

/* Caps. */

static void set(struct powercap *p, uint32_t cap, uint32_t pai, const struct scmi_agent *cause)
{
	const uint32_t words[] = { cap, pai };

	if (cap == p->cap && pai == p->pai)
		return;
	p->cap = cap;
	p->pai = pai;
	scmi_notify(&p->res, WANTS_CAPS, CAP_CHANGED, cause, words, 2, true);
}

/* The lowest cap of all agents that have set one. */
static void update_cap(struct powercap *p, const struct scmi_agent *cause)
{
	uint32_t cap = 0;
	bool asked = false;

	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(&p->res, id);

		if (!g || !g->voted)
			continue;
		asked = true;
		if (g->vote[0] && (!cap || g->vote[0] < cap))
			cap = g->vote[0];
	}
	set(p, asked ? cap : p->initial, p->pai, cause);
}

/* POWERCAP_CAP_SET_COMPLETE */
static int32_t complete(struct scmi_msg *m)
{
	struct powercap *p = to_powercap(m->res);

	m->grant->voted = true;
	m->grant->vote[0] = scmi_param(m, 2);
	update_cap(p, m->agent);
	scmi_put(m, m->id);
	scmi_put(m, p->cap);
	return SCMI_SUCCESS;
}

static int32_t cap_set(struct scmi_msg *m)
{
	struct powercap *p = to_powercap(m->res);
	uint32_t flags = scmi_param(m, 1), cap = scmi_param(m, 2);

	if (flags & ~(FLAG_NO_DELAYED | FLAG_ASYNC))
		return SCMI_INVALID_PARAMETERS;
	if (p->caps.min == p->caps.max)
		return SCMI_NOT_SUPPORTED;
	if (cap && !fits(&p->caps, cap))
		return SCMI_OUT_OF_RANGE;
	if (flags & FLAG_ASYNC)
		return scmi_later(
			m, p->latency_us * UINT64_C(1000), complete, !(flags & FLAG_NO_DELAYED));
	m->grant->voted = true;
	m->grant->vote[0] = cap;
	update_cap(p, m->agent);
	return SCMI_SUCCESS;
}

static int32_t cap_get(struct scmi_msg *m)
{
	scmi_put(m, to_powercap(m->res)->cap);
	return SCMI_SUCCESS;
}

static int32_t pai_set(struct scmi_msg *m)
{
	struct powercap *p = to_powercap(m->res);
	uint32_t pai = scmi_param(m, 2);

	if (scmi_param(m, 1))
		return SCMI_INVALID_PARAMETERS;
	if (p->pais.min == p->pais.max)
		return SCMI_NOT_SUPPORTED;
	if (!fits(&p->pais, pai))
		return SCMI_OUT_OF_RANGE;
	set(p, p->cap, pai, m->agent);
	return SCMI_SUCCESS;
}

static int32_t pai_get(struct scmi_msg *m)
{
	scmi_put(m, to_powercap(m->res)->pai);
	return SCMI_SUCCESS;
}

static int32_t cap_notify(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_CAPS);
}

/* Measurements. */

static enum zone zone_of(const struct scmi_grant *g, uint32_t power)
{
	return power < g->limit[LOW] ? BELOW : power > g->limit[HIGH] ? ABOVE : WITHIN;
}

static void measured(struct powercap *p, uint32_t power)
{
	p->power = power;
	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		struct scmi_grant *g = scmi_grant_of(&p->res, id);
		enum zone zone;

		if (!g || !(g->subscribed & WANTS_MEASUREMENTS))
			continue;
		zone = zone_of(g, power);
		if (zone != g->limit[ZONE] && zone != WITHIN)
			scmi_notify_one(g, MEASUREMENTS_CHANGED, NULL, &power, 1, true);
		g->limit[ZONE] = zone;
	}
}

static int32_t measurements_notify(struct scmi_msg *m)
{
	uint32_t low = scmi_param(m, 2), high = scmi_param(m, 3);
	int32_t status;

	if (low > high)
		return SCMI_INVALID_PARAMETERS;
	status = scmi_subscribe(m, WANTS_MEASUREMENTS);
	if (status)
		return status;
	m->grant->limit[LOW] = low;
	m->grant->limit[HIGH] = high;
	m->grant->limit[ZONE] = WITHIN;
	measured(to_powercap(m->res), to_powercap(m->res)->power);
	return SCMI_SUCCESS;
}

static int32_t measurements_get(struct scmi_msg *m)
{
	const struct powercap *p = to_powercap(m->res);

	scmi_put(m, p->power);
	scmi_put(m, p->pai);
	return SCMI_SUCCESS;
}

/* Descriptions. */

static void put_steps(struct scmi_msg *m, const struct steps *s)
{
	scmi_put(m, s->min);
	scmi_put(m, s->max);
	scmi_put(m, s->step);
}

/* As this agent calls it, if it sees it. */
static uint32_t parent_id(const struct scmi_msg *m)
{
	const struct scmi_res *parent = to_powercap(m->res)->parent;
	const struct scmi_grant *g = parent ? scmi_agent_grant_for(m->agent, parent) : NULL;
	const struct scmi_view *view = &m->agent->views[SCMI_SLOT(SCMI_PROTOCOL_POWERCAP)];

	return g ? (uint32_t)(g - view->grants) : NO_PARENT;
}

static int32_t domain_attributes(struct scmi_msg *m)
{
	const struct powercap *p = to_powercap(m->res);
	uint32_t flags = ATTR_MONITORING | ATTR_MILLIWATT;

	if (p->caps.min != p->caps.max)
		flags |= ATTR_CAP_SET;
	if (p->pais.min != p->pais.max)
		flags |= ATTR_PAI_SET;
	if (scmi_has_p2a(m))
		flags |= ATTR_CAP_NOTIFY | ATTR_MEASUREMENTS_NOTIFY | ATTR_ASYNC;
	if (scmi_name_is_long(m->res))
		flags |= ATTR_NAME;
	scmi_put(m, flags);
	scmi_put_name(m, m->res->name, SCMI_SHORT_NAME);
	put_steps(m, &p->pais);
	put_steps(m, &p->caps);
	scmi_put(m, p->sustainable);
	scmi_put(m, p->accuracy);
	scmi_put(m, parent_id(m));
	return SCMI_SUCCESS;
}

static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m));
	return SCMI_SUCCESS;
}

/* Configuration and operator. */

static int open_steps(
	struct powercap *p, struct scmi_words *w, const char *key, struct steps *s, struct err *e)
{
	int64_t v[3] = { s->min, s->max, s->step };
	unsigned n = 3;
	int ret = scmi_word_list(w, key, 1, UINT32_MAX, v, 3, &n, e);

	if (ret)
		return ret;
	/* One number: it cannot be changed. */
	if (n == 1) {
		v[1] = v[0];
		v[2] = 0;
		n = 3;
	}
	if (n != 3 || !v[0] || v[0] > v[1] || (v[0] < v[1] && !v[2]))
		return err_set(e, -EINVAL, "'%s': %s=LOWEST/HIGHEST/STEP is needed, as in %s",
			p->res.name, key, "1000/15000/100");
	*s = (struct steps){ (uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2] };
	return 0;
}

static int open_parent(struct powercap *p, struct scmi_words *w, struct err *e)
{
	const char *name = scmi_word(w, "parent");
	char text[SCMI_NAME_MAX + 16];

	if (!name)
		return 0;
	snprintf(text, sizeof(text), "powercap:%s", name);
	p->parent = scmi_platform_find(p->res.platform, text, NULL);
	return p->parent ? 0
			 : err_set(e, -EINVAL, "'%s': parent %.64s is not there, or not before it",
				   p->res.name, name);
}

static int open_powercap(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	struct powercap *p = to_powercap(res);
	int ret;

	p->pais = (struct steps){ PAI_DEFAULT_US, PAI_DEFAULT_US, 0 };
	ret = open_steps(p, w, "caps", &p->caps, e);
	if (!ret)
		ret = open_steps(p, w, "pais", &p->pais, e);
	p->pai = p->pais.min;
	p->sustainable = p->caps.max;
	if (!ret)
		ret = scmi_word_u32(w, "cap", 0, UINT32_MAX, &p->initial, e);
	if (!ret && p->initial && !fits(&p->caps, p->initial))
		ret = err_set(e, -EINVAL, "'%s': cap is not one of the possible ones", res->name);
	p->cap = p->initial;
	if (!ret)
		ret = scmi_word_u32(w, "power", 0, UINT32_MAX, &p->power, e);
	if (!ret)
		ret = scmi_word_u32(w, "sustainable", 0, UINT32_MAX, &p->sustainable, e);
	if (!ret)
		ret = scmi_word_u32(w, "accuracy", 0, UINT32_MAX, &p->accuracy, e);
	if (!ret)
		ret = scmi_word_us(w, "latency", LATENCY_MAX_US, &p->latency_us, e);
	return ret ? ret : open_parent(p, w, e);
}

static void forget(struct scmi_grant *g)
{
	update_cap(to_powercap(g->res), g->agent);
}

static void show(const struct scmi_res *res, FILE *f)
{
	const struct powercap *p = to_powercap(res);

	fprintf(f, "cap=%u power=%u pai=%u", p->cap, p->power, p->pai);
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	struct powercap *p = to_powercap(res);
	int64_t v;

	if (argc == 2 && !strcmp(argv[0], "power") &&
		!scmi_parse_number(argv[1], 0, UINT32_MAX, &v)) {
		measured(p, (uint32_t)v);
		return 0;
	}
	if (argc != 2 || strcmp(argv[0], "cap") != 0 ||
		scmi_parse_number(argv[1], 0, UINT32_MAX, &v) ||
		(v && !fits(&p->caps, (uint32_t)v)))
		return err_set(e, -EINVAL,
			"a power cap takes power MILLIWATT, or cap MILLIWATT from %u to %u in "
			"steps "
			"of %u, 0 for none",
			p->caps.min, p->caps.max, p->caps.step);
	scmi_drop_votes(res);
	p->initial = (uint32_t)v;
	update_cap(p, NULL);
	return 0;
}

static const struct scmi_command commands[] = {
	{ DOMAIN_ATTRIBUTES, SCMI_RESOURCE, .len = 4, .run = domain_attributes,
		.name = "POWERCAP_DOMAIN_ATTRIBUTES" },
	{ CAP_GET, SCMI_RESOURCE, .len = 4, .run = cap_get, .name = "POWERCAP_CAP_GET" },
	{ CAP_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 12, .run = cap_set,
		.name = "POWERCAP_CAP_SET" },
	{ PAI_GET, SCMI_RESOURCE, .len = 4, .run = pai_get, .name = "POWERCAP_PAI_GET" },
	{ PAI_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 12, .run = pai_set,
		.name = "POWERCAP_PAI_SET" },
	{ DOMAIN_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get,
		.name = "POWERCAP_DOMAIN_NAME_GET" },
	{ MEASUREMENTS_GET, SCMI_RESOURCE, .len = 4, .run = measurements_get,
		.name = "POWERCAP_MEASUREMENTS_GET" },
	{ CAP_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = cap_notify,
		.name = "POWERCAP_CAP_NOTIFY" },
	{ MEASUREMENTS_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 16, .run = measurements_notify,
		.name = "POWERCAP_MEASUREMENTS_NOTIFY" },
	{ 0 },
};

const struct scmi_protocol scmi_powercap = {
	.id = SCMI_PROTOCOL_POWERCAP,
	.version = VERSION,
	.name = "powercap",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct powercap),
	.open = open_powercap,
	.forget = forget,
	.show = show,
	.tell = tell,
};
