/* SPDX-License-Identifier: BSD-3-Clause */
/* Performance domain management protocol (SCMI 4.5): levels and limits, no fast channels. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_priv.h"

#define VERSION 0x40000u

#define DOMAIN_ATTRIBUTES 0x3
#define DESCRIBE_LEVELS	  0x4
#define LIMITS_SET	  0x5
#define LIMITS_GET	  0x6
#define LEVEL_SET	  0x7
#define LEVEL_GET	  0x8
#define NOTIFY_LIMITS	  0x9
#define NOTIFY_LEVEL	  0xa
#define DOMAIN_NAME_GET	  0xc
/* Notifications, and who wants them. */
#define LIMITS_CHANGED 0x0
#define LEVEL_CHANGED  0x1
#define WANTS_LIMITS   1u
#define WANTS_LEVELS   2u

#define ATTR_SET_LIMITS	   (1u << 31)
#define ATTR_SET_LEVEL	   (1u << 30)
#define ATTR_LIMITS_NOTIFY (1u << 29)
#define ATTR_LEVEL_NOTIFY  (1u << 28)
#define ATTR_NAME	   (1u << 26)

#define POWER_IN_MILLIWATT (1u << 16) /* PROTOCOL_ATTRIBUTES */
#define REMAIN_SHIFT	   16

#define LEVELS_MAX    32u
#define LEVEL_WORDS   3u  /* level, power, latency, in the configuration */
#define LEVEL_BYTES   20u /* in DESCRIBE_LEVELS */
#define LATENCY_LIMIT 0xffff

struct perf {
	struct scmi_res res;
	int64_t levels[LEVELS_MAX][LEVEL_WORDS]; /* ascending */
	unsigned nlevels;
	uint32_t khz; /* of one unit of level */
	uint32_t sustained, level;
	uint32_t min, max;	   /* limits */
	uint32_t own_min, own_max; /* those of the platform */
};

static struct perf *to_perf(const struct scmi_res *res)
{
	return container_of(res, struct perf, res);
}

static bool is_level(const struct perf *p, uint32_t level)
{
	for (unsigned i = 0; i < p->nlevels; i++)
		if (p->levels[i][0] == level)
			return true;
	return false;
}

static uint32_t lowest(const struct perf *p)
{
	return (uint32_t)p->levels[0][0];
}

static uint32_t highest(const struct perf *p)
{
	return (uint32_t)p->levels[p->nlevels - 1][0];
}

/* Level and limits. */

static void set_level(struct perf *p, uint32_t level, const struct scmi_agent *cause)
{
	if (level == p->level)
		return;
	p->level = level;
	scmi_notify(&p->res, WANTS_LEVELS, LEVEL_CHANGED, cause, &level, 1, true);
}

/* The level is one within the limits; if there is none, the next one below. */
static void keep_level(struct perf *p, const struct scmi_agent *cause)
{
	uint32_t best = lowest(p);

	if (p->level >= p->min && p->level <= p->max)
		return;
	for (unsigned i = 0; i < p->nlevels; i++) {
		uint32_t level = (uint32_t)p->levels[i][0];

		if (level > p->max)
			break;
		best = level;
		if (p->level < p->min && level >= p->min)
			break;
	}
	set_level(p, best, cause);
}

/* What all agents agree to; what is not possible together ends at the lower limit. */
static void update_limits(struct perf *p, const struct scmi_agent *cause)
{
	uint32_t min = p->own_min, max = p->own_max;

	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(&p->res, id);

		if (!g || !g->voted)
			continue;
		max = (uint32_t)min_u64(max, g->vote[0]);
		min = (uint32_t)max_u64(min, g->vote[1]);
	}
	min = (uint32_t)min_u64(min, max);
	if (min != p->min || max != p->max) {
		const uint32_t words[] = { max, min };

		p->min = min;
		p->max = max;
		scmi_notify(&p->res, WANTS_LIMITS, LIMITS_CHANGED, cause, words, 2, true);
	}
	keep_level(p, cause);
}

static int32_t limits_set(struct scmi_msg *m)
{
	struct perf *p = to_perf(m->res);
	uint32_t max = scmi_param(m, 1), min = scmi_param(m, 2);

	/* 0 leaves a limit as it is; one of them must be given (SCMI 4.5.3.7). */
	if (!max && !min)
		return SCMI_INVALID_PARAMETERS;
	if (!max)
		max = m->grant->voted ? m->grant->vote[0] : highest(p);
	if (!min)
		min = m->grant->voted ? m->grant->vote[1] : lowest(p);
	if (min > max)
		return SCMI_INVALID_PARAMETERS;
	if (min < lowest(p) || max > highest(p))
		return SCMI_OUT_OF_RANGE;
	m->grant->voted = true;
	m->grant->vote[0] = max;
	m->grant->vote[1] = min;
	update_limits(p, m->agent);
	return SCMI_SUCCESS;
}

static int32_t limits_get(struct scmi_msg *m)
{
	const struct perf *p = to_perf(m->res);

	scmi_put(m, p->max);
	scmi_put(m, p->min);
	return SCMI_SUCCESS;
}

static int32_t level_set(struct scmi_msg *m)
{
	struct perf *p = to_perf(m->res);
	uint32_t level = scmi_param(m, 1);

	if (level < p->min || level > p->max)
		return SCMI_OUT_OF_RANGE;
	if (!is_level(p, level))
		return SCMI_INVALID_PARAMETERS;
	set_level(p, level, m->agent);
	return SCMI_SUCCESS;
}

static int32_t level_get(struct scmi_msg *m)
{
	scmi_put(m, to_perf(m->res)->level);
	return SCMI_SUCCESS;
}

/* Descriptions. */

static int32_t describe_levels(struct scmi_msg *m)
{
	const struct perf *p = to_perf(m->res);
	uint32_t index = scmi_param(m, 1), n;

	if (index >= p->nlevels)
		return SCMI_OUT_OF_RANGE;
	n = (uint32_t)min_u64(p->nlevels - index, scmi_room_for(m, 4, LEVEL_BYTES));
	if (!n)
		return SCMI_COMMS_ERROR;
	scmi_put(m, n | (p->nlevels - index - n) << REMAIN_SHIFT);
	for (uint32_t i = index; i < index + n; i++) {
		scmi_put(m, (uint32_t)p->levels[i][0]);
		scmi_put(m, (uint32_t)p->levels[i][1]);
		scmi_put(m, (uint32_t)p->levels[i][2]);
		scmi_put(m, (uint32_t)p->levels[i][0] * p->khz);
		scmi_put(m, i);
	}
	return SCMI_SUCCESS;
}

static int32_t domain_attributes(struct scmi_msg *m)
{
	const struct perf *p = to_perf(m->res);
	uint32_t flags = 0;

	if (m->grant->access == SCMI_ACCESS_WRITE)
		flags |= ATTR_SET_LIMITS | ATTR_SET_LEVEL;
	if (scmi_has_p2a(m))
		flags |= ATTR_LIMITS_NOTIFY | ATTR_LEVEL_NOTIFY;
	if (scmi_name_is_long(m->res))
		flags |= ATTR_NAME;
	scmi_put(m, flags);
	scmi_put(m, 0); /* no limit of the rate of commands */
	scmi_put(m, p->sustained * p->khz);
	scmi_put(m, p->sustained);
	scmi_put_name(m, m->res->name, SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

static int32_t notify_limits(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_LIMITS);
}

static int32_t notify_level(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_LEVELS);
}

/* The number of domains, and no statistics region. */
static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m) | POWER_IN_MILLIWATT);
	scmi_put64(m, 0);
	scmi_put(m, 0);
	return SCMI_SUCCESS;
}

/* Configuration and operator. */

static int check_levels(const struct perf *p, struct err *e)
{
	if (!p->nlevels)
		return err_set(e, -EINVAL,
			"'%s': levels=LEVEL:MILLIWATT:MICROSECONDS/... is needed", p->res.name);
	for (unsigned i = 0; i < p->nlevels; i++) {
		if (!p->levels[i][0] || (i && p->levels[i][0] <= p->levels[i - 1][0]))
			return err_set(e, -EINVAL,
				"'%s': levels are not above 0 and in ascending order", p->res.name);
		if (p->levels[i][2] > LATENCY_LIMIT)
			return err_set(e, -EINVAL, "'%s': a latency is above %u us", p->res.name,
				LATENCY_LIMIT);
	}
	if ((uint64_t)highest(p) * p->khz > UINT32_MAX)
		return err_set(
			e, -EINVAL, "'%s': the highest level times khz is above 2^32", p->res.name);
	if (!is_level(p, p->sustained) || !is_level(p, p->level))
		return err_set(e, -EINVAL, "'%s': level and sustained are not among the levels",
			p->res.name);
	return 0;
}

static int open_perf(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	struct perf *p = to_perf(res);
	int ret = scmi_word_tuples(w, "levels", 0, UINT32_MAX, &p->levels[0][0], LEVEL_WORDS,
		LEVELS_MAX, &p->nlevels, e);

	p->khz = 1000;
	if (!ret)
		ret = scmi_word_u32(w, "khz", 1, UINT32_MAX, &p->khz, e);
	if (p->nlevels) {
		p->own_min = p->min = p->level = lowest(p);
		p->own_max = p->max = p->sustained = highest(p);
	}
	if (!ret)
		ret = scmi_word_u32(w, "level", 0, UINT32_MAX, &p->level, e);
	if (!ret)
		ret = scmi_word_u32(w, "sustained", 0, UINT32_MAX, &p->sustained, e);
	return ret ? ret : check_levels(p, e);
}

static void forget(struct scmi_grant *g)
{
	update_limits(to_perf(g->res), g->agent);
}

static void show(const struct scmi_res *res, FILE *f)
{
	const struct perf *p = to_perf(res);

	fprintf(f, "level=%u limits=%u:%u", p->level, p->min, p->max);
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	struct perf *p = to_perf(res);
	int64_t min, max;

	if (argc == 2 && !strcmp(argv[0], "level")) {
		if (scmi_parse_number(argv[1], p->min, p->max, &min) || !is_level(p, (uint32_t)min))
			return err_set(
				e, -EINVAL, "%s is no level within %u:%u", argv[1], p->min, p->max);
		set_level(p, (uint32_t)min, NULL);
		return 0;
	}
	if (argc != 3 || strcmp(argv[0], "limits") != 0 ||
		scmi_parse_number(argv[1], lowest(p), highest(p), &min) ||
		scmi_parse_number(argv[2], min, highest(p), &max))
		return err_set(e, -EINVAL,
			"a performance domain takes level LEVEL, or limits LOWEST HIGHEST from "
			"%u to %u",
			lowest(p), highest(p));
	p->own_min = (uint32_t)min;
	p->own_max = (uint32_t)max;
	update_limits(p, NULL);
	return 0;
}

static const struct scmi_command commands[] = {
	{ DOMAIN_ATTRIBUTES, SCMI_RESOURCE, .len = 4, .run = domain_attributes,
		.name = "PERFORMANCE_DOMAIN_ATTRIBUTES" },
	{ DESCRIBE_LEVELS, SCMI_RESOURCE, .len = 8, .run = describe_levels,
		.name = "PERFORMANCE_DESCRIBE_LEVELS" },
	{ LIMITS_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 12, .run = limits_set,
		.name = "PERFORMANCE_LIMITS_SET" },
	{ LIMITS_GET, SCMI_RESOURCE, .len = 4, .run = limits_get,
		.name = "PERFORMANCE_LIMITS_GET" },
	{ LEVEL_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 8, .run = level_set,
		.name = "PERFORMANCE_LEVEL_SET" },
	{ LEVEL_GET, SCMI_RESOURCE, .len = 4, .run = level_get, .name = "PERFORMANCE_LEVEL_GET" },
	{ NOTIFY_LIMITS, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = notify_limits,
		.name = "PERFORMANCE_NOTIFY_LIMITS" },
	{ NOTIFY_LEVEL, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = notify_level,
		.name = "PERFORMANCE_NOTIFY_LEVEL" },
	{ DOMAIN_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get,
		.name = "PERFORMANCE_DOMAIN_NAME_GET" },
	{ 0 },
};

const struct scmi_protocol scmi_perf = {
	.id = SCMI_PROTOCOL_PERF,
	.version = VERSION,
	.name = "perf",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct perf),
	.open = open_perf,
	.forget = forget,
	.show = show,
	.tell = tell,
};
